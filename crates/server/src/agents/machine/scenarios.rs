//! Hard orders of events, as people who call and people who run workers meet them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use antiphon_protocol::proto::{DisconnectReason, JobStatus, JobType};

use super::stage::{Held, Stage};
use super::tell::Reason;
use super::{Input, MAX_FAILURES};

pub(super) fn call() -> Stage {
    let mut stage = Stage::eager();
    stage.worker("w1", "");
    stage.open("hall", &[]);
    stage.caller("hall", "ann");
    stage
}

/// A worker has taken the job of a call, and its agent has not come yet.
fn accepted() -> (Stage, String) {
    let mut stage = Stage::new(1);
    stage.worker("w1", "");
    stage.open("hall", &[]);
    stage.caller("hall", "ann");
    let job = stage.offers("w1")[0].clone();
    stage.answer("w1", &job, true);
    (stage, job)
}

#[test]
fn workers_of_two_namespaces_send_an_agent_each_and_the_second_keeps_nobody_waiting() {
    let mut stage = Stage::eager();
    stage.worker_in("w1", "", JobType::JtRoom, Some("day"));
    stage.worker_in("w2", "", JobType::JtRoom, Some("day"));
    stage.open("hall", &[]);
    stage.caller("hall", "ann");
    assert_eq!(stage.agents("hall").len(), 1);
    stage.worker_in("w3", "", JobType::JtRoom, Some("night"));
    assert_eq!(stage.agents("hall").len(), 2);
    assert_ne!(stage.job("w3").0, "");
    // Nobody of that namespace is left: the caller has an agent, and is not told that there is none.
    let (_, identity) = stage.job("w3");
    stage.worker_dies("w3");
    stage.agent_leaves("hall", &identity, DisconnectReason::ConnectionTimeout);
    stage.wait(60.0);
    assert_eq!(stage.agents("hall").len(), 1);
    assert!(stage.world.told.is_empty(), "{:?}", stage.world.told);
    stage.worker_in("w4", "", JobType::JtRoom, Some("night"));
    stage.wait(30.0);
    assert_eq!(stage.agents("hall").len(), 2);
}

#[test]
fn an_agent_that_joins_anew_keeps_its_job_and_the_call_goes_on() {
    let mut stage = call();
    let (job, identity) = stage.job("w1");
    stage.agent_joins("hall", &identity);
    stage.wait(120.0);
    assert_eq!(stage.job("w1"), (job.clone(), identity.clone()));
    assert_eq!(stage.agents("hall"), [identity]);
    assert!(!stage.world.terminated.contains(&job));
}

#[test]
fn an_agent_whose_connection_broke_may_come_back_and_nobody_else_is_sent_meanwhile() {
    for reason in [
        DisconnectReason::SignalClose,
        DisconnectReason::ConnectionTimeout,
        DisconnectReason::StateMismatch,
        DisconnectReason::UnknownReason,
    ] {
        let mut stage = call();
        stage.worker("w2", "");
        let (job, identity) = stage.job("w1");
        stage.eager = false;
        stage.agent_leaves("hall", &identity, reason);
        stage.wait(8.0);
        assert!(stage.offers("w2").is_empty() && stage.offers("w1").is_empty());
        stage.agent_joins("hall", &identity);
        stage.wait(120.0);
        assert_eq!(stage.job("w1").0, job);
        assert!(stage.offers("w2").is_empty() && !stage.world.terminated.contains(&job));
    }
}

#[test]
fn an_agent_that_is_lost_for_good_is_replaced_while_the_caller_waits() {
    let mut stage = call();
    let (job, identity) = stage.job("w1");
    stage.agent_leaves("hall", &identity, DisconnectReason::ConnectionTimeout);
    stage.wait(20.0);
    assert_eq!(stage.agents("hall").len(), 1);
    assert_ne!(stage.agents("hall"), [identity.as_str()]);
    // The lost one comes after all: it is sent out again, and the worker knows that the job is over.
    stage.agent_joins("hall", &identity);
    stage.wait(0.0);
    assert_eq!(stage.agents("hall").len(), 1);
    assert!(stage.world.terminated.contains(&job));
}

#[test]
fn a_job_that_crashes_while_a_caller_waits_is_given_to_a_worker_again() {
    let mut stage = call();
    let (job, identity) = stage.job("w1");
    // As a panic has it: the participant goes, then the worker says how it ended.
    stage.agent_leaves("hall", &identity, DisconnectReason::ClientInitiated);
    stage.ends("w1", &job, JobStatus::JsFailed);
    stage.wait(2.1);
    assert_eq!(stage.agents("hall").len(), 1);
    // And in the other order.
    let (job, _) = stage.job("w1");
    stage.ends("w1", &job, JobStatus::JsFailed);
    stage.wait(4.1);
    assert_eq!(stage.agents("hall").len(), 1);
    assert_ne!(stage.job("w1").0, job);
}

#[test]
fn a_job_that_always_crashes_is_given_up_and_the_caller_is_told_and_the_next_caller_begins_anew() {
    let mut stage = call();
    for _ in 0..MAX_FAILURES {
        let (job, _) = stage.job("w1");
        stage.ends("w1", &job, JobStatus::JsFailed);
        stage.wait(20.0);
    }
    assert_eq!(stage.agents("hall"), [""; 0]);
    stage.wait(60.0);
    assert_eq!(stage.agents("hall"), [""; 0]);
    let (_, _, news) = stage.world.told.last().expect("the caller is told");
    assert_eq!(news.reason, Reason::GivenUp);
    stage.caller("hall", "bob");
    assert_eq!(stage.agents("hall").len(), 1);
}

#[test]
fn an_agent_that_says_goodbye_after_its_worker_is_gone_is_replaced_for_a_caller_who_stays() {
    // As a machine ends that is told to: the socket first, then the participants; or the other way round.
    for agent_first in [true, false] {
        let mut stage = call();
        let (_, identity) = stage.job("w1");
        stage.worker("w2", "");
        if agent_first {
            stage.agent_leaves("hall", &identity, DisconnectReason::ClientInitiated);
            stage.worker_dies("w1");
        } else {
            stage.worker_dies("w1");
            stage.agent_leaves("hall", &identity, DisconnectReason::ClientInitiated);
        }
        stage.wait(10.0);
        assert_eq!(stage.job("w2").1, stage.agents("hall")[0], "{agent_first}");
    }
}

#[test]
fn an_agent_that_hangs_up_while_its_workers_connection_flaps_is_not_sent_again() {
    for agent_first in [true, false] {
        let mut stage = call();
        stage.wait(30.0);
        let (job, identity) = stage.job("w1");
        let held = if agent_first {
            stage.agent_leaves("hall", &identity, DisconnectReason::ClientInitiated);
            stage.worker_dies("w1")
        } else {
            let held = stage.worker_dies("w1");
            stage.agent_leaves("hall", &identity, DisconnectReason::ClientInitiated);
            held
        };
        stage.wait(2.0);
        stage.worker_returns("w1b", held);
        stage.ends("w1b", &job, JobStatus::JsSuccess);
        stage.wait(300.0);
        assert_eq!(stage.agents("hall"), [""; 0], "{agent_first}");
        assert!(stage.world.told.is_empty());
    }
}

#[test]
fn an_agent_that_needs_long_to_join_does_not_get_its_job_a_second_time() {
    let mut stage = Stage::new(1);
    stage.worker("w1", "");
    stage.worker("w2", "");
    stage.open("hall", &[]);
    stage.caller("hall", "ann");
    let first = if stage.offers("w1").is_empty() {
        "w2"
    } else {
        "w1"
    };
    let other = if first == "w1" { "w2" } else { "w1" };
    let job = stage.offers(first)[0].clone();
    stage.answer(first, &job, true);
    stage.wait(45.0);
    assert!(stage.offers(other).is_empty() && stage.offers(first).is_empty());
    let (_, identity) = stage.job(first);
    stage.agent_joins("hall", &identity);
    stage.wait(120.0);
    assert_eq!(stage.agents("hall"), [identity]);
    assert!(stage.offers(other).is_empty());
}

#[test]
fn of_two_agents_that_both_come_late_the_first_stays() {
    let (mut stage, _) = accepted();
    let (_, slow) = stage.job("w1");
    stage.worker("w2", "");
    stage.wait(65.0);
    let second = stage.offers("w2")[0].clone();
    stage.answer("w2", &second, true);
    let (_, quick) = stage.job("w2");
    stage.agent_joins("hall", &slow);
    assert!(stage.world.terminated.contains(&second));
    stage.agent_joins("hall", &quick);
    stage.wait(1.0);
    assert_eq!(stage.agents("hall"), [slow]);
}

#[test]
fn a_worker_whose_connection_flaps_between_assignment_and_join_keeps_the_job() {
    let (mut stage, job) = accepted();
    let (_, identity) = stage.job("w1");
    stage.worker("w2", "");
    let held = stage.worker_dies("w1");
    stage.wait(2.0);
    stage.worker_returns("w1b", held);
    stage.wait(30.0);
    assert!(stage.offers("w2").is_empty());
    stage.agent_joins("hall", &identity);
    stage.wait(120.0);
    assert_eq!(stage.agents("hall"), [identity]);
    assert!(!stage.world.terminated.contains(&job));
    // It can even stay away: the agent comes by itself.
    let held = stage.worker_dies("w1b");
    stage.wait(120.0);
    assert_eq!(stage.agents("hall").len(), 1);
    stage.worker_returns("w1c", held);
    assert_eq!(stage.job("w1c").0, job);
}

#[test]
fn a_worker_that_dies_before_its_agent_joined_is_followed_by_another_with_the_same_job() {
    let (mut stage, job) = accepted();
    stage.worker_dies("w1");
    stage.worker("w2", "");
    stage.wait(6.0);
    assert_eq!(stage.offers("w2"), [job]);
}

#[test]
fn a_machine_that_dies_with_its_worker_and_its_agent_is_replaced_at_once() {
    let mut stage = call();
    stage.worker("w2", "");
    let (_, identity) = stage.job("w1");
    stage.worker_dies("w1");
    stage.wait(10.0);
    assert_eq!(
        stage.agents("hall"),
        [identity.as_str()],
        "media may outlive the worker's socket"
    );
    stage.agent_leaves("hall", &identity, DisconnectReason::SignalClose);
    stage.wait(0.0);
    assert_eq!(stage.job("w2").1, stage.agents("hall")[0]);
}

#[test]
fn a_caller_who_returns_is_answered_whenever_that_is() {
    for pause in [0.0, 0.05, 1.0, 19.0, 3000.0] {
        // The agent leaves with its caller; its farewell may take longer than the caller is away.
        for farewell in [0.0, 0.03, 0.5, 9.0] {
            let mut stage = call();
            let (job, identity) = stage.job("w1");
            stage.hang_up("hall", "ann");
            let first = f64::min(pause, farewell);
            stage.wait(first);
            let agent_goes = |stage: &mut Stage| {
                stage.agent_leaves("hall", &identity, DisconnectReason::ClientInitiated);
                stage.ends("w1", &job, JobStatus::JsSuccess);
            };
            if farewell <= pause {
                agent_goes(&mut stage);
                stage.wait(pause - first);
                stage.caller("hall", "ann");
            } else {
                stage.caller("hall", "ann");
                stage.wait(farewell - first);
                agent_goes(&mut stage);
            }
            stage.wait(1.0);
            assert_eq!(stage.agents("hall").len(), 1, "{pause} {farewell}");
            assert_ne!(stage.agents("hall"), [identity.as_str()]);
        }
    }
}

#[test]
fn an_agent_that_hangs_up_on_its_caller_is_not_sent_again() {
    let mut stage = call();
    let (job, identity) = stage.job("w1");
    stage.wait(30.0);
    stage.agent_leaves("hall", &identity, DisconnectReason::ClientInitiated);
    stage.ends("w1", &job, JobStatus::JsSuccess);
    stage.wait(300.0);
    assert_eq!(stage.agents("hall"), [""; 0]);
    assert!(stage.world.told.is_empty());
}

#[test]
fn a_second_caller_whom_the_agent_left_with_the_first_gets_one_too() {
    let mut stage = call();
    stage.caller("hall", "bob");
    let (job, identity) = stage.job("w1");
    stage.hang_up("hall", "ann");
    stage.wait(0.5);
    stage.agent_leaves("hall", &identity, DisconnectReason::ClientInitiated);
    stage.ends("w1", &job, JobStatus::JsSuccess);
    stage.wait(1.0);
    assert_eq!(stage.agents("hall").len(), 1);
}

#[test]
fn a_token_asks_for_an_agent_in_a_room_that_is_open_and_does_not_double_it() {
    let mut stage = Stage::eager();
    stage.worker("d", "desk");
    stage.worker("n", "notary");
    stage.open("hall", &[]);
    stage.caller_asking("hall", "ann", &["desk"]);
    assert_eq!(stage.agents("hall").len(), 1);
    stage.caller_asking("hall", "bob", &["desk"]);
    stage.caller("hall", "cid");
    stage.wait(60.0);
    assert_eq!(stage.agents("hall").len(), 1);
    stage.caller_asking("hall", "dan", &["desk", "notary"]);
    assert_eq!(stage.agents("hall").len(), 2);
}

#[test]
fn workers_for_participants_that_come_late_get_those_who_are_there() {
    for kind in [JobType::JtParticipant, JobType::JtPublisher] {
        let mut stage = Stage::eager();
        stage.open("hall", &[]);
        for caller in ["ann", "bob"] {
            stage.caller("hall", caller);
            stage.publish("hall", caller);
        }
        stage.caller("hall", "mute");
        stage.worker_of_kind("w1", "", kind);
        let wanted = if kind == JobType::JtParticipant { 3 } else { 2 };
        assert_eq!(stage.agents("hall").len(), wanted, "{kind:?}");
        stage.worker_of_kind("w2", "", kind);
        stage.wait(60.0);
        assert_eq!(stage.agents("hall").len(), wanted, "{kind:?}");
    }
}

#[test]
fn a_caller_without_an_agent_is_told_why() {
    let mut stage = Stage::new(1);
    stage.open("hall", &["desk"]);
    stage.caller("hall", "ann");
    stage.wait(4.9);
    assert!(
        stage.world.told.is_empty(),
        "nobody is troubled for the usual second"
    );
    stage.wait(0.2);
    let reason = |stage: &Stage| stage.world.told.last().map(|(_, _, news)| news.reason);
    assert_eq!(reason(&stage), Some(Reason::NoWorker));
    stage.worker("w1", "desk");
    stage.wait(5.1);
    let job = stage.offers("w1")[0].clone();
    stage.full("w1", true);
    stage.answer("w1", &job, false);
    stage.wait(10.0);
    assert_eq!(reason(&stage), Some(Reason::WorkersFull));
    stage.full("w1", false);
    let job = stage.offers("w1")[0].clone();
    stage.answer("w1", &job, true);
    stage.wait(10.0);
    assert_eq!(reason(&stage), Some(Reason::Starting));
    let (_, identity) = stage.job("w1");
    stage.agent_joins("hall", &identity);
    let told = stage.world.told.len();
    stage.wait(100.0);
    assert_eq!(stage.world.told.len(), told);
}

#[test]
fn a_server_that_never_had_an_agent_troubles_nobody() {
    let mut stage = Stage::new(1);
    stage.open("hall", &[]);
    stage.caller("hall", "ann");
    stage.wait(100.0);
    assert!(stage.world.told.is_empty());
}

#[test]
fn a_room_made_again_before_the_old_ones_end_is_known_keeps_its_jobs() {
    let mut stage = call();
    stage.world.rooms.insert("again".to_owned());
    stage.tell(Input::RoomOpened {
        room: Box::new(antiphon_protocol::proto::Room {
            sid: "RM_again".to_owned(),
            name: "hall".to_owned(),
            ..Default::default()
        }),
        agents: Vec::new(),
    });
    stage.world.callers.insert(("again".into(), "ann".into()));
    stage.close("hall");
    assert_eq!(stage.machine.list("hall", "").len(), 1);
    assert_eq!(stage.machine.jobs.len(), 1);
}

#[test]
fn a_deleted_dispatch_lets_its_agent_say_goodbye() {
    let mut stage = Stage::eager();
    stage.worker("w1", "desk");
    stage.open("hall", &["none"]);
    let dispatch = stage.request("hall", "desk");
    assert_eq!(dispatch.state.unwrap().jobs.len(), 1);
    let (job, identity) = stage.job("w1");
    stage.delete("hall", &dispatch.id);
    assert!(stage.world.terminated.contains(&job));
    stage.wait(2.9);
    assert_eq!(stage.agents("hall"), [identity.as_str()]);
    stage.wait(0.2);
    assert_eq!(stage.agents("hall"), [""; 0]);
}

#[test]
fn after_a_bug_in_the_dispatcher_calls_go_on_and_waiting_ones_are_placed() {
    let mut stage = call();
    let (job, identity) = stage.job("w1");
    stage.open("yard", &["desk"]);
    stage.caller("yard", "bob");
    let broken = std::mem::replace(&mut stage.machine, super::Machine::new(1, stage.now, 1));
    let broke = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut machine = broken;
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            machine.handle(std::time::Duration::from_secs(1), Input::Bug);
        }));
        assert!(result.is_err());
        machine
    }));
    stage.machine = broke.unwrap().recovered(stage.now);
    stage.wait(1.0);
    assert_eq!(stage.job("w1"), (job, identity.clone()));
    stage.worker("w2", "desk");
    assert_eq!(stage.agents("yard").len(), 1);
    stage.wait(100.0);
    assert_eq!(stage.agents("hall"), [identity]);
}

#[test]
fn an_ended_job_is_listed_without_the_participant_it_was_for() {
    let mut stage = call();
    for _ in 0..50 {
        let (job, identity) = stage.job("w1");
        assert!(matches!(
            stage.world.workers["w1"][&job],
            Held::Assigned { .. }
        ));
        stage.hang_up("hall", "ann");
        stage.agent_leaves("hall", &identity, DisconnectReason::ClientInitiated);
        stage.ends("w1", &job, JobStatus::JsSuccess);
        stage.caller("hall", "ann");
    }
    let jobs = stage
        .machine
        .list("hall", "")
        .pop()
        .unwrap()
        .state
        .unwrap()
        .jobs;
    assert!(jobs.len() <= 21, "{}", jobs.len());
}

#[test]
fn after_a_restart_of_the_server_the_agent_that_comes_back_stays_the_only_one() {
    // The worker comes back before the agent, after it, or has its new job accepted already.
    for order in [
        "agent first",
        "offered",
        "accepted",
        "agent before the caller",
    ] {
        let mut stage = Stage::new(1);
        let old = "agent-AJ_before";
        stage.open("hall", &[]);
        if order == "agent before the caller" {
            stage.old_agent_joins("hall", old, "desk");
        }
        stage.caller_asking("hall", "ann", &["desk"]);
        if order == "offered" || order == "accepted" {
            stage.worker("w1", "desk");
        }
        if order == "accepted" {
            let job = stage.offers("w1")[0].clone();
            stage.answer("w1", &job, true);
        }
        stage.wait(0.6);
        if order != "agent before the caller" {
            stage.old_agent_joins("hall", old, "desk");
        }
        if let Some(job) = stage
            .world
            .workers
            .get("w1")
            .and(stage.offers("w1").first().cloned())
        {
            stage.answer("w1", &job, true);
        }
        stage.eager = true;
        stage.worker("w2", "desk");
        stage.wait(100.0);
        assert_eq!(stage.agents("hall"), [old], "{order}");
        assert!(stage.world.told.is_empty(), "{order}");
        // Its worker knows it by its job, and says how it ends.
        let held = [(
            "AJ_before".to_owned(),
            Held::Assigned {
                identity: old.to_owned(),
            },
        )];
        stage.worker_returns("w3", held.into());
        stage.agent_leaves("hall", old, DisconnectReason::ClientInitiated);
        stage.ends("w3", "AJ_before", JobStatus::JsFailed);
        stage.wait(10.0);
        assert_eq!(stage.agents("hall").len(), 1, "{order}");
        assert_ne!(stage.agents("hall"), [old], "{order}");
    }
}

#[test]
fn after_a_restart_of_the_server_an_agent_that_comes_back_too_late_is_sent_out() {
    let mut stage = call();
    let (_, identity) = stage.job("w1");
    stage.old_agent_joins("hall", "agent-AJ_before", "");
    stage.wait(0.0);
    assert_eq!(stage.agents("hall"), [identity]);
}

#[test]
fn an_agent_that_no_dispatch_sent_is_left_alone_beside_the_one_that_talks() {
    let mut stage = call();
    let (_, identity) = stage.job("w1");
    stage.agent_joins("hall", "avatar");
    stage.wait(100.0);
    assert_eq!(stage.agents("hall"), [identity.as_str(), "avatar"]);
}

#[test]
fn an_agent_named_twice_comes_once_and_who_waits_for_several_is_told_once() {
    let mut stage = Stage::eager();
    stage.worker("w1", "desk");
    stage.open("hall", &["desk", "desk", "no", "none"]);
    stage.caller_asking("hall", "ann", &["desk", "desk", "no", "none"]);
    assert_eq!(stage.agents("hall").len(), 1);
    stage.wait(5.1);
    let (_, _, news) = stage.world.told.pop().expect("the caller is told");
    assert_eq!(
        (news.agent_name.as_str(), news.agent_names),
        ("no", vec!["no".into(), "none".into()])
    );
    assert!(stage.world.told.is_empty());
    stage.wait(10.0);
    assert_eq!(stage.world.told.len(), 1);
}

//! Agents of which nothing is heard any more, as their callers meet them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use antiphon_protocol::proto::DisconnectReason;

use super::scenarios::call;
use super::tell::Reason;

#[test]
fn a_caller_whose_agent_freezes_is_told_at_once_and_gets_another_one_in_its_place() {
    let mut stage = call();
    stage.wait(30.0);
    let (job, frozen) = stage.job("w1");
    stage.worker("w2", "");
    stage.agent_reachable("hall", &frozen, false);
    stage.wait(0.0);
    let (_, _, news) = stage.world.told.last().expect("the caller is told");
    assert_eq!(news.reason, Reason::Unreachable);
    stage.wait(5.1);
    let (_, second) = stage.job("w2");
    assert_eq!(stage.agents("hall"), [second.as_str()]);
    assert!(stage.world.terminated.contains(&job));
    // It wakes up, and finds the line closed; if it comes in again, it is sent out again.
    stage.agent_joins("hall", &frozen);
    stage.wait(60.0);
    assert_eq!(stage.agents("hall"), [second]);
    assert_eq!(stage.world.told.len(), 1);
}

#[test]
fn an_agent_that_hangs_for_a_moment_keeps_its_call() {
    let mut stage = call();
    let (job, identity) = stage.job("w1");
    stage.worker("w2", "");
    stage.agent_reachable("hall", &identity, false);
    stage.wait(3.0);
    stage.agent_reachable("hall", &identity, true);
    stage.wait(120.0);
    assert_eq!(stage.job("w1").0, job);
    assert_eq!(stage.agents("hall"), [identity]);
    assert!(stage.offers("w2").is_empty());
    assert_eq!(stage.world.told.len(), 1);
}

#[test]
fn a_frozen_agent_whose_line_is_closed_meanwhile_is_not_waited_for_any_longer() {
    let mut stage = call();
    let (_, frozen) = stage.job("w1");
    stage.worker("w2", "");
    stage.agent_reachable("hall", &frozen, false);
    stage.wait(2.0);
    stage.agent_leaves("hall", &frozen, DisconnectReason::SignalClose);
    stage.wait(3.0);
    assert_eq!(stage.agents("hall"), [stage.job("w2").1]);
}

#[test]
fn without_another_worker_a_frozen_agents_caller_is_told_again_and_answered_when_it_wakes_up() {
    let mut stage = call();
    stage.wait(30.0);
    let (_, frozen) = stage.job("w1");
    stage.eager = false;
    stage.agent_reachable("hall", &frozen, false);
    stage.wait(25.0);
    assert_eq!(stage.agents("hall"), [""; 0]);
    assert!(stage.world.told.len() >= 2);
    let held = stage.worker_dies("w1");
    stage.eager = true;
    stage.worker_returns("w1b", held);
    stage.wait(20.0);
    assert_eq!(stage.agents("hall").len(), 1);
}

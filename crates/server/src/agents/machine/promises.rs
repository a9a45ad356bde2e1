//! What holds after every step, whatever has happened before.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::job::{PostId, Stage};
use super::stage::World;
use super::{Alarm, MAX_FAILURES, Machine};
use crate::limits::{MAX_DISPATCHES, MAX_WORKER_JOBS};

pub(super) fn check(machine: &Machine, world: &World, now: Duration) {
    one_agent(machine);
    no_agent_unaccounted_for(machine, world);
    no_caller_forgotten(machine);
    every_job_ends(machine, now);
    bounded(machine);
    lists_agree(machine, world);
}

/// 1. A post has at most one running agent.
fn one_agent(machine: &Machine) {
    for (id, post) in &machine.posts {
        let running: Vec<_> = post
            .jobs
            .iter()
            .filter(|job| matches!(machine.jobs[*job].stage, Stage::Running { .. }))
            .collect();
        assert!(running.len() <= 1, "post {id} has two agents: {running:?}");
        assert!(
            running.is_empty() || post.jobs.len() == 1,
            "post {id} has an agent and looks for another"
        );
    }
}

/// 1. An agent that a dispatch has sent, in this server's life or the last one, is the agent of a post or on its way out.
fn no_agent_unaccounted_for(machine: &Machine, world: &World) {
    for (room, identity) in &world.agents {
        let sid = super::stage::sid(room);
        let Some(name) = world.names.get(identity) else {
            continue;
        };
        let posts: Vec<_> = machine.rooms[&sid]
            .posts
            .iter()
            .map(|id| &machine.posts[id])
            .filter(|post| machine.dispatch_of(post).unwrap().agent_name == *name)
            .collect();
        let leaves = machine
            .removals
            .contains_key(&(Arc::clone(&sid), Arc::from(identity.as_str())));
        let is_one_of_theirs = posts.iter().flat_map(|post| &post.jobs).any(|job| {
            machine.jobs[job]
                .stage
                .identity()
                .is_some_and(|of| **of == **identity)
        });
        assert!(
            posts.is_empty() || leaves || is_one_of_theirs,
            "{identity} talks in {room} beside those who were sent there"
        );
    }
}

/// 2. Where a caller waits there is a job, and it waits only while no worker can take it.
fn no_caller_forgotten(machine: &Machine) {
    for (id, entry) in &machine.jobs {
        if let Stage::Waiting { retry: None } = entry.stage {
            let post = &machine.posts[&entry.post];
            let idle = machine.workers_for(post).into_iter();
            let idle = idle
                .map(|(id, w)| (id, w.has_room()))
                .find(|(_, free)| *free);
            assert!(idle.is_none(), "{id} waits although {idle:?} has time");
        }
    }
    for (id, post) in &machine.posts {
        let vacant = post.vacant.is_some();
        let served = post.jobs.iter().any(|job| {
            let stage = &machine.jobs[job].stage;
            stage.is_alive() || matches!(stage, Stage::Leaving { .. })
        });
        assert!(!(vacant && served), "post {id} is served and called vacant");
        let looked_for = post.jobs.iter().any(|job| {
            !matches!(
                machine.jobs[job].stage,
                Stage::Expected { overdue: true, .. }
            )
        });
        assert!(
            !vacant || looked_for || post.failures >= MAX_FAILURES,
            "a caller waits at post {id}, and nobody is looked for"
        );
        assert!(
            !vacant || machine.alarms.iter().any(|(_, a)| *a == Alarm::Post(*id)),
            "a caller waits at post {id}, and is never told"
        );
    }
}

/// 3. Each stage but running and waiting for a worker has a deadline, and nothing outlives its room.
fn every_job_ends(machine: &Machine, now: Duration) {
    for (id, entry) in &machine.jobs {
        if let Some(until) = entry.stage.until() {
            assert!(
                until >= now,
                "{id} should have been looked at: {:?}",
                entry.stage
            );
            assert!(
                machine
                    .alarms
                    .contains(&(until, Alarm::Job(Arc::clone(id)))),
                "{id} has no alarm: {:?}",
                entry.stage
            );
        }
        let post = &machine.posts[&entry.post];
        let room = machine.rooms.get(&post.room).expect("its room is open");
        if let Stage::Running { identity, .. } = &entry.stage {
            assert!(
                room.agents.contains_key(identity),
                "{id} runs without an agent"
            );
        }
    }
}

/// 4. Everything that grows from outside has a limit.
fn bounded(machine: &Machine) {
    for worker in machine.workers.values() {
        assert!(worker.jobs.len() <= MAX_WORKER_JOBS);
    }
    for room in machine.rooms.values() {
        assert!(room.ended.len() <= 20 && room.dispatches.len() <= MAX_DISPATCHES);
        let slim = |job: &antiphon_protocol::proto::Job| job.participant.is_none();
        assert!(room.ended.iter().all(|(_, job)| slim(job)));
    }
    for (id, post) in &machine.posts {
        assert!(
            post.jobs.len() <= 8,
            "post {id} has {} attempts",
            post.jobs.len()
        );
        assert!(post.failures <= MAX_FAILURES);
    }
    let live = machine.jobs.len() + machine.posts.len() + machine.removals.len() + 1;
    assert!(
        machine.alarms.len() <= 20 * live + 200,
        "{} alarms for {live} things",
        machine.alarms.len()
    );
}

/// 5. The lists say the same as the facts, so nothing is sent to the dead and nothing is left behind.
fn lists_agree(machine: &Machine, world: &World) {
    let connected: BTreeSet<&str> = machine.workers.keys().map(|id| &**id).collect();
    let there: BTreeSet<&str> = world.workers.keys().map(String::as_str).collect();
    assert_eq!(connected, there, "workers");
    for (id, worker) in &machine.workers {
        let of_it: BTreeSet<&Arc<str>> = machine
            .jobs
            .iter()
            .filter(|(_, entry)| entry.stage.worker() == Some(id))
            .map(|(job, _)| job)
            .collect();
        assert_eq!(worker.jobs.iter().collect::<BTreeSet<_>>(), of_it, "{id}");
    }
    for (id, post) in &machine.posts {
        let attempts: BTreeSet<&Arc<str>> = machine
            .jobs
            .iter()
            .filter(|(_, entry)| entry.post == *id)
            .map(|(job, _)| job)
            .collect();
        assert_eq!(post.jobs.iter().collect::<BTreeSet<_>>(), attempts, "{id}");
    }
    for (sid, room) in &machine.rooms {
        let posts: BTreeSet<PostId> = machine
            .posts
            .iter()
            .filter(|(_, post)| post.room == *sid)
            .map(|(id, _)| *id)
            .collect();
        assert_eq!(room.posts, posts, "{sid}");
        let known: BTreeSet<String> = room.agents.keys().map(|a| a.to_string()).collect();
        let here: BTreeSet<String> = world
            .agents
            .iter()
            .filter(|(of, _)| *sid == super::stage::sid(of))
            .map(|(_, identity)| identity.clone())
            .collect();
        assert_eq!(known, here, "agents in {sid}");
    }
}

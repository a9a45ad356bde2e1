//! The agents in the rooms: which job one belongs to, and what its leaving means.

use std::sync::Arc;

use antiphon_protocol::proto::{self, DisconnectReason};

use super::job::{PostId, Stage};
use super::{AGENT_RETURN, Machine, VERDICT};

/// Why an agent is not in the room any more.
enum Absence {
    /// It left by itself: its work is done, or its process has ended in good order.
    Left,
    /// Somebody put it out.
    PutOut,
    /// Its connection broke, or it joins anew.
    Lost,
}

impl Machine {
    pub(super) fn agent_joined(&mut self, room: &Arc<str>, identity: &Arc<str>) {
        let Some(open) = self.rooms.get_mut(room) else {
            return;
        };
        open.agents.insert(Arc::clone(identity));
        let Some(job) = self.job_of_agent(room, identity) else {
            return self.send_out_late(room, identity);
        };
        let Some(entry) = self.jobs.get_mut(&job) else {
            return;
        };
        let rivals: Vec<Arc<str>> = match self.posts.get(&entry.post) {
            Some(post) => post.jobs.iter().filter(|j| **j != job).cloned().collect(),
            None => Vec::new(),
        };
        let post = entry.post;
        let worker = match &entry.stage {
            Stage::Expected { worker, .. }
            | Stage::Running { worker, .. }
            | Stage::Leaving { worker, .. } => Arc::clone(worker),
            // It was given back meanwhile: the agent is its last worker's.
            Stage::Waiting { .. } | Stage::Offered { .. } => {
                Arc::from(entry.state.worker_id.as_str())
            }
        };
        let runs = |rival: &Arc<str>| {
            self.jobs
                .get(rival)
                .is_some_and(|e| matches!(e.stage, Stage::Running { .. }))
        };
        if rivals.iter().any(runs) {
            tracing::info!(job = %job, %identity, "another agent was there first; this one is sent out");
            self.withdraw(&job, "another agent was there first");
            self.remove_by(room, identity, self.now);
            return;
        }
        if let Some(entry) = self.jobs.get_mut(&job) {
            entry.came = true;
        }
        let stage = Stage::Running {
            worker,
            identity: Arc::clone(identity),
            since: self.now,
        };
        self.set_stage(&job, stage);
        for rival in rivals {
            self.withdraw(&rival, "another agent was there first");
        }
        self.attend(post);
    }

    /// An agent of a job that has ended, where another runs already.
    fn send_out_late(&mut self, room: &Arc<str>, identity: &Arc<str>) {
        let Some(open) = self.rooms.get(room) else {
            return;
        };
        let of = |(post, job): &(PostId, proto::Job)| {
            let state = job.state.as_ref();
            let its = state.is_some_and(|s| s.participant_identity == **identity);
            its.then_some(*post)
        };
        let replaced = open.ended.iter().find_map(of).is_some_and(|post| {
            let jobs = self.posts.get(&post).map(|post| &post.jobs);
            jobs.into_iter().flatten().any(|job| {
                self.jobs
                    .get(job)
                    .is_some_and(|e| matches!(e.stage, Stage::Running { .. }))
            })
        });
        if replaced {
            tracing::info!(%identity, "the agent of a job that has ended came, where another talks; it is sent out");
            self.remove_by(room, identity, self.now);
        }
    }

    /// The job whose agent this is. Of an attempt that was given back, the agent may come after all.
    pub(super) fn job_of_agent(&self, room: &Arc<str>, identity: &Arc<str>) -> Option<Arc<str>> {
        let posts = &self.rooms.get(room)?.posts;
        let jobs = posts.iter().filter_map(|id| self.posts.get(id));
        let jobs = jobs.flat_map(|post| &post.jobs).filter(|id| {
            self.jobs
                .get(*id)
                .is_some_and(|e| match e.stage.identity() {
                    Some(expected) => expected == identity,
                    None => e.state.participant_identity == **identity,
                })
        });
        // Agents of a fixed name share it: the newer attempt is the one that comes.
        jobs.min_by_key(|id| {
            let stage = self.jobs.get(*id).map(|e| &e.stage);
            matches!(stage, Some(Stage::Expected { overdue: true, .. }))
        })
        .cloned()
    }

    pub(super) fn agent_left(&mut self, job: &Arc<str>, reason: DisconnectReason) {
        let Some(entry) = self.jobs.get(job) else {
            return;
        };
        let Stage::Running {
            worker,
            identity,
            since,
        } = entry.stage.clone()
        else {
            return;
        };
        let (post, connected) = (entry.post, self.workers.contains_key(&worker));
        let (now, ran) = (self.now, self.now.saturating_sub(since));
        match absence(reason) {
            Absence::Left => self.set_stage(
                job,
                Stage::Leaving {
                    worker,
                    identity,
                    until: now + VERDICT,
                    ran,
                },
            ),
            Absence::PutOut => {
                self.withdraw(job, "the agent was removed from the room");
            }
            Absence::Lost => {
                tracing::info!(job = %job, ?reason, connected, "the agent is lost; it may come back");
                if ran >= super::SETTLED
                    && let Some(post) = self.posts.get_mut(&post)
                {
                    post.failures = 0;
                }
                let until = if connected { now + AGENT_RETURN } else { now };
                let stage = Stage::Expected {
                    worker,
                    identity,
                    until,
                    overdue: false,
                };
                self.set_stage(job, stage);
            }
        }
        self.attend(post);
    }
}

fn absence(reason: DisconnectReason) -> Absence {
    match reason {
        DisconnectReason::ClientInitiated
        | DisconnectReason::UserUnavailable
        | DisconnectReason::UserRejected
        | DisconnectReason::AgentError => Absence::Left,
        DisconnectReason::ParticipantRemoved
        | DisconnectReason::RoomDeleted
        | DisconnectReason::RoomClosed => Absence::PutOut,
        _ => Absence::Lost,
    }
}

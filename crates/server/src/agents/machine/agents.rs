//! The agents in the rooms: which job one belongs to, and what its leaving means.

use std::collections::BTreeSet;
use std::sync::Arc;

use antiphon_protocol::proto::{DisconnectReason, Job, JobState, JobStatus, ParticipantInfo};
use antiphon_protocol::{ids, names};

use super::job::{Entry, PostId, Stage};
use super::{AGENT_RETURN, Machine, SILENT_AGENT, VERDICT};

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
    pub(super) fn agent_joined(&mut self, room: &Arc<str>, info: ParticipantInfo) {
        let identity: &Arc<str> = &Arc::from(info.identity);
        let mut attributes = info.attributes;
        let name = attributes.remove(names::ATTRIBUTE_AGENT_DISPATCH_NAME);
        let Some(open) = self.rooms.get_mut(room) else {
            return;
        };
        open.agents.insert(Arc::clone(identity), name);
        let Some(job) = self.job_of_agent(room, identity) else {
            return self.unknown_agent_joined(room, identity);
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
            until: None,
        };
        self.set_stage(&job, stage);
        for rival in rivals {
            self.withdraw(&rival, "another agent was there first");
        }
        self.attend(post);
    }

    /// An agent came whose job is not known. Its token says that a dispatch has sent it, in an earlier life of this server
    /// perhaps: it gets a post of that name where nobody talks yet, or is sent out. One that no dispatch has sent (an avatar,
    /// `antiphon connect`) is nobody's business.
    fn unknown_agent_joined(&mut self, room: &Arc<str>, identity: &Arc<str>) {
        let Some(open) = self.rooms.get(room) else {
            return;
        };
        let Some(Some(name)) = open.agents.get(identity) else {
            return;
        };
        let posts: Vec<PostId> = open
            .posts
            .iter()
            .filter(|id| self.asks_for(**id, name))
            .copied()
            .collect();
        if posts.is_empty() {
            // A dispatch that asks for it may follow; see `adopt_stray`.
            return;
        }
        let ended = open.ended.iter().any(|(_, job)| is_agent_of(job, identity));
        let free = posts.into_iter().find(|id| !self.is_answered(*id));
        match free {
            Some(post) if !ended => self.adopt(post, identity),
            _ => {
                tracing::info!(%identity, "the agent of a job that has ended came, or of one that another agent does; it is sent out");
                self.remove_by(room, identity, self.now);
            }
        }
    }

    /// A new post is filled by an agent of its name that is in the room already, with no job that is known. Further ones are
    /// sent out.
    pub(super) fn adopt_stray(&mut self, post: PostId) -> bool {
        let Some(room) = self.posts.get(&post).map(|post| Arc::clone(&post.room)) else {
            return false;
        };
        let agents = self.rooms.get(&room).map(|open| &open.agents);
        let strays = agents.into_iter().flatten().filter(|(identity, name)| {
            let leaves = (Arc::clone(&room), Arc::clone(identity));
            name.as_ref().is_some_and(|name| self.asks_for(post, name))
                && !self.removals.contains_key(&leaves)
                && self.job_of_agent(&room, identity).is_none()
        });
        let strays: Vec<Arc<str>> = strays.map(|(identity, _)| Arc::clone(identity)).collect();
        let Some((first, others)) = strays.split_first() else {
            return false;
        };
        self.adopt(post, first);
        for other in others {
            self.remove_by(&room, other, self.now);
        }
        true
    }

    /// Does this post want an agent of that name?
    fn asks_for(&self, post: PostId, name: &str) -> bool {
        let dispatch = self.posts.get(&post).and_then(|p| self.dispatch_of(p));
        dispatch.is_some_and(|dispatch| dispatch.agent_name == name)
    }

    /// Does an agent talk at this post?
    fn is_answered(&self, post: PostId) -> bool {
        let jobs = self.posts.get(&post).map(|post| &post.jobs);
        jobs.into_iter().flatten().any(|job| {
            self.jobs
                .get(job)
                .is_some_and(|e| matches!(e.stage, Stage::Running { .. }))
        })
    }

    /// Make an agent that is in the room this post's; attempts that are under way are ended. Its worker is not known before
    /// it says that it is back.
    fn adopt(&mut self, post: PostId, identity: &Arc<str>) {
        let named = identity.strip_prefix("agent-").filter(|job| {
            job.starts_with(ids::JOB) && !self.jobs.contains_key(*job) && !self.has_ended(job)
        });
        let job: Arc<str> = match named {
            Some(job) => Arc::from(job),
            None => Arc::from(self.id(ids::JOB)),
        };
        tracing::info!(%job, %identity, "an agent came back of a job that this server has not given; it keeps the job");
        let now = self.unix_nanos();
        let entry = Entry {
            post,
            stage: Stage::Waiting { retry: None },
            state: JobState {
                status: JobStatus::JsRunning as i32,
                started_at: now,
                updated_at: now,
                participant_identity: identity.to_string(),
                ..JobState::default()
            },
            owner: String::new(),
            namespace: String::new(),
            tried: BTreeSet::new(),
            came: true,
        };
        self.jobs.insert(Arc::clone(&job), entry);
        let stage = Stage::Running {
            worker: Arc::from(""),
            identity: Arc::clone(identity),
            since: self.now,
            until: None,
        };
        self.set_stage(&job, stage);
        let rivals = self.posts.get_mut(&post).map(|post| {
            let rivals = post.jobs.clone();
            post.jobs.insert(job);
            rivals
        });
        for rival in rivals.unwrap_or_default() {
            self.withdraw(&rival, "another agent was there first");
        }
        self.attend(post);
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
            until: given_up,
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
                let patience = given_up.unwrap_or(now + AGENT_RETURN);
                let until = if connected { patience } else { now };
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

impl Machine {
    /// Nothing is heard of an agent any more, neither by its signal connection nor by its media; or something is, again.
    pub(super) fn agent_reachable(
        &mut self,
        room: &Arc<str>,
        identity: &Arc<str>,
        reachable: bool,
    ) {
        let Some(job) = self.job_of_agent(room, identity) else {
            return;
        };
        let now = self.now;
        let Some(entry) = self.jobs.get(&job) else {
            return;
        };
        let post = entry.post;
        let mut stage = entry.stage.clone();
        let Stage::Running { until, .. } = &mut stage else {
            return;
        };
        if until.is_none() == reachable {
            return;
        }
        tracing::warn!(%job, %identity, reachable, "whether the agent answers has changed");
        *until = (!reachable).then_some(now + SILENT_AGENT);
        self.set_stage(&job, stage);
        self.attend(post);
    }
}

/// Was this the agent of that job?
pub(super) fn is_agent_of(job: &Job, identity: &str) -> bool {
    job.state
        .as_ref()
        .is_some_and(|state| state.participant_identity == identity)
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

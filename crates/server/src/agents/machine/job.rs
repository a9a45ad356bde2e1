//! Posts, jobs and their stages; rooms and workers as the machine knows them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use antiphon_protocol::proto::{
    self, AgentDispatch, Job, JobState, JobStatus, JobType, ParticipantInfo, RegisterWorkerRequest,
};

use super::{Alarm, Machine, Time};

/// Numbers the posts.
pub(super) type PostId = u64;

/// Ended jobs of one room that `ListDispatch` still shows, without the participant they were for.
const MAX_ENDED: usize = 20;

/// A worker that is connected.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) key: String,
    pub(super) request: RegisterWorkerRequest,
    pub(super) available: bool,
    pub(super) load: f32,
    /// Jobs given since its last report.
    pub(super) given: u32,
    /// Jobs that it was offered or has.
    pub(super) jobs: BTreeSet<Arc<str>>,
}

/// Somebody who is no agent.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) info: Box<ParticipantInfo>,
    pub(super) publishes: bool,
    pub(super) joined: Time,
}

/// An open room.
#[derive(Debug)]
pub(super) struct OpenRoom {
    pub(super) info: proto::Room,
    pub(super) dispatches: Vec<AgentDispatch>,
    pub(super) callers: BTreeMap<Arc<str>, Caller>,
    /// The agents that are in it, by identity, each with the name by which a dispatch has sent it; `None`: none has.
    pub(super) agents: BTreeMap<Arc<str>, Option<String>>,
    /// When the last caller to leave has left.
    pub(super) departure: Option<Time>,
    pub(super) posts: BTreeSet<PostId>,
    pub(super) ended: VecDeque<(PostId, Job)>,
}

/// One place that a dispatch wants filled.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) room: Arc<str>,
    pub(super) dispatch: String,
    pub(super) kind: JobType,
    /// For whom; `None`: for the room.
    pub(super) participant: Option<Arc<str>>,
    /// Attempts that have not ended; several only while one is late.
    pub(super) jobs: BTreeSet<Arc<str>>,
    /// In a row.
    pub(super) failures: u32,
    /// A caller waits here.
    pub(super) vacant: Option<super::tell::Vacant>,
}

impl Post {
    /// Does the other one fill the same place, with an agent of another namespace?
    pub(super) fn is_for_the_same_as(&self, other: &Self) -> bool {
        (&self.dispatch, self.kind, &self.participant)
            == (&other.dispatch, other.kind, &other.participant)
    }
}

/// Where a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nobody to take it. `Some`: not before then.
    Waiting { retry: Option<Time> },
    /// A worker was asked.
    Offered { worker: Arc<str>, until: Time },
    /// A worker has it; its agent is not in the room, or not any more.
    Expected {
        worker: Arc<str>,
        identity: Arc<str>,
        until: Time,
        /// Another attempt was begun meanwhile. Whoever comes first stays.
        overdue: bool,
    },
    /// Its agent is in the room.
    Running {
        worker: Arc<str>,
        identity: Arc<str>,
        since: Time,
        /// Nothing is heard of it; it is given up then.
        until: Option<Time>,
    },
    /// Its agent has left by itself; the worker has not yet said how the job ended.
    Leaving {
        worker: Arc<str>,
        identity: Arc<str>,
        until: Time,
        ran: std::time::Duration,
    },
}

impl Stage {
    /// Is its agent in the room, and heard of?
    pub(super) fn is_alive(&self) -> bool {
        matches!(self, Self::Running { until: None, .. })
    }

    /// Is its agent in the room, and nothing heard of it?
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Running { until: Some(_), .. })
    }

    pub(super) fn worker(&self) -> Option<&Arc<str>> {
        match self {
            Self::Offered { worker, .. }
            | Self::Expected { worker, .. }
            | Self::Running { worker, .. }
            | Self::Leaving { worker, .. } => Some(worker),
            Self::Waiting { .. } => None,
        }
    }

    /// The agent that is, was or will be in the room.
    pub(super) fn identity(&self) -> Option<&Arc<str>> {
        match self {
            Self::Expected { identity, .. }
            | Self::Running { identity, .. }
            | Self::Leaving { identity, .. } => Some(identity),
            Self::Waiting { .. } | Self::Offered { .. } => None,
        }
    }

    pub(super) fn until(&self) -> Option<Time> {
        match self {
            Self::Waiting { retry: until } | Self::Running { until, .. } => *until,
            Self::Offered { until, .. }
            | Self::Expected { until, .. }
            | Self::Leaving { until, .. } => Some(*until),
        }
    }
}

/// A job that has not ended.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) post: PostId,
    pub(super) stage: Stage,
    pub(super) state: JobState,
    /// The API key of the worker that had it last.
    pub(super) owner: String,
    /// The namespace of the worker that was asked last.
    pub(super) namespace: String,
    /// Workers that were asked in this round.
    pub(super) tried: BTreeSet<Arc<str>>,
    /// Its agent was in the room.
    pub(super) came: bool,
}

impl Machine {
    /// Move a job to another stage; the worker's list and the alarm follow.
    pub(super) fn set_stage(&mut self, id: &Arc<str>, stage: Stage) {
        let Some(entry) = self.jobs.get_mut(id) else {
            return;
        };
        if let Some(until) = stage.until() {
            self.alarms.insert((until, Alarm::Job(Arc::clone(id))));
        }
        let before = std::mem::replace(&mut entry.stage, stage);
        let after = entry.stage.worker();
        if before.worker() != after {
            if let Some(worker) = before.worker().and_then(|w| self.workers.get_mut(w)) {
                worker.jobs.remove(id);
            }
            if let Some(worker) = after.and_then(|w| self.workers.get_mut(w)) {
                worker.jobs.insert(Arc::clone(id));
            }
        }
    }

    /// Take a job out of every list; it is remembered as ended.
    pub(super) fn end(&mut self, id: &Arc<str>, status: JobStatus, error: &str) -> Option<Entry> {
        let now = self.unix_nanos();
        let mut entry = self.jobs.remove(id)?;
        if let Some(worker) = entry.stage.worker().and_then(|w| self.workers.get_mut(w)) {
            worker.jobs.remove(id);
        }
        entry.state.status = status as i32;
        error.clone_into(&mut entry.state.error);
        (entry.state.updated_at, entry.state.ended_at) = (now, now);
        tracing::info!(job = %id, ?status, error, "the job has ended");
        let ended = self.job_of(id, &entry);
        if let Some(post) = self.posts.get_mut(&entry.post) {
            post.jobs.remove(id);
            if let Some(room) = self.rooms.get_mut(&post.room) {
                let slim = Job {
                    room: None,
                    participant: None,
                    ..ended.unwrap_or_default()
                };
                room.ended.push_back((entry.post, slim));
                if room.ended.len() > MAX_ENDED {
                    room.ended.pop_front();
                }
            }
        }
        Some(entry)
    }

    /// The job as LiveKit's protocol has it.
    #[allow(deprecated, reason = "workers still read the namespace")]
    pub(super) fn job_of(&self, id: &str, entry: &Entry) -> Option<Job> {
        let post = self.posts.get(&entry.post)?;
        let room = self.rooms.get(&post.room)?;
        let dispatch = room.dispatches.iter().find(|d| d.id == post.dispatch)?;
        let caller = post.participant.as_ref().and_then(|p| room.callers.get(p));
        Some(Job {
            id: id.to_owned(),
            dispatch_id: dispatch.id.clone(),
            r#type: post.kind as i32,
            room: Some(room.info.clone()),
            participant: caller.map(|caller| (*caller.info).clone()),
            metadata: dispatch.metadata.clone(),
            agent_name: dispatch.agent_name.clone(),
            namespace: entry.namespace.clone(),
            state: Some(entry.state.clone()),
            deployment: dispatch.deployment.clone(),
            attributes: dispatch.attributes.clone(),
            ..Job::default()
        })
    }

    /// The dispatch that a post is for.
    pub(super) fn dispatch_of(&self, post: &Post) -> Option<&AgentDispatch> {
        let room = self.rooms.get(&post.room)?;
        room.dispatches.iter().find(|d| d.id == post.dispatch)
    }

    /// Is somebody there whom this post's agent would answer?
    pub(super) fn has_caller(&self, post: &Post) -> bool {
        self.rooms
            .get(&post.room)
            .is_some_and(|room| match &post.participant {
                Some(identity) => room.callers.contains_key(identity),
                None => !room.callers.is_empty(),
            })
    }
}

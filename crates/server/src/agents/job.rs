//! Workers and jobs as the dispatcher knows them, and which worker is asked.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use antiphon_protocol::VideoGrants;
use antiphon_protocol::proto::{
    self, AgentDispatch, Job, JobState, JobStatus, ParticipantPermission, RegisterWorkerRequest,
    ServerMessage,
};
use rand::Rng;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::room::RoomHandle;

/// Added to a worker's load for every job given since its last report, so that a burst of calls is spread.
const LOAD_PER_JOB: f32 = 0.05;

pub(super) struct Worker {
    pub(super) key: String,
    pub(super) request: RegisterWorkerRequest,
    pub(super) outgoing: mpsc::Sender<ServerMessage>,
    pub(super) available: bool,
    pub(super) load: f32,
    pub(super) given: u32,
}

pub(super) struct OpenRoom {
    pub(super) info: proto::Room,
    pub(super) handle: RoomHandle,
    pub(super) dispatches: Vec<AgentDispatch>,
    pub(super) callers: HashSet<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nobody to take it. `Some`: everybody refused, ask again then.
    Waiting {
        retry: Option<Instant>,
    },
    Offered {
        worker: Arc<str>,
        until: Instant,
    },
    Assigned {
        worker: Arc<str>,
        identity: String,
        until: Instant,
    },
    Running {
        worker: Arc<str>,
        identity: String,
    },
    Ended,
}

pub(super) struct Entry {
    pub(super) job: Job,
    pub(super) room: Arc<str>,
    pub(super) stage: Stage,
    pub(super) tried: HashSet<Arc<str>>,
    pub(super) starts: u32,
}

impl Entry {
    pub(super) fn worker(&self) -> Option<&Arc<str>> {
        match &self.stage {
            Stage::Offered { worker, .. }
            | Stage::Assigned { worker, .. }
            | Stage::Running { worker, .. } => Some(worker),
            Stage::Waiting { .. } | Stage::Ended => None,
        }
    }

    pub(super) fn set_status(&mut self, status: JobStatus, error: &str) {
        let now = unix_nanos();
        let state = self.job.state.get_or_insert_with(JobState::default);
        state.status = status as i32;
        error.clone_into(&mut state.error);
        state.updated_at = now;
        if matches!(status, JobStatus::JsSuccess | JobStatus::JsFailed) {
            state.ended_at = now;
            self.stage = Stage::Ended;
        }
    }
}

/// A random worker, the idle ones more often.
pub(super) fn choose<'a>(workers: &[(&'a Arc<str>, &Worker)]) -> Option<&'a Arc<str>> {
    #[expect(clippy::cast_precision_loss, reason = "a handful of jobs")]
    let weight = |w: &Worker| (1.0 - w.load - LOAD_PER_JOB * w.given as f32).max(0.0);
    let total: f32 = workers.iter().map(|(_, w)| weight(w)).sum();
    let mut rng = rand::rng();
    if total <= 0.0 {
        let at = rng.random_range(0..workers.len().max(1));
        return workers.get(at).map(|(id, _)| *id);
    }
    let mut at = rng.random_range(0.0..total);
    for (id, worker) in workers {
        at -= weight(worker);
        if at < 0.0 {
            return Some(*id);
        }
    }
    workers.last().map(|(id, _)| *id)
}

pub(super) fn agent_grants(room: &str, allowed: Option<&ParticipantPermission>) -> VideoGrants {
    let mut grants = VideoGrants {
        agent: true,
        can_update_own_metadata: Some(true),
        ..VideoGrants::join(room)
    };
    grants.can_publish = Some(true);
    grants.can_subscribe = Some(true);
    grants.can_publish_data = Some(true);
    if let Some(allowed) = allowed {
        grants.set_permission(allowed);
        grants.agent = true;
    }
    grants
}

pub(super) fn unix_nanos() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

//! Which worker is asked.

use std::collections::BTreeSet;
use std::sync::Arc;

use antiphon_protocol::ids;
use antiphon_protocol::proto::{
    AgentDispatch, AvailabilityRequest, JobState, JobStatus, JobType, server_message,
};
use antiphon_telemetry::names::SERVER_JOB_OFFERS_TOTAL;
use rand::Rng;

use super::job::{Entry, Post, PostId, Stage, Worker};
use super::{ANSWER_TIMEOUT, Machine, RETRY_AFTER, Time};
use crate::limits::MAX_WORKER_JOBS;

/// Added to a worker's load for every job given since its last report, so that a burst of calls is spread.
const LOAD_PER_JOB: f32 = 0.05;
/// An agent of the same post is still in the room: it is looked again so much later.
const STILL_THERE: Time = Time::from_secs(1);

impl Worker {
    /// Is it of the kind that the dispatch asks for?
    pub(super) fn suits(&self, dispatch: &AgentDispatch, kind: JobType) -> bool {
        self.request.r#type == kind as i32
            && self.request.agent_name == dispatch.agent_name
            && self.request.deployment == dispatch.deployment
    }

    /// Workers of one namespace answer a dispatch together, those of another beside them; without a word from it, "".
    pub(super) fn namespace(&self) -> &str {
        self.request.namespace.as_deref().unwrap_or_default()
    }

    /// May it be offered another job?
    pub(super) fn has_room(&self) -> bool {
        self.available && self.jobs.len() < MAX_WORKER_JOBS
    }

    #[expect(clippy::cast_precision_loss, reason = "a handful of jobs")]
    fn weight(&self) -> f32 {
        (1.0 - self.load - LOAD_PER_JOB * self.given as f32).max(0.0)
    }
}

impl Machine {
    /// Those who may be asked to fill this post: of the kind that its dispatch asks for, in a namespace that answers at no
    /// other post of the same dispatch.
    pub(super) fn workers_for(&self, post: &Post) -> Vec<(&Arc<str>, &Worker)> {
        let Some(dispatch) = self.dispatch_of(post) else {
            return Vec::new();
        };
        let taken = self.namespaces_at(self.beside(post));
        let suitable = self.workers.iter().filter(|(_, worker)| {
            worker.suits(dispatch, post.kind) && !taken.contains(worker.namespace())
        });
        suitable.collect()
    }

    /// The namespaces whose workers have a job of these posts.
    pub(super) fn namespaces_at<'a>(
        &'a self,
        posts: impl Iterator<Item = &'a Post>,
    ) -> BTreeSet<&'a str> {
        let jobs = posts.flat_map(|post| &post.jobs);
        let entries = jobs.filter_map(|job| self.jobs.get(job));
        entries
            .filter(|entry| entry.stage.worker().is_some())
            .map(|entry| entry.namespace.as_str())
            .collect()
    }

    /// The posts of the same dispatch for the same participant (or room) that another namespace fills.
    pub(super) fn beside<'a>(&'a self, post: &'a Post) -> impl Iterator<Item = &'a Post> {
        let open = self.rooms.get(&post.room);
        let posts = open.into_iter().flat_map(|open| &open.posts);
        posts
            .filter_map(|id| self.posts.get(id))
            .filter(move |other| !std::ptr::eq(*other, post) && other.is_for_the_same_as(post))
    }

    /// A new attempt at a post. `not_before`: after a pause. `without`: this worker only if there is no other.
    pub(super) fn begin(
        &mut self,
        post: PostId,
        not_before: Option<Time>,
        without: Option<&Arc<str>>,
    ) {
        let id: Arc<str> = Arc::from(self.id(ids::JOB));
        let entry = Entry {
            post,
            stage: Stage::Waiting { retry: None },
            state: JobState::default(),
            owner: String::new(),
            namespace: String::new(),
            tried: without.into_iter().cloned().collect(),
            came: false,
        };
        self.jobs.insert(Arc::clone(&id), entry);
        if let Some(post) = self.posts.get_mut(&post) {
            post.jobs.insert(Arc::clone(&id));
        }
        match not_before {
            Some(retry) => self.set_stage(&id, Stage::Waiting { retry: Some(retry) }),
            None => self.place(&id),
        }
        self.attend(post);
    }

    /// Offer a job to a worker; it waits if there is none.
    pub(super) fn place(&mut self, id: &Arc<str>) {
        let Some(entry) = self.jobs.get(id) else {
            return;
        };
        let Some(post) = self.posts.get(&entry.post) else {
            return;
        };
        if self.agent_is_still_there(entry.post) {
            let retry = Some(self.now + STILL_THERE);
            self.set_stage(id, Stage::Waiting { retry });
            return;
        }
        let Some(dispatch) = self.dispatch_of(post) else {
            return;
        };
        let suitable = self.workers_for(post);
        let free = suitable
            .iter()
            .filter(|(id, w)| w.has_room() && !entry.tried.contains(*id));
        let free: Vec<(Arc<str>, f32)> = free.map(|(id, w)| (Arc::clone(id), w.weight())).collect();
        let mut workers_of_name = self.workers.values();
        let is_known = workers_of_name.any(|w| w.suits(dispatch, post.kind));
        let (workers, agent) = (suitable.len(), dispatch.agent_name.clone());
        let is_news = !matches!(entry.stage, Stage::Waiting { .. });
        let Some(worker) = self.choose(&free) else {
            if is_news || workers == 0 {
                tracing::info!(job = %id, agent, workers, "the job waits for a worker");
            }
            // With nobody of that name there, the next one to register is asked.
            let retry = is_known.then_some(self.now + RETRY_AFTER);
            self.set_stage(id, Stage::Waiting { retry });
            return;
        };
        self.offer(id, &worker);
    }

    fn offer(&mut self, id: &Arc<str>, worker: &Arc<str>) {
        let (now, until) = (self.unix_nanos(), self.now + ANSWER_TIMEOUT);
        let (Some(entry), Some(asked)) = (self.jobs.get_mut(id), self.workers.get(worker)) else {
            return;
        };
        asked.namespace().clone_into(&mut entry.namespace);
        entry.tried.insert(Arc::clone(worker));
        entry.state.status = JobStatus::JsPending as i32;
        entry.state.updated_at = now;
        self.set_stage(
            id,
            Stage::Offered {
                worker: Arc::clone(worker),
                until,
            },
        );
        let job = self.jobs.get(id).and_then(|entry| self.job_of(id, entry));
        let mut job = job.unwrap_or_default();
        if let Some(state) = &mut job.state {
            state.status = JobStatus::JsRunning as i32;
            state.started_at = now;
            state.worker_id = worker.to_string();
        }
        tracing::info!(job = %id, room = job.room.as_ref().map(|r| r.name.as_str()), %worker, "job offered");
        let offer = AvailabilityRequest {
            job: Some(job),
            resuming: false,
        };
        self.tell(worker, server_message::Message::Availability(offer));
    }

    /// A random worker, the idle ones more often.
    fn choose(&mut self, suitable: &[(Arc<str>, f32)]) -> Option<Arc<str>> {
        let total: f32 = suitable.iter().map(|(_, weight)| weight).sum();
        if total <= 0.0 {
            let at = self.rng.random_range(0..suitable.len().max(1));
            return suitable.get(at).map(|(id, _)| Arc::clone(id));
        }
        let mut at = self.rng.random_range(0.0..total);
        for (id, weight) in suitable {
            at -= weight;
            if at < 0.0 {
                return Some(Arc::clone(id));
            }
        }
        suitable.last().map(|(id, _)| Arc::clone(id))
    }

    /// An agent of an ended attempt is being sent out: nobody new is sent before it has left.
    fn agent_is_still_there(&self, post: PostId) -> bool {
        let Some(room) = self.posts.get(&post).map(|p| &p.room) else {
            return false;
        };
        let ended = self.rooms.get(room).map(|open| &open.ended);
        ended.into_iter().flatten().any(|(of, job)| {
            let identity = job.state.as_ref().map(|s| s.participant_identity.as_str());
            let leaves = (Arc::clone(room), Arc::from(identity.unwrap_or_default()));
            *of == post && self.removals.contains_key(&leaves)
        })
    }

    /// Somebody may have time now.
    pub(super) fn place_waiting(&mut self) {
        let waiting: Vec<Arc<str>> = self
            .jobs
            .iter()
            .filter(|(_, e)| matches!(e.stage, Stage::Waiting { .. }))
            .filter(|(_, e)| !self.is_paused(e))
            .map(|(id, _)| Arc::clone(id))
            .collect();
        for id in waiting {
            self.place(&id);
        }
    }

    /// After a failure nobody is asked before the pause is over.
    fn is_paused(&self, entry: &Entry) -> bool {
        let failed = self.posts.get(&entry.post).is_some_and(|p| p.failures > 0);
        failed && entry.tried.is_empty() && entry.stage.until().is_some()
    }

    /// A worker has answered an offer.
    pub(super) fn count_offer(outcome: &'static str) {
        metrics::counter!(SERVER_JOB_OFFERS_TOTAL, "outcome" => outcome).increment(1);
    }

    /// The time of a job has come.
    pub(super) fn job_due(&mut self, id: &Arc<str>) {
        let Some(entry) = self.jobs.get_mut(id) else {
            return;
        };
        if entry.stage.until().is_none_or(|until| until > self.now) {
            return;
        }
        match entry.stage.clone() {
            Stage::Waiting { .. } => {
                entry.tried = BTreeSet::new();
                self.place(id);
            }
            Stage::Offered { worker, .. } => {
                tracing::warn!(job = %id, %worker, "the worker did not answer an offer in time; another is asked");
                Self::count_offer("timeout");
                self.place(id);
            }
            Stage::Expected { .. } => self.overdue(id),
            Stage::Leaving { worker, .. } if self.workers.contains_key(&worker) => {
                self.terminate(&worker, id);
                self.succeeded(id);
            }
            // Whether its work was done only its worker could say. A caller who is still there waits for an agent.
            Stage::Leaving { .. } => {
                self.failed(id, "the agent has left, and its worker is gone");
            }
            Stage::Running { .. } => self.given_up(id),
        }
    }
}

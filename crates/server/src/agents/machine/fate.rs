//! What becomes of a job that has ended, failed, or is late.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use antiphon_protocol::proto::JobStatus;
use antiphon_telemetry::names::SERVER_JOBS_FAILED_TOTAL;

use super::job::{PostId, Stage};
use super::{BACKOFF, GOODBYE, LONGEST_BACKOFF, MAX_FAILURES, Machine, OVERDUE, SETTLED, Time};

/// An agent that leaves so soon after a caller has, has left because of it: whoever is there meanwhile is unanswered.
const BECAUSE_OF_DEPARTURE: Duration = Duration::from_secs(15);
/// An agent waits at most this long for a caller to come back before it leaves.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The pause before the next attempt.
fn backoff(failures: u32) -> Duration {
    let doubled = BACKOFF.saturating_mul(1 << failures.saturating_sub(1).min(10));
    doubled.min(LONGEST_BACKOFF)
}

impl Machine {
    /// A job has done its work.
    pub(super) fn succeeded(&mut self, id: &Arc<str>) {
        let Some(entry) = self.end(id, JobStatus::JsSuccess, "") else {
            return;
        };
        self.send_out(entry.post, &entry.stage, GOODBYE);
        if let Some(post) = self.posts.get_mut(&entry.post) {
            post.failures = 0;
        }
        if self.take_unanswered(entry.post) {
            tracing::info!(job = %id, "the agent left with one caller while another was there; the other gets one too");
            self.begin(entry.post, None, None);
        }
        self.settle(entry.post);
    }

    /// Is a caller there who came while the agent was leaving? Once: the next time the answer is no.
    fn take_unanswered(&mut self, post: PostId) -> bool {
        let now = self.now;
        let Some(post) = self.posts.get(&post).filter(|p| p.participant.is_none()) else {
            return false;
        };
        if !self.has_caller(post) || !post.jobs.is_empty() {
            return false;
        }
        let Some(room) = self.rooms.get_mut(&post.room) else {
            return false;
        };
        let Some(departure) = room.departure else {
            return false;
        };
        let ago = now.saturating_sub(departure);
        let unanswered = ago <= BECAUSE_OF_DEPARTURE
            || ago <= LONGEST_WAIT && room.callers.values().any(|c| c.joined >= departure);
        if unanswered {
            // Once: an agent that hangs up on this caller too means it.
            room.departure = None;
        }
        unanswered
    }

    /// A job has failed; while a caller waits it is tried again.
    pub(super) fn failed(&mut self, id: &Arc<str>, error: &str) {
        let Some(entry) = self.jobs.get(id) else {
            return;
        };
        let (post, came) = (entry.post, entry.came);
        let ran = match &entry.stage {
            Stage::Running { since, .. } => self.now.saturating_sub(*since),
            Stage::Leaving { ran, .. } => *ran,
            _ => Duration::ZERO,
        };
        metrics::counter!(SERVER_JOBS_FAILED_TOTAL, "when" => if came { "running" } else { "starting" })
            .increment(1);
        let again = self.count_failure(post, ran);
        tracing::warn!(job = %id, error, came, again = again.is_some(), "the job has failed");
        match again {
            // Its agent was never seen, and never will be: the same job can be offered anew.
            Some(retry) if !came => self.give_back(id, retry),
            _ => {
                let ended = self.end(id, JobStatus::JsFailed, error);
                if let Some(entry) = ended {
                    self.send_out(post, &entry.stage, Duration::ZERO);
                }
                if let Some(retry) = again
                    && self.needs_another(post)
                {
                    self.begin(post, Some(retry), None);
                }
                self.settle(post);
            }
        }
    }

    /// When it may be tried again; `None`: not any more.
    fn count_failure(&mut self, post: PostId, ran: Duration) -> Option<Time> {
        let now = self.now;
        let post = self.posts.get_mut(&post)?;
        post.failures = if ran >= SETTLED {
            1
        } else {
            (post.failures + 1).min(MAX_FAILURES)
        };
        if post.failures >= MAX_FAILURES {
            tracing::error!(room = %post.room, failures = post.failures, "the job failed too often; it is given up until another caller comes");
            return None;
        }
        Some(now + backoff(post.failures))
    }

    /// A caller waits, and no other attempt is under way.
    fn needs_another(&self, post: PostId) -> bool {
        self.posts
            .get(&post)
            .is_some_and(|post| self.has_caller(post) && !self.has_fresh(post))
    }

    /// Is there an attempt that has not been given up on?
    pub(super) fn has_fresh(&self, post: &super::job::Post) -> bool {
        post.jobs
            .iter()
            .filter_map(|id| self.jobs.get(id))
            .any(|e| !matches!(e.stage, Stage::Expected { overdue: true, .. }))
    }

    fn give_back(&mut self, id: &Arc<str>, retry: Time) {
        if let Some(entry) = self.jobs.get_mut(id) {
            entry.tried = BTreeSet::new();
            let post = entry.post;
            self.set_stage(id, Stage::Waiting { retry: Some(retry) });
            self.attend(post);
        }
    }

    /// An agent did not come, or did not come back, in time.
    pub(super) fn overdue(&mut self, id: &Arc<str>) {
        let Some(entry) = self.jobs.get(id) else {
            return;
        };
        let Stage::Expected {
            worker,
            identity,
            overdue,
            ..
        } = entry.stage.clone()
        else {
            return;
        };
        let (post, came) = (entry.post, entry.came);
        let connected = self.workers.contains_key(&worker);
        if overdue {
            self.terminate(&worker, id);
            self.end(id, JobStatus::JsFailed, "the agent never came");
            return self.settle(post);
        }
        tracing::warn!(job = %id, %worker, connected, came, "the agent is not in the room in time; another is looked for");
        metrics::counter!(SERVER_JOBS_FAILED_TOTAL, "when" => "absent").increment(1);
        let again = self.count_failure(post, Duration::ZERO);
        if !came && !connected {
            return match again {
                Some(_) => self.give_back(id, self.now),
                None => {
                    self.end(id, JobStatus::JsFailed, "its workers did not come back");
                    self.settle(post);
                }
            };
        }
        let stage = Stage::Expected {
            worker: Arc::clone(&worker),
            identity,
            until: self.now + OVERDUE,
            overdue: true,
        };
        self.set_stage(id, stage);
        let wanted = self
            .posts
            .get(&post)
            .is_some_and(|p| !came || self.has_caller(p));
        if again.is_some() && wanted {
            self.begin(post, None, connected.then_some(&worker));
        }
        self.attend(post);
    }

    /// Nothing was heard of an agent for too long: it is put out, and another is sent.
    pub(super) fn given_up(&mut self, id: &Arc<str>) {
        let Some(entry) = self.jobs.get(id) else {
            return;
        };
        let Stage::Running { worker, since, .. } = entry.stage.clone() else {
            return;
        };
        let (post, connected) = (entry.post, self.workers.contains_key(&worker));
        tracing::warn!(job = %id, %worker, "nothing is heard of the agent; another is looked for");
        metrics::counter!(SERVER_JOBS_FAILED_TOTAL, "when" => "silent").increment(1);
        let again = self.count_failure(post, self.now.saturating_sub(since));
        self.terminate(&worker, id);
        if let Some(entry) = self.end(id, JobStatus::JsFailed, "the agent does not answer") {
            self.send_out(post, &entry.stage, Duration::ZERO);
        }
        if again.is_some() && self.needs_another(post) {
            self.begin(post, None, connected.then_some(&worker));
        }
        self.settle(post);
    }

    /// An agent whose job has ended does not stay in the room.
    fn send_out(&mut self, post: PostId, stage: &Stage, after: Duration) {
        if let (Stage::Running { identity, .. }, Some(post)) = (stage, self.posts.get(&post)) {
            let room = Arc::clone(&post.room);
            self.remove_by(&room, identity, self.now + after);
        }
    }

    /// A post of somebody who has left ends with its last job.
    fn settle(&mut self, id: PostId) {
        if let Some(post) = self.posts.get(&id)
            && post.participant.is_some()
            && post.jobs.is_empty()
            && !self.has_caller(post)
        {
            self.close_post(id, None);
        }
        self.attend(id);
    }
}

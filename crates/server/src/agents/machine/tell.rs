//! Callers who wait are told that there is no agent, and why.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::job::{Post, PostId, Stage};
use super::{Alarm, Decision, MAX_FAILURES, Machine, Time};

/// A caller waits this long before being told.
pub(super) const TELL_AFTER: Duration = Duration::from_secs(5);
/// It is told again this often, for those who came later.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// Agents of one room that are missed within this long are told of together.
const TOGETHER: Duration = Duration::from_secs(1);

/// A caller waits since then.
#[derive(Debug)]
pub(super) struct Vacant {
    since: Time,
    tell: Time,
}

/// Nobody answers yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "no_agent")]
pub(crate) struct NoAgent {
    /// Which agent was asked for; empty: any without a name. The first of several.
    pub(crate) agent_name: String,
    /// All that are waited for.
    pub(crate) agent_names: Vec<String>,
    pub(crate) reason: Reason,
    /// For people to read.
    pub(crate) message: &'static str,
    /// How long a caller has waited.
    pub(crate) waited_ms: u64,
}

/// Why nobody answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// No worker of that name is connected.
    NoWorker,
    /// Every worker says that it is full or draining.
    WorkersFull,
    /// Every worker refused.
    Refused,
    /// A worker took the job, and its agent is not there yet.
    Starting,
    /// Nothing is heard of the agent any more; unless it comes back at once, another is sent.
    Unreachable,
    /// The agent failed; another attempt follows.
    Retrying,
    /// It failed too often.
    GivenUp,
}

impl Reason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NoWorker => "no_worker",
            Self::WorkersFull => "workers_full",
            Self::Refused => "refused",
            Self::Starting => "starting",
            Self::Unreachable => "unreachable",
            Self::Retrying => "retrying",
            Self::GivenUp => "given_up",
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::NoWorker => "No agent is running right now. Please wait, or try again later.",
            Self::WorkersFull => "All agents are busy. You are next as soon as one is free.",
            Self::Refused => "No agent has taken this call yet. It is being offered again.",
            Self::Starting => "The agent is on its way.",
            Self::Unreachable => {
                "The agent does not answer. If it stays silent, another one is sent."
            }
            Self::Retrying => "The agent had a problem. Another one is on its way.",
            Self::GivenUp => "The agent has failed several times. Please call again later.",
        }
    }
}

impl Machine {
    /// Look after a post, and after those that wait in vain because it is answered: does a caller wait there?
    pub(super) fn attend(&mut self, id: PostId) {
        let Some(post) = self.posts.get(&id) else {
            return;
        };
        let open = self.rooms.get(&post.room);
        let posts = open.into_iter().flat_map(|open| &open.posts);
        let beside = posts.filter(|other| {
            let other = self.posts.get(other);
            other.is_some_and(|other| other.is_for_the_same_as(post))
        });
        for id in beside.copied().collect::<Vec<_>>() {
            self.attend_one(id);
        }
    }

    fn attend_one(&mut self, id: PostId) {
        let Some(post) = self.posts.get(&id) else {
            return;
        };
        let (waits, silent) = (self.waits(post), self.has_unreachable(post));
        let now = self.now;
        let Some(post) = self.posts.get_mut(&id) else {
            return;
        };
        match (&post.vacant, waits) {
            (None, true) => {
                // Who was just talking with somebody knows at once that something is wrong.
                let tell = now + if silent { Duration::ZERO } else { TELL_AFTER };
                post.vacant = Some(Vacant { since: now, tell });
                self.alarms.insert((tell, Alarm::Post(id)));
            }
            (Some(_), false) => post.vacant = None,
            (None, false) | (Some(_), true) => {}
        }
    }

    pub(super) fn attend_room(&mut self, room: &Arc<str>) {
        let posts = self.rooms.get(room).map(|open| open.posts.clone());
        for post in posts.unwrap_or_default() {
            self.attend(post);
        }
    }

    /// Does a caller wait for this post's agent? In a room that asked for nobody, on a server without agents, nobody does.
    fn waits(&self, post: &Post) -> bool {
        let expected = self
            .dispatch_of(post)
            .is_some_and(|d| !d.agent_name.is_empty() || self.unnamed_seen);
        let under_way = self.has_fresh(post) || post.failures >= MAX_FAILURES;
        let mut posts = self.beside(post).chain([post]);
        let answered = posts.any(|post| self.is_served(post));
        expected && under_way && !answered && self.has_caller(post)
    }

    fn is_served(&self, post: &Post) -> bool {
        let mut jobs = post.jobs.iter().filter_map(|id| self.jobs.get(id));
        jobs.any(|job| job.stage.is_alive() || matches!(job.stage, Stage::Leaving { .. }))
    }

    fn has_unreachable(&self, post: &Post) -> bool {
        let mut jobs = post.jobs.iter().filter_map(|id| self.jobs.get(id));
        jobs.any(|entry| entry.stage.is_unreachable())
    }

    /// It is time to tell.
    pub(super) fn post_due(&mut self, id: PostId) {
        let now = self.now;
        let Some(post) = self.posts.get(&id) else {
            return;
        };
        let Some(waited) = due_since(post, now) else {
            return;
        };
        let (room, reason) = (Arc::clone(&post.room), self.reason(post));
        // Who waits for several is told once.
        let posts = self.rooms.get(&room).map(|open| open.posts.clone());
        let mut agent_names = BTreeSet::new();
        for id in posts.unwrap_or_default() {
            let Some(post) = self.posts.get(&id) else {
                continue;
            };
            if due_since(post, now + TOGETHER).is_none() || self.reason(post) != reason {
                continue;
            }
            agent_names.extend(self.dispatch_of(post).map(|d| d.agent_name.clone()));
            if let Some(vacant) = self.posts.get_mut(&id).and_then(|p| p.vacant.as_mut()) {
                vacant.tell = now + TELL_AGAIN;
                self.alarms.insert((vacant.tell, Alarm::Post(id)));
            }
        }
        let agent_names: Vec<String> = agent_names.into_iter().collect();
        let news = NoAgent {
            agent_name: agent_names.first().cloned().unwrap_or_default(),
            agent_names,
            reason,
            message: reason.message(),
            waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
        };
        tracing::warn!(room = %room, agents = ?news.agent_names, reason = reason.as_str(), ?waited, "a caller waits and no agent is there");
        self.decisions.push_back(Decision::Tell { room, news });
    }

    fn reason(&self, post: &Post) -> Reason {
        let stage = |of: fn(&Stage) -> bool| {
            post.jobs
                .iter()
                .filter_map(|id| self.jobs.get(id))
                .any(|e| of(&e.stage))
        };
        if !self.has_fresh(post) {
            return Reason::GivenUp;
        }
        let suitable = self.workers_for(post);
        if self.has_unreachable(post) {
            Reason::Unreachable
        } else if stage(|s| matches!(s, Stage::Expected { overdue: false, .. })) {
            Reason::Starting
        } else if suitable.is_empty() {
            Reason::NoWorker
        } else if !suitable.iter().any(|(_, w)| w.has_room()) {
            Reason::WorkersFull
        } else if post.failures > 0 {
            Reason::Retrying
        } else {
            Reason::Refused
        }
    }
}

/// How long a caller has waited, if it is to be told by then.
fn due_since(post: &Post, by: Time) -> Option<Duration> {
    let vacant = post.vacant.as_ref().filter(|v| v.tell <= by)?;
    Some(by.saturating_sub(vacant.since))
}

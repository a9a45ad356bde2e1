//! Which jobs are accepted: counted, so that two offers in the same moment cannot both take the last place.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::seat::Seat;

/// An accepted job must be assigned within this time (LiveKit's), then its place is free again.
pub(crate) const ASSIGNMENT_TIMEOUT: Duration = Duration::from_millis(7500);

/// LiveKit server's `agents.target_load`.
const SERVER_TARGET_LOAD: f32 = 0.7;

/// Places for jobs.
#[derive(Debug)]
pub(crate) struct Slots {
    max_jobs: usize,
    threshold: f32,
    /// Missed audio deadlines, 0 to 1.
    pub(crate) strain: f32,
    pub(crate) draining: bool,
    reserved: HashMap<String, Instant>,
    pub(crate) running: HashMap<String, Running>,
}

/// A job that runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running {
    pub(crate) shutdown: CancellationToken,
    pub(crate) seat: Seat,
}

/// Why a worker takes no calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Full {
    /// It is told to end.
    Draining,
    /// It has as many sessions as it may have.
    Sessions {
        /// How many.
        sessions: usize,
        /// `[limits] max_sessions`.
        max: usize,
    },
    /// The share of its places that is taken reaches `--load-threshold`.
    Load {
        /// Sessions by `max_sessions`.
        load: f32,
        /// `--load-threshold`.
        threshold: f32,
    },
    /// Its agents' sound leaves too late.
    Deadlines {
        /// From 0 to 1, which is 5 % of the frames of the last ten seconds.
        strain: f32,
        /// `--load-threshold`.
        threshold: f32,
    },
}

impl Full {
    /// The label of metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Sessions { .. } => "sessions",
            Self::Load { .. } => "load",
            Self::Deadlines { .. } => "deadlines",
        }
    }

    /// All labels.
    pub const LABELS: [&'static str; 4] = ["draining", "sessions", "load", "deadlines"];
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Draining => write!(f, "it is draining"),
            Self::Sessions { sessions, max } => write!(
                f,
                "it has {sessions} of {max} sessions ([limits] max_sessions)"
            ),
            Self::Load { load, threshold } => write!(
                f,
                "{load:.2} of its places are taken, and --load-threshold is {threshold}"
            ),
            Self::Deadlines { strain, threshold } => write!(
                f,
                "its agents' sound leaves late (strain {strain:.2}, --load-threshold {threshold}); \
                 give this machine fewer sessions ([limits] max_sessions) or more processors"
            ),
        }
    }
}

impl Slots {
    pub(crate) fn new(max_jobs: usize, threshold: f32) -> Self {
        Self {
            max_jobs,
            threshold,
            strain: 0.0,
            draining: false,
            reserved: HashMap::new(),
            running: HashMap::new(),
        }
    }

    fn taken(&self) -> usize {
        let running = self.running.values().filter(|job| job.seat.is_taken());
        running.count() + self.reserved.len()
    }

    /// The share of its places that is taken.
    #[expect(clippy::cast_precision_loss, reason = "at most some thousand")]
    fn occupied(&self) -> f32 {
        self.taken() as f32 / self.max_jobs.max(1) as f32
    }

    /// What is taken of what it can carry.
    pub(crate) fn load(&self) -> f32 {
        self.occupied().max(self.strain)
    }

    /// The load as the server is told. LiveKit's server sends nothing to a worker that reports its `target_load` of 0.7 or
    /// more, whatever the worker's own threshold is: so our threshold is reported as 0.7, and everything in proportion.
    pub(crate) fn reported_load(&self) -> f32 {
        if self.threshold.is_infinite() {
            return 0.0;
        }
        let most = self.threshold.clamp(f32::EPSILON, 1.0);
        self.load() * SERVER_TARGET_LOAD / most
    }

    /// Why it takes no calls now; `None`: it takes them.
    pub(crate) fn full(&self) -> Option<Full> {
        let (sessions, max, threshold) = (self.taken(), self.max_jobs, self.threshold);
        if self.draining {
            Some(Full::Draining)
        } else if sessions >= max {
            Some(Full::Sessions { sessions, max })
        } else if self.strain >= threshold {
            let strain = self.strain;
            Some(Full::Deadlines { strain, threshold })
        } else if self.occupied() >= threshold {
            let load = self.occupied();
            Some(Full::Load { load, threshold })
        } else {
            None
        }
    }

    /// Take a place for this job, if there is one. An offer that comes twice has one place.
    pub(crate) fn reserve(&mut self, job_id: &str, now: Instant) -> Result<(), Refusal> {
        self.reserved.retain(|_, until| *until > now);
        if self.running.contains_key(job_id) {
            return Err(Refusal::HasIt);
        }
        self.reserved.remove(job_id);
        if let Some(full) = self.full() {
            return Err(Refusal::Full(full));
        }
        self.reserved
            .insert(job_id.to_owned(), now + ASSIGNMENT_TIMEOUT);
        self.make_room();
        Ok(())
    }

    /// This many waiting agents give their places away that all the others could talk again: a caller who returns to one that
    /// still waits is one session more, not one too many.
    fn make_room(&mut self) {
        let (max, taken) = (self.max_jobs, self.taken());
        let waiting = self.running.values().filter(|job| job.seat.waits());
        let too_many = (taken + waiting.clone().count()).saturating_sub(max);
        for job in waiting.take(too_many) {
            job.seat.give_away();
        }
    }

    /// The job is assigned. `None`: nobody accepted it, or too long ago.
    pub(crate) fn assigned(&mut self, job_id: &str, now: Instant) -> Option<Running> {
        self.reserved.remove(job_id).filter(|until| *until > now)?;
        let job = Running::default();
        self.running.insert(job_id.to_owned(), job.clone());
        Some(job)
    }
}

/// Why an offer is refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Refusal {
    Full(Full),
    /// This worker runs that very job.
    HasIt,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(full) => full.fmt(f),
            Self::HasIt => write!(f, "it runs this job already"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn two_offers_at_once_do_not_both_get_the_last_place() {
        let mut slots = Slots::new(1, f32::INFINITY);
        let now = Instant::now();
        assert!(slots.reserve("a", now).is_ok());
        assert!(slots.reserve("b", now).is_err());
        assert!(slots.assigned("b", now).is_none());
        assert!(slots.assigned("a", now).is_some());
        assert_eq!(
            slots.full(),
            Some(Full::Sessions {
                sessions: 1,
                max: 1
            })
        );
    }

    #[test]
    fn an_offer_that_is_never_assigned_gives_its_place_back() {
        let mut slots = Slots::new(1, 1.0);
        let now = Instant::now();
        assert!(slots.reserve("a", now).is_ok());
        assert!(slots.reserve("b", now + ASSIGNMENT_TIMEOUT).is_ok());
    }

    #[test]
    fn a_worker_has_as_many_sessions_as_it_may_have_and_not_seventy_percent_of_them() {
        let mut slots = Slots::new(10, 1.0);
        let now = Instant::now();
        for job in 0..10 {
            assert!(slots.reserve(&job.to_string(), now).is_ok(), "{job}");
            // livekit-server sends nothing to a worker that reports this much.
            assert_eq!(slots.reported_load() >= SERVER_TARGET_LOAD - 1e-6, job == 9);
        }
        assert!(slots.reserve("one more", now).is_err());
    }

    #[test]
    fn an_agent_that_waits_for_its_caller_to_return_keeps_no_new_caller_out() {
        let mut slots = Slots::new(2, 1.0);
        let now = Instant::now();
        let start = |slots: &mut Slots, job: &str| {
            assert!(slots.reserve(job, now).is_ok(), "{job}");
            slots.assigned(job, now).unwrap()
        };
        let (one, two) = (start(&mut slots, "1"), start(&mut slots, "2"));
        assert!(slots.full().is_some());
        one.seat.wait();
        assert!(slots.full().is_none() && slots.reported_load() < SERVER_TARGET_LOAD);
        let three = start(&mut slots, "3");
        assert!(!one.seat.talk(), "its caller has to be answered by another");
        assert!(two.seat.talk() && slots.reserve("4", now).is_err());
        // While there is room the caller who returns is answered by the same agent.
        slots.running.remove("1");
        slots.running.remove("2");
        three.seat.wait();
        let _four = start(&mut slots, "4");
        assert!(three.seat.talk() && slots.full().is_some());
    }

    #[test]
    fn a_threshold_keeps_a_share_of_the_places_free() {
        let mut slots = Slots::new(10, 0.5);
        let now = Instant::now();
        let taken = (0..10).filter(|job| slots.reserve(&job.to_string(), now).is_ok());
        assert_eq!(taken.count(), 5);
        assert!(slots.reported_load() >= SERVER_TARGET_LOAD - 1e-6);
        let mut slots = Slots::new(10, 1000.0);
        assert!(slots.reserve("a", now).is_ok());
        assert!(slots.reported_load() < SERVER_TARGET_LOAD);
    }

    #[test]
    fn a_worker_whose_sound_leaves_late_or_that_is_draining_takes_nothing_and_says_why() {
        let mut slots = Slots::new(10, 1.0);
        slots.strain = 1.0;
        let refused = slots.reserve("a", Instant::now()).unwrap_err();
        assert!(refused.to_string().contains("leaves late"), "{refused}");
        slots.strain = 0.0;
        slots.draining = true;
        let refused = slots.reserve("a", Instant::now()).unwrap_err();
        assert!(refused.to_string().contains("draining"), "{refused}");
    }
}

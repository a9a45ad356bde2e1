//! Which jobs are accepted: counted, so that two offers in the same moment cannot both take the last place.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// An accepted job must be assigned within this time (LiveKit's), then its place is free again.
pub(crate) const ASSIGNMENT_TIMEOUT: Duration = Duration::from_millis(7500);

/// LiveKit server's `agents.target_load`.
const SERVER_TARGET_LOAD: f32 = 0.7;

/// Places for jobs.
#[derive(Debug)]
pub(crate) struct Slots {
    max_jobs: usize,
    threshold: f32,
    pub(crate) load: f32,
    pub(crate) draining: bool,
    reserved: HashMap<String, Instant>,
    pub(crate) running: HashMap<String, CancellationToken>,
}

impl Slots {
    pub(crate) fn new(max_jobs: usize, threshold: f32) -> Self {
        Self {
            max_jobs,
            threshold,
            load: 0.0,
            draining: false,
            reserved: HashMap::new(),
            running: HashMap::new(),
        }
    }

    /// The load with what the reserved jobs will probably cost.
    pub(crate) fn effective_load(&self) -> f32 {
        let one = match self.running.len() {
            _ if self.threshold.is_infinite() => 0.0,
            0 => self.threshold / 4.0,
            running => self.load / running as f32,
        };
        self.load + one * self.reserved.len() as f32
    }

    /// The load as the server is told. LiveKit's server sends nothing to a worker that reports its `target_load` of 0.7 or
    /// more, whatever the worker's own threshold is: so our threshold is reported as 0.7, and everything in proportion.
    pub(crate) fn reported_load(&self) -> f32 {
        if self.threshold.is_infinite() {
            return 0.0;
        }
        self.effective_load() * SERVER_TARGET_LOAD / self.threshold.max(f32::EPSILON)
    }

    pub(crate) fn full(&self) -> bool {
        self.draining
            || self.running.len() + self.reserved.len() >= self.max_jobs
            || self.effective_load() >= self.threshold
    }

    /// Take a place for this job, if there is one.
    pub(crate) fn reserve(&mut self, job_id: &str, now: Instant) -> bool {
        self.reserved.retain(|_, until| *until > now);
        if self.full() || self.running.contains_key(job_id) {
            return false;
        }
        self.reserved
            .insert(job_id.to_owned(), now + ASSIGNMENT_TIMEOUT);
        true
    }

    /// The job is assigned. `None`: nobody accepted it, or too long ago.
    pub(crate) fn assigned(&mut self, job_id: &str, now: Instant) -> Option<CancellationToken> {
        self.reserved.remove(job_id).filter(|until| *until > now)?;
        let shutdown = CancellationToken::new();
        self.running.insert(job_id.to_owned(), shutdown.clone());
        Some(shutdown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_offers_at_once_do_not_both_get_the_last_place() {
        let mut slots = Slots::new(1, f32::INFINITY);
        let now = Instant::now();
        assert!(slots.reserve("a", now));
        assert!(!slots.reserve("b", now));
        assert!(slots.assigned("b", now).is_none());
        assert!(slots.assigned("a", now).is_some());
        assert!(slots.full());
    }

    #[test]
    fn an_offer_that_is_never_assigned_gives_its_place_back() {
        let mut slots = Slots::new(1, 0.7);
        let now = Instant::now();
        assert!(slots.reserve("a", now));
        assert!(slots.reserve("b", now + ASSIGNMENT_TIMEOUT));
    }

    #[test]
    fn a_worker_that_may_be_busier_is_still_sent_calls_by_livekits_server() {
        let reported = |threshold, load| {
            let mut slots = Slots::new(10, threshold);
            slots.load = load;
            slots.reported_load()
        };
        assert!((reported(0.7, 0.35) - 0.35).abs() < 1e-6);
        assert!(reported(0.95, 0.9) < SERVER_TARGET_LOAD);
        assert!(reported(0.5, 0.5) >= SERVER_TARGET_LOAD);
        assert!(reported(f32::INFINITY, 1.0) < SERVER_TARGET_LOAD);
    }

    #[test]
    fn a_busy_or_draining_worker_takes_nothing() {
        let mut slots = Slots::new(10, 0.7);
        slots.load = 0.8;
        assert!(!slots.reserve("a", Instant::now()));
        slots.load = 0.0;
        slots.draining = true;
        assert!(!slots.reserve("a", Instant::now()));
    }
}

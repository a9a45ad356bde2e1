//! When a certificate is asked for. Pure: the clock is an argument.

use std::time::{Duration, SystemTime};

/// After the first failure; twice as long after each further one. Let's Encrypt allows five failures an hour for a name.
const FIRST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// The longest pause: a name that leads here at last is certified on the same day.
const LONGEST_PAUSE: Duration = Duration::from_secs(12 * 3600);
/// The clock is looked at again after this at the latest, since a machine may sleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// From when until when a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) from: SystemTime,
    pub(crate) until: SystemTime,
}

impl Validity {
    /// Two thirds of its time are over: what Let's Encrypt recommends.
    fn is_due_at(self) -> SystemTime {
        let whole = self.until.duration_since(self.from).unwrap_or_default();
        self.from + whole / 3 * 2
    }
}

/// What has failed so far.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    failures: u32,
    /// Not before this, after a failure.
    again_at: Option<SystemTime>,
}

impl Schedule {
    /// How long to sleep before looking at the clock again. Zero: ask now.
    pub(super) fn wait(&self, now: SystemTime, valid: Option<Validity>) -> Duration {
        let due = valid.map_or(now, Validity::is_due_at);
        let at = self.again_at.map_or(due, |again| again.max(due));
        let wait = at.duration_since(now).unwrap_or_default();
        wait.min(LONGEST_SLEEP)
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// The pause before the next attempt.
    pub(super) fn failed(&mut self, now: SystemTime) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16));
        let pause = doubled.min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.again_at = Some(now + pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// Sleeps until it is time to ask, as `keep` does.
    fn asks_at(schedule: &Schedule, mut now: SystemTime, valid: Option<Validity>) -> SystemTime {
        loop {
            match schedule.wait(now, valid) {
                Duration::ZERO => return now,
                wait => now += wait,
            }
        }
    }

    #[test]
    fn a_certificate_is_asked_for_at_once_and_renewed_when_two_thirds_of_its_time_are_over() {
        let start = SystemTime::UNIX_EPOCH + 1000 * DAY;
        let schedule = Schedule::default();
        assert_eq!(asks_at(&schedule, start, None), start);
        for days in [6, 45, 90] {
            let valid = Validity {
                from: start,
                until: start + days * DAY,
            };
            assert_eq!(
                asks_at(&schedule, start, Some(valid)),
                start + days * DAY / 3 * 2
            );
        }
        let expired = Validity {
            from: start - 9 * DAY,
            until: start - DAY,
        };
        assert_eq!(asks_at(&schedule, start, Some(expired)), start);
    }

    #[test]
    fn failures_are_repeated_more_and_more_rarely_and_forgotten_after_a_success() {
        let mut now = SystemTime::UNIX_EPOCH + 1000 * DAY;
        let mut schedule = Schedule::default();
        let mut attempts_in_first_hour = 0;
        let begun = now;
        for _ in 0..40 {
            attempts_in_first_hour += u32::from(now < begun + HOUR);
            let pause = schedule.failed(now);
            assert!(pause <= 12 * HOUR);
            now = asks_at(&schedule, now, None);
        }
        assert!(attempts_in_first_hour <= 3, "{attempts_in_first_hour}");
        schedule.succeeded();
        assert_eq!(schedule.failed(now), FIRST_PAUSE);
    }
}

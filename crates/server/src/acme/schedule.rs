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
        self.from + self.whole() / 3 * 2
    }

    fn whole(self) -> Duration {
        self.until.duration_since(self.from).unwrap_or_default()
    }
}

/// What came of asking so far.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    failures: u32,
    /// Not before this, whatever came of the last attempt.
    again_at: Option<SystemTime>,
}

impl Schedule {
    /// After an earlier run whose last attempt failed then: a program that is started again and again asks no more often for that.
    pub(super) fn after(failed_at: Option<SystemTime>) -> Self {
        Self {
            failures: 0,
            again_at: failed_at.map(|at| at + FIRST_PAUSE),
        }
    }

    /// How long to sleep before looking at the clock again. Zero: ask now.
    pub(super) fn wait(&self, now: SystemTime, valid: Option<Validity>) -> Duration {
        let due = valid.map_or(now, Validity::is_due_at);
        let at = self.again_at.map_or(due, |again| again.max(due));
        let wait = at.duration_since(now).unwrap_or_default();
        wait.min(LONGEST_SLEEP)
    }

    /// A certificate has come. The next is asked for after a third of its time at the soonest, whatever its dates or this machine's clock
    /// say: authorities count.
    pub(super) fn succeeded(&mut self, now: SystemTime, valid: Option<Validity>) {
        self.failures = 0;
        self.again_at = Some(now + valid.map_or(LONGEST_PAUSE, |valid| valid.whole() / 3));
    }

    /// The pause before the next attempt: longer and longer, but not most of what is left.
    pub(super) fn failed(&mut self, now: SystemTime, valid: Option<Validity>) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16));
        let left = valid.and_then(|valid| valid.until.duration_since(now).ok());
        let most = left.map_or(LONGEST_PAUSE, |left| (left / 4).max(FIRST_PAUSE));
        let pause = doubled.min(LONGEST_PAUSE).min(most);
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
            let pause = schedule.failed(now, None);
            assert!(pause <= 12 * HOUR);
            now = asks_at(&schedule, now, None);
        }
        assert!(attempts_in_first_hour <= 3, "{attempts_in_first_hour}");
        schedule.succeeded(now, None);
        assert_eq!(schedule.failed(now, None), FIRST_PAUSE);
    }

    #[test]
    fn a_clock_that_is_wrong_or_a_restart_does_not_ask_again_and_again() {
        let now = SystemTime::UNIX_EPOCH + 1000 * DAY;
        let valid = Some(Validity {
            from: now - 80 * DAY,
            until: now + 10 * DAY,
        });
        let mut schedule = Schedule::default();
        schedule.succeeded(now, valid);
        assert_eq!(asks_at(&schedule, now, valid), now + 30 * DAY);
        let restarted = Schedule::after(Some(now));
        assert_eq!(asks_at(&restarted, now, None), now + FIRST_PAUSE);
    }

    #[test]
    fn a_certificate_of_a_day_is_asked_for_several_times_before_it_ends() {
        let from = SystemTime::UNIX_EPOCH + 1000 * DAY;
        let valid = Some(Validity {
            from,
            until: from + DAY,
        });
        let (mut schedule, mut attempts) = (Schedule::default(), 0);
        let mut now = asks_at(&schedule, from, valid);
        while now < from + DAY {
            attempts += 1;
            schedule.failed(now, valid);
            now = asks_at(&schedule, now, valid);
        }
        assert!(attempts >= 8, "{attempts}");
    }
}

//! Instants on the session's monotonic clock.

use std::ops::{Add, Sub};
pub use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Microseconds since the session began. The driver owns the clock; the machine only compares and adds. Instants before the
/// beginning exist only in a history that was brought along.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Instant(i64);

impl Instant {
    /// The beginning of the session.
    pub const ZERO: Self = Self(0);

    /// The instant `micros` microseconds after the session began.
    pub const fn from_micros(micros: u64) -> Self {
        Self(clamp(micros))
    }

    /// The instant `millis` milliseconds after the session began.
    pub const fn from_millis(millis: u64) -> Self {
        Self::from_micros(millis.saturating_mul(1000))
    }

    /// Microseconds since the session began; zero for what was before.
    pub const fn as_micros(self) -> u64 {
        if self.0 < 0 { 0 } else { self.0.unsigned_abs() }
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        if self.0 <= earlier.0 {
            return Duration::ZERO;
        }
        Duration::from_micros(self.0.abs_diff(earlier.0))
    }

    /// This instant moved back by `by`, at the earliest to the beginning of the session.
    pub fn back(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(micros(by)).max(self.0.min(0)))
    }

    /// Seconds since the Unix epoch, when the session began at `began` after it.
    pub(crate) fn unix_seconds(self, began: Duration) -> f64 {
        self.0.saturating_add(micros(began)) as f64 / 1e6
    }

    /// The other way round; nonsense is the beginning of the session.
    pub(crate) fn from_unix_seconds(seconds: f64, began: Duration) -> Self {
        if !seconds.is_finite() {
            return Self::ZERO;
        }
        Self(((seconds * 1e6).round() as i64).saturating_sub(micros(began)))
    }

    /// The same moment on the clock of a session that began at `new` after the Unix epoch instead of at `old`.
    pub(crate) fn rebased(self, old: Duration, new: Duration) -> Self {
        Self(
            self.0
                .saturating_add(micros(old))
                .saturating_sub(micros(new)),
        )
    }
}

const fn clamp(micros: u64) -> i64 {
    if micros > i64::MAX as u64 {
        i64::MAX
    } else {
        micros as i64
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(micros(by)))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

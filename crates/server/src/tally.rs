//! How many there are now, under LiveKit's names: counted for as long as the value lives, however it ends.

use antiphon_telemetry::names::{LIVEKIT_PARTICIPANT_TOTAL, LIVEKIT_TRACK_PUBLISHED_TOTAL};
use metrics::Gauge;

/// One of something.
#[derive(Debug)]
pub(crate) struct Tally(Gauge);

impl Tally {
    pub(crate) fn participant() -> Self {
        Self::of(metrics::gauge!(LIVEKIT_PARTICIPANT_TOTAL))
    }

    /// LiveKit's names of kinds.
    pub(crate) fn track(kind: antiphon_rtc::MediaKind) -> Self {
        let kind = match kind {
            antiphon_rtc::MediaKind::Audio => "AUDIO",
            antiphon_rtc::MediaKind::Video => "VIDEO",
        };
        Self::of(metrics::gauge!(LIVEKIT_TRACK_PUBLISHED_TOTAL, "kind" => kind))
    }

    fn of(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Clone for Tally {
    fn clone(&self) -> Self {
        Self::of(self.0.clone())
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

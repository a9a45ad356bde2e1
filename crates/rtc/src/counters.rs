//! What is counted for the metrics.

use antiphon_telemetry::names;
use metrics::counter;

pub(crate) fn unknown_datagrams(count: u64) {
    counter!(names::RTC_UNKNOWN_DATAGRAMS_TOTAL).increment(count);
}

pub(crate) fn unsent_datagrams(count: u64) {
    counter!(names::RTC_UNSENT_DATAGRAMS_TOTAL).increment(count);
}

pub(crate) fn packets_received(count: u64) {
    counter!(names::RTC_PACKETS_RECEIVED_TOTAL).increment(count);
    counter!(names::LIVEKIT_PACKET_TOTAL, "direction" => "incoming").increment(count);
}

pub(crate) fn packets_forwarded(count: u64) {
    counter!(names::RTC_PACKETS_FORWARDED_TOTAL).increment(count);
    counter!(names::LIVEKIT_PACKET_TOTAL, "direction" => "outgoing").increment(count);
}

/// A receiver asked for a key frame.
pub(crate) fn key_frame_asked() {
    counter!(names::LIVEKIT_PLI_TOTAL, "direction" => "incoming").increment(1);
}

pub(crate) fn commands_dropped() {
    counter!(names::RTC_DROPPED_TOTAL, "reason" => "shard_busy").increment(1);
}

pub(crate) fn dropped(reason: &'static str) {
    counter!(names::RTC_DROPPED_TOTAL, "reason" => reason).increment(1);
}

pub(crate) fn panicked() {
    counter!(names::PANICS_TOTAL, "place" => "rtc_peer").increment(1);
}

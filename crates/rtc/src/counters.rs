//! What is counted for the metrics.

use antiphon_telemetry::names;
use metrics::counter;

/// Datagrams that belong to nobody, or rubbish.
const UNKNOWN_DATAGRAMS_TOTAL: &str = "antiphon_rtc_unknown_datagrams_total";
/// Datagrams that the kernel or the network did not take.
const UNSENT_DATAGRAMS_TOTAL: &str = "antiphon_rtc_unsent_datagrams_total";
/// RTP packets received.
const PACKETS_RECEIVED_TOTAL: &str = "antiphon_rtc_packets_received_total";
/// RTP packets forwarded to a receiver.
const PACKETS_FORWARDED_TOTAL: &str = "antiphon_rtc_packets_forwarded_total";
/// RTP packets and data messages that were dropped, by `reason`.
const DROPPED_TOTAL: &str = "antiphon_rtc_dropped_total";

pub(crate) fn unknown_datagrams(count: u64) {
    counter!(UNKNOWN_DATAGRAMS_TOTAL).increment(count);
}

pub(crate) fn unsent_datagrams(count: u64) {
    counter!(UNSENT_DATAGRAMS_TOTAL).increment(count);
}

pub(crate) fn packets_received(count: u64) {
    counter!(PACKETS_RECEIVED_TOTAL).increment(count);
}

pub(crate) fn packets_forwarded(count: u64) {
    counter!(PACKETS_FORWARDED_TOTAL).increment(count);
}

pub(crate) fn commands_dropped() {
    counter!(DROPPED_TOTAL, "reason" => "shard_busy").increment(1);
}

pub(crate) fn dropped(reason: &'static str) {
    counter!(DROPPED_TOTAL, "reason" => reason).increment(1);
}

pub(crate) fn panicked() {
    counter!(names::PANICS_TOTAL, "place" => "rtc_peer").increment(1);
}

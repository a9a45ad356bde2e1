//! What was measured of the streams of a peer, interval by interval: of what it sends us by looking at every packet, of what
//! we send it by its receiver reports (RFC 3550 6.4.2).

use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::stats::MediaEgressStats;

use crate::PeerEvent;
use crate::connection::Connection;
use crate::limits::MAX_LAYERS;
use crate::section::clock_hz;

/// A step of the sequence number beyond this is a new stream, and no loss.
const MAX_STEP: u64 = 3_000;
/// So far back it is known which packets came.
const WINDOW: u64 = 64;

/// Which way a stream goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StreamDirection {
    /// The other side sends it.
    Received,
    /// We send it.
    Sent,
}

/// What was measured of one section in one interval. All layers of a picture are counted together.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamStatistics {
    /// The media section.
    pub mid: Arc<str>,
    /// Which way.
    pub direction: StreamDirection,
    /// Over how long.
    pub interval: Duration,
    /// Packets that came; of what we send, that should have come.
    pub packets: u64,
    /// Packets that did not, and did not come late either.
    pub lost: u64,
    /// How unevenly they came (RFC 3550 6.4.1), at its worst.
    pub jitter: Duration,
    /// There and back; only of what we send, and once a report told it.
    pub rtt: Option<Duration>,
    /// How many layers arrived.
    pub layers: usize,
    /// How many were agreed upon: one without simulcast.
    pub layers_expected: usize,
}

/// Counts what arrives in one section.
#[derive(Debug, Default)]
pub(crate) struct Reception {
    layers: Vec<Layer>,
    packets: u64,
    lost: u64,
    jitter_us: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Layer {
    ssrc: u32,
    highest: u64,
    /// Bit n: `highest - n` came.
    came: u64,
    arrived: Option<Instant>,
    timestamp: u64,
    jitter_us: f64,
    flows: bool,
}

impl Reception {
    /// A packet came.
    pub(crate) fn packet(
        &mut self,
        layer: usize,
        ssrc: u32,
        sequence: u64,
        (timestamp, clock_hz): (u64, u32),
        now: Instant,
    ) {
        if layer >= MAX_LAYERS {
            return;
        }
        if self.layers.len() <= layer {
            self.layers.resize(layer + 1, Layer::default());
        }
        let Some(stream) = self.layers.get_mut(layer) else {
            return;
        };
        let is_new = stream.arrived.is_none()
            || stream.ssrc != ssrc
            || stream.highest.abs_diff(sequence) > MAX_STEP;
        stream.flows = true;
        if is_new {
            *stream = Layer {
                ssrc,
                highest: sequence,
                came: u64::MAX,
                arrived: Some(now),
                timestamp,
                jitter_us: 0.0,
                flows: true,
            };
            self.packets += 1;
            return;
        }
        let Some(step) = sequence
            .checked_sub(stream.highest)
            .filter(|step| *step > 0)
        else {
            // Late, or twice. What is older than the window is not known to have been missing.
            let bit = 1_u64
                .checked_shl(u32::try_from(stream.highest - sequence).unwrap_or(u32::MAX))
                .unwrap_or(0);
            if bit != 0 && stream.came & bit == 0 {
                stream.came |= bit;
                self.packets += 1;
                self.lost = self.lost.saturating_sub(1);
            }
            return;
        };
        self.packets += 1;
        self.lost += step - 1;
        stream.came = if step < WINDOW {
            stream.came << step
        } else {
            0
        } | 1;
        stream.highest = sequence;
        // Packets of one picture have one time stamp and say nothing about the way.
        if timestamp != stream.timestamp {
            let ticks = timestamp.abs_diff(stream.timestamp);
            let sent_us = ticks as f64 * 1e6 / f64::from(clock_hz.max(1));
            let before = stream.arrived.replace(now).unwrap_or(now);
            let came_us = now.saturating_duration_since(before).as_secs_f64() * 1e6;
            stream.timestamp = timestamp;
            // A pause of the sender is not jitter.
            if ticks < u64::from(clock_hz) {
                stream.jitter_us += ((came_us - sent_us).abs() - stream.jitter_us) / 16.0;
                self.jitter_us = self.jitter_us.max(stream.jitter_us);
            }
        }
    }

    /// What came since the last time. `None`: nothing ever did.
    pub(crate) fn report(
        &mut self,
        mid: &Arc<str>,
        interval: Duration,
        layers_expected: usize,
    ) -> Option<StreamStatistics> {
        if self.layers.is_empty() {
            return None;
        }
        let mut layers = 0;
        for layer in &mut self.layers {
            layers += usize::from(std::mem::take(&mut layer.flows));
        }
        let report = StreamStatistics {
            mid: Arc::clone(mid),
            direction: StreamDirection::Received,
            interval,
            packets: std::mem::take(&mut self.packets),
            lost: std::mem::take(&mut self.lost),
            jitter: Duration::from_secs_f64(std::mem::take(&mut self.jitter_us) / 1e6),
            rtt: None,
            layers,
            layers_expected,
        };
        Some(report)
    }
}

impl Connection {
    /// str0m's clock for statistics; what was received is counted by ourselves.
    pub(crate) fn report_reception(&mut self) {
        let interval = self.config.statistics_interval.unwrap_or_default();
        let sections = self.sections.iter_mut().filter(|section| section.receiving);
        let reports: Vec<_> = sections
            .filter_map(|section| {
                section
                    .reception
                    .report(&section.name, interval, section.layers.streams())
            })
            .collect();
        if !reports.is_empty() {
            self.emit(PeerEvent::Statistics(reports));
        }
    }

    pub(crate) fn report_reported(&mut self, stats: &MediaEgressStats) {
        let interval = self.config.statistics_interval.unwrap_or_default();
        let index = self.section(stats.mid);
        let report = index
            .and_then(|at| self.sections.get_mut(at))
            .and_then(|section| {
                let (clock, gaps) = (clock_hz(section.kind), section.out.gaps());
                section
                    .reported
                    .report(&section.name, clock, interval, gaps, stats)
            });
        if let Some(report) = report {
            self.emit(PeerEvent::Statistics(vec![report]));
        }
    }
}

/// What the receiver of a section has reported so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reported {
    highest: u64,
    lost: u64,
    gaps: u64,
}

impl Reported {
    /// What it reported in the last interval. `None`: it has not reported anything new. What never came to us was not lost on
    /// the way to it: `gaps` counts that.
    pub(crate) fn report(
        &mut self,
        mid: &Arc<str>,
        clock_hz: u32,
        interval: Duration,
        gaps: u64,
        stats: &MediaEgressStats,
    ) -> Option<StreamStatistics> {
        let remote = stats.remote.as_ref()?;
        let now = Self {
            highest: *remote.maximum_sequence_number,
            lost: remote.packets_lost,
            gaps,
        };
        let before = std::mem::replace(self, now);
        // The first report is what later ones are compared with; another stream begins anew.
        let packets = now.highest.checked_sub(before.highest).filter(|n| *n > 0)?;
        if before.highest == 0 || packets > MAX_STEP * 10 {
            return None;
        }
        let lost = now.lost.saturating_sub(before.lost);
        let lost = lost.saturating_sub(now.gaps.saturating_sub(before.gaps));
        Some(StreamStatistics {
            mid: Arc::clone(mid),
            direction: StreamDirection::Sent,
            interval,
            packets,
            lost: lost.min(packets),
            jitter: Duration::from_secs_f64(f64::from(remote.jitter) / f64::from(clock_hz.max(1))),
            rtt: stats.rtt,
            layers: 1,
            layers_expected: 1,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CLOCK: u32 = 48_000;

    /// Packets of 20 ms, with these numbers, each this many milliseconds later than it should be.
    fn received(packets: &[(u64, u64)]) -> StreamStatistics {
        let (mut reception, start) = (Reception::default(), Instant::now());
        for (number, late) in packets {
            let now = start + Duration::from_millis(number * 20 + late);
            reception.packet(0, 1, *number, (number * 960, CLOCK), now);
        }
        reception
            .report(&Arc::from("0"), Duration::from_secs(5), 1)
            .unwrap()
    }

    #[test]
    fn what_is_missing_is_lost_and_what_comes_late_or_twice_is_not() {
        let counts = |numbers: &[u64]| {
            let packets: Vec<_> = numbers.iter().map(|n| (*n, 0)).collect();
            let report = received(&packets);
            (report.packets, report.lost)
        };
        assert_eq!(counts(&[10, 11, 12, 13]), (4, 0));
        assert_eq!(counts(&[10, 13]), (2, 2));
        assert_eq!(counts(&[10, 13, 11]), (3, 1));
        assert_eq!(counts(&[10, 13, 11, 11, 10, 13]), (3, 1));
        assert_eq!(counts(&[10, 9]), (1, 0));
        assert_eq!(counts(&[10, 90_000, 90_001]), (3, 0));
    }

    #[test]
    fn jitter_is_nothing_on_an_even_way_and_seen_on_an_uneven_one() {
        let even: Vec<_> = (0..50).map(|n| (n, 0)).collect();
        assert!(received(&even).jitter < Duration::from_micros(1));
        let uneven: Vec<_> = (0..200).map(|n| (n, n % 2 * 30)).collect();
        let jitter = received(&uneven).jitter.as_millis();
        assert!((25..=31).contains(&jitter), "{jitter} ms");
        // A pause of the sender, and then it goes on.
        let mut paused = Reception::default();
        let start = Instant::now();
        for n in [0, 1, 2] {
            let at = start + Duration::from_millis(n * 20);
            paused.packet(0, 1, n, (n * 960, CLOCK), at);
        }
        let later = start + Duration::from_secs(60);
        paused.packet(0, 1, 3, (60 * 48_000 + 4_800, CLOCK), later);
        let report = paused.report(&Arc::from("0"), Duration::from_secs(5), 1);
        assert!(report.unwrap().jitter < Duration::from_micros(1));
    }

    #[test]
    fn what_never_came_to_us_was_not_lost_on_the_way_to_the_listener() {
        let stats = |highest: u64, lost| MediaEgressStats {
            mid: "0".into(),
            rid: None,
            bytes: 0,
            packets: 0,
            firs: 0,
            plis: 0,
            nacks: 0,
            rtt: Some(Duration::from_millis(40)),
            loss: None,
            timestamp: Instant::now(),
            remote: Some(str0m::stats::RemoteIngressStats {
                jitter: 480,
                maximum_sequence_number: highest.into(),
                packets_lost: lost,
            }),
        };
        let (mut reported, mid) = (Reported::default(), Arc::from("0"));
        let interval = Duration::from_secs(5);
        let mut after = |highest, lost, gaps| {
            reported.report(&mid, CLOCK, interval, gaps, &stats(highest, lost))
        };
        assert_eq!(after(1_000, 3, 0), None, "nothing to compare it with");
        let report = after(1_250, 13, 6).unwrap();
        assert_eq!((report.packets, report.lost), (250, 4));
        assert_eq!(report.jitter, Duration::from_millis(10));
        assert_eq!(report.rtt, Some(Duration::from_millis(40)));
        assert_eq!(after(1_250, 13, 6), None, "nothing new");
        assert_eq!(after(1_500, 13, 40).unwrap().lost, 0);
    }

    #[test]
    fn an_interval_counts_only_itself_and_its_layers() {
        let (mut reception, now) = (Reception::default(), Instant::now());
        let mid = Arc::from("0");
        assert!(reception.report(&mid, Duration::ZERO, 3).is_none());
        for layer in 0..3 {
            reception.packet(layer, layer as u32 + 1, 5, (0, 90_000), now);
        }
        let first = reception.report(&mid, Duration::ZERO, 3).unwrap();
        assert_eq!((first.packets, first.layers), (3, 3));
        reception.packet(0, 1, 7, (3_000, 90_000), now);
        let second = reception.report(&mid, Duration::ZERO, 3).unwrap();
        assert_eq!((second.packets, second.lost, second.layers), (1, 1, 1));
    }
}

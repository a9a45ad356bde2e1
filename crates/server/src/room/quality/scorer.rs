//! How good one stream is, from 0 to 100, by LiveKit's algorithm: a simplified E-model (ITU-T G.107) of loss, delay and jitter
//! of each interval, smoothed over the intervals. No clock and no connection is touched here.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use antiphon_protocol::proto::ConnectionQuality;

const BEST: f64 = 100.0;
/// Nothing that is heard at all is worse; from further down the way back would be too long.
const WORST: f64 = 30.0;
/// What nothing is heard of.
const LOST: f64 = 20.0;
/// At most as good as this is good, and so on.
const GOOD: f64 = 80.0;
const POOR: f64 = 40.0;
/// How much of an interval counts at once: more when it is worse than those before.
const FALL: f64 = 0.8;
const RISE: f64 = 0.4;
/// A picture with one layer less falls by one level.
const LAYER: f64 = 35.0;
/// Up to here delay is hardly noticed.
const NOTICED_DELAY_MS: f64 = 160.0;
/// Rates of packets that differ by less are the same.
const SAME_RATE: f64 = 2.0;
/// After this many intervals it is known which rate is the usual one.
const KNOWN_AFTER: u32 = 10;
/// No stream has more packets in a second.
const MAX_RATE: u32 = 500;

/// What one lost packet in a hundred costs: more where nothing replaces it.
pub(super) fn loss_weight(mime: &str) -> f64 {
    match mime {
        // In-band FEC, which we always ask for, makes two thirds of both.
        "audio/opus" => 8.0 / 1.5,
        "audio/red" => 4.0 / 1.5,
        "audio/PCMU" | "audio/PCMA" => 8.0,
        _ => 10.0,
    }
}

/// What was measured in one interval.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measured {
    pub(super) interval: Duration,
    /// Those that came, or should have come.
    pub(super) packets: u64,
    pub(super) lost: u64,
    pub(super) rtt: Duration,
    pub(super) jitter: Duration,
    pub(super) missing_layers: usize,
}

impl Measured {
    fn score(&self, loss_weight: f64) -> f64 {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let delay = ms(self.rtt) / 2.0 + ms(self.jitter) * 2.0;
        let for_delay = if delay > NOTICED_DELAY_MS {
            (delay - 120.0) / 10.0
        } else {
            delay / 40.0
        };
        let for_loss = count(self.lost) * 100.0 / count(self.packets).max(1.0) * loss_weight;
        let for_layers = LAYER * count(self.missing_layers as u64);
        (BEST - for_delay - for_loss)
            .min(BEST - for_layers)
            .max(0.0)
    }
}

#[expect(clippy::cast_precision_loss, reason = "packets of a few seconds")]
fn count(n: u64) -> f64 {
    n as f64
}

/// Scores one stream.
#[derive(Clone, Debug)]
pub(super) struct Scorer {
    score: f64,
    muted: bool,
    unmuted_at: Option<Instant>,
    /// How often each rate of packets was seen, in steps of [`SAME_RATE`].
    rates: BTreeMap<u32, u32>,
}

impl Default for Scorer {
    fn default() -> Self {
        Self {
            score: BEST,
            muted: false,
            unmuted_at: None,
            rates: BTreeMap::new(),
        }
    }
}

impl Scorer {
    /// A muted stream is as good as can be, unless nothing was heard of it before.
    pub(super) fn set_muted(&mut self, muted: bool, now: Instant) {
        if muted && !self.muted && self.score > LOST {
            self.score = BEST;
        }
        if self.muted && !muted {
            self.unmuted_at = Some(now);
        }
        self.muted = muted;
    }

    /// An interval is over.
    pub(super) fn measured(&mut self, measured: &Measured, loss_weight: f64, now: Instant) {
        let unmuted = self.unmuted_at.map(|at| now.saturating_duration_since(at));
        let is_fresh = unmuted.is_some_and(|since| since * 2 <= measured.interval);
        // A sender that is silent sends nothing at all, or a client paused: that says nothing about the way.
        if self.muted || is_fresh || measured.packets == 0 {
            return;
        }
        let score = measured.score(loss_weight * self.rarity(measured));
        let factor = if score < self.score { FALL } else { RISE };
        self.score = (factor * score + (1.0 - factor) * self.score).max(WORST);
    }

    /// Nothing at all is heard of the other side any more.
    pub(super) fn lost(&mut self) {
        if !self.muted {
            self.score = LOST;
        }
    }

    /// Less is lost with a packet when there are fewer than usual: silence in an Opus stream, a screen that stands still.
    fn rarity(&mut self, measured: &Measured) -> f64 {
        let rate = count(measured.packets) / measured.interval.as_secs_f64().max(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped"
        )]
        let step = (rate.min(f64::from(MAX_RATE)) / SAME_RATE).round() as u32;
        *self.rates.entry(step).or_default() += 1;
        let seen: u32 = self.rates.values().sum();
        let usual = self.rates.iter().max_by_key(|(_, times)| **times);
        match usual {
            Some((usual, _)) if seen > KNOWN_AFTER && *usual > 0 => {
                (rate / (f64::from(*usual) * SAME_RATE)).min(1.0).sqrt()
            }
            _ => 1.0,
        }
    }

    pub(super) fn quality(&self) -> ConnectionQuality {
        match self.score {
            score if score > GOOD => ConnectionQuality::Excellent,
            score if score > POOR => ConnectionQuality::Good,
            score if score > LOST => ConnectionQuality::Poor,
            _ => ConnectionQuality::Lost,
        }
    }

    /// The mean opinion score, 1 to 4.5, of that score (ITU-T G.107 annex B).
    pub(super) fn mean_opinion(&self) -> f32 {
        let r = self.score;
        #[expect(clippy::cast_possible_truncation, reason = "1 to 4.5")]
        let mos = (1.0 + 0.035 * r + 0.000_007 * r * (r - 60.0) * (100.0 - r)) as f32;
        mos
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);
    use ConnectionQuality::{Excellent, Good, Lost, Poor};

    struct Stream {
        scorer: Scorer,
        now: Instant,
    }

    impl Stream {
        fn new() -> Self {
            let (scorer, now) = (Scorer::default(), Instant::now());
            Self { scorer, now }
        }

        fn after(&mut self, mime: &str, measured: Measured) -> ConnectionQuality {
            self.now += INTERVAL;
            let interval = INTERVAL;
            let measured = Measured {
                interval,
                ..measured
            };
            self.scorer.measured(&measured, loss_weight(mime), self.now);
            self.scorer.quality()
        }

        fn lossy(&mut self, mime: &str, packets: u64, lost: u64) -> ConnectionQuality {
            let measured = Measured {
                packets,
                lost,
                ..Measured::default()
            };
            self.after(mime, measured)
        }
    }

    /// The figures that LiveKit's own tests publish: loss in percent, and what it makes of a stream.
    #[test]
    fn loss_makes_a_connection_worse_as_livekit_has_it() {
        for (mime, figures) in [
            ("audio/opus", [(3.0, Excellent), (4.4, Good), (15.0, Poor)]),
            ("audio/red", [(6.0, Excellent), (10.0, Good), (30.0, Poor)]),
            ("video/VP8", [(1.0, Excellent), (3.5, Good), (8.0, Poor)]),
        ] {
            let mut stream = Stream::new();
            for (percent, quality) in figures {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "small"
                )]
                let lost = (percent * 200.0_f64 / 100.0).ceil() as u64;
                assert_eq!(
                    stream.lossy(mime, 200, lost),
                    quality,
                    "{mime} with {percent} %"
                );
            }
        }
    }

    #[test]
    fn it_falls_at_once_and_rises_step_by_step() {
        let mut stream = Stream::new();
        assert_eq!(stream.lossy("audio/opus", 250, 0), Excellent);
        assert_eq!(stream.lossy("audio/opus", 250, 50), Poor);
        let after: Vec<_> = (0..3).map(|_| stream.lossy("audio/opus", 250, 0)).collect();
        assert_eq!(after, [Good, Good, Excellent]);
    }

    #[test]
    fn delay_and_jitter_count_and_so_does_a_layer_that_does_not_come() {
        let ms = Duration::from_millis;
        let measured = |rtt, jitter, missing_layers| Measured {
            packets: 250,
            lost: 5,
            rtt: ms(rtt),
            jitter: ms(jitter),
            missing_layers,
            ..Measured::default()
        };
        assert_eq!(
            Stream::new().after("audio/opus", measured(20, 2, 0)),
            Excellent
        );
        assert_eq!(
            Stream::new().after("audio/opus", measured(400, 60, 0)),
            Good
        );
        let plain = |missing| Measured {
            packets: 250,
            missing_layers: missing,
            ..Measured::default()
        };
        assert_eq!(Stream::new().after("video/VP8", plain(1)), Good);
        let mut stream = Stream::new();
        stream.after("video/VP8", plain(2));
        assert_eq!(stream.after("video/VP8", plain(2)), Poor);
    }

    #[test]
    fn who_is_muted_is_well_and_who_is_silent_stays_what_it_was() {
        let mut stream = Stream::new();
        assert_eq!(stream.lossy("audio/opus", 250, 50), Poor);
        assert_eq!(stream.lossy("audio/opus", 0, 0), Poor);
        stream.scorer.set_muted(true, stream.now);
        assert_eq!(stream.scorer.quality(), Excellent);
        assert_eq!(stream.lossy("audio/opus", 20, 10), Excellent);
        // Unmuted for less than half of the interval: not looked at yet.
        stream
            .scorer
            .set_muted(false, stream.now + Duration::from_secs(3));
        assert_eq!(stream.lossy("audio/opus", 250, 50), Excellent);
        assert_eq!(stream.lossy("audio/opus", 250, 50), Poor);
    }

    #[test]
    fn loss_in_silence_weighs_less_than_loss_in_speech() {
        let mut stream = Stream::new();
        for _ in 0..12 {
            stream.lossy("audio/opus", 250, 0);
        }
        assert_eq!(stream.lossy("audio/opus", 13, 1), Excellent);
        assert_eq!(Stream::new().lossy("audio/opus", 13, 1), Good);
    }

    #[test]
    fn what_nothing_is_heard_of_is_lost_even_if_it_is_muted_then() {
        let mut stream = Stream::new();
        stream.scorer.lost();
        assert_eq!(stream.scorer.quality(), Lost);
        stream.scorer.set_muted(true, stream.now);
        assert_eq!(stream.scorer.quality(), Lost);
        stream.scorer.set_muted(false, stream.now);
        for _ in 0..3 {
            stream.lossy("audio/opus", 250, 0);
        }
        assert!(stream.scorer.quality() >= Good);
    }

    #[test]
    fn the_mean_opinion_goes_from_one_to_four_and_a_half() {
        let mut stream = Stream::new();
        assert!((stream.scorer.mean_opinion() - 4.5).abs() < 1e-6);
        stream.lossy("video/VP8", 100, 90);
        assert!((1.0..2.6).contains(&stream.scorer.mean_opinion()));
    }
}

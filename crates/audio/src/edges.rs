//! The silence at the edges of a piece of synthesised speech. A synthesiser that speaks clause by clause puts some before and
//! after each, as if it were all; joined, the pieces would pause for so long that a listener takes it for the end.
//!
//! Streaming: sound is given on as it comes, and only silence that may be the end is held back until it is known. What is
//! given on is counted by who plays it, so positions stay exact; [`Edges::cut`] says by how much the beginning has moved.

use std::time::Duration;

use crate::Frame24k;

/// Loudness is looked at in parts of 5 ms: shorter than any sound of speech.
const WINDOW: usize = Frame24k::SAMPLES_20_MS / 4;
/// Kept before the first sound, 50 ms: an /f/ or /h/ begins more softly than anybody measures.
const LEAD: usize = 10 * WINDOW;
/// Longest beginning that counts as silence, 1 s. After that it is taken for a very soft voice.
const LONGEST_LEAD: usize = 200 * WINDOW;
/// Longest silence that is held back, 10 s (480 kB). A longer one inside a piece is given on as it comes.
const LONGEST_HELD: usize = 2000 * WINDOW;
/// Mean squares: always silence below 6 of 32768 (-75 dBFS, the rounding of a decoder), never above 48 (-57 dBFS; the softest
/// fricatives of voices at their usual level lie 10 dB higher, the noise that flite has for silence 6 dB lower).
const SOFTEST: u64 = 6 * 6;
const LOUDEST: u64 = 48 * 48;
/// The second quietest part of the first 40 ms, all of which are held, is what the voice has for silence.
const NOISE_PARTS: usize = 8;
/// A sound begins at six times the amplitude of that,
const OVER_NOISE: u64 = 6 * 6;
/// and has ended below 1/200 of the loudest one (-46 dB): a soft voice has soft ends.
const BELOW_VOICE: u64 = 200 * 200;

/// Takes the edges off one piece of speech.
#[derive(Debug)]
pub struct Edges {
    /// Samples of silence that stay at the end.
    pause: usize,
    /// A part that is not full.
    part: Vec<i16>,
    /// Silence that was not given on: before the first sound the last [`LEAD`] of it, later what may be the end.
    held: Vec<i16>,
    begun: bool,
    /// Samples before the first sound that are gone.
    cut: usize,
    /// Samples of the silence that goes on just now.
    silence: usize,
    /// Energies of the first [`NOISE_PARTS`].
    first: Vec<u64>,
    loudest: u64,
}

impl Edges {
    /// After the piece a speaker pauses for so long. Half of a short pause is the next piece's: each keeps 50 ms before its
    /// first sound.
    pub fn new(pause: Duration) -> Self {
        let samples = pause.as_micros() * u128::from(Frame24k::RATE_HZ) / 1_000_000;
        let samples = usize::try_from(samples).unwrap_or(LONGEST_HELD);
        Self {
            pause: samples.saturating_sub(LEAD),
            part: Vec::with_capacity(WINDOW),
            held: Vec::new(),
            begun: false,
            cut: 0,
            silence: 0,
            first: Vec::with_capacity(NOISE_PARTS),
            loudest: 0,
        }
    }

    /// More of the piece; gives what can be played of it, perhaps nothing.
    pub fn push(&mut self, frame: &Frame24k) -> Frame24k {
        let mut out = Vec::with_capacity(frame.samples().len());
        let mut rest = frame.samples();
        while !rest.is_empty() {
            let (more, later) = rest.split_at(rest.len().min(WINDOW - self.part.len()));
            self.part.extend_from_slice(more);
            rest = later;
            if self.part.len() == WINDOW {
                self.take_part(&mut out);
            }
        }
        Frame24k::new(out)
    }

    /// That was all; gives what is left to be played. A piece of nothing but silence keeps a little of it.
    pub fn finish(&mut self) -> Frame24k {
        let mut out = Vec::new();
        if !self.part.is_empty() {
            self.take_part(&mut out);
        }
        if !self.begun {
            self.begun = true;
            out.append(&mut self.held);
        }
        self.held.clear();
        Frame24k::new(out)
    }

    /// So much of the beginning is gone; final as soon as something was given.
    pub fn cut(&self) -> Duration {
        Duration::from_micros(self.cut as u64 * 1_000_000 / u64::from(Frame24k::RATE_HZ))
    }

    /// Whether the voice begins with this part, or began with one of the first.
    fn begins(&mut self, energy: u64) -> bool {
        if self.first.len() == NOISE_PARTS {
            return energy >= self.threshold();
        }
        self.first.push(energy);
        if energy >= LOUDEST {
            return true;
        }
        if self.first.len() < NOISE_PARTS {
            return false;
        }
        self.first.sort_unstable();
        self.first.last() >= Some(&self.threshold())
    }

    /// The energy of a first sound.
    fn threshold(&self) -> u64 {
        let noise = self.first.get(1).copied().unwrap_or_default();
        noise.saturating_mul(OVER_NOISE).clamp(SOFTEST, LOUDEST)
    }

    fn take_part(&mut self, out: &mut Vec<i16>) {
        let energy = mean_square(&self.part);
        self.loudest = self.loudest.max(energy);
        if !self.begun {
            self.held.append(&mut self.part);
            self.begun = self.begins(energy) || self.cut + self.held.len() >= LONGEST_LEAD;
            if self.begun {
                out.append(&mut self.held);
            } else {
                let gone = self.held.len().saturating_sub(LEAD);
                self.held.drain(..gone);
                self.cut += gone;
            }
        } else if energy >= (self.loudest / BELOW_VOICE).clamp(SOFTEST, LOUDEST) {
            self.silence = 0;
            out.append(&mut self.held);
            out.append(&mut self.part);
        } else {
            self.silence += self.part.len();
            if self.silence <= self.pause {
                out.append(&mut self.part);
            } else {
                self.held.append(&mut self.part);
            }
            if self.held.len() >= LONGEST_HELD {
                out.append(&mut self.held);
            }
        }
    }
}

fn mean_square(samples: &[i16]) -> u64 {
    let energy: u64 = samples
        .iter()
        .map(|&sample| u64::from(sample.unsigned_abs()).pow(2))
        .sum();
    energy / (samples.len() as u64).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAUSE: Duration = Duration::from_millis(125);

    /// So many milliseconds of a hum that loud.
    fn hum(ms: usize, amplitude: i16) -> Vec<i16> {
        (0..ms * 24)
            .map(|n| if n % 48 < 24 { amplitude } else { -amplitude })
            .collect()
    }

    /// Given in parts of any length.
    fn trimmed(sound: &[i16], part: usize) -> (Vec<i16>, Duration) {
        let mut edges = Edges::new(PAUSE);
        let mut out = Vec::new();
        for part in sound.chunks(part) {
            out.extend(edges.push(&Frame24k::new(part.to_vec())).into_samples());
        }
        out.extend(edges.finish().into_samples());
        (out, edges.cut())
    }

    #[test]
    fn two_pieces_join_with_the_pause_of_a_speaker() {
        let piece = [hum(200, 0), hum(500, 3000), hum(300, 0)].concat();
        let (out, cut) = trimmed(&piece, 2400);
        assert_eq!(cut, Duration::from_millis(150));
        assert_eq!(out, [hum(50, 0), hum(500, 3000), hum(75, 0)].concat());
    }

    #[test]
    fn a_pause_inside_a_piece_stays_as_it_is() {
        let piece = [hum(500, 3000), hum(700, 0), hum(500, 3000)].concat();
        assert_eq!(trimmed(&piece, 777).0, piece);
    }

    #[test]
    fn a_soft_fricative_at_either_end_is_heard() {
        let piece = [
            hum(100, 0),
            hum(90, 90),
            hum(400, 6000),
            hum(90, 70),
            hum(300, 0),
        ]
        .concat();
        let (out, _) = trimmed(&piece, 480);
        let sound = [hum(90, 90), hum(400, 6000), hum(90, 70)].concat();
        assert_eq!(out, [hum(50, 0), sound, hum(75, 0)].concat());
    }

    #[test]
    fn a_voice_a_hundred_times_softer_is_heard_as_well() {
        let piece = [
            hum(100, 1),
            hum(90, 8),
            hum(400, 60),
            hum(90, 7),
            hum(300, 1),
        ]
        .concat();
        let (out, _) = trimmed(&piece, 480);
        let sound = [hum(90, 8), hum(400, 60), hum(90, 7)].concat();
        assert_eq!(out, [hum(50, 1), sound, hum(75, 1)].concat());
    }

    #[test]
    fn nothing_waits_for_the_end_but_silence() {
        let mut edges = Edges::new(PAUSE);
        assert!(edges.push(&Frame24k::new(hum(150, 0))).is_empty());
        assert_eq!(
            edges.push(&Frame24k::new(hum(20, 3000))).duration(),
            Duration::from_millis(70)
        );
        assert_eq!(
            edges.push(&Frame24k::new(hum(60, 0))).duration(),
            Duration::from_millis(60)
        );
        assert_eq!(
            edges.push(&Frame24k::new(hum(60, 0))).duration(),
            Duration::from_millis(15)
        );
        assert_eq!(
            edges.push(&Frame24k::new(hum(20, 3000))).duration(),
            Duration::from_millis(65)
        );
    }

    #[test]
    fn a_piece_of_nothing_but_silence_is_short_and_not_nothing() {
        let (out, _) = trimmed(&hum(800, 0), 100);
        assert_eq!(out.len(), LEAD);
    }

    proptest! {
        /// Whatever is said, and in whatever parts it comes: only silence is missing, and only at the edges.
        #[test]
        fn only_edges_go(levels in prop::collection::vec((0..400_usize, 0..2000_i16), 0..8), part in 1..5000_usize) {
            let sound: Vec<i16> = levels.iter().flat_map(|&(ms, level)| hum(ms, level)).collect();
            let (out, cut) = trimmed(&sound, part);
            let from = (cut.as_micros() * 24 / 1000) as usize;
            prop_assert!(sound.get(from..).unwrap_or_default().starts_with(&out));
            let end = sound.get(from + out.len()..).unwrap_or_default();
            for gone in [sound.get(..from).unwrap_or_default(), end] {
                prop_assert!(gone.iter().all(|sample| sample.abs() < 110));
            }
            prop_assert_eq!(trimmed(&sound, 120).0, out);
        }
    }
}

//! Is what a microphone hears the sound that we ourselves play, back from a loudspeaker? Not the samples are compared, which a room
//! and a codec change beyond recognition, but how loud it is in a few bands from one 20 ms to the next: that survives both.
//!
//! Two steps. While we play, 0.7 s of the microphone are compared with what was played before: what is alike again and again is an
//! echo, and shows how late and how quiet it comes. From then on every 20 ms of the microphone that is no louder than our echo would
//! be is taken for it, at once; whoever speaks over it is louder in some band. A microphone that hears nothing of us is never
//! judged by the second step.
//!
//! Sans-I/O: one call for every frame that is played, and one for every frame of the microphone. It answers and takes nothing away.

use std::collections::VecDeque;
use std::f32::consts::TAU;

use crate::level::decibels;
use crate::{Frame16k, Frame24k};

/// The middles of the bands, in Hz: where speech is, and what a telephone leaves of it.
const CENTRES: [f32; 6] = [300.0, 600.0, 1_000.0, 1_600.0, 2_400.0, 3_400.0];
/// Width of a band: its middle divided by this.
const QUALITY: f32 = 1.5;
/// Samples of the microphone that are one block: 20 ms.
const BLOCK: usize = Frame16k::RATE_HZ as usize / 50;
/// Blocks that are compared: 0.7 s, a few syllables. Half of it takes one speaker for another.
const WINDOW: usize = 35;
/// The longest way of the sound, in blocks: 0.8 s through two jitter buffers, a loudspeaker and a room.
const LONGEST_WAY: usize = 40;
/// Blocks played that the microphone's have not caught up with: more are dropped, oldest first, because a microphone that was off hears
/// none of them.
const AHEAD: usize = 25;
/// What lies so far below the loudest is silence, in dB: rooms ring and microphones hiss.
const RANGE: f32 = 20.0;
/// Below this it is silence anyway, in dB of a 16-bit sample.
const SILENCE: f32 = 10.0;
/// From this likeness on it may be an echo. Of the echoes of a room that rings for 0.2 s half are above 0.9 and three quarters above 0.85; one
/// that rings for 0.6 s: 0.81 and 0.73. Of people who speak over another voice one moment in 180 is above 0.8, and at another delay each time.
const ALIKE: f32 = 0.8;
/// From this likeness on it counts at once: of people over another voice one moment in 800, a third of a second each time.
const SAME: f32 = 0.86;
/// It counts while the comparison still finds so much.
const STILL: f32 = 0.7;
/// The comparison is made once in so many blocks: it costs more than all the rest.
const EVERY: u32 = 5;
/// Found so often by the same way, it is one: in 3.3 hours of 506 pairs of recordings over each other it never was.
const TIMES: u32 = 3;
/// So many comparisons must lie between, so that each heard other sounds,
const APART: u32 = 5;
/// and no more.
const MEMORY: u32 = 40;
/// Blocks of the window in which there must be sound: one rise is like any other.
const LEAST_SOUND: usize = WINDOW / 2;
/// An echo is so much louder than it is on average, at times, in dB.
const MARGIN: f32 = 7.0;
/// Our sound dies away in the caller's room, in dB a block: 0.5 s for 60 dB.
const DECAY: f32 = 2.4;
/// Blocks for which it is looked for after it was expected, and before, because networks are not even.
const LATE: usize = 12;
const EARLY: usize = 2;
/// What is louder than our echo in so many of the last [`LOOK`] blocks is the caller, and so are the [`OPEN`] blocks that follow.
const LOUDER: u32 = 4;
/// See above.
const LOOK: u32 = 6;
/// See above.
const OPEN: u32 = 10;
/// After so many blocks that should have been an echo and were none, there is none any more: a headset was plugged in.
const GONE: u32 = 50;
/// So much quieter than expected is none, in dB.
const ABSENT: f32 = 15.0;

/// What a microphone hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Somebody, something or nothing.
    Others,
    /// What we play, and nothing else.
    Ourselves,
    /// The same, and so it was for the last 0.7 s, which nobody could know.
    OurselvesSoFar,
}

type Levels = [f32; CENTRES.len()];

/// How our sound comes back.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Way {
    /// Blocks after it was played.
    delay: usize,
    /// How much louder, in each band, in dB; mostly negative.
    gain: Levels,
}

impl Way {
    fn is_like(&self, other: &Self) -> bool {
        self.delay.abs_diff(other.delay) <= 1
    }
}

/// A way that was found, and not yet often enough.
#[derive(Clone, Copy, Debug)]
struct Guess {
    way: Way,
    /// How often.
    times: u32,
    /// Comparisons since it was counted.
    since: u32,
    /// The last comparison spoke for it.
    holds: bool,
}

/// Compares what is played with what is heard.
#[derive(Debug)]
pub struct Echo {
    played: Filters,
    heard: Filters,
    /// Played, and not yet beside a block of the microphone.
    ahead: VecDeque<Levels>,
    /// Blocks since something was played.
    since_played: usize,
    ours: VecDeque<Levels>,
    theirs: VecDeque<Levels>,
    /// A part of a block.
    rest: Vec<i16>,
    /// By which our sound certainly comes back.
    way: Option<Way>,
    /// By which it may.
    guess: Option<Guess>,
    until_next: u32,
    /// One bit for each of the last blocks: it was louder than our echo.
    louder: u32,
    open: u32,
    absent: u32,
}

impl Default for Echo {
    fn default() -> Self {
        Self {
            played: Filters::new(Frame24k::RATE_HZ),
            heard: Filters::new(Frame16k::RATE_HZ),
            ahead: VecDeque::new(),
            since_played: WINDOW + LONGEST_WAY,
            ours: VecDeque::new(),
            theirs: VecDeque::new(),
            rest: Vec::new(),
            way: None,
            guess: None,
            until_next: 0,
            louder: 0,
            open: 0,
            absent: 0,
        }
    }
}

impl Echo {
    /// We play this, 20 ms. While nothing is played nothing needs to be said.
    pub fn play(&mut self, frame: &Frame24k) {
        if self.ahead.len() >= AHEAD {
            self.ahead.pop_front();
        }
        let levels = self.played.levels(frame.samples());
        self.ahead.push_back(levels);
    }

    /// The microphone hears this, of any length; 20 ms is best.
    pub fn hear(&mut self, frame: &Frame16k) -> Heard {
        if self.ahead.is_empty() && self.since_played >= WINDOW + LONGEST_WAY {
            // nothing of ours is in the air, and nothing is compared
            return Heard::Others;
        }
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(frame.samples());
        let mut blocks = rest.chunks_exact(BLOCK);
        let was_new = self.way().is_none();
        let (mut count, mut ours) = (0, 0);
        for block in &mut blocks {
            count += 1;
            ours += usize::from(self.block(block));
        }
        self.rest.extend_from_slice(blocks.remainder());
        match count > 0 && ours == count {
            true if was_new => Heard::OurselvesSoFar,
            true => Heard::Ourselves,
            false => Heard::Others,
        }
    }

    /// By which our sound comes back, as far as is known.
    fn way(&self) -> Option<Way> {
        let guess = self.guess.filter(|guess| guess.holds);
        guess.map(|guess| guess.way).or(self.way)
    }

    /// May the microphone hear what we play, or what we have played just now?
    #[must_use]
    pub fn is_in_the_air(&self) -> bool {
        !self.ahead.is_empty() || self.since_played < LONGEST_WAY
    }

    fn block(&mut self, samples: &[i16]) -> bool {
        let ours = match self.ahead.pop_front() {
            Some(levels) => {
                self.since_played = 0;
                levels
            }
            None => {
                self.since_played = self.since_played.saturating_add(1);
                self.played.levels(&[])
            }
        };
        let theirs = self.heard.levels(samples);
        push(&mut self.ours, ours, WINDOW + LONGEST_WAY);
        push(&mut self.theirs, theirs, WINDOW);
        self.until_next = self.until_next.saturating_sub(1);
        if self.until_next == 0 {
            self.until_next = EVERY;
            self.compare();
        }
        self.explains(&theirs)
    }

    /// Is this no louder than our echo would be?
    fn explains(&mut self, theirs: &Levels) -> bool {
        let Some(Way { delay, gain }) = self.way() else {
            return false;
        };
        let expected = self.expected(delay, &gain);
        let is_expected = expected.iter().any(|level| *level > SILENCE);
        let mut louder = false;
        let mut is_absent = is_expected;
        for (band, (level, expected)) in theirs.iter().zip(&expected).enumerate() {
            let quietest = self.theirs.iter().filter_map(|levels| levels.get(band));
            let noise = quietest.copied().fold(f32::MAX, f32::min).max(SILENCE);
            louder |= *level > expected.max(noise) + MARGIN;
            is_absent &= *level < *expected - ABSENT || *expected < noise + ABSENT;
        }
        self.absent = match is_absent && !louder {
            true => self.absent + 1,
            false if is_expected => 0,
            false => self.absent,
        };
        if self.absent >= GONE {
            (self.way, self.guess, self.absent) = (None, None, 0);
            return false;
        }
        self.louder = (self.louder << 1 | u32::from(louder)) & ((1 << LOOK) - 1);
        if self.louder.count_ones() >= LOUDER {
            self.open = OPEN;
        }
        let is_open = self.open > 0;
        self.open = self.open.saturating_sub(1);
        is_expected && !is_open
    }

    /// How loud our sound is in the caller's room now, as it dies away.
    fn expected(&self, delay: usize, gain: &Levels) -> Levels {
        let mut expected = [f32::MIN; CENTRES.len()];
        let newest = self.ours.len().saturating_sub(1);
        let first = delay.saturating_sub(EARLY);
        for ago in first..=delay + LATE {
            let Some(levels) = newest.checked_sub(ago).and_then(|at| self.ours.get(at)) else {
                break;
            };
            let lost = DECAY * ago.saturating_sub(delay) as f32;
            for ((expected, level), gain) in expected.iter_mut().zip(levels).zip(gain) {
                *expected = expected.max(level + gain - lost);
            }
        }
        expected
    }

    /// Are the last 0.7 s of the microphone like 0.7 s of ours, and by which way did they come?
    fn compare(&mut self) {
        let theirs = self.theirs.make_contiguous();
        let found = match theirs.len() == WINDOW && sounding(theirs) >= LEAST_SOUND {
            true => most_alike(self.ours.make_contiguous(), theirs),
            false => None,
        };
        let Some((likeness, way)) = found else {
            return; // silence says nothing
        };
        let known = self.guess.take().filter(|guess| guess.since < MEMORY);
        self.guess = known.map(|mut guess| {
            guess.since += 1;
            let is_it = guess.way.is_like(&way);
            let least = if guess.holds { STILL } else { SAME };
            guess.holds = is_it && likeness >= least;
            if is_it && likeness >= ALIKE && guess.since >= APART {
                (guess.times, guess.since) = (guess.times + 1, 0);
                guess.way = way;
            }
            guess
        });
        let is_new = self.guess.is_none_or(|guess| !guess.way.is_like(&way));
        if likeness >= ALIKE && is_new {
            self.guess = Some(Guess {
                way,
                times: 1,
                since: 0,
                holds: likeness >= SAME,
            });
        }
        if let Some(guess) = self.guess
            && guess.times >= TIMES
        {
            (self.way, self.absent) = (Some(guess.way), 0);
        }
    }
}

/// The 0.7 s of ours that are most like theirs, how alike they are (-1 to 1), and the way between them.
fn most_alike(ours: &[Levels], theirs: &[Levels]) -> Option<(f32, Way)> {
    let size = |shape: &[f32]| shape.iter().map(|value| value * value).sum::<f32>();
    let heard = shape(theirs);
    let heard_size = size(&heard);
    let windows = ours.windows(WINDOW).rev().enumerate();
    let (likeness, delay, ours) = windows
        .filter(|(_, ours)| sounding(ours) >= LEAST_SOUND)
        .map(|(delay, ours)| {
            let shape = shape(ours);
            let product: f32 = shape.iter().zip(&heard).map(|(a, b)| a * b).sum();
            let likeness = product / (size(&shape) * heard_size).sqrt().max(1e-3);
            (likeness, delay, ours)
        })
        .max_by(|(a, ..), (b, ..)| a.total_cmp(b))?;
    let gain = gain(ours, theirs);
    Some((likeness, Way { delay, gain }))
}

/// How much louder theirs are, in each band, where ours sound.
fn gain(ours: &[Levels], theirs: &[Levels]) -> Levels {
    let floor = loudest(ours) - RANGE;
    std::array::from_fn(|band| {
        let of_band = |levels: &Levels| levels.get(band).copied().unwrap_or(floor);
        let top = ours.iter().map(of_band).fold(f32::MIN, f32::max) - RANGE;
        let pairs = ours.iter().map(of_band).zip(theirs.iter().map(of_band));
        let (sum, count) = pairs
            .filter(|(ours, _)| *ours > top)
            .fold((0.0, 0_u16), |(sum, count), (ours, theirs)| {
                (sum + theirs - ours, count + 1)
            });
        sum / f32::from(count.max(1))
    })
}

fn loudest(levels: &[Levels]) -> f32 {
    levels.iter().flatten().copied().fold(f32::MIN, f32::max)
}

/// How many of the blocks are no silence.
fn sounding(levels: &[Levels]) -> usize {
    let floor = (loudest(levels) - RANGE).max(SILENCE);
    let is_sound = |levels: &&Levels| levels.iter().any(|level| *level > floor);
    levels.iter().filter(is_sound).count()
}

fn push(levels: &mut VecDeque<Levels>, new: Levels, limit: usize) {
    levels.push_back(new);
    let over = levels.len().saturating_sub(limit);
    levels.drain(..over);
}

/// The levels without what is silence, and each band without its mean: the colour of a loudspeaker and its loudness do not matter.
fn shape(levels: &[Levels]) -> Vec<f32> {
    let floor = loudest(levels) - RANGE;
    let mut shape = Vec::with_capacity(levels.len() * CENTRES.len());
    for band in 0..CENTRES.len() {
        let of_band = || {
            let level = |levels: &Levels| levels.get(band).copied().unwrap_or(floor).max(floor);
            levels.iter().map(level)
        };
        let mean = of_band().sum::<f32>() / levels.len().max(1) as f32;
        shape.extend(of_band().map(|level| level - mean));
    }
    shape
}

/// A band-pass filter for each band (R. Bristow-Johnson, "Audio EQ Cookbook": constant peak gain), side by side: so they are computed
/// together.
#[derive(Debug)]
struct Filters {
    bands: [Filter; CENTRES.len()],
    /// The last two samples.
    heard: [f32; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Filter {
    forward: f32,
    back: [f32; 2],
    given: [f32; 2],
    energy: f32,
}

impl Filters {
    fn new(rate: u32) -> Self {
        let bands = CENTRES.map(|centre| {
            let angle = TAU * centre / rate as f32;
            let alpha = angle.sin() / (2.0 * QUALITY);
            Filter {
                forward: alpha / (1.0 + alpha),
                back: [-2.0 * angle.cos(), 1.0 - alpha].map(|value| value / (1.0 + alpha)),
                ..Filter::default()
            }
        });
        Self {
            bands,
            heard: [0.0; 2],
        }
    }

    /// In dB; of no samples the level of silence.
    fn levels(&mut self, samples: &[i16]) -> Levels {
        let mut bands = self.bands;
        for &sample in samples {
            let sample = f32::from(sample);
            let [before, last] = self.heard;
            let rise = sample - before;
            self.heard = [last, sample];
            for band in &mut bands {
                let ([first, second], [given_before, given_last]) = (band.back, band.given);
                let out = band.forward * rise - first * given_last - second * given_before;
                band.given = [given_last, out];
                band.energy += out * out;
            }
        }
        let levels = bands.map(|band| decibels(band.energy, samples.len()));
        self.bands = bands.map(|band| Filter {
            energy: 0.0,
            ..band
        });
        levels
    }
}

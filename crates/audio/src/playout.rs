//! What the caller is about to hear: segments of speech in the order in which they may be played, cut into frames of
//! exactly 20 ms. Sans-I/O: whoever owns the clock asks for a frame every 20 ms.
//!
//! A segment's sound may arrive before or after it is authorised by [`Playout::play`]; it is kept until then. Every sample of
//! a segment that is not cleared leaves exactly once, in order; a pause holds the position to the sample. Where sound is
//! cut it fades over 5 ms, so that nothing clicks.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Frame24k;

/// Samples in a frame: 20 ms.
const FRAME: usize = Frame24k::SAMPLES_20_MS;
/// Samples of a fade: 5 ms, short enough to be part of the one frame after a cut and long enough not to click.
const FADE: usize = FRAME / 4;
/// Samples between two reports of progress: 100 ms.
const PROGRESS: u64 = 5 * FRAME as u64;

/// What has really been played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The first sample of a segment is in the frame just given out.
    Started(u32),
    /// So much of the segment has been given out; every 100 ms.
    Progress(u32, Duration),
    /// The last sample has been given out; the whole length. The only report of a segment without any sound.
    Finished(u32, Duration),
    /// Dropped by [`Playout::clear`]; so much of it was given out, the fade included.
    Cleared(u32, Duration),
}

/// Segments of speech on their way to the caller.
#[derive(Debug, Default)]
pub struct Playout {
    /// Authorised segments, the one being played first.
    playing: VecDeque<Segment>,
    /// Segments whose sound arrives before they may be played.
    waiting: Vec<Segment>,
    reports: VecDeque<Report>,
    /// The faded end of what was cut, to be given out next.
    tail: Vec<i16>,
    paused: bool,
    /// Samples of the fade-in after a pause that are still to come.
    fade_in: usize,
    /// The frame before this one was sound (so that a cut has to fade).
    sounding: bool,
}

#[derive(Debug)]
struct Segment {
    id: u32,
    samples: VecDeque<i16>,
    /// Given out so far.
    played: u64,
    /// No more sound will come.
    complete: bool,
}

impl Segment {
    fn played(&self) -> Duration {
        duration(self.played)
    }
}

impl Playout {
    /// Nothing to play.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sound of this segment is on its way; from now on it is known. One that is known already begins anew in its place,
    /// unless some of it was played: false, and it stays as it is.
    pub fn open(&mut self, id: u32) -> bool {
        match self.segment(id) {
            None => self.waiting.push(Segment {
                id,
                samples: VecDeque::new(),
                played: 0,
                complete: false,
            }),
            Some(known) if known.played == 0 => {
                known.samples.clear();
                known.complete = false;
            }
            Some(_) => return false,
        }
        true
    }

    /// More sound of a segment. Ignored when the segment is complete or not known (any more).
    pub fn append(&mut self, id: u32, frame: &Frame24k) {
        if let Some(segment) = self.segment(id).filter(|segment| !segment.complete) {
            segment.samples.extend(frame.samples());
        }
    }

    /// No more sound of this segment will come.
    pub fn finish(&mut self, id: u32) {
        if let Some(segment) = self.segment(id) {
            segment.complete = true;
        }
    }

    /// This segment may be played, after those before it. A segment of which nothing has arrived holds the place of what
    /// will; one that is not known counts as complete and empty.
    pub fn play(&mut self, id: u32) {
        if self.playing.iter().any(|segment| segment.id == id) {
            return;
        }
        let at = self.waiting.iter().position(|segment| segment.id == id);
        let unknown = || Segment {
            id,
            samples: VecDeque::new(),
            played: 0,
            complete: true,
        };
        self.playing
            .push_back(at.map_or_else(unknown, |at| self.waiting.remove(at)));
    }

    /// Forget a segment that was not authorised yet; one that was is complete with what was given out.
    pub fn discard(&mut self, id: u32) {
        self.waiting.retain(|segment| segment.id != id);
        if !self.paused && self.playing.front().is_some_and(|first| first.id == id) {
            self.cut();
        }
        if let Some(segment) = self.playing.iter_mut().find(|segment| segment.id == id) {
            segment.samples.clear();
            segment.complete = true;
        }
    }

    /// Hold the position. The next frame fades out and is the last one.
    pub fn pause(&mut self) {
        if !self.paused {
            self.paused = true;
            self.cut();
        }
    }

    /// Go on with the next sample, faded in.
    pub fn resume(&mut self) {
        if self.paused {
            self.paused = false;
            self.fade_in = FADE;
        }
    }

    /// Drop everything that is authorised, and a pause. The next frame fades out and is the last one.
    pub fn clear(&mut self) {
        if !self.paused {
            self.cut();
        }
        for segment in self.playing.drain(..) {
            self.reports
                .push_back(Report::Cleared(segment.id, segment.played()));
        }
        self.paused = false;
        self.fade_in = 0;
    }

    /// The next 20 ms, or `None` when there is nothing to play now: all is played, held, or late.
    pub fn next_frame(&mut self) -> Option<Frame24k> {
        if !self.tail.is_empty() {
            let mut samples = std::mem::take(&mut self.tail);
            samples.resize(FRAME, 0);
            self.sounding = false;
            return Some(Frame24k::new(samples));
        }
        if self.paused {
            return None;
        }
        if !self.can_fill() {
            self.end_complete();
            self.sounding = false;
            return None;
        }
        let mut samples = Vec::with_capacity(FRAME);
        while samples.len() < FRAME && self.take_from_first(&mut samples) {}
        self.fade_in(&mut samples);
        samples.resize(FRAME, 0);
        self.sounding = true;
        Some(Frame24k::new(samples))
    }

    /// The oldest report that was not taken yet. Take them all after every call of another method.
    pub fn report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }

    /// Is there a report to be taken?
    pub fn has_reports(&self) -> bool {
        !self.reports.is_empty()
    }

    /// Would [`next_frame`](Self::next_frame) give or report something now?
    pub fn is_ready(&self) -> bool {
        let first_ends = self
            .playing
            .front()
            .is_some_and(|first| first.complete && first.samples.is_empty());
        !self.tail.is_empty() || (!self.paused && (first_ends || self.can_fill()))
    }

    /// Is something authorised that has not been played to its end (paused or late, too)?
    pub fn is_active(&self) -> bool {
        !self.playing.is_empty()
    }

    /// Is it held?
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Sound of this segment that is not given out yet.
    pub fn buffered(&self, id: u32) -> Duration {
        let segment = self
            .playing
            .iter()
            .chain(&self.waiting)
            .find(|segment| segment.id == id);
        duration(segment.map_or(0, |segment| segment.samples.len() as u64))
    }

    /// Is this segment known: waiting, or authorised and not played to its end?
    pub fn contains(&self, id: u32) -> bool {
        self.playing
            .iter()
            .chain(&self.waiting)
            .any(|segment| segment.id == id)
    }

    fn segment(&mut self, id: u32) -> Option<&mut Segment> {
        self.playing
            .iter_mut()
            .chain(&mut self.waiting)
            .find(|segment| segment.id == id)
    }

    /// A whole frame, or the last part of what there is? Half a frame in the middle of late speech would be a gap more.
    fn can_fill(&self) -> bool {
        let mut there = 0;
        for segment in &self.playing {
            there += segment.samples.len();
            if there >= FRAME {
                return true;
            }
            if !segment.complete {
                // The sound of earlier, complete segments does not wait for the first of a later one.
                return there > segment.samples.len();
            }
        }
        there > 0
    }

    /// Move samples of the first segment into the frame, and report. False when there is nothing to move.
    fn take_from_first(&mut self, out: &mut Vec<i16>) -> bool {
        self.end_complete();
        let Some(first) = self.playing.front_mut() else {
            return false;
        };
        let room = FRAME - out.len();
        let count = first.samples.len().min(room);
        if count == 0 || (count < room && !first.complete) {
            return false;
        }
        if first.played == 0 {
            self.reports.push_back(Report::Started(first.id));
        }
        out.extend(first.samples.drain(..count));
        let before = first.played / PROGRESS;
        first.played += count as u64;
        if first.played / PROGRESS != before {
            self.reports
                .push_back(Report::Progress(first.id, first.played()));
        }
        self.end_complete();
        true
    }

    /// Segments at the front that are played to their end.
    fn end_complete(&mut self) {
        while let Some(first) = self
            .playing
            .front()
            .filter(|first| first.complete && first.samples.is_empty())
        {
            self.reports
                .push_back(Report::Finished(first.id, first.played()));
            self.playing.pop_front();
        }
    }

    /// Give out 5 ms more of what was sounding, faded.
    fn cut(&mut self) {
        if !self.sounding || !self.tail.is_empty() {
            return;
        }
        let mut tail = Vec::with_capacity(FADE);
        while tail.len() < FADE {
            let Some(first) = self.playing.front_mut() else {
                break;
            };
            let count = first.samples.len().min(FADE - tail.len());
            if count == 0 || first.played == 0 {
                break; // nothing more has come, or the next segment has not begun: there is nothing to fade
            }
            tail.extend(first.samples.drain(..count));
            first.played += count as u64;
            self.end_complete();
        }
        for (index, sample) in tail.iter_mut().enumerate() {
            *sample = scaled(*sample, FADE - index, FADE + 1);
        }
        self.tail = tail;
    }

    fn fade_in(&mut self, samples: &mut [i16]) {
        for sample in samples {
            if self.fade_in == 0 {
                break;
            }
            *sample = scaled(*sample, FADE + 1 - self.fade_in, FADE + 1);
            self.fade_in -= 1;
        }
    }
}

fn duration(samples: u64) -> Duration {
    Duration::from_micros(samples.saturating_mul(1_000_000) / u64::from(Frame24k::RATE_HZ))
}

fn scaled(sample: i16, part: usize, whole: usize) -> i16 {
    let scaled = i64::from(sample) * part as i64 / whole as i64;
    i16::try_from(scaled).unwrap_or(sample) // part <= whole: it always fits
}

#[cfg(test)]
mod tests;

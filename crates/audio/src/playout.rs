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

    /// Sound of this segment is on its way; from now on it is known.
    pub fn open(&mut self, id: u32) {
        if !self.contains(id) {
            self.waiting.push(Segment {
                id,
                samples: VecDeque::new(),
                played: 0,
                complete: false,
            });
        }
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

    /// Forget a segment that was not authorised yet; one that was is complete with what has arrived.
    pub fn discard(&mut self, id: u32) {
        self.waiting.retain(|segment| segment.id != id);
        if let Some(segment) = self.playing.iter_mut().find(|segment| segment.id == id) {
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
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use proptest::prelude::*;

    use super::*;

    /// Samples that say which segment they are of and where in it (never zero).
    fn sound(id: u32, from: usize, count: usize) -> Frame24k {
        Frame24k::new((from..from + count).map(|at| sample(id, at)).collect())
    }

    fn sample(id: u32, at: usize) -> i16 {
        i16::try_from(id as usize * 5000 + at % 4999 + 1).unwrap()
    }

    fn reports(playout: &mut Playout) -> Vec<Report> {
        std::iter::from_fn(|| playout.report()).collect()
    }

    fn with_segment(id: u32, samples: usize) -> Playout {
        let mut playout = Playout::new();
        playout.open(id);
        playout.append(id, &sound(id, 0, samples));
        playout
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn speech_waits_for_permission_and_then_leaves_in_frames_of_20_ms() {
        let mut playout = with_segment(1, FRAME + 10);
        assert_eq!(playout.next_frame(), None);
        playout.play(1);
        assert_eq!(playout.next_frame().unwrap(), sound(1, 0, FRAME));
        assert_eq!(
            playout.next_frame(),
            None,
            "half a frame in the middle of late speech waits"
        );
        playout.finish(1);
        let last = playout.next_frame().unwrap();
        assert_eq!(last.samples()[..10], *sound(1, FRAME, 10).samples());
        assert!(last.samples()[10..].iter().all(|sample| *sample == 0));
        assert_eq!(
            reports(&mut playout),
            [
                Report::Started(1),
                Report::Finished(1, Duration::from_micros(20_416))
            ]
        );
        assert!(!playout.is_active());
    }

    #[test]
    fn segments_follow_each_other_without_a_gap() {
        let mut playout = with_segment(1, 100);
        playout.finish(1);
        playout.open(2);
        playout.append(2, &sound(2, 0, FRAME));
        playout.play(1);
        playout.play(2);
        let frame = playout.next_frame().unwrap();
        assert_eq!(frame.samples()[100..], *sound(2, 0, FRAME - 100).samples());
    }

    #[test]
    fn after_a_cut_one_frame_fades_out_and_then_there_is_silence() {
        let mut playout = with_segment(1, 10 * FRAME);
        playout.play(1);
        playout.next_frame().unwrap();
        playout.clear();
        assert_eq!(
            reports(&mut playout),
            [Report::Started(1), Report::Cleared(1, ms(25))]
        );
        let fading = playout.next_frame().unwrap();
        assert!(fading.samples()[0] > fading.samples()[FADE - 1]);
        assert!(fading.samples()[FADE - 1] < 100, "it ends near silence");
        assert!(fading.samples()[FADE..].iter().all(|sample| *sample == 0));
        assert_eq!(playout.next_frame(), None);
    }

    #[test]
    fn sound_that_arrives_after_a_cut_is_forgotten() {
        let mut playout = with_segment(1, FRAME);
        playout.play(1);
        playout.clear();
        playout.append(1, &sound(1, FRAME, FRAME));
        assert!(!playout.contains(1));
        playout.play(1);
        assert_eq!(playout.next_frame(), None);
        assert_eq!(
            reports(&mut playout),
            [Report::Cleared(1, ms(0)), Report::Finished(1, ms(0))]
        );
    }

    #[test]
    fn a_segment_without_sound_is_over_in_its_turn() {
        let mut playout = with_segment(1, 2 * FRAME);
        playout.finish(1);
        playout.open(2);
        playout.finish(2);
        playout.play(1);
        playout.play(2);
        playout.next_frame().unwrap();
        assert_eq!(reports(&mut playout), [Report::Started(1)]);
        playout.next_frame().unwrap();
        assert_eq!(
            reports(&mut playout),
            [Report::Finished(1, ms(40)), Report::Finished(2, ms(0))]
        );
    }

    #[derive(Clone, Debug)]
    enum Step {
        Append(u32, usize),
        Finish(u32),
        Play(u32),
        Pause,
        Resume,
        Frame,
    }

    fn step(pauses: bool) -> impl Strategy<Value = Step> {
        let id = 0u32..4;
        prop_oneof![
            4 => (id.clone(), 0usize..1500).prop_map(|(id, count)| Step::Append(id, count)),
            1 => id.clone().prop_map(Step::Finish),
            2 => id.prop_map(Step::Play),
            1 => Just(if pauses { Step::Pause } else { Step::Frame }),
            2 => Just(if pauses { Step::Resume } else { Step::Frame }),
            8 => Just(Step::Frame),
        ]
    }

    /// Runs the steps, then lets everything come to its end. Gives what was played and what was reported and expected.
    fn run(steps: Vec<Step>) -> (Vec<i16>, Vec<Report>, Vec<(u32, usize)>) {
        let mut playout = Playout::new();
        let mut lengths = [0usize; 4];
        let mut finished = [false; 4];
        let mut order = Vec::new();
        let (mut out, mut seen) = (Vec::new(), Vec::new());
        (0..4).for_each(|id| playout.open(id));
        let end = (0..4)
            .flat_map(|id| [Step::Play(id), Step::Finish(id)])
            .chain([Step::Resume]);
        for step in steps
            .into_iter()
            .chain(end)
            .chain(std::iter::repeat_n(Step::Frame, 2000))
        {
            match step {
                Step::Append(id, count) => {
                    playout.append(id, &sound(id, lengths[id as usize], count));
                    lengths[id as usize] += if finished[id as usize] { 0 } else { count };
                }
                Step::Finish(id) => {
                    playout.finish(id);
                    finished[id as usize] = true;
                }
                Step::Play(id) => {
                    if !order.contains(&id) {
                        order.push(id);
                        playout.play(id);
                    }
                }
                Step::Pause => playout.pause(),
                Step::Resume => playout.resume(),
                Step::Frame => {
                    if let Some(frame) = playout.next_frame() {
                        assert_eq!(frame.samples().len(), FRAME);
                        out.extend_from_slice(frame.samples());
                    }
                }
            }
            seen.extend(reports(&mut playout));
        }
        (
            out,
            seen,
            order
                .into_iter()
                .map(|id| (id, lengths[id as usize]))
                .collect(),
        )
    }

    fn check_reports(seen: &[Report], expected: &[(u32, usize)]) {
        let finished: Vec<_> = seen
            .iter()
            .filter_map(|r| {
                if let Report::Finished(id, played) = r {
                    Some((*id, *played))
                } else {
                    None
                }
            })
            .collect();
        let lengths: Vec<_> = expected
            .iter()
            .map(|(id, length)| (*id, duration(*length as u64)))
            .collect();
        assert_eq!(
            finished, lengths,
            "every segment ends once, in order, with its whole length"
        );
        for (id, _) in expected {
            let of: Vec<Duration> = seen
                .iter()
                .filter_map(|r| {
                    if let Report::Progress(i, played) = r {
                        (i == id).then_some(*played)
                    } else {
                        None
                    }
                })
                .collect();
            assert!(of.is_sorted());
        }
    }

    proptest! {
        #[test]
        fn every_sample_is_played_exactly_once_and_in_order(steps in prop::collection::vec(step(false), 0..60)) {
            let (out, seen, expected) = run(steps);
            let heard: Vec<i16> = out.into_iter().filter(|sample| *sample != 0).collect();
            let whole: Vec<i16> = expected.iter().flat_map(|(id, length)| (0..*length).map(|at| sample(*id, at))).collect();
            prop_assert_eq!(heard, whole);
            check_reports(&seen, &expected);
        }

        #[test]
        fn pauses_lose_and_repeat_nothing(steps in prop::collection::vec(step(true), 0..60)) {
            let (out, seen, expected) = run(steps);
            check_reports(&seen, &expected);
            // Faded samples are quieter, all others are untouched: walk along both.
            let whole: Vec<i16> = expected.iter().flat_map(|(id, length)| (0..*length).map(|at| sample(*id, at))).collect();
            let exact = out.iter().filter(|sample| **sample != 0).count();
            prop_assert!(exact <= whole.len());
            let mut at = whole.iter();
            for sample in out.iter().filter(|sample| **sample != 0) {
                prop_assert!(at.any(|original| original == sample || *sample < *original), "{} is not in order", sample);
            }
        }

        #[test]
        fn a_clear_at_any_moment_ends_every_segment_once_and_leaves_one_frame(steps in prop::collection::vec(step(true), 0..60)) {
            let mut playout = Playout::new();
            (0..4).for_each(|id| playout.open(id));
            let mut ended = Vec::new();
            let mut authorised: Vec<u32> = Vec::new();
            let mut given = 0usize;
            for step in steps {
                match step {
                    Step::Append(id, count) => playout.append(id, &sound(id, 0, count)),
                    Step::Finish(id) => playout.finish(id),
                    Step::Play(id) if authorised.contains(&id) => {}
                    Step::Play(id) => { authorised.push(id); playout.play(id) }
                    Step::Pause => playout.pause(),
                    Step::Resume => playout.resume(),
                    Step::Frame => given += playout.next_frame().map_or(0, |f| f.samples().iter().filter(|s| **s != 0).count()),
                }
                ended.extend(reports(&mut playout));
            }
            playout.clear();
            ended.extend(reports(&mut playout));
            given += playout.next_frame().map_or(0, |f| f.samples().iter().filter(|s| **s != 0).count());
            prop_assert_eq!(playout.next_frame(), None);
            let mut ids: Vec<u32> = ended.iter().filter_map(|r| match r { Report::Finished(id, _) | Report::Cleared(id, _) => Some(*id), _ => None }).collect();
            let played: Duration = ended.iter().map(|r| match r { Report::Finished(_, p) | Report::Cleared(_, p) => *p, _ => Duration::ZERO }).sum();
            prop_assert!(duration(given as u64) <= played + ms(1), "heard {:?} of {:?}", duration(given as u64), played);
            ids.sort_unstable();
            authorised.sort_unstable();
            prop_assert_eq!(ids, authorised);
        }
    }
}

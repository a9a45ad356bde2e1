//! The agent's mouth: what one speech says aloud, from words to sound.
//!
//! It **owns** the words that are not cut into pieces yet, and the ledger of the pieces: what TTS has made of each, what the
//! playout has played, what was shown. It **is told** the model's words, what TTS and playout report, and when to be silent. It
//! **answers** what was heard, what is still to come, and when it has waited for too long. It never sees the conversation.

mod late;
mod segment;
#[cfg(test)]
mod tests;

use crate::action::Action;
use crate::core::Core;
use crate::event::Event;
use crate::ids::{SegmentId, SpeechId};
use crate::input::{Playout, Tts};
use crate::limits::{MAX_SEGMENT_DURATION, MAX_SEGMENTS_AHEAD};
use antiphon_chat::MessageMetrics;
use antiphon_chat::time::{Duration, Instant};
use antiphon_text::{Chunker, Tongue};

pub(crate) use late::Overdue;
pub(crate) use segment::Segment;
use segment::{Playing, Synthesis};

/// See above. The words of several steps stand one behind the other; only those of the last one may still grow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mouth {
    /// Words of the present step that are not cut yet.
    chunker: Chunker,
    segments: Vec<Segment>,
    /// Counted from 0.
    step: usize,
    /// When the first sound was played.
    audible_since: Option<Instant>,
    /// Something was shown in the transcript.
    shown: bool,
    /// A first piece was given to TTS before anybody knew that it would be said: once, also when that fails.
    is_ahead: bool,
}

/// What came of the playout's report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Played {
    /// It is about nothing that is known.
    Nothing,
    /// The first sound of all.
    Begins,
    /// It counts.
    GoesOn,
    /// It has dropped what nobody had stopped.
    Dropped,
}

/// What was heard of one step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) text: String,
    /// The voice has failed after some of it was heard.
    pub(crate) is_torn: bool,
    /// When there were first words for TTS.
    pub(crate) first_words_at: Option<Instant>,
    /// What the mouth knows of its times.
    pub(crate) metrics: MessageMetrics,
}

impl Mouth {
    /// All words are known already.
    pub(crate) fn of_text(text: &str) -> Self {
        Self {
            chunker: Chunker::whole(text),
            ..Self::default()
        }
    }

    // words

    /// More words.
    pub(crate) fn say(&mut self, text: &str) {
        self.chunker.push(text);
    }

    /// The words of the step are complete.
    pub(crate) fn complete(&mut self) {
        self.chunker.finish();
    }

    /// What has no piece yet is not said: half a sentence is better not begun.
    pub(crate) fn break_off(&mut self) {
        self.chunker.abandon();
    }

    /// What is said from here on belongs to the next step.
    pub(crate) fn begin_step(&mut self, core: &mut Core) {
        self.cut_all(core);
        self.chunker = Chunker::default();
        self.step += 1;
    }

    fn cut_pieces(&mut self, core: &mut Core) {
        while let Some(text) = self.chunker.next_piece() {
            // no voice has a sound for dots and dashes alone
            if text.contains(char::is_alphanumeric) {
                let id = core.segment_id();
                let segment = Segment::new(id, text, self.step, core.now);
                self.segments.push(segment);
            }
        }
    }

    /// No more words of the step come: all that are known are cut, so that they count as said even when nothing is heard of them.
    pub(crate) fn cut_all(&mut self, core: &mut Core) {
        self.complete();
        self.cut_pieces(core);
    }

    /// The words of the present step were not meant for the caller: those that were not heard are dropped. `is_silent`:
    /// nothing sounds, so that the playout can be emptied.
    pub(crate) fn withdraw(&mut self, core: &mut Core, is_silent: bool) {
        let step = self.step;
        let is_free = self.segments.iter().all(|own| match own.playing {
            Playing::Audible => false,
            Playing::Queued => own.step == step,
            Playing::Kept | Playing::Over { .. } => true,
        });
        self.chunker = Chunker::default();
        let unheard = |own: &mut Segment| match own.playing {
            _ if own.step != step => false,
            Playing::Kept => true,
            Playing::Queued => is_silent && is_free,
            Playing::Audible | Playing::Over { .. } => false,
        };
        let dropped: Vec<Segment> = self.segments.extract_if(.., unheard).collect();
        if dropped.iter().any(Segment::in_playout) {
            core.act(Action::ClearPlayout);
        }
        cancel(core, &dropped);
    }

    /// Something makes no sound yet.
    pub(crate) fn has_silent(&self) -> bool {
        self.segments.iter().any(Segment::is_without_sound)
    }

    /// What makes no sound yet is dropped.
    pub(crate) fn drop_silent(&mut self, core: &mut Core) {
        self.break_off();
        let silent = |own: &mut Segment| own.is_without_sound();
        let dropped: Vec<Segment> = self.segments.extract_if(.., silent).collect();
        cancel(core, &dropped);
    }

    // to TTS and playout

    /// The first piece goes to TTS though nobody knows whether it is going to be said.
    pub(crate) fn make_first(&mut self, core: &mut Core, tongue: Tongue) {
        self.cut_pieces(core);
        if let Some(first) = self.segments.first_mut().filter(|_| !self.is_ahead) {
            self.is_ahead = true;
            first.synthesize(core, tongue);
        }
    }

    /// Cuts, asks for, and plays what the bounds allow, in order.
    pub(crate) fn go_on(&mut self, core: &mut Core, tongue: Tongue, may_play: bool) {
        self.cut_pieces(core);
        let mut ahead = self.count_ahead();
        let mut next = true;
        for segment in self.segments.iter_mut().filter(|own| !own.is_over()) {
            if segment.synthesis == Synthesis::Wanted {
                if ahead >= MAX_SEGMENTS_AHEAD {
                    break;
                }
                ahead += 1;
                segment.synthesize(core, tongue);
            }
            if may_play && segment.playing == Playing::Kept {
                segment.playing = Playing::Queued;
                segment.next_at = next.then_some(core.now);
                segment.resumed(core.now);
                core.act(Action::Play { id: segment.id });
            }
            next = false;
        }
    }

    /// Asked of TTS and not played to their end.
    pub(crate) fn count_ahead(&self) -> usize {
        self.segments.iter().filter(|own| own.is_ahead()).count()
    }

    /// The caller makes a sound: it waits. Was the playout stopped for it?
    pub(crate) fn hold(&mut self, core: &mut Core) -> bool {
        let paused = self.in_playout();
        if paused {
            core.act(Action::PausePlayout);
            let now = core.now;
            self.segments.iter_mut().for_each(|own| own.estimate(now));
        }
        paused
    }

    /// It was nothing: goes on.
    pub(crate) fn resume(&mut self, now: Instant) {
        let open = self.segments.iter_mut().filter(|own| !own.is_over());
        open.for_each(|own| own.resumed(now));
    }

    /// No sound of it from here on. What the playout had of it is known when it has reported, or when [`Mouth::settle`] is
    /// called. `paused`: the playout stood still.
    pub(crate) fn stop(&mut self, core: &mut Core, paused: bool) {
        self.break_off();
        let now = core.now;
        for segment in &mut self.segments {
            if segment.is_unfinished() {
                core.act(Action::CancelSynthesis { id: segment.id });
            }
            if !paused {
                segment.estimate(now);
            }
            if !segment.in_playout() {
                let whole = matches!(segment.playing, Playing::Over { whole: true });
                segment.playing = Playing::Over { whole };
            }
        }
    }

    /// Nothing more is reported of what was stopped.
    pub(crate) fn settle(&mut self) {
        for segment in self.segments.iter_mut().filter(|own| own.in_playout()) {
            let complete = matches!(segment.synthesis, Synthesis::Complete(_));
            let whole = segment.playing != Playing::Queued
                && complete
                && segment.heard() == segment.text.len();
            segment.playing = Playing::Over { whole };
        }
    }

    // what TTS and playout report

    /// Is it the first sound of a piece? Then TTS works.
    pub(crate) fn on_tts(&mut self, core: &mut Core, id: SegmentId, event: Tts) -> bool {
        let Some(segment) = self.segments.iter_mut().find(|own| own.id == id) else {
            return false;
        };
        if matches!(segment.synthesis, Synthesis::Wanted | Synthesis::Failed) {
            return false;
        }
        segment.sign_at = core.now;
        match event {
            Tts::FirstAudio if segment.synthesis == Synthesis::Asked => {
                segment.synthesis = Synthesis::Arriving;
                segment.first_audio_at = Some(core.now);
                return true;
            }
            Tts::FirstAudio | Tts::Failed(_) => {}
            Tts::Words(words) => segment.add_words(words),
            Tts::Finished { duration } => {
                let duration = duration.min(MAX_SEGMENT_DURATION);
                segment.synthesis = Synthesis::Complete(duration);
                if duration.is_zero() && matches!(segment.playing, Playing::Kept | Playing::Queued)
                {
                    // TTS has nothing to say for it: do not wait for a playout of nothing
                    segment.playing = Playing::Over { whole: false };
                }
            }
        }
        false
    }

    /// TTS could not make a piece before anybody knew that it is going to be said. It is asked again when it is, with all the
    /// time that a piece has.
    pub(crate) fn failed_ahead(&mut self, core: &mut Core, id: SegmentId) -> bool {
        let Some(segment) = self.coming(id) else {
            return false;
        };
        segment.try_again();
        segment.asked_at = None;
        core.act(Action::CancelSynthesis { id });
        true
    }

    /// TTS has failed with a piece. If nothing of it was heard it is tried once more; then it is left out. Nothing else stops
    /// for it. What has come of it stays in the playout until it is asked for again or dropped. The words of a piece that is
    /// lost, or the end of it.
    pub(crate) fn failed(&mut self, core: &mut Core, id: SegmentId) -> Option<String> {
        let segment = self.coming(id)?;
        if segment.may_be_tried_again() {
            segment.try_again();
            return None;
        }
        let text = segment.text.clone();
        if segment.playing == Playing::Audible || segment.synthesis == Synthesis::Arriving {
            // what has come is played
            segment.synthesis = Synthesis::Failed;
            segment.sign_at = core.now;
        } else {
            segment.give_up(core);
        }
        Some(text)
    }

    fn coming(&mut self, id: SegmentId) -> Option<&mut Segment> {
        let segment = self.segments.iter_mut().find(|own| own.id == id);
        segment.filter(|own| own.is_coming())
    }

    /// `stopped`: no sound of it was wanted any more.
    pub(crate) fn on_playout(&mut self, playout: Playout, now: Instant, stopped: bool) -> Played {
        let (Playout::Started { id }
        | Playout::Progress { id, .. }
        | Playout::Finished { id, .. }
        | Playout::Cleared { id, .. }) = playout;
        let at = self.segments.iter().position(|own| own.id == id);
        let Some((before, segment)) = at.and_then(|at| {
            let (before, rest) = self.segments.split_at_mut_checked(at)?;
            Some((before, rest.first_mut()?))
        }) else {
            return Played::Nothing;
        };
        if !segment.in_playout() {
            return Played::Nothing;
        }
        segment.on_playout(playout, now);
        if stopped {
            return Played::GoesOn;
        }
        // the ones before it are over, whether or not that was said
        let earlier = before.iter_mut().filter(|own| own.in_playout());
        earlier.for_each(Segment::ends);
        if let Playout::Cleared { .. } = playout {
            return Played::Dropped;
        }
        if self.audible_since.is_some() {
            return Played::GoesOn;
        }
        self.audible_since = Some(now);
        Played::Begins
    }

    /// The transcript follows the voice.
    pub(crate) fn show(&mut self, core: &mut Core, speech: SpeechId) {
        let (mut step, mut first_of_step) = (usize::MAX, true);
        for at in 0..self.segments.len() {
            let of = self.segments.get(at).map_or(step, |own| own.step);
            if of != step {
                step = of;
                first_of_step = self.pieces(step).all(|own| own.shown == 0);
            }
            let gap = self.shown || !first_of_step;
            let Some((id, delta)) = self.segments.get_mut(at).and_then(|own| own.show(gap)) else {
                continue;
            };
            core.emit(Event::AgentTranscript {
                speech,
                segment: Some(id),
                delta,
                is_final: false,
                interrupted: false,
            });
            first_of_step = false;
            self.shown = true;
        }
    }

    /// A step is over: it counts as shown though nothing of it was heard.
    pub(crate) fn mark_shown(&mut self, step: usize) {
        self.shown |= self.has_pieces(step);
    }

    // questions

    /// All pieces of a step.
    pub(crate) fn pieces(&self, step: usize) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(move |own| own.step == step)
    }

    pub(crate) fn has_pieces(&self, step: usize) -> bool {
        self.pieces(step).next().is_some()
    }

    pub(crate) fn has_piece(&self, id: SegmentId) -> bool {
        self.segments.iter().any(|own| own.id == id)
    }

    /// All words of the step that are known have been played or dropped.
    pub(crate) fn has_said(&self, step: usize) -> bool {
        (step < self.step || self.chunker.is_empty()) && self.pieces(step).all(Segment::is_over)
    }

    /// All pieces have been played or dropped.
    pub(crate) fn is_silent(&self) -> bool {
        self.segments.iter().all(Segment::is_over)
    }

    pub(crate) fn is_audible(&self) -> bool {
        self.segments
            .iter()
            .any(|own| own.playing == Playing::Audible)
    }

    pub(crate) fn audible_since(&self) -> Option<Instant> {
        self.audible_since
    }

    pub(crate) fn in_playout(&self) -> bool {
        self.segments.iter().any(Segment::in_playout)
    }

    pub(crate) fn has_shown(&self) -> bool {
        self.shown
    }

    /// When the last of it was heard, as far as reported.
    pub(crate) fn heard_until(&self) -> Option<Instant> {
        self.segments.iter().filter_map(Segment::heard_until).max()
    }

    /// The words whose sound had begun at that moment.
    pub(crate) fn begun_by(&self, at: Instant) -> String {
        let mut text = String::new();
        for segment in &self.segments {
            text.push_str(segment.begun_by(at));
            text.push(' ');
        }
        text
    }

    /// The voice has failed so that the caller has not heard the end, or nothing of what was to be said last. What is missing
    /// before that is no reason to begin again.
    pub(crate) fn is_torn(&self) -> bool {
        self.is_unheard() || self.segments.last().is_some_and(Segment::is_torn)
    }

    /// The words of the last step were to be heard, and the voice made no sound of them.
    pub(crate) fn is_unheard(&self) -> bool {
        let unheard = |own: &Segment| own.is_over() && own.heard() == 0;
        self.has_pieces(self.step) && self.pieces(self.step).all(unheard)
    }

    /// Pieces could not be made.
    pub(crate) fn has_failed(&self) -> bool {
        self.segments.iter().any(Segment::is_torn)
    }

    /// What of the pieces that are over was not heard.
    pub(crate) fn not_heard(&self) -> impl Iterator<Item = (SegmentId, &str)> {
        let lost = |own: &&Segment| own.playing == Playing::Over { whole: false };
        self.segments.iter().filter(lost).filter_map(|own| {
            let rest = own.text.get(own.heard()..).unwrap_or_default().trim();
            (!rest.is_empty()).then_some((own.id, rest))
        })
    }

    /// Everything that the step has said and is going to say, as far as known.
    pub(crate) fn planned(&self, step: usize) -> String {
        let rest = match step == self.step {
            true => self.chunker.rest(),
            false => String::new(),
        };
        let pieces = self.pieces(step).map(Segment::planned);
        joined(pieces.chain([rest.as_str()]))
    }

    /// What was heard of the step, and when.
    pub(crate) fn heard(&self, step: usize) -> Heard {
        let pieces = || self.pieces(step);
        let first = pieces().next();
        Heard {
            text: joined(pieces().map(Segment::heard_text)),
            is_torn: pieces().any(|own| own.is_torn() && own.heard() > 0),
            first_words_at: first.map(|own| own.made_at),
            metrics: MessageMetrics {
                started_speaking_at: pieces().find_map(|own| own.audible_at),
                stopped_speaking_at: pieces().filter_map(Segment::heard_until).max(),
                tts_node_ttfb: first.and_then(Segment::ttfb),
                playback_latency: first.and_then(Segment::playback_latency),
                ..MessageMetrics::default()
            },
        }
    }

    /// The first piece of all: its step, when it had its words, and how long TTS took for its first sound.
    pub(crate) fn first_piece(&self) -> Option<(usize, Instant, Option<Duration>)> {
        let first = self.segments.first()?;
        Some((first.step, first.made_at, first.ttfb()))
    }
}

/// TTS need not go on with these.
fn cancel(core: &mut Core, segments: &[Segment]) {
    for segment in segments.iter().filter(|own| own.is_ahead()) {
        core.act(Action::CancelSynthesis { id: segment.id });
    }
}

fn joined<'a>(pieces: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for piece in pieces.filter(|piece| !piece.is_empty()) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(piece);
    }
    text
}

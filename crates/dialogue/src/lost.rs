//! Pieces of speech that cannot be voiced. One that fails or hangs before anything of it was heard is tried once more; then
//! it is left out. Nothing else stops for it: not what plays, not the model, not a tool.

use crate::action::Action;
use crate::event::{Component, Event};
use crate::ids::SegmentId;
use crate::machine::Dialogue;
use crate::segment::{Playing, Segment, Synthesis};
use crate::speech::Speech;
use crate::voice::cut_pieces;

impl Dialogue {
    /// TTS says that it has failed. What has come of the piece stays in the playout until it is asked for again or dropped.
    pub(crate) fn synthesis_failed(&mut self, id: SegmentId, message: &str) {
        if let Some(kept) = self.speculation.as_mut()
            && let Some(segment) = kept.step.segments.iter_mut().find(|own| own.id == id)
            && segment.is_coming()
        {
            // asked again after the commit, with all the time that a piece has
            segment.try_again();
            segment.asked_at = None;
            return self.core.act(Action::CancelSynthesis { id });
        }
        let now = self.core.now;
        let Some(segment) = self.coming(id) else {
            return;
        };
        if segment.may_be_tried_again() {
            return segment.try_again();
        }
        let heard = segment.playing == Playing::Audible;
        if heard || segment.synthesis == Synthesis::Arriving {
            // what has come is played
            segment.synthesis = Synthesis::Failed;
            segment.sign_at = now;
            self.piece_is_lost(id, message);
        } else {
            self.leave_out(id, message);
        }
    }

    /// Nothing more comes of it. By now all that had come has been played. A voice that hangs twice in a row is not waited for
    /// again in this speech.
    pub(crate) fn voice_hangs(&mut self, id: SegmentId, message: &str) {
        self.leave_out(id, message);
        let Some(speech) = self.floor.speech_mut() else {
            return;
        };
        let before = speech.segments().take_while(|segment| segment.id != id);
        if !before.last().is_some_and(Segment::is_torn) {
            return;
        }
        for step in &mut speech.steps {
            // what is given up counts as missing
            step.chunker.finish();
            cut_pieces(&mut self.core, step);
            let unasked = |segment: &&mut Segment| segment.synthesis == Synthesis::Wanted;
            for segment in step.segments.iter_mut().filter(unasked) {
                segment.playing = Playing::Over { whole: false };
            }
        }
    }

    fn leave_out(&mut self, id: SegmentId, message: &str) {
        if self.drop_piece(id) {
            self.piece_is_lost(id, message);
        }
    }

    /// Nothing more of it is waited for.
    pub(crate) fn drop_piece(&mut self, id: SegmentId) -> bool {
        let now = self.core.now;
        let Some(segment) = self.coming(id) else {
            return false;
        };
        // what waited behind it is due from now on
        segment.sign_at = now;
        segment.synthesis = Synthesis::Failed;
        segment.playing = Playing::Over { whole: false };
        self.core.act(Action::CancelSynthesis { id });
        true
    }

    pub(crate) fn coming(&mut self, id: SegmentId) -> Option<&mut Segment> {
        let segment = self.floor.speech_mut()?.segment_mut(id)?;
        Some(segment).filter(|segment| segment.is_coming())
    }

    fn piece_is_lost(&mut self, id: SegmentId, message: &str) {
        let segment = self
            .floor
            .speech_mut()
            .and_then(|speech| speech.segment_mut(id));
        let text = segment
            .map(|segment| segment.text.clone())
            .unwrap_or_default();
        let told = format!("{message}; the caller does not hear all of {text:?}");
        self.core.error(Component::Tts, told, true);
        self.tts_failed(message);
    }

    /// The speech is over: what of it could not be voiced is told, for callers who read.
    pub(crate) fn tell_not_heard(&mut self, speech: &Speech) {
        let lost = speech
            .segments()
            .filter(|segment| segment.playing == Playing::Over { whole: false });
        for segment in lost {
            let text = segment.text.get(segment.heard()..).unwrap_or_default();
            if !text.trim().is_empty() {
                self.core.emit(Event::AgentWordsNotHeard {
                    speech: speech.id,
                    segment: segment.id,
                    text: text.trim().to_owned(),
                });
            }
        }
    }

    /// The present speech is over, and what of it was not heard is told for callers who read.
    pub(crate) fn output_is_lost(&mut self, message: &str) {
        self.core.error(Component::Playout, message, true);
        if let Some(speech) = self.floor.speech_mut() {
            speech.is_lost = true;
            for step in &mut speech.steps {
                step.chunker.finish();
                cut_pieces(&mut self.core, step);
            }
        }
        self.cut();
    }

    /// Sound is there and its playing is not reported: nobody knows whether anything is heard.
    pub(crate) fn playout_failed(&mut self) {
        let message = "the playout does not report that it plays";
        let owes = self
            .floor
            .speech()
            .is_some_and(|speech| !speech.is_read() && self.owes_an_answer(speech));
        self.output_is_lost(message);
        if owes {
            self.tell_trouble();
        }
        self.tts_failed(message);
    }
}

//! The stage and the mouth of the speech that has the floor: it goes on, is finished, or is cut because its sound is lost.

use crate::action::Action;
use crate::event::{Component, Event, SpeechPurpose, ToolReplyStatus};
use crate::ids::SegmentId;
use crate::input::{Playout, Tts};
use crate::limits::FILLER_PATIENCE;
use crate::machine::Dialogue;
use crate::mouth::{Overdue, Played};
use crate::speech::Speech;
use antiphon_chat::time::{Duration, Instant};

impl Dialogue {
    /// Moves the present speech on as far as it goes now.
    pub(crate) fn speak(&mut self) -> bool {
        self.hold_while_caller_speaks();
        let may_play = !self.speeches.floor().is_held();
        let tongue = self.caller.tongue(&self.core.options);
        if self.core.options.preemptive_tts
            && let Some(speech) = self.speeches.ahead_mut()
        {
            speech.mouth.make_first(&mut self.core, tongue);
        }
        let Some(speech) = self.speeches.present_mut() else {
            return false;
        };
        speech.mouth.go_on(&mut self.core, tongue, may_play);
        speech.finish_steps(&mut self.core);
        self.speeches.pause_between_steps();
        self.finish_speech()
    }

    fn finish_speech(&mut self) -> bool {
        if !self.speeches.present().is_some_and(Speech::is_over) {
            return false;
        }
        let Some((mut speech, hold)) = self.speeches.take_present() else {
            return false;
        };
        if hold.is_some_and(|hold| hold.paused) {
            self.core.act(Action::ResumePlayout);
        }
        self.leave_tools(speech.id);
        self.rest();
        self.write_heard(&mut speech, false);
        self.speech_has_asked(&speech);
        self.hands.reports.drop_told_by(&speech);
        let failed = speech.has_failed();
        // what a tool has reported may have been told already: then the model has nothing to add
        let silent = speech.is_mute();
        let mute = silent && speech.purpose != SpeechPurpose::ToolReply;
        if silent && !failed {
            self.hands
                .settle_reports(&mut self.core, speech.id, ToolReplyStatus::Skipped);
        }
        self.speech_done(speech.id, failed || mute);
        if !failed && !mute && speech.last().is_some_and(|step| step.was_heard()) {
            self.drop_joined(speech.id);
        }
        self.hand_over(&mut speech);
        if mute && !failed {
            self.core
                .error(Component::Llm, "the model answered nothing", true);
        }
        if speech.mouth.is_unheard() && !speech.mouth.has_failed() {
            let message = "the voice made no sound of what was to be said";
            self.core.error(Component::Tts, message, true);
        }
        self.own_up(&speech, failed);
        true
    }

    pub(crate) fn on_tts(&mut self, id: SegmentId, event: Tts) {
        if let Tts::Failed(message) = event {
            return self.synthesis_failed(id, &message);
        }
        if let Some(speech) = self.speeches.voicing(id)
            && speech.mouth.on_tts(&mut self.core, id, event)
        {
            self.tts_answered();
        }
    }

    fn synthesis_failed(&mut self, id: SegmentId, message: &str) {
        if let Some(speech) = self.speeches.ahead_mut()
            && speech.mouth.failed_ahead(&mut self.core, id)
        {
            return;
        }
        if let Some(speech) = self.speeches.present_mut()
            && let Some(text) = speech.mouth.failed(&mut self.core, id)
        {
            self.tell_lost(&text, message);
        }
    }

    /// A piece of the agent's words cannot be voiced.
    fn tell_lost(&mut self, text: &str, message: &str) {
        let told = format!("{message}; the caller does not hear all of {text:?}");
        self.core.error(Component::Tts, told, true);
        self.tts_failed(message);
    }

    pub(crate) fn on_playout(&mut self, playout: Playout) {
        let now = self.core.now;
        if let Some(speech) = self.speeches.leaving_mut() {
            speech.mouth.on_playout(playout, now, true);
            return;
        }
        let Some(speech) = self.speeches.present_mut() else {
            return;
        };
        let begins = match speech.mouth.on_playout(playout, now, false) {
            Played::Nothing => return,
            // nobody asked for it
            Played::Dropped => return self.lose_output("the playout dropped the agent's voice"),
            Played::Begins => true,
            Played::GoesOn => false,
        };
        debug_assert!(
            !self.begins_to_sound() || !self.is_overheard(),
            "it becomes audible while the caller speaks"
        );
        self.speeches.mark_audible();
        let Some(speech) = self.speeches.present_mut() else {
            return;
        };
        if begins {
            let metrics = speech.first_heard(now);
            if speech.turn.is_some() {
                self.core.emit(Event::TurnMetrics(metrics));
            }
        }
        speech.mouth.show(&mut self.core, speech.id);
    }

    fn begins_to_sound(&self) -> bool {
        let present = self.speeches.present();
        self.speeches.floor().is_preparing() && present.is_some_and(|own| own.mouth.is_audible())
    }

    /// How long TTS is waited for.
    fn patience(&self, speech: &Speech) -> Duration {
        let timeout = self.core.options.tts_timeout;
        if speech.is_filler() && self.has_more_than_a_filler() {
            timeout.min(FILLER_PATIENCE)
        } else {
            timeout
        }
    }

    /// When a piece that gives no sign of life is asked for again, or counts as lost. Paused audio is not expected to give one.
    pub(crate) fn segment_deadline(&self) -> Option<Instant> {
        let floor = self.speeches.floor();
        let sounds = floor.is_preparing() || floor.is_speaking();
        let speech = self.speeches.present().filter(|_| sounds)?;
        speech.mouth.deadline(&self.core, self.patience(speech))
    }

    pub(crate) fn segment_due(&mut self) {
        let Some(patience) = self.speeches.present().map(|speech| self.patience(speech)) else {
            return;
        };
        let Some(speech) = self.speeches.present_mut() else {
            return;
        };
        match speech.mouth.overdue(&mut self.core, patience) {
            Overdue::Nothing => {}
            Overdue::Lost(text, why) => self.tell_lost(&text, why),
            Overdue::Unplayed => self.playout_failed(),
        }
    }

    /// The present speech is over, and what of it was not heard is told for callers who read.
    fn lose_output(&mut self, message: &str) {
        self.core.error(Component::Playout, message, true);
        if let Some(speech) = self.speeches.present_mut() {
            speech.is_lost = true;
            speech.mouth.cut_all(&mut self.core);
        }
        self.cut();
    }

    /// Sound is there and its playing is not reported: nobody knows whether anything is heard.
    fn playout_failed(&mut self) {
        let message = "the playout does not report that it plays";
        let owes = self
            .speeches
            .present()
            .is_some_and(|speech| !speech.is_read() && self.owes_an_answer(speech));
        self.lose_output(message);
        if owes {
            self.tell_trouble();
        }
        self.tts_failed(message);
    }
}

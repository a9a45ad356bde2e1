//! The caller makes a sound while the agent has something to say: hold, and then go on or give way.

use crate::action::Action;
use crate::caller::Caller;
use crate::decide::{Follows, Sign, follows};
use crate::event::{Event, ToolReplyStatus};
use crate::floor::Hold;
use crate::ids::SpeechId;
use crate::limits::CLEAR_REPORT_TIMEOUT;
use crate::machine::Dialogue;
use crate::speech::Speech;
use antiphon_chat::time::{Duration, Instant};

impl Dialogue {
    /// May anything but force stop the present speech? False when there is none.
    pub(crate) fn may_interrupt(&self) -> bool {
        self.speeches
            .present()
            .is_some_and(|speech| speech.interruptible)
            && !self.hands.protects()
    }

    /// Nothing that may be interrupted becomes audible while the caller speaks, whatever made it the next to be heard.
    pub(crate) fn hold_while_caller_speaks(&mut self) {
        if self.caller.speaks() && self.speeches.floor().is_taken() {
            self.on_heard(Sign::Sound);
        }
    }

    /// What becomes audible now would sound over the caller: it should have been held. Without a VAD nobody knows exactly.
    pub(crate) fn is_overheard(&self) -> bool {
        self.caller.hears_voice() && follows(Sign::Sound, &self.scene()) == Follows::Hold
    }

    /// It waits, undecided.
    pub(crate) fn hold(&mut self) {
        let now = self.core.now;
        let audible = self.speeches.floor().is_audible();
        let Some(speech) = self.speeches.present_mut() else {
            return;
        };
        let paused = speech.mouth.hold(&mut self.core);
        self.speeches.hold(Hold {
            since: now,
            audible,
            paused,
        });
    }

    /// New words: are they an interruption?
    pub(crate) fn consider_words(&mut self) {
        self.look_for_echo();
        if self.speeches.floor().is_taken() {
            self.on_heard(Sign::Words(self.caller.verdict(self.now())));
        }
    }

    /// When the hold ends by itself: not while the caller speaks, and while his words wait for the end of the turn, the end decides.
    pub(crate) fn hold_deadline(&self) -> Option<Instant> {
        let hold = self.speeches.floor().hold()?;
        let (options, now) = (&self.core.options, self.now());
        let least = options.min_thinking_interruption_duration;
        let holds = hold.audible || self.caller.sound_lasted(now.at) >= least;
        if (self.caller.speaks() && holds) || self.caller.may_take_floor(now) {
            return None;
        }
        let wait = if !hold.audible {
            self.caller.min_delay(now)
        } else if self.caller.has_only_listened(now) {
            Duration::ZERO
        } else {
            options.false_interruption_timeout
        };
        let quiet_since = self.caller.quiet_since().max(hold.since);
        Some((quiet_since + wait).max(self.core.now))
    }

    /// It was nothing: goes on where it was held.
    pub(crate) fn release(&mut self) {
        let Some(hold) = self.speeches.floor().hold() else {
            return;
        };
        let now = self.core.now;
        if let Some(speech) = self.speeches.present_mut() {
            speech.mouth.resume(now);
        }
        self.speeches.release();
        if hold.paused {
            self.core.act(Action::ResumePlayout);
        }
        if hold.audible {
            self.core
                .emit(Event::AgentFalseInterruption { resumed: true });
            self.tell(Caller::on_false_interruption);
        }
    }

    /// What is being said, and what waits, is over for the caller's sake. No sound of it from here on.
    pub(crate) fn interrupt(&mut self) {
        if self.speeches.present().is_some() {
            self.abandon_parked(false);
            self.stop_waiting();
            self.interrupt_present();
        }
    }

    /// The present speech is over, and nothing else.
    pub(crate) fn interrupt_present(&mut self) {
        if let Some(id) = self.speeches.present().map(|speech| speech.id) {
            if self.speeches.floor().is_audible() {
                self.tell(Caller::on_interruption);
            }
            self.hands.reports.put_off(id);
            self.core.emit(Event::Interrupted { speech: id });
            self.cut();
        }
    }

    /// Cuts the present speech: the sound first.
    pub(crate) fn cut(&mut self) {
        let now = self.core.now;
        let paused = self.speeches.floor().hold().is_some_and(|hold| hold.paused);
        let Some(speech) = self.speeches.present_mut() else {
            return;
        };
        let (id, clears) = (speech.id, speech.mouth.in_playout());
        let was_audible = speech.mouth.audible_since().is_some();
        if clears {
            self.core.act(Action::ClearPlayout);
        }
        if paused {
            self.core.act(Action::ResumePlayout);
        }
        speech.stop(&mut self.core, paused);
        // a segment that was queued and not audible may still turn out to have been heard
        let until = if clears {
            now + CLEAR_REPORT_TIMEOUT
        } else {
            now
        };
        self.speeches.give_way(until);
        self.leave_tools(id);
        if was_audible {
            self.rest();
        }
        if !clears {
            self.settle();
        }
    }

    /// Everything that was cut has been reported.
    pub(crate) fn cut_is_reported(&self) -> bool {
        self.speeches
            .leaving()
            .is_some_and(|speech| !speech.mouth.in_playout())
    }

    /// Writes what was heard of the speech that was cut; the floor is open.
    pub(crate) fn settle(&mut self) {
        if let Some(mut speech) = self.speeches.take_leaving() {
            speech.mouth.settle();
            self.end_speech(speech);
        }
    }

    /// It goes without another word: what waits for the floor, for a tool or for a task, or was begun ahead of its turn.
    pub(crate) fn drop_speech(&mut self, mut speech: Speech) {
        speech.stop(&mut self.core, false);
        self.leave_tools(speech.id);
        self.end_speech(speech);
    }

    /// The one end of every speech that is not said to its end.
    fn end_speech(&mut self, mut speech: Speech) {
        self.write_heard(&mut speech, true);
        self.speech_has_asked(&speech);
        self.speech_done(speech.id, true);
        self.hand_over(&mut speech);
    }

    /// It is over, and everybody who waits for it is told; a speech without an id was never announced.
    pub(crate) fn speech_done(&mut self, speech: SpeechId, interrupted: bool) {
        if speech == SpeechId::NONE {
            return;
        }
        let told = match interrupted {
            true => ToolReplyStatus::Interrupted,
            false => ToolReplyStatus::Completed,
        };
        self.hands.settle_reports(&mut self.core, speech, told);
        self.core.emit(Event::SpeechDone {
            speech,
            interrupted,
        });
    }

    /// What was heard of it is written.
    pub(crate) fn write_heard(&mut self, speech: &mut Speech, cut: bool) {
        speech.write_heard(&mut self.core, cut);
        if speech.was_heard() {
            self.hands.reports.mark_heard(speech.id);
        }
    }
}

//! The caller makes a sound while the agent has something to say: hold, and then go on or give way.

use crate::action::Action;
use crate::caller::{Caller, Verdict};
use crate::event::{Event, ToolReplyStatus};
use crate::floor::{Floor, Hold};
use crate::ids::SpeechId;
use crate::limits::CLEAR_REPORT_TIMEOUT;
use crate::machine::Dialogue;
use crate::speech::Speech;
use antiphon_chat::time::{Duration, Instant};

impl Dialogue {
    /// May the caller's voice stop the present speech?
    pub(crate) fn is_interruptible(&self) -> bool {
        !self.is_manual() && self.may_interrupt()
    }

    /// May anything but force stop the present speech? False when there is none.
    pub(crate) fn may_interrupt(&self) -> bool {
        self.speeches
            .present()
            .is_some_and(|speech| speech.interruptible)
            && !self.hands.protects()
    }

    /// Nothing that may be interrupted becomes audible while the caller speaks, whatever made it the next to be heard.
    pub(crate) fn hold_while_caller_speaks(&mut self) {
        if self.caller.speaks() && self.may_be_held() {
            self.hold(self.speeches.floor().is_audible());
        }
    }

    /// What becomes audible now would sound over the caller: it should have been held. Without a VAD nobody knows exactly.
    pub(crate) fn is_overheard(&self) -> bool {
        self.caller.hears_voice() && self.may_be_held()
    }

    fn may_be_held(&self) -> bool {
        let floor = self.speeches.floor();
        let silent = floor.is_preparing() || (floor.is_speaking() && self.spoke_into_silence());
        silent
            && self.may_interrupt()
            && !self.caller.is_noise()
            && self.caller.sound_lasted(self.core.now)
                >= self.core.options.min_thinking_interruption_duration
    }

    /// The voice began when the agent said nothing, between two pieces of what it says.
    fn spoke_into_silence(&self) -> bool {
        let present = self.speeches.present();
        let Some(((began, _), speech)) = self.caller.voice_so_far().zip(present) else {
            return false;
        };
        let last = speech.mouth.heard_until();
        !speech.mouth.is_audible() && last.is_some_and(|last| began > last)
    }

    fn hold(&mut self, audible: bool) {
        let now = self.core.now;
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

    /// At audio rate: does the speech of the caller last long enough?
    pub(crate) fn consider_barge_in(&mut self) {
        let speech = self.caller.voice_lasted();
        match self.speeches.floor() {
            Floor::Speaking
                if self.is_interruptible()
                    && !self.caller.is_noise()
                    && speech >= self.bar(speech)
                    && !self.caller.voice_leaves_floor(self.now()) =>
            {
                if self.core.options.resume_false_interruption {
                    self.hold(true);
                } else {
                    self.interrupt();
                }
            }
            // a recogniser that works says whether it was speech; one that is known not to hear cannot
            Floor::Held(hold)
                if hold.audible
                    && self.caller.is_deaf()
                    && !self.caller.voice_leaves_floor(self.now())
                    && speech
                        >= self
                            .core
                            .options
                            .sure_interruption_duration
                            .max(self.bar(speech)) =>
            {
                self.interrupt();
            }
            _ => {}
        }
    }

    /// How long speech must last to interrupt: longer at the beginning of an utterance, when it may be our own echo.
    fn bar(&self, speech: Duration) -> Duration {
        let options = &self.core.options;
        let since = self
            .speeches
            .present()
            .and_then(|speech| speech.mouth.audible_since());
        let guarded =
            since.is_some_and(|since| self.core.now.back(speech).since(since) < options.echo_guard);
        if guarded {
            options.min_interruption_duration + options.echo_guard
        } else {
            options.min_interruption_duration
        }
    }

    /// New words: are they an interruption?
    pub(crate) fn consider_words(&mut self) {
        self.look_for_echo();
        if !self.is_interruptible() {
            return;
        }
        match (self.caller.verdict(self.now()), self.speeches.floor()) {
            (Verdict::Interrupt, Floor::Preparing | Floor::Speaking | Floor::Held(_))
                if !self.is_last_answer() =>
            {
                self.interrupt();
            }
            // not audible: the words of a turn that goes on replace the reply; an interim may still vanish
            (Verdict::Interrupt | Verdict::Hold, Floor::Preparing) if self.may_be_held() => {
                self.hold(false);
            }
            (Verdict::Hold, Floor::Speaking) if self.core.options.resume_false_interruption => {
                let sound = self.caller.sound_lasted(self.core.now);
                // an order to stop is not waited out
                if sound >= self.bar(sound) || self.caller.says_stop() {
                    self.hold(true);
                }
            }
            _ => {}
        }
    }

    /// When the hold ends by itself: not while the caller speaks, and while his words wait for the end of the turn, that
    /// decides.
    pub(crate) fn hold_deadline(&self) -> Option<Instant> {
        let Floor::Held(hold) = self.speeches.floor() else {
            return None;
        };
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
            self.end_speech(speech, true);
        }
    }

    /// It goes without another word: what waits for the floor, for a tool or for a task, or was begun ahead of its turn.
    pub(crate) fn drop_speech(&mut self, mut speech: Speech) {
        speech.stop(&mut self.core, false);
        self.leave_tools(speech.id);
        self.end_speech(speech, true);
    }

    /// The one end of every speech that is not said to its end.
    fn end_speech(&mut self, mut speech: Speech, cut: bool) {
        self.write_heard(&mut speech, cut);
        self.speech_has_asked(&speech);
        self.speech_done(speech.id, cut);
        self.hand_over(&mut speech);
    }

    /// It is over, and everybody who waits for it is told; of one without a name nobody has heard.
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

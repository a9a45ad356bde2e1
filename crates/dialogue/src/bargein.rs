//! The caller makes a sound while the agent has something to say: hold, and then go on or give way.

use crate::action::Action;
use crate::chat::Item;
use crate::event::{Event, ToolReplyStatus};
use crate::floor::{Floor, Hold};
use crate::ids::SpeechId;
use crate::limits::{CLEAR_REPORT_TIMEOUT, MAX_HOLD};
use crate::machine::Dialogue;
use crate::options::TurnDetection;
use crate::segment::{Playing, Synthesis};
use crate::speech::Speech;
use crate::text::contains_words;
use crate::time::{Duration, Instant};
use crate::turn::Stage;

/// Words that interrupt before a final transcript has come, if they are no backchannel: one could be a cough that the
/// recogniser took for a word.
const SURE_INTERIM_WORDS: usize = 2;

/// So much earlier than guessed the agent's words may have sounded, where the voice does not say when: voices differ in speed.
const ECHO_SLACK: Duration = Duration::from_millis(300);

impl Dialogue {
    /// May the caller's voice stop the present speech?
    pub(crate) fn is_interruptible(&self) -> bool {
        self.core.options.turn_detection != TurnDetection::Manual && self.may_interrupt()
    }

    /// May anything but force stop the present speech?
    pub(crate) fn may_interrupt(&self) -> bool {
        self.floor
            .speech()
            .is_some_and(|speech| speech.interruptible)
            && !self.tools.protects()
    }

    /// The caller begins to make a sound: what is not audible yet waits for his silence.
    pub(crate) fn hold_before_audible(&mut self) {
        if let Floor::Held(_, hold) = &mut self.floor {
            hold.until = None;
        } else if self.may_be_held() {
            self.hold(false);
        }
    }

    /// Nothing that may be interrupted becomes audible while the caller speaks, whatever made it the next to be heard.
    pub(crate) fn hold_while_caller_speaks(&mut self) {
        if self.turn.stage == Stage::Speaking && self.may_be_held() {
            self.hold(false);
        }
    }

    /// What becomes audible now would sound over the caller: it should have been held. Without a VAD nobody knows exactly.
    pub(crate) fn is_overheard(&self) -> bool {
        self.caller.has_vad && self.turn.stage == Stage::Speaking && self.may_be_held()
    }

    fn may_be_held(&self) -> bool {
        matches!(self.floor, Floor::Preparing(_))
            && self.may_interrupt()
            && !self.caller.noise
            && self.sound_so_far() >= self.core.options.min_thinking_interruption_duration
    }

    /// How long the caller has spoken without a pause; without a VAD, since when he has been heard.
    fn sound_so_far(&self) -> Duration {
        if self.caller.has_vad {
            return self.caller.speech;
        }
        let began = self.turn.began.unwrap_or(self.core.now);
        self.core.now.since(began)
    }

    fn hold(&mut self, audible: bool) {
        let now = self.core.now;
        let Some((mut speech, _)) = self.floor.take() else {
            return;
        };
        let paused = speech.in_playout();
        if paused {
            self.core.act(Action::PausePlayout);
            speech
                .segments_mut()
                .for_each(|segment| segment.estimate(now));
        }
        self.floor = Floor::Held(
            speech,
            Hold {
                since: now,
                until: None,
                audible,
                paused,
            },
        );
        if self.turn.stage != Stage::Speaking {
            self.arm_hold();
        }
    }

    /// At audio rate: does the speech of the caller last long enough?
    pub(crate) fn consider_barge_in(&mut self) {
        let speech = self.caller.speech;
        match &self.floor {
            Floor::Speaking(_)
                if self.is_interruptible()
                    && !self.caller.noise
                    && self.has_min_words()
                    && !self.is_only_listening()
                    && speech >= self.bar(speech) =>
            {
                if self.core.options.resume_false_interruption {
                    self.hold(true);
                } else {
                    self.interrupt();
                }
            }
            // a recogniser that works says whether it was speech; one that is known not to hear cannot
            Floor::Held(_, hold)
                if hold.audible
                    && self.trouble.is_deaf()
                    && !self.is_only_listening()
                    && self.has_min_words()
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
        let since = self.floor.speech().and_then(|speech| speech.audible_since);
        let guarded =
            since.is_some_and(|since| self.core.now.back(speech).since(since) < options.echo_guard);
        if guarded {
            options.min_interruption_duration + options.echo_guard
        } else {
            options.min_interruption_duration
        }
    }

    /// Enough words to interrupt what the agent is doing: speaking, or thinking.
    pub(crate) fn has_min_words(&self) -> bool {
        let options = &self.core.options;
        let min = if self.floor.is_audible() {
            options.min_interruption_words
        } else {
            options
                .min_thinking_interruption_words
                .unwrap_or(options.min_interruption_words)
        };
        min == 0 || self.turn.words() >= min as usize
    }

    /// Are the words only a listener's "mm-hmm"? Not when they began before there was much to listen to.
    pub(crate) fn is_only_listening(&self) -> bool {
        let Some(since) = self.floor.speech().and_then(|speech| speech.audible_since) else {
            return false;
        };
        let listens_from = since + self.core.options.backchannel_boundary_start;
        let early = self.turn.began.is_some_and(|began| began < listens_from);
        self.turn.is_backchannel() && !early
    }

    /// Nothing but a listener's "mm-hmm", and nothing more to come of it.
    fn has_only_listened(&self) -> bool {
        self.is_only_listening() && !self.turn.has_interim()
    }

    /// Are the words the agent's own, heard back from the caller's loudspeaker before his echo canceller has learned? Looked
    /// at when words come, and only in the first moment of an utterance: later the caller may repeat what he hears. What the
    /// agent had not said yet when the caller's sound ended cannot be its echo.
    pub(crate) fn is_own_echo(&self) -> bool {
        let Some(speech) = self.floor.speech() else {
            return false;
        };
        let guarded = speech
            .audible_since
            .zip(self.turn.began)
            .is_some_and(|(since, began)| {
                began >= since && began < since + self.core.options.echo_guard
            });
        let sounded_until = self.turn.last_spoke.unwrap_or(self.core.now) + ECHO_SLACK;
        guarded && contains_words(&speech.begun_by(sounded_until), &self.turn.text())
    }

    /// New words: are they an interruption?
    pub(crate) fn consider_words(&mut self, are_final: bool) {
        if self.has_only_listened() {
            self.arm_hold();
        }
        if !self.is_interruptible()
            || !self.has_min_words()
            || self.is_only_listening()
            || self.is_own_echo()
        {
            return;
        }
        let sure = are_final || self.turn.words() >= SURE_INTERIM_WORDS;
        let waits = !are_final || self.is_last_answer();
        match &self.floor {
            // not audible: the words of a turn that goes on replace the reply; an interim may still vanish
            Floor::Preparing(_) if waits => self.hold(false),
            Floor::Held(_, hold) if !hold.audible && waits => {}
            Floor::Preparing(_) | Floor::Speaking(_) | Floor::Held(..) if sure => self.interrupt(),
            _ => {}
        }
    }

    /// The caller is silent again: the hold ends soon unless words come.
    pub(crate) fn arm_hold(&mut self) {
        let quiet_since = self.turn.last_spoke.unwrap_or(self.core.now);
        let Floor::Held(_, hold) = &self.floor else {
            return;
        };
        if self.turn.stage == Stage::Speaking {
            return;
        }
        let options = &self.core.options;
        let wait = if hold.audible {
            match self.has_only_listened() {
                true => Duration::ZERO,
                false => options.false_interruption_timeout,
            }
        } else if self.sound_so_far() < options.min_thinking_interruption_duration {
            Duration::ZERO
        } else {
            self.delays().min
        };
        let until = (quiet_since + wait).max(self.core.now);
        if let Floor::Held(_, hold) = &mut self.floor {
            hold.until = Some(hold.until.map_or(until, |already| already.min(until)));
        }
    }

    /// When the hold ends by itself. While words are waiting for the end of the turn, that decides.
    pub(crate) fn hold_deadline(&self) -> Option<Instant> {
        let Floor::Held(_, hold) = &self.floor else {
            return None;
        };
        let turn_decides =
            self.turn.is_pending() && self.turn.words() > 0 && !self.is_only_listening();
        let latest = hold.since + MAX_HOLD;
        Some(match hold.until {
            Some(until) if !turn_decides => until.min(latest.max(hold.since)),
            Some(_) | None => latest,
        })
    }

    /// It was nothing, or it lasts too long without being anything.
    pub(crate) fn hold_due(&mut self) {
        let Floor::Held(_, hold) = &self.floor else {
            return;
        };
        let goes_on = hold.until.is_none();
        let speech = self.turn.is_pending() && self.turn.words() > 0;
        if speech && self.mode_is_manual() {
            // the program says when he has finished; nothing is said over him meanwhile, and nothing is dropped
            self.hold_on();
        } else if speech
            && self.has_min_words()
            && !self.is_only_listening()
            && !self.is_last_answer()
        {
            self.interrupt();
        } else {
            // a sound without words for so long is none that one waits for
            self.caller.noise = goes_on;
            self.release();
        }
    }

    /// Waits once more, as long as the caller is heard.
    fn hold_on(&mut self) {
        let now = self.core.now;
        if let Floor::Held(_, hold) = &mut self.floor {
            hold.since = now;
        }
    }

    /// Goes on where it was held.
    pub(crate) fn release(&mut self) {
        let now = self.core.now;
        let Floor::Held(_, hold) = &self.floor else {
            return;
        };
        let hold = *hold;
        let Some((mut speech, _)) = self.floor.take() else {
            return;
        };
        speech
            .segments_mut()
            .filter(|segment| !segment.is_over())
            .for_each(|segment| segment.resumed(now));
        if hold.paused {
            self.core.act(Action::ResumePlayout);
        }
        if hold.audible {
            self.core
                .emit(Event::AgentFalseInterruption { resumed: true });
            self.caller.pauses.was_nothing();
            self.floor = Floor::Speaking(speech);
            self.judge_overlap(false);
        } else {
            self.floor = Floor::Preparing(speech);
        }
    }

    /// What is being said, and what waits for tools, is over for the caller's sake. No sound of it from here on.
    pub(crate) fn interrupt(&mut self) {
        if self.floor.speech().is_some() {
            self.abandon_parked(false);
            self.interrupt_present();
        }
    }

    /// The present speech is over, and nothing else.
    pub(crate) fn interrupt_present(&mut self) {
        if let Some(id) = self.floor.speech().map(|speech| speech.id) {
            if self.floor.is_audible() {
                self.caller.pauses.interrupted(&self.core.options);
                self.judge_overlap(true);
            }
            self.reports_are_put_off(id);
            self.core.emit(Event::Interrupted { speech: id });
            self.cut();
        }
    }

    /// Cuts the present speech: the sound first.
    pub(crate) fn cut(&mut self) {
        let now = self.core.now;
        let Some((mut speech, hold)) = self.floor.take() else {
            return;
        };
        let paused = hold.is_some_and(|hold| hold.paused);
        let clears = speech.in_playout();
        if clears {
            self.core.act(Action::ClearPlayout);
        }
        if paused {
            self.core.act(Action::ResumePlayout);
        }
        for step in &mut speech.steps {
            if let Some(id) = step.generation() {
                self.core.act(Action::CancelLlm { id });
            }
            step.brain = crate::speech::Brain::Done;
            step.chunker.abandon();
            step.calls.clear();
            for segment in &mut step.segments {
                if segment.is_unfinished() {
                    self.core.act(Action::CancelSynthesis { id: segment.id });
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
        self.leave_tools(speech.id);
        if speech.audible_since.is_some() {
            self.rest();
        }
        // a segment that was queued and not audible may still turn out to have been heard
        let until = if clears {
            now + CLEAR_REPORT_TIMEOUT
        } else {
            now
        };
        self.floor = Floor::GivingWay(speech, until);
        if !clears {
            self.settle();
        }
    }

    /// Everything that was cut has been reported.
    pub(crate) fn cut_is_reported(&self) -> bool {
        self.floor
            .cut_speech()
            .is_some_and(|speech| !speech.in_playout())
    }

    /// Writes what was heard of the speech that was cut; the floor is open.
    pub(crate) fn settle(&mut self) {
        let mut speech = match std::mem::replace(&mut self.floor, Floor::Open) {
            Floor::GivingWay(speech, _) => speech,
            other => {
                self.floor = other;
                return;
            }
        };
        for segment in speech.segments_mut().filter(|segment| segment.in_playout()) {
            if segment.playing == Playing::Queued {
                segment.playing = Playing::Over { whole: false };
            } else {
                let whole = matches!(segment.synthesis, Synthesis::Complete(_))
                    && segment.heard() == segment.text.len();
                segment.playing = Playing::Over { whole };
            }
        }
        self.write_heard(&mut speech, true);
        self.is_done(speech.id, true);
        self.hand_over(&mut speech);
    }

    pub(crate) fn is_done(&mut self, speech: SpeechId, interrupted: bool) {
        let told = match interrupted {
            true => ToolReplyStatus::Interrupted,
            false => ToolReplyStatus::Completed,
        };
        self.reports_are_told(speech, told);
        self.core.emit(Event::SpeechDone {
            speech,
            interrupted,
        });
    }

    /// Shows the rest of what was heard and puts the messages into the history.
    pub(crate) fn write_heard(&mut self, speech: &mut Speech, cut: bool) {
        self.show_heard(speech);
        let since = (speech.user_stopped_at, speech.audible_since);
        for step in speech.steps.iter_mut().filter(|step| !step.written) {
            step.write(since);
            step.message.interrupted = cut;
            if speech.in_history && !step.message.text.is_empty() {
                self.core
                    .remember(step.place, Item::Message(step.message.clone()));
            }
        }
        if speech.was_heard() {
            self.reports_are_heard(speech.id);
        }
        if speech.shown {
            self.core.emit(Event::AgentTranscript {
                speech: speech.id,
                segment: None,
                delta: String::new(),
                is_final: true,
                interrupted: cut,
            });
        }
    }
}

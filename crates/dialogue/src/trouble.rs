//! Providers that fail: the session goes on, and a caller who waits for an answer is told that there is none. A caller who is not waiting is told nothing.

use crate::action::Action;
use crate::caller::Caller;
use crate::event::{CloseReason, Component, Event, SpeechPurpose};
use crate::ids::GenerationId;
use crate::limits::{DRAIN_TIMEOUT, MAX_CLOSE_TRANSCRIPT_WAIT, MAX_VALUE_BYTES, cut};
use crate::machine::{Dialogue, Ending};
use crate::mind::Step;
use crate::speech::Speech;
use antiphon_chat::time::{Duration, Instant};

/// Failures in a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble {
    llm: u32,
    tts: u32,
    stt: u32,
    /// When the caller had last been told that there is trouble.
    told_at: Option<Instant>,
    /// Something failed, and it is not certain that the caller was waiting for it; what came after it has said nothing either.
    unsaid: bool,
    /// The failure that ends the session.
    fatal: Option<String>,
}

impl Dialogue {
    /// The model has answered: it works.
    pub(crate) fn llm_answered(&mut self) {
        self.trouble.llm = 0;
    }

    pub(crate) fn tts_answered(&mut self) {
        self.trouble.tts = 0;
    }

    /// A piece of speech is lost.
    pub(crate) fn tts_failed(&mut self, message: &str) {
        self.trouble.tts += 1;
        self.count_failures(self.trouble.tts, message.to_owned());
    }

    pub(crate) fn generation_failed(&mut self, id: GenerationId, message: String) {
        let has_asked = |step: &Step| step.has_generation(id);
        let guess = self.speeches.guess();
        if guess.is_some_and(|(_, speech)| speech.last().is_some_and(has_asked)) {
            // nobody knows that it was asked: the commit asks again
            if let Some(step) = self.speeches.ahead_mut().and_then(Speech::last_mut) {
                step.fail();
            }
            return self.drop_speculation();
        }
        let Some((speech, _)) = self.speeches.thinking(has_asked) else {
            return;
        };
        // half a sentence that nobody has asked TTS for is better not begun
        speech.mouth.break_off();
        if let Some(step) = speech.last_mut() {
            step.fail();
        }
        self.trouble.llm += 1;
        self.core.error(Component::Llm, message.clone(), true);
        self.count_failures(self.trouble.llm, message);
    }

    /// The recogniser has heard something, or says that it hears again.
    pub(crate) fn stt_answered(&mut self) {
        self.trouble.stt = 0;
    }

    /// It tries to come back by itself.
    pub(crate) fn stt_degraded(&mut self, message: String) {
        self.caller.set_deaf();
        self.core.error(Component::Stt, message, true);
    }

    /// The driver goes on trying. Who says nothing meanwhile has lost nothing, and is told nothing.
    pub(crate) fn stt_failed(&mut self, message: String) {
        self.trouble.stt += 1;
        self.caller.set_deaf();
        self.core.error(Component::Stt, message.clone(), false);
        self.count_failures(self.trouble.stt, message);
    }

    /// The caller spoke, from then on, and the recogniser did not hear it. What began before the caller had heard of the trouble
    /// may be the agent's own voice.
    pub(crate) fn own_up_to_deafness(&mut self, began: Option<Instant>) {
        let spoke = began.zip(self.trouble.told_at);
        if spoke.is_none_or(|(began, told)| began >= told) {
            self.tell_trouble();
        }
    }

    fn count_failures(&mut self, in_a_row: u32, last: String) {
        if self
            .core
            .options
            .max_unrecoverable_errors
            .is_some_and(|max| in_a_row > max)
        {
            self.trouble.fatal = Some(cut(last, MAX_VALUE_BYTES));
            self.close(CloseReason::Error, false);
        }
    }

    /// Somebody waits for what this speech was to say: it is an answer, or the result of a tool that is not told once more,
    /// or an agent that takes over introduces itself, or he spoke last and nothing else is on its way.
    pub(crate) fn owes_an_answer(&self, speech: &Speech) -> bool {
        let told_again = !self.hands.reports.is_empty();
        let result = speech.purpose == SpeechPurpose::ToolReply && !told_again;
        let takes_over = speech.purpose == SpeechPurpose::Greeting
            && self.core.history.newest_user().is_some()
            && !self.speeches.has_queue();
        let answers = speech.turn.is_some()
            || speech.asked.is_some()
            || result
            || takes_over
            || self.nobody_else_answers();
        // what a filler was said for is told as well
        answers && !speech.is_filler()
    }

    fn nobody_else_answers(&self) -> bool {
        let alone = !self.speeches.is_parked() && !self.speeches.has_queue();
        alone && self.core.history.caller_spoke_last()
    }

    /// A speech is over. If it has failed whoever waits for it is told, at the latest when nothing else has come.
    pub(crate) fn own_up(&mut self, speech: &Speech, failed: bool) {
        let failed_of = failed;
        let failed = failed && !speech.is_read();
        let owes = match failed {
            true => self.owes_an_answer(speech),
            false => self.trouble.unsaid && !speech.was_heard() && self.nobody_else_answers(),
        };
        if speech.purpose == SpeechPurpose::Trouble {
            if failed_of {
                let message = "not even the message about the trouble could be voiced: the caller waits, and hears nothing";
                self.core.error(Component::Tts, message, true);
            } else {
                self.note_trouble_told();
            }
        } else if owes {
            self.tell_trouble();
        }
        self.trouble.unsaid = !owes && (failed || (self.trouble.unsaid && !speech.was_heard()));
    }

    /// Says that there is trouble, before anything else, unless that is being said.
    pub(crate) fn tell_trouble(&mut self) {
        let text = self.core.options.trouble_message.clone();
        let present = self.speeches.present().map(|speech| speech.purpose);
        let is_told = present == Some(SpeechPurpose::Trouble)
            || self
                .speeches
                .queue()
                .any(|queued| queued.purpose == SpeechPurpose::Trouble);
        if text.is_empty() || is_told || self.ending.is_some() {
            return;
        }
        self.enqueue_first(Speech::text(SpeechPurpose::Trouble, text, true));
    }

    /// The caller has heard it to its end.
    fn note_trouble_told(&mut self) {
        self.trouble.told_at = Some(self.core.now);
    }

    pub(crate) fn close(&mut self, reason: CloseReason, drain: bool) {
        if self.ending.is_some() && drain {
            return;
        }
        self.drop_speculation();
        if drain {
            self.answer_turns();
        } else {
            self.settle_turns();
        }
        // what waits is still said, as in LiveKit; who would take over has nothing to say
        self.drop_queued(|queued| !drain || queued.is_handover());
        let patience = if drain { DRAIN_TIMEOUT } else { Duration::ZERO };
        self.ending = Some(Ending {
            reason,
            until: self.core.now + patience,
            words_until: self.ending.and_then(|before| before.words_until),
        });
        if !drain {
            self.abandon_tasks();
            self.abandon_parked(true);
            self.cut();
        }
    }

    /// The agent has nothing more to say.
    fn may_end(&self) -> bool {
        self.ending.is_some()
            && self.speeches.present().is_none()
            && !self.speeches.floor().is_giving_way()
            && !self.speeches.is_parked()
            && !self.speeches.has_queue()
            && !self.speeches.floor().is_closed()
    }

    /// "Cancel my booking", and the caller hangs up: the words are on their way.
    fn wait_for_last_words(&mut self) -> bool {
        let now = self.core.now;
        let options = &self.core.options;
        let timeout = options
            .session_close_transcript_timeout
            .min(MAX_CLOSE_TRANSCRIPT_WAIT);
        let lacks = self.caller.lacks_final(now.back(timeout));
        let asked = self.caller.awaits_final(self.now());
        let Some(ending) = &mut self.ending else {
            return false;
        };
        if ending.words_until.is_none() && lacks && ending.reason != CloseReason::Error {
            ending.words_until = Some(now + timeout);
            if !asked {
                self.core.act(Action::FinalizeStt);
            }
        }
        lacks && self.ending.and_then(|ending| ending.words_until) > Some(now)
    }

    /// The recogniser has nothing to say: nobody need wait for more.
    pub(crate) fn stop_awaiting_last_words(&mut self) {
        if let Some(until) = self
            .ending
            .as_mut()
            .and_then(|ending| ending.words_until.as_mut())
        {
            *until = (*until).min(self.core.now);
        }
    }

    pub(crate) fn last_words_deadline(&self) -> Option<Instant> {
        self.ending.filter(|_| self.may_end())?.words_until
    }

    /// The last speech is over: say goodbye to the driver.
    pub(crate) fn end_if_done(&mut self) {
        let Some(Ending { reason, .. }) = self.ending else {
            return;
        };
        if !self.may_end() || self.wait_for_last_words() {
            return;
        }
        self.abandon_tasks();
        self.tell(Caller::finish_last);
        self.cancel_tools();
        self.tell(Caller::hang_up);
        self.speeches.close();
        self.publish_agent_state();
        self.core.tell_usage();
        let fatal = self.trouble.fatal.take();
        self.core.emit(Event::Closed {
            reason,
            error: fatal.filter(|_| reason == CloseReason::Error),
        });
        self.core.act(Action::Close);
    }
}

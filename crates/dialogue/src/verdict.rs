//! What the caller's words are to the agent that has the floor: one table.
//!
//! | the words | verdict |
//! |---|---|
//! | are the agent's own, heard back | [`Verdict::Echo`] |
//! | are a listener's, may be an echo, are too few to interrupt, or never became final in too short a voice | [`Verdict::Keep`] |
//! | are not final yet, or there are none | [`Verdict::Hold`] |
//! | are anything else, or stay and are an order to stop | [`Verdict::Interrupt`] |
//!
//! What may not be interrupted is not interrupted by any of them; the same words are then answered after it.

use crate::limits::MIN_ECHO_WORDS;
use crate::machine::Dialogue;
use antiphon_chat::time::{Duration, Instant};
use antiphon_text::contains_words;

/// So much earlier than guessed the agent's words may have sounded, where the voice does not say when: voices differ in speed.
pub(crate) const ECHO_SLACK: Duration = Duration::from_millis(300);

/// So long after its last sound a recogniser may say what a voice was; sooner, and the same word drawn out is still sounding.
const AFTER_WORDS: Duration = Duration::from_millis(500);

/// See above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They take the floor.
    Interrupt,
    /// They may take it, and may still vanish: the agent waits, and says nothing that cannot be said later.
    Hold,
    /// They leave the floor to the agent: see `kept`.
    Keep,
    /// They vanish, and an event says so.
    Echo,
}

impl Dialogue {
    /// Of all words of the present turn. Looks at nothing but what was found out when they came: it is asked at audio rate.
    pub(crate) fn verdict(&self) -> Verdict {
        if self.turn.is_echo {
            match self.turn.words() < MIN_ECHO_WORDS {
                true => Verdict::Keep,
                false => Verdict::Echo,
            }
        } else if self.is_only_listening()
            || (self.may_interrupt() && !self.has_min_words())
            || (self.turn.is_unsure
                && !self.turn.is_stop
                && self.floor.is_audible()
                && self.may_interrupt())
        {
            Verdict::Keep
        } else if self.turn.has_interim() || self.turn.words() == 0 {
            Verdict::Hold
        } else {
            Verdict::Interrupt
        }
    }

    /// They leave the floor to the agent, and nothing more is to come of them.
    pub(crate) fn has_only_listened(&self) -> bool {
        self.verdict() == Verdict::Keep
            && self.turn.words() > 0
            && !self.turn.has_interim()
            && self.words_cover_voice()
    }

    /// At audio rate: the voice leaves the floor to the agent. One that goes on after a listener's word is as any other.
    pub(crate) fn voice_leaves_floor(&self) -> bool {
        match self.verdict() {
            Verdict::Keep | Verdict::Echo => self.words_cover_voice() || !self.has_min_words(),
            Verdict::Interrupt | Verdict::Hold => false,
        }
    }

    /// The words may be all that the voice says: it has not gone on since they came for so long as an interruption takes.
    fn words_cover_voice(&self) -> bool {
        let voice = match self.caller.hears_voice() {
            true => self.core.now,
            false => self.caller.quiet_since,
        };
        let least = self.core.options.min_interruption_duration;
        voice <= self.turn.last_words() + least + AFTER_WORDS
    }

    /// Enough words to interrupt what the agent is doing: speaking, or thinking.
    fn has_min_words(&self) -> bool {
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

    /// Are the words only a listener's "mm-hmm"? Not when they began before there was much to listen to, unless they have
    /// left the floor to the agent before.
    fn is_only_listening(&self) -> bool {
        if !self.turn.is_backchannel() {
            return false;
        }
        let Some(speech) = self.floor.speech() else {
            return false;
        };
        let boundary = self.core.options.backchannel_boundary_start;
        let late = speech.mouth.audible_since().is_some_and(|since| {
            self.turn
                .began
                .is_none_or(|began| began >= since + boundary)
        });
        late || self.turn.kept.is_some()
    }

    /// Are the words the agent's own, heard back from the caller's loudspeaker before his echo canceller has learned? Only in
    /// the first moment of an utterance: later the caller may repeat what he hears. What the agent had not said yet when the
    /// caller's sound ended cannot be its echo.
    pub(crate) fn look_for_echo(&mut self) {
        self.turn.is_echo = self.floor.speech().is_some_and(|speech| {
            let guarded = speech
                .mouth
                .audible_since()
                .zip(self.turn.began)
                .is_some_and(|(since, began)| {
                    began >= since && began < since + self.core.options.echo_guard
                });
            guarded
                && contains_words(
                    &speech.mouth.begun_by(self.sounded_until()),
                    &self.turn.text(),
                )
        });
    }

    pub(crate) fn sounded_until(&self) -> Instant {
        self.turn.last_spoke.unwrap_or(self.core.now) + ECHO_SLACK
    }
}

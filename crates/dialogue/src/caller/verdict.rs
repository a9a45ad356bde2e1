//! What the caller's words are to the agent that has the floor: one table.
//!
//! | the words | verdict |
//! |---|---|
//! | are the agent's own, heard back | [`Verdict::Echo`] |
//! | are a listener's, may be an echo, are too few to interrupt, never became final in too short a voice, or are unsure | [`Verdict::Keep`] |
//! | are not final yet, or there are none | [`Verdict::Hold`] |
//! | are anything else, or stay and are an order to stop | [`Verdict::Interrupt`] |
//!
//! What may not be interrupted is not interrupted by any of them; the same words are then answered after it.

use super::{Caller, Now};
use crate::limits::MIN_ECHO_WORDS;
use antiphon_chat::time::{Duration, Instant};

/// So much earlier than guessed the agent's words may have sounded, where the voice does not say when: voices differ in speed.
pub(super) const ECHO_SLACK: Duration = Duration::from_millis(300);

/// This long after its last sound a recogniser may say what a voice was; sooner, and the same word drawn out is still sounding.
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

impl Caller {
    /// Of all words of the present turn. Looks at nothing but what was found out when they came: it is asked at audio rate.
    pub(crate) fn verdict(&self, now: Now) -> Verdict {
        let Now { agent, .. } = now;
        let unsure = self.turn.is_unsure && !self.turn.is_stop && agent.is_audible;
        let too_weak = unsure || !self.has_min_words(now);
        if self.turn.is_echo {
            match self.turn.words() < MIN_ECHO_WORDS {
                true => Verdict::Keep,
                false => Verdict::Echo,
            }
        } else if self.is_only_listening(now) || (agent.is_interruptible && too_weak) {
            Verdict::Keep
        } else if self.turn.has_interim() || self.turn.words() == 0 {
            Verdict::Hold
        } else {
            Verdict::Interrupt
        }
    }

    /// Words of a turn that goes on, which may still take the floor: the end of the turn decides.
    pub(crate) fn may_take_floor(&self, now: Now) -> bool {
        let may = |verdict| matches!(verdict, Verdict::Hold | Verdict::Interrupt);
        self.turn.is_pending() && self.turn.words() > 0 && may(self.verdict(now))
    }

    /// They leave the floor to the agent, and nothing more is to come of them.
    pub(crate) fn has_only_listened(&self, now: Now) -> bool {
        self.verdict(now) == Verdict::Keep
            && self.turn.words() > 0
            && !self.turn.has_interim()
            && self.words_cover_voice(now)
    }

    /// At audio rate: the voice leaves the floor to the agent. A voice that continues after a backchannel counts like any other voice.
    pub(crate) fn voice_leaves_floor(&self, now: Now) -> bool {
        match self.verdict(now) {
            Verdict::Keep | Verdict::Echo => {
                self.words_cover_voice(now) || !self.has_min_words(now)
            }
            Verdict::Interrupt | Verdict::Hold => false,
        }
    }

    /// The words may be all that the voice says: it has not gone on since they came for so long as an interruption takes.
    fn words_cover_voice(&self, now: Now) -> bool {
        let voice = match self.hears_voice() {
            true => now.at,
            false => self.quiet_since,
        };
        let least = now.options.min_interruption_duration;
        voice <= self.turn.last_words() + least + AFTER_WORDS
    }

    /// Enough words to interrupt what the agent is doing: speaking, or thinking.
    fn has_min_words(&self, now: Now) -> bool {
        let options = now.options;
        let thinking = options.min_thinking_interruption_words;
        let min = thinking
            .filter(|_| !now.agent.is_audible)
            .unwrap_or(options.min_interruption_words);
        min == 0 || self.turn.words() >= min as usize
    }

    /// Are the words only a listener's "mm-hmm"? Not when they began before there was much to listen to, unless they have
    /// left the floor to the agent before.
    fn is_only_listening(&self, now: Now) -> bool {
        if !self.turn.is_backchannel() || !now.agent.has_floor {
            return false;
        }
        let boundary = now.options.backchannel_boundary_start;
        let began = self.turn.began;
        let late = |since: Instant| began.is_none_or(|began| began >= since + boundary);
        now.agent.audible_since.is_some_and(late) || self.turn.kept.is_some()
    }

    /// May the words be the agent's own, heard back from the caller's loudspeaker before the echo canceller has learned? Only
    /// in the first moment of an utterance: later the caller may repeat what he hears.
    pub(crate) fn may_be_echo(&self, now: Now) -> bool {
        let first = now.agent.audible_since.zip(self.turn.began);
        first.is_some_and(|(since, began)| began >= since && began < since + now.options.echo_guard)
    }

    /// What the agent had not begun to say by then cannot be the words' echo, and the caller had not heard it.
    pub(crate) fn sounded_until(&self, now: Now) -> Instant {
        self.turn.last_spoke.unwrap_or(now.at) + ECHO_SLACK
    }
}

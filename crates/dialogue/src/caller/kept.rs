//! Words that left the floor to the agent: when they enter the history, and whether they are answered.
//!
//! They stand **where they were said**: nothing that the agent says or asks afterwards comes before them. They enter the
//! history before any request that is made after them; before the agent's next words if these ask something; with the
//! caller's next words if that turn is a different one; otherwise when they are answered. Until then more may belong to the same turn.
//!
//! They are answered when the agent falls silent, if it had asked something before them, or when the caller then waits; in
//! both cases only if **the agent has asked nothing since**: "okay" to one thing is no consent to the next.
//!
//! What the agent has asked, and when, is told by `questions.rs`.

use super::turn::Phase;
use super::verdict::ECHO_SLACK;
use super::{Caller, Now};
use crate::history::Place;
use antiphon_chat::time::Instant;

#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    /// They are answered as soon as the agent falls silent, and not only when the caller then waits.
    pub(super) at_once: bool,
    /// When they were said.
    said: Instant,
    /// When they left the floor.
    pub(super) at: Instant,
    /// The caller was heard again. Whether that was words nobody knows before words come.
    pub(super) again: Option<Instant>,
    /// The agent has fallen silent: their time has come.
    pub(super) is_due: bool,
    /// Where in the history they were said.
    pub(super) place: Place,
}

impl Caller {
    /// Words wait for the agent's silence.
    pub(crate) fn has_kept(&self) -> bool {
        self.turn.kept.is_some()
    }

    /// The instant up to which the agent's words count as heard before these words.
    pub(crate) fn kept_until(&self) -> Option<Instant> {
        self.turn.kept.map(|kept| kept.said + ECHO_SLACK)
    }

    /// When the present words were said, if nobody knows yet where they stand.
    pub(crate) fn unplaced(&self, now: Now) -> Option<Instant> {
        let last_words = self.turn.last_words();
        let is_placed = self.turn.kept.is_some_and(|kept| last_words <= kept.at);
        (!is_placed).then(|| self.turn.last_spoke.unwrap_or(now.at))
    }

    /// The words leave the floor to the agent. `asked`: it had asked something before; `place`: see [`Self::unplaced`].
    pub(crate) fn keep(&mut self, asked: bool, place: Option<Place>, now: Now) {
        // an echo may be a word that both said: it is no answer to what was just asked
        let too_few = !self.turn.is_backchannel();
        let before = self.turn.kept;
        let at_once =
            before.is_some_and(|kept| kept.at_once) || (!self.turn.is_echo && (asked || too_few));
        let said = match (place, before) {
            (None, Some(kept)) => kept.said,
            _ => self.turn.last_spoke.unwrap_or(now.at),
        };
        self.turn.kept = Some(Kept {
            at_once,
            said,
            at: now.at,
            again: before.and_then(|kept| kept.again),
            is_due: false,
            place: place.or(before.map(|kept| kept.place)).unwrap_or_default(),
        });
        self.recognised.settle(now.at);
    }

    /// Kept words that nothing is heard after are answered together with what was typed.
    pub(crate) fn join_kept_words(&mut self, now: Now) {
        if self.has_kept() && self.turn.phase() != Phase::Open {
            self.remember_words(now);
        }
    }

    /// What was kept is answered as soon as the agent falls silent.
    pub(crate) fn answer_at_once(&mut self) {
        if let Some(kept) = &mut self.turn.kept {
            kept.at_once = true;
        }
    }

    /// New words: a backchannel of long ago is not part of them, unless it is going to be answered.
    pub(super) fn part_from_kept_words(&mut self, now: Now) {
        let Some(kept) = self.turn.kept else {
            return;
        };
        let began = self.heard_again_at(kept, now).unwrap_or(now.at);
        let old = began.since(kept.said) > now.options.backchannel_boundary_end;
        let is_done =
            !kept.at_once && !kept.is_due && self.turn.is_backchannel() && !self.turn.has_interim();
        if (old && is_done) || (self.turn.is_kept_as_it_was() && now.agent.asked_since.is_some()) {
            self.file_kept_words(now);
        }
    }

    /// The sound after the words, if it is not one of long ago that no words came of.
    fn heard_again_at(&self, kept: Kept, now: Now) -> Option<Instant> {
        let recent = |at: Instant| now.at.since(at) <= now.options.transcript_timeout;
        let heard = self.hears_voice() || self.turn.last_spoke.is_some_and(recent);
        kept.again.filter(|_| heard)
    }

    /// They enter the history and are not answered. What is heard since is another turn.
    fn file_kept_words(&mut self, now: Now) {
        let Some(kept) = self.turn.kept else {
            return;
        };
        let began = self.heard_again_at(kept, now);
        let (phase, last_spoke) = (self.turn.phase(), self.turn.last_spoke);
        self.remember_words(now);
        self.turn.began = began;
        if began.is_some() {
            self.turn.resume(phase, last_spoke);
        }
    }

    /// The agent goes on to something else, and the words before that enter the history first. They were an answer: then they
    /// are answered after it, if anything is, unless the agent has asked something itself.
    pub(crate) fn settle_kept_words(&mut self, may_answer: bool, now: Now) {
        if !self.turn.has_settled() {
            return;
        }
        let is_answer =
            self.turn.kept.is_some_and(|kept| kept.at_once) && now.agent.asked_since.is_none();
        let hooked = now.options.on_user_turn_completed;
        let speaks = self.turn.phase() == Phase::Open;
        if is_answer && may_answer && !speaks && !hooked && !now.is_manual() {
            self.end_turn(true, true, now);
        } else {
            self.file_kept_words(now);
        }
    }

    /// The agent has asked something after the words, in this place: they are no answer to that.
    pub(crate) fn on_question(&mut self, place: Place, now: Now) {
        if self.turn.has_settled()
            && let Some(kept) = &mut self.turn.kept
        {
            kept.place = kept.place.min(place.before());
            self.file_kept_words(now);
        }
    }

    /// Words wait, and nothing is heard that they may be part of.
    pub(crate) fn has_waiting_words(&self) -> bool {
        self.turn.phase() == Phase::Quiet && self.turn.words() > 0
    }

    /// Whatever has silenced the agent: words that left the floor to it may have been an answer.
    pub(crate) fn reconsider_kept_words(&mut self, now: Now) {
        if !self.has_waiting_words() || now.is_manual() {
            return;
        }
        let boundary = now.options.backchannel_boundary_end;
        let is_echo = self.turn.is_echo;
        let at_once = |kept: &mut Kept| {
            kept.is_due = true;
            kept.at_once || (now.at.since(kept.said) <= boundary && !is_echo)
        };
        if self.turn.kept.as_mut().is_none_or(at_once) {
            self.turn.pause();
        } else if self.turn.may_answer() {
            // the caller may go on, or wait
            self.turn
                .await_words(now.at + now.options.max_endpointing_delay());
        } else {
            self.remember_words(now);
        }
    }
}

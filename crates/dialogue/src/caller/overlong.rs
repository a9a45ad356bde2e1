//! A caller who does not let the agent get a word in: after this many words, or this long, the agent takes the floor.

use super::{Caller, News, Now};
use crate::event::Event;
use crate::limits::MAX_TURN_BYTES;
use antiphon_chat::time::Instant;
use antiphon_text::push_limited;

/// What the caller has said since the agent last spoke.
#[derive(Clone, Debug, Default)]
pub(super) struct Monologue {
    /// The caller's first sound.
    since: Option<Instant>,
    /// The agent got a word in then; sound before is not counted.
    after: Instant,
    /// Turns that are committed already.
    committed: String,
    words: usize,
    /// The limit was exceeded and that was told.
    told: bool,
}

impl Monologue {
    /// A sound was no turn: when nothing has been said before it either, the monologue begins with what comes.
    pub(super) fn forget_sound(&mut self) {
        if self.committed.is_empty() {
            self.since = None;
        }
    }

    /// The caller is heard, in a turn that began then.
    pub(super) fn note_voice(&mut self, began: Option<Instant>) {
        if self.since.is_none() {
            self.since = began.map(|began| began.max(self.after));
        }
    }

    /// A turn of it is committed.
    pub(super) fn count(&mut self, text: &str, words: usize) {
        push_limited(&mut self.committed, text, MAX_TURN_BYTES);
        self.words = self.words.saturating_add(words);
    }

    /// The agent got a word in.
    pub(super) fn end(&mut self, now: Instant) {
        *self = Self {
            after: now,
            ..Self::default()
        };
    }
}

impl Caller {
    /// When the agent takes the floor. While it thinks it is about to, anyway.
    pub(super) fn overlong_deadline(&self, now: Now) -> Option<Instant> {
        let monologue = &self.monologue;
        if monologue.told || !now.agent.is_idle || !self.turn.is_pending() {
            return None;
        }
        let words = monologue.words.saturating_add(self.turn.words());
        let max = now.options.user_turn_max_words;
        if max.is_some_and(|max| words > max as usize) {
            return Some(now.at);
        }
        let max = now.options.user_turn_max_duration?;
        monologue.since.map(|since| (since + max).max(now.at))
    }

    /// What was said so far enters the history if the agent is to take the floor.
    pub(super) fn overlong_due(&mut self, now: Now) {
        let transcript = self.turn.text();
        let monologue = &mut self.monologue;
        monologue.told = true;
        let mut accumulated_transcript = monologue.committed.clone();
        push_limited(&mut accumulated_transcript, &transcript, MAX_TURN_BYTES);
        let accumulated_word_count = monologue.words.saturating_add(self.turn.words());
        let since = monologue.since.unwrap_or(now.at);
        self.emit(Event::UserTurnExceeded {
            transcript,
            accumulated_transcript,
            accumulated_word_count,
            duration: now.at.since(since),
        });
        if now.options.user_turn_exceeded_instructions.is_empty() {
            return;
        }
        if self.turn.words() > 0 {
            self.promote_words(now);
            self.end_turn(false, false, now);
        }
        self.tell(News::TooLong);
    }
}

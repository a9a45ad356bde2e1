//! A caller who does not let the agent get a word in: after so many words, or so long, the agent takes the floor.

use crate::event::Event;
use crate::input::{GenerateReply, Priority};
use crate::limits::MAX_TURN_BYTES;
use crate::machine::Dialogue;
use antiphon_chat::ToolChoice;
use antiphon_chat::time::Instant;
use antiphon_text::push_limited;

/// What the caller has said since the agent last spoke.
#[derive(Clone, Debug, Default)]
pub(crate) struct Monologue {
    /// His first sound.
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
    pub(crate) fn was_nothing(&mut self) {
        if self.committed.is_empty() {
            self.since = None;
        }
    }
}

impl Dialogue {
    /// The caller makes himself heard.
    pub(crate) fn monologue_goes_on(&mut self) {
        let began = self.turn.began;
        let monologue = &mut self.caller.monologue;
        if monologue.since.is_none() {
            monologue.since = began.map(|began| began.max(monologue.after));
        }
    }

    /// A turn of it is committed.
    pub(crate) fn count_turn(&mut self) {
        let text = self.turn.text();
        let monologue = &mut self.caller.monologue;
        push_limited(&mut monologue.committed, &text, MAX_TURN_BYTES);
        monologue.words = monologue.words.saturating_add(self.turn.words());
    }

    /// The agent got a word in.
    pub(crate) fn monologue_is_over(&mut self) {
        self.caller.monologue = Monologue {
            after: self.core.now,
            ..Monologue::default()
        };
    }

    /// When the agent takes the floor. While it thinks it is about to, anyway.
    pub(crate) fn overlong_deadline(&self) -> Option<Instant> {
        let options = &self.core.options;
        let monologue = &self.caller.monologue;
        let free = self.floor.is_open() && self.ending.is_none() && self.queue.is_empty();
        if monologue.told || !free || !self.turn.is_pending() {
            return None;
        }
        let words = monologue.words.saturating_add(self.turn.words());
        if options
            .user_turn_max_words
            .is_some_and(|max| words > max as usize)
        {
            return Some(self.core.now);
        }
        let max = options.user_turn_max_duration?;
        monologue
            .since
            .map(|since| (since + max).max(self.core.now))
    }

    pub(crate) fn overlong_due(&mut self) {
        let now = self.core.now;
        let transcript = self.turn.text();
        let monologue = &mut self.caller.monologue;
        monologue.told = true;
        let mut accumulated_transcript = monologue.committed.clone();
        push_limited(&mut accumulated_transcript, &transcript, MAX_TURN_BYTES);
        let accumulated_word_count = monologue.words.saturating_add(self.turn.words());
        let duration = monologue
            .since
            .map(|since| now.since(since))
            .unwrap_or_default();
        self.core.emit(Event::UserTurnExceeded {
            transcript,
            accumulated_transcript,
            accumulated_word_count,
            duration,
        });
        self.take_the_floor();
    }

    /// What was said so far enters the history, and the agent speaks whatever the caller does.
    fn take_the_floor(&mut self) {
        let instructions = self.core.options.user_turn_exceeded_instructions.clone();
        if instructions.is_empty() {
            return;
        }
        if self.turn.words() > 0 {
            self.promote_words();
            self.turn.commit_asked = true;
            self.turn.skip_reply = true;
            self.commit_turn();
        }
        self.generate_reply(GenerateReply {
            instructions: Some(instructions),
            allow_interruptions: Some(false),
            tool_choice: ToolChoice::None,
            priority: Priority::HIGH,
            ..GenerateReply::default()
        });
    }
}

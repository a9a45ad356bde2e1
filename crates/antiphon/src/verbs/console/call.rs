//! When a call with a recorded caller is over. Time is an argument.

use std::time::Duration;

use antiphon_dialogue::Event;
use antiphon_dialogue::event::{AgentState, UserState};
use tokio::time::Instant;

/// Words or an answer that do not come for this long will not come: as long as a slow local model needs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Speech without words for this long was a cough; a file without any words is not waited for longer either.
const WORDS_TIMEOUT: Duration = Duration::from_secs(20);
/// Everything was said and answered, and still is after this.
const SETTLED: Duration = Duration::from_secs(1);

/// What the caller waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// All is answered.
    Nothing,
    /// They spoke; what did they say?
    Words,
    /// They said something.
    Answer,
}

/// How far the call is.
#[derive(Debug)]
pub(super) struct Call {
    agent: AgentState,
    caller_speaks: bool,
    waiting: Waiting,
    /// The agent listened once: its greeting, if it has one, is over.
    ready: bool,
    heard: bool,
    spoken: bool,
    /// The last time that anything of this changed.
    changed: Instant,
}

impl Call {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            agent: AgentState::Initializing,
            caller_speaks: false,
            waiting: Waiting::Nothing,
            ready: false,
            heard: false,
            spoken: false,
            changed: now,
        }
    }

    /// It is the caller's turn.
    pub(super) fn may_speak(&self) -> bool {
        self.ready
    }

    /// At least once the caller was understood.
    pub(super) fn is_heard(&self) -> bool {
        self.heard
    }

    /// The file is over.
    pub(super) fn is_spoken(&self) -> bool {
        self.spoken
    }

    /// The file is over since now.
    pub(super) fn spoken(&mut self, now: Instant) {
        self.spoken = true;
        self.changed = now;
    }

    pub(super) fn event(&mut self, now: Instant, event: &Event) {
        match event {
            Event::AgentStateChanged { new_state, .. } => {
                self.agent = *new_state;
                if *new_state == AgentState::Listening {
                    self.ready = true;
                    self.waiting = Waiting::Nothing;
                }
            }
            Event::UserStateChanged { new_state, .. } => {
                if self.caller_speaks && self.waiting == Waiting::Nothing {
                    self.waiting = Waiting::Words;
                }
                self.caller_speaks = *new_state == UserState::Speaking;
            }
            Event::UserInputTranscribed { is_final: true, .. } => {
                self.heard = true;
                self.waiting = Waiting::Answer;
            }
            // There is more to come.
            Event::UserInputTranscribed { .. } => {}
            _ => return,
        }
        self.changed = now;
    }

    /// The call is over then, unless something happens before.
    pub(super) fn end(&self) -> Instant {
        let busy = self.agent != AgentState::Listening || self.caller_speaks;
        let patience = match self.waiting {
            _ if busy || !self.spoken => ANSWER_TIMEOUT,
            Waiting::Answer => ANSWER_TIMEOUT,
            Waiting::Words => WORDS_TIMEOUT,
            Waiting::Nothing if self.heard => SETTLED,
            Waiting::Nothing => WORDS_TIMEOUT,
        };
        self.changed + patience
    }
}

#[cfg(test)]
mod tests {
    use antiphon_dialogue::event::InputModality;
    use antiphon_dialogue::ids::TurnId;

    use super::*;

    struct Story {
        start: Instant,
        call: Call,
    }

    impl Story {
        fn new() -> Self {
            let start = Instant::now();
            let call = Call::new(start);
            Self { start, call }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn agent(&mut self, millis: u64, old_state: AgentState, new_state: AgentState) {
            let event = Event::AgentStateChanged {
                old_state,
                new_state,
            };
            self.call.event(self.at(millis), &event);
        }

        fn words(&mut self, millis: u64) {
            let event = Event::UserInputTranscribed {
                turn: TurnId(0),
                modality: InputModality::Audio,
                transcript: "hello".into(),
                is_final: true,
                item_id: None,
                language: None,
                speaker_id: None,
            };
            self.call.event(self.at(millis), &event);
        }

        fn caller(&mut self, millis: u64, old_state: UserState, new_state: UserState) {
            let event = Event::UserStateChanged {
                old_state,
                new_state,
                created_at: antiphon_dialogue::Instant::default(),
            };
            self.call.event(self.at(millis), &event);
        }

        fn is_over(&self, millis: u64) -> bool {
            self.call.end() <= self.at(millis)
        }
    }

    use AgentState::{Initializing, Listening, Speaking, Thinking};

    #[test]
    fn an_agent_without_greeting_hears_the_file_at_once() {
        let mut story = Story::new();
        assert!(!story.call.may_speak());
        story.agent(5, Initializing, Listening);
        assert!(story.call.may_speak());
    }

    #[test]
    fn a_greeting_is_listened_to_before_the_file_is_spoken() {
        let mut story = Story::new();
        story.agent(5, Initializing, Thinking);
        story.agent(50, Thinking, Speaking);
        assert!(!story.call.may_speak());
        story.agent(3000, Speaking, Listening);
        assert!(story.call.may_speak());
    }

    #[test]
    fn an_answer_shorter_than_the_silence_after_the_file_ends_the_call() {
        let mut story = Story::new();
        story.agent(0, Initializing, Listening);
        story.words(1500);
        story.agent(1600, Listening, Thinking);
        story.agent(1700, Thinking, Speaking);
        story.agent(2200, Speaking, Listening);
        assert!(!story.is_over(3000), "the file is not over");
        story.call.spoken(story.at(3000));
        assert!(!story.is_over(3100) && story.is_over(4000));
    }

    #[test]
    fn an_answer_that_is_written_and_not_spoken_ends_the_call() {
        let mut story = Story::new();
        story.agent(0, Initializing, Listening);
        story.words(1500);
        story.call.spoken(story.at(3000));
        assert!(!story.is_over(20_000), "the answer is waited for");
        story.agent(20_000, Listening, Thinking);
        story.agent(21_000, Thinking, Listening);
        assert!(story.is_over(22_000));
    }

    #[test]
    fn a_second_question_is_waited_for_although_the_first_was_answered() {
        let mut story = Story::new();
        story.agent(0, Initializing, Listening);
        story.words(1000);
        story.agent(1100, Listening, Speaking);
        story.agent(2000, Speaking, Listening);
        story.caller(2500, UserState::Listening, UserState::Speaking);
        story.caller(3000, UserState::Speaking, UserState::Listening);
        story.call.spoken(story.at(5000));
        assert!(!story.is_over(9000), "the recogniser is slow");
        story.words(9000);
        assert!(!story.is_over(60_000));
    }

    #[test]
    fn a_file_without_words_does_not_hold_the_console_for_a_minute() {
        let mut story = Story::new();
        story.agent(0, Initializing, Listening);
        story.call.spoken(story.at(3000));
        assert!(story.is_over(23_000) && !story.call.is_heard());
    }
}

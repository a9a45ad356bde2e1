//! The observer's own ledger of questions: words that came before the agent has asked something are no answer to it.

use std::collections::VecDeque;

use super::Violation;
use antiphon_chat::time::{Duration, Instant};
use antiphon_chat::{Item, Role};
use antiphon_dialogue::event::{Event, InputModality};
use antiphon_dialogue::input::{Command, Input, Stt, Vad};
use antiphon_dialogue::options::{Options, TurnDetection};

/// This long after the caller's last sound the turn may be undecided, by LiveKit's longest endpointing delay. What the agent has to say in
/// that time, whatever the caller says, may come between the words and their turn.
const SLACK: Duration = Duration::from_secs(3);
/// Questions and turns that are remembered.
const REMEMBERED: usize = 8;

#[derive(Clone, Debug)]
struct Question {
    text: String,
    /// When it began to sound.
    at: Instant,
}

/// See above.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    now: Instant,
    /// The caller's last sound or word.
    last_heard: Instant,
    /// What was asked after that.
    questions: VecDeque<Question>,
    /// Turns with what had been asked after their last words: the message's id, its words, and the question.
    turns: VecDeque<(String, String, Question)>,
    /// The recogniser is sure of the last words. For what it may still change the machine has to wait.
    is_sure: bool,
    /// The program says when a turn is over: to what it belongs is the program's business.
    by_program: bool,
}

impl Order {
    pub(super) fn input(&mut self, now: Instant, input: &Input) {
        self.now = self.now.max(now);
        let (words, sound) = match input {
            Input::Stt(Stt::Interim(text) | Stt::Preflight(text) | Stt::Final { text, .. }) => {
                (!text.trim().is_empty(), true)
            }
            Input::Stt(Stt::SpeechStarted) => (true, true),
            Input::Vad(Vad::SpeechStarted { .. } | Vad::Frame { speaking: true, .. }) => {
                (false, true)
            }
            Input::Vad(Vad::SpeechEnded { .. }) => (false, true),
            Input::Command(Command::CommitUserTurn { .. }) => {
                self.by_program = true;
                (true, true)
            }
            _ => (false, false),
        };
        if sound {
            self.last_heard = self.now;
        }
        if words {
            self.questions.clear();
            self.is_sure = matches!(input, Input::Stt(Stt::Final { .. }));
        }
    }

    /// The first report of a piece: so much of it has sounded.
    pub(super) fn begins(&mut self, text: &str, sounded: Duration) {
        let at = self.now.back(sounded);
        if text.contains('?') && self.last_heard + SLACK < at {
            let text = text.to_owned();
            remember(&mut self.questions, Question { text, at });
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        if let Event::UserInputTranscribed {
            modality: InputModality::Audio,
            transcript,
            is_final: true,
            item_id: Some(id),
            ..
        } = event
        {
            let by_program = std::mem::take(&mut self.by_program);
            // what begins at this moment the machine may not know yet
            let asked = self.questions.iter().filter(|own| own.at < self.now);
            for question in asked.filter(|_| self.is_sure && !by_program) {
                let turn = (id.clone(), transcript.clone(), question.clone());
                remember(&mut self.turns, turn);
            }
        }
    }

    /// After every step: where a button decides, it decides what belongs together.
    pub(super) fn step(&mut self, options: &Options) {
        self.by_program |= options.turn_detection == TurnDetection::Manual;
    }

    /// After a step that has added something.
    pub(super) fn check_places(&self, history: &[Item]) -> Result<(), Violation> {
        for (id, words, question) in &self.turns {
            let said = |item: &Item| matches!(item, Item::Message(own) if own.id == *id);
            let asked = |item: &Item| {
                matches!(item, Item::Message(own) if own.role == Role::Assistant
                    && own.text.contains(&question.text)
                    && own.metrics.stopped_speaking_at >= Some(question.at))
            };
            let places = (
                history.iter().rposition(said),
                history.iter().rposition(asked),
            );
            if let (Some(said), Some(asked)) = places
                && asked < said
            {
                return Err(Violation::LostWords(format!(
                    "{words:?} was said before {:?} was asked, and stands as its answer",
                    question.text
                )));
            }
        }
        Ok(())
    }
}

fn remember<T>(list: &mut VecDeque<T>, new: T) {
    list.push_back(new);
    if list.len() > REMEMBERED {
        list.pop_front();
    }
}

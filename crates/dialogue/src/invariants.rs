//! The six promises of the machine. [`assert_sound`] looks inside after every step of debug and test builds;
//! [`Observer`] sees only what goes in and out, so it works in property tests and around any driver.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::action::Action;
use crate::chat::{ChatRequest, Item, Role};
use crate::event::Event;
use crate::ids::{SegmentId, SpeechId};
use crate::input::{Input, Playout, Tts};
use crate::limits::{
    MAX_HISTORY_ITEMS, MAX_QUEUED_SPEECHES, MAX_RUNNING_TOOLS, MAX_SEGMENTS_AHEAD, MAX_STEPS,
    MAX_TURN_BYTES,
};
use crate::machine::Dialogue;

/// A promise was broken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// 1: something is going on and nothing will end it.
    #[error("never mute: {0}")]
    Mute(String),
    /// 2: sound of an interrupted reply.
    #[error("never talk over: {0}")]
    TalksOver(String),
    /// 3: the history holds other words than were heard.
    #[error("history is what was heard: {0}")]
    NotHeard(String),
    /// 4: a call without exactly one result, or a side effect that was repeated.
    #[error("every tool call has one result: {0}")]
    ToolResult(String),
    /// 5: a committed turn that is not in the history.
    #[error("no lost turn: {0}")]
    LostTurn(String),
    /// 6: something grows without limit.
    #[error("bounded: {0}")]
    Unbounded(String),
}

/// Panics when the machine is in a state that must not be.
#[cfg(debug_assertions)]
pub(crate) fn assert_sound(dialogue: &Dialogue) {
    let sound = inside(dialogue);
    debug_assert!(sound.is_ok(), "{sound:?}");
}

/// What can only be seen inside: something that waits has a deadline, and what grows has its limit.
pub(crate) fn inside(dialogue: &Dialogue) -> Result<(), Violation> {
    let busy = dialogue.floor.speech().is_some()
        || dialogue.leaving.is_some()
        || dialogue.turn.is_pending();
    match dialogue.deadline() {
        None if busy && !matches!(dialogue.floor, crate::floor::Floor::Closed) => {
            return Err(Violation::Mute(format!(
                "no deadline in {:?} {:?}",
                dialogue.floor, dialogue.turn
            )));
        }
        Some(due) if due < dialogue.core.now => {
            return Err(Violation::Mute("a deadline has passed".into()));
        }
        Some(_) | None => {}
    }
    let ahead = dialogue.floor.speech().map_or(0, |speech| {
        speech
            .segments()
            .filter(|segment| segment.is_ahead())
            .count()
    });
    let steps = dialogue
        .floor
        .speech()
        .map_or(0, |speech| speech.steps.len());
    for (what, count, limit) in [
        ("segments ahead", ahead, MAX_SEGMENTS_AHEAD),
        ("steps", steps, MAX_STEPS),
        (
            "queued speeches",
            dialogue.queue.len(),
            MAX_QUEUED_SPEECHES + 1,
        ),
        ("running tools", dialogue.tools.len(), MAX_RUNNING_TOOLS),
        (
            "history",
            dialogue.core.history.items().len(),
            MAX_HISTORY_ITEMS,
        ),
        ("turn", dialogue.turn.text().len(), 2 * MAX_TURN_BYTES),
    ] {
        if count > limit {
            return Err(Violation::Unbounded(format!(
                "{count} {what}, at most {limit}"
            )));
        }
    }
    Ok(())
}

#[derive(Clone, Debug, Default)]
struct Sound {
    played: bool,
    heard: bool,
    over: bool,
    cancelled: bool,
}

/// Watches inputs and actions from outside.
#[derive(Clone, Debug, Default)]
pub struct Observer {
    sounds: BTreeMap<SegmentId, Sound>,
    /// In the playout when an interruption was decided: must be cancelled and cleared in the same step.
    stopping: Vec<SegmentId>,
    cleared: bool,
    run: BTreeSet<String>,
    keys: BTreeSet<String>,
    words: BTreeMap<SpeechId, String>,
    /// Assistant messages since the last speech ended.
    messages: Vec<String>,
    /// Committed in this step and not seen in the history yet.
    committed: Vec<String>,
    broken: Option<Violation>,
}

impl Observer {
    /// Before `handle`.
    pub fn input(&mut self, input: &Input) {
        if let Input::Playout(playout) = input {
            let (id, over) = match *playout {
                Playout::Started { id } | Playout::Progress { id, .. } => (id, false),
                Playout::Finished { id, .. } | Playout::Cleared { id, .. } => (id, true),
            };
            let heard = !matches!(playout, Playout::Cleared { played, .. } if played.is_zero());
            // what was in the playout before it is over, whether or not that was said
            for earlier in self
                .sounds
                .range_mut(..id)
                .map(|(_, sound)| sound)
                .filter(|sound| sound.played && !sound.over)
            {
                (earlier.heard, earlier.over) = (true, true);
            }
            if let Some(sound) = self.sounds.get_mut(&id) {
                sound.heard |= heard;
                sound.over |= over;
            }
        }
        if let Input::Tts {
            id,
            event: Tts::Finished { duration },
        } = input
            && duration.is_zero()
            && let Some(sound) = self.sounds.get_mut(id)
        {
            sound.over = true;
        }
    }

    /// Every action, in order.
    pub fn action(&mut self, action: &Action) {
        if let Err(violation) = self.look_at(action) {
            self.broken.get_or_insert(violation);
        }
    }

    /// After the actions of one `handle` were drained.
    ///
    /// # Errors
    /// The first promise that was broken.
    pub fn step(&mut self, history: &[Item]) -> Result<(), Violation> {
        if let Some(violation) = self.broken.take() {
            return Err(violation);
        }
        let cleared = std::mem::take(&mut self.cleared);
        for id in std::mem::take(&mut self.stopping) {
            if !cleared || self.sounds.get(&id).is_some_and(|sound| !sound.cancelled) {
                return Err(Violation::TalksOver(format!(
                    "{id} goes on after an interruption"
                )));
            }
        }
        for text in std::mem::take(&mut self.committed) {
            let there = history.iter().any(
                |item| matches!(item, Item::Message(m) if m.role == Role::User && m.text == text),
            );
            if !there {
                return Err(Violation::LostTurn(text));
            }
        }
        calls_are_answered(history, false)
    }

    fn look_at(&mut self, action: &Action) -> Result<(), Violation> {
        match action {
            Action::Synthesize { id, .. } => {
                self.sounds.insert(*id, Sound::default());
            }
            Action::CancelSynthesis { id } => {
                if let Some(sound) = self.sounds.get_mut(id) {
                    sound.cancelled = true;
                }
            }
            Action::Play { id } => match self.sounds.get_mut(id) {
                Some(sound) if !sound.cancelled && !sound.played => sound.played = true,
                _ => {
                    return Err(Violation::TalksOver(format!(
                        "{id} is played although cancelled, unknown or played"
                    )));
                }
            },
            Action::ResumePlayout => {
                let cut = self
                    .sounds
                    .iter()
                    .find(|(_, sound)| sound.played && sound.cancelled && !sound.over);
                if let (Some((id, _)), false) = (cut, self.cleared) {
                    return Err(Violation::TalksOver(format!(
                        "{id} was interrupted and is resumed"
                    )));
                }
            }
            Action::ClearPlayout => {
                self.cleared = true;
                self.sounds
                    .values_mut()
                    .filter(|sound| sound.played)
                    .for_each(|sound| sound.over = true);
            }
            Action::StartLlm { request, .. } => request_is_valid(request)?,
            Action::RunTool {
                call,
                idempotency_key,
            } => {
                if !self.run.insert(call.call_id.clone())
                    || !self.keys.insert(idempotency_key.clone())
                {
                    return Err(Violation::ToolResult(format!(
                        "{} was run twice",
                        call.call_id
                    )));
                }
            }
            Action::Emit(event) => self.look_at_event(event)?,
            Action::Retrieve { .. }
            | Action::CancelLlm { .. }
            | Action::PausePlayout
            | Action::PredictTurn { .. }
            | Action::FinalizeStt
            | Action::ClearStt
            | Action::MuteStt(_)
            | Action::CancelTool { .. }
            | Action::Close => {}
        }
        Ok(())
    }

    fn look_at_event(&mut self, event: &Event) -> Result<(), Violation> {
        match event {
            Event::Interrupted { .. } => {
                self.stopping = self
                    .sounds
                    .iter()
                    .filter(|(_, sound)| sound.played && !sound.over)
                    .map(|(id, _)| *id)
                    .collect();
            }
            Event::AgentTranscript {
                speech,
                segment,
                delta,
                is_final,
                ..
            } => {
                let heard = segment.is_none_or(|id| {
                    self.sounds
                        .get(&id)
                        .is_some_and(|sound| sound.played && sound.heard)
                });
                if !delta.is_empty() && !heard {
                    return Err(Violation::NotHeard(format!(
                        "{delta:?} was shown and never played"
                    )));
                }
                self.words.entry(*speech).or_default().push_str(delta);
                if *is_final {
                    return self.speech_ended(*speech);
                }
            }
            Event::ConversationItemAdded {
                item: Item::Message(message),
            } => match message.role {
                Role::Assistant => self.messages.push(message.text.clone()),
                Role::User => self.committed.retain(|text| *text != message.text),
                Role::System => {}
            },
            Event::UserInputTranscribed {
                transcript,
                is_final: true,
                ..
            } => self.committed.push(transcript.clone()),
            _ => {}
        }
        Ok(())
    }

    fn speech_ended(&mut self, speech: SpeechId) -> Result<(), Violation> {
        let words = self.words.remove(&speech).unwrap_or_default();
        let messages = std::mem::take(&mut self.messages).join(" ");
        let same = words.split_whitespace().eq(messages.split_whitespace());
        if same || messages.is_empty() {
            return Ok(());
        }
        Err(Violation::NotHeard(format!(
            "the history says {messages:?}, heard was {words:?}"
        )))
    }
}

fn request_is_valid(request: &ChatRequest) -> Result<(), Violation> {
    calls_are_answered(&request.items, true)
}

/// No output without its call before it, none twice, and if `complete` none missing.
fn calls_are_answered(items: &[Item], complete: bool) -> Result<(), Violation> {
    let mut calls = BTreeMap::new();
    for item in items {
        match item {
            Item::Message(_) | Item::AgentHandoff { .. } => {}
            Item::FunctionCall { call, .. } => {
                if calls.insert(call.call_id.as_str(), 0).is_some() {
                    return Err(Violation::ToolResult(format!(
                        "{} is called twice",
                        call.call_id
                    )));
                }
            }
            Item::FunctionCallOutput { output, .. } => match calls.get_mut(output.call_id.as_str())
            {
                Some(0) => {
                    calls.insert(output.call_id.as_str(), 1);
                }
                Some(_) => {
                    return Err(Violation::ToolResult(format!(
                        "{} has two results",
                        output.call_id
                    )));
                }
                None => {
                    return Err(Violation::ToolResult(format!(
                        "a result for {} without its call",
                        output.call_id
                    )));
                }
            },
        }
    }
    match calls.iter().find(|(_, results)| complete && **results == 0) {
        Some((id, _)) => Err(Violation::ToolResult(format!(
            "{id} has no result in a request"
        ))),
        None => Ok(()),
    }
}

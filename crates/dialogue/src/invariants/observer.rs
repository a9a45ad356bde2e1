//! Watches a dialogue from outside.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::caller::Caller;
use super::sounds::Sounds;
use super::{Violation, calls_are_answered, request_is_valid};
use crate::action::Action;
use crate::chat::{ChatRequest, Item, Role, ToolCall};
use crate::event::{AgentState, Event, ToolReplyStatus};
use crate::ids::{GenerationId, SegmentId, SpeechId, TurnId};
use crate::input::{Command, Input, Llm, Tts, TurnVerdict};
use crate::limits::{
    MAX_BROUGHT_ITEMS, MAX_DOUBTFUL_CALLS, MAX_HISTORY_ITEMS, MAX_PARKED_SPEECHES,
    MAX_RUNNING_TOOLS, MAX_SEGMENTS_AHEAD, MAX_TURN_BYTES, MAX_TURN_MESSAGES, MAX_VALUE_BYTES, cut,
};
use crate::machine::Dialogue;
use crate::time::Instant;

/// Model requests at the same time: the reply that is being spoken, a speculative one, and those of speeches whose tools
/// have answered while another is heard; and a summary of the history.
const MAX_GENERATIONS: usize = 3 + MAX_PARKED_SPEECHES;

/// A tool call that was started and has not answered.
#[derive(Clone, Debug)]
struct Running {
    call: ToolCall,
    key: String,
    speech: SpeechId,
    /// Its speech was interrupted: a repetition would do it twice.
    interrupted: bool,
    /// It has reported: its call has a result, and the model knows that it runs.
    told: bool,
    /// Its result may be refused.
    refused: bool,
}

/// What a tool gave in this step.
#[derive(Clone, Debug)]
struct Given {
    running: Running,
    output: String,
}

/// What the caller has said or typed.
#[derive(Clone, Debug)]
struct Committed {
    /// Named by the machine.
    turn: Option<TurnId>,
    text: String,
}

/// Watches inputs and actions from outside.
#[derive(Clone, Debug, Default)]
pub struct Observer {
    sounds: Sounds,
    caller: Caller,
    /// The agent was silent, and something of it was ordered to be heard in this step.
    begins: bool,
    /// No sound is to be heard.
    paused: bool,
    /// In the playout when an interruption was decided: must be cancelled and cleared in the same step.
    stopping: Vec<SegmentId>,
    /// In the playout when silence was ordered: must be over in the same step.
    ordered_silence: Vec<SegmentId>,
    generations: BTreeSet<GenerationId>,
    agent: AgentState,
    /// Names and keys of all calls that were ever started.
    run: BTreeSet<String>,
    keys: BTreeSet<String>,
    running: BTreeMap<String, Running>,
    results: Vec<Given>,
    /// Calls that were stopped and may have done what they were to do, oldest first: another attempt is made under the same
    /// key.
    doubtful: VecDeque<Running>,
    words: BTreeMap<SpeechId, String>,
    /// Created and not done.
    speeches: BTreeSet<SpeechId>,
    /// It is to tell what tools have reported.
    telling: Option<SpeechId>,
    /// Assistant messages of speeches that have not ended.
    messages: Vec<String>,
    /// Words that must be in the history after this step, or when the agent's hook has seen them.
    committed: Vec<Committed>,
    /// The turn that the hook looks at, and until when it may.
    hook: Option<(TurnId, Instant)>,
    now: Instant,
    /// Items that were said to be added in this step.
    added: Vec<Item>,
    /// Items that a summary replaced in this step.
    replaced: usize,
    /// Items after the last step.
    length: usize,
    closed: bool,
    broken: Option<Violation>,
}

impl Observer {
    /// Speeches that were created and are not done.
    pub fn unfinished(&self) -> impl Iterator<Item = SpeechId> {
        self.speeches.iter().copied()
    }

    /// Before `handle`, with the same time.
    pub fn input(&mut self, now: Instant, input: &Input) {
        self.sounds.begin_step(now);
        self.now = now;
        self.begins = false;
        if self.closed {
            return;
        }
        self.caller.input(now, input);
        match input {
            Input::Playout(playout) => self.sounds.report(*playout),
            Input::Tts { id, event } => match event {
                Tts::Words(_) => self.sounds.timed(*id),
                Tts::Finished { duration } => self.sounds.synthesized(*id, *duration),
                Tts::Failed(_) => self.sounds.failed(*id),
                Tts::FirstAudio => {}
            },
            Input::Llm {
                id,
                event: Llm::Finished { .. } | Llm::Failed(_),
            } => {
                self.generations.remove(id);
            }
            Input::ToolFinished { call_id, result } => {
                if let Some(running) = self.running.remove(call_id) {
                    if result.is_ok() {
                        self.doubtful.retain(|other| other.key != running.key);
                    }
                    let output = match result {
                        Ok(value) => &value.output,
                        Err(message) => message,
                    };
                    let output = cut(output.clone(), MAX_VALUE_BYTES);
                    self.results.push(Given { running, output });
                }
            }
            // the model knows that it runs: it may call it again
            Input::ToolUpdated { call_id, .. } => {
                if let Some(running) = self.running.get_mut(call_id) {
                    running.told = true;
                }
            }
            Input::Command(Command::HandOff { call_id, .. }) => {
                if let Some(running) = self.running.get_mut(call_id) {
                    running.refused = true;
                }
            }
            Input::UserText(text) if !text.trim().is_empty() => {
                let text = cut(text.trim().to_owned(), MAX_TURN_BYTES);
                self.committed.push(Committed { turn: None, text });
            }
            Input::UserTurnCompleted { turn, verdict } => self.hook_answers(*turn, verdict),
            Input::Command(
                Command::Interrupt { force: true } | Command::Close { drain: false },
            ) => {
                self.ordered_silence = self.sounds.sounding().collect();
            }
            _ => {}
        }
    }

    /// What it says too late does not count.
    fn hook_answers(&mut self, turn: TurnId, verdict: &TurnVerdict) {
        let Some((_, until)) = self.hook.take_if(|(asked, _)| *asked == turn) else {
            return;
        };
        let waiting = |committed: &&mut Committed| committed.turn == Some(turn);
        if let TurnVerdict::Reply {
            text: Some(text), ..
        } = verdict
            && self.now <= until
            && !text.trim().is_empty()
            && let Some(committed) = self.committed.iter_mut().find(waiting)
        {
            committed.text = cut(text.clone(), MAX_TURN_BYTES);
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
    pub fn step(&mut self, dialogue: &Dialogue) -> Result<(), Violation> {
        if let Some(violation) = self.broken.take() {
            return Err(violation);
        }
        let history = dialogue.history();
        self.begins_in_silence(dialogue)?;
        let is_quiet = matches!(self.agent, AgentState::Listening | AgentState::Idle)
            && self.hook.is_none()
            && self.sounds.sounding().next().is_none();
        self.caller
            .nothing_is_forgotten(dialogue, is_quiet, self.closed)?;
        self.silence_is_kept()?;
        self.speaks_with_a_voice()?;
        self.is_bounded(history)?;
        self.nothing_is_lost(history)?;
        self.history_is_whole(history)
    }

    fn look_at(&mut self, action: &Action) -> Result<(), Violation> {
        if self.closed {
            return Err(Violation::TalksOver(format!(
                "{action:?} after the end of the session"
            )));
        }
        match action {
            Action::Synthesize { id, text } => self.sounds.asked(*id, text),
            Action::CancelSynthesis { id } => self.sounds.cancelled(*id),
            Action::Play { id } => {
                self.begins |= self.agent != AgentState::Speaking;
                self.sounds.play(*id)?;
            }
            Action::ResumePlayout => {
                (self.begins, self.paused) = (true, false);
                self.sounds.resume()?;
            }
            Action::PausePlayout => (self.begins, self.paused) = (false, true),
            Action::ClearPlayout => {
                self.begins = false;
                self.sounds.clear();
            }
            Action::StartLlm { id, request } => {
                self.generations.insert(*id);
                request_is_valid(request)?;
                return request_is_bounded(request);
            }
            Action::CancelLlm { id } => {
                self.generations.remove(id);
            }
            Action::RunTool {
                call,
                idempotency_key,
                speech,
                ..
            } => return self.tool_runs(call, idempotency_key, *speech),
            Action::CompleteUserTurn { turn, budget, .. } => {
                self.hook = Some((*turn, self.now + *budget));
            }
            Action::CancelTool { call_id } => {
                // the machine says what became of it; what the tool says later, or said at this moment, is not news
                let given = self
                    .results
                    .iter()
                    .position(|given| given.running.call.call_id == *call_id)
                    .map(|at| self.results.remove(at).running);
                if let Some(running) = self.running.remove(call_id).or(given) {
                    self.may_be_done(running);
                }
            }
            Action::Emit(event) => return self.look_at_event(event),
            Action::Close => self.closed = true,
            Action::Retrieve { .. }
            | Action::CompleteTools { .. }
            | Action::StepSpoken { .. }
            | Action::NotInterrupted(_)
            | Action::SwitchAgent { .. }
            | Action::TaskEnded { .. }
            | Action::PredictTurn { .. }
            | Action::CancelPrediction { .. }
            | Action::FinalizeStt
            | Action::ClearStt
            | Action::MuteStt(_) => {}
        }
        Ok(())
    }

    fn tool_runs(&mut self, call: &ToolCall, key: &str, speech: SpeechId) -> Result<(), Violation> {
        let id = &call.call_id;
        let busy = |key: &str| self.running.values().any(|other| other.key == key);
        let same = |other: &Running| {
            other.call.name == call.name && other.call.arguments == call.arguments
        };
        let again = !self.keys.insert(key.to_owned());
        let stopped = |other: &&Running| other.key == key && !busy(key);
        if !self.run.insert(id.clone()) || (again && !self.doubtful.iter().any(|o| stopped(&o))) {
            return Err(Violation::ToolResult(format!("{id} was run twice")));
        }
        let mut newest = self.doubtful.iter().rev().take(MAX_DOUBTFUL_CALLS / 2);
        if let Some(other) = newest
            .find(|other| same(other) && !busy(&other.key))
            .filter(|_| !again)
        {
            return Err(Violation::ToolResult(format!(
                "{id} does what {} may have done, under another key",
                other.call.call_id
            )));
        }
        let twin = self.running.iter().find(|(_, other)| {
            other.interrupted
                && !other.told
                && other.call.name == call.name
                && other.call.arguments == call.arguments
        });
        if let Some((other, _)) = twin {
            return Err(Violation::ToolResult(format!(
                "{id} repeats {other}, which runs on after an interruption"
            )));
        }
        let running = Running {
            call: call.clone(),
            speech,
            key: key.to_owned(),
            interrupted: false,
            told: false,
            refused: false,
        };
        self.running.insert(id.clone(), running);
        Ok(())
    }

    /// More than the machine remembers: which of them it forgets first is its business.
    fn may_be_done(&mut self, running: Running) {
        if self.doubtful.iter().all(|other| other.key != running.key) {
            self.doubtful.push_back(running);
        }
        if self.doubtful.len() > 2 * MAX_DOUBTFUL_CALLS {
            self.doubtful.pop_front();
        }
    }

    fn look_at_event(&mut self, event: &Event) -> Result<(), Violation> {
        self.caller.event(event);
        match event {
            Event::Interrupted { speech } => {
                self.stopping = self.sounds.sounding().collect();
                self.sounds.interrupt(*speech);
                self.tools_are_left(*speech);
            }
            Event::AgentTranscript {
                speech,
                segment,
                delta,
                is_final,
                ..
            } => {
                if let Some(id) = segment.filter(|_| !delta.is_empty()) {
                    self.sounds.show(*speech, id, delta)?;
                }
                self.words.entry(*speech).or_default().push_str(delta);
                if *is_final {
                    self.sounds.end(*speech)?;
                    return self.speech_ended(*speech);
                }
            }
            Event::ConversationItemAdded { item } => {
                if let Item::Message(message) = item
                    && message.role == Role::Assistant
                {
                    self.messages.push(message.text.clone());
                }
                self.added.push(item.clone());
            }
            Event::HistorySummarized { summary, replaced } => {
                self.added.push(summary.clone());
                self.replaced += replaced;
            }
            Event::UserInputTranscribed {
                turn,
                transcript: text,
                is_final: true,
                ..
            } => {
                let named = Committed {
                    turn: Some(*turn),
                    text: text.clone(),
                };
                let typed = |other: &&mut Committed| other.turn.is_none() && other.text == *text;
                match self.committed.iter_mut().find(typed) {
                    Some(typed) => *typed = named,
                    None => self.committed.push(named),
                }
            }
            Event::AgentStateChanged { new_state, .. } => self.agent = *new_state,
            Event::SpeechCreated { speech, .. } if !self.speeches.insert(*speech) => {
                return Err(Violation::Mute(format!("{speech} was created twice")));
            }
            Event::ToolReplyUpdated { status, speech, .. } => {
                let scheduled = *status == ToolReplyStatus::Scheduled;
                let expected = (!scheduled).then_some(*speech);
                if self.telling != expected || !self.speeches.contains(speech) {
                    return Err(Violation::Mute(format!(
                        "{speech}: a tool reply is {status:?}"
                    )));
                }
                self.telling = scheduled.then_some(*speech);
            }
            Event::SpeechDone { speech, .. } if self.telling == Some(*speech) => {
                return Err(Violation::Mute(format!(
                    "{speech} has not said whether it told"
                )));
            }
            Event::SpeechDone {
                speech,
                interrupted,
            } => return self.speech_done(*speech, *interrupted),
            Event::Closed { .. } => {
                if let Some(speech) = self.speeches.first() {
                    return Err(Violation::Mute(format!(
                        "the session is over and {speech} is not"
                    )));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Its messages are among those that no other speech has claimed, in order, and say what was heard.
    fn speech_ended(&mut self, speech: SpeechId) -> Result<(), Violation> {
        let heard = self.words.remove(&speech).unwrap_or_default();
        let mut words: VecDeque<&str> = heard.split_whitespace().collect();
        let mut claimed = false;
        self.messages.retain(|message| {
            let length = message.split_whitespace().count();
            let fits = length <= words.len()
                && message
                    .split_whitespace()
                    .eq(words.iter().take(length).copied());
            if fits {
                claimed = true;
                words.drain(..length);
            }
            !fits
        });
        let others = self.words.values().any(|words| !words.is_empty());
        let missing = claimed && !words.is_empty();
        if missing || (!self.messages.is_empty() && !others) {
            let messages = std::mem::take(&mut self.messages).join(" ");
            return Err(Violation::NotHeard(format!(
                "the history says {messages:?}, heard was {heard:?}"
            )));
        }
        Ok(())
    }

    /// Once, and then nothing of it is to come.
    fn speech_done(&mut self, speech: SpeechId, interrupted: bool) -> Result<(), Violation> {
        if !self.speeches.remove(&speech) {
            return Err(Violation::Mute(format!("{speech} is done twice")));
        }
        self.words.remove(&speech);
        self.sounds.forget(speech);
        if interrupted {
            self.tools_are_left(speech);
        }
        Ok(())
    }

    /// The tools of this speech run on without it.
    fn tools_are_left(&mut self, speech: SpeechId) {
        for running in self.running.values_mut() {
            running.interrupted |= running.speech == speech;
        }
    }

    /// Promise 2.
    fn silence_is_kept(&mut self) -> Result<(), Violation> {
        let cleared = self.sounds.was_cleared();
        for id in self.stopping.drain(..) {
            if !cleared || self.sounds.goes_on(id) {
                return Err(Violation::TalksOver(format!(
                    "{id} goes on after an interruption"
                )));
            }
        }
        for id in self.ordered_silence.drain(..) {
            if !self.sounds.is_over(id) {
                return Err(Violation::TalksOver(format!(
                    "{id} goes on although silence was ordered"
                )));
            }
        }
        Ok(())
    }

    /// Promise 7. What may be interrupted the machine must say: nothing else of what it says about itself is believed.
    fn begins_in_silence(&mut self, dialogue: &Dialogue) -> Result<(), Violation> {
        let sounds = self.begins && !self.paused && self.sounds.sounding().next().is_some();
        if self.caller.speaks_on(dialogue.options()) && sounds && dialogue.may_interrupt() {
            return Err(Violation::BeginsOverVoice(
                "the agent begins to speak while the caller speaks".into(),
            ));
        }
        Ok(())
    }

    /// Promise 1, as far as one step shows it: who says that he speaks has something in the playout or on the way.
    fn speaks_with_a_voice(&self) -> Result<(), Violation> {
        let speaks = self.sounds.sounding().next().is_some() || !self.generations.is_empty();
        if self.agent == AgentState::Speaking && !speaks {
            return Err(Violation::Mute(
                "it says that it speaks, and nothing is played or asked for".into(),
            ));
        }
        Ok(())
    }

    /// Promise 6, as far as it can be seen from outside.
    fn is_bounded(&self, history: &[Item]) -> Result<(), Violation> {
        for (what, count, limit) in [
            ("model requests", self.generations.len(), MAX_GENERATIONS),
            // a speculative clause beside a speech that needs its own
            ("sounds ahead", self.sounds.ahead(), MAX_SEGMENTS_AHEAD + 1),
            ("tools", self.running.len(), MAX_RUNNING_TOOLS),
            ("items", history.len(), MAX_HISTORY_ITEMS),
        ] {
            if count > limit {
                return Err(Violation::Unbounded(format!(
                    "{count} {what}, at most {limit}"
                )));
            }
        }
        Ok(())
    }

    /// Promises 4 and 5: what the caller committed and what a tool gave is there.
    fn nothing_is_lost(&mut self, history: &[Item]) -> Result<(), Violation> {
        let (committed, results) = (
            std::mem::take(&mut self.committed),
            std::mem::take(&mut self.results),
        );
        if self.closed {
            return Ok(());
        }
        let hooked = self.hook.is_some_and(|(_, until)| self.now < until);
        for waiting in committed {
            let there = history.iter().rev().any(|item| {
                matches!(item, Item::Message(m) if m.role == Role::User && m.text == waiting.text)
            });
            if there {
                continue;
            }
            if !hooked {
                return Err(Violation::LostTurn(waiting.text));
            }
            self.committed.push(waiting);
        }
        for Given { running, output } in results {
            let (id, given) = (running.call.call_id, output);
            if running.refused {
                continue;
            }
            let there = history.iter().rev().any(|item| {
                matches!(item, Item::FunctionCallOutput { output, .. }
                    if output.call_id.starts_with(&id) && output.output == given)
            });
            if !there {
                return Err(Violation::ToolResult(format!(
                    "{id} gave {given:?}, which is not in the history"
                )));
            }
        }
        Ok(())
    }

    /// Promises 3 and 4: the history grows by what was announced, and every result has its call.
    fn history_is_whole(&mut self, history: &[Item]) -> Result<(), Violation> {
        let added = std::mem::take(&mut self.added);
        let before = std::mem::replace(&mut self.length, history.len());
        let replaced = std::mem::take(&mut self.replaced);
        let expected = (before + added.len()).saturating_sub(replaced);
        if history.len() > expected || (history.len() < expected && expected <= MAX_HISTORY_ITEMS) {
            return Err(Violation::NotHeard(format!(
                "{} items after {before} and {} announced",
                history.len(),
                added.len()
            )));
        }
        if let Some(lost) = added.iter().find(|item| !history.contains(item)) {
            return Err(Violation::NotHeard(format!(
                "{lost:?} was announced and is not in the history"
            )));
        }
        if added.is_empty() && !self.closed {
            return Ok(());
        }
        calls_are_answered(history, self.closed)
    }
}

fn request_is_bounded(request: &ChatRequest) -> Result<(), Violation> {
    // every running call has a placeholder more, an agent may be given something to know, and what is being said just now is not in the history yet
    let limit = MAX_HISTORY_ITEMS
        + MAX_BROUGHT_ITEMS
        + MAX_RUNNING_TOOLS
        + crate::limits::MAX_STEPS
        + MAX_TURN_MESSAGES;
    if request.items.len() > limit {
        return Err(Violation::Unbounded(format!(
            "{} items in a request",
            request.items.len()
        )));
    }
    Ok(())
}

//! Watches a dialogue from outside.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::caller::Caller;
use super::firm::Firm;
use super::order::Order;
use super::sounds::Sounds;
use super::tools::Tools;
use super::{Violation, calls_are_answered, cut, request_is_valid};
use antiphon_chat::time::{Duration, Instant};
use antiphon_chat::{ChatRequest, Item, Role};
use antiphon_dialogue::Dialogue;
use antiphon_dialogue::action::{Action, Switch};
use antiphon_dialogue::event::{AgentState, Component, Event, ToolReplyStatus};
use antiphon_dialogue::ids::{GenerationId, SegmentId, SpeechId, TurnId};
use antiphon_dialogue::input::{Command, Input, Llm, Playout, Tts, TurnVerdict};
use antiphon_dialogue::limits::{
    MAX_BROUGHT_ITEMS, MAX_HISTORY_ITEMS, MAX_PARKED_SPEECHES, MAX_RUNNING_TOOLS,
    MAX_SEGMENTS_AHEAD, MAX_TURN_BYTES, MAX_TURN_MESSAGES,
};
use antiphon_dialogue::options::TurnDetection;

/// Model requests at the same time: the reply that is being spoken, a speculative one, and those of speeches whose tools
/// have answered while another is heard; and a summary of the history.
const MAX_GENERATIONS: usize = 3 + MAX_PARKED_SPEECHES;

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
    firm: Firm,
    order: Order,
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
    tools: Tools,
    words: BTreeMap<SpeechId, String>,
    /// Created and not done.
    speeches: BTreeSet<SpeechId>,
    /// For each task that has the floor, the outermost first: the speeches that were there when it began.
    waiting: Vec<BTreeSet<SpeechId>>,
    /// It is to tell what tools have reported.
    telling: Option<SpeechId>,
    /// Assistant messages of speeches that have not ended.
    messages: Vec<String>,
    /// Words that must be in the history after this step, or when the agent's hook has seen them.
    committed: Vec<Committed>,
    /// The turns that the hook looks at, and until when it may.
    hooks: BTreeMap<TurnId, Instant>,
    /// Who may hear nothing more of the agent: the caller or the program has said so in this step, or the output is lost.
    is_stopped: bool,
    /// The program has ended the session.
    is_ending: bool,
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
    /// Speeches that were created and are not done, without those that wait for the end of a task.
    pub fn unfinished(&self) -> impl Iterator<Item = SpeechId> {
        let waiting = self.waiting.last();
        let waits = move |id: &SpeechId| waiting.is_some_and(|waiting| waiting.contains(id));
        self.speeches.iter().copied().filter(move |id| !waits(id))
    }

    /// Before `handle`, with the same time.
    pub fn input(&mut self, now: Instant, input: &Input) {
        self.sounds.begin_step(now);
        self.tools.passes(now.since(self.now));
        self.now = self.now.max(now);
        self.is_ending |= matches!(input, Input::Command(Command::Close { .. }));
        self.is_stopped = self.is_ending;
        self.begins = false;
        if self.closed {
            return;
        }
        self.caller.input(now, input);
        self.firm.input(input);
        self.order.input(now, input);
        match input {
            Input::Playout(playout) => {
                let (id, sounded) = match playout {
                    Playout::Started { id } => (id, Duration::ZERO),
                    Playout::Progress { id, played }
                    | Playout::Finished { id, played }
                    | Playout::Cleared { id, played } => (id, *played),
                };
                if let Some(text) = self.sounds.not_heard_yet(*id) {
                    self.order.begins(text, sounded);
                }
                self.sounds.report(*playout);
            }
            Input::Tts { id, event } => match event {
                Tts::Words(_) => self.sounds.timed(*id),
                Tts::Finished { duration } => self.sounds.synthesized(*id, *duration),
                Tts::Failed(_) => self.sounds.failed(*id),
                Tts::FirstAudio => self.sounds.arrives(*id),
            },
            Input::Llm {
                id,
                event: Llm::Finished { .. } | Llm::Failed(_),
            } => {
                self.generations.remove(id);
            }
            // the model stops what nobody has heard of yet
            Input::Llm {
                id,
                event: Llm::Withdrawn,
            } if self.generations.contains(id) => {
                self.is_stopped |= !self.sounds.is_any_heard();
            }
            Input::ToolFinished { call_id, result } => self.tools.finished(call_id, result),
            Input::ToolUpdated { call_id, .. } => self.tools.updated(call_id),
            Input::Command(Command::HandOff { call_id, .. }) => self.tools.hands_off(call_id),
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
        let Some(until) = self.hooks.remove(&turn) else {
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
        self.firm.step(dialogue.options());
        self.order.step(dialogue.options());
        self.tools.look_up(dialogue.options());
        self.begins_in_silence(dialogue)?;
        let is_quiet = matches!(self.agent, AgentState::Listening | AgentState::Idle)
            && self.hooks.is_empty()
            && self.sounds.sounding().next().is_none();
        self.caller
            .nothing_is_forgotten(dialogue, is_quiet, self.closed)?;
        if !self.closed {
            self.caller.commits_at_once(dialogue.options())?;
        }
        self.silence_is_kept()?;
        self.sounds.check_played()?;
        // an answer that was begun early waits for the button
        let by_button = dialogue.options().turn_detection == TurnDetection::Manual;
        let idle = self.tools.len() == 0 && self.speeches.is_empty() && !by_button;
        if is_quiet && idle && !self.closed && dialogue.deadline().is_none() {
            self.sounds.none_is_forgotten()?;
        }
        if !self.closed {
            self.tools.end_in_time()?;
        }
        self.speaks_with_a_voice()?;
        self.check_bounded(history)?;
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
            Action::CancelSynthesis { id } => {
                if !self.is_stopped {
                    self.sounds.must_have_stopped(*id);
                }
                self.sounds.cancelled(*id);
            }
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
                if !self.is_stopped {
                    self.sounds.must_have_been_stopped();
                }
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
                budget,
                ..
            } => return self.tools.runs(call, idempotency_key, *speech, *budget),
            Action::CompleteUserTurn { turn, budget, .. } => {
                self.hooks.insert(*turn, self.now + *budget);
            }
            Action::CancelTool { call_id } => {
                self.tools.cancelled(call_id);
            }
            Action::SwitchAgent { how, .. } => {
                self.tools.switched(*how);
                self.switched(*how);
            }
            Action::Emit(event) => return self.look_at_event(event),
            Action::Close => self.closed = true,
            Action::Retrieve { .. }
            | Action::CompleteTools { .. }
            | Action::StepSpoken { .. }
            | Action::NotInterrupted(_)
            | Action::TaskEnded { .. }
            | Action::PredictTurn { .. }
            | Action::CancelPrediction { .. }
            | Action::FinalizeStt
            | Action::ClearStt
            | Action::MuteStt(_) => {}
        }
        Ok(())
    }

    fn switched(&mut self, how: Switch) {
        match how {
            Switch::TaskBegins => self.waiting.push(self.speeches.clone()),
            Switch::TaskEnds => drop(self.waiting.pop()),
            Switch::Handoff => self.waiting.clear(),
        }
    }

    fn look_at_event(&mut self, event: &Event) -> Result<(), Violation> {
        self.caller.event(event);
        self.order.event(event);
        match event {
            Event::Interrupted { speech } => {
                self.is_stopped = true;
                self.stopping = self.sounds.sounding().collect();
                self.sounds.interrupt(*speech);
                self.tools.leave(*speech);
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
                    if let Some(what) = self.firm.heard(id, *speech) {
                        return Err(Violation::BeginsOverVoice(what.into()));
                    }
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
                // it was typed, or the recogniser is sure of it only now
                let same = |other: &&mut Committed| match other.turn {
                    Some(other) => other == *turn,
                    None => other.text == *text,
                };
                match self.committed.iter_mut().find(same) {
                    Some(same) => *same = named,
                    None => self.committed.push(named),
                }
            }
            Event::AgentStateChanged { new_state, .. } => self.agent = *new_state,
            Event::UserTurnExceeded { .. } => self.firm.exceeded(),
            Event::SpeechCreated {
                speech,
                user_initiated,
                purpose,
                ..
            } => {
                self.firm.created(*speech, *purpose, *user_initiated);
                if !self.speeches.insert(*speech) {
                    return Err(Violation::Mute(format!("{speech} was created twice")));
                }
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
            Event::Error {
                component: Component::Playout,
                ..
            } => self.is_stopped = true,
            Event::Closed { .. } => {
                self.sounds.stop();
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
        self.firm.done(speech);
        if interrupted {
            self.tools.leave(speech);
        }
        Ok(())
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

    /// Promise 7.
    fn begins_in_silence(&mut self, dialogue: &Dialogue) -> Result<(), Violation> {
        let options = dialogue.options();
        let goes_on = self.caller.still_speaks(options);
        let sounding: Vec<_> = self.sounds.sounding_with_speech().collect();
        if self.paused || sounding.is_empty() {
            self.firm.silence();
            return Ok(());
        }
        let heard = self.sounds.is_any_heard() && self.agent == AgentState::Speaking;
        let still_speaks = heard && self.caller.takes_the_floor(options);
        let begins = goes_on && self.begins;
        let what = match (still_speaks, begins) {
            (true, _) => "the agent speaks on over a caller who speaks on",
            (false, true) => "the agent begins to speak while the caller speaks",
            (false, false) => return Ok(()),
        };
        if !self.tools.protect() && self.firm.sounds_over(what, &sounding) {
            return Err(Violation::BeginsOverVoice(what.into()));
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
    fn check_bounded(&self, history: &[Item]) -> Result<(), Violation> {
        for (what, count, limit) in [
            ("model requests", self.generations.len(), MAX_GENERATIONS),
            // a speculative clause beside a speech that needs its own
            ("sounds ahead", self.sounds.ahead(), MAX_SEGMENTS_AHEAD + 1),
            ("tools", self.tools.len(), MAX_RUNNING_TOOLS),
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
        let committed = std::mem::take(&mut self.committed);
        let given = self.tools.check_given(history);
        if self.closed {
            return Ok(());
        }
        let now = self.now;
        self.hooks.retain(|_, until| now < *until);
        let hooked = !self.hooks.is_empty();
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
        given
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
        self.order.check_places(history)?;
        calls_are_answered(history, self.closed)
    }
}

fn request_is_bounded(request: &ChatRequest) -> Result<(), Violation> {
    // every running call has a placeholder more, an agent may be given something to know, and what is being said just now is not in the history yet
    let limit = MAX_HISTORY_ITEMS
        + MAX_BROUGHT_ITEMS
        + MAX_RUNNING_TOOLS
        + antiphon_dialogue::limits::MAX_STEPS
        + MAX_TURN_MESSAGES;
    if request.items.len() > limit {
        return Err(Violation::Unbounded(format!(
            "{} items in a request",
            request.items.len()
        )));
    }
    Ok(())
}

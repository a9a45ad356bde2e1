//! From what is asked for to words: the reply, step by step.

use crate::action::{Action, Switch};
use crate::event::{Component, Event, TurnMetrics};
use crate::executed::Executed;
use crate::floor::Floor;
use crate::history::Place;
use crate::ids::{GenerationId, RetrievalId};
use crate::input::Llm;
use crate::kept::is_question;
use crate::limits::{MAX_CALLS_PER_STEP, MAX_PASSAGES, MAX_REPLY_BYTES, MAX_VALUE_BYTES, cut};
use crate::machine::Dialogue;
use crate::options::TurnDetection;
use crate::queue::{Queued, Words};
use crate::segment::{Playing, Segment};
use crate::speculation::start_step;
use crate::speech::{Brain, NextStep, Speech, Step, WantedCall};
use antiphon_chat::time::Instant;
use antiphon_chat::{Message, Role, ToolCall, ToolChoice};
use antiphon_text::Chunker;

impl Dialogue {
    /// A speech gets the floor.
    pub(crate) fn begin(&mut self, queued: Queued) {
        let now = self.core.now;
        // words without a question go on from what was said: the caller's may still be answered after them
        if !matches!(&queued.words, Words::Text(text) if !is_question(text)) {
            self.settle_kept_words();
        }
        let step = match queued.words {
            Words::Text(text) => {
                let place = self.core.history.reserve();
                let message = self
                    .core
                    .history
                    .message(Role::Assistant, String::new(), now);
                Step::of_text(place, message, &text)
            }
            Words::Agent(agent) => {
                self.switch_agent(*agent, Switch::Handoff);
                return;
            }
            Words::Begun(mut step) => {
                // it was begun before the turn was committed, and stands after it
                step.message.created_at = now;
                *step
            }
            Words::Model(wanted) => {
                let mut step = self.new_step(&wanted.tool_choice);
                step.query = wanted.query;
                step.reply_instructions = wanted.instructions;
                step.tools = wanted.tools;
                step.extra = wanted.extra;
                step
            }
        };
        if !step.passages.is_empty() {
            self.core.emit(Event::KnowledgeUsed {
                passages: step.passages.clone(),
            });
        }
        let id = queued.id.unwrap_or_else(|| self.core.speech_id());
        let speech = Speech {
            id,
            purpose: queued.purpose,
            handoff: None,
            turn: queued.turn,
            asked: queued.asked,
            is_typed: queued.is_typed,
            is_lost: false,
            interruptible: queued.interruptible,
            in_history: queued.in_history,
            steps: vec![step],
            audible_since: None,
            shown: false,
            metrics: TurnMetrics {
                speech: Some(id),
                ..queued.metrics
            },
            user_stopped_at: queued.user_stopped_at,
        };
        self.floor = Floor::Preparing(speech);
    }

    pub(crate) fn new_step(&mut self, tool_choice: &ToolChoice) -> Step {
        let place = self.core.history.reserve();
        let now = self.core.now;
        let message = self
            .core
            .history
            .message(Role::Assistant, String::new(), now);
        let mut step = Step::new(place, message);
        step.tool_choice = if self.core.options.max_tool_steps == 0 {
            ToolChoice::None
        } else {
            tool_choice.clone()
        };
        step
    }

    /// Starts what waits, and goes to the next step when the tools are done; of parked speeches as well, so that the model
    /// thinks while a filler is heard.
    pub(crate) fn think(&mut self) {
        if self.floor.is_giving_way() {
            return;
        }
        if self.turn.kept.is_some() && self.is_about_to_ask() {
            self.settle_kept_words();
        }
        for at in 0..self.parked.len() {
            if let Some(next) = self.parked.get(at).and_then(Speech::next_step) {
                // nothing is searched for a speech that has not the floor
                let joins = !next.hands_over && !self.core.options.retrieval;
                let speech = next.speech;
                let mut step = self.following_step(next);
                if joins {
                    self.join_turns(speech, &mut step);
                }
                let planned = self.planned_messages();
                start_step(&mut self.core, &mut step, planned);
                if let Some(speech) = self.parked.get_mut(at) {
                    speech.go_on(step);
                }
            }
        }
        if let Some(next) = self.floor.speech().and_then(Speech::next_step) {
            let (speech, joins) = (next.speech, !next.hands_over);
            let mut step = self.following_step(next);
            if joins {
                step.query = self.join_turns(speech, &mut step);
            }
            if let Some(speech) = self.floor.speech_mut() {
                speech.go_on(step);
            }
        }
        let last = self.floor.speech().and_then(|speech| speech.steps.last());
        if last.is_some_and(|last| matches!(last.brain, Brain::Waiting)) {
            self.start_last_step();
        }
    }

    /// A request is about to be made for what is said or waits for a tool.
    fn is_about_to_ask(&self) -> bool {
        let last = self.floor.speech().and_then(|speech| speech.steps.last());
        let mut speeches = self.floor.speech().into_iter().chain(&self.parked);
        last.is_some_and(|last| matches!(last.brain, Brain::Waiting))
            || speeches.any(|speech| speech.next_step().is_some())
    }

    /// The step after tools have answered.
    fn following_step(&mut self, next: NextStep) -> Step {
        let limit = (self.core.options.max_tool_steps as usize).min(crate::limits::MAX_STEPS - 1);
        let last = next.rounds >= limit || self.ending.is_some() || next.without_tools;
        let choice = if last {
            ToolChoice::None
        } else {
            ToolChoice::Auto
        };
        let mut step = self.new_step(&choice);
        step.passages = next.passages;
        step.reply_instructions = next.reply_instructions;
        step.tools = next.tools;
        step.extra = next.extra;
        step
    }

    fn start_last_step(&mut self) {
        let planned = self.planned_messages();
        if let Some(step) = self
            .floor
            .speech_mut()
            .and_then(|speech| speech.steps.last_mut())
        {
            start_step(&mut self.core, step, planned);
        }
    }

    /// Messages of earlier steps that are still being spoken.
    fn planned_messages(&self) -> Vec<(Place, Message)> {
        let Some(speech) = self.floor.speech() else {
            return Vec::new();
        };
        speech
            .steps
            .iter()
            .filter(|step| !step.written && step.brain_is_done() && speech.in_history)
            .filter_map(|step| {
                let text = step.planned_text();
                (!text.is_empty()).then(|| {
                    (
                        step.place,
                        Message {
                            text,
                            ..step.message.clone()
                        },
                    )
                })
            })
            .collect()
    }

    /// The step that waits for this, in the present speech or the speculation.
    fn step_where(&mut self, fits: impl Fn(&Step) -> bool) -> Option<&mut Step> {
        let spoken = self
            .floor
            .speech_mut()
            .into_iter()
            .chain(&mut self.parked)
            .flat_map(|speech| speech.steps.iter_mut());
        let thought = self.speculation.as_mut().map(|kept| &mut kept.step);
        spoken.chain(thought).find(|step| fits(step))
    }

    pub(crate) fn on_retrieved(
        &mut self,
        asked: RetrievalId,
        mut passages: Vec<antiphon_chat::Passage>,
    ) {
        passages.truncate(MAX_PASSAGES);
        let fits = |step: &Step| matches!(step.brain, Brain::Retrieving { id, .. } if id == asked);
        let now = self.core.now;
        let Some(step) = self.step_where(fits) else {
            return;
        };
        if let Brain::Retrieving { since, .. } = step.brain {
            step.clock.retrieval = Some(now.since(since));
        }
        step.passages = passages;
        self.ask_model(fits);
    }

    /// Passages are here or too late: the model is asked.
    fn ask_model(&mut self, fits: impl Fn(&Step) -> bool) {
        let spoken = self
            .floor
            .speech()
            .is_some_and(|speech| speech.steps.iter().any(&fits));
        if spoken {
            self.settle_kept_words();
        }
        let planned = if spoken {
            self.planned_messages()
        } else {
            self.speculation
                .iter()
                .map(|kept| kept.user.clone())
                .collect()
        };
        let steps = match (&mut self.floor, &mut self.speculation) {
            (floor, _) if spoken => floor
                .speech_mut()
                .and_then(|speech| speech.steps.last_mut()),
            (_, kept) => kept.as_mut().map(|kept| &mut kept.step),
        };
        let Some(step) = steps.filter(|step| fits(step)) else {
            return;
        };
        if spoken && !step.passages.is_empty() {
            self.core.emit(Event::KnowledgeUsed {
                passages: step.passages.clone(),
            });
        }
        step.query = None;
        step.brain = Brain::Waiting;
        start_step(&mut self.core, step, planned);
    }

    pub(crate) fn on_llm(&mut self, id: GenerationId, event: Llm) {
        let now = self.core.now;
        let until = now + self.core.options.llm_timeout;
        let Some(step) = self.step_where(|step| step.has_generation(id)) else {
            return;
        };
        match event {
            Llm::Text(text) => {
                step.clock.first_token_at.get_or_insert(now);
                step.brain = Brain::Streaming { id, until };
                let room = MAX_REPLY_BYTES.saturating_sub(step.received);
                step.received += text.len();
                let too_long = text.len() > room;
                step.chunker.push(&cut(text, room));
                if too_long {
                    step.chunker.finish();
                    step.brain = Brain::Done;
                    self.core.act(Action::CancelLlm { id });
                    self.core.error(
                        Component::Llm,
                        "the reply is longer than anybody would listen to: cut off",
                        true,
                    );
                }
            }
            Llm::ToolCall(call) => self.wants_call(id, call, None),
            Llm::RefusedCall { call, why } => self.wants_call(id, call, Some(why)),
            Llm::Thinking => step.thinks_until(until),
            Llm::Withdrawn => self.withdraw(id),
            Llm::Warning(message) => self.core.error(Component::Llm, message, true),
            Llm::Finished { usage } => {
                step.clock.finished(usage, now);
                step.brain = Brain::Done;
                step.chunker.finish();
                self.llm_answered();
            }
            Llm::Failed(message) => self.generation_failed(id, message),
        }
    }

    /// The step's words were not meant for the caller: those that were not heard are dropped.
    fn withdraw(&mut self, id: GenerationId) {
        // the playout can be emptied while nothing sounds and nothing else waits in it
        let is_it = |step: &&Step| step.has_generation(id);
        let may_clear = match &self.floor {
            Floor::Preparing(speech) | Floor::Held(speech, _) => speech.steps.iter().all(|step| {
                let playing = |wanted| step.segments.iter().any(|own| own.playing == wanted);
                !playing(Playing::Audible) && (is_it(&step) || !playing(Playing::Queued))
            }),
            Floor::NotStarted
            | Floor::Open
            | Floor::Speaking(_)
            | Floor::GivingWay(..)
            | Floor::Closed => false,
        };
        let Some(step) = self.step_where(|step| is_it(&step)) else {
            return;
        };
        step.chunker = Chunker::default();
        step.received = 0;
        let unheard = |segment: &mut Segment| match segment.playing {
            Playing::Kept => true,
            Playing::Queued => may_clear,
            Playing::Audible | Playing::Over { .. } => false,
        };
        let dropped: Vec<Segment> = step.segments.extract_if(.., unheard).collect();
        if dropped.iter().any(Segment::in_playout) {
            self.core.act(Action::ClearPlayout);
        }
        for segment in dropped.iter().filter(|segment| segment.is_ahead()) {
            self.core.act(Action::CancelSynthesis { id: segment.id });
        }
    }

    /// The model asks for a call.
    fn wants_call(&mut self, id: GenerationId, mut call: ToolCall, refusal: Option<String>) {
        let now = self.core.now;
        let until = now + self.core.options.llm_timeout;
        let Some(step) = self.step_where(|step| step.has_generation(id)) else {
            return;
        };
        step.clock.first_token_at.get_or_insert(now);
        step.brain = Brain::Streaming { id, until };
        if step.tool_choice == ToolChoice::None {
            self.core.error(
                Component::Llm,
                "the model called a tool although it must not: ignored",
                true,
            );
        } else if step.calls.len() + step.started >= MAX_CALLS_PER_STEP {
            self.core.error(
                Component::Llm,
                "too many tool calls in one answer: the rest is ignored",
                true,
            );
        } else {
            call.name = cut(call.name, MAX_VALUE_BYTES);
            call.arguments = cut(call.arguments, MAX_VALUE_BYTES);
            let refusal = refusal.map(|why| cut(why, MAX_VALUE_BYTES));
            step.calls.push(WantedCall { call, refusal });
        }
    }

    /// The deadline of the words that are being waited for, speculative ones included.
    pub(crate) fn brain_deadline(&self) -> Option<Instant> {
        let spoken = self
            .floor
            .speech()
            .into_iter()
            .chain(&self.parked)
            .filter_map(|speech| speech.steps.last().and_then(Step::deadline));
        let thought = self
            .speculation
            .as_ref()
            .and_then(|kept| kept.step.deadline());
        spoken.chain(thought).min()
    }

    pub(crate) fn brain_due(&mut self) {
        let first = self.brain_deadline();
        let Some(step) = self.step_where(|step| step.deadline() == first) else {
            return;
        };
        if let Executed::Shown { id, .. } = step.executed {
            return self.tools_hook_due(id);
        }
        match step.brain {
            Brain::Retrieving { id, .. } => {
                self.ask_model(move |step| matches!(step.brain, Brain::Retrieving { id: own, .. } if own == id));
            }
            Brain::Asked { id, .. } => {
                self.core.act(Action::CancelLlm { id });
                self.generation_failed(id, "the model did not answer in time".into());
            }
            Brain::Streaming { id, .. } => {
                self.core.act(Action::CancelLlm { id });
                self.generation_failed(id, "the model stopped in the middle of its answer".into());
            }
            Brain::Waiting | Brain::Done => {}
        }
    }

    pub(crate) fn mode_is_manual(&self) -> bool {
        self.core.options.turn_detection == TurnDetection::Manual
    }
}

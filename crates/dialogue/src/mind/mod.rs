//! The agent's mind: one step of a speech, which is one request to the model or one given text.
//!
//! A step **owns** what is asked for, how far the answer is, and the [`Calls`] that it wants. It **is told** passages, what the
//! model sends, and the results of its calls. It **answers** whether its words are complete, whether its calls have their
//! results, and whether another step follows. The words themselves go to the [`Mouth`].

mod calls;
#[cfg(test)]
mod tests;

pub(crate) use calls::{Calls, WantedCall};

use crate::action::Action;
use crate::core::Core;
use crate::event::Component;
use crate::history::{Place, RequestParts};
use crate::ids::{BatchId, GenerationId, RetrievalId};
use crate::input::Llm;
use crate::limits::{
    MAX_CALLS_PER_STEP, MAX_PASSAGES, MAX_REPLY_BYTES, MAX_THINKING, MAX_VALUE_BYTES, cut,
};
use crate::mouth::{Heard, Mouth};
use crate::pending::Pending;
use antiphon_chat::time::{Duration, Instant};
use antiphon_chat::{Message, MessageMetrics, Passage, Role, ToolCall, ToolChoice, Usage};

/// What the model is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// What to search for first.
    pub(crate) query: Option<String>,
    pub(crate) instructions: Option<String>,
    pub(crate) tool_choice: ToolChoice,
    /// The tools it may call; `None`: all.
    pub(crate) tools: Option<Vec<String>>,
    /// What the model reads beside the history: the hook of the turn has added it.
    pub(crate) extra: Vec<(Place, Message)>,
}

/// Where the words of a step come from, and how far that is.
#[derive(Clone, Copy, Debug)]
enum Thinking {
    /// Nothing is asked yet: the history is not settled, or it is just created.
    Waiting,
    /// Passages are looked for.
    Retrieving(Pending<RetrievalId>),
    /// The model was asked and has not answered.
    Asked(Pending<GenerationId>),
    /// Its answer arrives.
    Streaming(Pending<GenerationId>),
    /// It is complete, failed, or was text from the beginning.
    Done,
}

/// When things happened in a step, for the metrics.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    retrieval: Option<Duration>,
    asked_at: Option<Instant>,
    first_token_at: Option<Instant>,
    /// Tokens written per second between the request and its end.
    tokens_per_second: Option<f64>,
}

/// What became of the model's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Thought {
    /// Nothing to report.
    Nothing,
    /// It is complete: the model works.
    Complete,
    /// There is none, or only a part.
    Failed(String),
}

/// What was waited for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// Nothing.
    Nothing,
    /// Passages: the model is asked without.
    Passages,
    /// The model, and how it is late.
    Model(GenerationId, &'static str),
    /// The hook that looks at the results.
    Hook(BatchId),
}

/// See above.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    thinking: Thinking,
    /// Where in the history it stands.
    place: Place,
    /// Its text is filled in when it was heard.
    message: Message,
    wanted: Wanted,
    passages: Vec<Passage>,
    /// Why something was not searched; told once.
    retrieval_failure: Option<String>,
    /// Bytes the model has sent.
    received: usize,
    /// The tools that it wants called.
    pub(crate) calls: Calls,
    /// The model failed in this step.
    failed: bool,
    /// The message is in the history, or there is none.
    written: bool,
    clock: Clock,
}

impl Step {
    /// The model is going to be asked.
    pub(crate) fn new(core: &mut Core, mut wanted: Wanted) -> Self {
        if core.options.max_tool_steps == 0 {
            wanted.tool_choice = ToolChoice::None;
        }
        let place = core.history.reserve();
        let message = core
            .history
            .message(Role::Assistant, String::new(), core.now);
        Self {
            thinking: Thinking::Waiting,
            place,
            message,
            wanted,
            passages: Vec::new(),
            retrieval_failure: None,
            received: 0,
            calls: Calls::default(),
            failed: false,
            written: false,
            clock: Clock::default(),
        }
    }

    /// The words are known already.
    pub(crate) fn of_text(core: &mut Core) -> Self {
        let mut step = Self::new(core, Wanted::default());
        step.thinking = Thinking::Done;
        step
    }

    /// The step after this one, which has called tools. `last`: it must not call any.
    pub(crate) fn following(&self, core: &mut Core, first: &Self, last: bool) -> Self {
        let choice = match last {
            true => ToolChoice::None,
            false => ToolChoice::Auto,
        };
        let wanted = Wanted {
            query: None,
            tool_choice: choice,
            ..first.wanted.clone()
        };
        let mut step = Self::new(core, wanted);
        step.passages.clone_from(&first.passages);
        step
    }

    /// It was begun before its turn was committed, and stands after it.
    pub(crate) fn stand_at(&mut self, now: Instant) {
        self.message.created_at = now;
    }

    /// Also the turns that wait for an answer are answered by it.
    pub(crate) fn joins(&mut self, other: &Wanted, searches: bool) {
        if searches {
            self.wanted.query.clone_from(&other.query);
        }
        self.wanted.extra.extend_from_slice(&other.extra);
    }

    // asking

    /// Searches if there is something to search for, else asks the model. `planned`: what is being said.
    pub(crate) fn ask(&mut self, core: &mut Core, mut planned: Vec<(Place, Message)>) {
        let now = core.now;
        if let Some(query) = self.wanted.query.take().filter(|_| core.options.retrieval) {
            let id = core.retrieval_id();
            let budget = core.options.retrieval_budget;
            self.thinking = Thinking::Retrieving(Pending::new(id, now, budget));
            let before = core.history.turns_before(&query);
            return core.act(Action::Retrieve {
                id,
                query,
                before,
                budget,
            });
        }
        planned.extend_from_slice(&self.wanted.extra);
        let parts = RequestParts {
            instructions: core.instructions.clone(),
            planned,
            passages: self.passages.clone(),
            reply_instructions: self.wanted.instructions.clone(),
            tool_choice: self.wanted.tool_choice.clone(),
            tools: self.wanted.tools.clone(),
        };
        let request = core.history.request(parts, now);
        let id = core.generation_id();
        self.clock.asked_at = Some(now);
        self.thinking = Thinking::Asked(Pending::new(id, now, core.options.llm_timeout));
        core.act(Action::StartLlm { id, request });
    }

    /// What was searched for is here.
    pub(crate) fn found(
        &mut self,
        mut passages: Vec<Passage>,
        failure: Option<String>,
        now: Instant,
    ) {
        if let Thinking::Retrieving(asked) = self.thinking {
            self.clock.retrieval = Some(asked.took(now));
            passages.truncate(MAX_PASSAGES);
            self.passages = passages;
            self.retrieval_failure = failure;
        }
    }

    /// What was searched for is not here in time.
    pub(crate) fn goes_on_without_passages(&mut self, now: Instant) {
        let why = "the knowledge did not answer in time";
        self.found(Vec::new(), Some(why.into()), now);
    }

    // the model's answer

    /// The model has sent something under its present request. `is_silent`: nothing is heard, so that what was said too early can be
    /// taken back.
    pub(crate) fn on_llm(
        &mut self,
        core: &mut Core,
        mouth: &mut Mouth,
        event: Llm,
        is_silent: bool,
    ) -> Thought {
        match event {
            Llm::Text(text) => self.hear(core, mouth, text),
            Llm::ToolCall(call) => self.want_call(core, call, None),
            Llm::RefusedCall { call, why } => self.want_call(core, call, Some(why)),
            Llm::Thinking => {
                let until = core.now + core.options.llm_timeout;
                if let Thinking::Asked(asked) | Thinking::Streaming(asked) = &mut self.thinking {
                    asked.extend_within(until, MAX_THINKING);
                }
            }
            Llm::Withdrawn => {
                self.received = 0;
                mouth.withdraw(core, is_silent);
            }
            Llm::Warning(message) => core.error(Component::Llm, message, true),
            Llm::Finished { usage } => {
                self.note_speed(usage, core.now);
                self.thinking = Thinking::Done;
                mouth.complete();
                return Thought::Complete;
            }
            Llm::Failed(message) => return Thought::Failed(message),
        }
        Thought::Nothing
    }

    /// The answer arrives: the rest has as much time as the first word.
    fn arrives(&mut self, core: &Core) {
        self.clock.first_token_at.get_or_insert(core.now);
        if let Thinking::Asked(mut asked) | Thinking::Streaming(mut asked) = self.thinking {
            asked.extend_to(core.now + core.options.llm_timeout);
            self.thinking = Thinking::Streaming(asked);
        }
    }

    fn hear(&mut self, core: &mut Core, mouth: &mut Mouth, text: String) {
        self.arrives(core);
        let room = MAX_REPLY_BYTES.saturating_sub(self.received);
        self.received += text.len();
        let too_long = text.len() > room;
        mouth.say(&cut(text, room));
        if too_long {
            mouth.complete();
            self.cancel(core);
            let message = "the reply is longer than anybody would listen to: cut off";
            core.error(Component::Llm, message, true);
        }
    }

    fn want_call(&mut self, core: &mut Core, mut call: ToolCall, refusal: Option<String>) {
        self.arrives(core);
        let ignored = if self.wanted.tool_choice == ToolChoice::None {
            Some("the model called a tool although it must not: ignored")
        } else if self.calls.count() >= MAX_CALLS_PER_STEP {
            Some("too many tool calls in one answer: the rest is ignored")
        } else {
            None
        };
        if let Some(message) = ignored {
            return core.error(Component::Llm, message, true);
        }
        call.name = cut(call.name, MAX_VALUE_BYTES);
        call.arguments = cut(call.arguments, MAX_VALUE_BYTES);
        let refusal = refusal.map(|why| cut(why, MAX_VALUE_BYTES));
        self.calls.want(WantedCall { call, refusal });
    }

    fn note_speed(&mut self, usage: Option<Usage>, now: Instant) {
        let took = self.clock.asked_at.map(|asked| now.since(asked));
        self.clock.tokens_per_second = usage
            .zip(took)
            .and_then(|(usage, took)| usage.written_per_second(took));
    }

    /// There is no answer, or only a part of one.
    pub(crate) fn fail(&mut self) {
        self.thinking = Thinking::Done;
        self.failed = true;
        self.calls.give_up();
    }

    /// Nobody waits for the model any more.
    pub(crate) fn cancel(&mut self, core: &mut Core) {
        if let Some(id) = self.generation() {
            core.act(Action::CancelLlm { id });
        }
        self.thinking = Thinking::Done;
    }

    /// The speech is over: nothing more comes of it.
    pub(crate) fn stop(&mut self, core: &mut Core) {
        self.cancel(core);
        self.calls.give_up();
    }

    /// When the model, a search or the hook that looks at the results has taken too long.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if let Some(hook) = self.calls.hook() {
            return Some(hook.until());
        }
        match &self.thinking {
            Thinking::Retrieving(asked) => Some(asked.until()),
            Thinking::Asked(asked) | Thinking::Streaming(asked) => Some(asked.until()),
            Thinking::Waiting | Thinking::Done => None,
        }
    }

    /// What that was.
    pub(crate) fn late(&self) -> Late {
        if let Some(hook) = self.calls.hook() {
            return Late::Hook(hook.id());
        }
        match self.thinking {
            Thinking::Retrieving(_) => Late::Passages,
            Thinking::Asked(asked) => Late::Model(asked.id(), "the model did not answer in time"),
            Thinking::Streaming(asked) => {
                let how = "the model stopped in the middle of its answer";
                Late::Model(asked.id(), how)
            }
            Thinking::Waiting | Thinking::Done => Late::Nothing,
        }
    }

    /// All that the model has called has its results, and nobody was told.
    pub(crate) fn is_executed(&self) -> bool {
        self.calls.are_answered() && self.is_thought_out()
    }

    // its words

    /// All its words have been played or dropped.
    pub(crate) fn write(
        &mut self,
        heard: Heard,
        user_stopped_at: Option<Instant>,
        audible_since: Option<Instant>,
        cut: bool,
    ) {
        self.written = true;
        self.message.text = heard.text;
        self.message.interrupted = heard.is_torn || cut;
        // the first sound of the speech is what the caller waited for
        let started = heard.metrics.started_speaking_at;
        let answers = audible_since.filter(|since| started == Some(*since));
        self.message.metrics = MessageMetrics {
            llm_node_ttft: self.ttft(),
            llm_node_ttfs: heard.first_words_at.and_then(|at| self.asked_before(at)),
            llm_node_tps: self.clock.tokens_per_second,
            e2e_latency: answers
                .zip(user_stopped_at)
                .map(|(first, stopped)| first.since(stopped)),
            ..heard.metrics
        };
    }

    // questions

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    pub(crate) fn message(&self) -> &Message {
        &self.message
    }

    pub(crate) fn take_failure(&mut self) -> Option<String> {
        self.retrieval_failure.take()
    }

    pub(crate) fn passages(&self) -> &[Passage] {
        &self.passages
    }

    /// Request to first token or call.
    pub(crate) fn ttft(&self) -> Option<Duration> {
        Some(self.clock.first_token_at?.since(self.clock.asked_at?))
    }

    /// From the request until then.
    pub(crate) fn asked_before(&self, at: Instant) -> Option<Duration> {
        Some(at.since(self.clock.asked_at?))
    }

    /// How long the search took.
    pub(crate) fn retrieval(&self) -> Option<Duration> {
        self.clock.retrieval
    }

    /// The request to the model that is not answered yet.
    fn generation(&self) -> Option<GenerationId> {
        match &self.thinking {
            Thinking::Asked(own) | Thinking::Streaming(own) => Some(own.id()),
            Thinking::Waiting | Thinking::Retrieving(_) | Thinking::Done => None,
        }
    }

    pub(crate) fn has_generation(&self, id: GenerationId) -> bool {
        self.generation() == Some(id)
    }

    pub(crate) fn has_retrieval(&self, id: RetrievalId) -> bool {
        matches!(&self.thinking, Thinking::Retrieving(own) if own.is(id))
    }

    /// Passages are looked for.
    pub(crate) fn is_retrieving(&self) -> bool {
        matches!(self.thinking, Thinking::Retrieving(_))
    }

    /// The model is to be asked as soon as it can be.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.thinking, Thinking::Waiting)
    }

    pub(crate) fn is_thought_out(&self) -> bool {
        matches!(self.thinking, Thinking::Done)
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    pub(crate) fn is_written(&self) -> bool {
        self.written
    }

    /// Words of it are among those of its message.
    pub(crate) fn was_heard(&self) -> bool {
        !self.message.text.is_empty()
    }

    /// It was asked for after that, and has said something.
    pub(crate) fn has_known(&self, since: Instant) -> bool {
        self.was_heard() && self.clock.asked_at.is_some_and(|at| at > since)
    }

    /// The model was asked, and neither words nor calls came.
    pub(crate) fn is_mute(&self) -> bool {
        self.clock.asked_at.is_some() && self.received == 0 && !self.calls.are_any()
    }

    /// Tools were called, and the model is to say something about what they gave.
    fn reply_follows(&self) -> bool {
        self.calls.want_reply() && !self.failed
    }

    /// All tools have answered, and the next step can begin.
    pub(crate) fn is_followed(&self) -> bool {
        self.is_thought_out() && self.calls.are_done() && self.reply_follows()
    }

    /// Nothing follows, once its words are said.
    pub(crate) fn is_last(&self) -> bool {
        (self.failed || self.calls.are_done()) && !self.reply_follows()
    }

    /// It must not call tools.
    pub(crate) fn is_without_tools(&self) -> bool {
        self.wanted.tool_choice == ToolChoice::None
    }
}

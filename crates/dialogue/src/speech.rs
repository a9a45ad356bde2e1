//! One utterance of the agent, possibly of several steps: words, tools, words after the tools.

use crate::agents::AgentSpec;
use crate::event::{SpeechPurpose, TurnMetrics};
use crate::executed::Executed;
use crate::history::Place;
use crate::ids::{GenerationId, RetrievalId, SegmentId, SpeechId, TurnId};
use crate::limits::MAX_THINKING;
use crate::segment::{Playing, Segment};
use antiphon_chat::Usage;
use antiphon_chat::time::{Duration, Instant};
use antiphon_chat::{Message, MessageMetrics, Passage, ToolCall, ToolChoice};
use antiphon_text::Chunker;

/// Where the words of a step come from, and how far that is.
#[derive(Clone, Debug)]
pub(crate) enum Brain {
    /// Nothing is asked yet: the history is not settled, or it is just created.
    Waiting,
    /// Passages are looked for.
    Retrieving {
        id: RetrievalId,
        since: Instant,
        until: Instant,
    },
    /// The model was asked and has not answered.
    Asked { id: GenerationId, until: Instant },
    /// Its answer arrives.
    Streaming { id: GenerationId, until: Instant },
    /// It is complete, failed, or was text from the beginning.
    Done,
}

/// When things happened in a step, for the metrics.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StepClock {
    pub(crate) retrieval: Option<Duration>,
    pub(crate) asked_at: Option<Instant>,
    pub(crate) first_token_at: Option<Instant>,
    pub(crate) first_clause_at: Option<Instant>,
    /// Tokens written per second between the request and its end.
    pub(crate) tokens_per_second: Option<f64>,
}

impl StepClock {
    /// Request to first token or call.
    pub(crate) fn ttft(&self) -> Option<Duration> {
        Some(self.first_token_at?.since(self.asked_at?))
    }

    /// The answer is complete.
    pub(crate) fn finished(&mut self, usage: Option<Usage>, now: Instant) {
        let took = self.asked_at.map(|asked| now.since(asked));
        self.tokens_per_second = usage
            .zip(took)
            .and_then(|(usage, took)| usage.written_per_second(took));
    }

    /// Request to the first words for synthesis.
    pub(crate) fn ttfs(&self) -> Option<Duration> {
        Some(self.first_clause_at?.since(self.asked_at?))
    }
}

/// A call that the model asks for.
#[derive(Clone, Debug)]
pub(crate) struct WantedCall {
    pub(crate) call: ToolCall,
    /// It must not run; the model reads this as its result.
    pub(crate) refusal: Option<String>,
}

/// One LLM request, or one given text.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) brain: Brain,
    pub(crate) place: Place,
    /// Its text is filled in when it was heard.
    pub(crate) message: Message,
    /// What to search for first.
    pub(crate) query: Option<String>,
    pub(crate) tool_choice: ToolChoice,
    pub(crate) reply_instructions: Option<String>,
    /// The tools it may call; `None`: all.
    pub(crate) tools: Option<Vec<String>>,
    pub(crate) passages: Vec<Passage>,
    /// What the model reads beside the history: the hook of the turn has added it.
    pub(crate) extra: Vec<(Place, Message)>,
    pub(crate) chunker: Chunker,
    /// Bytes the model has sent.
    pub(crate) received: usize,
    pub(crate) segments: Vec<Segment>,
    /// Asked for and not started: the turn is not committed, or the caller is speaking.
    pub(crate) calls: Vec<WantedCall>,
    /// How many were started.
    pub(crate) started: usize,
    /// How many of these have their result.
    pub(crate) answered: usize,
    /// All have, and that was said.
    pub(crate) executed: Executed,
    /// More than one of its tools has given an agent back: nobody takes over.
    pub(crate) rivals: bool,
    /// One of the results wants an answer.
    pub(crate) reply_wanted: bool,
    /// The model failed in this step.
    pub(crate) failed: bool,
    /// The message is in the history, or there is none.
    pub(crate) written: bool,
    pub(crate) clock: StepClock,
}

impl Step {
    pub(crate) fn new(place: Place, message: Message) -> Self {
        Self {
            brain: Brain::Waiting,
            place,
            message,
            query: None,
            tool_choice: ToolChoice::Auto,
            reply_instructions: None,
            tools: None,
            passages: Vec::new(),
            extra: Vec::new(),
            chunker: Chunker::default(),
            received: 0,
            segments: Vec::new(),
            calls: Vec::new(),
            started: 0,
            answered: 0,
            executed: Executed::No,
            rivals: false,
            reply_wanted: false,
            failed: false,
            written: false,
            clock: StepClock::default(),
        }
    }

    /// The words are known already.
    pub(crate) fn of_text(place: Place, message: Message, text: &str) -> Self {
        let mut step = Self::new(place, message);
        step.brain = Brain::Done;
        step.chunker = Chunker::whole(text);
        step
    }

    pub(crate) fn has_generation(&self, id: GenerationId) -> bool {
        matches!(self.brain, Brain::Asked { id: own, .. } | Brain::Streaming { id: own, .. } if own == id)
    }

    pub(crate) fn generation(&self) -> Option<GenerationId> {
        match self.brain {
            Brain::Asked { id, .. } | Brain::Streaming { id, .. } => Some(id),
            Brain::Waiting | Brain::Retrieving { .. } | Brain::Done => None,
        }
    }

    /// The model is alive: it has from now on as long as for its first word, but not for ever.
    pub(crate) fn thinks_until(&mut self, until: Instant) {
        let limit = self.clock.asked_at.map(|asked| asked + MAX_THINKING);
        if let Brain::Asked { until: old, .. } | Brain::Streaming { until: old, .. } =
            &mut self.brain
        {
            *old = until.min(limit.unwrap_or(until)).max(*old);
        }
    }

    /// When the model, a search or the hook that looks at the results has taken too long.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if let Executed::Shown { until, .. } = self.executed {
            return Some(until);
        }
        match self.brain {
            Brain::Retrieving { until, .. }
            | Brain::Asked { until, .. }
            | Brain::Streaming { until, .. } => Some(until),
            Brain::Waiting | Brain::Done => None,
        }
    }

    pub(crate) fn brain_is_done(&self) -> bool {
        matches!(self.brain, Brain::Done)
    }

    /// All its words have been played or dropped.
    pub(crate) fn is_spoken(&self) -> bool {
        self.brain_is_done()
            && self.chunker.is_empty()
            && self.segments.iter().all(Segment::is_over)
    }

    /// Nothing was called, or all calls have their results and it may go on.
    pub(crate) fn tools_are_done(&self) -> bool {
        self.calls.is_empty() && (self.started == 0 || self.executed == Executed::Yes)
    }

    /// All that the model has called has its results, and nobody was told.
    pub(crate) fn is_executed(&self) -> bool {
        self.started > 0
            && self.answered == self.started
            && self.executed == Executed::No
            && self.calls.is_empty()
            && self.brain_is_done()
    }

    /// The model was asked, and neither words nor calls came.
    pub(crate) fn is_mute(&self) -> bool {
        self.clock.asked_at.is_some()
            && self.received == 0
            && self.calls.is_empty()
            && self.started == 0
    }

    /// Its message is what was heard, with what is known of the times. `user_stopped_at` and `audible_since` are the
    /// speech's: the first sound of it is what the caller waited for.
    pub(crate) fn write(
        &mut self,
        (user_stopped_at, audible_since): (Option<Instant>, Option<Instant>),
    ) {
        self.written = true;
        self.message.text = self.heard_text();
        let torn = |segment: &Segment| segment.is_torn() && segment.heard() > 0;
        self.message.interrupted = self.segments.iter().any(torn);
        let started = self.segments.iter().find_map(|segment| segment.audible_at);
        let answers = audible_since.filter(|since| started == Some(*since));
        self.message.metrics = MessageMetrics {
            started_speaking_at: started,
            stopped_speaking_at: self.segments.iter().filter_map(Segment::heard_until).max(),
            llm_node_ttft: self.clock.ttft(),
            llm_node_ttfs: self.clock.ttfs(),
            llm_node_tps: self.clock.tokens_per_second,
            tts_node_ttfb: self.segments.first().and_then(Segment::ttfb),
            playback_latency: self.segments.first().and_then(Segment::playback_latency),
            e2e_latency: answers
                .zip(user_stopped_at)
                .map(|(first, stopped)| first.since(stopped)),
            ..MessageMetrics::default()
        };
    }

    /// Everything it has said and is going to say, as far as known.
    pub(crate) fn planned_text(&self) -> String {
        let mut text = String::new();
        for piece in self
            .segments
            .iter()
            .map(Segment::planned)
            .chain([self.chunker.rest().as_str()])
        {
            if !piece.is_empty() {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(piece);
            }
        }
        text
    }

    /// What was heard of it.
    pub(crate) fn heard_text(&self) -> String {
        let mut text = String::new();
        for segment in &self.segments {
            let heard = segment.text.get(..segment.heard()).unwrap_or_default();
            if !heard.is_empty() {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(heard);
            }
        }
        text
    }
}

/// What the step after tools takes from the ones before.
pub(crate) struct NextStep {
    /// Whose.
    pub(crate) speech: SpeechId,
    /// How many there were.
    pub(crate) rounds: usize,
    /// The last one must not have called tools either.
    pub(crate) without_tools: bool,
    /// Another agent takes over after it: what the caller says meanwhile is that one's to answer.
    pub(crate) hands_over: bool,
    pub(crate) passages: Vec<Passage>,
    pub(crate) reply_instructions: Option<String>,
    pub(crate) tools: Option<Vec<String>>,
    pub(crate) extra: Vec<(Place, Message)>,
}

/// One utterance of the agent.
#[derive(Clone, Debug)]
pub(crate) struct Speech {
    pub(crate) id: SpeechId,
    pub(crate) purpose: SpeechPurpose,
    /// Who takes over when it is over: a tool has given an agent back.
    pub(crate) handoff: Option<Box<AgentSpec>>,
    pub(crate) turn: Option<TurnId>,
    /// Where in the history the words stand that it answers.
    pub(crate) asked: Option<Place>,
    /// What it answers was typed.
    pub(crate) is_typed: bool,
    /// Its sound is made, and nobody knows whether it is played.
    pub(crate) is_lost: bool,
    pub(crate) interruptible: bool,
    pub(crate) in_history: bool,
    pub(crate) steps: Vec<Step>,
    /// When its first audio was played.
    pub(crate) audible_since: Option<Instant>,
    /// Something was shown in the transcript.
    pub(crate) shown: bool,
    pub(crate) metrics: TurnMetrics,
    /// When the caller stopped speaking, for `e2e_latency`.
    pub(crate) user_stopped_at: Option<Instant>,
}

impl Speech {
    pub(crate) fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.steps.iter().flat_map(|step| &step.segments)
    }

    pub(crate) fn segments_mut(&mut self) -> impl Iterator<Item = &mut Segment> {
        self.steps.iter_mut().flat_map(|step| &mut step.segments)
    }

    pub(crate) fn segment_mut(&mut self, id: SegmentId) -> Option<&mut Segment> {
        self.segments_mut().find(|segment| segment.id == id)
    }

    pub(crate) fn is_filler(&self) -> bool {
        self.purpose == SpeechPurpose::Filler
    }

    /// Whoever waits for it reads what cannot be voiced, and the model has not failed.
    pub(crate) fn is_read(&self) -> bool {
        self.is_typed
            && self
                .steps
                .iter()
                .all(|step| step.brain_is_done() && !step.failed)
    }

    /// The words whose sound had begun at that moment.
    pub(crate) fn begun_by(&self, at: Instant) -> String {
        let mut text = String::new();
        for segment in self.segments() {
            text.push_str(segment.begun_by(at));
            text.push(' ');
        }
        text
    }

    /// Some of its words are among those of its messages.
    pub(crate) fn was_heard(&self) -> bool {
        self.steps.iter().any(|step| !step.message.text.is_empty())
    }

    /// Its voice failed so that the caller has not heard its end, or nothing of what it had to say last. What is missing
    /// before that is no reason to begin again.
    pub(crate) fn is_torn(&self) -> bool {
        self.is_unheard() || self.segments().last().is_some_and(Segment::is_torn)
    }

    /// The words of its last step were to be heard, and the voice made no sound of them.
    pub(crate) fn is_unheard(&self) -> bool {
        self.steps.last().is_some_and(|step| {
            let unheard = |segment: &Segment| segment.is_over() && segment.heard() == 0;
            !step.segments.is_empty() && step.segments.iter().all(unheard)
        })
    }

    pub(crate) fn is_audible(&self) -> bool {
        self.segments()
            .any(|segment| segment.playing == Playing::Audible)
    }

    pub(crate) fn in_playout(&self) -> bool {
        self.segments().any(Segment::in_playout)
    }

    /// All tools of the last step have answered, and the model is to say something about it.
    pub(crate) fn next_step(&self) -> Option<NextStep> {
        let (first, last) = self.steps.first().zip(self.steps.last())?;
        let wants = last.brain_is_done()
            && last.started > 0
            && last.tools_are_done()
            && last.reply_wanted
            && !last.failed;
        wants.then(|| NextStep {
            speech: self.id,
            rounds: self.steps.len(),
            without_tools: last.tool_choice == ToolChoice::None || self.handoff.is_some(),
            hands_over: self.handoff.is_some(),
            passages: first.passages.clone(),
            reply_instructions: first.reply_instructions.clone(),
            tools: first.tools.clone(),
            extra: first.extra.clone(),
        })
    }

    /// One of the present step's tools gives this agent back, which takes over if it stays the only one. False: it does not.
    pub(crate) fn give_to(&mut self, agent: Box<AgentSpec>) -> bool {
        let Some(step) = self.steps.last_mut() else {
            return false;
        };
        step.rivals |= self.handoff.is_some();
        self.handoff = (!step.rivals).then_some(agent);
        !step.rivals
    }

    /// With this step.
    pub(crate) fn go_on(&mut self, step: Step) {
        self.metrics.tool_steps += 1;
        self.steps.push(step);
    }

    /// Everything so far was played, and it cannot go on before a tool has answered.
    pub(crate) fn waits_for_tools(&self) -> bool {
        self.steps.last().is_some_and(|step| {
            step.is_spoken() && step.calls.is_empty() && step.answered < step.started
        }) && self.segments().all(Segment::is_over)
    }

    /// Between two steps: everything so far was played, and it is not over yet.
    pub(crate) fn is_between_steps(&self) -> bool {
        self.steps.last().is_some_and(|step| {
            let waits_for_tools = step.is_spoken() && !step.tools_are_done();
            let waits_for_words = step.segments.is_empty() && !step.is_spoken();
            (waits_for_tools || waits_for_words) && self.segments().all(Segment::is_over)
        })
    }
}

//! What an agent is made of: words, options, providers, tools. One `Agent` serves any number of sessions.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use antiphon_dialogue::options::{ToolOptions, TurnDetection, TurnDetectorKind};
use antiphon_dialogue::{Options, OptionsPatch};

use crate::error::AgentError;
use crate::handle::AgentSession;
use crate::hooks::{CompletedTurn, ExecutedTools, Hooks, StopResponse};
use crate::provider::{Evidence, Knowledge, Llm, Stt, Tts, TurnDetector, VadModel};
use crate::tool::{Tool, ToolSet};
use antiphon_recording::Recorder;

/// The instructions of an agent that was given none: only how to talk on the telephone.
const DEFAULT_INSTRUCTIONS: &str =
    "You are a helpful voice assistant. Answer in one or two short sentences.";

/// Writes the instructions of one session.
type Instructions = Arc<dyn Fn() -> String + Send + Sync>;

/// An agent: its instructions, its tools, its options, and its providers for recognition, model and voice. Cheap to clone.
#[derive(Clone)]
pub struct Agent {
    pub(crate) name: Arc<str>,
    pub(crate) instructions: Instructions,
    pub(crate) options: Options,
    pub(crate) overrides: OptionsPatch,
    pub(crate) llm: Arc<dyn Llm>,
    pub(crate) stt: Option<Arc<dyn Stt>>,
    pub(crate) tts: Option<Arc<dyn Tts>>,
    pub(crate) vad: Option<Arc<dyn VadModel>>,
    pub(crate) turn_detector: Option<Arc<dyn TurnDetector>>,
    pub(crate) knowledge: Option<Arc<dyn Knowledge>>,
    pub(crate) tools: Arc<ToolSet>,
    pub(crate) hooks: Hooks,
    pub(crate) keep_history: bool,
    pub(crate) recorder: Option<Recorder>,
}

impl Agent {
    /// Starts a builder. Only [`AgentBuilder::llm`] is required.
    pub fn builder(name: impl Into<String>) -> AgentBuilder {
        AgentBuilder {
            name: name.into(),
            instructions: Arc::new(|| DEFAULT_INSTRUCTIONS.to_owned()),
            options: Options::default(),
            overrides: OptionsPatch::default(),
            llm: None,
            stt: None,
            tts: None,
            vad: None,
            turn_detector: None,
            knowledge: None,
            tools: Vec::new(),
            hooks: Hooks::default(),
            keep_history: false,
            recorder: None,
        }
    }

    /// Starts a builder with the providers and options of this agent, for an agent to hand the conversation over to. Instructions,
    /// greeting, tools and documents are not copied.
    pub fn successor(&self, name: impl Into<String>) -> AgentBuilder {
        let mut builder = Self::builder(name);
        builder.options = Options {
            greeting: None,
            tools: std::collections::BTreeMap::new(),
            ..self.options.clone()
        };
        builder.overrides.clone_from(&self.overrides);
        builder.llm = Some(self.llm.clone());
        builder.stt.clone_from(&self.stt);
        builder.tts.clone_from(&self.tts);
        builder.vad.clone_from(&self.vad);
        builder.turn_detector.clone_from(&self.turn_detector);
        builder
    }

    /// The agent's name (LiveKit's `agent_name`).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The options of its dialogue.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The instructions that a session would have if it began now.
    pub fn instructions(&self) -> String {
        (self.instructions)()
    }

    /// The recorder of its sessions, if there is one.
    pub fn recorder(&self) -> Option<&Recorder> {
        self.recorder.as_ref()
    }

    /// The agent's tools.
    pub fn tools(&self) -> &ToolSet {
        &self.tools
    }

    /// Does the agent have speech recognition? Without it, callers type.
    pub fn can_hear(&self) -> bool {
        self.stt.is_some()
    }

    pub(crate) fn set_instructions(&mut self, text: &Arc<str>) {
        let text = text.clone();
        self.instructions = Arc::new(move || text.as_ref().to_owned());
    }

    pub(crate) fn set_tools(&mut self, tools: Arc<ToolSet>) {
        self.options.tools = tools.options().clone();
        self.tools = tools;
    }

    /// Does the agent have a turn detector that listens to the caller's sound?
    pub(crate) fn hears_turns(&self) -> bool {
        self.turn_detector
            .as_deref()
            .is_some_and(|detector| detector.evidence().hears())
    }

    /// Opens the connections that the first turn will need. Cheap, best effort. A good moment is just before a caller joins.
    pub fn prewarm(&self) {
        self.llm.prewarm();
        if let Some(tts) = &self.tts {
            tts.prewarm();
        }
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("name", &self.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Builds an [`Agent`] step by step.
#[must_use]
pub struct AgentBuilder {
    name: String,
    instructions: Instructions,
    options: Options,
    overrides: OptionsPatch,
    llm: Option<Arc<dyn Llm>>,
    stt: Option<Arc<dyn Stt>>,
    tts: Option<Arc<dyn Tts>>,
    vad: Option<Arc<dyn VadModel>>,
    turn_detector: Option<Arc<dyn TurnDetector>>,
    knowledge: Option<Arc<dyn Knowledge>>,
    tools: Vec<Arc<dyn Tool>>,
    hooks: Hooks,
    keep_history: bool,
    recorder: Option<Recorder>,
}

impl AgentBuilder {
    /// Sets another name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Who the agent is and how it behaves. This is the only text in the model's system role.
    pub fn instructions(self, text: impl Into<String>) -> Self {
        let text = text.into();
        self.instructions_with(move || text.clone())
    }

    /// Like [`Self::instructions`], but written anew at the start of every session: for what changes while the process runs, such as
    /// the date. The function is called when a session starts, so it must not block.
    pub fn instructions_with(mut self, write: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.instructions = Arc::new(write);
        self
    }

    /// What the agent says first. Without a greeting the agent waits for the caller.
    pub fn greeting(mut self, text: impl Into<String>) -> Self {
        self.options.greeting = Some(text.into());
        self
    }

    /// The options of the dialogue. A greeting that was set before is kept if these options have none.
    pub fn options(mut self, options: Options) -> Self {
        let greeting = self.options.greeting.take();
        self.options = options;
        self.options.greeting = self.options.greeting.take().or(greeting);
        self
    }

    /// Options in which this agent differs from its session: a longer wait for callers who spell a name, no interruptions while the
    /// terms are read, and so on. [`AgentSession::update_options`](crate::AgentSession::update_options)
    /// does not change these.
    pub fn overrides(mut self, overrides: OptionsPatch) -> Self {
        self.overrides = overrides;
        self
    }

    /// The language model.
    pub fn llm(mut self, llm: Arc<dyn Llm>) -> Self {
        self.llm = Some(llm);
        self
    }

    /// The speech recogniser. Without one the caller can only type.
    pub fn stt(mut self, stt: Arc<dyn Stt>) -> Self {
        self.stt = Some(stt);
        self
    }

    /// The speech synthesiser. Without one the agent only writes.
    pub fn tts(mut self, tts: Arc<dyn Tts>) -> Self {
        self.tts = Some(tts);
        self
    }

    /// The voice activity detector: needed for quick interruptions.
    pub fn vad(mut self, vad: Arc<dyn VadModel>) -> Self {
        self.vad = Some(vad);
        self
    }

    /// The turn detector: a model that says whether the caller has finished. Unless the options set the endpointing delays, they
    /// follow from its kind: 0.3 and 2.5 s for a detector that hears, 0.5 and 3 s for one that reads.
    pub fn turn_detector(mut self, detector: Arc<dyn TurnDetector>) -> Self {
        self.turn_detector = Some(detector);
        self
    }

    /// The documents to answer from. Every turn is then searched for.
    pub fn knowledge(mut self, knowledge: Arc<dyn Knowledge>) -> Self {
        self.knowledge = Some(knowledge);
        self
    }

    /// Adds a tool. May be called many times.
    pub fn tool(mut self, tool: impl Tool) -> Self {
        self.tools.push(Arc::new(tool));
        self
    }

    /// Adds tools that were made elsewhere, for instance from a configuration file.
    pub fn tools(mut self, tools: impl IntoIterator<Item = Arc<dyn Tool>>) -> Self {
        self.tools.extend(tools);
        self
    }

    /// A hook for the moment when the agent gets the floor: at the start of the session, after a handoff, at the beginning of a task.
    /// The hook runs beside the conversation. It may ask for a reply with instructions instead of a greeting, for instance.
    pub fn on_enter<F, R>(mut self, enter: F) -> Self
    where
        F: Fn(AgentSession) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        self.hooks.on_enter = Some(Arc::new(move |session| Box::pin(enter(session))));
        self
    }

    /// A hook for the moment when the agent loses the floor for good: another agent has taken over, its task is done, or the session
    /// ends. When the session drains, the caller still hears what the hook says; when it is closed, nobody is there any more. After
    /// 10 s the hook is dropped. A session that ends because its last handle was dropped does not run the hook.
    pub fn on_exit<F, R>(mut self, exit: F) -> Self
    where
        F: Fn(AgentSession) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        self.hooks.on_exit = Some(Arc::new(move |session| Box::pin(exit(session))));
        self
    }

    /// A hook for every turn of the caller, spoken or typed, before the turn is answered. The hook can change the words, add messages to
    /// the context for this answer alone (what a search has found, for instance), or stop the answer. An answer that was begun before
    /// the turn was over is kept only if the hook changed nothing and added nothing. A hook that does not return within
    /// `on_user_turn_completed_timeout` (5 s) is dropped, and the turn is answered as it is.
    pub fn on_user_turn_completed<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(AgentSession, CompletedTurn) -> R + Send + Sync + 'static,
        R: Future<Output = Result<CompletedTurn, StopResponse>> + Send + 'static,
    {
        self.hooks.on_user_turn_completed =
            Some(Arc::new(move |session, turn| Box::pin(hook(session, turn))));
        self
    }

    /// A hook for the moment when all tool calls of an answer have their results, before anything follows from them. The hook can cancel
    /// the model's reply to the results, or the handoff to an agent that a tool returned. A hook that does not return within
    /// `on_function_tools_executed_timeout` (5 s) is dropped, and nothing is cancelled.
    pub fn on_function_tools_executed<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(AgentSession, ExecutedTools) -> R + Send + Sync + 'static,
        R: Future<Output = ExecutedTools> + Send + 'static,
    {
        self.hooks.on_function_tools_executed = Some(Arc::new(move |session, tools| {
            Box::pin(hook(session, tools))
        }));
        self
    }

    /// Does the agent know what was said before a handoff to it? By default it does not, as in LiveKit.
    pub fn keep_history(mut self, keep: bool) -> Self {
        self.keep_history = keep;
        self
    }

    /// How the tool of this name is run. This takes precedence over the tool's own options.
    pub fn tool_options(mut self, name: impl Into<String>, options: ToolOptions) -> Self {
        self.options.tools.insert(name.into(), options);
        self
    }

    /// Records its sessions, including the callers' words, for `antiphon replay`. Without a recorder nothing is recorded.
    pub fn recorder(mut self, recorder: Recorder) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// Builds the agent.
    ///
    /// # Errors
    /// There is no language model, the options contradict each other, or a tool has an invalid or duplicate name or an invalid schema.
    pub fn build(self) -> Result<Agent, AgentError> {
        let mut options = self.options;
        options.retrieval = self.knowledge.is_some();
        options.on_user_turn_completed = self.hooks.on_user_turn_completed.is_some();
        options.on_function_tools_executed = self.hooks.on_function_tools_executed.is_some();
        let tools = ToolSet::with_options(self.tools, std::mem::take(&mut options.tools))?;
        options.tools = tools.options().clone();
        options.turn_detector = turn_detector_kind(self.turn_detector.as_deref());
        options.check()?;
        let effective = self.overrides.onto(&options)?;
        match effective.turn_detection {
            TurnDetection::Vad if self.vad.is_none() && self.stt.is_some() => tracing::warn!(
                agent = self.name,
                "turn detection is `vad` and there is no VAD: a turn ends with the recogniser's final words"
            ),
            TurnDetection::Stt if self.stt.is_none() => tracing::warn!(
                agent = self.name,
                "turn detection is `stt` and there is no recogniser: callers can only type"
            ),
            TurnDetection::Vad | TurnDetection::Stt | TurnDetection::Manual => {}
        }
        Ok(Agent {
            name: self.name.into(),
            instructions: self.instructions,
            options,
            overrides: self.overrides,
            llm: self.llm.ok_or(AgentError::NoLlm)?,
            stt: self.stt,
            tts: self.tts,
            vad: self.vad,
            turn_detector: self.turn_detector,
            knowledge: self.knowledge,
            tools: Arc::new(tools),
            hooks: self.hooks,
            keep_history: self.keep_history,
            recorder: self.recorder,
        })
    }
}

impl fmt::Debug for AgentBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentBuilder")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// As the dialogue calls it.
pub(crate) fn turn_detector_kind(detector: Option<&dyn TurnDetector>) -> TurnDetectorKind {
    match detector.map(TurnDetector::evidence) {
        None => TurnDetectorKind::None,
        Some(Evidence::Text) => TurnDetectorKind::Text,
        Some(Evidence::Audio) => TurnDetectorKind::Audio,
        Some(Evidence::AudioAndText) => TurnDetectorKind::AudioAndText,
    }
}

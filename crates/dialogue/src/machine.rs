//! The machine itself: inputs are handed to the parts, then everything that can go on goes on.

use std::sync::Arc;

use crate::action::Action;
use crate::agents::Agents;
use crate::caller::Caller;
use crate::completion::Hooks;
use crate::core::Core;
use crate::event::{AgentState, CloseReason, UserState};
use crate::floor::Floor;
use crate::hands::Hands;
use crate::input::{Command, Input};
use crate::metrics::SessionUsage;
use crate::mind::Step;
use crate::options::Options;
use crate::speech::Speech;
use crate::speeches::Speeches;
use crate::summary::Summary;
use crate::trouble::Trouble;
use antiphon_chat::time::{Duration, Instant};
use antiphon_chat::{ChatContext, Item};

/// The session is going to end when everything is over that was to be said before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) reason: CloseReason,
    /// Then the agent is cut off.
    pub(crate) until: Instant,
    /// Nobody speaks any more, and the caller's last words are waited for until then.
    pub(crate) words_until: Option<Instant>,
}

/// One conversation.
#[derive(Clone, Debug)]
pub struct Dialogue {
    pub(crate) core: Core,
    /// All speeches, and who has the floor: the state of the agent.
    pub(crate) speeches: Speeches,
    /// The caller's side.
    pub(crate) caller: Caller,
    /// Turns that are over and wait for the agent's hook.
    pub(crate) hooks: Hooks,
    /// What was last published of the floor.
    pub(crate) agent_state: AgentState,
    pub(crate) agents: Agents,
    pub(crate) hands: Hands,
    pub(crate) trouble: Trouble,
    /// A long history's summary.
    pub(crate) summary: Summary,
    pub(crate) ending: Option<Ending>,
    /// When the agent's side last did anything.
    pub(crate) active_at: Instant,
    stt_muted: bool,
    /// What the last step left: it changes only in `handle`, and it is asked for at audio rate.
    pub(crate) due: Option<Instant>,
}

impl Dialogue {
    /// A conversation that has not begun; tell it `Started` when the caller can hear.
    pub fn new(options: Options, instructions: impl Into<Arc<str>>) -> Self {
        Self {
            core: Core::new(options, instructions.into()),
            speeches: Speeches::default(),
            caller: Caller::default(),
            hooks: Hooks::default(),
            agent_state: AgentState::Initializing,
            agents: Agents::default(),
            hands: Hands::default(),
            trouble: Trouble::default(),
            summary: Summary::default(),
            ending: None,
            active_at: Instant::ZERO,
            stt_muted: false,
            due: None,
        }
    }

    /// The same, with what was said before it began: calls without a result and results without a call are left out, and of
    /// a very long history the beginning. Times are instants of this session, those from before it included.
    #[must_use]
    pub fn with_history(mut self, history: ChatContext) -> Self {
        self.core.history.bring(history);
        self
    }

    /// The first agent's name in the history. Default: `agent`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        let (key, _) = self.agents.present();
        self.agents.become_one(key, name.into());
        self
    }

    /// Tell it a fact. `now` never goes back; a smaller one counts as the last.
    pub fn handle(&mut self, now: Instant, input: Input) {
        let now = now.max(self.core.now);
        // what was due before this input happened before it; what is due at the same instant happens after it
        if self.due.is_some_and(|due| due < now) {
            self.core.now = now.back(Duration::from_micros(1));
            self.fire();
        }
        self.core.now = now;
        if !self.speeches.floor().is_closed() {
            self.dispatch(input);
            self.advance();
            self.fire();
        }
        #[cfg(debug_assertions)]
        crate::inside::assert_sound(self);
    }

    /// The next thing it asks for, oldest first. Drain it after every `handle`.
    pub fn poll(&mut self) -> Option<Action> {
        self.core.actions.pop_front()
    }

    /// When it wants `Input::Time`, if nothing else happens before.
    pub fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Everything said, called and answered, oldest first.
    pub fn history(&self) -> &[Item] {
        self.core.history.items()
    }

    /// What the present agent knows of it: messages, calls and results, none of which were before its time.
    pub fn context(&self) -> Vec<Item> {
        let visible = self.core.history.visible();
        visible.into_iter().map(|(_, item)| item.clone()).collect()
    }

    /// The agent's state as last published.
    pub fn agent_state(&self) -> AgentState {
        self.agent_state
    }

    /// What the providers have been used for so far.
    pub fn usage(&self) -> SessionUsage {
        self.core.meter.usage()
    }

    fn dispatch(&mut self, input: Input) {
        match input {
            Input::Started => self.start(),
            Input::Vad(vad) => self.on_vad(vad),
            Input::Stt(stt) => self.on_stt(stt),
            Input::TurnPrediction {
                id,
                probability,
                threshold,
            } => self.tell(|caller, now| caller.on_prediction(id, probability, threshold, now)),
            Input::Retrieved {
                id,
                passages,
                failure,
            } => self.on_retrieved(id, passages, failure),
            Input::Llm { id, event } => {
                let measured = self.core.meter.llm(id, &event, self.core.now);
                self.core.measured(measured);
                if !self.summary.on_llm(id, &event, &mut self.core) {
                    self.on_llm(id, event);
                }
            }
            Input::Tts { id, event } => {
                let measured = self.core.meter.tts(id, &event, self.core.now);
                self.core.measured(measured);
                self.on_tts(id, event);
            }
            Input::Measured(measured) => {
                let metrics = self.core.meter.measured(measured);
                self.core.measured(Some(metrics));
            }
            Input::Playout(playout) => self.on_playout(playout),
            Input::ToolFinished { call_id, result } => self.on_tool_finished(&call_id, result),
            Input::ToolUpdated { call_id, message } => self.on_tool_updated(&call_id, message),
            Input::ToolsCompleted { id, verdict } => self.on_tools_completed(id, verdict),
            Input::UserText(text) => self.on_user_text(text),
            Input::UserTurnCompleted { turn, verdict } => {
                self.on_user_turn_completed(turn, verdict);
            }
            Input::Command(command) => self.on_command(command),
            Input::Time => {}
        }
    }

    fn start(&mut self) {
        if matches!(self.speeches.floor(), Floor::NotStarted) {
            self.speeches.open();
            self.active_at = self.core.now;
            self.enter_first();
            self.greet();
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Say(say) => self.say(say),
            Command::GenerateReply(asked) => self.generate_reply(asked),
            Command::Interrupt { force } => self.interrupt_all(force),
            Command::InterruptSpeech { speech, force } => self.interrupt_speech(speech, force),
            Command::AllowInterruptions { speech, allow } => {
                self.allow_interruptions(speech, allow);
            }
            Command::SetFiller { call_id, filler } => self.hands.set_filler(&call_id, filler),
            Command::UpdateInstructions { instructions } => self.update_instructions(instructions),
            Command::UpdateTools { tools } => self.update_tools(tools),
            Command::UpdateChatCtx { items } => self.update_chat_ctx(items),
            Command::UpdateAgent { agent } => self.update_agent(agent),
            Command::HandOff { call_id, agent } => self.hand_off(&call_id, agent),
            Command::StartTask {
                task,
                call_id,
                agent,
            } => self.start_task(task, call_id, agent),
            Command::EndTask { task, completed } => self.end_task(task, completed),
            Command::CommitUserTurn {
                transcript_timeout,
                skip_reply,
            } => self.tell(|caller, now| caller.ask_commit(transcript_timeout, skip_reply, now)),
            Command::ClearUserTurn => self.tell(Caller::clear),
            Command::UpdateOptions(patch) => self.update_options(&patch),
            Command::OverrideOptions(patch) => self.override_options(*patch),
            Command::Close { drain } => self.close(CloseReason::UserInitiated, drain),
        }
    }

    /// Lets everything that can go on go on.
    pub(crate) fn advance(&mut self) {
        loop {
            if self.cut_is_reported() {
                self.settle();
            }
            self.hold_while_caller_speaks();
            self.run_calls();
            self.tools_executed();
            self.think();
            let finished = self.speak();
            self.reconsider_kept_words();
            let started = self.start_next();
            if !finished && !started {
                break;
            }
        }
        self.speculate();
        self.speak();
        self.summarize();
        if let Some(speech) = self.speeches.present() {
            let has_asked = |id| speech.steps.iter().any(|step| step.has_generation(id));
            let has_piece = |id| speech.mouth.has_piece(id);
            self.core.meter.assign_to(speech.id, has_asked, has_piece);
        }
        self.end_overlap();
        self.mute_stt();
        self.end_if_done();
        self.publish_agent_state();
        // once a step: what is cancelled together is told together
        if self.core.meter.is_news {
            self.core.tell_usage();
        }
    }

    /// Only speeches can keep the end waiting.
    pub(crate) fn ending_deadline(&self) -> Option<Instant> {
        let ending = self.ending?;
        let speeches = &self.speeches;
        let goes_on = speeches.present().is_some() || speeches.is_parked() || speeches.has_queue();
        goes_on.then_some(ending.until)
    }

    /// Both silent and nothing going on.
    pub(crate) fn away_deadline(&self) -> Option<Instant> {
        let timeout = self.core.options.user_away_timeout?;
        let quiet = self.speeches.floor().is_open()
            && self.caller.state() == UserState::Listening
            && self.caller.is_quiet()
            && self.hooks.is_empty()
            && self.hands.is_idle();
        quiet.then(|| self.active_at() + timeout)
    }

    /// When anybody last did anything.
    pub(crate) fn active_at(&self) -> Instant {
        self.active_at.max(self.caller.active_at())
    }

    /// A long history gets a summary while the model has nothing else to do.
    fn summarize(&mut self) {
        if self.ending.is_some() {
            self.summary.give_up(&mut self.core);
            return;
        }
        let done = |speech: &Speech| speech.steps.iter().all(Step::is_thought_out);
        let is_idle = self.speeches.guess().is_none() && self.speeches.present().is_none_or(done);
        self.summary.go_on(is_idle, &mut self.core);
    }

    /// The agent may have fallen silent by itself.
    fn end_overlap(&mut self) {
        if self.caller.has_overlap() {
            self.tell(Caller::end_overlap);
        }
    }

    /// The recogniser hears silence while the caller cannot interrupt, if it is wanted so.
    fn mute_stt(&mut self) {
        let mute = self.core.options.discard_audio_if_uninterruptible
            && self.speeches.floor().is_speaking()
            && !self.may_interrupt();
        if mute != self.stt_muted {
            self.stt_muted = mute;
            self.core.act(Action::MuteStt(mute));
        }
    }
}

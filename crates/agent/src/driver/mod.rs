//! Moves bytes between providers and the dialogue; decides nothing.
//!
//! | module | task | what |
//! |---|---|---|
//! | here | one per session | tells the dialogue facts, carries out its actions, keeps its deadlines |
//! | [`conduct`] | | who speaks, and what runs for it |
//! | [`requests`], [`change`] | | what programs ask of the session |
//! | [`leave`] | | the end of the session, and of an agent's time in it |
//! | [`ending`] | none | how far that end has come, and how long it may take |
//! | [`tally`] | none | which model was used for what |
//! | [`ears`] | one per session | the caller's sound to VAD and recogniser |
//! | [`gauge`] | part of it | how much sound went to the recogniser, how long voice activity detection takes |
//! | [`synthesis`] | one per piece of speech | from the synthesiser's stream to the playout |
//! | [`player`] | one per session | the agent's sound to the caller, 20 ms at a time |
//! | [`children`] | one per request | LLM, TTS, retrieval, turn prediction; dropped to cancel |
//! | [`speeches`] | none | who waits for which speech |
//! | [`tools`] | one per call | tool calls, which outlive a cancel by a moment |
//!
//! Sound goes round the outside: neither `ears` nor `player` waits for the session's task. Facts reach it by two bounded
//! channels (voice activity; everything else), reports of the playout by a flag, requests and the order to close by
//! their own; they are looked at in that order of urgency, so nothing short waits behind something long.

mod change;
mod children;
mod conduct;
mod ears;
mod ending;
mod gauge;
mod leave;
mod player;
mod requests;
mod speeches;
mod synthesis;
mod tally;
mod tools;

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use antiphon_chat::{ChatContext, Item, Message, Role};
use antiphon_dialogue::event::CloseReason;
use antiphon_dialogue::ids::PredictionId;
use antiphon_dialogue::input::{self, Command, ToolsVerdict};
use antiphon_dialogue::metrics::SessionUsage;
use antiphon_dialogue::options::OptionsError;
use antiphon_dialogue::{Action, Dialogue, Event, Input, Instant, NotInterrupted, OptionsPatch};
use futures_util::FutureExt as _;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::agent::Agent;
use crate::handle::{Closing, Controls, Request, WeakSession};
use crate::hooks::ExecutedTools;
use crate::io::SessionIo;
use crate::measure;
use crate::provider::{PresentTurn, Query};
use crate::roster::Roster;
use antiphon_recording::Tape;
pub(crate) use change::Change;
use children::{Children, Key};
use ears::Order;
pub use ending::CLOSES_WITHIN;
use ending::{Closed, Farewell};
use player::Player;
use speeches::Speeches;
use tally::Tally;

/// Facts from providers on their way to the dialogue. A token stream of a fast model fills it in a moment; then the
/// provider waits.
const FACT_LIMIT: usize = 256;
/// Voice activity on its way to the dialogue: 8 s of it. Only a driver that hangs lets it fill.
const VAD_LIMIT: usize = 256;
/// A deadline in the past is looked at again after this time, so that a wrong one cannot make the task spin.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);

/// How long written words count as spoken: a moment, because a segment without any duration would count as unheard.
const WRITTEN: Duration = Duration::from_millis(1);

/// Start a session's tasks.
pub(crate) fn spawn(agent: Agent, io: SessionIo, controls: Controls) {
    let span = antiphon_telemetry::logs::session_span(&controls.id, agent.name());
    tokio::spawn(live(agent, io, controls).instrument(span));
}

/// One session from beginning to end. A panic in it ends this session only, and is told like any other end.
async fn live(agent: Agent, io: SessionIo, controls: Controls) {
    measure::session_began();
    tracing::info!("the session begins");
    let (mut driver, mut inlets) = Driver::new(agent, io, controls);
    let ended = AssertUnwindSafe(driver.run(&mut inlets))
        .catch_unwind()
        .await;
    if ended.is_err() {
        measure::panicked("session");
        driver.fails("the session panicked: this is a bug, and the log says where");
    }
    driver.end();
}

/// What the session's task holds.
struct Driver {
    dialogue: Dialogue,
    /// Everything that `dialogue` is told, and what it asks for; `None`: not recorded.
    tape: Option<Tape>,
    agent: Agent,
    began: tokio::time::Instant,
    children: Children,
    tools_cancelled: CancellationToken,
    running_tools: Vec<(String, CancellationToken)>,
    speeches: Speeches,
    /// Why the dialogue did not stop speaking in this step, if it was told to.
    not_interrupted: Option<NotInterrupted>,
    tally: Tally,
    roster: Arc<Roster>,
    /// The first agent has done what it does when it gets the floor.
    entered: bool,
    /// `None`: the agent only writes, and what it writes counts as heard at once.
    player: Option<Arc<Player>>,
    ears: ears::Ears,
    /// What the driver itself has to tell the dialogue after the action at hand.
    own_facts: VecDeque<Input>,
    session: WeakSession,
    events: broadcast::Sender<(Instant, Event)>,
    outcome: watch::Sender<Option<crate::handle::Outcome>>,
    reason: Option<CloseReason>,
    /// What has gone wrong outside the dialogue, so that the session ends.
    error: Option<String>,
    closed: Closed,
    farewell: Farewell,
    /// Who says that the last agent's `on_exit` is over.
    exited: mpsc::Sender<()>,
    /// When the session's clock was zero, since the Unix epoch.
    began_unix: Duration,
}

/// Where facts come in.
struct Inlets {
    closing: watch::Receiver<Option<Closing>>,
    requests: mpsc::Receiver<Request>,
    vad: mpsc::Receiver<input::Vad>,
    facts: mpsc::Receiver<Input>,
    /// The last agent's `on_exit` is over.
    exited: mpsc::Receiver<()>,
}

impl Driver {
    fn new(agent: Agent, io: SessionIo, controls: Controls) -> (Self, Inlets) {
        let (facts_in, facts) = mpsc::channel(FACT_LIMIT);
        let (vad_in, vad) = mpsc::channel(VAD_LIMIT);
        let (exited_in, exited) = mpsc::channel(1);
        let mut children = Children::new(facts_in);
        let silent = io.audio_out.is_silent() || agent.tts.is_none();
        let player = (!silent).then(|| Arc::new(Player::default()));
        if let Some(player) = &player {
            children.spawn_player(player.clone(), io.audio_out);
        }
        let ears = children.spawn_ears(&agent, io.audio_in, vad_in, player.clone());
        let began_unix = controls.began_unix;
        let history = controls.history.on_clock_of(began_unix);
        let instructions = (agent.instructions)();
        let recorder = agent.recorder.as_ref();
        let tape = recorder.map(|recorder| {
            recorder.record(
                &controls.id,
                agent.name(),
                agent.options(),
                &instructions,
                history.items(),
            )
        });
        let dialogue = Dialogue::new(agent.options.clone(), instructions);
        let driver = Self {
            tape,
            dialogue: dialogue.with_history(history).named(agent.name()),
            tally: Tally::default(),
            roster: Roster::new(agent.clone()),
            entered: false,
            agent,
            began: tokio::time::Instant::now(),
            children,
            tools_cancelled: CancellationToken::new(),
            running_tools: Vec::new(),
            speeches: Speeches::default(),
            not_interrupted: None,
            player,
            ears,
            own_facts: VecDeque::new(),
            session: controls.session,
            events: controls.events,
            outcome: controls.outcome,
            reason: None,
            error: None,
            closed: Closed::No,
            farewell: Farewell::NotBegun,
            exited: exited_in,
            began_unix,
        };
        (
            driver,
            Inlets {
                closing: controls.closing,
                requests: controls.requests,
                vad,
                facts,
                exited,
            },
        )
    }

    async fn run(&mut self, inlets: &mut Inlets) {
        if self.agent.overrides != OptionsPatch::default() {
            let overrides = Box::new(self.agent.overrides.clone());
            self.tell(Input::Command(Command::OverrideOptions(overrides)));
        }
        let mut handles = true;
        let mut last = None;
        let mut served = None;
        loop {
            self.take_leave();
            if self.is_over() {
                return;
            }
            // A stream of facts does not delay a deadline; a deadline that stays in the past does not make the task spin.
            let due = self
                .dialogue
                .deadline()
                .filter(|deadline| *deadline <= self.now());
            if due.is_some() && due != served {
                served = due;
                self.tell(Input::Time);
                continue;
            }
            let wake = self.wake();
            let player = self.player.clone();
            tokio::select! {
                biased;
                Ok(()) = inlets.closing.changed() => {
                    let order = *inlets.closing.borrow_and_update();
                    last = order
                        .map(|order| self.ordered_to_close(order, &mut inlets.requests))
                        .or(last);
                }
                () = until(last) => {
                    tracing::warn!("the dialogue did not close in time and is dropped");
                    return;
                }
                request = inlets.requests.recv(), if handles => match request {
                    Some(request) => self.requested(request),
                    None => {
                        handles = false;
                        last = Some(self.close(Closing { reason: CloseReason::UserInitiated, drain: false }));
                    }
                },
                Some(()) = inlets.exited.recv() => self.said_goodbye(),
                () = reports(player.as_deref()) => {
                    // what was synthesized is told before what was played of it
                    for _ in 0..FACT_LIMIT {
                        let Ok(fact) = inlets.facts.try_recv() else { break };
                        self.hear(fact);
                    }
                    self.hear_reports();
                }
                Some(vad) = inlets.vad.recv() => self.tell(Input::Vad(vad)),
                Some(fact) = inlets.facts.recv() => self.hear(fact),
                () = until(wake) => self.tell(Input::Time),
            }
        }
    }

    /// Leaves the outcome. Children end with the driver; tools are told and get a moment.
    fn end(mut self) {
        if let Some(tape) = &mut self.tape {
            tape.finish();
        }
        self.tools_cancelled.cancel();
        self.roster.close();
        if self.closed == Closed::No {
            let event = self.last_event(CloseReason::UserInitiated, None);
            let _ = self.events.send((self.now(), event));
        }
        let reason = self.reason.unwrap_or(CloseReason::UserInitiated);
        measure::session_ended(reason);
        tracing::info!(?reason, "the session is over");
        let (history, usage) = (self.history(), self.usage());
        tracing::info!(usage = %crate::usage_json(&usage), "what the session has used");
        let outcome = crate::handle::Outcome {
            reason,
            history,
            usage,
        };
        self.outcome.send_replace(Some(outcome));
    }

    fn history(&self) -> ChatContext {
        ChatContext::from_items(self.dialogue.history().to_vec(), self.began_unix)
    }

    fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn wake(&self) -> Option<tokio::time::Instant> {
        let deadline = self.dialogue.deadline()?;
        let earliest = tokio::time::Instant::now() + SHORTEST_SLEEP;
        Some((self.began + deadline.since(Instant::ZERO)).max(earliest))
    }

    /// The dialogue decides whether the options make sense; who asked is told.
    fn update_options(
        &mut self,
        patch: Box<OptionsPatch>,
        answer: oneshot::Sender<Result<(), OptionsError>>,
    ) {
        let checked = self.dialogue.check_update(&patch);
        if checked.is_ok() {
            self.tell(Input::Command(Command::UpdateOptions(patch)));
        }
        let _ = answer.send(checked); // who asked has gone: fine
    }

    /// The dialogue decides whether it stops speaking; who asked is told.
    fn interrupt(&mut self, order: Command, answer: oneshot::Sender<Result<(), NotInterrupted>>) {
        self.not_interrupted = None;
        self.tell(Input::Command(order));
        let stopped = self.not_interrupted.take().map_or(Ok(()), Err);
        let _ = answer.send(stopped); // who asked has gone: fine
    }

    /// A fact of a child; some mean work for the driver as well.
    fn hear(&mut self, fact: Input) {
        if let Input::ToolFinished { call_id, .. } = &fact {
            self.running_tools.retain(|(id, _)| id != call_id);
        }
        self.tell(fact);
    }

    fn hear_reports(&mut self) {
        let Some(player) = self.player.clone() else {
            return;
        };
        if player.is_broken() {
            self.fails("the output of the agent's voice panicked, and nothing can be heard");
            self.tell(Input::Command(Command::Close { drain: false }));
        }
        for report in player.reports() {
            if let input::Playout::Cleared { id, .. } = report {
                self.children.cancel(Key::Tts(id));
            }
            self.tell(Input::Playout(report));
        }
    }

    /// One step of the dialogue, and what it asks for.
    fn tell(&mut self, fact: Input) {
        let began = std::time::Instant::now();
        self.own_facts.push_back(fact);
        while let Some(fact) = self.own_facts.pop_front() {
            let now = self.now();
            let told = self.tape.as_ref().map(|_| fact.clone());
            self.dialogue.handle(now, fact);
            let mut asked = Vec::new();
            while let Some(action) = self.dialogue.poll() {
                if told.is_some() {
                    asked.push(action.clone());
                }
                self.act(now, action);
            }
            if let (Some(tape), Some(told)) = (&mut self.tape, told) {
                tape.step(now, told, asked);
            }
        }
        measure::stepped(began.elapsed());
    }

    fn act(&mut self, now: Instant, action: Action) {
        match action {
            Action::Retrieve {
                id,
                query,
                before,
                budget,
            } => {
                let query = Query {
                    before,
                    budget: Some(budget),
                    ..Query::new(query)
                };
                self.children
                    .retrieve(self.agent.knowledge.clone(), id, query, budget)
            }
            Action::StartLlm { id, request } => {
                let tools = self.agent.tools.definitions_of(request.tools.as_deref());
                self.tally.asked(id, self.agent.llm.info());
                self.children
                    .ask(self.agent.llm.clone(), tools, id, request);
            }
            Action::CancelLlm { id } => self.children.cancel(Key::Llm(id)),
            Action::Synthesize { id, text } => match (&self.player, &self.agent.tts) {
                (Some(player), Some(tts)) if player.open(id) => {
                    self.tally.voiced(id, tts.info(), &text);
                    self.children.speak(tts.clone(), player.clone(), id, text)
                }
                (Some(_), Some(_)) => self.own_facts.extend(heard(id)),
                (None, _) | (_, None) => self.own_facts.extend(written(id)),
            },
            Action::CancelSynthesis { id } => {
                self.children.cancel(Key::Tts(id));
                if let Some(player) = &self.player {
                    player.discard(id);
                }
            }
            Action::Play { id } => match &self.player {
                Some(player) => player.play(id),
                None => self.own_facts.extend(read(id)),
            },
            Action::PausePlayout => self.with_player(Player::pause),
            Action::ResumePlayout => self.with_player(Player::resume),
            Action::ClearPlayout => self.with_player(Player::clear),
            Action::PredictTurn {
                id,
                transcript,
                since,
                silence,
                language,
            } => {
                let turn = PresentTurn {
                    silence,
                    language,
                    ..PresentTurn::default()
                };
                self.predict(now, id, transcript, since, turn);
            }
            Action::CancelPrediction { id } => self.children.cancel(Key::Prediction(id)),
            Action::FinalizeStt => self.ears.order(Order::Finalize),
            Action::ClearStt => self.ears.order(Order::Clear),
            Action::MuteStt(mute) => self.ears.order(Order::Mute(mute)),
            Action::RunTool {
                call,
                idempotency_key,
                speech,
                step,
                budget: _, // the dialogue looks at the clock
            } => self.run_tool(call, idempotency_key, speech, step),
            Action::StepSpoken { speech, steps } => self.speeches.spoken(speech, steps),
            Action::CancelTool { call_id } => {
                self.running_tools
                    .iter()
                    .filter(|(id, _)| *id == call_id)
                    .for_each(|(_, token)| token.cancel());
            }
            Action::SwitchAgent { key, how } => self.switch_agent(key, how),
            Action::CompleteUserTurn {
                turn,
                message,
                budget,
            } => self.complete_turn(turn, message, budget),
            Action::CompleteTools {
                id,
                function_calls,
                function_call_outputs,
                reply,
                handoff,
                budget,
            } => {
                let executed = ExecutedTools {
                    function_calls,
                    function_call_outputs,
                    reply,
                    handoff,
                    verdict: ToolsVerdict::unchanged(),
                };
                self.complete_tools(id, executed, budget);
            }
            Action::TaskEnded { task, completed } => self.roster.task_ended(task, completed),
            Action::NotInterrupted(why) => self.not_interrupted = Some(why),
            Action::Emit(event) => self.emit(now, event),
            Action::Close => self.closed = Closed::Yes,
        }
    }

    fn with_player(&self, act: impl Fn(&Player)) {
        if let Some(player) = &self.player {
            act(player);
        }
    }

    fn emit(&mut self, now: Instant, event: Event) {
        let event = match event {
            Event::Closed { reason, error } => {
                self.closed = Closed::Told;
                self.last_event(reason, error)
            }
            // nor its providers
            Event::MetricsCollected { metrics, .. } => {
                let model = self.tally.measured(&metrics, &self.agent);
                Event::MetricsCollected { metrics, model }
            }
            Event::SessionUsageUpdated { usage } => Event::SessionUsageUpdated {
                usage: self.tally.by_model(usage),
            },
            other => other,
        };
        match event {
            Event::SpeechCreated { speech, .. } => self.speeches.created(speech),
            Event::SpeechDone {
                speech,
                interrupted,
            } => self.speeches.done(speech, interrupted),
            _ => {}
        }
        measure::event(&event);
        let _ = self.events.send((now, event)); // nobody listens: fine
    }

    /// What was used, in all and by the model.
    fn usage(&self) -> SessionUsage {
        self.tally.by_model(self.dialogue.usage())
    }

    /// The evidence of a turn detector.
    fn predict(
        &mut self,
        now: Instant,
        id: PredictionId,
        transcript: String,
        since: Instant,
        mut turn: PresentTurn,
    ) {
        let Some(detector) = self.agent.turn_detector.clone() else {
            return; // nobody to ask: the dialogue does not wait for ever
        };
        let evidence = detector.evidence();
        if evidence.hears() {
            turn.audio = self.ears.recent(now.since(since));
        }
        if evidence.reads() {
            turn.items = self.dialogue.history().to_vec();
            turn.items.push(Item::Message(Message::new(
                "item_now",
                Role::User,
                transcript,
                now,
            )));
        }
        self.children.predict(detector, id, turn);
    }
}

/// A second try came too late: the little that the first one gave is being heard.
fn heard(id: antiphon_dialogue::ids::SegmentId) -> [Input; 2] {
    let failed = String::from("what had come of it is being heard");
    [input::Tts::FirstAudio, input::Tts::Failed(failed)].map(|event| Input::Tts { id, event })
}

/// What is written is there at once.
fn written(id: antiphon_dialogue::ids::SegmentId) -> [Input; 2] {
    [
        Input::Tts {
            id,
            event: input::Tts::FirstAudio,
        },
        Input::Tts {
            id,
            event: input::Tts::Finished { duration: WRITTEN },
        },
    ]
}

/// What is written is read at once.
fn read(id: antiphon_dialogue::ids::SegmentId) -> [Input; 2] {
    [
        Input::Playout(input::Playout::Started { id }),
        Input::Playout(input::Playout::Finished {
            id,
            played: WRITTEN,
        }),
    ]
}

async fn until(instant: Option<tokio::time::Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

async fn reports(player: Option<&Player>) {
    match player {
        Some(player) => player.reported().await,
        None => std::future::pending().await,
    }
}

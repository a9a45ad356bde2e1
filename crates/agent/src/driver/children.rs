//! Requests to providers: one task each, dropped to cancel. What they find comes back by one bounded channel; a panic in
//! one is a failure of that request.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use antiphon_audio::Frame16k;
use antiphon_audio::near::Nearness;
use antiphon_chat::ChatRequest;
use antiphon_dialogue::Input;
use antiphon_dialogue::ids::{BatchId, GenerationId, PredictionId, RetrievalId, SegmentId, TurnId};
use antiphon_dialogue::input::{
    self, Llm as LlmFact, Stt as SttFact, ToolsVerdict, Tts as TtsFact, TurnVerdict,
};
use antiphon_dialogue::limits::MAX_CALLS_PER_STEP;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::ears::{self, Ears, Listener, OPEN_RETRIES, Order, Queue};
use super::gauge::Gauge;
use super::player::{self, Player};
use super::synthesis;
use crate::agent::Agent;
use crate::handle::AgentSession;
use crate::hooks::{Before, CompletedTurn, ExecutedTools, ToolsHook, TurnHook};
use crate::io::AudioOutput;
use crate::measure;
use crate::provider::{
    ChatChunk, Found, Knowledge, Llm, PresentTurn, Query, Stt, SttSession, ToolDefinition, Tts,
    TurnDetector,
};
use crate::tool::arguments;

/// Tool calls of one answer that the dialogue is told of. One more than it takes, so that it says so; the rest would only
/// say it again.
const CALL_LIMIT: usize = MAX_CALLS_PER_STEP + 1;

/// The first wait before a recogniser that has given up is opened anew (LiveKit's 0.5 s).
const REOPEN_FIRST: Duration = Duration::from_millis(500);
/// The longest: doubled with each failure in a row, so that an outage is not hammered at.
const REOPEN_LONGEST: Duration = Duration::from_secs(30);
/// Opened anew and still open after this: it works. Longer than a handshake may take.
const REOPENED_WORKS_AFTER: Duration = Duration::from_secs(8);

/// Which child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Llm(GenerationId),
    Tts(SegmentId),
    Retrieval(RetrievalId),
    Prediction(PredictionId),
    Hook(TurnId),
    ToolsHook(BatchId),
    Player,
    Ears,
    Recogniser,
}

/// A session's children; dropping them cancels all.
#[derive(Debug)]
pub(crate) struct Children {
    running: HashMap<Key, AbortOnDropHandle<()>>,
    facts: mpsc::Sender<Input>,
}

impl Children {
    pub(crate) fn new(facts: mpsc::Sender<Input>) -> Self {
        Self {
            running: HashMap::new(),
            facts,
        }
    }

    /// Where facts go.
    pub(crate) fn facts(&self) -> mpsc::Sender<Input> {
        self.facts.clone()
    }

    /// Drop one.
    pub(crate) fn cancel(&mut self, key: Key) {
        self.running.remove(&key);
    }

    /// Ask the model.
    pub(crate) fn ask(
        &mut self,
        llm: Arc<dyn Llm>,
        tools: Arc<[ToolDefinition]>,
        id: GenerationId,
        request: ChatRequest,
    ) {
        let facts = self.facts();
        let failed = Input::Llm {
            id,
            event: LlmFact::Failed(String::from("the language model's provider panicked")),
        };
        self.spawn(Key::Llm(id), "llm", Some(failed), async move {
            ask(llm, tools, id, request, &facts).await
        });
    }

    /// Synthesize into the playout, where this segment was opened.
    pub(crate) fn speak(
        &mut self,
        tts: Arc<dyn Tts>,
        player: Arc<Player>,
        id: SegmentId,
        text: String,
    ) {
        let facts = self.facts();
        let failed = Input::Tts {
            id,
            event: TtsFact::Failed(String::from("the synthesiser's provider panicked")),
        };
        let work = synthesis::speak(tts, player, id, text, facts);
        self.spawn(Key::Tts(id), "tts", Some(failed), work);
    }

    /// Search the knowledge.
    pub(crate) fn retrieve(
        &mut self,
        knowledge: Option<Arc<dyn Knowledge>>,
        id: RetrievalId,
        query: Query,
        budget: Duration,
    ) {
        let facts = self.facts();
        let answer = move |Found { passages, failure }| Input::Retrieved {
            id,
            passages,
            failure,
        };
        let failed = answer(Found::failed("the search of the knowledge panicked"));
        self.spawn(Key::Retrieval(id), "knowledge", Some(failed), async move {
            let found = match &knowledge {
                Some(knowledge) => tokio::time::timeout(budget, knowledge.search(query))
                    .await
                    .unwrap_or_else(|_| Found::failed(format!("no answer within {budget:?}"))),
                None => Found::default(),
            };
            if let Some(reason) = &found.failure {
                measure::provider_error("knowledge", reason);
            }
            let _ = facts.send(answer(found)).await;
        });
    }

    /// Have the agent's hook look at a turn. After `budget` the dialogue goes on by itself.
    pub(crate) fn complete_turn(
        &mut self,
        hook: TurnHook,
        session: AgentSession,
        turn: TurnId,
        completed: CompletedTurn,
        budget: Duration,
    ) {
        let facts = self.facts();
        let failed = Input::UserTurnCompleted {
            turn,
            verdict: TurnVerdict::unchanged(),
        };
        self.spawn(
            Key::Hook(turn),
            "on_user_turn_completed",
            Some(failed),
            async move {
                let before = Before::of(&completed);
                let work = async { hook(session, completed).await };
                if let Ok(after) = tokio::time::timeout(budget, work).await {
                    let verdict = before.verdict(after);
                    let _ = facts.send(Input::UserTurnCompleted { turn, verdict }).await;
                }
            },
        );
    }

    /// Have the agent's hook look at what its tools gave. After `budget` the dialogue goes on by itself.
    pub(crate) fn complete_tools(
        &mut self,
        hook: ToolsHook,
        session: AgentSession,
        id: BatchId,
        executed: ExecutedTools,
        budget: Duration,
    ) {
        let facts = self.facts();
        let answer = move |verdict| Input::ToolsCompleted { id, verdict };
        self.spawn(
            Key::ToolsHook(id),
            "on_function_tools_executed",
            Some(answer(ToolsVerdict::unchanged())),
            async move {
                let work = async { hook(session, executed).await };
                if let Ok(after) = tokio::time::timeout(budget, work).await {
                    let _ = facts.send(answer(after.verdict)).await;
                }
            },
        );
    }

    /// Has the caller finished? Without an answer: yes, so that the short endpointing delay applies. The dialogue says how
    /// long that may take, and cancels.
    pub(crate) fn predict(
        &mut self,
        detector: Arc<dyn TurnDetector>,
        id: PredictionId,
        turn: PresentTurn,
    ) {
        let facts = self.facts();
        let answer = move |(probability, threshold)| Input::TurnPrediction {
            id,
            probability,
            threshold,
        };
        const FINISHED: (f32, f32) = (1.0, 0.5);
        self.spawn(
            Key::Prediction(id),
            "turn",
            Some(answer(FINISHED)),
            async move {
                let predicted = match detector.threshold(turn.language.as_deref()) {
                    Some(threshold) => match detector.predict(&turn).await {
                        Ok(probability) => (probability, threshold),
                        Err(error) => {
                            measure::provider_error("turn", &error.to_string());
                            FINISHED
                        }
                    },
                    None => FINISHED,
                };
                let _ = facts.send(answer(predicted)).await;
            },
        );
    }

    /// Start to pace the playout.
    pub(crate) fn spawn_player(&mut self, player: Arc<Player>, output: Box<dyn AudioOutput>) {
        self.spawn(Key::Player, "audio_out", None, async move {
            let paced = AssertUnwindSafe(player::pace(player.clone(), output))
                .catch_unwind()
                .await;
            if paced.is_err() {
                measure::panicked("audio_out");
                player.set_broken();
            }
        });
    }

    /// Start to listen.
    pub(crate) fn spawn_ears(
        &mut self,
        agent: &Agent,
        audio: mpsc::Receiver<Frame16k>,
        vad_out: mpsc::Sender<input::Vad>,
        player: Option<Arc<Player>>,
    ) -> Ears {
        let (orders_in, orders) = mpsc::channel(ears::ORDER_LIMIT);
        let recent = ears::Recent::default();
        let vad = agent.vad.as_ref().map(|vad| vad.session());
        let queue = Queue::new(agent.stt.is_some());
        let listener = Listener {
            vad,
            vad_out,
            recent: recent.clone(),
            queue,
            gauge: Gauge::new(self.facts()),
            facts: self.facts(),
            near: Nearness::default(),
            player,
        };
        let failed = Input::Stt(SttFact::Failed(String::from("listening panicked")));
        self.spawn(
            Key::Ears,
            "audio_in",
            Some(failed),
            listener.listen(audio, orders),
        );
        let ears = Ears {
            orders: orders_in,
            recent,
        };
        if agent.hears_turns() {
            ears.keep_recent();
        }
        if let Some(stt) = agent.stt.clone() {
            self.recognise(stt, &ears);
        }
        ears
    }

    /// Have this recogniser hear the caller from here on.
    pub(crate) fn recognise(&mut self, stt: Arc<dyn Stt>, ears: &Ears) {
        let facts = self.facts();
        let failed = Input::Stt(SttFact::Failed(String::from(
            "the recogniser's provider panicked",
        )));
        self.spawn(
            Key::Recogniser,
            "stt",
            Some(failed),
            recognise(stt, ears.orders.clone(), facts),
        );
    }

    fn spawn(
        &mut self,
        key: Key,
        place: &'static str,
        on_panic: Option<Input>,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        self.running.retain(|_, child| !child.is_finished());
        let facts = self.facts();
        let child = async move {
            if AssertUnwindSafe(work).catch_unwind().await.is_err() {
                measure::panicked(place);
                if let Some(fact) = on_panic {
                    let _ = facts.send(fact).await;
                }
            }
        };
        self.running.insert(
            key,
            AbortOnDropHandle::new(tokio::spawn(child.in_current_span())),
        );
    }
}

async fn ask(
    llm: Arc<dyn Llm>,
    tools: Arc<[ToolDefinition]>,
    id: GenerationId,
    request: ChatRequest,
    facts: &mpsc::Sender<Input>,
) {
    let mut answer = llm.chat(request, tools);
    let (mut usage, mut calls) = (None, 0);
    while let Some(chunk) = answer.next().await {
        let event = match chunk {
            Ok(ChatChunk::Text(text)) => LlmFact::Text(text),
            Ok(ChatChunk::ToolCall(mut call)) => {
                calls += 1;
                if calls > CALL_LIMIT {
                    continue;
                }
                call.arguments = arguments::canonical(&call.arguments);
                LlmFact::ToolCall(call)
            }
            Ok(ChatChunk::RefusedCall { mut call, why }) => {
                calls += 1;
                if calls > CALL_LIMIT {
                    continue;
                }
                call.arguments = arguments::canonical(&call.arguments);
                LlmFact::RefusedCall { call, why }
            }
            Ok(ChatChunk::Thinking) => LlmFact::Thinking,
            Ok(ChatChunk::Withdrawn) => LlmFact::Withdrawn,
            Ok(ChatChunk::Warning(message)) => {
                measure::provider_error("llm", &message);
                LlmFact::Warning(message)
            }
            Ok(ChatChunk::Usage(tokens)) => {
                usage = Some(tokens);
                continue;
            }
            Err(error) => {
                let message = error.to_string();
                measure::provider_error("llm", &message);
                let _ = facts
                    .send(Input::Llm {
                        id,
                        event: LlmFact::Failed(message),
                    })
                    .await;
                return;
            }
        };
        if facts.send(Input::Llm { id, event }).await.is_err() {
            return; // the session is over
        }
    }
    let _ = facts
        .send(Input::Llm {
            id,
            event: LlmFact::Finished { usage },
        })
        .await;
}

/// Connect the recogniser and pass on what it hears. Reconnecting is its own business; when it gives up it is opened anew,
/// again and again: a key that was refused may be paid for, and an agent that stays deaf is of no use to its caller.
async fn recognise(stt: Arc<dyn Stt>, orders: mpsc::Sender<Order>, facts: mpsc::Sender<Input>) {
    let mut failures = 0;
    loop {
        let Some(message) = hear(stt.as_ref(), &orders, &facts, &mut failures).await else {
            return; // the session is over
        };
        if facts
            .send(Input::Stt(SttFact::Failed(message)))
            .await
            .is_err()
        {
            return;
        }
        tokio::time::sleep(reopen_after(failures)).await;
        failures += 1;
    }
}

fn reopen_after(failures: u32) -> Duration {
    REOPEN_FIRST
        .saturating_mul(1 << failures.min(10))
        .min(REOPEN_LONGEST)
}

/// One life of the recogniser; why it ended, or `None`: the session is over. `failures` is set back when it works.
async fn hear(
    stt: &dyn Stt,
    orders: &mpsc::Sender<Order>,
    facts: &mpsc::Sender<Input>,
    failures: &mut u32,
) -> Option<String> {
    let session = match open(stt, facts).await {
        Ok(session) => session,
        Err(message) => return Some(message),
    };
    let SttSession { input, mut events } = session;
    let _ = orders.send(Order::Recogniser(input)).await;
    loop {
        let event = if *failures == 0 {
            events.recv().await
        } else {
            // A caller who is silent proves nothing: a stream that stays open works.
            match tokio::time::timeout(REOPENED_WORKS_AFTER, events.recv()).await {
                Ok(event) => event,
                Err(_) => Some(SttFact::Recovered),
            }
        };
        let Some(event) = event else {
            return Some(String::from("the recogniser has ended its stream"));
        };
        match event {
            SttFact::Failed(message) => {
                measure::provider_error("stt", &message);
                return Some(message);
            }
            SttFact::Degraded(ref message) => measure::provider_error("stt", message),
            SttFact::Interim(_)
            | SttFact::Preflight(_)
            | SttFact::Final { .. }
            | SttFact::SpeechStarted
            | SttFact::SpeechEnded
            | SttFact::Language(_)
            | SttFact::Speaker(_)
            | SttFact::Recovered => *failures = 0,
        }
        facts.send(Input::Stt(event)).await.ok()?;
    }
}

async fn open(stt: &dyn Stt, facts: &mpsc::Sender<Input>) -> Result<SttSession, String> {
    let mut retries = OPEN_RETRIES.iter();
    let mut degraded = false;
    loop {
        match stt.open().await {
            Ok(session) => {
                if degraded {
                    let _ = facts.send(Input::Stt(SttFact::Recovered)).await;
                }
                return Ok(session);
            }
            Err(error) => {
                let message = error.to_string();
                measure::provider_error("stt", &message);
                let Some(wait) = retries.next().filter(|_| error.retryable()) else {
                    return Err(message);
                };
                if !degraded {
                    degraded = true;
                    let _ = facts.send(Input::Stt(SttFact::Degraded(message))).await;
                }
                tokio::time::sleep(*wait).await;
            }
        }
    }
}

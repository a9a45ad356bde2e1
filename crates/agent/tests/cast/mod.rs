//! Scripted providers for tests of whole conversations in paused time.
#![allow(dead_code, reason = "not every test needs all of it")]

pub(crate) mod clerk;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_agent::provider::{
    BoxStream, ChatChunk, Llm, ProviderInfo, ToolDefinition, Tts, TtsChunk,
};
use antiphon_agent::{
    Agent, AgentBuilder, AgentSession, AudioOutput, Events, ProviderError, SessionIo,
};
use antiphon_audio::{Frame16k, Frame24k};
use antiphon_chat::{ChatRequest, Item, Role, ToolCall};
use antiphon_dialogue::Event;
use antiphon_dialogue::event::AgentState;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A request and the names of the tools that came with it.
pub(crate) type Asked = (ChatRequest, Vec<String>);

/// Answers with the next line of its script and keeps what it was asked.
#[derive(Default)]
pub(crate) struct Script {
    answers: Mutex<VecDeque<Vec<ChatChunk>>>,
    asked: Mutex<Vec<Asked>>,
}

impl Script {
    pub(crate) fn new(answers: impl IntoIterator<Item = Vec<ChatChunk>>) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(answers.into_iter().collect()),
            asked: Mutex::default(),
        })
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Llm for Script {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: "script",
            model: String::new(),
        }
    }

    fn chat(
        &self,
        request: ChatRequest,
        tools: Arc<[ToolDefinition]>,
    ) -> BoxStream<Result<ChatChunk, ProviderError>> {
        let names = tools.iter().map(|tool| tool.name.clone()).collect();
        self.asked.lock().unwrap().push((request, names));
        let answer = self.answers.lock().unwrap().pop_front();
        let answer = answer.unwrap_or_else(|| vec![text("Nothing more.")]);
        Box::pin(stream::iter(answer.into_iter().map(Ok)))
    }
}

/// Speaks 100 ms per word, at once.
pub(crate) struct Voice;

impl Tts for Voice {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: "script",
            model: String::new(),
        }
    }

    fn synthesize(&self, text: String) -> BoxStream<Result<TtsChunk, ProviderError>> {
        let samples = text.split_whitespace().count() * 2400;
        Box::pin(stream::iter([Ok(TtsChunk::Audio(Frame24k::new(
            vec![1000; samples],
        )))]))
    }
}

/// Counts the frames that the caller heard. Keeps the caller's microphone open.
#[derive(Clone)]
pub(crate) struct Heard(
    Arc<Mutex<usize>>,
    #[allow(dead_code)] mpsc::Sender<Frame16k>,
);

impl Heard {
    pub(crate) fn frames(&self) -> usize {
        *self.0.lock().unwrap()
    }

    /// The caller makes a sound, or none, of this many frames of 20 ms.
    pub(crate) async fn microphone(&self, loud: bool, frames: usize) {
        for _ in 0..frames {
            let frame = Frame16k::new(vec![if loud { 500 } else { 0 }; 320]);
            self.1.send(frame).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl AudioOutput for Heard {
    fn play(&mut self, _: &Frame24k) {
        *self.0.lock().unwrap() += 1;
    }
}

pub(crate) fn text(text: &str) -> ChatChunk {
    ChatChunk::Text(text.into())
}

pub(crate) fn call(name: &str, arguments: &str) -> ChatChunk {
    ChatChunk::ToolCall(ToolCall {
        call_id: format!("call_{name}"),
        name: name.into(),
        arguments: arguments.into(),
    })
}

/// An agent that is told who it is.
pub(crate) fn reception(script: &Arc<Script>) -> AgentBuilder {
    Agent::builder("reception")
        .instructions("You are the reception.")
        .llm(script.clone())
}

/// The caller types this, and hears out the answer.
pub(crate) async fn say_to(session: &AgentSession, words: &str) {
    let mut events = session.events();
    session.user_text(words).unwrap();
    wait_for_end(&mut events).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
}

/// A session that speaks and has started.
pub(crate) fn speaking(agent: AgentBuilder) -> (AgentSession, Heard) {
    let (mouth, audio_in) = mpsc::channel(SessionIo::AUDIO_IN_LIMIT);
    let heard = Heard(Arc::default(), mouth);
    let agent = agent.tts(Arc::new(Voice)).build().unwrap();
    let audio_out = Box::new(heard.clone());
    let session = AgentSession::start(
        agent,
        SessionIo {
            audio_in,
            audio_out,
        },
    );
    session.started().unwrap();
    (session, heard)
}

/// Waits for an event for at most a minute of the test's time.
pub(crate) async fn wait_for(events: &mut Events, mut wanted: impl FnMut(&Event) -> bool) -> Event {
    let found = async {
        loop {
            let (_, event) = events.recv().await.expect("the session ended early");
            if wanted(&event) {
                return event;
            }
        }
    };
    timeout(Duration::from_secs(60), found)
        .await
        .expect("it did not happen within a minute")
}

/// Waits until the agent has spoken and listens again.
pub(crate) async fn wait_for_end(events: &mut Events) {
    let to = |wanted: AgentState| move |event: &Event| matches!(event, Event::AgentStateChanged { new_state, .. } if *new_state == wanted);
    wait_for(events, to(AgentState::Thinking)).await;
    wait_for(events, to(AgentState::Listening)).await;
}

pub(crate) fn said(history: &[Item], by: Role) -> Vec<String> {
    let texts = history.iter().filter_map(|item| match item {
        Item::Message(message) if message.role == by => Some(message.text.clone()),
        _ => None,
    });
    texts.collect()
}

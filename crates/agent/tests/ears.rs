//! Who hears the caller after a handoff, with scripted providers in paused time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod cast;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_agent::provider::{
    BoxFuture, Evidence, PresentTurn, ProviderInfo, Stt, SttInput, SttSession, TurnDetector, Vad,
    VadModel,
};
use antiphon_agent::{Agent, AgentBuilder, ProviderError};
use antiphon_audio::Frame16k;
use antiphon_chat::Role;
use antiphon_dialogue::Event;
use antiphon_dialogue::event::UserState;
use antiphon_dialogue::input;
use cast::{Script, said, speaking, text, wait_for, wait_for_end};
use tokio::sync::mpsc;

/// Understands these words in the first sound that is not silent.
struct Recogniser(&'static str);

impl Stt for Recogniser {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: "script",
            model: String::new(),
        }
    }

    fn open(&self) -> BoxFuture<'_, Result<SttSession, ProviderError>> {
        let (input, mut heard) = mpsc::channel(SttSession::INPUT_LIMIT);
        let (mouth, events) = mpsc::channel(SttSession::EVENT_LIMIT);
        let mut words = Some(input::Stt::Final {
            text: self.0.into(),
            confidence: None,
        });
        tokio::spawn(async move {
            while let Some(input) = heard.recv().await {
                let loud = |frame: &Frame16k| frame.samples().iter().any(|sample| *sample != 0);
                if matches!(&input, SttInput::Audio(frame) if loud(frame))
                    && let Some(words) = words.take()
                {
                    let _ = mouth.send(words).await;
                }
            }
        });
        Box::pin(async move { Ok(SttSession { input, events }) })
    }
}

/// Hears speech in sound that is at least so loud.
#[derive(Clone, Copy)]
struct Loud(i16);

struct LoudSession(Loud, Duration, Duration);

impl VadModel for Loud {
    fn session(&self) -> Box<dyn Vad> {
        Box::new(LoudSession(*self, Duration::ZERO, Duration::ZERO))
    }
}

impl Vad for LoudSession {
    fn push(&mut self, frame: &Frame16k, emit: &mut dyn FnMut(input::Vad)) {
        let Self(Loud(level), speech, silence) = self;
        if frame.samples().iter().any(|sample| sample >= level) {
            (*speech, *silence) = (*speech + frame.duration(), Duration::ZERO);
            if *speech == frame.duration() {
                emit(input::Vad::SpeechStarted { speech: *speech });
            }
        } else {
            *silence += frame.duration();
            if !speech.is_zero() && *silence >= Duration::from_millis(300) {
                let (speech, silence) = (std::mem::take(speech), *silence);
                emit(input::Vad::SpeechEnded { speech, silence });
            }
        }
        emit(input::Vad::Frame {
            speaking: !speech.is_zero(),
            speech: *speech,
            silence: *silence,
        });
    }

    fn reset(&mut self) {}
}

/// Keeps how much sound it was given.
#[derive(Default)]
struct Detector(Mutex<Vec<usize>>);

impl TurnDetector for Detector {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: "script",
            model: String::new(),
        }
    }

    fn evidence(&self) -> Evidence {
        Evidence::Audio
    }

    fn threshold(&self, _: Option<&str>) -> Option<f32> {
        Some(0.5)
    }

    fn predict<'a>(&'a self, turn: &'a PresentTurn) -> BoxFuture<'a, Result<f32, ProviderError>> {
        self.0.lock().unwrap().push(turn.audio.len());
        Box::pin(async { Ok(1.0) })
    }
}

fn agent(name: &str, script: &Arc<Script>) -> AgentBuilder {
    Agent::builder(name).llm(script.clone())
}

fn caller_speaks(event: &Event) -> bool {
    matches!(event, Event::UserStateChanged { new_state, .. } if *new_state == UserState::Speaking)
}

#[tokio::test(start_paused = true)]
async fn who_could_only_type_is_heard_by_the_next_agent_that_has_a_recogniser() {
    let script = Script::new([vec![text("It is paid.")]]);
    let (session, caller) = speaking(agent("reception", &script));
    caller.microphone(true, 5).await;
    let mut events = session.events();
    let billing = agent("billing", &script)
        .stt(Arc::new(Recogniser("is my invoice paid")))
        .vad(Arc::new(Loud(100)))
        .greeting("Billing, hello.");
    session.update_agent(billing.build().unwrap()).unwrap();
    wait_for_end(&mut events).await;
    caller.microphone(true, 50).await;
    caller.microphone(false, 100).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let history = session.history().await;
    assert_eq!(said(&history, Role::User), ["is my invoice paid"]);
    assert_eq!(
        said(&history, Role::Assistant),
        ["Billing, hello.", "It is paid."]
    );
}

#[tokio::test(start_paused = true)]
async fn the_next_agents_ear_for_speech_counts_and_not_the_first_ones() {
    let script = Script::new([]);
    let (deaf, keen) = (Arc::new(Loud(1000)), Arc::new(Loud(100)));
    let (session, caller) = speaking(agent("reception", &script).vad(deaf));
    let mut events = session.events();
    let billing = agent("billing", &script).vad(keen).greeting("Hello.");
    session.update_agent(billing.build().unwrap()).unwrap();
    wait_for_end(&mut events).await;
    caller.microphone(true, 20).await;
    wait_for(&mut events, caller_speaks).await;
    caller.microphone(false, 50).await;

    // one that brings nothing keeps what is there
    let third = agent("third", &script).greeting("Hello again.");
    session.update_agent(third.build().unwrap()).unwrap();
    wait_for_end(&mut events).await;
    caller.microphone(true, 20).await;
    wait_for(&mut events, caller_speaks).await;
}

#[tokio::test(start_paused = true)]
async fn a_turn_detector_that_hears_and_comes_with_the_next_agent_is_given_the_callers_sound() {
    let script = Script::new([]);
    let (session, caller) = speaking(agent("reception", &script).vad(Arc::new(Loud(100))));
    let mut events = session.events();
    let detector = Arc::new(Detector::default());
    let billing = agent("billing", &script)
        .stt(Arc::new(Recogniser("is my invoice paid")))
        .turn_detector(detector.clone())
        .greeting("Hello.");
    session.update_agent(billing.build().unwrap()).unwrap();
    wait_for_end(&mut events).await;
    caller.microphone(true, 50).await;
    caller.microphone(false, 100).await;
    let given = detector.0.lock().unwrap().clone();
    assert!(
        !given.is_empty() && given.iter().all(|samples| *samples >= 16_000),
        "{given:?}"
    );
}

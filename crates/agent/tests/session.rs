//! Whole conversations with scripted providers, in paused time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod cast;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_agent::provider::{BoxStream, ChatChunk, ProviderInfo, Tts, TtsChunk, Vad, VadModel};
use antiphon_agent::{
    Agent, AgentSession, AudioOutput, ProviderError, SessionIo, SpeechOutcome, ToolError, tool,
};
use antiphon_audio::{Frame16k, Frame24k};
use antiphon_chat::{ChatContext, ChatRequest, Item, Role};
use antiphon_dialogue::Event;
use antiphon_dialogue::event::{AgentState, CloseReason};
use antiphon_dialogue::input;
use cast::{Script, Voice, call, said, text, wait_for};
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Takes a sentence and never makes a sound.
struct Speechless;

impl Tts for Speechless {
    fn info(&self) -> ProviderInfo {
        Voice.info()
    }

    fn synthesize(&self, _: String) -> BoxStream<Result<TtsChunk, ProviderError>> {
        Box::pin(stream::pending())
    }
}

/// Hears speech in every frame that is not silent.
struct Ear;

struct EarSession {
    speech: Duration,
    silence: Duration,
}

impl VadModel for Ear {
    fn session(&self) -> Box<dyn Vad> {
        Box::new(EarSession {
            speech: Duration::ZERO,
            silence: Duration::ZERO,
        })
    }
}

impl Vad for EarSession {
    fn push(&mut self, frame: &Frame16k, emit: &mut dyn FnMut(input::Vad)) {
        let before = self.speech;
        if frame.samples().iter().any(|sample| *sample != 0) {
            (self.speech, self.silence) = (before + frame.duration(), Duration::ZERO);
            if before.is_zero() {
                emit(input::Vad::SpeechStarted {
                    speech: self.speech,
                });
            }
        } else {
            self.silence += frame.duration();
        }
        emit(input::Vad::Frame {
            speaking: !self.speech.is_zero(),
            speech: self.speech,
            silence: self.silence,
        });
    }

    fn reset(&mut self) {}
}

/// Keeps when each frame came and whether it had sound.
#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<Vec<(Instant, bool)>>>);

impl AudioOutput for Recorded {
    fn play(&mut self, frame: &Frame24k) {
        assert_eq!(frame.samples().len(), 480);
        let loud = frame.samples().iter().any(|sample| *sample != 0);
        self.0.lock().unwrap().push((Instant::now(), loud));
    }
}

fn is_listening(event: &Event) -> bool {
    matches!(
        event,
        Event::AgentStateChanged {
            new_state: AgentState::Listening,
            ..
        }
    )
}

fn is_final_transcript(event: &Event) -> bool {
    matches!(event, Event::AgentTranscript { is_final: true, .. })
}

#[tokio::test(start_paused = true)]
async fn the_greeting_is_spoken_and_paced() {
    let agent = Agent::builder("a")
        .greeting("Good evening my friend.")
        .llm(Script::new([]))
        .tts(Arc::new(Voice))
        .build()
        .unwrap();
    let heard = Recorded::default();
    let (_mouth, audio_in) = mpsc::channel(SessionIo::AUDIO_IN_LIMIT);
    let session = AgentSession::start(
        agent,
        SessionIo {
            audio_in,
            audio_out: Box::new(heard.clone()),
        },
    );
    let mut events = session.events();
    session.started().unwrap();
    wait_for(&mut events, is_final_transcript).await;
    let frames = heard.0.lock().unwrap().clone();
    assert_eq!(frames.len(), 20, "400 ms of speech");
    assert!(
        frames
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if b.0 - a.0 >= Duration::from_millis(20)))
    );
    assert_eq!(
        said(&session.history().await, Role::Assistant),
        ["Good evening my friend."]
    );
}

#[tokio::test(start_paused = true)]
async fn a_typed_question_is_answered_in_writing_without_any_sound() {
    let script = Script::new([vec![text("Until "), text("ten o'clock.")]]);
    let agent = Agent::builder("a").llm(script.clone()).build().unwrap();
    let session = AgentSession::start(agent, SessionIo::text_only());
    let mut events = session.events();
    session.started().unwrap();
    session.user_text("When do you close?").unwrap();
    wait_for(&mut events, is_final_transcript).await;
    let history = session.history().await;
    assert_eq!(said(&history, Role::User), ["When do you close?"]);
    assert_eq!(said(&history, Role::Assistant), ["Until ten o'clock."]);
    session.close(CloseReason::ParticipantDisconnected);
    assert_eq!(session.closed().await, CloseReason::ParticipantDisconnected);
    assert_eq!(
        session.history().await.len(),
        3,
        "the history, handoff to the first agent included, outlives the session"
    );
    assert!(session.user_text("hello?").is_err());
}

#[tokio::test(start_paused = true)]
async fn barge_in_silences_the_agent_within_one_frame() {
    let script = Script::new([vec![text(
        "One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen.",
    )]]);
    let agent = Agent::builder("a")
        .llm(script)
        .tts(Arc::new(Voice))
        .vad(Arc::new(Ear))
        .build()
        .unwrap();
    let heard = Recorded::default();
    let (mouth, audio_in) = mpsc::channel(SessionIo::AUDIO_IN_LIMIT);
    let session = AgentSession::start(
        agent,
        SessionIo {
            audio_in,
            audio_out: Box::new(heard.clone()),
        },
    );
    let mut events = session.events();
    session.started().unwrap();
    session.user_text("Count!").unwrap();
    wait_for(&mut events, |event| {
        matches!(
            event,
            Event::AgentStateChanged {
                new_state: AgentState::Speaking,
                ..
            }
        )
    })
    .await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    session.interrupt(true).await.unwrap();
    wait_for(&mut events, |event| {
        matches!(event, Event::Interrupted { .. })
    })
    .await;
    let decided = Instant::now();
    for _ in 0..50 {
        mouth.send(Frame16k::new(vec![0; 320])).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let late = heard
        .0
        .lock()
        .unwrap()
        .iter()
        .filter(|(at, _)| *at > decided)
        .count();
    assert!(late <= 1, "{late} frames after the decision");
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_speaks_up_is_not_talked_over() {
    let words = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen.";
    let agent = Agent::builder("a")
        .llm(Script::new([vec![text(&words.repeat(3))]]))
        .tts(Arc::new(Voice))
        .vad(Arc::new(Ear))
        .build()
        .unwrap();
    let heard = Recorded::default();
    let (mouth, audio_in) = mpsc::channel(SessionIo::AUDIO_IN_LIMIT);
    let session = AgentSession::start(
        agent,
        SessionIo {
            audio_in,
            audio_out: Box::new(heard.clone()),
        },
    );
    let mut events = session.events();
    session.started().unwrap();
    session.user_text("Count!").unwrap();
    wait_for(&mut events, |event| {
        matches!(
            event,
            Event::AgentStateChanged {
                new_state: AgentState::Speaking,
                ..
            }
        )
    })
    .await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let spoke_up = Instant::now();
    for _ in 0..60 {
        mouth.send(Frame16k::new(vec![500; 320])).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let last = heard
        .0
        .lock()
        .unwrap()
        .last()
        .map(|(at, _)| *at - spoke_up)
        .unwrap();
    // Half a second of speech interrupts; then comes one frame that fades.
    assert!(
        last <= Duration::from_millis(540),
        "the agent went on for {last:?}"
    );
}

/// Looks up a table.
#[tool]
async fn find_table(party: u32) -> Result<String, ToolError> {
    match party {
        0 => panic!("nobody"),
        party => Err(ToolError::new(format!("We have no table for {party}."))),
    }
}

async fn after_tool(arguments: &str) -> (Vec<Item>, ChatRequest) {
    let script = Script::new([
        vec![call("find_table", arguments)],
        vec![text("I am sorry.")],
    ]);
    let agent = Agent::builder("a")
        .llm(script.clone())
        .tool(find_table)
        .build()
        .unwrap();
    let session = AgentSession::start(agent, SessionIo::text_only());
    let mut events = session.events();
    session.started().unwrap();
    session.user_text("A table please").unwrap();
    wait_for(&mut events, |event| {
        matches!(event, Event::ToolEnded { .. })
    })
    .await;
    wait_for(&mut events, is_listening).await;
    let second = script.asked().get(1).cloned();
    let (second, _) = second.expect("the model is asked again");
    (session.history().await.into_items(), second)
}

fn output(items: &[Item]) -> (String, bool) {
    let mut outputs = items.iter().rev().filter_map(|item| match item {
        Item::FunctionCallOutput { output, .. } => Some((output.output.clone(), output.is_error)),
        _ => None,
    });
    outputs.next().expect("a result")
}

#[tokio::test(start_paused = true)]
async fn a_tools_error_is_read_by_the_model() {
    let (history, second) = after_tool(r#"{"party": 9}"#).await;
    assert_eq!(
        output(&second.items),
        ("We have no table for 9.".into(), true)
    );
    assert_eq!(said(&history, Role::Assistant), ["I am sorry."]);
}

#[tokio::test(start_paused = true)]
async fn wrong_arguments_are_explained_to_the_model() {
    let (_, second) = after_tool(r#"{"party": "nine"}"#).await;
    let (text, is_error) = output(&second.items);
    assert!(
        is_error
            && text.contains("Error parsing arguments for `find_table`")
            && text.contains("/party"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_panicking_tool_does_not_end_the_session() {
    let (history, second) = after_tool(r#"{"party": 0}"#).await;
    assert_eq!(
        output(&second.items),
        ("An internal error occurred".into(), true)
    );
    assert_eq!(said(&history, Role::Assistant), ["I am sorry."]);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_synthesiser_is_told_and_the_session_goes_on() {
    let agent = Agent::builder("a")
        .greeting("Hello.")
        .llm(Script::new([]))
        .tts(Arc::new(Speechless))
        .build()
        .unwrap();
    let (_mouth, audio_in) = mpsc::channel(1);
    let session = AgentSession::start(
        agent,
        SessionIo {
            audio_in,
            audio_out: Box::new(Recorded::default()),
        },
    );
    let mut events = session.events();
    session.started().unwrap();
    wait_for(&mut events, |event| matches!(event, Event::Error { .. })).await;
    session.close(CloseReason::UserInitiated);
    assert_eq!(session.closed().await, CloseReason::UserInitiated);
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_when_nobody_holds_it_any_more() {
    let agent = Agent::builder("a").llm(Script::new([])).build().unwrap();
    let session = AgentSession::start(agent, SessionIo::text_only());
    let mut events = session.events();
    drop(session);
    wait_for(&mut events, |event| matches!(event, Event::Closed { .. })).await;
    assert!(events.recv().await.is_none(), "nothing comes after the end");
}

#[tokio::test(start_paused = true)]
async fn the_first_sound_of_an_answer_says_how_long_the_voice_took() {
    let script = Script::new([vec![text("Until ten o'clock.")]]);
    let agent = Agent::builder("a")
        .llm(script)
        .tts(Arc::new(Voice))
        .build()
        .unwrap();
    let (_audio, audio_in) = mpsc::channel(1);
    let session = AgentSession::start(
        agent,
        SessionIo {
            audio_in,
            audio_out: Box::new(Recorded::default()),
        },
    );
    let mut events = session.events();
    session.started().unwrap();
    session.user_text("When do you close?").unwrap();
    let mut found = None;
    wait_for(&mut events, |event| {
        if let Event::TurnMetrics(metrics) = event {
            found = Some(*metrics);
        }
        found.is_some()
    })
    .await;
    let metrics = found.unwrap();
    assert!(metrics.tts_ttfb.is_some(), "{metrics:?}");
    wait_for(&mut events, is_final_transcript).await;
    let history = session.history().await;
    let answer = history.messages().next_back().unwrap();
    assert_eq!(answer.metrics.tts_node_ttfb, metrics.tts_ttfb);
    assert_eq!(answer.metrics.e2e_latency, metrics.e2e_latency);
}

#[tokio::test(start_paused = true)]
async fn what_was_used_is_told_at_the_end_and_can_be_asked() {
    let usage = antiphon_chat::Usage {
        prompt_tokens: 100,
        cached_tokens: 40,
        completion_tokens: 7,
    };
    let script = Script::new([vec![text("Hello there."), ChatChunk::Usage(usage)]]);
    let agent = Agent::builder("a").llm(script).build().unwrap();
    let session = AgentSession::start(agent, SessionIo::text_only());
    let mut events = session.events();
    session.started().unwrap();
    session.user_text("Hi").unwrap();
    let mut provider = String::new();
    wait_for(&mut events, |event| {
        if let Event::MetricsCollected { model, .. } = event
            && provider.is_empty()
        {
            provider.clone_from(&model.model_provider);
        }
        is_final_transcript(event)
    })
    .await;
    assert_eq!(provider, "script");
    let used = session.usage().await;
    assert_eq!((used.llm_requests, used.llm_prompt_tokens), (1, 100));
    assert_eq!(used.tts_characters_count, 12);
    session.close(CloseReason::UserInitiated);
    let mut told = None;
    wait_for(&mut events, |event| {
        if let Event::SessionUsageUpdated { usage } = event {
            told = Some(usage.clone());
        }
        matches!(event, Event::Closed { .. })
    })
    .await;
    assert_eq!(told.as_ref(), Some(&used));
    session.closed().await;
    assert_eq!(session.usage().await, used, "also after the end");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_talks_on_and_on_is_cut_at_the_end_of_a_drain_and_what_was_heard_is_kept() {
    let (session, _heard) = cast::speaking(Agent::builder("a").llm(Script::new([])));
    let mut events = session.events();
    let sentence = "One two three four five six seven eight nine ten. ";
    let speech = session.say(sentence.repeat(100)).unwrap();
    wait_for(&mut events, |event| {
        matches!(event, Event::AgentTranscript { .. })
    })
    .await;
    session.drain(CloseReason::JobShutdown);
    let mut last = Vec::new();
    while let Some((_, event)) = events.recv().await {
        last.push(event);
    }
    assert!(
        matches!(
            last.as_slice(),
            [
                ..,
                Event::SessionUsageUpdated { .. },
                Event::Closed {
                    reason: CloseReason::JobShutdown,
                    error: None,
                }
            ]
        ),
        "{:?}",
        last.last()
    );
    assert_eq!(speech.outcome(), Some(SpeechOutcome::Interrupted));
    let history = session.history().await;
    let Some(Item::Message(message)) = history.iter().next_back() else {
        panic!("nothing was kept: {history:?}");
    };
    let sentences = message.text.matches("ten.").count();
    assert!(
        message.interrupted && (58..=60).contains(&sentences),
        "a minute of it, not {sentences} seconds"
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_session_knows_what_was_said_in_the_first() {
    let first = Script::new([vec![text("Hello Ann.")]]);
    let agent = Agent::builder("a").llm(first).build().unwrap();
    let session = AgentSession::start(agent, SessionIo::text_only());
    let mut events = session.events();
    session.started().unwrap();
    session.user_text("I am Ann").unwrap();
    wait_for(&mut events, is_final_transcript).await;
    let document = session.history().await.to_json();
    drop(session);

    let second = Script::new([vec![text("You are Ann.")]]);
    let agent = Agent::builder("a").llm(second.clone()).build().unwrap();
    let history = ChatContext::from_json(&document).unwrap();
    let session = AgentSession::start_with_history(agent, SessionIo::text_only(), history);
    let mut events = session.events();
    session.started().unwrap();
    session.user_text("Who am I?").unwrap();
    wait_for(&mut events, is_final_transcript).await;
    let (asked, _) = second.asked().first().cloned().unwrap();
    assert_eq!(said(&asked.items, Role::User), ["I am Ann", "Who am I?"]);
    let history = session.history().await;
    assert_eq!(history.len(), 6, "with the handoff of each session");
    let times: Vec<_> = history.iter().map(Item::created_at).collect();
    assert!(times.is_sorted(), "{times:?}");
    let seconds = document["items"][0]["created_at"].as_f64().unwrap();
    assert_eq!(history.to_json()["items"][0]["created_at"], seconds);
}

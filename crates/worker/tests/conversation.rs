//! A caller and an agent in a real room, the agent's providers scripted: what the caller hears and reads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use antiphon_agent::provider::{
    BoxFuture, BoxStream, ChatChunk, Llm, ProviderInfo, Stt, SttInput, SttSession, ToolDefinition,
    Tts, TtsChunk, Vad, VadModel,
};
use antiphon_agent::{Agent, ProviderError};
use antiphon_audio::{Frame16k, Frame24k, Frame48k, OpusDecoder, OpusEncoder, audio_level};
use antiphon_chat::{ChatRequest, Item, Role};
use antiphon_client::{
    AudioStream, LocalAudioTrack, Room, RoomEvent, RoomOptions, TextOptions, TextStream,
    TrackSource,
};
use antiphon_dialogue::input;
use antiphon_protocol::{AccessToken, VideoGrants};
use antiphon_rtc::{Engine, EngineConfig};
use antiphon_server::{Running, Server, ServerConfig};
use antiphon_worker::{AgentJobs, BindOptions, Worker, WorkerHandle, WorkerOptions};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc::{self, Receiver};

/// The longest any step may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);
const GREETING: &str = "Good evening and welcome.";

fn info() -> ProviderInfo {
    ProviderInfo {
        provider: "script",
        model: String::new(),
    }
}

/// Repeats what it was asked.
struct Echo;

impl Llm for Echo {
    fn info(&self) -> ProviderInfo {
        info()
    }

    fn chat(
        &self,
        request: ChatRequest,
        _: Arc<[ToolDefinition]>,
    ) -> BoxStream<Result<ChatChunk, ProviderError>> {
        let asked = request.items.iter().rev().find_map(|item| match item {
            Item::Message(message) if message.role == Role::User => Some(message.text.clone()),
            _ => None,
        });
        let answer = format!("You said: {}.", asked.unwrap_or_default());
        Box::pin(stream::iter([Ok(ChatChunk::Text(answer))]))
    }
}

/// 100 ms of a loud tone per word.
struct Tone;

impl Tts for Tone {
    fn info(&self) -> ProviderInfo {
        info()
    }

    fn synthesize(&self, text: String) -> BoxStream<Result<TtsChunk, ProviderError>> {
        let samples = text.split_whitespace().count() * 2400;
        let tone = (0..samples).map(|n| if n / 20 % 2 == 0 { 8000 } else { -8000 });
        Box::pin(stream::iter([Ok(TtsChunk::Audio(Frame24k::new(
            tone.collect(),
        )))]))
    }
}

fn is_loud(frame: &Frame16k) -> bool {
    frame.samples().iter().any(|sample| sample.abs() > 2000)
}

/// Hears speech where it is loud.
struct Loudness;

#[derive(Default)]
struct LoudnessSession {
    speech: Duration,
    silence: Duration,
}

impl VadModel for Loudness {
    fn session(&self) -> Box<dyn Vad> {
        Box::new(LoudnessSession::default())
    }
}

impl Vad for LoudnessSession {
    fn push(&mut self, frame: &Frame16k, emit: &mut dyn FnMut(input::Vad)) {
        if is_loud(frame) {
            if self.speech.is_zero() {
                let speech = frame.duration();
                emit(input::Vad::SpeechStarted { speech });
            }
            (self.speech, self.silence) = (self.speech + frame.duration(), Duration::ZERO);
        } else {
            self.silence += frame.duration();
            if !self.speech.is_zero() && self.silence > Duration::from_millis(300) {
                emit(input::Vad::SpeechEnded {
                    speech: self.speech,
                    silence: self.silence,
                });
                self.speech = Duration::ZERO;
            }
        }
        emit(input::Vad::Frame {
            speaking: !self.speech.is_zero(),
            speech: self.speech,
            silence: self.silence,
        });
    }

    fn reset(&mut self) {}
}

/// Understands every loud second as the same words, once it is told that they have ended.
struct Words;

impl Stt for Words {
    fn info(&self) -> ProviderInfo {
        info()
    }

    fn open(&self) -> BoxFuture<'_, Result<SttSession, ProviderError>> {
        let (input, mut sound) = mpsc::channel(SttSession::INPUT_LIMIT);
        let (said, events) = mpsc::channel(SttSession::EVENT_LIMIT);
        tokio::spawn(async move {
            let mut loud = 0;
            let mut quiet = 0;
            while let Some(input) = sound.recv().await {
                match input {
                    SttInput::Audio(frame) if is_loud(&frame) => (loud, quiet) = (loud + 1, 0),
                    SttInput::Audio(_) => quiet += 1,
                    SttInput::Finalize | SttInput::Clear => {}
                }
                if loud == 10 && quiet == 0 {
                    let words = input::Stt::Interim("a table".into());
                    let _ = said.send(words).await;
                }
                if loud > 10 && quiet > 10 {
                    let (text, confidence) = ("a table for two".to_owned(), None);
                    let _ = said.send(input::Stt::Final { text, confidence }).await;
                    loud = 0;
                }
            }
        });
        Box::pin(async move { Ok(SttSession { input, events }) })
    }
}

fn agent() -> Agent {
    Agent::builder("waiter")
        .greeting(GREETING)
        .llm(Arc::new(Echo))
        .tts(Arc::new(Tone))
        .stt(Arc::new(Words))
        .vad(Arc::new(Loudness))
        .build()
        .unwrap()
}

/// A server with one worker.
struct House {
    server: Running,
    engine: Engine,
    worker: WorkerHandle,
}

impl House {
    async fn open() -> Self {
        let config = ServerConfig::dev().any_ports();
        let server = Server::start(config, axum::Router::new()).await.unwrap();
        let engine = Engine::start(EngineConfig {
            bind: "127.0.0.1:0".parse().unwrap(),
            advertise: Vec::new(),
            loopback: true,
            shards: 1,
            max_peers: 64,
        })
        .unwrap();
        let options = WorkerOptions {
            load_threshold: f32::INFINITY,
            ..WorkerOptions::new(server.url(), "devkey", "secret")
        };
        let jobs = AgentJobs {
            agent: agent(),
            engine: engine.clone(),
            options: BindOptions::default(),
        };
        let worker = Worker::new(options, Arc::new(jobs));
        let handle = worker.handle();
        tokio::spawn(worker.run());
        let house = Self {
            server,
            engine,
            worker: handle,
        };
        house.until(|worker| worker.status().connected).await;
        house
    }

    async fn until(&self, condition: impl Fn(&WorkerHandle) -> bool) {
        let wait = async {
            while !condition(&self.worker) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("in time");
    }

    async fn caller(&self, identity: &str) -> Caller {
        let token = AccessToken::new("devkey", "secret")
            .identity(identity)
            .grants(VideoGrants::join("hall"))
            .to_jwt()
            .unwrap();
        let url = self.server.url();
        let (room, events) = Room::connect(&self.engine, &url, &token, RoomOptions::default())
            .await
            .unwrap();
        Caller { room, events }
    }
}

struct Caller {
    room: Room,
    events: Receiver<RoomEvent>,
}

impl Caller {
    async fn until<T>(&mut self, what: &str, mut accept: impl FnMut(RoomEvent) -> Option<T>) -> T {
        let wait = async {
            loop {
                let event = self.events.recv().await.expect("the room goes on");
                assert!(
                    !matches!(event, RoomEvent::Disconnected { .. }),
                    "{event:?} instead of {what}"
                );
                if let Some(found) = accept(event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("no {what}"))
    }

    async fn agents_voice(&mut self) -> AudioStream {
        self.until("voice", |event| match event {
            RoomEvent::TrackSubscribed { audio, .. } => Some(audio),
            _ => None,
        })
        .await
    }

    /// The next whole transcript of this participant that is final.
    async fn transcript(&mut self, of: &str) -> TextStream {
        self.until("transcript", |event| match event {
            RoomEvent::TextStream(stream)
                if stream.info.topic == "lk.transcription"
                    && stream.info.identity.starts_with(of)
                    && attribute(&stream, "lk.transcription_final") == "true" =>
            {
                Some(stream)
            }
            _ => None,
        })
        .await
    }

    /// Wait until the agent's state is this one.
    async fn state(&self, wanted: &str) {
        let state = || {
            let everybody = self.room.participants();
            let mut states = everybody
                .iter()
                .filter_map(|participant| participant.attributes.get("lk.agent.state").cloned());
            states.next()
        };
        let wait = async {
            while state().as_deref() != Some(wanted) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("not {wanted} but {:?}", state()));
    }

    async fn type_text(&self, text: &str) {
        let options = TextOptions {
            topic: "lk.chat".into(),
            ..Default::default()
        };
        self.room.send_text(text, options).await.unwrap();
    }
}

fn attribute<'a>(stream: &'a TextStream, name: &str) -> &'a str {
    stream.attributes.get(name).map_or("", String::as_str)
}

async fn hear_something(audio: &mut AudioStream) {
    let mut decoder = OpusDecoder::<48_000>::new().unwrap();
    let heard = async {
        loop {
            let packet = audio.recv().await.expect("the voice goes on");
            let frame = decoder.decode(&packet.payload).unwrap();
            // In -dBov: small is loud.
            if audio_level(&frame) < 40 {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("sound");
}

/// Speak one second, then be silent for three.
async fn speak(track: &LocalAudioTrack) {
    let mut encoder = OpusEncoder::<48_000>::new().unwrap();
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    for number in 0..200_u64 {
        tick.tick().await;
        let loud = number < 50;
        let sample = |n: usize| match (loud, n / 40 % 2) {
            (false, _) => 0,
            (true, 0) => 9000,
            (true, _) => -9000,
        };
        let frame = Frame48k::new((0..960).map(sample).collect());
        let packet = Bytes::copy_from_slice(encoder.encode(&frame).unwrap());
        track.send_opus(packet, number * 960, number == 0, audio_level(&frame));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_greeted_hears_the_greeting_and_gets_typed_and_spoken_questions_answered() {
    let house = House::open().await;
    let mut caller = house.caller("caller").await;
    let mut voice = caller.agents_voice().await;
    hear_something(&mut voice).await;
    let greeting = caller.transcript("agent-").await;
    assert_eq!(greeting.text, GREETING);
    assert!(attribute(&greeting, "lk.segment_id").starts_with("SG_"));
    assert!(attribute(&greeting, "lk.transcribed_track_id").starts_with("TR_"));

    caller.type_text("when do you close").await;
    let answer = caller.transcript("agent-").await;
    assert_eq!(answer.text, "You said: when do you close.");
    assert_ne!(
        attribute(&answer, "lk.segment_id"),
        attribute(&greeting, "lk.segment_id")
    );
    caller.state("listening").await;

    let microphone = caller
        .room
        .publish_audio("microphone", TrackSource::Microphone)
        .await
        .unwrap();
    tokio::time::timeout(PATIENCE, microphone.wait_for_subscription())
        .await
        .expect("the agent listens");
    speak(&microphone).await;
    // The caller's own words, said by the agent on the caller's behalf.
    let words = caller.transcript("caller").await;
    assert_eq!(words.text, "a table for two");
    assert_eq!(
        attribute(&words, "lk.transcribed_track_id"),
        microphone.sid()
    );
    let answer = caller.transcript("agent-").await;
    assert_eq!(answer.text, "You said: a table for two.");

    caller.room.close().await;
    house.until(|worker| worker.status().active_jobs == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_in_the_room_is_not_the_caller() {
    let house = House::open().await;
    let mut caller = house.caller("caller").await;
    assert_eq!(caller.transcript("agent-").await.text, GREETING);
    let guest = house.caller("guest").await;
    guest.type_text("ignore the caller").await;
    guest.room.close().await;
    caller.type_text("hello").await;
    assert_eq!(caller.transcript("agent-").await.text, "You said: hello.");
    assert_eq!(
        house.worker.status().active_jobs,
        1,
        "a guest's leaving ends nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_whose_track_says_no_source_is_heard() {
    let house = House::open().await;
    let mut caller = house.caller("caller").await;
    assert_eq!(caller.transcript("agent-").await.text, GREETING);
    let unknown = caller.room.publish_audio("sound", TrackSource::Unknown);
    let unknown = unknown.await.unwrap();
    tokio::time::timeout(PATIENCE, unknown.wait_for_subscription())
        .await
        .expect("the agent listens");
    speak(&unknown).await;
    let answer = caller.transcript("agent-").await;
    assert_eq!(answer.text, "You said: a table for two.");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_or_waited_gets_a_conversation_of_its_own() {
    let house = House::open().await;
    let mut first = house.caller("caller").await;
    assert_eq!(first.transcript("agent-").await.text, GREETING);
    let mut second = house.caller("guest").await;
    first.room.close().await;
    assert_eq!(second.transcript("agent-").await.text, GREETING);
    let microphone = second
        .room
        .publish_audio("microphone", TrackSource::Microphone)
        .await
        .unwrap();
    speak(&microphone).await;
    let answer = second.transcript("agent-").await;
    assert_eq!(answer.text, "You said: a table for two.");
    second.room.close().await;
    let mut again = house.caller("caller").await;
    let mut voice = again.agents_voice().await;
    assert_eq!(again.transcript("agent-").await.text, GREETING);
    hear_something(&mut voice).await;
    assert_eq!(
        house.worker.status().active_jobs,
        1,
        "all by the same agent"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_was_replaced_by_a_second_device_goes_on_talking_there() {
    let house = House::open().await;
    let mut first = house.caller("caller").await;
    assert_eq!(first.transcript("agent-").await.text, GREETING);
    // The server takes the first one out: the same identity, and not a goodbye.
    let mut second = house.caller("caller").await;
    let mut voice = second.agents_voice().await;
    second.type_text("it is me again").await;
    let answer = second.transcript("agent-").await;
    assert_eq!(answer.text, "You said: it is me again.");
    hear_something(&mut voice).await;
    assert_eq!(house.worker.status().active_jobs, 1);
    second.room.close().await;
    house.until(|worker| worker.status().active_jobs == 0).await;
}

//! Whole sessions in paused time, of callers whose loudspeaker plays the agent's voice into their microphone. The VAD is Silero; the
//! recogniser misunderstands whatever it is given, so that no words of the agent's own can be known again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_agent::provider::ChatChunk;
use antiphon_agent::provider::{
    BoxFuture, BoxStream, Llm, ProviderInfo, Stt, SttEvent, SttInput, SttSession, ToolDefinition,
    Tts, TtsChunk,
};
use antiphon_agent::{Agent, AgentSession, AudioOutput, ProviderError, SessionIo};
use antiphon_audio::{Frame16k, Frame24k, wav};
use antiphon_chat::{ChatRequest, Item, Role};
use antiphon_dialogue::Event;
use antiphon_silero::{Silero, SileroOptions};
use antiphon_turnbench::room;
use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// What agents say, piece by piece.
const AGENTS: [[&str; 3]; 3] = [
    ["lj_001-0001.wav", "lj_001-0002.wav", "lj_001-0003.wav"],
    ["jfk.wav", "sb_spk1_snt1.wav", "ami.wav"],
    ["ls_2412_0.wav", "sb_spk2_snt2.wav", "cv651325.wav"],
];
const GREETING: &str = "This is what is said first, and there is a lot of it. This comes second. And this is the rest of it.";
/// The level of both voices, in their loud moments.
const LEVEL: f64 = 2_500.0;
/// From the player to the loudspeaker and from the microphone to the ears, in blocks of 20 ms.
const WAY: usize = 11;
/// When the caller speaks over the agent, in seconds.
const SPEAKS: f64 = 7.0;
const BLOCK: usize = 320;

fn info() -> ProviderInfo {
    ProviderInfo {
        provider: "test",
        model: String::new(),
    }
}

fn level(samples: &[i16]) -> f64 {
    let energy: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    (energy / samples.len().max(1) as f64).sqrt()
}

/// A recording whose loud moments are at [`LEVEL`].
fn recording<const HZ: u32>(name: &str) -> Vec<i16> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop/speech/known-words");
    let file = std::fs::read(folder.join(name)).unwrap();
    let samples = wav::read::<HZ>(&file).unwrap().into_samples();
    let levels: Vec<f64> = samples.chunks(BLOCK).map(level).collect();
    let top = levels.iter().copied().fold(0.0, f64::max) * 0.2;
    let loud: Vec<f64> = levels.into_iter().filter(|level| *level > top).collect();
    let gain = LEVEL / (loud.iter().sum::<f64>() / loud.len() as f64);
    samples
        .iter()
        .map(|sample| (f64::from(*sample) * gain) as i16)
        .collect()
}

/// Speaks a recording, whatever it is given.
struct Voice(Mutex<VecDeque<Vec<i16>>>);

impl Tts for Voice {
    fn info(&self) -> ProviderInfo {
        info()
    }

    fn synthesize(&self, _: String) -> BoxStream<Result<TtsChunk, ProviderError>> {
        let said = self.0.lock().unwrap().pop_front().unwrap_or_default();
        let sound = TtsChunk::Audio(Frame24k::new(said));
        Box::pin(futures_util::stream::iter([Ok(sound)]))
    }
}

struct Mute;

impl Llm for Mute {
    fn info(&self) -> ProviderInfo {
        info()
    }

    fn chat(
        &self,
        _: ChatRequest,
        _: Arc<[ToolDefinition]>,
    ) -> BoxStream<Result<ChatChunk, ProviderError>> {
        Box::pin(futures_util::stream::iter([Ok(ChatChunk::Text(
            "Yes.".into(),
        ))]))
    }
}

/// After 0.4 s of any sound it has understood something, and after 0.4 s of silence that was all.
struct Misunderstands;

impl Stt for Misunderstands {
    fn info(&self) -> ProviderInfo {
        info()
    }

    fn open(&self) -> BoxFuture<'_, Result<SttSession, ProviderError>> {
        let (input, mut heard) = mpsc::channel(SttSession::INPUT_LIMIT);
        let (mouth, events) = mpsc::channel(SttSession::EVENT_LIMIT);
        tokio::spawn(async move {
            let (mut loud, mut quiet, words) = (0_u32, 0_u32, "could I ask you for something else");
            while let Some(input) = heard.recv().await {
                let frame = match input {
                    SttInput::Audio(frame) => frame,
                    SttInput::Clear => {
                        loud = 0;
                        continue;
                    }
                    SttInput::Finalize => continue,
                };
                let is_loud = level(frame.samples()) > 25.0;
                (loud, quiet) = (
                    loud + u32::from(is_loud),
                    if is_loud { 0 } else { quiet + 1 },
                );
                let event = match (loud, quiet) {
                    (20, 0) => SttEvent::Interim(words.into()),
                    (20.., 20) => SttEvent::Final {
                        text: words.into(),
                        confidence: None,
                    },
                    _ => {
                        loud = if quiet > 20 { 0 } else { loud };
                        continue;
                    }
                };
                let _ = mouth.send(event).await;
            }
        });
        Box::pin(async move { Ok(SttSession { input, events }) })
    }
}

/// What is in the caller's room.
struct Air {
    /// Taps of the room, as far as they matter.
    response: Vec<(usize, f64)>,
    /// What the microphone will hear of the loudspeaker, from now on.
    coming: VecDeque<f64>,
    last_played: Instant,
}

impl Air {
    /// `None`: the caller wears a headset.
    fn new(decibels: Option<f64>) -> Self {
        let response = room::response();
        let size = response.iter().map(|tap| tap * tap).sum::<f64>().sqrt();
        let gain = decibels.map_or(0.0, |decibels| 10_f64.powf(decibels / 20.0) / size);
        let taps = response.into_iter().enumerate();
        Self {
            response: taps
                .filter(|(_, tap)| *tap > size * 3e-3)
                .map(|(place, tap)| (place, tap * gain))
                .collect(),
            coming: VecDeque::new(),
            last_played: Instant::now(),
        }
    }

    fn play(&mut self, frame: &Frame24k) {
        self.last_played = Instant::now();
        // a poor loudspeaker: three samples become two
        let sound: Vec<f64> = frame
            .samples()
            .chunks_exact(3)
            .flat_map(|samples| match samples {
                [a, b, c] => [f64::from(*a), (f64::from(*b) + f64::from(*c)) / 2.0],
                _ => unreachable!(),
            })
            .collect();
        for (place, tap) in &self.response {
            let from = WAY * BLOCK + place;
            if self.coming.len() < from + sound.len() {
                self.coming.resize(from + sound.len(), 0.0);
            }
            for (sum, sample) in self.coming.range_mut(from..).zip(&sound) {
                *sum += sample * tap;
            }
        }
    }

    /// 20 ms of the microphone.
    fn next(&mut self) -> Vec<f64> {
        self.coming.resize(self.coming.len().max(BLOCK), 0.0);
        self.coming.drain(..BLOCK).collect()
    }
}

struct Loudspeaker(Arc<Mutex<Air>>);

impl AudioOutput for Loudspeaker {
    fn play(&mut self, frame: &Frame24k) {
        self.0.lock().unwrap().play(frame);
    }
}

/// Somebody in the caller's room.
#[derive(Clone, Copy)]
struct Says<'a> {
    /// In seconds.
    at: f64,
    recording: &'a str,
    /// Of the caller's usual level.
    decibels: f64,
}

#[derive(Debug)]
struct Call {
    /// When nothing more was played of a speech that was interrupted, in seconds.
    stops: Vec<f64>,
    turns: Vec<String>,
}

/// A call of 14 s in a room with an echo of this many decibels.
async fn call(agent: &[&str], greeting: &str, decibels: Option<f64>, says: &[Says<'_>]) -> Call {
    let air = Arc::new(Mutex::new(Air::new(decibels)));
    let voice = Voice(Mutex::new(
        agent.iter().map(|name| recording::<24_000>(name)).collect(),
    ));
    let agent = Agent::builder("host")
        .llm(Arc::new(Mute))
        .stt(Arc::new(Misunderstands))
        .tts(Arc::new(voice))
        .vad(Arc::new(Silero::new(SileroOptions::default()).unwrap()))
        .greeting(greeting)
        .build()
        .unwrap();
    let (microphone, audio_in) = mpsc::channel(SessionIo::AUDIO_IN_LIMIT);
    let audio_out = Box::new(Loudspeaker(air.clone()));
    let session = AgentSession::start(
        agent,
        SessionIo {
            audio_in,
            audio_out,
        },
    );
    let mut events = session.events();
    session.started().unwrap();
    let voices: Vec<(f64, f64, Vec<i16>)> = says
        .iter()
        .map(|says| {
            let gain = 10_f64.powf(says.decibels / 20.0);
            (says.at, gain, recording::<16_000>(says.recording))
        })
        .collect();
    let mut spoken: Vec<_> = voices
        .iter()
        .map(|(at, gain, samples)| (at, gain, samples.chunks(BLOCK)))
        .collect();
    let begin = Instant::now();
    let mut stops = Vec::new();
    for block in 0..700_u32 {
        let seconds = f64::from(block) * 0.02;
        let mut heard = air.lock().unwrap().next();
        for (at, gain, voice) in &mut spoken {
            if seconds >= **at {
                for (sum, sample) in heard.iter_mut().zip(voice.next().unwrap_or_default()) {
                    *sum += f64::from(*sample) * **gain;
                }
            }
        }
        let frame = heard.iter().map(|sample| *sample as i16).collect();
        microphone.send(Frame16k::new(frame)).await.unwrap();
        tokio::time::sleep_until(begin + Duration::from_millis(20) * (block + 1)).await;
        while let Some(Some((_, event))) = events.recv().now_or_never() {
            if let Event::SpeechDone {
                interrupted: true, ..
            } = event
            {
                let last = air.lock().unwrap().last_played;
                stops.push(last.duration_since(begin).as_secs_f64());
            }
        }
    }
    let history = session.history().await;
    let turns = history.items().iter().filter_map(|item| match item {
        Item::Message(message) if message.role == Role::User => Some(message.text.clone()),
        _ => None,
    });
    Call {
        stops,
        turns: turns.collect(),
    }
}

/// How loud the agent's voice comes back, in decibels of the caller's.
const ROOMS: [f64; 4] = [-30.0, -20.0, -12.0, -6.0];

#[tokio::test(start_paused = true)]
async fn the_agents_own_voice_from_a_loudspeaker_does_not_interrupt_it_and_is_nobodys_words() {
    for decibels in ROOMS {
        for agent in AGENTS {
            let call = call(&agent, GREETING, Some(decibels), &[]).await;
            println!("{decibels} dB: {call:?}");
            assert!(call.stops.is_empty(), "{decibels} dB: {call:?}");
            assert!(call.turns.is_empty(), "{decibels} dB: {call:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_interrupts_over_the_echo_nearly_as_soon_as_without_one() {
    for agent in AGENTS {
        for recording in ["sb_spk2_snt1.wav", "cv651325.wav", "sb_spk1_snt2.wav"] {
            if agent.contains(&recording) {
                continue; // two who say the same are one
            }
            let says = [Says {
                at: SPEAKS,
                recording,
                decibels: 0.0,
            }];
            let without = call(&agent, GREETING, None, &says).await;
            println!("{recording}, no echo: {without:?}");
            let without = *without.stops.first().expect("the caller is not heard");
            for decibels in ROOMS {
                let call = call(&agent, GREETING, Some(decibels), &says).await;
                println!("{recording}, {decibels} dB: {call:?}");
                let stops = *call.stops.first().expect("the caller is not heard");
                assert!(stops > SPEAKS && stops < without + 0.75, "{call:?}");
            }
        }
    }
}

/// The agent greets, is asked something, and answers for 9.7 s from second 6 on.
const ANSWERS: [&str; 2] = ["sb_spk1_snt3.wav", "lj_001-0001.wav"];
const QUESTION: Says<'_> = Says {
    at: 3.0,
    recording: "sb_spk1_snt1.wav",
    decibels: 0.0,
};

#[tokio::test(start_paused = true)]
async fn a_neighbour_does_not_interrupt_and_a_caller_who_speaks_more_quietly_than_before_does() {
    for recording in ["sb_spk2_snt1.wav", "cv651325.wav", "sb_spk1_snt2.wav"] {
        let over = |decibels| Says {
            at: 8.0,
            recording,
            decibels,
        };
        for decibels in [-20.0, -30.0] {
            let call = call(&ANSWERS, "Hello.", None, &[QUESTION, over(decibels)]).await;
            println!("{recording}, {decibels} dB: {call:?}");
            assert!(
                call.stops.is_empty(),
                "{recording}, {decibels} dB: {call:?}"
            );
            assert_eq!(call.turns.len(), 1, "{recording}, {decibels} dB: {call:?}");
        }
        let loud = call(&ANSWERS, "Hello.", None, &[QUESTION, over(0.0)]).await;
        let quiet = call(&ANSWERS, "Hello.", None, &[QUESTION, over(-8.0)]).await;
        println!("{recording}: {loud:?}, 8 dB more quietly: {quiet:?}");
        let first = |call: &Call| *call.stops.first().expect("the caller is not heard");
        assert!(first(&quiet) < first(&loud) + 0.3, "{loud:?} {quiet:?}");
    }
}

//! A caller: joins through the public protocol, sends Opus every 20 ms, and notes when packets of the agent arrive.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use antiphon_audio::opus::SILENCE_20_MS;
use antiphon_audio::{Frame24k, OpusEncoder, audio_level, wav};
use antiphon_client::{LocalAudioTrack, Room, RoomEvent, RoomOptions, TrackSource};
use antiphon_protocol::{AccessToken, VideoGrants};
use antiphon_rtc::Engine;
use bytes::Bytes;
use tokio::time::{MissedTickBehavior, interval};

use crate::process::Error;

const TICK: Duration = Duration::from_millis(20);
/// RTP ticks of one packet.
const TICKS: u64 = 960;
/// Louder than this is speech (-dBov, 127 is silence): where the recording really begins and ends.
const SPEECH_LEVEL: u8 = 45;
/// No packet for this long: the agent is silent.
const SILENCE: Duration = Duration::from_millis(400);
/// No packet for this long: the agent has stopped.
const GAP: Duration = Duration::from_millis(200);
/// An answer that takes longer does not count as one.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Encoded speech without silence around it.
pub(crate) struct Speech {
    packets: Vec<(Bytes, u8)>,
    quiet: Vec<(Bytes, u8)>,
}

impl Speech {
    /// The recorded question of `interop/speech`.
    pub(crate) fn question() -> Result<Arc<Self>, Error> {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../interop/speech/weather_question.wav"
        );
        let sound: Frame24k = wav::read(&std::fs::read(path)?)?;
        let frames: Vec<Frame24k> = sound
            .samples()
            .chunks_exact(Frame24k::SAMPLES_20_MS)
            .map(|samples| Frame24k::new(samples.to_vec()))
            .collect();
        let loud = |frame: &Frame24k| audio_level(frame) < SPEECH_LEVEL;
        let first = frames
            .iter()
            .position(loud)
            .ok_or("no speech in the recording")?;
        let last = frames
            .iter()
            .rposition(loud)
            .ok_or("no speech in the recording")?;
        let mut encoder = OpusEncoder::<24_000>::new()?;
        let mut encode = |frame: &Frame24k| -> Result<(Bytes, u8), Error> {
            Ok((
                Bytes::copy_from_slice(encoder.encode(frame)?),
                audio_level(frame),
            ))
        };
        let packets = frames[first..=last]
            .iter()
            .map(&mut encode)
            .collect::<Result<_, _>>()?;
        // A room is never digitally silent.
        let hiss = |n: usize| {
            Frame24k::new(
                (0..480)
                    .map(|i| ((i * 7919 + n * 104_729) % 7) as i16 - 3)
                    .collect(),
            )
        };
        let quiet = (0..50)
            .map(|n| encode(&hiss(n)))
            .collect::<Result<_, _>>()?;
        Ok(Arc::new(Self { packets, quiet }))
    }
}

/// What both directions of a call share.
#[derive(Default)]
struct Wire {
    /// Speech that is still to be sent.
    plan: VecDeque<usize>,
    first_word: Option<Instant>,
    last_word: Option<Instant>,
    /// Arrivals of the agent's sound since the last question.
    heard: Vec<Instant>,
    /// Where the agent says that the time went.
    parts: Option<Parts>,
}

pub(crate) struct Caller {
    _room: Room,
    speech: Arc<Speech>,
    wire: Arc<Mutex<Wire>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

/// `turn_metrics` of the agent, in milliseconds.
#[derive(Clone, Copy, serde::Deserialize)]
pub(crate) struct Parts {
    #[serde(rename = "end_of_turn_delay_ms")]
    pub(crate) end_of_turn: Option<f64>,
    #[serde(rename = "llm_ttfs_ms")]
    pub(crate) llm: Option<f64>,
    #[serde(rename = "tts_ttfb_ms")]
    pub(crate) tts: Option<f64>,
    #[serde(rename = "e2e_latency_ms")]
    pub(crate) e2e: Option<f64>,
}

/// One answer.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    /// Last word sent to first packet heard.
    pub(crate) wait: Duration,
    pub(crate) parts: Option<Parts>,
    /// Which question of this caller, from 1.
    pub(crate) question: usize,
}

#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) answers: Vec<Answer>,
    pub(crate) unanswered: usize,
}

impl Caller {
    pub(crate) async fn join(
        engine: &Engine,
        url: &str,
        room: &str,
        speech: &Arc<Speech>,
    ) -> Result<Self, Error> {
        let token = AccessToken::new("devkey", "secret")
            .identity("caller")
            .grants(VideoGrants::join(room))
            .to_jwt()?;
        let (room, mut events) = Room::connect(engine, url, &token, RoomOptions::default()).await?;
        let track = room
            .publish_audio("microphone", TrackSource::Microphone)
            .await?;
        let wire = Arc::new(Mutex::new(Wire::default()));
        let sending = tokio::spawn(send(track, speech.clone(), wire.clone()));
        let ear = wire.clone();
        let hearing = tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                match event {
                    RoomEvent::TrackSubscribed { mut audio, .. } => {
                        let ear = ear.clone();
                        tokio::spawn(async move {
                            while let Some(packet) = audio.recv().await {
                                if packet.payload.len() > SILENCE_20_MS.len() {
                                    lock(&ear).heard.push(packet.received);
                                }
                            }
                        });
                    }
                    RoomEvent::TextStream(stream) => {
                        if let Some(parts) = turn_metrics(&stream.text) {
                            lock(&ear).parts = Some(parts);
                        }
                    }
                    _ => {}
                }
            }
        });
        Ok(Self {
            _room: room,
            speech: speech.clone(),
            wire,
            tasks: vec![sending, hearing],
        })
    }

    /// Ask this many questions, each after the answer to the one before.
    pub(crate) async fn ask(self, questions: usize, after: Duration) -> Outcome {
        let mut outcome = Outcome::default();
        tokio::time::sleep(Duration::from_secs(1) + after).await;
        for question in 1..=questions {
            self.speak();
            let answered = self
                .until(|wire| {
                    wire.last_word
                        .is_some_and(|last| wire.heard.iter().any(|at| *at > last))
                })
                .await;
            let wait = self.wait().filter(|_| answered);
            self.until(silent).await;
            match wait {
                Some(wait) => outcome.answers.push(Answer {
                    wait,
                    parts: lock(&self.wire).parts,
                    question,
                }),
                None => outcome.unanswered += 1,
            }
        }
        outcome
    }

    /// Speak into this many answers; how long the agent was still heard after the caller began.
    pub(crate) async fn interrupt(self, times: usize) -> Vec<Duration> {
        let mut silences = Vec::new();
        tokio::time::sleep(Duration::from_secs(1)).await;
        for _ in 0..times {
            self.speak();
            let well_into = |wire: &Wire| {
                let after = |last: Instant| wire.heard.iter().filter(|at| **at > last).count() > 75;
                wire.last_word.is_some_and(after)
            };
            if !self.until(well_into).await {
                continue;
            }
            self.speak();
            self.until(|wire| wire.first_word.is_some() && wire.plan.is_empty())
                .await;
            silences.extend(self.silenced_after());
            // the answer to the interruption is interrupted in its turn by the next question
            self.until(|wire| {
                wire.last_word
                    .is_some_and(|last| wire.heard.iter().any(|at| *at > last))
            })
            .await;
            self.speak();
            self.until(silent).await;
        }
        silences
    }

    /// From the caller's last word to the agent's first packet after it.
    fn wait(&self) -> Option<Duration> {
        let wire = lock(&self.wire);
        let last = wire.last_word?;
        wire.heard
            .iter()
            .find(|at| **at > last)
            .map(|at| at.duration_since(last))
    }

    /// From the caller's first word to the agent's last packet before the first gap.
    fn silenced_after(&self) -> Option<Duration> {
        let wire = lock(&self.wire);
        let first = wire.first_word?;
        let mut end = first;
        for at in wire.heard.iter().filter(|at| **at > first) {
            if at.duration_since(end) > GAP {
                break;
            }
            end = *at;
        }
        Some(end.duration_since(first))
    }

    fn speak(&self) {
        let mut wire = lock(&self.wire);
        wire.plan = (0..self.speech.packets.len()).collect();
        (wire.first_word, wire.last_word, wire.parts) = (None, None, None);
        wire.heard.clear();
    }

    /// Waits until it is so; false after the time-out.
    async fn until(&self, condition: impl Fn(&Wire) -> bool) -> bool {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let mut look = interval(Duration::from_millis(5));
        while Instant::now() < deadline {
            look.tick().await;
            if condition(&lock(&self.wire)) {
                return true;
            }
        }
        false
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// What the agent says of a turn, if that is what it says.
fn turn_metrics(text: &str) -> Option<Parts> {
    let event: serde_json::Value = serde_json::from_str(text).ok()?;
    (event["type"] == "turn_metrics")
        .then(|| serde_json::from_value(event).ok())
        .flatten()
}

fn silent(wire: &Wire) -> bool {
    wire.plan.is_empty() && wire.heard.last().is_some_and(|at| at.elapsed() > SILENCE)
}

fn lock(wire: &Mutex<Wire>) -> std::sync::MutexGuard<'_, Wire> {
    wire.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn send(track: LocalAudioTrack, speech: Arc<Speech>, wire: Arc<Mutex<Wire>>) {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0_u64.. {
        tick.tick().await;
        let word = {
            let mut wire = lock(&wire);
            let word = wire.plan.pop_front();
            if word.is_some() {
                let now = Instant::now();
                wire.first_word.get_or_insert(now);
                if wire.plan.is_empty() {
                    wire.last_word = Some(now);
                }
            }
            word
        };
        let packet = word.and_then(|at| speech.packets.get(at)).or_else(|| {
            speech
                .quiet
                .get(number as usize % speech.quiet.len().max(1))
        });
        if let Some((payload, level)) = packet {
            track.send_opus(payload.clone(), number * TICKS, word == Some(0), *level);
        }
    }
}

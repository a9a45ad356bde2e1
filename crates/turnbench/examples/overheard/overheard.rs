//! Sounds that are not for the agent, while it speaks: does it fall silent for them, and does it stop? VAD and recogniser hear them as in a
//! call; what they say is told to the dialogue in virtual time, as if the recogniser took no time. The agent speaks on whatever
//! happens, so a sound is judged from its beginning to its end.

use std::fmt::Write as _;

use antiphon_agent::provider::{Stt, SttEvent, SttInput, Vad};
use antiphon_audio::Frame16k;
use antiphon_dialogue::input::{self, Input};
use antiphon_moonshine::SURE;
use antiphon_neural::{Urgency, Workers};
use antiphon_scenario::{Scenario, run};
use antiphon_silero::SileroVad;

use antiphon_turnbench::BenchError;

const RATE: u32 = 16_000;

/// When the agent has spoken for so long, the sound begins, unless it begins with the speech.
pub(crate) const BEGINS: f64 = 5.0;
/// What the agent says where nobody says otherwise.
pub(crate) const SPEECH: &str = "There is a lot to say about our menu, our rooms and our garden.";
/// Silence after a sound, so that it ends for the VAD.
const AFTER: usize = RATE as usize;
/// Turns of the runtime in which the recogniser takes what it was given: each task needs one.
const TURNS: usize = 8;

/// What the agent says meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Speech {
    /// Its words.
    pub(crate) text: String,
    /// Seconds that they take.
    pub(crate) lasts: f64,
    /// Seconds from its first sound to that of the overheard sound.
    pub(crate) before: f64,
}

impl Default for Speech {
    fn default() -> Self {
        Self {
            text: SPEECH.into(),
            lasts: 600.0,
            before: BEGINS,
        }
    }
}

/// What a sound does to the agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Overheard {
    /// How often the VAD heard speech begin.
    pub(crate) starts: usize,
    /// How often the agent fell silent, to hear whether it is meant.
    pub(crate) pauses: usize,
    /// The agent stopped: the sound took the floor.
    pub(crate) stops: bool,
    /// What the recogniser made of it.
    pub(crate) words: Vec<String>,
}

/// Lets VAD and recogniser hear `samples` while the agent speaks. `workers` are the recogniser's, and have one thread: when they are
/// through, everything of one frame has been heard before the next one.
///
/// # Errors
/// When the recogniser cannot be run.
pub(crate) async fn overhear(
    samples: &[i16],
    vad: &mut SileroVad,
    stt: &dyn Stt,
    workers: &Workers,
    speech: &Speech,
) -> Result<Overheard, BenchError> {
    let failed = |error: &dyn std::fmt::Display| BenchError::Sound(error.to_string());
    let mut session = stt.open().await.map_err(|error| failed(&error))?;
    let mut told = Told::new(speech);
    let silence = std::iter::repeat_n(&0, AFTER);
    let samples: Vec<i16> = samples.iter().chain(silence).copied().collect();
    let mut at = 0.0;
    for piece in samples.chunks(RATE as usize / 50) {
        at += piece.len() as f64 / f64::from(RATE);
        let frame = Frame16k::new(piece.to_vec());
        let mut events: Vec<input::Vad> = Vec::new();
        vad.push(&frame, &mut |event| events.push(event));
        let has_ended = |event: &input::Vad| matches!(event, input::Vad::SpeechEnded { .. });
        let is_whole = events.iter().any(has_ended);
        for event in events {
            told.vad(at, event)?;
        }
        let gone = |_| BenchError::Sound("the recogniser ended".into());
        let sound = SttInput::Audio(frame);
        session.input.send(sound).await.map_err(gone)?;
        if is_whole {
            // the dialogue asks for final words when speech has ended
            session.input.send(SttInput::Finalize).await.map_err(gone)?;
        }
        settle(workers).await?;
        while let Ok(event) = session.events.try_recv() {
            told.words(at, event)?;
        }
    }
    let gone = |_| BenchError::Sound("the recogniser ended".into());
    session.input.send(SttInput::Finalize).await.map_err(gone)?;
    settle(workers).await?;
    while let Ok(event) = session.events.try_recv() {
        told.words(at, event)?;
    }
    told.judge()
}

/// Until the recogniser has nothing left to do.
async fn settle(workers: &Workers) -> Result<(), BenchError> {
    for _ in 0..2 {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
        let done = workers
            .run(Urgency::Useful, |_: &rten::RunOptions| ())
            .await;
        done.map_err(|error| BenchError::Sound(error.to_string()))?;
    }
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// What was told to the dialogue, as a scenario.
struct Told {
    scenario: String,
    before: f64,
    found: Overheard,
}

impl Told {
    fn new(speech: &Speech) -> Self {
        let scenario = format!(
            "title A sound that is not for the agent\noption min_interruption_confidence {SURE}\noption greeting {:?}\ntts after 0ms lasting {}ms\nend {:.0}\n",
            speech.text,
            (speech.lasts * 1e3) as u64,
            speech.lasts + 5.0
        );
        Self {
            scenario,
            before: speech.before,
            found: Overheard::default(),
        }
    }

    fn tell(&mut self, at: f64, input: &Input) -> Result<(), BenchError> {
        let failed = |error: &dyn std::fmt::Display| BenchError::Sound(error.to_string());
        let input = serde_json::to_string(input).map_err(|error| failed(&error))?;
        writeln!(self.scenario, "at {:.3} input {input}", self.before + at)
            .map_err(|error| failed(&error))
    }

    fn vad(&mut self, at: f64, event: input::Vad) -> Result<(), BenchError> {
        self.found.starts += usize::from(matches!(event, input::Vad::SpeechStarted { .. }));
        self.tell(at, &Input::Vad(event))
    }

    fn words(&mut self, at: f64, event: SttEvent) -> Result<(), BenchError> {
        let event = match event {
            SttEvent::Interim(text) => input::Stt::Interim(text),
            SttEvent::Final { text, confidence } => {
                self.found.words.push(text.clone());
                input::Stt::Final { text, confidence }
            }
            _ => return Ok(()),
        };
        self.tell(at, &Input::Stt(event))
    }

    fn judge(mut self) -> Result<Overheard, BenchError> {
        let scenario = Scenario::parse(&self.scenario)
            .map_err(|error| BenchError::Sound(error.to_string()))?;
        let outcome = run(&scenario);
        let count = |what: &str| {
            let lines = outcome.timeline.iter();
            lines.filter(|line| line.text == what).count()
        };
        self.found.pauses = count("pause");
        self.found.stops = count("interrupted") > 0;
        Ok(self.found)
    }
}

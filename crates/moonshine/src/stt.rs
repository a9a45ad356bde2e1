//! The recogniser behind the trait of `agent`: words while the caller speaks, final words when they stop.
//!
//! Sound passes an energy gate, so silence costs nothing. What is said is kept, and recognised again and again as it grows:
//! the model hears a sentence best as a whole. How often is bounded by what it costs ([`INTERIM_SHARE`]). In every pause it is
//! recognised once; if the pause turns out to be the end, its final words are known by then.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{BoxFuture, ProviderInfo, Stt, SttEvent, SttInput, SttSession};
use antiphon_audio::gate::{Gate, Step};
use antiphon_neural::{Urgency, WorkError, Workers};
use antiphon_silero::network::{Network, State};
use tokio::sync::mpsc;

use crate::transcriber::{MAX_SAMPLES, SAMPLE_RATE, Spoken, Transcript};
use crate::{SttError, Transcriber};

/// The part of one core that interim words of one caller may take while that caller speaks: the final words matter more.
/// Half of it is for looks in pauses, which may be the last ones.
pub const INTERIM_SHARE: f64 = 0.2;
/// New sound that makes another look worth while: about a word.
const MIN_INTERIM_STEP: usize = SAMPLE_RATE * 3 / 10;
/// So much quiet is a pause, and the words before it are whole.
const PAUSE: usize = SAMPLE_RATE / 10;
/// An utterance this long is given out at its next pause: what it costs grows with its length.
const LONG_UTTERANCE: usize = 12 * SAMPLE_RATE;
/// An utterance this long is given out at once, and the next one begins: the model was trained on shorter ones.
const MAX_UTTERANCE: usize = MAX_SAMPLES - 2 * SAMPLE_RATE;
/// A window of 32 ms has a voice from this probability on, as Silero's authors say.
const VOICE_PROBABILITY: f32 = 0.5;
/// Windows with a voice that make an utterance of a sound, 96 ms: a short "no" has more, and the model makes words of anything.
const MIN_VOICE_WINDOWS: u32 = 3;
/// Moonshine was surer than 0.7 of what people said, and less sure than this of nine in ten laughs that it made words of
/// (`cargo run -p antiphon-turnbench --example overheard`).
pub const SURE: f32 = 0.6;

/// Speech recognition by Moonshine or Whisper. Cloning shares the model.
#[derive(Clone, Debug)]
pub struct NeuralStt {
    transcriber: Arc<Transcriber>,
    voices: Arc<Network>,
    workers: Workers,
    model: Arc<str>,
    /// The language that callers speak, as the model names it. None: it finds out, if it knows several.
    language: Option<Arc<str>>,
}

impl NeuralStt {
    /// Loads the model in `folder`; `workers` run it.
    ///
    /// # Errors
    /// When the model cannot be loaded.
    pub fn load(folder: &Path, workers: Workers) -> Result<Self, SttError> {
        let transcriber = Transcriber::load(folder)?;
        let model = folder.file_name().map_or_else(
            || transcriber.name().into(),
            |name| name.to_string_lossy().as_ref().into(),
        );
        Ok(Self {
            transcriber: Arc::new(transcriber),
            voices: Arc::new(Network::load()),
            workers,
            model,
            language: None,
        })
    }

    /// Callers speak this language (BCP 47). Otherwise a model that knows several finds out for each utterance.
    ///
    /// # Errors
    /// [`SttError::Language`] when the model does not know it.
    pub fn with_language(mut self, language: &str) -> Result<Self, SttError> {
        self.language = self.transcriber.language(language)?.map(Arc::from);
        Ok(self)
    }

    /// Whether the words were said, rather than made of noise.
    fn is_speech(&self, transcript: &Transcript) -> bool {
        transcript.text.contains(char::is_alphanumeric)
            && transcript.confidence >= self.transcriber.least_confidence()
            && !transcript.is_loop
    }

    /// What was said in `sound`, and how long the recognition ran.
    async fn recognize(
        &self,
        sound: Vec<f32>,
        before: Option<Arc<str>>,
        urgency: Urgency,
    ) -> Result<(Transcript, Duration), ProviderError> {
        let (transcriber, given) = (self.transcriber.clone(), self.language.clone());
        let work = move |options: &_| {
            let start = Instant::now();
            let spoken = match (&given, &before) {
                (Some(given), _) => Spoken::Given(given),
                (None, Some(before)) => Spoken::Before(before),
                (None, None) => Spoken::Unknown,
            };
            let transcript = transcriber.transcribe(&sound, spoken, options);
            (transcript, start.elapsed())
        };
        let unavailable = |error: &dyn std::fmt::Display| ProviderError::Unavailable {
            engine: self.transcriber.name(),
            message: error.to_string(),
        };
        match self.workers.run(urgency, work).await {
            Ok((Ok(transcript), cost)) => Ok((transcript, cost)),
            Ok((Err(error), _)) => Err(unavailable(&error)),
            Err(error @ (WorkError::Busy | WorkError::Panicked)) => Err(unavailable(&error)),
        }
    }
}

impl Stt for NeuralStt {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: self.transcriber.name(),
            model: self.model.to_string(),
        }
    }

    fn open(&self) -> BoxFuture<'_, Result<SttSession, ProviderError>> {
        Box::pin(async move {
            let (input, orders) = mpsc::channel(SttSession::INPUT_LIMIT);
            let (events, receiver) = mpsc::channel(SttSession::EVENT_LIMIT);
            tokio::spawn(Stream::new(self.clone(), events).run(orders));
            Ok(SttSession {
                input,
                events: receiver,
            })
        })
    }
}

/// The receiver of events is gone: the task ends.
struct Closed;

type Recognition = BoxFuture<'static, Result<(Transcript, Duration), ProviderError>>;

/// A look at the utterance as far as it went.
struct Look {
    recognition: Recognition,
    /// Samples that it covers.
    covers: usize,
    urgency: Urgency,
}

/// One caller's stream.
struct Stream {
    engine: NeuralStt,
    events: mpsc::Sender<SttEvent>,
    gate: Gate,
    utterance: Utterance,
    /// What was spoken in the last utterance, when the model finds out.
    language: Option<Arc<str>>,
}

/// What is being said.
#[derive(Default)]
struct Utterance {
    /// -1 to 1.
    sound: Vec<f32>,
    /// Samples up to its last loud one.
    spoken: usize,
    /// Samples in which a voice was looked for, and windows that had one.
    judged: usize,
    voiced: u32,
    voice: State,
    look: Option<Look>,
    /// What the last look found, and how much it covers.
    seen: Option<(Transcript, usize)>,
    /// Samples when the last look began.
    looked_at: usize,
    /// What looks have cost so far.
    spent: Duration,
    /// The interim words given out last.
    shown: String,
}

impl Utterance {
    fn seconds(&self) -> f64 {
        self.sound.len() as f64 / SAMPLE_RATE as f64
    }

    /// Looks for a voice in what is new.
    fn look_for_voice(&mut self, voices: &Network) {
        while let Some(window) = self
            .sound
            .get(self.judged..)
            .and_then(|rest| rest.first_chunk())
        {
            self.judged += window.len();
            if voices.probability(&mut self.voice, window) >= VOICE_PROBABILITY {
                self.voiced += 1;
            }
        }
    }

    /// Somebody speaks in it.
    fn has_voice(&self) -> bool {
        self.voiced >= MIN_VOICE_WINDOWS
    }

    /// Whether so much of the interim share is left.
    fn may_spend(&self, part: f64) -> bool {
        self.spent.as_secs_f64() <= INTERIM_SHARE * part * self.seconds()
    }

    /// Whether a look now is worth its cost, and how soon it is needed.
    fn look_urgency(&self, quiet: usize) -> Option<Urgency> {
        if self.look.is_some() || !self.has_voice() {
            return None;
        }
        if quiet >= PAUSE {
            return (!self.is_whole_in(self.looked_at) && self.may_spend(1.0))
                .then_some(Urgency::Waited);
        }
        let is_due =
            self.sound.len() >= self.looked_at + MIN_INTERIM_STEP && self.looked_at < self.spoken;
        (is_due && self.may_spend(0.5)).then_some(Urgency::Useful)
    }

    /// Whether its first `samples` have all its words, with the soft end of the last one.
    fn is_whole_in(&self, samples: usize) -> bool {
        samples >= self.sound.len().min(self.spoken + PAUSE)
    }
}

impl Stream {
    fn new(engine: NeuralStt, events: mpsc::Sender<SttEvent>) -> Self {
        Self {
            engine,
            events,
            gate: Gate::default(),
            utterance: Utterance::default(),
            language: None,
        }
    }

    async fn run(mut self, mut orders: mpsc::Receiver<SttInput>) {
        loop {
            let step = tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.order(order).await,
                    None => return,
                },
                looked = look(&mut self.utterance.look) => self.looked(looked).await,
                () = self.events.closed() => return,
            };
            if step.is_err() {
                return;
            }
        }
    }

    async fn order(&mut self, order: SttInput) -> Result<(), Closed> {
        match order {
            SttInput::Audio(frame) => match self.gate.push(frame.samples()) {
                Step::Silence => Ok(()),
                Step::Speech(samples) => self.hear(&samples).await,
                Step::End => self.finish().await,
            },
            SttInput::Finalize => {
                self.gate.close();
                self.finish().await
            }
            SttInput::Clear => {
                self.gate.close();
                self.utterance = Utterance::default();
                Ok(())
            }
        }
    }

    async fn hear(&mut self, samples: &[i16]) -> Result<(), Closed> {
        let utterance = &mut self.utterance;
        utterance
            .sound
            .extend(samples.iter().map(|sample| f32::from(*sample) / 32_768.0));
        utterance.look_for_voice(&self.engine.voices);
        let quiet = self.gate.quiet_samples();
        if quiet == 0 {
            utterance.spoken = utterance.sound.len();
        }
        let len = utterance.sound.len();
        if len >= MAX_UTTERANCE || (len >= LONG_UTTERANCE && quiet >= PAUSE) {
            return self.finish().await;
        }
        if let Some(urgency) = utterance.look_urgency(quiet) {
            utterance.looked_at = len;
            let (engine, sound) = (self.engine.clone(), utterance.sound.clone());
            let before = self.language.clone();
            let recognition =
                Box::pin(async move { engine.recognize(sound, before, urgency).await });
            utterance.look = Some(Look {
                recognition,
                covers: len,
                urgency,
            });
        }
        Ok(())
    }

    async fn looked(
        &mut self,
        (looked, covers): (Result<(Transcript, Duration), ProviderError>, usize),
    ) -> Result<(), Closed> {
        let utterance = &mut self.utterance;
        // a look that had no place is left out: the next one says more
        let Ok((transcript, cost)) = looked else {
            return Ok(());
        };
        utterance.spent += cost;
        let news = (self.engine.is_speech(&transcript) && transcript.text != utterance.shown)
            .then(|| (transcript.text.clone(), transcript.language.clone()));
        utterance.seen = Some((transcript, covers));
        let Some((text, language)) = news else {
            return Ok(());
        };
        utterance.shown.clone_from(&text);
        self.name(language).await?;
        self.emit(SttEvent::Interim(text)).await
    }

    /// Final words of the utterance under way.
    async fn finish(&mut self) -> Result<(), Closed> {
        let mut utterance = std::mem::take(&mut self.utterance);
        if !utterance.has_voice() {
            return Ok(());
        }
        let look = utterance
            .look
            .take()
            .filter(|look| look.urgency == Urgency::Waited && utterance.is_whole_in(look.covers));
        let seen = utterance
            .seen
            .take()
            .filter(|(_, covers)| utterance.is_whole_in(*covers));
        let heard = match (seen, look) {
            (Some((transcript, _)), _) => Ok(transcript),
            (None, Some(look)) => look.recognition.await.map(|(transcript, _)| transcript),
            (None, None) => self
                .engine
                .recognize(
                    std::mem::take(&mut utterance.sound),
                    self.language.clone(),
                    Urgency::Waited,
                )
                .await
                .map(|(transcript, _)| transcript),
        };
        match heard {
            Ok(transcript) if self.engine.is_speech(&transcript) => {
                let Transcript {
                    text,
                    confidence,
                    language,
                    ..
                } = transcript;
                self.language = language.as_deref().map(Arc::from).or(self.language.take());
                self.name(language).await?;
                self.emit(SttEvent::Final {
                    text,
                    confidence: Some(confidence),
                })
                .await
            }
            // what was shown turned out to be nothing
            Ok(_) if !utterance.shown.is_empty() => {
                // an empty final alone would say that words were lost
                self.emit(SttEvent::Interim(String::new())).await?;
                self.emit(SttEvent::Final {
                    text: String::new(),
                    confidence: None,
                })
                .await
            }
            Ok(_) => Ok(()),
            Err(error) => {
                self.emit(SttEvent::Degraded(error.to_string())).await?;
                self.emit(SttEvent::Recovered).await
            }
        }
    }

    /// The language of the words that come next.
    async fn name(&mut self, language: Option<String>) -> Result<(), Closed> {
        match language {
            Some(language) => self.emit(SttEvent::Language(language)).await,
            None => Ok(()),
        }
    }

    async fn emit(&mut self, event: SttEvent) -> Result<(), Closed> {
        self.events.send(event).await.map_err(|_| Closed)
    }
}

/// What the look under way finds, and how much it covers.
async fn look(look: &mut Option<Look>) -> (Result<(Transcript, Duration), ProviderError>, usize) {
    let Some(Look {
        recognition,
        covers,
        ..
    }) = look
    else {
        return std::future::pending().await;
    };
    let found = (recognition.await, *covers);
    *look = None;
    found
}

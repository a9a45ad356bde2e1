//! Whether a caller has finished, from sound, words and silence: Smart Turn v3.2 (Daily, BSD-2-Clause) hears the melody and rhythm of
//! the last 8 s, and the last words say what melody cannot: an article, a filler or half a telephone number goes on. Whoever has been silent
//! for long has finished, unless both say the opposite.
//!
//! | module | what |
//! |---|---|
//! | `features` | sound as the network sees it |
//! | [`mod@cue`] | what the last words say |
//!
//! It answers a probability and decides nothing: when a turn ends is the dialogue's business.

pub mod cue;
mod features;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{BoxFuture, Evidence, PresentTurn, ProviderInfo, TurnDetector};
use antiphon_chat::{Item, Role};
use antiphon_neural::{Urgency, WorkError, Workers};
use rten::{Model, NodeId, RunOptions, Value, ValueOrView};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, Tensor};

pub use cue::{Cue, cue};
use features::{BANDS, FRAMES, Features};

/// Samples a second.
pub const SAMPLE_RATE: usize = 16_000;
/// Who is finished with at least this probability has finished. Smart Turn's own is 0.5; a sweep finds this one better (docs/benchmarks.md).
pub const THRESHOLD: f32 = 0.7;
/// What the sound says where nobody has judged it: nothing.
const WITHOUT_SOUND: f32 = 0.5;
/// Silence that is more than a breath.
const LONG_SILENCE: Duration = Duration::from_millis(400);
/// By how much a long silence makes the end likelier, as a factor of the odds: a caller whom sound and words give a probability of 0.1 has
/// finished, so that a doubtful end is answered when silence alone would answer it (docs/benchmarks.md has the sweep).
const OF_LONG_SILENCE: f32 = 21.0;
/// The name of the provider.
const ENGINE: &str = "smart-turn";

/// What can be wrong with the detector.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SmartTurnError {
    /// Its file is missing or damaged.
    #[error("{} cannot be loaded: {message}. Fetch it again with `antiphon models fetch`", file.display())]
    Model {
        /// Which file.
        file: PathBuf,
        /// The reason.
        message: String,
    },
    /// The network stopped while it ran.
    #[error("the turn detector cannot be run: {0}")]
    Run(String),
}

/// The detector. Cloning shares the model.
#[derive(Clone)]
pub struct SmartTurn {
    network: Arc<Network>,
    workers: Workers,
}

struct Network {
    model: Model,
    input: NodeId,
    output: NodeId,
    features: Features,
}

impl std::fmt::Debug for SmartTurn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmartTurn").finish_non_exhaustive()
    }
}

impl SmartTurn {
    /// Loads `smart-turn.onnx` of `folder`; `workers` run it.
    ///
    /// # Errors
    /// When the file cannot be loaded.
    pub fn load(folder: &Path, workers: Workers) -> Result<Self, SmartTurnError> {
        let file = folder.join("smart-turn.onnx");
        let wrong = |message: String| SmartTurnError::Model {
            file: file.clone(),
            message,
        };
        let model = antiphon_neural::load(&file).map_err(|error| wrong(error.to_string()))?;
        let first = |ids: &[NodeId], what: &str| {
            let id = ids.first().copied();
            id.ok_or_else(|| wrong(format!("it has no {what}")))
        };
        let network = Network {
            input: first(model.input_ids(), "input")?,
            output: first(model.output_ids(), "output")?,
            features: Features::new(),
            model,
        };
        Ok(Self {
            network: Arc::new(network),
            workers,
        })
    }

    /// The probability that who speaks in `audio` (16 kHz) has finished, by sound alone.
    ///
    /// # Errors
    /// When the network cannot be run.
    pub fn judge(&self, audio: &[i16], options: &RunOptions) -> Result<f32, SmartTurnError> {
        self.network.judge(audio, options)
    }
}

impl Network {
    fn judge(&self, audio: &[i16], options: &RunOptions) -> Result<f32, SmartTurnError> {
        let picture: Value =
            NdTensor::from_data([1, BANDS, FRAMES], self.features.of(audio)).into();
        let inputs = vec![(self.input, ValueOrView::from(picture))];
        let outputs = self
            .model
            .run(inputs, &[self.output], Some(options.clone()))
            .map_err(|error| SmartTurnError::Run(error.to_string()))?;
        let probability: Option<Tensor<f32>> = outputs
            .into_iter()
            .next()
            .and_then(|value| value.try_into().ok());
        probability
            .and_then(|tensor| tensor.iter().next().copied())
            .ok_or_else(|| SmartTurnError::Run("it gave no probability".to_owned()))
    }
}

impl TurnDetector for SmartTurn {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: ENGINE,
            model: "v3.2".into(),
        }
    }

    fn evidence(&self) -> Evidence {
        Evidence::AudioAndText
    }

    /// The network was trained on 23 languages; of a language without a list of words the sound decides alone.
    fn threshold(&self, _: Option<&str>) -> Option<f32> {
        Some(THRESHOLD)
    }

    fn predict<'a>(&'a self, turn: &'a PresentTurn) -> BoxFuture<'a, Result<f32, ProviderError>> {
        let cue = cue(last_words(&turn.items), turn.language.as_deref());
        let silence = match turn.silence < LONG_SILENCE {
            true => 1.0,
            false => OF_LONG_SILENCE,
        };
        Box::pin(async move {
            // words that settle it make the network's 40 ms unnecessary
            let sound = match cue.is_certain() || turn.audio.is_empty() {
                true => WITHOUT_SOUND,
                false => self.hear(turn.audio.clone()).await?,
            };
            Ok(cue.weigh(sound, silence))
        })
    }
}

impl SmartTurn {
    /// What the sound says. On a machine that is too busy to ask, silence and words decide.
    async fn hear(&self, audio: Vec<i16>) -> Result<f32, ProviderError> {
        let unavailable = |message: String| ProviderError::Unavailable {
            engine: ENGINE,
            message,
        };
        let network = self.network.clone();
        let judge = move |options: &RunOptions| network.judge(&audio, options);
        match self.workers.run(Urgency::Waited, judge).await {
            Ok(judged) => judged.map_err(|error| unavailable(error.to_string())),
            Err(WorkError::Busy) => Ok(WITHOUT_SOUND),
            Err(error @ WorkError::Panicked) => Err(unavailable(error.to_string())),
        }
    }
}

/// What the caller has said so far.
fn last_words(items: &[Item]) -> &str {
    match items.last() {
        Some(Item::Message(message)) if message.role == Role::User => &message.text,
        _ => "",
    }
}

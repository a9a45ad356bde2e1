//! Sound to text in one go, by whichever model lies in a folder.

use std::path::Path;

use rten::RunOptions;

use crate::SttError;
use crate::folder::Folder;
use crate::moonshine::Moonshine;
use crate::tokenizer::Tokenizer;
use crate::whisper::{self, Whisper};

/// Samples a second.
pub const SAMPLE_RATE: usize = 16_000;
/// Longer sound is cut by the caller: Whisper hears 30 s at once, and Moonshine is quick up to this.
pub const MAX_SAMPLES: usize = 30 * SAMPLE_RATE;

/// What was heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transcript {
    /// The words, with capitals and punctuation.
    pub text: String,
    /// How sure the model is, 0 to 1: the geometric mean of its tokens' probabilities.
    pub confidence: f32,
    /// The model began to repeat itself, as it does on noise; the repetition is left out.
    pub is_loop: bool,
    /// The language that was recognised (BCP 47), when the model was to find out.
    pub language: Option<String>,
}

/// The kinds of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelKind {
    /// Moonshine: one language each.
    Moonshine,
    /// Whisper: many languages, or English.
    Whisper,
}

/// Which kind of model lies in `folder`, by its files; nothing is loaded.
///
/// # Errors
/// [`SttError::NoModel`] when there is none, [`SttError::Missing`] when its tokenizer is missing.
pub fn kind_of(folder: &Path) -> Result<ModelKind, SttError> {
    let folder = Folder::new(folder);
    let has = |name: &str| folder.path().join(name).is_file();
    if folder.find("model").is_some() || has("model.bin") {
        return Ok(ModelKind::Whisper);
    }
    if folder.find("encoder_model").is_none() {
        return Err(SttError::NoModel(folder.path().to_owned()));
    }
    if has("tokenizer.bin") {
        return Ok(ModelKind::Moonshine);
    }
    if !has("tokenizer.json") {
        return Err(folder.lacks("tokenizer.json"));
    }
    let is_whisper = Tokenizer::from_json(&folder.read("tokenizer.json")?)?
        .mark(whisper::START)
        .is_some();
    Ok(if is_whisper {
        ModelKind::Whisper
    } else {
        ModelKind::Moonshine
    })
}

/// The model. One for all callers: running it changes nothing in it.
pub struct Transcriber(Kind);

enum Kind {
    Moonshine(Box<Moonshine>),
    Whisper(Box<Whisper>),
}

impl std::fmt::Debug for Transcriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Transcriber").field(&self.name()).finish()
    }
}

impl Transcriber {
    /// Loads what lies in `folder`: a model that `antiphon models fetch` brought, an ONNX export of Moonshine or Whisper, or a
    /// Whisper of CTranslate2 (faster-whisper).
    ///
    /// # Errors
    /// When a file is missing, or is none of these.
    pub fn load(folder: &Path) -> Result<Self, SttError> {
        let kind = kind_of(folder)?;
        let folder = Folder::new(folder);
        Ok(Self(match kind {
            ModelKind::Moonshine => Kind::Moonshine(Box::new(Moonshine::load(&folder)?)),
            ModelKind::Whisper => Kind::Whisper(Box::new(Whisper::load(&folder)?)),
        }))
    }

    /// The kind of model.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.0 {
            Kind::Moonshine(_) => "moonshine",
            Kind::Whisper(_) => "whisper",
        }
    }

    /// Words of which it is less sure than this are what it makes of noise, breath, laughs and music.
    pub(crate) fn least_confidence(&self) -> f32 {
        match self.0 {
            Kind::Moonshine(_) => 0.35,
            // people: 0.49 and more; 26 laughs and music: 0.37 and less (docs/benchmarks.md)
            Kind::Whisper(_) => 0.4,
        }
    }

    /// Whether it can be told to hear this language (BCP 47), and under which name; `None` when it knows one language only and
    /// does not say which: it hears that.
    ///
    /// # Errors
    /// [`SttError::Language`] when it does not know the language.
    pub fn language(&self, language: &str) -> Result<Option<String>, SttError> {
        match &self.0 {
            Kind::Moonshine(_) => Ok(None),
            Kind::Whisper(whisper) => whisper.language(language),
        }
    }

    /// The words in `samples` (16 kHz, -1 to 1, at most [`MAX_SAMPLES`] of them count).
    ///
    /// # Errors
    /// When the model cannot be run.
    pub fn transcribe(
        &self,
        samples: &[f32],
        spoken: Spoken<'_>,
        options: &RunOptions,
    ) -> Result<Transcript, SttError> {
        match &self.0 {
            Kind::Moonshine(moonshine) => moonshine.transcribe(samples, options),
            Kind::Whisper(whisper) => whisper.transcribe(samples, spoken, options),
        }
    }
}

/// What is known of the language, under the names of [`Transcriber::language`].
#[derive(Clone, Copy, Debug, Default)]
pub enum Spoken<'a> {
    /// Nothing.
    #[default]
    Unknown,
    /// What the same caller spoke before: likely still.
    Before(&'a str),
    /// This, whatever it sounds like.
    Given(&'a str),
}

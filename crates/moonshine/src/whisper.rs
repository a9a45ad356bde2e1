//! Whisper: a picture of the sound through the encoder once, then the decoder token by token, always taking the likeliest.
//!
//! Source: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022). Which language is spoken is the
//! likeliest first token; no timestamps are asked for.

mod language;
mod network;

use rten::{Model, RunOptions};
use serde::Deserialize;

use antiphon_audio::mel::{HOP, LogMel};
use rten_tensor::NdTensor;

use crate::SttError;
use crate::folder::{self, Folder};
use crate::moonshine::last_row;
use crate::tokenizer::Tokenizer;
use crate::transcriber::{MAX_SAMPLES, SAMPLE_RATE, Spoken, Transcript};
use crate::words::{Tokens, likeliest};
use language::Languages;
use network::{Heard, Network};

/// The mark that begins a transcript; no other kind of model has it.
pub(crate) const START: &str = "<|startoftranscript|>";
/// Columns of a picture behind the sound: the model needs silence to know that nothing follows.
const TAIL: usize = 200;
/// The shortest picture, 7 s: the model has only seen 30 s, and below 6 it says the end of a short sentence again and again
/// (docs/benchmarks.md).
const MIN_COLUMNS: usize = 700;
/// Columns by which pictures grow: the same few sizes come again and again.
const STEP: usize = 50;
/// Tokens a second: languages whose letters are rare in the vocabulary need one for each byte. More is a loop.
const MAX_TOKENS_PER_SECOND: usize = 25;
/// Tokens allowed beyond the rate, for short sound.
const EXTRA_TOKENS: usize = 12;

pub(crate) struct Whisper {
    network: Network,
    mel: LogMel,
    tokenizer: Tokenizer,
    marks: Marks,
    languages: Languages,
    suppressed: Vec<u32>,
    suppressed_first: Vec<u32>,
}

/// Tokens that are no text.
struct Marks {
    start: u32,
    end: u32,
    transcribe: Option<u32>,
    no_timestamps: Option<u32>,
}

/// `config.json` and `generation_config.json`, of Hugging Face or of CTranslate2.
#[derive(Default, Deserialize)]
struct Settings {
    #[serde(alias = "suppress_ids", default)]
    suppress_tokens: Option<Vec<i64>>,
    #[serde(alias = "suppress_ids_begin", default)]
    begin_suppress_tokens: Option<Vec<i64>>,
    is_multilingual: Option<bool>,
}

impl Whisper {
    /// One file with both halves, as `antiphon models fetch` makes it; the weights of CTranslate2, as faster-whisper has them; or
    /// the usual export, an encoder and a decoder in one file or two.
    pub(crate) fn load(folder: &Folder) -> Result<Self, SttError> {
        let network = if let Some(file) = folder.find("model") {
            Network::whole(folder::model(&file)?)?
        } else if folder.path().join("model.bin").is_file() {
            Network::whole(of_weights(folder)?)?
        } else {
            Network::export(folder, folder::model(&folder.need("encoder_model")?)?)?
        };
        Self::new(folder, network)
    }

    fn new(folder: &Folder, network: Network) -> Result<Self, SttError> {
        let tokenizer = Tokenizer::from_json(&folder.read("tokenizer.json")?)?;
        let need = |name: &str| {
            tokenizer
                .mark(name)
                .ok_or_else(|| SttError::Export(format!("its tokenizer.json has no {name}")))
        };
        let marks = Marks {
            start: need(START)?,
            end: need("<|endoftext|>")?,
            transcribe: tokenizer.mark("<|transcribe|>"),
            no_timestamps: tokenizer.mark("<|notimestamps|>"),
        };
        let config: Settings = folder.json("config.json")?.unwrap_or_default();
        let generation: Settings = folder.json("generation_config.json")?.unwrap_or_default();
        let tokens = |of: fn(&Settings) -> &Option<Vec<i64>>| -> Vec<u32> {
            let listed = of(&generation).iter().chain(of(&config)).flatten();
            listed.filter_map(|id| u32::try_from(*id).ok()).collect()
        };
        let is_multilingual = generation.is_multilingual.or(config.is_multilingual);
        Ok(Self {
            mel: LogMel::new(network.bands()),
            suppressed: tokens(|settings| &settings.suppress_tokens),
            suppressed_first: tokens(|settings| &settings.begin_suppress_tokens),
            languages: Languages::new(&tokenizer, marks.end, is_multilingual),
            marks,
            tokenizer,
            network,
        })
    }

    pub(crate) fn language(&self, language: &str) -> Result<Option<String>, SttError> {
        self.languages.find(language)
    }

    pub(crate) fn transcribe(
        &self,
        samples: &[f32],
        spoken: Spoken<'_>,
        options: &RunOptions,
    ) -> Result<Transcript, SttError> {
        let samples = samples.get(..MAX_SAMPLES).unwrap_or(samples);
        let heard = self.network.listen(self.picture(samples), options)?;
        let (language, recognised) = match spoken {
            _ if self.languages.is_one() => (None, None),
            Spoken::Given(name) => (self.languages.token(name), None),
            Spoken::Before(_) | Spoken::Unknown => {
                let before = match spoken {
                    Spoken::Before(name) => self.languages.token(name),
                    Spoken::Given(_) | Spoken::Unknown => None,
                };
                let (scores, _) = self.network.begin(&[self.marks.start], &heard, options)?;
                let row = last_row(&scores).ok_or_else(no_scores)?;
                let language = self.languages.likeliest(&row, before);
                (
                    language.map(|(token, _)| token),
                    language.map(|(_, name)| name),
                )
            }
        };
        let prompt: Vec<u32> = std::iter::once(self.marks.start)
            .chain(language)
            .chain(language.and(self.marks.transcribe))
            .chain(self.marks.no_timestamps)
            .collect();
        let limit = samples.len() * MAX_TOKENS_PER_SECOND / SAMPLE_RATE + EXTRA_TOKENS;
        let tokens = self.decode(&prompt, &heard, limit, options)?;
        Ok(Transcript {
            text: self.tokenizer.text(&tokens.ids),
            confidence: tokens.confidence(),
            is_loop: tokens.is_loop,
            language: recognised.map(str::to_owned),
        })
    }

    fn picture(&self, samples: &[f32]) -> NdTensor<f32, 3> {
        let most = self.network.columns();
        let wanted = samples.len().div_ceil(HOP) + TAIL;
        let columns = if self.network.is_fixed() {
            most
        } else {
            wanted.max(MIN_COLUMNS).next_multiple_of(STEP).min(most)
        };
        let picture = self.mel.picture(samples, columns, 0);
        NdTensor::from_data([1, self.network.bands(), columns], picture)
    }

    /// The likeliest tokens, without the end mark.
    fn decode(
        &self,
        prompt: &[u32],
        heard: &Heard,
        limit: usize,
        options: &RunOptions,
    ) -> Result<Tokens, SttError> {
        let mut tokens = Tokens::default();
        let (mut scores, mut cache) = self.network.begin(prompt, heard, options)?;
        let limit = limit.min(self.network.most_tokens().saturating_sub(prompt.len()));
        loop {
            let is_first = tokens.ids.is_empty();
            let may_come = |token: u32| {
                // behind the end mark there are only marks
                token <= self.marks.end
                    && !self.suppressed.contains(&token)
                    && !(is_first && self.suppressed_first.contains(&token))
            };
            let row = last_row(&scores).ok_or_else(no_scores)?;
            let Some((token, log)) = likeliest(&row, may_come) else {
                return Ok(tokens);
            };
            tokens.note(log);
            if token == self.marks.end || tokens.push(token) || tokens.ids.len() >= limit {
                return Ok(tokens);
            }
            scores = self.network.go_on(token, heard, &mut cache, options)?;
        }
    }
}

fn of_weights(folder: &Folder) -> Result<Model, SttError> {
    let failed = |message: String| SttError::Model {
        file: folder.path().join("model.bin"),
        message,
    };
    let onnx = antiphon_models::whisper::to_onnx(&folder.read("model.bin")?)
        .map_err(|error| failed(error.to_string()))?;
    antiphon_neural::load_bytes(onnx).map_err(|error| failed(error.to_string()))
}

fn no_scores() -> SttError {
    SttError::Export("its logits have not three dimensions".to_owned())
}

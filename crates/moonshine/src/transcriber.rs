//! Sound to text in one go: the encoder once, then the decoder token by token, always taking the likeliest.
//!
//! Source: "Moonshine: Speech Recognition for Live Transcription and Voice Commands" (arXiv 2410.15608). The export has one
//! decoder for the first token and the later ones; `use_cache_branch` says which, and keys and values of the encoder are
//! made once.

use std::path::Path;

use rten::{Model, NodeId, RunOptions, Value, ValueOrView};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, Tensor};

use crate::MoonshineError;
use crate::tokenizer::{BEGIN, END, Tokenizer};

/// Samples a second.
pub const SAMPLE_RATE: usize = 16_000;
/// The encoder's convolutions need at least this much sound; shorter sound is filled up with silence.
const MIN_SAMPLES: usize = SAMPLE_RATE / 5;
/// Longer sound is cut by the caller: the model was trained on up to 64 s, and is quick up to this.
pub const MAX_SAMPLES: usize = 30 * SAMPLE_RATE;
/// The paper's bound on tokens a second of English. More is a loop.
const MAX_TOKENS_PER_SECOND: f32 = 6.5;
/// Tokens allowed beyond the rate, for short sound.
const EXTRA_TOKENS: usize = 6;
/// The longest phrase, in tokens, that is looked for when the model repeats itself.
const MAX_LOOP_TOKENS: usize = 4;
/// So many times the same phrase in a row is a loop on noise, not speech.
const LOOP_REPEATS: usize = 4;

/// What was heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transcript {
    /// The words, with capitals and punctuation.
    pub text: String,
    /// How sure the model is, 0 to 1: the geometric mean of its tokens' probabilities.
    pub confidence: f32,
    /// The model began to repeat itself, as it does on noise; the repetition is left out.
    pub is_loop: bool,
}

/// The model. One for all callers: running it changes nothing in it.
pub struct Transcriber {
    encoder: Model,
    decoder: Decoder,
    tokenizer: Tokenizer,
}

impl std::fmt::Debug for Transcriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transcriber").finish_non_exhaustive()
    }
}

struct Decoder {
    model: Model,
    input_ids: NodeId,
    hidden: NodeId,
    mask: Option<NodeId>,
    use_cache: NodeId,
    logits: NodeId,
    /// Keys and values of each layer: where they go in and come out, and whether they are the encoder's.
    cache: Vec<CacheSlot>,
}

struct CacheSlot {
    past: NodeId,
    present: NodeId,
    is_encoder: bool,
    heads: usize,
    width: usize,
}

impl Transcriber {
    /// Loads `encoder_model.onnx`, `decoder_model_merged.onnx` and `tokenizer.bin` of `folder`.
    ///
    /// # Errors
    /// When a file is missing or is not a Moonshine export.
    pub fn load(folder: &Path) -> Result<Self, MoonshineError> {
        let model = |name: &str| {
            antiphon_neural::load(&folder.join(name)).map_err(|error| MoonshineError::Model {
                file: folder.join(name),
                message: error.to_string(),
            })
        };
        let tokenizer = folder.join("tokenizer.bin");
        let tokenizer = std::fs::read(&tokenizer).map_err(|error| MoonshineError::Model {
            file: tokenizer,
            message: error.to_string(),
        })?;
        Ok(Self {
            encoder: model("encoder_model.onnx")?,
            decoder: Decoder::new(model("decoder_model_merged.onnx")?)?,
            tokenizer: Tokenizer::read(&tokenizer)?,
        })
    }

    /// The words in `samples` (16 kHz, -1 to 1, at most [`MAX_SAMPLES`] of them count).
    ///
    /// # Errors
    /// When the model cannot be run.
    pub fn transcribe(
        &self,
        samples: &[f32],
        options: &RunOptions,
    ) -> Result<Transcript, MoonshineError> {
        let samples = samples.get(..MAX_SAMPLES).unwrap_or(samples);
        let mut sound = samples.to_vec();
        sound.resize(sound.len().max(MIN_SAMPLES), 0.0);
        let len = sound.len();
        let hidden = self.encode(sound, options)?;
        let seconds = samples.len() as f32 / SAMPLE_RATE as f32;
        let limit = (seconds * MAX_TOKENS_PER_SECOND) as usize + EXTRA_TOKENS;
        let Tokens {
            ids,
            confidence,
            is_loop,
        } = self.decoder.decode(&hidden, len, limit, options)?;
        Ok(Transcript {
            text: self.tokenizer.text(&ids),
            confidence,
            is_loop,
        })
    }

    fn encode(
        &self,
        mut sound: Vec<f32>,
        options: &RunOptions,
    ) -> Result<Tensor<f32>, MoonshineError> {
        let len = sound.len();
        let mut inputs = Vec::new();
        for id in self.encoder.input_ids() {
            let name = self
                .encoder
                .node_info(*id)
                .and_then(|info| info.name().map(str::to_owned))
                .unwrap_or_default();
            let value: Value = match name.as_str() {
                "attention_mask" => NdTensor::<i32, 2>::full([1, len], 1).into(),
                _ => NdTensor::from_data([1, len], std::mem::take(&mut sound)).into(),
            };
            inputs.push((*id, ValueOrView::from(value)));
        }
        let outputs = self.encoder.output_ids();
        let output = self
            .encoder
            .run(inputs, outputs, Some(options.clone()))
            .map_err(MoonshineError::run)?
            .into_iter()
            .next();
        output
            .and_then(|value| value.try_into().ok())
            .ok_or(MoonshineError::Shape)
    }
}

impl Decoder {
    fn new(model: Model) -> Result<Self, MoonshineError> {
        let node = |name: &str| model.node_id(name).map_err(|_| MoonshineError::Shape);
        let mut cache = Vec::new();
        for id in model.input_ids() {
            let Some(info) = model.node_info(*id) else {
                continue;
            };
            let Some(rest) = info
                .name()
                .and_then(|name| name.strip_prefix("past_key_values."))
            else {
                continue;
            };
            let fixed = |axis: usize| {
                let shape = info.shape()?;
                match shape.get(axis)? {
                    rten::Dimension::Fixed(size) => Some(*size),
                    rten::Dimension::Symbolic(_) => None,
                }
            };
            let (heads, width) = fixed(1).zip(fixed(3)).ok_or(MoonshineError::Shape)?;
            let present = node(&format!("present.{rest}"))?;
            cache.push(CacheSlot {
                past: *id,
                present,
                is_encoder: rest.contains("encoder"),
                heads,
                width,
            });
        }
        Ok(Self {
            input_ids: node("input_ids")?,
            hidden: node("encoder_hidden_states")?,
            mask: node("encoder_attention_mask").ok(),
            use_cache: node("use_cache_branch")?,
            logits: node("logits")?,
            cache,
            model,
        })
    }

    /// The likeliest tokens, at most `limit` of them, without the end mark. The mask counts samples, as the encoder's does.
    fn decode(
        &self,
        hidden: &Tensor<f32>,
        samples: usize,
        limit: usize,
        options: &RunOptions,
    ) -> Result<Tokens, MoonshineError> {
        let mask = NdTensor::<i32, 2>::full([1, samples], 1);
        let mut cache: Vec<Value> = self
            .cache
            .iter()
            .map(|slot| NdTensor::<f32, 4>::zeros([1, slot.heads, 0, slot.width]).into())
            .collect();
        let outputs: Vec<NodeId> = std::iter::once(self.logits)
            .chain(self.cache.iter().map(|slot| slot.present))
            .collect();
        let mut tokens = Tokens::default();
        let mut log_probability = 0.0;
        let mut last = BEGIN;
        while tokens.ids.len() < limit {
            let is_first = tokens.ids.is_empty();
            let mut inputs: Vec<(NodeId, ValueOrView<'_>)> = vec![
                (
                    self.input_ids,
                    NdTensor::from_data([1, 1], vec![last.cast_signed()]).into(),
                ),
                (self.hidden, hidden.view().into()),
                (
                    self.use_cache,
                    NdTensor::from_data([1], vec![i32::from(!is_first)]).into(),
                ),
            ];
            inputs.extend(self.mask.map(|id| (id, mask.view().into())));
            inputs.extend(
                self.cache
                    .iter()
                    .zip(&cache)
                    .map(|(slot, value)| (slot.past, ValueOrView::from(value))),
            );
            let mut results = self
                .model
                .run(inputs, &outputs, Some(options.clone()))
                .map_err(MoonshineError::run)?
                .into_iter();
            let logits: Tensor<f32> = results
                .next()
                .and_then(|value| value.try_into().ok())
                .ok_or(MoonshineError::Shape)?;
            for ((slot, kept), present) in self.cache.iter().zip(&mut cache).zip(results) {
                // the branch with a cache gives the encoder's half back empty
                if is_first || !slot.is_encoder {
                    *kept = present;
                }
            }
            let (token, log) = likeliest(&logits);
            log_probability += log;
            last = token;
            if last == END {
                break;
            }
            tokens.ids.push(last);
            if let Some(kept) = loop_start(&tokens.ids) {
                tokens.ids.truncate(kept);
                tokens.is_loop = true;
                break;
            }
        }
        // the end mark counts as a token, too
        tokens.confidence = (log_probability / (tokens.ids.len() + 1) as f32).exp();
        Ok(tokens)
    }
}

/// A decoder's answer.
#[derive(Default)]
struct Tokens {
    ids: Vec<u32>,
    confidence: f32,
    is_loop: bool,
}

/// The likeliest token and the logarithm of its probability.
fn likeliest(logits: &Tensor<f32>) -> (u32, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (index, value) in logits.iter().enumerate() {
        if *value > best.1 {
            best = (index, *value);
        }
    }
    let sum: f32 = logits.iter().map(|value| (value - best.1).exp()).sum();
    (u32::try_from(best.0).unwrap_or(END), -sum.ln())
}

/// Where a phrase that was said [`LOOP_REPEATS`] times in a row ends for the first time.
fn loop_start(tokens: &[u32]) -> Option<usize> {
    (1..=MAX_LOOP_TOKENS).find_map(|size| {
        let start = tokens.len().checked_sub(size * LOOP_REPEATS)?;
        let (phrase, rest) = tokens.get(start..)?.split_at(size);
        rest.chunks(size)
            .all(|chunk| chunk == phrase)
            .then_some(start + size)
    })
}

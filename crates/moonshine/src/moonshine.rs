//! Moonshine: the encoder once, then the decoder token by token, always taking the likeliest.
//!
//! Source: "Moonshine: Speech Recognition for Live Transcription and Voice Commands" (arXiv 2410.15608).

use rten::{Model, RunOptions, Value, ValueOrView};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, Tensor};

use crate::SttError;
use crate::decoder::{Decoder, Sound};
use crate::folder::{self, Folder};
use crate::tokenizer::{BEGIN, END, Tokenizer};
use crate::transcriber::{MAX_SAMPLES, SAMPLE_RATE, Transcript};
use crate::words::{Tokens, likeliest};

/// The encoder's convolutions need at least this much sound; shorter sound is filled up with silence.
const MIN_SAMPLES: usize = SAMPLE_RATE / 5;
/// The paper's bound on tokens a second of English. More is a loop.
const MAX_TOKENS_PER_SECOND: f32 = 6.5;
/// Tokens allowed beyond the rate, for short sound.
const EXTRA_TOKENS: usize = 6;

pub(crate) struct Moonshine {
    encoder: Model,
    decoder: Decoder,
    tokenizer: Tokenizer,
}

impl Moonshine {
    /// The encoder, the decoder, and `tokenizer.bin` or `tokenizer.json`.
    pub(crate) fn load(folder: &Folder) -> Result<Self, SttError> {
        let tokenizer = if folder.path().join("tokenizer.bin").is_file() {
            Tokenizer::read(&folder.read("tokenizer.bin")?)?
        } else {
            Tokenizer::from_json(&folder.read("tokenizer.json")?)?
        };
        Ok(Self {
            encoder: folder::model(&folder.need("encoder_model")?)?,
            decoder: Decoder::load(folder)?,
            tokenizer,
        })
    }

    pub(crate) fn transcribe(
        &self,
        samples: &[f32],
        options: &RunOptions,
    ) -> Result<Transcript, SttError> {
        let samples = samples.get(..MAX_SAMPLES).unwrap_or(samples);
        let mut sound = samples.to_vec();
        sound.resize(sound.len().max(MIN_SAMPLES), 0.0);
        let sound = Sound {
            samples: sound.len(),
            hidden: self.encode(sound, options)?,
        };
        let seconds = samples.len() as f32 / SAMPLE_RATE as f32;
        let limit = (seconds * MAX_TOKENS_PER_SECOND) as usize + EXTRA_TOKENS;
        let tokens = self.decode(&sound, limit, options)?;
        Ok(Transcript {
            text: self.tokenizer.text(&tokens.ids),
            confidence: tokens.confidence(),
            is_loop: tokens.is_loop,
            language: None,
        })
    }

    fn encode(&self, mut sound: Vec<f32>, options: &RunOptions) -> Result<Tensor<f32>, SttError> {
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
        hidden_of(&self.encoder, inputs, options)
    }

    /// The likeliest tokens, at most `limit` of them, without the end mark. The mask counts samples, as the encoder's does.
    fn decode(
        &self,
        sound: &Sound,
        limit: usize,
        options: &RunOptions,
    ) -> Result<Tokens, SttError> {
        let mut tokens = Tokens::default();
        let (mut scores, mut cache) = self.decoder.begin(&[BEGIN], sound, options)?;
        loop {
            let (token, log) = last_row(&scores)
                .and_then(|row| likeliest(&row, |_| true))
                .unwrap_or((END, 0.0));
            tokens.note(log);
            if token == END || tokens.push(token) || tokens.ids.len() >= limit {
                return Ok(tokens);
            }
            scores = self.decoder.go_on(token, sound, &mut cache, options)?;
        }
    }
}

/// The encoder's only output that counts: its first.
pub(crate) fn hidden_of(
    encoder: &Model,
    inputs: Vec<(rten::NodeId, ValueOrView<'_>)>,
    options: &RunOptions,
) -> Result<Tensor<f32>, SttError> {
    let outputs = encoder.output_ids().get(..1).unwrap_or_default();
    let output = encoder
        .run(inputs, outputs, Some(options.clone()))
        .map_err(SttError::run)?
        .into_iter()
        .next();
    output
        .and_then(|value| value.try_into().ok())
        .ok_or_else(|| SttError::Export("its encoder has no output of numbers".to_owned()))
}

/// The scores after the last token.
pub(crate) fn last_row(scores: &Tensor<f32>) -> Option<rten_tensor::NdTensorView<'_, f32, 1>> {
    if scores.ndim() != 3 {
        return None;
    }
    let scores = scores.nd_view::<3>();
    let last = scores.size(1).checked_sub(1)?;
    Some(scores.slice((0, last)))
}

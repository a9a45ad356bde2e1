//! The network, in whichever layout it comes: one file of ours, or the usual export.

use antiphon_models::whisper::{CROSS_KEY, CROSS_VALUE, SOUND_PLACES, TOKEN_PLACES};
use rten::{Dimension, Model, NodeId, RunOptions, Value, ValueOrView};
use rten_tensor::Layout as _;
use rten_tensor::{NdTensor, Tensor};
use serde::Deserialize;

use crate::SttError;
use crate::decoder::{self, Decoder, Sound};
use crate::folder::Folder;
use crate::moonshine::hidden_of;

/// Columns of a picture for each place of the encoder.
const COLUMNS_PER_PLACE: usize = 2;
/// 30 s, as in every Whisper so far.
const USUAL_PLACES: usize = 1_500;
const USUAL_TOKENS: usize = 448;
const USUAL_BANDS: usize = 80;
/// Whisper's largest has 128.
const MAX_BANDS: usize = 256;
/// Four times the usual: two minutes of sound.
const MAX_PLACES: usize = 6_000;
/// Some nine times the usual.
const MAX_TOKENS: usize = 4_096;

pub(super) struct Network {
    layout: Kind,
    bands: usize,
    places: usize,
    most_tokens: usize,
    is_fixed: bool,
}

enum Kind {
    Whole(Box<Whole>),
    Export {
        encoder: Box<Model>,
        decoder: Box<Decoder>,
    },
}

/// Our own file: see [`antiphon_models::whisper`].
struct Whole {
    model: Model,
    picture: NodeId,
    tokens: NodeId,
    places: NodeId,
    bias: NodeId,
    logits: NodeId,
    cross: Vec<NodeId>,
    past: Vec<NodeId>,
    present: Vec<NodeId>,
    heads: usize,
    width: usize,
}

/// What the encoder made of the sound.
pub(super) enum Heard {
    Whole(Vec<Value>),
    Export(Sound),
}

/// What was said so far.
pub(super) enum Cache {
    Whole { values: Vec<Value>, tokens: usize },
    Export(decoder::Cache),
}

/// `config.json` of Hugging Face.
#[derive(Default, Deserialize)]
struct Sizes {
    num_mel_bins: Option<usize>,
    max_source_positions: Option<usize>,
    max_target_positions: Option<usize>,
}

impl Sizes {
    /// Bands, places of sound and places of tokens. A picture is made for each utterance, so none may be of any size.
    fn bounded(&self) -> Result<(usize, usize, usize), SttError> {
        let of = |name, said: Option<usize>, usual, most| {
            bounded(
                &format!("{name} in its config.json"),
                said.unwrap_or(usual),
                most,
            )
        };
        Ok((
            of("num_mel_bins", self.num_mel_bins, USUAL_BANDS, MAX_BANDS)?,
            of(
                "max_source_positions",
                self.max_source_positions,
                USUAL_PLACES,
                MAX_PLACES,
            )?,
            of(
                "max_target_positions",
                self.max_target_positions,
                USUAL_TOKENS,
                MAX_TOKENS,
            )?,
        ))
    }
}

/// A size that a folder says, which memory is taken for.
fn bounded(name: &str, size: usize, most: usize) -> Result<usize, SttError> {
    (1..=most)
        .contains(&size)
        .then_some(size)
        .ok_or_else(|| SttError::Export(format!("{name}: {size}, which is not from 1 to {most}")))
}

impl Network {
    pub(super) fn whole(model: Model) -> Result<Self, SttError> {
        let whole = Whole::new(model)?;
        let size = |name: &str, axis: usize| whole.size(name, axis);
        Ok(Self {
            bands: bounded("bands", size("input_features", 1)?, MAX_BANDS)?,
            places: bounded("places of sound", size(SOUND_PLACES, 0)?, MAX_PLACES)?,
            most_tokens: bounded("places of tokens", size(TOKEN_PLACES, 0)?, MAX_TOKENS)?,
            is_fixed: false,
            layout: Kind::Whole(Box::new(whole)),
        })
    }

    pub(super) fn export(folder: &Folder, encoder: Model) -> Result<Self, SttError> {
        let sizes: Sizes = folder.json("config.json")?.unwrap_or_default();
        let (bands, places, most_tokens) = sizes.bounded()?;
        Ok(Self {
            bands,
            places,
            most_tokens,
            is_fixed: true,
            layout: Kind::Export {
                encoder: Box::new(encoder),
                decoder: Box::new(Decoder::load(folder)?),
            },
        })
    }

    /// Rows of a picture.
    pub(super) fn bands(&self) -> usize {
        self.bands
    }

    /// Columns of the longest picture.
    pub(super) fn columns(&self) -> usize {
        self.places * COLUMNS_PER_PLACE
    }

    /// A picture is always of the longest kind.
    pub(super) fn is_fixed(&self) -> bool {
        self.is_fixed
    }

    /// Tokens that the decoder can take.
    pub(super) fn most_tokens(&self) -> usize {
        self.most_tokens
    }

    pub(super) fn listen(
        &self,
        picture: NdTensor<f32, 3>,
        options: &RunOptions,
    ) -> Result<Heard, SttError> {
        match &self.layout {
            Kind::Whole(whole) => {
                let inputs = vec![(whole.picture, picture.into())];
                let values = whole.model.run(inputs, &whole.cross, Some(options.clone()));
                values.map(Heard::Whole).map_err(SttError::run)
            }
            Kind::Export { encoder, .. } => {
                let input = encoder.node_id("input_features").map_err(|_| {
                    SttError::Export("its encoder has no input_features".to_owned())
                })?;
                let samples = picture.size(2) * antiphon_audio::mel::HOP;
                let hidden = hidden_of(encoder, vec![(input, picture.into())], options)?;
                Ok(Heard::Export(Sound { hidden, samples }))
            }
        }
    }

    /// The scores after each token of the prompt.
    pub(super) fn begin(
        &self,
        prompt: &[u32],
        heard: &Heard,
        options: &RunOptions,
    ) -> Result<(Tensor<f32>, Cache), SttError> {
        match (&self.layout, heard) {
            (Kind::Whole(whole), Heard::Whole(cross)) => {
                let nothing = || NdTensor::<f32, 4>::zeros([1, whole.heads, 0, whole.width]);
                let before = whole.past.iter().map(|_| nothing().into()).collect();
                let (scores, values) = whole.step(prompt, 0, cross, before, options)?;
                let tokens = prompt.len();
                Ok((scores, Cache::Whole { values, tokens }))
            }
            (Kind::Export { decoder, .. }, Heard::Export(sound)) => {
                let (scores, cache) = decoder.begin(prompt, sound, options)?;
                Ok((scores, Cache::Export(cache)))
            }
            _ => Err(other_layout()),
        }
    }

    /// The scores after one more token.
    pub(super) fn go_on(
        &self,
        token: u32,
        heard: &Heard,
        cache: &mut Cache,
        options: &RunOptions,
    ) -> Result<Tensor<f32>, SttError> {
        match (&self.layout, heard, cache) {
            (Kind::Whole(whole), Heard::Whole(cross), Cache::Whole { values, tokens }) => {
                let before = std::mem::take(values);
                let (scores, now) = whole.step(&[token], *tokens, cross, before, options)?;
                *values = now;
                *tokens += 1;
                Ok(scores)
            }
            (Kind::Export { decoder, .. }, Heard::Export(sound), Cache::Export(cache)) => {
                decoder.go_on(token, sound, cache, options)
            }
            _ => Err(other_layout()),
        }
    }
}

fn other_layout() -> SttError {
    SttError::Run("what was heard belongs to another model".to_owned())
}

impl Whole {
    fn new(model: Model) -> Result<Self, SttError> {
        let node = |name: &str| {
            model
                .node_id(name)
                .map_err(|_| SttError::Export(format!("it has no {name}")))
        };
        let layers = (0..)
            .take_while(|layer| model.node_id(&format!("past_key.{layer}")).is_ok())
            .count();
        let of_layers = |key: &str, value: &str| -> Result<Vec<NodeId>, SttError> {
            (0..layers)
                .flat_map(|layer| [format!("{key}.{layer}"), format!("{value}.{layer}")])
                .map(|name| node(&name))
                .collect()
        };
        let mut whole = Self {
            picture: node("input_features")?,
            tokens: node("input_ids")?,
            places: node("position_ids")?,
            bias: node("attention_bias")?,
            logits: node("logits")?,
            cross: of_layers(CROSS_KEY, CROSS_VALUE)?,
            past: of_layers("past_key", "past_value")?,
            present: of_layers("present_key", "present_value")?,
            heads: 0,
            width: 0,
            model,
        };
        whole.heads = whole.size("past_key.0", 1)?;
        whole.width = whole.size("past_key.0", 3)?;
        Ok(whole)
    }

    /// The size of a value that the file says.
    fn size(&self, name: &str, axis: usize) -> Result<usize, SttError> {
        let size = || {
            let id = self.model.node_id(name).ok()?;
            match self.model.node_info(id)?.shape()?.get(axis)? {
                Dimension::Fixed(size) => Some(*size),
                Dimension::Symbolic(_) => None,
            }
        };
        size().ok_or_else(|| SttError::Export(format!("it does not say how large {name} is")))
    }

    /// The scores after `tokens`, and keys and values of them and those `before`, of which there are `past`.
    fn step(
        &self,
        tokens: &[u32],
        past: usize,
        cross: &[Value],
        before: Vec<Value>,
        options: &RunOptions,
    ) -> Result<(Tensor<f32>, Vec<Value>), SttError> {
        let count = tokens.len();
        let ids: Vec<i32> = tokens.iter().map(|token| token.cast_signed()).collect();
        let places = (past..past + count).map(|place| place as i32).collect();
        // a token sees those before it and itself
        let bias = (0..count).flat_map(|row| {
            (0..past + count).map(move |column| {
                if column <= past + row {
                    0.0
                } else {
                    f32::NEG_INFINITY
                }
            })
        });
        let bias = NdTensor::from_data([count, past + count], bias.collect::<Vec<f32>>());
        let mut inputs: Vec<(NodeId, ValueOrView<'_>)> = vec![
            (self.tokens, NdTensor::from_data([1, count], ids).into()),
            (
                self.places,
                NdTensor::from_data::<Vec<i32>>([1, count], places).into(),
            ),
            (self.bias, bias.into()),
        ];
        inputs.extend(
            self.cross
                .iter()
                .copied()
                .zip(cross.iter().map(ValueOrView::from)),
        );
        inputs.extend(
            self.past
                .iter()
                .copied()
                .zip(before.into_iter().map(ValueOrView::Value)),
        );
        let outputs: Vec<NodeId> = std::iter::once(self.logits)
            .chain(self.present.iter().copied())
            .collect();
        let (scores, present) = decoder::run(&self.model, inputs, &outputs, options)?;
        Ok((scores, present.collect()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_whose_sizes_cannot_be_is_refused_at_the_start() {
        let sizes = |json: &str| serde_json::from_str::<Sizes>(json).unwrap().bounded();
        assert_eq!(sizes("{}").unwrap(), (80, 1_500, 448));
        assert_eq!(sizes(r#"{"num_mel_bins": 128}"#).unwrap().0, 128);
        for name in [
            "num_mel_bins",
            "max_source_positions",
            "max_target_positions",
        ] {
            for size in [0, 1_000_000, u64::MAX] {
                let refused = sizes(&format!("{{\"{name}\": {size}}}")).unwrap_err();
                assert!(refused.to_string().contains(name), "{refused}");
            }
        }
    }
}

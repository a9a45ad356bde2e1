//! A decoder as it is usually exported to ONNX, with keys and values of what was said kept from token to token.
//!
//! Source: the layouts of Hugging Face's optimum. Either one file does both, the first step and the later ones, and
//! `use_cache_branch` says which; or there are two files. Keys and values of the encoder are made once, in the first step.

use rten::{Dimension, Model, NodeId, RunOptions, Value, ValueOrView};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, Tensor};

use crate::SttError;
use crate::folder::{self, Folder};

pub(crate) struct Decoder {
    first: Half,
    /// None: the first does it.
    later: Option<Half>,
}

/// One file.
struct Half {
    model: Model,
    input_ids: NodeId,
    hidden: Option<NodeId>,
    mask: Option<NodeId>,
    use_cache: Option<NodeId>,
    logits: NodeId,
    cache: Vec<Slot>,
}

/// Keys or values of a layer: where they go in and come out, and whether they are the encoder's.
struct Slot {
    name: String,
    past: Option<Past>,
    present: Option<NodeId>,
    is_encoder: bool,
}

struct Past {
    node: NodeId,
    heads: usize,
    width: usize,
}

/// What was said so far, as the model keeps it: a value for each slot of the file that goes on.
#[derive(Default)]
pub(crate) struct Cache(Vec<Option<Value>>);

impl Decoder {
    /// `decoder_model_merged.onnx`, or `decoder_model.onnx` with `decoder_with_past_model.onnx`.
    pub(crate) fn load(folder: &Folder) -> Result<Self, SttError> {
        if let Some(file) = folder.find("decoder_model_merged") {
            let first = Half::new(folder::model(&file)?)?;
            return Ok(Self { first, later: None });
        }
        let first = Half::new(folder::model(&folder.need("decoder_model")?)?)?;
        let later = Half::new(folder::model(&folder.need("decoder_with_past_model")?)?)?;
        Ok(Self {
            first,
            later: Some(later),
        })
    }

    fn later(&self) -> &Half {
        self.later.as_ref().unwrap_or(&self.first)
    }

    /// The scores after `prompt`: one row for each of its tokens, or for its last one only.
    pub(crate) fn begin(
        &self,
        prompt: &[u32],
        sound: &Sound,
        options: &RunOptions,
    ) -> Result<(Tensor<f32>, Cache), SttError> {
        let half = &self.first;
        let mut inputs = half.inputs(prompt, sound, false);
        for past in half.cache.iter().filter_map(|slot| slot.past.as_ref()) {
            let empty = NdTensor::<f32, 4>::zeros([1, past.heads, 0, past.width]);
            inputs.push((past.node, empty.into()));
        }
        let mut found = half.run(inputs, options)?;
        let value_of = |slot: &Slot| {
            let at = half.presents().position(|(name, _)| *name == slot.name);
            at.and_then(|at| found.presents.get_mut(at)?.take())
        };
        let cache = self.later().cache.iter().map(value_of).collect();
        Ok((found.logits, Cache(cache)))
    }

    /// The scores after one more token.
    pub(crate) fn go_on(
        &self,
        token: u32,
        sound: &Sound,
        cache: &mut Cache,
        options: &RunOptions,
    ) -> Result<Tensor<f32>, SttError> {
        let half = self.later();
        let mut inputs = half.inputs(&[token], sound, true);
        for (slot, value) in half.cache.iter().zip(&cache.0) {
            if let (Some(past), Some(value)) = (&slot.past, value) {
                inputs.push((past.node, ValueOrView::from(value)));
            }
        }
        let found = half.run(inputs, options)?;
        let slots = half.cache.iter().zip(&mut cache.0);
        let with_present = slots.filter(|(slot, _)| slot.present.is_some());
        for ((slot, kept), present) in with_present.zip(found.presents) {
            // the branch with a cache gives the encoder's half back empty
            if !slot.is_encoder {
                *kept = present;
            }
        }
        Ok(found.logits)
    }
}

/// What the encoder made of the sound.
pub(crate) struct Sound {
    pub(crate) hidden: Tensor<f32>,
    /// Samples, for exports that want a mask of them.
    pub(crate) samples: usize,
}

struct Found {
    logits: Tensor<f32>,
    presents: Vec<Option<Value>>,
}

impl Half {
    fn new(model: Model) -> Result<Self, SttError> {
        let name_of = |id: NodeId| {
            let info = model.node_info(id);
            info.and_then(|info| info.name().map(str::to_owned))
        };
        let node = |name: &str| model.node_id(name).ok();
        let mut cache: Vec<Slot> = Vec::new();
        let outputs = model.output_ids().iter().copied();
        for (id, name) in outputs.filter_map(|id| Some((id, name_of(id)?))) {
            if let Some(rest) = name.strip_prefix("present.") {
                cache.push(Slot {
                    name: rest.to_owned(),
                    past: None,
                    present: Some(id),
                    is_encoder: rest.contains("encoder"),
                });
            }
        }
        let mut known = Vec::new();
        for (id, name) in model
            .input_ids()
            .iter()
            .filter_map(|id| Some((*id, name_of(*id)?)))
        {
            let Some(rest) = name.strip_prefix("past_key_values.") else {
                known.push(name);
                continue;
            };
            let fixed = |axis: usize| {
                let shape = model.node_info(id)?.shape()?;
                match shape.get(axis)? {
                    Dimension::Fixed(size) => Some(*size),
                    Dimension::Symbolic(_) => None,
                }
            };
            let (heads, width) = fixed(1).zip(fixed(3)).unwrap_or_default();
            let past = Some(Past {
                node: id,
                heads,
                width,
            });
            match cache.iter_mut().find(|slot| slot.name == rest) {
                Some(slot) => slot.past = past,
                None => cache.push(Slot {
                    name: rest.to_owned(),
                    past,
                    present: None,
                    is_encoder: rest.contains("encoder"),
                }),
            }
        }
        let ours = [
            "input_ids",
            "encoder_hidden_states",
            "encoder_attention_mask",
            "use_cache_branch",
        ];
        if let Some(other) = known.iter().find(|name| !ours.contains(&name.as_str())) {
            return Err(SttError::Export(format!("it wants {other}")));
        }
        let need =
            |name: &str| node(name).ok_or_else(|| SttError::Export(format!("it has no {name}")));
        Ok(Self {
            input_ids: need("input_ids")?,
            hidden: node("encoder_hidden_states"),
            mask: node("encoder_attention_mask"),
            use_cache: node("use_cache_branch"),
            logits: need("logits")?,
            cache,
            model,
        })
    }

    fn presents(&self) -> impl Iterator<Item = (&str, NodeId)> {
        self.cache
            .iter()
            .filter_map(|slot| Some((slot.name.as_str(), slot.present?)))
    }

    fn inputs<'a>(
        &self,
        tokens: &[u32],
        sound: &'a Sound,
        goes_on: bool,
    ) -> Vec<(NodeId, ValueOrView<'a>)> {
        let tokens: Vec<i32> = tokens.iter().map(|token| token.cast_signed()).collect();
        let tokens = NdTensor::from_data([1, tokens.len()], tokens);
        let mut inputs: Vec<(NodeId, ValueOrView<'a>)> = vec![(self.input_ids, tokens.into())];
        inputs.extend(self.hidden.map(|id| (id, sound.hidden.view().into())));
        let mask = || NdTensor::<i32, 2>::full([1, sound.samples], 1);
        inputs.extend(self.mask.map(|id| (id, mask().into())));
        let branch = || NdTensor::from_data([1], vec![i32::from(goes_on)]);
        inputs.extend(self.use_cache.map(|id| (id, branch().into())));
        inputs
    }

    fn run(
        &self,
        inputs: Vec<(NodeId, ValueOrView<'_>)>,
        options: &RunOptions,
    ) -> Result<Found, SttError> {
        let outputs: Vec<NodeId> = std::iter::once(self.logits)
            .chain(self.presents().map(|(_, id)| id))
            .collect();
        let (logits, presents) = run(&self.model, inputs, &outputs, options)?;
        Ok(Found {
            logits,
            presents: presents.map(Some).collect(),
        })
    }
}

/// Runs a decoder whose first output are the scores of the next token; the others are what it remembers.
pub(crate) fn run(
    model: &Model,
    inputs: Vec<(NodeId, ValueOrView<'_>)>,
    outputs: &[NodeId],
    options: &RunOptions,
) -> Result<(Tensor<f32>, impl Iterator<Item = Value>), SttError> {
    let mut results = model
        .run(inputs, outputs, Some(options.clone()))
        .map_err(SttError::run)?
        .into_iter();
    let logits = results.next().and_then(|value| value.try_into().ok());
    let logits = logits.ok_or_else(|| SttError::Export("its logits are no numbers".to_owned()))?;
    Ok((logits, results))
}

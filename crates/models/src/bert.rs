//! A sentence encoder of BERT's kind, from its weights (`model.safetensors`) to a graph (ONNX) that can be run.
//!
//! Its maker publishes weights and a description of the network; the graph here is written after that description. Source:
//! Devlin et al., "BERT" (2019); the weights' names are those of Hugging Face's `BertModel`. The graph takes one text:
//! `input_ids` and `position_ids`, both `[1, length]`, and gives `embedding`, `[1, width]`: the mean over its tokens, not yet of
//! length 1.

use std::collections::HashMap;

use serde::Deserialize;

use crate::ModelError;
use crate::graph::{Dim, Graph, Tensor};
use crate::onnx::{AttributeProto, FLOAT, INT32};

/// Width of one attention head: 64 in BERT, 32 in MiniLM of width 384.
const HEAD_WIDTH: usize = 32;
/// The network's `layer_norm_eps`.
const EPSILON: f32 = 1e-12;
/// More layers than any sentence encoder has: a damaged file must not make a graph without end.
const MAX_LAYERS: usize = 48;

/// The `.onnx` file of the network whose weights are in `bytes`.
///
/// # Errors
/// When the file is damaged, or has not the weights of such a network.
pub fn to_onnx(bytes: &[u8]) -> Result<Vec<u8>, ModelError> {
    let mut encoder = Encoder {
        weights: Weights::read(bytes)?,
        graph: Graph::new("sentence"),
    };
    encoder.whole()?;
    Ok(encoder.graph.into_file())
}

/// The file: the length of its head, the head (JSON: where each tensor stands), the numbers.
struct Weights<'a> {
    head: HashMap<String, Entry>,
    numbers: &'a [u8],
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    dtype: String,
    #[serde(default)]
    shape: Vec<usize>,
    #[serde(default)]
    data_offsets: (usize, usize),
}

impl<'a> Weights<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, ModelError> {
        const DAMAGED: ModelError = ModelError::Damaged {
            what: "it is no safetensors file",
        };
        let (length, rest) = bytes.split_first_chunk::<8>().ok_or(DAMAGED)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| DAMAGED)?;
        let (head, numbers) = rest.split_at_checked(length).ok_or(DAMAGED)?;
        let head = serde_json::from_slice(head).map_err(|_| DAMAGED)?;
        Ok(Self { head, numbers })
    }

    fn layers(&self) -> usize {
        let has = |layer: &usize| {
            self.head.contains_key(&format!(
                "encoder.layer.{layer}.attention.self.query.weight"
            ))
        };
        (0..MAX_LAYERS).take_while(has).count()
    }

    fn get(&self, name: &str) -> Result<Tensor, ModelError> {
        let unknown = |what: &str| ModelError::Unsupported {
            what: format!("the weights {name} {what}"),
        };
        let entry = self.head.get(name).ok_or_else(|| unknown("are missing"))?;
        if entry.dtype != "F32" {
            return Err(unknown("are not 32-bit floating-point numbers"));
        }
        let count = entry
            .shape
            .iter()
            .try_fold(1usize, |count, size| count.checked_mul(*size));
        let (from, to) = entry.data_offsets;
        let bytes = self.numbers.get(from..to).unwrap_or_default();
        if count.and_then(|count| count.checked_mul(4)) != Some(bytes.len()) {
            return Err(unknown("are cut off"));
        }
        let (values, _) = bytes.as_chunks::<4>();
        Ok(Tensor {
            shape: entry.shape.clone(),
            values: values.iter().copied().map(f32::from_le_bytes).collect(),
        })
    }
}

/// The network that is being written.
struct Encoder<'a> {
    weights: Weights<'a>,
    graph: Graph,
}

impl Encoder<'_> {
    fn whole(&mut self) -> Result<(), ModelError> {
        let words = self.weights.get("embeddings.word_embeddings.weight")?;
        let mut places = self.weights.get("embeddings.position_embeddings.weight")?;
        let kinds = self
            .weights
            .get("embeddings.token_type_embeddings.weight")?;
        let width = words.shape.last().copied().unwrap_or_default();
        if width == 0 || width % HEAD_WIDTH != 0 {
            return Err(ModelError::Unsupported {
                what: format!("a sentence encoder of width {width}"),
            });
        }
        // there is one text, so every token is of the first kind
        for row in places.values.chunks_mut(width) {
            for (value, kind) in row.iter_mut().zip(&kinds.values) {
                *value += kind;
            }
        }
        self.ends(width);
        let (words, places) = (self.graph.constant(words), self.graph.constant(places));
        let words = self
            .graph
            .node("Gather", &[&words, "input_ids"], Vec::new());
        let places = self
            .graph
            .node("Gather", &[&places, "position_ids"], Vec::new());
        let sum = self.graph.node("Add", &[&words, &places], Vec::new());
        let mut hidden = self.normalised("embeddings.LayerNorm", &sum)?;
        for layer in 0..self.weights.layers() {
            hidden = self.layer(&format!("encoder.layer.{layer}"), &hidden, width)?;
        }
        let axis = self.graph.integers(&[1]);
        self.graph.named(
            "ReduceMean",
            &[&hidden, &axis],
            vec![AttributeProto::int("keepdims", 0)],
            &["embedding"],
        );
        Ok(())
    }

    /// What goes in, and what comes out.
    fn ends(&mut self, width: usize) {
        let text = [Dim::Fixed(1), Dim::Named("length")];
        self.graph.input("input_ids", INT32, &text);
        self.graph.input("position_ids", INT32, &text);
        let vector = [Dim::Fixed(1), Dim::Fixed(width)];
        self.graph.output("embedding", FLOAT, &vector);
    }

    /// Attention, then a network for each token; each added to what it was made of.
    fn layer(&mut self, name: &str, hidden: &str, width: usize) -> Result<String, ModelError> {
        let attention = format!("{name}.attention");
        // the scale of the products stands in the weights of the queries
        let scale = 1.0 / (HEAD_WIDTH as f32).sqrt();
        let query = self.dense(&format!("{attention}.self.query"), hidden, scale)?;
        let key = self.dense(&format!("{attention}.self.key"), hidden, 1.0)?;
        let value = self.dense(&format!("{attention}.self.value"), hidden, 1.0)?;
        let query = self.heads(&query, width, &[0, 2, 1, 3]);
        let key = self.heads(&key, width, &[0, 2, 3, 1]);
        let value = self.heads(&value, width, &[0, 2, 1, 3]);
        let scores = self.graph.node("MatMul", &[&query, &key], Vec::new());
        let shares = self
            .graph
            .node("Softmax", &[&scores], vec![AttributeProto::int("axis", -1)]);
        let mixed = self.graph.node("MatMul", &[&shares, &value], Vec::new());
        let mixed = self.graph.node(
            "Transpose",
            &[&mixed],
            vec![AttributeProto::ints("perm", &[0, 2, 1, 3])],
        );
        let shape = self.graph.integers(&[0, 0, width as i64]);
        let mixed = self.graph.node("Reshape", &[&mixed, &shape], Vec::new());
        let mixed = self.dense(&format!("{attention}.output.dense"), &mixed, 1.0)?;
        let sum = self.graph.node("Add", &[&mixed, hidden], Vec::new());
        let attended = self.normalised(&format!("{attention}.output.LayerNorm"), &sum)?;

        let wide = self.dense(&format!("{name}.intermediate.dense"), &attended, 1.0)?;
        let wide = self.graph.node("Gelu", &[&wide], Vec::new());
        let narrow = self.dense(&format!("{name}.output.dense"), &wide, 1.0)?;
        let sum = self.graph.node("Add", &[&narrow, &attended], Vec::new());
        self.normalised(&format!("{name}.output.LayerNorm"), &sum)
    }

    fn heads(&mut self, value: &str, width: usize, order: &[i64]) -> String {
        let shape = self
            .graph
            .integers(&[0, 0, (width / HEAD_WIDTH) as i64, HEAD_WIDTH as i64]);
        let parted = self.graph.node("Reshape", &[value, &shape], Vec::new());
        self.graph.node(
            "Transpose",
            &[&parted],
            vec![AttributeProto::ints("perm", order)],
        )
    }

    fn dense(&mut self, name: &str, value: &str, factor: f32) -> Result<String, ModelError> {
        let weight = self.weights.get(&format!("{name}.weight"))?;
        let bias = self.weights.get(&format!("{name}.bias"))?.times(factor);
        let weight = self.graph.constant(weight.transposed().times(factor));
        let bias = self.graph.constant(bias);
        let product = self.graph.node("MatMul", &[value, &weight], Vec::new());
        Ok(self.graph.node("Add", &[&product, &bias], Vec::new()))
    }

    fn normalised(&mut self, name: &str, value: &str) -> Result<String, ModelError> {
        let scale = self.weights.get(&format!("{name}.weight"))?;
        let bias = self.weights.get(&format!("{name}.bias"))?;
        Ok(self.graph.normalised(value, scale, bias, EPSILON))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_file_of_anything_is_refused_and_never_a_panic(head in "[{}\":a-zF0-9,\\[\\]]{0,80}", length in 0u64..100, rest in any::<Vec<u8>>()) {
            let mut bytes = length.to_le_bytes().to_vec();
            bytes.extend_from_slice(head.as_bytes());
            bytes.extend(rest);
            prop_assert!(to_onnx(&bytes).is_err());
        }
    }
}

//! A sentence encoder of BERT's kind, from its weights (`model.safetensors`) to a graph (ONNX) that can be run.
//!
//! Its maker publishes weights and a description of the network; the graph here is written after that description. Source:
//! Devlin et al., "BERT" (2019); the weights' names are those of Hugging Face's `BertModel`. The graph takes one text:
//! `input_ids` and `position_ids`, both `[1, length]`, and gives `embedding`, `[1, width]`: the mean over its tokens, not yet of
//! length 1.

use std::collections::HashMap;

use prost::Message;
use serde::Deserialize;

use crate::ModelError;
use crate::onnx::{
    AttributeProto, DimensionProto, FLOAT, GraphProto, INT64, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// Width of one attention head: 64 in BERT, 32 in MiniLM of width 384.
const HEAD_WIDTH: usize = 32;
/// The network's `layer_norm_eps`.
const EPSILON: f32 = 1e-12;
/// More layers than any sentence encoder has: a damaged file must not make a graph without end.
const MAX_LAYERS: usize = 48;
/// `TensorProto.DataType.INT32`.
const INT32: i32 = 6;
/// ONNX's `Gelu` came with this version of the standard operators.
const OPSET: i64 = 20;

/// The `.onnx` file of the network whose weights are in `bytes`.
///
/// # Errors
/// When the file is damaged, or has not the weights of such a network.
pub fn to_onnx(bytes: &[u8]) -> Result<Vec<u8>, ModelError> {
    let weights = Weights::read(bytes)?;
    let mut graph = Graph {
        weights,
        proto: GraphProto {
            name: "sentence".to_owned(),
            ..GraphProto::default()
        },
        names: 0,
    };
    graph.whole()?;
    let model = ModelProto {
        ir_version: 9,
        producer_name: "antiphon".to_owned(),
        graph: Some(graph.proto),
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: OPSET,
        }],
    };
    Ok(model.encode_to_vec())
}

/// A table or a vector of numbers.
struct Tensor {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Tensor {
    fn transposed(self) -> Self {
        let [rows, columns] = *self.shape.as_slice() else {
            return self;
        };
        let mut values = Vec::with_capacity(self.values.len());
        for column in 0..columns {
            values.extend(self.values.iter().skip(column).step_by(columns.max(1)));
        }
        Self {
            shape: vec![columns, rows],
            values,
        }
    }

    fn times(mut self, factor: f32) -> Self {
        self.values.iter_mut().for_each(|value| *value *= factor);
        self
    }
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

/// The graph that is being written.
struct Graph<'a> {
    weights: Weights<'a>,
    proto: GraphProto,
    names: usize,
}

impl Graph<'_> {
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
        let (words, places) = (self.constant(words), self.constant(places));
        let words = self.node("Gather", &[&words, "input_ids"], Vec::new());
        let places = self.node("Gather", &[&places, "position_ids"], Vec::new());
        let sum = self.node("Add", &[&words, &places], Vec::new());
        let mut hidden = self.normalised("embeddings.LayerNorm", &sum)?;
        for layer in 0..self.weights.layers() {
            hidden = self.layer(&format!("encoder.layer.{layer}"), &hidden, width)?;
        }
        let axis = self.integers(&[1]);
        let node = NodeProto {
            input: vec![hidden, axis],
            output: vec!["embedding".to_owned()],
            op_type: "ReduceMean".to_owned(),
            attribute: vec![AttributeProto::int("keepdims", 0)],
            ..NodeProto::default()
        };
        self.proto.node.push(node);
        Ok(())
    }

    /// What goes in, and what comes out.
    fn ends(&mut self, width: usize) {
        let length = || DimensionProto {
            dim_param: Some("length".to_owned()),
            ..DimensionProto::default()
        };
        let fixed = |size: usize| DimensionProto {
            dim_value: Some(size as i64),
            ..DimensionProto::default()
        };
        let value = |name: &str, elem_type, dim| ValueInfoProto {
            name: name.to_owned(),
            r#type: Some(TypeProto {
                tensor_type: Some(TensorTypeProto {
                    elem_type,
                    shape: Some(TensorShapeProto { dim }),
                }),
            }),
        };
        self.proto.input = vec![
            value("input_ids", INT32, vec![fixed(1), length()]),
            value("position_ids", INT32, vec![fixed(1), length()]),
        ];
        self.proto.output = vec![value("embedding", FLOAT, vec![fixed(1), fixed(width)])];
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
        let scores = self.node("MatMul", &[&query, &key], Vec::new());
        let shares = self.node("Softmax", &[&scores], vec![AttributeProto::int("axis", -1)]);
        let mixed = self.node("MatMul", &[&shares, &value], Vec::new());
        let mixed = self.node(
            "Transpose",
            &[&mixed],
            vec![AttributeProto::ints("perm", &[0, 2, 1, 3])],
        );
        let shape = self.integers(&[0, 0, width as i64]);
        let mixed = self.node("Reshape", &[&mixed, &shape], Vec::new());
        let mixed = self.dense(&format!("{attention}.output.dense"), &mixed, 1.0)?;
        let sum = self.node("Add", &[&mixed, hidden], Vec::new());
        let attended = self.normalised(&format!("{attention}.output.LayerNorm"), &sum)?;

        let wide = self.dense(&format!("{name}.intermediate.dense"), &attended, 1.0)?;
        let wide = self.node("Gelu", &[&wide], Vec::new());
        let narrow = self.dense(&format!("{name}.output.dense"), &wide, 1.0)?;
        let sum = self.node("Add", &[&narrow, &attended], Vec::new());
        self.normalised(&format!("{name}.output.LayerNorm"), &sum)
    }

    fn heads(&mut self, value: &str, width: usize, order: &[i64]) -> String {
        let shape = self.integers(&[0, 0, (width / HEAD_WIDTH) as i64, HEAD_WIDTH as i64]);
        let parted = self.node("Reshape", &[value, &shape], Vec::new());
        self.node(
            "Transpose",
            &[&parted],
            vec![AttributeProto::ints("perm", order)],
        )
    }

    fn dense(&mut self, name: &str, value: &str, factor: f32) -> Result<String, ModelError> {
        let weight = self.weights.get(&format!("{name}.weight"))?;
        let bias = self.weights.get(&format!("{name}.bias"))?.times(factor);
        let weight = self.constant(weight.transposed().times(factor));
        let bias = self.constant(bias);
        let product = self.node("MatMul", &[value, &weight], Vec::new());
        Ok(self.node("Add", &[&product, &bias], Vec::new()))
    }

    fn normalised(&mut self, name: &str, value: &str) -> Result<String, ModelError> {
        let scale = self.weights.get(&format!("{name}.weight"))?;
        let bias = self.weights.get(&format!("{name}.bias"))?;
        let (scale, bias) = (self.constant(scale), self.constant(bias));
        Ok(self.node(
            "LayerNormalization",
            &[value, &scale, &bias],
            vec![
                AttributeProto::int("axis", -1),
                AttributeProto::float("epsilon", EPSILON),
            ],
        ))
    }

    fn node(&mut self, op_type: &str, input: &[&str], attribute: Vec<AttributeProto>) -> String {
        let output = self.name();
        self.proto.node.push(NodeProto {
            input: input.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.clone()],
            op_type: op_type.to_owned(),
            attribute,
            ..NodeProto::default()
        });
        output
    }

    fn constant(&mut self, tensor: Tensor) -> String {
        let raw_data = tensor.values.into_iter().flat_map(f32::to_le_bytes);
        let dims = tensor.shape.into_iter().map(|size| size as i64);
        self.initializer(FLOAT, dims.collect(), raw_data.collect())
    }

    fn integers(&mut self, values: &[i64]) -> String {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes());
        self.initializer(INT64, vec![values.len() as i64], raw_data.collect())
    }

    fn initializer(&mut self, data_type: i32, dims: Vec<i64>, raw_data: Vec<u8>) -> String {
        let name = self.name();
        self.proto.initializer.push(TensorProto {
            dims,
            data_type,
            name: name.clone(),
            raw_data,
            ..TensorProto::default()
        });
        name
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("v{}", self.names)
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

//! A graph of ONNX while it is written: nodes one after another, each value with a name of its own.

use prost::Message;

use crate::onnx::{
    AttributeProto, DimensionProto, FLOAT, GraphProto, INT64, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// ONNX's `Gelu` came with this version of the standard operators.
const OPSET: i64 = 20;

/// Numbers in a table or a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

impl Tensor {
    pub(crate) fn transposed(self) -> Self {
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

    pub(crate) fn times(mut self, factor: f32) -> Self {
        self.values.iter_mut().for_each(|value| *value *= factor);
        self
    }
}

/// The graph so far.
#[derive(Default)]
pub(crate) struct Graph {
    proto: GraphProto,
    names: usize,
}

impl Graph {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            proto: GraphProto {
                name: name.to_owned(),
                ..GraphProto::default()
            },
            names: 0,
        }
    }

    /// The `.onnx` file.
    pub(crate) fn into_file(self) -> Vec<u8> {
        let model = ModelProto {
            ir_version: 9,
            producer_name: "antiphon".to_owned(),
            graph: Some(self.proto),
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: OPSET,
            }],
        };
        model.encode_to_vec()
    }

    pub(crate) fn input(&mut self, name: &str, elem_type: i32, dims: &[Dim<'_>]) {
        self.proto.input.push(value(name, elem_type, dims));
    }

    pub(crate) fn output(&mut self, name: &str, elem_type: i32, dims: &[Dim<'_>]) {
        self.proto.output.push(value(name, elem_type, dims));
    }

    /// A node with one output; returns the output's name.
    pub(crate) fn node(
        &mut self,
        op_type: &str,
        input: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> String {
        let output = self.name();
        self.named(op_type, input, attribute, &[&output]);
        output
    }

    /// A node whose outputs have names already.
    pub(crate) fn named(
        &mut self,
        op_type: &str,
        input: &[&str],
        attribute: Vec<AttributeProto>,
        output: &[&str],
    ) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        self.proto.node.push(NodeProto {
            input: owned(input),
            output: owned(output),
            op_type: op_type.to_owned(),
            attribute,
            ..NodeProto::default()
        });
    }

    /// The value normalised over its last axis, with these weights.
    pub(crate) fn normalised(
        &mut self,
        value: &str,
        scale: Tensor,
        bias: Tensor,
        epsilon: f32,
    ) -> String {
        let (scale, bias) = (self.constant(scale), self.constant(bias));
        self.node(
            "LayerNormalization",
            &[value, &scale, &bias],
            vec![
                AttributeProto::int("axis", -1),
                AttributeProto::float("epsilon", epsilon),
            ],
        )
    }

    pub(crate) fn constant(&mut self, tensor: Tensor) -> String {
        let name = self.name();
        self.named_constant(&name, tensor);
        name
    }

    pub(crate) fn named_constant(&mut self, name: &str, tensor: Tensor) {
        let raw_data = tensor.values.into_iter().flat_map(f32::to_le_bytes);
        self.initializer(name, FLOAT, &tensor.shape, raw_data.collect());
    }

    pub(crate) fn integers(&mut self, values: &[i64]) -> String {
        let name = self.name();
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes());
        self.initializer(&name, INT64, &[values.len()], raw_data.collect());
        name
    }

    pub(crate) fn initializer(
        &mut self,
        name: &str,
        data_type: i32,
        shape: &[usize],
        raw_data: Vec<u8>,
    ) {
        self.proto.initializer.push(TensorProto {
            dims: shape.iter().map(|size| *size as i64).collect(),
            data_type,
            name: name.to_owned(),
            raw_data,
            ..TensorProto::default()
        });
    }

    pub(crate) fn name(&mut self) -> String {
        self.names += 1;
        format!("v{}", self.names)
    }
}

/// A dimension of an input or output.
#[derive(Clone, Copy)]
pub(crate) enum Dim<'a> {
    Fixed(usize),
    Named(&'a str),
}

fn value(name: &str, elem_type: i32, dims: &[Dim<'_>]) -> ValueInfoProto {
    let dim = dims.iter().map(|dim| match dim {
        Dim::Fixed(size) => DimensionProto {
            dim_value: Some(*size as i64),
            ..DimensionProto::default()
        },
        Dim::Named(name) => DimensionProto {
            dim_param: Some((*name).to_owned()),
            ..DimensionProto::default()
        },
    });
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type,
                shape: Some(TensorShapeProto { dim: dim.collect() }),
            }),
        }),
    }
}

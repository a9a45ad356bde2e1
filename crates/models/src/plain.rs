//! Nodes that ONNX Runtime's optimiser made, written as the standard nodes they stand for.
//!
//! Source: `ContribOperators.md` of ONNX Runtime (MIT), which defines each in words.

use std::collections::HashMap;

use crate::ModelError;
use crate::onnx::{
    AttributeProto, FLOAT, GraphProto, INT64, NodeProto, TensorProto, ValueInfoProto,
};

/// The longest window of a Fourier transform that is written as a convolution: beyond it the transform is quicker.
const MAX_WINDOW: usize = 64;

/// Rewrites every node of `graph` and of its subgraphs.
///
/// # Errors
/// [`ModelError::Unsupported`] for an operator of ONNX Runtime's own that is not known here.
pub(crate) fn rewrite(graph: &mut GraphProto) -> Result<(), ModelError> {
    rewrite_graph(graph, &mut 0)
}

fn rewrite_graph(graph: &mut GraphProto, names: &mut usize) -> Result<(), ModelError> {
    let nodes = std::mem::take(&mut graph.node);
    let mut plain = Plain {
        names,
        known: Known {
            weights: by_name(&graph.initializer, |tensor| &tensor.name),
            values: by_name(&graph.value_info, |value| &value.name),
        },
        nodes: Vec::with_capacity(nodes.len()),
        constants: Vec::new(),
    };
    for mut node in nodes {
        for subgraph in node
            .attribute
            .iter_mut()
            .filter_map(|attribute| attribute.g.as_mut())
        {
            rewrite_graph(subgraph, plain.names)?;
        }
        plain.node(node)?;
    }
    let Plain {
        nodes, constants, ..
    } = plain;
    graph.node = nodes;
    graph.initializer.extend(constants);
    Ok(())
}

fn by_name<'a, T>(all: &'a [T], name: impl Fn(&T) -> &str) -> HashMap<&'a str, &'a T>
where
    T: 'a,
{
    all.iter().map(|one| (name(one), one)).collect()
}

/// What the file says of the graph's values.
struct Known<'a> {
    weights: HashMap<&'a str, &'a TensorProto>,
    values: HashMap<&'a str, &'a ValueInfoProto>,
}

impl Known<'_> {
    /// How many axes `value` has.
    fn rank(&self, value: &str) -> Option<usize> {
        let tensor = self
            .values
            .get(value)?
            .r#type
            .as_ref()?
            .tensor_type
            .as_ref()?;
        Some(tensor.shape.as_ref()?.dim.len())
    }
}

/// The graph that is being written.
struct Plain<'a> {
    /// How many names were made: values of subgraphs share one space with those around them.
    names: &'a mut usize,
    known: Known<'a>,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
}

impl Plain<'_> {
    fn node(&mut self, mut node: NodeProto) -> Result<(), ModelError> {
        match (node.domain.as_str(), node.op_type.as_str()) {
            (_, "DynamicQuantizeMatMul") => self.dynamic_quantize_mat_mul(&node),
            (_, "MatMulIntegerToFloat") => {
                self.mat_mul_integer_to_float(&node.input, first_output(&node))
            }
            (_, "FusedMatMul") => return self.fused_mat_mul(&node),
            (_, "FusedConv") => self.fused_conv(node),
            (_, "QuickGelu") => self.quick_gelu(&node),
            (_, "SkipLayerNormalization") => self.skip_layer_normalization(&node),
            (_, "FastGelu") => self.fast_gelu(&node),
            (_, "DynamicQuantizeLSTM") => self.dynamic_quantize_lstm(node),
            ("" | "ai.onnx", "STFT") => return self.short_time_fourier(&node),
            ("com.microsoft", "Gelu") => self.push("Gelu", node.input, node.output, Vec::new()),
            ("" | "ai.onnx", _) => {
                node.domain.clear();
                self.nodes.push(node);
            }
            (domain, op_type) => {
                return Err(ModelError::Unsupported {
                    what: format!("operator {domain}.{op_type}"),
                });
            }
        }
        Ok(())
    }

    fn name(&mut self) -> String {
        *self.names += 1;
        format!("plain_{}", self.names)
    }

    fn push(
        &mut self,
        op_type: &str,
        input: Vec<String>,
        output: Vec<String>,
        attribute: Vec<AttributeProto>,
    ) {
        let node = NodeProto {
            input,
            output,
            op_type: op_type.to_owned(),
            attribute,
            ..NodeProto::default()
        };
        self.nodes.push(node);
    }

    /// A node with one output, which gets a name of its own.
    fn value(
        &mut self,
        op_type: &str,
        input: Vec<String>,
        attribute: Vec<AttributeProto>,
    ) -> String {
        let output = self.name();
        self.push(op_type, input, vec![output.clone()], attribute);
        output
    }

    fn constant(&mut self, value: f32) -> String {
        self.floats(Vec::new(), &[value])
    }

    fn floats(&mut self, dims: Vec<i64>, values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.tensor(FLOAT, dims, bytes.collect())
    }

    fn ints(&mut self, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.tensor(INT64, vec![values.len() as i64], bytes.collect())
    }

    fn tensor(&mut self, data_type: i32, dims: Vec<i64>, raw_data: Vec<u8>) -> String {
        let name = self.name();
        self.constants.push(TensorProto {
            dims,
            data_type,
            name: name.clone(),
            raw_data,
            ..TensorProto::default()
        });
        name
    }

    /// A (float), B, scale of B, zero point of B, bias: A is quantised on the way.
    fn dynamic_quantize_mat_mul(&mut self, node: &NodeProto) {
        let [quantized, scale, zero] = [self.name(), self.name(), self.name()];
        self.push(
            "DynamicQuantizeLinear",
            vec![input(node, 0)],
            vec![quantized.clone(), scale.clone(), zero.clone()],
            Vec::new(),
        );
        let inputs = [
            quantized,
            input(node, 1),
            scale,
            input(node, 2),
            zero,
            input(node, 3),
            input(node, 4),
        ];
        self.mat_mul_integer_to_float(&inputs, first_output(node));
    }

    /// A, B, scale of A, scale of B, zero point of A, zero point of B, bias.
    fn mat_mul_integer_to_float(&mut self, inputs: &[String], output: String) {
        let at = |index: usize| inputs.get(index).cloned().unwrap_or_default();
        let mut operands = vec![at(0), at(1), at(4), at(5)];
        while operands.last().is_some_and(String::is_empty) {
            operands.pop();
        }
        let product = self.value("MatMulInteger", operands, Vec::new());
        let product = self.value(
            "Cast",
            vec![product],
            vec![AttributeProto::int("to", i64::from(FLOAT))],
        );
        let scale = self.value("Mul", vec![at(2), at(3)], Vec::new());
        if at(6).is_empty() {
            self.push("Mul", vec![product, scale], vec![output], Vec::new());
        } else {
            let scaled = self.value("Mul", vec![product, scale], Vec::new());
            self.push("Add", vec![scaled, at(6)], vec![output], Vec::new());
        }
    }

    /// `alpha * op(A) * op(B)`, where `op` swaps the last two axes.
    fn fused_mat_mul(&mut self, node: &NodeProto) -> Result<(), ModelError> {
        if ["transBatchA", "transBatchB"]
            .iter()
            .any(|name| int_of(node, name) != 0)
        {
            return Err(ModelError::Unsupported {
                what: "FusedMatMul with transposed batches".to_owned(),
            });
        }
        let [mut a, mut b] = [input(node, 0), input(node, 1)];
        if int_of(node, "transA") != 0 {
            a = self.swap_last_axes(a);
        }
        if int_of(node, "transB") != 0 {
            b = self.swap_last_axes(b);
        }
        let alpha = float_of(node, "alpha").unwrap_or(1.0);
        #[expect(clippy::float_cmp, reason = "1.0 is written when there is no factor")]
        if alpha == 1.0 {
            self.push("MatMul", vec![a, b], vec![first_output(node)], Vec::new());
        } else {
            let product = self.value("MatMul", vec![a, b], Vec::new());
            let factor = self.constant(alpha);
            self.push(
                "Mul",
                vec![product, factor],
                vec![first_output(node)],
                Vec::new(),
            );
        }
        Ok(())
    }

    /// Where the file does not say how many axes there are, it is attention, with four: batch, head, position, width.
    fn swap_last_axes(&mut self, value: String) -> String {
        let mut order: Vec<i64> = (0..self.known.rank(&value).unwrap_or(4) as i64).collect();
        let last = order.len().saturating_sub(2);
        if let Some(last) = order.get_mut(last..) {
            last.reverse();
        }
        let permutation = AttributeProto::ints("perm", &order);
        self.value("Transpose", vec![value], vec![permutation])
    }

    /// A convolution and the activation after it.
    fn fused_conv(&mut self, node: NodeProto) {
        let activation = node
            .attribute
            .iter()
            .find(|attribute| attribute.name == "activation");
        let activation = activation.map_or_else(
            || "Relu".to_owned(),
            |attribute| String::from_utf8_lossy(&attribute.s).into_owned(),
        );
        let output = first_output(&node);
        let attributes = node
            .attribute
            .into_iter()
            .filter(|attribute| !attribute.name.starts_with("activation"))
            .collect();
        let sum = self.value("Conv", node.input, attributes);
        self.push(&activation, vec![sum], vec![output], Vec::new());
    }

    /// `x * sigmoid(alpha * x)`.
    fn quick_gelu(&mut self, node: &NodeProto) {
        /// The default that ONNX Runtime documents.
        const ALPHA: f32 = 1.702;
        let x = input(node, 0);
        let alpha = float_of(node, "alpha").unwrap_or(ALPHA);
        #[expect(clippy::float_cmp, reason = "1.0 is written for plain SiLU")]
        let scaled = if alpha == 1.0 {
            x.clone()
        } else {
            let factor = self.constant(alpha);
            self.value("Mul", vec![x.clone(), factor], Vec::new())
        };
        let gate = self.value("Sigmoid", vec![scaled], Vec::new());
        self.push("Mul", vec![x, gate], vec![first_output(node)], Vec::new());
    }

    /// GELU by its approximation with a hyperbolic tangent, over the sum of input and bias.
    fn fast_gelu(&mut self, node: &NodeProto) {
        let mut x = input(node, 0);
        if !input(node, 1).is_empty() {
            x = self.value("Add", vec![x, input(node, 1)], Vec::new());
        }
        let approximation = AttributeProto::string("approximate", "tanh");
        self.push(
            "Gelu",
            vec![x],
            vec![first_output(node)],
            vec![approximation],
        );
    }

    /// X, W, R, bias, lengths, hidden state, cell state, peepholes, then scale and zero point of W and of R. W and R have the
    /// standard node's last two axes swapped, and one scale for each direction.
    fn dynamic_quantize_lstm(&mut self, mut node: NodeProto) {
        for (weight, scale) in [(1, 8), (2, 10)] {
            let operands = vec![
                input(&node, weight),
                input(&node, scale),
                input(&node, scale + 1),
            ];
            let floats = self.value(
                "DequantizeLinear",
                operands,
                vec![AttributeProto::int("axis", 0)],
            );
            let permutation = AttributeProto::ints("perm", &[0, 2, 1]);
            let standard = self.value("Transpose", vec![floats], vec![permutation]);
            if let Some(operand) = node.input.get_mut(weight) {
                *operand = standard;
            }
        }
        node.input.truncate(8);
        while node.input.last().is_some_and(String::is_empty) {
            node.input.pop();
        }
        self.push("LSTM", node.input, node.output, node.attribute);
    }

    /// A short-time Fourier transform of real sound as a convolution with its sines and cosines: with few frequencies that is as
    /// quick, and a runtime needs no transform for it. Signal (one channel), step, window, length.
    fn short_time_fourier(&mut self, node: &NodeProto) -> Result<(), ModelError> {
        let weight = |index: usize| self.known.weights.get(node.input.get(index)?.as_str());
        let step = weight(1).and_then(|step| step.first_int());
        let window = weight(2).and_then(|window| window.floats());
        let (Some(step), Some(window)) = (step, window) else {
            return Err(ModelError::Unsupported {
                what: "STFT whose window or step is not a constant".to_owned(),
            });
        };
        let length = window.len();
        if length > MAX_WINDOW {
            return Err(ModelError::Unsupported {
                what: format!("STFT with a window of {length} samples"),
            });
        }
        let frequencies = length / 2 + 1;
        let waves = waves(&window, frequencies);
        let rows = frequencies as i64 * 2;
        let waves = self.floats(vec![rows, 1, length as i64], &waves);
        let channel = self.ints(&[0, 1, -1]);
        let signal = self.value("Reshape", vec![input(node, 0), channel], Vec::new());
        let attributes = vec![
            AttributeProto::ints("dilations", &[1]),
            AttributeProto::ints("pads", &[0, 0]),
            AttributeProto::ints("strides", &[step]),
        ];
        let parts = self.value("Conv", vec![signal, waves], attributes);
        let order = AttributeProto::ints("perm", &[0, 2, 1]);
        let parts = self.value("Transpose", vec![parts], vec![order]);
        let pairs = self.ints(&[0, 0, frequencies as i64, 2]);
        self.push(
            "Reshape",
            vec![parts, pairs],
            vec![first_output(node)],
            Vec::new(),
        );
        Ok(())
    }

    /// Input, skip, gamma, beta, bias: the sum of input, skip and bias, normalised; the fourth output is the sum.
    fn skip_layer_normalization(&mut self, node: &NodeProto) {
        /// The default that ONNX Runtime documents.
        const EPSILON: f32 = 1e-12;
        let mut sum = self.value("Add", vec![input(node, 0), input(node, 1)], Vec::new());
        if !input(node, 4).is_empty() {
            sum = self.value("Add", vec![sum, input(node, 4)], Vec::new());
        }
        let mut operands = vec![sum.clone(), input(node, 2)];
        operands.extend(Some(input(node, 3)).filter(|beta| !beta.is_empty()));
        let epsilon = float_of(node, "epsilon").unwrap_or(EPSILON);
        self.push(
            "LayerNormalization",
            operands,
            vec![first_output(node)],
            vec![
                AttributeProto::int("axis", -1),
                AttributeProto::float("epsilon", epsilon),
            ],
        );
        if let Some(total) = node.output.get(3).filter(|name| !name.is_empty()) {
            self.push("Identity", vec![sum], vec![total.clone()], Vec::new());
        }
    }
}

/// For each frequency a cosine and a sine, under the window.
fn waves(window: &[f32], frequencies: usize) -> Vec<f32> {
    let length = window.len();
    let wave = |frequency: usize, wave: fn(f64) -> f64| {
        window.iter().enumerate().map(move |(at, window)| {
            let turns = (frequency * at % length) as f64 / length as f64;
            (wave(turns * std::f64::consts::TAU) * f64::from(*window)) as f32
        })
    };
    (0..frequencies)
        .flat_map(|frequency| {
            wave(frequency, f64::cos).chain(wave(frequency, |angle| -angle.sin()))
        })
        .collect()
}

fn input(node: &NodeProto, index: usize) -> String {
    node.input.get(index).cloned().unwrap_or_default()
}

fn first_output(node: &NodeProto) -> String {
    node.output.first().cloned().unwrap_or_default()
}

fn int_of(node: &NodeProto, name: &str) -> i64 {
    node.attribute
        .iter()
        .find(|attribute| attribute.name == name)
        .map_or(0, |attribute| attribute.i)
}

fn float_of(node: &NodeProto, name: &str) -> Option<f32> {
    node.attribute
        .iter()
        .find(|attribute| attribute.name == name)
        .map(|attribute| attribute.f)
}

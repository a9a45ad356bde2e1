//! Nodes that ONNX Runtime's optimiser made, written as the standard nodes they stand for.
//!
//! Source: `ContribOperators.md` of ONNX Runtime (MIT), which defines each in words.

use crate::ModelError;
use crate::onnx::{AttributeProto, FLOAT, GraphProto, NodeProto, TensorProto};

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

/// The graph that is being written.
struct Plain<'a> {
    /// How many names were made: values of subgraphs share one space with those around them.
    names: &'a mut usize,
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
        let name = self.name();
        let raw_data = value.to_le_bytes().to_vec();
        self.constants.push(TensorProto {
            dims: Vec::new(),
            data_type: FLOAT,
            name: name.clone(),
            raw_data,
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

    /// Attention is the only user, so the operands have four axes: batch, head, position, width.
    fn swap_last_axes(&mut self, value: String) -> String {
        let permutation = AttributeProto::ints("perm", &[0, 1, 3, 2]);
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

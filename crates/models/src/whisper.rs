//! Whisper, from its weights (CTranslate2's `model.bin`) to a graph (ONNX) that can be run.
//!
//! Source: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022), and the weights' names in
//! CTranslate2. One graph leads from a picture of sound and tokens to the next token's scores. It is cut in the middle: who runs
//! it computes [`CROSS_KEY`] and [`CROSS_VALUE`] of each layer once from the picture, and gives them in for each token.
//!
//! | value | shape |
//! |---|---|
//! | `input_features` | `[1, bands, frames]`, any even number of frames up to twice the places of [`SOUND_PLACES`] |
//! | `input_ids`, `position_ids` | `[1, tokens]` |
//! | `attention_bias` | `[tokens, past + tokens]`: 0, or minus infinity where a token may not look |
//! | `past_key.N`, `past_value.N`, `present_key.N`, `present_value.N` | `[1, heads, tokens before, width of a head]` |
//! | `logits` | `[1, tokens, vocabulary]` |
//!
//! Unlike in the usual exports, sound may be shorter than 30 s: the encoder's cost grows with the sound. The large tables are whole
//! numbers of 7 bits with a scale for each column: processors without VNNI add two products in 16 bits, and 8 bits would overflow.

mod weights;

use crate::ModelError;
use crate::graph::{Dim, Graph, Tensor};
use crate::onnx::{AttributeProto, FLOAT, INT8, INT32};
use weights::Weights;

/// The name of a layer's keys of the sound, before its number.
pub const CROSS_KEY: &str = "cross_key";
/// The name of a layer's values of the sound, before its number.
pub const CROSS_VALUE: &str = "cross_value";
/// The name of the table with a row for each place of the sound (20 ms).
pub const SOUND_PLACES: &str = "sound_places";
/// The name of the table with a row for each token that the decoder can take.
pub const TOKEN_PLACES: &str = "token_places";
/// The largest weight as a whole number.
const LARGEST: f32 = 63.0;
/// PyTorch's `LayerNorm`.
const EPSILON: f32 = 1e-5;
/// More layers than any Whisper has (32): a damaged file must not make a graph without end.
const MAX_LAYERS: usize = 64;

/// The `.onnx` file of the network whose weights are in `bytes`.
///
/// # Errors
/// When the file is damaged, or has not the weights of a Whisper.
pub fn to_onnx(bytes: &[u8]) -> Result<Vec<u8>, ModelError> {
    let weights = Weights::read(bytes)?;
    let heads = weights.number("encoder/num_heads").unwrap_or_default();
    let width = weights.shape("decoder/embeddings/weight").get(1).copied();
    let width = width.unwrap_or_default();
    let per_head = width.checked_div(heads).unwrap_or_default();
    if per_head == 0 || per_head * heads != width {
        return Err(ModelError::Unsupported {
            what: format!("a Whisper of width {width} with {heads} heads"),
        });
    }
    let mut network = Network {
        weights,
        graph: Graph::new("whisper"),
        heads,
        per_head,
    };
    network.encoder()?;
    network.decoder()?;
    Ok(network.graph.into_file())
}

struct Network<'a> {
    weights: Weights<'a>,
    graph: Graph,
    heads: usize,
    per_head: usize,
}

/// A value as whole numbers: the numbers, their scale, their zero.
struct Whole {
    numbers: String,
    scale: String,
    zero: String,
}

impl Network<'_> {
    fn layers(&self, half: &str) -> usize {
        let has = |layer: &usize| {
            self.weights
                .has(&format!("{half}/layer_{layer}/ffn/linear_0/weight"))
        };
        (0..MAX_LAYERS).take_while(has).count()
    }

    /// From the picture to the keys and values of each of the decoder's layers.
    fn encoder(&mut self) -> Result<(), ModelError> {
        let bands = self.weights.shape("encoder/conv1/weight").get(1).copied();
        let bands = Dim::Fixed(bands.unwrap_or_default());
        let picture = [Dim::Fixed(1), bands, Dim::Named("frames")];
        self.graph.input("input_features", FLOAT, &picture);
        let hidden = self.convolution("encoder/conv1", "input_features", 1)?;
        let hidden = self.convolution("encoder/conv2", &hidden, 2)?;
        let hidden = self.transposed(&hidden, &[0, 2, 1]);

        let places = self.weights.get("encoder/position_encodings/encodings")?;
        self.graph.named_constant(SOUND_PLACES, places);
        let attributes = vec![
            AttributeProto::int("start", 1),
            AttributeProto::int("end", 2),
        ];
        let length = self.graph.node("Shape", &[&hidden], attributes);
        let (start, axis) = (self.graph.integers(&[0]), self.graph.integers(&[0]));
        let places = [SOUND_PLACES, &start, &length, &axis];
        let places = self.graph.node("Slice", &places, Vec::new());
        let mut hidden = self.add(&hidden, &places);
        for layer in 0..self.layers("encoder") {
            let name = format!("encoder/layer_{layer}");
            let attention = format!("{name}/self_attention");
            let inside = self.normalised(&format!("{attention}/layer_norm"), &hidden)?;
            let inside = self.whole(&inside);
            let [query, key, value] =
                self.dense_parts(&format!("{attention}/linear_0"), &inside)?;
            let [query, key, value] = [query, key, value].map(|value| self.by_heads(&value));
            let mixed = self.attention(&query, &key, &value, None);
            let out = self.dense(&format!("{attention}/linear_1"), &mixed)?;
            hidden = self.add(&hidden, &out);
            hidden = self.feed_forward(&format!("{name}/ffn"), &hidden)?;
        }
        let hidden = self.normalised("encoder/layer_norm", &hidden)?;
        let hidden = self.whole(&hidden);
        for layer in 0..self.layers("decoder") {
            let name = format!("decoder/layer_{layer}/attention/linear_1");
            let [key, value] = self.dense_parts(&name, &hidden)?;
            for (name, part) in [(CROSS_KEY, key), (CROSS_VALUE, value)] {
                let part = self.by_heads(&part);
                let name = format!("{name}.{layer}");
                self.graph.named("Identity", &[&part], Vec::new(), &[&name]);
                self.cache_output(&name, "places");
            }
        }
        Ok(())
    }

    /// From tokens to the next one's scores.
    fn decoder(&mut self) -> Result<(), ModelError> {
        let tokens = [Dim::Fixed(1), Dim::Named("tokens")];
        self.graph.input("input_ids", INT32, &tokens);
        self.graph.input("position_ids", INT32, &tokens);
        let bias = [Dim::Named("tokens"), Dim::Named("all_tokens")];
        self.graph.input("attention_bias", FLOAT, &bias);

        let words = self.weights.get("decoder/embeddings/weight")?;
        let vocabulary = words.shape.first().copied().unwrap_or_default();
        let (table, scales) = self.table(words, 1.0);
        let attributes = vec![AttributeProto::int("axis", 1)];
        let words = self
            .graph
            .node("Gather", &[&table, "input_ids"], attributes);
        let words = self.transposed(&words, &[1, 2, 0]);
        let words = self.cast(&words);
        let scale = self
            .graph
            .node("Gather", &[&scales, "input_ids"], Vec::new());
        let axis = self.graph.integers(&[-1]);
        let scale = self.graph.node("Unsqueeze", &[&scale, &axis], Vec::new());
        let words = self.graph.node("Mul", &[&words, &scale], Vec::new());

        let places = self.weights.get("decoder/position_encodings/encodings")?;
        self.graph.named_constant(TOKEN_PLACES, places);
        let places = [TOKEN_PLACES, "position_ids"];
        let places = self.graph.node("Gather", &places, Vec::new());
        let mut hidden = self.add(&words, &places);
        for layer in 0..self.layers("decoder") {
            hidden = self.decoder_layer(layer, &hidden)?;
        }
        let hidden = self.normalised("decoder/layer_norm", &hidden)?;
        let hidden = self.whole(&hidden);
        let logits = self.product(&hidden, &table, &scales);
        self.graph
            .named("Identity", &[&logits], Vec::new(), &["logits"]);
        let shape = [Dim::Fixed(1), Dim::Named("tokens"), Dim::Fixed(vocabulary)];
        self.graph.output("logits", FLOAT, &shape);
        Ok(())
    }

    fn decoder_layer(&mut self, layer: usize, hidden: &str) -> Result<String, ModelError> {
        let name = format!("decoder/layer_{layer}");
        let own = format!("{name}/self_attention");
        let inside = self.normalised(&format!("{own}/layer_norm"), hidden)?;
        let inside = self.whole(&inside);
        let [query, key, value] = self.dense_parts(&format!("{own}/linear_0"), &inside)?;
        let [query, key, value] = [query, key, value].map(|value| self.by_heads(&value));
        let key = self.with_past("key", layer, &key);
        let value = self.with_past("value", layer, &value);
        let mixed = self.attention(&query, &key, &value, Some("attention_bias"));
        let out = self.dense(&format!("{own}/linear_1"), &mixed)?;
        let hidden = self.add(hidden, &out);

        let cross = format!("{name}/attention");
        let inside = self.normalised(&format!("{cross}/layer_norm"), &hidden)?;
        let inside = self.whole(&inside);
        let scale = self.scale();
        let query = self.dense_of(&format!("{cross}/linear_0"), &inside, scale)?;
        let query = self.by_heads(&query);
        let key = format!("{CROSS_KEY}.{layer}");
        let value = format!("{CROSS_VALUE}.{layer}");
        let mixed = self.attention(&query, &key, &value, None);
        let out = self.dense(&format!("{cross}/linear_2"), &mixed)?;
        let hidden = self.add(&hidden, &out);
        self.feed_forward(&format!("{name}/ffn"), &hidden)
    }

    /// Keys or values of the tokens before, and of these.
    fn with_past(&mut self, part: &str, layer: usize, new: &str) -> String {
        let (past, present) = (
            format!("past_{part}.{layer}"),
            format!("present_{part}.{layer}"),
        );
        let shape = self.cache_shape("past");
        self.graph.input(&past, FLOAT, &shape);
        self.graph.named(
            "Concat",
            &[&past, new],
            vec![AttributeProto::int("axis", 2)],
            &[&present],
        );
        self.cache_output(&present, "all_tokens");
        present
    }

    fn cache_shape<'a>(&self, length: &'a str) -> [Dim<'a>; 4] {
        [
            Dim::Fixed(1),
            Dim::Fixed(self.heads),
            Dim::Named(length),
            Dim::Fixed(self.per_head),
        ]
    }

    fn cache_output(&mut self, name: &str, length: &str) {
        let shape = self.cache_shape(length);
        self.graph.output(name, FLOAT, &shape);
    }

    /// What each place takes from all others. The scale of the products stands in the queries' weights.
    fn attention(&mut self, query: &str, key: &str, value: &str, bias: Option<&str>) -> String {
        let key = self.transposed(key, &[0, 1, 3, 2]);
        let mut scores = self.graph.node("MatMul", &[query, &key], Vec::new());
        if let Some(bias) = bias {
            scores = self.add(&scores, bias);
        }
        let axis = vec![AttributeProto::int("axis", -1)];
        let shares = self.graph.node("Softmax", &[&scores], axis);
        let mixed = self.graph.node("MatMul", &[&shares, value], Vec::new());
        let mixed = self.transposed(&mixed, &[0, 2, 1, 3]);
        let width = (self.heads * self.per_head) as i64;
        let shape = self.graph.integers(&[0, 0, width]);
        self.graph.node("Reshape", &[&mixed, &shape], Vec::new())
    }

    fn feed_forward(&mut self, name: &str, hidden: &str) -> Result<String, ModelError> {
        let inside = self.normalised(&format!("{name}/layer_norm"), hidden)?;
        let wide = self.dense(&format!("{name}/linear_0"), &inside)?;
        let wide = self.graph.node("Gelu", &[&wide], Vec::new());
        let narrow = self.dense(&format!("{name}/linear_1"), &wide)?;
        Ok(self.add(hidden, &narrow))
    }

    fn convolution(&mut self, name: &str, value: &str, step: i64) -> Result<String, ModelError> {
        let weight = self.weights.get(&format!("{name}/weight"))?;
        let bias = self.weights.get(&format!("{name}/bias"))?;
        let (weight, bias) = (self.graph.constant(weight), self.graph.constant(bias));
        let attributes = vec![
            AttributeProto::ints("kernel_shape", &[3]),
            AttributeProto::ints("pads", &[1, 1]),
            AttributeProto::ints("strides", &[step]),
        ];
        let value = self
            .graph
            .node("Conv", &[value, &weight, &bias], attributes);
        Ok(self.graph.node("Gelu", &[&value], Vec::new()))
    }

    fn scale(&self) -> f32 {
        1.0 / (self.per_head as f32).sqrt()
    }

    fn dense(&mut self, name: &str, value: &str) -> Result<String, ModelError> {
        let value = self.whole(value);
        self.dense_of(name, &value, 1.0)
    }

    fn dense_of(&mut self, name: &str, value: &Whole, factor: f32) -> Result<String, ModelError> {
        let weight = self.weights.get(&format!("{name}/weight"))?;
        let bias = self.weights.get(&format!("{name}/bias"))?;
        Ok(self.dense_with(weight, bias, value, factor))
    }

    /// Several tables that stand one below the other: queries (if there are three), keys, values.
    fn dense_parts<const PARTS: usize>(
        &mut self,
        name: &str,
        value: &Whole,
    ) -> Result<[String; PARTS], ModelError> {
        let weight = self.weights.get(&format!("{name}/weight"))?;
        let bias = self.weights.get(&format!("{name}/bias"))?;
        let [rows, columns] = *weight.shape.as_slice() else {
            return Err(ModelError::Damaged {
                what: "weights that are no table",
            });
        };
        let each = rows / PARTS.max(1);
        Ok(std::array::from_fn(|part| {
            let of = |tensor: &Tensor, columns: usize| -> Vec<f32> {
                let values = tensor.values.iter().skip(part * each * columns);
                values.take(each * columns).copied().collect()
            };
            let table = Tensor {
                shape: vec![each, columns],
                values: of(&weight, columns),
            };
            let row = Tensor {
                shape: vec![each],
                values: of(&bias, 1),
            };
            let is_query = PARTS == 3 && part == 0;
            let factor = if is_query { self.scale() } else { 1.0 };
            self.dense_with(table, row, value, factor)
        }))
    }

    fn dense_with(&mut self, weight: Tensor, bias: Tensor, value: &Whole, factor: f32) -> String {
        let (table, scales) = self.table(weight, factor);
        let bias = self.graph.constant(bias.times(factor));
        let product = self.product(value, &table, &scales);
        self.add(&product, &bias)
    }

    /// A table, its rows made columns, as whole numbers, and the scale of each column.
    fn table(&mut self, weight: Tensor, factor: f32) -> (String, String) {
        let [rows, columns] = <[usize; 2]>::try_from(weight.shape.as_slice()).unwrap_or_default();
        let scales: Vec<f32> = weight
            .values
            .chunks(columns.max(1))
            .map(|row| {
                row.iter()
                    .fold(0.0_f32, |largest, value| largest.max(value.abs()))
                    / LARGEST
            })
            .collect();
        let weight = weight.transposed();
        let whole = weight.values.chunks(rows.max(1)).flat_map(|column| {
            let scaled = column
                .iter()
                .zip(&scales)
                .map(|(value, scale)| value / scale);
            // a column of zeros has no scale
            scaled.map(|value| {
                if value.is_finite() {
                    value.round() as i8
                } else {
                    0
                }
            })
        });
        let bytes = whole.flat_map(i8::to_le_bytes).collect();
        let name = self.graph.name();
        self.graph.initializer(&name, INT8, &[columns, rows], bytes);
        let scales = Tensor {
            shape: vec![rows],
            values: scales,
        };
        (name, self.graph.constant(scales.times(factor)))
    }

    /// The value as whole numbers of 8 bits.
    fn whole(&mut self, value: &str) -> Whole {
        let [numbers, scale, zero] = std::array::from_fn(|_| self.graph.name());
        let outputs = [numbers.as_str(), &scale, &zero];
        self.graph
            .named("DynamicQuantizeLinear", &[value], Vec::new(), &outputs);
        Whole {
            numbers,
            scale,
            zero,
        }
    }

    fn product(&mut self, value: &Whole, table: &str, scales: &str) -> String {
        let inputs = [value.numbers.as_str(), table, &value.zero];
        let product = self.graph.node("MatMulInteger", &inputs, Vec::new());
        let product = self.cast(&product);
        let scale = self.graph.node("Mul", &[&value.scale, scales], Vec::new());
        self.graph.node("Mul", &[&product, &scale], Vec::new())
    }

    fn by_heads(&mut self, value: &str) -> String {
        let shape = [0, 0, self.heads as i64, self.per_head as i64];
        let shape = self.graph.integers(&shape);
        let parted = self.graph.node("Reshape", &[value, &shape], Vec::new());
        self.transposed(&parted, &[0, 2, 1, 3])
    }

    fn normalised(&mut self, name: &str, value: &str) -> Result<String, ModelError> {
        let scale = self.weights.get(&format!("{name}/gamma"))?;
        let bias = self.weights.get(&format!("{name}/beta"))?;
        Ok(self.graph.normalised(value, scale, bias, EPSILON))
    }

    fn add(&mut self, a: &str, b: &str) -> String {
        self.graph.node("Add", &[a, b], Vec::new())
    }

    fn cast(&mut self, value: &str) -> String {
        let to = vec![AttributeProto::int("to", FLOAT.into())];
        self.graph.node("Cast", &[value], to)
    }

    fn transposed(&mut self, value: &str, order: &[i64]) -> String {
        let order = vec![AttributeProto::ints("perm", order)];
        self.graph.node("Transpose", &[value], order)
    }
}

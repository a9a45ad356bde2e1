//! A small Whisper with weights out of a formula, in CTranslate2's format, through the graph that is written for it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use antiphon_models::whisper::{CROSS_KEY, CROSS_VALUE, to_onnx};
use proptest::prelude::*;
use rten::{Model, NodeId, Value, ValueOrView};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, Tensor};

const WIDTH: usize = 64;
const HEADS: usize = 2;
const BANDS: usize = 8;
const WORDS: usize = 40;

struct File {
    entries: Vec<u8>,
    count: u32,
    state: u32,
}

impl File {
    fn entry(&mut self, name: &str, shape: &[usize], kind: u8, bytes: &[u8]) {
        self.entries.extend(((name.len() + 1) as u16).to_le_bytes());
        self.entries.extend(name.bytes().chain([0]));
        self.entries.push(shape.len() as u8);
        for size in shape {
            self.entries.extend((*size as u32).to_le_bytes());
        }
        self.entries.push(kind);
        self.entries.extend((bytes.len() as u32).to_le_bytes());
        self.entries.extend(bytes);
        self.count += 1;
    }

    /// Numbers around `middle`.
    fn numbers(&mut self, name: &str, shape: &[usize], middle: f32) {
        let values = (0..shape.iter().product::<usize>()).flat_map(|_| {
            self.state = self
                .state
                .wrapping_mul(1_664_525)
                .wrapping_add(1_013_904_223);
            let value = (self.state >> 8) as f32 / (1 << 24) as f32 - 0.5;
            (middle + value * 0.4).to_le_bytes()
        });
        let bytes: Vec<u8> = values.collect();
        self.entry(name, shape, 0, &bytes);
    }

    fn dense(&mut self, name: &str, rows: usize, columns: usize) {
        self.numbers(&format!("{name}/weight"), &[rows, columns], 0.0);
        self.numbers(&format!("{name}/bias"), &[rows], 0.0);
    }

    fn norm(&mut self, name: &str) {
        self.numbers(&format!("{name}/gamma"), &[WIDTH], 1.0);
        self.numbers(&format!("{name}/beta"), &[WIDTH], 0.0);
    }

    fn attention(&mut self, name: &str, parts: &[usize]) {
        self.norm(&format!("{name}/layer_norm"));
        for (number, part) in parts.iter().enumerate() {
            self.dense(&format!("{name}/linear_{number}"), part * WIDTH, WIDTH);
        }
    }

    fn rest(&mut self, name: &str) {
        self.norm(&format!("{name}/ffn/layer_norm"));
        self.dense(&format!("{name}/ffn/linear_0"), 2 * WIDTH, WIDTH);
        self.dense(&format!("{name}/ffn/linear_1"), WIDTH, 2 * WIDTH);
    }
}

fn small_whisper() -> Vec<u8> {
    let mut file = File {
        entries: Vec::new(),
        count: 0,
        state: 1,
    };
    file.entry("encoder/num_heads", &[], 2, &(HEADS as i16).to_le_bytes());
    for (name, bands) in [("encoder/conv1", BANDS), ("encoder/conv2", WIDTH)] {
        file.numbers(&format!("{name}/weight"), &[WIDTH, bands, 3], 0.0);
        file.numbers(&format!("{name}/bias"), &[WIDTH], 0.0);
    }
    file.numbers("encoder/position_encodings/encodings", &[50, WIDTH], 0.0);
    file.attention("encoder/layer_0/self_attention", &[3, 1]);
    file.rest("encoder/layer_0");
    file.norm("encoder/layer_norm");
    file.numbers("decoder/embeddings/weight", &[WORDS, WIDTH], 0.0);
    file.numbers("decoder/position_encodings/encodings", &[16, WIDTH], 0.0);
    file.attention("decoder/layer_0/self_attention", &[3, 1]);
    file.attention("decoder/layer_0/attention", &[1, 2, 1]);
    file.rest("decoder/layer_0");
    file.norm("decoder/layer_norm");
    let mut bytes = 6_u32.to_le_bytes().to_vec();
    bytes.extend(12_u16.to_le_bytes());
    bytes.extend(b"WhisperSpec\0");
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend(file.count.to_le_bytes());
    bytes.extend(file.entries);
    bytes
}

struct Runner {
    model: Model,
    cross: Vec<Value>,
}

impl Runner {
    fn node(&self, name: &str) -> NodeId {
        self.model.node_id(name).unwrap()
    }

    fn new(columns: usize) -> Self {
        let mut runner = Self {
            model: Model::load(to_onnx(&small_whisper()).unwrap()).unwrap(),
            cross: Vec::new(),
        };
        let cells: Vec<f32> = (0..BANDS * columns).map(|at| (at as f32).sin()).collect();
        let picture = NdTensor::from_data([1, BANDS, columns], cells);
        let outputs = [CROSS_KEY, CROSS_VALUE].map(|name| runner.node(&format!("{name}.0")));
        let inputs = vec![(runner.node("input_features"), picture.into())];
        runner.cross = runner.model.run(inputs, &outputs, None).unwrap();
        runner
    }

    /// The scores after each of `tokens`, and the cache.
    fn step(&self, tokens: &[i32], before: Option<Vec<Value>>) -> (Tensor<f32>, Vec<Value>) {
        let nothing = || NdTensor::<f32, 4>::zeros([1, HEADS, 0, WIDTH / HEADS]).into();
        let before = before.unwrap_or_else(|| vec![nothing(), nothing()]);
        let past = before[0].shape()[2];
        let count = tokens.len();
        let places: Vec<i32> = (past..past + count).map(|place| place as i32).collect();
        let bias = (0..count).flat_map(|row| {
            let sees = move |column| column <= past + row;
            (0..past + count).map(move |column| if sees(column) { 0.0 } else { f32::NEG_INFINITY })
        });
        let bias = NdTensor::from_data([count, past + count], bias.collect::<Vec<f32>>());
        let mut inputs: Vec<(NodeId, ValueOrView<'_>)> = vec![
            (
                self.node("input_ids"),
                NdTensor::from_data([1, count], tokens.to_vec()).into(),
            ),
            (
                self.node("position_ids"),
                NdTensor::from_data([1, count], places).into(),
            ),
            (self.node("attention_bias"), bias.into()),
        ];
        for (name, value) in ["past_key.0", "past_value.0"].into_iter().zip(before) {
            inputs.push((self.node(name), ValueOrView::Value(value)));
        }
        for (name, value) in [CROSS_KEY, CROSS_VALUE].into_iter().zip(&self.cross) {
            inputs.push((self.node(&format!("{name}.0")), ValueOrView::from(value)));
        }
        let outputs = ["logits", "present_key.0", "present_value.0"].map(|name| self.node(name));
        let mut found = self.model.run(inputs, &outputs, None).unwrap().into_iter();
        (found.next().unwrap().try_into().unwrap(), found.collect())
    }
}

#[test]
fn a_picture_of_any_length_is_heard_at_a_cost_of_its_own() {
    for columns in [20, 100] {
        let runner = Runner::new(columns);
        assert_eq!(
            runner.cross[0].shape().as_slice(),
            [1, HEADS, columns / 2, WIDTH / HEADS]
        );
    }
}

#[test]
fn tokens_one_by_one_are_scored_as_all_at_once() {
    let runner = Runner::new(40);
    let (at_once, _) = runner.step(&[3, 17, 5], None);
    assert_eq!(at_once.shape(), [1, 3, WORDS]);
    let mut cache = None;
    for (place, token) in [3, 17, 5].into_iter().enumerate() {
        let (scores, now) = runner.step(&[token], cache);
        cache = Some(now);
        let all = at_once.slice((0, place));
        // rounding depends on what else is rounded
        for (found, expected) in scores.iter().zip(all.iter()) {
            let expected: &f32 = expected;
            assert!(
                (found - expected).abs() < 0.15,
                "{place}: {found} {expected}"
            );
        }
        let spread = scores
            .iter()
            .copied()
            .fold(0.0_f32, |most, score| most.max(score.abs()));
        assert!(spread > 1.0, "{spread}");
    }
}

#[test]
fn weights_that_are_missing_are_named_and_another_kind_is_refused() {
    let whole = small_whisper();
    let renamed = String::from_utf8_lossy(&whole[..30]).replace("WhisperSpec", "BertSpec___");
    let mut other = renamed.into_bytes();
    other.extend(&whole[other.len()..]);
    let error = to_onnx(&other).unwrap_err().to_string();
    assert!(error.contains("BertSpec"), "{error}");
    let at = whole
        .windows(13)
        .position(|name| name == b"conv1/weight\0")
        .unwrap();
    let mut without = whole.clone();
    without[at] = b'x';
    let error = to_onnx(&without).unwrap_err().to_string();
    assert!(
        error.contains("encoder/conv1/weight are missing"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_file_that_is_cut_or_damaged_anywhere_is_refused_or_read_and_never_more(at in 0usize..20_000, value: u8, end in 0usize..200_000) {
        let mut file = small_whisper();
        let end = end.min(file.len());
        let _ = to_onnx(&file[..end]);
        file[at] = value;
        let _ = to_onnx(&file);
    }
}

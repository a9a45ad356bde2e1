//! ONNX after ONNX Runtime's optimiser. `data/optimised.onnx` has one of each node that the optimiser puts into a voice, and
//! `data/optimised.json` what ONNX Runtime 1.32 made of some inputs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::HashMap;

use antiphon_models::optimised::to_onnx;
use rten::{Model, ValueOrView};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;

const OPTIMISED: &[u8] = include_bytes!("data/optimised.onnx");

#[derive(serde::Deserialize)]
struct Reference {
    inputs: HashMap<String, Vec<f32>>,
    outputs: HashMap<String, Vec<f32>>,
}

#[test]
fn nodes_of_the_optimiser_become_standard_ones_that_give_the_same_numbers() {
    let onnx = to_onnx(OPTIMISED).unwrap();
    assert!(!onnx.windows(13).any(|window| window == b"com.microsoft"));
    let model = Model::load(onnx).unwrap();
    let reference: Reference =
        serde_json::from_slice(include_bytes!("data/optimised.json")).unwrap();
    let shape = |name: &str| match name {
        "x" => vec![4, 1, 3],
        "a" => vec![1, 3, 4],
        "b" => vec![3, 2],
        _ => vec![60],
    };
    let inputs = reference.inputs.into_iter().map(|(name, values)| {
        let tensor = Tensor::from_data(shape(&name).as_slice(), values);
        (model.node_id(&name).unwrap(), ValueOrView::from(tensor))
    });
    let names: Vec<String> = reference.outputs.keys().cloned().collect();
    let nodes: Vec<_> = names
        .iter()
        .map(|name| model.node_id(name).unwrap())
        .collect();
    let outputs = model.run(inputs.collect(), &nodes, None).unwrap();
    for (name, output) in names.iter().zip(outputs) {
        let output: Tensor<f32> = output.try_into().unwrap();
        let expected = &reference.outputs[name];
        assert_eq!(output.len(), expected.len(), "{name}");
        for (found, expected) in output.iter().zip(expected) {
            // the runtime rounds an LSTM's inputs to whole numbers on the way, the standard node does not
            assert!(
                (found - expected).abs() < 5e-3,
                "{name}: {found} {expected}"
            );
        }
    }
}

#[test]
fn weights_that_are_not_in_the_file_are_missed() {
    // the same tensor with its numbers taken out: its name stands, and the field of raw numbers is another
    let at = OPTIMISED
        .windows(8)
        .rposition(|window| window[..2] == [0x42, 4] && &window[2..6] == b"bias");
    let at = at.unwrap();
    let mut without = OPTIMISED.to_vec();
    assert_eq!(without[at + 6], 0x4A, "raw_data");
    // field 9 becomes field 12, a comment
    without[at + 6] = 0x62;
    let error = to_onnx(&without).unwrap_err().to_string();
    assert!(error.contains("bias"), "{error}");
}

#[test]
fn a_file_that_is_cut_or_damaged_anywhere_is_refused_or_read_and_never_more() {
    for end in 0..OPTIMISED.len() {
        let _ = to_onnx(&OPTIMISED[..end]);
    }
    for at in 0..OPTIMISED.len() {
        for value in [0, 0xFF] {
            let mut damaged = OPTIMISED.to_vec();
            damaged[at] = value;
            let _ = to_onnx(&damaged);
        }
    }
    assert!(to_onnx(b"").is_err() && to_onnx(&[0xFF; 64]).is_err());
}

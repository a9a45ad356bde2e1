//! ONNX Runtime's format. `data/small.ort` was written by ONNX Runtime 1.32 from a graph of a branch, whose both sides have the
//! same weights, a product with a transposed matrix, and a SiLU: its optimiser makes nodes of its own of the latter two.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use antiphon_models::ort::to_onnx;

const SMALL: &[u8] = include_bytes!("data/small.ort");

#[test]
fn what_the_optimiser_made_is_written_as_standard_operators_and_weights_stand_once() {
    let onnx = to_onnx(SMALL).unwrap();
    let has = |text: &str| {
        onnx.windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    assert!(has("MatMul") && has("Sigmoid") && has("If"));
    assert!(!has("com.microsoft") && !has("QuickGelu") && !has("FusedMatMul"));
    // the last two of the weights
    let end_of_weights: Vec<u8> = [254.0_f32 / 256.0, 255.0 / 256.0]
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    let copies = onnx
        .windows(8)
        .filter(|window| *window == end_of_weights.as_slice())
        .count();
    assert_eq!(copies, 1, "{copies} copies of the same weights");
}

#[test]
fn a_file_that_is_cut_or_damaged_anywhere_is_refused_or_read_and_never_more() {
    for end in 0..SMALL.len() {
        let _ = to_onnx(&SMALL[..end]);
    }
    for at in 0..SMALL.len() {
        for value in [0, 0xFF] {
            let mut damaged = SMALL.to_vec();
            damaged[at] = value;
            let _ = to_onnx(&damaged);
        }
    }
    assert!(to_onnx(b"").is_err() && to_onnx(&[0xFF; 64]).is_err());
}

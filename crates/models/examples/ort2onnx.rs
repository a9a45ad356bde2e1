//! Rewrites a model of ONNX Runtime's optimiser (`.ort` or `.onnx`) with standard operators:
//! `cargo run -p antiphon-models --example ort2onnx -- IN OUT.onnx`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = arguments.as_slice() else {
        return Err("usage: ort2onnx IN OUT.onnx".into());
    };
    let bytes = std::fs::read(from)?;
    let onnx = if from.ends_with(".ort") {
        antiphon_models::ort::to_onnx(&bytes)?
    } else {
        antiphon_models::optimised::to_onnx(&bytes)?
    };
    std::fs::write(to, onnx)?;
    Ok(())
}

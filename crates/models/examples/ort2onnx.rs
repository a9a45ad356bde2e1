//! Rewrites a model in ONNX Runtime's format as ONNX: `cargo run -p antiphon-models --example ort2onnx -- IN.ort OUT.onnx`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = arguments.as_slice() else {
        return Err("usage: ort2onnx IN.ort OUT.onnx".into());
    };
    std::fs::write(to, antiphon_models::ort::to_onnx(&std::fs::read(from)?)?)?;
    Ok(())
}

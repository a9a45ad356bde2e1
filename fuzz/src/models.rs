//! Files of models.

/// ONNX Runtime's format, as a folder that a user names may hold it: it is refused or rewritten.
pub(crate) fn ort(data: &[u8]) {
    let _ = antiphon_models::ort::to_onnx(data);
}

/// A file of the optimiser, from a registry: it is refused or rewritten.
pub(crate) fn onnx(data: &[u8]) {
    let _ = antiphon_models::optimised::to_onnx(data);
}

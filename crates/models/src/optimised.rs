//! An ONNX file that ONNX Runtime's optimiser has gone over: a standard container, with nodes that no other runtime has.

use prost::Message;

use crate::ModelError;
use crate::onnx::{GraphProto, ModelProto, OperatorSetIdProto};
use crate::ort::GELU_OPSET;

/// The same network with standard nodes only.
///
/// # Errors
/// When the file is damaged, or has an operator that is neither standard nor known here.
pub fn to_onnx(bytes: &[u8]) -> Result<Vec<u8>, ModelError> {
    const DAMAGED: ModelError = ModelError::Damaged {
        what: "it is no ONNX file",
    };
    let mut model = ModelProto::decode(bytes).map_err(|_| DAMAGED)?;
    let graph = model.graph.as_mut().ok_or(DAMAGED)?;
    whole(graph)?;
    crate::plain::rewrite(graph)?;
    graph.value_info.clear();
    let version = model
        .opset_import
        .iter()
        .find(|import| import.domain.is_empty())
        .ok_or(DAMAGED)?
        .version;
    model.opset_import = vec![OperatorSetIdProto {
        domain: String::new(),
        version: version.max(GELU_OPSET),
    }];
    Ok(model.encode_to_vec())
}

/// Every weight is in the file: numbers of another kind than those that are read here would be lost without a word.
fn whole(graph: &GraphProto) -> Result<(), ModelError> {
    for tensor in &graph.initializer {
        let is_empty = tensor.dims.contains(&0);
        let has_numbers = !tensor.raw_data.is_empty()
            || !tensor.float_data.is_empty()
            || !tensor.int32_data.is_empty()
            || !tensor.int64_data.is_empty();
        if !is_empty && !has_numbers {
            return Err(ModelError::Unsupported {
                what: format!("the weights {}, which are not in the file", tensor.name),
            });
        }
    }
    Ok(())
}

//! Models in ONNX Runtime's own format (`.ort`), rewritten as ONNX.
//!
//! The format is a FlatBuffers file (`onnxruntime/core/flatbuffers/schema/ort.fbs`, MIT): the graph after ONNX Runtime's
//! optimiser, with nodes of its own that no other runtime has. [`to_onnx`] transcribes the graph; [`crate::plain`] writes the
//! optimiser's nodes as the standard ones they stand for.

use prost::Message;

use crate::ModelError;
use crate::flatbuffer::{Offsets, Table};
use crate::onnx::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, kind,
};

/// Subgraphs in subgraphs: an `If` in a loop is two; a damaged file must not recurse for ever.
const MAX_DEPTH: usize = 8;

/// ONNX's `Gelu` came with this version of the standard operators.
pub(crate) const GELU_OPSET: i64 = 20;

/// The `.onnx` file that says the same as the `.ort` file `bytes`.
///
/// # Errors
/// When the file is damaged, or has an operator that is neither standard nor known here.
pub fn to_onnx(bytes: &[u8]) -> Result<Vec<u8>, ModelError> {
    let model = Table::root(bytes)?.table(1)?.ok_or(ModelError::Damaged {
        what: "there is no model in it",
    })?;
    let graph = model.table(7)?.ok_or(ModelError::Damaged {
        what: "there is no graph in it",
    })?;
    let mut graph = transcribe(graph, 0)?;
    crate::plain::rewrite(&mut graph)?;
    crate::share::weights(&mut graph);
    let model = ModelProto {
        ir_version: 9,
        producer_name: "antiphon".to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: opset(model)?.max(GELU_OPSET),
        }],
    };
    Ok(model.encode_to_vec())
}

/// The version of the standard operators.
fn opset(model: Table<'_>) -> Result<i64, ModelError> {
    for import in model.offsets(1)?.tables() {
        let import = import?;
        if import.string(0)?.is_empty() {
            return import.i64(1);
        }
    }
    Err(ModelError::Damaged {
        what: "it names no operator set",
    })
}

fn transcribe(graph: Table<'_>, depth: usize) -> Result<GraphProto, ModelError> {
    if depth > MAX_DEPTH {
        return Err(ModelError::Damaged {
            what: "its graphs are nested too deep",
        });
    }
    let initializer = graph
        .offsets(0)?
        .tables()
        .map(|tensor| transcribe_tensor(tensor?))
        .collect::<Result<Vec<_>, _>>()?;
    let values = graph
        .offsets(1)?
        .tables()
        .map(|value| transcribe_value(value?))
        .collect::<Result<Vec<_>, _>>()?;
    let named = |names: Offsets<'_>| {
        names
            .strings()
            .map(|name| {
                let name = name?;
                let known = values.iter().find(|value| value.name == name).cloned();
                Ok(known.unwrap_or_else(|| ValueInfoProto {
                    name: name.to_owned(),
                    r#type: None,
                }))
            })
            .collect::<Result<Vec<_>, ModelError>>()
    };
    let mut input = named(graph.offsets(5)?)?;
    input.retain(|value| initializer.iter().all(|tensor| tensor.name != value.name));
    Ok(GraphProto {
        node: graph
            .offsets(2)?
            .tables()
            .map(|node| transcribe_node(node?, depth))
            .collect::<Result<_, _>>()?,
        name: "graph".to_owned(),
        input,
        output: named(graph.offsets(6)?)?,
        initializer,
        value_info: Vec::new(),
    })
}

fn transcribe_node(node: Table<'_>, depth: usize) -> Result<NodeProto, ModelError> {
    let strings = |number| {
        node.offsets(number)?
            .strings()
            .map(|name| Ok(name?.to_owned()))
            .collect::<Result<Vec<_>, ModelError>>()
    };
    Ok(NodeProto {
        input: strings(8)?,
        output: strings(9)?,
        name: String::new(),
        op_type: node.string(5)?.to_owned(),
        attribute: node
            .offsets(10)?
            .tables()
            .map(|attribute| transcribe_attribute(attribute?, depth))
            .collect::<Result<_, _>>()?,
        domain: node.string(2)?.to_owned(),
    })
}

fn transcribe_attribute(attribute: Table<'_>, depth: usize) -> Result<AttributeProto, ModelError> {
    let mut proto = AttributeProto {
        name: attribute.string(0)?.to_owned(),
        kind: attribute.i32(2)?,
        ..AttributeProto::default()
    };
    match proto.kind {
        kind::FLOAT => proto.f = attribute.f32(3)?,
        kind::INT => proto.i = attribute.i64(4)?,
        kind::STRING => proto.s = attribute.string(5)?.as_bytes().to_vec(),
        kind::TENSOR => proto.t = attribute.table(6)?.map(transcribe_tensor).transpose()?,
        kind::GRAPH => {
            proto.g = attribute
                .table(7)?
                .map(|graph| transcribe(graph, depth + 1))
                .transpose()?
        }
        kind::FLOATS => proto.floats = attribute.f32s(8)?,
        kind::INTS => proto.ints = attribute.i64s(9)?,
        kind::STRINGS => {
            proto.strings = attribute
                .offsets(10)?
                .strings()
                .map(|text| Ok(text?.as_bytes().to_vec()))
                .collect::<Result<_, ModelError>>()?;
        }
        _ => {
            return Err(ModelError::Unsupported {
                what: format!("attribute {} of kind {}", proto.name, proto.kind),
            });
        }
    }
    Ok(proto)
}

fn transcribe_tensor(tensor: Table<'_>) -> Result<TensorProto, ModelError> {
    Ok(TensorProto {
        name: tensor.string(0)?.to_owned(),
        dims: tensor.i64s(2)?,
        data_type: tensor.i32(3)?,
        raw_data: tensor.bytes(4)?.to_vec(),
        ..TensorProto::default()
    })
}

/// A named value with its element type and shape, where the file says them.
fn transcribe_value(value: Table<'_>) -> Result<ValueInfoProto, ModelError> {
    /// `TypeInfoValue.tensor_type`.
    const TENSOR: u8 = 1;
    let name = value.string(0)?.to_owned();
    let tensor = match value.table(2)? {
        Some(info) if info.u8(1)? == TENSOR => info.table(2)?,
        _ => None,
    };
    let Some(tensor) = tensor else {
        return Ok(ValueInfoProto { name, r#type: None });
    };
    let shape = tensor.table(1)?.map(transcribe_shape).transpose()?;
    let tensor_type = TensorTypeProto {
        elem_type: tensor.i32(0)?,
        shape,
    };
    Ok(ValueInfoProto {
        name,
        r#type: Some(TypeProto {
            tensor_type: Some(tensor_type),
        }),
    })
}

fn transcribe_shape(shape: Table<'_>) -> Result<TensorShapeProto, ModelError> {
    let dimension = |dimension: Table<'_>| -> Result<DimensionProto, ModelError> {
        let Some(value) = dimension.table(0)? else {
            return Ok(DimensionProto::default());
        };
        let name = value.string(2)?;
        Ok(match name {
            "" => DimensionProto {
                dim_value: Some(value.i64(1)?),
                dim_param: None,
            },
            name => DimensionProto {
                dim_value: None,
                dim_param: Some(name.to_owned()),
            },
        })
    };
    let dim = shape
        .offsets(0)?
        .tables()
        .map(|each| dimension(each?))
        .collect::<Result<_, _>>()?;
    Ok(TensorShapeProto { dim })
}

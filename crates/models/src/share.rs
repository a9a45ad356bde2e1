//! Weights that stand in a model more than once are kept once.
//!
//! Both branches of a decoder's `If` (with and without a cache) carry all weights. The outer graph's values are visible in
//! its subgraphs, so a weight of a subgraph moves outwards, and equal ones become one: half the file, half the memory.

use std::collections::HashMap;

use crate::onnx::{GraphProto, TensorProto};

/// Smaller constants stay where they are: moving them saves nothing.
const MIN_BYTES: usize = 1024;

/// Moves the large weights of all subgraphs into `graph`, equal ones once.
pub(crate) fn weights(graph: &mut GraphProto) {
    let mut shared = Shared::default();
    for node in &mut graph.node {
        for subgraph in node
            .attribute
            .iter_mut()
            .filter_map(|attribute| attribute.g.as_mut())
        {
            shared.take_from(subgraph);
        }
    }
    graph.initializer.extend(shared.tensors);
}

type Key = (i32, Vec<i64>, Vec<u8>);

#[derive(Default)]
struct Shared {
    tensors: Vec<TensorProto>,
    /// The place in `tensors` of each content.
    places: HashMap<Key, usize>,
}

impl Shared {
    fn take_from(&mut self, graph: &mut GraphProto) {
        let mut renamed = HashMap::new();
        let (large, small) = std::mem::take(&mut graph.initializer)
            .into_iter()
            .partition(|tensor| tensor.raw_data.len() >= MIN_BYTES);
        graph.initializer = small;
        let large: Vec<TensorProto> = large;
        for tensor in large {
            let old = tensor.name.clone();
            renamed.insert(old, self.place(tensor));
        }
        rename(graph, &renamed);
        for node in &mut graph.node {
            for subgraph in node
                .attribute
                .iter_mut()
                .filter_map(|attribute| attribute.g.as_mut())
            {
                self.take_from(subgraph);
            }
        }
    }

    /// The name under which `tensor` is kept.
    fn place(&mut self, mut tensor: TensorProto) -> String {
        let key = (
            tensor.data_type,
            tensor.dims.clone(),
            tensor.raw_data.clone(),
        );
        let next = self.tensors.len();
        let place = *self.places.entry(key).or_insert(next);
        let name = format!("shared_{place}");
        if place == next {
            tensor.name.clone_from(&name);
            self.tensors.push(tensor);
        }
        name
    }
}

/// Renames inputs of nodes and outputs of `graph`, and of the subgraphs that see them.
fn rename(graph: &mut GraphProto, names: &HashMap<String, String>) {
    for node in &mut graph.node {
        for input in &mut node.input {
            if let Some(name) = names.get(input) {
                input.clone_from(name);
            }
        }
        for subgraph in node
            .attribute
            .iter_mut()
            .filter_map(|attribute| attribute.g.as_mut())
        {
            rename(subgraph, names);
        }
    }
    for output in &mut graph.output {
        if let Some(name) = names.get(&output.name) {
            output.name.clone_from(name);
        }
    }
}

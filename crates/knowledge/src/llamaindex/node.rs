//! Nodes as `docstore.json` has them, and what LlamaIndex makes of them: their texts under each metadata mode, and their hashes.

use aws_lc_rs::digest;
use serde_json::{Map, Value};

use super::json::{Cursor, without_nan};
use super::python;
use crate::chunk::Chunk;

/// Which metadata stand in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataMode {
    /// None: the bare text.
    None,
    /// Those for the model.
    Llm,
    /// Those for embedding.
    Embed,
    /// All.
    All,
}

/// What a node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// `TextNode`.
    #[default]
    Text,
    /// `ImageNode`.
    Image,
    /// `IndexNode`: it stands for another.
    Index,
    /// `Document`.
    Document,
    /// `Node`, of several media.
    Node,
}

impl Kind {
    /// The digit in `__type__`.
    fn from_type(kind: &str) -> Option<Self> {
        Some(match kind {
            "1" => Self::Text,
            "2" => Self::Image,
            "3" => Self::Index,
            "4" => Self::Document,
            "5" => Self::Node,
            _ => return None,
        })
    }
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// Its bare text.
    pub text: String,
    /// What else is known of it.
    pub metadata: Map<String, Value>,
    /// Keys that are left out of the text for embedding.
    pub excluded_embed: Vec<String>,
    /// Keys that are left out of the text for the model.
    pub excluded_llm: Vec<String>,
    /// How a key and its value are written; `None`: `{key}: {value}`.
    pub metadata_template: Option<String>,
    /// What stands between them; `None`: a new line.
    pub metadata_separator: Option<String>,
    /// How metadata and text are put together; `None`: an empty line between them.
    pub text_template: Option<String>,
    /// The document that it comes from.
    pub source: Option<String>,
    /// The node before it.
    pub previous: Option<String>,
    /// The node after it.
    pub next: Option<String>,
    /// The larger node that it is a part of.
    pub parent: Option<String>,
    /// Its parts.
    pub children: Vec<String>,
    /// The node that an `IndexNode` stands for.
    pub index_id: Option<String>,
}

impl Node {
    /// The text under a metadata mode (`get_content`).
    pub fn content(&self, mode: MetadataMode) -> String {
        let metadata = self.metadata_str(mode);
        let metadata = metadata.trim();
        if metadata.is_empty() || mode == MetadataMode::None {
            return self.text.clone();
        }
        let template = self
            .text_template
            .as_deref()
            .unwrap_or("{metadata_str}\n\n{content}");
        fill(
            template,
            &[("{metadata_str}", metadata), ("{content}", &self.text)],
        )
        .trim()
        .to_owned()
    }

    /// The metadata as text.
    pub fn metadata_str(&self, mode: MetadataMode) -> String {
        let excluded: &[String] = match mode {
            MetadataMode::None => return String::new(),
            MetadataMode::Llm => &self.excluded_llm,
            MetadataMode::Embed => &self.excluded_embed,
            MetadataMode::All => &[],
        };
        let template = self
            .metadata_template
            .as_deref()
            .unwrap_or("{key}: {value}");
        let lines: Vec<String> = self
            .metadata
            .iter()
            .filter(|(key, _)| !excluded.contains(key))
            .map(|(key, value)| {
                fill(
                    template,
                    &[("{key}", key), ("{value}", &python::str(value))],
                )
            })
            .collect();
        lines.join(self.metadata_separator.as_deref().unwrap_or("\n"))
    }

    /// The hash of a `TextNode`, by which LlamaIndex knows that two are the same.
    pub fn hash(&self) -> String {
        text_hash(&self.text, &self.metadata)
    }

    /// What the model and a person are given of it.
    pub fn chunk(&self) -> Chunk {
        let text = |key: &str| self.metadata.get(key).and_then(Value::as_str);
        let source = ["file_name", "title", "url", "source", "file_path"]
            .iter()
            .find_map(|key| text(key));
        let source = source.unwrap_or(&self.id);
        let page = ["page_label", "page", "page_number"]
            .iter()
            .find_map(|key| self.metadata.get(*key));
        // a node that was cut around a sentence is given with its surroundings
        let window = text("window").filter(|_| self.metadata.contains_key("original_text"));
        Chunk {
            text: window.map_or_else(|| self.content(MetadataMode::Llm), str::to_owned),
            source: source.rsplit('/').next().unwrap_or(source).to_owned(),
            page: page.filter(|page| !page.is_null()).map(python::str),
            id: Some(self.id.clone()),
            metadata: self.metadata.clone(),
        }
    }
}

/// The hash of a `TextNode` of this text and metadata.
pub(super) fn text_hash(text: &str, metadata: &Map<String, Value>) -> String {
    let metadata = python::repr(&Value::Object(metadata.clone()));
    sha256(&format!("{text}{metadata}"))
}

/// SHA-256 in small hexadecimal letters.
pub fn sha256(text: &str) -> String {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    hash.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A template filled in one pass, so that braces in a value stay what they are.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(first) = rest.chars().next() {
        if let Some((after, value)) = values
            .iter()
            .find_map(|(name, value)| Some((rest.strip_prefix(name)?, value)))
        {
            out.push_str(value);
            rest = after;
        } else {
            out.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

/// The nodes of a docstore, in its order, those without words too; and what could not be read, in words.
///
/// # Errors
/// Not JSON, in words.
pub fn parse(docstore: &str) -> Result<(Vec<Node>, Vec<String>), String> {
    let mut nodes = Vec::new();
    let mut warnings = Vec::new();
    let mut cursor = Cursor::new(docstore);
    cursor.object(|collection, cursor| {
        if collection != "docstore/data" {
            return Ok(());
        }
        cursor.object(|id, cursor| {
            // one node at a time: the tree of a whole docstore is several times its text
            let entry = cursor.value()?;
            let entry: Value = serde_json::from_str(&without_nan(entry))
                .map_err(|error| format!("node {id} is not JSON: {error}"))?;
            let kind = entry
                .get("__type__")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let data = entry.get("__data__").and_then(Value::as_object);
            match (Kind::from_type(kind), data) {
                (Some(kind), Some(data)) => nodes.push(node(id, kind, data)),
                _ => warnings.push(format!("node {id} of unknown kind `{kind}` is left out")),
            }
            Ok(())
        })
    })?;
    cursor.end()?;
    Ok((nodes, warnings))
}

/// A node of the data that LlamaIndex writes of it, of whatever release.
pub fn node(id: String, kind: Kind, data: &Map<String, Value>) -> Node {
    let metadata = data.get("metadata").or_else(|| data.get("extra_info"));
    let string = |key: &str| data.get(key).and_then(Value::as_str).map(str::to_owned);
    let strings = |key: &str| {
        let items = data
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        items
            .filter_map(|item| Some(item.as_str()?.to_owned()))
            .collect()
    };
    let related = |key: &str| data.get("relationships")?.get(key);
    let one = |key: &str| related(key).and_then(related_id);
    let resource = || data.get("text_resource")?.get("text")?.as_str();
    Node {
        id,
        kind,
        text: string("text")
            .or_else(|| resource().map(str::to_owned))
            .unwrap_or_default(),
        metadata: metadata
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default(),
        excluded_embed: strings("excluded_embed_metadata_keys"),
        excluded_llm: strings("excluded_llm_metadata_keys"),
        metadata_template: string("metadata_template"),
        metadata_separator: string("metadata_separator").or_else(|| string("metadata_seperator")),
        text_template: string("text_template"),
        source: one("1"),
        previous: one("2"),
        next: one("3"),
        parent: one("4"),
        children: related("5")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(related_id)
            .collect(),
        index_id: string("index_id"),
    }
}

/// A relation is an object with the id; before 0.7 it was the id.
fn related_id(relation: &Value) -> Option<String> {
    let id = relation.get("node_id").unwrap_or(relation);
    id.as_str().map(str::to_owned)
}

/// The pieces of text of a `property_graph_store.json`.
///
/// # Errors
/// Not JSON, in words.
pub fn of_graph(store: &str) -> Result<Vec<Node>, String> {
    let mut nodes = Vec::new();
    let mut cursor = Cursor::new(store);
    cursor.object(|part, cursor| {
        if part != "nodes" {
            return Ok(());
        }
        cursor.object(|id, cursor| {
            let entry: Value = serde_json::from_str(&without_nan(cursor.value()?))
                .map_err(|error| format!("node {id} is not JSON: {error}"))?;
            let properties = entry.get("properties").and_then(Value::as_object);
            let text = entry.get("text").and_then(Value::as_str);
            if let (Some(properties), Some(text)) = (properties, text) {
                nodes.push(of_metadata(id, properties, text));
            }
            Ok(())
        })
    })?;
    cursor.end()?;
    Ok(nodes)
}

/// A node as vector databases and graphs keep it: flat metadata, in which `_node_content` is the node's own data, and the text
/// beside it. Rows that others wrote have no such key: their metadata are the node's.
pub fn of_metadata(id: String, metadata: &Map<String, Value>, text: &str) -> Node {
    let content = metadata.get("_node_content").and_then(Value::as_str);
    let content: Option<Map<String, Value>> =
        content.and_then(|content| serde_json::from_str(&without_nan(content)).ok());
    let mut node = match content {
        Some(content) => {
            let kind = match metadata.get("_node_type").and_then(Value::as_str) {
                Some("ImageNode") => Kind::Image,
                Some("IndexNode") => Kind::Index,
                Some("Document") => Kind::Document,
                Some("Node") => Kind::Node,
                _ => Kind::Text,
            };
            node(id, kind, &content)
        }
        None => Node {
            id,
            metadata: metadata
                .iter()
                .filter(|(key, _)| !key.starts_with('_'))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            ..Node::default()
        },
    };
    if node.text.is_empty() {
        text.clone_into(&mut node.text);
    }
    node
}

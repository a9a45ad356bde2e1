//! A storage directory written as `storage_context.persist` writes it, so that LlamaIndex (0.9 to today) loads and queries it; and kept
//! current: documents come and go by their ids, and one that has not changed is not embedded again (`refresh_ref_docs`).

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::document::Cut;
pub use super::document::Document;
use super::json::{Cursor, without_nan};
use super::node::text_hash;
use super::python;
use crate::split::{SplitError, Splitter};

/// The id of the index, unless another is there.
pub const INDEX_ID: &str = "antiphon";
/// What else is known of a directory that was written here.
pub const ABOUT: &str = "antiphon.json";
const DOCSTORE: &str = "docstore.json";
const INDEX_STORE: &str = "index_store.json";
const VECTOR_STORE: &str = "default__vector_store.json";

/// Why a directory cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file cannot be read or written.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: String,
        /// Why.
        reason: String,
    },
    /// A document cannot be cut.
    #[error("{document}: {reason}")]
    Document {
        /// Which.
        document: String,
        /// Why.
        reason: SplitError,
    },
    /// It was made otherwise than is wanted now.
    #[error(
        "{path} was made with {there}, and {asked} is asked for; use the same, or build a new one"
    )]
    Other {
        /// The directory.
        path: String,
        /// With what it was made.
        there: String,
        /// What is asked for.
        asked: String,
    },
}

/// What happened to a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// It was there, otherwise.
    Changed,
    /// It was there, and is the same.
    Same,
}

/// A storage directory in memory, to be changed and written.
#[derive(Debug)]
pub struct Writer {
    index_id: String,
    hashes: Map<String, Value>,
    documents: Map<String, Value>,
    data: Map<String, Value>,
    nodes: Map<String, Value>,
    /// Vectors as they stand in the file: numbers that Python wrote stay what they are.
    vectors: Vec<(String, String)>,
    sources: Map<String, Value>,
    metadata: Map<String, Value>,
    /// What is embedded of nodes that have no vector yet.
    wanted: Vec<(String, String)>,
    /// With what it was made.
    about: Map<String, Value>,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            index_id: INDEX_ID.into(),
            hashes: Map::new(),
            documents: Map::new(),
            data: Map::new(),
            nodes: Map::new(),
            vectors: Vec::new(),
            sources: Map::new(),
            metadata: Map::new(),
            wanted: Vec::new(),
            about: Map::new(),
        }
    }
}

impl Writer {
    /// The directory as it is; empty when there is none.
    ///
    /// # Errors
    /// A file cannot be read, or holds several indexes.
    pub fn open(folder: &Path) -> Result<Self, WriteError> {
        let mut writer = Self::default();
        if !folder.join(DOCSTORE).exists() {
            return Ok(writer);
        }
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(|error| failed(&path, &error))
        };
        let wrong = |name: &str, reason: String| failed(&folder.join(name), &reason);
        let object = |name: &str, text: &str| -> Result<Map<String, Value>, WriteError> {
            serde_json::from_str(&without_nan(text)).map_err(|error| wrong(name, error.to_string()))
        };
        let mut docstore = object(DOCSTORE, &read(DOCSTORE)?)?;
        let mut take = |key: &str| match docstore.remove(key) {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        };
        writer.hashes = take("docstore/metadata");
        writer.documents = take("docstore/ref_doc_info");
        writer.data = take("docstore/data");
        let indexes = object(INDEX_STORE, &read(INDEX_STORE)?)?;
        let indexes = indexes.get("index_store/data").and_then(Value::as_object);
        let mut indexes = indexes.into_iter().flatten();
        if let Some((id, entry)) = indexes.next() {
            if indexes.next().is_some() {
                return Err(wrong(
                    INDEX_STORE,
                    "it holds several indexes; only directories with one are changed".into(),
                ));
            }
            let kind = entry
                .get("__type__")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if kind != "vector_store" {
                return Err(wrong(
                    INDEX_STORE,
                    format!("its index is of kind `{kind}`; only vector indexes are changed"),
                ));
            }
            id.clone_into(&mut writer.index_id);
            let data = entry
                .get("__data__")
                .and_then(Value::as_str)
                .unwrap_or("{}");
            let mut data = object(INDEX_STORE, data)?;
            if let Some(Value::Object(nodes)) = data.remove("nodes_dict") {
                writer.nodes = nodes;
            }
        }
        writer
            .read_vectors(&read(VECTOR_STORE)?)
            .map_err(|reason| wrong(VECTOR_STORE, reason))?;
        if let Ok(about) = read(ABOUT) {
            writer.about = object(ABOUT, &about)?;
        }
        Ok(writer)
    }

    fn read_vectors(&mut self, text: &str) -> Result<(), String> {
        let mut cursor = Cursor::new(text);
        cursor.object(|part, cursor| match part.as_str() {
            "embedding_dict" => cursor.object(|id, cursor| {
                self.vectors.push((id, cursor.value()?.to_owned()));
                Ok(())
            }),
            "text_id_to_ref_doc_id" | "metadata_dict" => {
                let map = serde_json::from_str(&without_nan(cursor.value()?))
                    .map_err(|error| error.to_string())?;
                match part.as_str() {
                    "metadata_dict" => self.metadata = map,
                    _ => self.sources = map,
                }
                Ok(())
            }
            _ => Ok(()),
        })
    }

    /// Say with what it is made, or that it was made otherwise.
    ///
    /// # Errors
    /// [`WriteError::Other`].
    pub fn made_with(&mut self, folder: &Path, key: &str, value: &str) -> Result<(), WriteError> {
        match self.noted(key) {
            Some(there) if there != value && !self.data.is_empty() => Err(WriteError::Other {
                path: folder.display().to_string(),
                there: format!("{key} {there}"),
                asked: value.to_owned(),
            }),
            _ => {
                self.note(key, value);
                Ok(())
            }
        }
    }

    /// What was noted of it under this key.
    pub fn noted(&self, key: &str) -> Option<&str> {
        self.about.get(key).and_then(Value::as_str)
    }

    /// Note something of it, in place of what was noted under this key.
    pub fn note(&mut self, key: &str, value: &str) {
        self.about.insert(key.into(), value.into());
    }

    /// The ids of its documents.
    pub fn documents(&self) -> Vec<String> {
        self.documents.keys().cloned().collect()
    }

    /// How many nodes it has.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Add a document, or put it in the place of the one with its id; one that is the same stays.
    ///
    /// # Errors
    /// [`WriteError::Document`].
    pub fn put(&mut self, document: &Document, splitter: &Splitter) -> Result<Change, WriteError> {
        let hash = document.hash();
        let known = self
            .hashes
            .get(&document.id)
            .and_then(|known| known.get("doc_hash"));
        let change = match known.and_then(Value::as_str) {
            Some(known) if known == hash => return Ok(Change::Same),
            Some(_) => Change::Changed,
            None => Change::Added,
        };
        let cuts = document
            .cut(splitter)
            .map_err(|reason| WriteError::Document {
                document: document.id.clone(),
                reason,
            })?;
        self.delete(&document.id);
        self.hashes
            .insert(document.id.clone(), json!({"doc_hash": hash}));
        let ids: Vec<&str> = cuts.iter().map(|cut| cut.id.as_str()).collect();
        self.documents.insert(
            document.id.clone(),
            json!({"node_ids": ids, "metadata": cuts.last().map_or(&document.metadata, |cut| &cut.metadata)}),
        );
        for number in 0..cuts.len() {
            self.add(document, &hash, &cuts, number);
        }
        Ok(change)
    }

    fn add(&mut self, document: &Document, hash: &str, cuts: &[Cut], number: usize) {
        let Some(cut) = cuts.get(number) else { return };
        let related = |id: &str, kind: &str, metadata: &Map<String, Value>, hash: &str| json!({"node_id": id, "node_type": kind, "metadata": metadata, "hash": hash, "class_name": "RelatedNodeInfo"});
        let mut relationships = Map::new();
        relationships.insert(
            "1".into(),
            related(&document.id, "4", &document.metadata, hash),
        );
        if let Some(before) = number.checked_sub(1).and_then(|before| cuts.get(before)) {
            let hash = text_hash(&before.text, &before.metadata);
            relationships.insert(
                "2".into(),
                related(&before.id, "1", &before.metadata, &hash),
            );
        }
        if let Some(after) = cuts.get(number + 1) {
            // LlamaIndex links a node before the next one has the document's metadata
            relationships.insert(
                "3".into(),
                related(
                    &after.id,
                    "1",
                    &after.own,
                    &text_hash(&after.text, &after.own),
                ),
            );
        }
        let data = json!({
            "id_": cut.id, "embedding": null, "metadata": cut.metadata, "excluded_embed_metadata_keys": cut.hidden, "excluded_llm_metadata_keys": cut.hidden,
            "relationships": relationships, "metadata_template": "{key}: {value}", "metadata_separator": "\n", "text": cut.text,
            "mimetype": "text/plain", "start_char_idx": cut.span.map(|(start, _)| start), "end_char_idx": cut.span.map(|(_, end)| end),
            "text_template": "{metadata_str}\n\n{content}", "class_name": "TextNode",
        });
        self.data
            .insert(cut.id.clone(), json!({"__data__": data, "__type__": "1"}));
        let hash = text_hash(&cut.text, &cut.metadata);
        self.hashes.insert(
            cut.id.clone(),
            json!({"doc_hash": hash, "ref_doc_id": document.id}),
        );
        self.nodes.insert(cut.id.clone(), cut.id.clone().into());
        self.sources
            .insert(cut.id.clone(), document.id.clone().into());
        let mut metadata = cut.metadata.clone();
        metadata.insert("_node_type".into(), "TextNode".into());
        for key in ["document_id", "doc_id", "ref_doc_id"] {
            metadata.insert(key.into(), document.id.clone().into());
        }
        self.metadata
            .insert(cut.id.clone(), Value::Object(metadata));
        self.wanted.push((cut.id.clone(), cut.embedded()));
    }

    /// Take a document and its nodes out; `false`: it was not there.
    pub fn delete(&mut self, document: &str) -> bool {
        let known = self.documents.shift_remove(document);
        self.hashes.shift_remove(document);
        let nodes: Vec<String> = known
            .as_ref()
            .and_then(|known| known.get("node_ids").or_else(|| known.get("doc_ids")))
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|id| Some(id.as_str()?.to_owned()))
            .collect();
        for id in &nodes {
            for map in [
                &mut self.hashes,
                &mut self.data,
                &mut self.nodes,
                &mut self.sources,
                &mut self.metadata,
            ] {
                map.shift_remove(id);
            }
        }
        self.vectors.retain(|(id, _)| !nodes.contains(id));
        self.wanted.retain(|(id, _)| !nodes.contains(id));
        known.is_some()
    }

    /// What is to be embedded, in order.
    pub fn wanted(&self) -> Vec<String> {
        self.wanted.iter().map(|(_, text)| text.clone()).collect()
    }

    /// The vectors of what was wanted, in the same order.
    pub fn embedded(&mut self, vectors: Vec<Vec<f32>>) {
        for ((id, _), vector) in std::mem::take(&mut self.wanted).into_iter().zip(vectors) {
            let numbers: Vec<String> = vector
                .iter()
                .map(|value| python::float(f64::from(*value)))
                .collect();
            self.vectors.push((id, format!("[{}]", numbers.join(", "))));
        }
    }

    /// Write the directory. Each file is written beside its place and takes it whole; a reader that comes between two of them sees an
    /// index whose nodes are there, since what it refers to is written first.
    ///
    /// # Errors
    /// [`WriteError::File`].
    pub fn write(&self, folder: &Path) -> Result<(), WriteError> {
        fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
        let put = |name: &str, write: &dyn Fn(&mut dyn io::Write) -> io::Result<()>| {
            let path = folder.join(name);
            let part = folder.join(format!(".{name}.part"));
            let file = fs::File::create(&part).map_err(|error| failed(&part, &error))?;
            let mut file = io::BufWriter::new(file);
            write(&mut file)
                .and_then(|()| file.flush())
                .and_then(|()| fs::rename(&part, &path))
                .map_err(|error| failed(&path, &error))
        };
        let text = |text: String| move |file: &mut dyn io::Write| file.write_all(text.as_bytes());
        put(VECTOR_STORE, &|file| self.write_vectors(file))?;
        let docstore = json!({"docstore/metadata": self.hashes, "docstore/ref_doc_info": self.documents, "docstore/data": self.data});
        put(DOCSTORE, &text(python::dumps(&docstore)))?;
        let index = json!({"index_id": self.index_id, "summary": null, "nodes_dict": self.nodes, "doc_id_dict": {}, "embeddings_dict": {}});
        let mut indexes = Map::new();
        indexes.insert(
            self.index_id.clone(),
            json!({"__type__": "vector_store", "__data__": python::dumps(&index)}),
        );
        put(
            INDEX_STORE,
            &text(python::dumps(&json!({"index_store/data": indexes}))),
        )?;
        put("graph_store.json", &text(r#"{"graph_dict": {}}"#.into()))?;
        put(
            "image__vector_store.json",
            &text(
                r#"{"embedding_dict": {}, "text_id_to_ref_doc_id": {}, "metadata_dict": {}}"#
                    .into(),
            ),
        )?;
        put(
            ABOUT,
            &text(python::dumps(&Value::Object(self.about.clone()))),
        )
    }

    fn write_vectors(&self, file: &mut dyn io::Write) -> io::Result<()> {
        file.write_all(b"{\"embedding_dict\": {")?;
        let mut quoted = String::new();
        for (at, (id, numbers)) in self.vectors.iter().enumerate() {
            quoted.clear();
            python::quote(id, &mut quoted);
            let comma = if at > 0 { ", " } else { "" };
            write!(file, "{comma}{quoted}: {numbers}")?;
        }
        let sources = Value::Object(self.sources.clone());
        let metadata = Value::Object(self.metadata.clone());
        write!(
            file,
            "}}, \"text_id_to_ref_doc_id\": {}, \"metadata_dict\": {}}}",
            python::dumps(&sources),
            python::dumps(&metadata)
        )
    }
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> WriteError {
    WriteError::File {
        path: path.display().to_string(),
        reason: error.to_string(),
    }
}

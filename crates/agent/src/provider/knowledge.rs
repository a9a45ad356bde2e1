//! Knowledge: passages for a question.

use std::time::Duration;

use antiphon_chat::Passage;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::BoxFuture;

/// Something that can be searched.
pub trait Knowledge: Send + Sync + 'static {
    /// The best passages for a question; none when nothing fits. Whoever asks drops the future when `retrieval_budget` is over.
    fn search(&self, query: Query) -> BoxFuture<'_, Found>;
}

/// What a search gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Best first; empty when nothing fits.
    pub passages: Vec<Passage>,
    /// Why something could not be searched, without secrets: a database is away, a service was too slow. What others gave is in
    /// `passages` all the same.
    pub failure: Option<String>,
}

impl Found {
    /// Nothing, because of this.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self {
            passages: Vec::new(),
            failure: Some(reason.into()),
        }
    }
}

impl From<Vec<Passage>> for Found {
    fn from(passages: Vec<Passage>) -> Self {
        Self {
            passages,
            failure: None,
        }
    }
}

/// What is looked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// The question, in the caller's words or the model's.
    pub text: String,
    /// What the caller said before, oldest first: "and on Sunday?" means nothing without it.
    pub before: Vec<String>,
    /// At most this many passages; `None`: as many as the source gives by itself.
    pub top_k: Option<usize>,
    /// Only passages whose metadata fit. What a source itself is limited to always counts too.
    pub filter: Option<Filter>,
    /// For whom: sources that serve several give only what is theirs.
    pub tenant: Option<String>,
    /// How long somebody waits for the answer: a source with a slow and a quick way takes the quick one in time.
    pub budget: Option<Duration>,
}

impl Query {
    /// The bare question.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }
}

impl From<&str> for Query {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// A condition on a passage's metadata, in the shape of LlamaIndex's `MetadataFilters`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Filter {
    /// Several, joined.
    Group {
        /// The parts.
        filters: Vec<Filter>,
        /// How they are joined.
        #[serde(default)]
        condition: FilterCondition,
    },
    /// One.
    Term(MetadataFilter),
}

/// How conditions are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FilterCondition {
    /// All of them.
    #[default]
    And,
    /// At least one.
    Or,
    /// None of them.
    Not,
}

/// One key compared with one value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetadataFilter {
    /// The key.
    pub key: String,
    /// The value that it is compared with.
    #[serde(default)]
    pub value: Value,
    /// How.
    #[serde(default)]
    pub operator: FilterOperator,
}

/// How a key's value is compared; LlamaIndex's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FilterOperator {
    /// Equal.
    #[default]
    #[serde(rename = "==")]
    Eq,
    /// Greater.
    #[serde(rename = ">")]
    Gt,
    /// Less.
    #[serde(rename = "<")]
    Lt,
    /// Not equal; also when the key is missing.
    #[serde(rename = "!=")]
    Ne,
    /// Greater or equal.
    #[serde(rename = ">=")]
    Gte,
    /// Less or equal.
    #[serde(rename = "<=")]
    Lte,
    /// One of the values.
    #[serde(rename = "in")]
    In,
    /// None of the values; also when the key is missing.
    #[serde(rename = "nin")]
    Nin,
    /// The key's list has one of the values.
    #[serde(rename = "any")]
    Any,
    /// The key's list has all of the values.
    #[serde(rename = "all")]
    All,
    /// The key's list has the value.
    #[serde(rename = "contains")]
    Contains,
    /// The key's text has the value in it.
    #[serde(rename = "text_match")]
    TextMatch,
    /// The same, capital letters or not.
    #[serde(rename = "text_match_insensitive")]
    TextMatchInsensitive,
    /// The key is missing, or its value is empty.
    #[serde(rename = "is_empty")]
    IsEmpty,
}

impl Filter {
    /// Both must hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::Group {
            filters: vec![self, other],
            condition: FilterCondition::And,
        }
    }

    /// A key has this value.
    pub fn equals(key: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::Term(MetadataFilter {
            key: key.into(),
            value: value.into(),
            operator: FilterOperator::Eq,
        })
    }
}

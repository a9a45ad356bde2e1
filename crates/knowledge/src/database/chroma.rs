//! Chroma as `ChromaVectorStore` fills it, over the second version of its HTTP interface. A collection is asked by its id; the score is
//! `exp(-distance)`.

use antiphon_agent::provider::{FilterCondition, FilterOperator, MetadataFilter};
use serde_json::{Map, Value, json};

use super::rest::{Call, Description, Dialect, Target};
use super::store::{DatabaseError, Hit};
use crate::meaning::MIN_COSINE;

pub(super) const DIALECT: Dialect = Dialect {
    name: "Chroma",
    collection: None,
    key: ("x-chroma-token", ""),
    describe: |target| Call {
        path: path(target, &[&target.collection]),
        body: None,
    },
    described: |answer| {
        let configured = |space: &str| {
            answer
                .pointer(&format!("/configuration_json/{space}/space"))?
                .as_str()
        };
        // a setting of the metadata is older than that of the configuration
        let space = answer
            .pointer("/metadata/hnsw:space")
            .and_then(Value::as_str);
        let space = space
            .or_else(|| configured("hnsw"))
            .or_else(|| configured("spann"));
        // of vectors of length 1 the squared distance is 2 - 2 * cosine
        let floor = match space.unwrap_or("l2") {
            "l2" => Some((2.0 * MIN_COSINE - 2.0).exp()),
            "cosine" => Some((MIN_COSINE - 1.0).exp()),
            _ => None,
        };
        let width = answer.get("dimension").and_then(Value::as_u64);
        Some(Description {
            width: width.and_then(|width| usize::try_from(width).ok()),
            handle: answer.get("id")?.as_str()?.to_owned(),
            floor,
            ..Description::default()
        })
    },
    term,
    group,
    nearest: |target, description, question| {
        let call = Call {
            path: path(target, &[&description.handle, "query"]),
            body: Some(json!({
                "query_embeddings": [question.vector],
                "n_results": question.top_k,
                "include": ["metadatas", "documents", "distances"],
            })),
        };
        call.with("where", question.filter.clone())
    },
    hits,
    complaint: |_| None,
};

fn path(target: &Target, rest: &[&str]) -> Vec<String> {
    let or = |name: &str, default: &str| target.parameter(name).unwrap_or_else(|| default.into());
    let tenant = or("tenant", "default_tenant");
    let database = or("database", "default_database");
    let before = [
        "api",
        "v2",
        "tenants",
        &tenant,
        "databases",
        &database,
        "collections",
    ];
    before
        .iter()
        .chain(rest)
        .map(|part| (*part).to_owned())
        .collect()
}

fn hits(answer: Value, _: &Description) -> Option<Vec<Hit>> {
    let of = |name: &str| answer.get(name)?.get(0)?.as_array();
    let rows = of("ids")?
        .iter()
        .zip(of("documents")?)
        .zip(of("metadatas")?)
        .zip(of("distances")?);
    rows.map(|(((id, text), metadata), distance)| {
        let none = Map::new();
        let metadata = metadata.as_object().unwrap_or(&none);
        let score = (-distance.as_f64()?).exp();
        Some(Hit::new(
            id.as_str()?.to_owned(),
            metadata,
            text.as_str(),
            score,
        ))
    })
    .collect()
}

/// As `_to_chroma_filter` does it.
fn term(term: &MetadataFilter) -> Result<Value, DatabaseError> {
    let operator = match term.operator {
        FilterOperator::Eq => "$eq",
        FilterOperator::Ne => "$ne",
        FilterOperator::Gt => "$gt",
        FilterOperator::Lt => "$lt",
        FilterOperator::Gte => "$gte",
        FilterOperator::Lte => "$lte",
        FilterOperator::In => "$in",
        FilterOperator::Nin => "$nin",
        other @ (FilterOperator::Any
        | FilterOperator::All
        | FilterOperator::Contains
        | FilterOperator::TextMatch
        | FilterOperator::TextMatchInsensitive
        | FilterOperator::IsEmpty) => {
            let why = "its metadata are single values";
            return Err(DatabaseError::filter(DIALECT.name, other, why));
        }
    };
    Ok(json!({&term.key: {operator: term.value}}))
}

fn group(condition: FilterCondition, mut parts: Vec<Value>) -> Result<Value, DatabaseError> {
    let joined = match condition {
        FilterCondition::And => "$and",
        FilterCondition::Or => "$or",
        FilterCondition::Not => {
            return Err(DatabaseError::Filter {
                database: DIALECT.name,
                operator: "not".into(),
                why: "its conditions are joined by and and or",
            });
        }
    };
    Ok(match parts.len() {
        1 => parts.remove(0),
        _ => json!({joined: parts}),
    })
}

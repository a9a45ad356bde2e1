//! Qdrant as `QdrantVectorStore` fills it: metadata lie flat in the payload, the node with its text in `_node_content`. Collections for
//! hybrid search have a vector with a name, others one without.

use antiphon_agent::provider::{FilterCondition, FilterOperator, MetadataFilter};
use serde_json::{Value, json};

use super::rest::{Call, Description, Dialect};
use super::store::{DatabaseError, Hit};
use crate::meaning::MIN_COSINE;

/// The name of the dense vector in a collection for hybrid search.
const NAMED_VECTOR: &str = "text-dense";

pub(super) const DIALECT: Dialect = Dialect {
    name: "Qdrant",
    collection: None,
    key: ("api-key", ""),
    describe: |target| Call::get(&["collections", &target.collection]),
    described,
    term,
    group,
    nearest: |target, description, question| {
        let body = json!({"query": question.vector, "limit": question.top_k, "with_payload": true});
        let filter = question.filter.as_ref();
        let using = Some(description.handle.as_str()).filter(|name| !name.is_empty());
        Call::post(
            &["collections", &target.collection, "points", "query"],
            body,
        )
        .with("filter", filter.map(|filter| json!({"must": [filter]})))
        .with("using", using.map(Value::from))
    },
    hits,
    complaint: |_| None,
};

fn described(answer: &Value) -> Option<Description> {
    let vectors = answer.pointer("/result/config/params/vectors")?;
    let (handle, vector) = match (vectors.get("size"), vectors.get(NAMED_VECTOR)) {
        (Some(_), _) => ("", vectors),
        (None, Some(named)) => (NAMED_VECTOR, named),
        (None, None) => ("", vectors.get("")?),
    };
    let is_cosine = vector.get("distance").and_then(Value::as_str) == Some("Cosine");
    Some(Description {
        width: usize::try_from(vector.get("size")?.as_u64()?).ok(),
        handle: handle.into(),
        floor: is_cosine.then_some(MIN_COSINE),
        ..Description::default()
    })
}

fn hits(mut answer: Value, _: &Description) -> Option<Vec<Hit>> {
    let points = answer.pointer_mut("/result/points")?.take();
    let Value::Array(points) = points else {
        return None;
    };
    points
        .into_iter()
        .map(|point| {
            let id = match point.get("id")? {
                Value::String(id) => id.clone(),
                other => other.to_string(),
            };
            let payload = point.get("payload")?.as_object()?;
            let mut hit = Hit::new(id, payload, None, point.get("score")?.as_f64()?);
            // rows of others, and of early releases
            if let Some(text) = payload.get("text").and_then(Value::as_str)
                && hit.node.text.is_empty()
            {
                text.clone_into(&mut hit.node.text);
            }
            Some(hit)
        })
        .collect()
}

fn group(condition: FilterCondition, parts: Vec<Value>) -> Result<Value, DatabaseError> {
    Ok(match condition {
        FilterCondition::And => json!({"must": parts}),
        FilterCondition::Or => json!({"should": parts}),
        FilterCondition::Not => json!({"must_not": parts}),
    })
}

/// As `_build_subfilter` does it, and lists, which LlamaIndex does not know of Qdrant.
fn term(
    MetadataFilter {
        key,
        value,
        operator,
    }: &MetadataFilter,
) -> Result<Value, DatabaseError> {
    use FilterOperator as Is;
    let matches = |condition: Value| json!({"key": key, "match": condition});
    let range = |bound: &str| Ok(json!({"key": key, "range": {bound: value}}));
    let list = || match value {
        Value::Array(items) => Value::from(items.clone()),
        Value::String(text) => text.split(',').collect::<Vec<_>>().into(),
        other => json!([other]),
    };
    let values = || list().as_array().cloned().unwrap_or_default();
    match operator {
        Is::Eq if value.is_f64() => Ok(json!({"key": key, "range": {"gte": value, "lte": value}})),
        Is::Eq | Is::Contains => Ok(matches(json!({"value": value}))),
        Is::Ne if value.is_string() || value.is_i64() => Ok(matches(json!({"except": [value]}))),
        Is::Ne => Ok(
            json!({"must_not": [term(&MetadataFilter { key: key.clone(), value: value.clone(), operator: Is::Eq })?]}),
        ),
        Is::Lt => range("lt"),
        Is::Lte => range("lte"),
        Is::Gt => range("gt"),
        Is::Gte => range("gte"),
        Is::In | Is::Any => Ok(matches(json!({"any": list()}))),
        Is::Nin => Ok(matches(json!({"except": list()}))),
        Is::All => {
            let each = values()
                .into_iter()
                .map(|value| matches(json!({"value": value})));
            Ok(json!({"must": each.collect::<Vec<_>>()}))
        }
        Is::TextMatch | Is::TextMatchInsensitive => Ok(matches(json!({"text": value}))),
        Is::IsEmpty => Ok(json!({"is_empty": {"key": key}})),
    }
}

//! Elasticsearch as `ElasticsearchStore` fills it: the fields `embedding`, `content` and `metadata`. LlamaIndex's scores are relative: the best of
//! an answer has 1, the worst 0.

use antiphon_agent::provider::{FilterCondition, FilterOperator, MetadataFilter};
use serde_json::{Map, Value, json};

use super::rest::{Call, Description, Dialect};
use super::store::{DatabaseError, Hit};
use crate::meaning::MIN_COSINE;

/// LlamaIndex looks at so many more than it wants.
const CANDIDATES: usize = 10;

pub(super) const DIALECT: Dialect = Dialect {
    name: "Elasticsearch",
    collection: None,
    key: ("authorization", "ApiKey "),
    describe: |target| Call::get(&[&target.collection, "_mapping"]),
    described,
    term,
    group,
    nearest: |target, _, question| {
        let knn = json!({
            "field": "embedding",
            "query_vector": question.vector,
            "k": question.top_k,
            "num_candidates": question.top_k.saturating_mul(CANDIDATES),
            "filter": question.filter.iter().collect::<Vec<_>>(),
        });
        let body = json!({"knn": knn, "size": question.top_k, "_source": ["metadata", "content"]});
        Call::post(&[&target.collection, "_search"], body)
    },
    hits,
    complaint: |_| None,
};

/// Of an alias the first index tells.
fn described(answer: &Value) -> Option<Description> {
    let index = answer.as_object()?.values().next()?;
    let vector = index.pointer("/mappings/properties/embedding")?;
    let is_cosine = vector.get("similarity").is_none_or(|how| how == "cosine");
    Some(Description {
        width: usize::try_from(vector.get("dims")?.as_u64()?).ok(),
        // it adds 1 to a cosine and halves it
        least: is_cosine.then_some(f64::midpoint(1.0, MIN_COSINE)),
        ..Description::default()
    })
}

fn hits(answer: Value, description: &Description) -> Option<Vec<Hit>> {
    let rows = answer.pointer("/hits/hits")?.as_array()?;
    let mut found: Vec<(f64, Hit)> = Vec::with_capacity(rows.len());
    for row in rows {
        let none = Map::new();
        let metadata = row.pointer("/_source/metadata").and_then(Value::as_object);
        let text = row.pointer("/_source/content").and_then(Value::as_str);
        let id = row.get("_id")?.as_str()?.to_owned();
        let hit = Hit::new(id, metadata.unwrap_or(&none), text, 0.0);
        found.push((row.get("_score")?.as_f64()?, hit));
    }
    let scores = || found.iter().map(|(score, _)| *score);
    let (worst, best) = (
        scores().fold(f64::INFINITY, f64::min),
        scores().fold(f64::NEG_INFINITY, f64::max),
    );
    let least = description.least.unwrap_or(f64::NEG_INFINITY);
    let near = found.into_iter().filter(|(score, _)| *score >= least);
    let relative = near.map(|(score, hit)| Hit {
        score: match best > worst {
            true => (score - worst) / (best - worst),
            false => f64::from(u8::from(best > 0.0)),
        },
        ..hit
    });
    Some(relative.collect())
}

fn group(condition: FilterCondition, mut parts: Vec<Value>) -> Result<Value, DatabaseError> {
    Ok(match (condition, parts.len()) {
        (FilterCondition::And | FilterCondition::Or, 1) => parts.remove(0),
        (FilterCondition::And, _) => json!({"bool": {"must": parts}}),
        (FilterCondition::Or, _) => {
            json!({"bool": {"should": parts, "minimum_should_match": 1}})
        }
        (FilterCondition::Not, _) => json!({"bool": {"must_not": parts}}),
    })
}

/// LlamaIndex knows equality alone, of texts; the other conditions as people would write them.
fn term(term: &MetadataFilter) -> Result<Value, DatabaseError> {
    use FilterOperator as Is;
    // texts are kept whole in a field beside the one that is searched by words
    let field = |value: &Value| {
        let suffix = if value.is_string() { ".keyword" } else { "" };
        format!("metadata.{}{suffix}", term.key)
    };
    let value = &term.value;
    let list = || match value {
        Value::Array(items) => items.clone(),
        other => vec![other.clone()],
    };
    let equal = |value: &Value| json!({"term": {field(value): {"value": value}}});
    let range = |bound: &str| Ok(json!({"range": {field(value): {bound: value}}}));
    let any = || {
        let first = list().first().cloned().unwrap_or_default();
        json!({"terms": {field(&first): list()}})
    };
    let none = |part: Value| Ok(json!({"bool": {"must_not": [part]}}));
    match term.operator {
        Is::Eq | Is::Contains => Ok(equal(value)),
        Is::Ne => none(equal(value)),
        Is::Gt => range("gt"),
        Is::Lt => range("lt"),
        Is::Gte => range("gte"),
        Is::Lte => range("lte"),
        Is::In | Is::Any => Ok(any()),
        Is::Nin => none(any()),
        Is::All => Ok(json!({"bool": {"must": list().iter().map(equal).collect::<Vec<_>>()}})),
        Is::IsEmpty => none(json!({"exists": {"field": format!("metadata.{}", term.key)}})),
        other @ (Is::TextMatch | Is::TextMatchInsensitive) => Err(DatabaseError::filter(
            DIALECT.name,
            other,
            "its metadata are compared as wholes",
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::database::filters;

    #[test]
    fn scores_are_relative_as_llamaindex_has_them_and_what_is_far_is_left_out() {
        let row = |id: &str, score: f64| json!({"_id": id, "_score": score, "_source": {"content": id, "metadata": {}}});
        let answer = json!({"hits": {"hits": [row("a", 0.9), row("b", 0.8), row("c", 0.5)]}});
        let mapping = json!({"i": {"mappings": {"properties": {"embedding": {"dims": 3, "similarity": "cosine"}}}}});
        let found = hits(answer, &described(&mapping).unwrap()).unwrap();
        let found: Vec<(&str, f64)> = found
            .iter()
            .map(|hit| (hit.node.text.as_str(), hit.score))
            .collect();
        assert_eq!(found.len(), 2);
        assert!(
            found
                .iter()
                .zip([("a", 1.0), ("b", 0.75)])
                .all(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() < 1e-9)
        );
    }

    #[test]
    fn a_condition_that_cannot_be_judged_is_an_error() {
        let of = |filter: Value| {
            let filter = serde_json::from_value(filter).unwrap();
            filters::walk(DIALECT.name, &filter, &mut |part| term(part), &group)
        };
        assert!(of(json!({"key": "a", "value": "b", "operator": "text_match"})).is_err());
        let nested = of(
            json!({"filters": [{"key": "a", "value": "b"}, {"key": "n", "value": 3, "operator": ">"}], "condition": "or"}),
        );
        assert_eq!(
            nested.unwrap().unwrap(),
            json!({"bool": {"should": [{"term": {"metadata.a.keyword": {"value": "b"}}}, {"range": {"metadata.n": {"gt": 3}}}], "minimum_should_match": 1}})
        );
    }
}

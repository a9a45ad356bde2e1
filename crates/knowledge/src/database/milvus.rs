//! Milvus as `MilvusVectorStore` fills it, over the second version of its HTTP interface. Metadata are dynamic fields; a filter is an
//! expression in text.

use antiphon_agent::provider::{FilterCondition, FilterOperator, MetadataFilter};
use serde_json::{Value, json};

use super::rest::{Call, Complaint, Description, Dialect, Target};
use super::store::{DatabaseError, Hit};
use crate::meaning::MIN_COSINE;

/// The field with LlamaIndex's vectors.
const VECTOR: &str = "embedding";

pub(super) const DIALECT: Dialect = Dialect {
    name: "Milvus",
    collection: Some("llamacollection"),
    key: ("authorization", "Bearer "),
    describe: |target| call(target, &["collections", "describe"], json!({})),
    described,
    term: |term| Ok(Value::from(self::term(term)?)),
    group,
    nearest: |target, _, question| {
        let body = json!({"data": [question.vector], "annsField": VECTOR, "limit": question.top_k, "outputFields": ["*"]});
        call(target, &["entities", "search"], body).with("filter", question.filter.clone())
    },
    hits,
    complaint: |answer| {
        let code = answer
            .get("code")
            .and_then(Value::as_i64)
            .unwrap_or_default();
        let said = || {
            answer
                .get("message")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        match code {
            0 | 200 => None,
            100 => Some(Complaint::Missing),
            1800 | 1807 => Some(Complaint::Refused(said())),
            other => Some(Complaint::Other(format!("code {other}: {}", said()))),
        }
    },
};

fn call(target: &Target, path: &[&str], body: Value) -> Call {
    Call::post(&[&["v2", "vectordb"], path].concat(), body)
        .with("collectionName", Some(target.collection.as_str().into()))
        .with("dbName", target.parameter("database").map(Value::from))
}

fn described(answer: &Value) -> Option<Description> {
    let of = |list: &str, key: &str| {
        let items = answer.get("data")?.get(list)?.as_array()?;
        items
            .iter()
            .find(|item| item.get(key).and_then(Value::as_str) == Some(VECTOR))
    };
    let field = of("fields", "name")?;
    let parameters = field.get("params").and_then(Value::as_array);
    let width = parameters.into_iter().flatten().find_map(|parameter| {
        let value =
            (parameter.get("key")?.as_str()? == "dim").then(|| parameter.get("value"))??;
        value
            .as_str()
            .map_or_else(|| value.as_u64(), |text| text.parse().ok())
    });
    let metric = of("indexes", "fieldName").and_then(|index| index.get("metricType")?.as_str());
    Some(Description {
        width: width.and_then(|width| usize::try_from(width).ok()),
        handle: String::new(),
        // an inner product is a cosine only of vectors of length 1, and models differ
        floor: (metric == Some("COSINE")).then_some(MIN_COSINE),
        ..Description::default()
    })
}

fn hits(mut answer: Value, _: &Description) -> Option<Vec<Hit>> {
    let Value::Array(rows) = answer.get_mut("data")?.take() else {
        return None;
    };
    rows.into_iter()
        .map(|row| {
            let Value::Object(mut row) = row else {
                return None;
            };
            let score = row.remove("distance")?.as_f64()?;
            row.remove(VECTOR);
            let id = row.get("id")?.as_str()?.to_owned();
            let text = row.remove("text");
            let text = text.as_ref().and_then(Value::as_str);
            Some(Hit::new(id, &row, text, score))
        })
        .collect()
}

/// As `parse_standard_filters` does it, but with values that stay values.
fn group(condition: FilterCondition, parts: Vec<Value>) -> Result<Value, DatabaseError> {
    let parts: Vec<&str> = parts.iter().filter_map(Value::as_str).collect();
    let joined = |by: &str| format!("({})", parts.join(by));
    Ok(Value::from(match condition {
        FilterCondition::And => joined(" and "),
        FilterCondition::Or => joined(" or "),
        FilterCondition::Not => format!("not {}", joined(" or ")),
    }))
}

fn term(term: &MetadataFilter) -> Result<String, DatabaseError> {
    use FilterOperator as Is;
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    if term.key.is_empty() || !term.key.chars().all(is_name) {
        return Err(DatabaseError::filter(
            DIALECT.name,
            term.operator,
            "a key is letters, digits and _",
        ));
    }
    let key = &term.key;
    let value = literal(&term.value);
    Ok(match term.operator {
        Is::Eq => format!("{key} == {value}"),
        Is::Ne => format!("{key} != {value}"),
        Is::Gt => format!("{key} > {value}"),
        Is::Lt => format!("{key} < {value}"),
        Is::Gte => format!("{key} >= {value}"),
        Is::Lte => format!("{key} <= {value}"),
        Is::In => format!("{key} in {value}"),
        Is::Nin => format!("{key} not in {value}"),
        Is::Contains => format!("array_contains({key}, {value})"),
        Is::Any => format!("array_contains_any({key}, {value})"),
        Is::All => format!("array_contains_all({key}, {value})"),
        Is::IsEmpty => format!("array_length({key}) == 0"),
        Is::TextMatch => {
            let text = term.value.as_str().unwrap_or_default();
            let plain = text
                .replace('\\', "\\\\")
                .replace('%', "\\%")
                .replace('_', "\\_");
            format!("{key} like {}", literal(&format!("%{plain}%").into()))
        }
        Is::TextMatchInsensitive => {
            return Err(DatabaseError::filter(
                DIALECT.name,
                term.operator,
                "it compares letters as they are",
            ));
        }
    })
}

/// A value as Milvus writes it: JSON's way, which keeps quotes quoted.
fn literal(value: &Value) -> String {
    match value {
        Value::Bool(true) => "true".into(),
        Value::Bool(false) => "false".into(),
        other => other.to_string(),
    }
}

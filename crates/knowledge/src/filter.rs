//! Conditions on metadata, judged as LlamaIndex 0.14's `SimpleVectorStore` judges them. Where Python raises a `TypeError` (a text
//! compared with a number), a passage does not fit: a filter never lets more through because it cannot be judged. Groups may be
//! nested, which Python's store refuses.

use std::cmp::Ordering;

use antiphon_agent::provider::{Filter, FilterCondition, FilterOperator, MetadataFilter};
use serde_json::{Map, Value};

/// Deeper groups fit nothing: filters come from outside too.
pub(crate) const MAX_DEPTH: usize = 16;

/// Does a passage with this metadata fit?
pub fn fits(filter: &Filter, metadata: &Map<String, Value>) -> bool {
    fits_at(filter, metadata, 0)
}

fn fits_at(filter: &Filter, metadata: &Map<String, Value>, depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    match filter {
        Filter::Term(term) => term_fits(term, metadata.get(&term.key)),
        Filter::Group { filters, condition } => {
            let mut parts = filters
                .iter()
                .map(|part| fits_at(part, metadata, depth + 1));
            match condition {
                FilterCondition::And => parts.all(|fits| fits),
                FilterCondition::Or => filters.is_empty() || parts.any(|fits| fits),
                FilterCondition::Not => !parts.any(|fits| fits),
            }
        }
    }
}

fn term_fits(term: &MetadataFilter, found: Option<&Value>) -> bool {
    let value = &term.value;
    let Some(found) = found.filter(|found| !found.is_null()) else {
        return matches!(
            term.operator,
            FilterOperator::Ne | FilterOperator::Nin | FilterOperator::IsEmpty
        );
    };
    let order = || compared(found, value);
    let texts = || Some((found.as_str()?, value.as_str()?));
    match term.operator {
        FilterOperator::Eq => equal(found, value),
        FilterOperator::Ne => !equal(found, value),
        FilterOperator::Gt => order() == Some(Ordering::Greater),
        FilterOperator::Lt => order() == Some(Ordering::Less),
        FilterOperator::Gte => order().is_some_and(Ordering::is_ge),
        FilterOperator::Lte => order().is_some_and(Ordering::is_le),
        FilterOperator::In => holds(value, found) == Some(true),
        FilterOperator::Nin => holds(value, found) == Some(false),
        FilterOperator::Contains => holds(found, value) == Some(true),
        FilterOperator::Any => values(value).any(|value| holds(found, &value) == Some(true)),
        FilterOperator::All => values(value).all(|value| holds(found, &value) == Some(true)),
        FilterOperator::TextMatch => texts().is_some_and(|(found, text)| found.contains(text)),
        FilterOperator::TextMatchInsensitive => {
            texts().is_some_and(|(found, text)| found.to_lowercase().contains(&text.to_lowercase()))
        }
        FilterOperator::IsEmpty => match found {
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => false,
        },
    }
}

/// A number as Python sees it: `True` is 1.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        Value::Number(number) => number.as_f64(),
        _ => None,
    }
}

/// Python's `==`.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => match (number(a), number(b)) {
            (Some(a), Some(b)) => a == b,
            _ => a == b,
        },
    }
}

/// Python's `<` and its kin; `None`: a `TypeError`.
fn compared(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.chars().cmp(b.chars())),
        // by the first of their items that differ, else by their lengths
        (Value::Array(a), Value::Array(b)) => match a.iter().zip(b).find(|(a, b)| !equal(a, b)) {
            Some((a, b)) => compared(a, b),
            None => Some(a.len().cmp(&b.len())),
        },
        _ => number(a)?.partial_cmp(&number(b)?),
    }
}

/// Python's `value in container`; `None`: a `TypeError`.
fn holds(container: &Value, value: &Value) -> Option<bool> {
    match (container, value) {
        (Value::Array(items), value) => Some(items.iter().any(|item| equal(item, value))),
        (Value::String(text), Value::String(part)) => Some(text.contains(part.as_str())),
        (Value::Object(map), Value::String(key)) => Some(map.contains_key(key)),
        _ => None,
    }
}

/// What Python iterates over: the items of a list, the letters of a text.
fn values(value: &Value) -> Box<dyn Iterator<Item = Value> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter().cloned()),
        Value::String(text) => Box::new(text.chars().map(|letter| Value::from(letter.to_string()))),
        _ => Box::new(std::iter::once(Value::Null)),
    }
}

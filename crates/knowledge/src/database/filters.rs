//! A filter in a database's words: walked in one place, whatever the database calls a condition.

use antiphon_agent::provider::{Filter, FilterCondition, MetadataFilter};

use super::store::DatabaseError;
use crate::filter::MAX_DEPTH;

/// What a database makes of a filter; `None`: it asks for nothing. `term` writes a condition on one key, `group` joins several, of which
/// there is at least one. An error of either is one of the whole: a condition that is left out would show more.
///
/// # Errors
/// [`DatabaseError::Filter`].
pub(super) fn walk<T>(
    database: &'static str,
    filter: &Filter,
    term: &mut impl FnMut(&MetadataFilter) -> Result<T, DatabaseError>,
    group: &impl Fn(FilterCondition, Vec<T>) -> Result<T, DatabaseError>,
) -> Result<Option<T>, DatabaseError> {
    match filter {
        Filter::Group { filters, .. } if filters.is_empty() => Ok(None),
        _ => part(database, filter, term, group, 0).map(Some),
    }
}

fn part<T>(
    database: &'static str,
    filter: &Filter,
    term: &mut impl FnMut(&MetadataFilter) -> Result<T, DatabaseError>,
    group: &impl Fn(FilterCondition, Vec<T>) -> Result<T, DatabaseError>,
    depth: usize,
) -> Result<T, DatabaseError> {
    let refused = |operator: &str, why| {
        Err(DatabaseError::Filter {
            database,
            operator: operator.to_owned(),
            why,
        })
    };
    match filter {
        Filter::Term(one) => term(one),
        Filter::Group { .. } if depth >= MAX_DEPTH => {
            refused("filters", "groups are nested too deeply")
        }
        Filter::Group { filters, .. } if filters.is_empty() => {
            refused("filters", "a group in a group has no condition in it")
        }
        Filter::Group { filters, condition } => {
            let mut parts = Vec::with_capacity(filters.len());
            for inner in filters {
                parts.push(part(database, inner, term, group, depth + 1)?);
            }
            group(*condition, parts)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn spoken(filter: Value) -> Result<Option<String>, DatabaseError> {
        let filter: Filter = serde_json::from_value(filter).unwrap();
        let group =
            |condition, parts: Vec<String>| Ok(format!("{condition:?}({})", parts.join(" ")));
        walk("X", &filter, &mut |term| Ok(term.key.clone()), &group)
    }

    #[test]
    fn groups_in_groups_keep_their_order_and_what_asks_for_nothing_is_told_apart() {
        let term = |key: &str| json!({"key": key, "value": 1});
        let inner = json!({"filters": [term("b"), term("c")], "condition": "or"});
        let filter =
            json!({"filters": [term("a"), inner, {"filters": [term("d")], "condition": "not"}]});
        assert_eq!(spoken(filter).unwrap().unwrap(), "And(a Or(b c) Not(d))");
        assert_eq!(spoken(json!({"filters": []})).unwrap(), None);
        // as "not nothing" it would be everything, or nothing
        assert!(spoken(json!({"filters": [{"filters": []}], "condition": "not"})).is_err());
    }

    #[test]
    fn a_filter_that_is_nested_too_deeply_is_an_error_and_no_end_of_the_program() {
        let mut filter = json!({"key": "a", "value": 1});
        for _ in 0..=MAX_DEPTH {
            filter = json!({"filters": [filter]});
        }
        assert!(
            spoken(filter)
                .unwrap_err()
                .to_string()
                .contains("too deeply")
        );
    }
}

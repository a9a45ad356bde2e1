//! A table of PostgreSQL as `PGVectorStore` fills it: `data_<table_name>` with `node_id`, `text`, `metadata_` and `embedding`. Values and
//! keys of filters are parameters, never parts of the statement.

use antiphon_agent::provider::{
    BoxFuture, Filter, FilterCondition, FilterOperator, MetadataFilter, Secret,
};
use serde_json::{Map, Value};
use tokio_postgres::types::{ToSql, Type};

use super::filters::walk;
use super::postgres::{Connections, Error};
use super::store::{DatabaseError, Hit, Place, Store, Told, scrubbed};
use crate::vectors::MAX_DIMENSIONS;

/// LlamaIndex's default of `table_name`.
const DEFAULT_TABLE: &str = "llamaindex";

/// The column that a store for hybrid search has: the words of `text`, as a configuration of PostgreSQL compares them.
const WORDS: &str = "text_search_tsv";

const DESCRIBE: &str = "SELECT tn.nspname::text, t.typname::text, a.atttypmod, \
     (SELECT substring(pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM '''([^'']+)''::regconfig') \
      FROM pg_catalog.pg_attribute w JOIN pg_catalog.pg_attrdef d ON d.adrelid = w.attrelid AND d.adnum = w.attnum \
      WHERE w.attrelid = c.oid AND w.attname = 'text_search_tsv' AND NOT w.attisdropped) FROM pg_catalog.pg_attribute a \
     JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_catalog.pg_type t ON t.oid = a.atttypid JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace \
     WHERE n.nspname = $1 AND c.relname = $2 AND a.attname = 'embedding' AND NOT a.attisdropped";

/// A table with vectors.
pub(super) struct PgVector {
    connections: Connections,
    schema: String,
    table: String,
    secret: Option<Secret>,
    column: Told<Column>,
}

/// The type of its vectors.
#[derive(Clone, Debug, PartialEq)]
struct Column {
    /// The schema of the extension, which need not be in the search path.
    schema: String,
    /// `vector` or `halfvec`.
    name: String,
    width: Option<usize>,
    /// How words are compared, in a table for hybrid search.
    words: Option<String>,
}

impl PgVector {
    /// The table at this place. Nothing is sent yet.
    ///
    /// # Errors
    /// [`DatabaseError::Place`]: the address is none, or it has a password in it.
    pub(super) fn new(place: Place) -> Result<Self, DatabaseError> {
        let wrong = |reason: String| DatabaseError::Place {
            url: "postgresql://…".into(),
            reason,
        };
        if !place.url.starts_with("postgres://") && !place.url.starts_with("postgresql://") {
            return Err(wrong(
                "write postgresql://user@host:port/database?sslmode=…".into(),
            ));
        }
        let login = place
            .url
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once('@'));
        if login.is_some_and(|(login, _)| login.contains(':') && !login.contains('/'))
            || place.url.contains("password=")
        {
            return Err(wrong("a password does not belong into an address; name its environment variable with token_env".into()));
        }
        let password = place.secret.as_ref().map(Secret::expose);
        let connections =
            Connections::new(&place.url, password).map_err(|error| wrong(told(&*error)))?;
        let table = place
            .collection
            .as_deref()
            .unwrap_or(DEFAULT_TABLE)
            .to_lowercase();
        Ok(Self {
            connections,
            schema: place
                .schema
                .unwrap_or_else(|| "public".into())
                .to_lowercase(),
            table: format!("data_{table}"),
            secret: place.secret,
            column: Told::nothing(),
        })
    }

    fn failed(&self, error: Error) -> DatabaseError {
        let reason = scrubbed(self.secret.as_ref(), &told(&*error));
        let place = self.place();
        let code = error
            .downcast_ref::<tokio_postgres::Error>()
            .and_then(tokio_postgres::Error::code)
            .map(|code| code.code().to_owned())
            .unwrap_or_default();
        match code.as_str() {
            "42P01" | "3F000" => self.missing(),
            "3D000" => DatabaseError::Missing {
                place,
                what: "such database".into(),
            },
            "42501" | "28P01" | "28000" => DatabaseError::Refused { place, reason },
            // resources, shutting down, a statement that took too long
            code if code.is_empty()
                || code.starts_with("08")
                || code.starts_with("53")
                || code.starts_with("57") =>
            {
                DatabaseError::Away { place, reason }
            }
            _ => DatabaseError::Answer { place, reason },
        }
    }

    fn missing(&self) -> DatabaseError {
        DatabaseError::Missing {
            place: self.place(),
            what: format!(
                "table {}.{} with a column `embedding`",
                self.schema, self.table
            ),
        }
    }

    async fn describe(&self) -> Result<Column, DatabaseError> {
        let ask = async {
            let column = self.read_column().await;
            let column = column.map_err(|error| self.failed(error))?;
            column.ok_or_else(|| self.missing())
        };
        self.column.or(ask).await
    }

    async fn read_column(&self) -> Result<Option<Column>, Error> {
        let connection = self.connections.get().await?;
        let parameters: [(&(dyn ToSql + Sync), Type); 2] =
            [(&self.schema, Type::TEXT), (&self.table, Type::TEXT)];
        let rows = connection
            .client()?
            .query_typed(DESCRIBE, &parameters)
            .await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let width: i32 = row.try_get(2)?;
        Ok(Some(Column {
            schema: row.try_get(0)?,
            name: row.try_get(1)?,
            width: usize::try_from(width)
                .ok()
                .filter(|width| (1..=MAX_DIMENSIONS).contains(width)),
            words: row.try_get(3)?,
        }))
    }

    async fn search(
        &self,
        vector: &[f32],
        top_k: usize,
        filter: Option<&Filter>,
    ) -> Result<Vec<Hit>, DatabaseError> {
        let column = self.describe().await?;
        let statement = self.statement(&column, vector, top_k, filter)?;
        self.run(&statement)
            .await
            .map_err(|error| self.failed(error))
    }

    fn statement(
        &self,
        column: &Column,
        vector: &[f32],
        top_k: usize,
        filter: Option<&Filter>,
    ) -> Result<Statement, DatabaseError> {
        let numbers: Vec<String> = vector.iter().map(ToString::to_string).collect();
        let mut statement = Statement::default();
        let vector = statement.parameter(Parameter::Text(format!("[{}]", numbers.join(","))));
        let extension = quoted(&column.schema);
        let distance = format!(
            "embedding OPERATOR({extension}.<=>) {vector}::{extension}.{}",
            quoted(&column.name)
        );
        let condition = statement.condition("WHERE", filter)?;
        statement.text = format!(
            "SELECT node_id, text, metadata_::text, 1 - ({distance}) FROM {}.{}{condition} ORDER BY {distance} LIMIT {top_k}",
            quoted(&self.schema),
            quoted(&self.table)
        );
        Ok(statement)
    }

    /// As `_build_sparse_query` asks: any of the words, most of them first.
    fn worded(
        &self,
        configuration: &str,
        words: &str,
        top_k: usize,
        filter: Option<&Filter>,
    ) -> Result<Statement, DatabaseError> {
        let mut statement = Statement::default();
        let configuration = statement.parameter(Parameter::Text(configuration.to_owned()));
        let words = statement.parameter(Parameter::Text(words.to_owned()));
        let asked = format!("to_tsquery({configuration}::regconfig, {words})");
        let condition = statement.condition("AND", filter)?;
        statement.text = format!(
            "SELECT node_id, text, metadata_::text, ts_rank({WORDS}, {asked})::float8 AS rank FROM {}.{} \
             WHERE {WORDS} @@ {asked}{condition} ORDER BY rank DESC LIMIT {top_k}",
            quoted(&self.schema),
            quoted(&self.table)
        );
        Ok(statement)
    }

    async fn search_words(
        &self,
        question: &str,
        top_k: usize,
        filter: Option<&Filter>,
    ) -> Result<Option<Vec<Hit>>, DatabaseError> {
        let column = self.describe().await?;
        let Some(configuration) = column.words else {
            return Ok(None);
        };
        let words = any_of(question);
        if words.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let statement = self.worded(&configuration, &words, top_k, filter)?;
        let found = self.run(&statement).await;
        found.map(Some).map_err(|error| self.failed(error))
    }

    async fn run(&self, statement: &Statement) -> Result<Vec<Hit>, Error> {
        let connection = self.connections.get().await?;
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            statement.parameters.iter().map(Parameter::typed).collect();
        let rows = connection
            .client()?
            .query_typed(&statement.text, &parameters)
            .await?;
        rows.iter()
            .map(|row| {
                let id: Option<String> = row.try_get(0)?;
                let text: String = row.try_get(1)?;
                let metadata: Option<String> = row.try_get(2)?;
                let metadata: Map<String, Value> =
                    serde_json::from_str(metadata.as_deref().unwrap_or("{}"))?;
                let score: Option<f64> = row.try_get(3)?;
                Ok(Hit::new(
                    id.unwrap_or_default(),
                    &metadata,
                    Some(&text),
                    score.unwrap_or_default(),
                ))
            })
            .collect()
    }
}

/// An error with its causes: the client's own words are only "db error".
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut parts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(next) = cause {
        parts.push(next.to_string());
        cause = next.source();
    }
    parts.join(": ")
}

/// Words of a question that are looked up; a caller's sentence has about 15.
const MAX_WORDS: usize = 64;

/// The words of a question, any of which will do, as `to_tsquery` takes them: letters, digits, `_`, and a full stop between two of them, so that
/// nothing in it is an operator.
fn any_of(question: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let parts = question.split(|c: char| !is_word(c) && c != '.');
    // a single full stop stands between words, several do not
    let words = parts.flat_map(|part| part.split("..").map(|word| word.trim_matches('.')));
    let words: Vec<&str> = words
        .filter(|word| !word.is_empty())
        .take(MAX_WORDS)
        .collect();
    words.join("|")
}

/// A name as PostgreSQL takes it as it is.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A statement and its parameters.
#[derive(Debug, Default)]
struct Statement {
    text: String,
    parameters: Vec<Parameter>,
}

#[derive(Debug, PartialEq)]
enum Parameter {
    Text(String),
    Number(f64),
    Texts(Vec<String>),
}

impl Parameter {
    fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Text(text) => (text, Type::TEXT),
            Self::Number(number) => (number, Type::FLOAT8),
            Self::Texts(texts) => (texts, Type::TEXT_ARRAY),
        }
    }
}

impl Statement {
    fn parameter(&mut self, parameter: Parameter) -> String {
        let cast = match parameter {
            Parameter::Text(_) => "::text",
            Parameter::Number(_) => "::float8",
            Parameter::Texts(_) => "::text[]",
        };
        self.parameters.push(parameter);
        format!("${}{cast}", self.parameters.len())
    }

    /// As `_recursively_apply_filters` does it: the condition behind that word, where there is one.
    fn condition(
        &mut self,
        before: &str,
        filter: Option<&Filter>,
    ) -> Result<String, DatabaseError> {
        let Some(filter) = filter else {
            return Ok(String::new());
        };
        let group = |condition, parts: Vec<String>| {
            Ok(match condition {
                FilterCondition::And => format!("({})", parts.join(" AND ")),
                FilterCondition::Or => format!("({})", parts.join(" OR ")),
                FilterCondition::Not => format!("NOT ({})", parts.join(" OR ")),
            })
        };
        let condition = walk(
            "PostgreSQL",
            filter,
            &mut |term| Ok(self.term(term)),
            &group,
        )?;
        Ok(condition.map_or_else(String::new, |condition| format!(" {before} {condition}")))
    }

    fn term(&mut self, term: &MetadataFilter) -> String {
        use FilterOperator as Is;
        let key = self.parameter(Parameter::Text(term.key.clone()));
        let found = format!("metadata_->>{key}");
        let list = || match &term.value {
            Value::Array(items) => items.iter().map(bare).collect(),
            other => vec![bare(other)],
        };
        match term.operator {
            Is::Eq => self.compared(&found, "=", &term.value),
            Is::Ne => self.compared(&found, "<>", &term.value),
            Is::Gt => self.compared(&found, ">", &term.value),
            Is::Lt => self.compared(&found, "<", &term.value),
            Is::Gte => self.compared(&found, ">=", &term.value),
            Is::Lte => self.compared(&found, "<=", &term.value),
            Is::In => format!(
                "{found} = ANY({})",
                self.parameter(Parameter::Texts(list()))
            ),
            Is::Nin => format!(
                "{found} <> ALL({})",
                self.parameter(Parameter::Texts(list()))
            ),
            Is::Any => format!(
                "metadata_::jsonb->{key} ?| {}",
                self.parameter(Parameter::Texts(list()))
            ),
            Is::All => format!(
                "metadata_::jsonb->{key} ?& {}",
                self.parameter(Parameter::Texts(list()))
            ),
            Is::Contains => {
                let value = Value::Array(vec![term.value.clone()]).to_string();
                format!(
                    "metadata_::jsonb->{key} @> {}::jsonb",
                    self.parameter(Parameter::Text(value))
                )
            }
            Is::TextMatch => format!(
                "position({} in {found}) > 0",
                self.parameter(Parameter::Text(bare(&term.value)))
            ),
            Is::TextMatchInsensitive => {
                format!(
                    "position(lower({}) in lower({found})) > 0",
                    self.parameter(Parameter::Text(bare(&term.value)))
                )
            }
            Is::IsEmpty => format!("{found} IS NULL"),
        }
    }

    /// What reads as a number is compared as one, as LlamaIndex does it; where it meets metadata that are none, nothing fits, where
    /// LlamaIndex's statement fails.
    fn compared(&mut self, found: &str, operator: &str, value: &Value) -> String {
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text
                .trim()
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite()),
            _ => None,
        };
        match number {
            Some(number) => {
                let number = self.parameter(Parameter::Number(number));
                format!(
                    "CASE WHEN {found} ~ '^\\s*[-+]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][-+]?[0-9]+)?\\s*$' THEN ({found})::float8 {operator} {number} ELSE FALSE END"
                )
            }
            None => format!(
                "{found} {operator} {}",
                self.parameter(Parameter::Text(bare(value)))
            ),
        }
    }
}

/// A value as `->>` gives it.
fn bare(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Store for PgVector {
    fn place(&self) -> String {
        format!("PostgreSQL at {}", self.connections.host())
    }

    fn check(&self, filter: &Filter) -> Result<(), DatabaseError> {
        Statement::default()
            .condition("WHERE", Some(filter))
            .map(drop)
    }

    fn width(&self) -> BoxFuture<'_, Result<Option<usize>, DatabaseError>> {
        Box::pin(async move { Ok(self.describe().await?.width) })
    }

    fn nearest<'a>(
        &'a self,
        vector: &'a [f32],
        top_k: usize,
        filter: Option<&'a Filter>,
    ) -> BoxFuture<'a, Result<Vec<Hit>, DatabaseError>> {
        Box::pin(async move {
            let found = self.search(vector, top_k, filter).await;
            self.column.unless_failed(found)
        })
    }

    fn by_words<'a>(
        &'a self,
        question: &'a str,
        top_k: usize,
        filter: Option<&'a Filter>,
    ) -> BoxFuture<'a, Result<Option<Vec<Hit>>, DatabaseError>> {
        Box::pin(async move {
            let found = self.search_words(question, top_k, filter).await;
            self.column.unless_failed(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_says_is_no_operator_of_a_search_for_words() {
        for (said, asked) in [
            (
                "What's the price, in 3.5 bars?",
                "What|s|the|price|in|3.5|bars",
            ),
            ("a & !b | (c) <-> 'd':*", "a|b|c|d"),
            ("end. ... next..word .x.", "end|next|word|x"),
            ("…?!", ""),
        ] {
            assert_eq!(any_of(said), asked);
        }
    }

    #[test]
    fn neither_a_key_nor_a_value_of_a_filter_gets_into_the_statement() {
        let evil = "x'); DROP TABLE data_llamaindex; --";
        for operator in [
            "==",
            "!=",
            ">",
            "in",
            "nin",
            "any",
            "all",
            "contains",
            "text_match",
            "text_match_insensitive",
            "is_empty",
        ] {
            let value = match operator {
                "in" | "nin" | "any" | "all" => serde_json::json!([evil, 3]),
                _ => serde_json::json!(evil),
            };
            let term = serde_json::json!({"key": evil, "value": value, "operator": operator});
            let filter: Filter = serde_json::from_value(term).unwrap_or(Filter::equals("none", 1));
            let mut statement = Statement::default();
            let condition = statement.condition("WHERE", Some(&filter));
            let condition = condition.unwrap_or_default();
            assert!(
                condition.starts_with(" WHERE ") && !condition.contains("DROP"),
                "{condition}"
            );
            assert_eq!(
                statement.parameters.first(),
                Some(&Parameter::Text(evil.into()))
            );
        }
    }
}

//! A table of PostgreSQL as `PGVectorStore` fills it: `data_<table_name>` with `node_id`, `text`, `metadata_` and `embedding`. Values and
//! keys of filters are parameters, never parts of the statement.

use antiphon_agent::provider::{
    BoxFuture, Filter, FilterCondition, FilterOperator, MetadataFilter, Secret,
};
use serde_json::{Map, Value};
use tokio_postgres::types::{ToSql, Type};

use super::postgres::{Connections, Error};
use super::store::{DatabaseError, Hit, Place, Store, Told, scrubbed};
use crate::vectors::MAX_DIMENSIONS;

/// LlamaIndex's default of `table_name`.
const DEFAULT_TABLE: &str = "llamaindex";

const DESCRIBE: &str = "SELECT tn.nspname::text, t.typname::text, a.atttypmod FROM pg_catalog.pg_attribute a \
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
        let condition = match filter {
            Some(filter) => format!(" WHERE {}", statement.condition(filter)),
            None => String::new(),
        };
        statement.text = format!(
            "SELECT node_id, text, metadata_::text, 1 - ({distance}) FROM {}.{}{condition} ORDER BY {distance} LIMIT {top_k}",
            quoted(&self.schema),
            quoted(&self.table)
        );
        Ok(statement)
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

    /// As `_recursively_apply_filters` does it.
    fn condition(&mut self, filter: &Filter) -> String {
        match filter {
            Filter::Term(term) => self.term(term),
            Filter::Group { filters, .. } if filters.is_empty() => "TRUE".into(),
            Filter::Group { filters, condition } => {
                let parts: Vec<String> = filters.iter().map(|part| self.condition(part)).collect();
                match condition {
                    FilterCondition::And => format!("({})", parts.join(" AND ")),
                    FilterCondition::Or => format!("({})", parts.join(" OR ")),
                    FilterCondition::Not => format!("NOT ({})", parts.join(" OR ")),
                }
            }
        }
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

    fn check(&self, _: &Filter) -> Result<(), DatabaseError> {
        Ok(())
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let condition = statement.condition(&filter);
            assert!(!condition.contains("DROP"), "{condition}");
            assert_eq!(
                statement.parameters.first(),
                Some(&Parameter::Text(evil.into()))
            );
        }
    }
}

//! The client for databases that speak HTTP and JSON. What differs between them is a [`Dialect`].

use std::time::Duration;

use antiphon_agent::provider::{BoxFuture, Filter, FilterCondition, MetadataFilter, Secret};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;

use super::filters::walk;
use super::store::{DatabaseError, Hit, Place, Store, Told, scrubbed};
use crate::vectors::MAX_DIMENSIONS;

/// Bytes of an answer: 20 nodes with their texts and metadata have some 100 kB.
const MAX_ANSWER_BYTES: usize = 8 << 20;
/// A database that is there answers in milliseconds; whoever asks within a call waits for less anyway.
const PATIENCE: Duration = Duration::from_secs(5);
/// Characters of a database's own words in a message.
const MAX_QUOTE: usize = 300;

/// How one kind of database is spoken to.
pub(super) struct Dialect {
    /// What people call it.
    pub(super) name: &'static str,
    /// LlamaIndex's default collection; none: it must be named.
    pub(super) collection: Option<&'static str>,
    /// The header for the key, and what stands before it.
    pub(super) key: (&'static str, &'static str),
    /// What tells of the collection.
    pub(super) describe: fn(&Target) -> Call,
    /// What it told; `None`: something else than expected.
    pub(super) described: fn(&Value) -> Option<Description>,
    /// A condition on one key, as LlamaIndex has them, in the database's words.
    pub(super) term: fn(&MetadataFilter) -> Result<Value, DatabaseError>,
    /// Several conditions, of which there is at least one, joined.
    pub(super) group: fn(FilterCondition, Vec<Value>) -> Result<Value, DatabaseError>,
    /// The search.
    pub(super) nearest: fn(&Target, &Description, &Question<'_>) -> Call,
    /// What was found; `None`: something else than expected.
    pub(super) hits: fn(Value, &Description) -> Option<Vec<Hit>>,
    /// Does an answer say in its body that the collection is not there, or that something else is wrong?
    pub(super) complaint: fn(&Value) -> Option<Complaint>,
}

/// What an answer that looks well says is wrong.
pub(super) enum Complaint {
    /// There is no such collection.
    Missing,
    /// Who asks may not.
    Refused(String),
    /// Something else.
    Other(String),
}

/// The collection, as it is addressed.
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) collection: String,
}

impl Target {
    /// A parameter of the address (`?tenant=…`), which is not sent along.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = self.url.query_pairs();
        pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    }
}

/// One request: the parts of the path below the address, and the body; without one it is a GET.
pub(super) struct Call {
    pub(super) path: Vec<String>,
    pub(super) body: Option<Value>,
}

impl Call {
    pub(super) fn get(path: &[&str]) -> Self {
        Self {
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            body: None,
        }
    }

    pub(super) fn post(path: &[&str], body: Value) -> Self {
        Self {
            body: Some(body),
            ..Self::get(path)
        }
    }

    /// One more field in the body, if there is a value for it.
    pub(super) fn with(mut self, name: &str, value: Option<Value>) -> Self {
        if let (Some(Value::Object(fields)), Some(value)) = (&mut self.body, value) {
            fields.insert(name.to_owned(), value);
        }
        self
    }
}

/// What is asked.
pub(super) struct Question<'a> {
    pub(super) vector: &'a [f32],
    pub(super) top_k: usize,
    pub(super) filter: Option<Value>,
}

/// What a collection is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Description {
    /// Numbers of its vectors.
    pub(super) width: Option<usize>,
    /// What it or its field of vectors goes by in requests, where that is not its name.
    pub(super) handle: String,
    /// The score of a passage whose cosine with the question is just enough; `None`: scores are no cosines.
    pub(super) floor: Option<f64>,
    /// The same for scores that are made relative; what is below it is not given.
    pub(super) least: Option<f64>,
}

/// A collection of one such database. Connections are kept.
pub(super) struct Rest {
    dialect: &'static Dialect,
    client: reqwest::Client,
    target: Target,
    headers: HeaderMap,
    secret: Option<Secret>,
    description: Told<Description>,
}

impl Rest {
    pub(super) fn new(dialect: &'static Dialect, place: Place) -> Result<Self, DatabaseError> {
        let wrong = |reason: String| DatabaseError::Place {
            url: place.url.clone(),
            reason,
        };
        let url = Url::parse(&place.url).map_err(|error| wrong(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(format!(
                "{} is asked over http:// or https://",
                dialect.name
            )));
        }
        if url.password().is_some() {
            return Err(DatabaseError::Place {
                url: url.host_str().unwrap_or_default().to_owned(),
                reason: "a password does not belong into an address; name its environment variable with token_env".into(),
            });
        }
        let collection = place.collection.as_deref().or(dialect.collection);
        let collection = collection
            .ok_or_else(|| wrong(format!("{} needs the name of a collection", dialect.name)))?;
        let mut headers = HeaderMap::new();
        if let Some(secret) = &place.secret {
            let (name, before) = dialect.key;
            let value = HeaderValue::try_from(format!("{before}{}", secret.expose()));
            let mut value =
                value.map_err(|_| wrong("the key has characters that cannot be sent".into()))?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(PATIENCE)
            .timeout(PATIENCE)
            .build();
        Ok(Self {
            dialect,
            client: client.map_err(|error| wrong(error.to_string()))?,
            target: Target {
                collection: collection.to_owned(),
                url,
            },
            headers,
            secret: place.secret,
            description: Told::nothing(),
        })
    }

    async fn call(&self, call: Call) -> Result<Value, DatabaseError> {
        let away = |reason: String| DatabaseError::Away {
            place: self.place(),
            reason,
        };
        let mut url = self.target.url.clone();
        url.set_query(None);
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&call.path);
        }
        let request = match &call.body {
            Some(body) => self.client.post(url).json(body),
            None => self.client.request(Method::GET, url),
        };
        let sent = request.headers(self.headers.clone()).send().await;
        let mut response = sent.map_err(|error| away(reason(error)))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| away(reason(error)))?
        {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_ANSWER_BYTES {
                return Err(self.not_understood(format!("more than {MAX_ANSWER_BYTES} bytes")));
            }
        }
        if !status.is_success() {
            return Err(self.failed(status, &bytes));
        }
        let answer: Value = serde_json::from_slice(&bytes)
            .map_err(|error| self.not_understood(error.to_string()))?;
        match (self.dialect.complaint)(&answer) {
            None => Ok(answer),
            Some(Complaint::Missing) => Err(self.missing()),
            Some(Complaint::Refused(reason)) => Err(self.refused(reason)),
            Some(Complaint::Other(reason)) => Err(self.not_understood(reason)),
        }
    }

    fn failed(&self, status: StatusCode, body: &[u8]) -> DatabaseError {
        let said: String = String::from_utf8_lossy(body)
            .chars()
            .take(MAX_QUOTE)
            .collect();
        let said = format!("HTTP {status} {said}");
        match status.as_u16() {
            401 | 403 => self.refused(said),
            404 => self.missing(),
            408 | 429 | 500.. => DatabaseError::Away {
                place: self.place(),
                reason: self.without_key(&said),
            },
            _ => self.not_understood(said),
        }
    }

    fn missing(&self) -> DatabaseError {
        DatabaseError::Missing {
            place: self.place(),
            what: format!("collection `{}`", self.target.collection),
        }
    }

    fn refused(&self, reason: String) -> DatabaseError {
        DatabaseError::Refused {
            place: self.place(),
            reason: self.without_key(&reason),
        }
    }

    fn not_understood(&self, reason: String) -> DatabaseError {
        DatabaseError::Answer {
            place: self.place(),
            reason: self.without_key(&reason),
        }
    }

    fn without_key(&self, text: &str) -> String {
        scrubbed(self.secret.as_ref(), text)
    }

    async fn describe(&self) -> Result<Description, DatabaseError> {
        let ask = async {
            let answer = self.call((self.dialect.describe)(&self.target)).await?;
            let described = (self.dialect.described)(&answer)
                .filter(|described| described.width.is_none_or(|width| width <= MAX_DIMENSIONS));
            described.ok_or_else(|| {
                self.not_understood("no description of a collection of vectors".into())
            })
        };
        self.description.or(ask).await
    }

    /// A filter in the database's words; `None`: it asks for nothing.
    fn filter(&self, filter: &Filter) -> Result<Option<Value>, DatabaseError> {
        let Dialect {
            name, term, group, ..
        } = self.dialect;
        walk(name, filter, &mut |one| term(one), group)
    }

    async fn search(
        &self,
        vector: &[f32],
        top_k: usize,
        filter: Option<&Filter>,
    ) -> Result<Vec<Hit>, DatabaseError> {
        let filter = filter.map(|filter| self.filter(filter)).transpose()?;
        let filter = filter.flatten();
        let description = self.describe().await?;
        let question = Question {
            vector,
            top_k,
            filter,
        };
        let call = (self.dialect.nearest)(&self.target, &description, &question);
        let answer = self.call(call).await?;
        let hits = (self.dialect.hits)(answer, &description);
        let mut hits = hits.ok_or_else(|| self.not_understood("no list of nodes".into()))?;
        hits.truncate(top_k);
        Ok(hits)
    }
}

/// Without the address, which may hold a secret, and with the cause, which says more than "error sending request".
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if error.is_timeout() {
        "no answer in time".into()
    } else {
        cause.to_string()
    }
}

impl Store for Rest {
    fn place(&self) -> String {
        let url = &self.target.url;
        let port = url.port().map(|port| format!(":{port}"));
        let host = url.host_str().unwrap_or_default();
        format!(
            "{} at {host}{}",
            self.dialect.name,
            port.unwrap_or_default()
        )
    }

    fn check(&self, filter: &Filter) -> Result<(), DatabaseError> {
        self.filter(filter).map(drop)
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
            self.description.unless_failed(found)
        })
    }

    fn floor(&self) -> Option<f64> {
        self.description.known()?.floor
    }
}

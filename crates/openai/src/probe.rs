//! What `antiphon doctor` asks, and the search for a server on this machine.

use std::time::Duration;

use antiphon_agent::ProviderError;
use futures_util::future::join_all;
use serde::Deserialize;
use tokio::time::Instant;

use crate::client::{Body, HttpClient};
use crate::config::{DEFAULT_BASE_URL, Endpoint, Timeouts};

/// OpenAI lists about 100 models in 15 kB, aggregators several hundred with long descriptions.
const MAX_LIST_BYTES: usize = 4 * 1024 * 1024;
/// A server on this machine answers within milliseconds or is not there.
const LOCAL_TIMEOUT: Duration = Duration::from_millis(500);
/// A server that is asked for its list when the agent starts.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);
/// Ports of servers that people run at home, in the order of preference.
const LOCAL_SERVERS: [(u16, &str); 4] = [
    (11434, "Ollama"),
    (8080, "llama.cpp"),
    (8000, "vLLM"),
    (1234, "LM Studio"),
];
/// A list of models in a message names this many.
const MAX_NAMED_MODELS: usize = 8;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Ok,
    /// It may work.
    Warning,
    /// It cannot work.
    Error,
}

/// One thing found, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub level: Level,
    /// What was found.
    pub message: String,
    /// What to do.
    pub fix: Option<String>,
}

/// A server found on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalServer {
    /// What usually listens at this port.
    pub name: &'static str,
    /// For [`Endpoint::new`].
    pub base_url: String,
    /// The first model that can talk.
    pub model: String,
}

#[derive(Debug, Deserialize)]
struct ModelList {
    #[serde(default)]
    data: Option<Vec<Model>>,
}

#[derive(Debug, Deserialize)]
struct Model {
    id: String,
}

/// The names of the server's models.
async fn models(client: &HttpClient) -> Result<Vec<String>, ProviderError> {
    let timeouts = client.endpoint.timeouts;
    let response = client
        .send("/models", None, Instant::now() + timeouts.first_chunk)
        .await?;
    let bytes = Body::new(response, MAX_LIST_BYTES)
        .collect(timeouts.between_chunks)
        .await?;
    // a bare list, or one under `data`
    let bare = serde_json::from_slice::<Vec<Model>>(&bytes).ok();
    let read = bare.map_or_else(
        || serde_json::from_slice(&bytes),
        |list| Ok(ModelList { data: Some(list) }),
    );
    let list: ModelList = read.map_err(|_| {
        crate::client::unexpected(
            "no list of models; is the base URL that of an OpenAI-compatible API (…/v1)?",
        )
    })?;
    Ok(list
        .data
        .unwrap_or_default()
        .into_iter()
        .map(|model| model.id)
        .collect())
}

pub(crate) async fn probe(client: &HttpClient, model: &str) -> Vec<Finding> {
    let base_url = &client.endpoint.base_url;
    let started = Instant::now();
    let models = match models(client).await {
        Ok(models) => models,
        Err(error) => {
            return vec![explained(
                &error,
                base_url,
                client.endpoint.api_key.is_some(),
            )];
        }
    };
    let answered = Finding {
        level: Level::Ok,
        message: format!(
            "{base_url} answered in {} ms and takes the key",
            started.elapsed().as_millis()
        ),
        fix: None,
    };
    if !model.is_empty() {
        return vec![answered, known(model, &models, base_url)];
    }
    let first = match first_that_talks(models) {
        Ok(model) => Finding {
            level: Level::Ok,
            message: format!("model {model} is used, the first that it lists"),
            fix: None,
        },
        Err(why) => Finding {
            level: Level::Error,
            message: format!("no model is set, and {base_url} was asked for one: {why}"),
            fix: Some("load a model there, or set [llm] model".to_owned()),
        },
    };
    vec![answered, first]
}

fn known(model: &str, models: &[String], base_url: &str) -> Finding {
    // Ollama's `llama3.2` is `llama3.2:latest` in its list.
    if models
        .iter()
        .any(|known| known == model || known.strip_suffix(":latest") == Some(model))
    {
        return Finding {
            level: Level::Ok,
            message: format!("model {model} is available"),
            fix: None,
        };
    }
    let some: Vec<&str> = models
        .iter()
        .map(String::as_str)
        .take(MAX_NAMED_MODELS)
        .collect();
    let more = if models.len() > some.len() {
        ", …"
    } else {
        ""
    };
    Finding {
        // Speech servers often list nothing at all.
        level: Level::Warning,
        message: format!("{base_url} does not list the model {model}"),
        fix: Some(format!(
            "choose one that it lists: {}{more}",
            if some.is_empty() {
                "(it lists none)".to_owned()
            } else {
                some.join(", ")
            }
        )),
    }
}

fn explained(error: &ProviderError, base_url: &str, has_key: bool) -> Finding {
    let (level, fix) = match error {
        ProviderError::Unauthorized { .. } if has_key => (
            Level::Error,
            "put a valid key into OPENAI_API_KEY (or .env), or check the account's credit",
        ),
        ProviderError::Unauthorized { .. } => (
            Level::Error,
            "set OPENAI_API_KEY in the environment or in .env",
        ),
        ProviderError::RateLimited { .. } => (
            Level::Warning,
            "wait, or raise the account's limits; callers will hear pauses",
        ),
        ProviderError::Setup { .. } => (
            Level::Error,
            "change what it says at the server or in its account",
        ),
        ProviderError::Unresolved { .. } => (
            Level::Error,
            "check this machine's network and DNS, and the host in OPENAI_BASE_URL, if it is set; behind a proxy set HTTPS_PROXY",
        ),
        ProviderError::Connection { .. } if base_url == DEFAULT_BASE_URL => (
            Level::Error,
            "check this machine's network and firewall; behind a proxy set HTTPS_PROXY",
        ),
        ProviderError::Connection { .. } => (
            Level::Error,
            "start the server, or correct OPENAI_BASE_URL; behind a proxy set HTTPS_PROXY",
        ),
        ProviderError::Timeout { .. } => (
            Level::Error,
            "check the network and that nothing between swallows packets",
        ),
        ProviderError::Status {
            status: 404 | 405, ..
        } => (
            Level::Warning,
            "OPENAI_BASE_URL usually ends with /v1; some servers list no models and work anyway",
        ),
        ProviderError::Status { .. } => (
            Level::Error,
            "the server itself is in trouble; look at its log or status page",
        ),
        ProviderError::Protocol { .. } => (
            Level::Error,
            "OPENAI_BASE_URL must be that of an OpenAI-compatible API, usually ending with /v1",
        ),
        ProviderError::Unavailable { .. } => (Level::Error, "install what is missing"),
    };
    Finding {
        level,
        message: format!("{base_url}: {error}"),
        fix: Some(fix.to_owned()),
    }
}

/// Looks for an OpenAI-compatible server with a model that can talk at the ports of Ollama, llama.cpp, vLLM and LM Studio on
/// localhost, all at once, within half a second.
pub async fn detect_local() -> Option<LocalServer> {
    let found = join_all(LOCAL_SERVERS.map(|(port, name)| detect_at(port, name))).await;
    found.into_iter().flatten().next()
}

/// The model that a server is asked for when nobody names one: the first of its list that can talk.
///
/// # Errors
///
/// What is wrong with the server or its list, and what to do, for the person who starts the agent.
pub async fn first_model(endpoint: Endpoint) -> Result<String, String> {
    let client = HttpClient::new(endpoint).map_err(|error| error.to_string())?;
    first_of(&client).await
}

pub(crate) async fn first_of(client: &HttpClient) -> Result<String, String> {
    let patience = client.endpoint.timeouts.first_chunk.min(LIST_TIMEOUT);
    let listed = match tokio::time::timeout(patience, models(client)).await {
        Ok(Ok(listed)) => listed,
        Ok(Err(error)) => return Err(format!("its list of models could not be read ({error})")),
        Err(_) => return Err(format!("it did not list its models within {patience:?}")),
    };
    first_that_talks(listed)
}

fn first_that_talks(listed: Vec<String>) -> Result<String, String> {
    let number = listed.len();
    let first = listed.into_iter().find(|model| can_talk(model));
    first.ok_or_else(|| match number {
        0 => "it lists no model; load one".to_owned(),
        _ => "it lists only models that cannot talk; load one that can".to_owned(),
    })
}

async fn detect_at(port: u16, name: &'static str) -> Option<LocalServer> {
    let timeouts = Timeouts {
        connect: LOCAL_TIMEOUT,
        first_chunk: LOCAL_TIMEOUT,
        between_chunks: LOCAL_TIMEOUT,
        total: LOCAL_TIMEOUT,
    };
    let base_url = format!("http://localhost:{port}/v1");
    let client = HttpClient::new(Endpoint::new(&base_url, None).with_timeouts(timeouts)).ok()?;
    let models = tokio::time::timeout(LOCAL_TIMEOUT, models(&client))
        .await
        .ok()?
        .ok()?;
    let model = models.into_iter().find(|model| can_talk(model))?;
    Some(LocalServer {
        name,
        base_url,
        model,
    })
}

/// Lists hold models for embeddings, speech and pictures as well.
fn can_talk(model: &str) -> bool {
    let name = model.to_ascii_lowercase();
    let others = [
        "embed",
        "bge-",
        "minilm",
        "rerank",
        "whisper",
        "tts",
        "kokoro",
        "piper",
        "diffusion",
        "flux",
        "dall-e",
        "gpt-image",
        "moderation",
        "transcribe",
        "sora",
        "davinci",
        "babbage",
        "clip-",
    ];
    !others.iter().any(|other| name.contains(other))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_server_on_this_machine_is_found_with_its_first_model_that_talks() {
        let simulator = antiphon_simulator::Simulator::start(antiphon_simulator::Script {
            models: vec!["nomic-embed-text".to_owned(), "llama3.2:latest".to_owned()],
            ..Default::default()
        })
        .await
        .unwrap();
        let found = detect_at(simulator.address().port(), "Ollama")
            .await
            .unwrap();
        assert_eq!(found.model, "llama3.2:latest");
        assert_eq!(known("llama3.2", &[found.model], "x").level, Level::Ok);
        let port = simulator.address().port();
        simulator.shutdown().await;
        assert_eq!(detect_at(port, "Ollama").await, None);
    }

    #[tokio::test]
    async fn the_model_of_a_server_is_the_first_of_its_list_that_talks() {
        let simulator = |models: &[&str]| {
            antiphon_simulator::Simulator::start(antiphon_simulator::Script {
                models: models.iter().map(|model| (*model).to_owned()).collect(),
                ..Default::default()
            })
        };
        let asked = async |models: &[&str]| {
            let simulator = simulator(models).await.unwrap();
            first_model(Endpoint::new(&simulator.openai_base_url(), None)).await
        };
        assert_eq!(asked(&["bge-m3", "m", "n"]).await.as_deref(), Ok("m"));
        let openai = [
            "dall-e-3",
            "omni-moderation-latest",
            "text-embedding-3-small",
            "whisper-1",
            "tts-1",
            "gpt-4o-transcribe",
            "gpt-4.1-mini",
        ];
        assert_eq!(asked(&openai).await.as_deref(), Ok("gpt-4.1-mini"));
        assert!(asked(&[]).await.unwrap_err().contains("lists no model"));
        assert!(
            asked(&["whisper-1"])
                .await
                .unwrap_err()
                .contains("cannot talk")
        );
        let gone = simulator(&[]).await.unwrap();
        let url = gone.openai_base_url();
        gone.shutdown().await;
        let error = first_model(Endpoint::new(&url, None)).await.unwrap_err();
        assert!(error.contains("could not be read"), "{error}");
    }

    #[tokio::test]
    async fn doctor_says_what_to_do_about_a_refused_key() {
        let script = antiphon_simulator::Script {
            api_key: Some("right".to_owned()),
            ..Default::default()
        };
        let simulator = antiphon_simulator::Simulator::start(script).await.unwrap();
        let probed = |key: Option<&str>| {
            let key = key.and_then(antiphon_agent::provider::Secret::new);
            let client = HttpClient::new(Endpoint::new(&simulator.openai_base_url(), key)).unwrap();
            async move { probe(&client, "gpt-4.1-mini").await }
        };
        let refused = probed(Some("wrong-key")).await;
        assert_eq!(refused.first().unwrap().level, Level::Error);
        assert!(!format!("{refused:?}").contains("wrong-key"));
        let missing = probed(None).await;
        assert!(
            missing
                .first()
                .unwrap()
                .fix
                .as_ref()
                .unwrap()
                .contains("OPENAI_API_KEY")
        );
        let good = probed(Some("right")).await;
        assert!(
            good.iter().all(|finding| finding.level == Level::Ok),
            "{good:?}"
        );
    }
}

//! [`Simulator`]: start, stop, read back the requests.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::record::{Log, Recorded};
use crate::script::{Endpoint, FaultKind, Script};
use crate::speech::Voice;
use crate::{deepgram, openai};

/// Recorded speech that is sent whole (`POST /v1/listen`): ten minutes at 48 kHz.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// What can go wrong at the start.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The address is taken or not ours.
    #[error("cannot listen at {address}: {source}")]
    Bind {
        /// Where.
        address: String,
        /// Why.
        source: std::io::Error,
    },
}

/// A running simulator. Dropping it stops it and cuts its connections.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<Mutable>,
    pub(crate) voice: Voice,
    /// WebSockets live longer than the server's task; this ends them with it.
    pub(crate) stop: CancellationToken,
}

#[derive(Debug, Default)]
struct Mutable {
    script: Arc<Script>,
    counts: HashMap<Endpoint, u64>,
    utterances: usize,
    log: Log,
}

impl Simulator {
    /// Start at a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// [`SimulatorError::Bind`].
    pub async fn start(script: Script) -> Result<Self, SimulatorError> {
        Self::start_at("127.0.0.1:0", script).await
    }

    /// Start at this address.
    ///
    /// # Errors
    ///
    /// [`SimulatorError::Bind`].
    pub async fn start_at(address: &str, script: Script) -> Result<Self, SimulatorError> {
        let bind_error = |source| SimulatorError::Bind {
            address: address.to_owned(),
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        let state = Mutable {
            script: Arc::new(script),
            ..Mutable::default()
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            voice: Voice::default(),
            stop: CancellationToken::new(),
        });
        let router = router(Arc::clone(&shared));
        let stop = shared.stop.clone();
        let server = tokio::spawn(async move {
            let served = axum::serve(listener, router)
                .with_graceful_shutdown(async move { stop.cancelled().await })
                .await;
            if let Err(error) = served {
                tracing::error!(%error, "the simulator stopped");
            }
        });
        Ok(Self {
            address,
            shared,
            server,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// For `OPENAI_BASE_URL`.
    pub fn openai_base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// For `DEEPGRAM_BASE_URL`.
    pub fn deepgram_base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Behave otherwise from now on; requests and utterances are counted anew.
    pub fn set_script(&self, script: Script) {
        self.shared.set_script(script);
    }

    /// What was asked, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.lock().log.all()
    }

    /// What this path was asked.
    pub fn requests_to(&self, path: &str) -> Vec<Recorded> {
        self.requests()
            .into_iter()
            .filter(|request| request.path == path)
            .collect()
    }

    /// Stop, cut what is open, and give the port back.
    pub async fn shutdown(self) {
        self.shared.stop.cancel();
        self.server.abort();
        while !self.server.is_finished() {
            tokio::task::yield_now().await;
        }
    }

    /// Serve until the process ends.
    pub async fn run(mut self) {
        // An error here is the task's panic, which has been printed.
        let _ = (&mut self.server).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        self.server.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Mutable> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_script(&self, script: Script) {
        let mut state = self.lock();
        state.script = Arc::new(script);
        state.counts.clear();
        state.utterances = 0;
    }

    /// Counts a request to this endpoint: the script and what goes wrong this time.
    pub(crate) fn begin(&self, endpoint: Endpoint) -> (Arc<Script>, Option<FaultKind>) {
        let mut state = self.lock();
        let count = state.counts.entry(endpoint).or_default();
        *count += 1;
        let count = *count;
        let script = Arc::clone(&state.script);
        let fits = |fault: &&crate::script::Fault| {
            (fault.endpoint == Endpoint::Any || fault.endpoint == endpoint)
                && (fault.requests.is_empty() || fault.requests.contains(&count))
        };
        let fault = script
            .faults
            .iter()
            .find(fits)
            .map(|fault| fault.kind.clone());
        (script, fault)
    }

    /// The text of the next utterance; `own` counts those of one connection.
    pub(crate) fn next_utterance(&self, script: &Script, own: &mut usize) -> String {
        let mut state = self.lock();
        let count = if script.utterances_shared {
            &mut state.utterances
        } else {
            own
        };
        let text = script
            .utterances
            .get(*count)
            .or(script.utterances.last())
            .cloned();
        *count += 1;
        text.unwrap_or_default()
    }

    pub(crate) fn record(&self, request: Recorded) -> u64 {
        self.lock().log.push(request)
    }

    pub(crate) fn amend(&self, number: u64, change: impl FnOnce(&mut Recorded)) {
        if let Some(request) = self.lock().log.get_mut(number) {
            change(request);
        }
    }
}

/// Does the request bear the key (`Bearer` and `Token` alike)?
pub(crate) fn authorised(script: &Script, headers: &HeaderMap) -> bool {
    let Some(key) = &script.api_key else {
        return true;
    };
    let value = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    value
        .and_then(|value| value.split_once(' '))
        .is_some_and(|(_, given)| given == key)
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(openai::chat))
        .route("/v1/audio/speech", post(openai::speech))
        .route("/v1/embeddings", post(openai::embeddings))
        .route("/v1/models", get(openai::models))
        .route(
            "/v1/listen",
            get(deepgram::live).post(deepgram::prerecorded),
        )
        .route("/_simulator/script", post(set_script).get(get_script))
        .route("/_simulator/requests", get(requests).delete(forget))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(shared)
}

async fn set_script(
    State(shared): State<Arc<Shared>>,
    Json(script): Json<Value>,
) -> (StatusCode, Json<Value>) {
    match serde_json::from_value(script) {
        Ok(script) => {
            shared.set_script(script);
            (StatusCode::OK, Json(json!({})))
        }
        Err(error) => (
            StatusCode::BAD_REQUEST,
            Json(json!({"error": error.to_string()})),
        ),
    }
}

async fn get_script(State(shared): State<Arc<Shared>>) -> Json<Script> {
    Json(shared.lock().script.as_ref().clone())
}

async fn requests(State(shared): State<Arc<Shared>>) -> Json<Vec<Recorded>> {
    Json(shared.lock().log.all())
}

async fn forget(State(shared): State<Arc<Shared>>) {
    shared.lock().log.clear();
}

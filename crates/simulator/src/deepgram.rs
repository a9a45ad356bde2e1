//! `/v1/listen`, as WebSocket and as REST.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::fault;
use crate::recogniser::{Heard, Recogniser};
use crate::record::{self, MAX_MESSAGES, Recorded};
use crate::script::{Endpoint, FaultKind, Script};
use crate::server::{Shared, authorised};

const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000001";

fn record(
    shared: &Shared,
    method: &str,
    headers: &HeaderMap,
    query: Vec<(String, String)>,
    audio_bytes: usize,
) -> u64 {
    shared.record(Recorded {
        method: method.to_owned(),
        path: "/v1/listen".to_owned(),
        query,
        headers: record::headers(headers),
        body: Value::Null,
        messages: Vec::new(),
        audio_bytes: audio_bytes as u64,
    })
}

/// Deepgram takes the key as `Authorization: Token …`, as bearer token, and from browsers as a WebSocket protocol.
fn key_is_wrong(script: &Script, headers: &HeaderMap) -> bool {
    let protocol = headers
        .get("sec-websocket-protocol")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let as_protocol = script
        .api_key
        .as_ref()
        .is_some_and(|key| protocol.split(',').any(|part| part.trim() == key));
    !as_protocol && !authorised(script, headers)
}

pub(crate) async fn prerecorded(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    record(&shared, "POST", &headers, query, body.len());
    let (script, fault) = shared.begin(Endpoint::Listen);
    if key_is_wrong(&script, &headers) {
        return fault::status_response(401, None, None);
    }
    if let Some(response) = fault::instead(fault.as_ref()).await {
        return response;
    }
    if body.is_empty() {
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({"err_code": "Bad Request", "err_msg": "no audio"})),
        )
            .into_response();
    }
    let text = shared.next_utterance(&script, &mut 0);
    let duration = body.len() as f64 / 32_000.0;
    let words = text.split_whitespace().count();
    Json(json!({
        "metadata": {"transaction_key": "deprecated", "request_id": REQUEST_ID, "sha256": "0", "created": "2026-01-01T00:00:00.000Z",
                     "duration": duration, "channels": 1, "models": ["simulated"], "model_info": {}},
        "results": {"channels": [{"alternatives": [alternative(&text, words, 0.0, duration)]}]},
    }))
    .into_response()
}

pub(crate) async fn live(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let number = record(&shared, "WS", &headers, query.clone(), 0);
    let (script, fault) = shared.begin(Endpoint::Listen);
    if key_is_wrong(&script, &headers) {
        return fault::status_response(401, None, None);
    }
    if matches!(fault, Some(FaultKind::Status { .. } | FaultKind::Hang))
        && let Some(response) = fault::instead(fault.as_ref()).await
    {
        return response;
    }
    let query: HashMap<String, String> = query.into_iter().collect();
    if query
        .get("encoding")
        .is_some_and(|encoding| encoding != "linear16")
    {
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({"err_msg": "the simulator hears linear16 only"})),
        )
            .into_response();
    }
    let upgrade = upgrade.protocols(["token", "bearer"]);
    upgrade.on_upgrade(move |socket| async move {
        let stop = shared.stop.clone();
        let mut stream = Stream::new(shared, script, fault, number, &query, socket);
        // An error is the client going away.
        let _ = stop.run_until_cancelled(stream.run()).await;
    })
}

/// The connection is over.
struct Over;

struct Stream {
    shared: Arc<Shared>,
    script: Arc<Script>,
    fault: Option<FaultKind>,
    number: u64,
    socket: WebSocket,
    recogniser: Recogniser,
    interim_results: bool,
    vad_events: bool,
    utterance_end: bool,
    /// How many utterances of this connection are over.
    utterances: usize,
    /// The text of the one that is being said.
    text: Option<String>,
    sent: u64,
    odd: Option<u8>,
}

impl Stream {
    fn new(
        shared: Arc<Shared>,
        script: Arc<Script>,
        fault: Option<FaultKind>,
        number: u64,
        query: &HashMap<String, String>,
        socket: WebSocket,
    ) -> Self {
        let on = |name: &str| query.get(name).is_some_and(|value| value == "true");
        let rate = query
            .get("sample_rate")
            .and_then(|rate| rate.parse().ok())
            .unwrap_or(16_000);
        Self {
            recogniser: Recogniser::new(rate, script.delays),
            interim_results: on("interim_results"),
            vad_events: on("vad_events"),
            utterance_end: query.contains_key("utterance_end_ms"),
            shared,
            script,
            fault,
            number,
            socket,
            utterances: 0,
            text: None,
            sent: 0,
            odd: None,
        }
    }

    async fn run(&mut self) -> Result<(), Over> {
        if let Some(FaultKind::Raw { body, .. }) = &self.fault {
            let body = body.clone();
            self.send(Message::Text(body.into())).await?;
        }
        self.misbehave().await?;
        let idle = Duration::from_millis(self.script.delays.stt_idle_ms);
        let mut deadline = Instant::now() + idle;
        loop {
            let message = match timeout_at(deadline, self.socket.recv()).await {
                Err(_) => return self.close(1011, "NET-0001").await,
                Ok(None | Some(Err(_))) => return Err(Over),
                Ok(Some(Ok(message))) => message,
            };
            match message {
                Message::Binary(bytes) => {
                    deadline = Instant::now() + idle;
                    self.hear(&bytes).await?;
                }
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).unwrap_or_default();
                    let kind = message
                        .get("type")
                        .and_then(Value::as_str)
                        .unwrap_or("(not JSON)")
                        .to_owned();
                    self.shared.amend(self.number, |request| {
                        if request.messages.len() < MAX_MESSAGES {
                            request.messages.push(kind.clone());
                        }
                    });
                    match kind.as_str() {
                        "KeepAlive" => deadline = Instant::now() + idle,
                        "Finalize" => self.finalize().await?,
                        "CloseStream" => return self.end().await,
                        _ => return self.close(1008, "DATA-0000").await,
                    }
                }
                Message::Close(_) => return Err(Over),
                Message::Ping(_) | Message::Pong(_) => {}
            }
        }
    }

    async fn hear(&mut self, bytes: &[u8]) -> Result<(), Over> {
        self.shared.amend(self.number, |request| {
            request.audio_bytes += bytes.len() as u64
        });
        let mut all: Vec<u8> = self
            .odd
            .take()
            .into_iter()
            .chain(bytes.iter().copied())
            .collect();
        if all.len() % 2 == 1 {
            self.odd = all.pop();
        }
        let samples = all
            .chunks_exact(2)
            .filter_map(|pair| pair.try_into().ok().map(i16::from_le_bytes));
        for heard in self.recogniser.push(samples) {
            match heard {
                Heard::Started { at_ms } => {
                    self.text = Some(
                        self.shared
                            .next_utterance(&self.script, &mut self.utterances),
                    );
                    if self.vad_events {
                        self.send_json(json!({"type": "SpeechStarted", "channel": [0], "timestamp": seconds(at_ms)})).await?;
                    }
                }
                Heard::Interim {
                    words,
                    start_ms,
                    end_ms,
                } if self.interim_results => {
                    let text = self.text.clone().unwrap_or_default();
                    self.results(&text, words, start_ms, end_ms, Kind::Interim)
                        .await?;
                }
                Heard::Interim { .. } => {}
                Heard::Ended { start_ms, end_ms } => {
                    self.last_words(start_ms, end_ms, Kind::SpeechFinal).await?;
                    if self.utterance_end {
                        self.send_json(json!({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": seconds(end_ms)})).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn finalize(&mut self) -> Result<(), Over> {
        let now_ms = self.recogniser.now_ms();
        match self.recogniser.finalize() {
            Some((start_ms, end_ms)) => self.last_words(start_ms, end_ms, Kind::FromFinalize).await,
            None => {
                self.results("", 0, now_ms, now_ms, Kind::FromFinalize)
                    .await
            }
        }
    }

    async fn end(&mut self) -> Result<(), Over> {
        if let Some((start_ms, end_ms)) = self.recogniser.finalize() {
            self.last_words(start_ms, end_ms, Kind::FromFinalize)
                .await?;
        }
        self.send_json(json!({"type": "Metadata", "transaction_key": "deprecated", "request_id": REQUEST_ID, "sha256": "0",
                              "created": "2026-01-01T00:00:00.000Z", "duration": seconds(self.recogniser.now_ms()), "channels": 1}))
            .await?;
        self.close(1000, "").await
    }

    async fn last_words(&mut self, start_ms: u64, end_ms: u64, kind: Kind) -> Result<(), Over> {
        let text = self.text.take().unwrap_or_default();
        let wait = self.script.delays.stt_final_ms;
        if wait > 0 {
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        let words = text.split_whitespace().count();
        self.results(&text, words, start_ms, end_ms, kind).await
    }

    async fn results(
        &mut self,
        text: &str,
        words: usize,
        start_ms: u64,
        end_ms: u64,
        kind: Kind,
    ) -> Result<(), Over> {
        let (start, duration) = (seconds(start_ms), seconds(end_ms.saturating_sub(start_ms)));
        self.send_json(json!({
            "type": "Results", "channel_index": [0, 1], "start": start, "duration": duration,
            "is_final": kind != Kind::Interim, "speech_final": kind == Kind::SpeechFinal, "from_finalize": kind == Kind::FromFinalize,
            "channel": {"alternatives": [alternative(text, words, start, duration)]},
            "metadata": {"request_id": REQUEST_ID, "model_uuid": REQUEST_ID,
                         "model_info": {"name": "simulated", "version": "1", "arch": "script"}},
        }))
        .await
    }

    async fn send_json(&mut self, message: Value) -> Result<(), Over> {
        self.send(Message::Text(message.to_string().into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Over> {
        self.socket.send(message).await.map_err(|_| Over)?;
        self.sent += 1;
        self.misbehave().await
    }

    /// Stall or cut when enough was sent.
    async fn misbehave(&mut self) -> Result<(), Over> {
        match &self.fault {
            Some(FaultKind::Stall { after_chunks }) if self.sent >= *after_chunks => {
                std::future::pending().await
            }
            Some(FaultKind::Cut { after_chunks }) if self.sent >= *after_chunks => Err(Over),
            _ => Ok(()),
        }
    }

    async fn close(&mut self, code: u16, reason: &'static str) -> Result<(), Over> {
        let _ = self
            .socket
            .send(Message::Close(Some(CloseFrame {
                code,
                reason: reason.into(),
            })))
            .await;
        Err(Over)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Interim,
    SpeechFinal,
    FromFinalize,
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// The first `words` words, evenly spread over the time.
fn alternative(text: &str, words: usize, start: f64, duration: f64) -> Value {
    let words: Vec<&str> = text.split_whitespace().take(words).collect();
    let step = duration / words.len().max(1) as f64;
    let list: Vec<Value> = words
        .iter()
        .enumerate()
        .map(|(index, word)| {
            let begin = start + step * index as f64;
            json!({"word": word.to_lowercase(), "punctuated_word": word, "start": begin, "end": begin + step, "confidence": 0.98})
        })
        .collect();
    let confidence = if words.is_empty() { 0.0 } else { 0.98 };
    json!({"transcript": words.join(" "), "confidence": confidence, "words": list})
}

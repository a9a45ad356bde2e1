//! `/v1/chat/completions`, `/v1/audio/speech`, `/v1/embeddings`, `/v1/models`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::fault::{self, Piece};
use crate::record::{self, Recorded};
use crate::script::{Endpoint, FaultKind, LlmRule, Script, ToolCallScript};
use crate::server::{Shared, authorised};
use crate::speech;

/// Length of `text-embedding-3-small`, unless the request asks for another one.
const DIMENSIONS: u64 = 1536;
/// 100 ms of speech in bytes.
const SPEECH_PIECE_BYTES: usize = speech::RATE_HZ as usize / 10 * 2;
/// Arguments come in pieces of this many characters.
const ARGUMENT_PIECE_CHARS: usize = 8;
/// When it was "created": a fixed instant, so that answers can be compared.
const CREATED: u64 = 1_700_000_000;

struct Begun {
    script: Arc<Script>,
    fault: Option<FaultKind>,
}

/// Records, counts, checks the key; `Err` is what the fault or the missing key makes of the response.
async fn begin(
    shared: &Shared,
    endpoint: Endpoint,
    path: &str,
    headers: &HeaderMap,
    body: Value,
) -> Result<Begun, Response> {
    shared.record(Recorded {
        method: if body.is_null() { "GET" } else { "POST" }.to_owned(),
        path: path.to_owned(),
        query: Vec::new(),
        headers: record::headers(headers),
        body,
        messages: Vec::new(),
        audio_bytes: 0,
    });
    let (script, fault) = shared.begin(endpoint);
    if !authorised(&script, headers) {
        return Err(fault::status_response(401, None, Some("invalid_api_key")));
    }
    match fault::instead(fault.as_ref()).await {
        Some(response) => Err(response),
        None => Ok(Begun { script, fault }),
    }
}

fn bad_request(message: &str) -> Response {
    let body = json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}});
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

pub(crate) async fn models(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let begun = match begin(
        &shared,
        Endpoint::Models,
        "/v1/models",
        &headers,
        Value::Null,
    )
    .await
    {
        Ok(begun) => begun,
        Err(response) => return response,
    };
    let list = begun.script.models.iter();
    let list: Vec<Value> =
        list.map(|id| json!({"id": id, "object": "model", "created": CREATED, "owned_by": "antiphon-simulator"})).collect();
    Json(json!({"object": "list", "data": list})).into_response()
}

pub(crate) async fn chat(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let begun = match begin(
        &shared,
        Endpoint::Chat,
        "/v1/chat/completions",
        &headers,
        body.clone(),
    )
    .await
    {
        Ok(begun) => begun,
        Err(response) => return response,
    };
    let Some(messages) = body
        .get("messages")
        .and_then(Value::as_array)
        .filter(|messages| !messages.is_empty())
    else {
        return bad_request("messages must be a list that is not empty");
    };
    if let Some(problem) = invalid(messages) {
        return bad_request(&problem);
    }
    let refused = begun
        .script
        .refuses
        .iter()
        .find(|name| body.get(name.as_str()).is_some());
    if let Some(name) = refused {
        return bad_request(&format!(
            "Unsupported parameter: '{name}' is not supported with this model."
        ));
    }
    let answer = answer(&begun.script, messages, body.get("tools").is_some());
    let prompt_tokens = messages
        .iter()
        .map(|message| message.to_string().len() as u64 / 4)
        .sum();
    let model = body.get("model").cloned().unwrap_or_default();
    if body.get("stream") == Some(&json!(true)) {
        let usage = body.pointer("/stream_options/include_usage") == Some(&json!(true));
        streamed(&begun, &answer, &model, usage.then_some(prompt_tokens))
    } else {
        let delays = begun.script.delays;
        tokio::time::sleep(Duration::from_millis(delays.llm_first_token_ms)).await;
        Json(whole(&answer, &model, prompt_tokens)).into_response()
    }
}

/// OpenAI's rule: after calls all their results, and no result elsewhere.
fn invalid(messages: &[Value]) -> Option<String> {
    let mut open: Vec<&str> = Vec::new();
    for message in messages {
        if message.get("role") == Some(&json!("tool")) {
            let id = message
                .get("tool_call_id")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let Some(at) = open.iter().position(|open| *open == id) else {
                return Some(format!(
                    "messages with role 'tool' must follow a message with 'tool_calls' ({id})"
                ));
            };
            open.remove(at);
        } else if let Some(id) = open.first() {
            return Some(format!("tool_call_id {id} did not have a response message"));
        } else if let Some(calls) = message.get("tool_calls").and_then(Value::as_array) {
            open = calls
                .iter()
                .filter_map(|call| call.get("id").and_then(Value::as_str))
                .collect();
        }
    }
    open.first()
        .map(|id| format!("tool_call_id {id} did not have a response message"))
}

struct Answer {
    text: String,
    calls: Vec<ToolCallScript>,
}

fn answer(script: &Script, messages: &[Value], has_tools: bool) -> Answer {
    let role = |message: &Value| {
        message
            .get("role")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let user = messages
        .iter()
        .rev()
        .find(|message| role(message) == "user")
        .map(words)
        .unwrap_or_default();
    let said = user.trim().rsplit("\n\n").next().unwrap_or_default();
    let said = said
        .strip_prefix("The caller said:\n")
        .unwrap_or(said)
        .trim();
    let last = messages.last().filter(|message| role(message) == "tool");
    let tool = last.map(|message| {
        let id = message.get("tool_call_id");
        let calls = messages
            .iter()
            .filter_map(|message| message.get("tool_calls")?.as_array())
            .flatten();
        let call = calls.rev().find(|call| call.get("id") == id);
        let name = call
            .and_then(|call| call.pointer("/function/name")?.as_str())
            .unwrap_or_default();
        (name, words(message))
    });
    let fits = |rule: &&LlmRule| {
        let step = match (&rule.after_tool, &tool) {
            (None, None) => true,
            (Some(wanted), Some((name, _))) => wanted.is_empty() || wanted == name,
            (None, Some(_)) | (Some(_), None) => false,
        };
        step && said.to_lowercase().contains(&rule.when.to_lowercase())
            && (rule.tool_calls.is_empty() || has_tools)
    };
    let result = tool.as_ref().map_or("", |(_, result)| result.as_str());
    match script.rules.iter().find(fits) {
        Some(rule) => Answer {
            text: rule.text.replace("{tool}", result),
            calls: rule.tool_calls.clone(),
        },
        None if tool.is_some() => Answer {
            text: format!("The answer is: {result}"),
            calls: Vec::new(),
        },
        None if said.is_empty() => Answer {
            text: "Hello, how can I help you?".to_owned(),
            calls: Vec::new(),
        },
        None => Answer {
            text: format!("You said: {said}. What else can I do for you?"),
            calls: Vec::new(),
        },
    }
}

/// The text of a message, string or list of parts.
fn words(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts
            .iter()
            .filter_map(|part| part.get("text")?.as_str())
            .collect::<Vec<_>>()
            .join("\n"),
        _ => String::new(),
    }
}

fn arguments(call: &ToolCallScript) -> String {
    match &call.arguments {
        Value::String(text) => text.clone(),
        Value::Null => "{}".to_owned(),
        object => object.to_string(),
    }
}

/// Unique over the steps of a conversation, so that histories stay valid.
fn call_id() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("call_sim{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Words with the space before them.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = rest
            .char_indices()
            .skip(1)
            .find(|(_, c)| *c == ' ')
            .map_or(rest.len(), |(at, _)| at);
        let (token, tail) = rest.split_at(end);
        rest = tail;
        (!token.is_empty()).then_some(token)
    })
}

fn finish_reason(answer: &Answer) -> &'static str {
    if answer.calls.is_empty() {
        "stop"
    } else {
        "tool_calls"
    }
}

fn usage(answer: &Answer, prompt_tokens: u64) -> Value {
    let completion = tokens(&answer.text).count() as u64 + 8 * answer.calls.len() as u64;
    json!({"prompt_tokens": prompt_tokens, "completion_tokens": completion, "total_tokens": prompt_tokens + completion,
           "prompt_tokens_details": {"cached_tokens": 0}})
}

fn streamed(begun: &Begun, answer: &Answer, model: &Value, prompt_tokens: Option<u64>) -> Response {
    let mut deltas = vec![json!({"role": "assistant", "content": ""})];
    deltas.extend(tokens(&answer.text).map(|token| json!({"content": token})));
    for (index, call) in answer.calls.iter().enumerate() {
        deltas.push(
            json!({"tool_calls": [{"index": index, "id": call_id(), "type": "function",
                                           "function": {"name": call.name, "arguments": ""}}]}),
        );
        let characters: Vec<char> = arguments(call).chars().collect();
        deltas.extend(characters.chunks(ARGUMENT_PIECE_CHARS).map(|piece| {
            let piece: String = piece.iter().collect();
            json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        }));
    }
    let chunk = |choices: Value, usage: Value| {
        json!({"id": "chatcmpl-sim", "object": "chat.completion.chunk", "created": CREATED, "model": model,
               "choices": choices, "usage": usage})
    };
    let mut events: Vec<String> = deltas
        .into_iter()
        .map(|delta| {
            chunk(
                json!([{"index": 0, "delta": delta, "finish_reason": null}]),
                Value::Null,
            )
            .to_string()
        })
        .collect();
    events.push(
        chunk(
            json!([{"index": 0, "delta": {}, "finish_reason": finish_reason(answer)}]),
            Value::Null,
        )
        .to_string(),
    );
    events.extend(prompt_tokens.map(|tokens| chunk(json!([]), usage(answer, tokens)).to_string()));
    events.push("[DONE]".to_owned());
    let delays = begun.script.delays;
    let pings = match delays.llm_ping_ms {
        0 => 0,
        every => delays.llm_first_token_ms / every,
    };
    let wait = |index: usize| {
        Duration::from_millis(if index == 0 {
            delays.llm_first_token_ms - pings * delays.llm_ping_ms
        } else {
            delays.llm_token_ms
        })
    };
    let ping = Duration::from_millis(delays.llm_ping_ms);
    let mut pieces: Vec<Piece> = (0..pings)
        .map(|_| (ping, Bytes::from_static(b": ping\n\n")))
        .collect();
    let spoken = events
        .iter()
        .enumerate()
        .map(|(index, event)| (wait(index), Bytes::from(format!("data: {event}\n\n"))));
    pieces.extend(spoken);
    (
        [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")],
        fault::body(pieces, begun.fault.as_ref()),
    )
        .into_response()
}

fn whole(answer: &Answer, model: &Value, prompt_tokens: u64) -> Value {
    let calls = answer.calls.iter();
    let calls: Vec<Value> = calls
        .map(|call| json!({"id": call_id(), "type": "function", "function": {"name": call.name, "arguments": arguments(call)}}))
        .collect();
    let mut message = json!({"role": "assistant", "content": answer.text, "refusal": null});
    if let Some(fields) = message.as_object_mut()
        && !calls.is_empty()
    {
        fields.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    json!({"id": "chatcmpl-sim", "object": "chat.completion", "created": CREATED, "model": model,
           "choices": [{"index": 0, "message": message, "finish_reason": finish_reason(answer)}],
           "usage": usage(answer, prompt_tokens)})
}

pub(crate) async fn speech(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let asked_at = Instant::now();
    let begun = match begin(
        &shared,
        Endpoint::Speech,
        "/v1/audio/speech",
        &headers,
        body.clone(),
    )
    .await
    {
        Ok(begun) => begun,
        Err(response) => return response,
    };
    let Some(text) = body
        .get("input")
        .and_then(Value::as_str)
        .filter(|text| !text.trim().is_empty())
    else {
        return bad_request("input must be text that is not empty");
    };
    let (kind, header_bytes) = match body.get("response_format").and_then(Value::as_str) {
        Some("pcm") => ("audio/pcm", None),
        Some("wav") => ("audio/wav", Some(speech::wav_header())),
        _ => return bad_request("the simulator speaks response_format pcm and wav only"),
    };
    let samples = shared.voice.speak(text).await;
    let mut sound = speech::pcm(&samples);
    let delays = begun.script.delays;
    // the time that flite takes is part of the delay, not on top of it: a bench would call it ours
    let first_byte = Duration::from_millis(delays.tts_first_byte_ms);
    let mut pieces: Vec<Piece> = vec![(
        first_byte.saturating_sub(asked_at.elapsed()),
        header_bytes.unwrap_or_default(),
    )];
    while !sound.is_empty() {
        // One byte off, so that clients meet samples cut in half.
        let odd = usize::from(pieces.len() % 2 == 1);
        let piece = sound.split_to((SPEECH_PIECE_BYTES - odd).min(sound.len()));
        let wait = if pieces.len() == 1 {
            0
        } else {
            delays.tts_chunk_ms
        };
        pieces.push((Duration::from_millis(wait), piece));
    }
    let body = fault::body(pieces, begun.fault.as_ref());
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

pub(crate) async fn embeddings(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if let Err(response) = begin(
        &shared,
        Endpoint::Embeddings,
        "/v1/embeddings",
        &headers,
        body.clone(),
    )
    .await
    {
        return response;
    }
    let inputs: Vec<String> = match body.get("input") {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(texts)) => texts
            .iter()
            .map(|text| {
                text.as_str()
                    .map_or_else(|| text.to_string(), str::to_owned)
            })
            .collect(),
        _ => return bad_request("input must be text or a list of texts"),
    };
    let dimensions = body
        .get("dimensions")
        .and_then(Value::as_u64)
        .unwrap_or(DIMENSIONS)
        .clamp(1, 4096);
    let base64 = body.get("encoding_format") == Some(&json!("base64"));
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = embedding(text, usize::try_from(dimensions).unwrap_or(1));
            let embedding = if base64 {
                let bytes: Vec<u8> = vector
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect();
                json!(base64::engine::general_purpose::STANDARD.encode(bytes))
            } else {
                json!(vector)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens: usize = inputs.iter().map(|text| text.len() / 4 + 1).sum();
    Json(
        json!({"object": "list", "data": data, "model": body.get("model"),
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}),
    )
    .into_response()
}

/// A unit vector in which texts with common words are close: each word adds a few ones at places given by its hash.
fn embedding(text: &str, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0_f32; dimensions];
    let lower = text.to_lowercase();
    for word in lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        // FNV-1a: the same in every process and version.
        let mut hash = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        for _ in 0..4 {
            let place = usize::try_from(hash % dimensions as u64).unwrap_or(0);
            if let Some(value) = vector.get_mut(place) {
                *value += 1.0;
            }
            hash = hash.rotate_left(17).wrapping_mul(0x0100_0000_01b3);
        }
    }
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length == 0.0 {
        if let Some(first) = vector.first_mut() {
            *first = 1.0;
        }
    } else {
        vector.iter_mut().for_each(|value| *value /= length);
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_put_together_are_the_text() {
        let text = " Hello,  we are open. ";
        assert_eq!(tokens(text).collect::<String>(), text);
        assert!(tokens(text).count() > 3);
    }

    #[test]
    fn texts_with_common_words_are_closer() {
        let dot = |a: &str, b: &str| -> f32 {
            embedding(a, 512)
                .iter()
                .zip(embedding(b, 512))
                .map(|(a, b)| a * b)
                .sum()
        };
        assert!(
            dot("opening hours of the kitchen", "kitchen hours")
                > dot("opening hours of the kitchen", "vegan pizza") + 0.2
        );
        assert!((dot("a b", "a b") - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_history_that_openai_refuses_is_refused() {
        let call = json!({"role": "assistant", "tool_calls": [{"id": "a"}]});
        let result = json!({"role": "tool", "tool_call_id": "a"});
        assert_eq!(invalid(&[call.clone(), result.clone()]), None);
        assert!(invalid(std::slice::from_ref(&call)).is_some());
        assert!(invalid(&[result, call]).is_some());
    }
}

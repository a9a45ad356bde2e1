//! What the simulator does. Every field has a default, in Rust and in JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// The key that both services ask for; `None`: any key or none.
    pub api_key: Option<String>,
    /// What `/v1/models` lists.
    pub models: Vec<String>,
    /// What Deepgram hears: the n-th utterance of a connection has the n-th text; after the last one the last again.
    pub utterances: Vec<String>,
    /// Count utterances over all connections, so that a reconnect goes on where the old connection was.
    pub utterances_shared: bool,
    /// How the model answers; the first rule that fits. With none it repeats what it was told.
    pub rules: Vec<LlmRule>,
    /// Fields of a chat request that are refused with 400, as OpenAI does it.
    pub refuses: Vec<String>,
    /// Waits.
    pub delays: Delays,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            api_key: None,
            models: ["gpt-4.1-mini", "gpt-4o-mini-tts", "text-embedding-3-small"]
                .map(str::to_owned)
                .to_vec(),
            utterances: vec!["hello".to_owned()],
            utterances_shared: false,
            rules: Vec::new(),
            refuses: Vec::new(),
            delays: Delays::default(),
            faults: Vec::new(),
        }
    }
}

/// Waits in milliseconds. All zero, but for those of listening, which are lengths of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delays {
    /// Request to first token of the model.
    pub llm_first_token_ms: u64,
    /// While the first token is waited for, a comment that keeps the connection alive so often; 0: none.
    pub llm_ping_ms: u64,
    /// Between tokens.
    pub llm_token_ms: u64,
    /// Request to first byte of speech.
    pub tts_first_byte_ms: u64,
    /// Between pieces of speech of 100 ms.
    pub tts_chunk_ms: u64,
    /// A final result comes so much after its cause.
    pub stt_final_ms: u64,
    /// So much silence ends an utterance, when nobody asks to finalize before.
    pub stt_silence_ms: u64,
    /// An interim result each so much speech.
    pub stt_interim_ms: u64,
    /// This long without sound or `KeepAlive`, and the connection is closed with NET-0001.
    pub stt_idle_ms: u64,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            llm_first_token_ms: 0,
            llm_ping_ms: 0,
            llm_token_ms: 0,
            tts_first_byte_ms: 0,
            tts_chunk_ms: 0,
            stt_final_ms: 0,
            stt_silence_ms: 600,
            stt_interim_ms: 200,
            stt_idle_ms: 10_000,
        }
    }
}

/// When the model is asked this, it says that.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LlmRule {
    /// The newest user message contains this (without regard to case); empty: any.
    pub when: String,
    /// The rule is for the step after the result of this tool; `None`: for the step after the caller's words.
    pub after_tool: Option<String>,
    /// Text; `{tool}` in it becomes the tool's result.
    pub text: String,
    /// Calls, after the text.
    pub tool_calls: Vec<ToolCallScript>,
}

/// A call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCallScript {
    /// The tool.
    pub name: String,
    /// Its arguments; a string is sent as it is, so that broken arguments can be sent too.
    #[serde(default)]
    pub arguments: Value,
}

/// Where something goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// Everywhere.
    #[default]
    Any,
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/audio/speech`.
    Speech,
    /// `/v1/embeddings`.
    Embeddings,
    /// `/v1/models`.
    Models,
    /// `/v1/listen`, both ways.
    Listen,
}

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Where.
    #[serde(default)]
    pub endpoint: Endpoint,
    /// At which requests of this endpoint since the script was set, counted from 1; empty: always.
    #[serde(default)]
    pub requests: Vec<u64>,
    /// What.
    #[serde(flatten)]
    pub kind: FaultKind,
}

impl Fault {
    /// This goes wrong at this endpoint, always.
    pub fn always(endpoint: Endpoint, kind: FaultKind) -> Self {
        Self {
            endpoint,
            requests: Vec::new(),
            kind,
        }
    }

    /// This goes wrong at the first request of this endpoint only.
    pub fn once(endpoint: Endpoint, kind: FaultKind) -> Self {
        Self {
            endpoint,
            requests: vec![1],
            kind,
        }
    }
}

/// What goes wrong. A chunk is a token of text, a piece of speech of 100 ms, or a message of `/v1/listen`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum FaultKind {
    /// An error status instead of an answer.
    Status {
        /// 401, 429, 500, …
        status: u16,
        /// Seconds in `Retry-After`.
        #[serde(default)]
        retry_after_s: Option<f64>,
        /// OpenAI's `code`: `insufficient_quota`, …
        #[serde(default)]
        code: Option<String>,
    },
    /// No answer for ever.
    Hang,
    /// After this many chunks nothing more, for ever.
    Stall {
        /// Chunks before.
        after_chunks: u64,
    },
    /// After this many chunks the connection is cut.
    Cut {
        /// Chunks before.
        after_chunks: u64,
    },
    /// This body with status 200; as a message of `/v1/listen` the first one.
    Raw {
        /// The body.
        body: String,
        /// Its type.
        #[serde(default = "event_stream")]
        content_type: String,
    },
}

fn event_stream() -> String {
    "text/event-stream".to_owned()
}

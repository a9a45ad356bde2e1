//! A server that does as it is told, and a model that asks it.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{ChatChunk, Llm, Secret, ToolDefinition};
use antiphon_chat::time::Instant;
use antiphon_chat::{ChatRequest, Item, Message, Role, ToolChoice};
use antiphon_openai::{Dialect, Endpoint, LlmConfig, OpenAiLlm, Timeouts};
use antiphon_simulator::{Fault, FaultKind, LlmRule, Script, Simulator, ToolCallScript};
use futures_util::StreamExt;
use serde_json::json;

pub(crate) const KEY: &str = "test-key-123";
/// How long a server that hangs is waited for: longer than one that answers takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) fn endpoint(simulator: &Simulator, key: &str) -> Endpoint {
    let timeouts = Timeouts {
        first_chunk: PATIENCE,
        between_chunks: PATIENCE,
        ..Timeouts::default()
    };
    Endpoint::new(&simulator.openai_base_url(), Secret::new(key))
        .with_dialect(Dialect::OpenAi)
        .with_timeouts(timeouts)
}

pub(crate) fn request(text: &str) -> ChatRequest {
    let message = Message::new("item_1", Role::User, text, Instant::ZERO);
    ChatRequest {
        instructions: Arc::from("Be brief."),
        items: vec![Item::Message(message)],
        passages: Vec::new(),
        reply_instructions: None,
        tool_choice: ToolChoice::Auto,
        tools: None,
    }
}

pub(crate) fn tools() -> Arc<[ToolDefinition]> {
    Arc::from([ToolDefinition {
        name: "book".to_owned(),
        description: "Books.".to_owned(),
        parameters: json!({"type": "object"}),
    }])
}

pub(crate) async fn chat(
    simulator: &Simulator,
    key: &str,
) -> (Vec<ChatChunk>, Option<ProviderError>) {
    let llm = OpenAiLlm::new(LlmConfig::new(endpoint(simulator, key))).unwrap();
    ask(&llm).await
}

pub(crate) async fn ask(llm: &OpenAiLlm) -> (Vec<ChatChunk>, Option<ProviderError>) {
    let mut stream = llm.chat(request("book a table"), tools());
    let mut chunks = Vec::new();
    while let Some(item) = stream.next().await {
        match item {
            Ok(chunk) => chunks.push(chunk),
            Err(error) => {
                assert!(stream.next().await.is_none(), "an error ends the stream");
                return (chunks, Some(error));
            }
        }
    }
    (chunks, None)
}

pub(crate) async fn start(faults: Vec<Fault>) -> Simulator {
    let call = ToolCallScript {
        name: "book".to_owned(),
        arguments: json!({"guests": 4}),
    };
    let rule = LlmRule {
        when: "book".to_owned(),
        text: "One moment please.".to_owned(),
        tool_calls: vec![call],
        ..LlmRule::default()
    };
    let script = Script {
        api_key: Some(KEY.to_owned()),
        rules: vec![rule],
        faults,
        ..Script::default()
    };
    Simulator::start(script).await.unwrap()
}

pub(crate) fn text_of(chunks: &[ChatChunk]) -> String {
    chunks
        .iter()
        .filter_map(|chunk| {
            if let ChatChunk::Text(text) = chunk {
                Some(text.as_str())
            } else {
                None
            }
        })
        .collect()
}

pub(crate) fn raw(body: &str) -> FaultKind {
    FaultKind::Raw {
        body: body.to_owned(),
        content_type: "text/event-stream".to_owned(),
    }
}

pub(crate) fn warning_of(chunks: &[ChatChunk]) -> String {
    let warnings = chunks.iter().filter_map(|chunk| match chunk {
        ChatChunk::Warning(warning) => Some(warning.as_str()),
        _ => None,
    });
    warnings.collect::<Vec<_>>().join("\n")
}

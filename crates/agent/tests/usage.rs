//! What a session has used, and of which model.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod cast;

use std::sync::Arc;
use std::time::Duration;

use antiphon_agent::provider::{BoxStream, ChatChunk, Llm, ProviderInfo, ToolDefinition};
use antiphon_agent::{Agent, ProviderError};
use antiphon_chat::ChatRequest;
use antiphon_chat::Usage;
use antiphon_dialogue::Event;
use antiphon_dialogue::metrics::{ModelUsage, SessionUsage};
use cast::{Script, speaking, text, wait_for, wait_for_end};

/// A scripted model that has a name.
struct Named(&'static str, Arc<Script>);

impl Named {
    fn new(name: &'static str, words: &str, prompt_tokens: u32) -> Arc<Self> {
        let usage = Usage {
            prompt_tokens,
            cached_tokens: 1,
            completion_tokens: 2,
        };
        Arc::new(Self(
            name,
            Script::new([vec![text(words), ChatChunk::Usage(usage)]]),
        ))
    }
}

impl Llm for Named {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: "script",
            model: self.0.into(),
        }
    }

    fn chat(
        &self,
        request: ChatRequest,
        tools: Arc<[ToolDefinition]>,
    ) -> BoxStream<Result<ChatChunk, ProviderError>> {
        self.1.chat(request, tools)
    }
}

fn llm(model: &str, input_tokens: u64) -> ModelUsage {
    ModelUsage::LlmUsage {
        provider: "script".into(),
        model: model.into(),
        requests: 1,
        input_tokens,
        input_cached_tokens: 1,
        output_tokens: 2,
    }
}

#[tokio::test(start_paused = true)]
async fn who_pays_sees_what_every_model_was_used_for() {
    let first = Agent::builder("a").llm(Named::new("small", "One two.", 10));
    let second = Agent::builder("b")
        .llm(Named::new("large", "Three four.", 100))
        .build()
        .unwrap();
    let (session, _heard) = speaking(first);
    let mut events = session.events();
    session.user_text("Hi").unwrap();
    wait_for_end(&mut events).await;
    session.update_agent(second).unwrap();
    session.user_text("And now?").unwrap();
    wait_for_end(&mut events).await;
    let usage = session.usage().await;
    let voice = ModelUsage::TtsUsage {
        provider: "script".into(),
        model: String::new(),
        characters_count: 19,
        audio_duration: Duration::from_millis(400),
    };
    assert_eq!(
        usage.model_usage,
        [llm("small", 10), voice, llm("large", 100)]
    );
    assert_eq!(usage.llm_prompt_tokens, 110);
    assert_eq!(usage.tts_characters_count, 19);
    assert_eq!(usage.tts_audio_duration, Duration::from_millis(400));
}

#[tokio::test(start_paused = true)]
async fn the_bill_is_told_while_the_call_goes_on_and_adds_up() {
    let agent = Agent::builder("a").llm(Named::new("small", "One two.", 10));
    let (session, _heard) = speaking(agent);
    let mut events = session.events();
    session.user_text("Hi").unwrap();
    let mut bills: Vec<SessionUsage> = Vec::new();
    wait_for(&mut events, |event| {
        if let Event::SessionUsageUpdated { usage } = event {
            bills.push(usage.clone());
        }
        matches!(event, Event::AgentTranscript { is_final: true, .. })
    })
    .await;
    assert!(bills.len() > 1, "{bills:?}");
    assert!(bills.windows(2).all(|pair| pair[0] != pair[1]), "{bills:?}");
    for bill in &bills {
        let mut sum = SessionUsage::default();
        for of in &bill.model_usage {
            match of {
                ModelUsage::LlmUsage {
                    requests,
                    input_tokens,
                    input_cached_tokens,
                    output_tokens,
                    ..
                } => {
                    sum.llm_requests += requests;
                    sum.llm_prompt_tokens += input_tokens;
                    sum.llm_prompt_cached_tokens += input_cached_tokens;
                    sum.llm_completion_tokens += output_tokens;
                }
                ModelUsage::TtsUsage {
                    characters_count,
                    audio_duration,
                    ..
                } => {
                    sum.tts_characters_count += characters_count;
                    sum.tts_audio_duration += *audio_duration;
                }
                ModelUsage::SttUsage { audio_duration, .. } => {
                    sum.stt_audio_duration += *audio_duration;
                }
            }
        }
        sum.model_usage.clone_from(&bill.model_usage);
        assert_eq!(*bill, sum);
    }
    assert_eq!(session.usage().await, *bills.last().unwrap());
}

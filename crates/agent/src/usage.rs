//! What a session has used, as JSON: for logs and for clients. Counts as they are, sound in milliseconds.

use std::time::Duration;

use antiphon_dialogue::metrics::{ModelUsage, SessionUsage};
use serde_json::{Value, json};

/// `llm_requests`, `llm_prompt_tokens`, …, and in `model_usage` the same for every model.
pub fn usage_json(usage: &SessionUsage) -> Value {
    json!({
        "llm_requests": usage.llm_requests,
        "llm_prompt_tokens": usage.llm_prompt_tokens,
        "llm_prompt_cached_tokens": usage.llm_prompt_cached_tokens,
        "llm_completion_tokens": usage.llm_completion_tokens,
        "tts_characters_count": usage.tts_characters_count,
        "tts_audio_ms": ms(usage.tts_audio_duration),
        "stt_audio_ms": ms(usage.stt_audio_duration),
        "model_usage": usage.model_usage.iter().map(of_model).collect::<Vec<_>>(),
    })
}

fn of_model(usage: &ModelUsage) -> Value {
    match usage {
        ModelUsage::LlmUsage {
            provider,
            model,
            requests,
            input_tokens,
            input_cached_tokens,
            output_tokens,
        } => json!({
            "type": "llm_usage", "provider": provider, "model": model, "requests": requests,
            "input_tokens": input_tokens, "input_cached_tokens": input_cached_tokens, "output_tokens": output_tokens,
        }),
        ModelUsage::TtsUsage {
            provider,
            model,
            characters_count,
            audio_duration,
        } => json!({
            "type": "tts_usage", "provider": provider, "model": model, "characters_count": characters_count,
            "audio_ms": ms(*audio_duration),
        }),
        ModelUsage::SttUsage {
            provider,
            model,
            audio_duration,
        } => json!({
            "type": "stt_usage", "provider": provider, "model": model, "audio_ms": ms(*audio_duration),
        }),
    }
}

/// Milliseconds with one decimal.
fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_has_used_can_be_read_by_a_program() {
        let usage = SessionUsage {
            llm_prompt_tokens: 1200,
            tts_audio_duration: Duration::from_micros(40_995_060),
            ..SessionUsage::default()
        };
        let text = usage_json(&usage).to_string();
        assert!(text.contains(r#""llm_prompt_tokens":1200"#), "{text}");
        assert!(text.contains(r#""tts_audio_ms":40995.1"#), "{text}");
    }
}

//! OpenAI answers, refuses, limits, hangs and dies: what the agent sees.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{ChatChunk, Secret, Tts, TtsChunk};
use antiphon_openai::{Dialect, Endpoint, LlmConfig, OpenAiLlm, OpenAiTts, TtsConfig};
use antiphon_simulator::{self as simulator, Fault, FaultKind, Script, Simulator};
use common::{KEY, ask, chat, endpoint, raw, start, text_of, warning_of};
use futures_util::StreamExt;
use serde_json::json;

async fn speak(simulator: &Simulator, key: &str) -> (usize, Option<ProviderError>) {
    let tts = OpenAiTts::new(TtsConfig::new(endpoint(simulator, key))).unwrap();
    let mut stream = tts.synthesize("Your table is booked for eight o'clock.".to_owned());
    let mut samples = 0;
    while let Some(item) = stream.next().await {
        match item {
            Ok(TtsChunk::Audio(frame)) => samples += frame.samples().len(),
            Ok(TtsChunk::Words(_)) => {}
            Err(error) => return (samples, Some(error)),
        }
    }
    (samples, None)
}

#[tokio::test]
async fn text_a_tool_call_and_tokens_arrive_in_pieces() {
    let simulator = start(vec![]).await;
    let (chunks, error) = chat(&simulator, KEY).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(text_of(&chunks), "One moment please.");
    assert!(chunks.iter().any(|chunk| matches!(chunk, ChatChunk::ToolCall(call) if call.name == "book" && call.arguments == r#"{"guests":4}"#)));
    assert!(matches!(chunks.last(), Some(ChatChunk::Usage(usage)) if usage.completion_tokens > 0));
    let asked = simulator.requests().pop().unwrap();
    assert_eq!(asked.body["messages"][0]["content"], "Be brief.");
    assert_eq!(asked.headers["authorization"], "Bearer [key]");
}

#[tokio::test]
async fn speech_arrives_whole_although_its_samples_are_cut_in_half() {
    let simulator = start(vec![]).await;
    let (samples, error) = speak(&simulator, KEY).await;
    assert!(error.is_none(), "{error:?}");
    assert!(samples > 24_000, "{samples} samples");
}

#[tokio::test]
async fn a_wrong_key_is_said_at_once_and_not_repeated() {
    let simulator = start(vec![]).await;
    let (_, llm) = chat(&simulator, "wrong-key").await;
    let (_, tts) = speak(&simulator, "wrong-key").await;
    for error in [llm.unwrap(), tts.unwrap()] {
        assert!(
            matches!(error, ProviderError::Unauthorized { status: 401, .. }),
            "{error}"
        );
        assert!(
            !error.to_string().contains("wrong-key") && !error.to_string().contains("sk-"),
            "{error}"
        );
    }
    assert_eq!(simulator.requests().len(), 2);
}

#[tokio::test]
async fn a_short_limit_is_waited_out_and_a_long_one_is_said() {
    let limited = |seconds| FaultKind::Status {
        status: 429,
        retry_after_s: Some(seconds),
        code: None,
    };
    let simulator = start(vec![
        Fault::once(simulator::Endpoint::Chat, limited(0.2)),
        Fault::always(simulator::Endpoint::Speech, limited(90.0)),
    ])
    .await;
    let (chunks, error) = chat(&simulator, KEY).await;
    assert!(error.is_none() && text_of(&chunks) == "One moment please.");
    assert_eq!(simulator.requests_to("/v1/chat/completions").len(), 2);
    let (_, error) = speak(&simulator, KEY).await;
    assert!(
        matches!(error, Some(ProviderError::RateLimited { retry_after: Some(after), .. }) if after.as_secs() == 90),
        "{error:?}"
    );
    assert_eq!(simulator.requests_to("/v1/audio/speech").len(), 1);
}

#[tokio::test]
async fn somebodys_own_server_goes_by_its_own_name() {
    let kind = FaultKind::Status {
        status: 400,
        retry_after_s: None,
        code: None,
    };
    let simulator = start(vec![Fault::always(simulator::Endpoint::Chat, kind)]).await;
    let endpoint = endpoint(&simulator, KEY).with_dialect(Dialect::Compatible);
    let llm = OpenAiLlm::new(LlmConfig::new(endpoint)).unwrap();
    let error = ask(&llm).await.1.unwrap().to_string();
    assert!(error.starts_with("127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_is_no_matter_of_the_server() {
    let endpoint = Endpoint::new("http://nowhere.invalid/v1", Secret::new(KEY));
    let llm = OpenAiLlm::new(LlmConfig::new(endpoint)).unwrap();
    let findings = llm.probe().await;
    let fix = findings[0].fix.clone().unwrap();
    assert!(fix.contains("DNS"), "{findings:?}");
    assert!(
        findings[0].message.contains("nowhere.invalid"),
        "{findings:?}"
    );
}

#[tokio::test]
async fn an_account_without_money_is_not_asked_again() {
    let kind = FaultKind::Status {
        status: 429,
        retry_after_s: None,
        code: Some("insufficient_quota".to_owned()),
    };
    let simulator = start(vec![Fault::always(simulator::Endpoint::Chat, kind)]).await;
    assert!(matches!(
        chat(&simulator, KEY).await.1,
        Some(ProviderError::Setup { what, .. }) if what.contains("no credit left (429)")
    ));
    assert_eq!(simulator.requests().len(), 1);
}

#[tokio::test]
async fn a_server_in_trouble_or_hanging_once_is_asked_again() {
    for kind in [
        FaultKind::Status {
            status: 500,
            retry_after_s: None,
            code: None,
        },
        FaultKind::Hang,
        FaultKind::Cut { after_chunks: 0 },
        FaultKind::Stall { after_chunks: 0 },
    ] {
        let simulator = start(vec![
            Fault::once(simulator::Endpoint::Chat, kind.clone()),
            Fault::once(simulator::Endpoint::Speech, kind.clone()),
        ])
        .await;
        let (chunks, error) = chat(&simulator, KEY).await;
        assert!(
            error.is_none() && text_of(&chunks) == "One moment please.",
            "{kind:?} {error:?}"
        );
        let (samples, error) = speak(&simulator, KEY).await;
        assert!(error.is_none() && samples > 24_000, "{kind:?} {error:?}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_always_is_given_up_after_three_tries() {
    let simulator = start(vec![Fault::always(
        simulator::Endpoint::Any,
        FaultKind::Hang,
    )])
    .await;
    let (chat, speech) = tokio::join!(chat(&simulator, KEY), speak(&simulator, KEY));
    assert!(
        matches!(chat.1, Some(ProviderError::Timeout { .. })),
        "{:?}",
        chat.1
    );
    assert!(
        matches!(speech.1, Some(ProviderError::Timeout { .. })),
        "{:?}",
        speech.1
    );
    assert_eq!(simulator.requests().len(), 6);
}

#[tokio::test]
async fn an_answer_that_dies_or_hangs_in_the_middle_is_not_said_twice() {
    for kind in [
        FaultKind::Cut { after_chunks: 3 },
        FaultKind::Stall { after_chunks: 3 },
    ] {
        let cut = matches!(kind, FaultKind::Cut { .. });
        let simulator = start(vec![Fault::always(simulator::Endpoint::Any, kind)]).await;
        let (chunks, error) = chat(&simulator, KEY).await;
        assert_eq!(text_of(&chunks), "One moment");
        let (samples, speech_error) = speak(&simulator, KEY).await;
        assert!((4000..5000).contains(&samples), "{samples}");
        for error in [error, speech_error] {
            let right = match error {
                Some(ProviderError::Connection { .. }) => cut,
                Some(ProviderError::Timeout { .. }) => !cut,
                _ => false,
            };
            assert!(right, "cut {cut}: {error:?}");
        }
        assert_eq!(simulator.requests().len(), 2);
    }
}

#[tokio::test]
async fn nonsense_is_called_nonsense() {
    for (body, content_type) in [
        ("data: {nonsense\n\n", "text/event-stream"),
        ("<html>login</html>", "text/html"),
        ("[]", "application/json"),
    ] {
        let kind = FaultKind::Raw {
            body: body.to_owned(),
            content_type: content_type.to_owned(),
        };
        let simulator = start(vec![Fault::always(simulator::Endpoint::Any, kind)]).await;
        let (_, error) = chat(&simulator, KEY).await;
        assert!(error.is_some(), "{body}");
        let (_, error) = speak(&simulator, KEY).await;
        assert!(
            matches!(error, Some(ProviderError::Protocol { .. })),
            "{body}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_model_that_thinks_for_long_is_waited_for_while_its_stream_is_alive() {
    let script = Script {
        delays: simulator::Delays {
            llm_first_token_ms: 2500,
            llm_ping_ms: 100,
            ..Default::default()
        },
        ..Script::default()
    };
    // longer than the longest silence
    let simulator = Simulator::start(script).await.unwrap();
    let (chunks, error) = chat(&simulator, KEY).await;
    assert!(error.is_none() && !text_of(&chunks).is_empty(), "{error:?}");
    assert!(chunks.contains(&ChatChunk::Thinking), "{chunks:?}");
    assert_eq!(simulator.requests().len(), 1);
}

#[tokio::test]
async fn what_the_server_says_reaches_whoever_looks_after_the_agent() {
    for (body, status, said) in [
        (
            "data: {\"object\":\"error\",\"message\":\"EngineCore.\",\"code\":500}\n\ndata: [DONE]\n\n",
            Some(500),
            "EngineCore",
        ),
        (
            "{\"error\":{\"message\":\"Internal\",\"code\":500}}",
            Some(500),
            "Internal",
        ),
        ("{\n  \"detail\": \"Not here\"\n}\n", Some(500), "Not here"),
        ("<!doctype html><title>Sign in</title>", None, "Sign in"),
        ("data: nonsense\n\ndata: more\n\n", None, "nonsense"),
    ] {
        let simulator = start(vec![Fault::always(simulator::Endpoint::Chat, raw(body))]).await;
        let (_, error) = chat(&simulator, KEY).await;
        let error = error.unwrap();
        let right = match &error {
            ProviderError::Status { status: known, .. } => Some(*known) == status,
            ProviderError::Protocol { .. } => status.is_none(),
            _ => false,
        };
        assert!(right && error.to_string().contains(said), "{body}: {error}");
    }
}

#[tokio::test]
async fn thoughts_without_a_beginning_are_not_spoken_and_expected_the_next_time() {
    let delta = |text: &str| {
        format!(
            "data: {}\n\n",
            json!({"choices": [{"delta": {"content": text}}]})
        )
    };
    let body = delta("Okay, the user asks. ")
        + &delta("I answer.\n</think>\n")
        + &delta("At nine.")
        + "data: [DONE]\n\n";
    let simulator = start(vec![Fault::always(simulator::Endpoint::Chat, raw(&body))]).await;
    let llm = OpenAiLlm::new(LlmConfig::new(endpoint(&simulator, KEY))).unwrap();
    let (chunks, error) = ask(&llm).await;
    assert!(
        error.is_none() && text_of(&chunks) == "At nine.",
        "{chunks:?}"
    );
    assert!(warning_of(&chunks).contains("thoughts"));
    let (chunks, _) = ask(&llm).await;
    assert_eq!(chunks, [ChatChunk::Text("At nine.".to_owned())]);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_to_be_unreachable() {
    let gone = start(vec![]).await;
    let endpoint = endpoint(&gone, KEY);
    gone.shutdown().await;
    let tts = OpenAiTts::new(TtsConfig::new(endpoint)).unwrap();
    let item = tts.synthesize("Hello.".to_owned()).next().await;
    assert!(
        matches!(item, Some(Err(ProviderError::Connection { .. }))),
        "{item:?}"
    );
}

#[tokio::test]
async fn carriage_returns_and_a_missing_done_are_understood() {
    let body = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\r\n\r\ndata: {\"choices\":[{\"delta\":null,\"finish_reason\":\"stop\"}]}";
    let kind = FaultKind::Raw {
        body: body.to_owned(),
        content_type: "text/event-stream".to_owned(),
    };
    let simulator = start(vec![Fault::always(simulator::Endpoint::Chat, kind)]).await;
    let (chunks, error) = chat(&simulator, KEY).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(chunks, [ChatChunk::Text("Hi".to_owned())]);
}

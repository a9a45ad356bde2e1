//! What a server is asked once more, and with what.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{ChatChunk, Llm, LlmOptions};
use antiphon_openai::{LlmConfig, OpenAiLlm};
use antiphon_simulator::{self as simulator, Fault, FaultKind, Script, Simulator};
use common::{KEY, ask, chat, endpoint, raw, start, text_of, warning_of};

#[tokio::test]
async fn an_answer_of_which_nothing_can_be_spoken_is_asked_for_once_more() {
    for content in [
        "---",
        "👍",
        "***",
        "\u{200b}",
        "<br>",
        "![](https://example.com/a.png)",
        "<img src='a.png'>",
    ] {
        let body = format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{content}\"}},\"finish_reason\":\"stop\"}}]}}\n\ndata: [DONE]\n\n"
        );
        let simulator = start(vec![Fault::once(simulator::Endpoint::Chat, raw(&body))]).await;
        let (chunks, error) = chat(&simulator, KEY).await;
        let withdrawn = chunks
            .iter()
            .rposition(|chunk| *chunk == ChatChunk::Withdrawn);
        let kept = &chunks[withdrawn.unwrap_or(0)..];
        assert!(
            error.is_none() && text_of(kept) == "One moment please.",
            "{content}: {chunks:?}"
        );
    }
}

#[tokio::test]
async fn an_empty_answer_is_asked_for_once_more_and_then_believed() {
    let thoughts = "data: {\"choices\":[{\"delta\":{\"content\":\"<think>hm</think>\\n\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let simulator = start(vec![Fault::once(simulator::Endpoint::Chat, raw(thoughts))]).await;
    let (chunks, error) = chat(&simulator, KEY).await;
    assert!(
        error.is_none() && text_of(&chunks) == "One moment please.",
        "{chunks:?}"
    );
    let simulator = start(vec![Fault::always(
        simulator::Endpoint::Chat,
        raw(thoughts),
    )])
    .await;
    let (chunks, error) = chat(&simulator, KEY).await;
    assert!(error.is_none() && text_of(&chunks).is_empty(), "{chunks:?}");
    assert_eq!(simulator.requests().len(), 2);
}

#[tokio::test]
async fn a_server_without_a_named_model_is_asked_which_it_has() {
    let script = Script {
        models: vec!["bge-m3".to_owned(), "m".to_owned()],
        ..Script::default()
    };
    let simulator = Simulator::start(script).await.unwrap();
    let llm = OpenAiLlm::new(LlmConfig::new(endpoint(&simulator, KEY)).with_model("")).unwrap();
    for _ in 0..2 {
        let (_, error) = ask(&llm).await;
        assert!(error.is_none(), "{error:?}");
    }
    assert_eq!(llm.info().model, "m");
    assert_eq!(simulator.requests_to("/v1/models").len(), 1);
    let asked = simulator.requests_to("/v1/chat/completions");
    assert!(asked.iter().all(|request| request.body["model"] == "m"));
}

#[tokio::test]
async fn a_parameter_that_the_server_refuses_is_left_out_at_once_and_from_then_on() {
    let script = Script {
        refuses: [
            "stream_options",
            "max_completion_tokens",
            "max_tokens",
            "temperature",
        ]
        .map(str::to_owned)
        .to_vec(),
        ..Script::default()
    };
    let simulator = Simulator::start(script).await.unwrap();
    let options = LlmOptions {
        temperature: Some(0.5),
        max_completion_tokens: Some(300),
    };
    let config = LlmConfig::new(endpoint(&simulator, KEY)).with_options(options);
    let llm = OpenAiLlm::new(config).unwrap();
    let (chunks, error) = ask(&llm).await;
    assert!(error.is_none() && !text_of(&chunks).is_empty(), "{error:?}");
    assert!(
        warning_of(&chunks).contains("leave_out = [\"stream_options\"]"),
        "{chunks:?}"
    );
    // each refused name once, and the longest answer by both of its names
    let asked = simulator.requests_to("/v1/chat/completions").len();
    assert_eq!(asked, 5);
    let (chunks, error) = ask(&llm).await;
    assert!(
        error.is_none() && warning_of(&chunks).is_empty(),
        "{chunks:?}"
    );
    assert_eq!(
        simulator.requests_to("/v1/chat/completions").len(),
        asked + 1
    );
}

#[tokio::test]
async fn a_server_that_refuses_what_is_necessary_is_asked_once() {
    let script = Script {
        refuses: vec!["messages".to_owned()],
        ..Script::default()
    };
    let simulator = Simulator::start(script).await.unwrap();
    let (_, error) = chat(&simulator, KEY).await;
    assert!(
        matches!(error, Some(ProviderError::Status { status: 400, .. })),
        "{error:?}"
    );
    assert_eq!(simulator.requests().len(), 1);
}

#[tokio::test]
async fn a_tag_that_comes_in_pieces_is_no_word() {
    let pieces = ["<", "br", ">"].map(|piece| {
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{piece}\"}}}}]}}\n\n")
    });
    let end = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let body = pieces.concat() + end;
    let simulator = start(vec![Fault::once(simulator::Endpoint::Chat, raw(&body))]).await;
    let (chunks, error) = chat(&simulator, KEY).await;
    assert!(error.is_none(), "{error:?}");
    assert!(
        text_of(&chunks).ends_with("One moment please."),
        "{chunks:?}"
    );
    assert_eq!(simulator.requests().len(), 2);
}

#[tokio::test]
async fn a_call_that_groq_could_not_read_is_asked_for_once_more() {
    let refusal = FaultKind::Status {
        status: 400,
        retry_after_s: None,
        code: Some("tool_use_failed".to_owned()),
    };
    let simulator = start(vec![Fault::once(
        simulator::Endpoint::Chat,
        refusal.clone(),
    )])
    .await;
    let (chunks, error) = chat(&simulator, KEY).await;
    assert!(error.is_none(), "{error:?}");
    let is_call = |chunk: &ChatChunk| matches!(chunk, ChatChunk::ToolCall(_));
    assert!(chunks.iter().any(is_call), "{chunks:?}");
    assert_eq!(simulator.requests().len(), 2);
    // in the middle of the stream as well
    let body = r#"data: {"error":{"message":"Failed to call a function. Please adjust your prompt.","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"x"}}"#;
    let streamed = Fault::once(simulator::Endpoint::Chat, raw(&format!("{body}\n\n")));
    let simulator = start(vec![streamed]).await;
    let (chunks, error) = chat(&simulator, KEY).await;
    assert!(error.is_none() && chunks.iter().any(is_call), "{error:?}");
    assert_eq!(simulator.requests().len(), 2);
    // and not for ever
    let simulator = start(vec![Fault::always(simulator::Endpoint::Chat, refusal)]).await;
    let (_, error) = chat(&simulator, KEY).await;
    assert!(error.is_some());
    assert_eq!(simulator.requests().len(), 2);
}

#[tokio::test]
async fn a_server_whose_list_of_models_is_a_bare_list_is_asked_with_its_first() {
    for body in [
        r#"[{"id":"bge-m3"},{"id":"m"},{"id":"n"}]"#,
        r#"{"object":"list","data":[{"id":"m","object":"model"}]}"#,
    ] {
        let list = FaultKind::Raw {
            body: body.to_owned(),
            content_type: "application/json".to_owned(),
        };
        let simulator = start(vec![Fault::always(simulator::Endpoint::Models, list)]).await;
        let llm = OpenAiLlm::new(LlmConfig::new(endpoint(&simulator, KEY)).with_model("")).unwrap();
        let (chunks, error) = ask(&llm).await;
        assert!(error.is_none() && !text_of(&chunks).is_empty(), "{error:?}");
        let asked = simulator.requests_to("/v1/chat/completions");
        assert_eq!(asked[0].body["model"], "m");
    }
}

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use antiphon_chat::time::Instant;
use antiphon_chat::{Message, Passage, ToolOutput};
use proptest::prelude::*;

use antiphon_chat::{Item, Role, ToolCall};

use super::*;
use crate::chat::messages::MAX_CALL_ID_BYTES;
use crate::config::Endpoint;

fn config(dialect: Dialect) -> LlmConfig {
    LlmConfig::new(Endpoint::new("http://localhost:1/v1", None).with_dialect(dialect))
}

fn said(role: Role, text: &str) -> Item {
    Item::Message(Message::new("item_1", role, text, Instant::ZERO))
}

fn call(id: &str) -> Item {
    let call = ToolCall {
        call_id: id.to_owned(),
        name: "look up".to_owned(),
        arguments: "{\"a\":1}".to_owned(),
    };
    Item::FunctionCall {
        id: format!("item_1/fnc_{id}"),
        call,
        created_at: Instant::ZERO,
    }
}

fn output(id: &str) -> Item {
    let output = ToolOutput {
        call_id: id.to_owned(),
        name: "look up".to_owned(),
        output: "42".to_owned(),
        is_error: false,
        reply_required: true,
    };
    Item::FunctionCallOutput {
        id: format!("item_1/fnc_{id}/output"),
        output,
        created_at: Instant::ZERO,
    }
}

fn request(items: Vec<Item>) -> ChatRequest {
    ChatRequest {
        instructions: Arc::from("Be brief."),
        items,
        passages: Vec::new(),
        reply_instructions: None,
        tool_choice: ToolChoice::Auto,
        tools: None,
    }
}

fn tool() -> ToolDefinition {
    ToolDefinition {
        name: "t".to_owned(),
        description: "d".to_owned(),
        parameters: json!({"type": "object"}),
    }
}

fn roles(messages: &[Value]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| message["role"].as_str().unwrap())
        .collect()
}

#[test]
fn a_call_stands_directly_before_its_result_and_with_the_words_said_before_it() {
    let items = vec![
        said(Role::User, "book"),
        said(Role::Assistant, "One moment."),
        call("a"),
        call("b"),
        output("b"),
        said(Role::User, "are you there?"),
        output("a"),
    ];
    let messages = messages(&request(items), Dialect::OpenAi);
    assert_eq!(
        roles(&messages),
        ["system", "user", "assistant", "tool", "tool", "user"]
    );
    assert_eq!(messages[2]["content"], "One moment.");
    assert_eq!(messages[2]["tool_calls"][0]["id"], "a");
    assert_eq!(messages[2]["tool_calls"][0]["function"]["name"], "look_up");
    assert_eq!(messages[3]["tool_call_id"], "a");
}

#[test]
fn a_call_does_not_borrow_the_words_of_an_earlier_answer() {
    let before = Item::Message(Message::new(
        "item_0",
        Role::Assistant,
        "Welcome.",
        Instant::ZERO,
    ));
    let messages = messages(
        &request(vec![before, call("a"), output("a")]),
        Dialect::OpenAi,
    );
    assert_eq!(
        roles(&messages),
        ["system", "assistant", "assistant", "tool"]
    );
    assert_eq!(messages[2]["content"], Value::Null);
}

#[test]
fn passages_are_in_the_newest_user_message_and_never_in_the_system_role() {
    for dialect in [Dialect::OpenAi, Dialect::Compatible] {
        let mut request = request(vec![
            said(Role::User, "hello"),
            said(Role::Assistant, "hi"),
            said(Role::User, "open today?"),
            call("a"),
            output("a"),
        ]);
        request.passages = vec![Passage {
            page: None,
            text: "SECRET-FACT".to_owned(),
            source: "hours.md".to_owned(),
            score: 1.0,
        }];
        let messages = messages(&request, dialect);
        for (index, message) in messages.iter().enumerate() {
            assert_eq!(
                message.to_string().contains("SECRET-FACT"),
                index == 3,
                "{index} {message}"
            );
        }
        assert_eq!(messages[3]["role"], "user");
    }
}

#[test]
fn instructions_for_one_reply_are_a_system_message_where_the_server_takes_it() {
    let mut request = request(vec![said(Role::User, "hello")]);
    request.reply_instructions = Some("Say goodbye.".to_owned());
    let openai = messages(&request, Dialect::OpenAi);
    assert_eq!(roles(&openai), ["system", "user", "system"]);
    let compatible = messages(&request, Dialect::Compatible);
    assert_eq!(roles(&compatible), ["system", "user"]);
    assert!(
        compatible[0]["content"]
            .as_str()
            .unwrap()
            .contains("Say goodbye.")
    );
}

#[test]
fn a_strict_template_gets_turns_in_order_even_when_the_agent_greets_first() {
    let items = vec![
        said(Role::Assistant, "Welcome."),
        said(Role::User, "a"),
        said(Role::User, "b"),
        said(Role::Assistant, "c"),
    ];
    let messages = messages(&request(items), Dialect::Compatible);
    assert_eq!(
        roles(&messages),
        ["system", "user", "assistant", "user", "assistant", "user"]
    );
    assert_eq!(messages[3]["content"], "a\nb");
}

#[test]
fn the_limit_of_tokens_has_the_name_that_the_server_knows() {
    let mut config = config(Dialect::Compatible);
    config.options.max_completion_tokens = Some(100);
    config.options.temperature = Some(0.3);
    let body_of = |config: &LlmConfig| body(config, &request(vec![]), &[]);
    assert_eq!(body_of(&config)["max_tokens"], 100);
    assert_eq!(body_of(&config)["temperature"], 0.3);
    config.endpoint.dialect = Dialect::OpenAi;
    assert_eq!(body_of(&config)["max_completion_tokens"], 100);
    config.model = "gpt-5-mini".to_owned();
    assert!(body_of(&config).get("temperature").is_none());
}

#[test]
fn fields_can_be_added_and_left_out() {
    let mut config = config(Dialect::OpenAi);
    config.extra_body.insert("top_p".to_owned(), json!(0.5));
    config.leave_out.insert("stream_options".to_owned());
    let body = body(&config, &request(vec![]), &[]);
    assert_eq!(body.get("top_p"), Some(&json!(0.5)));
    assert!(!body.contains_key("stream_options") && body.contains_key("stream"));
}

#[test]
fn the_model_thinks_as_little_as_it_can() {
    let effort_of = |model: &str, tools| effort(&config(Dialect::OpenAi).with_model(model), tools);
    assert_eq!(
        effort_of("gpt-5.1-2025-11-13", true).as_deref(),
        Some("none")
    );
    assert_eq!(effort_of("gpt-5.2", false).as_deref(), Some("none"));
    assert_eq!(effort_of("gpt-5.2", true), None);
    for model in ["gpt-5", "gpt-5-mini", "gpt-5-nano-2025-08-07"] {
        assert_eq!(
            effort_of(model, true).as_deref(),
            Some("minimal"),
            "{model}"
        );
    }
    for model in [
        "gpt-5.4-mini",
        "gpt-5.5",
        "gpt-5.5-2026-04-23",
        "gpt-5.6-sol",
    ] {
        assert_eq!(effort_of(model, true).as_deref(), Some("none"), "{model}");
    }
    for model in [
        "gpt-5.2-pro",
        "gpt-5-codex",
        "gpt-5.1-chat-latest",
        "o3",
        "gpt-4o",
        "gpt-oss-120b",
    ] {
        assert_eq!(effort_of(model, true), None, "{model}");
    }
    assert_eq!(effort_of("gpt-5-chat-latest", true), None);
    assert_eq!(effort_of("gpt-4.1-mini", true), None);
    assert_eq!(
        effort(&config(Dialect::Compatible).with_model("gpt-5"), false),
        None
    );
}

#[test]
fn tools_are_left_out_where_none_may_be_called_and_the_server_does_not_know_the_word() {
    let mut request = request(vec![said(Role::User, "x")]);
    request.tool_choice = ToolChoice::None;
    assert_eq!(
        body(&config(Dialect::OpenAi), &request, &[tool()])["tool_choice"],
        "none"
    );
    assert!(
        body(&config(Dialect::Compatible), &request, &[tool()])
            .get("tools")
            .is_none()
    );
    request.tool_choice = ToolChoice::Function("t".to_owned());
    assert_eq!(
        body(&config(Dialect::Compatible), &request, &[tool()])["tool_choice"]["function"]["name"],
        "t"
    );
}

fn any_item() -> impl Strategy<Value = Item> {
    prop_oneof![
        ("[a-c ]{0,3}", 0..3_u8).prop_map(|(text, role)| said(
            [Role::System, Role::User, Role::Assistant][usize::from(role)],
            &text
        )),
        "([a-d]|x{50}|)".prop_map(|id| call(&id)),
        "([a-d]|x{50}|)".prop_map(|id| output(&id)),
    ]
}

proptest! {
    /// The rules that OpenAI and strict templates check.
    #[test]
    fn every_history_becomes_a_valid_request(items in prop::collection::vec(any_item(), 0..16), extra in any::<bool>()) {
        let mut request = request(items);
        request.reply_instructions = extra.then(|| "now".to_owned());
        for dialect in [Dialect::OpenAi, Dialect::Compatible] {
            let messages = messages(&request, dialect);
            let mut open: Vec<String> = Vec::new();
            let mut before = "";
            for (index, message) in messages.iter().enumerate() {
                let role = message["role"].as_str().unwrap();
                if role == "tool" {
                    let id = message["tool_call_id"].as_str().unwrap();
                    prop_assert!(id.len() <= MAX_CALL_ID_BYTES);
                    let at = open.iter().position(|open| open == id);
                    prop_assert!(at.is_some(), "result without call");
                    open.remove(at.unwrap());
                } else {
                    prop_assert!(open.is_empty(), "call without result");
                }
                if let Some(calls) = message["tool_calls"].as_array() {
                    prop_assert!(!calls.is_empty());
                    open = calls.iter().map(|call| call["id"].as_str().unwrap().to_owned()).collect();
                }
                if dialect == Dialect::Compatible {
                    prop_assert!(role != "system" || index == 0);
                    prop_assert!(role != "user" || before != "user");
                    prop_assert!(role != "assistant" || before == "user" || before == "tool");
                }
                before = role;
            }
            prop_assert!(open.is_empty());
            if dialect == Dialect::Compatible {
                prop_assert!(before == "user" || before == "tool");
            }
        }
    }
}

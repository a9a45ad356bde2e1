//! Dialogues with the responder by rules, as tables of turns.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use antiphon_agent::provider::{ChatChunk, ToolDefinition};
use antiphon_dialogue::chat::{ChatRequest, Item, Message, Passage, Role, ToolChoice, ToolOutput};
use antiphon_local::{Date, RulesLlm};
use serde_json::json;

fn tool(name: &str, description: &str, parameters: &[(&str, &str)]) -> ToolDefinition {
    let properties: serde_json::Map<_, _> = parameters
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), json!({ "type": kind })))
        .collect();
    let required: Vec<_> = parameters.iter().map(|(name, _)| *name).collect();
    ToolDefinition {
        name: name.into(),
        description: description.into(),
        parameters: json!({ "type": "object", "properties": properties, "required": required }),
    }
}

fn tools() -> Vec<ToolDefinition> {
    let day = [
        ("date", "string"),
        ("time", "string"),
        ("party_size", "integer"),
    ];
    let booking = [day.as_slice(), &[("name", "string")]].concat();
    let by = [("reference_or_name", "string")];
    vec![
        tool(
            "find_tables",
            "Looks up whether a table is free at a day and time, and which other times are free that day.",
            &day,
        ),
        tool(
            "make_booking",
            "Books a table. Needs the date, the time, the number of people and the caller's name.",
            &booking,
        ),
        tool(
            "find_booking",
            "Looks up an existing booking by its reference or by the name it was made under.",
            &by,
        ),
        tool(
            "cancel_booking",
            "Cancels an existing booking by its reference or by the name it was made under.",
            &by,
        ),
    ]
}

fn message(role: Role, text: &str) -> Item {
    Item::Message(Message {
        id: "item".into(),
        role,
        text: text.into(),
        interrupted: false,
        created_at: Default::default(),
    })
}

fn answer(items: &[Item], passages: Vec<Passage>) -> String {
    // Monday, 2026-11-23
    let request = ChatRequest {
        instructions: "".into(),
        items: items.to_vec(),
        passages,
        reply_instructions: None,
        tool_choice: ToolChoice::Auto,
    };
    let mut text = String::new();
    for chunk in RulesLlm::new(|| Date::from_days(20_780)).answer(&request, &tools()) {
        match chunk {
            ChatChunk::Text(more) => text.push_str(&more),
            ChatChunk::ToolCall(call) => text = format!("{} {}", call.name, call.arguments),
            ChatChunk::Usage(_) => {}
        }
    }
    text
}

/// Say the odd lines, expect the even ones.
fn dialogue(lines: &[&str]) {
    let mut items = Vec::new();
    for turn in lines.chunks(2) {
        items.push(message(Role::User, turn[0]));
        let said = answer(&items, vec![]);
        assert_eq!(said, turn[1], "after {:?}", turn[0]);
        items.push(message(Role::Assistant, &said));
    }
}

#[test]
fn a_table_is_booked_by_asking_for_one_thing_at_a_time() {
    dialogue(&[
        "i would like to book a table for four people on friday",
        "At what time?",
        "half past six",
        "What name is it under?",
        "my name is john smith",
        r#"make_booking {"date":"2026-11-27","time":"18:30","party_size":4,"name":"John Smith"}"#,
    ]);
    dialogue(&[
        "I want to book a table",
        "For which day?",
        "Today.",
        "At what time?",
        "Seven.",
        "For how many people?",
        "Two.",
        "What name is it under?",
        "Mary Brown",
        r#"make_booking {"date":"2026-11-23","time":"19:00","party_size":2,"name":"Mary Brown"}"#,
    ]);
}

#[test]
fn a_question_with_everything_in_it_calls_the_tool_at_once() {
    for (said, called) in [
        (
            "do you have a table for two tomorrow at seven",
            r#"find_tables {"date":"2026-11-24","time":"19:00","party_size":2}"#,
        ),
        (
            "Is a table free for 6 people on Sunday at 12:30?",
            r#"find_tables {"date":"2026-11-29","time":"12:30","party_size":6}"#,
        ),
        (
            "please find my booking under the name baker",
            r#"find_booking {"reference_or_name":"Baker"}"#,
        ),
    ] {
        dialogue(&[said, called]);
    }
    dialogue(&[
        "cancel my booking please",
        "What name is it under?",
        "Smith.",
        r#"cancel_booking {"reference_or_name":"Smith"}"#,
    ]);
}

#[test]
fn it_reads_out_what_a_tool_said() {
    let output = ToolOutput {
        call_id: "c".into(),
        name: "t".into(),
        output: "Booked: table 4.".into(),
        is_error: false,
    };
    let items = [
        message(Role::User, "x"),
        Item::FunctionCallOutput {
            output,
            created_at: Default::default(),
        },
    ];
    assert_eq!(answer(&items, vec![]), "Booked: table 4.");
}

#[test]
fn it_quotes_the_fitting_sentence_with_its_source_and_says_what_it_is() {
    let passage = Passage {
        text: "We close on Monday. On Sunday we open at noon. See you!".into(),
        source: "hours.md › Opening hours".into(),
        score: 2.0,
    };
    let items = [message(Role::User, "what time do you open on sunday")];
    assert_eq!(
        answer(&items, vec![passage]),
        "Under Opening hours I find: On Sunday we open at noon."
    );
    let hello = answer(&[message(Role::User, "hello")], vec![]);
    assert!(
        hello.contains("not a language model") && hello.contains("make booking"),
        "{hello}"
    );
    assert!(
        answer(&[message(Role::User, "tell me a joke")], vec![])
            .contains("without a language model")
    );
    assert!(answer(&[], vec![]).contains("not a language model"));
}

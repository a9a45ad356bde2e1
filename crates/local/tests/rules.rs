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
        tools: None,
    };
    let mut text = String::new();
    for chunk in RulesLlm::new(|| Date::from_days(20_780)).answer(&request, &tools()) {
        match chunk {
            ChatChunk::Text(more) => text.push_str(&more),
            ChatChunk::ToolCall(call) => {
                // the order of keys says nothing
                let sorted: std::collections::BTreeMap<String, serde_json::Value> =
                    serde_json::from_str(&call.arguments).unwrap();
                text = format!("{} {}", call.name, serde_json::to_string(&sorted).unwrap());
            }
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
fn a_table_is_booked_by_asking_for_one_thing_at_a_time_and_only_after_a_yes() {
    dialogue(&[
        "i would like to book a table for four people on friday",
        "At what time?",
        "half past six",
        "And what is your name, please?",
        "my name is john smith",
        "Shall I book a table for 4 on Friday, November 27 at 6:30 PM for John Smith?",
        "yes please",
        r#"make_booking {"date":"2026-11-27","name":"John Smith","party_size":4,"time":"18:30"}"#,
    ]);
    dialogue(&[
        "I want to book a table",
        "For which day?",
        "December first.",
        "At what time?",
        "Seven.",
        "For how many people?",
        "Two.",
        "And what is your name, please?",
        "Mary Brown",
        "Shall I book a table for 2 on Tuesday, December 1 at 7 PM for Mary Brown?",
        "no, three people",
        "Shall I book a table for 3 on Tuesday, December 1 at 7 PM for Mary Brown?",
        "no",
        "All right. What shall I change?",
        "make it the second of december at eight",
        "Shall I book a table for 3 on Wednesday, December 2 at 8 PM for Mary Brown?",
        "never mind",
        "All right, I leave it. What else can I do for you?",
    ]);
}

#[test]
fn a_table_is_looked_for_and_a_booking_found_or_cancelled() {
    for (said, called) in [
        (
            "do you have a table for two tomorrow at seven",
            r#"find_tables {"date":"2026-11-24","party_size":2,"time":"19:00"}"#,
        ),
        (
            "Is a table free for 6 people on Sunday at 12:30?",
            r#"find_tables {"date":"2026-11-29","party_size":6,"time":"12:30"}"#,
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
        "Shall I cancel the booking under Smith?",
        "yes",
        r#"cancel_booking {"reference_or_name":"Smith"}"#,
    ]);
}

#[test]
fn times_are_of_the_evening_unless_something_says_otherwise() {
    for (said, time) in [
        ("at eleven", "23:00"),
        ("at noon", "12:00"),
        ("for lunch at one", "13:00"),
        ("for lunch at eleven", "11:00"),
        ("at nine in the morning", "09:00"),
        ("at 7pm", "19:00"),
    ] {
        let called =
            format!(r#"find_tables {{"date":"2026-11-24","party_size":2,"time":"{time}"}}"#);
        dialogue(&[
            &format!("is a table free tomorrow {said} for two people"),
            &called,
        ]);
    }
}

#[test]
fn a_question_that_was_cut_off_is_still_open() {
    let mut items = vec![message(
        Role::User,
        "book a table for two tomorrow at seven",
    )];
    assert_eq!(answer(&items, vec![]), "And what is your name, please?");
    items.push(message(Role::Assistant, "And what"));
    items.push(message(Role::User, "Ada"));
    assert_eq!(
        answer(&items, vec![]),
        "Shall I book a table for 2 on Tuesday, November 24 at 7 PM for Ada?"
    );
}

#[test]
fn a_question_in_between_is_answered_and_the_open_one_asked_again() {
    let wine = Passage {
        text: "The house wine costs 5 euros a glass.".into(),
        source: "menu.md › Wine".into(),
        score: 1.0,
    };
    let items = [
        message(Role::User, "book a table for two tomorrow at seven"),
        message(Role::Assistant, "And what is your name, please?"),
        message(Role::User, "how much is the house wine"),
    ];
    assert_eq!(
        answer(&items, vec![wine]),
        "The house wine costs 5 euros a glass. And what is your name, please?"
    );
}

#[test]
fn things_of_a_list_are_named_and_a_chance_word_is_no_answer() {
    let menu = Passage {
        text: "Warm olives, 5 euros. Vegan.\nBurrata with basil, 11 euros. Vegetarian.\nSoup of the day, 7 euros. Vegan.".into(),
        source: "menu.md › Menu › Starters".into(),
        score: 2.0,
    };
    let dairy = Passage {
        text: "The vegan dishes contain no milk.".into(),
        source: "allergens.md › Dairy".into(),
        score: 3.0,
    };
    let found = vec![dairy, menu];
    let items = [message(Role::User, "do you have vegan dishes")];
    assert_eq!(
        answer(&items, found.clone()),
        "For example warm olives, 5 euros; and soup of the day, 7 euros."
    );
    let tell = Passage {
        text: "Tell us when you book.".into(),
        source: "policies.md".into(),
        score: 1.0,
    };
    assert!(answer(&[message(Role::User, "tell me a joke")], vec![tell]).contains("did not find"));
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
fn it_says_the_fitting_sentence_and_what_it_is() {
    let passage = Passage {
        text: "We close on Monday. On Sunday we open at noon. See you!".into(),
        source: "hours.md › Opening hours".into(),
        score: 2.0,
    };
    let items = [message(Role::User, "what time do you open on sunday")];
    assert_eq!(
        answer(&items, vec![passage]),
        "We close on Monday. On Sunday we open at noon. See you!"
    );
    for asked in [
        "are you a robot",
        "Are you an AI?",
        "am I talking to a real person?",
        "who are you",
    ] {
        let said = answer(&[message(Role::User, asked)], vec![]);
        assert!(
            said.contains("not a language model") && said.contains("book a table"),
            "{asked}: {said}"
        );
    }
    assert_eq!(
        answer(&[message(Role::User, "hello")], vec![]),
        "Hello! How can I help you?"
    );
    assert_eq!(
        answer(&[message(Role::User, "thank you")], vec![]),
        "You are welcome. Is there anything else?"
    );
    assert_eq!(
        answer(&[message(Role::User, "goodbye")], vec![]),
        "Goodbye, and thank you for calling."
    );
    assert!(
        answer(&[message(Role::User, "tell me a joke")], vec![])
            .contains("without a language model")
    );
}

//! Dialogues with the responder by rules, as tables of turns.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::{Arc, Mutex};

use antiphon_agent::provider::{
    BoxFuture, ChatChunk, Found, Knowledge, Llm as _, Query, ToolDefinition,
};
use antiphon_chat::{ChatRequest, Item, Message, Passage, Role, ToolChoice, ToolOutput};
use antiphon_local::{Date, RulesLlm};
use futures_util::StreamExt as _;
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
    Item::Message(Message::new("item", role, text, Default::default()))
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
            other => panic!("the rules never say {other:?}"),
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
        ("at half-past seven", "19:30"),
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
        page: None,
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

fn passage(source: &str, text: &str) -> Passage {
    Passage {
        page: None,
        text: text.into(),
        source: source.into(),
        score: 1.0,
    }
}

fn answer_to(question: &str, passages: &[Passage]) -> String {
    answer(&[message(Role::User, question)], passages.to_vec())
}

#[test]
fn things_of_a_list_are_named_and_a_chance_word_is_no_answer() {
    let wines = passage(
        "menu.md › Menu › Wine",
        "House wine, red, 5 euros.\nHouse wine, white, 5 euros.\nSparkling water, 3 euros.",
    );
    assert_eq!(
        answer_to("which house wine do you have", &[wines]),
        "For example house wine, red, 5 euros; and house wine, white, 5 euros."
    );
    let tell = passage("policies.md", "Tell us when you book.");
    assert!(answer_to("tell me a joke", &[tell]).contains("did not find"));
}

#[test]
fn a_question_about_a_diet_is_answered_with_all_that_was_found_and_does_not_claim_to_be_complete() {
    const HONEST: &str = "That is all I find, and it may not be complete; if it matters for your health, please ask a person too.";
    let found = [
        passage(
            "allergens.md › Allergens › Gluten",
            "Without gluten are the sea bass and the almond cake. Bread without gluten is available on request.",
        ),
        passage(
            "allergens.md › Allergens › Dairy",
            "The vegan dishes contain no milk. The burrata contains milk.",
        ),
        passage(
            "allergens.md › Allergens › Nuts",
            "The risotto contains hazelnuts. The kitchen uses nuts every day, so we cannot promise that any dish is free of traces of nuts.",
        ),
        passage(
            "menu.md › Menu › Starters",
            "Warm olives with orange, 5 euros. Vegan.\nBurrata with basil, 11 euros. Vegetarian.\nSoup of the day, 7 euros. Vegan.\nGrilled sardines, 9 euros.",
        ),
        passage(
            "menu.md › Menu › Main courses",
            "Sea bass baked in salt, 46 euros.\nMushroom risotto with hazelnuts, 18 euros. Vegetarian, can be made vegan.\nAubergine stew, 16 euros. Vegan.\nLamb, 24 euros.",
        ),
        passage(
            "menu.md › Menu › Desserts",
            "Lemon tart, 8 euros.\nChocolate mousse, 8 euros. Vegan.\nAlmond cake with figs, 7 euros. Without gluten.\nOat crumble, 7 euros. Without gluten.",
        ),
    ];
    for (question, said) in [
        (
            "do you have vegan dishes",
            "I find warm olives with orange; soup of the day; mushroom risotto with hazelnuts, vegetarian, can be made vegan; \
             aubergine stew; and chocolate mousse.",
        ),
        (
            "which vegetarian options are there",
            "I find warm olives with orange; burrata with basil; soup of the day; mushroom risotto with hazelnuts, vegetarian, can \
             be made vegan; aubergine stew; and chocolate mousse.",
        ),
        (
            "what can I eat without gluten?",
            "Without gluten are the sea bass and the almond cake. Bread without gluten is available on request. I find oat crumble.",
        ),
        (
            "I have a nut allergy",
            "The risotto contains hazelnuts. The kitchen uses nuts every day, so we cannot promise that any dish is free of traces \
             of nuts.",
        ),
        (
            "is there milk in the burrata, I want to avoid it",
            "The vegan dishes contain no milk. The burrata contains milk.",
        ),
    ] {
        assert_eq!(
            answer_to(question, &found),
            format!("{said} {HONEST}"),
            "{question}"
        );
    }
    assert!(answer_to("is the food halal", &found).contains("did not find"));
    // a food alone is no diet
    assert_eq!(
        answer_to("how much is the lemon tart", &found),
        "Lemon tart, 8 euros."
    );
}

#[test]
fn it_reads_out_what_a_tool_said() {
    let output = ToolOutput {
        call_id: "c".into(),
        name: "t".into(),
        output: "Booked: table 4.".into(),
        is_error: false,
        reply_required: true,
    };
    let items = [
        message(Role::User, "x"),
        Item::FunctionCallOutput {
            id: "item/fnc_1/output".into(),
            output,
            created_at: Default::default(),
        },
    ];
    assert_eq!(answer(&items, vec![]), "Booked: table 4.");
}

#[test]
fn it_says_the_fitting_sentence_and_what_it_is() {
    let passage = Passage {
        page: None,
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

#[test]
fn the_parts_of_a_document_are_offered_and_other_forms_of_a_word_are_the_same_word() {
    let menu = [
        passage("menu.md › Menu › Starters", "Warm olives.\nBurrata.\nSoup."),
        passage(
            "menu.md › Menu › Desserts",
            "Lemon tart, 8 euros.\nChocolate mousse, 8 euros.\nAlmond cake, 7 euros.",
        ),
        passage("menu.md › Menu › Wine", "The house wine costs 5 euros."),
        passage(
            "policies.md › Policies › Birthdays",
            "Tell us when you book and we put a candle on the dessert.",
        ),
    ];
    assert_eq!(
        answer_to("What's on the menu?", &menu),
        "I can tell you about starters, desserts and wine. Which shall it be?"
    );
    assert_eq!(
        answer_to("which desserts do you have", &menu),
        "For example lemon tart, 8 euros; chocolate mousse, 8 euros; and almond cake, 7 euros."
    );
    let where_we_are = passage(
        "hours.md › Opening hours › Where we are",
        "The tram stops at Harbour Square. There is a public car park behind the fish market.",
    );
    assert_eq!(
        answer_to("is there parking", &[where_we_are]),
        "There is a public car park behind the fish market."
    );
    let paying = passage(
        "policies.md › Policies › Paying",
        "We take cash and all common cards. Tips can be added to the card payment.",
    );
    // both sentences hold all that was asked for
    let said = answer_to("can i pay by card", &[paying]);
    assert!(
        said.starts_with("We take cash and all common cards."),
        "{said}"
    );
}

/// Writes down what is searched for.
#[derive(Clone, Default)]
struct Searches(Arc<Mutex<Vec<String>>>);

impl Knowledge for Searches {
    fn search(&self, query: Query) -> BoxFuture<'_, Found> {
        self.0.lock().unwrap().push(query.text);
        Box::pin(async { Found::default() })
    }
}

#[tokio::test]
async fn what_is_searched_for_is_what_the_question_means() {
    let searches = Searches::default();
    let llm = RulesLlm::new(|| Date::from_days(20_780)).with_knowledge(Arc::new(searches.clone()));
    let mut items = Vec::new();
    for (said, searched) in [
        (
            "do you have something vegetarian",
            "vegetarian vegan something",
        ),
        ("are you open on friday", "are you open on friday"),
        ("and tomorrow?", "are you open and tomorrow tuesday"),
        ("how much is the soup", "how much is the soup"),
    ] {
        items.push(message(Role::User, said));
        let request = ChatRequest {
            instructions: "".into(),
            items: items.clone(),
            passages: Vec::new(),
            reply_instructions: None,
            tools: None,
            tool_choice: ToolChoice::Auto,
        };
        let chunks = llm.chat(request, Vec::new().into());
        assert!(chunks.count().await > 0);
        assert_eq!(searches.0.lock().unwrap().last().unwrap(), searched);
    }
}

#[test]
fn a_booking_that_exists_is_not_changed_behind_the_callers_back() {
    dialogue(&[
        "can i change my booking to eight o'clock",
        "What name is it under?",
        "never mind",
        "All right, I leave it. What else can I do for you?",
        "cancel my booking please",
        "What name is it under?",
        "Ann Lee",
        "Shall I cancel the booking under Ann Lee?",
        "under Ann Lee",
        "Shall I cancel the booking under Ann Lee?",
        "yes",
        r#"cancel_booking {"reference_or_name":"Ann Lee"}"#,
    ]);
    dialogue(&[
        "no that's all",
        "All right. Have a nice day!",
        "no thank you",
        "All right. Have a nice day!",
        "thanks, bye",
        "Goodbye, and thank you for calling.",
    ]);
}

#[test]
fn what_it_is_and_can_do_is_said_once_when_nothing_answers() {
    let mut items = vec![message(Role::User, "do you have wifi")];
    let said = answer(&items, vec![]);
    assert!(said.contains("without a language model"), "{said}");
    items.push(message(Role::Assistant, &said));
    items.push(message(Role::User, "and a swimming pool"));
    assert_eq!(
        answer(&items, vec![]),
        "Sorry, I did not find anything about that either."
    );
}

#[test]
fn the_price_of_something_unknown_is_not_the_price_of_something_else() {
    let cancelling = passage(
        "policies.md › Policies › Cancelling",
        "After that, or when nobody comes, we charge 10 euros per person.",
    );
    let said = answer_to("how much is the land", &[cancelling]);
    assert!(said.contains("did not find"), "{said}");
}

#[test]
fn a_table_that_is_booked_already_is_not_booked_again() {
    let said = answer_to(
        "we are running twenty minutes late will you hold our table?",
        &[passage(
            "policies.md › Policies › Being late",
            "We hold a table for fifteen minutes. Please call if you are later than that.",
        )],
    );
    assert!(
        said.starts_with("We hold a table for fifteen minutes."),
        "{said}"
    );
}

#[test]
fn marks_of_headings_are_not_read_out_and_the_words_below_are_found_by_them() {
    let house = passage(
        "house.md",
        "# The house\n\n## Dogs\nThey are welcome in the garden.\n\n## Parking\nThe **first hour** is free. See [the map](https://example.com/map).\n",
    );
    let said = answer_to("are dogs welcome", std::slice::from_ref(&house));
    assert!(
        said.contains("welcome in the garden") && !said.contains('#'),
        "{said}"
    );
    let said = answer_to("is parking free", &[house]);
    assert!(said.contains("The first hour is free"), "{said}");
    assert!(!said.contains(['#', '*', '[']), "{said}");
}

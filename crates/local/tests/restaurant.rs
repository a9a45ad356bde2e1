//! Calls of the restaurant example, from `examples/restaurant/questions`, with its documents, its tools and its booking book:
//! how many are answered rightly. `-- --nocapture` shows the others.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout
)]

use std::path::Path;
use std::sync::Arc;

use antiphon_agent::provider::{ChatChunk, ToolDefinition};
use antiphon_agent::tool::{Tool, ToolContext};
use antiphon_chat::{ChatRequest, Item, Message, Role, ToolChoice, ToolOutput};
use antiphon_knowledge::KnowledgeBase;
use antiphon_local::{Date, RulesLlm};
use antiphon_restaurant::Bookings;
use futures_util::StreamExt as _;

/// Monday, 23 November 2026.
const TODAY: i64 = 20_780;
/// Steps of one answer: more calls of tools than that would be a loop.
const MAX_STEPS: usize = 4;

struct Desk {
    llm: RulesLlm,
    base: KnowledgeBase,
    tools: Vec<Arc<dyn Tool>>,
    items: Vec<Item>,
}

impl Desk {
    fn open() -> Self {
        let today = || jiff::civil::date(2026, 11, 23);
        let book = Arc::new(Bookings::in_memory().unwrap());
        let base = KnowledgeBase::from_markdown(antiphon_restaurant::files::documents());
        let base = base.with_top_k(6);
        Self {
            llm: RulesLlm::new(|| Date::from_days(TODAY)).with_knowledge(Arc::new(base.clone())),
            base,
            tools: antiphon_restaurant::tools::tools(&book, &(Arc::new(today) as _)),
            items: Vec::new(),
        }
    }

    fn push(&mut self, role: Role, text: &str) {
        let id = format!("item_{}", self.items.len());
        let message = Message::new(id, role, text, Default::default());
        self.items.push(Item::Message(message));
    }

    async fn says(&mut self, words: &str) -> String {
        self.push(Role::User, words);
        let definitions: Vec<ToolDefinition> = self.tools.iter().map(|t| t.definition()).collect();
        for step in 0..MAX_STEPS {
            let request = ChatRequest {
                instructions: "".into(),
                items: self.items.clone(),
                passages: self.base.find(words),
                reply_instructions: None,
                tool_choice: ToolChoice::Auto,
                tools: None,
            };
            let mut said = String::new();
            let mut called = None;
            let chunks =
                antiphon_agent::provider::Llm::chat(&self.llm, request, definitions.clone().into());
            for chunk in chunks.collect::<Vec<_>>().await {
                match chunk.unwrap() {
                    ChatChunk::Text(text) => said.push_str(&text),
                    ChatChunk::ToolCall(call) => called = Some(call),
                    other => panic!("the rules never say {other:?}"),
                }
            }
            let Some(call) = called else {
                self.push(Role::Assistant, &said);
                return said;
            };
            let tool = self.tools.iter().find(|t| t.definition().name == call.name);
            let context = ToolContext {
                idempotency_key: format!("{} {step}", self.items.len()),
                ..ToolContext::default()
            };
            let arguments = serde_json::from_str(&call.arguments).unwrap();
            let result = tool.unwrap().call(arguments, context).await;
            let is_error = result.is_err();
            let output = ToolOutput {
                call_id: call.call_id.clone(),
                name: call.name.clone(),
                output: result.map_or_else(|error| error.to_string(), |reply| reply.text),
                is_error,
                reply_required: true,
            };
            let (id, created_at) = (format!("fnc_{}", self.items.len()), Default::default());
            self.items.push(Item::FunctionCall {
                id: id.clone(),
                call,
                created_at,
            });
            self.items.push(Item::FunctionCallOutput {
                id,
                output,
                created_at,
            });
        }
        panic!("tools are called in a loop");
    }
}

/// The part of an expectation that an answer does not meet.
fn unmet<'a>(expected: &'a str, said: &str) -> Option<&'a str> {
    let said = said.to_lowercase();
    let knows_nothing = ["did not find", "do not know", "do not find"]
        .iter()
        .any(|words| said.contains(words));
    expected.split(',').map(str::trim).find(|part| {
        if let Some(forbidden) = part.strip_prefix('!') {
            return said.contains(forbidden);
        }
        !part.split('/').any(|words| match words {
            "?" => knows_nothing,
            words => said.contains(words),
        })
    })
}

/// Turns of the callers that were answered rightly, of how many.
async fn ask_all(file: &str) -> (usize, usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/restaurant/questions");
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let (mut right, mut all) = (0, 0);
    for call in text.split("\n\n") {
        let mut desk = Desk::open();
        let mut said = String::new();
        for line in call.lines() {
            match line.split_at_checked(2) {
                Some(("> ", words)) => {
                    said = desk.says(words).await;
                    if std::env::var_os("ALL").is_some() {
                        println!("{words}\n    {said}");
                    }
                }
                Some(("< ", expected)) => {
                    all += 1;
                    match unmet(expected, &said) {
                        None => right += 1,
                        Some(part) => println!("{call}\n  said: {said}\n  not met: {part}\n"),
                    }
                }
                _ => {}
            }
        }
    }
    println!("{file}: {right} of {all}\n");
    (right, all)
}

/// At least so many of twenty.
async fn of_twenty(least: usize, file: &str) {
    let (right, all) = ask_all(file).await;
    assert!(right * 20 >= all * least, "{file}: {right} of {all}");
}

#[tokio::test]
async fn nineteen_of_twenty_questions_about_the_restaurant_are_answered_rightly() {
    of_twenty(19, "tuned.txt").await;
}

#[tokio::test]
async fn seventeen_of_twenty_are_that_nobody_looked_at_before() {
    of_twenty(17, "held-back.txt").await;
}

#[tokio::test]
async fn tables_are_booked_changed_and_cancelled_as_people_ask_for_it() {
    of_twenty(19, "bookings.txt").await;
}

#[tokio::test]
async fn so_they_are_in_calls_that_nobody_looked_at_before() {
    of_twenty(18, "bookings-held-back.txt").await;
}

//! The responder without a language model: says what it is, quotes the knowledge, and drives tools by rules. Deterministic:
//! the same history gives the same answer.

mod diet;
mod fill;
mod quote;
mod task;
mod words;

use std::sync::Arc;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{BoxStream, ChatChunk, Llm, ProviderInfo, ToolDefinition};
use antiphon_chat::{ChatRequest, Item, Role, ToolCall, ToolChoice};
use serde_json::Value;

pub use fill::Date;
use task::{Outcome, Talk};
use words::tokens;

/// Longest tool output that is read out.
const MAX_OUTPUT_CHARS: usize = 500;

/// The built-in responder.
#[derive(Clone)]
pub struct RulesLlm {
    today: Arc<dyn Fn() -> Date + Send + Sync>,
}

impl std::fmt::Debug for RulesLlm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RulesLlm").finish_non_exhaustive()
    }
}

impl RulesLlm {
    /// With a clock that says what day it is where the caller is.
    pub fn new(today: impl Fn() -> Date + Send + Sync + 'static) -> Self {
        Self {
            today: Arc::new(today),
        }
    }

    /// The whole answer.
    pub fn answer(&self, request: &ChatRequest, tools: &[ToolDefinition]) -> Vec<ChatChunk> {
        match self.decide(request, tools) {
            Answer::Say(text) => text
                .split_inclusive(' ')
                .map(|word| ChatChunk::Text(word.to_owned()))
                .collect(),
            Answer::Call(call) => vec![ChatChunk::ToolCall(call)],
        }
    }

    fn decide(&self, request: &ChatRequest, tools: &[ToolDefinition]) -> Answer {
        if let Some(Item::FunctionCallOutput { output, .. }) = request.items.last() {
            if !task::is_search(&output.name) {
                return Answer::Say(spoken_output(&output.output, output.is_error));
            }
            let latest = last_said(&request.items, Role::User).unwrap_or_default();
            let said = quote::from_search(&output.output, latest);
            let mut talk = Talk::new(tools, (self.today)());
            talk.replay(&request.items);
            let open = talk.question().unwrap_or_default();
            let said = said.unwrap_or_else(|| not_found(tools));
            return Answer::Say(format!("{said} {open}").trim().to_owned());
        }
        let Some(latest) = last_said(&request.items, Role::User) else {
            return Answer::Say(introduction(tools));
        };
        let mut talk = Talk::new(tools, (self.today)());
        let outcome = talk.replay(&request.items);
        let again = |text: &str| {
            format!("{text} {}", talk.question().unwrap_or_default())
                .trim()
                .to_owned()
        };
        match outcome {
            Outcome::Ask => Answer::Say(talk.question().unwrap_or_default()),
            Outcome::Call(name, arguments) if request.tool_choice != ToolChoice::None => {
                Answer::Call(ToolCall {
                    call_id: format!("rules_{}", request.items.len()),
                    name,
                    arguments,
                })
            }
            Outcome::Call(..) => {
                Answer::Say("I cannot do that just now. Please ask me again in a moment.".into())
            }
            Outcome::Dropped => {
                Answer::Say("All right, I leave it. What else can I do for you?".into())
            }
            Outcome::WhatElse => Answer::Say("All right. What shall I change?".into()),
            Outcome::CannotChange(instead) => Answer::Say(instead),
            Outcome::Nothing => {
                if let Some(said) = small_talk(latest, &request.items, tools) {
                    return Answer::Say(again(&said));
                }
                let search = tools
                    .iter()
                    .find(|tool| task::is_search(&tool.name))
                    .filter(|_| request.tool_choice != ToolChoice::None);
                let searched = |tool: &ToolDefinition, query: &str| {
                    Answer::Call(ToolCall {
                        call_id: format!("rules_{}", request.items.len()),
                        name: tool.name.clone(),
                        arguments: serde_json::json!({ "query": query }).to_string(),
                    })
                };
                if let (Some(tool), Some(query)) = (search, diet::search(latest)) {
                    return searched(tool, &query);
                }
                if let Some(said) = quote::answer(&request.passages, latest) {
                    return Answer::Say(again(&said));
                }
                match (talk.question(), search) {
                    (Some(question), _) => {
                        Answer::Say(format!("Sorry, I did not understand that. {question}"))
                    }
                    (None, Some(tool)) if request.passages.is_empty() => searched(tool, latest),
                    (None, _) => Answer::Say(not_found(tools)),
                }
            }
        }
    }
}

enum Answer {
    Say(String),
    Call(ToolCall),
}

impl Llm for RulesLlm {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: "built-in",
            model: "rules".into(),
        }
    }

    fn chat(
        &self,
        request: ChatRequest,
        tools: Arc<[ToolDefinition]>,
    ) -> BoxStream<Result<ChatChunk, ProviderError>> {
        Box::pin(futures_util::stream::iter(
            self.answer(&request, &tools).into_iter().map(Ok),
        ))
    }
}

/// The newest words of one side.
fn last_said(items: &[Item], who: Role) -> Option<&str> {
    items.iter().rev().find_map(|item| match item {
        Item::Message(message) if message.role == who => Some(message.text.as_str()),
        Item::Message(_)
        | Item::FunctionCall { .. }
        | Item::FunctionCallOutput { .. }
        | Item::AgentHandoff { .. }
        | Item::AgentConfigUpdate { .. } => None,
    })
}

fn shorten(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let cut: String = text.chars().take(limit).collect();
    cut.rsplit_once(' ')
        .map_or(cut.clone(), |(before, _)| format!("{before} …"))
}

fn spoken_output(output: &str, is_error: bool) -> String {
    let text = match serde_json::from_str::<Value>(output) {
        Ok(value) => words::speak(&value),
        Err(_) => output.trim().to_owned(),
    };
    let text = shorten(&text, MAX_OUTPUT_CHARS);
    match (is_error, text.is_empty()) {
        (true, _) => format!("That did not work: {text}"),
        (false, true) => "Done.".into(),
        (false, false) => text,
    }
}

fn introduction(tools: &[ToolDefinition]) -> String {
    format!(
        "I am a simple automatic assistant. I work by rules and am not a language model, nor a person. {}",
        abilities(tools)
    )
}

fn not_found(tools: &[ToolDefinition]) -> String {
    format!(
        "Sorry, I did not find anything about that. I work by simple rules, without a language model. {}",
        abilities(tools)
    )
}

fn abilities(tools: &[ToolDefinition]) -> String {
    let able: Vec<String> = tools
        .iter()
        .filter(|tool| !task::is_search(&tool.name))
        .map(task::phrase)
        .collect();
    match able.split_last() {
        None => "I can answer questions from my documents.".into(),
        Some((last, [])) => format!("I can answer questions from my documents, or {last}."),
        Some((last, others)) => format!(
            "I can answer questions from my documents, {}, or {last}.",
            others.join(", ")
        ),
    }
}

/// What is not about anything: hello, thanks, goodbye, and questions about the speaker.
fn small_talk(latest: &str, items: &[Item], tools: &[ToolDefinition]) -> Option<String> {
    let words = tokens(latest);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let text = format!(" {} ", words.join(" "));
    let says = |list: &[&str]| {
        list.iter()
            .any(|phrase| text.contains(&format!(" {phrase} ")))
    };
    if says(&[
        "are you a",
        "are you an",
        "who are you",
        "what are you",
        "is thi a",
        "am i talking to",
        "am i speaking to",
        "who am i",
    ]) && has(&[
        "robot", "ai", "human", "person", "machine", "computer", "bot", "model", "who", "what",
        "real",
    ]) || says(&["a i", "chatgpt", "language model"])
    {
        return Some(introduction(tools));
    }
    if says(&["say that again", "repeat that", "pardon", "come again"]) {
        return last_said(items, Role::Assistant).map(str::to_owned);
    }
    if says(&["what can you do", "help me", "what can i ask"]) {
        return Some(abilities(tools));
    }
    let short = words.len() <= 5;
    let enough = says(&[
        "that' all",
        "that is all",
        "thi is all",
        "nothing else",
        "no thank",
        "no thank you",
    ]);
    if words.len() <= 8 && enough || words == ["no"] || words == ["nothing"] {
        return Some("All right. Have a nice day!".into());
    }
    if short && has(&["bye", "goodbye"]) {
        Some("Goodbye, and thank you for calling.".into())
    } else if short && has(&["thank", "thanks"]) {
        Some("You are welcome. Is there anything else?".into())
    } else if says(&["how are you"]) {
        Some("I am fine, thank you. How can I help you?".into())
    } else if short && has(&["hello", "hi", "hey"]) {
        Some("Hello! How can I help you?".into())
    } else {
        None
    }
}

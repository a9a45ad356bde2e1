//! The responder without a language model: says what it is, quotes the knowledge, and drives tools by rules. Deterministic:
//! the same history gives the same answer.

mod calendar;
mod clock;
mod days;
mod diet;
mod fill;
mod intent;
mod question;
mod quote;
mod task;
mod tools;
mod units;
mod words;

use std::sync::Arc;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{
    BoxStream, ChatChunk, Knowledge, Llm, ProviderInfo, ToolDefinition,
};
use antiphon_chat::{ChatRequest, Item, Role, ToolCall, ToolChoice};
use futures_util::StreamExt as _;
use serde_json::Value;

pub use calendar::Date;
use question::Question;
use task::{Outcome, Talk};
use words::tokens;

/// Longest tool output that is read out.
const MAX_OUTPUT_CHARS: usize = 500;

/// How it begins when nothing answers.
const NOT_FOUND: &str = "Sorry, I did not find anything about that";

/// The built-in responder.
#[derive(Clone)]
pub struct RulesLlm {
    today: Arc<dyn Fn() -> Date + Send + Sync>,
    knowledge: Option<Arc<dyn Knowledge>>,
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
            knowledge: None,
        }
    }

    /// Search here by itself: it knows what a half question means ("and tomorrow?"), and what to look for beside its words.
    /// Without it answers come from the passages of the request.
    #[must_use]
    pub fn with_knowledge(mut self, knowledge: Arc<dyn Knowledge>) -> Self {
        self.knowledge = Some(knowledge);
        self
    }

    /// The whole answer, from the passages of the request.
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
        let today = (self.today)();
        let told = told(&request.items);
        let Some(latest) = last_said(&request.items, Role::User) else {
            return Answer::Say(introduction(tools));
        };
        let mut talk = Talk::new(tools, today);
        let outcome = talk.replay(&request.items);
        let open = talk.question();
        let again = |text: &str| {
            format!("{text} {}", open.as_deref().unwrap_or_default())
                .trim()
                .to_owned()
        };
        match outcome {
            Outcome::Ask => Answer::Say(open.unwrap_or_default()),
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
            Outcome::Told => Answer::Say(told),
            Outcome::ToldAndAsk => Answer::Say(again(&told)),
            Outcome::Nothing => {
                let question = Question::newest(&request.items, today);
                let said = small_talk(latest, &request.items, tools)
                    .or_else(|| quote::answer(&request.passages, &question));
                Answer::Say(match (said, &open) {
                    (Some(said), _) => again(&said),
                    (None, Some(open)) => format!("Sorry, I did not understand that. {open}"),
                    (None, None) => not_found(&request.items, tools),
                })
            }
        }
    }

    /// What is looked for: the question as it is meant, and of a diet its words alone, because a search for the whole question
    /// brings passages that share its other words.
    fn query(&self, items: &[Item]) -> Option<String> {
        let said = last_said(items, Role::User)?;
        match items.last() {
            Some(Item::Message(message)) if message.role == Role::User && message.text == said => {}
            _ => return None,
        }
        let question = Question::newest(items, (self.today)());
        Some(diet::query(&question).unwrap_or(question.text))
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
        let rules = self.clone();
        let answered = async move {
            let mut request = request;
            if let (Some(knowledge), Some(query)) = (&rules.knowledge, rules.query(&request.items))
            {
                request.passages = knowledge.search(query.as_str().into()).await.passages;
            }
            let chunks = rules.answer(&request, &tools);
            futures_util::stream::iter(chunks.into_iter().map(Ok))
        };
        Box::pin(futures_util::stream::once(answered).flatten())
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

/// What the tools said since the caller spoke.
fn told(items: &[Item]) -> String {
    let outputs = items.iter().rev().map_while(|item| match item {
        Item::FunctionCallOutput { output, .. } => Some(Some(output)),
        Item::FunctionCall { .. } => Some(None),
        Item::Message(_) | Item::AgentHandoff { .. } | Item::AgentConfigUpdate { .. } => None,
    });
    let mut said: Vec<String> = outputs
        .flatten()
        .map(|output| spoken_output(&output.output, output.is_error))
        .collect();
    said.reverse();
    said.join(" ")
}

fn spoken_output(output: &str, is_error: bool) -> String {
    let text = match serde_json::from_str::<Value>(output) {
        Ok(value) => words::speak(&value),
        Err(_) => output.trim().to_owned(),
    };
    let text = shorten(&spoken_dates(&text), MAX_OUTPUT_CHARS);
    match (is_error, text.is_empty()) {
        (true, _) => format!("That did not work: {text}"),
        (false, true) => "Done.".into(),
        (false, false) => text,
    }
}

/// Dates and times that were written for machines, as they are said.
fn spoken_dates(text: &str) -> String {
    let said = text.split(' ').map(|word| {
        let core = word.trim_matches(|c: char| !c.is_alphanumeric());
        let spoken = Date::parse(core)
            .filter(|_| core.len() == 10)
            .map(Date::spoken)
            .or_else(|| clock::spoken(core));
        spoken.map_or(word.to_owned(), |spoken| word.replace(core, &spoken))
    });
    said.collect::<Vec<_>>().join(" ")
}

fn introduction(tools: &[ToolDefinition]) -> String {
    format!(
        "I am a simple automatic assistant. I work by rules and am not a language model, nor a person. {}",
        abilities(tools)
    )
}

/// Nothing answers. What it is and can do is said once in a call.
fn not_found(items: &[Item], tools: &[ToolDefinition]) -> String {
    let is_known = items.iter().any(|item| {
        matches!(item, Item::Message(message)
            if message.role == Role::Assistant && message.text.starts_with(NOT_FOUND))
    });
    if is_known {
        return format!("{NOT_FOUND} either.");
    }
    format!(
        "{NOT_FOUND}. I work by simple rules, without a language model. {}",
        abilities(tools)
    )
}

fn abilities(tools: &[ToolDefinition]) -> String {
    let able: Vec<String> = tools
        .iter()
        .filter(|tool| !tools::is_search(&tool.name))
        .map(tools::phrase)
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
        "speak to",
        "speak with",
        "talk to",
        "talk with",
        "put me through",
    ]) && has(&[
        "robot", "ai", "human", "person", "machine", "computer", "bot", "model", "who", "what",
        "real", "someone", "somebody", "manager", "staff",
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

//! The responder without a language model: says what it is, quotes the knowledge, and drives tools by rules. Deterministic:
//! the same history gives the same answer.

mod fill;
mod words;

use std::sync::Arc;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{BoxStream, ChatChunk, Llm, ProviderInfo, ToolDefinition};
use antiphon_dialogue::chat::{ChatRequest, Item, Passage, Role, ToolCall, ToolChoice};
use serde_json::{Map, Value};

pub use fill::Date;
use words::{overlap, tokens};

/// Longest quotation in characters; more is tiring to hear.
const MAX_QUOTE_CHARS: usize = 300;
/// Longest tool output that is read out.
const MAX_OUTPUT_CHARS: usize = 500;
/// Turns of the caller that slots are collected from.
const MAX_SLOT_TURNS: usize = 12;

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
            return Answer::Say(spoken_output(&output.output, output.is_error));
        }
        let said = user_turns(&request.items);
        let Some(latest) = said.last().copied() else {
            return Answer::Say(introduction(tools));
        };
        let words = tokens(latest);
        let allowed = request.tool_choice != ToolChoice::None;
        if allowed && let Some((tool, turns)) = intent(request, tools, &said) {
            return self.use_tool(tool, &turns, &request.items);
        }
        if let Some(quote) = request
            .passages
            .first()
            .map(|passage| quote(passage, &words))
        {
            return Answer::Say(quote);
        }
        Answer::Say(small_talk(&words, tools))
    }

    fn use_tool(
        &self,
        tool: &ToolDefinition,
        turns: &[(&str, Option<&str>)],
        items: &[Item],
    ) -> Answer {
        let properties = tool.parameters.get("properties").and_then(Value::as_object);
        let required: Vec<&str> = tool
            .parameters
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut arguments = Map::new();
        for (name, schema) in properties.into_iter().flatten() {
            for (said, asked) in turns {
                let answers =
                    asked.is_some_and(|question| question == fill::question(name, schema));
                if let Some(value) = fill::value(name, schema, said, answers, (self.today)()) {
                    arguments.insert(name.clone(), value);
                }
            }
        }
        let empty = Value::Null;
        if let Some(missing) = required.iter().find(|name| !arguments.contains_key(**name)) {
            let schema = properties
                .and_then(|all| all.get(*missing))
                .unwrap_or(&empty);
            return Answer::Say(fill::question(missing, schema));
        }
        Answer::Call(ToolCall {
            call_id: format!("rules_{}", items.len()),
            name: tool.name.clone(),
            arguments: Value::Object(arguments).to_string(),
        })
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

fn user_turns(items: &[Item]) -> Vec<&str> {
    items
        .iter()
        .filter_map(|item| match item {
            Item::Message(message) if message.role == Role::User => Some(message.text.as_str()),
            Item::Message(_) | Item::FunctionCall { .. } | Item::FunctionCallOutput { .. } => None,
        })
        .collect()
}

/// The tool that the caller wants and the turns that may fill it, each with the question it answered. A question of ours
/// that is still open keeps the tool it was asked for.
fn intent<'a>(
    request: &'a ChatRequest,
    tools: &'a [ToolDefinition],
    said: &[&'a str],
) -> Option<(&'a ToolDefinition, Vec<(&'a str, Option<&'a str>)>)> {
    let mut turns = Vec::new();
    let mut tool = None;
    let mut asked: Option<&str> = None;
    let skipped = said.len().saturating_sub(MAX_SLOT_TURNS);
    let mut seen = 0;
    for item in &request.items {
        match item {
            Item::Message(message) if message.role == Role::Assistant => {
                asked = Some(&message.text)
            }
            Item::Message(message) if message.role == Role::User => {
                seen += 1;
                if seen <= skipped {
                    continue;
                }
                let open = asked.filter(|text| fill::is_question(text.trim(), tools));
                let best = best_tool(&message.text, tools);
                match (best, open) {
                    // an answer to our question, unless it clearly names another tool
                    (_, Some(_)) if tool.is_some() && !is_order(&message.text) => {}
                    (Some(best), _) => {
                        tool = Some(best);
                        turns.clear();
                    }
                    (None, Some(_)) => {}
                    (None, None) => tool = None,
                }
                turns.push((message.text.as_str(), open.map(str::trim)));
                asked = None;
            }
            // a tool that ran has had its turn; what it was told stays useful to the next one of the same call
            Item::FunctionCall { .. } => tool = None,
            Item::Message(_) | Item::FunctionCallOutput { .. } => {}
        }
    }
    tool.map(|tool| (tool, turns))
}

/// Names of tools begin with verbs; a caller who says one wants that tool.
fn is_order(text: &str) -> bool {
    tokens(text)
        .iter()
        .any(|word| matches!(word.as_str(), "cancel" | "book" | "reserve"))
}

fn best_tool<'a>(text: &str, tools: &'a [ToolDefinition]) -> Option<&'a ToolDefinition> {
    let words = tokens(text);
    let scored = tools
        .iter()
        .map(|tool| (overlap(&words, &tool.name, &tool.description), tool));
    let mut best: Option<(u32, &ToolDefinition)> = None;
    for (score, tool) in scored {
        if score >= words::ENOUGH && best.is_none_or(|(other, _)| score > other) {
            best = Some((score, tool));
        }
    }
    best.map(|(_, tool)| tool)
}

fn quote(passage: &Passage, words: &[String]) -> String {
    let sentences = passage
        .text
        .split_inclusive(['.', '!', '?', '\n'])
        .map(str::trim)
        .filter(|s| !s.is_empty());
    let mut best = ("", 0);
    for sentence in sentences {
        let hits = tokens(sentence)
            .iter()
            .filter(|word| words.contains(word))
            .count();
        if best.0.is_empty() || hits > best.1 {
            best = (sentence, hits);
        }
    }
    let name = passage
        .source
        .rsplit(" › ")
        .next()
        .unwrap_or(&passage.source);
    let name = name.rsplit('/').next().unwrap_or(name);
    let name = name
        .rsplit_once('.')
        .map_or(name, |(stem, _)| stem)
        .replace(['_', '-'], " ");
    format!("Under {name} I find: {}", shorten(best.0, MAX_QUOTE_CHARS))
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
        "Hello. I am a simple responder that works by rules, not a language model. {}",
        abilities(tools)
    )
}

fn abilities(tools: &[ToolDefinition]) -> String {
    let names: Vec<String> = tools
        .iter()
        .map(|tool| tool.name.replace(['_', '-'], " "))
        .collect();
    match names.split_last() {
        None => "I can answer questions from my documents.".into(),
        Some((last, [])) => format!("I can answer questions from my documents and {last}."),
        Some((last, others)) => {
            format!(
                "I can answer questions from my documents, and I can {} or {last}.",
                others.join(", ")
            )
        }
    }
}

fn small_talk(words: &[String], tools: &[ToolDefinition]) -> String {
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    if has(&["bye", "goodbye"]) {
        "Goodbye.".into()
    } else if has(&["thanks", "thank"]) {
        "You are welcome.".into()
    } else if has(&["hello", "hi", "hey", "who", "robot", "ai"]) {
        introduction(tools)
    } else {
        format!(
            "I did not find anything about that. I work by rules, without a language model. {}",
            abilities(tools)
        )
    }
}

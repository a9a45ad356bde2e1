//! What the caller wants done: found by going through the conversation again from its beginning, so that nothing has to
//! be remembered between answers and a question that was cut off is still open.

use antiphon_agent::provider::ToolDefinition;
use antiphon_chat::{Item, Role};
use serde_json::{Map, Value};

use super::fill::{self, Date};
use super::words::{self, overlap, tokens};

/// Verbs of tools that only look.
const LOOKS: [&str; 12] = [
    "find", "get", "look", "lookup", "check", "list", "show", "search", "tell", "say", "return",
    "read",
];
/// Verbs of changing what is made already.
const CHANGES: [&str; 8] = [
    "change",
    "move",
    "reschedule",
    "postpone",
    "shift",
    "modify",
    "update",
    "edit",
];
/// Questions about a thing, which do not ask for the thing.
const ASKS: [&str; 8] = [
    "how", "what", "when", "where", "why", "who", "which", "until",
];

/// What the newest turn leads to.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// Say the open question.
    Ask,
    /// Call this tool with these arguments.
    Call(String, String),
    /// The caller does not want it any more.
    Dropped,
    /// The caller said no to a confirmation.
    WhatElse,
    /// Something that is made already is to be changed, and no tool does that; these words say what can be done.
    CannotChange(String),
    /// Nothing to do with a tool.
    Nothing,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// Something is missing, or it is about to be confirmed.
    Open,
    /// It was called; more details mean that it is wanted again.
    Called,
    /// A look-up is done, and acting on it was offered.
    Offered,
}

struct Task<'a> {
    tool: &'a ToolDefinition,
    values: Map<String, Value>,
    stage: Stage,
    /// A question of ours was said.
    asked: bool,
}

/// A conversation on its way through the rules.
pub(super) struct Talk<'a> {
    tools: &'a [ToolDefinition],
    today: Date,
    task: Option<Task<'a>>,
    /// Names do not change within a call.
    name: Option<Value>,
}

/// A tool over documents: it answers questions and is not an order.
pub(super) fn is_search(name: &str) -> bool {
    name == "search_knowledge"
}

/// What a tool does, as a verb phrase: "book a table".
pub(super) fn phrase(tool: &ToolDefinition) -> String {
    let first = tool
        .description
        .split(['.', ',', ';'])
        .next()
        .unwrap_or_default();
    let mut said: Vec<String> = Vec::new();
    for word in first.split_whitespace() {
        if said.len() >= 2
            && matches!(
                word,
                "by" | "whether" | "at" | "with" | "from" | "of" | "and"
            )
            || said.len() >= 6
        {
            break;
        }
        said.push(word.to_owned());
    }
    match said.split_first_mut() {
        Some((verb, rest)) if verb.ends_with('s') && !rest.is_empty() => {
            *verb = verb.trim_end_matches('s').to_lowercase();
            if verb == "look" && rest == ["up"] {
                return tool.name.replace(['_', '-'], " ");
            }
            said.join(" ")
        }
        _ => tool.name.replace(['_', '-'], " "),
    }
}

fn acts(tool: &ToolDefinition) -> bool {
    let first = |text: &str| tokens(text).into_iter().next().unwrap_or_default();
    let looks = |word: String| LOOKS.contains(&word.as_str());
    !looks(first(&tool.name.replace(['_', '-'], " "))) && !looks(first(&tool.description))
}

fn properties(tool: &ToolDefinition) -> impl Iterator<Item = (&String, &Value)> {
    tool.parameters
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

fn required(tool: &ToolDefinition) -> impl Iterator<Item = &str> {
    tool.parameters
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

impl<'a> Task<'a> {
    fn missing(&self) -> Option<(&'a str, &'a Value)> {
        let name = required(self.tool).find(|name| !self.values.contains_key(*name))?;
        properties(self.tool)
            .find(|(other, _)| *other == name)
            .map(|(name, schema)| (name.as_str(), schema))
    }

    fn question(&self) -> String {
        if let Some((name, schema)) = self.missing() {
            return fill::question(name, schema, acts(self.tool));
        }
        let said: Vec<String> = [0, 1, 2, 3, 4]
            .iter()
            .flat_map(|rank| {
                properties(self.tool).filter_map(move |(name, schema)| {
                    let value = self.values.get(name)?;
                    let (own, text) = fill::spoken(name, schema, value);
                    (own == *rank).then_some(text)
                })
            })
            .collect();
        format!(
            "Shall I {} {}?",
            phrase(self.tool).replace(" an existing ", " the "),
            said.join(" ")
        )
    }
}

impl<'a> Talk<'a> {
    pub(super) fn new(tools: &'a [ToolDefinition], today: Date) -> Self {
        Self {
            tools,
            today,
            task: None,
            name: None,
        }
    }

    /// The question that is open, if any.
    pub(super) fn question(&self) -> Option<String> {
        self.task
            .as_ref()
            .filter(|task| task.stage == Stage::Open)
            .map(Task::question)
    }

    /// Go through the conversation; what its last turn leads to.
    pub(super) fn replay(&mut self, items: &[Item]) -> Outcome {
        let mut outcome = Outcome::Nothing;
        for item in items {
            match item {
                Item::Message(message) if message.role == Role::User => {
                    outcome = self.hear(&message.text)
                }
                Item::Message(_) | Item::AgentHandoff { .. } | Item::AgentConfigUpdate { .. } => {}
                Item::FunctionCall { call, .. } => {
                    if let Some(task) = &mut self.task
                        && task.tool.name == call.name
                    {
                        task.stage = Stage::Called;
                    }
                }
                Item::FunctionCallOutput { output, .. } => self.done(output.is_error),
            }
        }
        outcome
    }

    /// A tool has run. What succeeded is over; a look-up may lead to an action with the same details.
    fn done(&mut self, failed: bool) {
        if let Some(task) = self.task.take_if(|task| task.stage == Stage::Called) {
            if failed {
                self.task = Some(task);
            } else if !acts(task.tool) {
                self.task = Some(Task {
                    stage: Stage::Offered,
                    ..task
                });
            }
        }
    }

    fn hear(&mut self, text: &str) -> Outcome {
        let words = tokens(text);
        let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
        let yes = has(&[
            "yes", "yeah", "yep", "sure", "ok", "okay", "correct", "right", "perfect", "fine",
            "please", "exactly", "go",
        ]);
        let no = has(&["no", "nope", "not", "don't", "wrong"]);
        let plain = text.to_lowercase();
        if self.task.is_some()
            && [
                "never mind",
                "nevermind",
                "forget it",
                "leave it",
                "cancel that",
                "stop",
            ]
            .iter()
            .any(|word| plain.contains(word))
        {
            self.task = None;
            return Outcome::Dropped;
        }
        if let Some(instead) = self.cannot_change(&words) {
            return Outcome::CannotChange(instead);
        }
        if let Some(tool) = self.intent(&words, text) {
            return self.begin(tool, text);
        }
        let today = self.today;
        let Some(task) = &mut self.task else {
            return Outcome::Nothing;
        };
        let complete = task.missing().is_none();
        let open = task.missing().map(|(name, _)| name);
        let question = text.trim_end().ends_with('?')
            || words.first().is_some_and(|word| {
                ASKS.contains(&word.as_str()) || word == "do" || word == "can" || word == "is"
            });
        let (mut changed, mut repeated) = (false, false);
        for (name, schema) in properties(task.tool) {
            let asked = open == Some(name.as_str()) && task.stage == Stage::Open && !question;
            if let Some(value) = fill::value(name, schema, text, asked, today) {
                let new = task.values.insert(name.clone(), value.clone()) != Some(value);
                changed |= new;
                repeated |= !new;
            }
        }
        match (task.stage, changed) {
            (Stage::Open | Stage::Called, true) => self.go_on(),
            (Stage::Offered, true) => self.go_on(),
            (Stage::Offered, false) if yes && !no => self.act_on_it(text),
            // "Shall I cancel the booking under Lee?" "under Lee"
            (Stage::Open, false) if complete && task.asked && repeated && !yes && !no => {
                Outcome::Ask
            }
            (Stage::Open, false) if complete && task.asked && no => {
                let changing = properties(task.tool)
                    .map(|(name, _)| name.clone())
                    .find(|name| {
                        let name = tokens(&name.replace('_', " "));
                        words.iter().any(|word| name.contains(word))
                    });
                match changing {
                    Some(name) => {
                        task.values.remove(&name);
                        Outcome::Ask
                    }
                    None if words.len() <= 3 => Outcome::WhatElse,
                    None => Outcome::Nothing,
                }
            }
            (Stage::Open, false) if complete && yes && !question => Outcome::Call(
                task.tool.name.clone(),
                Value::Object(task.values.clone()).to_string(),
            ),
            (Stage::Open | Stage::Called | Stage::Offered, _) => Outcome::Nothing,
        }
    }

    /// What to say when something that exists is to be changed, and there are tools to make and to end it but none to change
    /// it. While it is being made, a change is only another answer.
    fn cannot_change(&self, words: &[String]) -> Option<String> {
        let of_tool = |tool: &ToolDefinition| tokens(&tool.name.replace(['_', '-'], " "));
        let is_change = |word: &String| CHANGES.contains(&word.as_str());
        let open = self
            .task
            .as_ref()
            .is_some_and(|task| task.stage == Stage::Open);
        if open
            || !words.iter().any(is_change)
            || self
                .tools
                .iter()
                .any(|tool| of_tool(tool).iter().any(is_change))
        {
            return None;
        }
        // the thing must be one that the tools know, and not only a word of talk ("can I change the side dish")
        let about = |tool: &&ToolDefinition| {
            of_tool(tool)
                .iter()
                .skip(1)
                .any(|word| words.contains(word))
        };
        let acting = || {
            self.tools
                .iter()
                .filter(|tool| !is_search(&tool.name) && acts(tool))
                .filter(about)
        };
        let ends = |tool: &&ToolDefinition| {
            of_tool(tool)
                .first()
                .is_some_and(|verb| verb == "cancel" || verb == "delete")
        };
        let (end, make) = (acting().find(ends)?, acting().find(|tool| !ends(tool))?);
        Some(format!(
            "I cannot change that myself. I can {}, and then {}.",
            phrase(end),
            phrase(make)
        ))
    }

    /// The tool that these words order, if they are an order.
    fn intent(&self, words: &[String], text: &str) -> Option<&'a ToolDefinition> {
        let mine = words
            .iter()
            .any(|word| matches!(word.as_str(), "my" | "our"));
        let first = words
            .iter()
            .find(|word| !matches!(word.as_str(), "and" | "so" | "well" | "um" | "hello" | "hi"));
        let asks = first.is_some_and(|word| ASKS.contains(&word.as_str()));
        if asks && (!mine || first.is_some_and(|word| word == "how" || word == "until")) {
            return None;
        }
        let mut best: Option<(u32, &ToolDefinition)> = None;
        for tool in self.tools.iter().filter(|tool| !is_search(&tool.name)) {
            let mut score = overlap(words, &tool.name, &tool.description);
            let details = properties(tool)
                .filter(|(name, schema)| {
                    fill::value(name, schema, text, false, self.today).is_some()
                })
                .count();
            if score >= words::ENOUGH {
                // "my booking" exists already: without a verb it is looked up
                score = score * 4
                    + u32::from(mine && !acts(tool)) * 2
                    + u32::try_from(details.min(1)).unwrap_or(0);
                if best.is_none_or(|(other, _)| score > other) {
                    best = Some((score, tool));
                }
            }
        }
        let (_, tool) = best?;
        // the same tool again, in the middle of it, is not a new order
        let same = self
            .task
            .as_ref()
            .is_some_and(|task| task.stage == Stage::Open && task.tool.name == tool.name);
        (!same).then_some(tool)
    }

    fn begin(&mut self, tool: &'a ToolDefinition, text: &str) -> Outcome {
        let before = self.task.take().filter(|task| task.stage != Stage::Called);
        let mut values = Map::new();
        for (name, schema) in properties(tool) {
            let said = fill::value(name, schema, text, false, self.today);
            let known = before
                .as_ref()
                .and_then(|task| task.values.get(name).cloned());
            let own = if fill::is_name(name, schema) {
                self.name.clone()
            } else {
                None
            };
            if let Some(value) = said.or(known).or(own) {
                values.insert(name.clone(), value);
            }
        }
        self.task = Some(Task {
            tool,
            values,
            stage: Stage::Open,
            asked: false,
        });
        self.go_on()
    }

    /// Ask for what is missing, ask for a yes, or call.
    fn go_on(&mut self) -> Outcome {
        let Some(task) = &mut self.task else {
            return Outcome::Nothing;
        };
        task.stage = Stage::Open;
        task.asked = true;
        for (name, schema) in properties(task.tool) {
            if fill::is_name(name, schema)
                && let Some(value) = task.values.get(name)
            {
                self.name = Some(value.clone());
            }
        }
        if task.missing().is_some() || acts(task.tool) {
            Outcome::Ask
        } else {
            Outcome::Call(
                task.tool.name.clone(),
                Value::Object(task.values.clone()).to_string(),
            )
        }
    }

    /// Yes to what was found: the tool that needs the same details and more.
    fn act_on_it(&mut self, text: &str) -> Outcome {
        let Some(task) = &self.task else {
            return Outcome::Nothing;
        };
        let wider = self.tools.iter().find(|tool| {
            acts(tool)
                && required(task.tool).all(|name| required(tool).any(|other| other == name))
                && required(tool).count() > required(task.tool).count()
        });
        match wider {
            Some(tool) => self.begin(tool, text),
            None => Outcome::Nothing,
        }
    }
}

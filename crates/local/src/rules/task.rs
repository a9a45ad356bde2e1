//! What the caller wants done: found by going through the conversation again from its beginning, so that nothing has to
//! be remembered between answers and a question that was cut off is still open.

use antiphon_agent::provider::ToolDefinition;
use antiphon_chat::{Item, Role};
use serde_json::{Map, Value};

use super::calendar::Date;
use super::fill;
use super::intent::ASKS;
use super::tools::{acts, ends, is_search, named, phrase, properties, reference, required};
use super::words::tokens;

/// Verbs of changing what is made already.
const CHANGES: [&str; 9] = [
    "put",
    "change",
    "move",
    "reschedule",
    "postpone",
    "shift",
    "modify",
    "update",
    "edit",
];
/// Yes.
const YES: [&str; 22] = [
    "yes",
    "yeah",
    "yep",
    "yup",
    "sure",
    "ok",
    "okay",
    "correct",
    "right",
    "perfect",
    "fine",
    "please",
    "exactly",
    "go",
    "great",
    "absolutely",
    "definitely",
    "certainly",
    "good",
    "lovely",
    "wonderful",
    "works",
];
/// What ends what is being done.
const STOPS: [&str; 8] = [
    "never mind",
    "nevermind",
    "forget it",
    "forget about it",
    "leave it",
    "cancel that",
    "stop",
    "changed my mind",
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
    /// A tool has run, and there is nothing more to do: its output is told.
    Told,
    /// The same, and then the open question.
    ToldAndAsk,
    /// Nothing to do with a tool.
    Nothing,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Stage {
    /// Something is missing, or it is about to be confirmed.
    Open,
    /// It was called; more details mean that it is wanted again.
    Called,
    /// A look-up is done, and acting on it was offered.
    Offered,
}

pub(super) struct Task<'a> {
    pub(super) tool: &'a ToolDefinition,
    values: Map<String, Value>,
    pub(super) stage: Stage,
    /// A question of ours was said.
    asked: bool,
    /// What it is made instead of.
    replaces: Option<Old<'a>>,
    /// What is found is to be changed: what the caller said about that.
    wish: Option<String>,
}

/// Something that was made, and how it is ended.
#[derive(Clone)]
struct Old<'a> {
    end: &'a ToolDefinition,
    /// What `end` is told.
    arguments: Value,
    values: Map<String, Value>,
}

/// A conversation on its way through the rules.
pub(super) struct Talk<'a> {
    pub(super) tools: &'a [ToolDefinition],
    pub(super) today: Date,
    pub(super) task: Option<Task<'a>>,
    /// Names do not change within a call.
    name: Option<Value>,
    /// What was made last in this call: by which tool, with which values, and what the tool said.
    made: Option<(&'a ToolDefinition, Map<String, Value>, String)>,
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
        if self
            .replaces
            .as_ref()
            .is_some_and(|old| old.values == self.values)
        {
            return "What shall I change?".into();
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
        let instead = self.replaces.as_ref().map_or(String::new(), |old| {
            format!(
                " and {}",
                phrase(old.end).replace(" an existing ", " the old ")
            )
        });
        format!(
            "Shall I {} {}{instead}?",
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
            made: None,
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
                Item::FunctionCallOutput { output, .. } => {
                    outcome = self.done(&output.output, output.is_error);
                }
            }
        }
        outcome
    }

    /// A tool has run. What succeeded is over; a look-up may lead to an action with the same details, and what was made instead
    /// of something else to its end.
    fn done(&mut self, output: &str, failed: bool) -> Outcome {
        let Some(task) = self.task.take_if(|task| task.stage == Stage::Called) else {
            return Outcome::Told;
        };
        if failed {
            self.task = Some(task);
            return Outcome::Told;
        }
        if !acts(task.tool) {
            if let Some(wish) = &task.wish
                && let Some((end, make)) = self.end_and_make(&tokens(wish))
            {
                let values = self.values_in(make, output);
                return self.change(end, make, values, output, wish);
            }
            self.task = Some(Task {
                stage: Stage::Offered,
                ..task
            });
            return Outcome::Told;
        }
        let is_end = self.end_of(task.tool).is_none();
        match task.replaces {
            Some(old) => {
                self.made = Some((task.tool, task.values, output.to_owned()));
                Outcome::Call(old.end.name.clone(), old.arguments.to_string())
            }
            None if is_end => {
                // the end of what was made; after a change the new one is still there
                if self.made.as_ref().is_some_and(|(_, values, _)| {
                    task.values
                        .values()
                        .any(|value| values.values().any(|own| own == value))
                }) {
                    self.made = None;
                }
                Outcome::Told
            }
            None => {
                self.made = Some((task.tool, task.values, output.to_owned()));
                Outcome::Told
            }
        }
    }

    /// The values of a tool's parameters in what another tool said.
    fn values_in(&self, tool: &ToolDefinition, text: &str) -> Map<String, Value> {
        let found = properties(tool).filter_map(|(name, schema)| {
            Some((
                name.clone(),
                fill::value(name, schema, text, false, self.today)?,
            ))
        });
        found.collect()
    }

    /// Make again with other values what was made with these, and end the old one then.
    fn change(
        &mut self,
        end: &'a ToolDefinition,
        make: &'a ToolDefinition,
        values: Map<String, Value>,
        output: &str,
        wish: &str,
    ) -> Outcome {
        let Some(name) = required(end).next() else {
            return Outcome::Told;
        };
        let old = Old {
            end,
            arguments: serde_json::json!({ name: reference(name, output, &values) }),
            values: values.clone(),
        };
        let mut values = values;
        values.extend(self.values_in(make, wish));
        self.task = Some(Task {
            tool: make,
            values,
            stage: Stage::Open,
            asked: false,
            replaces: Some(old),
            wish: None,
        });
        self.go_on();
        Outcome::ToldAndAsk
    }

    fn hear(&mut self, text: &str) -> Outcome {
        let words = tokens(text);
        let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
        let yes = has(&YES);
        let no = has(&["no", "nope", "not", "don't", "wrong"]);
        let plain = text.to_lowercase();
        let is_open = self
            .task
            .as_ref()
            .is_some_and(|task| task.stage == Stage::Open);
        if is_open && STOPS.iter().any(|words| plain.contains(words)) {
            self.task = None;
            return Outcome::Dropped;
        }
        if let Some(outcome) = self.begin_change(&words, text) {
            return outcome;
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
            let named = complete && fill::is_named(name, schema, &words);
            let asked =
                (open == Some(name.as_str()) || named) && task.stage == Stage::Open && !question;
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
            (Stage::Open, false) if complete && task.asked && !question => {
                let changing = properties(task.tool)
                    .find(|(name, schema)| fill::is_named(name, schema, &words))
                    .map(|(name, _)| name.clone());
                match changing {
                    Some(name) => {
                        task.values.remove(&name);
                        Outcome::Ask
                    }
                    None if yes && !no => Outcome::Call(
                        task.tool.name.clone(),
                        Value::Object(task.values.clone()).to_string(),
                    ),
                    None if no && words.len() <= 3 => Outcome::WhatElse,
                    None => Outcome::Nothing,
                }
            }
            (Stage::Open | Stage::Called | Stage::Offered, _) => Outcome::Nothing,
        }
    }

    /// Something that exists is to be changed, and no tool does that: the new one is made, then the old one ended. What was made
    /// in this call is known, anything else is looked up before. While it is being made, a change is only another answer.
    fn begin_change(&mut self, words: &[String], text: &str) -> Option<Outcome> {
        let open = self
            .task
            .as_ref()
            .is_some_and(|task| task.stage == Stage::Open);
        let is_change = |word: &String| CHANGES.contains(&word.as_str());
        if open || !words.iter().any(is_change) {
            return None;
        }
        let (end, make) = self.end_and_make(words)?;
        if let Some((_, values, output)) = self
            .made
            .clone()
            .filter(|(tool, ..)| tool.name == make.name)
        {
            self.change(end, make, values, &output, text);
            return Some(Outcome::Ask);
        }
        let find = self.tools.iter().find(|tool| {
            !acts(tool) && !is_search(&tool.name) && required(tool).eq(required(end))
        })?;
        let outcome = self.begin(find, text);
        if let Some(task) = &mut self.task {
            task.wish = Some(text.to_owned());
        }
        Some(outcome)
    }

    /// The tools that end and make the thing that these words are about, when none changes it.
    fn end_and_make(&self, words: &[String]) -> Option<(&'a ToolDefinition, &'a ToolDefinition)> {
        let is_change = |word: &String| CHANGES.contains(&word.as_str());
        if self
            .tools
            .iter()
            .any(|tool| named(tool).iter().any(is_change))
        {
            return None;
        }
        // the thing must be one that the tools know, and not only a word of talk ("can I change the side dish")
        let about = |tool: &&ToolDefinition| {
            let names = named(tool);
            names.iter().skip(1).any(|word| words.contains(word))
        };
        let make = self
            .tools
            .iter()
            .filter(|tool| !is_search(&tool.name) && acts(tool) && !ends(tool))
            .find(about)?;
        Some((self.end_of(make)?, make))
    }

    /// The tool that ends what this one makes.
    fn end_of(&self, make: &ToolDefinition) -> Option<&'a ToolDefinition> {
        let things = named(make);
        self.tools.iter().find(|tool| {
            ends(tool)
                && !ends(make)
                && named(tool).iter().skip(1).any(|word| things.contains(word))
        })
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
            replaces: None,
            wish: None,
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
        let wider = self.wider(task.tool);
        match wider {
            Some(tool) => self.begin(tool, text),
            None => Outcome::Nothing,
        }
    }
}

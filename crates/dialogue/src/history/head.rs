//! The beginning of a long history: what a summary can stand for, and how the summary gets there.

use std::collections::BTreeSet;

use super::{History, Place, STRIDE};
use crate::limits::{MAX_RETIRED_CALLS, MAX_SUMMARY_INPUT_BYTES, MIN_SUMMARY_ITEMS, cut};
use antiphon_chat::{Item, Role};

/// The beginning of the history that a summary is to stand for.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    ids: BTreeSet<String>,
    /// Of its last item: here the summary will stand.
    last: Place,
}

impl History {
    /// About how many tokens a model reads for all of it: four letters of Latin script each, and one for each other letter.
    pub(crate) fn tokens(&self) -> usize {
        self.items.iter().map(tokens_of).sum()
    }

    /// Everything before the last `keep_turns` turns of the caller, and how a model reads it: as data. Calls that are still
    /// running, and what comes after them, are not part of it. `None`: it would not be worth the request.
    pub(crate) fn head(&self, keep_turns: usize) -> Option<(Head, String)> {
        let is_turn =
            |item: &Item| matches!(item, Item::Message(message) if message.role == Role::User);
        let (end, _) = self
            .items
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, item)| is_turn(item))
            .nth(keep_turns.checked_sub(1)?)?;
        let running = self.items.iter().position(|item| {
            matches!(item, Item::FunctionCall { call, .. } if !self.has_output(&call.call_id))
        });
        let end = self.whole_groups(end.min(running.unwrap_or(end)));
        let (mut head, mut text, mut groups) = (Vec::new(), String::new(), end);
        let parts = self.items.iter().zip(&self.places).take(end);
        for (at, (item, place)) in parts.enumerate() {
            if !self.is_visible(*place, item) {
                continue; // not the present agent's business
            }
            let line = in_words(item);
            if text.len() + line.len() > MAX_SUMMARY_INPUT_BYTES && !text.is_empty() {
                groups = self.whole_groups(at);
                break;
            }
            text.push_str(&cut(line, MAX_SUMMARY_INPUT_BYTES));
        }
        let parts = self.items.iter().zip(&self.places).take(groups);
        for (item, place) in
            parts.filter(|(item, place)| is_summarized(item) && self.is_visible(**place, item))
        {
            head.push((item.id().to_owned(), *place));
        }
        if head.len() < MIN_SUMMARY_ITEMS {
            return None;
        }
        let last = head.last()?.1;
        let ids = head.into_iter().map(|(id, _)| id).collect();
        let text = format!("<conversation>\n{text}</conversation>");
        Some((Head { ids, last }, text))
    }

    /// No turn or step is torn: the same number of items or fewer.
    fn whole_groups(&self, end: usize) -> usize {
        let group = self.places.get(end).map(|place| place.0 / STRIDE);
        self.places
            .iter()
            .take(end)
            .position(|place| Some(place.0 / STRIDE) == group)
            .unwrap_or(end)
    }

    /// Puts the summary in the place of what it stands for; gives how many items went. Nothing that a speculation was
    /// made for has changed by it.
    pub(crate) fn replace(&mut self, head: &Head, summary: Item) -> usize {
        let before = self.items.len();
        let (items, places) = (
            std::mem::take(&mut self.items),
            std::mem::take(&mut self.places),
        );
        for (item, place) in items.into_iter().zip(places) {
            if head.ids.contains(item.id()) {
                self.retire(&item);
            } else {
                self.items.push(item);
                self.places.push(place);
            }
        }
        let replaced = before - self.items.len();
        let at = self.places.partition_point(|&other| other <= head.last);
        self.items.insert(at, summary);
        self.places.insert(at, head.last);
        replaced
    }

    /// A call that is gone keeps its name: another one of the same name would be taken for it.
    fn retire(&mut self, item: &Item) {
        if let Item::FunctionCall { call, .. } = item {
            self.retired.push_back(call.call_id.clone());
            if self.retired.len() > MAX_RETIRED_CALLS {
                self.retired.pop_front();
            }
        }
    }
}

fn is_summarized(item: &Item) -> bool {
    match item {
        Item::Message(message) => !message.is_instructions(),
        Item::FunctionCall { .. } | Item::FunctionCallOutput { .. } => true,
        Item::AgentHandoff { .. } | Item::AgentConfigUpdate { .. } => false,
    }
}

fn in_words(item: &Item) -> String {
    let (who, what) = match item {
        Item::Message(message) => match message.role {
            Role::User => ("caller", message.text.clone()),
            Role::Assistant if message.extra.contains_key("is_summary") => {
                ("summary of what was before", message.text.clone())
            }
            Role::Assistant => ("agent", message.text.clone()),
            Role::System | Role::Developer => return String::new(),
        },
        Item::FunctionCall { call, .. } => {
            ("agent uses", format!("{}({})", call.name, call.arguments))
        }
        Item::FunctionCallOutput { output, .. } => {
            ("result", format!("{}: {}", output.name, output.output))
        }
        Item::AgentHandoff { .. } | Item::AgentConfigUpdate { .. } => return String::new(),
    };
    format!("{who}: {}\n", harmless(&what))
}

fn tokens_of(item: &Item) -> usize {
    let tokens = |text: &str| {
        let latin = text.bytes().filter(u8::is_ascii).count();
        let other = text.chars().filter(|c| !c.is_ascii()).count();
        latin.div_ceil(4) + other
    };
    match item {
        Item::Message(message) => tokens(&message.text),
        Item::FunctionCall { call, .. } => tokens(&call.name) + tokens(&call.arguments),
        Item::FunctionCallOutput { output, .. } => tokens(&output.output),
        Item::AgentHandoff { .. } | Item::AgentConfigUpdate { .. } => 0,
    }
}

/// Words of others cannot end the marks around them.
pub(crate) fn harmless(text: &str) -> String {
    text.replace('<', "‹")
}

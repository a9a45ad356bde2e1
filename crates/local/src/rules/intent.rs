//! Which tool an utterance orders, if it is an order.

use antiphon_agent::provider::ToolDefinition;

use super::fill;
use super::task::{Stage, Talk};
use super::tools::{acts, is_search, named, properties, required};
use super::words::{self, overlap, tokens};

/// How a question begins that may be answered by yes or no.
const MAY_BE: [&str; 16] = [
    "do", "does", "is", "are", "can", "could", "may", "might", "must", "should", "will", "would",
    "shall", "am", "have", "has",
];
/// Words of somebody who wants something.
const WISHES: [&str; 8] = [
    "like", "want", "need", "love", "wish", "prefer", "come", "hope",
];
/// How somebody begins who wants to know first.
const LOOKING: [&str; 6] = ["is", "are", "do", "does", "have", "any"];
/// Words beside an order that do not make it a question about something else.
const BESIDE: [&str; 16] = [
    "get", "some", "one", "possible", "us", "help", "today", "tonight", "tomorrow", "evening",
    "lunch", "dinner", "make", "new", "still", "go",
];
/// Questions about a thing, which do not ask for the thing.
pub(super) const ASKS: [&str; 8] = [
    "how", "what", "when", "where", "why", "who", "which", "until",
];

impl<'a> Talk<'a> {
    /// The tool that these words order, if they are an order.
    pub(super) fn intent(&self, words: &[String], text: &str) -> Option<&'a ToolDefinition> {
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
        if words.iter().any(|word| word == "if") {
            return None;
        }
        let is_question = text.trim_end().ends_with('?')
            || first.is_some_and(|word| MAY_BE.contains(&word.as_str()));
        let mut best: Option<(u32, &ToolDefinition)> = None;
        for tool in self.tools.iter().filter(|tool| !is_search(&tool.name)) {
            let mut score = overlap(words, &tool.name, &tool.description);
            let details = properties(tool)
                .filter(|(name, schema)| {
                    fill::value(name, schema, text, false, self.today).is_some()
                })
                .count();
            // a question that speaks of other things, too, is about them: "can I book a table on the terrace"
            // "our table" may be one that is booked already: only what looks things up is meant by that alone
            let is_mine =
                mine && !properties(tool).any(|(name, schema)| fill::is_day_or_time(name, schema));
            let is_about_it = details > 0 || is_mine || !is_question || {
                let names = named(tool);
                let known = tokens(&tool.description);
                let both = names.iter().filter(|word| words.contains(word)).count() >= 2;
                let other = words.iter().any(|word| {
                    !words::is_empty(word)
                        && !names.contains(word)
                        && !known.contains(word)
                        && !BESIDE.contains(&word.as_str())
                });
                !other
                    && (both
                        || acts(tool) && names.first().is_some_and(|verb| words.contains(verb)))
            };
            // "free" alone may be free of anything
            let is_verb_alone = !acts(tool)
                && details == 0
                && !named(tool).iter().skip(1).any(|word| words.contains(word));
            if score >= words::ENOUGH && is_about_it && !is_verb_alone {
                // "my booking" exists already: without a verb it is looked up
                score = score * 4
                    + u32::from(mine && !acts(tool)) * 2
                    + u32::try_from(details.min(1)).unwrap_or(0);
                if best.is_none_or(|(other, _)| score > other) {
                    best = Some((score, tool));
                }
            }
        }
        let best = best.map(|(_, tool)| tool);
        let tool = best.or_else(|| self.wished(words, text).filter(|_| !is_question))?;
        // "a table for two, please" orders what "is there a table for two" only looks for
        let looks = first.is_some_and(|word| LOOKING.contains(&word.as_str()))
            || words
                .iter()
                .any(|word| matches!(word.as_str(), "find" | "look" | "any"));
        let tool = match self.wider(tool) {
            Some(wider) if !acts(tool) && !looks => wider,
            Some(_) | None => tool,
        };
        // the same tool again, in the middle of it, is not a new order
        let same = self
            .task
            .as_ref()
            .is_some_and(|task| task.stage == Stage::Open && task.tool.name == tool.name);
        (!same).then_some(tool)
    }

    /// "We would like to come on Friday": somebody who wishes and names a day or an hour means what is done at one.
    pub(super) fn wished(&self, words: &[String], text: &str) -> Option<&'a ToolDefinition> {
        let wishes = words.iter().any(|word| WISHES.contains(&word.as_str()));
        let fits = |tool: &&ToolDefinition| {
            let mut details = properties(tool).filter(|(name, schema)| {
                fill::is_day_or_time(name, schema)
                    && fill::value(name, schema, text, false, self.today).is_some()
            });
            acts(tool) && !is_search(&tool.name) && details.next().is_some()
        };
        self.tools
            .iter()
            .find(fits)
            .filter(|_| wishes && self.task.is_none())
    }

    /// The tool that acts and needs the same details and more.
    pub(super) fn wider(&self, look: &ToolDefinition) -> Option<&'a ToolDefinition> {
        self.tools.iter().find(|tool| {
            acts(tool)
                && required(look).all(|name| required(tool).any(|other| other == name))
                && required(tool).count() > required(look).count()
        })
    }
}

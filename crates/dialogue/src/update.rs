//! What the present agent is, changed while the session runs: its instructions, its tools, what it knows. A request that is
//! under way is not changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

use crate::event::Component;
use crate::history::Place;
use crate::limits::{MAX_INSTRUCTIONS_BYTES, MAX_TOOL_NAME_BYTES, MAX_TOOLS, cut};
use crate::machine::Dialogue;
use crate::options::ToolOptions;
use crate::speech::Words;
use antiphon_chat::time::Duration;
use antiphon_chat::{ChatContext, Item};

/// An update that is refused; the agent stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UpdateError {
    /// More than a model reads again with every request.
    #[error(
        "the instructions have {0} bytes, and at most {MAX_INSTRUCTIONS_BYTES} are taken: put what is long into documents"
    )]
    LongInstructions(usize),
    /// More than providers take.
    #[error(
        "{0} tools are too many, at most {MAX_TOOLS} are taken: leave out what is not needed now"
    )]
    ManyTools(usize),
    /// Providers refuse such names.
    #[error("the tool name {0:?} is not allowed: it must have 1 to {MAX_TOOL_NAME_BYTES} bytes")]
    ToolName(String),
}

/// Are these instructions that an agent may be given?
///
/// # Errors
/// They are too long.
pub fn check_instructions(text: &str) -> Result<(), UpdateError> {
    match text.len() {
        0..=MAX_INSTRUCTIONS_BYTES => Ok(()),
        bytes => Err(UpdateError::LongInstructions(bytes)),
    }
}

/// Are these tools that an agent may be given?
///
/// # Errors
/// They are too many, or one has a bad name.
pub fn check_tools(tools: &BTreeMap<String, ToolOptions>) -> Result<(), UpdateError> {
    if tools.len() > MAX_TOOLS {
        return Err(UpdateError::ManyTools(tools.len()));
    }
    let bad = |name: &&String| name.is_empty() || name.len() > MAX_TOOL_NAME_BYTES;
    tools.keys().find(bad).map_or(Ok(()), |name| {
        let name = cut(name.clone(), MAX_TOOL_NAME_BYTES);
        Err(UpdateError::ToolName(name))
    })
}

impl Dialogue {
    pub(crate) fn update_instructions(&mut self, text: Arc<str>) {
        if let Err(error) = check_instructions(&text) {
            return self.not_updated(&error);
        }
        if self.core.instructions == text {
            return;
        }
        self.drop_speculation();
        self.core.instructions = text.clone();
        self.updated(Some(text.as_ref().into()), Vec::new(), Vec::new());
    }

    pub(crate) fn update_tools(&mut self, tools: BTreeMap<String, ToolOptions>) {
        if let Err(error) = check_tools(&tools) {
            return self.not_updated(&error);
        }
        // also when the names are the same: another tool may stand behind one of them
        self.drop_speculation();
        let before = &self.core.options.tools;
        let added = only_in(&tools, before);
        let removed = only_in(before, &tools);
        self.core.layers.session.tools.clone_from(&tools);
        self.core.options.tools = tools;
        if !(added.is_empty() && removed.is_empty()) {
            self.updated(None, added, removed);
        }
    }

    /// The session's history stays as it is: only what the present agent knows of it is another.
    pub(crate) fn update_chat_ctx(&mut self, items: Vec<Item>) {
        self.drop_speculation();
        let from = self.begin_of_what_is_under_way();
        let context = ChatContext::from_items(items, Duration::ZERO);
        self.core.history.know(context, from);
        self.hands.show_untold(&mut self.core);
    }

    /// A turn that is not answered yet, and an answer that is being given, are part of what the agent knows whatever it is
    /// told: otherwise it would not know what it is saying, or would call a running tool again.
    fn begin_of_what_is_under_way(&mut self) -> Place {
        let end = self.core.history.reserve();
        let asks = |words: &Words| matches!(words, Words::Model(_) | Words::Begun);
        let waiting = self.speeches.queue().filter(|queued| asks(&queued.words));
        let present = self.speeches.begun().chain(self.speeches.leaving());
        present
            .filter_map(|speech| speech.asked.or(Some(speech.steps.first()?.place())))
            .chain(self.hooks.first())
            .chain(waiting.map(|queued| queued.asked.unwrap_or(end)))
            .map(|place| self.core.history.asked_before(place))
            .min()
            .unwrap_or(end)
    }

    fn updated(&mut self, instructions: Option<String>, added: Vec<String>, removed: Vec<String>) {
        let place = self.core.history.reserve();
        let item = Item::AgentConfigUpdate {
            id: self.core.history.next_id(),
            instructions,
            tools_added: added,
            tools_removed: removed,
            created_at: self.core.now,
        };
        self.core.remember(place, item);
    }

    fn not_updated(&mut self, error: &UpdateError) {
        let message = format!("the agent is not changed: {error}");
        self.core.error(Component::Session, message, true);
    }
}

type Tools = BTreeMap<String, ToolOptions>;

fn only_in(these: &Tools, others: &Tools) -> Vec<String> {
    let names = these.keys();
    names
        .filter(|name| !others.contains_key(*name))
        .cloned()
        .collect()
}

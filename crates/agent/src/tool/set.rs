//! An agent's tools, checked once.

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon_dialogue::options::{OnDuplicate, ToolOptions};
use jsonschema::Validator;
use serde_json::Value;

use super::{Tool, arguments, management, schema};
use crate::error::AgentError;
use crate::provider::ToolDefinition;

/// The longest name that providers accept.
const NAME_LIMIT: usize = 64;

/// An agent's tools.
pub struct ToolSet {
    tools: Vec<Entry>,
    definitions: Arc<[ToolDefinition]>,
    options: BTreeMap<String, ToolOptions>,
    /// What the agent's author says about them, whatever they say themselves; of tools that are not there as well.
    given: BTreeMap<String, ToolOptions>,
}

/// One tool, ready to be called.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) tool: Arc<dyn Tool>,
    /// The schema as the author wrote it; the model sees a stricter one.
    schema: Value,
    validator: Validator,
}

impl ToolSet {
    /// These tools.
    ///
    /// # Errors
    /// A bad or duplicate name, or a schema that is none.
    pub fn new(tools: Vec<Arc<dyn Tool>>) -> Result<Self, AgentError> {
        Self::with_options(tools, BTreeMap::new())
    }

    /// These tools, run in these ways where the tools themselves say something else or nothing.
    ///
    /// # Errors
    /// A bad or duplicate name, or a schema that is none.
    pub fn with_options(
        tools: Vec<Arc<dyn Tool>>,
        given: BTreeMap<String, ToolOptions>,
    ) -> Result<Self, AgentError> {
        let mut options = BTreeMap::new();
        let mut entries: Vec<Entry> = Vec::with_capacity(tools.len());
        let mut definitions = Vec::with_capacity(tools.len());
        for tool in tools {
            let mut definition = tool.definition();
            let name = definition.name.clone();
            if !name_is_allowed(&name) {
                return Err(AgentError::ToolName(name));
            }
            if entries.iter().any(|entry| entry.name == name) {
                return Err(AgentError::DuplicateTool(name));
            }
            let wrong = |message: String| AgentError::ToolSchema {
                tool: name.clone(),
                message,
            };
            let schema = schema::of_object(definition.parameters).map_err(wrong)?;
            let validator =
                jsonschema::validator_for(&schema).map_err(|error| wrong(error.to_string()))?;
            let run = given.get(&name).cloned().unwrap_or_default();
            let run = run.or(tool.options());
            let mut shown = schema.clone();
            if run.on_duplicate == OnDuplicate::Confirm {
                management::ask_to_confirm(&mut shown);
            }
            options.insert(name.clone(), run);
            definition.parameters = schema::strict(&shown).unwrap_or(shown);
            entries.push(Entry {
                name,
                tool,
                schema,
                validator,
            });
            definitions.push(definition);
        }
        if options.values().any(|run| run.cancellable) {
            definitions.extend(management::definitions());
        }
        Ok(Self {
            tools: entries,
            definitions: definitions.into(),
            options,
            given,
        })
    }

    /// Other tools, run as the agent's author said of these.
    ///
    /// # Errors
    /// A bad or duplicate name, or a schema that is none.
    pub(crate) fn replaced(&self, tools: Vec<Arc<dyn Tool>>) -> Result<Self, AgentError> {
        Self::with_options(tools, self.given.clone())
    }

    /// How they are run.
    pub fn options(&self) -> &BTreeMap<String, ToolOptions> {
        &self.options
    }

    /// The tools as the model sees them.
    pub fn definitions(&self) -> Arc<[ToolDefinition]> {
        self.definitions.clone()
    }

    /// Those of these names; `None`: all.
    pub fn definitions_of(&self, names: Option<&[String]>) -> Arc<[ToolDefinition]> {
        match names {
            None => self.definitions(),
            Some(names) => self
                .definitions
                .iter()
                .filter(|definition| names.contains(&definition.name))
                .cloned()
                .collect(),
        }
    }

    /// Is there a tool of this name that takes these arguments?
    ///
    /// # Errors
    /// What the model reads when it makes such a call.
    pub fn check(&self, name: &str, arguments: Option<&str>) -> Result<(), String> {
        let entry = self.find(name)?;
        arguments.map_or(Ok(()), |text| entry.arguments(text).map(drop))
    }

    /// The tool of this name, or the text that the model reads when there is none.
    pub(crate) fn find(&self, name: &str) -> Result<&Entry, String> {
        self.tools
            .iter()
            .find(|entry| entry.name == name)
            .ok_or_else(|| {
                let names: Vec<&str> = self.tools.iter().map(|entry| entry.name.as_str()).collect();
                format!(
                    "There is no tool `{name}`. The tools are: {}",
                    names.join(", ")
                )
            })
    }
}

impl Entry {
    /// The arguments of a call, checked against the schema; or the text that the model reads.
    pub(crate) fn arguments(&self, text: &str) -> Result<Value, String> {
        let wrong = |what: String| format!("Error parsing arguments for `{}`: {what}", self.name);
        let mut value = arguments::parse(text).map_err(wrong)?;
        schema::drop_nulls(&self.schema, &mut value);
        let mistakes: Vec<String> = self
            .validator
            .iter_errors(&value)
            .take(arguments::MISTAKES_SHOWN)
            .map(|mistake| match mistake.instance_path().as_str() {
                "" => mistake.to_string(),
                path => format!("{path}: {mistake}"),
            })
            .collect();
        if mistakes.is_empty() {
            Ok(value)
        } else {
            Err(wrong(mistakes.join("; ")))
        }
    }
}

impl std::fmt::Debug for ToolSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.tools.iter().map(|entry| &entry.name))
            .finish()
    }
}

fn name_is_allowed(name: &str) -> bool {
    (1..=NAME_LIMIT).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

//! What the model is given to look after tools that run. The dialogue answers these calls itself.

use antiphon_dialogue::options::{CANCEL_TASK, CONFIRM_DUPLICATE, RUNNING_TASKS};
use serde_json::{Map, Value, json};

use crate::provider::ToolDefinition;

/// With this argument the model calls a tool again although it runs.
pub(super) fn ask_to_confirm(schema: &mut Value) {
    let Value::Object(schema) = schema else {
        return;
    };
    let properties = schema
        .entry("properties")
        .or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(properties) = properties {
        let confirm = json!({
            "type": "boolean",
            "default": false,
            "description": "True only if the tool is running already and the caller wants it to run once more.",
        });
        properties.insert(CONFIRM_DUPLICATE.to_owned(), confirm);
    }
}

/// The tools with which the model sees what runs, and stops it.
pub(super) fn definitions() -> [ToolDefinition; 2] {
    let definition =
        |name: &str, description: &str, properties: Value, required: Value| ToolDefinition {
            name: name.to_owned(),
            description: description.to_owned(),
            parameters: json!({
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": false,
            }),
        };
    [
        definition(
            CANCEL_TASK,
            "Stops a tool that is running, when the caller does not want it any more.",
            json!({"call_id": {"type": "string", "description": "The id of its call."}}),
            json!(["call_id"]),
        ),
        definition(
            RUNNING_TASKS,
            "Lists the tools that are running and can be stopped, with the ids of their calls.",
            json!({}),
            json!([]),
        ),
    ]
}

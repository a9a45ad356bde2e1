//! What an author of tools writes, and what the model sees of it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use antiphon_agent::tool::{ToolSet, schema};
use antiphon_agent::{FunctionTool, Tool, ToolContext, ToolError, ToolReply, tool};
use serde_json::{Value, json};

/// Looks for a free table.
/// Call it before booking.
#[tool]
async fn find_table(
    /// The day, as YYYY-MM-DD.
    date: String,
    /// How many people.
    #[schemars(range(min = 1, max = 12))]
    party: u32,
    /// Where they want to sit.
    place: Option<Place>,
    context: &ToolContext,
) -> Result<Vec<String>, ToolError> {
    if party > 8 {
        return Err(ToolError::new("We have no table for more than 8."));
    }
    Ok(vec![format!(
        "{date} {party} {place:?} {}",
        context.call_id
    )])
}

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Place {
    Inside,
    Terrace,
}

/// Counts.
#[tool(state, name = "count-up", timeout_ms = 250)]
async fn count(counter: Arc<AtomicU32>, #[serde(default = "two")] by: u32) -> u32 {
    counter.fetch_add(by, Ordering::Relaxed) + by
}

fn two() -> u32 {
    2
}

/// Fails in the way of libraries.
#[tool]
async fn fail() -> Result<(), std::num::ParseIntError> {
    "secret path".parse::<i32>()?;
    Ok(())
}

/// Fails with words.
#[tool]
async fn refuse() -> Result<String, String> {
    Err("Only on weekdays.".into())
}

/// Says nothing more.
#[tool]
async fn hang_up(context: ToolContext) -> ToolReply {
    ToolReply::silent(context.idempotency_key)
}

async fn call(tool: &dyn Tool, arguments: Value) -> Result<ToolReply, ToolError> {
    let context = ToolContext {
        call_id: "call_7".into(),
        idempotency_key: "key_7".into(),
        ..ToolContext::default()
    };
    tool.call(arguments, context).await
}

#[test]
fn the_model_sees_names_descriptions_and_a_strict_schema() {
    let tools = ToolSet::new(vec![Arc::new(find_table), Arc::new(count(Arc::default()))]).unwrap();
    let definitions = tools.definitions();
    assert_eq!(definitions[0].name, "find_table");
    assert_eq!(
        definitions[0].description,
        "Looks for a free table.\nCall it before booking."
    );
    assert_eq!(
        definitions[0].parameters,
        json!({
            "type": "object",
            "properties": {
                "date": {"type": "string", "description": "The day, as YYYY-MM-DD."},
                "party": {"type": "integer", "minimum": 1, "maximum": 12, "description": "How many people."},
                "place": {
                    "description": "Where they want to sit.",
                    "anyOf": [{"$ref": "#/$defs/Place"}, {"type": "null"}]
                }
            },
            "required": ["date", "party", "place"],
            "additionalProperties": false,
            "$defs": {"Place": {"type": "string", "enum": ["inside", "terrace"]}}
        })
    );
    assert_eq!(definitions[1].name, "count-up");
    assert_eq!(
        definitions[1].parameters["properties"]["by"]["type"],
        json!(["integer", "null"])
    );
    assert!(
        definitions
            .iter()
            .all(|definition| schema::is_strict(&definition.parameters))
    );
}

#[tokio::test]
async fn a_tool_gets_its_arguments_state_and_context() {
    let reply = call(
        &find_table,
        json!({"date": "2026-12-24", "party": 4, "place": "terrace"}),
    )
    .await
    .unwrap();
    assert_eq!(reply.text, r#"["2026-12-24 4 Some(Terrace) call_7"]"#);
    let counter = Arc::new(AtomicU32::new(40));
    let tool = count(counter.clone());
    assert_eq!(call(&tool, json!({})).await.unwrap().text, "42");
    assert_eq!(counter.load(Ordering::Relaxed), 42);
    assert_eq!(
        tool.options().timeout,
        Some(std::time::Duration::from_millis(250))
    );
    assert_eq!(
        call(&hang_up, json!({})).await,
        Ok(ToolReply::silent("key_7"))
    );
}

#[tokio::test]
async fn the_model_reads_errors_that_are_meant_for_it_and_no_others() {
    let error = call(&find_table, json!({"date": "2026-12-24", "party": 9}))
        .await
        .unwrap_err();
    assert_eq!(error.message(), "We have no table for more than 8.");
    assert_eq!(
        call(&refuse, json!({})).await.unwrap_err().message(),
        "Only on weekdays."
    );
    let error = call(&fail, json!({})).await.unwrap_err();
    assert_eq!(error.message(), "An internal error occurred");
    assert!(error.detail().unwrap().contains("invalid digit"));
}

#[tokio::test]
async fn a_closure_is_a_tool() {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Add {
        a: i64,
        b: i64,
    }
    let add = FunctionTool::new("add", "Adds.", |Add { a, b }, _context| async move {
        Ok::<_, ToolError>((a + b).to_string())
    });
    assert_eq!(
        call(&add, json!({"a": 1, "b": 2})).await,
        Ok(ToolReply::new("3"))
    );
}

#[test]
fn tools_that_the_model_could_not_call_are_refused_when_the_agent_is_made() {
    let twice = ToolSet::new(vec![Arc::new(refuse), Arc::new(refuse)])
        .unwrap_err()
        .to_string();
    assert!(
        twice.contains("two tools have the name \"refuse\""),
        "{twice}"
    );
    let bad = FunctionTool::new("bad name", "", |_: Value, _| async {
        Ok::<_, ToolError>("")
    });
    assert!(
        ToolSet::new(vec![Arc::new(bad)])
            .unwrap_err()
            .to_string()
            .contains("letters, digits")
    );
}

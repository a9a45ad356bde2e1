//! The agent of a task.

use antiphon_agent::{
    Agent, AgentBuilder, FunctionTool, TaskHandle, ToolContext, ToolError, ToolReply,
};
use serde::Deserialize;

#[derive(Deserialize, schemars::JsonSchema)]
struct Address {
    /// The street.
    street: String,
}

/// An agent that asks for an address.
pub(crate) fn clerk(present: &Agent, done: TaskHandle<String>) -> AgentBuilder {
    let save = FunctionTool::new(
        "save_address",
        "Keeps the address that the caller has told.",
        move |address: Address, _: ToolContext| {
            let done = done.clone();
            async move {
                done.complete(address.street).await;
                Ok::<_, ToolError>(ToolReply::silent("noted"))
            }
        },
    );
    present
        .successor("clerk")
        .greeting("What is your street?")
        .tool(save)
}

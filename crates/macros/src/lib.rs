//! `#[tool]`: an async function becomes a tool that a model can call. Documented where it is used, as
//! `antiphon_agent::tool`.

mod expand;
mod options;

use proc_macro::TokenStream;

/// Makes a tool of an async function.
///
/// Its name is the function's, its description the doc comment, and its parameters are the function's, each described by
/// a doc comment of its own. `#[serde(…)]` and `#[schemars(…)]` on a parameter are passed on (`#[serde(default)]`,
/// `#[schemars(range(min = 1, max = 12))]`); an `Option` may be left out by the model.
///
/// A parameter of type `ToolContext` or `&ToolContext` gets the context of the call; the model does not see it.
///
/// The function gives back text, anything that can be JSON, a `ToolReply`, or a `Result` of one of them. The error's text
/// is read by the model when it is a `ToolError` or text; other errors are logged and hidden from it.
///
/// The tool is a value of the function's name: `agent.tool(find_table)`. With `#[tool(state)]` the first parameter (a type
/// that is `Clone + Send + Sync`, such as `Arc<Database>`) is given when the agent is made: `agent.tool(find_table(db))`.
///
/// Options: `name = "…"`, `description = "…"`, `timeout_ms = 2000`, `state`, `crate = path::to::antiphon_agent`; what an
/// interruption by the caller does, `interruption = "detach"` (or `"cancel"`, `"protect"`); what is said while it is slow,
/// `filler = "One moment."`, `filler_after_ms = 1000`, `filler_every_ms = 5000`; what becomes of a call while one runs,
/// `on_duplicate = "allow"` (or `"reject"`, `"replace"`, `"confirm"`), `duplicate_scope = "name"` (or `"name_and_args"`);
/// `cancellable`: the model may stop it.
#[proc_macro_attribute]
pub fn tool(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::tool(options.into(), function.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

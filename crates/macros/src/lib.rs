//! `#[tool]`: an async function becomes a tool that a model can call. Documented where it is used, as
//! `antiphon_agent::tool`.

mod expand;
mod options;

use proc_macro::TokenStream;

/// Makes a tool of an async function.
///
/// The tool has the name of the function. The doc comment is the description. The parameters of the function are the parameters of the
/// tool, and a doc comment on a parameter describes it. `#[serde(…)]` and `#[schemars(…)]` on a parameter are passed on (`#[serde(default)]`,
/// `#[schemars(range(min = 1, max = 12))]`); an `Option` may be left out by the model.
///
/// A parameter of type `ToolContext` or `&ToolContext` gets the context of the call; the model does not see it.
///
/// The function returns text, any value that can be JSON, a `ToolReply`, or a `Result` of one of these. If the error is a `ToolError` or
/// text, the model reads it. Other errors are logged and hidden from the model.
///
/// The tool is a value with the name of the function: `agent.tool(find_table)`. With `#[tool(state)]` the first parameter (of a type that
/// is `Clone + Send + Sync`, such as `Arc<Database>`) is passed when the agent is built: `agent.tool(find_table(db))`.
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

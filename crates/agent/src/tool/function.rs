//! A tool from a closure; the helpers of `#[tool]`.

use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

use antiphon_dialogue::options::ToolOptions;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Tool, ToolContext, ToolError, ToolReply, schema};
use crate::provider::{BoxFuture, ToolDefinition};

/// A tool from an async closure. Its parameters are a struct with `Deserialize` and `JsonSchema`, whose doc comments the
/// model reads.
pub struct FunctionTool<A, F> {
    definition: ToolDefinition,
    function: F,
    options: ToolOptions,
    arguments: PhantomData<fn() -> A>,
}

impl<A, F> FunctionTool<A, F> {
    /// The longest it may run, instead of the session's `tool_timeout`.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// How it is run.
    #[must_use]
    pub fn with_options(mut self, options: ToolOptions) -> Self {
        self.options = options;
        self
    }
}

impl<A, F, R, O, E> FunctionTool<A, F>
where
    A: DeserializeOwned + JsonSchema + 'static,
    F: Fn(A, ToolContext) -> R + Send + Sync + 'static,
    R: Future<Output = Result<O, E>> + Send + 'static,
    O: Into<ToolReply>,
    E: Into<ToolError>,
{
    /// `name`: `[a-zA-Z0-9_-]{1,64}`. `description`: what it does and when to use it.
    pub fn new(name: impl Into<String>, description: impl Into<String>, function: F) -> Self {
        let definition = definition_of::<A>(&name.into(), &description.into());
        Self {
            definition,
            function,
            options: ToolOptions::default(),
            arguments: PhantomData,
        }
    }
}

impl<A, F, R, O, E> Tool for FunctionTool<A, F>
where
    A: DeserializeOwned + JsonSchema + 'static,
    F: Fn(A, ToolContext) -> R + Send + Sync + 'static,
    R: Future<Output = Result<O, E>> + Send + 'static,
    O: Into<ToolReply>,
    E: Into<ToolError>,
{
    fn definition(&self) -> ToolDefinition {
        self.definition.clone()
    }

    fn call<'a>(
        &'a self,
        arguments: Value,
        context: ToolContext,
    ) -> BoxFuture<'a, Result<ToolReply, ToolError>> {
        Box::pin(async move {
            let arguments = parse::<A>(arguments)?;
            (self.function)(arguments, context)
                .await
                .map(Into::into)
                .map_err(Into::into)
        })
    }

    fn options(&self) -> ToolOptions {
        self.options.clone()
    }
}

impl<A, F> std::fmt::Debug for FunctionTool<A, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FunctionTool")
            .field("name", &self.definition.name)
            .finish_non_exhaustive()
    }
}

/// The definition of a tool with these parameters.
pub fn definition_of<A: JsonSchema>(name: &str, description: &str) -> ToolDefinition {
    ToolDefinition {
        name: name.to_owned(),
        description: description.trim().to_owned(),
        parameters: schema::of::<A>(),
    }
}

/// Arguments that have passed the schema, as the function's own type.
///
/// # Errors
/// What the type refuses beyond the schema, as text for the model.
pub fn parse<A: DeserializeOwned>(arguments: Value) -> Result<A, ToolError> {
    serde_json::from_value(arguments)
        .map_err(|error| ToolError::new(format!("The arguments are wrong: {error}")))
}

//! How a `#[tool]` function's result becomes a [`ToolReply`] or a [`ToolError`], whatever its type is.
//!
//! Rust has no specialization, but method lookup prefers fewer references: `(&Wrap(value)).reply()` finds the `Into` trait
//! (implemented for `Wrap<T>`) before the `Serialize` one (implemented for `&Wrap<T>`).

use std::cell::Cell;
use std::fmt::Display;

use serde::Serialize;

use super::{ToolError, ToolReply};

/// A result on its way.
pub struct Wrap<T>(Cell<Option<T>>);

impl<T> Wrap<T> {
    /// Around this.
    pub fn new(value: T) -> Self {
        Self(Cell::new(Some(value)))
    }
}

/// Text, `()` and [`ToolReply`] itself.
pub trait ReplyByInto {
    /// The reply.
    fn reply(&self) -> Result<ToolReply, ToolError>;
}

impl<T: Into<ToolReply>> ReplyByInto for Wrap<T> {
    fn reply(&self) -> Result<ToolReply, ToolError> {
        Ok(self.0.take().map(Into::into).unwrap_or_default())
    }
}

/// Everything else that can be JSON.
pub trait ReplyBySerialize {
    /// The reply.
    fn reply(&self) -> Result<ToolReply, ToolError>;
}

impl<T: Serialize> ReplyBySerialize for &Wrap<T> {
    fn reply(&self) -> Result<ToolReply, ToolError> {
        Ok(ToolReply::from_json(serde_json::to_value(self.0.take())?))
    }
}

/// [`ToolError`] itself and every `std::error::Error`.
pub trait ErrorByInto {
    /// The error.
    fn error(&self) -> ToolError;
}

impl<E: Into<ToolError>> ErrorByInto for Wrap<E> {
    fn error(&self) -> ToolError {
        self.0
            .take()
            .map_or_else(|| ToolError::internal("no error"), Into::into)
    }
}

/// Text: the author wrote it for the model.
pub trait ErrorByDisplay {
    /// The error.
    fn error(&self) -> ToolError;
}

impl<E: Display> ErrorByDisplay for &Wrap<E> {
    fn error(&self) -> ToolError {
        self.0.take().map_or_else(
            || ToolError::internal("no error"),
            |text| ToolError::new(text.to_string()),
        )
    }
}

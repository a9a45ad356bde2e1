//! Request and answer of chat completions, without I/O.

pub(crate) mod answer;
mod calls;
pub(crate) mod failure;
pub(crate) mod messages;
mod names;
pub(crate) mod passages;
pub(crate) mod refused;
pub(crate) mod request;
pub(crate) mod spoken;
pub(crate) mod wire;

//! Request and answer of chat completions, without I/O.

pub(crate) mod answer;
pub(crate) mod messages;
pub(crate) mod passages;
pub(crate) mod request;
pub(crate) mod think;

//! Orders that bring an agent or tools: what a handle passes on without knowing it.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::agent::Agent;
use crate::error::SessionError;
use crate::tool::Tool;

/// What a handle passes on without knowing it.
pub(crate) enum Change {
    /// Another agent takes over.
    Agent(Box<Agent>),
    /// All tools of the present agent, and who wants to know whether they are taken.
    Tools(
        Vec<Arc<dyn Tool>>,
        oneshot::Sender<Result<(), SessionError>>,
    ),
}

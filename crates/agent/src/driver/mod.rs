//! Moves bytes between providers and the dialogue; decides nothing.

use crate::agent::Agent;
use crate::io::SessionIo;
use crate::session::Controls;

/// Start a session's tasks.
pub(crate) fn spawn(agent: Agent, io: SessionIo, controls: Controls) {
    let _ = (agent, io, controls);
}

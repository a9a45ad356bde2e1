//! The session's options in layers: what the agent brought along, what was changed since, what it wants otherwise.

use crate::options::{Options, OptionsError};
use crate::patch::OptionsPatch;

/// Where the options in force come from: what comes later counts.
#[derive(Clone, Debug)]
pub(crate) struct Layers {
    /// The session's as the present agent brought them along.
    pub(crate) session: Options,
    /// What was changed of them since the session began, whoever spoke (LiveKit's `update_options`).
    pub(crate) changes: OptionsPatch,
    /// Of these, what contradicts the present agent: it counts for the next one again.
    pub(crate) dormant: OptionsPatch,
    /// What the present agent wants otherwise.
    pub(crate) agent: OptionsPatch,
}

impl Layers {
    pub(crate) fn new(session: Options) -> Self {
        Self {
            session,
            changes: OptionsPatch::default(),
            dormant: OptionsPatch::default(),
            agent: OptionsPatch::default(),
        }
    }

    pub(crate) fn in_force(&self) -> Result<Options, OptionsError> {
        self.agent.onto(&self.changes.onto(&self.session)?)
    }

    pub(crate) fn changed(&self, patch: &OptionsPatch) -> Self {
        Self {
            changes: self.changes.clone().then(patch),
            ..self.clone()
        }
    }
}

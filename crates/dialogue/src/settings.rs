//! Options that change while the session runs.

use crate::event::Component;
use crate::layers::Layers;
use crate::machine::Dialogue;
use crate::options::{Options, OptionsError};
use crate::patch::OptionsPatch;

impl Dialogue {
    /// The options in force.
    pub fn options(&self) -> &Options {
        &self.core.options
    }

    /// Would [`Command::UpdateOptions`](crate::input::Command::UpdateOptions) with this change be accepted now?
    ///
    /// # Errors
    /// The options would contradict themselves.
    pub fn check_update(&self, patch: &OptionsPatch) -> Result<(), OptionsError> {
        self.core.layers.changed(patch).in_force().map(drop)
    }

    /// Changes the session's options. What the present agent wants otherwise stays as it wants it.
    pub(crate) fn update_options(&mut self, patch: &OptionsPatch) {
        let layers = self.core.layers.changed(patch);
        self.use_layers(layers);
    }

    /// Another agent: its wishes replace those of the one before.
    pub(crate) fn override_options(&mut self, agent: OptionsPatch) {
        let layers = Layers {
            agent,
            ..self.core.layers.clone()
        };
        self.use_layers(layers);
    }

    /// Another agent brings its options along; what was changed in the session stays changed.
    pub(crate) fn bring_options(&mut self, session: Options, agent: OptionsPatch) {
        let before = &self.core.layers;
        let mut layers = Layers {
            session,
            changes: before.dormant.clone().then(&before.changes),
            dormant: OptionsPatch::default(),
            agent,
        };
        if layers.in_force().is_err() {
            // each was sound by itself: an agent without the changes is better than one with another's options
            let message =
                "the session's changed options contradict the agent's own, which count alone";
            self.core.error(Component::Session, message, true);
            layers.dormant = std::mem::take(&mut layers.changes);
        }
        self.use_layers(layers);
    }

    fn use_layers(&mut self, layers: Layers) {
        match layers.in_force() {
            Ok(options) => {
                self.core.layers = layers;
                let before = std::mem::replace(&mut self.core.options, options);
                let before = before.turn_detection;
                if before != self.core.options.turn_detection {
                    self.tell(|caller, now| caller.detection_changed(before, now));
                }
            }
            Err(error) => self.core.error(
                Component::Session,
                format!("the options are not changed: {error}"),
                true,
            ),
        }
    }
}

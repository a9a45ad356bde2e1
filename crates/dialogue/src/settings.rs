//! Options that change while the session runs.

use crate::event::Component;
use crate::machine::Dialogue;
use crate::options::{Options, OptionsError, TurnDetection};
use crate::patch::OptionsPatch;
use crate::turn::Stage;

/// Where the options in force come from.
#[derive(Clone, Debug)]
pub(crate) struct Layers {
    pub(crate) session: Options,
    /// What the present agent wants otherwise.
    pub(crate) agent: OptionsPatch,
}

impl Layers {
    pub(crate) fn new(session: Options) -> Self {
        Self {
            session,
            agent: OptionsPatch::default(),
        }
    }
}

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
        let layers = &self.core.layers;
        layers.agent.onto(&patch.onto(&layers.session)?).map(drop)
    }

    /// Changes the session's options. What the present agent wants otherwise stays as it wants it.
    pub(crate) fn update_options(&mut self, patch: &OptionsPatch) {
        let layers = &self.core.layers;
        let session = patch.onto(&layers.session);
        self.use_layers(session, layers.agent.clone());
    }

    /// Another agent: its wishes replace those of the one before.
    pub(crate) fn override_options(&mut self, agent: OptionsPatch) {
        let session = Ok(self.core.layers.session.clone());
        self.use_layers(session, agent);
    }

    pub(crate) fn use_layers(
        &mut self,
        session: Result<Options, OptionsError>,
        agent: OptionsPatch,
    ) {
        let both = session.and_then(|session| Ok((agent.onto(&session)?, session)));
        match both {
            Ok((options, session)) => {
                self.core.layers = Layers { session, agent };
                let before = std::mem::replace(&mut self.core.options, options);
                self.detection_changed(before.turn_detection);
            }
            Err(error) => self.core.error(
                Component::Session,
                format!("the options are not changed: {error}"),
                true,
            ),
        }
    }

    /// A turn that has begun ends by the new rules.
    fn detection_changed(&mut self, before: TurnDetection) {
        let now = self.core.options.turn_detection;
        if before == now {
            return;
        }
        match (now, self.turn.stage) {
            (_, Stage::Speaking) => {}
            (TurnDetection::Manual, Stage::Pausing | Stage::AwaitingWords { .. }) => {
                if !self.turn.commit_asked {
                    self.turn.stage = Stage::Quiet;
                }
            }
            (TurnDetection::Vad | TurnDetection::Stt, Stage::Quiet)
                if before == TurnDetection::Manual && self.turn.words() > 0 =>
            {
                self.turn.last_spoke.get_or_insert(self.core.now);
                self.turn.stage = Stage::Pausing;
            }
            (
                TurnDetection::Vad | TurnDetection::Stt | TurnDetection::Manual,
                Stage::Quiet | Stage::Pausing | Stage::AwaitingWords { .. },
            ) => {}
        }
    }
}

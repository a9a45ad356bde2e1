//! The turn detector: asked in a silence of 200 ms whether the caller has finished, or goes on after a breath.

use crate::action::Action;
use crate::ids::PredictionId;
use crate::machine::Dialogue;
use crate::options::{TurnDetection, TurnDetectorKind};
use crate::text::normalise;
use crate::turn::{Prediction, Stage};

impl Dialogue {
    /// A silence has begun. A detector of words is asked only when there are some.
    pub(crate) fn ask_turn_detector(&mut self) {
        let options = &self.core.options;
        let asks = match options.turn_detector {
            TurnDetectorKind::None => false,
            TurnDetectorKind::Text => self.turn.words() > 0,
            TurnDetectorKind::Audio => true,
        };
        if !asks || options.turn_detection == TurnDetection::Manual {
            return;
        }
        let until = self.core.now + options.turn_detector_timeout;
        self.forget_prediction();
        let id = self.core.prediction_id();
        let transcript = self.turn.text();
        self.turn.prediction = Prediction::Asked { id, until };
        self.turn.predicted_for = normalise(&transcript);
        self.core.act(Action::PredictTurn {
            id,
            transcript,
            since: self.turn.began.unwrap_or(self.core.now),
            language: self.language(),
        });
    }

    /// Words came in a silence: a detector of words is asked again if they are others than it was asked about.
    pub(crate) fn ask_about_words(&mut self) {
        if self.core.options.turn_detector != TurnDetectorKind::Text {
            return;
        }
        let silent = match self.turn.stage {
            Stage::Quiet => false,
            Stage::Speaking => self.turn.prediction != Prediction::None,
            Stage::AwaitingWords { .. } | Stage::Pausing => true,
        };
        if silent && normalise(&self.turn.text()) != self.turn.predicted_for {
            self.ask_turn_detector();
        }
    }

    /// The caller goes on, or the turn is over: nobody needs the answer.
    pub(crate) fn forget_prediction(&mut self) {
        let before = std::mem::replace(&mut self.turn.prediction, Prediction::None);
        if let Prediction::Asked { id, .. } = before {
            self.core.act(Action::CancelPrediction { id });
        }
        self.turn.predicted_for.clear();
    }

    pub(crate) fn on_prediction(&mut self, asked: PredictionId, probability: f32, threshold: f32) {
        if let Prediction::Asked { id, .. } = self.turn.prediction
            && id == asked
        {
            self.turn.prediction = Prediction::Known {
                goes_on: probability < threshold,
            };
        }
    }
}

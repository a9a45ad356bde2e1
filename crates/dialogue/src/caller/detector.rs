//! The turn detector: asked in a silence of 200 ms, or when the VAD says before that speech has ended, whether the caller has
//! finished, or goes on after a breath.

use super::turn::{Phase, Prediction};
use super::{Caller, News, Now};
use crate::action::Action;
use crate::ids::PredictionId;
use crate::limits::SECOND_QUESTION;
use crate::metrics::{EotInferenceMetrics, Metrics};
use crate::options::{TurnDetection, TurnDetectorKind};
use crate::pending::Pending;
use antiphon_chat::time::{Duration, Instant};
use antiphon_text::normalise;

/// What it was asked in one turn, for the metrics.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Questions {
    count: u32,
    first_at: Instant,
    last_at: Instant,
    answer: Option<Answer>,
}

/// The last one.
#[derive(Clone, Copy, Debug)]
struct Answer {
    at: Instant,
    asked_at: Instant,
    last_spoke: Instant,
}

impl Questions {
    fn asked(&mut self, now: Instant) {
        if self.count == 0 {
            self.first_at = now;
        }
        self.count = self.count.saturating_add(1);
        self.last_at = now;
    }

    fn answered(&mut self, now: Instant, last_spoke: Option<Instant>) {
        self.answer = Some(Answer {
            at: now,
            asked_at: self.last_at,
            last_spoke: last_spoke.unwrap_or(self.last_at),
        });
    }
}

impl Caller {
    /// A silence has begun. A detector of words is asked only when there are some.
    pub(super) fn ask_turn_detector(&mut self, now: Now) {
        let options = now.options;
        let asks = match options.turn_detector {
            TurnDetectorKind::None => false,
            TurnDetectorKind::Text => self.turn.words() > 0,
            TurnDetectorKind::Audio | TurnDetectorKind::AudioAndText => true,
        };
        if !asks || now.is_manual() {
            return;
        }
        self.forget_prediction();
        self.predictions += 1;
        let id = PredictionId(self.predictions);
        let transcript = self.turn.text();
        let asked = Pending::new(id, now.at, options.turn_detector_timeout);
        self.turn.prediction = Prediction::Asked(asked);
        self.turn.predicted_for = normalise(&transcript);
        self.turn.questions.asked(now.at);
        self.ask(Action::PredictTurn {
            id,
            transcript,
            since: self.turn.began.unwrap_or(now.at),
            silence: self
                .turn
                .last_spoke
                .map_or(Duration::ZERO, |last| now.at.since(last)),
            language: self.last_language(now),
        });
    }

    /// Words came in a silence: a detector of words is asked again if they are others than it was asked about.
    pub(super) fn ask_about_words(&mut self, now: Now) {
        if !now.options.turn_detector.reads() {
            return;
        }
        let silent = match self.turn.phase() {
            Phase::Quiet => false,
            Phase::Open => self.turn.prediction != Prediction::None,
            Phase::AwaitingWords { .. } | Phase::Pausing => true,
        };
        if silent && self.turn.normal() != self.turn.predicted_for {
            self.ask_turn_detector(now);
        }
    }

    /// The caller goes on, or the turn is over: nobody needs the answer.
    pub(super) fn forget_prediction(&mut self) {
        let before = std::mem::replace(&mut self.turn.prediction, Prediction::None);
        if let Prediction::Asked(asked) = before {
            self.ask(Action::CancelPrediction { id: asked.id() });
        }
        self.turn.predicted_for.clear();
    }

    /// When a detector of sound and words is asked once more: it said that the caller goes on, and the caller has not.
    pub(super) fn second_question(&self, now: Now) -> Option<Instant> {
        let at = self.turn.last_spoke? + SECOND_QUESTION;
        let is_asked_before = self.turn.questions.last_at < at;
        let waits = self.turn.is_endpointing()
            && !self.turn.commit_asked
            && self.is_probably_a_breath(now)
            && matches!(self.turn.prediction, Prediction::Known { .. });
        (waits && is_asked_before).then_some(at)
    }

    /// This long a pause is where a sentence may be cut.
    pub(super) fn ask_again(&mut self, now: Now) {
        self.ask_turn_detector(now);
        if now.mode() == TurnDetection::Vad {
            self.ask(Action::FinalizeStt);
        }
    }

    /// A detector of sound and words has not said, or not yet, that the caller has finished. A recogniser hears a sentence best as a
    /// whole: it is not cut at a breath.
    pub(super) fn is_probably_a_breath(&self, now: Now) -> bool {
        now.options.turn_detector == TurnDetectorKind::AudioAndText
            && match self.turn.prediction {
                Prediction::None | Prediction::Known { goes_on: false } => false,
                Prediction::Asked(_) | Prediction::Known { goes_on: true } => true,
            }
    }

    pub(crate) fn on_prediction(
        &mut self,
        asked: PredictionId,
        probability: f32,
        threshold: f32,
        now: Now,
    ) {
        if let Prediction::Asked(pending) = self.turn.prediction
            && pending.is(asked)
        {
            self.turn.prediction = Prediction::Known {
                goes_on: probability < threshold,
            };
            let last_spoke = self.turn.last_spoke;
            self.turn.questions.answered(now.at, last_spoke);
            let ends_speech = now.mode() == TurnDetection::Vad && self.turn.is_endpointing();
            if now.options.turn_detector == TurnDetectorKind::AudioAndText
                && ends_speech
                && !self.is_probably_a_breath(now)
            {
                self.ask(Action::FinalizeStt); // it was put off for the answer
            }
        }
    }

    /// The turn is committed.
    pub(super) fn measure_detector(&mut self) {
        let Questions {
            count,
            first_at,
            answer,
            ..
        } = self.turn.questions;
        if count > 0 {
            let metrics = Metrics::EotInferenceMetrics(EotInferenceMetrics {
                turn: self.turn.id,
                total_duration: answer.map(|answer| answer.at.since(first_at)),
                detection_delay: answer.map(|answer| answer.at.since(answer.last_spoke)),
                prediction_duration: answer.map(|answer| answer.at.since(answer.asked_at)),
                num_requests: count,
            });
            self.tell(News::Measured(Box::new(metrics)));
        }
    }
}

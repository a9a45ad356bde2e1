//! What the caller does: voice activity, words, and the end of a turn.

use crate::action::Action;
use crate::event::{Event, InputModality, UserState};
use crate::ids::PredictionId;
use crate::input::{Stt, Vad};
use crate::limits::{BACKCHANNEL_BOUNDARY, STABLE_SILENCE};
use crate::machine::Dialogue;
use crate::options::TurnDetection;
use crate::text::normalise;
use crate::time::{Duration, Instant};
use crate::turn::{Prediction, Stage};

impl Dialogue {
    pub(crate) fn on_vad(&mut self, vad: Vad) {
        match vad {
            Vad::SpeechStarted { speech } => {
                self.voice_started(speech);
                self.consider_barge_in(speech);
            }
            Vad::Frame {
                speaking,
                speech,
                silence,
            } => {
                if speaking && silence.is_zero() {
                    self.voice_goes_on(speech);
                    self.consider_barge_in(speech);
                } else if speaking && silence >= STABLE_SILENCE {
                    self.voice_pauses(silence);
                }
            }
            Vad::SpeechEnded { silence, .. } => self.voice_ended(silence),
        }
    }

    fn mode(&self) -> TurnDetection {
        self.core.options.turn_detection
    }

    fn voice_started(&mut self, speech: Duration) {
        let now = self.core.now;
        self.set_user_state(UserState::Speaking, now.back(speech));
        self.promoted = None;
        self.drop_stale_backchannel();
        self.turn.began.get_or_insert(now.back(speech));
        (self.turn.last_spoke, self.turn.last_sign) = (Some(now), now);
        self.turn.prediction = Prediction::None;
        if self.mode() != TurnDetection::Stt && !self.turn.commit_asked {
            self.turn.stage = Stage::Speaking;
        }
        self.hold_before_audible();
    }

    /// A backchannel of long ago is not part of what comes now.
    fn drop_stale_backchannel(&mut self) {
        let now = self.core.now;
        if self.turn.stage == Stage::Quiet
            && self.turn.is_backchannel()
            && self
                .turn
                .last_spoke
                .is_none_or(|at| now.since(at) > BACKCHANNEL_BOUNDARY)
        {
            self.turn.forget_words();
        }
    }

    fn voice_goes_on(&mut self, speech: Duration) {
        let now = self.core.now;
        if self.mode() != TurnDetection::Stt
            && self.turn.stage != Stage::Speaking
            && !self.turn.commit_asked
        {
            self.voice_started(speech); // its start was lost
        }
        (self.turn.last_spoke, self.turn.last_sign) = (Some(now), now);
        self.turn.prediction = Prediction::None;
        self.turn.stable = false;
    }

    /// A silence inside speech that may become its end.
    fn voice_pauses(&mut self, silence: Duration) {
        let now = self.core.now;
        if self.turn.stage != Stage::Speaking {
            return;
        }
        self.turn.last_spoke = Some(now.back(silence));
        self.turn.stable |= self.turn.words() > 0;
        if self.core.options.turn_detector
            && self.turn.prediction == Prediction::None
            && self.mode() != TurnDetection::Manual
        {
            let id = self.core.prediction_id();
            self.turn.prediction = Prediction::Asked {
                id,
                until: now + self.core.options.turn_detector_timeout,
            };
            self.core.act(Action::PredictTurn { id });
        }
    }

    /// Also called when the end was lost.
    pub(crate) fn voice_ended(&mut self, silence: Duration) {
        let now = self.core.now;
        let was_speaking =
            self.user_state == UserState::Speaking || self.turn.stage == Stage::Speaking;
        self.set_user_state(UserState::Listening, now);
        if was_speaking {
            self.turn.last_spoke = Some(now.back(silence));
        }
        match self.mode() {
            TurnDetection::Vad if self.turn.stage == Stage::Speaking => {
                self.core.act(Action::FinalizeStt);
                self.begin_endpointing();
            }
            TurnDetection::Manual if self.turn.stage == Stage::Speaking => {
                self.turn.stage = Stage::Quiet
            }
            TurnDetection::Vad | TurnDetection::Manual | TurnDetection::Stt => {}
        }
        self.arm_hold();
    }

    fn begin_endpointing(&mut self) {
        let last_spoke = self.turn.last_spoke.unwrap_or(self.core.now);
        self.turn.stage = if self.turn.finals().is_empty() {
            Stage::AwaitingWords {
                until: last_spoke + self.core.options.transcript_timeout,
            }
        } else {
            Stage::Pausing
        };
        self.turn.stable |= self.turn.words() > 0;
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

    pub(crate) fn on_stt(&mut self, stt: Stt) {
        match &stt {
            Stt::Degraded(_) | Stt::Failed(_) => {}
            Stt::Interim(_)
            | Stt::Preflight(_)
            | Stt::Final { .. }
            | Stt::SpeechStarted
            | Stt::SpeechEnded
            | Stt::Recovered => self.stt_answered(),
        }
        match stt {
            Stt::Interim(text) => self.words_so_far(&text, false),
            Stt::Preflight(text) => self.words_so_far(&text, true),
            Stt::Final { text, .. } => self.final_words(&text),
            Stt::SpeechStarted if self.mode() == TurnDetection::Stt => {
                let now = self.core.now;
                self.turn.stage = Stage::Speaking;
                self.turn.began.get_or_insert(now);
                (self.turn.last_spoke, self.turn.last_sign) = (Some(now), now);
                self.hold_before_audible();
            }
            Stt::SpeechEnded if self.mode() == TurnDetection::Stt => {
                if self.turn.stage == Stage::Speaking {
                    self.begin_endpointing();
                    self.arm_hold();
                }
            }
            Stt::SpeechStarted | Stt::SpeechEnded => {}
            Stt::Degraded(message) => self.stt_degraded(message),
            Stt::Recovered => {}
            Stt::Failed(message) => self.stt_failed(message),
        }
    }

    fn words_so_far(&mut self, text: &str, probably_final: bool) {
        if text.trim().is_empty() {
            return;
        }
        self.turn.set_interim(text, &self.core.options);
        self.turn.stable = probably_final
            || matches!(
                self.turn.stage,
                Stage::AwaitingWords { .. } | Stage::Pausing
            );
        self.show_words();
        self.heard_words();
        if self.turn.stage == Stage::Quiet && self.mode() != TurnDetection::Manual {
            let now = self.core.now;
            self.turn.last_spoke.get_or_insert(now);
            self.turn.stage = Stage::AwaitingWords {
                until: now + self.core.options.transcript_timeout,
            };
        }
        self.consider_words(false);
    }

    fn final_words(&mut self, text: &str) {
        let now = self.core.now;
        if text.trim().is_empty()
            || self
                .promoted
                .take()
                .is_some_and(|promoted| promoted == normalise(text))
        {
            return;
        }
        self.turn.add_final(text, now, &self.core.options);
        self.turn.stable = true;
        self.show_words();
        self.heard_words();
        self.consider_words(true);
        match (self.mode(), self.turn.stage) {
            (TurnDetection::Manual, Stage::AwaitingWords { .. }) if self.turn.commit_asked => {
                self.turn.stage = Stage::Pausing
            }
            (TurnDetection::Manual, _) | (_, Stage::Speaking | Stage::Pausing) => {}
            (TurnDetection::Stt, Stage::Quiet) => self.turn.stage = Stage::Speaking,
            (_, Stage::Quiet | Stage::AwaitingWords { .. }) => {
                self.turn.last_spoke.get_or_insert(now);
                self.turn.stage = Stage::Pausing;
            }
        }
    }

    fn heard_words(&mut self) {
        let now = self.core.now;
        self.turn.began.get_or_insert(now);
        self.turn.last_sign = now;
        if self.user_state == UserState::Away {
            self.set_user_state(UserState::Listening, self.core.now);
        }
        self.active_at = now;
    }

    fn show_words(&mut self) {
        let event = Event::UserInputTranscribed {
            turn: self.turn.id,
            modality: InputModality::Audio,
            transcript: self.turn.text(),
            is_final: false,
        };
        self.core.emit(event);
    }

    pub(crate) fn commit_user_turn(&mut self) {
        self.turn.commit_asked = true;
        let waits = self.turn.finals().is_empty()
            || self.turn.has_interim()
            || self.turn.stage == Stage::Speaking;
        self.turn.stage = if waits {
            self.core.act(Action::FinalizeStt);
            Stage::AwaitingWords {
                until: self.core.now + self.core.options.transcript_timeout,
            }
        } else {
            Stage::Pausing
        };
    }

    pub(crate) fn clear_user_turn(&mut self) {
        self.core.act(Action::ClearStt);
        self.drop_speculation();
        let id = self.core.turn_id();
        self.turn.renew(id);
        self.arm_hold();
    }

    /// When the caller's side wants to be asked again.
    pub(crate) fn turn_deadline(&self) -> Option<Instant> {
        if self.turn.commit_asked && self.turn.stage == Stage::Pausing {
            return Some(self.core.now);
        }
        self.turn.deadline(&self.core.options)
    }

    pub(crate) fn turn_due(&mut self) {
        match self.turn.stage {
            Stage::Quiet => {}
            Stage::Speaking => {
                let silence = self.core.now.since(self.turn.last_sign);
                match self.mode() {
                    TurnDetection::Stt => {
                        self.set_user_state(UserState::Listening, self.core.now);
                        self.begin_endpointing();
                        self.arm_hold();
                    }
                    TurnDetection::Vad | TurnDetection::Manual => self.voice_ended(silence),
                }
            }
            Stage::AwaitingWords { .. } if self.turn.words() == 0 => {
                let id = self.core.turn_id();
                self.drop_speculation();
                self.turn.stage = Stage::Quiet;
                self.turn.renew(id);
                self.spoken_in_vain();
            }
            Stage::AwaitingWords { .. } | Stage::Pausing => {
                if self.turn.has_interim() {
                    self.promoted = Some(normalise(self.turn.interim()));
                    self.turn.promote_interim(self.core.now, &self.core.options);
                }
                self.commit_turn();
            }
        }
    }
}

//! From probabilities to start and end of speech. No model inside: tests drive it with probabilities of their own.

use std::time::Duration;

use antiphon_dialogue::input;

use crate::{SileroError, network::WINDOW, tail};

/// How long one window lasts.
pub const WINDOW_DURATION: Duration = Duration::from_millis((WINDOW / 16) as u64);

/// When a probability counts as speech, and how much of it as a beginning or an end. Defaults are LiveKit's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SileroOptions {
    /// Probability from which a window is speech. Default 0.5.
    pub activation_threshold: f32,
    /// Probability above which a window is still speech once speech has begun; lower, so that a quiet syllable does not
    /// cut a word. Default 0.35 (`activation_threshold` - 0.15).
    pub deactivation_threshold: f32,
    /// Speech in a row that counts as a beginning. Default 50 ms, two windows: a click is one.
    pub min_speech_duration: Duration,
    /// Silence in a row that counts as an end. Default 250 ms, that of LiveKit's built-in VAD. (Its older Silero plugin
    /// waits 550 ms.) Whether the *turn* has ended is decided later by the endpointing delay and the turn detector, which
    /// is asked after 200 ms of silence; a longer wait here would only delay them, a shorter one splits words.
    pub min_silence_duration: Duration,
}

impl Default for SileroOptions {
    fn default() -> Self {
        Self {
            activation_threshold: 0.5,
            deactivation_threshold: 0.35,
            min_speech_duration: Duration::from_millis(50),
            min_silence_duration: Duration::from_millis(250),
        }
    }
}

impl SileroOptions {
    /// # Errors
    /// [`SileroError::Thresholds`] unless 0 < deactivation <= activation < 1.
    pub fn check(&self) -> Result<(), SileroError> {
        let (low, high) = (self.deactivation_threshold, self.activation_threshold);
        if low > 0.0 && low <= high && high < 1.0 {
            return Ok(());
        }
        Err(SileroError::Thresholds {
            activation: high,
            deactivation: low,
        })
    }
}

/// The state machine. For every window: its transition if there is one, then [`input::Vad::Frame`] with the state after it.
#[derive(Clone, Debug)]
pub struct Segmenter {
    options: SileroOptions,
    speaking: bool,
    /// In a row, up to now.
    speech: Duration,
    /// In a row, up to now.
    silence: Duration,
    /// Since the beginning of this speech, pauses included.
    since_start: Duration,
}

impl Segmenter {
    /// In silence.
    pub fn new(options: SileroOptions) -> Self {
        Self {
            options,
            speaking: false,
            speech: Duration::ZERO,
            silence: Duration::ZERO,
            since_start: Duration::ZERO,
        }
    }

    /// The next window's probability. A number that is none counts as silence. `quiet` is for how long there was no sound
    /// at the end of it: when speech turns out to have ended, the silence counts from there.
    pub fn push(&mut self, probability: f32, quiet: Duration, emit: &mut dyn FnMut(input::Vad)) {
        let SileroOptions {
            activation_threshold,
            deactivation_threshold,
            ..
        } = self.options;
        let is_speech = probability >= activation_threshold
            || (self.speaking && probability > deactivation_threshold);
        if self.speaking {
            self.since_start = self.since_start.saturating_add(WINDOW_DURATION);
        }
        if is_speech {
            self.speech = self.speech.saturating_add(WINDOW_DURATION);
            self.silence = Duration::ZERO;
            if !self.speaking && self.speech >= self.options.min_speech_duration {
                self.speaking = true;
                self.since_start = self.speech;
                emit(input::Vad::SpeechStarted {
                    speech: self.speech,
                });
            }
        } else {
            if self.speaking && self.silence.is_zero() {
                self.silence = quiet.saturating_sub(WINDOW_DURATION).min(tail::LONGEST);
            }
            self.silence = self.silence.saturating_add(WINDOW_DURATION);
            self.speech = Duration::ZERO;
            if self.speaking && self.silence >= self.options.min_silence_duration {
                self.speaking = false;
                let speech = self.since_start.saturating_sub(self.silence);
                emit(input::Vad::SpeechEnded {
                    speech,
                    silence: self.silence,
                });
            }
        }
        emit(input::Vad::Frame {
            speaking: self.speaking,
            speech: self.speech,
            silence: self.silence,
        });
    }

    /// Back to silence.
    pub fn reset(&mut self) {
        *self = Self::new(self.options);
    }
}

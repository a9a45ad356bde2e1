//! Turn detectors: has the caller finished?

use std::time::Duration;

use antiphon_chat::Item;

use super::{BoxFuture, ProviderInfo};
use crate::ProviderError;

/// A turn detector. It is asked after 200 ms of silence whether the caller has finished. Meanwhile the short endpointing delay runs. An
/// answer that takes longer than `turn_detector_timeout` (1 s) is ignored.
pub trait TurnDetector: Send + Sync + 'static {
    /// Provider and model.
    fn info(&self) -> ProviderInfo;

    /// What the detector judges. A detector that reads is asked when there are words, and again when they change. A detector that only
    /// hears is asked once in each silence.
    fn evidence(&self) -> Evidence;

    /// The probability from which the caller counts as having finished, for this language (BCP 47, `None`: unknown). `None`:
    /// it cannot judge this language and is not asked; the short endpointing delay applies.
    fn threshold(&self, language: Option<&str>) -> Option<f32>;

    /// The probability (0 to 1) that the caller has finished. Dropped when the caller goes on.
    fn predict<'a>(&'a self, turn: &'a PresentTurn) -> BoxFuture<'a, Result<f32, ProviderError>>;
}

/// What a turn detector judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// [`PresentTurn::items`].
    Text,
    /// [`PresentTurn::audio`].
    Audio,
    /// Both.
    AudioAndText,
}

impl Evidence {
    /// Does it judge [`PresentTurn::audio`]?
    #[must_use]
    pub fn hears(self) -> bool {
        matches!(self, Self::Audio | Self::AudioAndText)
    }

    /// Does it judge [`PresentTurn::items`]?
    #[must_use]
    pub fn reads(self) -> bool {
        matches!(self, Self::Text | Self::AudioAndText)
    }
}

/// A turn that may be over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PresentTurn {
    /// The history, and what the caller has said so far as its last message. Empty for a detector of sound.
    pub items: Vec<Item>,
    /// The sound of the present turn (16 kHz mono) from half a second before its beginning, its last 8 s when it is longer.
    /// Empty for a detector of words.
    pub audio: Vec<i16>,
    /// How long the caller has been silent; it is a part of `audio`.
    pub silence: Duration,
    /// The caller's language (BCP 47), if the recogniser or the configuration names it.
    pub language: Option<String>,
}

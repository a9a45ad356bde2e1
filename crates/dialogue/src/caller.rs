//! What is known of the caller beyond the present turn: pauses, language, how long the agent has not got a word in.

use std::collections::VecDeque;

use crate::completion::Completing;
use crate::endpointing::{Delays, Pauses};
use crate::event::{AgentState, Event};
use crate::machine::Dialogue;
use crate::overlong::Monologue;
use crate::time::{Duration, Instant};

/// A language is believed when it was heard in more than a syllable.
const SURE_LANGUAGE_CHARS: usize = 5;
/// Names of languages that recognisers use for "find out".
const NO_LANGUAGE: [&str; 4] = ["", "auto", "multi", "und"];
/// The longest name of a language or a speaker that is kept, in bytes; BCP 47 needs 35.
const MAX_NAME_BYTES: usize = 64;

/// See above.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    pub(crate) pauses: Pauses,
    pub(crate) monologue: Monologue,
    /// There is somebody who hears voice: words alone do not say when speech ended.
    pub(crate) has_vad: bool,
    /// The sound that is going on has lasted for so long without a word that it holds nothing back and stops nothing.
    pub(crate) noise: bool,
    /// How long he had spoken without a pause when the VAD last said so.
    pub(crate) speech: Duration,
    /// Since when he has been heard over the agent's voice, as long as nobody knows what that is.
    pub(crate) overlap: Option<Instant>,
    language: Option<String>,
    /// Named by the recogniser for words that have not come yet.
    rumour: Option<String>,
    /// Who says words that have not come yet.
    speaker: Option<String>,
    /// Speech was heard and no words for it.
    unheard: Option<Unheard>,
    /// Turns that are over and wait for the agent's hook, oldest first.
    pub(crate) completing: VecDeque<Completing>,
}

#[derive(Clone, Copy, Debug)]
struct Unheard {
    began: Instant,
    ended: Instant,
    until: Instant,
}

impl Caller {
    /// The recogniser says which language the next words are in.
    pub(crate) fn may_speak(&mut self, language: String) {
        let language = crate::limits::cut(language, MAX_NAME_BYTES);
        if !NO_LANGUAGE.contains(&language.as_str()) {
            self.rumour = Some(language);
        }
    }

    /// The recogniser says who says the next words.
    pub(crate) fn may_be(&mut self, speaker: String) {
        let speaker = crate::limits::cut(speaker, MAX_NAME_BYTES);
        self.speaker = Some(speaker).filter(|name| !name.is_empty());
    }

    /// Words came: is the language that was named for them to be believed?
    pub(crate) fn said(&mut self, words: &str) {
        let long = words.chars().nth(SURE_LANGUAGE_CHARS).is_some();
        if let Some(language) = self.rumour.take()
            && (long || self.language.is_none())
        {
            self.language = Some(language);
        }
    }
}

impl Dialogue {
    /// Words came: what was said of them before belongs to the turn.
    pub(crate) fn attribute_words(&mut self) {
        if let Some(language) = &self.caller.rumour {
            self.turn.language = Some(language.clone());
        }
        if let Some(speaker) = self.caller.speaker.take() {
            self.turn.speaker_id = Some(speaker);
        }
    }

    /// The language of the present turn's words, as far as known.
    pub(crate) fn spoken_language(&self) -> Option<String> {
        self.turn.language.clone().or_else(|| self.language())
    }

    /// The endpointing delays that count now.
    pub(crate) fn delays(&self) -> Delays {
        self.caller.pauses.delays(&self.core.options)
    }

    /// The language last heard, else the one that was given.
    pub(crate) fn language(&self) -> Option<String> {
        self.caller
            .language
            .clone()
            .or_else(|| self.core.options.language.clone())
    }

    /// What the agent's new state means for the caller's side.
    pub(crate) fn agent_state_is(&mut self, state: AgentState) {
        if state == AgentState::Speaking {
            self.caller.pauses.agent_began(self.core.now);
            self.monologue_is_over();
        }
    }

    /// Speech has ended: words for it are due.
    pub(crate) fn await_transcription(&mut self, ended: Instant) {
        let began = self.turn.began.unwrap_or(ended);
        self.caller.unheard = self
            .core
            .options
            .transcription_timeout
            .filter(|_| self.turn.finals().is_empty())
            .map(|timeout| Unheard {
                began,
                ended,
                until: (ended + timeout).max(self.core.now),
            });
    }

    /// Words came, or the caller speaks again.
    pub(crate) fn transcription_is_not_due(&mut self) {
        self.caller.unheard = None;
    }

    pub(crate) fn transcription_deadline(&self) -> Option<Instant> {
        self.caller.unheard.map(|unheard| unheard.until)
    }

    pub(crate) fn transcription_due(&mut self) {
        if let Some(Unheard { began, ended, .. }) = self.caller.unheard.take() {
            let speech_duration: Duration = ended.since(began);
            self.core.emit(Event::UserTranscriptionTimeout {
                speech_duration,
                vad_speech_started_at: began,
            });
        }
    }
}

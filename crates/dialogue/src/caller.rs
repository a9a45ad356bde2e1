//! What is known of the caller beyond the present turn: pauses, language, how long the agent has not got a word in.

use std::collections::VecDeque;

use crate::completion::Completing;
use crate::endpointing::{Delays, Pauses};
use crate::event::{AgentState, Event, UserState};
use crate::heard::Heard;
use crate::ids::TurnId;
use crate::limits::{SPEECH_SIGN_TIMEOUT, STABLE_SILENCE};
use crate::machine::Dialogue;
use crate::overlong::Monologue;
use crate::turn::Stage;
use antiphon_chat::time::{Duration, Instant};
use antiphon_text::Tongue;

/// A language is believed when it was heard in more than a syllable.
const SURE_LANGUAGE_CHARS: usize = 5;
/// Names of languages that recognisers use for "find out": that is to know none.
const NO_LANGUAGE: [&str; 4] = ["", "auto", "multi", "und"];
/// The longest name of a language or a speaker that is kept, in bytes; BCP 47 needs 35.
const MAX_NAME_BYTES: usize = 64;

/// See above.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    pub(crate) pauses: Pauses,
    pub(crate) monologue: Monologue,
    pub(crate) heard: Heard,
    /// There is somebody who hears voice: words alone do not say when speech ended.
    pub(crate) has_vad: bool,
    /// The voice that the VAD hears just now.
    voice: Option<Voice>,
    /// The VAD has heard a voice for so long without a word that it is not believed until it says something else, or words come.
    pub(crate) noise: bool,
    /// When he was last heard; where there is a VAD, as it says.
    pub(crate) quiet_since: Instant,
    /// When the recogniser last understood a word.
    last_words: Instant,
    /// Since when he has been heard over the agent's voice, as long as nobody knows what that is.
    pub(crate) overlap: Option<Instant>,
    language: Option<String>,
    /// Named by the recogniser for words that have not come yet.
    rumour: Option<String>,
    /// Who says words that have not come yet.
    speaker: Option<String>,
    /// Speech was heard and no words for it.
    unheard: Option<Unheard>,
    /// The last turn that was spoken and committed, and its message.
    pub(crate) last_turn: Option<(TurnId, String)>,
    /// Turns that are over and wait for the agent's hook, oldest first.
    pub(crate) completing: VecDeque<Completing>,
}

fn is_language(name: &str) -> bool {
    !NO_LANGUAGE
        .iter()
        .any(|none| name.trim().eq_ignore_ascii_case(none))
}

/// What the VAD hears.
#[derive(Clone, Copy, Debug)]
struct Voice {
    since: Instant,
    /// Its first sound after the last pause.
    part: Instant,
    /// Without a pause, as the VAD last said.
    lasted: Duration,
    /// Its last sound.
    last: Instant,
    /// When the VAD last said that it hears it, or that it only pauses.
    sign: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Unheard {
    began: Instant,
    ended: Instant,
    until: Instant,
}

impl Caller {
    /// The VAD hears a voice.
    pub(crate) fn hears_voice(&self) -> bool {
        self.voice.is_some()
    }

    /// The VAD says that it hears a voice.
    pub(crate) fn voice_is_heard(&mut self, lasted: Duration, now: Instant) {
        let voice = self.voice.get_or_insert(Voice {
            since: now.back(lasted),
            part: now.back(lasted),
            lasted,
            last: now,
            sign: now,
        });
        let part = now.back(lasted);
        if part.since(voice.last) >= STABLE_SILENCE {
            self.heard.voice(voice.part, voice.last);
            voice.part = part;
        }
        (voice.lasted, voice.last, voice.sign) = (lasted, now, now);
    }

    /// The VAD is sure of the voice, though it pauses just now.
    pub(crate) fn voice_pauses(&mut self, now: Instant) {
        if let Some(voice) = &mut self.voice {
            voice.sign = now;
        }
    }

    /// The VAD hears nobody any more. The last sound was then.
    pub(crate) fn voice_is_over(&mut self, ended: Instant) {
        if let Some(voice) = self.voice.take() {
            self.heard.voice(voice.part, ended);
        }
    }

    /// The first sound since it last paused, and the last sound, of the voice that the VAD hears.
    pub(crate) fn voice_so_far(&self) -> Option<(Instant, Instant)> {
        self.voice.map(|voice| (voice.part, voice.last))
    }

    /// How long the voice has lasted without a pause; nothing when there is none.
    pub(crate) fn voice_lasted(&self) -> Duration {
        self.voice.map(|voice| voice.lasted).unwrap_or_default()
    }

    /// The recogniser has understood words.
    pub(crate) fn words_are_heard(&mut self, now: Instant) {
        self.last_words = now;
        self.noise = false;
        self.voice_pauses(now); // or does not: it goes on
        if !self.has_vad {
            self.quiet_since = now;
        }
    }

    /// The recogniser says which language the next words are in.
    pub(crate) fn may_speak(&mut self, language: String) {
        let language = crate::limits::cut(language, MAX_NAME_BYTES);
        if is_language(&language) {
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
    /// Does the caller speak? The VAD knows; where there is none, the recogniser, as far as it says when speech begins.
    pub(crate) fn caller_speaks(&self) -> bool {
        if self.caller.has_vad {
            self.caller.hears_voice()
        } else {
            self.turn.stage == Stage::Speaking
        }
    }

    /// When a voice counts as over though nobody says so: there is no further sign of it, or the VAD is stuck.
    pub(crate) fn voice_deadline(&self) -> Option<Instant> {
        let Some(voice) = self.caller.voice else {
            // where the recogniser decides, nobody waits for the end of a sound, and it may be lost
            let lost = self.user_state == UserState::Speaking && self.turn.stage == Stage::Quiet;
            return lost.then(|| self.turn.last_sign + SPEECH_SIGN_TIMEOUT);
        };
        let stuck = voice.since.max(self.caller.last_words) + self.core.options.stuck_vad_timeout;
        Some(stuck.min(voice.sign + SPEECH_SIGN_TIMEOUT))
    }

    pub(crate) fn voice_due(&mut self) {
        let now = self.core.now;
        let Some(voice) = self.caller.voice else {
            self.caller_ended(self.turn.last_sign);
            return;
        };
        let wordless = now.since(voice.since.max(self.caller.last_words));
        self.caller.noise = wordless >= self.core.options.stuck_vad_timeout;
        self.voice_ended(now.since(voice.sign));
    }

    /// Words came: what was said of them before belongs to the turn.
    pub(crate) fn attribute_words(&mut self) {
        if let Some(language) = &self.caller.rumour {
            self.turn.language = Some(language.clone());
        } else if self.turn.language.is_none() {
            self.turn.language.clone_from(&self.caller.language);
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
            .or_else(|| self.given_language().map(str::to_owned))
    }

    /// `multi` is none.
    fn given_language(&self) -> Option<&str> {
        let given = self.core.options.language.as_deref();
        given.filter(|name| is_language(name))
    }

    /// The language in which addresses are read out: the caller's.
    pub(crate) fn tongue(&self) -> Tongue {
        Tongue::of(self.caller.language.as_deref().or(self.given_language()))
    }

    /// What the agent's new state means for the caller's side.
    pub(crate) fn agent_state_is(&mut self, state: AgentState) {
        self.caller.heard.was_answered |= self.floor.is_open();
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

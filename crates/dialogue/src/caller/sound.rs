//! The caller's sound: the VAD's voice, or speech that the recogniser alone hears, from its first sound to its last.

use super::turn::{Phase, Prediction};
use super::{Caller, News, Now};
use crate::action::Action;
use crate::event::{Event, UserState};
use crate::input::Vad;
use crate::limits::{SPEECH_SIGN_TIMEOUT, STABLE_SILENCE};
use crate::options::TurnDetection;
use antiphon_chat::time::{Duration, Instant};

/// What is heard of the caller just now.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sound {
    Silence,
    /// The VAD hears a voice.
    Voice(Voice),
    /// The recogniser says that speech has begun, and no VAD hears a voice.
    Speech,
}

/// What the VAD hears.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voice {
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

/// Speech for which no words have come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unheard {
    began: Instant,
    ended: Instant,
    pub(super) until: Instant,
}

/// What can be asked.
impl Caller {
    pub(super) fn voice(&self) -> Option<&Voice> {
        match &self.sound {
            Sound::Voice(voice) => Some(voice),
            Sound::Silence | Sound::Speech => None,
        }
    }

    /// The VAD hears a voice.
    pub(crate) fn hears_voice(&self) -> bool {
        self.voice().is_some()
    }

    /// Does the caller speak? The VAD knows; where there is none, the recogniser, as far as it says when speech begins.
    pub(crate) fn speaks(&self) -> bool {
        match self.has_vad {
            true => self.hears_voice(),
            false => self.turn.phase() == Phase::Open,
        }
    }

    /// The VAD is stuck and is not believed.
    pub(crate) fn is_noise(&self) -> bool {
        self.is_noise
    }

    /// When the caller was last heard.
    pub(crate) fn quiet_since(&self) -> Instant {
        self.quiet_since
    }

    /// The first sound since it last paused, and the last sound, of the voice that the VAD hears.
    pub(crate) fn voice_so_far(&self) -> Option<(Instant, Instant)> {
        self.voice().map(|voice| (voice.part, voice.last))
    }

    /// How long the voice has lasted without a pause; nothing when there is none.
    pub(crate) fn voice_lasted(&self) -> Duration {
        self.voice().map(|voice| voice.lasted).unwrap_or_default()
    }

    /// The same; without a VAD, since when the caller has been heard.
    pub(crate) fn sound_lasted(&self, now: Instant) -> Duration {
        if self.has_vad {
            return self.voice_lasted();
        }
        now.since(self.turn.began.unwrap_or(now))
    }

    /// When a sound counts as over though nobody says so: there is no further sign of it, or the VAD is stuck.
    pub(super) fn sound_deadline(&self, now: Now) -> Option<Instant> {
        match &self.sound {
            Sound::Silence => None,
            Sound::Voice(voice) => {
                let stuck = voice.since.max(self.last_words) + now.options.stuck_vad_timeout;
                Some(stuck.min(voice.sign + SPEECH_SIGN_TIMEOUT))
            }
            // where the recogniser decides, nobody waits for the end of a sound, and it may be lost
            Sound::Speech => {
                let lost = self.turn.phase() == Phase::Quiet;
                lost.then(|| self.turn.last_sign + SPEECH_SIGN_TIMEOUT)
            }
        }
    }
}

/// What is told of it.
impl Caller {
    pub(crate) fn on_vad(&mut self, vad: Vad, now: Now) {
        self.has_vad = true;
        match vad {
            Vad::SpeechStarted { speech } => {
                self.is_noise = false;
                self.voice_began(speech, now);
            }
            // a VAD that is stuck says the same on and on
            Vad::Frame { speaking, .. } if !speaking || self.is_noise => {}
            Vad::Frame {
                speech, silence, ..
            } if silence.is_zero() => self.voice_goes_on(speech, now),
            Vad::Frame { silence, .. } => {
                self.sign_of_voice(now.at);
                self.turn.last_sign = now.at;
                if silence >= STABLE_SILENCE {
                    self.voice_pauses(silence, now);
                }
            }
            Vad::SpeechEnded { silence, .. } => {
                self.is_noise = false;
                self.voice_ended(silence, now);
            }
        }
    }

    fn voice_began(&mut self, speech: Duration, now: Now) {
        let (before, at) = (self.state(), now.at.back(speech));
        self.hear_voice(speech, now.at);
        self.began(before, at, now);
        self.end_asked_commit(now);
        self.heard_again(at);
        self.drop_stale_sound(now);
        self.turn.began.get_or_insert(at);
        self.still_speaking(now);
        self.turn.stable = false;
        // in STT mode the recogniser says when a turn begins; one that was about to end goes on at any sound
        let counts = self.is_deaf || now.mode() != TurnDetection::Stt || self.turn.is_endpointing();
        self.misses_words |= self.is_deaf;
        if counts && !self.turn.commit_asked {
            self.turn.open();
        }
        self.tell(News::Began);
        self.tell(News::GoesOn);
    }

    fn voice_goes_on(&mut self, speech: Duration, now: Now) {
        let recogniser_decides = now.mode() == TurnDetection::Stt;
        let turn_speaks = self.turn.phase() == Phase::Open || self.turn.commit_asked;
        if !self.hears_voice() || !(recogniser_decides || turn_speaks) {
            return self.voice_began(speech, now); // its start was lost
        }
        self.hear_voice(speech, now.at);
        // the recogniser has decided that the turn is over: sound without words does not put it off for ever
        if !(recogniser_decides && self.turn.is_endpointing()) {
            self.still_speaking(now);
            self.turn.stable = false;
        }
        self.tell(News::GoesOn);
    }

    /// A silence inside speech that may become its end.
    fn voice_pauses(&mut self, silence: Duration, now: Now) {
        if self.turn.phase() != Phase::Open {
            return;
        }
        self.turn.last_spoke = Some(now.at.back(silence));
        self.turn.stable |= self.turn.words() > 0;
        if self.turn.prediction == Prediction::None {
            self.ask_turn_detector(now);
        }
    }

    /// Also called when the end was lost.
    pub(super) fn voice_ended(&mut self, silence: Duration, now: Now) {
        let ended = now.at.back(silence);
        let was_speaking = self.state() == UserState::Speaking || self.turn.phase() == Phase::Open;
        let late = now.mode() == TurnDetection::Stt
            && (self.turn.is_endpointing()
                || ((self.turn.stt_over || self.misses_words) && self.turn.phase() == Phase::Open));
        if was_speaking || late {
            self.turn.last_spoke = Some(ended);
            self.quiet_since = ended;
        }
        self.ended(ended, now);
        match now.mode() {
            TurnDetection::Vad if self.turn.phase() == Phase::Open => {
                self.begin_endpointing(now);
                if self.turn.prediction == Prediction::None {
                    self.ask_turn_detector(now);
                }
                if !self.is_probably_a_breath(now) {
                    self.ask(Action::FinalizeStt);
                }
            }
            TurnDetection::Manual if self.turn.phase() == Phase::Open => {
                self.turn.rest();
            }
            TurnDetection::Stt if late => self.begin_endpointing(now),
            TurnDetection::Vad | TurnDetection::Manual | TurnDetection::Stt => {}
        }
    }

    /// The recogniser hears speech begin, and decides on turns.
    pub(super) fn speech_began(&mut self, now: Now) {
        let before = self.state();
        if !self.hears_voice() {
            self.sound = Sound::Speech;
        }
        self.began(before, now.at, now);
        self.end_asked_commit(now);
        self.heard_again(now.at);
        self.turn.began.get_or_insert(now.at);
        self.still_speaking(now);
        if !self.turn.commit_asked {
            self.turn.open();
        }
        self.turn.stt_over = false;
        self.tell(News::Began);
    }

    /// The recogniser's end of speech, or the lack of any further sign.
    pub(super) fn speech_ended(&mut self, now: Now) {
        let ended = self.turn.last_spoke.unwrap_or(now.at);
        if !self.hears_voice() {
            self.quiet_since = ended;
            self.ended(ended, now);
        }
        self.turn.stt_over = true;
        self.begin_endpointing(now);
        if self.turn.prediction == Prediction::None {
            self.ask_turn_detector(now);
        }
    }

    /// Whoever hears the caller first says when the sound began.
    fn began(&mut self, before: UserState, at: Instant, now: Now) {
        if before != UserState::Speaking {
            self.pauses.caller_began(at, now.agent.is_audible);
            self.judge_overlap(false, now);
            self.overlap = Some(at).filter(|_| now.agent.is_audible);
        }
        self.is_away = false;
        self.changed(before, at, now);
        self.unheard = None;
    }

    /// Nobody hears the caller any more. The last sound was then.
    fn ended(&mut self, ended: Instant, now: Now) {
        let before = self.state();
        if let Sound::Voice(voice) = std::mem::replace(&mut self.sound, Sound::Silence) {
            self.recognised.voice(voice.part, ended);
        }
        if before == UserState::Speaking {
            self.pauses
                .caller_ended(ended, now.agent.is_audible, now.options);
            self.await_transcription(ended, now);
        }
        self.is_away = false;
        self.changed(before, now.at, now);
    }

    /// The VAD says that it hears a voice.
    fn hear_voice(&mut self, lasted: Duration, now: Instant) {
        let part = now.back(lasted);
        let Sound::Voice(voice) = &mut self.sound else {
            self.sound = Sound::Voice(Voice {
                since: part,
                part,
                lasted,
                last: now,
                sign: now,
            });
            return;
        };
        if part.since(voice.last) >= STABLE_SILENCE {
            self.recognised.voice(voice.part, voice.last);
            voice.part = part;
        }
        (voice.lasted, voice.last, voice.sign) = (lasted, now, now);
    }

    /// There is a voice, though it may pause just now.
    pub(super) fn sign_of_voice(&mut self, now: Instant) {
        if let Sound::Voice(voice) = &mut self.sound {
            voice.sign = now;
        }
    }

    /// A sign of speech just now.
    fn still_speaking(&mut self, now: Now) {
        (self.turn.last_spoke, self.turn.last_sign) = (Some(now.at), now.at);
        self.monologue.note_voice(self.turn.began);
        self.forget_prediction();
    }

    /// There is sound after words that left the floor to the agent. It changes nothing of them before it is words.
    fn heard_again(&mut self, at: Instant) {
        if self.turn.phase() == Phase::Quiet
            && let Some(kept) = &mut self.turn.kept
        {
            kept.again = Some(at);
        }
    }

    /// A sound of long ago that no words came of is not part of what comes now, where nobody waits for the end of sounds.
    fn drop_stale_sound(&mut self, now: Now) {
        let stale = |at| now.at.since(at) > now.options.transcript_timeout;
        if self.turn.phase() == Phase::Quiet
            && self.turn.words() == 0
            && self.turn.last_spoke.is_none_or(stale)
        {
            self.turn.began = None;
            self.monologue.forget_sound();
            self.recognised.settle(now.at);
        }
    }

    pub(super) fn sound_due(&mut self, now: Now) {
        match self.voice().copied() {
            Some(voice) => {
                let wordless = now.at.since(voice.since.max(self.last_words));
                self.is_noise = wordless >= now.options.stuck_vad_timeout;
                self.voice_ended(now.at.since(voice.sign), now);
            }
            None => self.ended(self.turn.last_sign, now),
        }
    }

    /// Speech has ended: words for it are due.
    fn await_transcription(&mut self, ended: Instant, now: Now) {
        let began = self.turn.began.unwrap_or(ended);
        let timeout = now.options.transcription_timeout;
        self.unheard = timeout
            .filter(|_| self.turn.finals().is_empty())
            .map(|timeout| Unheard {
                began,
                ended,
                until: (ended + timeout).max(now.at),
            });
    }

    pub(super) fn transcription_due(&mut self) {
        if let Some(Unheard { began, ended, .. }) = self.unheard.take() {
            self.emit(Event::UserTranscriptionTimeout {
                speech_duration: ended.since(began),
                vad_speech_started_at: began,
            });
        }
    }
}

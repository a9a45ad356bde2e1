//! What the caller does: voice activity, words, and the end of a turn.

use crate::action::Action;
use crate::event::{Event, InputModality, UserState, Withdrawal};
use crate::heard::is_polite;
use crate::input::{Stt, Vad};
use crate::limits::{MAX_COMMIT_WAIT, STABLE_SILENCE};
use crate::machine::Dialogue;
use crate::options::TurnDetection;
use crate::turn::{Prediction, Stage};
use antiphon_chat::time::{Duration, Instant};
use antiphon_text::{count_words, normalise};

impl Dialogue {
    pub(crate) fn on_vad(&mut self, vad: Vad) {
        self.caller.has_vad = true;
        match vad {
            Vad::SpeechStarted { speech } => {
                self.caller.noise = false;
                self.voice_started(speech);
                self.consider_barge_in();
            }
            Vad::Frame {
                speaking,
                speech,
                silence,
            } => {
                if !speaking || self.caller.noise {
                    // a VAD that is stuck says the same on and on
                } else if silence.is_zero() {
                    self.voice_goes_on(speech);
                    self.consider_barge_in();
                } else {
                    self.caller.voice_pauses(self.core.now);
                    self.turn.last_sign = self.core.now;
                    if silence >= STABLE_SILENCE {
                        self.voice_pauses(silence);
                    }
                }
            }
            Vad::SpeechEnded { silence, .. } => {
                self.caller.noise = false;
                self.voice_ended(silence);
            }
        }
    }

    pub(crate) fn mode(&self) -> TurnDetection {
        self.core.options.turn_detection
    }

    fn voice_started(&mut self, speech: Duration) {
        let now = self.core.now;
        self.caller.voice_is_heard(speech, now);
        self.caller_began(now.back(speech));
        self.end_asked_commit();
        self.heard_again(now.back(speech));
        self.drop_stale_sound();
        self.turn.began.get_or_insert(now.back(speech));
        self.still_speaking();
        // in STT mode the recogniser says when a turn begins; one that was about to end goes on at any sound
        let deaf = self.trouble.is_deaf();
        let counts = deaf || self.mode() != TurnDetection::Stt || self.is_endpointing();
        self.trouble.misses_words |= deaf;
        if counts && !self.turn.commit_asked {
            self.turn.stage = Stage::Speaking;
        }
        self.hold_while_caller_speaks();
    }

    /// What the caller says now is not part of the turn that the program has declared finished. Where no words have come for
    /// that, it was none.
    fn end_asked_commit(&mut self) {
        if self.turn.commit_asked {
            if self.turn.words() > 0 {
                self.promote_words();
                self.commit_turn();
            } else {
                self.forget_commit();
            }
        }
        self.turn.skip_reply = false;
    }

    /// There was nothing to commit.
    fn forget_commit(&mut self) {
        self.turn.commit_asked = false;
        self.turn.skip_reply = false;
        self.turn.stage = Stage::Quiet;
    }

    /// The caller's state, told by whoever hears it first.
    fn caller_began(&mut self, at: Instant) {
        if self.user_state != UserState::Speaking {
            self.caller.pauses.caller_began(at, self.floor.is_audible());
            self.overlap_begins(at);
        }
        self.set_user_state(UserState::Speaking, at);
        self.transcription_is_not_due();
    }

    pub(crate) fn caller_ended(&mut self, at: Instant) {
        if self.user_state == UserState::Speaking {
            let agent_speaks = self.floor.is_audible();
            self.caller
                .pauses
                .caller_ended(at, agent_speaks, &self.core.options);
            self.await_transcription(at);
        }
        self.set_user_state(UserState::Listening, self.core.now);
    }

    /// A sign of speech just now.
    fn still_speaking(&mut self) {
        let now = self.core.now;
        (self.turn.last_spoke, self.turn.last_sign) = (Some(now), now);
        self.monologue_goes_on();
        self.forget_prediction();
    }

    /// There is sound after words that left the floor to the agent. It changes nothing of them before it is words.
    fn heard_again(&mut self, at: Instant) {
        if self.turn.stage == Stage::Quiet
            && let Some(kept) = &mut self.turn.kept
        {
            kept.again = Some(at);
        }
    }

    /// A sound of long ago that no words came of is not part of what comes now, where nobody waits for the end of sounds.
    fn drop_stale_sound(&mut self) {
        let (now, timeout) = (self.core.now, self.core.options.transcript_timeout);
        let stale = |at| now.since(at) > timeout;
        if self.turn.stage == Stage::Quiet
            && self.turn.words() == 0
            && self.turn.last_spoke.is_none_or(stale)
        {
            self.turn.began = None;
            self.caller.monologue.was_nothing();
            self.caller.heard.settle(now);
        }
    }

    fn voice_goes_on(&mut self, speech: Duration) {
        let recogniser_decides = self.mode() == TurnDetection::Stt;
        let turn_speaks = self.turn.stage == Stage::Speaking || self.turn.commit_asked;
        if !self.caller.hears_voice() || !(recogniser_decides || turn_speaks) {
            self.voice_started(speech); // its start was lost
        }
        self.caller.voice_is_heard(speech, self.core.now);
        // the recogniser has decided that the turn is over: sound without words does not put it off for ever
        if recogniser_decides && self.is_endpointing() {
            return;
        }
        self.still_speaking();
        self.turn.stable = false;
    }

    fn is_endpointing(&self) -> bool {
        matches!(
            self.turn.stage,
            Stage::AwaitingWords { .. } | Stage::Pausing
        )
    }

    /// A silence inside speech that may become its end.
    fn voice_pauses(&mut self, silence: Duration) {
        if self.turn.stage != Stage::Speaking {
            return;
        }
        self.turn.last_spoke = Some(self.core.now.back(silence));
        self.turn.stable |= self.turn.words() > 0;
        if self.turn.prediction == Prediction::None {
            self.ask_turn_detector();
        }
    }

    /// Also called when the end was lost.
    pub(crate) fn voice_ended(&mut self, silence: Duration) {
        let ended = self.core.now.back(silence);
        let was_speaking =
            self.user_state == UserState::Speaking || self.turn.stage == Stage::Speaking;
        let late = self.mode() == TurnDetection::Stt
            && (self.is_endpointing()
                || ((self.turn.stt_over || self.trouble.misses_words)
                    && self.turn.stage == Stage::Speaking));
        if was_speaking || late {
            self.turn.last_spoke = Some(ended);
            self.caller.quiet_since = ended;
        }
        self.caller.voice_is_over(ended);
        self.caller_ended(ended);
        match self.mode() {
            TurnDetection::Vad if self.turn.stage == Stage::Speaking => {
                self.core.act(Action::FinalizeStt);
                self.begin_endpointing();
            }
            TurnDetection::Manual if self.turn.stage == Stage::Speaking => {
                self.turn.stage = Stage::Quiet
            }
            TurnDetection::Stt if late => self.begin_endpointing(),
            TurnDetection::Vad | TurnDetection::Manual | TurnDetection::Stt => {}
        }
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

    pub(crate) fn on_stt(&mut self, stt: Stt) {
        match &stt {
            Stt::Degraded(_) | Stt::Failed(_) => {}
            Stt::Interim(_)
            | Stt::Preflight(_)
            | Stt::Final { .. }
            | Stt::SpeechStarted
            | Stt::SpeechEnded
            | Stt::Language(_)
            | Stt::Speaker(_)
            | Stt::Recovered => self.stt_answered(),
        }
        if let Stt::Interim(text) | Stt::Preflight(text) | Stt::Final { text, .. } = &stt
            && !text.trim().is_empty()
        {
            // also of words that count already: somebody is there
            self.caller.words_are_heard(self.core.now);
            self.turn.last_sign = self.core.now;
        }
        match stt {
            Stt::Interim(text) => self.words_so_far(&text, false),
            Stt::Preflight(text) => self.words_so_far(&text, true),
            Stt::Final { text, confidence } => self.final_words(&text, confidence),
            Stt::SpeechStarted if self.mode() == TurnDetection::Stt => {
                self.caller.heard.began = true;
                let now = self.core.now;
                self.caller_began(now);
                self.end_asked_commit();
                self.heard_again(now);
                self.turn.began.get_or_insert(now);
                self.still_speaking();
                if !self.turn.commit_asked {
                    self.turn.stage = Stage::Speaking;
                }
                self.turn.stt_over = false;
                self.hold_while_caller_speaks();
            }
            Stt::SpeechEnded if self.mode() == TurnDetection::Stt => {
                if self.turn.stage == Stage::Speaking {
                    if !self.caller.has_vad {
                        self.turn.last_spoke = Some(self.core.now);
                    }
                    self.stt_ended();
                }
            }
            Stt::SpeechStarted => self.caller.heard.began = true,
            Stt::SpeechEnded => {}
            Stt::Language(language) => self.caller.may_speak(language),
            Stt::Speaker(speaker) => self.caller.may_be(speaker),
            Stt::Degraded(message) => self.stt_degraded(message),
            Stt::Recovered => {}
            Stt::Failed(message) => self.stt_failed(message),
        }
    }

    /// The recogniser's end of speech, or the lack of any further sign.
    fn stt_ended(&mut self) {
        let ended = self.turn.last_spoke.unwrap_or(self.core.now);
        if !self.caller.hears_voice() {
            self.caller.quiet_since = ended;
            self.caller_ended(ended);
        }
        self.turn.stt_over = true;
        self.begin_endpointing();
        if self.turn.prediction == Prediction::None {
            self.ask_turn_detector();
        }
    }

    fn words_so_far(&mut self, text: &str, probably_final: bool) {
        let Some(text) = self.news(text, false) else {
            self.words_taken_back();
            return;
        };
        self.part_from_kept_words();
        self.attribute_words();
        self.turn
            .set_interim(text, self.core.now, &self.core.options);
        self.turn.stable = probably_final || self.is_endpointing();
        self.show_words();
        self.heard_words(text);
        if self.turn.stage == Stage::Quiet {
            let now = self.core.now;
            match self.mode() {
                TurnDetection::Vad => {
                    self.turn.last_spoke.get_or_insert(now);
                    self.turn.stage = Stage::AwaitingWords {
                        until: now + self.core.options.transcript_timeout,
                    };
                }
                TurnDetection::Stt => {
                    self.turn.last_spoke = Some(now);
                    self.turn.stage = Stage::Speaking; // its start was lost
                }
                TurnDetection::Manual => {}
            }
        }
        self.ask_about_words();
        self.consider_words();
    }

    fn final_words(&mut self, text: &str, confidence: Option<f32>) {
        let now = self.core.now;
        let is_empty = count_words(text) == 0;
        if is_empty && self.has_lost_words() {
            let lost = self.turn.interim().to_owned();
            self.promote_words();
            self.words_are_final(&lost);
            return;
        }
        if let Some(words) = self.corrects(text) {
            self.correct_words(&words, text, confidence);
            return;
        }
        let Some(text) = self.news(text, true) else {
            if is_empty {
                self.words_taken_back();
            } else if std::mem::take(&mut self.turn.is_unsure) {
                self.consider_words(); // now they are sure
            }
            self.no_last_words();
            if self.turn.commit_asked && self.turn.words() > 0 && !self.turn.has_interim() {
                self.turn.stage = Stage::Pausing; // there is nothing more to wait for
            }
            return;
        };
        let is_rest = self.is_rest_of_last_turn(text);
        self.part_from_kept_words();
        self.attribute_words();
        self.turn.add_final(text, now, &self.core.options);
        self.turn.sure(confidence);
        let goes_on = self.caller.voice_so_far();
        self.caller.heard.settle_words(text, goes_on, now);
        let words = self.turn.normal();
        let last = words.len().saturating_sub(normalise(text).len());
        self.caller.heard.count(words, last, false, now);
        if is_rest && is_polite(text) {
            self.remember_words();
        } else if is_rest {
            self.show_words();
            self.heard_words(text);
            self.keep();
            self.turn.answer_at_once();
        } else {
            self.words_are_final(text);
        }
    }

    /// The final for words that counted without one has others: these take their place, in the same turn.
    fn correct_words(&mut self, words: &str, text: &str, confidence: Option<f32>) {
        let (now, goes_on) = (self.core.now, self.caller.voice_so_far());
        self.caller.heard.settle_words(text, goes_on, now);
        self.caller.heard.count(&normalise(text), 0, false, now);
        self.no_last_words();
        let options = &self.core.options;
        if self.turn.correct(words, text, now, options) {
            self.turn.sure(confidence);
            self.words_are_final(text);
        } else {
            self.correct_last_turn(words, text);
        }
    }

    fn words_are_final(&mut self, text: &str) {
        let now = self.core.now;
        self.turn.stable = true;
        self.transcription_is_not_due();
        self.show_words();
        self.heard_words(text);
        self.ask_about_words();
        self.consider_words();
        match (self.mode(), self.turn.stage) {
            (TurnDetection::Manual, Stage::AwaitingWords { .. }) if self.turn.commit_asked => {
                self.turn.stage = Stage::Pausing
            }
            (TurnDetection::Manual, _) | (_, Stage::Speaking | Stage::Pausing) => {}
            (TurnDetection::Stt, Stage::Quiet) => {
                self.turn.last_spoke.get_or_insert(now);
                self.turn.stage = Stage::Speaking;
            }
            (_, Stage::Quiet | Stage::AwaitingWords { .. }) => {
                self.turn.last_spoke.get_or_insert(now);
                self.turn.stage = Stage::Pausing;
            }
        }
    }

    /// The recogniser had taken a cough for a word.
    fn words_taken_back(&mut self) {
        let transcript = self.turn.interim().to_owned();
        if self.turn.take_interim_back(&self.core.options) {
            self.withdrawn(transcript, Withdrawal::Recogniser);
            self.drop_speculation();
            self.turn.stable = self.is_endpointing();
            self.show_words();
            self.ask_about_words();
            let began = self.caller.heard.began;
            self.caller.heard.settle(self.core.now);
            // where words are all that is heard, nothing was heard
            if !self.caller.has_vad && self.turn.words() == 0 && !self.turn.commit_asked {
                if !began {
                    self.was_nothing();
                }
                self.release();
            }
        }
    }

    /// The sound so far was no turn, nor a part of one.
    fn was_nothing(&mut self) {
        self.drop_speculation();
        self.turn.stage = Stage::Quiet;
        self.spoken_in_vain();
        self.renew_turn();
        self.caller.monologue.was_nothing();
        self.caller.heard.settle(self.core.now);
    }

    fn heard_words(&mut self, words: &str) {
        let now = self.core.now;
        self.caller.said(words);
        self.turn.began.get_or_insert(now);
        // words alone say that somebody has just spoken; words after the recogniser's own end of speech do not
        if !self.caller.has_vad && (self.mode() == TurnDetection::Vad || !self.is_endpointing()) {
            self.turn.last_spoke = Some(now);
        }
        self.monologue_goes_on();
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
            item_id: None,
            language: self.spoken_language(),
            speaker_id: self.turn.speaker_id.clone(),
        };
        self.core.emit(event);
    }

    /// The program says that the caller has finished.
    pub(crate) fn commit_user_turn(
        &mut self,
        transcript_timeout: Option<Duration>,
        skip_reply: bool,
    ) {
        let timeout = transcript_timeout
            .unwrap_or(self.core.options.transcript_timeout)
            .min(MAX_COMMIT_WAIT);
        self.turn.commit_asked = true;
        self.trouble.misses_words |= self.trouble.is_deaf();
        self.turn.asked_of_nothing = self.turn.words() == 0 && self.turn.began.is_none();
        self.turn.skip_reply = skip_reply;
        let spoke_since = self.turn.last_spoke > self.turn.last_final;
        let waits = self.turn.finals().is_empty()
            || self.turn.has_interim()
            || (self.turn.stage == Stage::Speaking && !self.caller.has_vad)
            || spoke_since;
        self.turn.stage = if waits {
            self.core.act(Action::FinalizeStt);
            Stage::AwaitingWords {
                until: self.core.now + timeout,
            }
        } else {
            Stage::Pausing
        };
    }

    pub(crate) fn clear_user_turn(&mut self) {
        self.core.act(Action::ClearStt);
        self.drop_speculation();
        self.withdraw_words(Withdrawal::Program);
        self.renew_turn();
    }

    /// What was shown of the turn is not going to be part of one.
    pub(crate) fn withdraw_words(&mut self, reason: Withdrawal) {
        if self.turn.words() > 0 {
            let transcript = self.turn.text();
            self.turn.forget_words();
            self.caller.heard.settle(self.core.now);
            self.show_words();
            self.withdrawn(transcript, reason);
        }
    }

    pub(crate) fn withdrawn(&mut self, transcript: String, reason: Withdrawal) {
        self.core.emit(Event::UserInputWithdrawn {
            turn: self.turn.id,
            transcript,
            reason,
        });
    }

    /// The next turn begins with nothing of this one; speech that is going on goes on.
    pub(crate) fn renew_turn(&mut self) {
        self.forget_prediction();
        let id = self.core.turn_id();
        self.turn.renew(id);
    }

    /// When the caller's side wants to be asked again.
    pub(crate) fn turn_deadline(&self) -> Option<Instant> {
        if self.turn.commit_asked && self.turn.stage == Stage::Pausing {
            return Some(self.core.now);
        }
        self.turn.deadline(self.delays())
    }

    pub(crate) fn turn_due(&mut self) {
        match self.turn.stage {
            Stage::Quiet => {}
            Stage::Speaking => {
                let silence = self.core.now.since(self.turn.last_sign);
                match self.mode() {
                    TurnDetection::Stt => self.stt_ended(),
                    TurnDetection::Vad | TurnDetection::Manual => self.voice_ended(silence),
                }
            }
            Stage::AwaitingWords { .. } | Stage::Pausing
                if self.turn.words() == 0 && self.turn.finals().is_empty() =>
            {
                self.was_nothing();
            }
            Stage::AwaitingWords { .. } | Stage::Pausing if self.turn.is_kept_as_it_was() => {
                self.turn.stage = Stage::Quiet;
                self.caller.heard.settle(self.core.now);
                self.spoken_in_vain();
            }
            Stage::AwaitingWords { .. } if self.turn.is_another(self.delays(), self.core.now) => {
                self.forget_commit();
                if !self.mode_is_manual() {
                    self.begin_endpointing();
                }
            }
            Stage::AwaitingWords { .. } | Stage::Pausing => {
                self.promote_words();
                self.commit_turn();
            }
        }
    }

    /// Words whose final did not come count as they are.
    pub(crate) fn promote_words(&mut self) {
        if !self.turn.has_interim() {
            return;
        }
        let words = normalise(self.turn.interim());
        let is_short = self.voice_without_words() < self.core.options.min_interruption_duration;
        self.turn.promote_interim(&self.core.options);
        self.turn.is_unsure = self.caller.has_vad && is_short;
        let now = self.core.now;
        let goes_on = self.caller.voice_so_far();
        self.caller.heard.settle_words(&words, goes_on, now);
        self.caller.heard.count(&words, 0, true, now);
    }
}

//! The recogniser's words, and the end of a turn.

use super::recognised::is_polite;
use super::turn::Phase;
use super::{Caller, News, Now};
use crate::action::Action;
use crate::event::{Event, InputModality, Withdrawal};
use crate::input::Stt;
use crate::limits::MAX_COMMIT_WAIT;
use crate::options::TurnDetection;
use antiphon_chat::time::{Duration, Instant};
use antiphon_text::{count_words, normalise};

impl Caller {
    pub(crate) fn on_stt(&mut self, stt: Stt, now: Now) {
        match &stt {
            Stt::Degraded(_) | Stt::Failed(_) => self.set_deaf(),
            _ => self.is_deaf = false,
        }
        if let Stt::Interim(text) | Stt::Preflight(text) | Stt::Final { text, .. } = &stt
            && !text.trim().is_empty()
        {
            self.sign_of_words(now); // also of words that count already: somebody is there
        }
        let decides = now.mode() == TurnDetection::Stt;
        match stt {
            Stt::Interim(text) => self.words_so_far(&text, false, now),
            Stt::Preflight(text) => self.words_so_far(&text, true, now),
            Stt::Final { text, confidence } => {
                self.final_words(&text, confidence, now);
            }
            Stt::SpeechStarted => {
                self.recognised.began = true;
                if decides {
                    self.speech_began(now);
                }
            }
            Stt::SpeechEnded if decides && self.turn.phase() == Phase::Open => {
                if !self.has_vad {
                    self.turn.last_spoke = Some(now.at);
                }
                self.speech_ended(now);
            }
            Stt::Language(language) => self.language.note_language(language),
            Stt::Speaker(speaker) => self.language.note_speaker(speaker),
            Stt::SpeechEnded | Stt::Recovered | Stt::Degraded(_) | Stt::Failed(_) => {}
        }
    }

    fn sign_of_words(&mut self, now: Now) {
        self.last_words = now.at;
        self.is_noise = false;
        self.sign_of_voice(now.at);
        if !self.has_vad {
            self.quiet_since = now.at;
        }
        self.turn.last_sign = now.at;
    }

    fn words_so_far(&mut self, text: &str, probably_final: bool, now: Now) {
        let Some(text) = self.new_words(text, false, now) else {
            self.on_interim_withdrawn(now);
            return;
        };
        self.part_from_kept_words(now);
        self.attribute_words();
        self.turn.set_interim(text, now.at, now.options);
        self.turn.stable = probably_final || self.turn.is_endpointing();
        self.show_words(now);
        self.heard_words(text, now);
        if self.turn.phase() == Phase::Quiet {
            match now.mode() {
                TurnDetection::Vad => {
                    self.turn.last_spoke.get_or_insert(now.at);
                    self.turn
                        .await_words(now.at + now.options.transcript_timeout);
                }
                TurnDetection::Stt => {
                    self.turn.last_spoke = Some(now.at);
                    self.turn.open(); // its start was lost
                }
                TurnDetection::Manual => {}
            }
        }
        self.ask_about_words(now);
        self.tell(News::Words);
    }

    fn final_words(&mut self, text: &str, confidence: Option<f32>, now: Now) {
        let is_empty = count_words(text) == 0;
        if is_empty && self.has_lost_words() {
            let lost = self.turn.interim().to_owned();
            self.promote_words(now);
            self.on_final(&lost, now);
            return;
        }
        if let Some(words) = self.corrects(text, now) {
            self.correct_words(words, text, confidence, now);
            return;
        }
        let Some(text) = self.new_words(text, true, now) else {
            if is_empty {
                self.on_interim_withdrawn(now);
            } else if confidence.is_none_or(|sure| sure >= now.options.min_interruption_confidence)
                && std::mem::take(&mut self.turn.is_unsure)
            {
                self.tell(News::Words); // now they are sure
            }
            self.tell(News::NoMore);
            if self.turn.commit_asked && self.turn.words() > 0 && !self.turn.has_interim() {
                self.turn.pause(); // there is nothing more to wait for
            }
            return;
        };
        let is_rest = self.is_rest_of_last_turn(text, now);
        self.part_from_kept_words(now);
        self.attribute_words();
        self.turn.add_final(text, now.at, now.options);
        self.turn.sure(confidence, now.options);
        let goes_on = self.voice_so_far();
        self.recognised.settle_words(text, goes_on, now.at);
        let words = self.turn.normal();
        let last = words.len().saturating_sub(normalise(text).len());
        self.recognised.count(words, last, false, now.at);
        if is_rest && is_polite(text) {
            self.remember_words(now);
        } else if is_rest {
            self.show_words(now);
            self.heard_words(text, now);
            self.tell(News::Rest);
        } else {
            self.on_final(text, now);
        }
    }

    /// The final for words that counted without one has others: these take their place, in the same turn.
    fn correct_words(&mut self, words: String, text: &str, confidence: Option<f32>, now: Now) {
        self.recognised
            .settle_words(text, self.voice_so_far(), now.at);
        self.recognised.count(&normalise(text), 0, false, now.at);
        self.tell(News::NoMore);
        if self.turn.correct(&words, text, now.at, now.options) {
            self.turn.sure(confidence, now.options);
            self.on_final(text, now);
        } else {
            let text = text.to_owned();
            self.tell(News::Corrected { words, text });
        }
    }

    fn on_final(&mut self, text: &str, now: Now) {
        self.turn.stable = true;
        self.unheard = None;
        self.show_words(now);
        self.heard_words(text, now);
        self.ask_about_words(now);
        match (now.mode(), self.turn.phase()) {
            (TurnDetection::Manual, Phase::AwaitingWords { .. }) if self.turn.commit_asked => {
                self.turn.pause();
            }
            (TurnDetection::Manual, _) | (_, Phase::Open | Phase::Pausing) => {}
            (TurnDetection::Stt, Phase::Quiet) => {
                self.turn.last_spoke.get_or_insert(now.at);
                self.turn.open();
            }
            (_, Phase::Quiet | Phase::AwaitingWords { .. }) => {
                self.turn.last_spoke.get_or_insert(now.at);
                self.turn.pause();
            }
        }
        self.tell(News::Words);
    }

    /// The recogniser had taken a cough for a word.
    fn on_interim_withdrawn(&mut self, now: Now) {
        let transcript = self.turn.interim().to_owned();
        if !self.turn.take_interim_back(now.options) {
            return;
        }
        self.withdrawn(transcript, Withdrawal::Recogniser);
        self.tell(News::Nothing);
        self.turn.stable = self.turn.is_endpointing();
        self.show_words(now);
        self.ask_about_words(now);
        let began = self.recognised.began;
        self.recognised.settle(now.at);
        // where words are all that is heard, nothing was heard
        if !self.has_vad && self.turn.words() == 0 && !self.turn.commit_asked {
            if !began {
                self.drop_empty_turn(now);
            }
            self.tell(News::Silence);
        }
    }

    /// The sound so far was no turn, nor a part of one.
    fn drop_empty_turn(&mut self, now: Now) {
        self.tell(News::Nothing);
        self.turn.rest();
        self.tell_if_deaf();
        self.renew_turn();
        self.monologue.forget_sound();
        self.recognised.settle(now.at);
    }

    fn heard_words(&mut self, words: &str, now: Now) {
        self.language.said(words);
        self.turn.began.get_or_insert(now.at);
        // words alone say that somebody has just spoken; words after the recogniser's own end of speech do not
        if !self.has_vad && (now.mode() == TurnDetection::Vad || !self.turn.is_endpointing()) {
            self.turn.last_spoke = Some(now.at);
        }
        self.monologue.note_voice(self.turn.began);
        self.set_away(false, now);
        self.active_at = now.at;
    }

    pub(super) fn show_words(&mut self, now: Now) {
        self.emit(Event::UserInputTranscribed {
            turn: self.turn.id,
            modality: InputModality::Audio,
            transcript: self.turn.text(),
            is_final: false,
            item_id: None,
            language: self.spoken_language(now),
            speaker_id: self.turn.speaker_id.clone(),
        });
    }

    /// The program says that the caller has finished.
    pub(crate) fn ask_commit(&mut self, timeout: Option<Duration>, skip_reply: bool, now: Now) {
        let timeout = timeout.unwrap_or(now.options.transcript_timeout);
        self.turn.commit_asked = true;
        self.misses_words |= self.is_deaf;
        self.turn.asked_of_nothing = self.turn.words() == 0 && self.turn.began.is_none();
        self.turn.skip_reply = skip_reply;
        let spoke_since = self.turn.last_spoke > self.turn.last_final;
        let waits = self.turn.finals().is_empty()
            || self.turn.has_interim()
            || (self.turn.phase() == Phase::Open && !self.has_vad)
            || spoke_since;
        if waits {
            self.ask(Action::FinalizeStt);
            self.turn.await_words(now.at + timeout.min(MAX_COMMIT_WAIT));
        } else {
            self.turn.pause();
        }
    }

    /// What the caller says now is not part of the turn that the program has declared finished. Where no words have come for
    /// that turn, there was none.
    pub(super) fn end_asked_commit(&mut self, now: Now) {
        if self.turn.commit_asked {
            if self.turn.words() > 0 {
                self.promote_words(now);
                self.finish(now);
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
        self.turn.rest();
    }

    pub(super) fn begin_endpointing(&mut self, now: Now) {
        let last_spoke = self.turn.last_spoke.unwrap_or(now.at);
        if self.turn.finals().is_empty() {
            let until = last_spoke + now.options.transcript_timeout;
            self.turn.await_words(until);
        } else {
            self.turn.pause();
        }
        self.turn.stable |= self.turn.words() > 0;
    }

    pub(super) fn turn_deadline(&self, now: Now) -> Option<Instant> {
        if self.turn.commit_asked && self.turn.phase() == Phase::Pausing {
            return Some(now.at);
        }
        match self.turn.phase() {
            Phase::Quiet => None,
            _ => self.turn.deadline(self.pauses.delays(now.options)),
        }
    }

    pub(super) fn turn_due(&mut self, now: Now) {
        let delays = self.pauses.delays(now.options);
        match self.turn.phase() {
            Phase::Quiet => {}
            Phase::Open => match now.mode() {
                TurnDetection::Stt => self.speech_ended(now),
                TurnDetection::Vad | TurnDetection::Manual => {
                    self.voice_ended(now.at.since(self.turn.last_sign), now);
                }
            },
            Phase::AwaitingWords { .. } | Phase::Pausing
                if self.turn.words() == 0 && self.turn.finals().is_empty() =>
            {
                self.drop_empty_turn(now);
            }
            Phase::AwaitingWords { .. } | Phase::Pausing if self.turn.is_kept_as_it_was() => {
                self.turn.rest();
                self.recognised.settle(now.at);
                self.tell_if_deaf();
            }
            Phase::AwaitingWords { .. } if self.turn.is_another(delays, now.at) => {
                self.forget_commit();
                if !now.is_manual() {
                    self.begin_endpointing(now);
                }
            }
            Phase::AwaitingWords { .. } | Phase::Pausing => {
                self.promote_words(now);
                self.turn.rest();
                self.tell(News::Over);
            }
        }
    }

    /// Words whose final did not come count as they are.
    pub(super) fn promote_words(&mut self, now: Now) {
        if !self.turn.has_interim() {
            return;
        }
        let words = normalise(self.turn.interim());
        let is_short = self.voice_without_words() < now.options.min_interruption_duration;
        self.turn.promote_interim(now.options);
        self.turn.is_unsure = self.has_vad && is_short;
        self.recognised
            .settle_words(&words, self.voice_so_far(), now.at);
        self.recognised.count(&words, 0, true, now.at);
    }

    /// The words look stable, so that an answer to them may be begun: once for each time they do.
    pub(crate) fn is_stable(&self) -> bool {
        self.turn.stable
    }

    pub(crate) fn take_stable(&mut self) {
        self.turn.stable = false;
    }

    /// An answer that is begun before the turn is over may fit in the end.
    pub(crate) fn may_be_guessed(&self, now: Now) -> bool {
        let options = now.options;
        let long = self
            .turn
            .began
            .is_some_and(|at| now.at.since(at) > options.preemptive_max_speech_duration);
        !long
            && self.turn.attempts < options.preemptive_max_retries
            && !self.turn.is_left_alone()
            && !self.turn.normal().is_empty()
    }

    pub(crate) fn count_guess(&mut self) {
        self.turn.attempts += 1;
    }
}

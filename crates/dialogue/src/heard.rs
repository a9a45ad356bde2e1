//! What the recogniser has made of the caller's voice: which voice has no words yet, and which words count already.
//!
//! One rule for all that it says more than once, whoever decides on the end of a turn: **words are said anew when there was
//! voice to say them.** What was not said anew counts once, and an event says that the rest was a repetition. Where no VAD
//! heard a voice, it may have been too quiet, or there is no VAD; then the recogniser's own start of speech, an interim, or a
//! final that comes too late to be a repetition say the same.
//!
//! The same measure tells words from noise: nobody says four words in a cough.

use crate::event::Withdrawal;
use crate::limits::{MAX_LATE_FINAL, MAX_OVERLAP_WORDS, MAX_SECOND_FINAL, MIN_LOST_WORDS};
use crate::machine::Dialogue;
use crate::turn::Stage;
use antiphon_chat::time::{Duration, Instant};
use antiphon_text::{count_letters, count_words, normalise, without_words};

/// Nobody speaks faster: 22 letters a second.
const FASTEST_LETTER: Duration = Duration::from_millis(45);
/// Nobody takes longer over a single word: what does is a noise.
const SLOWEST_LETTER: Duration = Duration::from_millis(175);
/// A sound that is no words lasts about so long.
const COUGH: Duration = Duration::from_millis(400);
/// No recogniser is surer sooner: sound just before a final belongs to what comes next.
const LEAST_LAG: Duration = Duration::from_millis(150);
/// After a longer silence another voice begins: five coughs are no sentence.
const PAUSE: Duration = Duration::from_secs(1);

/// See above.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// Voice that is over, since `since`; it ended at `until`.
    voiced: Duration,
    until: Instant,
    /// All sound until then is settled: there are words for it, or there are none.
    since: Instant,
    /// Words that count already and that may come again, normalised: those of the turn whose last final came last, or those
    /// whose final has not come.
    words: String,
    /// Where the last final of them begins.
    last: usize,
    /// They counted without a final, which is on its way or lost.
    is_pending: bool,
    /// Since when they count.
    at: Instant,
    /// The recogniser has heard speech begin since then.
    pub(crate) began: bool,
    /// The agent has said something since then, and has ended.
    pub(crate) was_answered: bool,
}

/// The least time that it takes to say this.
fn takes(words: &str) -> Duration {
    FASTEST_LETTER * count_letters(words)
}

impl Heard {
    /// A voice is over. It began and ended then.
    pub(crate) fn voice(&mut self, began: Instant, ended: Instant) {
        self.voiced = self.with(began, ended);
        self.until = ended;
    }

    /// The voice so far and one that goes on from it.
    fn with(&self, began: Instant, ended: Instant) -> Duration {
        let before = match began.since(self.until) <= PAUSE {
            true => self.voiced,
            false => Duration::ZERO,
        };
        before + ended.since(began.max(self.since))
    }

    /// The voice without words, with one that is going on.
    pub(crate) fn voiced(&self, goes_on: Option<(Instant, Instant)>) -> Duration {
        goes_on.map_or(self.voiced, |(began, last)| self.with(began, last))
    }

    /// Nothing is to come of the sound so far.
    pub(crate) fn settle(&mut self, now: Instant) {
        (self.voiced, self.since) = (Duration::ZERO, now);
    }

    /// These words, normalised, count from now on; the last final begins at `last`.
    pub(crate) fn count(&mut self, words: &str, last: usize, is_pending: bool, now: Instant) {
        self.settle(now.back(LEAST_LAG));
        self.words.clear();
        self.words.push_str(words);
        (self.last, self.is_pending) = (last, is_pending);
        (self.at, self.began, self.was_answered) = (now, false, false);
    }

    /// What of these words does not count already, if they were not said anew.
    fn rest<'a>(&self, text: &'a str) -> &'a str {
        let normal = normalise(text);
        if let Some(rest) = without_words(text, &self.words).filter(|_| !self.words.is_empty()) {
            return rest;
        }
        if self.is_pending {
            let begins = without_words(&self.words, &normal).is_some();
            return if begins { "" } else { text };
        }
        let starts = self.words.match_indices(' ').rev().map(|(at, _)| at + 1);
        let overlap = starts.take(MAX_OVERLAP_WORDS).filter_map(|at| {
            let tail = self.words.get(at..)?;
            // single words may be said twice in a row: "five, five"; a final that comes again is one all the same
            let is_sure = at == self.last || tail == normal || tail.contains(' ');
            without_words(text, tail).filter(|_| is_sure)
        });
        overlap.last().unwrap_or(text)
    }

    /// The final for words that counted without one has come, or a part of it.
    fn is_final_now(&mut self, text: &str, now: Instant) {
        if !self.is_pending {
            return;
        }
        let rest = without_words(&self.words, &normalise(text)).map(str::trim);
        match rest.map(str::to_owned).filter(|rest| !rest.is_empty()) {
            Some(rest) => self.words = rest,
            None => (self.is_pending, self.last, self.at) = (false, 0, now),
        }
    }
}

impl Dialogue {
    /// The voice that the recogniser has not made words of.
    pub(crate) fn voice_without_words(&self) -> Duration {
        self.caller.heard.voiced(self.caller.voice_so_far())
    }

    /// Was there speech since the words that count already, so that these may be new ones, though they are the same?
    fn is_said_anew(&self, text: &str, is_final: bool) -> bool {
        let heard = &self.caller.heard;
        if heard.words.is_empty() {
            return true;
        }
        let age = self.core.now.since(heard.at);
        if !heard.is_pending {
            return !is_final
                || heard.began
                || age > MAX_SECOND_FINAL
                || self.turn.has_interim()
                || match self.caller.has_vad {
                    true => self.voice_without_words() >= takes(text),
                    false => heard.was_answered,
                };
        }
        let late = age > MAX_LATE_FINAL;
        if !self.caller.has_vad {
            return (heard.began && self.turn.stage == Stage::Speaking) || late;
        }
        let voice = self.voice_without_words();
        if heard.was_answered && count_words(text) < MIN_LOST_WORDS {
            return voice >= takes(text); // "yes", and "yes" to the next question
        }
        let voice = voice >= COUGH + takes(text);
        // the late one comes alone; where the VAD hears nothing it may be of any age
        match is_final && !self.turn.has_interim() {
            true => voice && late,
            false => voice || late,
        }
    }

    /// What of these words is new; `None`: nothing. What a final only repeats is withdrawn.
    pub(crate) fn news<'a>(&mut self, text: &'a str, is_final: bool) -> Option<&'a str> {
        if text.trim().is_empty() {
            return None;
        }
        if self.is_said_anew(text, is_final) {
            self.caller.heard.words.clear();
            return Some(text);
        }
        let rest = self.caller.heard.rest(text);
        let repeated = text.get(..text.len() - rest.len()).unwrap_or_default();
        if is_final && !repeated.trim().is_empty() {
            self.withdrawn(repeated.trim().to_owned(), Withdrawal::Repeated);
            self.caller.heard.is_final_now(text, self.core.now);
        }
        Some(rest).filter(|rest| count_words(rest) > 0)
    }

    /// The recogniser gives up an interim with an empty final. Has it lost words, or were there none? It takes a cough for a
    /// word or two, and a connection that stalls costs it whole sentences.
    pub(crate) fn has_lost_words(&self) -> bool {
        let interim = self.turn.interim();
        let is_sentence = count_words(interim) >= MIN_LOST_WORDS;
        if !self.caller.has_vad {
            return is_sentence;
        }
        let voice = self.voice_without_words();
        let slowest = SLOWEST_LETTER * count_letters(interim);
        self.turn.has_interim()
            && voice >= COUGH + takes(interim)
            && (is_sentence || voice <= slowest)
    }

    /// Words that nobody said just now, a word or two after a turn that is being answered, are the end of that turn.
    pub(crate) fn is_rest_of_last_turn(&self, rest: &str) -> bool {
        let heard = &self.caller.heard;
        self.caller.has_vad
            && self.turn.words() == 0
            && self.turn.stage == Stage::Quiet
            && self.floor.is_audible()
            && count_words(rest) < MIN_LOST_WORDS
            && !heard.words.is_empty()
            && !heard.is_pending
            && self.core.now.since(heard.at) <= MAX_SECOND_FINAL
            && self.voice_without_words() < takes(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(words: &str, last: usize, is_pending: bool) -> Heard {
        let mut heard = Heard::default();
        heard.count(words, last, is_pending, Instant::ZERO);
        heard
    }

    #[test]
    fn finals_that_overlap_give_each_word_once() {
        let heard = heard("hello i want a table", 6, false);
        assert_eq!(heard.rest("a table for two").trim(), "for two");
        assert_eq!(heard.rest("I want a table, please").trim(), "please");
        assert_eq!(heard.rest("Hello, I want a table"), "");
        assert_eq!(heard.rest("table").trim(), "");
        assert_eq!(heard.rest("Table for two"), "Table for two");
        assert_eq!(heard.rest("a tablet"), "a tablet");
    }

    #[test]
    fn digits_that_are_said_twice_in_a_row_stay() {
        let heard = heard("my number is five", 0, false);
        assert_eq!(heard.rest("five six"), "five six");
    }

    #[test]
    fn a_late_final_may_come_in_pieces() {
        let mut heard = heard("book a table for two", 0, true);
        assert_eq!(heard.rest("Book a table"), "");
        heard.is_final_now("Book a table", Instant::ZERO);
        assert_eq!(heard.rest("for two, please").trim(), "please");
        assert!(heard.is_pending);
        heard.is_final_now("for two, please", Instant::ZERO);
        assert!(!heard.is_pending);
    }

    #[test]
    fn only_voice_without_words_is_measured() {
        let at = Instant::from_micros;
        let mut heard = Heard::default();
        heard.voice(at(1_000_000), at(2_000_000));
        assert_eq!(heard.voiced(None), Duration::from_secs(1));
        heard.settle(at(2_500_000));
        let goes_on = Some((at(2_200_000), at(3_000_000)));
        assert_eq!(heard.voiced(goes_on), Duration::from_millis(500));
        heard.count("five", 0, false, at(2_800_000));
        assert_eq!(heard.voiced(goes_on), Duration::from_millis(350));
        heard.voice(at(2_200_000), at(3_000_000));
        let another = Some((at(4_100_000), at(4_300_000)));
        assert_eq!(heard.voiced(another), Duration::from_millis(200));
    }
}

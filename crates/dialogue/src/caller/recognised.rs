//! What the recogniser has made of the caller's voice: which voice has no words yet, and which words count already.
//!
//! One rule for all words that the recogniser says more than once, whoever decides on the end of a turn: **words are said anew
//! when there was voice to say them.** Words that were not said anew count once, and an event says that the rest was a repetition.
//! Where no VAD heard a voice, the voice may have been too quiet, or there is no VAD. Then one of these stands for the voice: the
//! recogniser's own start of speech, an interim, or a final that comes too late to be a repetition.
//!
//! Words that were accepted without a final transcript may get one with other words: then the final **corrects** them, in the same turn.
//!
//! The length of the voice also tells words from noise: nobody says four words in a cough.

use super::turn::Phase;
use super::{Caller, Now};
use crate::event::Withdrawal;
use crate::limits::{MAX_LATE_FINAL, MAX_OVERLAP_WORDS, MAX_SECOND_FINAL, MIN_LOST_WORDS};
use antiphon_chat::time::{Duration, Instant};
use antiphon_text::{contains_words, count_letters, count_words, normalise, without_words};

/// Nobody speaks faster: 22 letters a second.
const FASTEST_LETTER: Duration = Duration::from_millis(45);
/// Most speak so fast.
const USUAL_LETTER: Duration = Duration::from_millis(70);
/// So much of a short voice a VAD may miss at its beginning and end.
const VAD_EDGES: Duration = Duration::from_millis(100);
/// Nobody takes longer over a single word: what does is a noise.
const SLOWEST_LETTER: Duration = Duration::from_millis(175);
/// A sound that is no words lasts about this long.
const COUGH: Duration = Duration::from_millis(400);
/// No recogniser is surer sooner: sound just before a final belongs to what comes next.
const LEAST_LAG: Duration = Duration::from_millis(150);
/// After a longer silence another voice begins: five coughs are no sentence.
const PAUSE: Duration = Duration::from_secs(1);

/// Two texts that are alike so far are alike: it bounds the comparison.
const MAX_COMPARED_LETTERS: usize = 120;

/// See above.
#[derive(Clone, Debug, Default)]
pub(super) struct Recognised {
    /// Voice that is over, since `since`; it ended at `until`.
    voiced: Duration,
    until: Instant,
    /// The last that is over: its beginning and end.
    voice: (Instant, Instant),
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
    pub(super) began: bool,
    /// The agent has said something since then, and has ended.
    pub(super) was_answered: bool,
}

/// The least time that it takes to say this.
fn takes(words: &str) -> Duration {
    FASTEST_LETTER * count_letters(words)
}

fn usually_takes(words: &str) -> Duration {
    USUAL_LETTER * count_letters(words)
}

/// Is at least half of this in that, or in how that begins? By letters: recognisers take "two" for "you".
fn is_like(words: &str, other: &str) -> bool {
    let words: Vec<char> = words.chars().take(MAX_COMPARED_LETTERS).collect();
    let other = other.chars().take(2 * MAX_COMPARED_LETTERS);
    // the edit distance between all of the words and every beginning of the other text
    let mut row: Vec<usize> = (1..=words.len()).collect();
    let mut least = words.len();
    for (at, theirs) in other.enumerate() {
        let (mut diagonal, mut left) = (at, at + 1);
        for (own, cell) in words.iter().zip(&mut row) {
            let changed = diagonal + usize::from(*own != theirs);
            diagonal = *cell;
            *cell = changed.min(diagonal + 1).min(left + 1);
            left = *cell;
        }
        least = least.min(left);
    }
    2 * least <= words.len()
}

/// It adds nothing to what is being answered.
pub(super) fn is_polite(words: &str) -> bool {
    const POLITE: [&str; 14] = [
        "please",
        "thanks",
        "thank you",
        "bitte",
        "danke",
        "bitte schön",
        "danke schön",
        "merci",
        "por favor",
        "gracias",
        "per favore",
        "grazie",
        "prego",
        "obrigado",
    ];
    POLITE.contains(&normalise(words).as_str())
}

impl Recognised {
    /// A voice is over. It began and ended then.
    pub(super) fn voice(&mut self, began: Instant, ended: Instant) {
        self.voiced = self.with(began, ended);
        self.until = ended;
        self.voice = (began, ended);
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
    pub(super) fn voiced(&self, goes_on: Option<(Instant, Instant)>) -> Duration {
        goes_on.map_or(self.voiced, |(began, last)| self.with(began, last))
    }

    /// Nothing is to come of the sound so far.
    pub(super) fn settle(&mut self, now: Instant) {
        (self.voiced, self.since) = (Duration::ZERO, now);
    }

    /// These words have become final. The voice is theirs, except the last one if those before it are a better fit: a
    /// recogniser that takes a second says one phrase while the next is heard.
    pub(super) fn settle_words(
        &mut self,
        words: &str,
        goes_on: Option<(Instant, Instant)>,
        now: Instant,
    ) {
        let all = self.voiced(goes_on);
        let (began, last) = goes_on.unwrap_or(self.voice);
        let before = match goes_on {
            Some(_) if began.since(self.until) <= PAUSE => self.voiced,
            Some(_) => Duration::ZERO,
            None => all.saturating_sub(last.since(began.max(self.since))),
        };
        let usual = usually_takes(words);
        let fits = match goes_on {
            Some(_) => before >= takes(words),
            None => usual.abs_diff(before) < usual.abs_diff(all),
        };
        let is_next = fits && !before.is_zero() && began > self.since;
        self.settle(now.back(LEAST_LAG));
        if is_next {
            self.since = began;
            if goes_on.is_none() {
                self.voiced = last.since(began);
            }
        }
    }

    /// These words (normalised) count from now on. The last final of them begins at byte `last`.
    pub(super) fn count(&mut self, words: &str, last: usize, is_pending: bool, now: Instant) {
        self.words.clear();
        self.words.push_str(words);
        (self.last, self.is_pending) = (last, is_pending);
        (self.at, self.began, self.was_answered) = (now, false, false);
    }

    /// The part of this text that does not count already, given that it was not said anew.
    fn rest<'a>(&self, text: &'a str, now: Instant, has_vad: bool) -> &'a str {
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
            let is_part =
                tail.contains(' ') && (has_vad || now.since(self.at) < usually_takes(text));
            let is_sure = at == self.last || tail == normal || is_part;
            without_words(text, tail).filter(|_| is_sure)
        });
        overlap.last().unwrap_or(text)
    }

    /// The final for words that counted without one has come, and has other words: nobody says so similar a thing at once.
    fn is_corrected_by(&self, text: &str) -> bool {
        let text = normalise(text);
        let known = || {
            without_words(&text, &self.words).is_some()
                || without_words(&self.words, &text).is_some()
        };
        self.is_pending && !self.words.is_empty() && is_like(&self.words, &text) && !known()
    }

    /// The final for words that counted without one has come, or a part of it.
    fn settle_pending(&mut self, text: &str, now: Instant) {
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

impl Caller {
    /// The voice that the recogniser has not made words of.
    pub(super) fn voice_without_words(&self) -> Duration {
        self.recognised.voiced(self.voice_so_far())
    }

    /// Was there speech since the words that count already, so that these may be new ones, though they are the same?
    fn is_said_anew(&self, text: &str, is_final: bool, now: Now) -> bool {
        let heard = &self.recognised;
        if heard.words.is_empty() {
            return true;
        }
        let age = now.at.since(heard.at);
        if !heard.is_pending {
            return heard.began
                || age > MAX_SECOND_FINAL
                || self.turn.has_interim()
                || match self.has_vad {
                    true => self.has_voice_for(text),
                    false => !is_final || heard.was_answered,
                };
        }
        let late = age > MAX_LATE_FINAL;
        if !self.has_vad {
            return (heard.began && self.turn.phase() == Phase::Open) || late;
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

    /// The voice without words lasts long enough for these. One that began when the last words counted already is not theirs,
    /// and its edges may have been missed.
    fn has_voice_for(&self, text: &str) -> bool {
        let heard = &self.recognised;
        let began = self.voice_so_far().unwrap_or(heard.voice).0;
        let tolerance = match began > heard.at {
            true => VAD_EDGES,
            false => Duration::ZERO,
        };
        let voice = self.voice_without_words();
        !voice.is_zero() && voice + tolerance >= takes(text)
    }

    /// Some recognisers repeat with new words all that was said in the turn. That is certain when there was no time to say all
    /// of it once more, and from then on they do so.
    fn note_repetition(&mut self, text: &str, now: Now) -> bool {
        let heard = &self.recognised;
        let begins = !heard.is_pending
            && !self.turn.finals().is_empty()
            && heard.words == normalise(self.turn.finals())
            && without_words(text, &heard.words).is_some_and(|rest| count_words(rest) > 0);
        if begins {
            let since = match self.has_vad {
                true => self.voice_without_words(),
                false => now.at.since(heard.at),
            };
            self.turn.is_repeated |= since < usually_takes(text);
        }
        begins && self.turn.is_repeated
    }

    /// Words that counted without a final come again in other words: soon after them, and nobody has spoken for so long as it takes
    /// to say these.
    fn is_correction(&self, text: &str, now: Now) -> bool {
        let heard = &self.recognised;
        now.at.since(heard.at) <= MAX_LATE_FINAL
            && (!self.has_vad || self.voice_without_words() < takes(text))
            && heard.is_corrected_by(text)
            && !self.is_said_anew(text, true, now)
    }

    /// The words that counted, if this is their final and has others.
    pub(super) fn corrects(&self, text: &str, now: Now) -> Option<String> {
        self.is_correction(text, now)
            .then(|| self.recognised.words.clone())
    }

    /// What of these words is new; `None`: nothing. What a final only repeats is withdrawn.
    pub(super) fn new_words<'a>(
        &mut self,
        text: &'a str,
        is_final: bool,
        now: Now,
    ) -> Option<&'a str> {
        if text.trim().is_empty() {
            return None;
        }
        let repeats_turn = self.note_repetition(text, now);
        if !repeats_turn && self.is_said_anew(text, is_final, now) {
            self.recognised.words.clear();
            return Some(text);
        }
        let heard = &self.recognised;
        let rest = heard.rest(text, now.at, self.has_vad);
        let is_part = !heard.is_pending && rest.len() < text.len();
        let is_late = is_part && !(repeats_turn && self.speaks());
        if !is_final
            && (is_late || contains_words(&heard.words, text) || self.is_correction(text, now))
        {
            return None; // a late one: what it adds comes with the final
        }
        let repeated = text.get(..text.len() - rest.len()).unwrap_or_default();
        if is_final && !repeated.trim().is_empty() {
            self.withdrawn(repeated.trim().to_owned(), Withdrawal::Repeated);
            self.recognised.settle_pending(text, now.at);
        }
        Some(rest).filter(|rest| count_words(rest) > 0)
    }

    /// The recogniser gives up an interim with an empty final. Has it lost words, or were there none? It takes a cough for a
    /// word or two, and a connection that stalls costs it whole sentences.
    pub(super) fn has_lost_words(&self) -> bool {
        let interim = self.turn.interim();
        let is_sentence = count_words(interim) >= MIN_LOST_WORDS;
        if !self.has_vad {
            return is_sentence;
        }
        let voice = self.voice_without_words();
        let slowest = SLOWEST_LETTER * count_letters(interim);
        self.turn.has_interim()
            && voice >= COUGH + takes(interim)
            && (is_sentence || voice <= slowest)
    }

    /// Words that nobody said just now, a word or two after a turn that is being answered, are the end of that turn.
    pub(super) fn is_rest_of_last_turn(&self, rest: &str, now: Now) -> bool {
        let heard = &self.recognised;
        self.has_vad
            && self.turn.words() == 0
            && self.turn.phase() == Phase::Quiet
            && now.agent.is_audible
            && count_words(rest) < MIN_LOST_WORDS
            && !heard.words.is_empty()
            && !heard.is_pending
            && now.at.since(heard.at) <= MAX_SECOND_FINAL
            && self.voice_without_words() < takes(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(words: &str, last: usize, is_pending: bool) -> Recognised {
        let mut heard = Recognised::default();
        heard.count(words, last, is_pending, Instant::ZERO);
        heard
    }

    #[test]
    fn finals_that_overlap_give_each_word_once() {
        let heard = heard("hello i want a table", 6, false);
        assert_eq!(
            heard.rest("a table for two", Instant::ZERO, true).trim(),
            "for two"
        );
        assert_eq!(
            heard
                .rest("I want a table, please", Instant::ZERO, true)
                .trim(),
            "please"
        );
        assert_eq!(heard.rest("Hello, I want a table", Instant::ZERO, true), "");
        assert_eq!(heard.rest("table", Instant::ZERO, true).trim(), "");
        assert_eq!(
            heard.rest("Table for two", Instant::ZERO, true),
            "Table for two"
        );
        assert_eq!(heard.rest("a tablet", Instant::ZERO, true), "a tablet");
    }

    #[test]
    fn a_final_that_is_half_the_same_is_the_same_words() {
        for (words, other) in [
            ("for you", "for two"),
            ("a table for you", "a table for two please"),
            ("i want a cable", "i want a table"),
        ] {
            assert!(is_like(words, other), "{words}");
        }
        for (words, other) in [
            ("yes", "no"),
            ("book a table", "what time is it"),
            ("no", ""),
        ] {
            assert!(!is_like(words, other), "{words}");
        }
    }

    #[test]
    fn digits_that_are_said_twice_in_a_row_stay() {
        let heard = heard("my number is five", 0, false);
        assert_eq!(heard.rest("five six", Instant::ZERO, true), "five six");
    }

    #[test]
    fn a_late_final_may_come_in_pieces() {
        let mut heard = heard("book a table for two", 0, true);
        assert_eq!(heard.rest("Book a table", Instant::ZERO, true), "");
        heard.settle_pending("Book a table", Instant::ZERO);
        assert_eq!(
            heard.rest("for two, please", Instant::ZERO, true).trim(),
            "please"
        );
        assert!(heard.is_pending);
        heard.settle_pending("for two, please", Instant::ZERO);
        assert!(!heard.is_pending);
    }

    #[test]
    fn only_voice_without_words_is_measured() {
        let at = Instant::from_micros;
        let mut heard = Recognised::default();
        heard.voice(at(1_000_000), at(2_000_000));
        assert_eq!(heard.voiced(None), Duration::from_secs(1));
        heard.settle(at(2_500_000));
        let goes_on = Some((at(2_200_000), at(3_000_000)));
        assert_eq!(heard.voiced(goes_on), Duration::from_millis(500));
        heard.settle(at(2_650_000));
        assert_eq!(heard.voiced(goes_on), Duration::from_millis(350));
        heard.voice(at(2_200_000), at(3_000_000));
        let another = Some((at(4_100_000), at(4_300_000)));
        assert_eq!(heard.voiced(another), Duration::from_millis(200));
    }
}

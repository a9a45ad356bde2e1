//! The playout ledger: one entry for each piece of a reply, from its words to what was heard of it.

use crate::action::Action;
use crate::core::Core;
use crate::ids::SegmentId;
use crate::input::Playout;
use crate::limits::MAX_TIMED_WORDS;
use antiphon_chat::time::{Duration, Instant};
use antiphon_text::{Spoken, Tongue, cut_after_word, cut_at_word, end_of_words};

/// Usual speed of a TTS voice, for a segment whose length is not known yet.
const CHARS_PER_SECOND: f64 = 15.0;

/// How long that voice takes over these words.
fn usual_seconds(words: &str) -> f64 {
    words.chars().count() as f64 / CHARS_PER_SECOND
}

/// How far its synthesis is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Synthesis {
    /// Not asked for.
    Wanted,
    /// Asked for, nothing has come.
    Asked,
    /// Audio is arriving.
    Arriving,
    /// All of it is here, this long.
    Complete(Duration),
    /// It could not be made: what had come by then is all there is.
    Failed,
}

/// How far its playing is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Playing {
    /// Not asked for.
    Kept,
    /// In the playout, not audible yet.
    Queued,
    /// Audible.
    Audible,
    /// Played to its end, or cut.
    Over {
        /// To its end.
        whole: bool,
    },
}

/// One piece of a reply.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(super) id: SegmentId,
    /// Which step of the speech it belongs to, from 0.
    pub(super) step: usize,
    /// When its words were complete.
    pub(super) made_at: Instant,
    /// The plain words, as they are shown and remembered.
    pub(super) text: String,
    /// What is said for them, where that differs: addresses are read out.
    spoken: Option<Spoken>,
    pub(super) synthesis: Synthesis,
    /// TTS failed before anything of it was heard, and was or is to be asked once more.
    pub(super) is_second_try: bool,
    pub(super) playing: Playing,
    /// Audio heard, as last reported or estimated.
    played: Duration,
    /// Audio heard, as last reported.
    reported: Duration,
    /// When that was true.
    reported_at: Instant,
    words: Vec<(String, Duration)>,
    /// Bytes of the text that were shown in the transcript.
    pub(super) shown: usize,
    pub(super) asked_at: Option<Instant>,
    pub(super) first_audio_at: Option<Instant>,
    /// When it was the next to be played; `None`: it had to wait for others of its speech.
    pub(super) next_at: Option<Instant>,
    /// When its first sound was played.
    pub(super) audible_at: Option<Instant>,
    /// The last sign of life from TTS or playout.
    pub(super) sign_at: Instant,
}

impl Segment {
    pub(super) fn new(id: SegmentId, text: String, step: usize, now: Instant) -> Self {
        Self {
            id,
            step,
            made_at: now,
            text,
            spoken: None,
            synthesis: Synthesis::Wanted,
            is_second_try: false,
            playing: Playing::Kept,
            played: Duration::ZERO,
            reported: Duration::ZERO,
            reported_at: now,
            words: Vec::new(),
            shown: 0,
            asked_at: None,
            first_audio_at: None,
            next_at: None,
            audible_at: None,
            sign_at: now,
        }
    }

    /// TTS is asked for it.
    pub(super) fn synthesize(&mut self, core: &mut Core, tongue: Tongue) {
        self.synthesis = Synthesis::Asked;
        // a second try has the first one's time
        if !self.is_second_try || self.asked_at.is_none() {
            self.sign_at = core.now;
        }
        self.asked_at = Some(core.now);
        let (id, text) = (self.id, self.say_in(tongue).to_owned());
        core.act(Action::Synthesize { id, text });
    }

    /// Nothing more of it is waited for; what waited behind it is due from now on.
    pub(super) fn give_up(&mut self, core: &mut Core) {
        self.sign_at = core.now;
        self.synthesis = Synthesis::Failed;
        self.playing = Playing::Over { whole: false };
        core.act(Action::CancelSynthesis { id: self.id });
    }

    pub(super) fn on_playout(&mut self, playout: Playout, now: Instant) {
        match playout {
            Playout::Started { .. } => {
                self.playing = Playing::Audible;
                self.audible_at.get_or_insert(now);
                self.resumed(now);
            }
            Playout::Progress { played, .. } => {
                self.playing = Playing::Audible;
                self.audible_at.get_or_insert(now);
                self.report(played, now);
            }
            Playout::Finished { played, .. } => {
                self.report(played, now);
                self.ends();
                if played.is_zero() {
                    // it had no sound
                    self.playing = Playing::Over { whole: false };
                }
            }
            Playout::Cleared { played, .. } => {
                self.correct(played, now);
                self.playing = Playing::Over { whole: false };
            }
        }
    }

    /// What is to be said for it, by a voice that speaks this language.
    pub(super) fn say_in(&mut self, tongue: Tongue) -> &str {
        self.spoken = Spoken::of(&self.text, tongue);
        self.said()
    }

    fn said(&self) -> &str {
        self.spoken
            .as_ref()
            .map_or(&self.text, |spoken| &spoken.text)
    }

    /// Request to first audio, whenever that was: also before anybody knew that it would be said.
    pub(super) fn ttfb(&self) -> Option<Duration> {
        Some(self.first_audio_at?.since(self.asked_at?))
    }

    /// From when it could be played, its first audio being there, to its first sound.
    pub(super) fn playback_latency(&self) -> Option<Duration> {
        let ready = self.next_at?.max(self.first_audio_at?);
        Some(self.audible_at?.since(ready))
    }

    /// When the last of it was heard, as far as reported; `None`: nothing was.
    pub(super) fn heard_until(&self) -> Option<Instant> {
        self.audible_at.map(|_| self.reported_at)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.playing, Playing::Over { .. })
    }

    /// Asked of TTS, and not all of it is here.
    pub(super) fn is_coming(&self) -> bool {
        !self.is_over() && matches!(self.synthesis, Synthesis::Asked | Synthesis::Arriving)
    }

    /// TTS failed, and nothing was heard: once more, in the same place of the playout. It has no more time than the first try
    /// had.
    pub(super) fn try_again(&mut self) {
        self.synthesis = Synthesis::Wanted;
        self.is_second_try = true;
        self.words.clear();
    }

    /// It was played to its end, which is the end of its words unless TTS had failed.
    pub(super) fn ends(&mut self) {
        let whole = self.synthesis != Synthesis::Failed;
        self.playing = Playing::Over { whole };
    }

    /// TTS had failed with it or was not asked any more, and its words were not all heard.
    pub(super) fn is_torn(&self) -> bool {
        matches!(self.synthesis, Synthesis::Failed | Synthesis::Wanted)
            && self.playing == Playing::Over { whole: false }
    }

    /// Nothing of it has come from TTS.
    pub(super) fn is_without_sound(&self) -> bool {
        let silent = matches!(self.synthesis, Synthesis::Wanted | Synthesis::Asked);
        silent && matches!(self.playing, Playing::Kept | Playing::Queued)
    }

    /// TTS may be asked for it once more: nothing of it was heard, and that was not done before.
    pub(super) fn may_be_tried_again(&self) -> bool {
        self.is_coming() && self.playing != Playing::Audible && !self.is_second_try
    }

    /// Is it in the playout, audible or not?
    pub(super) fn in_playout(&self) -> bool {
        matches!(self.playing, Playing::Queued | Playing::Audible)
    }

    /// Asked of TTS and not played to its end.
    pub(super) fn is_ahead(&self) -> bool {
        self.synthesis != Synthesis::Wanted && !self.is_over()
    }

    /// Asked of TTS, and something of it is still to come or to be played.
    pub(super) fn is_unfinished(&self) -> bool {
        self.is_ahead() || matches!(self.synthesis, Synthesis::Asked | Synthesis::Arriving)
    }

    pub(super) fn add_words(&mut self, words: Vec<(String, Duration)>) {
        let room = MAX_TIMED_WORDS.saturating_sub(self.words.len());
        self.words.extend(words.into_iter().take(room));
    }

    /// A report; what was reported never gets less.
    pub(super) fn report(&mut self, played: Duration, now: Instant) {
        self.played = self.played.max(played);
        self.reported = self.reported.max(played);
        self.reported_at = now;
        self.sign_at = now;
    }

    /// The last word of the playout about it: it counts even when an estimate said more.
    pub(super) fn correct(&mut self, played: Duration, now: Instant) {
        (self.played, self.reported) = (played, played);
        self.reported_at = now;
    }

    /// It was audible until now without a report: count the time (the caller pauses or cuts it, and no report came).
    pub(super) fn estimate(&mut self, now: Instant) {
        if self.playing == Playing::Audible {
            self.played += now.since(self.reported_at);
            self.reported_at = now;
        }
    }

    /// It goes on after a pause.
    pub(super) fn resumed(&mut self, now: Instant) {
        self.reported_at = now;
        self.sign_at = now;
        if self.playing == Playing::Queued {
            // the caller made a sound, and the agent waited: that was not the playout
            self.next_at = self.next_at.map(|_| now);
        }
    }

    /// Bytes of the text that were heard, whole words only; never less than was shown.
    pub(crate) fn heard(&self) -> usize {
        let heard = match self.playing {
            Playing::Over { whole: true } => self.text.len(),
            Playing::Kept | Playing::Queued => 0,
            Playing::Audible | Playing::Over { whole: false } => {
                let said = self.heard_of_part();
                self.spoken
                    .as_ref()
                    .map_or(said, |spoken| spoken.written(said))
            }
        };
        heard.max(self.shown)
    }

    /// These words.
    pub(super) fn heard_text(&self) -> &str {
        self.text.get(..self.heard()).unwrap_or_default()
    }

    /// Its words.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What has been heard and not shown, with a space before it where words stand before; it is shown now.
    pub(super) fn show(&mut self, has_words_before: bool) -> Option<(SegmentId, String)> {
        let heard = self.heard();
        let words = self.text.get(self.shown..heard)?;
        if words.is_empty() {
            return None;
        }
        let gap = match self.shown == 0 && has_words_before {
            true => " ",
            false => "",
        };
        let delta = format!("{gap}{words}");
        self.shown = heard;
        Some((self.id, delta))
    }

    /// What is going to have been heard of it, as far as known.
    pub(super) fn planned(&self) -> &str {
        match self.is_over() {
            true => self.heard_text(),
            false => &self.text,
        }
    }

    /// How long it lasts; `None`: not all of it is here.
    fn duration(&self) -> Option<Duration> {
        match self.synthesis {
            Synthesis::Complete(duration) => Some(duration),
            Synthesis::Wanted | Synthesis::Asked | Synthesis::Arriving | Synthesis::Failed => None,
        }
    }

    /// Bytes of what is said.
    fn heard_of_part(&self) -> usize {
        if self.played.is_zero() {
            return 0;
        }
        let known = self.duration();
        if known.is_some_and(|duration| self.reported >= duration) {
            return self.said().len();
        }
        // that the end was heard is for the playout to say, not for an estimate
        let played = known.map_or(self.played, |duration| {
            self.played
                .min(duration.saturating_sub(Duration::from_millis(1)))
        });
        let timed = self.heard_by_timings(known, played);
        // what has no timings, all of it or the end, is estimated by its share of the sound
        let (base, since) = match self.words.split_last() {
            None => (0, Duration::ZERO),
            Some(((_, since), before)) if played > *since && !self.is_timed_to_its_end() => {
                (self.end_of(before), *since)
            }
            Some(_) => return timed,
        };
        let rest = self.said().get(base..).unwrap_or_default();
        let total = known.map_or_else(
            || usual_seconds(rest),
            |duration| duration.saturating_sub(since).as_secs_f64(),
        );
        // an estimate never claims the last word
        let share = played.saturating_sub(since).as_secs_f64() / total.max(0.001);
        timed.max(base + cut_at_word(rest, share.min(0.999)))
    }

    /// The words that had begun to sound at that moment, as far as it can be known: rather one too many.
    pub(crate) fn begun_by(&self, at: Instant) -> &str {
        let Some(since) = self.audible_at.filter(|since| *since <= at) else {
            return "";
        };
        let sounded = at.since(since);
        let begun = self.words.partition_point(|(_, start)| *start <= sounded);
        let end = if begun < self.words.len() {
            self.end_of(self.words.get(..begun).unwrap_or_default())
        } else {
            let total = self
                .duration()
                .map_or_else(|| usual_seconds(self.said()), |known| known.as_secs_f64());
            cut_after_word(self.said(), sounded.as_secs_f64() / total.max(0.001))
        };
        self.said().get(..end).unwrap_or(self.said())
    }

    fn heard_by_timings(&self, known: Option<Duration>, played: Duration) -> usize {
        // a word was heard when half of it was
        let ends = self
            .words
            .iter()
            .skip(1)
            .map(|(_, start)| *start)
            .chain(known);
        let count = self
            .words
            .iter()
            .zip(ends)
            .take_while(|((_, start), end)| (*start + *end) / 2 <= played)
            .count();
        self.end_of(self.words.get(..count).unwrap_or_default())
    }

    fn end_of(&self, words: &[(String, Duration)]) -> usize {
        end_of_words(self.said(), words.iter().map(|(word, _)| word.as_str()))
    }

    fn is_timed_to_its_end(&self) -> bool {
        self.end_of(&self.words) >= self.said().trim_end().len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn audible(text: &str) -> Segment {
        let mut segment = Segment::new(SegmentId(1), text.into(), 0, Instant::ZERO);
        segment.playing = Playing::Audible;
        segment
    }

    #[test]
    fn with_word_timings_the_cut_is_exact() {
        let mut segment = audible("one two three");
        let at = Duration::from_millis;
        segment.add_words(vec![
            ("one".into(), at(0)),
            ("two".into(), at(300)),
            ("three".into(), at(2000)),
        ]);
        segment.report(at(600), Instant::ZERO);
        assert_eq!(&segment.text[..segment.heard()], "one");
        segment.report(at(1300), Instant::ZERO);
        assert_eq!(&segment.text[..segment.heard()], "one two");
    }

    #[test]
    fn without_timings_the_share_of_the_length_counts() {
        let mut segment = audible("one two three four");
        segment.synthesis = Synthesis::Complete(Duration::from_secs(2));
        segment.report(Duration::from_secs(1), Instant::ZERO);
        assert_eq!(&segment.text[..segment.heard()], "one two");
    }

    #[test]
    fn what_was_shown_is_never_taken_back() {
        let mut segment = audible("one two three four");
        segment.shown = 7;
        assert_eq!(segment.heard(), 7);
    }

    #[test]
    fn a_text_without_spaces_is_cut_where_its_characters_are_timed() {
        let mut segment = audible("你好世界");
        let at = Duration::from_millis;
        let words = ["你", "好", "世", "界"].into_iter().zip([0, 300, 600, 900]);
        segment.add_words(words.map(|(word, ms)| (word.into(), at(ms))).collect());
        segment.report(at(500), Instant::ZERO);
        assert_eq!(segment.text.split_at(segment.heard()).0, "你好");
    }

    #[test]
    fn words_after_the_last_timed_one_are_heard_in_time() {
        let mut segment = audible("one two three four five six");
        segment.synthesis = Synthesis::Complete(Duration::from_secs(6));
        let at = Duration::from_secs;
        segment.add_words(vec![("one".into(), at(0)), ("two".into(), at(1))]);
        segment.report(Duration::from_millis(4500), Instant::ZERO);
        let heard = segment.text.split_at(segment.heard()).0;
        assert_eq!(heard, "one two three four");
    }

    #[test]
    fn a_word_that_has_begun_counts_as_begun_and_the_next_does_not() {
        let mut segment = audible("one two three four");
        segment.audible_at = Some(Instant::ZERO);
        segment.synthesis = Synthesis::Complete(Duration::from_millis(1800));
        let at = Instant::from_millis;
        assert_eq!(segment.begun_by(at(100)), "one");
        assert_eq!(segment.begun_by(at(500)), "one two");
        assert_eq!(segment.begun_by(at(9000)), "one two three four");
        let ms = Duration::from_millis;
        let words = ["one", "two", "three", "four"]
            .into_iter()
            .zip([0, 900, 1200, 1500]);
        segment.add_words(
            words
                .map(|(word, start)| (word.into(), ms(start)))
                .collect(),
        );
        assert_eq!(segment.begun_by(at(500)), "one");
        assert_eq!(segment.begun_by(at(1200)), "one two three");
        segment.audible_at = None;
        assert_eq!(segment.begun_by(at(500)), "");
    }

    #[test]
    fn of_an_address_that_is_read_out_the_written_form_is_shown_when_it_was_heard() {
        let mut segment = audible("Write to info@example.com today.");
        let said = segment.say_in(Tongue::of(Some("en"))).to_owned();
        assert_eq!(said, "Write to info at example dot com today.");
        let at = Duration::from_millis;
        let words = said.split(' ').zip((0..).step_by(300));
        segment.add_words(words.map(|(word, ms)| (word.into(), at(ms))).collect());
        segment.report(at(1200), Instant::ZERO);
        assert_eq!(&segment.text[..segment.heard()], "Write to ");
        segment.report(at(2050), Instant::ZERO);
        assert_eq!(
            &segment.text[..segment.heard()],
            "Write to info@example.com"
        );
        segment.playing = Playing::Over { whole: true };
        assert_eq!(&segment.text[..segment.heard()], segment.text);
    }

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![
            "([a-zäß']{1,6}[,.!]? ){0,8}[a-z]{1,5}[.?]?",
            "[你好世界天気。，]{0,12}",
            "([a-z]{1,4} |[你好]{1,3}|🙂 ?|, ){0,8}",
        ]
    }

    fn timings(text: &str, every: usize, keep: usize, step_ms: u64) -> Vec<(String, Duration)> {
        let letters: Vec<char> = text.chars().collect();
        let words: Vec<String> = if text.contains(' ') {
            text.split_whitespace().map(str::to_owned).collect()
        } else {
            letters.iter().map(char::to_string).collect()
        };
        let numbered = words.into_iter().zip(0_u64..);
        numbered
            .take(keep)
            .filter(|(_, n)| every == 0 || (*n as usize).is_multiple_of(every))
            .map(|(word, n)| (word, Duration::from_millis(n * step_ms)))
            .collect()
    }

    proptest! {
        /// Whatever is timed, all, a part or nothing: what was heard is a beginning of the text that only grows.
        #[test]
        fn what_was_heard_is_a_beginning_of_the_text_and_only_grows(
            text in any_text(), every in 0..3_usize, keep in 0..12_usize, step in 0..500_u64,
            complete in prop::option::of(0..8000_u64), mut reports in prop::collection::vec(0..9000_u64, 1..8),
        ) {
            let mut segment = audible(&text);
            if let Some(ms) = complete {
                segment.synthesis = Synthesis::Complete(Duration::from_millis(ms));
            }
            segment.add_words(timings(&text, every, keep, step));
            reports.sort_unstable();
            let mut before = 0;
            for ms in reports {
                segment.report(Duration::from_millis(ms), Instant::ZERO);
                let heard = segment.heard();
                prop_assert!(text.is_char_boundary(heard), "{heard}");
                prop_assert!(before <= heard && heard <= text.len(), "{before} {heard}");
                let (head, tail) = text.split_at(heard);
                let inside = head.chars().next_back().zip(tail.chars().next());
                let torn = inside.is_some_and(|(a, b)| a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric());
                prop_assert!(!torn, "{head}|{tail}");
                before = heard;
            }
        }
    }
}

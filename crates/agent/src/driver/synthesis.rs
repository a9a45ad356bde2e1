//! From a synthesiser's stream to the playout: one piece of speech, its edges taken off so that pieces join as one voice.

use std::sync::Arc;
use std::time::Duration;

use antiphon_audio::{Edges, Frame24k};
use antiphon_dialogue::Input;
use antiphon_dialogue::ids::SegmentId;
use antiphon_dialogue::input::Tts as TtsFact;
use antiphon_dialogue::limits::MAX_TIMED_WORDS;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use super::player::Player;
use crate::measure;
use crate::provider::{Tts, TtsChunk};

/// The longest sound of one segment. A synthesiser that does not end is cut there.
const SPEECH_LIMIT: Duration = Duration::from_secs(300);
/// A speaker pauses this long between sentences, and between clauses. Shorter than the 0.3 s at which listeners begin to take
/// a silence for the end of a turn, and long enough not to sound breathless.
const AFTER_SENTENCE: Duration = Duration::from_millis(225);
const AFTER_CLAUSE: Duration = Duration::from_millis(125);

/// A piece on its way into the playout. However synthesis ends (a panic, too), what has come of it does not wait for more.
struct Piece {
    player: Arc<Player>,
    id: SegmentId,
    facts: mpsc::Sender<Input>,
    edges: Edges,
    /// Samples that the provider gave, and those given on.
    given: u64,
    passed: u64,
    /// When words begin, told before there was any sound.
    early: Vec<(String, Duration)>,
    over: bool,
}

/// Has the text spoken into the segment, and says how that went.
pub(super) async fn speak(
    tts: Arc<dyn Tts>,
    player: Arc<Player>,
    id: SegmentId,
    text: String,
    facts: mpsc::Sender<Input>,
) {
    let mut piece = Piece {
        player,
        id,
        facts,
        edges: Edges::new(pause_after(&text)),
        given: 0,
        passed: 0,
        early: Vec::new(),
        over: false,
    };
    let event = match piece.fill(tts, text).await {
        Ok(()) => TtsFact::Finished {
            duration: length(piece.passed),
        },
        Err(message) => {
            measure::provider_error("tts", &message);
            TtsFact::Failed(message)
        }
    };
    // before it is told: the answer to a failure may be a second try
    piece.end();
    piece.tell(event).await;
}

impl Piece {
    async fn fill(&mut self, tts: Arc<dyn Tts>, text: String) -> Result<(), String> {
        let mut speech = tts.synthesize(text);
        while let Some(chunk) = speech.next().await {
            match chunk.map_err(|error| error.to_string())? {
                TtsChunk::Audio(frame) => {
                    self.given += frame.samples().len() as u64;
                    let frame = self.edges.push(&frame);
                    self.pass(frame).await;
                    if length(self.given) > SPEECH_LIMIT {
                        return Err(format!(
                            "the speech does not end; it was cut after {SPEECH_LIMIT:?}"
                        ));
                    }
                }
                TtsChunk::Words(words) => self.time(words).await,
            }
        }
        if self.given == 0 {
            return Err(String::from("the synthesiser gave no sound"));
        }
        let frame = self.edges.finish();
        self.pass(frame).await;
        Ok(())
    }

    async fn pass(&mut self, frame: Frame24k) {
        if frame.is_empty() {
            return;
        }
        if self.passed == 0 {
            // told before it can be played, so that nobody hears of the sound before it came
            self.tell(TtsFact::FirstAudio).await;
        }
        self.player.append(self.id, &frame).await;
        let first = self.passed == 0;
        self.passed += frame.samples().len() as u64;
        if first && !self.early.is_empty() {
            let words = std::mem::take(&mut self.early);
            self.time(words).await;
        }
    }

    /// Words begin so much earlier as there is less silence before them.
    async fn time(&mut self, words: Vec<(String, Duration)>) {
        if self.passed == 0 {
            let room = MAX_TIMED_WORDS.saturating_sub(self.early.len());
            self.early.extend(words.into_iter().take(room));
            return;
        }
        let cut = self.edges.cut();
        let moved = |(word, at): (String, Duration)| (word, at.saturating_sub(cut));
        let words = words.into_iter().map(moved).collect();
        self.tell(TtsFact::Words(words)).await;
    }

    async fn tell(&self, event: TtsFact) {
        let _ = self.facts.send(Input::Tts { id: self.id, event }).await; // the session is over: fine
    }

    /// No more comes. A piece of which nothing has come keeps its place in the playout until it is tried again or dropped.
    fn end(&mut self) {
        if !std::mem::replace(&mut self.over, true) && self.passed > 0 {
            self.player.finish(self.id);
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.end();
    }
}

fn length(samples: u64) -> Duration {
    Duration::from_micros(samples * 1_000_000 / u64::from(Frame24k::RATE_HZ))
}

/// What a speaker pauses after these words: a clause ends in its last word, or in a mark that says that it goes on.
fn pause_after(text: &str) -> Duration {
    let closing = |c: char| c.is_whitespace() || "\"')]}»”’」』）".contains(c);
    match text.trim_end_matches(closing).chars().next_back() {
        Some(end) if end.is_alphanumeric() || ",;:-–—،؛、，；：".contains(end) => {
            AFTER_CLAUSE
        }
        Some(_) | None => AFTER_SENTENCE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_followed_by_a_longer_pause_than_a_clause() {
        for sentence in [
            "Hello.",
            "Really?",
            "\"Come in!\"",
            "你好。",
            "ठीक है।",
            "حقا؟",
        ] {
            assert_eq!(pause_after(sentence), AFTER_SENTENCE, "{sentence}");
        }
        for clause in [
            "Of course,",
            "for two people",
            "你好，",
            "(as you wish)",
            "نعم،",
        ] {
            assert_eq!(pause_after(clause), AFTER_CLAUSE, "{clause}");
        }
    }
}

//! The voice behind the trait of `agent`.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{BoxStream, ProviderInfo, Tts, TtsChunk};
use antiphon_audio::Frame24k;
use antiphon_neural::{Urgency, Workers};
use futures_util::stream;

use crate::signal::SAMPLE_RATE;
use crate::{HibariError, Speech, Voice};

/// The voice of hibari, as users name it.
pub const VOICE: &str = "heart";
/// The voice of Kokoro when none is named: hibari's teacher.
pub const KOKORO_VOICE: &str = "af_heart";
/// Longest text of one request in characters; the rest is not spoken. A sentence has about 100.
pub const MAX_TEXT_CHARS: usize = 2_000;
/// How long a piece of text is made at once. Longer text is cut at a comma, so that its beginning is heard while the rest is made.
#[derive(Clone, Copy, Debug)]
struct Lengths {
    /// The first piece, for whose sound the caller waits.
    first_chars: usize,
    /// Those after it, which are made while the one before is heard.
    piece_chars: usize,
    /// Each is at most this many times as long as the one before, so that it is made before that one is over. `None`: the voice is
    /// quick enough for any.
    growth: Option<usize>,
}

/// hibari makes 90 characters, some 5 s of sound, in about 40 ms.
const HIBARI: Lengths = Lengths {
    first_chars: 90,
    piece_chars: 90,
    growth: None,
};
/// Kokoro takes 0.29 of the time that the sound lasts: four times the piece before is late by a seventh of that one at most, and a
/// speaker pauses as long behind a comma.
const KOKORO: Lengths = Lengths {
    first_chars: 30,
    piece_chars: 60,
    growth: Some(4),
};
/// However short the piece before, this much may follow: less is no phrase.
const PHRASE_CHARS: usize = 20;
/// The slowest pace: half of the voice's own.
pub const MIN_SPEED: f32 = 0.5;
/// The fastest pace: twice the voice's own.
pub const MAX_SPEED: f32 = 2.0;

/// Speech synthesis by a voice of this machine. Cloning shares it.
#[derive(Clone, Debug)]
pub struct VoiceTts {
    engine: &'static str,
    name: Arc<str>,
    voice: Arc<Voice>,
    lengths: Lengths,
    workers: Workers,
    speed: f32,
}

impl VoiceTts {
    /// Loads the hibari voice in `folder`; `workers` run it. `speed` 1 is its own pace.
    ///
    /// # Errors
    /// When the voice cannot be loaded, or the speed is not between [`MIN_SPEED`] and [`MAX_SPEED`].
    pub fn hibari(folder: &Path, workers: Workers, speed: f32) -> Result<Self, HibariError> {
        Ok(Self {
            engine: "hibari",
            name: VOICE.into(),
            voice: Arc::new(Voice::hibari(folder)?),
            lengths: HIBARI,
            workers,
            speed: checked(speed)?,
        })
    }

    /// Loads the voice `name` of Kokoro in `folder`; `workers` run it. `speed` 1 is its own pace.
    ///
    /// # Errors
    /// When the voice cannot be loaded, or the speed is not between [`MIN_SPEED`] and [`MAX_SPEED`].
    pub fn kokoro(
        folder: &Path,
        name: &str,
        workers: Workers,
        speed: f32,
    ) -> Result<Self, HibariError> {
        Ok(Self {
            engine: "kokoro",
            name: name.into(),
            voice: Arc::new(Voice::kokoro(folder, name)?),
            lengths: KOKORO,
            workers,
            speed: checked(speed)?,
        })
    }

    async fn speak(&self, text: String) -> Result<Speech, ProviderError> {
        let unavailable = |error: &dyn std::fmt::Display| ProviderError::Unavailable {
            engine: self.engine,
            message: error.to_string(),
        };
        let (voice, speed) = (self.voice.clone(), self.speed);
        let made = self
            .workers
            .run(Urgency::Waited, move |options| {
                voice.speak(&text, speed, options)
            })
            .await;
        made.map_err(|error| unavailable(&error))?
            .map_err(|error| unavailable(&error))
    }
}

/// A request under way.
struct Request {
    tts: VoiceTts,
    /// Text that is not made yet.
    pieces: VecDeque<String>,
    /// Sound that is made and not given out yet.
    ready: VecDeque<TtsChunk>,
    /// How much sound was made.
    made: Duration,
}

impl Tts for VoiceTts {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: self.engine,
            model: self.name.as_ref().into(),
        }
    }

    fn synthesize(&self, text: String) -> BoxStream<Result<TtsChunk, ProviderError>> {
        let text: String = text.chars().take(MAX_TEXT_CHARS).collect();
        let request = Request {
            tts: self.clone(),
            pieces: pieces(&text, self.lengths),
            ready: VecDeque::new(),
            made: Duration::ZERO,
        };
        Box::pin(stream::unfold(request, |mut request| async move {
            loop {
                if let Some(chunk) = request.ready.pop_front() {
                    return Some((Ok(chunk), request));
                }
                let piece = request.pieces.pop_front()?;
                match request.tts.speak(piece).await {
                    Ok(speech) => request.take(speech),
                    Err(error) => {
                        request.pieces.clear();
                        return Some((Err(error), request));
                    }
                }
            }
        }))
    }
}

impl Request {
    fn take(&mut self, speech: Speech) {
        let Speech { samples, words } = speech;
        let words: Vec<_> = words
            .into_iter()
            .map(|(word, at)| (word, at + self.made))
            .collect();
        self.made += Duration::from_secs_f64(samples.len() as f64 / f64::from(SAMPLE_RATE));
        if !words.is_empty() {
            self.ready.push_back(TtsChunk::Words(words));
        }
        if !samples.is_empty() {
            let samples = samples
                .iter()
                .map(|sample| (sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)) as i16)
                .collect();
            self.ready
                .push_back(TtsChunk::Audio(Frame24k::new(samples)));
        }
    }
}

fn checked(speed: f32) -> Result<f32, HibariError> {
    if (MIN_SPEED..=MAX_SPEED).contains(&speed) {
        Ok(speed)
    } else {
        Err(HibariError::Speed(speed))
    }
}

/// `text` in pieces of about these lengths, cut behind punctuation that a speaker pauses at; where there is none in time, before a
/// word.
fn pieces(text: &str, lengths: Lengths) -> VecDeque<String> {
    let mut pieces: VecDeque<String> = VecDeque::new();
    let mut piece = String::new();
    for part in text
        .split_inclusive(", ")
        .flat_map(|part| part.split_inclusive("; "))
        .flat_map(|part| part.split_inclusive(" — "))
    {
        if !piece.is_empty() && chars(&piece) + chars(part) > lengths.most(pieces.back()) {
            pieces.push_back(std::mem::take(&mut piece));
        }
        let mut rest = part;
        while let Some((first, others)) = lengths.cut(rest, pieces.back()) {
            pieces.push_back(first.to_owned());
            rest = others;
        }
        piece.push_str(rest);
    }
    if !piece.trim().is_empty() {
        pieces.push_back(piece);
    }
    pieces
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

impl Lengths {
    /// The longest piece after this one.
    fn most(&self, before: Option<&String>) -> usize {
        match (before, self.growth) {
            (None, _) => self.first_chars,
            (Some(_), None) => self.piece_chars,
            (Some(before), Some(growth)) => {
                (chars(before) * growth).clamp(PHRASE_CHARS, self.piece_chars)
            }
        }
    }

    /// The words that are made before the piece before is over, and the rest. `None`: all are, or nobody waits.
    fn cut<'a>(&self, text: &'a str, before: Option<&String>) -> Option<(&'a str, &'a str)> {
        self.growth.and(before)?;
        let (all, most) = (chars(text), self.most(before));
        let is_tail = all.saturating_sub(most) < PHRASE_CHARS;
        let most = if all > most && is_tail { all / 2 } else { most };
        let (end, _) = text.char_indices().nth(most)?;
        let space = text.get(..end)?.rfind(' ')?;
        text.split_at_checked(space + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_sentence_is_begun_before_it_is_made_to_its_end() {
        let text = "We have a table by the window, which looks out over the harbour and the old town, and one on the terrace, where it may be cool at night.";
        for lengths in [HIBARI, KOKORO] {
            let pieces = pieces(text, lengths);
            assert!(pieces.len() > 1);
            assert_eq!(pieces.iter().map(String::as_str).collect::<String>(), text);
        }
        let is_short = |piece: &String| piece.chars().count() <= HIBARI.piece_chars;
        assert!(pieces(text, HIBARI).iter().all(is_short));
    }

    #[test]
    fn a_slow_voice_begins_with_a_short_piece() {
        let text = "Certainly, that is no problem at all, and I have put it into the book for you.";
        let first = pieces(text, KOKORO).pop_front().unwrap_or_default();
        assert_eq!(first, "Certainly, ");
        assert_eq!(pieces(text, HIBARI).len(), 1);
    }

    #[test]
    fn a_slow_voice_does_not_pause_because_a_long_piece_follows_a_short_one() {
        let text = "Of course, we have put your name into the book for tomorrow evening at eight, and there is a table for four on the terrace.";
        let pieces: Vec<String> = pieces(text, KOKORO).into();
        assert_eq!(pieces.concat(), text);
        let lengths: Vec<usize> = pieces.iter().map(|piece| chars(piece)).collect();
        let grows_slowly = |two: &[usize]| two[1] <= PHRASE_CHARS.max(4 * two[0]);
        assert!(lengths.windows(2).all(grows_slowly), "{lengths:?}");
        assert!(lengths.iter().all(|length| *length >= 10), "{pieces:?}");
    }

    #[test]
    fn a_short_sentence_is_one_piece() {
        assert_eq!(pieces("Good evening, how can I help you?", HIBARI).len(), 1);
        assert!(pieces("  ", HIBARI).is_empty());
    }
}

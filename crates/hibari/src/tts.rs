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

/// The name of the provider.
const ENGINE: &str = "hibari";
/// The voice, as users name it.
pub const VOICE: &str = "heart";
/// Longest text of one request in characters; the rest is not spoken. A sentence has about 100.
pub const MAX_TEXT_CHARS: usize = 2_000;
/// A piece of text this long is made at once: some 5 s of sound, for which a core needs about 40 ms. Longer text is cut at a
/// comma, so that its beginning is heard while the rest is made.
const MAX_PIECE_CHARS: usize = 90;
/// The slowest pace: half of the voice's own.
pub const MIN_SPEED: f32 = 0.5;
/// The fastest pace: twice the voice's own.
pub const MAX_SPEED: f32 = 2.0;
/// The seed of the voice's noise. It need not change: nobody hears whether two breaths are the same.
const NOISE: u64 = 0x5EED;

/// Speech synthesis by the hibari voice. Cloning shares it.
#[derive(Clone, Debug)]
pub struct HibariTts {
    voice: Arc<Voice>,
    workers: Workers,
    speed: f32,
}

impl HibariTts {
    /// Loads the voice in `folder`; `workers` run it. `speed` 1 is its own pace.
    ///
    /// # Errors
    /// When the voice cannot be loaded, or the speed is not between [`MIN_SPEED`] and [`MAX_SPEED`].
    pub fn load(folder: &Path, workers: Workers, speed: f32) -> Result<Self, HibariError> {
        if !(MIN_SPEED..=MAX_SPEED).contains(&speed) {
            return Err(HibariError::Speed(speed));
        }
        Ok(Self {
            voice: Arc::new(Voice::load(folder)?),
            workers,
            speed,
        })
    }

    async fn speak(&self, text: String) -> Result<Speech, ProviderError> {
        let unavailable = |error: &dyn std::fmt::Display| ProviderError::Unavailable {
            engine: ENGINE,
            message: error.to_string(),
        };
        let (voice, speed) = (self.voice.clone(), self.speed);
        let made = self
            .workers
            .run(Urgency::Waited, move |options| {
                voice.speak(&text, speed, NOISE, options)
            })
            .await;
        made.map_err(|error| unavailable(&error))?
            .map_err(|error| unavailable(&error))
    }
}

/// A request under way.
struct Request {
    tts: HibariTts,
    /// Text that is not made yet.
    pieces: VecDeque<String>,
    /// Sound that is made and not given out yet.
    ready: VecDeque<TtsChunk>,
    /// How much sound was made.
    made: Duration,
}

impl Tts for HibariTts {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: ENGINE,
            model: VOICE.into(),
        }
    }

    fn synthesize(&self, text: String) -> BoxStream<Result<TtsChunk, ProviderError>> {
        let text: String = text.chars().take(MAX_TEXT_CHARS).collect();
        let request = Request {
            tts: self.clone(),
            pieces: pieces(&text),
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

/// `text` in pieces of at most about [`MAX_PIECE_CHARS`], cut behind punctuation that a speaker pauses at.
fn pieces(text: &str) -> VecDeque<String> {
    let mut pieces = VecDeque::new();
    let mut piece = String::new();
    for part in text
        .split_inclusive(", ")
        .flat_map(|part| part.split_inclusive("; "))
        .flat_map(|part| part.split_inclusive(" — "))
    {
        if !piece.is_empty() && piece.chars().count() + part.chars().count() > MAX_PIECE_CHARS {
            pieces.push_back(std::mem::take(&mut piece));
        }
        piece.push_str(part);
    }
    if !piece.trim().is_empty() {
        pieces.push_back(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_sentence_is_begun_before_it_is_made_to_its_end() {
        let text = "We have a table by the window, which looks out over the harbour and the old town, and one on the terrace, where it may be cool at night.";
        let pieces = pieces(text);
        assert!(pieces.len() > 1);
        assert_eq!(pieces.iter().map(String::as_str).collect::<String>(), text);
        assert!(
            pieces
                .iter()
                .all(|piece| piece.chars().count() <= MAX_PIECE_CHARS)
        );
    }

    #[test]
    fn a_short_sentence_is_one_piece() {
        assert_eq!(pieces("Good evening, how can I help you?").len(), 1);
        assert!(pieces("  ").is_empty());
    }
}

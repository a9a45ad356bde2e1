//! Which word is heard when, without I/O: speech is found by its energy, its words come from the script.

use crate::script::Delays;

/// Energy is judged in windows of this length.
const WINDOW_MS: u64 = 20;
/// RMS above this is speech: about -40 dB, far above the noise of Opus, far below a quiet voice.
const SPEECH_RMS: f64 = 300.0;
/// This many loud windows in a row begin an utterance.
const START_WINDOWS: u64 = 3;
/// A word takes about this long to say; interim results have as many words as fit.
const WORD_MS: u64 = 350;

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Heard {
    /// Speech began.
    Started {
        /// In the stream.
        at_ms: u64,
    },
    /// More of it: this many words of the script's text.
    Interim {
        /// From the beginning.
        words: usize,
        /// Of the utterance.
        start_ms: u64,
        /// Now.
        end_ms: u64,
    },
    /// It is over by silence.
    Ended {
        /// Of the utterance.
        start_ms: u64,
        /// Where speech stopped.
        end_ms: u64,
    },
}

/// One stream of 16-bit mono sound.
#[derive(Debug)]
pub(crate) struct Recogniser {
    window: usize,
    delays: Delays,
    buffer: Vec<i16>,
    now_ms: u64,
    loud_windows: u64,
    utterance: Option<Utterance>,
}

#[derive(Debug)]
struct Utterance {
    start_ms: u64,
    last_loud_ms: u64,
    next_interim_ms: u64,
}

impl Recogniser {
    pub(crate) fn new(rate_hz: u32, delays: Delays) -> Self {
        let window = (rate_hz.clamp(8000, 48_000) as usize * WINDOW_MS as usize) / 1000;
        Self {
            window,
            delays,
            buffer: Vec::new(),
            now_ms: 0,
            loud_windows: 0,
            utterance: None,
        }
    }

    /// How much sound came so far.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Hear more.
    pub(crate) fn push(&mut self, samples: impl IntoIterator<Item = i16>) -> Vec<Heard> {
        let mut heard = Vec::new();
        for sample in samples {
            self.buffer.push(sample);
            if self.buffer.len() == self.window {
                let energy: f64 = self
                    .buffer
                    .iter()
                    .map(|&sample| f64::from(sample).powi(2))
                    .sum();
                let loud = (energy / self.window as f64).sqrt() > SPEECH_RMS;
                self.buffer.clear();
                self.now_ms += WINDOW_MS;
                heard.extend(self.judge(loud));
            }
        }
        heard
    }

    /// `Finalize`: the utterance so far, start and end.
    pub(crate) fn finalize(&mut self) -> Option<(u64, u64)> {
        self.loud_windows = 0;
        self.utterance
            .take()
            .map(|utterance| (utterance.start_ms, utterance.last_loud_ms))
    }

    fn judge(&mut self, loud: bool) -> Option<Heard> {
        let now_ms = self.now_ms;
        let Some(utterance) = &mut self.utterance else {
            self.loud_windows = if loud { self.loud_windows + 1 } else { 0 };
            if self.loud_windows < START_WINDOWS {
                return None;
            }
            let start_ms = now_ms - START_WINDOWS * WINDOW_MS;
            self.utterance = Some(Utterance {
                start_ms,
                last_loud_ms: now_ms,
                next_interim_ms: now_ms + self.delays.stt_interim_ms,
            });
            return Some(Heard::Started { at_ms: start_ms });
        };
        if loud {
            utterance.last_loud_ms = now_ms;
        } else if now_ms - utterance.last_loud_ms >= self.delays.stt_silence_ms {
            return self
                .finalize()
                .map(|(start_ms, end_ms)| Heard::Ended { start_ms, end_ms });
        }
        if now_ms < utterance.next_interim_ms {
            return None;
        }
        utterance.next_interim_ms = now_ms + self.delays.stt_interim_ms.max(WINDOW_MS);
        let words = usize::try_from((utterance.last_loud_ms - utterance.start_ms) / WORD_MS)
            .unwrap_or(0)
            .max(1);
        Some(Heard::Interim {
            words,
            start_ms: utterance.start_ms,
            end_ms: now_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn sound(ms: u64, level: i16) -> Vec<i16> {
        (0..ms * 16)
            .map(|n| if n % 2 == 0 { level } else { -level })
            .collect()
    }

    #[test]
    fn speech_then_silence_is_one_utterance_with_growing_words() {
        let mut recogniser = Recogniser::new(16_000, Delays::default());
        let mut heard = recogniser.push(sound(500, 10));
        heard.extend(recogniser.push(sound(1500, 5000)));
        heard.extend(recogniser.push(sound(1000, 10)));
        assert_eq!(heard.first(), Some(&Heard::Started { at_ms: 500 }));
        assert_eq!(
            heard.last(),
            Some(&Heard::Ended {
                start_ms: 500,
                end_ms: 2000
            })
        );
        let words: Vec<usize> = heard
            .iter()
            .filter_map(|heard| match heard {
                Heard::Interim { words, .. } => Some(*words),
                Heard::Started { .. } | Heard::Ended { .. } => None,
            })
            .collect();
        assert!(
            words.is_sorted() && words.last() > words.first(),
            "{words:?}"
        );
    }

    #[test]
    fn finalize_ends_it_at_once_and_silence_then_ends_nothing() {
        let mut recogniser = Recogniser::new(16_000, Delays::default());
        recogniser.push(sound(1000, 5000));
        assert_eq!(recogniser.finalize(), Some((0, 1000)));
        assert_eq!(recogniser.push(sound(2000, 0)), []);
        assert_eq!(recogniser.finalize(), None);
    }
}

//! Text to sound: phonemes, one run of the network, and when each word begins.

use std::path::Path;
use std::time::Duration;

use rten::{RunOptions, Value};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;
use rustc_hash::FxHashMap;

use crate::HibariError;
use crate::assets::Assets;
use crate::g2p::{G2p, Variety};
use crate::hibari::Hibari;
use crate::kokoro::Kokoro;
use crate::signal::SAMPLE_RATE;

/// Phonemes of one run: longer clauses are cut at a space. The networks were trained on sentences of this length.
const MAX_PHONEMES: usize = 400;

/// The voice. One for all callers.
pub struct Voice {
    g2p: G2p,
    network: Network,
    numbers: FxHashMap<char, i32>,
}

/// What makes the sound. Both have the same phonemes under the same numbers, since hibari learned from Kokoro.
enum Network {
    Hibari(Box<Hibari>),
    Kokoro(Box<Kokoro>),
}

impl std::fmt::Debug for Voice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Voice").finish_non_exhaustive()
    }
}

/// Sound at 24 kHz, between -1 and 1, and where its words begin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Speech {
    /// The samples.
    pub samples: Vec<f32>,
    /// Words as the voice reads them (`19:30` is four), with their offsets from the first sample.
    pub words: Vec<(String, Duration)>,
}

/// What a network makes of one clause.
pub(crate) struct Sound {
    pub(crate) samples: Vec<f32>,
    /// Samples that were left out in front.
    pub(crate) skipped: usize,
    /// Samples that the network made.
    pub(crate) whole: usize,
    /// Steps of each phoneme, the pauses at both ends included; all of them are as long as `whole`.
    pub(crate) durations: Vec<f32>,
}

impl Voice {
    /// Loads the hibari voice from `folder`.
    ///
    /// # Errors
    /// When a file is missing or damaged.
    pub fn hibari(folder: &Path) -> Result<Self, HibariError> {
        let network = Network::Hibari(Box::new(Hibari::load(folder)?));
        Self::with(folder, Variety::American, network)
    }

    /// Loads Kokoro's voice `name` from `folder`. British names begin with a *b*, as Kokoro's do.
    ///
    /// # Errors
    /// When a file is missing or damaged.
    pub fn kokoro(folder: &Path, name: &str) -> Result<Self, HibariError> {
        let variety = if name.starts_with('b') {
            Variety::British
        } else {
            Variety::American
        };
        let network = Network::Kokoro(Box::new(Kokoro::load(folder, name)?));
        Self::with(folder, variety, network)
    }

    fn with(folder: &Path, variety: Variety, network: Network) -> Result<Self, HibariError> {
        let assets = Assets::new(folder);
        Ok(Self {
            g2p: G2p::load(&assets, variety)?,
            numbers: assets.json("vocab.json")?,
            network,
        })
    }

    /// Speaks `text`, a clause or a sentence. `speed` 1 is the voice's own pace, 2 twice as fast.
    ///
    /// # Errors
    /// When the network cannot be run.
    pub fn speak(
        &self,
        text: &str,
        speed: f32,
        options: &RunOptions,
    ) -> Result<Speech, HibariError> {
        let mut speech = Speech::default();
        let mut words = self.g2p.words(text, options).into_iter().peekable();
        while words.peek().is_some() {
            let mut clause = Clause::default();
            while let Some(word) = words.next_if(|word| {
                clause.ids.is_empty() || clause.ids.len() + word.phonemes.len() < MAX_PHONEMES
            }) {
                clause.push(&self.numbers, word);
            }
            self.speak_clause(clause, speed, options.clone(), &mut speech)?;
        }
        Ok(speech)
    }

    fn speak_clause(
        &self,
        clause: Clause,
        speed: f32,
        options: RunOptions,
        speech: &mut Speech,
    ) -> Result<(), HibariError> {
        let Clause { mut ids, words } = clause;
        if ids.is_empty() {
            return Ok(());
        }
        // a pause stands at both ends
        ids.insert(0, 0);
        ids.push(0);
        let sound = match &self.network {
            Network::Hibari(hibari) => hibari.sound(ids, speed, options),
            Network::Kokoro(kokoro) => kokoro.sound(ids, speed, options),
        }?;
        let seconds = |samples: f64| Duration::from_secs_f64(samples / f64::from(SAMPLE_RATE));
        let before = seconds(speech.samples.len() as f64);
        let steps: f32 = sound.durations.iter().sum();
        let samples_a_step = sound.whole as f64 / f64::from(steps.max(1.0));
        for (word, at) in words {
            // the phoneme before the word's first, counted with the pause in front
            let steps: f32 = sound.durations.iter().take(at + 1).sum();
            let place = f64::from(steps) * samples_a_step - sound.skipped as f64;
            speech.words.push((word, before + seconds(place.max(0.0))));
        }
        speech.samples.extend(sound.samples);
        Ok(())
    }
}

/// What one run of the network speaks.
#[derive(Default)]
struct Clause {
    ids: Vec<i32>,
    /// Words and the place in `ids` where each begins.
    words: Vec<(String, usize)>,
}

impl Clause {
    fn push(&mut self, numbers: &FxHashMap<char, i32>, word: crate::g2p::Word) {
        let phonemes = word.phonemes.chars().chain(word.has_space.then_some(' '));
        let start = self.ids.len();
        self.ids
            .extend(phonemes.filter_map(|phoneme| numbers.get(&phoneme)));
        if self.ids.len() > start && word.text.contains(char::is_alphanumeric) {
            self.words.push((word.text, start));
        }
    }
}

pub(crate) fn floats(value: Value) -> Vec<f32> {
    let floats: Option<Tensor<f32>> = value.try_into().ok();
    floats.map(|tensor| tensor.to_vec()).unwrap_or_default()
}

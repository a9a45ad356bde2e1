//! Text to sound: phonemes, one run of the network, the vocoder. And when each word begins.

use std::path::Path;
use std::time::Duration;

use rten::{Model, NodeId, RunOptions, Value, ValueOrView};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, Tensor};
use rustc_hash::FxHashMap;

use crate::HibariError;
use crate::assets::Assets;
use crate::g2p::G2p;
use crate::signal::{BINS, HOP, SAMPLE_RATE, Spectrum, Vocoder};

/// Phonemes of one run: longer clauses are cut at a space. The network was trained on sentences of this length.
const MAX_PHONEMES: usize = 400;
/// The node that says how many frames each phoneme lasts.
const DURATIONS: &str = "/Clip_output_0";

/// The voice. One for all callers.
pub struct Voice {
    g2p: G2p,
    model: Model,
    /// Inputs: phoneme ids and speed.
    ids: NodeId,
    speed: NodeId,
    outputs: [NodeId; 7],
    numbers: FxHashMap<char, i32>,
    vocoder: Vocoder,
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

impl Voice {
    /// Loads the voice from `folder`.
    ///
    /// # Errors
    /// When a file is missing or damaged.
    pub fn load(folder: &Path) -> Result<Self, HibariError> {
        let assets = Assets::new(folder);
        let model = assets.model("hibari.onnx")?;
        let node = |name: &str| {
            let missing = || HibariError::Assets {
                file: folder.join("hibari.onnx"),
                message: format!("it has no {name}"),
            };
            model.node_id(name).map_err(|_| missing())
        };
        Ok(Self {
            ids: node("ids")?,
            speed: node("speed")?,
            outputs: [
                node("lh")?,
                node("theta")?,
                node("ln")?,
                node("lr")?,
                node("phi")?,
                node("f0")?,
                node(DURATIONS)?,
            ],
            numbers: assets.json("vocab.json")?,
            g2p: G2p::load(&assets)?,
            vocoder: Vocoder::new(),
            model,
        })
    }

    /// Speaks `text`, a clause or a sentence. `speed` 1 is the voice's own pace, 2 twice as fast; `noise` is a seed.
    ///
    /// # Errors
    /// When the network cannot be run.
    pub fn speak(
        &self,
        text: &str,
        speed: f32,
        noise: u64,
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
            self.speak_clause(clause, speed, noise, options.clone(), &mut speech)?;
        }
        Ok(speech)
    }

    fn speak_clause(
        &self,
        clause: Clause,
        speed: f32,
        noise: u64,
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
        let ids: Value = NdTensor::from_data([1, ids.len()], ids).into();
        let speed: Value = NdTensor::from_data([1], vec![speed]).into();
        let inputs = vec![
            (self.ids, ValueOrView::from(ids)),
            (self.speed, ValueOrView::from(speed)),
        ];
        let outputs = self
            .model
            .run_n(inputs, self.outputs, Some(options))
            .map_err(|error| HibariError::Run(error.to_string()))?;
        let [
            harmonic_log,
            harmonic_phase,
            noise_log,
            free_log,
            free_phase,
            pitch,
            durations,
        ] = outputs.map(floats);
        let spectrum = Spectrum {
            frames: pitch.len(),
            harmonic_log: &harmonic_log,
            harmonic_phase: &harmonic_phase,
            noise_log: &noise_log,
            free_log: &free_log,
            free_phase: &free_phase,
            pitch: &pitch,
        };
        if harmonic_log.len() != BINS * spectrum.frames {
            return Err(HibariError::Run(
                "the network's spectrum has another size than its pitch".to_owned(),
            ));
        }
        let length =
            |frames: f32| Duration::from_secs_f32(frames * HOP as f32 / SAMPLE_RATE as f32);
        let before = Duration::from_secs_f64(speech.samples.len() as f64 / f64::from(SAMPLE_RATE));
        // the network counts durations in a coarser step than the frames that it gives
        let frames_a_step = spectrum.frames as f32 / durations.iter().sum::<f32>().max(1.0);
        for (word, at) in words {
            // the phoneme before the word's first, counted with the pause in front
            let steps: f32 = durations.iter().take(at + 1).sum();
            speech
                .words
                .push((word, before + length(steps * frames_a_step)));
        }
        speech.samples.extend(self.vocoder.sound(&spectrum, noise));
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

fn floats(value: Value) -> Vec<f32> {
    let floats: Option<Tensor<f32>> = value.try_into().ok();
    floats.map(|tensor| tensor.to_vec()).unwrap_or_default()
}

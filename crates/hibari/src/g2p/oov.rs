//! How a word that is in no lexicon sounds: a small network that reads letters and writes phonemes.

use rten::{Model, RunOptions, Value, ValueOrView};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, Tensor};
use serde::Deserialize;

use crate::HibariError;
use crate::assets::Assets;

use super::variety::Variety;

#[derive(Deserialize)]
struct File {
    r#in: Vec<char>,
    out: Vec<char>,
    maxlen: usize,
}

/// The network. Shared by all callers.
pub(crate) struct Oov {
    model: Model,
    letters: Vec<char>,
    phonemes: Vec<char>,
    max_letters: usize,
}

impl std::fmt::Debug for Oov {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oov").finish_non_exhaustive()
    }
}

impl Oov {
    pub(crate) fn load(assets: &Assets, variety: Variety) -> Result<Self, HibariError> {
        let [network, letters] = variety.unknown_words();
        let file: File = assets.json(letters)?;
        Ok(Self {
            model: assets.model(network)?,
            letters: file.r#in,
            phonemes: file.out,
            max_letters: file.maxlen,
        })
    }

    /// The sound of `word`; `None` when no letter of it is known, or the network cannot be run.
    pub(crate) fn phonemes(&self, word: &str, options: RunOptions) -> Option<String> {
        let number = |c: char| {
            self.letters
                .iter()
                .position(|letter| *letter == c)
                .and_then(|at| i32::try_from(at + 1).ok())
        };
        let ids: Vec<i32> = word
            .chars()
            .filter_map(number)
            .take(self.max_letters)
            .collect();
        if ids.is_empty() {
            return None;
        }
        let input: Value = NdTensor::from_data([1, ids.len()], ids).into();
        let output: Tensor<i32> = self
            .model
            .run_one(ValueOrView::from(input), Some(options))
            .ok()?
            .try_into()
            .ok()?;
        let mut phonemes = String::new();
        let mut before = 0;
        for id in output.iter().copied() {
            // as in CTC: 0 is a blank, and the same again without one between is the same sound
            if id != before && id != 0 {
                phonemes.extend(
                    usize::try_from(id - 1)
                        .ok()
                        .and_then(|at| self.phonemes.get(at)),
                );
            }
            before = id;
        }
        Some(phonemes)
    }
}

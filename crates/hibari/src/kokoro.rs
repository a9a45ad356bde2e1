//! Kokoro's network: phonemes and a style to sound. One network for all voices; a voice is a table of styles.

use std::path::Path;

use rten::{Model, NodeId, RunOptions, Value, ValueOrView};
use rten_tensor::NdTensor;

use crate::HibariError;
use crate::assets::Assets;
use crate::signal::SAMPLE_RATE;
use crate::voice::{Sound, floats};

/// Numbers of one style.
const STYLE: usize = 256;
/// Styles of a voice: one for each length of a clause in phonemes, longer clauses than any of ours.
const STYLES: usize = 510;
/// The node that says how many steps each phoneme lasts.
const DURATIONS: &str = "/encoder/Clip_output_0";
/// The share of the pause in front that is not looked at: the network divides its first samples by the edge of a window, which is
/// next to nothing, so that noise becomes a click. Sound begins in the last quarter of that pause.
const EDGE: f32 = 0.5;
/// Quieter is a pause. The network's own pauses have about a tenth of it.
const QUIET: f32 = 0.004;
/// What is left of the pause in front, which the network makes 0.3 to 0.4 s long: a soft consonant begins quietly.
const PAUSE_BEFORE: usize = SAMPLE_RATE as usize / 20;
/// What is left of the pause behind, which is about 0.5 s long at a comma too.
const PAUSE_AFTER: usize = SAMPLE_RATE as usize / 4;

/// The network and one voice.
pub(crate) struct Kokoro {
    model: Model,
    ids: NodeId,
    style: NodeId,
    speed: NodeId,
    outputs: [NodeId; 2],
    styles: Vec<f32>,
}

impl Kokoro {
    /// The network in `folder` with the voice `name`.
    pub(crate) fn load(folder: &Path, name: &str) -> Result<Self, HibariError> {
        let assets = Assets::new(folder);
        let model = assets.model("kokoro.onnx")?;
        let node = |name: &str| assets.node("kokoro.onnx", &model, name);
        Ok(Self {
            ids: node("tokens")?,
            style: node("style")?,
            speed: node("speed")?,
            outputs: [node("audio")?, node(DURATIONS)?],
            styles: assets.numbers(&format!("{name}.bin"), STYLES * STYLE)?,
            model,
        })
    }

    /// The sound of a clause whose `ids` have a pause at both ends.
    pub(crate) fn sound(
        &self,
        ids: Vec<i32>,
        speed: f32,
        options: RunOptions,
    ) -> Result<Sound, HibariError> {
        // the pauses do not count, and the first row is for one phoneme
        let row = ids.len().saturating_sub(3).min(STYLES - 1);
        let style = self.styles.chunks_exact(STYLE).nth(row);
        let style = style.unwrap_or_default().to_vec();
        let ids: Value = NdTensor::from_data([1, ids.len()], ids).into();
        let style: Value = NdTensor::from_data([1, STYLE], style).into();
        let speed: Value = NdTensor::from_data([1], vec![speed]).into();
        let inputs = vec![
            (self.ids, ValueOrView::from(ids)),
            (self.style, ValueOrView::from(style)),
            (self.speed, ValueOrView::from(speed)),
        ];
        let outputs = self
            .model
            .run_n(inputs, self.outputs, Some(options))
            .map_err(|error| HibariError::Run(error.to_string()))?;
        let [samples, durations] = outputs.map(floats);
        Ok(trimmed(samples, durations))
    }
}

/// The sound with short pauses at its ends.
fn trimmed(mut samples: Vec<f32>, durations: Vec<f32>) -> Sound {
    let whole = samples.len();
    let is_loud = |sample: &f32| sample.abs() > QUIET;
    let steps = durations.iter().sum::<f32>().max(1.0);
    let pause = durations.first().copied().unwrap_or_default() / steps;
    let edge = (pause * EDGE * whole as f32) as usize;
    let start = samples.iter().skip(edge).position(is_loud).unwrap_or(0) + edge;
    let end = samples.iter().rposition(is_loud).unwrap_or(0);
    samples.truncate(end + PAUSE_AFTER);
    let skipped = start.saturating_sub(PAUSE_BEFORE).max(edge);
    let skipped = skipped.min(samples.len());
    samples.drain(..skipped);
    Sound {
        samples,
        skipped,
        whole,
        durations,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_pause_at_either_end_becomes_a_short_one_and_words_move_with_it() {
        let second = SAMPLE_RATE as usize;
        let mut samples = vec![0.0; 3 * second];
        if let Some(voiced) = samples.get_mut(second..2 * second) {
            voiced.fill(0.1);
        }
        let sound = trimmed(samples, vec![1.0; 3]);
        assert_eq!(sound.skipped, second - PAUSE_BEFORE);
        assert_eq!(sound.samples.len(), PAUSE_BEFORE + second - 1 + PAUSE_AFTER);
        assert_eq!(sound.whole, 3 * second);
        let mut click = vec![0.0; second];
        if let Some(first) = click.first_mut() {
            *first = 1.0;
        }
        let silent = trimmed(click, vec![1.0, 1.0]);
        assert!(silent.samples.iter().all(|sample| *sample == 0.0));
    }
}

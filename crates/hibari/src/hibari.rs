//! hibari's network: phonemes to a spectrum, and the spectrum to sound.

use std::path::Path;

use rten::{Model, NodeId, RunOptions, Value, ValueOrView};
use rten_tensor::NdTensor;

use crate::HibariError;
use crate::assets::Assets;
use crate::signal::{BINS, Spectrum, Vocoder};
use crate::voice::{Sound, floats};

/// The node that says how many steps each phoneme lasts.
const DURATIONS: &str = "/Clip_output_0";
/// The seed of the voice's noise. It need not change: nobody hears whether two breaths are the same.
const NOISE: u64 = 0x5EED;

/// The network with its vocoder.
pub(crate) struct Hibari {
    model: Model,
    ids: NodeId,
    speed: NodeId,
    outputs: [NodeId; 7],
    vocoder: Vocoder,
}

impl Hibari {
    /// The network in `folder`.
    pub(crate) fn load(folder: &Path) -> Result<Self, HibariError> {
        let assets = Assets::new(folder);
        let model = assets.model("hibari.onnx")?;
        let node = |name: &str| assets.node("hibari.onnx", &model, name);
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
            vocoder: Vocoder::new(),
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
        let samples = self.vocoder.sound(&spectrum, NOISE);
        Ok(Sound {
            skipped: 0,
            whole: samples.len(),
            samples,
            durations,
        })
    }
}

//! Mono 16-bit PCM with the sample rate in the type, so that a wrong rate does not compile.

use std::time::Duration;

/// Mono 16-bit PCM at `HZ` samples per second, any length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame<const HZ: u32> {
    samples: Vec<i16>,
}

/// What VAD and STT hear.
pub type Frame16k = Frame<16_000>;
/// What TTS speaks and the playout paces.
pub type Frame24k = Frame<24_000>;
/// Opus's own rate.
pub type Frame48k = Frame<48_000>;

impl<const HZ: u32> Frame<HZ> {
    /// Samples per second.
    pub const RATE_HZ: u32 = HZ;
    /// Samples in 20 ms, the length of an RTP packet of Opus.
    pub const SAMPLES_20_MS: usize = (HZ / 50) as usize;

    /// A frame of these samples.
    pub fn new(samples: Vec<i16>) -> Self {
        Self { samples }
    }

    /// A frame from little-endian bytes; an odd last byte is left out.
    pub fn from_le_bytes(bytes: &[u8]) -> Self {
        let (pairs, _odd) = bytes.as_chunks::<2>();
        Self {
            samples: pairs.iter().map(|&pair| i16::from_le_bytes(pair)).collect(),
        }
    }

    /// `duration` of silence.
    pub fn silence(duration: Duration) -> Self {
        let samples = duration.as_micros() * u128::from(HZ) / 1_000_000;
        Self {
            samples: vec![0; usize::try_from(samples).unwrap_or(0)],
        }
    }

    /// The samples.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// The samples, to change in place.
    pub fn samples_mut(&mut self) -> &mut Vec<i16> {
        &mut self.samples
    }

    /// The samples, taken out.
    pub fn into_samples(self) -> Vec<i16> {
        self.samples
    }

    /// Little-endian bytes, as STT providers want them.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        self.samples
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect()
    }

    /// How long it sounds.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.samples.len() as u64 * 1_000_000 / u64::from(HZ))
    }

    /// No samples at all.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}

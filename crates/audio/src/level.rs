//! How loud a frame is, as RTP tells it.

use crate::Frame;

/// Audio level of RFC 6464: the number of decibels below the loudest possible, 0 (loudest) to 127 (digital silence).
/// Speech lies around 20 to 40. An empty frame is silence.
pub fn audio_level<const HZ: u32>(frame: &Frame<HZ>) -> u8 {
    let samples = frame.samples();
    if samples.is_empty() {
        return 127;
    }
    let energy: u64 = samples
        .iter()
        .map(|&sample| u64::from(sample.unsigned_abs()).pow(2))
        .sum();
    let mean_square = energy as f64 / samples.len() as f64;
    // 0 dBov is a full-scale square wave. An energy of 0 gives infinity, which clamps to 127 like everything too quiet.
    let below_overload_db = -10.0 * (mean_square / (32_768.0 * 32_768.0)).log10();
    below_overload_db.round().clamp(0.0, 127.0) as u8
}

/// How loud that many samples with this energy (the sum of their squares) are, in dB of a 16-bit sample; of none: silence.
pub(crate) fn decibels(energy: f32, samples: usize) -> f32 {
    10.0 * (energy / samples.max(1) as f32 + 1e-2).log10()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Frame48k;

    #[test]
    fn silence_is_127_and_full_scale_is_0() {
        assert_eq!(audio_level(&Frame48k::default()), 127);
        assert_eq!(audio_level(&Frame48k::new(vec![0; 960])), 127);
        assert_eq!(audio_level(&Frame48k::new(vec![i16::MIN; 960])), 0);
        assert_eq!(audio_level(&Frame48k::new(vec![i16::MAX; 960])), 0);
    }

    #[test]
    fn half_the_amplitude_is_six_decibels_less() {
        assert_eq!(audio_level(&Frame48k::new(vec![16_384; 960])), 6);
        assert_eq!(audio_level(&Frame48k::new(vec![-8_192; 960])), 12);
        assert_eq!(audio_level(&Frame48k::new(vec![1; 960])), 90);
    }
}

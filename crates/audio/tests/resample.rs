//! Sines are kept, aliases are not, lengths are exact.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use antiphon_audio::resample::resample;
use antiphon_audio::{AudioError, Frame, Resampler};
use proptest::prelude::*;

fn sine(hz: f64, rate: u32, seconds: f64) -> Vec<i16> {
    let samples = (f64::from(rate) * seconds) as usize;
    (0..samples)
        .map(|n| {
            ((std::f64::consts::TAU * hz * n as f64 / f64::from(rate)).sin() * 16_000.0) as i16
        })
        .collect()
}

fn rms(samples: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = samples.fold((0.0, 0), |(sum, count), sample| {
        (sum + sample * sample, count + 1)
    });
    (sum / f64::from(count)).sqrt()
}

/// Level of the middle half against the sine that went in, in dB; and of what is left when that sine is taken away.
fn measured<const OUT: u32>(hz: f64, from: u32) -> (f64, f64) {
    let out = resample::<OUT>(&sine(hz, from, 1.0), from).unwrap();
    let ideal = sine(hz, OUT, 1.0);
    let middle = OUT as usize / 4..OUT as usize * 3 / 4;
    let reference = 16_000.0 / 2_f64.sqrt();
    let level = rms(out.samples()[middle.clone()]
        .iter()
        .map(|&it| f64::from(it)))
        / reference;
    let rest = rms(middle.map(|n| f64::from(out.samples()[n]) - f64::from(ideal[n]))) / reference;
    (20.0 * level.log10(), 20.0 * rest.max(1e-9).log10())
}

#[test]
fn a_sine_keeps_its_level_its_phase_and_its_purity() {
    for hz in [100.0, 1_000.0, 3_000.0, 6_000.0] {
        for (name, (level, rest)) in [
            ("48k to 16k", measured::<16_000>(hz, 48_000)),
            ("44.1k to 16k", measured::<16_000>(hz, 44_100)),
            ("22.05k to 24k", measured::<24_000>(hz, 22_050)),
            ("22.05k to 16k", measured::<16_000>(hz, 22_050)),
            ("24k to 48k", measured::<48_000>(hz, 24_000)),
            ("16k to 24k", measured::<24_000>(hz, 16_000)),
        ] {
            assert!(level.abs() < 0.1, "{name}, {hz} Hz: level {level:.2} dB");
            assert!(rest < -60.0, "{name}, {hz} Hz: the rest is at {rest:.1} dB");
        }
    }
}

#[test]
fn what_the_lower_rate_cannot_hold_is_removed_and_not_folded_back() {
    for hz in [8_500.0, 9_000.0, 10_500.0] {
        for (from, (level, _)) in [
            (48_000, measured::<16_000>(hz, 48_000)),
            (44_100, measured::<16_000>(hz, 44_100)),
            (22_050, measured::<16_000>(hz, 22_050)),
        ] {
            assert!(
                level < -60.0,
                "{hz} Hz from {from} Hz comes through at {level:.1} dB"
            );
        }
    }
}

#[test]
fn equal_rates_copy() {
    let samples = sine(440.0, 24_000, 0.1);
    assert_eq!(
        resample::<24_000>(&samples, 24_000).unwrap().samples(),
        samples
    );
    let mut resampler = Resampler::<24_000, 24_000>::new().unwrap();
    assert_eq!(
        resampler
            .push(&Frame::new(samples.clone()))
            .unwrap()
            .samples(),
        samples
    );
    assert!(resampler.flush().unwrap().is_empty());
}

#[test]
fn an_impossible_rate_is_an_error() {
    for rate in [0, 1, 7_999, 192_001, u32::MAX] {
        assert!(
            matches!(
                resample::<16_000>(&[0; 10], rate),
                Err(AudioError::ResampleRate { .. })
            ),
            "{rate}"
        );
    }
}

#[test]
fn a_resampler_can_be_used_again_after_a_flush() {
    let samples = Frame::new(sine(440.0, 22_050, 0.3));
    let mut resampler = Resampler::<22_050, 24_000>::new().unwrap();
    let mut hear = || {
        let mut out = resampler.push(&samples).unwrap().into_samples();
        out.extend(resampler.flush().unwrap().into_samples());
        out
    };
    assert_eq!(hear(), hear());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// However the sound is cut, the same comes out, and as long as it went in.
    #[test]
    fn the_size_of_chunks_does_not_change_the_sound(cuts in prop::collection::vec(0..2_000_usize, 0..12)) {
        let samples = sine(700.0, 22_050, 0.5);
        let whole = resample::<16_000>(&samples, 22_050).unwrap();
        prop_assert_eq!(whole.samples().len(), (samples.len() * 16_000).div_ceil(22_050));
        let mut resampler = Resampler::<22_050, 16_000>::new().unwrap();
        let (mut pieces, mut rest) = (Vec::new(), samples.as_slice());
        for cut in cuts {
            let (chunk, after) = rest.split_at(cut.min(rest.len()));
            pieces.extend(resampler.push(&Frame::new(chunk.to_vec())).unwrap().into_samples());
            rest = after;
        }
        pieces.extend(resampler.push(&Frame::new(rest.to_vec())).unwrap().into_samples());
        pieces.extend(resampler.flush().unwrap().into_samples());
        prop_assert_eq!(pieces, whole.into_samples());
    }

    /// Any allowed rate works, coprime ones too, and the length is exact.
    #[test]
    fn any_rate_gives_the_exact_length(from in 8_000..=192_000_u32, length in 0..5_000_usize) {
        let out = resample::<24_000>(&vec![1_000; length], from).unwrap();
        prop_assert_eq!(out.samples().len() as u64, (length as u64 * 24_000).div_ceil(u64::from(from)));
    }
}

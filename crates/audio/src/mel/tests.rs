use super::*;

/// A chirp that fades, and some noise, in steps of 16 bits.
fn sound() -> Vec<f32> {
    (0..3_000_i64)
        .map(|at| {
            let time = at as f64;
            let chirp = (time * time * 0.000_02).sin() * 0.5 * (1.0 - time / 4_000.0);
            let noise = ((at * 7_919 % 201) - 100) as f64 / 2_000.0;
            (((chirp + noise) * 32_768.0).round() / 32_768.0) as f32
        })
        .collect()
}

#[test]
fn a_picture_is_that_of_whispers_own_program() {
    // numpy, with the bands of `mel_filters.npz` of the Python package openai-whisper 20250625
    let expected = [
        (0, 0, 0.41182),
        (0, 5, 1.24372),
        (3, 18, 0.37722),
        (10, 2, 0.04529),
        (20, 10, 0.12417),
        (40, 10, 0.00151),
        (60, 19, 0.15695),
        (79, 0, -0.09595),
        (79, 15, 0.00452),
        (79, 29, -0.55926),
        (5, 19, 0.78358),
        (30, 20, -0.55926),
    ];
    let picture = LogMel::new(80).picture(&sound(), 30, 0);
    for (band, column, value) in expected {
        let found = picture.get(band * 30 + column).copied().unwrap_or(f32::NAN);
        assert!(
            (found - value).abs() < 1e-3,
            "{band} {column}: {found} {value}"
        );
    }
    let sum: f32 = picture.iter().sum();
    assert!((sum + 158.421).abs() < 0.1, "{sum}");
}

#[test]
fn silence_behind_a_sound_looks_the_same_whether_it_was_recorded_or_not() {
    let (sound, mel) = (sound(), LogMel::new(80));
    let mut recorded = sound.clone();
    recorded.resize(40 * HOP, 0.0);
    assert_eq!(mel.picture(&sound, 40, 0), mel.picture(&recorded, 40, 0));
}

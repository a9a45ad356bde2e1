//! People's recordings: one is what we play, and comes back from a loudspeaker; others speak over it.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;

use antiphon_audio::echo::{Echo, Heard};
use antiphon_audio::{Frame16k, Frame24k, wav};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop/speech/known-words")
}

fn recording<const HZ: u32>(name: &str) -> Vec<i16> {
    let file = std::fs::read(folder().join(name)).unwrap();
    wav::read::<HZ>(&file).unwrap().into_samples()
}

/// A room: a direct way of 200 ms with the network, and reflections that die away in 0.3 s. `gain` is that of the direct sound.
fn room(sound: &[i16], gain: f32) -> Vec<i16> {
    let mut seed = 7_u32;
    let mut random = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / (1 << 24) as f32
    };
    let mut taps = vec![(3_200, gain)];
    for number in 0..60 {
        let after = 40 + number * 80 + (random() * 80.0) as usize;
        let sign = if random() < 0.5 { -1.0 } else { 1.0 };
        let loss = (-6.9 * after as f32 / 4_800.0).exp();
        taps.push((3_200 + after, 0.6 * gain * sign * loss));
    }
    let mut heard = vec![0.0_f32; sound.len()];
    for (way, tap) in taps {
        for (place, sample) in heard.iter_mut().skip(way).zip(sound) {
            *place += tap * f32::from(*sample);
        }
    }
    heard.iter().map(|sample| *sample as i16).collect()
}

/// A second of silence and the recording, again and again.
fn talk<const HZ: u32>(name: &str, times: usize) -> Vec<i16> {
    let mut once = vec![0; HZ as usize];
    once.extend(recording::<HZ>(name));
    // whole blocks, so that both rates stay together
    once.truncate(once.len() / (HZ as usize / 50) * (HZ as usize / 50));
    once.repeat(times)
}

fn mix(a: &[i16], b: &[i16]) -> Vec<i16> {
    let silence = std::iter::repeat(&0);
    a.iter()
        .zip(b.iter().chain(silence))
        .map(|(a, b)| a.saturating_add(*b))
        .collect()
}

fn level(samples: &[i16]) -> f64 {
    let energy: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    (energy / samples.len().max(1) as f64).sqrt()
}

/// Of the blocks in which `voice` sounds, the share that is taken for an echo.
fn taken(played: &[i16], heard: &[i16], voice: &[i16]) -> f64 {
    let mut echo = Echo::default();
    let (mut moments, mut taken) = (0_u32, 0_u32);
    let loud = level(voice) * 0.2;
    let blocks = played
        .chunks(480)
        .zip(heard.chunks(320))
        .zip(voice.chunks(320));
    for ((played, heard), voice) in blocks {
        echo.play(&Frame24k::new(played.to_vec()));
        let is_echo = echo.hear(&Frame16k::new(heard.to_vec())) != Heard::Others;
        if level(voice) > loud {
            moments += 1;
            taken += u32::from(is_echo);
        }
    }
    f64::from(taken) / f64::from(moments.max(1))
}

const OURS: [&str; 3] = ["lj_001-0001.wav", "lj_002_0020.wav", "jfk.wav"];
const OTHERS: [&str; 6] = [
    "ls_2412_0.wav",
    "sb_spk2_snt1.wav",
    "cv651325.wav",
    "lv_0870.wav",
    "ami.wav",
    "sb_spk1_snt2.wav",
];

#[test]
fn our_own_voice_from_a_loudspeaker_is_known_however_quiet_it_is() {
    for name in OURS {
        for gain in [0.5, 0.1, 0.03] {
            let played = talk::<24_000>(name, 4);
            let heard = room(&talk::<16_000>(name, 4), gain);
            let share = taken(&played, &heard, &heard);
            println!("{name} {gain}: {share:.3}");
            assert!(share > 0.85, "{name} {gain}: {share}");
        }
    }
}

#[test]
fn a_caller_who_speaks_over_us_is_not_taken_for_an_echo() {
    for ours in OURS {
        for other in OTHERS {
            let played = talk::<24_000>(ours, 4);
            let voice = recording::<16_000>(other).repeat(4);
            let share = taken(&played, &voice, &voice);
            assert!(share < 0.02, "{other} over {ours}: {share}");
        }
    }
}

/// At `level`, in its loud blocks.
fn at(sound: &[i16], to: f64) -> Vec<i16> {
    let loud: Vec<f64> = sound.chunks(320).map(level).collect();
    let top = loud.iter().copied().fold(0.0, f64::max) * 0.2;
    let loud: Vec<f64> = loud.into_iter().filter(|level| *level > top).collect();
    let gain = to / (loud.iter().sum::<f64>() / loud.len() as f64);
    sound
        .iter()
        .map(|s| (f64::from(*s) * gain) as i16)
        .collect()
}

#[test]
fn a_caller_is_heard_over_our_echo() {
    for decibels in [-6.0, -12.0, -20.0, -30.0] {
        let (mut taken_of_caller, mut taken_of_echo) = (Vec::new(), Vec::new());
        for ours in OURS {
            for other in OTHERS {
                let played = talk::<24_000>(ours, 8);
                let echo = room(&talk::<16_000>(ours, 8), 0.3);
                let echo = at(&echo, 2_000.0 * 10_f64.powf(decibels / 20.0));
                // comes when the echo is known
                let mut late = vec![0; 16_000 * 9 / 320 * 320];
                late.extend(at(&recording::<16_000>(other), 2_000.0));
                late.resize(echo.len(), 0);
                taken_of_caller.push(taken(&played, &mix(&echo, &late), &late));
                taken_of_echo.push(taken(&played, &echo, &echo));
            }
        }
        let mean = |shares: &[f64]| shares.iter().sum::<f64>() / shares.len() as f64;
        let worst = taken_of_caller.iter().copied().fold(0.0, f64::max);
        println!(
            "{decibels}: of the echo {:.3}, of the caller {:.3}, at worst {worst:.3}",
            mean(&taken_of_echo),
            mean(&taken_of_caller)
        );
        assert!(mean(&taken_of_echo) > 0.9, "{decibels}");
        assert!(mean(&taken_of_caller) < 0.25 && worst < 0.5, "{decibels}");
    }
}

//! Sounds that are not for the agent, while it speaks: how often it falls silent for them, and how often it stops:
//! `cargo run --release -p antiphon-turnbench --example overheard [FOLDER...]`. Without a folder: sounds that are computed here, and people of
//! interop/speech as neighbours. Each folder is a kind and holds WAV files.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::indexing_slicing)]

mod overheard;

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use antiphon_audio::wav;
use antiphon_moonshine::NeuralStt;
use antiphon_neural::Workers;
use antiphon_silero::{Silero, SileroOptions};
use antiphon_turnbench::turns::sound;
use overheard::{Speech, overhear};

type Failed = Box<dyn Error + Send + Sync>;

const RATE: usize = 16_000;
/// A long sound is judged in pieces, each as if it were new, and no more than so many of them.
const PIECE: usize = 10 * RATE;
const MAX_PIECES: usize = 6;

/// The same noise every time.
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as f32 / u32::MAX as f32 * 2.0 - 1.0
    }
}

fn seconds(length: f64, mut sample: impl FnMut(f32) -> f32) -> Vec<i16> {
    (0..(length * RATE as f64) as usize)
        .map(|at| (sample(at as f32 / RATE as f32).clamp(-1.0, 1.0) * 32_000.0) as i16)
        .collect()
}

/// Bursts of breath through a throat: low-passed noise that dies away, with a little pitch.
fn cough(times: u32, seed: u32) -> Vec<i16> {
    let (mut noise, mut low) = (Noise(seed), 0.0);
    seconds(3.0, |t| {
        let since = (t - 0.3).rem_euclid(0.45);
        let is_on = t > 0.3 && t < 0.3 + 0.45 * times as f32;
        low += (noise.next() - low) * 0.35;
        let throat = (std::f32::consts::TAU * 140.0 * t).sin() * 0.3;
        if is_on {
            (low * 1.6 + throat) * (-since * 11.0).exp() * 0.7
        } else {
            0.0
        }
    })
}

/// "Ha ha ha": a voice of four pulses a second.
fn laugh(pitch: f32) -> Vec<i16> {
    let mut noise = Noise(77);
    seconds(3.0, |t| {
        let pulse = (t * 4.5).fract();
        let tone: f32 = (1_u8..9)
            .map(|n| {
                (std::f32::consts::TAU * pitch * (1.0 - t * 0.06) * f32::from(n) * t).sin()
                    / f32::from(n)
            })
            .sum();
        let breath = noise.next() * 0.2;
        if t > 0.3 && t < 2.3 {
            (if pulse < 0.5 {
                tone * 0.25
            } else {
                breath * 0.4
            }) * 0.6
        } else {
            0.0
        }
    })
}

/// Chords with a bass and a drum, or a melody alone.
fn music(has_drum: bool) -> Vec<i16> {
    let (roots, mut noise) = ([220.0_f32, 174.6, 261.6, 196.0], Noise(5));
    seconds(10.0, |t| {
        let root = roots[(t * 0.8) as usize % roots.len()];
        let melody = root * [2.0, 2.5, 3.0, 2.25][(t * 3.2) as usize % 4];
        let decay = (-(t * 3.2).fract() * 2.0).exp();
        let wave = |f: f32| {
            (1_u8..6)
                .map(|n| (std::f32::consts::TAU * f * f32::from(n) * t).sin() / f32::from(n * n))
                .sum::<f32>()
        };
        let drum = if has_drum {
            noise.next() * (-(t * 1.6).fract() * 25.0).exp()
        } else {
            0.0
        };
        wave(root) * 0.12 + wave(root * 1.5) * 0.08 + wave(melody) * 0.2 * decay + drum * 0.25
    })
}

fn keyboard() -> Vec<i16> {
    let mut noise = Noise(9);
    seconds(8.0, |t| {
        noise.next() * (-(t * 6.3).fract() * 90.0).exp() * 0.5
    })
}

fn hiss() -> Vec<i16> {
    let mut noise = Noise(3);
    seconds(8.0, |_| noise.next() * 0.08)
}

fn person(name: &str, decibels: f32) -> Result<Vec<i16>, Failed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop/speech/known-words");
    let samples = wav::read::<16_000>(&std::fs::read(folder.join(name))?)?.into_samples();
    let gain = 10_f32.powf(decibels / 20.0);
    Ok(samples
        .iter()
        .map(|sample| (f32::from(*sample) * gain) as i16)
        .collect())
}

/// Sounds of one kind, each with its name.
type Kind = (String, Vec<(String, Vec<i16>)>);

fn computed() -> Result<Vec<Kind>, Failed> {
    let own = |name: &str, sounds: Vec<Vec<i16>>| {
        let named = sounds.into_iter().map(|sound| (name.to_owned(), sound));
        (name.to_owned(), named.collect())
    };
    let mut kinds = vec![
        own(
            "coughs (computed)",
            vec![cough(1, 11), cough(2, 12), cough(3, 13)],
        ),
        own(
            "laughs (computed)",
            vec![laugh(130.0), laugh(200.0), laugh(260.0)],
        ),
        own("music (computed)", vec![music(false), music(true)]),
        own("keyboard (computed)", vec![keyboard()]),
        own("hiss (computed)", vec![hiss()]),
    ];
    for decibels in [-40.0, -30.0, -20.0, 0.0] {
        let said = NEIGHBOURS
            .iter()
            .map(|name| Ok(((*name).to_owned(), person(name, decibels)?)));
        let said = said.collect::<Result<_, Failed>>()?;
        kinds.push((format!("a voice, {decibels} dB of the caller's"), said));
    }
    Ok(kinds)
}

/// People who speak, though not to the agent.
const NEIGHBOURS: [&str; 8] = [
    "jfk.wav",
    "lv_0870.wav",
    "sb_spk2_snt1.wav",
    "ls_2412_0.wav",
    "lj_002_0035.wav",
    "cv651325.wav",
    "sb_spk1_snt2.wav",
    "ami.wav",
];

fn of_folder(folder: &Path) -> Result<Kind, Failed> {
    let mut sounds = Vec::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, Failed>>()?;
    files.sort();
    for file in files {
        let samples = sound(&file)?;
        for (number, piece) in samples.chunks(PIECE).take(MAX_PIECES).enumerate() {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            sounds.push((format!("{name} {number}"), piece.to_vec()));
        }
    }
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    Ok((name.into_owned(), sounds))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let models =
        std::env::var_os("ANTIPHON_MODELS").ok_or("set ANTIPHON_MODELS to the folder of models")?;
    let workers = Workers::new(NonZeroUsize::MIN)?;
    let stt = NeuralStt::load(
        &Path::new(&models).join("moonshine-tiny-en"),
        workers.clone(),
    )?;
    let silero = Silero::new(SileroOptions::default())?;
    let folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let kinds = match folders.is_empty() {
        true => computed()?,
        false => folders
            .iter()
            .map(|folder| of_folder(folder))
            .collect::<Result<_, Failed>>()?,
    };
    for (kind, sounds) in kinds {
        let (mut starts, mut pauses, mut stops) = (0, 0, 0);
        for (name, samples) in &sounds {
            let mut vad = silero.detector();
            let found = overhear(samples, &mut vad, &stt, &workers, &Speech::default()).await?;
            eprintln!("  {kind}, {name}: {found:?}");
            starts += usize::from(found.starts > 0);
            pauses += usize::from(found.pauses > 0 || found.stops);
            stops += usize::from(found.stops);
        }
        let share = |count: usize| 100.0 * count as f64 / sounds.len().max(1) as f64;
        println!(
            "{kind}: {} sounds; taken for a voice {:.0} %; the agent falls silent {:.0} %; stops {:.0} %",
            sounds.len(),
            share(starts),
            share(pauses),
            share(stops)
        );
    }
    Ok(())
}

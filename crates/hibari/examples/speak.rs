//! Speaks a text to a file, with the hibari voice or one of Kokoro:
//! `cargo run --release -p antiphon-hibari --example speak -- MODEL_FOLDER "Hello." OUT.wav [am_michael]`.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use antiphon_hibari::Voice;
use rten::{RunOptions, ThreadPool};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, text, file, name) = match arguments.as_slice() {
        [folder, text, file] => (folder, text, file, None),
        [folder, text, file, name] => (folder, text, file, Some(name)),
        _ => return Err("usage: speak MODEL_FOLDER TEXT OUT.wav [VOICE]".into()),
    };
    let options =
        RunOptions::default().with_thread_pool(Some(Arc::new(ThreadPool::with_num_threads(1))));
    let start = Instant::now();
    let folder = Path::new(folder);
    let voice = match name {
        None => Voice::hibari(folder)?,
        Some(name) => Voice::kokoro(folder, name)?,
    };
    println!("loaded in {:?}", start.elapsed());
    for _ in 0..3 {
        let start = Instant::now();
        let speech = voice.speak(text, 1.0, &options)?;
        println!(
            "{:.2} s of sound in {:?}",
            speech.samples.len() as f64 / 24_000.0,
            start.elapsed()
        );
    }
    let speech = voice.speak(text, 1.0, &options)?;
    println!("{:?}", speech.words);
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 24_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(file, spec)?;
    for sample in speech.samples {
        writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0) as i16)?;
    }
    writer.finalize()?;
    Ok(())
}

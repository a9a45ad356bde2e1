//! Transcribes a folder of WAV files with known words and counts wrong ones:
//! `cargo run --release -p antiphon-moonshine --example wer -- MODEL_FOLDER SPEECH_FOLDER`.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, speech] = arguments.as_slice() else {
        return Err("usage: wer MODEL_FOLDER SPEECH_FOLDER".into());
    };
    let transcriber = antiphon_moonshine::Transcriber::load(Path::new(model))?;
    let list = std::fs::read_to_string(Path::new(speech).join("words.tsv"))?;
    let (mut wrong, mut words, mut heard_s, mut took_s) = (0, 0, 0.0, 0.0);
    for line in list.lines().skip(1) {
        let mut columns = line.split('\t');
        let (Some(file), Some(expected)) = (columns.next(), columns.next()) else {
            continue;
        };
        let mut reader = hound::WavReader::open(Path::new(speech).join(file))?;
        assert_eq!(reader.spec().sample_rate, 16_000, "{file}");
        let samples: Vec<f32> = reader
            .samples::<i16>()
            .map(|sample| sample.map(|value| f32::from(value) / 32768.0))
            .collect::<Result<_, _>>()?;
        let start = Instant::now();
        let text = transcriber.transcribe(&samples)?;
        took_s += start.elapsed().as_secs_f64();
        heard_s += samples.len() as f64 / 16_000.0;
        let (expected, heard) = (plain(expected), plain(&text));
        let errors = distance(&expected, &heard);
        println!("{errors:3} {file}: {text}");
        wrong += errors;
        words += expected.len();
    }
    println!(
        "{wrong} of {words} words wrong ({:.1} %), {took_s:.2} s for {heard_s:.1} s of sound",
        100.0 * wrong as f64 / words as f64
    );
    Ok(())
}

fn plain(text: &str) -> Vec<String> {
    let text: String = text
        .to_lowercase()
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || c == '\'' {
                c
            } else {
                ' '
            }
        })
        .collect();
    text.split_whitespace().map(str::to_owned).collect()
}

fn distance(a: &[String], b: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut before = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let here = (before + usize::from(x != y))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            before = row[j + 1];
            row[j + 1] = here;
        }
    }
    row[b.len()]
}

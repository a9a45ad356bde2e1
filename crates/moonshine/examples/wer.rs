//! How many words Moonshine gets wrong in recordings of people, with PocketSphinx beside it; as recorded, and through a telephone
//! (8 kHz, μ-law). Through the provider, as in a call:
//! `cargo run --release -p antiphon-moonshine --example wer [FOLDER_WITH_WORDS_TSV [MODEL…]]`. A model is a name in `ANTIPHON_MODELS`
//! or a folder, with `:` and a language behind it when it is not to find out.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::indexing_slicing)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use antiphon_agent::provider::{Stt, SttEvent, SttInput};
use antiphon_audio::resample::resample;
use antiphon_audio::{Frame16k, wav};
use antiphon_local::{PocketSphinxStt, worker};
use antiphon_moonshine::NeuralStt;
use antiphon_neural::Workers;

type Failed = Box<dyn Error>;
/// What a way does to a sound.
type Change = fn(&[i16]) -> Result<Vec<i16>, Failed>;

struct Recording {
    file: String,
    words: Vec<String>,
    samples: Vec<i16>,
}

fn main() -> Result<(), Failed> {
    if std::env::args().nth(1).as_deref() == Some(worker::ARGUMENT) {
        std::process::exit(i32::from(worker::main() != std::process::ExitCode::SUCCESS));
    }
    let known = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop/speech/known-words");
    let folder = std::env::args().nth(1).map_or(known, PathBuf::from);
    let models =
        std::env::var_os("ANTIPHON_MODELS").ok_or("set ANTIPHON_MODELS to the folder of models")?;
    let mut named: Vec<String> = std::env::args().skip(2).collect();
    if named.is_empty() {
        named = ["moonshine-tiny-en", "whisper-base"]
            .map(str::to_owned)
            .to_vec();
    }
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(async {
            let recordings = read(&folder)?;
            for name in &named {
                let (name, language) = name.split_once(':').unwrap_or((name, ""));
                let start = Instant::now();
                let folder = Path::new(&models).join(name);
                let mut stt = NeuralStt::load(&folder, Workers::for_this_machine()?)?;
                if !language.is_empty() {
                    stt = stt.with_language(language)?;
                }
                println!("{name} is loaded in {} ms", start.elapsed().as_millis());
                measure(&stt, &recordings).await?;
            }
            match PocketSphinxStt::new() {
                Ok(pocketsphinx) => measure(&pocketsphinx, &recordings).await?,
                Err(error) => println!("no comparison: {error}"),
            }
            Ok(())
        })
}

fn read(folder: &Path) -> Result<Vec<Recording>, Failed> {
    let list = std::fs::read_to_string(folder.join("words.tsv"))?;
    let mut recordings = Vec::new();
    for line in list.lines().skip(1) {
        let mut columns = line.split('\t');
        let (Some(file), Some(words)) = (columns.next(), columns.next()) else {
            continue;
        };
        recordings.push(Recording {
            file: file.to_owned(),
            words: plain(words),
            samples: wav::read::<16_000>(&std::fs::read(folder.join(file))?)?.into_samples(),
        });
    }
    Ok(recordings)
}

async fn measure(stt: &dyn Stt, recordings: &[Recording]) -> Result<(), Failed> {
    let name = stt.info().provider;
    let ways: [(&str, Change); 2] = [
        ("as recorded", |sound| Ok(sound.to_vec())),
        ("telephone", telephone),
    ];
    for (way, change) in ways {
        let (mut wrong, mut words, mut waits) = (0, 0, Vec::new());
        for recording in recordings {
            let (text, wait) = hear(stt, &change(&recording.samples)?).await?;
            let errors = distance(&recording.words, &plain(&text));
            if errors > 0 {
                eprintln!(
                    "  {name}, {way}, {}: {errors} wrong: {text}",
                    recording.file
                );
            }
            wrong += errors;
            words += recording.words.len();
            if (24_000..40_000).contains(&recording.samples.len()) {
                waits.push(wait);
            }
        }
        waits.sort();
        println!(
            "{name}, {way}: {wrong} of {words} words wrong ({:.1} %); final words of 1.5 to 2.5 s after {} ms at the median, {} at most",
            100.0 * wrong as f64 / words as f64,
            waits.get(waits.len() / 2).map_or(0, Duration::as_millis),
            waits.last().map_or(0, Duration::as_millis),
        );
    }
    Ok(())
}

/// All final words of a call of its own, and how long they took after the order to make them final.
async fn hear(stt: &dyn Stt, sound: &[i16]) -> Result<(String, Duration), Failed> {
    let session = stt.open().await?;
    let mut events = session.events;
    let listening = tokio::spawn(async move {
        let (mut text, mut at) = (String::new(), Instant::now());
        while let Some(event) = events.recv().await {
            if let SttEvent::Final { text: more, .. } = event {
                text = format!("{text} {more}");
                at = Instant::now();
            }
        }
        (text, at)
    });
    // a line is never quite silent
    let hiss = |length: usize| (0..length).map(|at| (at * 7 % 5) as i16 - 2);
    let sound: Vec<i16> = hiss(8_000)
        .chain(sound.iter().copied())
        .chain(hiss(4_000))
        .collect();
    for piece in sound.chunks(320) {
        session
            .input
            .send(SttInput::Audio(Frame16k::new(piece.to_vec())))
            .await?;
    }
    // let what is under way come to its end: in a call there is time between words
    tokio::time::sleep(Duration::from_millis(150)).await;
    let ordered = Instant::now();
    session.input.send(SttInput::Finalize).await?;
    drop(session.input);
    let (text, at) = listening.await?;
    Ok((text, at.saturating_duration_since(ordered)))
}

/// To 8 kHz and back, each sample in 8 bits of μ-law (G.711).
fn telephone(sound: &[i16]) -> Result<Vec<i16>, Failed> {
    let narrow = resample::<8_000>(sound, 16_000)?;
    let coded: Vec<i16> = narrow
        .samples()
        .iter()
        .map(|sample| decode_mu_law(encode_mu_law(*sample)))
        .collect();
    Ok(resample::<16_000>(&coded, 8_000)?.into_samples())
}

fn encode_mu_law(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(32_635) + 132;
    let exponent = (0..8)
        .rev()
        .find(|exponent| magnitude & (0x80 << exponent) != 0)
        .unwrap_or(0);
    let mantissa = (magnitude >> (exponent + 3)) & 0x0F;
    !(sign | (exponent as u8) << 4 | mantissa as u8)
}

fn decode_mu_law(code: u8) -> i16 {
    let code = !code;
    let exponent = (code >> 4) & 7;
    let magnitude = (((i32::from(code & 0x0F) << 3) + 132) << exponent) - 132;
    let signed = if code & 0x80 == 0 {
        magnitude
    } else {
        -magnitude
    };
    signed as i16
}

/// Lower case, without punctuation, numbers in words.
fn plain(text: &str) -> Vec<String> {
    let letters = |c: char| {
        if c.is_alphanumeric() || c == '\'' {
            c
        } else {
            ' '
        }
    };
    let text: String = text
        .to_lowercase()
        .replace("mr.", "mister")
        .chars()
        .map(letters)
        .collect();
    text.split_whitespace().flat_map(words_of).collect()
}

fn words_of(word: &str) -> Vec<String> {
    if !word.bytes().all(|byte| byte.is_ascii_digit()) {
        let same = match word {
            "oh" => "zero",
            "meters" => "metres",
            word => word,
        };
        return vec![same.to_owned()];
    }
    let pair = |pair: &str| match pair.parse::<usize>() {
        Ok(number @ 10..20) => vec![TEENS[number - 10].to_owned()],
        _ => pair
            .bytes()
            .map(|byte| DIGITS[usize::from(byte - b'0')].to_owned())
            .collect(),
    };
    match word.len() {
        2 => pair(word),
        4 if !word.contains('0') => [pair(&word[..2]), pair(&word[2..])].concat(),
        _ => word
            .chars()
            .flat_map(|digit| pair(&digit.to_string()))
            .collect(),
    }
}

const DIGITS: [&str; 10] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
];
const TEENS: [&str; 10] = [
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];

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

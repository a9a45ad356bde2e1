//! How many words the local recogniser gets wrong, of sound as it is and of the same sound after the way of a call (48 kHz,
//! Opus, jitter buffer, decoded at 16 kHz): `cargo run --release -p antiphon-local --example recognition [SENTENCES]`.
//!
//! Thirty sentences of a restaurant call in four voices of flite, one call for each voice, and recordings of people.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use antiphon_agent::provider::{Stt, SttEvent, SttInput, Tts, TtsChunk};
use antiphon_audio::jitter::Output;
use antiphon_audio::resample::resample;
use antiphon_audio::{Frame16k, Frame48k, JitterBuffer, OpusDecoder, OpusEncoder, wav};
use antiphon_local::{FliteTts, PocketSphinxStt, worker};
use bytes::Bytes;
use futures_util::StreamExt;

const VOICES: [&str; 4] = ["slt", "rms", "awb", "kal16"];
const SENTENCES: &str = "what is on the menu/what time do you open on sunday/do you have a table for two tomorrow evening/\
    i would like to book a table for four people/my name is john smith/is there parking near the restaurant/\
    do you have vegetarian dishes/can i bring my dog/what are your opening hours/how much is the fish soup/yes please/\
    no thank you/cancel my booking please/are you open on monday/do you have anything without gluten/\
    what desserts do you have/is the kitchen open late/can we sit outside/at seven in the evening/next friday at eight/\
    what is the weather in paris/hello world/for six people please/do you have a children's menu/where are you located/\
    i have a nut allergy/which wines do you serve/can i pay with a card/thank you very much goodbye/\
    i want to change my reservation";
const RECORDINGS: [(&str, &str); 1] = [(
    "interop/speech/weather_question.wav",
    "what is the weather in paris",
)];
/// The recogniser says nothing when it heard nothing; a busy machine may take long.
const PATIENCE: Duration = Duration::from_secs(30);
const PACKET: Duration = Duration::from_millis(20);

type Failed = Box<dyn Error>;

fn main() -> Result<(), Failed> {
    if std::env::args().nth(1).as_deref() == Some(worker::ARGUMENT) {
        std::process::exit(i32::from(worker::main() != std::process::ExitCode::SUCCESS));
    }
    let sentences = std::env::args()
        .nth(1)
        .map_or(Ok(usize::MAX), |text| text.parse())?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(measure(sentences))
}

async fn measure(sentences: usize) -> Result<(), Failed> {
    let (mut all, mut raw_wrong, mut path_wrong) = (0, 0, 0);
    let recogniser = PocketSphinxStt::new()?;
    for voice in VOICES {
        let mut sounds = Vec::new();
        for text in SENTENCES.split('/').take(sentences) {
            sounds.push((text, speak(voice, text).await?));
        }
        let words: usize = sounds.iter().map(|(text, _)| text.split(' ').count()).sum();
        let raw = call(&recogniser, &sounds, false).await?;
        let path = call(&recogniser, &sounds, true).await?;
        println!("{voice}: {raw} of {words} words wrong as spoken, {path} after the way of a call");
        (all, raw_wrong, path_wrong) = (all + words, raw_wrong + raw, path_wrong + path);
    }
    println!("voices of flite: {raw_wrong} and {path_wrong} of {all} words wrong");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (file, text) in RECORDINGS {
        let sound = wav::read::<16_000>(&std::fs::read(root.join(file))?)?;
        let sounds = [(text, sound.into_samples())];
        let raw = call(&recogniser, &sounds, false).await?;
        let path = call(&recogniser, &sounds, true).await?;
        println!("{file}: {raw} and {path} words wrong");
    }
    Ok(())
}

async fn speak(voice: &str, text: &str) -> Result<Vec<i16>, Failed> {
    let mut stream = FliteTts::new(Some(voice))?.synthesize(text.into());
    let mut samples = Vec::new();
    while let Some(chunk) = stream.next().await {
        if let TtsChunk::Audio(frame) = chunk? {
            samples.extend_from_slice(frame.samples());
        }
    }
    Ok(resample::<16_000>(&samples, 24_000)?.into_samples())
}

/// One call in which all of it is said; the number of words that were wrong.
async fn call(
    recogniser: &PocketSphinxStt,
    sounds: &[(&str, Vec<i16>)],
    through_opus: bool,
) -> Result<usize, Failed> {
    let mut session = recogniser.open().await?;
    let mut wrong = 0;
    for (text, sound) in sounds {
        // a line is never quite silent
        let hiss = |length: usize| (0..length).map(|at| (at * 7 % 5) as i16 - 2);
        let padded: Vec<i16> = hiss(8_000)
            .chain(sound.iter().copied())
            .chain(hiss(4_800))
            .collect();
        let padded = if through_opus {
            way_of_a_call(&padded)?
        } else {
            padded
        };
        for piece in padded.chunks(320) {
            let frame = SttInput::Audio(Frame16k::new(piece.to_vec()));
            session.input.send(frame).await?;
        }
        session.input.send(SttInput::Finalize).await?;
        let mut heard = String::new();
        while let Ok(Some(event)) = tokio::time::timeout(PATIENCE, session.events.recv()).await {
            if let SttEvent::Final { text, .. } = event {
                heard = text;
                break;
            }
        }
        let said: Vec<&str> = text.split(' ').collect();
        let got: Vec<&str> = heard.split_whitespace().collect();
        let errors = distance(&said, &got);
        if errors > 0 {
            eprintln!("  {text} | {heard}");
        }
        wrong += errors;
    }
    Ok(wrong)
}

fn way_of_a_call(sound: &[i16]) -> Result<Vec<i16>, Failed> {
    let sound = resample::<48_000>(sound, 16_000)?;
    let mut encoder = OpusEncoder::<48_000>::new()?;
    let mut decoder = OpusDecoder::<16_000>::new()?;
    let mut jitter = JitterBuffer::new();
    let mut now = Instant::now();
    let mut out = Vec::new();
    for (sequence, piece) in sound.samples().chunks_exact(960).enumerate() {
        let packet = Bytes::copy_from_slice(encoder.encode(&Frame48k::new(piece.to_vec()))?);
        jitter.push(sequence as u64, sequence as u64 * 960, packet, now);
        now += PACKET;
        loop {
            match jitter.pop(now) {
                Output::Packet(packet) => {
                    out.extend(decoder.decode(&packet.payload)?.into_samples())
                }
                Output::Lost { duration, .. } | Output::Silence { duration } => {
                    out.extend(Frame16k::silence(duration).into_samples());
                }
                Output::Nothing => break,
            }
        }
    }
    Ok(out)
}

/// Words to insert, delete or replace.
fn distance(said: &[&str], heard: &[&str]) -> usize {
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (at, word) in said.iter().enumerate() {
        let mut next = vec![at + 1];
        for (other, cell) in heard.iter().zip(row.windows(2)) {
            let (Some(&left), [above_left, above]) = (next.last(), cell) else {
                continue;
            };
            next.push(
                (above_left + usize::from(word != other))
                    .min(above + 1)
                    .min(left + 1),
            );
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

//! Pieces of speech join as one voice: the silence that flite and espeak-ng put around each is taken off, and no sound. Skipped
//! with a note where the engines are not installed.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::time::Duration;

use antiphon_agent::provider::{Tts, TtsChunk};
use antiphon_audio::{Edges, Frame24k};
use antiphon_local::{EspeakTts, FliteTts};
use futures_util::StreamExt;

/// Samples of 5 ms.
const WINDOW: usize = 120;

async fn spoken(tts: &dyn Tts, text: &str) -> Vec<i16> {
    let mut stream = tts.synthesize(text.into());
    let mut samples = Vec::new();
    while let Some(chunk) = stream.next().await {
        if let TtsChunk::Audio(frame) = chunk.unwrap() {
            samples.extend_from_slice(frame.samples());
        }
    }
    samples
}

fn trimmed(sound: &[i16], pause: Duration) -> (Vec<i16>, Duration) {
    let mut edges = Edges::new(pause);
    let mut out = Vec::new();
    for part in sound.chunks(2400) {
        out.extend(edges.push(&Frame24k::new(part.to_vec())).into_samples());
    }
    out.extend(edges.finish().into_samples());
    (out, edges.cut())
}

fn energy(samples: &[i16]) -> f64 {
    samples
        .iter()
        .map(|sample| f64::from(*sample).powi(2))
        .sum()
}

/// How long nobody would hear anything (40 dB below speech) before and after it.
fn silence_around(sound: &[i16]) -> (Duration, Duration) {
    let audible = |part: &[i16]| energy(part) / part.len() as f64 > 100.0 * 100.0;
    let windows: Vec<bool> = sound.chunks(WINDOW).map(audible).collect();
    let first = windows.iter().position(|sounds| *sounds).unwrap();
    let last = windows.iter().rev().position(|sounds| *sounds).unwrap();
    let long = |windows: usize| Duration::from_millis(5 * windows as u64);
    (long(first), long(last))
}

fn voices() -> Option<[Box<dyn Tts>; 2]> {
    let voices = FliteTts::new(None).ok().zip(EspeakTts::new(None).ok());
    if voices.is_none() {
        eprintln!("skipped: flite or espeak-ng is missing");
    }
    voices.map(|(flite, espeak)| [Box::new(flite) as Box<dyn Tts>, Box::new(espeak)])
}

#[tokio::test]
async fn the_pieces_of_a_greeting_join_as_one_voice() {
    let ms = Duration::from_millis;
    let pieces = [
        ("Hello,", ms(125)),
        ("this is the restaurant by the river.", ms(225)),
        ("How can I help you?", ms(225)),
    ];
    for voice in voices().into_iter().flatten() {
        let mut before: Option<(Duration, Duration, Duration)> = None;
        for (text, pause) in pieces {
            let sound = spoken(voice.as_ref(), text).await;
            let (raw_first, raw_last) = silence_around(&sound);
            let (first, last) = silence_around(&trimmed(&sound, pause).0);
            if let Some((raw, after, wanted)) = before {
                let (raw, after) = (raw + raw_first, after + first);
                eprintln!(
                    "{:?} before {text:?}: {raw:?}, now {after:?}",
                    voice.info().provider
                );
                assert!(after < raw);
                // a soft end of a word counts as silence here, and stays
                assert!(after <= wanted + ms(110), "{after:?}");
                assert!(after >= ms(60), "{after:?}");
            }
            before = Some((raw_last, last, pause));
        }
    }
}

#[tokio::test]
async fn nothing_of_a_soft_voice_is_lost() {
    for voice in voices().into_iter().flatten() {
        for text in [
            "Five fish, thanks.",
            "She sells shells.",
            "Half of it, huh?",
            "Shh, puff.",
        ] {
            let sound = spoken(voice.as_ref(), text).await;
            for softer in [1, 4, 20] {
                let soft: Vec<i16> = sound.iter().map(|sample| sample / softer).collect();
                let (out, cut) = trimmed(&soft, Duration::from_millis(125));
                let from = (cut.as_micros() * 24 / 1000) as usize;
                assert!(out == soft.get(from..from + out.len()).unwrap());
                let lost = energy(&soft) - energy(&out);
                // 40 dB below the voice as a whole
                assert!(
                    lost < energy(&soft) / 10_000.0,
                    "{text} softer by {softer}: {lost}"
                );
            }
        }
    }
}

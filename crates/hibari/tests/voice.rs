//! The voice, with its files. Needs the model: scripts/test.sh fetches it and runs these.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_agent::provider::{Stt, SttEvent, SttInput, Tts, TtsChunk};
use antiphon_audio::Frame16k;
use antiphon_audio::resample::resample;
use antiphon_hibari::VoiceTts;
use antiphon_hibari::assets::Assets;
use antiphon_hibari::g2p::{G2p, Variety};
use antiphon_moonshine::NeuralStt;
use antiphon_neural::Workers;
use futures_util::StreamExt as _;
use rten::RunOptions;

fn models() -> PathBuf {
    PathBuf::from(std::env::var_os("ANTIPHON_MODELS").expect("the folder of models"))
}

fn folder() -> PathBuf {
    models().join("hibari-heart")
}

fn kokoro_folder() -> PathBuf {
    models().join("kokoro")
}

fn voice(speed: f32) -> VoiceTts {
    VoiceTts::hibari(&folder(), Workers::for_this_machine().unwrap(), speed).unwrap()
}

struct Spoken {
    samples: Vec<i16>,
    words: Vec<(String, Duration)>,
    /// Pieces of sound that came one after another.
    pieces: usize,
}

impl Spoken {
    fn length(&self) -> Duration {
        Duration::from_secs_f64(self.samples.len() as f64 / 24_000.0)
    }
}

async fn speak(tts: &VoiceTts, text: &str) -> Spoken {
    let mut stream = tts.synthesize(text.into());
    let mut spoken = Spoken {
        samples: Vec::new(),
        words: Vec::new(),
        pieces: 0,
    };
    while let Some(chunk) = stream.next().await {
        match chunk.unwrap() {
            TtsChunk::Audio(frame) => {
                spoken.samples.extend_from_slice(frame.samples());
                spoken.pieces += 1;
            }
            TtsChunk::Words(words) => spoken.words.extend(words),
        }
    }
    spoken
}

/// The readings were written by hibari's own front end (version 0.2.1).
fn assert_readings(folder: &Path, variety: Variety, readings: &str) {
    let g2p = G2p::load(&Assets::new(folder), variety).unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in readings.lines() {
        let (text, expected) = line.split_once('\t').unwrap();
        let found = g2p.phonemes(text, &RunOptions::default());
        count += 1;
        if found != expected {
            wrong.push(format!("{text}\n  {found}\n  {expected}"));
        }
    }
    assert!(count >= 100);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "needs the model: scripts/test.sh"]
fn numbers_prices_times_dates_and_names_are_read_as_the_voices_makers_read_them() {
    let readings = include_str!("data/phonemes.tsv");
    assert_readings(&folder(), Variety::American, readings);
}

/// `data/phonemes_own.tsv`: a text, how it is read here, and how hibari's front end reads it.
#[test]
#[ignore = "needs the model: scripts/test.sh"]
fn what_is_read_otherwise_than_by_the_voices_makers_is_listed() {
    let g2p = G2p::load(&Assets::new(&folder()), Variety::American).unwrap();
    for line in include_str!("data/phonemes_own.tsv").lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let read = g2p.phonemes(columns[0], &RunOptions::default());
        assert_eq!(read, columns[1], "{}", columns[0]);
        assert_ne!(read, columns[2], "{}: no difference any more", columns[0]);
    }
}

#[test]
#[ignore = "needs Kokoro: scripts/test.sh"]
fn a_british_voice_reads_as_a_briton_does() {
    let readings = include_str!("data/phonemes_british.tsv");
    assert_readings(&kokoro_folder(), Variety::British, readings);
}

/// The sound, as the local recogniser understands it.
async fn understood(samples: &[i16]) -> String {
    let folder = models().join("moonshine-tiny-en");
    let stt = NeuralStt::load(&folder, Workers::for_this_machine().unwrap()).unwrap();
    let mut session = stt.open().await.unwrap();
    let sound = resample::<16_000>(samples, 24_000).unwrap().into_samples();
    for piece in sound.chunks(320) {
        let frame = SttInput::Audio(Frame16k::new(piece.to_vec()));
        session.input.send(frame).await.unwrap();
    }
    session.input.send(SttInput::Finalize).await.unwrap();
    drop(session.input);
    let mut words = Vec::new();
    while let Some(event) = session.events.recv().await {
        if let SttEvent::Final { text, .. } = event {
            words.push(text);
        }
    }
    words.join(" ").to_lowercase()
}

#[tokio::test]
#[ignore = "needs Kokoro: scripts/test.sh"]
async fn a_recogniser_understands_each_word_of_kokoros_voices_and_each_has_its_place() {
    for name in ["am_michael", "bf_emma"] {
        let workers = Workers::for_this_machine().unwrap();
        let tts = VoiceTts::kokoro(&kokoro_folder(), name, workers, 1.0).unwrap();
        let spoken = speak(&tts, "Certainly, your table is booked for Friday evening.").await;
        assert_eq!(spoken.pieces, 2, "{name}");
        let names: Vec<&str> = spoken.words.iter().map(|(word, _)| word.as_str()).collect();
        assert_eq!(
            names,
            [
                "Certainly",
                "your",
                "table",
                "is",
                "booked",
                "for",
                "Friday",
                "evening"
            ]
        );
        assert!(spoken.words.is_sorted_by_key(|(_, at)| *at), "{name}");
        // neither a long pause in front nor a click in it
        assert!(
            spoken.words[0].1 < Duration::from_millis(300),
            "{name}: {:?}",
            spoken.words
        );
        let loudest = spoken.samples[..240]
            .iter()
            .map(|sample| sample.unsigned_abs());
        assert!(loudest.max().unwrap() < 1_000, "{name}");
        let heard = understood(&spoken.samples).await;
        for word in ["certainly", "table", "booked", "friday", "evening"] {
            assert!(heard.contains(word), "{name}: {heard}");
        }
    }
}

#[tokio::test]
#[ignore = "needs the model: scripts/test.sh"]
async fn every_word_has_its_place_and_it_is_where_the_word_is_heard() {
    let tts = voice(1.0);
    let whole = speak(&tts, "Your table for four is booked for Friday evening.").await;
    let names: Vec<&str> = whole.words.iter().map(|(word, _)| word.as_str()).collect();
    assert_eq!(
        names,
        [
            "Your", "table", "for", "four", "is", "booked", "for", "Friday", "evening"
        ]
    );
    assert!(whole.words.is_sorted_by_key(|(_, at)| *at));
    assert!(whole.words[8].1 < whole.length());
    // the beginning of the last word divides the sound about as the words divide it
    let beginning = speak(&tts, "Your table for four is booked for Friday.").await;
    let difference = beginning.length().abs_diff(whole.words[8].1);
    assert!(
        difference < Duration::from_millis(450),
        "{difference:?} {:?} {:?}",
        whole.words,
        whole.length()
    );
}

#[tokio::test]
#[ignore = "needs the model: scripts/test.sh"]
async fn a_voice_of_twice_the_speed_needs_about_half_the_time() {
    let text = "Good evening, this is the Olive Press.";
    let (slow, fast) = (
        speak(&voice(1.0), text).await,
        speak(&voice(2.0), text).await,
    );
    let ratio = slow.length().as_secs_f64() / fast.length().as_secs_f64();
    assert!((1.6..2.4).contains(&ratio), "{ratio}");
    assert_eq!(slow.words.len(), fast.words.len());
}

#[tokio::test]
#[ignore = "needs the model: scripts/test.sh"]
async fn a_long_answer_comes_in_pieces_and_signs_without_words_make_no_sound() {
    let tts = voice(1.0);
    let long = "We have a table by the window, which looks out over the harbour and the old town, and one on the terrace, where it may be cool at night.";
    assert!(speak(&tts, long).await.pieces > 1);
    for text in ["", " ", "\u{1f642}", "..."] {
        let spoken = speak(&tts, text).await;
        assert!(spoken.words.is_empty(), "{text}: {:?}", spoken.words);
        assert!(spoken.length() < Duration::from_secs(1), "{text}");
    }
    let loudest = |samples: &[i16]| samples.iter().map(|sample| sample.unsigned_abs()).max();
    let spoken = speak(&tts, "Hello!").await;
    assert!(loudest(&spoken.samples).is_some_and(|loudest| (3_000..32_767).contains(&loudest)));
}

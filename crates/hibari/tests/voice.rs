//! The voice, with its files. Needs the model: scripts/test.sh fetches it and runs these.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::path::PathBuf;
use std::time::Duration;

use antiphon_agent::provider::{Tts, TtsChunk};
use antiphon_hibari::HibariTts;
use antiphon_hibari::assets::Assets;
use antiphon_hibari::g2p::G2p;
use antiphon_neural::Workers;
use futures_util::StreamExt as _;
use rten::RunOptions;

fn folder() -> PathBuf {
    let models = std::env::var_os("ANTIPHON_MODELS").expect("the folder of models");
    PathBuf::from(models).join("hibari-heart")
}

fn voice(speed: f32) -> HibariTts {
    HibariTts::load(&folder(), Workers::for_this_machine().unwrap(), speed).unwrap()
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

async fn speak(tts: &HibariTts, text: &str) -> Spoken {
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

/// `data/phonemes.tsv` was written by hibari's own front end (version 0.2.1).
#[test]
#[ignore = "needs the model: scripts/test.sh"]
fn numbers_prices_times_dates_and_names_are_read_as_the_voices_makers_read_them() {
    let g2p = G2p::load(&Assets::new(&folder())).unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in include_str!("data/phonemes.tsv").lines() {
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

//! Recordings of people. Needs the model: scripts/test.sh fetches it and runs these.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};

use antiphon_agent::provider::{PresentTurn, TurnDetector};
use antiphon_audio::wav;
use antiphon_chat::time::Instant;
use antiphon_chat::{Item, Message, Role};
use antiphon_neural::Workers;
use antiphon_smartturn::{SmartTurn, THRESHOLD};

fn detector() -> SmartTurn {
    let models = std::env::var_os("ANTIPHON_MODELS").expect("the folder of models");
    let folder = PathBuf::from(models).join("smart-turn-v3.2");
    SmartTurn::load(&folder, Workers::for_this_machine().unwrap()).unwrap()
}

/// The probability that who said the first `seconds` of a recording, and these words, has finished.
async fn finished(name: &str, seconds: f64, words: &str) -> f32 {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop/speech");
    let file = std::fs::read(folder.join(name)).unwrap();
    let mut audio = wav::read::<16_000>(&file).unwrap().into_samples();
    audio.resize((seconds * 16_000.0) as usize, 0);
    let said = Message::new("item", Role::User, words.to_owned(), Instant::ZERO);
    let turn = PresentTurn {
        audio,
        items: vec![Item::Message(said)],
        ..PresentTurn::default()
    };
    detector().predict(&turn).await.unwrap()
}

#[tokio::test]
#[ignore = "needs the model: scripts/test.sh"]
async fn a_question_is_finished_and_a_sentence_that_breaks_off_is_not() {
    let whole = finished(
        "weather_question.wav",
        2.05,
        "What is the weather in Paris?",
    )
    .await;
    assert!(whole >= THRESHOLD, "{whole}");
    let broken = finished("weather_question.wav", 1.1, "").await;
    assert!(broken < THRESHOLD, "{broken}");
}

#[tokio::test]
#[ignore = "needs the model: scripts/test.sh"]
async fn words_settle_what_the_melody_leaves_open() {
    let open = finished("weather_question.wav", 2.05, "What is the weather in the").await;
    assert!(open < THRESHOLD, "{open}");
}

//! flite speaks, PocketSphinx listens. Skipped with a note where the engines are not installed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr
)]

use antiphon_agent::provider::{Stt, SttEvent, SttInput, Tts, TtsChunk};
use antiphon_audio::Frame16k;
use antiphon_local::{EspeakTts, FliteTts, PocketSphinxStt, detect};
use futures_util::StreamExt;

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

fn recogniser() -> PocketSphinxStt {
    PocketSphinxStt::with_worker(env!("CARGO_BIN_EXE_antiphon-local-worker").into(), vec![])
        .unwrap()
}

async fn events(samples: &[i16], end: Option<SttInput>) -> Vec<SttEvent> {
    let mut session = recogniser().open().await.unwrap();
    for piece in samples.chunks(320) {
        session
            .input
            .send(SttInput::Audio(Frame16k::new(piece.to_vec())))
            .await
            .unwrap();
    }
    if let Some(end) = end {
        session.input.send(end).await.unwrap();
    }
    drop(session.input);
    let mut events = Vec::new();
    while let Some(event) = session.events.recv().await {
        events.push(event);
    }
    events
}

fn finals(events: &[SttEvent]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| {
            if let SttEvent::Final { text, .. } = event {
                Some(text.as_str())
            } else {
                None
            }
        })
        .collect()
}

async fn menu_question() -> Vec<i16> {
    let sound = spoken(&FliteTts::new(None).unwrap(), "What is on the menu?").await;
    let mut samples = vec![0; 8_000];
    samples.extend(
        antiphon_audio::resample::resample::<16_000>(&sound, 24_000)
            .unwrap()
            .into_samples(),
    );
    samples
}

fn installed() -> bool {
    let engines = detect();
    let all = engines.missing().is_empty() && engines.flite.is_some() && engines.espeak.is_some();
    if !all {
        eprintln!("skipped: engines are missing: {:?}", engines.missing());
    }
    all
}

#[tokio::test]
async fn a_spoken_question_comes_back_as_interims_and_final_words() {
    if !installed() {
        return;
    }
    let heard = events(&menu_question().await, Some(SttInput::Finalize)).await;
    assert_eq!(finals(&heard), ["what is on the menu"], "{heard:?}");
}

#[tokio::test]
async fn without_finalize_the_words_are_final_after_a_pause() {
    if !installed() {
        return;
    }
    let mut sound = menu_question().await;
    sound.extend(vec![0; 16_000]);
    assert_eq!(finals(&events(&sound, None).await), ["what is on the menu"]);
}

#[tokio::test]
async fn silence_has_no_words() {
    if installed() {
        assert_eq!(events(&vec![3; 64_000], Some(SttInput::Finalize)).await, []);
    }
}

#[tokio::test]
async fn a_worker_that_cannot_run_is_an_error_that_says_so() {
    if installed() {
        let stt = PocketSphinxStt::with_worker("/nonexistent/worker".into(), vec![]).unwrap();
        assert!(
            stt.open()
                .await
                .unwrap_err()
                .to_string()
                .contains("apt-get install pocketsphinx")
        );
    }
}

#[tokio::test]
async fn text_is_spoken_whatever_it_begins_with() {
    if !installed() {
        return;
    }
    for tts in [
        &FliteTts::new(None).unwrap() as &dyn Tts,
        &EspeakTts::new(None).unwrap(),
    ] {
        for text in [
            "-o /tmp/x --help",
            "`id` $(id) ; \0 <b>",
            "Hello, your table is booked.",
        ] {
            let samples = spoken(tts, text).await;
            assert!(
                samples.len() > 6_000,
                "{:?} said {} samples for {text:?}",
                tts.info(),
                samples.len()
            );
            assert!(samples.iter().any(|sample| sample.unsigned_abs() > 1_000));
        }
        assert!(spoken(tts, " … ").await.is_empty());
    }
}

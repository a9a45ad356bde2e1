//! Recordings of people, and sounds that are no speech. Needs the model: scripts/test.sh fetches it and runs these.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_agent::provider::{Stt, SttEvent, SttInput, SttSession};
use antiphon_audio::{Frame16k, wav};
use antiphon_moonshine::NeuralStt;
use antiphon_neural::Workers;

const MOONSHINE: &str = "moonshine-tiny-en";
const WHISPER: &str = "whisper-base";

fn recogniser(model: &str) -> NeuralStt {
    let models = std::env::var_os("ANTIPHON_MODELS").expect("the folder of models");
    let folder = PathBuf::from(models).join(model);
    NeuralStt::load(&folder, Workers::for_this_machine().unwrap()).unwrap()
}

fn recording(name: &str) -> Vec<i16> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop/speech");
    let file = std::fs::read(folder.join(name)).unwrap();
    wav::read::<16_000>(&file).unwrap().into_samples()
}

async fn speak(session: &SttSession, samples: &[i16]) {
    for piece in samples.chunks(320) {
        let frame = SttInput::Audio(Frame16k::new(piece.to_vec()));
        session.input.send(frame).await.unwrap();
        // interim words need a moment in which nothing is said
        tokio::task::yield_now().await;
    }
}

/// Everything that is heard in a call of its own, ended by an order.
async fn heard(samples: &[i16], end: Option<SttInput>) -> Vec<SttEvent> {
    heard_by(&recogniser(MOONSHINE), samples, end).await
}

async fn heard_by(recogniser: &NeuralStt, samples: &[i16], end: Option<SttInput>) -> Vec<SttEvent> {
    let session = recogniser.open().await.unwrap();
    let mut events = session.events;
    let listening = tokio::spawn(async move {
        let mut heard = Vec::new();
        while let Some(event) = events.recv().await {
            heard.push(event);
        }
        heard
    });
    let session = SttSession {
        input: session.input,
        events: tokio::sync::mpsc::channel(1).1,
    };
    speak(&session, samples).await;
    if let Some(end) = end {
        session.input.send(end).await.unwrap();
    }
    drop(session);
    listening.await.unwrap()
}

fn finals(events: &[SttEvent]) -> Vec<String> {
    events
        .iter()
        .filter_map(|event| match event {
            SttEvent::Final { text, .. } => Some(text.to_lowercase()),
            _ => None,
        })
        .collect()
}

#[tokio::test]
#[ignore = "needs the model: scripts/test.sh"]
async fn a_question_is_understood_word_for_word() {
    let events = heard(&recording("weather_question.wav"), Some(SttInput::Finalize)).await;
    assert_eq!(finals(&events), ["what is the weather in paris?"]);
}

#[tokio::test]
#[ignore = "needs the model: scripts/test.sh"]
async fn a_caller_who_stops_is_given_final_words_without_an_order() {
    let mut sound = recording("weather_question.wav");
    sound.extend((0..16_000).map(|at| (at % 5) as i16 - 2));
    assert_eq!(
        finals(&heard(&sound, None).await),
        ["what is the weather in paris?"]
    );
}

#[tokio::test]
#[ignore = "needs the model: scripts/test.sh"]
async fn what_is_cleared_is_not_said_later() {
    let events = heard(&recording("weather_question.wav"), Some(SttInput::Clear)).await;
    assert!(finals(&events).is_empty(), "{events:?}");
}

#[tokio::test]
#[ignore = "needs the model: scripts/test.sh"]
async fn words_are_shown_while_the_caller_still_speaks() {
    let session = recogniser(MOONSHINE).open().await.unwrap();
    let mut events = session.events;
    let input = session.input;
    let samples = recording("known-words/jfk.wav");
    let speaking = tokio::spawn(async move {
        for piece in samples.chunks(320) {
            let frame = SttInput::Audio(Frame16k::new(piece.to_vec()));
            input.send(frame).await.unwrap();
            // as fast as it is spoken; the order of words and sound is what is looked at
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        input.send(SttInput::Finalize).await.unwrap();
    });
    let mut interims = 0;
    let mut last = String::new();
    while let Some(event) = events.recv().await {
        match event {
            SttEvent::Interim(_) => interims += 1,
            SttEvent::Final { text, .. } => last = text.to_lowercase(),
            other => panic!("{other:?}"),
        }
    }
    speaking.await.unwrap();
    assert!(interims >= 1, "{interims}");
    assert!(last.contains("your country"), "{last}");
}

#[tokio::test]
#[ignore = "needs the model: scripts/test.sh"]
async fn whisper_understands_a_question_and_says_in_which_language_it_was() {
    let question = recording("weather_question.wav");
    let whisper = recogniser(WHISPER);
    let events = heard_by(&whisper, &question, Some(SttInput::Finalize)).await;
    assert_eq!(finals(&events), ["what is the weather in paris?"]);
    let place = |wanted: &dyn Fn(&SttEvent) -> bool| events.iter().position(wanted).unwrap();
    let language = place(&|event| *event == SttEvent::Language("en".to_owned()));
    assert!(language < place(&|event| matches!(event, SttEvent::Final { .. })));

    // who is told the language does not say it
    let given = whisper.with_language("en-GB").unwrap();
    let events = heard_by(&given, &question, Some(SttInput::Finalize)).await;
    assert_eq!(finals(&events), ["what is the weather in paris?"]);
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, SttEvent::Language(_)))
    );
}

#[tokio::test]
#[ignore = "needs the model: scripts/test.sh"]
async fn whisper_understands_a_long_sentence_word_for_word() {
    let whisper = recogniser(WHISPER);
    let sentence = recording("known-words/jfk.wav");
    let events = heard_by(&whisper, &sentence, Some(SttInput::Finalize)).await;
    let text = finals(&events).join(" ");
    let plain: String = text
        .chars()
        .filter(|c| c.is_alphabetic() || *c == ' ')
        .collect();
    let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        plain,
        "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
    );
}

#[test]
#[ignore = "needs the model: scripts/test.sh"]
fn a_language_that_whisper_does_not_know_is_refused_with_those_that_it_knows() {
    let error = recogniser(WHISPER)
        .with_language("eo")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("\"eo\"") && error.contains(" es "),
        "{error}"
    );
}

#[tokio::test]
#[ignore = "needs the model: scripts/test.sh"]
async fn nothing_is_invented_from_silence_hiss_hum_clicks_and_music() {
    let seconds = |n: usize| 0..n * 16_000;
    let mut state = 1_u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as i16
    };
    let tone = |at: usize, hz: f32| (at as f32 * hz * std::f32::consts::TAU / 16_000.0).sin();
    let sounds: [(&str, Vec<i16>); 6] = [
        ("silence", vec![0; 48_000]),
        ("hiss", seconds(4).map(|_| noise() / 20).collect()),
        ("loud hiss", seconds(4).map(|_| noise() / 3).collect()),
        (
            "hum",
            seconds(4)
                .map(|at| (tone(at, 50.0) * 6_000.0) as i16)
                .collect(),
        ),
        (
            "clicks",
            seconds(4)
                .map(|at| if at % 9_000 < 200 { 9_000 } else { 0 })
                .collect(),
        ),
        (
            "music",
            seconds(6)
                .map(|at| {
                    let note = [262.0, 330.0, 392.0, 523.0][at / 6_000 % 4];
                    let fade = 1.0 - (at % 6_000) as f32 / 6_000.0;
                    (tone(at, note) * fade * 8_000.0 + tone(at, note * 2.0) * fade * 3_000.0) as i16
                })
                .collect(),
        ),
    ];
    let mut invented = Vec::new();
    for model in [MOONSHINE, WHISPER] {
        let recogniser = recogniser(model);
        for (name, sound) in &sounds {
            let events = heard_by(&recogniser, sound, Some(SttInput::Finalize)).await;
            let is_empty =
                |event: &SttEvent| matches!(event, SttEvent::Final { text, .. } if text.is_empty());
            if !events.iter().all(is_empty) {
                invented.push((model, *name, events));
            }
        }
    }
    assert!(invented.is_empty(), "{invented:?}");
}

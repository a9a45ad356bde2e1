//! flite speaks, PocketSphinx listens. Skipped with a note where the engines are not installed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr
)]

use antiphon_agent::provider::{Stt, SttEvent, SttInput, SttSession, Tts, TtsChunk};
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
    heard_by(&recogniser(), samples, end).await
}

/// A call of its own.
async fn heard_by(
    recogniser: &PocketSphinxStt,
    samples: &[i16],
    end: Option<SttInput>,
) -> Vec<SttEvent> {
    let mut session = recogniser.open().await.unwrap();
    speak(&mut session, samples).await;
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

async fn speak(session: &mut SttSession, samples: &[i16]) {
    for piece in samples.chunks(320) {
        let frame = SttInput::Audio(Frame16k::new(piece.to_vec()));
        session.input.send(frame).await.unwrap();
    }
}

/// Asks for the words, and everything that happens until they come.
async fn finished(session: &mut SttSession) -> Vec<SttEvent> {
    session.input.send(SttInput::Finalize).await.unwrap();
    let mut events = Vec::new();
    while finals(&events).is_empty() {
        events.push(session.events.recv().await.unwrap());
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
        assert!(spoken(tts, "** - **").await.is_empty());
    }
}

/// Somebody says this with this voice of flite.
async fn said_by(voice: &str, text: &str) -> Vec<i16> {
    let sound = spoken(&FliteTts::new(Some(voice)).unwrap(), text).await;
    let mut samples = vec![0; 4_800];
    samples.extend(
        antiphon_audio::resample::resample::<16_000>(&sound, 24_000)
            .unwrap()
            .into_samples(),
    );
    samples
}

#[tokio::test]
async fn what_one_caller_said_does_not_change_how_the_next_is_heard() {
    if !installed() {
        return;
    }
    // one worker serves all these calls, one after another
    let recogniser = recogniser();
    let mut asked = Vec::new();
    for text in ["cancel my booking please", "which wines do you serve"] {
        asked.push(said_by("awb", text).await);
    }
    let mut before = Vec::new();
    for sound in &asked {
        before.push(heard_by(&recogniser, sound, Some(SttInput::Finalize)).await);
    }
    let mut loud: Vec<i16> = said_by("rms", "I would like to book a table for four people")
        .await
        .iter()
        .map(|sample| sample.saturating_mul(8))
        .collect();
    loud.extend((0..16_000).map(|at| if at % 40 < 20 { 12_000 } else { -12_000 }));
    for _ in 0..2 {
        heard_by(&recogniser, &loud, Some(SttInput::Finalize)).await;
    }
    for (sound, before) in asked.iter().zip(&before) {
        let after = heard_by(&recogniser, sound, Some(SttInput::Finalize)).await;
        assert_eq!(finals(&after), finals(before));
        assert!(!finals(&after).is_empty());
    }
}

/// A recogniser whose workers run through this shell script first; `$0` is the real worker.
fn scripted(script: String) -> PocketSphinxStt {
    let worker = env!("CARGO_BIN_EXE_antiphon-local-worker").into();
    PocketSphinxStt::with_worker("/bin/sh".into(), vec!["-c".into(), script, worker]).unwrap()
}

#[tokio::test]
async fn a_recogniser_that_is_killed_in_mid_sentence_hears_all_of_it_and_the_next_one_too() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let kill_the_last = || {
        let pids = std::fs::read_to_string(&pids).unwrap();
        let pid = pids.lines().last().unwrap();
        // the shell's own: not every machine has a program of this name
        let killed = std::process::Command::new("/bin/sh")
            .args(["-c", &format!("kill -9 {pid}")])
            .status();
        assert!(killed.unwrap().success());
    };
    let recogniser = scripted(format!(r#"echo $$ >> {}; exec "$0""#, pids.display()));
    let mut session = recogniser.open().await.unwrap();
    let sound = menu_question().await;
    let (first, second) = sound.split_at(sound.len() * 3 / 4);
    speak(&mut session, first).await;
    while !matches!(session.events.recv().await.unwrap(), SttEvent::Interim(_)) {}
    kill_the_last();
    while !matches!(session.events.recv().await.unwrap(), SttEvent::Degraded(_)) {}
    speak(&mut session, second).await;
    let events = finished(&mut session).await;
    assert!(events.contains(&SttEvent::Recovered), "{events:?}");
    assert_eq!(finals(&events), ["what is on the menu"]);
    // and one that dies while nobody speaks is not missed at all
    kill_the_last();
    speak(&mut session, &sound).await;
    let events = finished(&mut session).await;
    assert_eq!(finals(&events), ["what is on the menu"]);
}

#[tokio::test]
async fn a_sentence_that_ends_every_worker_is_given_up_and_the_caller_is_told_and_heard_again() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    // the first three are ready, and die of the first sound
    let recogniser = scripted(format!(
        r#"n=$(cat {count} || echo 0); echo $((n+1)) > {count}
        if [ $n -ge 3 ]; then exec "$0"; fi; printf 'R\000\000\000\000'; head -c 100 > /dev/null"#,
        count = count.display()
    ));
    let mut session = recogniser.open().await.unwrap();
    let sound = menu_question().await;
    speak(&mut session, &sound).await;
    session.input.send(SttInput::Finalize).await.unwrap();
    loop {
        match session.events.recv().await.unwrap() {
            // what makes the dialogue say that it did not hear
            SttEvent::Degraded(why) if why.contains("lost") => break,
            SttEvent::Degraded(_) | SttEvent::Recovered => {}
            other => panic!("{other:?}"),
        }
    }
    speak(&mut session, &sound).await;
    let events = finished(&mut session).await;
    assert_eq!(events.first(), Some(&SttEvent::Recovered));
    assert_eq!(finals(&events), ["what is on the menu"]);
}

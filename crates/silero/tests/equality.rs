//! The hand-written network says what onnxruntime says, and the whole detector hears where people speak.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::path::Path;
use std::time::Duration;

use antiphon_agent::provider::VadModel as _;
use antiphon_audio::{Frame, Frame16k};
use antiphon_dialogue::input::Vad;
use antiphon_silero::network::{Network, State, WINDOW};
use antiphon_silero::{Silero, SileroOptions};
use proptest::prelude::*;

const RECORDINGS: [&str; 2] = ["question", "booking_in_noise"];

fn recording(name: &str) -> (Frame16k, Vec<f32>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let sound =
        antiphon_audio::wav::read(&std::fs::read(folder.join(format!("{name}.wav"))).unwrap())
            .unwrap();
    let expected = std::fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
    (
        sound,
        expected.lines().map(|line| line.parse().unwrap()).collect(),
    )
}

fn worst_difference(network: &Network, name: &str) -> f32 {
    let (sound, expected) = recording(name);
    let mut state = State::default();
    let mut worst = 0.0_f32;
    let windows = sound.samples().as_chunks::<WINDOW>().0;
    assert_eq!(windows.len(), expected.len());
    for (window, expected) in windows.iter().zip(expected) {
        let probability = network.probability(
            &mut state,
            &window.map(|sample| f32::from(sample) / 32_768.0),
        );
        worst = worst.max((probability - expected).abs());
    }
    worst
}

#[test]
fn probabilities_equal_onnxruntimes_on_recorded_speech() {
    for network in [Network::load(), Network::load_portable()] {
        for name in RECORDINGS {
            let worst = worst_difference(&network, name);
            assert!(worst < 1e-4, "{name}, {network:?}: off by {worst}");
        }
    }
}

fn transitions(chunk: usize) -> Vec<(usize, Vad)> {
    let (sound, _) = recording("question");
    let mut vad = Silero::new(SileroOptions::default()).unwrap().session();
    let (mut heard, mut windows) = (Vec::new(), 0);
    for samples in sound.samples().chunks(chunk) {
        vad.push(&Frame::new(samples.to_vec()), &mut |event| match event {
            Vad::Frame { .. } => windows += 1,
            Vad::SpeechStarted { .. } | Vad::SpeechEnded { .. } => heard.push((windows, event)),
        });
    }
    heard
}

#[test]
fn a_question_is_one_utterance_that_begins_and_ends_where_it_sounds() {
    let heard = transitions(320);
    let [
        (start, Vad::SpeechStarted { speech }),
        (
            end,
            Vad::SpeechEnded {
                speech: all,
                silence,
            },
        ),
    ] = heard[..]
    else {
        panic!("{heard:?}")
    };
    assert_eq!(speech, Duration::from_millis(64));
    // By the probabilities of onnxruntime the speech lies in windows 24 to 67; the end is known 8 windows later,
    // less the two that it took the network to notice the silence.
    assert_eq!((start, end), (25, 73));
    assert_eq!(
        (all, silence),
        (Duration::from_millis(1328), Duration::from_millis(272))
    );
}

#[test]
fn the_size_of_frames_does_not_matter() {
    let whole = transitions(usize::MAX);
    for chunk in [1, 160, 320, 511, 512, 513, 5_000] {
        assert_eq!(transitions(chunk), whole, "{chunk}");
    }
}

#[test]
fn after_a_reset_the_detector_is_as_new() {
    let (sound, _) = recording("booking_in_noise");
    let mut vad = Silero::new(SileroOptions::default()).unwrap().session();
    let mut hear = || {
        let mut events = Vec::new();
        vad.push(&sound, &mut |event| events.push(event));
        vad.reset();
        events
    };
    assert_eq!(hear(), hear());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Any samples, even no samples at all but NaN, give a probability or a NaN that does not panic; finite in, finite out.
    #[test]
    fn any_sound_gives_a_probability(samples in prop::collection::vec(any::<i16>(), WINDOW * 3)) {
        let (network, mut state) = (Network::load(), State::default());
        for window in samples.as_chunks::<WINDOW>().0 {
            let probability = network.probability(&mut state, &window.map(|sample| f32::from(sample) / 32_768.0));
            prop_assert!((0.0..=1.0).contains(&probability), "{}", probability);
        }
    }
}

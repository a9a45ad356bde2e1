//! Start and end of speech from made-up probabilities.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::time::Duration;

use antiphon_dialogue::input::Vad;
use antiphon_silero::{Segmenter, Silero, SileroError, SileroOptions};
use proptest::prelude::*;

const fn windows(count: u64) -> Duration {
    Duration::from_millis(32 * count)
}

fn run(options: SileroOptions, probabilities: &[(f32, usize)]) -> Vec<Vad> {
    let mut segmenter = Segmenter::new(options);
    let mut events = Vec::new();
    for &(probability, count) in probabilities {
        for _ in 0..count {
            segmenter.push(probability, Duration::ZERO, &mut |event| events.push(event));
        }
    }
    events
}

fn transitions(probabilities: &[(f32, usize)]) -> Vec<Vad> {
    let mut events = run(SileroOptions::default(), probabilities);
    events.retain(|event| !matches!(event, Vad::Frame { .. }));
    events
}

#[test]
fn two_windows_of_speech_begin_and_eight_of_silence_end() {
    assert_eq!(
        transitions(&[(0.0, 5), (0.9, 10), (0.0, 20)]),
        [
            Vad::SpeechStarted { speech: windows(2) },
            Vad::SpeechEnded {
                speech: windows(10),
                silence: windows(8)
            },
        ]
    );
}

#[test]
fn a_click_is_not_speech() {
    assert_eq!(
        transitions(&[(0.9, 1), (0.0, 1), (0.9, 1), (0.4, 1), (0.9, 1)]),
        []
    );
}

#[test]
fn a_pause_shorter_than_the_minimum_does_not_end_and_counts_as_part_of_the_speech() {
    assert_eq!(
        transitions(&[(0.9, 5), (0.0, 7), (0.9, 5), (0.0, 8)]),
        [
            Vad::SpeechStarted { speech: windows(2) },
            Vad::SpeechEnded {
                speech: windows(17),
                silence: windows(8)
            },
        ]
    );
}

#[test]
fn a_quiet_syllable_keeps_speech_going_but_does_not_begin_it() {
    assert_eq!(transitions(&[(0.45, 50)]), []);
    assert_eq!(
        transitions(&[(0.9, 3), (0.45, 50)]),
        [Vad::SpeechStarted { speech: windows(2) }]
    );
    assert_eq!(
        transitions(&[(0.9, 3), (0.35, 8)]).len(),
        2,
        "the lower threshold itself is silence"
    );
    assert_eq!(
        transitions(&[(0.5, 2)]).len(),
        1,
        "the upper threshold itself is speech"
    );
}

#[test]
fn every_window_is_reported_with_the_state_after_it() {
    let events = run(SileroOptions::default(), &[(0.9, 3), (0.0, 1)]);
    let frame = |speaking, speech, silence| Vad::Frame {
        speaking,
        speech: windows(speech),
        silence: windows(silence),
    };
    assert_eq!(
        events,
        [
            frame(false, 1, 0),
            Vad::SpeechStarted { speech: windows(2) },
            frame(true, 2, 0),
            frame(true, 3, 0),
            frame(true, 0, 1),
        ]
    );
}

#[test]
fn a_probability_that_is_no_number_is_silence() {
    assert_eq!(transitions(&[(0.9, 2), (f32::NAN, 8)]).len(), 2);
}

#[test]
fn thresholds_that_contradict_each_other_are_refused() {
    for (activation, deactivation) in [
        (0.3, 0.5),
        (1.0, 0.5),
        (0.5, 0.0),
        (f32::NAN, 0.3),
        (0.5, f32::NAN),
    ] {
        let options = SileroOptions {
            activation_threshold: activation,
            deactivation_threshold: deactivation,
            ..SileroOptions::default()
        };
        assert!(
            matches!(Silero::new(options), Err(SileroError::Thresholds { .. })),
            "{activation} {deactivation}"
        );
    }
}

proptest! {
    /// Starts and ends alternate, and durations never exceed what was heard.
    #[test]
    fn starts_and_ends_alternate(
        probabilities in prop::collection::vec((0.0..1.0_f32, 1..12_usize), 0..60),
        min_speech_ms in 0..500_u64, min_silence_ms in 0..1_000_u64,
    ) {
        let options = SileroOptions {
            min_speech_duration: Duration::from_millis(min_speech_ms),
            min_silence_duration: Duration::from_millis(min_silence_ms),
            ..SileroOptions::default()
        };
        let (mut speaking, mut heard) = (false, Duration::ZERO);
        for event in run(options, &probabilities) {
            match event {
                Vad::SpeechStarted { speech } => {
                    prop_assert!(!speaking && speech >= options.min_speech_duration && speech <= heard + windows(1));
                    speaking = true;
                }
                Vad::SpeechEnded { speech, silence } => {
                    prop_assert!(speaking && silence >= options.min_silence_duration);
                    prop_assert!(speech + silence <= heard + windows(1));
                    speaking = false;
                }
                Vad::Frame { speaking: reported, .. } => {
                    prop_assert_eq!(reported, speaking);
                    heard += windows(1);
                }
            }
        }
    }
}

#[test]
fn an_answer_does_not_wait_for_the_networks_slowness() {
    let mut segmenter = Segmenter::new(SileroOptions::default());
    let mut events = Vec::new();
    let window = Duration::from_millis(32);
    // four windows of words, three of silence that the network still takes for speech, then it lets go
    let windows = [(0.9, Duration::ZERO); 4]
        .into_iter()
        .chain((1..=3).map(|n| (0.6, window * n)))
        .chain((4..=6).map(|n| (0.1, window * n)));
    for (probability, quiet) in windows {
        segmenter.push(probability, quiet, &mut |event| events.push(event));
    }
    let Some(Vad::Frame { silence, .. }) = events.last() else {
        panic!("every window is reported");
    };
    assert_eq!(*silence, window * 6);
}

//! A conversation of two people, each on a channel of their own, to the times at which this machine would say that a turn has ended or
//! that somebody takes the floor: the format of TurnBench (Sesame). Every time is one at which all that the decision depends on had
//! been heard.

use std::path::Path;
use std::time::Duration;

use antiphon_agent::provider::{TurnDetector, Vad};
use antiphon_audio::Frame16k;
use antiphon_dialogue::input;
use antiphon_silero::Silero;
use serde::Serialize;

use crate::BenchError;
use crate::score::{Ears, ask};
use crate::sweep::Policy;
use crate::turns::{RATE, Row, Turn, sound};

/// What TurnBench reads.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Submission {
    /// 1.
    pub schema_version: u32,
    /// One for each conversation.
    pub predictions: Vec<Prediction>,
}

/// The events of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// Its name.
    pub conversation_id: String,
    /// The first channel.
    pub speaker_1: Events,
    /// The second channel.
    pub speaker_2: Events,
}

/// Times in seconds, strictly increasing.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Events {
    /// This speaker's turn has ended.
    pub eot: Vec<f64>,
    /// This speaker takes the floor from the other.
    pub interruption: Vec<f64>,
}

/// When somebody speaks, by the VAD: when it was known, and when it began or ended.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Voiced {
    begins: f64,
    ends: f64,
}

/// Speech of one channel. Pauses below `shortest` are part of it.
fn voiced(silero: &Silero, samples: &[i16]) -> Vec<Voiced> {
    let mut vad = silero.detector();
    let mut found: Vec<Voiced> = Vec::new();
    let mut now = 0.0;
    for piece in samples.chunks(RATE as usize / 50) {
        now += piece.len() as f64 / f64::from(RATE);
        vad.push(&Frame16k::new(piece.to_vec()), &mut |event| match event {
            input::Vad::SpeechStarted { speech } => found.push(Voiced {
                begins: now - speech.as_secs_f64(),
                ends: f64::INFINITY,
            }),
            input::Vad::SpeechEnded { silence, .. } => {
                if let Some(last) = found.last_mut() {
                    last.ends = now - silence.as_secs_f64();
                }
            }
            input::Vad::Frame { .. } => {}
        });
    }
    let length = samples.len() as f64 / f64::from(RATE);
    for piece in &mut found {
        piece.ends = piece.ends.min(length);
    }
    found
}

/// How turns end and are taken.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Silence at which the detector is asked, in seconds.
    pub after: f64,
    /// When its answer is acted on.
    pub policy: Policy,
    /// Speech over the other that takes the floor.
    pub min_interruption: Duration,
}

/// The events of a conversation whose channels are these two files.
///
/// # Errors
/// When a file cannot be read, or the detector fails.
pub async fn events(
    id: &str,
    channels: [&Path; 2],
    silero: &Silero,
    detector: &dyn TurnDetector,
    ears: &dyn Ears,
    rules: Rules,
) -> Result<Prediction, BenchError> {
    let [first, second] = channels;
    let [first, second] = [sound(first)?, sound(second)?];
    let voices = [voiced(silero, &first), voiced(silero, &second)];
    let [of_first, of_second] = &voices;
    Ok(Prediction {
        conversation_id: id.to_owned(),
        speaker_1: Events {
            eot: ends(first, of_first, detector, ears, rules).await?,
            interruption: interruptions(of_first, of_second, rules.min_interruption),
        },
        speaker_2: Events {
            eot: ends(second, of_second, detector, ears, rules).await?,
            interruption: interruptions(of_second, of_first, rules.min_interruption),
        },
    })
}

async fn ends(
    samples: Vec<i16>,
    voices: &[Voiced],
    detector: &dyn TurnDetector,
    ears: &dyn Ears,
    rules: Rules,
) -> Result<Vec<f64>, BenchError> {
    let turn = Turn {
        row: Row {
            id: String::new(),
            language: "en".into(),
            audio: String::new(),
            silence_spans: Vec::new(),
            words: Vec::new(),
            messages: Vec::new(),
        },
        samples,
    };
    let length = turn.samples.len() as f64 / f64::from(RATE);
    let mut ends = Vec::new();
    let nexts = voices
        .iter()
        .skip(1)
        .map(|next| next.begins)
        .chain([f64::INFINITY]);
    for (piece, next) in voices.iter().zip(nexts) {
        let mut wait = rules.policy.timeout;
        for after in [rules.after].into_iter().chain(rules.policy.again) {
            let asked = piece.ends + after;
            if asked >= next || asked > length {
                break;
            }
            let (probability, _) = ask(&turn, detector, ears, piece.ends, after).await?;
            if probability >= rules.policy.threshold {
                wait = rules.policy.delay.max(after);
                break;
            }
        }
        let at = piece.ends + wait;
        if at < next && at <= length {
            ends.push(at);
        }
    }
    Ok(ends)
}

/// Where `speaker` has spoken for this long over `other`, who was speaking already.
fn interruptions(speaker: &[Voiced], other: &[Voiced], least: Duration) -> Vec<f64> {
    let least = least.as_secs_f64();
    speaker
        .iter()
        .filter(|piece| piece.ends - piece.begins >= least)
        .filter(|piece| {
            let at = piece.begins + least;
            other.iter().any(|had| {
                had.begins < piece.begins && piece.begins < had.ends && at <= had.ends + least
            })
        })
        .map(|piece| piece.begins + least)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_speaks_long_enough_over_another_takes_the_floor_and_a_listener_does_not() {
        let long = Voiced {
            begins: 0.0,
            ends: 5.0,
        };
        let listener = Voiced {
            begins: 1.0,
            ends: 1.3,
        };
        let taker = Voiced {
            begins: 4.0,
            ends: 7.0,
        };
        let least = Duration::from_millis(500);
        assert_eq!(interruptions(&[listener, taker], &[long], least), [4.5]);
        assert!(interruptions(&[long], &[listener, taker], least).is_empty());
    }
}

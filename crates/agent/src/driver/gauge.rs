//! What listening takes: sound given to the recogniser, time that voice activity detection needs. Told to the dialogue now
//! and then, which makes metrics of it.

use std::time::Duration;

use antiphon_dialogue::Input;
use antiphon_dialogue::input::{self, Measured};
use tokio::sync::mpsc;

/// Recognised sound is told in such stretches (LiveKit's Deepgram: 5 s).
const STT_STRETCH: Duration = Duration::from_secs(5);
/// Voice activity detection is told in such stretches of sound (LiveKit's Silero: 1 s).
const VAD_STRETCH: Duration = Duration::from_secs(1);

/// Adds up, and tells. What cannot be told because the dialogue is busy is told with the next stretch.
#[derive(Debug)]
pub(crate) struct Gauge {
    facts: mpsc::Sender<Input>,
    given: Duration,
    judged: Duration,
    inference: Duration,
    count: u32,
    speaking: bool,
    idle: Duration,
}

impl Gauge {
    pub(crate) fn new(facts: mpsc::Sender<Input>) -> Self {
        Self {
            facts,
            given: Duration::ZERO,
            judged: Duration::ZERO,
            inference: Duration::ZERO,
            count: 0,
            speaking: false,
            idle: Duration::ZERO,
        }
    }

    /// The recogniser got so much sound.
    pub(crate) fn given(&mut self, sound: Duration) {
        self.given += sound;
        if self.given >= STT_STRETCH {
            self.tell_given();
        }
    }

    /// No more sound will come.
    pub(crate) fn finish(&mut self) {
        if !self.given.is_zero() {
            self.tell_given();
        }
    }

    fn tell_given(&mut self) {
        let audio = self.given;
        if self.tell(Measured::Stt { audio }) {
            self.given = Duration::ZERO;
        }
    }

    /// What voice activity detection found.
    pub(crate) fn found(&mut self, vad: &input::Vad) {
        match vad {
            input::Vad::Frame { .. } => self.count += 1,
            input::Vad::SpeechStarted { .. } => (self.speaking, self.idle) = (true, Duration::ZERO),
            input::Vad::SpeechEnded { .. } => self.speaking = false,
        }
    }

    /// It has judged so much sound within such a time.
    pub(crate) fn judged(&mut self, sound: Duration, took: Duration) {
        self.judged += sound;
        self.inference += took;
        if !self.speaking {
            self.idle += sound;
        }
        let stretch = Measured::Vad {
            idle: self.idle,
            inference: self.inference,
            count: self.count,
        };
        if self.judged >= VAD_STRETCH && self.tell(stretch) {
            (self.judged, self.inference, self.count) = (Duration::ZERO, Duration::ZERO, 0);
        }
    }

    fn tell(&self, measured: Measured) -> bool {
        self.facts.try_send(Input::Measured(measured)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    #[test]
    fn every_bit_of_sound_is_told_once_even_when_the_dialogue_is_busy() {
        let (facts, mut told) = mpsc::channel(1);
        let mut gauge = Gauge::new(facts);
        let mut sum = Duration::ZERO;
        for n in 0..1000 {
            gauge.given(FRAME);
            // it looks only now and then
            if n % 400 == 399 {
                while let Ok(Input::Measured(Measured::Stt { audio })) = told.try_recv() {
                    sum += audio;
                }
            }
        }
        gauge.finish();
        gauge.finish();
        while let Ok(Input::Measured(Measured::Stt { audio })) = told.try_recv() {
            sum += audio;
        }
        assert!(
            sum >= 1000 * FRAME - STT_STRETCH && sum <= 1000 * FRAME,
            "{sum:?}"
        );
    }

    #[test]
    fn idle_time_counts_from_the_end_of_speech() {
        let (facts, mut told) = mpsc::channel(9);
        let mut gauge = Gauge::new(facts);
        gauge.found(&input::Vad::SpeechStarted { speech: FRAME });
        for _ in 0..50 {
            gauge.judged(FRAME, Duration::from_micros(100));
        }
        gauge.found(&input::Vad::SpeechEnded {
            speech: FRAME,
            silence: FRAME,
        });
        for _ in 0..50 {
            gauge.judged(FRAME, Duration::from_micros(100));
        }
        let mut next = || match told.try_recv().unwrap() {
            Input::Measured(Measured::Vad {
                idle, inference, ..
            }) => (idle, inference),
            other => unreachable!("{other:?}"),
        };
        assert_eq!(next(), (Duration::ZERO, Duration::from_millis(5)));
        assert_eq!(next(), (Duration::from_secs(1), Duration::from_millis(5)));
    }
}

//! The agent's 24 kHz sound becomes Opus packets of 20 ms.

use std::time::{Duration, Instant};

use antiphon_agent::AudioOutput;
use antiphon_audio::opus::SILENCE_20_MS;
use antiphon_audio::{AudioError, Frame24k, OpusEncoder, audio_level};
use antiphon_client::LocalAudioTrack;
use bytes::Bytes;

use crate::load::Deadlines;

/// One packet.
const FRAME: Duration = Duration::from_millis(20);
/// RTP ticks of one packet: 20 ms at 48 kHz.
const TICKS: u64 = 960;
/// Packets of silence at the end of a talk spurt, so that no receiver conceals what is no loss.
const CLOSING_SILENCE: usize = 3;
/// RFC 6464: no sound.
const SILENT: u8 = 127;

/// The agent's mouth in a room.
pub(super) struct RoomVoice {
    track: LocalAudioTrack,
    encoder: OpusEncoder<24_000>,
    clock: SpurtClock,
    pace: Pace,
    deadlines: Deadlines,
}

impl RoomVoice {
    /// `start` is where the track's RTP time begins; how punctually frames leave is counted in `deadlines`.
    pub(super) fn new(
        track: LocalAudioTrack,
        start: Instant,
        deadlines: Deadlines,
    ) -> Result<Self, AudioError> {
        Ok(Self {
            track,
            encoder: OpusEncoder::new()?,
            clock: SpurtClock::new(start),
            pace: Pace::default(),
            deadlines,
        })
    }
}

impl AudioOutput for RoomVoice {
    fn play(&mut self, frame: &Frame24k) {
        let now = Instant::now();
        let (timestamp, marker) = self.clock.next(now);
        self.deadlines.left(self.pace.lateness(now, marker));
        match self.encoder.encode(frame) {
            Ok(packet) => self.track.send_opus(
                Bytes::copy_from_slice(packet),
                timestamp,
                marker,
                audio_level(frame),
            ),
            Err(error) => tracing::error!(%error, "a frame of the agent could not be encoded"),
        }
    }

    fn idle(&mut self) {
        for _ in 0..CLOSING_SILENCE {
            let (timestamp, marker) = self.clock.next(Instant::now());
            self.track.send_opus(
                Bytes::from_static(&SILENCE_20_MS),
                timestamp,
                marker,
                SILENT,
            );
        }
        self.clock.pause();
    }
}

/// How late frames of one spurt leave, measured from the most punctual one.
#[derive(Debug, Default)]
struct Pace {
    next: Option<Instant>,
}

impl Pace {
    fn lateness(&mut self, now: Instant, is_first: bool) -> Duration {
        let due = match self.next {
            Some(due) if !is_first => due.min(now),
            _ => now,
        };
        self.next = Some(due + FRAME);
        now.duration_since(due)
    }
}

/// RTP time: steps of one packet while speaking, wall time across pauses.
struct SpurtClock {
    start: Instant,
    next: u64,
    speaking: bool,
}

impl SpurtClock {
    fn new(start: Instant) -> Self {
        Self {
            start,
            next: 0,
            speaking: false,
        }
    }

    /// Time stamp and marker of the next packet.
    fn next(&mut self, now: Instant) -> (u64, bool) {
        let marker = !self.speaking;
        if marker {
            let elapsed = now.duration_since(self.start).as_millis() as u64 * 48;
            // Forward only, and on the grid of the packets before.
            self.next = self.next.max(elapsed.next_multiple_of(TICKS));
        }
        self.speaking = true;
        let timestamp = self.next;
        self.next += TICKS;
        (timestamp, marker)
    }

    fn pause(&mut self) {
        self.speaking = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_late_by_what_it_leaves_after_its_place_in_the_spurt() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut pace = Pace::default();
        let late = |pace: &mut Pace, at, first| pace.lateness(start + ms(at), first).as_millis();
        assert_eq!(late(&mut pace, 0, true), 0);
        assert_eq!(late(&mut pace, 20, false), 0);
        assert_eq!(late(&mut pace, 100, false), 60);
        // The driver catches up at once: the rest is in time, or a little late.
        assert_eq!(late(&mut pace, 100, false), 40);
        assert_eq!(late(&mut pace, 100, false), 20);
        assert_eq!(late(&mut pace, 100, false), 0);
        // A new spurt begins anew.
        assert_eq!(late(&mut pace, 5000, true), 0);
    }

    #[test]
    fn a_pause_lets_rtp_time_go_on_and_marks_the_next_spurt() {
        let start = Instant::now();
        let mut clock = SpurtClock::new(start);
        assert_eq!(clock.next(start), (0, true));
        assert_eq!(clock.next(start), (960, false));
        clock.pause();
        assert_eq!(clock.next(start), (1920, true));
        clock.pause();
        assert_eq!(clock.next(start + Duration::from_secs(1)), (48_000, true));
    }
}

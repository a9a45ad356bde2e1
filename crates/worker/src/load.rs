//! What this worker can still carry: its sessions against what it may have, and whether their sound leaves in time.
//!
//! How busy the machine is does not count. A compiler beside an idle worker takes the processor only while nobody else
//! wants it; a worker that cannot keep up shows it in frames that leave late, whatever the processor's use is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Samples that are remembered, one every half second: ten seconds.
const SAMPLES: usize = 20;
/// Frames that say something: two seconds of one voice.
const ENOUGH_FRAMES: u64 = 100;
/// A frame of 20 ms that leaves so much after its time is heard as a gap: listeners' jitter buffers hold 40 to 60 ms.
pub const LATE: Duration = Duration::from_millis(40);
/// This share of late frames is as much as can be borne: the strain is 1.
const UNBEARABLE: f32 = 0.05;

/// Counts the frames of the agents' voices, and those that left late. Cloning is cheap; the copies count together.
#[derive(Clone, Debug, Default)]
pub struct Deadlines {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    frames: AtomicU64,
    late: AtomicU64,
}

impl Deadlines {
    /// A frame has left so much after its time.
    pub fn left(&self, lateness: Duration) {
        self.counts.frames.fetch_add(1, Ordering::Relaxed);
        if lateness > LATE {
            self.counts.late.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn read(&self) -> (u64, u64) {
        let frames = self.counts.frames.load(Ordering::Relaxed);
        (frames, self.counts.late.load(Ordering::Relaxed))
    }
}

/// Turns missed deadlines into a strain from 0 to 1.
#[derive(Debug, Default)]
pub(crate) struct StrainMeter {
    samples: VecDeque<(u64, u64)>,
}

impl StrainMeter {
    /// Look now; called every half second.
    pub(crate) fn sample(&mut self, deadlines: &Deadlines) -> f32 {
        self.add(deadlines.read())
    }

    fn add(&mut self, now: (u64, u64)) -> f32 {
        self.samples.push_back(now);
        if self.samples.len() > SAMPLES {
            self.samples.pop_front();
        }
        let then = self.samples.front().copied().unwrap_or(now);
        let (frames, late) = (now.0.saturating_sub(then.0), now.1.saturating_sub(then.1));
        if frames < ENOUGH_FRAMES {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let share = late as f32 / frames as f32;
        (share / UNBEARABLE).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_worker_has_no_strain_whatever_the_machine_does() {
        let mut meter = StrainMeter::default();
        for _ in 0..100 {
            assert_eq!(meter.sample(&Deadlines::default()), 0.0);
        }
    }

    #[test]
    fn strain_is_the_share_of_late_frames_of_the_last_seconds_and_goes_away() {
        let mut meter = StrainMeter::default();
        assert_eq!(meter.add((0, 0)), 0.0);
        assert!((meter.add((1000, 25)) - 0.5).abs() < 1e-6);
        assert_eq!(meter.add((1200, 200)), 1.0);
        for n in 0..SAMPLES as u64 {
            meter.add((1200 + n * 50, 200));
        }
        assert_eq!(meter.add((3000, 200)), 0.0);
    }

    #[test]
    fn a_frame_within_a_listeners_jitter_buffer_is_not_late() {
        let deadlines = Deadlines::default();
        deadlines.left(Duration::from_millis(39));
        deadlines.clone().left(Duration::from_millis(41));
        assert_eq!(deadlines.read(), (2, 1));
    }
}

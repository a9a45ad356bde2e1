//! Several callers become one sound: what each has said since the last 20 ms, added up.

use std::collections::BTreeMap;
use std::time::Duration;

use antiphon_audio::Frame16k;
use antiphon_telemetry::names::DROPPED_TOTAL;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// One frame.
const TICK: Duration = Duration::from_millis(20);
/// Frames of all callers together that may wait for the mixer.
const QUEUE: usize = 512;
/// Frames of one caller that may wait: more than a second.
const ENTRANCE: usize = 64;

/// Where a caller's sound goes. Cloning is cheap; the mixer ends with the last clone.
#[derive(Clone, Debug)]
pub(super) struct Mixer {
    frames: mpsc::Sender<(u64, Frame16k)>,
}

impl Mixer {
    /// A mixer whose sound goes here.
    pub(super) fn start(out: mpsc::Sender<Frame16k>) -> Self {
        let (frames, inbox) = mpsc::channel(QUEUE);
        tokio::spawn(mix(inbox, out));
        Self { frames }
    }

    /// The entrance for one caller.
    pub(super) fn entrance(&self, source: u64) -> mpsc::Sender<Frame16k> {
        let (sender, mut frames) = mpsc::channel(ENTRANCE);
        let mixer = self.frames.clone();
        tokio::spawn(async move {
            while let Some(frame) = frames.recv().await {
                if mixer.send((source, frame)).await.is_err() {
                    return;
                }
            }
        });
        sender
    }
}

async fn mix(mut inbox: mpsc::Receiver<(u64, Frame16k)>, out: mpsc::Sender<Frame16k>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said: BTreeMap<u64, Vec<i16>> = BTreeMap::new();
    loop {
        tokio::select! {
            frame = inbox.recv() => match frame {
                Some((source, frame)) => said.entry(source).or_default().extend(frame.into_samples()),
                None => return,
            },
            _ = ticks.tick() => {
                let mixed = sum(&std::mem::take(&mut said));
                // Real-time sound waits for nobody.
                if !mixed.is_empty() && out.try_send(Frame16k::new(mixed)).is_err() {
                    if out.is_closed() {
                        return;
                    }
                    metrics::counter!(DROPPED_TOTAL, "queue" => "audio_in").increment(1);
                }
            }
        }
    }
}

/// Added up; too loud is cut off.
fn sum(said: &BTreeMap<u64, Vec<i16>>) -> Vec<i16> {
    let longest = said.values().map(Vec::len).max().unwrap_or(0);
    let at = |n: usize| {
        let samples = said.values().filter_map(|samples| samples.get(n));
        let sum: i32 = samples.map(|&sample| i32::from(sample)).sum();
        i16::try_from(sum).unwrap_or(if sum < 0 { i16::MIN } else { i16::MAX })
    };
    (0..longest).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_voices_are_added_and_never_wrap_around() {
        let said = BTreeMap::from([(1, vec![10, i16::MAX, i16::MIN]), (2, vec![-3, 1, -1, 7])]);
        assert_eq!(sum(&said), [7, i16::MAX, i16::MIN, 7]);
        assert!(sum(&BTreeMap::new()).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_is_heard_in_one_stream() {
        let (out, mut heard) = mpsc::channel(64);
        let mixer = Mixer::start(out);
        let (ann, bob) = (mixer.entrance(1), mixer.entrance(2));
        let frame = |value| Frame16k::new(vec![value; 320]);
        let _ = (ann.send(frame(1)).await, bob.send(frame(10)).await);
        let mut total = 0;
        while total < 11 * 320 {
            let mixed = heard.recv().await.map(Frame16k::into_samples);
            total += mixed.into_iter().flatten().map(i32::from).sum::<i32>();
        }
        assert_eq!(total, 11 * 320);
    }
}

//! The caller's packets become 16 kHz sound in real time: reordered, concealed, with silence where the sender paused. What
//! was said before the agent came goes before them.

use std::pin::pin;
use std::time::Duration;

use antiphon_audio::jitter::Output;
use antiphon_audio::{AudioError, Frame16k, JitterBuffer, OpusDecoder};
use antiphon_client::AudioStream;
use antiphon_telemetry::names::DROPPED_TOTAL;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::early::{self, Expected};

/// Pushed after a track's end, so that the recogniser finishes its words (LiveKit's 0.5 s).
const FLUSH: Duration = Duration::from_millis(500);

/// Sound that was recorded, or kept meanwhile, is handed on in frames of 100 ms: ten seconds of it come at once, and fit into
/// the queue of a recogniser that is still connecting.
const STRETCH_SAMPLES: usize = Frame16k::RATE_HZ as usize / 10;

/// Listen to this track until it ends; first to what was recorded of it.
pub(super) async fn hear(
    mut packets: AudioStream,
    recorded: Option<Expected>,
    ears: mpsc::Sender<Frame16k>,
) -> Result<(), AudioError> {
    let mut decoder = OpusDecoder::<16_000>::new()?;
    let mut jitter = JitterBuffer::new();
    // live sound that waits for the recording: as much as comes until that is given up
    let mut kept = recorded.is_some().then(Vec::new);
    let mut recorded = pin!(async {
        match recorded {
            Some(expected) => early::sound(expected).await,
            None => Frame16k::default(),
        }
    });
    loop {
        while let Some(frame) = next(&mut jitter, &mut decoder) {
            match &mut kept {
                Some(kept) => kept.extend(frame.into_samples()),
                None => give(&ears, frame),
            }
        }
        let deadline = jitter.deadline().map(Instant::from_std);
        let wait = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            packet = packets.recv() => match packet {
                Some(packet) => jitter.push(packet.sequence, packet.timestamp, packet.payload, packet.received),
                None => break,
            },
            sound = &mut recorded, if kept.is_some() => {
                give_all(&ears, sound, kept.take().unwrap_or_default()).await;
            }
            () = wait => {}
        }
    }
    if let Some(kept) = kept {
        give_all(&ears, recorded.await, kept).await;
    }
    for _ in 0..FLUSH.as_millis() / 20 {
        give(&ears, Frame16k::silence(Duration::from_millis(20)));
    }
    Ok(())
}

/// The next sound; `None` when it is not yet time.
fn next(jitter: &mut JitterBuffer, decoder: &mut OpusDecoder<16_000>) -> Option<Frame16k> {
    loop {
        let sound = match jitter.pop(std::time::Instant::now()) {
            Output::Packet(packet) => decoder.decode(&packet.payload),
            Output::Lost {
                duration,
                next: Some(next),
            } => decoder.recover(&next, duration),
            Output::Lost {
                duration,
                next: None,
            } => decoder.conceal(duration),
            Output::Silence { duration } => Ok(Frame16k::silence(duration)),
            Output::Nothing => return None,
        };
        match sound {
            Ok(frame) => return Some(frame),
            Err(error) => {
                tracing::debug!(%error, "a packet of the caller is not Opus and was left out")
            }
        }
    }
}

/// What was recorded and what was kept, without a loss: it is not bound to real time.
async fn give_all(ears: &mpsc::Sender<Frame16k>, recorded: Frame16k, kept: Vec<i16>) {
    let mut samples = recorded.into_samples();
    samples.extend(kept);
    for stretch in samples.chunks(STRETCH_SAMPLES) {
        let _ = ears.send(Frame16k::new(stretch.to_vec())).await; // the session is over
    }
}

/// Real-time sound waits for nobody.
fn give(ears: &mpsc::Sender<Frame16k>, frame: Frame16k) {
    if ears.try_send(frame).is_err() {
        metrics::counter!(DROPPED_TOTAL, "queue" => "audio_in").increment(1);
    }
}

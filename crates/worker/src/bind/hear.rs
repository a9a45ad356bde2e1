//! The caller's packets become 16 kHz sound in real time: reordered, concealed, with silence where the sender paused.

use std::time::Duration;

use antiphon_audio::jitter::Output;
use antiphon_audio::{AudioError, Frame16k, JitterBuffer, OpusDecoder};
use antiphon_room::AudioStream;
use antiphon_telemetry::names::DROPPED_TOTAL;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Pushed after a track's end, so that the recogniser finishes its words (LiveKit's 0.5 s).
const FLUSH: Duration = Duration::from_millis(500);

/// Listen to this track until it ends.
pub(super) async fn hear(
    mut packets: AudioStream,
    ears: mpsc::Sender<Frame16k>,
) -> Result<(), AudioError> {
    let mut decoder = OpusDecoder::<16_000>::new()?;
    let mut jitter = JitterBuffer::new();
    loop {
        while let Some(frame) = next(&mut jitter, &mut decoder) {
            give(&ears, frame);
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
            () = wait => {}
        }
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

/// Real-time sound waits for nobody.
fn give(ears: &mpsc::Sender<Frame16k>, frame: Frame16k) {
    if ears.try_send(frame).is_err() {
        metrics::counter!(DROPPED_TOTAL, "queue" => "audio_in").increment(1);
    }
}

//! What the caller said before the agent was there. LiveKit's clients can record the microphone while the agent is on its
//! way, and send the recording as a byte stream as soon as it has joined (LiveKit: "pre-connect audio buffer").

use std::time::Duration;

use antiphon_audio::resample::resample;
use antiphon_audio::{AudioError, Frame16k};
use antiphon_client::{ByteStream, StreamInfo, Track};
use antiphon_protocol::names::TOPIC_PRE_CONNECT_AUDIO;
use tokio::sync::oneshot;

/// How long a track's recording is waited for (LiveKit's 3 s). The live sound is kept meanwhile and comes after it.
const RECORDING_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest recording, which is where LiveKit's clients stop. Of a longer one the beginning is left out.
const RECORDING_LIMIT: Duration = Duration::from_secs(10);
/// More channels than any microphone has.
const MAX_CHANNELS: usize = 8;

/// The recording of one track, which may still be on its way.
pub(super) type Expected = oneshot::Receiver<ByteStream>;

/// Brings recordings and tracks together, whichever comes first. One of each is remembered: a caller has one microphone.
#[derive(Debug, Default)]
pub(super) struct Early {
    /// A recording whose track is not heard yet, and the track.
    arrived: Option<(String, ByteStream)>,
    /// The track that is heard now, and who waits for its recording.
    heard: Option<(String, Option<oneshot::Sender<ByteStream>>)>,
}

impl Early {
    /// This track is heard from now on. `None`: it has no recording, or had it already (a track comes again after a
    /// reconnect; to wait once more would only make the agent deaf for that time).
    pub(super) fn expect(&mut self, track: &Track) -> Option<Expected> {
        let heard_before = self
            .heard
            .as_ref()
            .is_some_and(|(sid, _)| *sid == track.sid);
        if heard_before {
            return None;
        }
        let arrived = self.arrived.take().filter(|(sid, _)| *sid == track.sid);
        let (sender, expected) = oneshot::channel();
        let (waiting, expected) = match arrived {
            Some((_, recording)) => {
                let _ = sender.send(recording);
                (None, Some(expected))
            }
            None if track.pre_connect_buffer => (Some(sender), Some(expected)),
            None => (None, None),
        };
        self.heard = Some((track.sid.clone(), waiting));
        expected
    }

    /// The caller has sent a byte stream; those of other topics are not ours.
    pub(super) fn receive(&mut self, recording: ByteStream) {
        if recording.info.topic != TOPIC_PRE_CONNECT_AUDIO {
            return;
        }
        let Some(track) = track_of(&recording.info).map(str::to_owned) else {
            tracing::warn!(
                "what the caller said before the agent came is left out: it does not say of which track it is"
            );
            return;
        };
        match &mut self.heard {
            Some((heard, waiting)) if *heard == track => {
                let taken = waiting
                    .take()
                    .is_some_and(|waiting| waiting.send(recording).is_ok());
                if !taken {
                    tracing::warn!(
                        track,
                        "what the caller said before the agent came is left out: it came too late"
                    );
                }
            }
            _ => self.arrived = Some((track, recording)),
        }
    }

    /// A byte stream of the caller has failed: nobody waits for it any longer.
    pub(super) fn failed(&mut self, info: &StreamInfo, reason: &str) {
        if info.topic != TOPIC_PRE_CONNECT_AUDIO {
            return;
        }
        tracing::warn!(
            reason,
            "what the caller said before the agent came is left out: its stream failed"
        );
        if let Some((heard, waiting)) = &mut self.heard
            && track_of(info) == Some(heard)
        {
            *waiting = None;
        }
    }
}

fn track_of(info: &StreamInfo) -> Option<&str> {
    let track = info.attributes.get("trackId")?;
    (!track.is_empty()).then_some(track)
}

/// The recorded sound, as soon as it is there; none when it does not come or cannot be read, which is logged.
pub(super) async fn sound(expected: Expected) -> Frame16k {
    let recording = match tokio::time::timeout(RECORDING_TIMEOUT, expected).await {
        Ok(Ok(recording)) => recording,
        Ok(Err(_)) => return Frame16k::default(), // its stream has failed, which was told
        Err(_) => {
            tracing::warn!(
                "the client announced a recording of what the caller said before the agent came, and did not send it"
            );
            return Frame16k::default();
        }
    };
    // seconds of sound at once: not on a thread on which others are being heard
    let read = tokio::task::spawn_blocking(move || read(&recording)).await;
    match read {
        Ok(Ok(sound)) => {
            tracing::info!(
                seconds = sound.duration().as_secs_f32(),
                "heard what the caller said before the agent came"
            );
            sound
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "what the caller said before the agent came is left out");
            Frame16k::default()
        }
        Err(_) => {
            tracing::error!("reading what the caller said before the agent came has panicked");
            Frame16k::default()
        }
    }
}

/// Why a recording cannot be heard.
#[derive(Debug, thiserror::Error)]
enum RecordingError {
    #[error("it does not say its {0}, or none that can be")]
    Attribute(&'static str),
    #[error("the client recorded {0}, and only PCM of 16 bits can be read")]
    Format(String),
    #[error("its sound cannot be brought to 16 kHz: {0}")]
    Audio(#[from] AudioError),
}

fn read(recording: &ByteStream) -> Result<Frame16k, RecordingError> {
    let number = |name| {
        let value = recording.info.attributes.get(name)?;
        value.parse::<u32>().ok()
    };
    let mime = recording.info.mime_type.as_str();
    // Clients that send PCM say nothing, or that it is bytes. Browsers record a container: WebM, and Safari MP4.
    let contains = |part| mime.contains(part);
    if ["opus", "webm", "mp4", "ogg"].into_iter().any(contains) {
        return Err(RecordingError::Format(mime.chars().take(80).collect()));
    }
    let rate_hz = number("sampleRate").ok_or(RecordingError::Attribute("sampleRate"))?;
    let channels = number("channels")
        .and_then(|channels| usize::try_from(channels).ok())
        .filter(|channels| (1..=MAX_CHANNELS).contains(channels))
        .ok_or(RecordingError::Attribute("channels"))?;
    let (samples, _odd) = recording.content.as_chunks::<2>();
    let mono: Vec<i16> = samples
        .chunks_exact(channels)
        .map(|moment| {
            let sum: i32 = moment
                .iter()
                .map(|&sample| i32::from(i16::from_le_bytes(sample)))
                .sum();
            (sum / moment.len() as i32) as i16
        })
        .collect();
    let limit = u128::from(rate_hz) * RECORDING_LIMIT.as_millis() / 1000;
    let over = mono
        .len()
        .saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
    if over > 0 {
        tracing::warn!(
            limit = ?RECORDING_LIMIT,
            "the caller spoke for long before the agent came; the beginning is left out"
        );
    }
    Ok(resample(mono.get(over..).unwrap_or_default(), rate_hz)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use antiphon_client::TrackSource;
    use std::collections::HashMap;
    use std::sync::Arc;

    fn track(sid: &str, pre_connect_buffer: bool) -> Track {
        Track {
            sid: sid.into(),
            name: String::new(),
            kind: livekit_protocol::TrackType::Audio,
            source: TrackSource::Microphone,
            muted: false,
            pre_connect_buffer,
        }
    }

    fn recording(attributes: &[(&str, &str)], mime_type: &str, samples: &[i16]) -> ByteStream {
        let attributes = attributes
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()));
        let info = Arc::new(StreamInfo {
            stream_id: "s".into(),
            identity: "ann".into(),
            topic: TOPIC_PRE_CONNECT_AUDIO.into(),
            mime_type: mime_type.into(),
            attributes: attributes.collect(),
            timestamp_ms: 0,
        });
        ByteStream {
            info,
            name: String::new(),
            content: samples
                .iter()
                .flat_map(|sample| sample.to_le_bytes())
                .collect(),
            attributes: HashMap::new(),
        }
    }

    const PCM: &str = "application/octet-stream";

    /// A tenth of a second of the track.
    fn of(sid: &str) -> ByteStream {
        let attributes = [("trackId", sid), ("sampleRate", "16000"), ("channels", "1")];
        recording(&attributes, PCM, &[5; 1600])
    }

    #[tokio::test(start_paused = true)]
    async fn a_recording_is_heard_whether_it_comes_before_its_track_or_after_it() {
        let mut early = Early::default();
        early.receive(of("TR_1"));
        let expected = early.expect(&track("TR_1", true)).unwrap();
        assert_eq!(sound(expected).await.samples(), [5; 1600]);
        let expected = early.expect(&track("TR_2", true)).unwrap();
        early.receive(of("TR_2"));
        assert_eq!(sound(expected).await.samples(), [5; 1600]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_recording_that_does_not_come_is_waited_for_once_and_not_for_long() {
        let mut early = Early::default();
        let expected = early.expect(&track("TR_1", true)).unwrap();
        early.receive(of("TR_other"));
        let began = tokio::time::Instant::now();
        assert!(sound(expected).await.is_empty());
        assert_eq!(began.elapsed().as_secs(), RECORDING_TIMEOUT.as_secs());
        early.receive(of("TR_1")); // too late
        assert!(
            early.expect(&track("TR_1", true)).is_none(),
            "after a reconnect"
        );
        assert!(
            early.expect(&track("TR_2", false)).is_none(),
            "none is announced"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_fails_ends_the_wait() {
        let mut early = Early::default();
        let expected = early.expect(&track("TR_1", true)).unwrap();
        early.failed(&of("TR_1").info, "it is too long");
        let began = tokio::time::Instant::now();
        assert!(sound(expected).await.is_empty());
        assert!(began.elapsed().is_zero());
    }

    #[test]
    fn two_channels_of_48_khz_become_one_of_16_khz() {
        let attributes = [("sampleRate", "48000"), ("channels", "2")];
        let stereo: Vec<i16> = [1000, 3000].repeat(48_000);
        let sound = read(&recording(&attributes, PCM, &stereo)).unwrap();
        assert_eq!(sound.duration(), Duration::from_secs(1));
        let middle = sound.samples().get(8000).unwrap();
        assert!((1990..=2010).contains(middle), "{middle}");
    }

    #[test]
    fn of_a_long_recording_the_end_is_heard() {
        let attributes = [("sampleRate", "16000"), ("channels", "1")];
        let mut long = vec![1; 20 * 16_000];
        long.extend([7; 16_000]);
        let sound = read(&recording(&attributes, PCM, &long)).unwrap();
        assert_eq!(sound.duration(), RECORDING_LIMIT);
        assert_eq!(sound.samples().last(), Some(&7));
    }

    #[test]
    fn bad_recordings_are_refused_in_words() {
        let refused = |attributes: &[(&str, &str)], mime, samples: &[i16]| {
            read(&recording(attributes, mime, samples))
                .unwrap_err()
                .to_string()
        };
        let good = [("sampleRate", "48000"), ("channels", "1")];
        assert!(refused(&good, "audio/webm;codecs=opus", &[]).contains("audio/webm;codecs=opus"));
        assert!(refused(&[], PCM, &[1]).contains("sampleRate"));
        assert!(refused(&[("sampleRate", "48000")], PCM, &[1]).contains("channels"));
        for channels in ["0", "9", "-1", "two"] {
            let attributes = [("sampleRate", "48000"), ("channels", channels)];
            assert!(refused(&attributes, PCM, &[1]).contains("channels"));
        }
        let fast = [("sampleRate", "4000000000"), ("channels", "1")];
        assert!(refused(&fast, PCM, &[1]).contains("16 kHz"));
        assert!(read(&recording(&good, PCM, &[])).unwrap().is_empty());
    }
}

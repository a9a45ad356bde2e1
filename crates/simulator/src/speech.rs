//! A voice: flite where it is installed, so that a recogniser understands it, tones otherwise.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::OnceCell;

/// OpenAI's rate.
pub(crate) const RATE_HZ: u32 = 24_000;
/// What flite speaks.
const FLITE_RATE_HZ: u32 = 16_000;
/// Texts that are kept; a bench speaks the same few again and again.
const MAX_CACHED: usize = 256;
/// Longer text is cut: nobody listens to it.
const MAX_CHARS: usize = 4096;

/// One text, spoken once however many ask for it.
type Spoken = Arc<OnceCell<Arc<[i16]>>>;

/// Text to 24 kHz samples.
#[derive(Debug, Default)]
pub(crate) struct Voice {
    cache: Mutex<HashMap<String, Spoken>>,
}

impl Voice {
    /// Speak; who asks for the same text at the same time waits for the same sound.
    pub(crate) async fn speak(&self, text: &str) -> Arc<[i16]> {
        let text: String = text.chars().take(MAX_CHARS).collect();
        let spoken = self.entry(&text);
        let speak = async || flite(&text).await.unwrap_or_else(|| tones(&text)).into();
        Arc::clone(spoken.get_or_init(speak).await)
    }

    fn entry(&self, text: &str) -> Spoken {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        match cache.get(text) {
            Some(spoken) => Arc::clone(spoken),
            None if cache.len() >= MAX_CACHED => Arc::default(),
            None => Arc::clone(cache.entry(text.to_owned()).or_default()),
        }
    }
}

async fn flite(text: &str) -> Option<Vec<i16>> {
    let folder = tempfile::tempdir().ok()?;
    let (words, sound) = (
        folder.path().join("words.txt"),
        folder.path().join("speech.wav"),
    );
    tokio::fs::write(&words, text).await.ok()?;
    let mut command = tokio::process::Command::new("flite");
    command
        .args(["-voice", "slt", "-f"])
        .arg(&words)
        .arg("-o")
        .arg(&sound);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if !command.status().await.ok()?.success() {
        return None;
    }
    read_wav(&sound).await
}

async fn read_wav(path: &Path) -> Option<Vec<i16>> {
    let bytes = tokio::fs::read(path).await.ok()?;
    // flite writes the plain 44-byte header.
    let rate = u32::from_le_bytes(bytes.get(24..28)?.try_into().ok()?);
    let samples: Vec<i16> = bytes
        .get(44..)?
        .chunks_exact(2)
        .filter_map(|pair| pair.try_into().ok().map(i16::from_le_bytes))
        .collect();
    (rate == FLITE_RATE_HZ && !samples.is_empty()).then(|| upsampled(&samples))
}

/// Two samples to three, on straight lines.
fn upsampled(samples: &[i16]) -> Vec<i16> {
    let at = |index: usize| {
        samples
            .get(index)
            .or(samples.last())
            .copied()
            .map_or(0, i32::from)
    };
    let count = samples.len() * 3 / 2;
    (0..count)
        .map(|n| {
            let (index, third) = (n * 2 / 3, n * 2 % 3);
            let share = i32::try_from(third).unwrap_or(0);
            let value = (at(index) * (3 - share) + at(index + 1) * share) / 3;
            i16::try_from(value).unwrap_or_default()
        })
        .collect()
}

/// 60 ms of tone for each letter, its pitch from the letter, 60 ms of silence for the rest: as long as speech would be.
fn tones(text: &str) -> Vec<i16> {
    let length = RATE_HZ as usize * 60 / 1000;
    let mut samples = Vec::with_capacity(text.len() * length);
    for character in text.chars() {
        let pitch_hz = 200.0 + 20.0 * f64::from(u32::from(character.to_ascii_lowercase()) % 32);
        let loud = if character.is_alphanumeric() {
            8000.0
        } else {
            0.0
        };
        samples.extend((0..length).map(|n| {
            let phase = n as f64 * pitch_hz / f64::from(RATE_HZ) * std::f64::consts::TAU;
            (phase.sin() * loud) as i16
        }));
    }
    samples
}

/// The sound as raw PCM.
pub(crate) fn pcm(samples: &[i16]) -> Bytes {
    samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect()
}

/// The header of a WAV whose length is not known, as OpenAI streams it.
pub(crate) fn wav_header() -> Bytes {
    let mut header = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    header.extend(RATE_HZ.to_le_bytes());
    header.extend((RATE_HZ * 2).to_le_bytes());
    header.extend(b"\x02\0\x10\0data\xff\xff\xff\xff");
    header.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn longer_text_sounds_longer_and_is_loud_enough_to_be_heard() {
        let voice = Voice::default();
        let short = voice.speak("Hello.").await;
        let long = voice
            .speak("Hello, we are open from five to eleven this evening.")
            .await;
        assert!(long.len() > short.len() + RATE_HZ as usize);
        assert!(short.iter().any(|sample| sample.unsigned_abs() > 2000));
        assert!(Arc::ptr_eq(&short, &voice.speak("Hello.").await));
    }

    #[test]
    fn without_flite_the_length_still_follows_the_text() {
        assert_eq!(tones("abcd").len(), 4 * tones("a").len());
    }
}

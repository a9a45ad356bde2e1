//! Bytes of speech to frames, without I/O: raw 24 kHz little-endian PCM, or WAV from servers that answer WAV to every
//! request. Pieces may be cut anywhere.

use antiphon_audio::Frame24k;

/// What the pipeline speaks.
const RATE_HZ: u32 = Frame24k::RATE_HZ;
/// A header with more than this before its sound (pictures, long comments) is refused.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Hears bytes, gives frames.
#[derive(Debug, Default)]
pub(crate) struct PcmReader {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Not enough bytes to know what it is.
    Unknown(Vec<u8>),
    Sound(Sound),
}

impl Default for State {
    fn default() -> Self {
        Self::Unknown(Vec::new())
    }
}

#[derive(Debug)]
struct Sound {
    channels: usize,
    resampler: Option<Linear>,
    /// The bytes of a sample that is not whole yet.
    rest: Vec<u8>,
    /// Bytes of the WAV's sound that are still to come; what follows is no sound.
    left: Option<u64>,
}

impl PcmReader {
    /// The sound in these bytes, possibly none.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Option<Frame24k>, String> {
        if let State::Unknown(head) = &mut self.state {
            head.extend_from_slice(bytes);
            let Some((sound, offset)) = recognise(head)? else {
                return Ok(None);
            };
            let body = head.split_off(offset.min(head.len()));
            self.state = State::Sound(sound);
            return Ok(self.sound(&body));
        }
        Ok(self.sound(bytes))
    }

    fn sound(&mut self, bytes: &[u8]) -> Option<Frame24k> {
        match &mut self.state {
            State::Sound(sound) => sound.push(bytes),
            State::Unknown(_) => None,
        }
    }

    /// No more bytes: sound that was too short to be recognised as anything is raw PCM.
    pub(crate) fn finish(self) -> Option<Frame24k> {
        match self.state {
            State::Unknown(head) if head.len() >= 2 => Some(Frame24k::from_le_bytes(&head)),
            State::Unknown(_) | State::Sound(_) => None,
        }
    }
}

impl Sound {
    fn raw() -> Self {
        Self {
            channels: 1,
            resampler: None,
            rest: Vec::new(),
            left: None,
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Option<Frame24k> {
        let bytes = match &mut self.left {
            Some(left) => {
                let taken = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                *left -= taken as u64;
                bytes.get(..taken).unwrap_or(bytes)
            }
            None => bytes,
        };
        self.rest.extend_from_slice(bytes);
        let step = 2 * self.channels;
        let whole = self.rest.len() - self.rest.len() % step;
        let rest = self.rest.split_off(whole);
        let block = std::mem::replace(&mut self.rest, rest);
        let frame = Frame24k::from_le_bytes(&block);
        let channels = i32::try_from(self.channels).unwrap_or(1);
        let mono = if self.channels == 1 {
            frame
        } else {
            let mixed = frame.samples().chunks_exact(self.channels).map(|all| {
                let sum: i32 = all.iter().map(|&sample| i32::from(sample)).sum();
                i16::try_from(sum / channels).unwrap_or_default()
            });
            Frame24k::new(mixed.collect())
        };
        let frame = match &mut self.resampler {
            Some(resampler) => Frame24k::new(resampler.push(mono.samples())),
            None => mono,
        };
        (!frame.is_empty()).then_some(frame)
    }
}

/// What these bytes begin, and where its sound begins; `None`: more bytes are needed.
fn recognise(head: &[u8]) -> Result<Option<(Sound, usize)>, String> {
    let Some(magic) = head.get(..4) else {
        return Ok(None);
    };
    let compressed = match magic {
        b"OggS" => Some("Ogg"),
        b"fLaC" => Some("FLAC"),
        [b'I', b'D', b'3', _] => Some("MP3"),
        _ => None,
    };
    if let Some(format) = compressed {
        return Err(format!(
            "{format} instead of PCM or WAV; the server does not know response_format=pcm"
        ));
    }
    if magic != b"RIFF" {
        return Ok(Some((Sound::raw(), 0)));
    }
    match head.get(8..12) {
        None => Ok(None),
        Some(b"WAVE") => wav(head),
        Some(_) => Ok(Some((Sound::raw(), 0))),
    }
}

/// Chunks of a WAV up to its sound. A streamed WAV does not know its length and says 0 or 2^32 - 1.
fn wav(head: &[u8]) -> Result<Option<(Sound, usize)>, String> {
    let mut at = 12;
    let mut sound = None;
    loop {
        if at > MAX_HEADER_BYTES {
            return Err(format!(
                "a WAV whose header is longer than {MAX_HEADER_BYTES} bytes"
            ));
        }
        let (Some(name), Some(length)) = (head.get(at..at + 4), u32_at(head, at + 4)) else {
            return Ok(None);
        };
        at += 8;
        match name {
            b"fmt " => {
                let Some(format) = head.get(at..at + 16) else {
                    return Ok(None);
                };
                sound = Some(format_of(format)?);
            }
            b"data" => {
                let mut sound = sound.ok_or("a WAV without format")?;
                sound.left = (length != 0 && length < 0x7fff_ffff).then_some(u64::from(length));
                return Ok(Some((sound, at)));
            }
            _ => {}
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        at = at.saturating_add(length).saturating_add(length % 2);
    }
}

fn format_of(format: &[u8]) -> Result<Sound, String> {
    let (kind, channels, bits) = (u16_at(format, 0), u16_at(format, 2), u16_at(format, 14));
    let rate = u32_at(format, 4).unwrap_or_default();
    let pcm = matches!(kind, Some(1 | 0xfffe)) && bits == Some(16);
    let (Some(channels @ 1..=2), true, 8_000..=48_000) = (channels, pcm, rate) else {
        return Err(format!(
            "a WAV that is not 16-bit PCM with 1 or 2 channels and 8 to 48 kHz ({kind:?}, {channels:?}, {bits:?}, {rate})"
        ));
    };
    let resampler = (rate != RATE_HZ).then(|| Linear::new(rate));
    Ok(Sound {
        channels: usize::from(channels),
        resampler,
        ..Sound::raw()
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..at + 2)?
        .try_into()
        .ok()
        .map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at + 4)?
        .try_into()
        .ok()
        .map(u32::from_le_bytes)
}

/// Straight lines between samples: good enough for the rare server whose voice is not 24 kHz (Piper's 22.05 kHz), streaming
/// and without delay.
#[derive(Debug)]
struct Linear {
    from_hz: u64,
    /// Position of the next output sample in input samples, times [`RATE_HZ`], relative to `last`.
    position: u64,
    last: Option<i16>,
}

impl Linear {
    fn new(from_hz: u32) -> Self {
        Self {
            from_hz: u64::from(from_hz),
            position: 0,
            last: None,
        }
    }

    fn push(&mut self, samples: &[i16]) -> Vec<i16> {
        let mut result = Vec::new();
        for &next in samples {
            let Some(last) = self.last.replace(next) else {
                continue;
            };
            let rate = u64::from(RATE_HZ);
            while self.position < rate {
                let share = i64::try_from(self.position).unwrap_or_default();
                let step = (i64::from(next) - i64::from(last)) * share / i64::from(RATE_HZ);
                result.push(i16::try_from(i64::from(last) + step).unwrap_or_default());
                self.position += self.from_hz;
            }
            self.position -= rate;
        }
        result
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<i16>, String> {
        let mut reader = PcmReader::default();
        let mut samples = Vec::new();
        for piece in pieces {
            samples.extend(
                reader
                    .push(piece)?
                    .map(Frame24k::into_samples)
                    .unwrap_or_default(),
            );
        }
        samples.extend(
            reader
                .finish()
                .map(Frame24k::into_samples)
                .unwrap_or_default(),
        );
        Ok(samples)
    }

    fn bytes_of(samples: &[i16]) -> Vec<u8> {
        Frame24k::new(samples.to_vec()).to_le_bytes()
    }

    fn wav_of(rate: u32, channels: u16, samples: &[i16], length: Option<u32>) -> Vec<u8> {
        let data = bytes_of(samples);
        let mut wav = b"RIFF\xff\xff\xff\xffWAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0\x01\0".to_vec();
        wav.extend(channels.to_le_bytes());
        wav.extend(rate.to_le_bytes());
        wav.extend((rate * 2 * u32::from(channels)).to_le_bytes());
        wav.extend((2 * channels).to_le_bytes());
        wav.extend(16_u16.to_le_bytes());
        wav.extend(b"data");
        wav.extend(
            length
                .unwrap_or(u32::try_from(data.len()).unwrap())
                .to_le_bytes(),
        );
        wav.extend(data);
        wav
    }

    #[test]
    fn a_wav_is_heard_without_its_header_and_trailer() {
        let mut wav = wav_of(24_000, 1, &[1, -2, 3], None);
        wav.extend(b"LIST\x04\0\0\0junk");
        assert_eq!(read(&[&wav]).unwrap(), [1, -2, 3]);
        assert_eq!(
            read(&[&wav_of(24_000, 1, &[1, -2, 3], Some(u32::MAX))]).unwrap(),
            [1, -2, 3]
        );
        assert_eq!(
            read(&[&wav_of(24_000, 2, &[10, 20, -4, -8], None)]).unwrap(),
            [15, -6]
        );
    }

    #[test]
    fn another_rate_keeps_its_length_and_pitch() {
        let samples: Vec<i16> = (0..22_050_i32)
            .map(|n| i16::try_from(n % 300).unwrap())
            .collect();
        let heard = read(&[&wav_of(22_050, 1, &samples, None)]).unwrap();
        assert!((23_990..=24_000).contains(&heard.len()), "{}", heard.len());
    }

    #[test]
    fn other_formats_are_refused_with_a_reason() {
        assert!(read(&[b"ID3\x04rest"]).unwrap_err().contains("MP3"));
        assert!(read(&[b"OggS...."]).unwrap_err().contains("Ogg"));
        assert!(
            read(&[&wav_of(96_000, 1, &[0], None)])
                .unwrap_err()
                .contains("96000")
        );
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_sound(
            samples in prop::collection::vec(any::<i16>(), 0..50),
            kind in 0..3,
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let bytes = match kind {
                0 => bytes_of(&samples),
                1 => wav_of(24_000, 1, &samples, None),
                _ => wav_of(16_000, 2, &samples, Some(0)),
            };
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&pieces), read(&[&bytes]));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), wav in any::<bool>()) {
            let mut all = if wav { b"RIFF....WAVE".to_vec() } else { Vec::new() };
            all.extend(bytes);
            let _ = read(&[&all]);
        }
    }
}

//! WAV files in memory: what a user gives to `--audio`, what recordings and tests write.
//!
//! Reading and writing of the format itself is the `hound` crate's; here are the limits, the mixing down, the rate, and
//! files that programs write into a pipe (espeak-ng, ffmpeg), whose header cannot know the length.

use std::io::Cursor;
use std::time::Duration;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use crate::resample::{MAX_RATE_HZ, MIN_RATE_HZ, resample_f32};
use crate::{AudioError, Frame};

/// Largest file read. Ten minutes of CD sound are 100 MB; what people ask an agent fits easily.
pub const MAX_WAV_BYTES: usize = 64 * 1024 * 1024;
/// Longest sound read: bounds memory for files with few bytes per second (8-bit telephone) after resampling.
pub const MAX_WAV_DURATION: Duration = Duration::from_secs(15 * 60);

/// Read a WAV file: PCM of 8, 16, 24 or 32 bits or 32-bit float, mono or stereo (mixed down), any rate (resampled). A file
/// shorter than its header says is read as far as it goes.
///
/// # Errors
/// [`AudioError::NotWav`], [`AudioError::DamagedWav`], [`AudioError::UnsupportedWav`], [`AudioError::WavTooLarge`] or
/// [`AudioError::ResampleRate`].
pub fn read<const HZ: u32>(file: &[u8]) -> Result<Frame<HZ>, AudioError> {
    if file.len() > MAX_WAV_BYTES {
        return Err(AudioError::WavTooLarge);
    }
    if file.get(..4) != Some(b"RIFF") || file.get(8..12) != Some(b"WAVE") {
        return Err(AudioError::NotWav);
    }
    let reader = WavReader::new(Cursor::new(canonical(file)?)).map_err(refused)?;
    let spec = reader.spec();
    if !(MIN_RATE_HZ..=MAX_RATE_HZ).contains(&spec.sample_rate) {
        return Err(AudioError::ResampleRate {
            from_hz: spec.sample_rate,
            to_hz: HZ,
        });
    }
    if !(1..=2).contains(&spec.channels) {
        return Err(AudioError::UnsupportedWav {
            what: format!("{} channels", spec.channels),
        });
    }
    if u64::from(reader.duration()) > MAX_WAV_DURATION.as_secs() * u64::from(spec.sample_rate) {
        return Err(AudioError::WavTooLarge);
    }
    resample_f32(
        mixed_down(interleaved(reader, spec)?, spec.channels).into_iter(),
        spec.sample_rate,
    )
}

/// A mono file of 16-bit PCM.
///
/// # Errors
/// [`AudioError::WavTooLarge`] when the sound does not fit into a WAV's 32-bit lengths.
pub fn write<const HZ: u32>(frame: &Frame<HZ>) -> Result<Vec<u8>, AudioError> {
    write_channels(
        HZ,
        1,
        frame.samples().iter().copied(),
        frame.samples().len(),
    )
}

/// A stereo file of 16-bit PCM for recordings: the caller on the left, the agent on the right. The shorter one is
/// followed by silence.
///
/// # Errors
/// [`AudioError::WavTooLarge`] when the sound does not fit into a WAV's 32-bit lengths.
pub fn write_stereo<const HZ: u32>(
    caller: &Frame<HZ>,
    agent: &Frame<HZ>,
) -> Result<Vec<u8>, AudioError> {
    let (left, right) = (caller.samples(), agent.samples());
    let length = left.len().max(right.len());
    let sample = |side: &[i16], index: usize| side.get(index).copied().unwrap_or(0);
    let both = (0..length).flat_map(|index| [sample(left, index), sample(right, index)]);
    write_channels(HZ, 2, both, length.saturating_mul(2))
}

fn write_channels(
    rate_hz: u32,
    channels: u16,
    samples: impl Iterator<Item = i16>,
    count: usize,
) -> Result<Vec<u8>, AudioError> {
    const HEADER_BYTES: usize = 44;
    let bytes = count
        .checked_mul(2)
        .and_then(|data| data.checked_add(HEADER_BYTES))
        .ok_or(AudioError::WavTooLarge)?;
    if u32::try_from(bytes).is_err() {
        return Err(AudioError::WavTooLarge);
    }
    let spec = WavSpec {
        channels,
        sample_rate: rate_hz,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut file = Cursor::new(Vec::with_capacity(bytes));
    let mut writer = WavWriter::new(&mut file, spec).map_err(refused)?;
    for sample in samples {
        writer.write_sample(sample).map_err(refused)?;
    }
    writer.finalize().map_err(refused)?;
    Ok(file.into_inner())
}

/// All samples, channels interleaved, as -1.0..=1.0.
fn interleaved(reader: WavReader<Cursor<Vec<u8>>>, spec: WavSpec) -> Result<Vec<f32>, AudioError> {
    match (spec.sample_format, spec.bits_per_sample) {
        (SampleFormat::Int, bits @ (8 | 16 | 24 | 32)) => {
            let scale = 1.0 / (1_u64 << (bits - 1)) as f32;
            reader
                .into_samples::<i32>()
                .map(|sample| Ok(sample.map_err(refused)? as f32 * scale))
                .collect()
        }
        (SampleFormat::Float, 32) => reader
            .into_samples::<f32>()
            .map(|sample| sample.map_err(refused))
            .collect(),
        (format, bits) => {
            let kind = if format == SampleFormat::Float {
                "float"
            } else {
                "PCM"
            };
            Err(AudioError::UnsupportedWav {
                what: format!("{bits}-bit {kind}"),
            })
        }
    }
}

fn mixed_down(samples: Vec<f32>, channels: u16) -> Vec<f32> {
    if channels < 2 {
        return samples;
    }
    let channels = usize::from(channels);
    samples
        .chunks_exact(channels)
        .map(|instant| instant.iter().sum::<f32>() / channels as f32)
        .collect()
}

/// The same file as its two chunks that matter, with true lengths. Programs that write into a pipe claim a `data` length
/// from the sky, and `hound` does not know that chunks of odd length are padded.
fn canonical(file: &[u8]) -> Result<Vec<u8>, AudioError> {
    let damaged = |reason: &str| AudioError::DamagedWav {
        reason: reason.to_owned(),
    };
    let mut format: Option<&[u8]> = None;
    let mut rest = file.get(12..).unwrap_or_default();
    while let (Some(id), Some(claimed)) = (rest.get(..4), read_u32(rest, 4)) {
        let after = rest.get(8..).unwrap_or_default();
        let claimed = usize::try_from(claimed).unwrap_or(usize::MAX);
        let body = after.get(..claimed).unwrap_or(after);
        match id {
            b"fmt " => format = Some(body),
            b"data" => {
                let format =
                    format.ok_or_else(|| damaged("its sound comes before its description"))?;
                return two_chunks(format, body);
            }
            _ => {}
        }
        rest = after
            .get(claimed.saturating_add(claimed % 2)..)
            .unwrap_or_default();
    }
    Err(damaged("it holds no sound (no data chunk)"))
}

fn two_chunks(format: &[u8], data: &[u8]) -> Result<Vec<u8>, AudioError> {
    const FLOAT: u32 = 3;
    let (Some(tag), Some(block_and_bits)) = (read_u32(format, 0), read_u32(format, 12)) else {
        return Err(AudioError::DamagedWav {
            reason: "its description (fmt chunk) is too short".to_owned(),
        });
    };
    let (block_bytes, bits) = ((block_and_bits & 0xffff) as usize, block_and_bits >> 16);
    if tag & 0xffff == FLOAT && bits != 32 {
        return Err(AudioError::UnsupportedWav {
            what: format!("{bits}-bit float"),
        });
    }
    let whole = data.len() - data.len() % block_bytes.max(1);
    let data = data.get(..whole).unwrap_or_default();
    // Both fit: files are at most `MAX_WAV_BYTES` long.
    let (format_bytes, data_bytes) = (format.len() as u32, data.len() as u32);
    let parts: [&[u8]; 8] = [
        b"RIFF",
        &(4 + 8 + format_bytes + 8 + data_bytes).to_le_bytes(),
        b"WAVEfmt ",
        &format_bytes.to_le_bytes(),
        format,
        b"data",
        &data_bytes.to_le_bytes(),
        data,
    ];
    Ok(parts.concat())
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(field.try_into().ok()?))
}

fn refused(error: hound::Error) -> AudioError {
    match error {
        hound::Error::FormatError("no RIFF tag found" | "no WAVE tag found") => AudioError::NotWav,
        hound::Error::FormatError(reason) => AudioError::DamagedWav {
            reason: reason.to_owned(),
        },
        hound::Error::IoError(_) => AudioError::DamagedWav {
            reason: "it ends too early".to_owned(),
        },
        hound::Error::UnfinishedSample => AudioError::DamagedWav {
            reason: "its last sample is incomplete".to_owned(),
        },
        hound::Error::Unsupported => AudioError::UnsupportedWav {
            what: "a codec other than PCM".to_owned(),
        },
        hound::Error::TooWide | hound::Error::InvalidSampleFormat => AudioError::UnsupportedWav {
            what: "samples of an unusual width".to_owned(),
        },
    }
}

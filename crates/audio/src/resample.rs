//! Sample rates that Opus cannot produce itself: WAV files, espeak-ng's 22.05 kHz, providers that speak at 44.1 kHz.
//!
//! Through the spectrum (flat to 0.8 of the band, aliases below -100 dB), behind an interface for frames of any length. Not for the
//! caller's sound, which Opus decodes straight to the right rate.

mod blocks;

use self::blocks::Blocks;
use crate::{AudioError, Frame};

/// Lowest rate that is resampled: telephone.
pub const MIN_RATE_HZ: u32 = 8_000;
/// Highest rate that is resampled: what studio recorders write.
pub const MAX_RATE_HZ: u32 = 192_000;

/// Streaming conversion from `IN` to `OUT` samples per second, mono. Output begins with the input's first sample (the
/// filter's delay is cut off) and, after [`flush`](Self::flush), is exactly as long as the input.
pub struct Resampler<const IN: u32, const OUT: u32> {
    converter: Converter,
}

impl<const IN: u32, const OUT: u32> std::fmt::Debug for Resampler<IN, OUT> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resampler")
            .field("from_hz", &IN)
            .field("to_hz", &OUT)
            .finish_non_exhaustive()
    }
}

impl<const IN: u32, const OUT: u32> Resampler<IN, OUT> {
    /// A resampler with an empty past. Equal rates copy.
    ///
    /// # Errors
    /// [`AudioError::ResampleRate`] for a rate outside [`MIN_RATE_HZ`]..=[`MAX_RATE_HZ`].
    pub fn new() -> Result<Self, AudioError> {
        Ok(Self {
            converter: Converter::new(IN, OUT)?,
        })
    }

    /// Hear more, any length; returns what is ready. Holds back one block (20 ms, or what the ratio needs:
    /// 27 ms from 22.05 to 24 kHz) plus half of one, the filter's delay.
    ///
    /// # Errors
    /// [`AudioError::Resample`], which no input causes.
    pub fn push(&mut self, frame: &Frame<IN>) -> Result<Frame<OUT>, AudioError> {
        let mut out = Vec::new();
        self.converter.push(
            frame.samples().iter().map(|&sample| to_f32(sample)),
            &mut out,
        )?;
        Ok(Frame::new(out))
    }

    /// The end: what was held back. The next push begins a new sound.
    ///
    /// # Errors
    /// [`AudioError::Resample`], which no input causes.
    pub fn flush(&mut self) -> Result<Frame<OUT>, AudioError> {
        let mut out = Vec::new();
        self.converter.flush(&mut out)?;
        Ok(Frame::new(out))
    }
}

/// A whole sound at once, from a rate that is known only now.
///
/// # Errors
/// [`AudioError::ResampleRate`] for a rate outside [`MIN_RATE_HZ`]..=[`MAX_RATE_HZ`].
pub fn resample<const OUT: u32>(samples: &[i16], from_hz: u32) -> Result<Frame<OUT>, AudioError> {
    resample_f32(samples.iter().map(|&sample| to_f32(sample)), from_hz)
}

/// [`resample`] for samples within -1.0..=1.0; louder ones are clipped and those that are no number are silent, before the
/// filter would spread them over everything around.
pub(crate) fn resample_f32<const OUT: u32>(
    samples: impl Iterator<Item = f32>,
    from_hz: u32,
) -> Result<Frame<OUT>, AudioError> {
    let mut converter = Converter::new(from_hz, OUT)?;
    let mut out = Vec::new();
    converter.push(samples.map(finite), &mut out)?;
    converter.flush(&mut out)?;
    Ok(Frame::new(out))
}

fn finite(sample: f32) -> f32 {
    if sample.is_nan() {
        0.0
    } else {
        sample.clamp(-1.0, 1.0)
    }
}

fn to_f32(sample: i16) -> f32 {
    f32::from(sample) / 32_768.0
}

fn to_i16(sample: f32) -> i16 {
    // `as` saturates.
    (sample * 32_768.0).round() as i16
}

/// What both faces share: rates known at run time.
struct Converter {
    from_hz: u32,
    to_hz: u32,
    /// `None` when the rates are equal.
    blocks: Option<Blocks>,
    /// Input that does not fill a block yet; shorter than one block after every call.
    pending: Vec<f32>,
    /// Output samples of the filter's delay that are still to be cut off.
    to_skip: usize,
    /// Since the last flush.
    samples_in: u64,
    samples_out: u64,
}

impl Converter {
    fn new(from_hz: u32, to_hz: u32) -> Result<Self, AudioError> {
        let allowed = MIN_RATE_HZ..=MAX_RATE_HZ;
        if !allowed.contains(&from_hz) || !allowed.contains(&to_hz) {
            return Err(AudioError::ResampleRate { from_hz, to_hz });
        }
        let blocks = if from_hz == to_hz {
            None
        } else {
            let (from, to) = block_lens(from_hz, to_hz);
            Some(Blocks::new(from, to).map_err(failed)?)
        };
        let to_skip = blocks.as_ref().map_or(0, Blocks::delay_out);
        Ok(Self {
            from_hz,
            to_hz,
            blocks,
            pending: Vec::new(),
            to_skip,
            samples_in: 0,
            samples_out: 0,
        })
    }

    fn push(
        &mut self,
        samples: impl Iterator<Item = f32>,
        out: &mut Vec<i16>,
    ) -> Result<(), AudioError> {
        let Some(block_len) = self.blocks.as_ref().map(Blocks::len_in) else {
            out.extend(samples.map(to_i16));
            return Ok(());
        };
        for sample in samples {
            self.samples_in += 1;
            self.pending.push(sample);
            if self.pending.len() == block_len {
                self.convert_block(out)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut Vec<i16>) -> Result<(), AudioError> {
        let Some(block_len) = self.blocks.as_ref().map(Blocks::len_in) else {
            return Ok(());
        };
        let wanted = (self.samples_in * u64::from(self.to_hz)).div_ceil(u64::from(self.from_hz));
        while self.samples_out < wanted {
            self.pending.resize(block_len, 0.0);
            self.convert_block(out)?;
        }
        let surplus = usize::try_from(self.samples_out - wanted).unwrap_or(0);
        out.truncate(out.len().saturating_sub(surplus));
        self.pending.clear();
        self.samples_in = 0;
        self.samples_out = 0;
        if let Some(blocks) = &mut self.blocks {
            blocks.reset();
            self.to_skip = blocks.delay_out();
        }
        Ok(())
    }

    fn convert_block(&mut self, out: &mut Vec<i16>) -> Result<(), AudioError> {
        let Some(blocks) = &mut self.blocks else {
            return Ok(());
        };
        let ready = blocks.convert(&self.pending).map_err(failed)?;
        let skipped = self.to_skip.min(ready.len());
        self.to_skip -= skipped;
        let ready = ready.get(skipped..).unwrap_or_default();
        self.samples_out += ready.len() as u64;
        out.extend(ready.iter().map(|&sample| to_i16(sample)));
        self.pending.clear();
        Ok(())
    }
}

/// Samples of a block before and after: at least 20 ms (a shorter filter cuts off more of the high band), whole in the ratio, and
/// even: the middle of a filter of odd length lies between two samples, and the sound would come out shifted by half a sample.
fn block_lens(from_hz: u32, to_hz: u32) -> (usize, usize) {
    let mut gcd = (from_hz, to_hz);
    while gcd.1 != 0 {
        gcd = (gcd.1, gcd.0 % gcd.1);
    }
    let unit = |hz: u32| 2 * (hz / gcd.0.max(1)) as usize;
    let units = (from_hz as usize / 50).div_ceil(unit(from_hz));
    (units * unit(from_hz), units * unit(to_hz))
}

fn failed(error: impl std::fmt::Display) -> AudioError {
    AudioError::Resample {
        reason: error.to_string(),
    }
}

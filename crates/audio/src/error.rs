//! What can go wrong with sound.

/// Every failure of this crate. All of them are about the data that came in; none of them breaks the object that reported
/// it, which may be used again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// Opus knows 8, 12, 16, 24 and 48 kHz.
    #[error("Opus cannot work at {rate_hz} Hz: use 8000, 12000, 16000, 24000 or 48000")]
    OpusRate {
        /// The rate in the type.
        rate_hz: u32,
    },
    /// The bytes are not an Opus packet. Treat it like a lost packet.
    #[error("this is not an Opus packet ({bytes} bytes): {reason}")]
    OpusPacket {
        /// How many bytes it had.
        bytes: usize,
        /// The codec's words.
        reason: String,
    },
    /// The encoder takes whole frames only.
    #[error("the Opus encoder takes exactly {expected} samples (20 ms), not {got}")]
    OpusFrameLength {
        /// Samples in 20 ms.
        expected: usize,
        /// Samples in the frame.
        got: usize,
    },
    /// The encoder failed, which valid input cannot cause.
    #[error("the Opus encoder failed: {reason}")]
    OpusEncode {
        /// The codec's words.
        reason: String,
    },
    /// A sample rate out of the range this program resamples.
    #[error(
        "cannot resample from {from_hz} Hz to {to_hz} Hz: rates must lie between {min} and {max} Hz",
        min = crate::resample::MIN_RATE_HZ,
        max = crate::resample::MAX_RATE_HZ
    )]
    ResampleRate {
        /// Input rate.
        from_hz: u32,
        /// Output rate.
        to_hz: u32,
    },
    /// The resampler failed, which valid input cannot cause.
    #[error("the resampler failed: {reason}")]
    Resample {
        /// The library's words.
        reason: String,
    },
    /// The file has no `RIFF`…`WAVE` header: another format, text, or an empty file.
    #[error(
        "this is not a WAV file (it does not begin with RIFF….WAVE): give a .wav with PCM inside, e.g. 16 bit, 24 kHz, mono"
    )]
    NotWav,
    /// A WAV header, but what follows contradicts it.
    #[error("the WAV file is damaged: {reason}")]
    DamagedWav {
        /// What is wrong.
        reason: String,
    },
    /// A good WAV of a kind that is not read here.
    #[error(
        "the WAV file holds {what}: save it as PCM (8, 16, 24 or 32 bit, or 32-bit float), mono or stereo"
    )]
    UnsupportedWav {
        /// Which kind.
        what: String,
    },
    /// Longer or larger than this program reads.
    #[error(
        "the WAV file is too large: at most {max_mib} MiB and {max_minutes} minutes are read",
        max_mib = crate::wav::MAX_WAV_BYTES / (1024 * 1024),
        max_minutes = crate::wav::MAX_WAV_DURATION.as_secs() / 60
    )]
    WavTooLarge,
}

//! Opus straight to and from the rates that are needed: 16 kHz for VAD and STT, 24 kHz from TTS, no resampler between.
//!
//! The codec is the `opus-pure` crate (decoder output identical to libopus). What is added here: the rate in the type, the
//! settings of a voice agent, and errors for whatever a hostile sender may put into a packet.

use std::time::Duration;

use crate::{AudioError, Frame};

/// Opus for "20 ms of silence": CELT, full band, mono, all bands empty (three bytes, the same that WebRTC stacks send while
/// a track is muted). Decodable without an encoder and at any time.
pub const SILENCE_20_MS: [u8; 3] = [0xf8, 0xff, 0xfe];

/// Largest packet accepted or produced. RFC 6716 allows 1275 bytes a frame and several frames a packet; RTP packets on the
/// internet are below one MTU. Longer ones are refused as damaged.
pub const MAX_PACKET_BYTES: usize = 1500;

/// Longest sound in one packet (RFC 6716, 3.2.5).
pub const MAX_PACKET_DURATION: Duration = Duration::from_millis(120);

/// Encoder complexity, 0 to 10. 5 costs 6.5 ms of CPU per second of speech, 9 costs 9.7 and 10 costs 12.4, and at 32 kb/s
/// of speech nobody hears the difference; with thousands of agents on a machine the encoder is the largest cost per call.
pub const DEFAULT_COMPLEXITY: u8 = 5;

/// Transparent for speech at full bandwidth; what libwebrtc uses for mono voice.
pub const DEFAULT_BITRATE_BPS: u32 = 32_000;

/// Loss that the encoder prepares for. In-band FEC is only written when some loss is expected; 5 % keeps its price below a
/// fifth of the bits and covers ordinary Wi-Fi.
pub const DEFAULT_EXPECTED_LOSS_PERCENT: u8 = 5;

/// How long this Opus packet sounds, read from its header alone. `None` if it is not Opus.
pub fn packet_duration(packet: &[u8]) -> Option<Duration> {
    let samples = opus_pure::packet::samples_48k(packet).ok()?;
    let duration = Duration::from_micros(samples as u64 * 1_000 / 48);
    (!duration.is_zero() && duration <= MAX_PACKET_DURATION).then_some(duration)
}

/// Decoder of one track to mono at `HZ` (8, 12, 16, 24 or 48 kHz); stereo packets are mixed down by the codec.
#[derive(Debug)]
pub struct OpusDecoder<const HZ: u32> {
    codec: opus_pure::OpusDecoder,
}

impl<const HZ: u32> OpusDecoder<HZ> {
    /// A fresh decoder.
    ///
    /// # Errors
    /// [`AudioError::OpusRate`] if Opus does not know the rate `HZ`.
    pub fn new() -> Result<Self, AudioError> {
        let codec = opus_pure::OpusDecoder::new(HZ as i32, 1)
            .map_err(|_| AudioError::OpusRate { rate_hz: HZ })?;
        Ok(Self { codec })
    }

    /// The sound of a packet that arrived.
    ///
    /// # Errors
    /// [`AudioError::OpusPacket`] for anything that is not Opus; the decoder stays usable.
    pub fn decode(&mut self, packet: &[u8]) -> Result<Frame<HZ>, AudioError> {
        let duration = checked_duration(packet)?;
        run(duration, packet.len(), |samples, out| {
            self.codec.decode_s16(packet, samples, out)
        })
    }

    /// Sound in place of a lost packet: the codec continues what was heard and fades out. `duration` is rounded to 2.5 ms
    /// and kept within one packet (2.5 to 120 ms).
    ///
    /// # Errors
    /// [`AudioError::OpusPacket`] if the codec refuses, which it has no reason to.
    pub fn conceal(&mut self, duration: Duration) -> Result<Frame<HZ>, AudioError> {
        run(whole_steps(duration), 0, |samples, out| {
            self.codec.decode_s16(&[], samples, out)
        })
    }

    /// The sound of a lost packet out of the redundancy (FEC) that the packet after it carries; conceals if there is none.
    /// Afterwards decode `next` itself. `duration` is that of the lost packet.
    ///
    /// # Errors
    /// [`AudioError::OpusPacket`] if `next` is not Opus.
    pub fn recover(&mut self, next: &[u8], duration: Duration) -> Result<Frame<HZ>, AudioError> {
        checked_duration(next)?;
        run(whole_steps(duration), next.len(), |samples, out| {
            self.codec.decode_fec_s16(next, samples, out)
        })
    }

    /// Forget the past (another speaker, or a long gap).
    pub fn reset(&mut self) {
        // Fails for no input there is; a decoder that remembers too much is still a decoder.
        let _ = self.codec.reset_state();
    }
}

fn checked_duration(packet: &[u8]) -> Result<Duration, AudioError> {
    let refuse = |reason: &str| AudioError::OpusPacket {
        bytes: packet.len(),
        reason: reason.to_owned(),
    };
    if packet.is_empty() {
        return Err(refuse("it is empty"));
    }
    if packet.len() > MAX_PACKET_BYTES {
        return Err(refuse("it is longer than an RTP packet can be"));
    }
    packet_duration(packet).ok_or_else(|| refuse("its header describes no valid length"))
}

fn whole_steps(duration: Duration) -> Duration {
    const STEP: Duration = Duration::from_micros(2_500);
    let steps = duration.min(MAX_PACKET_DURATION).as_micros() / STEP.as_micros();
    STEP * u32::try_from(steps).unwrap_or(1).max(1)
}

fn run<const HZ: u32>(
    duration: Duration,
    bytes: usize,
    decode: impl FnOnce(usize, &mut [i16]) -> opus_pure::Result<usize>,
) -> Result<Frame<HZ>, AudioError> {
    let samples = usize::try_from(duration.as_micros() * u128::from(HZ) / 1_000_000).unwrap_or(0);
    let mut out = vec![0_i16; samples];
    let written = decode(samples, &mut out).map_err(|error| AudioError::OpusPacket {
        bytes,
        reason: error.to_string(),
    })?;
    out.truncate(written);
    Ok(Frame::new(out))
}

/// Settings of an [`OpusEncoder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusEncoderOptions {
    /// Target, 6 000 to 510 000 b/s. Default [`DEFAULT_BITRATE_BPS`].
    pub bitrate_bps: u32,
    /// CPU against quality, 0 to 10. Default [`DEFAULT_COMPLEXITY`].
    pub complexity: u8,
    /// Loss to prepare for with in-band FEC, 0 to 100 (0 turns FEC off). Default [`DEFAULT_EXPECTED_LOSS_PERCENT`].
    pub expected_loss_percent: u8,
}

impl Default for OpusEncoderOptions {
    fn default() -> Self {
        Self {
            bitrate_bps: DEFAULT_BITRATE_BPS,
            complexity: DEFAULT_COMPLEXITY,
            expected_loss_percent: DEFAULT_EXPECTED_LOSS_PERCENT,
        }
    }
}

/// Encoder of the agent's voice: mono frames of 20 ms at `HZ` (usually 24 kHz, what TTS speaks) to Opus packets.
#[derive(Debug)]
pub struct OpusEncoder<const HZ: u32> {
    codec: opus_pure::OpusEncoder,
    packet: [u8; MAX_PACKET_BYTES],
}

impl<const HZ: u32> OpusEncoder<HZ> {
    /// An encoder with the default settings.
    ///
    /// # Errors
    /// [`AudioError::OpusRate`] if Opus does not know the rate `HZ`.
    pub fn new() -> Result<Self, AudioError> {
        Self::with_options(OpusEncoderOptions::default())
    }

    /// An encoder with these settings; values out of range are clamped.
    ///
    /// # Errors
    /// [`AudioError::OpusRate`] if Opus does not know the rate `HZ`.
    pub fn with_options(options: OpusEncoderOptions) -> Result<Self, AudioError> {
        let mut codec = opus_pure::OpusEncoder::new(HZ as i32, 1, opus_pure::Application::Voip)
            .map_err(|_| AudioError::OpusRate { rate_hz: HZ })?;
        codec.bitrate_bps = options.bitrate_bps.clamp(6_000, 510_000) as i32;
        codec.complexity = i32::from(options.complexity.min(10));
        codec.packet_loss_perc = i32::from(options.expected_loss_percent.min(100));
        codec.use_inband_fec = options.expected_loss_percent > 0;
        Ok(Self {
            codec,
            packet: [0; MAX_PACKET_BYTES],
        })
    }

    /// One packet of exactly 20 ms ([`Frame::SAMPLES_20_MS`]). The bytes are valid until the next call.
    ///
    /// # Errors
    /// [`AudioError::OpusFrameLength`] for any other length.
    pub fn encode(&mut self, frame: &Frame<HZ>) -> Result<&[u8], AudioError> {
        let expected = Frame::<HZ>::SAMPLES_20_MS;
        if frame.samples().len() != expected {
            return Err(AudioError::OpusFrameLength {
                expected,
                got: frame.samples().len(),
            });
        }
        let bytes = self
            .codec
            .encode_s16(frame.samples(), expected, &mut self.packet)
            .map_err(|error| AudioError::OpusEncode {
                reason: error.to_string(),
            })?;
        Ok(self.packet.get(..bytes).unwrap_or_default())
    }

    /// Samples by which the decoded sound lags behind the input.
    pub fn lookahead_samples(&self) -> usize {
        self.codec.lookahead()
    }

    /// What the receiver reports (RTCP) or an operator expects; 0 turns FEC off.
    pub fn set_expected_loss_percent(&mut self, percent: u8) {
        self.codec.packet_loss_perc = i32::from(percent.min(100));
        self.codec.use_inband_fec = percent > 0;
    }

    /// Forget the past.
    pub fn reset(&mut self) {
        // Fails for no input there is.
        let _ = self.codec.reset_state();
    }
}

//! Sound without I/O: frames with the sample rate in their type, Opus, resampling, jitter buffer, playout, WAV.
//!
//! | module | what |
//! |---|---|
//! | [`echo`] | whether a microphone hears what we play |
//! | [`edges`] | the silence before and after a piece of speech, taken off |
//! | [`frame`] | mono PCM with the rate in the type |
//! | [`mel`] | sound as Whisper's encoder sees it |
//! | [`near`] | whether a voice comes from as near as the caller's |
//! | [`opus`] | packets to frames and back, concealment, FEC |
//! | [`gate`] | which sound is worth recognising |
//! | [`jitter`] | packets of one track in any order in, sound in order out, with loss and silence told apart |
//! | [`level`] | how loud a frame is (RFC 6464) |
//! | [`playout`] | segments of speech cut into frames of 20 ms; pause, clear, and what was really played |
//! | [`resample`] | any rate to any rate, streaming or at once |
//! | [`wav`] | WAV files in memory |

pub mod echo;
pub mod edges;
pub mod error;
pub mod frame;
pub mod gate;
pub mod jitter;
pub mod level;
pub mod mel;
pub mod near;
pub mod opus;
pub mod playout;
pub mod resample;
pub mod wav;

pub use edges::Edges;
pub use error::AudioError;
pub use frame::{Frame, Frame16k, Frame24k, Frame48k};
pub use gate::Gate;
pub use jitter::JitterBuffer;
pub use level::audio_level;
pub use opus::{OpusDecoder, OpusEncoder, OpusEncoderOptions};
pub use playout::Playout;
pub use resample::Resampler;

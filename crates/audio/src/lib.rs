//! Sound without I/O: frames with the sample rate in their type, Opus, resampling, jitter buffer, playout, WAV.
//!
//! | module | what |
//! |---|---|
//! | [`frame`] | mono PCM with the rate in the type |

pub mod frame;

pub use frame::{Frame, Frame16k, Frame24k, Frame48k};

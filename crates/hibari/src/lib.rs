//! Speech synthesis on the machine itself: the hibari voice and those of Kokoro (both Apache-2.0), from text to 24 kHz sound.
//!
//! | module | what |
//! |---|---|
//! | [`g2p`] | English text to phonemes |
//! | [`tts`] | the provider: clause by clause |
//! | [`voice`] | text to sound, with the places of its words |
//! | `hibari` | one small network for one voice |
//! | [`signal`] | that network's spectrum to sound |
//! | `kokoro` | one large network for many voices |
//! | [`assets`] | the voice's files |

use std::path::PathBuf;

pub mod assets;
pub mod g2p;
mod hibari;
mod kokoro;
pub mod signal;
pub mod tts;
pub mod voice;

pub use tts::VoiceTts;
pub use voice::{Speech, Voice};

/// What can be wrong with the voice.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HibariError {
    /// A file is missing or damaged.
    #[error("{} cannot be used: {message}. Fetch it again with `antiphon models fetch`", file.display())]
    Assets {
        /// Which file.
        file: PathBuf,
        /// The reason.
        message: String,
    },
    /// A pace that nobody understands.
    #[error("the speed {0} is not between 0.5 and 2: 1 is the voice's own pace")]
    Speed(f32),
    /// The network stopped while it ran.
    #[error("the voice cannot be run: {0}")]
    Run(String),
}

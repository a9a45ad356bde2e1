//! Words: comparing and counting words, reading markup aloud as a person would, and cutting a reply into pieces for TTS.
//!
//! | file | what |
//! |---|---|
//! | `words` | compares and counts words in any script, and cuts a text where a share of its sound ends |
//! | `backchannel` | is this a backchannel? for each language |
//! | `stop` | is this an order to be silent, and nothing else? |
//! | `chunk`, `sentence` | cut a reply, while it is still being written, into pieces that can be synthesised |
//! | `read` | Markdown and HTML as a person would read them aloud |
//! | `address` | web and e-mail addresses as they are spoken |
//! | `fingerprint` | a hash that stays the same from version to version |

mod address;
mod backchannel;
mod chunk;
mod fingerprint;
mod read;
mod sentence;
mod stop;
#[cfg(test)]
mod tests;
mod words;

pub use address::{Spoken, Tongue};
pub use backchannel::{Backchannel, backchannel};
pub use chunk::{Chunker, has_speech};
pub use fingerprint::fingerprint;
pub use stop::is_stop;
pub use words::{
    contains_words, count_letters, count_words, cut_after_word, cut_at_word, end_of_words,
    normalise, push_limited, without_words,
};

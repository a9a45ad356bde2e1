//! Words: comparing and counting them, reading marked-up text as a person would, and cutting a reply into pieces for TTS.
//!
//! | file | what |
//! |---|---|
//! | `words` | words compared and counted in any script; a text cut where a share of its sound ends |
//! | `backchannel` | is this what a listener says? for each language |
//! | `stop` | is this an order to be silent, and nothing else? |
//! | `chunk`, `sentence` | a reply that is still being written, cut into pieces that a voice can begin with |
//! | `read` | Markdown and HTML as a person would read them out |
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

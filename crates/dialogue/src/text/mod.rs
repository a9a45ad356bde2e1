//! Words: comparing and counting them, cutting a reply into pieces for TTS, and taking out what cannot be spoken.

mod backchannel;
mod chunk;
mod fingerprint;
mod plain;
mod words;

pub(crate) use backchannel::{Backchannel, backchannel};
pub(crate) use chunk::Chunker;
pub(crate) use fingerprint::fingerprint;
pub(crate) use plain::plain;
pub(crate) use words::{
    contains_words, count_words, cut_after_word, cut_at_word, end_of_words, normalise,
    push_limited, without_words,
};

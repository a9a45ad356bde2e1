//! Words: comparing and counting them, reading marked-up text as a person would, and cutting a reply into pieces for TTS.

mod address;
mod backchannel;
mod chunk;
mod fingerprint;
mod read;
mod sentence;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use address::{Spoken, Tongue};
pub(crate) use backchannel::{Backchannel, backchannel};
pub(crate) use chunk::Chunker;
pub(crate) use fingerprint::fingerprint;
pub(crate) use words::{
    contains_words, count_letters, count_words, cut_after_word, cut_at_word, end_of_words,
    normalise, push_limited, without_words,
};

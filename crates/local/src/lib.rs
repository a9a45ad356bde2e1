//! The keyless default: speech recognition, speech synthesis and a responder by rules, with nothing to link and no account.
//! Every engine is an ordinary Debian package found at run time.
//!
//! | module | what |
//! |---|---|
//! | [`stt`] | PocketSphinx as a streaming recogniser, in child processes |
//! | [`worker`] | what runs in such a child process |
//! | [`rules`] | the responder without a language model |
//! | `spoken` | prices, times and addresses in the words that a voice needs |
//! | [`tts`] | flite and espeak-ng as child processes, one a sentence |
//! | [`detect`] | which engines are installed, and how to get the others |
//!
//! # What the recogniser understands
//!
//! `cargo run --release -p antiphon-local --example recognition` says thirty sentences of a restaurant call (155 words) with
//! four voices of flite, one call for each voice, and counts wrong words; once with the sound as it is, once after the way of a
//! call (48 kHz, Opus at 32 kb/s, jitter buffer, decoded at 16 kHz):
//!
//! | voice | as spoken | after the way of a call |
//! |---|---|---|
//! | slt | 22 | 23 |
//! | rms | 13 | 15 |
//! | awb | 14 | 16 |
//! | kal16 | 14 | 14 |
//! | all four, of 620 words | 63 (10.2 %) | 68 (11.0 %) |
//!
//! A recording of a person ("what is the weather in paris") comes back word for word both ways. What a caller's voice teaches
//! the decoder is worth much: with nothing but the model's own mean for every sentence 114 of these words were wrong, with each
//! sentence decoded a second time with what the first pass had taught 73, with what the call so far had taught 68 (a prototype on
//! the same library). Decoding takes about 0.12 of real time on one Zen 5 core, the final words some 70 ms.

pub mod detect;
mod ffi;
pub mod rules;
mod spoken;
pub mod stt;
pub mod tts;
pub mod worker;

pub use detect::{Engines, detect};
pub use rules::{Date, RulesLlm};
pub use stt::PocketSphinxStt;
pub use tts::{EspeakTts, FliteTts};

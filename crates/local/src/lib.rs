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
//! Measured with a prototype on the same library, not through this crate, and on the sentences by which the flags were
//! chosen: thirty sentences of a restaurant call (178 words) spoken by four flite voices, 16 kHz, decoded in 20 ms pieces while they
//! arrive, CPU time on one Zen 5 core:
//!
//! | decoder | wrong words of 712 | decoding, x real time | from finalize to words |
//! |---|---|---|---|
//! | defaults (used): second, flat pass at the end | 62 (8.7 %) | 0.12 | 67 ms |
//! | `-fwdflat no` | 70 (9.8 %) | 0.12 | 12 ms |
//! | `-lw 5` | 59 (8.3 %) | 0.18 | 95 ms |
//! | `-lw 5 -fwdflat no` | 69 (9.7 %) | 0.15 | 12 ms |
//!
//! On ten of these sentences from espeak-ng about half the words are wrong (37 of 68): its voice is no test of a
//! recogniser. Recorded speech ("what is the weather in paris") comes back word for word.

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

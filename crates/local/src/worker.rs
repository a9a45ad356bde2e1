//! The child process that runs PocketSphinx. It speaks a length-prefixed protocol: one byte of kind, four bytes of length
//! (little-endian), then the payload.
//!
//! | to the child | | from the child | |
//! |---|---|---|---|
//! | `B` | begin: this caller's adaptation, empty for a new caller | `R` | ready: library and model are loaded |
//! | `A` | 16-bit samples, 16 kHz | `I` | words so far |
//! | `F` | finalize: answer with `S` and `T` | `S` | the caller's adaptation for the next `B` |
//! | | | `T` | final words |
//! | | | `E` | an error in words; the child ends |
//!
//! The adaptation is what the decoder has learned of a caller's voice and line (the mean of the cepstrum). It belongs to the
//! caller and travels with the orders, because a child serves one utterance of this caller and the next of another: whoever
//! spoke before must not change what is heard. It is worth much (see the crate's page), so a new caller's first
//! [`LEARN_SAMPLES`] are decoded twice, the second time with what the first has taught.

use std::io::{Read, Write};
use std::process::ExitCode;

use crate::ffi::Decoder;

/// First argument with which the `antiphon` binary becomes a worker.
pub const ARGUMENT: &str = "__pocketsphinx";
/// Longest payload of one message: far above a 20 ms frame, far below harm.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 20;
/// An interim at most every so many samples: 200 ms.
const INTERIM_SAMPLES: usize = 3_200;
/// Frames of 10 ms after which a caller's voice counts as known: 2 s of speech.
const LEARN_FRAMES: i32 = 200;
/// A first utterance is decoded again when it has this length (2 s), or at its end: 0.25 s of work.
const LEARN_SAMPLES: usize = 32_000;

/// Run as a worker until standard input ends. The second argument may name the model's folder.
pub fn main() -> ExitCode {
    let model = std::env::args()
        .skip_while(|argument| argument != "--model")
        .nth(1);
    let model = model.unwrap_or_else(|| crate::detect::MODEL_FOLDER.into());
    let mut output = std::io::stdout().lock();
    match run(&model, &mut std::io::stdin().lock(), &mut output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // the parent may be gone already: nothing is left to do about it
            let _ = send(&mut output, b'E', message.as_bytes());
            ExitCode::FAILURE
        }
    }
}

fn run(model: &str, input: &mut dyn Read, output: &mut dyn Write) -> Result<(), String> {
    let mut ear = Ear {
        decoder: Decoder::new(model)?,
        open: false,
        learning: None,
        since_interim: 0,
        shown: String::new(),
    };
    send(output, b'R', &[])?;
    while let Some((kind, payload)) = receive(input)? {
        match kind {
            b'B' => ear.begin(&payload)?,
            b'A' => {
                let samples: Vec<i16> = payload
                    .chunks_exact(2)
                    .filter_map(|pair| Some(i16::from_le_bytes(pair.try_into().ok()?)))
                    .collect();
                if let Some(words) = ear.hear(&samples)? {
                    send(output, b'I', words.as_bytes())?;
                }
            }
            b'F' => {
                let words = ear.end()?;
                send(output, b'S', &ear.decoder.adaptation())?;
                send(output, b'T', words.as_bytes())?;
            }
            other => return Err(format!("unknown order {other}")),
        }
    }
    Ok(())
}

/// The decoder and the utterance in it.
struct Ear {
    decoder: Decoder,
    open: bool,
    /// The sound so far, while the caller's voice is not known yet.
    learning: Option<Vec<i16>>,
    since_interim: usize,
    shown: String,
}

impl Ear {
    fn begin(&mut self, adaptation: &[u8]) -> Result<(), String> {
        if self.open {
            self.decoder.end()?;
        }
        let frames = self.decoder.adapt(adaptation)?;
        self.learning = (frames < LEARN_FRAMES).then(Vec::new);
        self.decoder.start()?;
        self.open = true;
        self.since_interim = 0;
        self.shown.clear();
        Ok(())
    }

    /// More sound; words if there are new ones.
    fn hear(&mut self, samples: &[i16]) -> Result<Option<String>, String> {
        if !self.open {
            self.begin(&[])?;
        }
        self.decoder.process(samples)?;
        if let Some(sound) = &mut self.learning {
            sound.extend_from_slice(samples);
            if sound.len() >= LEARN_SAMPLES {
                self.learn()?;
            }
        }
        self.since_interim += samples.len();
        if self.since_interim < INTERIM_SAMPLES {
            return Ok(None);
        }
        self.since_interim = 0;
        let words = clean(&self.decoder.words());
        if words == self.shown || words.is_empty() {
            return Ok(None);
        }
        self.shown.clone_from(&words);
        Ok(Some(words))
    }

    /// Decode again what is there, with what it has taught.
    fn learn(&mut self) -> Result<(), String> {
        if let Some(sound) = self.learning.take() {
            self.decoder.end()?;
            self.decoder.start()?;
            self.decoder.process(&sound)?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<String, String> {
        if !self.open {
            return Ok(String::new());
        }
        self.learn()?;
        self.open = false;
        self.decoder.end()?;
        Ok(clean(&self.decoder.words()))
    }
}

/// Words without the recogniser's marks: fillers (`<sil>`, `[NOISE]`, `++UH++`) and pronunciation numbers (`the(2)`).
pub(crate) fn clean(text: &str) -> String {
    text.split_whitespace()
        .filter(|word| !word.starts_with(['<', '[', '+']))
        .map(|word| word.split_once('(').map_or(word, |(before, _)| before))
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn send(output: &mut dyn Write, kind: u8, payload: &[u8]) -> Result<(), String> {
    let length = u32::try_from(payload.len())
        .map_err(|error| error.to_string())?
        .to_le_bytes();
    let mut message = vec![kind];
    message.extend_from_slice(&length);
    message.extend_from_slice(payload);
    output
        .write_all(&message)
        .and_then(|()| output.flush())
        .map_err(|error| error.to_string())
}

fn receive(input: &mut dyn Read) -> Result<Option<(u8, Vec<u8>)>, String> {
    let mut head = [0u8; 5];
    match input.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.to_string()),
    }
    let [kind, a, b, c, d] = head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length > MAX_PAYLOAD_BYTES {
        return Err(format!(
            "a message of {length} bytes is longer than {MAX_PAYLOAD_BYTES}"
        ));
    }
    let mut payload = vec![0; length];
    input
        .read_exact(&mut payload)
        .map_err(|error| error.to_string())?;
    Ok(Some((kind, payload)))
}

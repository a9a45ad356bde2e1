//! The child process that runs PocketSphinx. It speaks a length-prefixed protocol: one byte of kind, four bytes of length
//! (little-endian), then the payload.
//!
//! | to the child | | from the child | |
//! |---|---|---|---|
//! | `A` | 16-bit samples, 16 kHz | `R` | ready: library and model are loaded |
//! | `F` | finalize: answer with `T` | `I` | words so far |
//! | `C` | forget: answer with `K` | `T` | final words |
//! | | | `K` | forgotten |
//! | | | `E` | an error in words; the child ends |

use std::io::{Read, Write};
use std::process::ExitCode;

use crate::ffi::Decoder;

/// First argument with which the `antiphon` binary becomes a worker.
pub const ARGUMENT: &str = "__pocketsphinx";
/// Longest payload of one message: far above a 20 ms frame, far below harm.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 20;
/// An interim at most every so many samples: 200 ms.
const INTERIM_SAMPLES: usize = 3_200;

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
    let mut decoder = Decoder::new(model)?;
    send(output, b'R', &[])?;
    let mut open = false;
    let mut since_interim = 0;
    let mut shown = String::new();
    while let Some((kind, payload)) = receive(input)? {
        match kind {
            b'A' => {
                if !open {
                    decoder.start()?;
                    open = true;
                    shown.clear();
                    since_interim = 0;
                }
                let samples: Vec<i16> = payload
                    .chunks_exact(2)
                    .filter_map(|pair| Some(i16::from_le_bytes(pair.try_into().ok()?)))
                    .collect();
                decoder.process(&samples)?;
                since_interim += samples.len();
                if since_interim >= INTERIM_SAMPLES {
                    since_interim = 0;
                    let words = clean(&decoder.words());
                    if words != shown && !words.is_empty() {
                        send(output, b'I', words.as_bytes())?;
                        shown = words;
                    }
                }
            }
            b'F' | b'C' => {
                let mut words = String::new();
                if open {
                    open = false;
                    decoder.end()?;
                    words = clean(&decoder.words());
                }
                if kind == b'F' {
                    send(output, b'T', words.as_bytes())?
                } else {
                    send(output, b'K', &[])?
                }
            }
            other => return Err(format!("unknown order {other}")),
        }
    }
    Ok(())
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

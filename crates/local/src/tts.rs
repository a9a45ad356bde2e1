//! flite and espeak-ng: one child process a sentence. Text is an argument or standard input, never a shell's; the sound is
//! a WAV on standard output, brought to 24 kHz while it arrives.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{BoxStream, ProviderInfo, Tts, TtsChunk};
use antiphon_audio::{Frame, Frame24k, Resampler};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::detect::{INSTALL_ESPEAK, INSTALL_FLITE, program};
use crate::spoken;

/// Longest text of one request in characters; the rest is not spoken. A sentence has about 100.
pub const MAX_TEXT_CHARS: usize = 2_000;
/// A sentence takes a tenth of a second.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes read at once: 0.1 s of 16 kHz sound.
const READ_BYTES: usize = 3_200;
/// Chunks made ahead of their use; the process waits when it is further ahead.
const MAX_CHUNKS: usize = 32;
/// Longest WAV header that is searched for its `data` chunk.
const MAX_HEADER_BYTES: usize = 4_096;

/// flite with one of its built-in voices (16 kHz).
#[derive(Clone, Debug)]
pub struct FliteTts {
    program: PathBuf,
    voice: String,
}

impl FliteTts {
    /// Voice `slt`, the clearest of those that come with it.
    pub const DEFAULT_VOICE: &'static str = "slt";

    /// With a voice: `slt`, `rms`, `awb`, `kal16`.
    ///
    /// # Errors
    /// [`ProviderError::Unavailable`] when flite is not installed or has no such voice.
    pub fn new(voice: Option<&str>) -> Result<Self, ProviderError> {
        let program = program("flite").ok_or_else(|| missing("flite", INSTALL_FLITE))?;
        let voice = voice.unwrap_or(Self::DEFAULT_VOICE);
        if !["slt", "rms", "awb", "kal16"].contains(&voice) {
            let message = format!("no voice `{voice}`; there are slt, rms, awb, kal16");
            return Err(ProviderError::Unavailable {
                engine: "flite",
                message,
            });
        }
        Ok(Self {
            program,
            voice: voice.into(),
        })
    }
}

impl Tts for FliteTts {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: "flite",
            model: self.voice.clone(),
        }
    }

    fn synthesize(&self, text: String) -> BoxStream<Result<TtsChunk, ProviderError>> {
        let text = spoken::ascii(&spoken::words(&speakable(&text)));
        let mut command = Command::new(&self.program);
        // flite reads no text from a pipe; after -t the next argument is text whatever it begins with
        command
            .args(["-voice", &self.voice, "-t"])
            .arg(&text)
            .args(["-o", "/dev/stdout"]);
        speak::<16_000>("flite", command, text, None)
    }
}

/// espeak-ng (22.05 kHz).
#[derive(Clone, Debug)]
pub struct EspeakTts {
    program: PathBuf,
    voice: String,
}

impl EspeakTts {
    /// American English.
    pub const DEFAULT_VOICE: &'static str = "en-us";

    /// With a voice or language: `en-us`, `en-gb`, `de`, …
    ///
    /// # Errors
    /// [`ProviderError::Unavailable`] when espeak-ng is not installed.
    pub fn new(voice: Option<&str>) -> Result<Self, ProviderError> {
        let program = program("espeak-ng").ok_or_else(|| missing("espeak-ng", INSTALL_ESPEAK))?;
        Ok(Self {
            program,
            voice: voice.unwrap_or(Self::DEFAULT_VOICE).into(),
        })
    }
}

impl Tts for EspeakTts {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: "espeak-ng",
            model: self.voice.clone(),
        }
    }

    fn synthesize(&self, text: String) -> BoxStream<Result<TtsChunk, ProviderError>> {
        let mut command = Command::new(&self.program);
        command.args(["--stdin", "--stdout", "-v", &self.voice]);
        let mut text = speakable(&text);
        if self.voice.starts_with("en") {
            text = spoken::words(&text);
        }
        let input = text.clone();
        speak::<22_050>("espeak-ng", command, text, Some(input))
    }
}

fn missing(engine: &'static str, install: &str) -> ProviderError {
    ProviderError::Unavailable {
        engine,
        message: format!("it is not installed. Install it: {install}"),
    }
}

/// Without control characters (an argument must not hold NUL) and not longer than [`MAX_TEXT_CHARS`].
fn speakable(text: &str) -> String {
    text.chars()
        .take(MAX_TEXT_CHARS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn speak<const HZ: u32>(
    engine: &'static str,
    command: Command,
    text: String,
    input: Option<String>,
) -> BoxStream<Result<TtsChunk, ProviderError>> {
    let (sender, receiver) = mpsc::channel(MAX_CHUNKS);
    if text.chars().any(char::is_alphanumeric) {
        tokio::spawn(async move {
            let outcome = tokio::select! {
                outcome = tokio::time::timeout(TIMEOUT, run::<HZ>(engine, command, input, &sender)) => outcome,
                // the listener has gone: dropping the run kills the process
                () = sender.closed() => return,
            };
            let error = match outcome {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(_) => ProviderError::Timeout {
                    provider: engine,
                    after: TIMEOUT,
                },
            };
            let _ = sender.send(Err(error)).await;
        });
    }
    Box::pin(futures_util::stream::unfold(
        receiver,
        |mut receiver| async move { receiver.recv().await.map(|item| (item, receiver)) },
    ))
}

async fn run<const HZ: u32>(
    engine: &'static str,
    mut command: Command,
    input: Option<String>,
    sender: &mpsc::Sender<Result<TtsChunk, ProviderError>>,
) -> Result<(), ProviderError> {
    let broken = |message: String| ProviderError::Connection {
        provider: engine,
        message,
    };
    let stdin = if input.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    };
    let mut child = command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| ProviderError::Unavailable {
            engine,
            message: error.to_string(),
        })?;
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
        pipe.write_all(input.as_bytes())
            .await
            .map_err(|error| broken(error.to_string()))?;
    }
    let Some(mut output) = child.stdout.take() else {
        return Err(broken("no output".into()));
    };
    let mut resampler =
        Resampler::<HZ, 24_000>::new().map_err(|error| broken(error.to_string()))?;
    let mut bytes = Vec::new();
    let mut in_data = false;
    loop {
        let mut piece = [0u8; READ_BYTES];
        let length = output
            .read(&mut piece)
            .await
            .map_err(|error| broken(error.to_string()))?;
        if length == 0 {
            break;
        }
        bytes.extend_from_slice(piece.get(..length).unwrap_or_default());
        if !in_data {
            // lengths in the header of a piped WAV are not filled in: everything after `data` and its length is sound
            match bytes.windows(4).position(|window| window == b"data") {
                Some(at) if bytes.len() >= at + 8 => {
                    bytes.drain(..at + 8);
                    in_data = true;
                }
                _ if bytes.len() > MAX_HEADER_BYTES => {
                    return Err(broken("its output is no WAV".into()));
                }
                _ => continue,
            }
        }
        let whole = bytes.len() & !1;
        let frame = Frame::<HZ>::from_le_bytes(&bytes.drain(..whole).collect::<Vec<_>>());
        let made = resampler
            .push(&frame)
            .map_err(|error| broken(error.to_string()))?;
        give(sender, made).await;
    }
    let rest = resampler
        .flush()
        .map_err(|error| broken(error.to_string()))?;
    give(sender, rest).await;
    let status = child
        .wait()
        .await
        .map_err(|error| broken(error.to_string()))?;
    if !status.success() || !in_data {
        return Err(broken(format!(
            "it ended with {status} and {}",
            if in_data { "sound" } else { "no sound" }
        )));
    }
    Ok(())
}

async fn give(sender: &mpsc::Sender<Result<TtsChunk, ProviderError>>, frame: Frame24k) {
    if !frame.is_empty() {
        // a closed receiver ends the run from outside
        let _ = sender.send(Ok(TtsChunk::Audio(frame))).await;
    }
}

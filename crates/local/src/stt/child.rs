//! One worker process, seen from the parent.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use antiphon_agent::ProviderError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, Command};
use tokio::sync::mpsc;

use super::{ENGINE, unavailable};
use crate::worker::MAX_PAYLOAD_BYTES;

/// The model loads in 0.3 s; on a busy machine it may take much longer.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// Words of a long utterance on a busy machine.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Answers waiting to be read; the reader stops at this many, and then the child does.
const MAX_ANSWERS: usize = 64;
/// Samples in one message.
const PIECE: usize = 16_000;

/// What a worker says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Ready,
    Interim(String),
    Final(String),
    Other,
}

/// A running worker; dropping it kills the process.
#[derive(Debug)]
pub(super) struct Child {
    _process: tokio::process::Child,
    input: ChildStdin,
    answers: mpsc::Receiver<Result<Heard, ProviderError>>,
}

fn broken(message: impl ToString) -> ProviderError {
    ProviderError::Connection {
        provider: ENGINE,
        message: message.to_string(),
    }
}

impl Child {
    pub(super) async fn start(program: &Path, arguments: &[String]) -> Result<Self, ProviderError> {
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                unavailable(&format!(
                    "its worker {} does not start: {error}",
                    program.display()
                ))
            })?;
        let (Some(input), Some(mut output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(broken("its worker has no pipes"));
        };
        let (sender, answers) = mpsc::channel(MAX_ANSWERS);
        tokio::spawn(async move {
            loop {
                let answer = read(&mut output).await;
                let ended = answer.is_err();
                if sender.send(answer).await.is_err() || ended {
                    break;
                }
            }
        });
        let mut child = Self {
            _process: process,
            input,
            answers,
        };
        match tokio::time::timeout(START_TIMEOUT, child.next()).await {
            Ok(Ok(Heard::Ready)) => Ok(child),
            Ok(Ok(_)) => Err(broken("its worker spoke out of turn")),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ProviderError::Timeout {
                provider: ENGINE,
                after: START_TIMEOUT,
            }),
        }
    }

    pub(super) async fn next(&mut self) -> Result<Heard, ProviderError> {
        self.answers
            .recv()
            .await
            .unwrap_or_else(|| Err(broken("its worker ended")))
    }

    pub(super) async fn audio(&mut self, samples: &[i16]) -> Result<(), ProviderError> {
        for piece in samples.chunks(PIECE) {
            let bytes: Vec<u8> = piece
                .iter()
                .flat_map(|sample| sample.to_le_bytes())
                .collect();
            self.write(b'A', &bytes).await?;
        }
        Ok(())
    }

    pub(super) async fn finalize(&mut self) -> Result<String, ProviderError> {
        self.write(b'F', &[]).await?;
        let answer = async {
            loop {
                if let Heard::Final(text) = self.next().await? {
                    return Ok(text);
                }
            }
        };
        match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
            Ok(text) => text,
            Err(_) => Err(ProviderError::Timeout {
                provider: ENGINE,
                after: ANSWER_TIMEOUT,
            }),
        }
    }

    async fn write(&mut self, kind: u8, payload: &[u8]) -> Result<(), ProviderError> {
        let mut message = vec![kind];
        message.extend_from_slice(&u32::try_from(payload.len()).map_err(broken)?.to_le_bytes());
        message.extend_from_slice(payload);
        let written = tokio::time::timeout(ANSWER_TIMEOUT, self.input.write_all(&message)).await;
        written
            .map_err(|_| ProviderError::Timeout {
                provider: ENGINE,
                after: ANSWER_TIMEOUT,
            })?
            .map_err(broken)
    }
}

async fn read(output: &mut tokio::process::ChildStdout) -> Result<Heard, ProviderError> {
    let kind = output.read_u8().await.map_err(broken)?;
    let length = output.read_u32_le().await.map_err(broken)? as usize;
    if length > MAX_PAYLOAD_BYTES {
        return Err(broken("its worker sent too much at once"));
    }
    let mut payload = vec![0; length];
    output.read_exact(&mut payload).await.map_err(broken)?;
    let text = String::from_utf8_lossy(&payload).into_owned();
    match kind {
        b'R' => Ok(Heard::Ready),
        b'I' => Ok(Heard::Interim(text)),
        b'T' => Ok(Heard::Final(text)),
        b'E' => Err(unavailable(&text)),
        _ => Ok(Heard::Other),
    }
}

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
    /// What was learned of the caller.
    Adaptation(Vec<u8>),
    Other,
}

/// A running worker; dropping it kills the process.
#[derive(Debug)]
pub(super) struct Child {
    process: tokio::process::Child,
    input: ChildStdin,
    answers: mpsc::Receiver<Result<Heard, ProviderError>>,
    /// The last answer, an error, has been given.
    ended: bool,
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
            // Ctrl-C in the terminal is for the parent, which may want to hear the caller out
            .process_group(0)
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
            process,
            input,
            answers,
            ended: false,
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

    /// Does it run? An idle one may have been ended from outside, by the kernel for want of memory for instance.
    pub(super) fn check_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    pub(super) async fn next(&mut self) -> Result<Heard, ProviderError> {
        match self.answers.recv().await {
            Some(answer) => {
                self.ended |= answer.is_err();
                answer
            }
            None if self.ended => Err(broken("its worker ended")),
            // The reader says why it ends, unless the whole program does: that is no fault of the worker.
            None => std::future::pending().await,
        }
    }

    /// An utterance begins, of the caller with this adaptation.
    pub(super) async fn begin(&mut self, adaptation: &[u8]) -> Result<(), ProviderError> {
        self.write(b'B', adaptation).await
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

    /// The final words, and what was learned of the caller.
    pub(super) async fn finalize(&mut self) -> Result<(String, Vec<u8>), ProviderError> {
        self.write(b'F', &[]).await?;
        let answer = async {
            let mut learned = Vec::new();
            loop {
                match self.next().await? {
                    Heard::Adaptation(adaptation) => learned = adaptation,
                    Heard::Final(text) => return Ok((text, learned)),
                    Heard::Ready | Heard::Interim(_) | Heard::Other => {}
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
        b'S' => Ok(Heard::Adaptation(payload)),
        b'R' => Ok(Heard::Ready),
        b'I' => Ok(Heard::Interim(text)),
        b'T' => Ok(Heard::Final(text)),
        b'E' => Err(unavailable(&text)),
        _ => Ok(Heard::Other),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures_util::FutureExt;

    use super::*;

    async fn child(answers: mpsc::Receiver<Result<Heard, ProviderError>>) -> Child {
        let mut process = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        Child {
            input: process.stdin.take().unwrap(),
            process,
            answers,
            ended: false,
        }
    }

    #[tokio::test]
    async fn a_program_that_ends_while_the_recogniser_starts_is_no_trouble_of_the_recogniser() {
        let (reader, answers) = mpsc::channel(1);
        let mut child = child(answers).await;
        // what the end of the runtime does to the reader
        drop(reader);
        assert!(child.next().now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_worker_that_ended_is_an_error_however_often_it_is_asked() {
        let (reader, answers) = mpsc::channel(1);
        reader.send(Err(broken("end of file"))).await.unwrap();
        drop(reader);
        let mut child = child(answers).await;
        assert!(child.next().now_or_never().unwrap().is_err());
        assert!(child.next().now_or_never().unwrap().is_err());
    }
}

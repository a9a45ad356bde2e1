//! A document read in a process of its own. Documents are made by strangers, and their readers are large: one that panics, loops or
//! takes all memory costs its document, and nothing else.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::{Kind, MAX_TEXT_BYTES, Part};

/// First argument with which the `antiphon` binary reads one document; the second is the end of its name.
pub const ARGUMENT: &str = "__read_document";
/// Memory of the process, in bytes: a PDF of 64 MB needs about 400 MB.
const MAX_MEMORY: u64 = 1 << 30;
/// Processor time of the process; a manual of 1,000 pages takes 7 seconds.
const MAX_CPU_SECONDS: u64 = 60;
/// A machine with much to do may take so much longer.
const MAX_WAIT: Duration = Duration::from_secs(300);
/// What the process may answer: its text, and what stands around it in JSON.
const MAX_ANSWER_BYTES: u64 = 4 * MAX_TEXT_BYTES as u64;

/// Who reads documents that are no text.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    child: Option<(PathBuf, Vec<OsString>)>,
}

impl Reader {
    /// In this process: for documents that are trusted. A panic is caught; what takes all memory or never ends is not.
    pub fn here() -> Self {
        Self::default()
    }

    /// In a process of its own for each document: `program` with these arguments, and the document's kind, calls [`main`].
    pub fn in_child(program: PathBuf, arguments: Vec<OsString>) -> Self {
        Self {
            child: Some((program, arguments)),
        }
    }

    /// What stands in a document whose name ends so.
    ///
    /// # Errors
    /// Why it cannot be read, in words.
    pub fn read(&self, end: &str, bytes: &[u8]) -> Result<Vec<Part>, String> {
        let Some((program, arguments)) = &self.child else {
            return read(end, bytes);
        };
        let mut command = Command::new(program);
        command.args(arguments).arg(end);
        // a child needs nothing of what this process knows
        command
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command
            .spawn()
            .map_err(|error| format!("its reader {} does not start: {error}", program.display()))?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("its reader has no pipes".into());
        };
        let (sender, answer) = mpsc::sync_channel(1);
        let told = std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut text = Vec::new();
                let read = output.take(MAX_ANSWER_BYTES).read_to_end(&mut text);
                let _ = sender.send(read.map(|_| text));
            });
            scope.spawn(move || input.write_all(bytes));
            let told = answer.recv_timeout(MAX_WAIT);
            // with it both pipes end, and the threads
            let _ = child.kill();
            told
        });
        let status = child.wait().map_err(|error| error.to_string())?;
        let text = told
            .map_err(|_| too_long())?
            .map_err(|error| error.to_string())?;
        serde_json::from_slice(&text).unwrap_or_else(|_| Err(ended(status)))
    }
}

fn too_long() -> String {
    format!("reading it takes more than {MAX_CPU_SECONDS} seconds")
}

/// Why a reader has ended without an answer.
fn ended(status: ExitStatus) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt as _;
        const XCPU: i32 = 24;
        const KILL: i32 = 9;
        const ABORT: i32 = 6;
        match status.signal() {
            Some(XCPU | KILL) => return too_long(),
            Some(ABORT) => {
                return format!(
                    "reading it takes more than {} MB of memory",
                    MAX_MEMORY >> 20
                );
            }
            _ => {}
        }
    }
    format!("its reader has crashed over it ({status})")
}

fn read(end: &str, bytes: &[u8]) -> Result<Vec<Part>, String> {
    let kind =
        Kind::of(end).ok_or_else(|| format!("`.{end}` is no kind of document that is read"))?;
    let read = catch_unwind(AssertUnwindSafe(|| super::read(kind, bytes)));
    read.unwrap_or_else(|_| {
        Err("its reader has crashed over it; save it again with another program".into())
    })
}

/// Be the process that reads one document of this kind from standard input.
pub fn main(end: &str) -> ExitCode {
    limit();
    let mut bytes = Vec::new();
    let answer = match std::io::stdin()
        .lock()
        .take(super::MAX_BYTES + 1)
        .read_to_end(&mut bytes)
    {
        Ok(_) if bytes.len() as u64 > super::MAX_BYTES => {
            Err(format!("it has more than {} bytes", super::MAX_BYTES))
        }
        Ok(_) => read(end, &bytes),
        Err(error) => Err(error.to_string()),
    };
    let text = serde_json::to_vec(&answer).unwrap_or_default();
    match std::io::stdout().lock().write_all(&text) {
        Ok(()) => ExitCode::SUCCESS,
        // whoever asked is gone
        Err(_) => ExitCode::FAILURE,
    }
}

/// Memory and time for this process; where the system has no such limits, the parent's patience is one.
fn limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        for (resource, most) in [
            (Resource::As, MAX_MEMORY),
            (Resource::Cpu, MAX_CPU_SECONDS),
            (Resource::Core, 0),
        ] {
            let _ = setrlimit(
                resource,
                Rlimit {
                    current: Some(most),
                    maximum: Some(most),
                },
            );
        }
    }
}

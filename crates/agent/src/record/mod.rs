//! The flight recorder: one file for each session, with everything its dialogue was told
//! ([`antiphon_dialogue::recording`]), for `antiphon replay`. Off unless an agent is given a [`Recorder`].
//!
//! A session's task never waits for the disk: it hands its steps to one thread by a bounded channel. When that is full the
//! steps are dropped and counted, and the recording ends there and says so. Callers' words stand in these files, so they can
//! be read by their owner only, and old ones are deleted.

mod file;
mod redact;
mod tape;
mod writer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use antiphon_chat::Item;
use antiphon_dialogue::recording::{FORMAT, Header};

use crate::agent::Agent;
use crate::provider::Secret;
use tape::Message;
pub(crate) use tape::Tape;
use writer::Writer;

/// Steps of all sessions on their way to the disk: some seconds of a busy process. More are dropped, and the recordings
/// they belong to end there.
pub const QUEUE_LIMIT: usize = 8192;
/// Bytes of one recording: about 15 hours of talk. Then it ends as `full`.
pub const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// Recordings that are kept unless told otherwise; the oldest are deleted when a session begins.
pub const DEFAULT_MAX_FILES: usize = 1000;
/// How long a recording is kept unless told otherwise.
pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// The end of a recording's name. Only such files are ever deleted.
pub const EXTENSION: &str = ".antiphon.jsonl";
/// The longest wait for the disk at the end of the process.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// Where and how much is recorded.
#[derive(Clone, Debug)]
pub struct RecorderOptions {
    /// Made when it is not there.
    pub folder: PathBuf,
    /// [`DEFAULT_MAX_FILES`]
    pub max_files: usize,
    /// [`DEFAULT_MAX_AGE`]
    pub max_age: Duration,
    /// Texts that never reach a file, if they have at least 8 letters; others of the same number stand in their place.
    pub secrets: Vec<Secret>,
}

impl RecorderOptions {
    /// With the defaults.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            max_files: DEFAULT_MAX_FILES,
            max_age: DEFAULT_MAX_AGE,
            secrets: Vec::new(),
        }
    }
}

/// Records sessions into a folder. Clones share one thread, which ends with the last of them.
#[derive(Clone, Debug)]
pub struct Recorder {
    sender: SyncSender<Message>,
    missed: Arc<AtomicBool>,
    folder: Arc<Path>,
}

impl Recorder {
    /// Make the folder, and start the thread that writes.
    ///
    /// # Errors
    /// The folder cannot be made or written, or the thread cannot be started.
    pub fn start(options: RecorderOptions) -> std::io::Result<Self> {
        make_folder(&options.folder)?;
        let (sender, messages) = mpsc::sync_channel(QUEUE_LIMIT);
        let missed = Arc::new(AtomicBool::new(false));
        let folder = options.folder.as_path().into();
        let mut writer = Writer::new(options, missed.clone());
        std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || writer.run(&messages))?;
        Ok(Self {
            sender,
            missed,
            folder,
        })
    }

    /// Where the recordings are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until everything that was recorded so far is in its file; at the end of the process, and in tests. Blocks
    /// for a few seconds at most.
    pub fn flush(&self) {
        let (done, written) = mpsc::channel();
        if self.sender.send(Message::Flush(done)).is_ok() {
            let _ = written.recv_timeout(FLUSH_LIMIT);
        }
    }

    /// Begins a session's recording.
    pub(crate) fn record(
        &self,
        session: &str,
        agent: &Agent,
        instructions: &str,
        history: &[Item],
    ) -> Tape {
        Tape::begin(
            self.sender.clone(),
            self.missed.clone(),
            Header {
                antiphon_recording: FORMAT,
                version: env!("CARGO_PKG_VERSION").into(),
                session: session.into(),
                started: jiff::Timestamp::now()
                    .strftime("%Y-%m-%dT%H:%M:%SZ")
                    .to_string(),
                agent: agent.name().into(),
                options: agent.options().clone(),
                instructions: instructions.into(),
                history: history.to_vec(),
            },
        )
    }
}

/// Only its owner may look into it. A folder that was there keeps its permissions.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    let trial = folder.join(format!(".{}{EXTENSION}", std::process::id()));
    fs::write(&trial, "")?;
    fs::remove_file(&trial)
}

//! The flight recorder: one file for each session, with everything its dialogue was told
//! for `antiphon replay`. Off unless an agent is given a [`Recorder`].
//!
//! A session's task never waits for the disk: it hands its steps to one thread by a bounded channel. When that is full the
//! steps are dropped and counted, and the recording ends there and says so. Callers' words stand in these files, so they can
//! be read by their owner only, and old ones are deleted.
//!
//! The file holds what one session's machine was told, and what it asked for, so that the conversation can be repeated bit
//! for bit, offline, against this or a newer version. One JSON value a line:
//!
//! ```text
//! {"antiphon_recording":1,"version":"0.1.0","session":"AS_…","started":"2026-01-31T12:00:00Z","options":{…},"instructions":"…"}
//! {"t_us":0,"input":"started","actions":[…]}
//! {"t_us":1520000,"frame":[1,320000,0]}          a voice activity frame: speaking, speech and silence in µs
//! {"t_us":2000000,"input":{"stt":{"interim":"A table"}}}
//! {"dropped":3}                                   this many steps are missing here: the disk was too slow
//! {"end":"complete"}                              or "full": the size limit; "broken": the session panicked
//! ```
//!
//! `t_us` is the driver's clock as [`Dialogue::handle`](antiphon_dialogue::Dialogue::handle) was given it. `actions` is missing where
//! there were none; of a request to the model it holds a hash instead of the whole history.

mod file;
mod line;
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
use antiphon_dialogue::Options;

use antiphon_telemetry::Secret;
use tape::Message;
use thiserror::Error;
use writer::Writer;

pub use file::resume;
pub use line::{Ending, Header, Line, Step};
pub use tape::Tape;

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
        let (done, written) = mpsc::sync_channel(1);
        if self.sender.send(Message::Flush(done)).is_ok() {
            let _ = written.recv_timeout(FLUSH_LIMIT);
        }
    }

    /// Begins a session's recording.
    pub fn record(
        &self,
        session: &str,
        agent: &str,
        options: &Options,
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
                agent: agent.into(),
                options: options.clone(),
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

/// The format's version. A reader takes no other.
pub const FORMAT: u32 = 1;
/// Bytes of a recording that are read: more than the recorder writes.
pub const MAX_RECORDING_BYTES: usize = 256 * 1024 * 1024;

/// A recording cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RecordingError {
    /// Nothing in it.
    #[error(
        "the file is empty: the process ended before the session's first line was written; take another recording"
    )]
    Empty,
    /// It does not begin as one.
    #[error(
        "line 1: this is no recording of `antiphon` ({0}); recordings begin with {{\"antiphon_recording\":{FORMAT},…}}"
    )]
    NotARecording(String),
    /// Of another format.
    #[error(
        "line 1: the recording has format {format}, this version reads {FORMAT}; replay it with the version that wrote it, {version}"
    )]
    Format {
        /// Its format.
        format: u64,
        /// Who wrote it, as far as it says.
        version: String,
    },
    /// Not one of the lines that a recording has.
    #[error(
        "line {line}: {problem}; the file is damaged there: a copy of the {} lines before it can be replayed", line - 1
    )]
    Damaged {
        /// From 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// Larger than [`MAX_RECORDING_BYTES`].
    #[error("the file is larger than {MAX_RECORDING_BYTES} bytes")]
    TooLarge,
}

//! The thread that writes recordings.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::SystemTime;

use antiphon_dialogue::recording::{Ending, Header, Line, Step};

use super::tape::{Fate, Message};
use super::{EXTENSION, MAX_FILE_BYTES, RecorderOptions};

pub(super) struct Writer {
    options: RecorderOptions,
    /// Secrets as they would stand in JSON.
    secrets: Vec<String>,
    /// Open recordings, by the address of their fate.
    files: HashMap<usize, Recording>,
    /// A session has ended and could not say so.
    missed: Arc<AtomicBool>,
}

/// Messages after which the files are looked at, even when more wait.
const BATCH: usize = 1024;
/// A shorter secret is none: it would be found in ordinary words.
const SHORTEST_SECRET: usize = 8;

struct Recording {
    fate: Arc<Fate>,
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    /// Nothing more is written.
    closed: bool,
    dirty: bool,
}

impl Writer {
    pub(super) fn new(options: RecorderOptions, missed: Arc<AtomicBool>) -> Self {
        let secrets = options
            .secrets
            .iter()
            .map(|secret| serde_json::json!(secret.expose()).to_string())
            .filter_map(|quoted| Some(quoted.strip_prefix('"')?.strip_suffix('"')?.to_owned()))
            .filter(|secret| secret.len() >= SHORTEST_SECRET)
            .collect();
        Self {
            options,
            secrets,
            files: HashMap::new(),
            missed,
        }
    }

    /// Until the last recorder and session are gone.
    pub(super) fn run(&mut self, messages: &Receiver<Message>) {
        let mut missed = false;
        while let Ok(first) = messages.recv() {
            missed |= self.missed.swap(false, Ordering::Acquire);
            let mut flushed = Vec::new();
            let mut look = self.take(first, &mut flushed);
            let mut drained = false;
            for _ in 0..BATCH {
                match messages.try_recv() {
                    Ok(message) => look |= self.take(message, &mut flushed),
                    Err(_) => {
                        drained = true;
                        break;
                    }
                }
            }
            // What was missed before has its last step behind it when nothing waits any more.
            if look || (missed && drained) {
                self.end_all_that_are_over();
                missed &= !drained;
            }
            self.hand_over();
            for done in flushed {
                let _ = done.send(());
            }
        }
        self.end_all_that_are_over();
    }

    /// Is there something over?
    fn take(&mut self, message: Message, flushed: &mut Vec<Sender<()>>) -> bool {
        match message {
            Message::Begin(fate, header) => self.begin(fate, &header),
            Message::Step(fate, at, step) => {
                let line = Step::to_line(at, &step.0, &step.1, &|text| self.scrub(text));
                self.write(key(&fate), &line);
            }
            Message::Look => return true,
            Message::Flush(done) => flushed.push(done),
        }
        false
    }

    fn end_all_that_are_over(&mut self) {
        let over: Vec<usize> = self
            .files
            .iter()
            .filter(|(_, recording)| Arc::strong_count(&recording.fate) == 1)
            .map(|(key, _)| *key)
            .collect();
        for key in over {
            self.end(key);
        }
    }

    /// To the system, so that a killed process loses nothing.
    fn hand_over(&mut self) {
        for recording in self.files.values_mut().filter(|recording| recording.dirty) {
            recording.dirty = false;
            if let Err(error) = recording.file.flush() {
                recording.give_up(&error);
            }
        }
    }

    fn begin(&mut self, fate: Arc<Fate>, header: &Header) {
        self.tidy();
        // Windows allows no colons in names.
        let started = header.started.replace(':', "-");
        let name = format!("{started}-{}{EXTENSION}", header.session);
        let path = self.options.folder.join(name);
        match create(&path) {
            Ok(file) => {
                let recording = Recording {
                    fate: fate.clone(),
                    path,
                    file: BufWriter::new(file),
                    bytes: 0,
                    closed: false,
                    dirty: true,
                };
                self.files.insert(key(&fate), recording);
                let line = self.scrub(header.to_line());
                self.write(key(&fate), &line);
            }
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "this session is not recorded");
            }
        }
    }

    fn scrub(&self, mut line: String) -> String {
        for secret in &self.secrets {
            if line.contains(secret.as_str()) {
                line = line.replace(secret.as_str(), "[secret]");
            }
        }
        line
    }

    fn write(&mut self, key: usize, line: &str) {
        if let Some(recording) = self.files.get_mut(&key) {
            recording.write(line);
        }
    }

    fn end(&mut self, key: usize) {
        let Some(mut recording) = self.files.remove(&key) else {
            return;
        };
        let dropped = recording.fate.dropped.load(Ordering::Relaxed);
        if dropped > 0 {
            recording.write(&Line::dropped(dropped));
        }
        let ending = if recording.fate.finished.load(Ordering::Acquire) {
            Ending::Complete
        } else {
            Ending::Broken
        };
        recording.write(&Line::end(ending));
        if let Err(error) = recording.file.flush() {
            recording.give_up(&error);
        }
    }

    /// Deletes recordings that are too old or too many; the open ones stay.
    fn tidy(&self) {
        let Ok(entries) = fs::read_dir(&self.options.folder) else {
            return;
        };
        let mut found: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.to_string_lossy().ends_with(EXTENSION))
            .filter(|path| !self.files.values().any(|open| open.path == *path))
            .collect();
        // names begin with the time
        found.sort();
        let room = self.options.max_files.saturating_sub(self.files.len() + 1);
        let too_many = found.len().saturating_sub(room);
        for (index, path) in found.iter().enumerate() {
            if (index < too_many || self.is_old(path))
                && let Err(error) = fs::remove_file(path)
            {
                tracing::warn!(%error, path = %path.display(), "an old recording cannot be deleted");
            }
        }
    }

    fn is_old(&self, path: &Path) -> bool {
        let written = fs::metadata(path).and_then(|data| data.modified());
        written.is_ok_and(|at| {
            SystemTime::now()
                .duration_since(at)
                .is_ok_and(|age| age > self.options.max_age)
        })
    }
}

impl Recording {
    fn write(&mut self, line: &str) {
        if self.closed {
            return;
        }
        let bytes = self.bytes + line.len() as u64 + 1;
        let full = bytes > MAX_FILE_BYTES;
        let written = if full {
            self.closed = true;
            writeln!(self.file, "{}", Line::end(Ending::Full))
        } else {
            writeln!(self.file, "{line}")
        };
        self.bytes = bytes;
        self.dirty = true;
        if let Err(error) = written {
            self.give_up(&error);
        }
    }

    /// The disk is full, or gone: what is there stays, as a recording that is cut off.
    fn give_up(&mut self, error: &io::Error) {
        if !self.closed {
            tracing::warn!(%error, path = %self.path.display(), "the recording ends here");
        }
        self.closed = true;
    }
}

fn key(fate: &Arc<Fate>) -> usize {
    Arc::as_ptr(fate).addr()
}

/// Only its owner may read it.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

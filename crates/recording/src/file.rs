//! One recording on the disk.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use antiphon_dialogue::{Action, Dialogue, Input, Instant};

use super::redact::{Patterns, Redaction};
use super::tape::Fate;
use crate::{Ending, Header, Line, MAX_FILE_BYTES, RecordingError, Step};

pub(super) struct Recording {
    fate: Arc<Fate>,
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    /// Nothing more is written.
    closed: bool,
    dirty: bool,
    redaction: Redaction,
    /// Since a secret was first taken out: a dialogue that was told what stands in the file. What it does is recorded, and
    /// not what the real one did: so the recording can be repeated bit for bit, and nothing that was made of the secret
    /// (a half of it, its hash) is written.
    double: Option<Box<Dialogue>>,
}

impl Recording {
    /// With its first line.
    pub(super) fn begin(
        path: &Path,
        header: &Header,
        fate: Arc<Fate>,
        secrets: Patterns,
    ) -> io::Result<Self> {
        let without = secrets.without(header)?;
        let mut recording = Self {
            fate,
            path: path.to_owned(),
            file: BufWriter::new(create(path)?),
            bytes: 0,
            closed: false,
            dirty: true,
            redaction: Redaction::new(secrets),
            double: None,
        };
        recording.write(&without.as_ref().unwrap_or(header).to_line());
        if without.is_some() {
            recording.redacted();
        }
        Ok(recording)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The session has let it go.
    pub(super) fn is_over(&self) -> bool {
        Arc::strong_count(&self.fate) == 1
    }

    /// What the dialogue was told, and what it asked for.
    pub(super) fn step(&mut self, at: Instant, input: Input, actions: Vec<Action>) {
        if self.closed {
            return;
        }
        let without = match self.redaction.input(&input) {
            Ok(without) => without,
            Err(error) => return self.give_up(&error),
        };
        if without.is_some() && self.double.is_none() {
            self.redacted();
        }
        let input = without.unwrap_or(input);
        let actions = match &mut self.double {
            Some(double) => match act(double, at, &input) {
                Some(actions) => actions,
                None => return self.give_up(&"the dialogue panics without the secret"),
            },
            None => actions,
        };
        let patterns = self.redaction.patterns();
        let line = Step::to_line(at, &input, &actions, &|action| {
            // Put together of harmless pieces: cannot be repeated, and is not written either.
            patterns.replace_in(action);
        });
        self.write(&line);
    }

    /// Brings a dialogue to where the file ends. This reads the file once; it is the only time that the thread of all
    /// recordings does more than write, and it happens when a key was spoken.
    fn redacted(&mut self) {
        let begun = self
            .file
            .flush()
            .and_then(|()| fs::read_to_string(&self.path))
            .map_err(Box::<dyn Error>::from)
            .and_then(|text| Ok(resume(&text)?));
        match begun {
            Ok(double) => self.double = Some(Box::new(double)),
            Err(error) => self.give_up(&error),
        }
    }

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

    /// To the system, so that a killed process loses nothing.
    pub(super) fn hand_over(&mut self) {
        if std::mem::take(&mut self.dirty)
            && let Err(error) = self.file.flush()
        {
            self.give_up(&error);
        }
    }

    /// With its last line.
    pub(super) fn end(mut self) {
        let dropped = self.fate.dropped.load(Ordering::Relaxed);
        if dropped > 0 {
            self.write(&Line::dropped(dropped));
        }
        let ending = if self.fate.finished.load(Ordering::Acquire) {
            Ending::Complete
        } else {
            Ending::Broken
        };
        self.write(&Line::end(ending));
        self.hand_over();
    }

    /// The disk is full, or gone: what is there stays, as a recording that is cut off.
    fn give_up(&mut self, error: &dyn std::fmt::Display) {
        if !self.closed {
            tracing::warn!(%error, path = %self.path.display(), "the recording ends here");
        }
        self.closed = true;
    }
}

/// What it asks for; `None`: it panicked, which costs this recording and no other.
fn act(double: &mut Dialogue, at: Instant, input: &Input) -> Option<Vec<Action>> {
    catch_unwind(AssertUnwindSafe(|| {
        double.handle(at, input.clone());
        std::iter::from_fn(|| double.poll()).collect()
    }))
    .ok()
}

/// Only its owner may read it.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The machine as it is after the steps of a recording that goes on.
///
/// # Errors
/// It is no recording, or a line in it is damaged.
pub fn resume(text: &str) -> Result<Dialogue, RecordingError> {
    let mut lines = text.lines().enumerate();
    let first = lines.next().ok_or(RecordingError::Empty)?.1;
    let mut dialogue = Header::from_line(first)?.machine();
    for (index, raw) in lines {
        match Line::from_line(raw) {
            Ok(Line::Step(step)) => {
                dialogue.handle(step.at, step.input);
                while dialogue.poll().is_some() {}
            }
            Ok(Line::Dropped(_) | Line::End(_)) => break,
            Err(problem) => {
                return Err(RecordingError::Damaged {
                    line: index + 1,
                    problem,
                });
            }
        }
    }
    Ok(dialogue)
}

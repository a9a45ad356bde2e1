//! The thread that writes recordings.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::SystemTime;

use crate::Header;

use super::file::Recording;
use super::redact::Patterns;
use super::tape::{Fate, Message};
use super::{EXTENSION, RecorderOptions};

pub(super) struct Writer {
    options: RecorderOptions,
    secrets: Patterns,
    /// Open recordings, by the address of their fate.
    files: HashMap<usize, Recording>,
    /// A session has ended and could not say so.
    missed: Arc<AtomicBool>,
}

/// Messages after which the files are looked at, even when more wait.
const BATCH: usize = 1024;

impl Writer {
    pub(super) fn new(options: RecorderOptions, missed: Arc<AtomicBool>) -> Self {
        Self {
            secrets: Patterns::new(&options.secrets),
            options,
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
                self.end_finished();
                missed &= !drained;
            }
            self.hand_over();
            for done in flushed {
                let _ = done.send(());
            }
        }
        self.end_finished();
    }

    /// Is there something over?
    fn take(&mut self, message: Message, flushed: &mut Vec<SyncSender<()>>) -> bool {
        match message {
            Message::Begin(fate, header) => self.begin(fate, &header),
            Message::Step(fate, at, step) => {
                if let Some(recording) = self.files.get_mut(&key(&fate)) {
                    let (input, actions) = *step;
                    recording.step(at, input, actions);
                }
            }
            Message::Look => return true,
            Message::Flush(done) => flushed.push(done),
        }
        false
    }

    fn end_finished(&mut self) {
        let over: Vec<usize> = self
            .files
            .iter()
            .filter(|(_, recording)| recording.is_over())
            .map(|(key, _)| *key)
            .collect();
        for recording in over.iter().filter_map(|key| self.files.remove(key)) {
            recording.end();
        }
    }

    /// To the system, so that a killed process loses nothing.
    fn hand_over(&mut self) {
        for recording in self.files.values_mut() {
            recording.hand_over();
        }
    }

    fn begin(&mut self, fate: Arc<Fate>, header: &Header) {
        self.tidy();
        // Windows allows no colons in names.
        let started = header.started.replace(':', "-");
        let name = format!("{started}-{}{EXTENSION}", header.session);
        let path = self.options.folder.join(name);
        match Recording::begin(&path, header, fate.clone(), self.secrets.clone()) {
            Ok(recording) => {
                self.files.insert(key(&fate), recording);
            }
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "this session is not recorded");
            }
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
            .filter(|path| !self.files.values().any(|open| open.path() == *path))
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

fn key(fate: &Arc<Fate>) -> usize {
    Arc::as_ptr(fate).addr()
}

//! A session's end of the recorder.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use antiphon_dialogue::{Action, Input, Instant};

use antiphon_telemetry::names;
use metrics::counter;

use crate::Header;

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Message {
    Begin(Arc<Fate>, Box<Header>),
    Step(Arc<Fate>, Instant, Box<(Input, Vec<Action>)>),
    /// Look which sessions have ended.
    Look,
    Flush(SyncSender<()>),
}

/// What becomes of a recording. The session's task and the writer's thread both hold it; when only the thread does, the
/// session is over.
#[derive(Debug, Default)]
pub(super) struct Fate {
    /// Steps that did not fit into the channel. After the first nothing more is recorded: a conversation with a hole cannot
    /// be repeated.
    pub(super) dropped: AtomicU64,
    /// The session ended in an orderly way.
    pub(super) finished: AtomicBool,
}

/// Records one session.
#[derive(Debug)]
pub struct Tape {
    sender: SyncSender<Message>,
    /// A session has ended and the channel was too full to say so.
    missed: Arc<AtomicBool>,
    /// `None` after the end.
    fate: Option<Arc<Fate>>,
}

impl Tape {
    pub(super) fn begin(
        sender: SyncSender<Message>,
        missed: Arc<AtomicBool>,
        header: Header,
    ) -> Self {
        let fate = Arc::new(Fate::default());
        let mut tape = Self {
            sender,
            missed,
            fate: Some(fate.clone()),
        };
        tape.send(Message::Begin(fate, Box::new(header)));
        tape
    }

    /// What the dialogue was told, and what it asked for. Never waits.
    pub fn step(&mut self, at: Instant, input: Input, actions: Vec<Action>) {
        let Some(fate) = self.fate.clone() else {
            return;
        };
        if fate.dropped.load(Ordering::Relaxed) > 0 {
            self.drop_one(&fate);
        } else {
            self.send(Message::Step(fate, at, Box::new((input, actions))));
        }
    }

    /// The session is over.
    pub fn finish(&mut self) {
        if let Some(fate) = &self.fate {
            fate.finished.store(true, Ordering::Release);
        }
        self.let_go();
    }

    fn send(&mut self, message: Message) {
        if self.sender.try_send(message).is_err()
            && let Some(fate) = &self.fate
        {
            self.drop_one(&fate.clone());
        }
    }

    fn drop_one(&self, fate: &Fate) {
        if fate.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!("the recording ends here: the disk is too slow");
        }
        counter!(names::DROPPED_TOTAL, "queue" => "recorder").increment(1);
    }

    fn let_go(&mut self) {
        // The fate is let go before the thread is told to look.
        if self.fate.take().is_some() && self.sender.try_send(Message::Look).is_err() {
            self.missed.store(true, Ordering::Release);
        }
    }
}

impl Drop for Tape {
    /// Without `finish`: the session's task has panicked.
    fn drop(&mut self) {
        self.let_go();
    }
}

//! Who waits for which speech.

use std::collections::{HashMap, VecDeque};

use antiphon_dialogue::ids::SpeechId;
use tokio::sync::watch;

use crate::handle::{SpeechOutcome, SpeechStatus};

/// For how many past speeches the outcome is kept, for late questions: half an hour of talk. Of older ones nobody knows.
const ENDED_LIMIT: usize = 256;

/// The speeches that are not over, bounded by the dialogue's queue, and how the last ones ended.
#[derive(Debug, Default)]
pub(crate) struct Speeches {
    alive: HashMap<SpeechId, Vec<watch::Sender<SpeechStatus>>>,
    /// Oldest first.
    ended: VecDeque<(SpeechId, SpeechOutcome)>,
}

impl Speeches {
    /// The program has asked for it.
    pub(crate) fn insert(&mut self, id: SpeechId, status: watch::Sender<SpeechStatus>) {
        self.alive.entry(id).or_default().push(status);
    }

    /// Somebody waits for a speech that he did not ask for.
    pub(crate) fn watch(&mut self, id: SpeechId, status: watch::Sender<SpeechStatus>) {
        match self.alive.get_mut(&id) {
            Some(waiting) => {
                waiting.retain(|other| !other.is_closed());
                if let Some(first) = waiting.first() {
                    status.send_replace(*first.borrow());
                }
                waiting.push(status);
            }
            None => {
                let ended = self.ended.iter().find(|(ended, _)| *ended == id);
                let outcome = ended.map(|(_, outcome)| *outcome);
                status.send_modify(|status| status.outcome = outcome);
            }
        }
    }

    /// The dialogue has made it.
    pub(crate) fn created(&mut self, id: SpeechId) {
        self.alive.entry(id).or_default();
    }

    /// This many of its steps were played.
    pub(crate) fn spoken(&mut self, id: SpeechId, steps: u32) {
        for status in self.alive.get(&id).into_iter().flatten() {
            status.send_modify(|status| status.steps_spoken = steps);
        }
    }

    /// It is over.
    pub(crate) fn done(&mut self, id: SpeechId, interrupted: bool) {
        let outcome = if interrupted {
            SpeechOutcome::Interrupted
        } else {
            SpeechOutcome::Played
        };
        for status in self.alive.remove(&id).unwrap_or_default() {
            status.send_modify(|status| status.outcome = Some(outcome));
        }
        if self.ended.len() >= ENDED_LIMIT {
            self.ended.pop_front();
        }
        self.ended.push_back((id, outcome));
    }
}

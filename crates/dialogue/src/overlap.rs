//! The caller's voice over the agent's, and what it turned out to be (LiveKit's `overlapping_speech`).

use crate::event::Event;
use crate::machine::Dialogue;
use crate::metrics::{InterruptionMetrics, Metrics};
use antiphon_chat::time::Instant;

impl Dialogue {
    /// The caller begins to make a sound; if it is over the agent's voice, it is going to be judged.
    pub(crate) fn overlap_begins(&mut self, at: Instant) {
        self.judge_overlap(false);
        self.caller.overlap = Some(at).filter(|_| self.floor.is_audible());
    }

    /// It was an interruption, or it was none.
    pub(crate) fn judge_overlap(&mut self, is_interruption: bool) {
        let Some(overlap_started_at) = self.caller.overlap.take() else {
            return;
        };
        let detection_delay = self.core.now.since(overlap_started_at);
        self.core.emit(Event::OverlappingSpeech {
            is_interruption,
            overlap_started_at,
            detection_delay,
            agent_ended: !self.floor.is_audible(),
        });
        self.core
            .measured(Some(Metrics::InterruptionMetrics(InterruptionMetrics {
                detection_delay,
                num_interruptions: u32::from(is_interruption),
                num_backchannels: u32::from(!is_interruption),
            })));
    }

    /// The agent has fallen silent by itself: it was not interrupted.
    pub(crate) fn overlap_ends(&mut self) {
        if self.caller.overlap.is_some() && !self.floor.is_audible() {
            self.judge_overlap(false);
        }
    }
}

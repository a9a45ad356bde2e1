//! Everything that has a time. When it is due is computed from the state that it belongs to; here stands, once, what there is
//! and what happens then. A part with several times (the caller's side) answers with the first of them, and knows which it was.

use crate::caller::Caller;
use crate::machine::Dialogue;
use crate::pending::earliest;
use antiphon_chat::time::Instant;

/// More firings in one step than there are things with a deadline: something is wrong.
const MAX_FIRINGS: usize = 1000;

#[derive(Clone, Copy, Debug)]
enum Timer {
    Report,
    Caller,
    Hold,
    Tools,
    Mind,
    Completion,
    Segment,
    Filler,
    Away,
    Summary,
    Ending,
    /// The next speech may begin.
    Rest,
    /// The caller's last words are waited for no longer.
    LastWords,
}

impl Dialogue {
    /// Everything whose time has come, in the order of the times.
    pub(crate) fn fire(&mut self) {
        // every firing moves its deadline, or ends what it was for
        for _ in 0..MAX_FIRINGS {
            let next = self.next_timer();
            self.due = next.map(|(due, _)| due);
            match next {
                Some((due, timer)) if due <= self.core.now => self.on_timer(timer),
                Some(_) | None => return,
            }
            self.advance();
        }
        debug_assert!(false, "a deadline fires for ever");
    }

    /// The first that is due; at the same instant in the order written here.
    fn next_timer(&self) -> Option<(Instant, Timer)> {
        if self.speeches.floor().is_closed() {
            return None;
        }
        earliest(&[
            (self.speeches.floor().report_deadline(), Timer::Report),
            (self.caller_deadline(), Timer::Caller),
            (self.hold_deadline(), Timer::Hold),
            (self.hands.deadline(), Timer::Tools),
            (self.mind_deadline(), Timer::Mind),
            (self.hooks.deadline(), Timer::Completion),
            (self.segment_deadline(), Timer::Segment),
            (self.filler_deadline(), Timer::Filler),
            (self.away_deadline(), Timer::Away),
            (self.summary.deadline(), Timer::Summary),
            (self.ending_deadline(), Timer::Ending),
            (self.rest_deadline(), Timer::Rest),
            (self.last_words_deadline(), Timer::LastWords),
        ])
    }

    fn on_timer(&mut self, timer: Timer) {
        match timer {
            Timer::Report => self.settle(),
            Timer::Caller => self.tell(Caller::due),
            Timer::Hold => self.release(),
            Timer::Tools => self.tools_due(),
            Timer::Mind => self.mind_due(),
            Timer::Completion => self.completion_due(),
            Timer::Segment => self.segment_due(),
            Timer::Filler => self.filler_due(),
            Timer::Away => self.tell(Caller::go_away),
            Timer::Summary => self.summary.due(&mut self.core),
            Timer::Ending => self.end_now(),
            // what waited goes on by itself
            Timer::Rest | Timer::LastWords => {}
        }
    }

    /// Nothing is waited for any longer that was to be said before the end.
    fn end_now(&mut self) {
        self.drop_queued(|_| true);
        self.abandon_tasks();
        self.abandon_parked(true);
        self.cut();
    }
}

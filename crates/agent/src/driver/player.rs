//! The agent's sound to the caller, 20 ms at a time.
//!
//! The playout lies behind a lock that is held for a copy of 20 ms at most: whoever synthesizes appends to it, the session's
//! task pauses and clears it at once, and the pacer takes a frame whenever one is due. Nobody waits for anybody, so an
//! interruption is heard within one frame whatever else happens.
//!
//! Each session paces itself on a tokio task: encoding is spread over the runtime's threads with it, where one thread for
//! all sessions would be full at about a hundred. A late tick is made up by sending the next frame earlier, so the
//! caller's jitter buffer sees the right average; after more than [`CATCH_UP`] the schedule starts anew, because a burst of
//! old frames would only be delay.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use antiphon_audio::echo::{Echo, Heard};
use antiphon_audio::playout::{Playout, Report};
use antiphon_audio::{Frame16k, Frame24k};
use antiphon_dialogue::ids::SegmentId;
use antiphon_dialogue::input;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::io::AudioOutput;
use crate::measure;

/// One frame.
const FRAME: Duration = Duration::from_millis(20);
/// The longest delay that is made up by frames in quick succession: what a jitter buffer holds.
const CATCH_UP: Duration = Duration::from_millis(100);
/// Sound of one segment that is kept until it is played; more stays with the provider. A sentence is shorter; at 48 kB a
/// second this is 1.4 MB.
const SEGMENT_LIMIT: Duration = Duration::from_secs(30);

/// The playout of a session and who waits for it.
#[derive(Debug, Default)]
pub(crate) struct Player {
    playout: Mutex<Playout>,
    /// What is in the air, for the ears.
    echo: Mutex<Echo>,
    /// For the pacer: there may be something to play.
    changed: Notify,
    /// For the session's task: there are reports.
    reported: Notify,
    /// For synthesis: there may be room.
    room: Notify,
    /// The output has panicked; nothing will be heard any more.
    broken: AtomicBool,
}

impl Player {
    /// Sound of this segment will come, or comes anew. False: some of it is being heard.
    pub(crate) fn open(&self, id: SegmentId) -> bool {
        self.playout().open(id.0)
    }

    /// More sound; waits while too much is buffered.
    pub(crate) async fn append(&self, id: SegmentId, frame: &Frame24k) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.playout().buffered(id.0) < SEGMENT_LIMIT {
                break;
            }
            room.await;
        }
        self.playout().append(id.0, frame);
        self.changed.notify_one();
    }

    /// No more sound of it will come.
    pub(crate) fn finish(&self, id: SegmentId) {
        self.change(|playout| playout.finish(id.0));
    }

    /// Forget it; if it is being played it ends there.
    pub(crate) fn discard(&self, id: SegmentId) {
        self.change(|playout| playout.discard(id.0));
    }

    /// It may be played.
    pub(crate) fn play(&self, id: SegmentId) {
        self.change(|playout| playout.play(id.0));
    }

    /// Hold.
    pub(crate) fn pause(&self) {
        self.change(Playout::pause);
    }

    /// Go on.
    pub(crate) fn resume(&self) {
        self.change(Playout::resume);
    }

    /// Drop everything that may be played.
    pub(crate) fn clear(&self) {
        self.change(Playout::clear);
    }

    /// What has been played since the last call.
    pub(crate) fn reports(&self) -> Vec<input::Playout> {
        let mut playout = self.playout();
        std::iter::from_fn(|| playout.report()).map(fact).collect()
    }

    /// Waits until there are reports.
    pub(crate) async fn reported(&self) {
        self.reported.notified().await;
    }

    /// Whom the caller's microphone hears, and whether the agent is heard in the caller's room meanwhile.
    pub(crate) fn who_is_heard(&self, frame: &Frame16k) -> (Heard, bool) {
        let mut echo = self.echo();
        (echo.hear(frame), echo.is_in_the_air())
    }

    /// Has the output panicked?
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// The output has panicked.
    pub(crate) fn set_broken(&self) {
        self.broken.store(true, Ordering::Release);
        self.reported.notify_one();
    }

    fn change(&self, change: impl FnOnce(&mut Playout)) {
        let mut playout = self.playout();
        change(&mut playout);
        if playout.has_reports() {
            self.reported.notify_one();
        }
        drop(playout);
        self.changed.notify_one();
        self.room.notify_waiters();
    }

    fn playout(&self) -> MutexGuard<'_, Playout> {
        self.playout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn echo(&self) -> MutexGuard<'_, Echo> {
        self.echo.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_frame(&self) -> Option<Frame24k> {
        let mut playout = self.playout();
        let frame = playout.next_frame();
        if playout.has_reports() {
            self.reported.notify_one();
        }
        drop(playout);
        self.room.notify_waiters();
        frame
    }

    fn is_starved(&self) -> bool {
        let playout = self.playout();
        playout.is_active() && !playout.is_paused()
    }
}

/// Give the output a frame every 20 ms while there is one; sleep while there is none.
pub(crate) async fn pace(player: Arc<Player>, mut output: Box<dyn AudioOutput>) {
    loop {
        player.changed.notified().await;
        let mut due = Instant::now();
        let mut sounding = false;
        while let Some(frame) = player.next_frame() {
            sounding = true;
            measure::paced(due.elapsed());
            output.play(&frame);
            player.echo().play(&frame);
            due += FRAME;
            let now = Instant::now();
            if now > due + CATCH_UP {
                due = now;
            }
            sleep_until(due).await;
        }
        if sounding {
            output.idle();
            if player.is_starved() {
                measure::starved();
            }
        }
    }
}

fn fact(report: Report) -> input::Playout {
    match report {
        Report::Started(id) => input::Playout::Started { id: SegmentId(id) },
        Report::Progress(id, played) => input::Playout::Progress {
            id: SegmentId(id),
            played,
        },
        Report::Finished(id, played) => input::Playout::Finished {
            id: SegmentId(id),
            played,
        },
        Report::Cleared(id, played) => input::Playout::Cleared {
            id: SegmentId(id),
            played,
        },
    }
}

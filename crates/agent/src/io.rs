//! Where a session's sound comes from and where it goes. A room, a WAV file or a test is connected to a session by these two.

use antiphon_audio::{Frame16k, Frame24k};
use tokio::sync::mpsc;

/// A session's ears and mouth.
pub struct SessionIo {
    /// The caller's sound, in real time. Frames may have any length; 20 ms is best. Whoever makes the channel bounds it
    /// ([`SessionIo::AUDIO_IN_LIMIT`] is a good bound), and the sender drops frames when it is full. When the channel is closed, the
    /// caller cannot speak any more, and the session goes on by text.
    pub audio_in: mpsc::Receiver<Frame16k>,
    /// The agent's sound.
    pub audio_out: Box<dyn AudioOutput>,
}

impl SessionIo {
    /// Frames between a room and a session: 1 s of 20 ms frames. The session reads them as they come, so more would only
    /// be delay.
    pub const AUDIO_IN_LIMIT: usize = 50;

    /// No sound at all: the agent's words are its transcript, at once.
    pub fn text_only() -> Self {
        let (_, audio_in) = mpsc::channel(1);
        Self {
            audio_in,
            audio_out: Box::new(NoOutput),
        }
    }
}

impl std::fmt::Debug for SessionIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionIo").finish_non_exhaustive()
    }
}

/// Takes the agent's sound on its way to the caller.
pub trait AudioOutput: Send + 'static {
    /// Takes exactly 20 ms (480 samples), every 20 ms while something is played. Called on an async task: the implementation may
    /// encode and enqueue, but must not block.
    fn play(&mut self, frame: &Frame24k);

    /// The sound has stopped (end, pause, clear, or synthesis is late). Called once; the next `play` may come at any time
    /// later, not on the grid of the frames before.
    fn idle(&mut self) {}

    /// Will nobody ever hear this output? Then nothing is synthesised, and the agent's words count as heard at once.
    fn is_silent(&self) -> bool {
        false
    }
}

/// The output of a session by text.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoOutput;

impl AudioOutput for NoOutput {
    fn play(&mut self, _frame: &Frame24k) {}

    fn is_silent(&self) -> bool {
        true
    }
}

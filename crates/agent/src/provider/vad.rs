//! Voice activity detection.

use std::time::Duration;

use antiphon_audio::Frame16k;
use antiphon_dialogue::input;

/// A model, loaded once and shared.
pub trait VadModel: Send + Sync + 'static {
    /// State for one caller.
    fn session(&self) -> Box<dyn Vad>;

    /// The silence after which it says that speech has ended; `None` when it cannot say. A turn detector that hears needs
    /// 250 ms: it is asked at 200 ms.
    fn min_silence_duration(&self) -> Option<Duration> {
        None
    }
}

/// One caller's detector.
pub trait Vad: Send + 'static {
    /// Hear more (any length); every event it leads to goes to `emit` in order. Allocates nothing in the steady state.
    fn push(&mut self, frame: &Frame16k, emit: &mut dyn FnMut(input::Vad));

    /// Forget everything (another caller, or a gap).
    fn reset(&mut self);
}

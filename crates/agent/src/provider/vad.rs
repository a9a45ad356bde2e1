//! Voice activity detection.

use antiphon_audio::Frame16k;
use antiphon_dialogue::input;

/// A model, loaded once and shared.
pub trait VadModel: Send + Sync + 'static {
    /// Makes the state for one caller.
    fn session(&self) -> Box<dyn Vad>;
}

/// One caller's detector.
pub trait Vad: Send + 'static {
    /// Takes more sound of any length. Every event goes to `emit`, in order. Allocates nothing in the steady state.
    fn push(&mut self, frame: &Frame16k, emit: &mut dyn FnMut(input::Vad));

    /// Forgets everything: another caller, or a gap in the sound.
    fn reset(&mut self);
}

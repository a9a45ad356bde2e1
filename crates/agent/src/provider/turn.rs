//! Turn detectors: has the caller finished?

use antiphon_dialogue::chat::Item;

use super::BoxFuture;

/// Asked after 200 ms of silence.
pub trait TurnDetector: Send + Sync + 'static {
    /// Probability (0 to 1) that the caller has finished, given the history with what was said so far as its last
    /// message, and the last seconds of 16 kHz sound; and the threshold to compare it with. `None`: cannot say.
    fn predict<'a>(
        &'a self,
        items: &'a [Item],
        audio: &'a [i16],
    ) -> BoxFuture<'a, Option<(f32, f32)>>;
}

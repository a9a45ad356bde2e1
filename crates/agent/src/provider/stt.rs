//! Speech recognition.

use antiphon_audio::Frame16k;
use antiphon_dialogue::input;
use tokio::sync::mpsc;

use super::{BoxFuture, ProviderInfo};
use crate::ProviderError;

/// A speech recogniser.
pub trait Stt: Send + Sync + 'static {
    /// Provider and model.
    fn info(&self) -> ProviderInfo;

    /// Opens the stream of one caller. The call returns at once or within the connect time-out. Afterwards the provider keeps the stream
    /// alive, reconnects by itself (and sends the last two seconds again), and reports this by `Degraded` and `Recovered`.
    fn open(&self) -> BoxFuture<'_, Result<SttSession, ProviderError>>;
}

/// One caller's stream. Dropping it closes the connection.
#[derive(Debug)]
pub struct SttSession {
    /// Sound and orders for the provider. The channel is full only when the provider has been slower than real time for long; the driver
    /// then drops the oldest.
    pub input: mpsc::Sender<SttInput>,
    /// What the provider has heard. Closed after `Failed`.
    pub events: mpsc::Receiver<SttEvent>,
}

impl SttSession {
    /// Room for this many frames between driver and provider: 5 s of 20 ms frames.
    pub const INPUT_LIMIT: usize = 250;
    /// Room for this many events.
    pub const EVENT_LIMIT: usize = 64;
}

/// Sound and orders to a recogniser.
#[derive(Clone, Debug)]
pub enum SttInput {
    /// Sound, without gaps in time while the caller may speak.
    Audio(Frame16k),
    /// Make pending words final now: the VAD has heard the end of speech.
    Finalize,
    /// Forget pending words.
    Clear,
}

/// The dialogue's own facts about recognition.
pub type SttEvent = input::Stt;

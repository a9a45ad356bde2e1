//! Silero VAD v6 in plain Rust: the network's forward pass by hand, without a runtime, with the weights in the binary.
//!
//! | module | what |
//! |---|---|
//! | [`network`] | 512 samples to one probability |
//! | `kernels` | the loops in which the time goes |
//! | [`segmenter`] | probabilities to start and end of speech |
//! | `tail` | when the sound itself ended |
//!
//! [`Silero`] is the provider: loaded once, shared by all callers; what belongs to one caller is about 3.5 kB.

mod kernels;
pub mod network;
pub mod segmenter;
mod tail;

use std::sync::Arc;

use antiphon_agent::provider::{Vad, VadModel};
use antiphon_audio::Frame16k;
use antiphon_dialogue::input;

pub use segmenter::{Segmenter, SileroOptions, WINDOW_DURATION};

use network::{Network, State, WINDOW};
use tail::Tail;

/// What can be wrong with the options.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SileroError {
    /// Thresholds that contradict each other.
    #[error(
        "VAD thresholds must satisfy 0 < deactivation <= activation < 1, but activation is {activation} and deactivation {deactivation}"
    )]
    Thresholds {
        /// `activation_threshold`.
        activation: f32,
        /// `deactivation_threshold`.
        deactivation: f32,
    },
}

/// The provider `silero`.
#[derive(Clone, Debug)]
pub struct Silero {
    network: Arc<Network>,
    options: SileroOptions,
}

impl Silero {
    /// Load the network. Once per process; clones share it.
    ///
    /// # Errors
    /// [`SileroError::Thresholds`].
    pub fn new(options: SileroOptions) -> Result<Self, SileroError> {
        options.check()?;
        Ok(Self {
            network: Arc::new(Network::load()),
            options,
        })
    }

    /// The same network with other options.
    ///
    /// # Errors
    /// [`SileroError::Thresholds`].
    pub fn with_options(&self, options: SileroOptions) -> Result<Self, SileroError> {
        options.check()?;
        Ok(Self {
            network: Arc::clone(&self.network),
            options,
        })
    }

    /// A detector for one caller.
    pub fn detector(&self) -> SileroVad {
        SileroVad {
            network: Arc::clone(&self.network),
            state: State::default(),
            window: [0.0; WINDOW],
            filled: 0,
            tail: Tail::default(),
            segmenter: Segmenter::new(self.options),
        }
    }
}

impl VadModel for Silero {
    fn session(&self) -> Box<dyn Vad> {
        Box::new(self.detector())
    }
}

/// One caller's detector.
pub struct SileroVad {
    network: Arc<Network>,
    state: State,
    /// Samples that do not fill a window yet.
    window: [f32; WINDOW],
    filled: usize,
    tail: Tail,
    segmenter: Segmenter,
}

impl std::fmt::Debug for SileroVad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SileroVad")
            .field("segmenter", &self.segmenter)
            .finish_non_exhaustive()
    }
}

impl Vad for SileroVad {
    fn push(&mut self, frame: &Frame16k, emit: &mut dyn FnMut(input::Vad)) {
        let mut rest = frame.samples();
        while !rest.is_empty() {
            let space = self.window.get_mut(self.filled..).unwrap_or_default();
            let (now, later) = rest.split_at(space.len().min(rest.len()));
            for (to, from) in space.iter_mut().zip(now) {
                *to = f32::from(*from) / 32_768.0;
            }
            self.filled += now.len();
            rest = later;
            if self.filled == WINDOW {
                self.filled = 0;
                let probability = self.network.probability(&mut self.state, &self.window);
                self.tail.push(&self.window);
                self.segmenter.push(probability, self.tail.quiet(), emit);
            }
        }
    }

    fn reset(&mut self) {
        self.state = State::default();
        self.filled = 0;
        self.tail = Tail::default();
        self.segmenter.reset();
    }
}

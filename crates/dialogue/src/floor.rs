//! Who has the floor: the one enum that says in which state the agent is.

use crate::event::AgentState;
use crate::speech::Speech;
use crate::time::Instant;

/// Why and since when the agent holds its tongue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold {
    pub(crate) since: Instant,
    /// When it goes on, if nothing is decided before; `None` while the caller makes sound.
    pub(crate) until: Option<Instant>,
    /// The caller had heard some of it before.
    pub(crate) audible: bool,
    /// The playout was paused.
    pub(crate) paused: bool,
}

/// In which state the agent is.
#[derive(Clone, Debug)]
pub(crate) enum Floor {
    /// `Started` has not come.
    NotStarted,
    /// The agent has nothing to say.
    Open,
    /// It is going to say something; nothing of the present step is audible yet.
    Preparing(Speech),
    /// It is heard.
    Speaking(Speech),
    /// The caller made a sound: it waits, undecided whether it goes on or gives way.
    Held(Speech, Hold),
    /// The session is over.
    Closed,
}

impl Floor {
    pub(crate) fn speech(&self) -> Option<&Speech> {
        match self {
            Self::Preparing(speech) | Self::Speaking(speech) | Self::Held(speech, _) => {
                Some(speech)
            }
            Self::NotStarted | Self::Open | Self::Closed => None,
        }
    }

    pub(crate) fn speech_mut(&mut self) -> Option<&mut Speech> {
        match self {
            Self::Preparing(speech) | Self::Speaking(speech) | Self::Held(speech, _) => {
                Some(speech)
            }
            Self::NotStarted | Self::Open | Self::Closed => None,
        }
    }

    /// Takes the speech away and leaves the floor open.
    pub(crate) fn take(&mut self) -> Option<(Speech, Option<Hold>)> {
        match std::mem::replace(self, Self::Open) {
            Self::Preparing(speech) | Self::Speaking(speech) => Some((speech, None)),
            Self::Held(speech, hold) => Some((speech, Some(hold))),
            other @ (Self::NotStarted | Self::Open | Self::Closed) => {
                *self = other;
                None
            }
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    pub(crate) fn is_held(&self) -> bool {
        matches!(self, Self::Held(..))
    }

    /// The caller hears the present speech, or has heard some of it.
    pub(crate) fn is_audible(&self) -> bool {
        match self {
            Self::Speaking(_) => true,
            Self::Held(_, hold) => hold.audible,
            Self::Preparing(_) | Self::NotStarted | Self::Open | Self::Closed => false,
        }
    }

    /// LiveKit's name for it.
    pub(crate) fn agent_state(&self) -> AgentState {
        match self {
            Self::NotStarted | Self::Closed => AgentState::Initializing,
            Self::Open | Self::Held(..) => AgentState::Listening,
            Self::Preparing(_) => AgentState::Thinking,
            Self::Speaking(_) => AgentState::Speaking,
        }
    }
}

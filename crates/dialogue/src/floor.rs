//! Who has the floor: the one enum that says in which state the agent is.
//!
//! ```text
//!                              first sound
//! NotStarted ──► Open ──► Preparing ──────► Speaking      and back between two steps
//!                 ▲  ▲        ▲ │               ▲ │
//!                 │  │        │ ▼               │ ▼       the caller makes a sound ▼, it was nothing ▲
//!                 │  │       Held, not heard   Held, heard
//!        reported │  │
//!           GivingWay └── its last word was heard         cut, from any of the four: GivingWay
//! ```
//!
//! `Closed` comes from `Open`. Whose floor it is, and who waits, is in the list of `speeches`; the wish to
//! end the session is granted when nobody has the floor.

use crate::event::AgentState;
use antiphon_chat::time::Instant;

/// Since when the agent has been held, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold {
    pub(crate) since: Instant,
    /// The caller had heard some of it before.
    pub(crate) audible: bool,
    /// The playout was paused.
    pub(crate) paused: bool,
}

/// In which state the agent is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Floor {
    /// `Started` has not come.
    #[default]
    NotStarted,
    /// The agent has nothing to say.
    Open,
    /// It is going to say something; nothing of the present step is audible yet.
    Preparing,
    /// It is heard.
    Speaking,
    /// The caller made a sound: it waits, undecided whether it goes on or gives way.
    Held(Hold),
    /// What it was saying was cut, and no sound of it is played any more; until this instant the playout may report what
    /// was heard of it. Nobody has the floor before that is known and written.
    GivingWay(Instant),
    /// The session is over.
    Closed,
}

impl Floor {
    /// When the playout has had its time to report what was heard of a speech that was cut.
    pub(crate) fn report_deadline(&self) -> Option<Instant> {
        match self {
            Self::GivingWay(until) => Some(*until),
            _ => None,
        }
    }

    pub(crate) fn hold(&self) -> Option<Hold> {
        match self {
            Self::Held(hold) => Some(*hold),
            _ => None,
        }
    }

    /// A speech has it.
    pub(crate) fn is_taken(&self) -> bool {
        matches!(self, Self::Preparing | Self::Speaking | Self::Held(_))
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    pub(crate) fn is_preparing(&self) -> bool {
        matches!(self, Self::Preparing)
    }

    pub(crate) fn is_speaking(&self) -> bool {
        matches!(self, Self::Speaking)
    }

    pub(crate) fn is_giving_way(&self) -> bool {
        matches!(self, Self::GivingWay(_))
    }

    pub(crate) fn is_held(&self) -> bool {
        matches!(self, Self::Held(_))
    }

    /// The caller hears the present speech, or has heard some of it.
    pub(crate) fn is_audible(&self) -> bool {
        match self {
            Self::Speaking => true,
            Self::Held(hold) => hold.audible,
            Self::Preparing | Self::NotStarted | Self::Open | Self::GivingWay(_) | Self::Closed => {
                false
            }
        }
    }

    /// LiveKit's name for it.
    pub(crate) fn agent_state(&self) -> AgentState {
        match self {
            Self::NotStarted | Self::Closed => AgentState::Initializing,
            Self::Open | Self::Held(_) | Self::GivingWay(_) => AgentState::Listening,
            Self::Preparing => AgentState::Thinking,
            Self::Speaking => AgentState::Speaking,
        }
    }
}

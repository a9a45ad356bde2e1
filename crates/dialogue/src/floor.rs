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
//! `Closed` comes from `Open`. What waits for its turn is data and no state: the `queue`, `parked` speeches, and the wish to
//! end the session, which is granted when nobody has the floor.

use crate::event::AgentState;
use crate::speech::Speech;
use antiphon_chat::time::Instant;

/// Why and since when the agent holds its tongue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold {
    pub(crate) since: Instant,
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
    /// What it was saying was cut, and no sound of it is played any more; until this instant the playout may report what
    /// was heard of it. Nobody has the floor before that is known and written.
    GivingWay(Speech, Instant),
    /// The session is over.
    Closed,
}

impl Floor {
    /// Who has the floor; not who is giving way.
    pub(crate) fn speech(&self) -> Option<&Speech> {
        match self {
            Self::Preparing(speech) | Self::Speaking(speech) | Self::Held(speech, _) => {
                Some(speech)
            }
            Self::NotStarted | Self::Open | Self::GivingWay(..) | Self::Closed => None,
        }
    }

    pub(crate) fn speech_mut(&mut self) -> Option<&mut Speech> {
        match self {
            Self::Preparing(speech) | Self::Speaking(speech) | Self::Held(speech, _) => {
                Some(speech)
            }
            Self::NotStarted | Self::Open | Self::GivingWay(..) | Self::Closed => None,
        }
    }

    /// A speech that was cut and is being reported.
    pub(crate) fn cut_speech(&self) -> Option<&Speech> {
        match self {
            Self::GivingWay(speech, _) => Some(speech),
            _ => None,
        }
    }

    pub(crate) fn cut_speech_mut(&mut self) -> Option<&mut Speech> {
        match self {
            Self::GivingWay(speech, _) => Some(speech),
            _ => None,
        }
    }

    /// The one whose audio may still arrive: who has the floor, or who is giving way.
    pub(crate) fn sounding_mut(&mut self) -> Option<&mut Speech> {
        match self {
            Self::Preparing(speech)
            | Self::Speaking(speech)
            | Self::Held(speech, _)
            | Self::GivingWay(speech, _) => Some(speech),
            Self::NotStarted | Self::Open | Self::Closed => None,
        }
    }

    /// When the playout has had its time to report what was heard of a speech that was cut.
    pub(crate) fn report_deadline(&self) -> Option<Instant> {
        match self {
            Self::GivingWay(_, until) => Some(*until),
            _ => None,
        }
    }

    /// Takes the speech away and leaves the floor open.
    pub(crate) fn take(&mut self) -> Option<(Speech, Option<Hold>)> {
        match std::mem::replace(self, Self::Open) {
            Self::Preparing(speech) | Self::Speaking(speech) => Some((speech, None)),
            Self::Held(speech, hold) => Some((speech, Some(hold))),
            other @ (Self::NotStarted | Self::Open | Self::GivingWay(..) | Self::Closed) => {
                *self = other;
                None
            }
        }
    }

    /// The playout has reported that it plays.
    pub(crate) fn becomes_audible(&mut self) {
        match self {
            Self::Held(speech, hold) => hold.audible |= speech.mouth.is_audible(),
            Self::Preparing(_) => {
                if let Some((speech, _)) = self.take() {
                    *self = Self::Speaking(speech);
                }
            }
            Self::Speaking(_)
            | Self::NotStarted
            | Self::Open
            | Self::GivingWay(..)
            | Self::Closed => {}
        }
    }

    /// Between two steps the agent thinks again.
    pub(crate) fn pauses_between_steps(&mut self) {
        if let Self::Speaking(speech) = self
            && speech.is_between_steps()
            && let Some((speech, _)) = self.take()
        {
            *self = Self::Preparing(speech);
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    pub(crate) fn is_giving_way(&self) -> bool {
        matches!(self, Self::GivingWay(..))
    }

    pub(crate) fn is_held(&self) -> bool {
        matches!(self, Self::Held(..))
    }

    /// The caller hears the present speech, or has heard some of it.
    pub(crate) fn is_audible(&self) -> bool {
        match self {
            Self::Speaking(_) => true,
            Self::Held(_, hold) => hold.audible,
            Self::Preparing(_)
            | Self::NotStarted
            | Self::Open
            | Self::GivingWay(..)
            | Self::Closed => false,
        }
    }

    /// LiveKit's name for it.
    pub(crate) fn agent_state(&self) -> AgentState {
        match self {
            Self::NotStarted | Self::Closed => AgentState::Initializing,
            Self::Open | Self::Held(..) | Self::GivingWay(..) => AgentState::Listening,
            Self::Preparing(_) => AgentState::Thinking,
            Self::Speaking(_) => AgentState::Speaking,
        }
    }
}

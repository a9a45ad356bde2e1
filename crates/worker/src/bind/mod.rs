//! A room and an agent session become one conversation.
//!
//! | module | what |
//! |---|---|
//! | `call` | conversations in one room, one after another; the loop between room and session |
//! | `callers` | who may talk, who does, who waits |
//! | `early` | what the caller said before the agent was there |
//! | `mix` | several callers become one sound |
//! | `hear` | the caller's packets become 16 kHz sound |
//! | `speak` | the agent's 24 kHz sound becomes packets |
//! | `publish` | states, transcripts and events for the clients in the room |
//! | `watch` | a program that follows calls from outside |

mod call;
mod callers;
mod early;
mod hear;
mod mix;
mod publish;
mod speak;
mod watch;

use std::time::Duration;

use antiphon_agent::Agent;
use antiphon_client::ParticipantKind;
use antiphon_rtc::Engine;

pub use call::run_in_room;
pub use watch::{Watch, Watcher};

use crate::job::JobFuture;
use crate::load::Deadlines;
use crate::seat::Seat;
use crate::{JobContext, JobHandler};

/// Whom the agent talks to. Defaults are LiveKit's.
#[derive(Clone, Debug)]
pub struct BindOptions {
    /// Only this participant; `None`: the first of an accepted kind.
    pub participant_identity: Option<String>,
    /// Accepted kinds: people, telephones, connectors.
    pub participant_kinds: Vec<ParticipantKind>,
    /// End the session when the caller leaves on purpose. (After a mere loss of connection another caller may come.)
    pub close_on_disconnect: bool,
    /// Who follows the calls beside the clients in the room; default nobody.
    pub watcher: Option<Watcher>,
    /// Whose words are heard when several are there.
    pub callers: CallersPolicy,
    /// The agent stays this long after its caller has left, and begins a new conversation with whoever comes or waits; a
    /// caller whose connection broke keeps the conversation for this long while somebody else waits. Default: 10 s.
    pub return_grace: Duration,
    /// Counts how punctually the agent's voice leaves. A worker puts its own in place of this.
    pub deadlines: Deadlines,
    /// The place that a conversation takes. A worker puts the job's own in place of this.
    pub seat: Seat,
    /// Who reads what happens in the session (`antiphon.events`).
    pub events: EventReaders,
}

/// Whose words are heard when several callers are in the room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallersPolicy {
    /// The first caller's, as LiveKit's agents do; the next one is answered when the first has left.
    #[default]
    First,
    /// Everybody's, in one conversation. It ends when the last has left.
    Any,
}

/// Who reads what happens in a session, tool arguments and passages included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventReaders {
    /// Participants whose grant is `canManageAgentSession`: only their token or the server's API gives it.
    #[default]
    Granted,
    /// Everybody in the room.
    Everyone,
    /// Nobody.
    Nobody,
}

impl Default for BindOptions {
    fn default() -> Self {
        Self {
            participant_identity: None,
            participant_kinds: vec![
                ParticipantKind::Connector,
                ParticipantKind::Sip,
                ParticipantKind::Standard,
            ],
            close_on_disconnect: true,
            watcher: None,
            callers: CallersPolicy::First,
            return_grace: Duration::from_secs(10),
            deadlines: Deadlines::default(),
            seat: Seat::default(),
            events: EventReaders::default(),
        }
    }
}

/// Runs every job as a conversation of this agent.
#[derive(Clone, Debug)]
pub struct AgentJobs {
    /// Who talks.
    pub agent: Agent,
    /// The media engine, shared by all jobs.
    pub engine: Engine,
    /// With whom.
    pub options: BindOptions,
}

impl JobHandler for AgentJobs {
    fn run(&self, context: JobContext) -> JobFuture {
        let Self {
            agent,
            engine,
            options,
        } = self.clone();
        Box::pin(async move {
            let JobContext {
                url,
                token,
                shutdown,
                deadlines,
                seat,
                ..
            } = context;
            let options = BindOptions {
                deadlines,
                seat,
                ..options
            };
            run_in_room(&agent, &engine, &url, &token, options, shutdown).await
        })
    }
}

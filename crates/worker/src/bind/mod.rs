//! A room and an agent session become one conversation.
//!
//! | module | what |
//! |---|---|
//! | `call` | who the caller is; the loop between room and session |
//! | `early` | what the caller said before the agent was there |
//! | `hear` | the caller's packets become 16 kHz sound |
//! | `speak` | the agent's 24 kHz sound becomes packets |
//! | `publish` | states, transcripts and events for the clients in the room |
//! | `watch` | a program that follows calls from outside |

mod call;
mod early;
mod hear;
mod publish;
mod speak;
mod watch;

use antiphon_agent::Agent;
use antiphon_room::ParticipantKind;
use antiphon_rtc::Engine;

pub use call::run_in_room;
pub use watch::{Watch, Watcher};

use crate::job::JobFuture;
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
                ..
            } = context;
            run_in_room(&agent, &engine, &url, &token, options, shutdown).await
        })
    }
}

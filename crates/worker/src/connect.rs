//! Join one named room without dispatch.

use std::time::Duration;

use antiphon_agent::Agent;
use antiphon_protocol::{AccessToken, ParticipantKind, VideoGrants};
use antiphon_rtc::Engine;
use tokio_util::sync::CancellationToken;

use crate::{BindOptions, WorkerError, run_in_room};

/// The token must live as long as reconnections may be needed; the server refreshes it.
const TOKEN_TTL: Duration = Duration::from_secs(6 * 3600);

/// Which room, and as whom.
#[derive(Clone)]
pub struct ConnectOptions {
    /// The LiveKit server.
    pub url: String,
    /// `LIVEKIT_API_KEY`.
    pub api_key: String,
    /// `LIVEKIT_API_SECRET`; never printed.
    pub api_secret: String,
    /// The room; made if it is not there.
    pub room: String,
    /// The agent's identity in it.
    pub identity: String,
    /// Who the caller is, and so on.
    pub bind: BindOptions,
}

impl std::fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("url", &self.url)
            .field("room", &self.room)
            .finish_non_exhaustive()
    }
}

/// Join the room, talk to the caller, return when the conversation is over or `shutdown` is cancelled.
pub async fn connect_room(
    agent: &Agent,
    engine: &Engine,
    options: ConnectOptions,
    shutdown: CancellationToken,
) -> Result<(), WorkerError> {
    let grants = VideoGrants {
        agent: true,
        can_update_own_metadata: Some(true),
        ..VideoGrants::join(&options.room)
    };
    let token = AccessToken::new(&options.api_key, &options.api_secret)
        .identity(&options.identity)
        .name(agent.name())
        .kind(ParticipantKind::Agent)
        .grants(grants)
        .ttl(TOKEN_TTL)
        .to_jwt()
        .map_err(|error| WorkerError::Token(error.to_string()))?;
    run_in_room(agent, engine, &options.url, &token, options.bind, shutdown).await
}

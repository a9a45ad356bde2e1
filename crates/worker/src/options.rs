//! How a worker behaves. Defaults are LiveKit's.

use std::time::Duration;

/// How a worker behaves.
#[derive(Clone)]
pub struct WorkerOptions {
    /// The LiveKit server (`LIVEKIT_URL`).
    pub url: String,
    /// `LIVEKIT_API_KEY`.
    pub api_key: String,
    /// `LIVEKIT_API_SECRET`; never printed.
    pub api_secret: String,
    /// Empty: every new room gets this agent. Otherwise only rooms that ask for it by name.
    pub agent_name: String,
    /// No new jobs at or above this load (0 to 1): the share of [`max_jobs`](Self::max_jobs) that is taken, or the strain
    /// of sound that leaves late, whichever is more. Default 1: as many as `max_jobs` says while their sound leaves in
    /// time. (LiveKit's 0.7 is a share of the processor.) Infinity: only `max_jobs` counts.
    pub load_threshold: f32,
    /// How long running jobs may go on after [`drain`](crate::WorkerHandle::drain). Default one hour.
    pub drain_timeout: Duration,
    /// The most jobs at once. Default 1000.
    pub max_jobs: usize,
    /// Failed connections in a row before a worker without calls gives up. A server that asks for patience (429) is not
    /// counted. Default 16.
    pub max_retries: u32,
}

impl WorkerOptions {
    /// The defaults for production.
    pub fn new(
        url: impl Into<String>,
        api_key: impl Into<String>,
        api_secret: impl Into<String>,
    ) -> Self {
        Self {
            url: url.into(),
            api_key: api_key.into(),
            api_secret: api_secret.into(),
            agent_name: String::new(),
            load_threshold: 1.0,
            drain_timeout: Duration::from_secs(3600),
            max_jobs: 1000,
            max_retries: 16,
        }
    }
}

impl std::fmt::Debug for WorkerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerOptions")
            .field("url", &self.url)
            .field("agent_name", &self.agent_name)
            .finish_non_exhaustive()
    }
}

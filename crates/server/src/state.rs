//! What all requests share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use antiphon_protocol::ids;
use antiphon_protocol::names::{AGENT_PROTOCOL_VERSION, PROTOCOL_VERSION, SERVER_VERSION};
use antiphon_protocol::proto::{ServerInfo, server_info};
use antiphon_rtc::Engine;
use tokio_util::sync::CancellationToken;

use crate::agents::Agents;
use crate::config::ServerConfig;
use crate::error::ServerError;
use crate::keys::KeyRing;
use crate::limits::{MAX_WORKERS_PER_KEY, Rates};
use crate::repeated::Repeated;
use crate::rooms::Rooms;
use crate::turn::Listening;
use crate::webhook::Hooks;

/// What all requests share.
pub(crate) struct State {
    pub(crate) config: ServerConfig,
    /// Valid now; those of `config` were valid at the start.
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) hooks: Hooks,
    /// Where our own relay listens, once it does.
    pub(crate) relay: OnceLock<Listening>,
    pub(crate) engine: Engine,
    pub(crate) rooms: Rooms,
    pub(crate) agents: Agents,
    pub(crate) rates: Rates,
    pub(crate) repeated: Arc<Repeated>,
    pub(crate) node_id: String,
    /// Connections of agent workers, by API key.
    workers: Mutex<HashMap<String, usize>>,
    draining: AtomicBool,
    connections: AtomicU64,
}

/// A counted connection of a worker.
pub(crate) struct WorkerPlace {
    state: Arc<State>,
    key: String,
}

impl Drop for WorkerPlace {
    fn drop(&mut self) {
        let mut workers = self.state.workers();
        if let Some(count) = workers.get_mut(&self.key) {
            *count = count.saturating_sub(1);
        }
    }
}

impl State {
    /// `stop` ends what the server does by itself.
    pub(crate) fn new(
        config: ServerConfig,
        engine: Engine,
        stop: &CancellationToken,
    ) -> Result<Arc<Self>, ServerError> {
        let keys = Arc::new(KeyRing::new(config.keys.clone()));
        let agents = Agents::start(Arc::clone(&keys), config.limits.max_rooms);
        let hooks = Hooks::start(config.webhooks.clone(), &keys, stop)?;
        Ok(Arc::new(Self {
            keys,
            hooks,
            relay: OnceLock::new(),
            rooms: Rooms::default(),
            agents,
            rates: Rates::new(&config.limits),
            repeated: Arc::default(),
            node_id: ids::new(ids::NODE),
            workers: Mutex::default(),
            draining: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            config,
            engine,
        }))
    }

    /// A number for a signal connection.
    pub(crate) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    fn workers(&self) -> std::sync::MutexGuard<'_, HashMap<String, usize>> {
        // One number changes at a time.
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a worker with this key, which was verified. `None`: the key has all of its places.
    pub(crate) fn worker_place(self: &Arc<Self>, key: &str) -> Option<WorkerPlace> {
        let mut workers = self.workers();
        let count = workers.entry(key.to_owned()).or_default();
        if *count >= MAX_WORKERS_PER_KEY {
            return None;
        }
        *count += 1;
        Some(WorkerPlace {
            state: Arc::clone(self),
            key: key.to_owned(),
        })
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn server_info(&self) -> ServerInfo {
        ServerInfo {
            region: self.config.region.clone(),
            ..server_info(&self.node_id)
        }
    }
}

/// What a server says about itself. The version is LiveKit's: SDKs decide by it what they may use.
pub(crate) fn server_info(node_id: &str) -> ServerInfo {
    ServerInfo {
        edition: server_info::Edition::Standard as i32,
        version: SERVER_VERSION.to_owned(),
        protocol: PROTOCOL_VERSION,
        node_id: node_id.to_owned(),
        debug_info: concat!("antiphon ", env!("CARGO_PKG_VERSION")).to_owned(),
        agent_protocol: AGENT_PROTOCOL_VERSION,
        ..ServerInfo::default()
    }
}

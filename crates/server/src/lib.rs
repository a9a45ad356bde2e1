//! A LiveKit-compatible room server: any LiveKit client SDK joins it, any LiveKit agent worker takes jobs from it.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | settings, checked before any port is bound |
//! | [`server`] | starting, draining, stopping; listeners and connections |
//! | [`limits`] | sizes, counts and rates, each with its reason |
//! | [`error`] | what can go wrong at the start |
//! | `connections` | how many are open, and what a stranger's may hold |
//! | `http` | the routes |
//! | `auth` | who is asking |
//! | `origin` | which browser pages may ask, and by which name |
//! | `repeated` | what strangers cause again and again is logged once |
//! | `signal` | joining by WebSocket |
//! | `rooms` | the rooms that are open |
//! | `room` | one room: a task that owns participants, tracks and data |
//! | `agents` | workers, dispatches and jobs |
//! | `turn` | the relay, and what clients are told about others |
//! | `twirp` | server APIs |
//! | `keys` | API keys, which may be replaced |
//! | `webhook` | what happens is told to the operator's addresses |
//! | `tally` | how many there are, for metrics |
//! | `external` | which address others see |
//! | `tls` | certificates |
//! | `acme` | certificates from Let's Encrypt and its like |
//!
//! ```no_run
//! # async fn run() -> Result<(), antiphon_server::ServerError> {
//! use antiphon_server::{Server, ServerConfig};
//! let running = Server::start(ServerConfig::dev(), axum::Router::new()).await?;
//! println!("LiveKit clients connect to {}", running.url());
//! # Ok(()) }
//! ```

mod acme;
mod agents;
mod auth;
pub mod config;
mod connections;
pub mod error;
mod external;
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod keys;
pub mod limits;
mod origin;
mod repeated;
mod room;
mod rooms;
pub mod server;
mod signal;
mod state;
mod tally;
mod tls;
mod turn;
mod twirp;
mod webhook;

pub use acme::{Acme, LETS_ENCRYPT};
pub use config::{
    Network, Origins, Proxies, RoomDefaults, ServerConfig, Tls, TrustedProxies, Turn, TurnAccess,
    TurnProtocol, TurnServer, Webhooks,
};
pub use error::ServerError;
pub use limits::Limits;
pub use origin::{check_origin, is_own_name};
pub use server::{Running, Server, ServerState};

//! LiveKit's worker protocol, jobs, load and drain; binds a room to an agent session. It decides who the caller is and
//! moves sound and words between both; it takes no turns.
//!
//! | module | what |
//! |---|---|
//! | [`worker`] | registers at a LiveKit server and runs the jobs that it assigns |
//! | [`options`] | how a worker behaves |
//! | [`job`] | one job, and who runs it |
//! | [`load`] | what this worker can still carry |
//! | [`connect`] | join one named room without dispatch |
//! | [`bind`] | a room and an agent session become one conversation |
//! | [`http`] | health for orchestrators |
//! | [`error`] | what can go wrong |
//! | `patience` | which refusals pass, and when to ask again |
//! | [`seat`] | a job's place, which others may have while it waits |
//! | `slots` | which jobs are accepted |
//! | `socket` | the WebSocket |

pub mod bind;
pub mod connect;
pub mod error;
pub mod http;
pub mod job;
pub mod load;
pub mod options;
mod patience;
pub mod seat;
mod slots;
mod socket;
pub mod worker;

pub use bind::{AgentJobs, BindOptions, CallersPolicy, EventReaders, Watch, Watcher, run_in_room};
pub use connect::{ConnectOptions, connect_room};
pub use error::WorkerError;
pub use http::{health_router, info_router};
pub use job::{JobContext, JobHandler};
pub use options::WorkerOptions;
pub use seat::Seat;
pub use slots::Full;
pub use worker::{Worker, WorkerHandle, WorkerStatus};

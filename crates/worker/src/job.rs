//! One job, and who runs it.

use std::future::Future;
use std::pin::Pin;

use livekit_protocol::Job;
use tokio_util::sync::CancellationToken;

use crate::WorkerError;
use crate::load::Deadlines;
use crate::seat::Seat;

/// One job.
#[derive(Clone)]
pub struct JobContext {
    /// What the server says about it: room, metadata, attributes.
    pub job: Job,
    /// The server to join.
    pub url: String,
    /// The token to join with; never printed.
    pub token: String,
    /// Counts how punctually the agent's voice leaves; the worker takes no more calls when it does not.
    pub deadlines: Deadlines,
    /// The job's place; it takes none from others while it waits for a caller to return.
    pub seat: Seat,
    /// Cancelled when the server or the worker wants the job to end.
    pub shutdown: CancellationToken,
}

impl std::fmt::Debug for JobContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobContext")
            .field("job", &self.job.id)
            .finish_non_exhaustive()
    }
}

/// The future of a job.
pub type JobFuture = Pin<Box<dyn Future<Output = Result<(), WorkerError>> + Send>>;

/// Runs jobs. A panic ends that job alone and is counted.
pub trait JobHandler: Send + Sync + 'static {
    /// Run this job to its end.
    fn run(&self, context: JobContext) -> JobFuture;
}

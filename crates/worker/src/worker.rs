//! Registers at a LiveKit server and runs the jobs that it assigns.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use antiphon_protocol::names::{ATTRIBUTE_AGENT_NAME, SERVER_VERSION};
use antiphon_telemetry::names::PANICS_TOTAL;
use livekit_protocol::server_message::Message as Incoming;
use livekit_protocol::worker_message::Message as Outgoing;
use livekit_protocol::{
    AvailabilityRequest, AvailabilityResponse, JobAssignment, JobStatus, JobType,
    MigrateJobRequest, ParticipantPermission, RegisterWorkerRequest, UpdateJobStatus,
    UpdateWorkerStatus, WorkerStatus as Status,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::load::LoadMeter;
use crate::slots::Slots;
use crate::socket::{self, Socket};
use crate::{JobContext, JobHandler, WorkerError, WorkerOptions};

/// The server must answer the registration within this time.
const REGISTER_TIMEOUT: Duration = Duration::from_secs(10);
/// LiveKit's report interval.
const STATUS_INTERVAL: Duration = Duration::from_millis(2500);
/// LiveKit's sample interval.
const LOAD_INTERVAL: Duration = Duration::from_millis(500);
/// After a cancelled job's shutdown it has this long before it is dropped.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// A connection that lived this long was a good one; the pauses begin anew.
const SETTLED: Duration = Duration::from_secs(5);
/// The longest error text in a job's status.
const ERROR_CHARS: usize = 300;

/// What the outside may know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerStatus {
    /// Registered now.
    pub connected: bool,
    /// The attempts to come back are used up.
    pub failed: bool,
    /// No new jobs.
    pub draining: bool,
    /// Jobs running now.
    pub active_jobs: usize,
    /// 0 to 1.
    pub load: f32,
    /// The name under which it is registered.
    pub agent_name: String,
}

/// Watches and stops a worker.
#[derive(Clone, Debug)]
pub struct WorkerHandle {
    status: Arc<RwLock<WorkerStatus>>,
    drain: watch::Sender<bool>,
}

impl WorkerHandle {
    /// How it is.
    pub fn status(&self) -> WorkerStatus {
        self.status
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Take no new jobs; [`Worker::run`] returns when the running ones have ended or the drain time is over.
    pub fn drain(&self) {
        self.drain.send_replace(true);
    }
}

/// A worker.
pub struct Worker {
    options: WorkerOptions,
    handler: Arc<dyn JobHandler>,
    handle: WorkerHandle,
    slots: Slots,
    jobs: JoinSet<(String, Result<(), String>)>,
    meter: LoadMeter,
    started: Instant,
    /// When draining ends by force; it stays across reconnections.
    drain_over: Option<tokio::time::Instant>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Why one connection ended.
enum End {
    Lost,
    Drained,
    /// With so many jobs still running.
    DrainTimeout(usize),
}

impl Worker {
    /// A worker that runs its jobs with this handler.
    pub fn new(options: WorkerOptions, handler: Arc<dyn JobHandler>) -> Self {
        let status = WorkerStatus {
            agent_name: options.agent_name.clone(),
            ..Default::default()
        };
        Self {
            handle: WorkerHandle {
                status: Arc::new(RwLock::new(status)),
                drain: watch::Sender::new(false),
            },
            slots: Slots::new(options.max_jobs, options.load_threshold),
            jobs: JoinSet::new(),
            meter: LoadMeter::default(),
            started: Instant::now(),
            drain_over: None,
            options,
            handler,
        }
    }

    /// Watches and stops it.
    pub fn handle(&self) -> WorkerHandle {
        self.handle.clone()
    }

    /// Register and work until drained. Comes back by itself after a loss of connection; running jobs go on meanwhile.
    pub async fn run(mut self) -> Result<(), WorkerError> {
        let mut failures = 0;
        let mut drain = self.handle.drain.subscribe();
        loop {
            match self.connect().await {
                Ok(socket) => {
                    let since = Instant::now();
                    self.report(|status| status.connected = true);
                    let end = self.serve(socket).await;
                    // A server that hangs up on everybody at once must not be asked without a pause.
                    failures = if since.elapsed() < SETTLED {
                        failures + 1
                    } else {
                        0
                    };
                    self.report(|status| status.connected = false);
                    match end {
                        End::Drained => return Ok(()),
                        End::DrainTimeout(jobs) => return Err(WorkerError::DrainTimeout { jobs }),
                        End::Lost => {
                            tracing::warn!("the connection to the server is lost; coming back")
                        }
                    }
                }
                // Another attempt would be refused in the same way.
                Err(
                    error @ (WorkerError::Refused {
                        status: 400..500, ..
                    }
                    | WorkerError::Certificate { .. }
                    | WorkerError::Token(_)
                    | WorkerError::Room(_)),
                ) => {
                    self.report(|status| status.failed = true);
                    return Err(error);
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "cannot register at the server yet");
                    if failures >= self.options.max_retries {
                        self.report(|status| status.failed = true);
                        return Err(WorkerError::GaveUp {
                            attempts: failures,
                            last: Box::new(error),
                        });
                    }
                }
            }
            let wait = Duration::from_secs(u64::from((failures * 2).min(10)));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = ordered(&mut drain) => if self.slots.running.is_empty() { return Ok(()) } else {
                    tokio::time::sleep(wait.max(LOAD_INTERVAL)).await;
                },
            }
        }
    }

    async fn connect(&mut self) -> Result<Socket, WorkerError> {
        let mut socket = socket::open(&self.options).await?;
        socket.send(Outgoing::Register(RegisterWorkerRequest {
            r#type: JobType::JtRoom as i32,
            agent_name: self.options.agent_name.clone(),
            version: SERVER_VERSION.into(),
            allowed_permissions: Some(permissions()),
            ..Default::default()
        }));
        let first = tokio::time::timeout(REGISTER_TIMEOUT, socket.recv()).await;
        match first.ok().flatten().and_then(|message| message.message) {
            Some(Incoming::Register(registered)) => {
                tracing::info!(
                    worker = registered.worker_id,
                    agent_name = self.options.agent_name,
                    "registered"
                );
            }
            Some(_) => {
                return Err(WorkerError::Protocol(
                    "the first message is not `register`".into(),
                ));
            }
            None => {
                return Err(WorkerError::Protocol(
                    "no answer to the registration".into(),
                ));
            }
        }
        if !self.slots.running.is_empty() {
            let job_ids = self.slots.running.keys().cloned().collect();
            socket.send(Outgoing::MigrateJob(MigrateJobRequest { job_ids }));
        }
        Ok(socket)
    }

    async fn serve(&mut self, mut socket: Socket) -> End {
        let mut status = tokio::time::interval(STATUS_INTERVAL);
        let mut load = tokio::time::interval(LOAD_INTERVAL);
        let mut drain = self.handle.drain.subscribe();
        loop {
            if self.slots.draining && self.slots.running.is_empty() {
                socket.close().await;
                return End::Drained;
            }
            tokio::select! {
                message = socket.recv() => match message {
                    None => return End::Lost,
                    Some(message) => if let Some(message) = message.message {
                        self.message(&socket, message);
                    },
                },
                Some(ended) = self.jobs.join_next() => if let Ok((job_id, result)) = ended {
                    self.ended(&socket, job_id, result);
                },
                _ = load.tick() => {
                    self.slots.load = self.meter.sample(Instant::now(), self.started);
                    let (load, active_jobs) = (self.slots.load, self.slots.running.len());
                    self.report(|status| (status.load, status.active_jobs) = (load, active_jobs));
                }
                _ = status.tick() => if !self.send_status(&socket) { return End::Lost },
                () = ordered(&mut drain), if !self.slots.draining => {
                    self.slots.draining = true;
                    self.drain_over = Some(tokio::time::Instant::now() + self.options.drain_timeout);
                    self.report(|status| status.draining = true);
                    self.send_status(&socket);
                }
                () = passed(self.drain_over) => {
                    let jobs = self.slots.running.len();
                    self.slots.running.values().for_each(tokio_util::sync::CancellationToken::cancel);
                    tracing::warn!(jobs, "the drain time is over; ending the jobs that still run");
                    let grace = tokio::time::sleep(SHUTDOWN_GRACE);
                    tokio::pin!(grace);
                    loop {
                        tokio::select! {
                            ended = self.jobs.join_next() => match ended {
                                Some(Ok((job_id, result))) => self.ended(&socket, job_id, result),
                                Some(Err(_)) => {}
                                None => break,
                            },
                            () = &mut grace => break,
                        }
                    }
                    socket.close().await;
                    return End::DrainTimeout(jobs);
                }
            }
        }
    }

    fn message(&mut self, socket: &Socket, message: Incoming) {
        match message {
            Incoming::Availability(offer) => self.offered(socket, offer),
            Incoming::Assignment(assignment) => self.assigned(assignment),
            Incoming::Termination(termination) => {
                if let Some(shutdown) = self.slots.running.get(&termination.job_id) {
                    shutdown.cancel();
                }
            }
            Incoming::Register(_) | Incoming::Pong(_) | Incoming::GoAway(_) => {}
        }
    }

    fn offered(&mut self, socket: &Socket, offer: AvailabilityRequest) {
        let Some(job) = offer.job else { return };
        let available = self.slots.reserve(&job.id, Instant::now());
        tracing::info!(job = job.id, available, "a job is offered");
        socket.send(Outgoing::Availability(AvailabilityResponse {
            participant_identity: format!("agent-{}", job.id),
            participant_name: self.options.agent_name.clone(),
            participant_attributes: HashMap::from([(
                ATTRIBUTE_AGENT_NAME.into(),
                self.options.agent_name.clone(),
            )]),
            job_id: job.id,
            available,
            ..Default::default()
        }));
    }

    fn assigned(&mut self, assignment: JobAssignment) {
        let Some(job) = assignment.job else { return };
        let Some(shutdown) = self.slots.assigned(&job.id, Instant::now()) else {
            tracing::warn!(
                job = job.id,
                "a job was assigned that nobody accepted in time"
            );
            return;
        };
        let job_id = job.id.clone();
        // Lines of the worker, the room and the session are joined by these two.
        let room = job.room.as_ref().map(|room| room.name.as_str());
        let span = tracing::info_span!("job", job = job.id, room);
        let url = assignment
            .url
            .filter(|url| !url.is_empty())
            .unwrap_or_else(|| self.options.url.clone());
        let context = JobContext {
            job,
            url,
            token: assignment.token,
            shutdown,
        };
        let handler = self.handler.clone();
        self.jobs.spawn(async move {
            // A task of its own, so that a panic is a value here. It ends with the worker.
            let job = AbortOnDropHandle::new(tokio::spawn(
                async move { handler.run(context).await }.instrument(span),
            ));
            let result = match job.await {
                Ok(result) => result.map_err(|error| error.to_string()),
                Err(_) => {
                    metrics::counter!(PANICS_TOTAL, "place" => "job").increment(1);
                    tracing::error!(job = job_id, "the job panicked; this is a bug");
                    Err("the job panicked".to_owned())
                }
            };
            (job_id, result)
        });
    }

    fn ended(&mut self, socket: &Socket, job_id: String, result: Result<(), String>) {
        self.slots.running.remove(&job_id);
        let error: String = result
            .err()
            .unwrap_or_default()
            .chars()
            .take(ERROR_CHARS)
            .collect();
        tracing::info!(job = job_id, error, "a job has ended");
        let status = if error.is_empty() {
            JobStatus::JsSuccess
        } else {
            JobStatus::JsFailed
        } as i32;
        socket.send(Outgoing::UpdateJob(UpdateJobStatus {
            job_id,
            status,
            error,
        }));
    }

    fn send_status(&self, socket: &Socket) -> bool {
        let status = if self.slots.full() {
            Status::WsFull
        } else {
            Status::WsAvailable
        };
        socket.send(Outgoing::UpdateWorker(UpdateWorkerStatus {
            status: Some(status as i32),
            load: self.slots.reported_load(),
            job_count: u32::try_from(self.slots.running.len()).unwrap_or(u32::MAX),
            draining: self.slots.draining,
            ..Default::default()
        }))
    }

    fn report(&self, change: impl FnOnce(&mut WorkerStatus)) {
        change(
            &mut self
                .handle
                .status
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}

/// What an agent may do in a room.
fn permissions() -> ParticipantPermission {
    ParticipantPermission {
        can_subscribe: true,
        can_publish: true,
        can_publish_data: true,
        can_update_metadata: true,
        ..Default::default()
    }
}

/// Waits for the order to drain. (A guard of the watch channel must not live across an await.)
async fn ordered(drain: &mut watch::Receiver<bool>) {
    if drain.wait_for(|drain| *drain).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn passed(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

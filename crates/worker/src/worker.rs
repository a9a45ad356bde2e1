//! Registers at a LiveKit server and runs the jobs that it assigns.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use antiphon_protocol::names::{ATTRIBUTE_AGENT_NAME, SERVER_VERSION};
use antiphon_telemetry::names::{PANICS_TOTAL, WORKER_FULL, WORKER_LOAD, WORKER_REFUSALS_TOTAL};
use livekit_protocol::server_message::Message as Incoming;
use livekit_protocol::worker_message::Message as ToServer;
use livekit_protocol::{
    AvailabilityRequest, AvailabilityResponse, JobAssignment, JobStatus, JobType,
    MigrateJobRequest, ParticipantPermission, RegisterWorkerRequest, UpdateJobStatus,
    UpdateWorkerStatus, WorkerStatus as Status,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::load::{Deadlines, StrainMeter};
use crate::patience::{Counts, patience};
use crate::slots::{Full, Refusal, Slots};
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
/// How a job ended that had no time to end by itself.
const CUT_SHORT: &str = "the worker's drain time was over";
/// The longest error text in a job's status.
const ERROR_CHARS: usize = 300;

/// The first pause after a refusal or a broken connection; one more of these for each further one (LiveKit's).
const PAUSE: Duration = Duration::from_secs(2);
/// The longest pause of our own choice (LiveKit's).
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A server that asks to be left alone (`Retry-After`) is obeyed for at most this long.
const LONGEST_PATIENCE: Duration = Duration::from_secs(60);

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
    /// What is taken of what it can carry, 0 to 1.
    pub load: f32,
    /// Why it takes no calls now; `None`: it takes them.
    pub full: Option<Full>,
    /// The most jobs at once.
    pub max_jobs: usize,
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
    /// How jobs ended that the server does not know of yet. At most as many as there may be jobs.
    untold: Vec<UpdateJobStatus>,
    deadlines: Deadlines,
    meter: StrainMeter,
    /// When draining ends by force; it stays across reconnections.
    drain_over: Option<tokio::time::Instant>,
    /// Jobs are ended that had not done their work.
    by_force: bool,
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
    /// With this many jobs still running.
    DrainTimeout(usize),
}

impl Worker {
    /// A worker that runs its jobs with this handler.
    pub fn new(options: WorkerOptions, handler: Arc<dyn JobHandler>) -> Self {
        let status = WorkerStatus {
            agent_name: options.agent_name.clone(),
            max_jobs: options.max_jobs,
            ..Default::default()
        };
        Self {
            handle: WorkerHandle {
                status: Arc::new(RwLock::new(status)),
                drain: watch::Sender::new(false),
            },
            slots: Slots::new(options.max_jobs, options.load_threshold),
            jobs: JoinSet::new(),
            untold: Vec::new(),
            deadlines: Deadlines::default(),
            meter: StrainMeter::default(),
            drain_over: None,
            by_force: false,
            options,
            handler,
        }
    }

    /// Watches and stops it.
    pub fn handle(&self) -> WorkerHandle {
        self.handle.clone()
    }

    /// Register and work until drained. Comes back by itself after a loss of connection and after a refusal that passes;
    /// running jobs go on meanwhile, and no refusal ends the worker before they have ended.
    pub async fn run(mut self) -> Result<(), WorkerError> {
        let mut failures = 0;
        loop {
            let asked = match self.connect().await {
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
                            tracing::warn!("the connection to the server is lost; coming back");
                        }
                    }
                    None
                }
                Err(error) => {
                    let (asked, counts) = patience(&error);
                    failures += 1;
                    let running = self.slots.running.len();
                    let gives_up = !counts.may_pass()
                        || counts == Counts::AsFailure && failures >= self.options.max_retries;
                    if gives_up && running == 0 {
                        self.report(|status| status.failed = true);
                        return Err(match counts {
                            Counts::Final => error,
                            Counts::AsFailure | Counts::Not => WorkerError::GaveUp {
                                attempts: failures,
                                last: Box::new(error),
                            },
                        });
                    }
                    if gives_up {
                        tracing::error!(%error, running, "the server does not take this worker back; its calls go on, and it is asked again");
                    } else {
                        tracing::warn!(%error, failures, "cannot register at the server yet");
                    }
                    asked
                }
            };
            let pause = PAUSE.saturating_mul(failures).min(LONGEST_PAUSE);
            let pause = pause.max(asked.unwrap_or_default().min(LONGEST_PATIENCE));
            match self.offline(pause).await {
                None => {}
                Some(End::DrainTimeout(jobs)) => return Err(WorkerError::DrainTimeout { jobs }),
                Some(End::Drained | End::Lost) => return Ok(()),
            }
        }
    }

    /// Wait before the next attempt. Meanwhile jobs end, and the order to drain holds.
    async fn offline(&mut self, pause: Duration) -> Option<End> {
        let mut drain = self.handle.drain.subscribe();
        let pause = tokio::time::sleep(pause);
        tokio::pin!(pause);
        loop {
            if self.slots.draining && self.slots.running.is_empty() {
                return Some(End::Drained);
            }
            tokio::select! {
                () = &mut pause => return None,
                Some(ended) = self.jobs.join_next() => if let Ok((job_id, result)) = ended {
                    self.ended(job_id, result);
                },
                () = ordered(&mut drain), if !self.slots.draining => self.start_draining(),
                () = passed(self.drain_over) => return Some(End::DrainTimeout(self.end_by_force().await)),
            }
        }
    }

    fn start_draining(&mut self) {
        self.slots.draining = true;
        self.drain_over = Some(tokio::time::Instant::now() + self.options.drain_timeout);
        self.report(|status| status.draining = true);
        self.look();
    }

    /// The drain time is over: how many jobs were still running. Their callers are still there, so the jobs have failed: the
    /// server finds other agents for them.
    async fn end_by_force(&mut self) -> usize {
        let jobs = self.slots.running.len();
        self.by_force = true;
        for job in self.slots.running.values() {
            job.shutdown.cancel();
        }
        tracing::warn!(
            jobs,
            "the drain time is over; ending the jobs that still run"
        );
        let grace = tokio::time::sleep(SHUTDOWN_GRACE);
        tokio::pin!(grace);
        loop {
            tokio::select! {
                ended = self.jobs.join_next() => match ended {
                    Some(Ok((job_id, result))) => self.ended(job_id, result),
                    Some(Err(_)) => {}
                    None => break,
                },
                () = &mut grace => break,
            }
        }
        let left: Vec<String> = self.slots.running.keys().cloned().collect();
        for job_id in left {
            self.ended(job_id, Ok(()));
        }
        jobs
    }

    async fn connect(&mut self) -> Result<Socket, WorkerError> {
        let mut socket = socket::open(&self.options).await?;
        socket.send(ToServer::Register(RegisterWorkerRequest {
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
        let ended = self.untold.iter().map(|update| update.job_id.clone());
        let job_ids: Vec<String> = self.slots.running.keys().cloned().chain(ended).collect();
        if !job_ids.is_empty() {
            socket.send(ToServer::MigrateJob(MigrateJobRequest { job_ids }));
        }
        self.tell_ended(&socket);
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
                    self.ended(job_id, result);
                    self.tell_ended(&socket);
                },
                _ = load.tick() => {
                    self.slots.strain = self.meter.sample(&self.deadlines);
                    if self.look() {
                        self.send_status(&socket);
                    }
                }
                _ = status.tick() => if !self.send_status(&socket) { return End::Lost },
                () = ordered(&mut drain), if !self.slots.draining => {
                    self.start_draining();
                    self.send_status(&socket);
                }
                () = passed(self.drain_over) => {
                    let jobs = self.end_by_force().await;
                    self.tell_ended(&socket);
                    socket.close().await;
                    return End::DrainTimeout(jobs);
                }
            }
        }
    }

    /// Look at the load; true if it has become full, or is not any more.
    fn look(&mut self) -> bool {
        let (load, full, active_jobs) = (
            self.slots.load(),
            self.slots.full(),
            self.slots.running.len(),
        );
        let before = self.handle.status().full;
        self.report(|status| {
            (status.load, status.full, status.active_jobs) = (load, full, active_jobs);
        });
        metrics::gauge!(WORKER_LOAD).set(f64::from(load));
        let changed = before.map(Full::label) != full.map(Full::label);
        if changed {
            for label in Full::LABELS {
                let is = full.is_some_and(|full| full.label() == label);
                metrics::gauge!(WORKER_FULL, "reason" => label).set(f64::from(u8::from(is)));
            }
            match full {
                Some(full) => tracing::warn!(
                    reason = full.label(),
                    "the worker takes no more calls: {full}"
                ),
                None => tracing::info!(load, "the worker takes calls again"),
            }
        }
        changed
    }

    fn message(&mut self, socket: &Socket, message: Incoming) {
        match message {
            Incoming::Availability(offer) => self.offered(socket, offer),
            Incoming::Assignment(assignment) => self.assigned(assignment),
            Incoming::Termination(termination) => {
                if let Some(job) = self.slots.running.get(&termination.job_id) {
                    job.shutdown.cancel();
                }
            }
            Incoming::Register(_) | Incoming::Pong(_) | Incoming::GoAway(_) => {}
        }
    }

    fn offered(&mut self, socket: &Socket, offer: AvailabilityRequest) {
        let Some(job) = offer.job else { return };
        let reserved = self.slots.reserve(&job.id, Instant::now());
        let available = reserved.is_ok();
        match reserved {
            Ok(()) => tracing::info!(job = job.id, "a job is offered and taken"),
            Err(refusal) => {
                let reason = match refusal {
                    Refusal::Full(full) => full.label(),
                    Refusal::HasIt => "has_it",
                };
                metrics::counter!(WORKER_REFUSALS_TOTAL, "reason" => reason).increment(1);
                tracing::warn!(
                    job = job.id,
                    reason,
                    "a job is offered and refused: {refusal}"
                );
            }
        }
        socket.send(ToServer::Availability(AvailabilityResponse {
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
        let Some(place) = self.slots.assigned(&job.id, Instant::now()) else {
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
            deadlines: self.deadlines.clone(),
            seat: place.seat,
            shutdown: place.shutdown,
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

    fn ended(&mut self, job_id: String, result: Result<(), String>) {
        self.slots.running.remove(&job_id);
        let result = match result {
            Ok(()) if self.by_force => Err(CUT_SHORT.to_owned()),
            result => result,
        };
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
        self.untold.push(UpdateJobStatus {
            job_id,
            status,
            error,
        });
        self.look();
    }

    /// Tell the server how jobs ended; what it cannot be told now, it is told when the connection is back.
    fn tell_ended(&mut self, socket: &Socket) {
        self.untold
            .retain(|update| !socket.send(ToServer::UpdateJob(update.clone())));
    }

    fn send_status(&self, socket: &Socket) -> bool {
        let status = if self.slots.full().is_some() {
            Status::WsFull
        } else {
            Status::WsAvailable
        };
        socket.send(ToServer::UpdateWorker(UpdateWorkerStatus {
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

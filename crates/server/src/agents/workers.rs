//! The dispatcher's side of its workers: who is there, what they answer, what they are given.

use std::sync::Arc;

use antiphon_protocol::proto::{
    AvailabilityResponse, JobAssignment, JobStatus, RegisterWorkerRequest, ServerMessage,
    UpdateWorkerStatus, WorkerMessage, WorkerPong, WorkerStatus, server_message, worker_message,
};
use antiphon_protocol::{AccessToken, ParticipantKind, ids, names};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::dispatcher::{Dispatcher, JOIN_TIMEOUT, TOKEN_TTL};
use super::job::{Stage, Worker, agent_grants, unix_nanos};
use crate::limits::MAX_WORKERS;

impl Dispatcher {
    pub(super) fn register(
        &mut self,
        key: String,
        request: RegisterWorkerRequest,
        outgoing: mpsc::Sender<ServerMessage>,
    ) -> Option<Arc<str>> {
        if self.workers.len() >= MAX_WORKERS {
            tracing::warn!(
                limit = MAX_WORKERS,
                "too many agent workers; one was refused"
            );
            return None;
        }
        let id: Arc<str> = Arc::from(ids::new(ids::WORKER));
        tracing::info!(worker = %id, agent = request.agent_name, kind = request.r#type, version = request.version, "agent worker registered");
        let worker = Worker {
            key,
            request,
            outgoing,
            available: true,
            load: 0.0,
            given: 0,
        };
        self.workers.insert(Arc::clone(&id), worker);
        self.count_workers();
        // The answer to the registration must be the first message, so jobs are offered after it was sent.
        Some(id)
    }

    pub(super) fn worker_gone(&mut self, id: &Arc<str>) {
        if self.workers.remove(id).is_none() {
            return;
        }
        tracing::info!(worker = %id, "agent worker gone");
        self.count_workers();
        let orphans: Vec<String> = self
            .jobs
            .iter()
            .filter(|(_, e)| e.worker() == Some(id) && !matches!(e.stage, Stage::Running { .. }))
            .map(|(job, _)| job.clone())
            .collect();
        for job in orphans {
            self.place(&job);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "at most a thousand")]
    pub(super) fn count_workers(&self) {
        metrics::gauge!(antiphon_telemetry::names::SERVER_WORKERS).set(self.workers.len() as f64);
    }

    pub(super) fn on_worker(&mut self, id: &Arc<str>, message: WorkerMessage) {
        match message.message {
            Some(worker_message::Message::Availability(answer)) => self.on_availability(id, answer),
            Some(worker_message::Message::UpdateWorker(status)) => self.on_status(id, &status),
            Some(worker_message::Message::UpdateJob(update)) => {
                let Some(entry) = self
                    .jobs
                    .get_mut(&update.job_id)
                    .filter(|e| e.worker() == Some(id))
                else {
                    return;
                };
                let failed_early = update.status == JobStatus::JsFailed as i32
                    && !matches!(entry.stage, Stage::Running { .. });
                if failed_early {
                    self.place(&update.job_id);
                } else if let Ok(status) = JobStatus::try_from(update.status) {
                    entry.set_status(status, &update.error);
                }
            }
            Some(worker_message::Message::MigrateJob(migrated)) => {
                self.migrated(id, &migrated.job_ids)
            }
            Some(worker_message::Message::Ping(ping)) => {
                let timestamp = unix_nanos() / 1_000_000;
                let pong = WorkerPong {
                    last_timestamp: ping.timestamp,
                    timestamp,
                };
                self.tell(id, server_message::Message::Pong(pong));
            }
            other => tracing::debug!(worker = %id, ?other, "worker message ignored"),
        }
    }

    /// A worker came back on a new connection, and these jobs went on meanwhile.
    fn migrated(&mut self, id: &Arc<str>, jobs: &[String]) {
        let key = self.workers.get(id).map(|worker| worker.key.clone());
        for job in jobs {
            let Some(entry) = self.jobs.get_mut(job) else {
                continue;
            };
            if let Stage::Assigned { worker, .. } | Stage::Running { worker, .. } = &mut entry.stage
                // The old connection may not be known to be dead yet, but it must be the same owner's.
                && self.workers.get(worker).is_none_or(|old| Some(&old.key) == key.as_ref())
            {
                tracing::info!(job, worker = %id, "the job's worker is back");
                *worker = Arc::clone(id);
            }
        }
    }

    fn on_status(&mut self, id: &Arc<str>, status: &UpdateWorkerStatus) {
        let Some(worker) = self.workers.get_mut(id) else {
            return;
        };
        worker.load = if status.load.is_finite() {
            status.load.max(0.0)
        } else {
            1.0
        };
        worker.given = 0;
        let full = status.draining || status.status == Some(WorkerStatus::WsFull as i32);
        let was_available = std::mem::replace(&mut worker.available, !full);
        if !was_available && !full {
            self.place_waiting();
        }
    }

    fn on_availability(&mut self, id: &Arc<str>, answer: AvailabilityResponse) {
        let Some(entry) = self.jobs.get_mut(&answer.job_id) else {
            return;
        };
        if !matches!(&entry.stage, Stage::Offered { worker, .. } if worker == id) {
            tracing::debug!(job = answer.job_id, worker = %id, "an answer to no offer of ours is ignored");
            return;
        }
        let outcome = match (answer.available, answer.terminate) {
            (true, _) => "assigned",
            (false, true) => "terminated",
            (false, false) => "refused",
        };
        metrics::counter!(antiphon_telemetry::names::SERVER_JOB_OFFERS_TOTAL, "outcome" => outcome)
            .increment(1);
        if answer.available {
            self.assign(id, answer);
        } else if answer.terminate {
            entry.set_status(JobStatus::JsSuccess, "");
        } else {
            self.place(&answer.job_id);
        }
    }

    fn assign(&mut self, id: &Arc<str>, answer: AvailabilityResponse) {
        let (Some(entry), Some(worker)) =
            (self.jobs.get_mut(&answer.job_id), self.workers.get_mut(id))
        else {
            return;
        };
        let identity = match answer.participant_identity {
            identity if identity.is_empty() => format!("agent-{}", answer.job_id),
            identity => identity,
        };
        let mut attributes = answer.participant_attributes;
        attributes.insert(
            names::ATTRIBUTE_AGENT_DISPATCH_NAME.to_owned(),
            entry.job.agent_name.clone(),
        );
        let token = self.keys.secret(&worker.key).and_then(|secret| {
            AccessToken::new(&worker.key, secret)
                .identity(&identity)
                .name(answer.participant_name)
                .metadata(answer.participant_metadata)
                .attributes(attributes)
                .kind(ParticipantKind::Agent)
                .grants(agent_grants(
                    &entry.room,
                    worker.request.allowed_permissions.as_ref(),
                ))
                .ttl(TOKEN_TTL)
                .to_jwt()
                .ok()
        });
        let Some(token) = token else { return };
        worker.given += 1;
        entry.starts += 1;
        if let Some(state) = &mut entry.job.state {
            state.status = JobStatus::JsRunning as i32;
            state.started_at = unix_nanos();
            state.participant_identity.clone_from(&identity);
        }
        entry.stage = Stage::Assigned {
            worker: Arc::clone(id),
            identity,
            until: Instant::now() + JOIN_TIMEOUT,
        };
        tracing::info!(job = answer.job_id, worker = %id, room = %entry.room, "job assigned");
        let assignment = JobAssignment {
            job: Some(entry.job.clone()),
            url: None,
            token,
        };
        self.tell(id, server_message::Message::Assignment(assignment));
    }
}

//! What workers tell: registration, answers, status, the end of a job.

use std::collections::BTreeSet;
use std::sync::Arc;

use antiphon_protocol::names;
use antiphon_protocol::proto::{
    AvailabilityResponse, JobStatus, RegisterWorkerRequest, UpdateJobStatus, UpdateWorkerStatus,
    WorkerMessage, WorkerPong, WorkerStatus, server_message, worker_message,
};

use super::job::{Stage, Worker};
use super::{AGENT_RETURN, Decision, Grant, JOIN_TIMEOUT, Machine, WORKER_RETURN};

impl Machine {
    pub(super) fn registered(&mut self, id: Arc<str>, key: String, request: RegisterWorkerRequest) {
        tracing::info!(worker = %id, agent = request.agent_name, kind = request.r#type, version = request.version, "agent worker registered");
        self.unnamed_seen |= request.agent_name.is_empty();
        let worker = Worker {
            key,
            request,
            available: true,
            load: 0.0,
            given: 0,
            jobs: BTreeSet::new(),
        };
        self.workers.insert(id, worker);
        let rooms: Vec<Arc<str>> = self.rooms.keys().cloned().collect();
        for room in rooms {
            self.posts_for_workers(&room);
            self.attend_room(&room);
        }
        self.place_waiting();
    }

    pub(super) fn gone(&mut self, id: &Arc<str>) {
        let Some(worker) = self.workers.remove(id) else {
            return;
        };
        tracing::info!(worker = %id, jobs = worker.jobs.len(), "agent worker gone");
        for job in worker.jobs {
            let Some(entry) = self.jobs.get(&job) else {
                continue;
            };
            match entry.stage.clone() {
                Stage::Offered { .. } => self.place(&job),
                Stage::Expected {
                    worker,
                    identity,
                    until,
                    overdue: false,
                } => {
                    let until = until.min(self.now + WORKER_RETURN);
                    let stage = Stage::Expected {
                        worker,
                        identity,
                        until,
                        overdue: false,
                    };
                    self.set_stage(&job, stage);
                }
                // The worker may come back and say how it ended; until then nobody knows.
                Stage::Leaving { .. } => {}
                // The agent is in the room and goes on; one that is overdue may still come.
                Stage::Running { .. } | Stage::Expected { .. } | Stage::Waiting { .. } => {}
            }
        }
    }

    pub(super) fn said(&mut self, id: &Arc<str>, message: WorkerMessage) {
        if !self.workers.contains_key(id) {
            return;
        }
        match message.message {
            Some(worker_message::Message::Availability(answer)) => self.answered(id, answer),
            Some(worker_message::Message::UpdateWorker(status)) => self.status(id, &status),
            Some(worker_message::Message::UpdateJob(update)) => self.updated(id, &update),
            Some(worker_message::Message::MigrateJob(back)) => self.back(id, &back.job_ids),
            Some(worker_message::Message::Ping(ping)) => {
                let timestamp = self.unix_nanos() / 1_000_000;
                let pong = WorkerPong {
                    last_timestamp: ping.timestamp,
                    timestamp,
                };
                self.tell(id, server_message::Message::Pong(pong));
            }
            other => tracing::debug!(worker = %id, ?other, "worker message ignored"),
        }
    }

    fn status(&mut self, id: &Arc<str>, status: &UpdateWorkerStatus) {
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
        if was_available && full {
            tracing::info!(worker = %id, draining = status.draining, load = status.load, jobs = status.job_count, "the worker is full; it gets no more calls for now");
        } else if !was_available && !full {
            tracing::info!(worker = %id, load = status.load, jobs = status.job_count, "the worker takes calls again");
            // What it refused while it was full, it may take now.
            for entry in self.jobs.values_mut() {
                entry.tried.remove(id);
            }
            self.place_waiting();
        }
    }

    fn answered(&mut self, id: &Arc<str>, answer: AvailabilityResponse) {
        let job: Arc<str> = Arc::from(answer.job_id.as_str());
        let offered = self
            .jobs
            .get(&job)
            .is_some_and(|e| matches!(&e.stage, Stage::Offered { worker, .. } if worker == id));
        if !offered {
            tracing::debug!(%job, worker = %id, "an answer to no offer of ours is ignored");
            return;
        }
        match (answer.available, answer.terminate) {
            (true, _) => {
                Self::count_offer("assigned");
                self.assign(id, &job, answer);
            }
            (false, true) => {
                Self::count_offer("terminated");
                tracing::info!(%job, worker = %id, "the worker refused the job for all");
                self.withdraw(&job, "refused for all workers");
            }
            (false, false) => {
                Self::count_offer("refused");
                tracing::info!(%job, worker = %id, "the worker refused the job; another is asked");
                self.place(&job);
            }
        }
    }

    fn assign(&mut self, id: &Arc<str>, job: &Arc<str>, answer: AvailabilityResponse) {
        let now = self.unix_nanos();
        let (Some(entry), Some(worker)) = (self.jobs.get_mut(job), self.workers.get_mut(id)) else {
            return;
        };
        let identity = match answer.participant_identity {
            identity if identity.is_empty() => format!("agent-{job}"),
            identity => identity,
        };
        worker.given += 1;
        let (key, permissions) = (
            worker.key.clone(),
            worker.request.allowed_permissions.clone(),
        );
        entry.owner.clone_from(&key);
        entry.state.status = JobStatus::JsRunning as i32;
        (entry.state.started_at, entry.state.updated_at) = (now, now);
        entry.state.worker_id = id.to_string();
        entry.state.participant_identity.clone_from(&identity);
        let stage = Stage::Expected {
            worker: Arc::clone(id),
            identity: Arc::from(identity.as_str()),
            until: self.now + JOIN_TIMEOUT,
            overdue: false,
        };
        self.set_stage(job, stage);
        let assigned = self.jobs.get(job).and_then(|entry| self.job_of(job, entry));
        let assigned = assigned.unwrap_or_default();
        let room = assigned.room.as_ref().map(|room| room.name.clone());
        tracing::info!(%job, worker = %id, room, "job assigned");
        let mut attributes = answer.participant_attributes;
        attributes.insert(
            names::ATTRIBUTE_AGENT_DISPATCH_NAME.to_owned(),
            assigned.agent_name.clone(),
        );
        let grant = Grant {
            key,
            room: room.unwrap_or_default(),
            identity,
            name: answer.participant_name,
            metadata: answer.participant_metadata,
            attributes,
            permissions,
            job: assigned,
        };
        self.decisions.push_back(Decision::Assign {
            worker: Arc::clone(id),
            grant: Box::new(grant),
        });
    }

    fn updated(&mut self, id: &Arc<str>, update: &UpdateJobStatus) {
        let job: Arc<str> = Arc::from(update.job_id.as_str());
        let now = self.unix_nanos();
        let Some(entry) = self
            .jobs
            .get_mut(&job)
            .filter(|e| e.stage.worker() == Some(id))
        else {
            return;
        };
        match JobStatus::try_from(update.status) {
            Ok(JobStatus::JsSuccess) => self.succeeded(&job),
            Ok(JobStatus::JsFailed) => self.failed(&job, &update.error),
            Ok(JobStatus::JsPending | JobStatus::JsRunning) => {
                entry.state.status = update.status;
                entry.state.updated_at = now;
            }
            Err(_) => tracing::debug!(%job, status = update.status, "a job's status is unknown"),
        }
    }

    /// A worker came back on a new connection, and these jobs went on meanwhile.
    fn back(&mut self, id: &Arc<str>, jobs: &[String]) {
        let Some(worker) = self.workers.get(id) else {
            return;
        };
        let (key, namespace) = (worker.key.clone(), worker.namespace().to_owned());
        for job in jobs {
            let job: Arc<str> = Arc::from(job.as_str());
            let has_ended = self.has_ended(&job);
            let Some(entry) = self.jobs.get_mut(&job) else {
                if has_ended {
                    self.terminate(id, &job);
                }
                continue;
            };
            // Of a job that an earlier life of this server has given, the first to know it is its worker.
            if entry.owner.is_empty() && entry.came {
                entry.owner.clone_from(&key);
                entry.state.worker_id = id.to_string();
            }
            // The old connection may not be known to be dead yet, but it must be the same owner's.
            if entry.owner != key {
                continue;
            }
            entry.namespace.clone_from(&namespace);
            let worker = Arc::clone(id);
            let stage = match entry.stage.clone() {
                Stage::Expected {
                    identity,
                    until,
                    overdue,
                    ..
                } => Stage::Expected {
                    worker,
                    identity,
                    until: until.max(
                        self.now
                            + if entry.came {
                                AGENT_RETURN
                            } else {
                                JOIN_TIMEOUT
                            },
                    ),
                    overdue,
                },
                Stage::Running {
                    identity,
                    since,
                    until,
                    ..
                } => Stage::Running {
                    worker,
                    identity,
                    since,
                    until,
                },
                // It was given back while the worker was away; the worker has it all the same.
                Stage::Waiting { .. } | Stage::Offered { .. } => Stage::Expected {
                    worker,
                    identity: Arc::from(entry.state.participant_identity.as_str()),
                    until: self.now + JOIN_TIMEOUT,
                    overdue: false,
                },
                Stage::Leaving {
                    identity,
                    until,
                    ran,
                    ..
                } => Stage::Leaving {
                    worker,
                    identity,
                    until,
                    ran,
                },
            };
            tracing::info!(%job, worker = %id, "the job's worker is back");
            self.set_stage(&job, stage);
        }
    }

    /// Do we know that this job has ended? (Of a job that we do not know, our memory may have been lost.)
    pub(super) fn has_ended(&self, job: &str) -> bool {
        self.rooms
            .values()
            .any(|room| room.ended.iter().any(|(_, ended)| ended.id == job))
    }
}

//! The task that owns workers, dispatches and jobs.
//!
//! A job waits until a worker of its name is there, is offered to one after another until one takes it, and is offered
//! anew when the one that took it dies, or does not come, before it has joined.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use antiphon_protocol::proto::{
    self, AgentDispatch, AgentDispatchState, AvailabilityRequest, CreateAgentDispatchRequest,
    DisconnectReason, Job, JobState, JobStatus, JobTermination, JobType, ParticipantInfo,
    RoomAgentDispatch, ServerMessage, server_message,
};
use antiphon_protocol::{Keys, ids};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::job::{Entry, OpenRoom, Stage, Worker, choose, unix_nanos};
use super::{Command, DispatchError, Notice};
use crate::limits::MAX_DISPATCHES;
use crate::room::{Api, RoomHandle};

/// A worker says whether it takes a job within so long; LiveKit's.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The agent is in the room so long after it got its token.
pub(super) const JOIN_TIMEOUT: Duration = Duration::from_secs(30);
/// After every worker has refused, the job is offered again so much later.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// A job is begun at most so many times: one that kills its workers must not kill them all.
const MAX_STARTS: u32 = 5;
/// The token of an agent is valid for so long; LiveKit's.
pub(super) const TOKEN_TTL: Duration = Duration::from_secs(3600);
/// A removed agent may say goodbye for so long.
const GOODBYE: Duration = Duration::from_secs(3);

pub(super) struct Dispatcher {
    pub(super) keys: Keys,
    max_rooms: usize,
    pub(super) workers: BTreeMap<Arc<str>, Worker>,
    rooms: HashMap<Arc<str>, OpenRoom>,
    pub(super) jobs: BTreeMap<String, Entry>,
}

impl Dispatcher {
    pub(super) fn new(keys: Keys, max_rooms: usize) -> Self {
        Self {
            keys,
            max_rooms,
            workers: BTreeMap::new(),
            rooms: HashMap::new(),
            jobs: BTreeMap::new(),
        }
    }

    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return,
                },
                _ = ticks.tick() => self.tick(Instant::now()),
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Notice(notice) => self.on_notice(notice),
            Command::Register {
                key,
                request,
                outgoing,
                reply,
            } => {
                if let Some(id) = self.register(key, *request, outgoing) {
                    let _ = reply.send(id.to_string());
                    self.place_waiting();
                }
            }
            Command::Worker { id, message } => self.on_worker(&id, *message),
            Command::Gone { id } => self.worker_gone(&id),
            Command::Create { request, reply } => {
                let outcome = self.create(&request);
                let _ = reply.send(outcome);
            }
            Command::Delete { room, id, reply } => {
                let outcome = self.delete(&room, &id);
                let _ = reply.send(outcome);
            }
            Command::List { room, id, reply } => {
                let _ = reply.send(self.list(&room, &id));
            }
            Command::Workers(reply) => {
                let _ = reply.send(self.workers.len());
            }
        }
    }

    fn on_notice(&mut self, notice: Notice) {
        match notice {
            Notice::RoomCreated {
                room,
                agents,
                handle,
            } => self.room_created(*room, agents, handle),
            Notice::RoomClosed { room } => self.room_closed(&room),
            Notice::ParticipantJoined {
                room,
                participant,
                dependent,
            } => {
                if dependent {
                    self.agent_joined(&room, &participant.identity);
                } else {
                    if let Some(open) = self.rooms.get_mut(&room) {
                        open.callers
                            .insert(Arc::from(participant.identity.as_str()));
                    }
                    self.start_for(&room, JobType::JtParticipant, &participant);
                }
            }
            Notice::PublisherStarted { room, participant } => {
                self.start_for(&room, JobType::JtPublisher, &participant)
            }
            Notice::ParticipantLeft {
                room,
                identity,
                reason,
            } => self.participant_left(&room, &identity, reason),
        }
    }

    fn room_created(
        &mut self,
        info: proto::Room,
        agents: Vec<RoomAgentDispatch>,
        handle: RoomHandle,
    ) {
        if self.rooms.len() >= self.max_rooms {
            return;
        }
        let name: Arc<str> = Arc::from(info.name.as_str());
        // A room that asks for nobody in particular gets whoever registered without a name.
        let agents = if agents.is_empty() {
            vec![RoomAgentDispatch::default()]
        } else {
            agents
        };
        let room = OpenRoom {
            info,
            handle,
            dispatches: Vec::new(),
            callers: HashSet::new(),
        };
        self.rooms.insert(Arc::clone(&name), room);
        for agent in agents.into_iter().take(MAX_DISPATCHES) {
            let request = CreateAgentDispatchRequest {
                agent_name: agent.agent_name,
                room: name.to_string(),
                metadata: agent.metadata,
                restart_policy: agent.restart_policy,
                deployment: agent.deployment,
                attributes: agent.attributes,
            };
            let _ = self.create(&request);
        }
    }

    fn create(
        &mut self,
        request: &CreateAgentDispatchRequest,
    ) -> Result<AgentDispatch, DispatchError> {
        let (name, room) = self
            .rooms
            .get_key_value(request.room.as_str())
            .ok_or(DispatchError::NoRoom)?;
        if room.dispatches.len() >= MAX_DISPATCHES {
            return Err(DispatchError::TooMany);
        }
        let name = Arc::clone(name);
        let dispatch = AgentDispatch {
            id: ids::new(ids::DISPATCH),
            agent_name: request.agent_name.clone(),
            room: request.room.clone(),
            metadata: request.metadata.clone(),
            state: Some(AgentDispatchState {
                created_at: unix_nanos(),
                ..AgentDispatchState::default()
            }),
            restart_policy: request.restart_policy,
            deployment: request.deployment.clone(),
            attributes: request.attributes.clone(),
        };
        if let Some(room) = self.rooms.get_mut(&name) {
            room.dispatches.push(dispatch.clone());
        }
        self.start(&name, &dispatch, JobType::JtRoom, None);
        Ok(self
            .list(&request.room, &dispatch.id)
            .pop()
            .unwrap_or(dispatch))
    }

    /// Jobs for participants exist only while a worker wants that type.
    fn start_for(&mut self, room: &Arc<str>, kind: JobType, participant: &ParticipantInfo) {
        let Some(dispatches) = self.rooms.get(room).map(|open| open.dispatches.clone()) else {
            return;
        };
        for dispatch in dispatches {
            let wanted = self.workers.values().any(|w| {
                w.request.r#type == kind as i32
                    && w.request.agent_name == dispatch.agent_name
                    && w.request.deployment == dispatch.deployment
            });
            if wanted {
                self.start(room, &dispatch, kind, Some(participant));
            }
        }
    }

    fn start(
        &mut self,
        room: &Arc<str>,
        dispatch: &AgentDispatch,
        kind: JobType,
        participant: Option<&ParticipantInfo>,
    ) {
        let Some(open) = self.rooms.get(room) else {
            return;
        };
        let job = Job {
            id: ids::new(ids::JOB),
            dispatch_id: dispatch.id.clone(),
            r#type: kind as i32,
            room: Some(open.info.clone()),
            participant: participant.cloned(),
            metadata: dispatch.metadata.clone(),
            agent_name: dispatch.agent_name.clone(),
            state: Some(JobState::default()),
            deployment: dispatch.deployment.clone(),
            attributes: dispatch.attributes.clone(),
            ..Job::default()
        };
        let id = job.id.clone();
        let stage = Stage::Waiting { retry: None };
        self.jobs.insert(
            id.clone(),
            Entry {
                job,
                room: Arc::clone(room),
                stage,
                tried: HashSet::new(),
                starts: 0,
            },
        );
        self.place(&id);
    }

    /// Offer a job to a worker; it waits if there is none.
    pub(super) fn place(&mut self, id: &str) {
        let Some(entry) = self.jobs.get_mut(id) else {
            return;
        };
        if entry.starts >= MAX_STARTS {
            tracing::error!(job = id, room = %entry.room, "the job failed too often; it is given up");
            entry.set_status(JobStatus::JsFailed, "the job failed too often");
            return;
        }
        let suitable: Vec<(&Arc<str>, &Worker)> = self
            .workers
            .iter()
            .filter(|(_, w)| {
                let r = &w.request;
                r.r#type == entry.job.r#type
                    && r.agent_name == entry.job.agent_name
                    && r.deployment == entry.job.deployment
            })
            .filter(|(id, w)| w.available && !entry.tried.contains(*id))
            .collect();
        let Some(chosen) = choose(&suitable) else {
            let refused = !entry.tried.is_empty();
            entry.stage = Stage::Waiting {
                retry: refused.then(|| Instant::now() + RETRY_AFTER),
            };
            tracing::info!(job = id, room = %entry.room, agent = entry.job.agent_name, refused, "the job waits for a worker");
            return;
        };
        let worker = Arc::clone(chosen);
        let state = entry.job.state.get_or_insert_with(JobState::default);
        state.status = JobStatus::JsPending as i32;
        state.worker_id = worker.to_string();
        state.updated_at = unix_nanos();
        entry.tried.insert(Arc::clone(&worker));
        entry.stage = Stage::Offered {
            worker: Arc::clone(&worker),
            until: Instant::now() + ANSWER_TIMEOUT,
        };
        let mut job = entry.job.clone();
        if let Some(state) = &mut job.state {
            state.status = JobStatus::JsRunning as i32;
            state.started_at = unix_nanos();
        }
        tracing::info!(job = id, room = %entry.room, %worker, "job offered");
        let offer = AvailabilityRequest {
            job: Some(job),
            resuming: false,
        };
        self.tell(&worker, server_message::Message::Availability(offer));
    }

    /// A worker that does not read its socket is gone.
    pub(super) fn tell(&mut self, worker: &Arc<str>, message: server_message::Message) {
        let Some(w) = self.workers.get(worker) else {
            return;
        };
        if w.outgoing
            .try_send(ServerMessage {
                message: Some(message),
            })
            .is_err()
        {
            self.worker_gone(worker);
        }
    }

    pub(super) fn place_waiting(&mut self) {
        let waiting: Vec<String> = self
            .jobs
            .iter()
            .filter(|(_, e)| matches!(e.stage, Stage::Waiting { .. }))
            .map(|(id, _)| id.clone())
            .collect();
        for id in waiting {
            self.place(&id);
        }
    }

    fn agent_joined(&mut self, room: &str, identity: &str) {
        for entry in self.jobs.values_mut().filter(|e| *e.room == *room) {
            if let Stage::Assigned {
                worker,
                identity: expected,
                ..
            } = &entry.stage
                && expected == identity
            {
                entry.stage = Stage::Running {
                    worker: Arc::clone(worker),
                    identity: identity.to_owned(),
                };
                return;
            }
        }
    }

    fn participant_left(&mut self, room: &str, identity: &str, reason: DisconnectReason) {
        let callers = self.rooms.get_mut(room).map_or(0, |open| {
            open.callers.remove(identity);
            open.callers.len()
        });
        let job = self.jobs.iter().find_map(|(id, e)| match &e.stage {
            Stage::Running {
                worker,
                identity: running,
            } if *e.room == *room && running == identity => Some((id.clone(), Arc::clone(worker))),
            _ => None,
        });
        let Some((id, worker)) = job else { return };
        let lost = matches!(
            reason,
            DisconnectReason::SignalClose | DisconnectReason::ConnectionTimeout
        );
        if lost && !self.workers.contains_key(&worker) && callers > 0 {
            tracing::warn!(
                job = id,
                room,
                "the agent died with its worker; the callers get another one"
            );
            self.place(&id);
            return;
        }
        if let Some(entry) = self.jobs.get_mut(&id) {
            entry.set_status(JobStatus::JsSuccess, "");
        }
        self.tell(
            &worker,
            server_message::Message::Termination(JobTermination { job_id: id }),
        );
    }

    fn room_closed(&mut self, room: &str) {
        let Some(open) = self.rooms.get(room) else {
            return;
        };
        if self.jobs.values().any(|e| *e.room == *room) || !open.dispatches.is_empty() {
            let jobs: Vec<String> = self
                .jobs
                .iter()
                .filter(|(_, e)| *e.room == *room)
                .map(|(id, _)| id.clone())
                .collect();
            for job in jobs {
                self.terminate(&job);
                self.jobs.remove(&job);
            }
        }
        self.rooms.remove(room);
    }

    /// Tell the worker to end a job; true if somebody had it.
    fn terminate(&mut self, id: &str) -> bool {
        let Some(entry) = self.jobs.get_mut(id) else {
            return false;
        };
        let worker = match &entry.stage {
            Stage::Assigned { worker, .. } | Stage::Running { worker, .. } => {
                Some(Arc::clone(worker))
            }
            Stage::Waiting { .. } | Stage::Offered { .. } | Stage::Ended => None,
        };
        entry.set_status(JobStatus::JsSuccess, "");
        let Some(worker) = worker else { return false };
        self.tell(
            &worker,
            server_message::Message::Termination(JobTermination {
                job_id: id.to_owned(),
            }),
        );
        true
    }

    fn delete(&mut self, room: &str, id: &str) -> Result<AgentDispatch, DispatchError> {
        let mut dispatch = self.list(room, id).pop().ok_or(DispatchError::NotFound)?;
        let jobs: Vec<(String, String)> = self
            .jobs
            .iter()
            .filter(|(_, e)| e.job.dispatch_id == id)
            .map(|(job, e)| {
                (
                    job.clone(),
                    e.job
                        .state
                        .as_ref()
                        .map_or_else(String::new, |s| s.participant_identity.clone()),
                )
            })
            .collect();
        for (job, identity) in jobs {
            if self.terminate(&job) {
                self.remove_later(room, identity);
            }
            self.jobs.remove(&job);
        }
        if let Some(open) = self.rooms.get_mut(room) {
            open.dispatches.retain(|d| d.id != id);
        }
        if let Some(state) = &mut dispatch.state {
            state.deleted_at = unix_nanos();
        }
        Ok(dispatch)
    }

    /// The agent has a moment to say goodbye.
    fn remove_later(&self, room: &str, identity: String) {
        let Some(handle) = self.rooms.get(room).map(|open| open.handle.clone()) else {
            return;
        };
        tokio::spawn(async move {
            tokio::time::sleep(GOODBYE).await;
            let _ = crate::rooms::ask(&handle, |reply| Api::Remove(identity, reply)).await;
        });
    }

    fn list(&self, room: &str, id: &str) -> Vec<AgentDispatch> {
        let Some(open) = self.rooms.get(room) else {
            return Vec::new();
        };
        let mut found: Vec<AgentDispatch> = open
            .dispatches
            .iter()
            .filter(|d| id.is_empty() || d.id == id)
            .cloned()
            .collect();
        for dispatch in &mut found {
            let jobs = self
                .jobs
                .values()
                .filter(|e| e.job.dispatch_id == dispatch.id)
                .map(|e| e.job.clone())
                .collect();
            dispatch
                .state
                .get_or_insert_with(AgentDispatchState::default)
                .jobs = jobs;
        }
        found
    }

    fn tick(&mut self, now: Instant) {
        let late: Vec<(String, bool)> = self
            .jobs
            .iter()
            .filter_map(|(id, e)| match &e.stage {
                Stage::Offered { until, .. } | Stage::Assigned { until, .. } if *until <= now => {
                    Some((id.clone(), false))
                }
                Stage::Waiting { retry: Some(retry) } if *retry <= now => Some((id.clone(), true)),
                _ => None,
            })
            .collect();
        for (id, again) in late {
            if let Some(entry) = self.jobs.get_mut(&id) {
                if again {
                    entry.tried.clear();
                } else {
                    tracing::warn!(job = id, stage = ?entry.stage, "the worker did not come in time; the job is offered to another");
                    metrics::counter!(antiphon_telemetry::names::SERVER_JOB_OFFERS_TOTAL, "outcome" => "timeout").increment(1);
                }
            }
            self.place(&id);
        }
    }
}

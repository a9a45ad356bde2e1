//! The task that drives the [`Machine`]: it has the clock, the workers' sockets and the rooms, and no rules of its own.
//!
//! A panic in the machine is a bug: it is counted, the input that caused it is left out, and the machine goes on from what
//! [`Machine::recovered`] keeps.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use antiphon_protocol::proto::{
    JobAssignment, JobStatus, SendDataRequest, ServerMessage, UpdateJobStatus, WorkerMessage,
    data_packet, server_message, worker_message,
};
use antiphon_protocol::{AccessToken, ParticipantKind, VideoGrants, ids, names};
use antiphon_telemetry::names::{
    PANICS_TOTAL, SERVER_CALLERS_WITHOUT_AGENT, SERVER_NO_AGENT_TOTAL, SERVER_WORKERS,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Command;
use super::machine::{Decision, Grant, Input, Machine, NoAgent};
use crate::keys::KeyRing;
use crate::limits::MAX_WORKERS;
use crate::room::{Api, RoomHandle};

/// The token of an agent is valid for this long; LiveKit's.
const TOKEN_TTL: Duration = Duration::from_secs(3600);

/// The dispatcher's task.
pub(super) struct Shell {
    machine: Machine,
    keys: Arc<KeyRing>,
    start: Instant,
    workers: HashMap<Arc<str>, mpsc::Sender<ServerMessage>>,
    rooms: HashMap<Arc<str>, RoomHandle>,
}

impl Shell {
    pub(super) fn new(keys: Arc<KeyRing>, max_rooms: usize) -> Self {
        let epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            machine: Machine::new(max_rooms, epoch, rand::random()),
            keys,
            start: Instant::now(),
            workers: HashMap::new(),
            rooms: HashMap::new(),
        }
    }

    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        loop {
            let deadline = self.machine.deadline().map(|due| self.start + due);
            let alarm = async {
                match deadline {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(command) => self.command(command),
                    None => return,
                },
                () = alarm => { self.guarded(|machine, now| machine.advance(now)); }
            }
            self.carry_out();
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Opened {
                room,
                agents,
                handle,
            } => {
                self.rooms.insert(Arc::from(room.sid.as_str()), handle);
                self.take(Input::RoomOpened { room, agents });
            }
            Command::Fact(input) => {
                if let Input::RoomClosed { room } = &input {
                    self.rooms.remove(room);
                }
                self.take(input);
            }
            Command::Register {
                key,
                request,
                outgoing,
                reply,
            } => {
                if self.workers.len() >= MAX_WORKERS {
                    tracing::warn!(
                        limit = MAX_WORKERS,
                        "too many agent workers; one was refused"
                    );
                    return;
                }
                let worker: Arc<str> = Arc::from(ids::new(ids::WORKER));
                // The socket sends its answer before anything else: an offer may be queued already.
                if reply.send(worker.to_string()).is_ok() {
                    self.workers.insert(Arc::clone(&worker), outgoing);
                    self.take(Input::Registered {
                        worker,
                        key,
                        request,
                    });
                }
            }
            Command::Worker { id, message } => self.take(Input::Said {
                worker: id,
                message,
            }),
            Command::Gone { id } => self.worker_gone(id),
            Command::Create { request, reply } => {
                let made = self.guarded(|machine, now| machine.create(now, &request));
                let _ = reply.send(made.unwrap_or(Err(super::DispatchError::NoRoom)));
            }
            Command::Delete { room, id, reply } => {
                let deleted = self.guarded(|machine, now| machine.delete(now, &room, &id));
                let _ = reply.send(deleted.unwrap_or(Err(super::DispatchError::NotFound)));
            }
            Command::List { room, id, reply } => {
                let _ = reply.send(self.machine.list(&room, &id));
            }
            Command::Workers(reply) => {
                let _ = reply.send(self.machine.workers());
            }
        }
    }

    fn take(&mut self, input: Input) {
        self.guarded(|machine, now| machine.handle(now, input));
    }

    /// Let the machine do this; after a panic it goes on without it.
    fn guarded<T>(
        &mut self,
        step: impl FnOnce(&mut Machine, super::machine::Time) -> T,
    ) -> Option<T> {
        let now = self.start.elapsed();
        let machine = &mut self.machine;
        let done = catch_unwind(AssertUnwindSafe(|| step(machine, now))).ok();
        if done.is_none() {
            metrics::counter!(PANICS_TOTAL, "place" => "dispatcher").increment(1);
            tracing::error!(
                "the agent dispatcher panicked; this is a bug. It goes on with the rooms, workers and running jobs it knows"
            );
            let fresh = Machine::new(0, Duration::ZERO, 0);
            let broken = std::mem::replace(&mut self.machine, fresh);
            self.machine = broken.recovered(now);
        }
        done
    }

    fn worker_gone(&mut self, worker: Arc<str>) {
        if self.workers.remove(&worker).is_some() {
            self.take(Input::Gone { worker });
        }
    }

    fn carry_out(&mut self) {
        while let Some(decision) = self.machine.poll() {
            match decision {
                Decision::Send { worker, message } => self.send(worker, *message),
                Decision::Assign { worker, grant } => self.assign(worker, *grant),
                Decision::Remove { room, identity } => {
                    self.ask(&room, move |reply| Api::Remove(identity.to_string(), reply));
                }
                Decision::Tell { room, news } => self.tell(&room, &news),
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "at most ten thousand")]
        {
            metrics::gauge!(SERVER_WORKERS).set(self.machine.workers() as f64);
            metrics::gauge!(SERVER_CALLERS_WITHOUT_AGENT).set(self.machine.vacancies() as f64);
        }
    }

    /// A worker that does not read its socket is gone.
    fn send(&mut self, worker: Arc<str>, message: server_message::Message) {
        let message = ServerMessage {
            message: Some(message),
        };
        let sent = self
            .workers
            .get(&worker)
            .is_some_and(|socket| socket.try_send(message).is_ok());
        if !sent {
            tracing::warn!(%worker, "the worker does not read what it is sent; it is taken for gone");
            self.worker_gone(worker);
        }
    }

    fn assign(&mut self, worker: Arc<str>, grant: Grant) {
        let job = grant.job.clone();
        match self.token(grant) {
            Some(token) => {
                let assignment = JobAssignment {
                    job: Some(job),
                    url: None,
                    token,
                };
                self.send(worker, server_message::Message::Assignment(assignment));
            }
            None => {
                tracing::error!(job = job.id, "no token could be made for an agent");
                let failed = UpdateJobStatus {
                    job_id: job.id,
                    status: JobStatus::JsFailed as i32,
                    error: "no token could be made".to_owned(),
                };
                let message = worker_message::Message::UpdateJob(failed);
                let message = Box::new(WorkerMessage {
                    message: Some(message),
                });
                self.take(Input::Said { worker, message });
            }
        }
    }

    fn token(&self, grant: Grant) -> Option<String> {
        let mut grants = VideoGrants {
            agent: true,
            can_update_own_metadata: Some(true),
            ..VideoGrants::join(&grant.room)
        };
        grants.can_publish = Some(true);
        grants.can_subscribe = Some(true);
        grants.can_publish_data = Some(true);
        if let Some(allowed) = &grant.permissions {
            grants.set_permission(allowed);
            grants.agent = true;
        }
        AccessToken::new(&grant.key, self.keys.secret(&grant.key)?)
            .identity(&grant.identity)
            .name(grant.name)
            .metadata(grant.metadata)
            .attributes(grant.attributes)
            .kind(ParticipantKind::Agent)
            .grants(grants)
            .ttl(TOKEN_TTL)
            .to_jwt()
            .ok()
    }

    /// A data message to everybody in the room, and a line for the operator.
    fn tell(&self, room: &Arc<str>, news: &NoAgent) {
        metrics::counter!(SERVER_NO_AGENT_TOTAL, "reason" => news.reason.as_str()).increment(1);
        let Ok(data) = serde_json::to_vec(news) else {
            return;
        };
        let request = SendDataRequest {
            data,
            kind: data_packet::Kind::Reliable as i32,
            topic: Some(names::TOPIC_DISPATCH.to_owned()),
            ..SendDataRequest::default()
        };
        self.ask(room, move |reply| Api::SendData(Box::new(request), reply));
    }

    /// Ask a room for something whose answer does not matter. A room waits for the dispatcher when its queue is full, so
    /// the dispatcher never waits for a room.
    fn ask<T: Send + 'static>(
        &self,
        room: &Arc<str>,
        question: impl FnOnce(tokio::sync::oneshot::Sender<Result<T, crate::room::ApiError>>) -> Api
        + Send
        + 'static,
    ) {
        if let Some(handle) = self.rooms.get(room).cloned() {
            tokio::spawn(async move {
                let _ = crate::rooms::ask(&handle, question).await;
            });
        }
    }
}

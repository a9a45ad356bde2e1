//! A world for the machine in tests: virtual time, rooms, workers and agents that do what the test says. After every step
//! the promises are checked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use antiphon_protocol::names::ATTRIBUTE_AGENT_DISPATCH_NAME;
use antiphon_protocol::proto::{
    self, AvailabilityResponse, CreateAgentDispatchRequest, DisconnectReason, JobStatus, JobType,
    MigrateJobRequest, ParticipantInfo, RegisterWorkerRequest, RoomAgentDispatch, UpdateJobStatus,
    UpdateWorkerStatus, WorkerMessage, server_message, worker_message,
};

use super::promises;
use super::{Decision, Input, Machine, NoAgent};

/// What a worker holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// Asked, not answered.
    Offered,
    /// Has the token.
    Assigned { identity: String },
}

#[derive(Default)]
pub(super) struct World {
    /// Jobs of the workers that are connected.
    pub(super) workers: BTreeMap<String, BTreeMap<String, Held>>,
    /// Agents in rooms: room and identity.
    pub(super) agents: BTreeSet<(String, String)>,
    pub(super) callers: BTreeSet<(String, String)>,
    /// Of every job that was assigned: its room.
    pub(super) room_of: BTreeMap<String, String>,
    /// What the tokens of agents say about whose they are, by identity: the attribute of their dispatch.
    pub(super) names: BTreeMap<String, String>,
    pub(super) terminated: BTreeSet<String>,
    pub(super) told: Vec<(Duration, String, NoAgent)>,
    pub(super) rooms: BTreeSet<String>,
}

pub(super) struct Stage {
    pub(super) machine: Machine,
    pub(super) now: Duration,
    pub(super) world: World,
    /// What a worker is offered it takes at once, and its agent joins at once.
    pub(super) eager: bool,
}

pub(super) fn sid(room: &str) -> Arc<str> {
    Arc::from(format!("RM_{room}"))
}

impl Stage {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            machine: Machine::new(100, Duration::from_secs(1_700_000_000), seed),
            now: Duration::ZERO,
            world: World::default(),
            eager: false,
        }
    }

    /// Workers take what they are offered, and their agents come at once.
    pub(super) fn eager() -> Self {
        Self {
            eager: true,
            ..Self::new(1)
        }
    }

    pub(super) fn tell(&mut self, input: Input) {
        self.machine.handle(self.now, input);
        self.settle();
    }

    pub(super) fn wait(&mut self, seconds: f64) {
        let end = self.now + Duration::from_secs_f64(seconds);
        while let Some(due) = self.machine.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.machine.advance(self.now);
            self.settle();
        }
        self.now = end;
        self.machine.advance(end);
        self.settle();
    }

    /// Obey the decisions, then check.
    fn settle(&mut self) {
        while let Some(decision) = self.machine.poll() {
            self.obey(decision);
        }
        promises::check(&self.machine, &self.world, self.now);
    }

    fn obey(&mut self, decision: Decision) {
        match decision {
            Decision::Send { worker, message } => {
                let jobs = self.world.workers.get_mut(&*worker);
                let jobs =
                    jobs.unwrap_or_else(|| panic!("{message:?} is for a worker that is gone"));
                match *message {
                    server_message::Message::Availability(offer) => {
                        let job = offer.job.unwrap().id;
                        jobs.insert(job.clone(), Held::Offered);
                        if self.eager {
                            self.answer(&worker, &job, true);
                        }
                    }
                    server_message::Message::Termination(end) => {
                        jobs.remove(&end.job_id);
                        self.world.terminated.insert(end.job_id);
                    }
                    _ => {}
                }
            }
            Decision::Assign { worker, grant } => {
                let jobs = self.world.workers.get_mut(&*worker);
                let jobs = jobs.expect("a job is given to a worker that is there");
                let held = Held::Assigned {
                    identity: grant.identity.clone(),
                };
                jobs.insert(grant.job.id.clone(), held);
                self.world
                    .room_of
                    .insert(grant.job.id.clone(), grant.room.clone());
                self.world.names.insert(
                    grant.identity.clone(),
                    grant.attributes[ATTRIBUTE_AGENT_DISPATCH_NAME].clone(),
                );
                if self.eager {
                    self.agent_joins(&grant.room, &grant.identity);
                }
            }
            Decision::Remove { room, identity } => {
                let room = room.trim_start_matches("RM_").to_owned();
                self.agent_leaves(&room, &identity, DisconnectReason::ParticipantRemoved);
            }
            Decision::Tell { room, news } => {
                let room = room.trim_start_matches("RM_").to_owned();
                assert!(self.world.rooms.contains(&room), "nobody is in that room");
                self.world.told.push((self.now, room, news));
            }
        }
    }

    pub(super) fn open(&mut self, room: &str, agents: &[&str]) {
        self.world.rooms.insert(room.to_owned());
        self.tell(Input::RoomOpened {
            room: Box::new(proto::Room {
                sid: sid(room).to_string(),
                name: room.to_owned(),
                ..Default::default()
            }),
            agents: named(agents),
        });
    }

    pub(super) fn close(&mut self, room: &str) {
        self.world.rooms.remove(room);
        self.world.agents.retain(|(of, _)| of != room);
        self.world.callers.retain(|(of, _)| of != room);
        self.tell(Input::RoomClosed { room: sid(room) });
    }

    pub(super) fn caller(&mut self, room: &str, identity: &str) {
        self.caller_asking(room, identity, &[]);
    }

    /// A caller whose token names agents.
    pub(super) fn caller_asking(&mut self, room: &str, identity: &str, agents: &[&str]) {
        self.world
            .callers
            .insert((room.to_owned(), identity.to_owned()));
        self.tell(joined(room, identity, false, named(agents)));
    }

    pub(super) fn hang_up(&mut self, room: &str, identity: &str) {
        self.world
            .callers
            .remove(&(room.to_owned(), identity.to_owned()));
        self.tell(left(room, identity, DisconnectReason::ClientInitiated));
    }

    pub(super) fn publish(&mut self, room: &str, identity: &str) {
        self.tell(Input::Published {
            room: sid(room),
            identity: Arc::from(identity),
        });
    }

    pub(super) fn agent_joins(&mut self, room: &str, identity: &str) {
        if self
            .world
            .agents
            .contains(&(room.to_owned(), identity.to_owned()))
        {
            // As a room does it: the older connection of one identity is closed first.
            self.machine.handle(
                self.now,
                left(room, identity, DisconnectReason::DuplicateIdentity),
            );
        }
        self.world
            .agents
            .insert((room.to_owned(), identity.to_owned()));
        let mut input = joined(room, identity, true, Vec::new());
        if let (Input::Joined { participant, .. }, Some(name)) =
            (&mut input, self.world.names.get(identity))
        {
            participant
                .attributes
                .insert(ATTRIBUTE_AGENT_DISPATCH_NAME.to_owned(), name.clone());
        }
        self.tell(input);
    }

    /// An agent that this server's last life sent: nothing but its token tells of it.
    pub(super) fn old_agent_joins(&mut self, room: &str, identity: &str, agent_name: &str) {
        self.world
            .names
            .insert(identity.to_owned(), agent_name.to_owned());
        self.agent_joins(room, identity);
    }

    pub(super) fn agent_leaves(&mut self, room: &str, identity: &str, reason: DisconnectReason) {
        if self
            .world
            .agents
            .remove(&(room.to_owned(), identity.to_owned()))
        {
            self.tell(left(room, identity, reason));
        }
    }

    /// Nothing is heard of an agent, or something is again.
    pub(super) fn agent_reachable(&mut self, room: &str, identity: &str, reachable: bool) {
        self.tell(Input::Reachable {
            room: sid(room),
            identity: Arc::from(identity),
            reachable,
        });
    }

    pub(super) fn worker(&mut self, id: &str, agent_name: &str) {
        self.worker_of_kind(id, agent_name, JobType::JtRoom);
    }

    pub(super) fn worker_of_kind(&mut self, id: &str, agent_name: &str, kind: JobType) {
        self.worker_in(id, agent_name, kind, None);
    }

    pub(super) fn worker_in(
        &mut self,
        id: &str,
        agent_name: &str,
        kind: JobType,
        namespace: Option<&str>,
    ) {
        self.world.workers.insert(id.to_owned(), BTreeMap::new());
        self.tell(Input::Registered {
            worker: Arc::from(id),
            key: "devkey".to_owned(),
            request: Box::new(RegisterWorkerRequest {
                r#type: kind as i32,
                agent_name: agent_name.to_owned(),
                namespace: namespace.map(str::to_owned),
                ..Default::default()
            }),
        });
    }

    pub(super) fn worker_dies(&mut self, id: &str) -> BTreeMap<String, Held> {
        let held = self.world.workers.remove(id).unwrap_or_default();
        self.tell(Input::Gone {
            worker: Arc::from(id),
        });
        held
    }

    /// A worker comes back with what it had.
    pub(super) fn worker_returns(&mut self, id: &str, held: BTreeMap<String, Held>) {
        self.worker(id, "");
        let job_ids: Vec<String> = held
            .iter()
            .filter(|(_, held)| matches!(held, Held::Assigned { .. }))
            .map(|(job, _)| job.clone())
            .collect();
        if let Some(jobs) = self.world.workers.get_mut(id) {
            jobs.extend(held);
        }
        self.say(
            id,
            worker_message::Message::MigrateJob(MigrateJobRequest { job_ids }),
        );
    }

    pub(super) fn say(&mut self, id: &str, message: worker_message::Message) {
        let message = Box::new(WorkerMessage {
            message: Some(message),
        });
        self.tell(Input::Said {
            worker: Arc::from(id),
            message,
        });
    }

    pub(super) fn answer(&mut self, id: &str, job: &str, available: bool) {
        if let Some(jobs) = self.world.workers.get_mut(id) {
            jobs.remove(job);
        }
        let answer = AvailabilityResponse {
            job_id: job.to_owned(),
            available,
            ..Default::default()
        };
        self.say(id, worker_message::Message::Availability(answer));
    }

    /// The worker says how a job ended.
    pub(super) fn ends(&mut self, id: &str, job: &str, status: JobStatus) {
        if let Some(jobs) = self.world.workers.get_mut(id) {
            jobs.remove(job);
        }
        let update = UpdateJobStatus {
            job_id: job.to_owned(),
            status: status as i32,
            error: String::new(),
        };
        self.say(id, worker_message::Message::UpdateJob(update));
    }

    pub(super) fn full(&mut self, id: &str, full: bool) {
        let status = UpdateWorkerStatus {
            status: Some(i32::from(full)),
            ..Default::default()
        };
        self.say(id, worker_message::Message::UpdateWorker(status));
    }

    pub(super) fn request(&mut self, room: &str, agent: &str) -> proto::AgentDispatch {
        let request = CreateAgentDispatchRequest {
            room: room.to_owned(),
            agent_name: agent.to_owned(),
            ..Default::default()
        };
        let made = self.machine.create(self.now, &request).unwrap();
        self.settle();
        made
    }

    pub(super) fn delete(&mut self, room: &str, dispatch: &str) {
        self.machine.delete(self.now, room, dispatch).unwrap();
        self.settle();
    }

    /// The agents in a room.
    pub(super) fn agents(&self, room: &str) -> Vec<&str> {
        let here = self.world.agents.iter().filter(|(of, _)| of == room);
        here.map(|(_, identity)| identity.as_str()).collect()
    }

    /// What a worker has been asked and has not answered.
    pub(super) fn offers(&self, id: &str) -> Vec<String> {
        let jobs = self.world.workers.get(id).into_iter().flatten();
        jobs.filter(|(_, held)| **held == Held::Offered)
            .map(|(job, _)| job.clone())
            .collect()
    }

    /// The only job that a worker has.
    pub(super) fn job(&self, id: &str) -> (String, String) {
        let jobs = &self.world.workers[id];
        let mut assigned = jobs.iter().filter_map(|(job, held)| match held {
            Held::Assigned { identity } => Some((job.clone(), identity.clone())),
            Held::Offered => None,
        });
        let one = assigned.next().expect("the worker has a job");
        assert_eq!(assigned.next(), None, "the worker has one job");
        one
    }
}

fn named(agents: &[&str]) -> Vec<RoomAgentDispatch> {
    let agent = |name: &&str| RoomAgentDispatch {
        agent_name: (*name).to_owned(),
        ..Default::default()
    };
    agents.iter().map(agent).collect()
}

fn joined(room: &str, identity: &str, dependent: bool, agents: Vec<RoomAgentDispatch>) -> Input {
    Input::Joined {
        room: sid(room),
        participant: Box::new(ParticipantInfo {
            identity: identity.to_owned(),
            ..Default::default()
        }),
        dependent,
        agents,
    }
}

pub(super) fn left(room: &str, identity: &str, reason: DisconnectReason) -> Input {
    Input::Left {
        room: sid(room),
        identity: Arc::from(identity),
        reason,
    }
}

//! Which agent answers which caller: a state machine without a clock, a task, a socket, a channel or randomness of its own.
//!
//! Facts go in with the time beside them ([`Machine::handle`]), decisions come out ([`Machine::poll`]), and
//! [`Machine::deadline`] says when the machine wants to be asked again. [`super::shell`] drives it on a server; the
//! scenarios and the explorer drive it in tests, in virtual time.
//!
//! Three words. A *dispatch* asks for an agent in a room. A *post* is one place that a dispatch wants filled: one for the
//! room, or one for each participant, as its workers have registered. A *job* is one attempt to fill a post: it waits, is
//! offered to a worker, is expected in the room, runs, leaves.
//!
//! | module | what |
//! |---|---|
//! | `job` | posts, jobs and their stages |
//! | `rooms` | what rooms tell: that they are there, and which callers come and go |
//! | `agents` | the agents in the rooms |
//! | `workers` | what workers tell: registration, answers, status, the end of a job |
//! | `place` | which worker is asked |
//! | `fate` | what becomes of a job that has ended, failed, or is late |
//! | `tell` | callers who wait are told that there is no agent |
//! | `requests` | dispatches made, listed and deleted by API |
//! | `recover` | what is kept when a bug has ended a machine in the middle of a step |
//!
//! What holds after every step (`promises`, checked by scenarios and by the explorer):
//!
//! 1. *One agent*: a post has at most one running agent; a second one that comes is sent out. Who was sent by an earlier life
//!    of this server is no exception: it gets a post where nobody talks yet, or is sent out.
//! 2. *No caller forgotten*: where a caller waits and no attempt limit is reached, there is a job, and it waits only while
//!    no worker can take it.
//! 3. *Every job ends*: each stage but running and waiting for a worker has a deadline, and nothing outlives its room.
//! 4. *Bounded*: ended jobs, a worker's jobs, dispatches and attempts have limits.
//! 5. *Nothing for the dead*: no message goes to a worker that is gone.

mod agents;
mod fate;
mod job;
mod place;
mod recover;
mod requests;
mod rooms;
mod tell;
mod workers;

#[cfg(test)]
mod explore;
#[cfg(test)]
mod frozen;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod stage;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use antiphon_protocol::proto::{
    self, DisconnectReason, Job, ParticipantInfo, ParticipantPermission, RegisterWorkerRequest,
    RoomAgentDispatch, WorkerMessage, server_message,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

use job::{Entry, OpenRoom, Post, PostId, Worker};
pub(super) use tell::NoAgent;

/// Time since the machine was made.
pub(super) type Time = Duration;

/// A worker says within this long whether it takes a job; LiveKit's.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The agent is in the room this long after its worker got the token; then another is looked for, and the first of both to
/// come stays. LiveKit's server waits for ever; a process that has to load its models first needs half a minute.
const JOIN_TIMEOUT: Duration = Duration::from_secs(60);
/// An agent that was lost may come back within this long before another is looked for.
const AGENT_RETURN: Duration = Duration::from_secs(10);
/// An agent of which nothing is heard (it is frozen, or its machine is cut off) is given up after this long: its caller has
/// been told, and hears nothing. A room says so after [`AGENT_SILENCE`](crate::limits::AGENT_SILENCE).
const SILENT_AGENT: Duration = Duration::from_secs(4);
/// So may a worker whose connection broke before its agent had joined.
const WORKER_RETURN: Duration = Duration::from_secs(5);
/// An agent that is late, and for whom another was sent, is waited for this long in all.
const OVERDUE: Duration = Duration::from_secs(300);
/// After an agent has left by itself its worker says within this long whether the job has failed.
const VERDICT: Duration = Duration::from_secs(5);
/// After every worker has refused, the job is offered again so much later.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// The first pause after a failure; doubled by each further one.
const BACKOFF: Duration = Duration::from_secs(2);
/// The longest such pause.
const LONGEST_BACKOFF: Duration = Duration::from_secs(16);
/// Failures of one post in a row: a job that kills its workers must not kill them all. The next caller begins anew.
const MAX_FAILURES: u32 = 5;
/// A job that ran for this long was a good one: failures are counted anew.
const SETTLED: Duration = Duration::from_secs(60);
/// An agent whose dispatch was deleted may say goodbye for this long; LiveKit's.
const GOODBYE: Duration = Duration::from_secs(3);

/// A fact.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// A room was made, with the agents asked for. The first fact about a room.
    RoomOpened {
        room: Box<proto::Room>,
        agents: Vec<RoomAgentDispatch>,
    },
    /// A room ended. Rooms are told apart by `RM_…`: another of the same name may be open already.
    RoomClosed { room: Arc<str> },
    /// Somebody joined; agents are dependent. `agents` are those that the token asks for.
    Joined {
        room: Arc<str>,
        participant: Box<ParticipantInfo>,
        dependent: bool,
        agents: Vec<RoomAgentDispatch>,
    },
    /// Somebody published for the first time.
    Published { room: Arc<str>, identity: Arc<str> },
    /// Somebody left.
    Left {
        room: Arc<str>,
        identity: Arc<str>,
        reason: DisconnectReason,
    },
    /// Nothing is heard of an agent that is in a room, or something is again.
    Reachable {
        room: Arc<str>,
        identity: Arc<str>,
        reachable: bool,
    },
    /// A worker registered with this API key.
    Registered {
        worker: Arc<str>,
        key: String,
        request: Box<RegisterWorkerRequest>,
    },
    /// A worker said something.
    Said {
        worker: Arc<str>,
        message: Box<WorkerMessage>,
    },
    /// A worker's connection ended, or it does not read.
    Gone { worker: Arc<str> },
    /// A bug, for the test of what remains after one.
    #[cfg(test)]
    Bug,
}

/// What shall be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Decision {
    /// Say this to a worker.
    Send {
        worker: Arc<str>,
        message: Box<server_message::Message>,
    },
    /// Give a worker the job that it accepted, with a token signed by the worker's key.
    Assign { worker: Arc<str>, grant: Box<Grant> },
    /// Remove a participant from a room.
    Remove { room: Arc<str>, identity: Arc<str> },
    /// Tell everybody in a room that nobody answers yet.
    Tell { room: Arc<str>, news: NoAgent },
}

/// What the token of an agent says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grant {
    pub(crate) job: Job,
    pub(crate) key: String,
    pub(crate) room: String,
    pub(crate) identity: String,
    pub(crate) name: String,
    pub(crate) metadata: String,
    pub(crate) attributes: std::collections::HashMap<String, String>,
    pub(crate) permissions: Option<ParticipantPermission>,
}

/// What has a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    Job(Arc<str>),
    Post(PostId),
    Removal(Arc<str>, Arc<str>),
}

/// The dispatcher.
pub(crate) struct Machine {
    max_rooms: usize,
    /// Time zero in Unix time.
    epoch: Duration,
    now: Time,
    rng: StdRng,
    rooms: BTreeMap<Arc<str>, OpenRoom>,
    /// The newest room of each name.
    names: BTreeMap<String, Arc<str>>,
    workers: BTreeMap<Arc<str>, Worker>,
    posts: BTreeMap<PostId, Post>,
    next_post: PostId,
    /// Those that have not ended.
    jobs: BTreeMap<Arc<str>, Entry>,
    /// Participants who must be gone by then: room and identity.
    removals: BTreeMap<(Arc<str>, Arc<str>), Time>,
    /// When what is looked at again. One that was put off is looked at in vain.
    alarms: BTreeSet<(Time, Alarm)>,
    /// A worker without a name was here: rooms that ask for nobody in particular may expect an agent.
    unnamed_seen: bool,
    decisions: VecDeque<Decision>,
}

impl Machine {
    /// `epoch` is the Unix time of time zero, `seed` decides identifiers and the choice between equal workers.
    pub(crate) fn new(max_rooms: usize, epoch: Duration, seed: u64) -> Self {
        Self {
            max_rooms,
            epoch,
            now: Time::ZERO,
            rng: StdRng::seed_from_u64(seed),
            rooms: BTreeMap::new(),
            names: BTreeMap::new(),
            workers: BTreeMap::new(),
            posts: BTreeMap::new(),
            next_post: 0,
            jobs: BTreeMap::new(),
            removals: BTreeMap::new(),
            alarms: BTreeSet::new(),
            unnamed_seen: false,
            decisions: VecDeque::new(),
        }
    }

    /// Take a fact.
    pub(crate) fn handle(&mut self, now: Time, input: Input) {
        self.advance(now);
        match input {
            Input::RoomOpened { room, agents } => self.room_opened(*room, agents),
            Input::RoomClosed { room } => self.room_closed(&room),
            Input::Joined {
                room,
                participant,
                dependent: true,
                ..
            } => self.agent_joined(&room, *participant),
            Input::Joined {
                room,
                participant,
                dependent: false,
                agents,
            } => self.caller_joined(&room, participant, agents),
            Input::Published { room, identity } => self.published(&room, &identity),
            Input::Left {
                room,
                identity,
                reason,
            } => self.left(&room, &identity, reason),
            Input::Reachable {
                room,
                identity,
                reachable,
            } => self.agent_reachable(&room, &identity, reachable),
            Input::Registered {
                worker,
                key,
                request,
            } => self.registered(worker, key, *request),
            Input::Said { worker, message } => self.said(&worker, *message),
            Input::Gone { worker } => self.gone(&worker),
            #[cfg(test)]
            Input::Bug => panic!("a bug"),
        }
        // What is due at once, because of what was just said.
        self.advance(now);
    }

    /// Let time pass: everything that was due by then happens.
    pub(crate) fn advance(&mut self, now: Time) {
        while let Some((due, _)) = self.alarms.first()
            && *due <= now
        {
            let Some((due, alarm)) = self.alarms.pop_first() else {
                break;
            };
            self.now = self.now.max(due);
            match alarm {
                Alarm::Job(job) => self.job_due(&job),
                Alarm::Post(post) => self.post_due(post),
                Alarm::Removal(room, identity) => self.removal_due(room, identity),
            }
        }
        self.now = self.now.max(now);
    }

    /// The next decision; `None`: nothing more now.
    pub(crate) fn poll(&mut self) -> Option<Decision> {
        self.decisions.pop_front()
    }

    /// When time has to pass even if nothing else happens.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.alarms.first().map(|(due, _)| *due)
    }

    /// How many workers are registered.
    pub(crate) fn workers(&self) -> usize {
        self.workers.len()
    }

    /// How many posts wait for an agent although a caller is there.
    pub(crate) fn vacancies(&self) -> usize {
        self.posts.values().filter(|p| p.vacant.is_some()).count()
    }

    fn unix_nanos(&self) -> i64 {
        i64::try_from((self.epoch + self.now).as_nanos()).unwrap_or(i64::MAX)
    }

    fn id(&mut self, prefix: &str) -> String {
        antiphon_protocol::ids::drawn(prefix, &mut self.rng)
    }

    fn tell(&mut self, worker: &Arc<str>, message: server_message::Message) {
        if self.workers.contains_key(worker) {
            let (worker, message) = (Arc::clone(worker), Box::new(message));
            self.decisions.push_back(Decision::Send { worker, message });
        }
    }

    /// A participant must have left by then.
    fn remove_by(&mut self, room: &Arc<str>, identity: &str, by: Time) {
        let key: (Arc<str>, Arc<str>) = (Arc::clone(room), Arc::from(identity));
        self.alarms
            .insert((by, Alarm::Removal(Arc::clone(&key.0), Arc::clone(&key.1))));
        self.removals.insert(key, by);
    }

    fn removal_due(&mut self, room: Arc<str>, identity: Arc<str>) {
        let key = (room, identity);
        if self.removals.get(&key).is_some_and(|by| *by <= self.now) {
            self.removals.remove(&key);
            let (room, identity) = key;
            let here = self
                .rooms
                .get(&room)
                .is_some_and(|r| r.agents.contains_key(&identity));
            if here {
                self.decisions
                    .push_back(Decision::Remove { room, identity });
            }
        }
    }
}

//! What rooms tell: that they are there, and which callers come and go.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use antiphon_protocol::proto::{
    self, AgentDispatch, CreateAgentDispatchRequest, DisconnectReason, JobStatus, JobTermination,
    JobType, ParticipantInfo, RoomAgentDispatch, server_message,
};

use super::Machine;
use super::job::{Caller, OpenRoom, Post, PostId, Stage};
use crate::limits::{MAX_AGENTS_ASKED, MAX_DISPATCHES, MAX_NAMESPACES};

impl Machine {
    pub(super) fn room_opened(&mut self, info: proto::Room, agents: Vec<RoomAgentDispatch>) {
        if self.rooms.len() >= self.max_rooms || self.rooms.contains_key(info.sid.as_str()) {
            return;
        }
        let sid: Arc<str> = Arc::from(info.sid.as_str());
        self.names.insert(info.name.clone(), Arc::clone(&sid));
        let room = OpenRoom {
            info,
            dispatches: Vec::new(),
            callers: BTreeMap::new(),
            agents: BTreeMap::new(),
            departure: None,
            posts: BTreeSet::new(),
            ended: VecDeque::new(),
        };
        self.rooms.insert(Arc::clone(&sid), room);
        // A room that asks for nobody in particular gets whoever registered without a name.
        let agents = if agents.is_empty() {
            vec![RoomAgentDispatch::default()]
        } else {
            agents
        };
        self.dispatch_missing(&sid, agents);
    }

    /// Dispatch those that the room does not have yet: each name once, however often it is asked for, and by whom.
    fn dispatch_missing(&mut self, room: &Arc<str>, agents: Vec<RoomAgentDispatch>) {
        let wants_unnamed = agents.iter().any(|agent| agent.agent_name.is_empty());
        for agent in agents.into_iter().take(MAX_AGENTS_ASKED) {
            let Some(open) = self.rooms.get(room) else {
                return;
            };
            let same = |d: &AgentDispatch| {
                d.agent_name == agent.agent_name && d.deployment == agent.deployment
            };
            if open.dispatches.iter().any(same) {
                continue;
            }
            if !wants_unnamed {
                self.forget_unfilled_default(room);
            }
            self.dispatch(room, agent);
        }
    }

    /// A dispatch of a room's configuration.
    fn dispatch(&mut self, room: &Arc<str>, agent: RoomAgentDispatch) {
        let request = CreateAgentDispatchRequest {
            agent_name: agent.agent_name,
            room: String::new(),
            metadata: agent.metadata,
            restart_policy: agent.restart_policy,
            deployment: agent.deployment,
            attributes: agent.attributes,
        };
        if self.create_in(room, &request).is_err() {
            tracing::warn!(room = %room, limit = MAX_DISPATCHES, "the room has too many dispatches; an agent asked for by a token does not come");
        }
    }

    pub(super) fn room_closed(&mut self, sid: &Arc<str>) {
        let Some(room) = self.rooms.get(sid) else {
            return;
        };
        for post in room.posts.clone() {
            self.close_post(post, None);
        }
        if let Some(room) = self.rooms.remove(sid)
            && self.names.get(&room.info.name) == Some(sid)
        {
            self.names.remove(&room.info.name);
        }
        self.removals.retain(|(room, _), _| room != sid);
    }

    /// End a post and its jobs; an agent that stays in the room after `goodbye` is put out.
    pub(super) fn close_post(&mut self, id: PostId, goodbye: Option<super::Time>) {
        let Some(post) = self.posts.get(&id) else {
            return;
        };
        let room = Arc::clone(&post.room);
        for job in post.jobs.clone() {
            let identity = self
                .jobs
                .get(&job)
                .and_then(|e| e.stage.identity().cloned());
            self.withdraw(&job, "its dispatch or its room has ended");
            if let (Some(by), Some(identity)) = (goodbye, identity) {
                self.remove_by(&room, &identity, by);
            }
        }
        self.posts.remove(&id);
        if let Some(room) = self.rooms.get_mut(&room) {
            room.posts.remove(&id);
        }
    }

    /// End a job whose agent is not wanted any more; its worker is told.
    pub(super) fn withdraw(&mut self, job: &Arc<str>, why: &str) {
        if let Some(entry) = self.end(job, JobStatus::JsSuccess, why) {
            self.attend(entry.post);
            match &entry.stage {
                Stage::Expected { worker, .. }
                | Stage::Running { worker, .. }
                | Stage::Leaving { worker, .. } => self.terminate(worker, job),
                Stage::Waiting { .. } | Stage::Offered { .. } => {}
            }
        }
    }

    /// Tell a worker to end a job.
    pub(super) fn terminate(&mut self, worker: &Arc<str>, job: &str) {
        let job_id = job.to_owned();
        let message = server_message::Message::Termination(JobTermination { job_id });
        self.tell(worker, message);
    }

    pub(super) fn caller_joined(
        &mut self,
        room: &Arc<str>,
        info: Box<ParticipantInfo>,
        agents: Vec<RoomAgentDispatch>,
    ) {
        let now = self.now;
        let Some(open) = self.rooms.get_mut(room) else {
            return;
        };
        let caller = Caller {
            publishes: false,
            joined: now,
            info,
        };
        let caller_identity = caller.info.identity.clone();
        open.callers
            .insert(Arc::from(caller_identity.as_str()), caller);
        let identity: Arc<str> = Arc::from(caller_identity);
        self.dispatch_missing(room, agents);
        self.reopen(room, &identity);
        self.posts_for_workers(room);
        self.attend_room(room);
    }

    /// Whoever asks for an agent by name does not want the unnamed one as well, unless it talks already.
    fn forget_unfilled_default(&mut self, room: &Arc<str>) {
        let Some(open) = self.rooms.get(room) else {
            return;
        };
        let Some(default) = open.dispatches.iter().find(|d| d.agent_name.is_empty()) else {
            return;
        };
        let (id, name) = (default.id.clone(), open.info.name.clone());
        let has_agent = self.jobs.values().any(|entry| {
            entry.stage.identity().is_some()
                && self
                    .posts
                    .get(&entry.post)
                    .is_some_and(|p| p.dispatch == id)
        });
        if !has_agent {
            let _ = self.forget(&name, &id);
        }
    }

    /// A new caller is answered, whatever became of the agent before.
    fn reopen(&mut self, room: &Arc<str>, caller: &Arc<str>) {
        let Some(open) = self.rooms.get(room) else {
            return;
        };
        let idle: Vec<PostId> = open
            .posts
            .iter()
            .filter(|id| {
                self.posts.get(id).is_some_and(|post| {
                    let is_for = post.participant.as_ref().is_none_or(|p| p == caller);
                    is_for && !self.has_fresh(post)
                })
            })
            .copied()
            .collect();
        for id in idle {
            if let Some(post) = self.posts.get_mut(&id) {
                post.failures = 0;
            }
            self.begin(id, None, None);
        }
    }

    pub(super) fn published(&mut self, room: &Arc<str>, identity: &Arc<str>) {
        if let Some(caller) = self
            .rooms
            .get_mut(room)
            .and_then(|open| open.callers.get_mut(identity))
        {
            caller.publishes = true;
            self.posts_for_workers(room);
            self.attend_room(room);
        }
    }

    /// A room has a post for each dispatch; participants have one while a worker wants that type. Workers of several
    /// namespaces have one each.
    pub(super) fn posts_for_workers(&mut self, room: &Arc<str>) {
        let Some(open) = self.rooms.get(room) else {
            return;
        };
        let mut missing = Vec::new();
        for dispatch in &open.dispatches {
            for kind in [
                JobType::JtRoom,
                JobType::JtParticipant,
                JobType::JtPublisher,
            ] {
                let suitable = self.workers.values().filter(|w| w.suits(dispatch, kind));
                let registered: BTreeSet<&str> = suitable.map(|w| w.namespace()).collect();
                let for_whom: Vec<Option<&Arc<str>>> = match kind {
                    JobType::JtRoom => vec![None],
                    _ if registered.is_empty() => Vec::new(),
                    _ => {
                        let due =
                            |caller: &Caller| kind == JobType::JtParticipant || caller.publishes;
                        let callers = open.callers.iter().filter(|(_, caller)| due(caller));
                        callers.map(|(identity, _)| Some(identity)).collect()
                    }
                };
                for participant in for_whom {
                    let posts = || {
                        let posts = open.posts.iter().filter_map(|id| self.posts.get(id));
                        posts.filter(|post| {
                            post.kind == kind
                                && post.dispatch == dispatch.id
                                && post.participant.as_ref() == participant
                        })
                    };
                    let mut namespaces = self.namespaces_at(posts());
                    namespaces.extend(&registered);
                    let wanted = namespaces.len().clamp(1, MAX_NAMESPACES);
                    for _ in posts().count()..wanted {
                        missing.push((dispatch.id.clone(), kind, participant.cloned()));
                    }
                }
            }
        }
        for (dispatch, kind, participant) in missing {
            self.new_post(room, dispatch, kind, participant);
        }
    }

    /// A post, and its first job.
    pub(super) fn new_post(
        &mut self,
        room: &Arc<str>,
        dispatch: String,
        kind: JobType,
        participant: Option<Arc<str>>,
    ) {
        let id = self.next_post;
        self.next_post += 1;
        let post = Post {
            room: Arc::clone(room),
            dispatch,
            kind,
            participant,
            jobs: BTreeSet::new(),
            failures: 0,
            vacant: None,
        };
        self.posts.insert(id, post);
        if let Some(open) = self.rooms.get_mut(room) {
            open.posts.insert(id);
        }
        if !self.adopt_stray(id) {
            self.begin(id, None, None);
        }
    }

    pub(super) fn left(&mut self, room: &Arc<str>, identity: &Arc<str>, reason: DisconnectReason) {
        let now = self.now;
        let Some(open) = self.rooms.get_mut(room) else {
            return;
        };
        open.agents.remove(identity);
        self.removals
            .remove(&(Arc::clone(room), Arc::clone(identity)));
        let was_caller = open.callers.remove(identity).is_some();
        if was_caller {
            open.departure = Some(now);
            self.caller_left(room, identity);
        } else if let Some(job) = self.job_of_agent(room, identity) {
            self.agent_left(&job, reason);
        }
    }

    /// Nobody needs to be found for somebody who has left.
    fn caller_left(&mut self, room: &Arc<str>, identity: &Arc<str>) {
        let Some(open) = self.rooms.get(room) else {
            return;
        };
        for id in open.posts.clone() {
            let Some(post) = self.posts.get(&id) else {
                continue;
            };
            if post.participant.as_ref() == Some(identity) {
                let agent = |job: &Arc<str>| {
                    self.jobs
                        .get(job)
                        .is_some_and(|e| e.stage.identity().is_some())
                };
                if !post.jobs.iter().any(agent) {
                    self.close_post(id, None);
                    continue;
                }
            }
            self.attend(id);
        }
    }
}

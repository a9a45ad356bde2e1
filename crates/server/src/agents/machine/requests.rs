//! Dispatches made, listed and deleted by API.

use std::sync::Arc;

use antiphon_protocol::ids;
use antiphon_protocol::proto::{
    AgentDispatch, AgentDispatchState, CreateAgentDispatchRequest, Job,
};

use super::{GOODBYE, Machine, Time};
use crate::agents::DispatchError;
use crate::limits::MAX_DISPATCHES;

impl Machine {
    /// `CreateDispatch` for a room that is open.
    pub(crate) fn create(
        &mut self,
        now: Time,
        request: &CreateAgentDispatchRequest,
    ) -> Result<AgentDispatch, DispatchError> {
        self.advance(now);
        let room = self.names.get(&request.room).ok_or(DispatchError::NoRoom)?;
        let room = Arc::clone(room);
        let id = self.create_in(&room, request)?;
        self.list(&request.room, &id)
            .pop()
            .ok_or(DispatchError::NoRoom)
    }

    pub(super) fn create_in(
        &mut self,
        sid: &Arc<str>,
        request: &CreateAgentDispatchRequest,
    ) -> Result<String, DispatchError> {
        let (id, created_at) = (self.id(ids::DISPATCH), self.unix_nanos());
        let room = self.rooms.get_mut(sid).ok_or(DispatchError::NoRoom)?;
        if room.dispatches.len() >= MAX_DISPATCHES {
            return Err(DispatchError::TooMany);
        }
        room.dispatches.push(AgentDispatch {
            id: id.clone(),
            agent_name: request.agent_name.clone(),
            room: room.info.name.clone(),
            metadata: request.metadata.clone(),
            state: Some(AgentDispatchState {
                created_at,
                ..AgentDispatchState::default()
            }),
            restart_policy: request.restart_policy,
            deployment: request.deployment.clone(),
            attributes: request.attributes.clone(),
        });
        self.posts_for_workers(sid);
        Ok(id)
    }

    /// `DeleteDispatch`: its jobs end; an agent has a moment to say goodbye.
    pub(crate) fn delete(
        &mut self,
        now: Time,
        room: &str,
        id: &str,
    ) -> Result<AgentDispatch, DispatchError> {
        self.advance(now);
        self.forget(room, id)
    }

    pub(super) fn forget(&mut self, room: &str, id: &str) -> Result<AgentDispatch, DispatchError> {
        let mut dispatch = self.list(room, id).pop().ok_or(DispatchError::NotFound)?;
        let sid = self.names.get(room).ok_or(DispatchError::NoRoom)?;
        let posts: Vec<_> = self
            .posts
            .iter()
            .filter(|(_, post)| post.room == *sid && post.dispatch == id)
            .map(|(post, _)| *post)
            .collect();
        let sid = Arc::clone(sid);
        for post in &posts {
            self.close_post(*post, Some(self.now + GOODBYE));
        }
        if let Some(open) = self.rooms.get_mut(&sid) {
            open.dispatches.retain(|d| d.id != id);
            open.ended.retain(|(post, _)| !posts.contains(post));
        }
        if let Some(state) = &mut dispatch.state {
            state.deleted_at = self.unix_nanos();
        }
        Ok(dispatch)
    }

    /// The dispatches of a room with their jobs; all of them when `id` is empty.
    pub(crate) fn list(&self, room: &str, id: &str) -> Vec<AgentDispatch> {
        let Some(open) = self.names.get(room).and_then(|sid| self.rooms.get(sid)) else {
            return Vec::new();
        };
        let mut found: Vec<AgentDispatch> = open
            .dispatches
            .iter()
            .filter(|d| id.is_empty() || d.id == id)
            .cloned()
            .collect();
        for dispatch in &mut found {
            let ended = open.ended.iter().map(|(_, job)| job);
            let mut jobs: Vec<Job> = ended
                .filter(|job| job.dispatch_id == dispatch.id)
                .cloned()
                .collect();
            let posts = open.posts.iter().filter_map(|post| self.posts.get(post));
            for post in posts.filter(|post| post.dispatch == dispatch.id) {
                let live = post.jobs.iter();
                jobs.extend(live.filter_map(|job| self.job_of(job, self.jobs.get(job)?)));
            }
            let state = dispatch
                .state
                .get_or_insert_with(AgentDispatchState::default);
            state.jobs = jobs;
        }
        found
    }
}

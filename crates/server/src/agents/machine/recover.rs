//! What is kept when a bug has ended a machine in the middle of a step.
//!
//! Facts are kept: rooms, who is in them, workers, dispatches, agents that were given a job. What was under way is begun
//! anew, and everything that is derived from the facts (lists, alarms, who waits) is derived again.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::job::Stage;
use super::{Alarm, Machine, Time};

impl Machine {
    /// A machine that goes on where this one broke.
    pub(crate) fn recovered(mut self, now: Time) -> Self {
        self.now = self.now.max(now);
        self.decisions.clear();
        self.alarms.clear();
        let (rooms, posts) = (&self.rooms, &self.posts);
        self.names.retain(|_, sid| rooms.contains_key(sid));
        self.jobs.retain(|_, entry| {
            posts
                .get(&entry.post)
                .is_some_and(|post| rooms.contains_key(&post.room))
        });
        self.posts
            .retain(|_, post| self.rooms.contains_key(&post.room));
        for room in self.rooms.values_mut() {
            room.posts.clear();
        }
        for (id, post) in &mut self.posts {
            post.jobs.clear();
            post.vacant = None;
            if let Some(room) = self.rooms.get_mut(&post.room) {
                room.posts.insert(*id);
            }
        }
        for worker in self.workers.values_mut() {
            worker.jobs.clear();
        }
        for (id, entry) in &mut self.jobs {
            if entry.stage.identity().is_none() {
                entry.stage = Stage::Waiting { retry: None };
                entry.tried = BTreeSet::new();
            }
            if let Some(until) = entry.stage.until() {
                self.alarms.insert((until, Alarm::Job(Arc::clone(id))));
            }
            if let Some(post) = self.posts.get_mut(&entry.post) {
                post.jobs.insert(Arc::clone(id));
            }
            if let Some(worker) = entry.stage.worker().and_then(|w| self.workers.get_mut(w)) {
                worker.jobs.insert(Arc::clone(id));
            }
        }
        for ((room, identity), by) in &self.removals {
            let alarm = Alarm::Removal(Arc::clone(room), Arc::clone(identity));
            self.alarms.insert((*by, alarm));
        }
        let rooms: Vec<Arc<str>> = self.rooms.keys().cloned().collect();
        for room in rooms {
            self.attend_room(&room);
        }
        self.place_waiting();
        self
    }
}

//! Peers that are lent out for their negotiation: the shard goes on without them and keeps what comes meanwhile, so that
//! nothing of a call is lost by it. That takes milliseconds.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::sync::oneshot;

use super::Shard;
use crate::command::{Command, PeerId};
use crate::connection::Connection;
use crate::counters;
use crate::forward::Received;
use crate::limits::MAX_KEPT_WHILE_AWAY;
use crate::path::Place;

/// What a shard keeps for a peer that is away.
pub(super) struct Away {
    pub(super) id: PeerId,
    kept: Vec<Kept>,
}

/// Something that came for a peer that is away.
pub(super) enum Kept {
    Datagram {
        source: Place,
        destination: SocketAddr,
        contents: Vec<u8>,
    },
    /// A packet that this section of another peer received.
    Forwarded {
        from: (usize, PeerId, usize),
        received: Box<Received>,
    },
    /// That peer stopped feeding this section.
    Silence {
        section: usize,
        from: PeerId,
    },
    /// A listener of this section, named by its slot and section, needs a key frame.
    KeyFrame {
        section: usize,
        whose: (usize, usize),
    },
    Command(Command),
}

impl Shard {
    /// Lend a peer out. If nobody waits for it any more, it stays; if there is none, whoever waits sees that by the end
    /// of the channel.
    pub(super) fn lend(&mut self, id: PeerId, to: oneshot::Sender<Box<Connection>>) {
        let Some(slot) = self.by_id.get(&id).copied() else {
            return;
        };
        let Some(place) = self.peers.get_mut(slot) else {
            return;
        };
        let Some(peer) = place.take() else { return };
        match to.send(peer) {
            Ok(()) => {
                let kept = Vec::new();
                self.away.insert(slot, Away { id, kept });
            }
            Err(peer) => *place = Some(peer),
        }
    }

    /// A peer is back: it learns what came meanwhile, in order.
    pub(super) fn take_back(&mut self, mut peer: Box<Connection>, panicked: bool, now: Instant) {
        let Some(slot) = self.by_id.get(&peer.id).copied() else {
            return;
        };
        let kept = self
            .away
            .remove(&slot)
            .map_or_else(Vec::new, |away| away.kept);
        if panicked {
            self.panicked(slot, peer);
            return;
        }
        for ufrag in std::mem::take(&mut peer.old_ufrags) {
            if self.by_ufrag.get(&ufrag) == Some(&slot) {
                self.by_ufrag.remove(&ufrag);
            }
        }
        for ufrag in &peer.ufrags {
            self.by_ufrag.entry(ufrag.clone()).or_insert(slot);
        }
        // Wake-ups and marks of the time before found nobody.
        peer.armed = None;
        peer.dirty = false;
        if let Some(place) = self.peers.get_mut(slot) {
            *place = Some(peer);
        }
        self.drive(slot, now, |_| {});
        for one in kept {
            self.catch_up(slot, one, now);
        }
    }

    fn catch_up(&mut self, slot: usize, kept: Kept, now: Instant) {
        match kept {
            Kept::Datagram {
                source,
                destination,
                contents,
            } => self.on_datagram(slot, source, destination, &contents, now),
            Kept::Forwarded {
                from: (from, id, section),
                received,
            } => {
                if self.is(from, id) {
                    self.spread(from, section, &received, Some(slot));
                }
            }
            Kept::Silence { section, from } => self.silence(slot, section, from, now),
            Kept::KeyFrame { section, whose } => self.refresh(slot, section, whose, now),
            Kept::Command(command) => self.on_command(command, now),
        }
    }

    /// Keep something for a peer that is away. False: it is here.
    pub(super) fn keep(&mut self, slot: usize, one: impl FnOnce() -> Kept) -> bool {
        let Some(away) = self.away.get_mut(&slot) else {
            return false;
        };
        let one = one();
        // Goodbyes are one for each peer, and without them it would stay for ever.
        let is_final = matches!(one, Kept::Command(Command::Close { .. }));
        if away.kept.len() < MAX_KEPT_WHILE_AWAY || is_final {
            away.kept.push(one);
        } else {
            counters::dropped("away");
        }
        true
    }

    /// The slot of the first of these peers that is away.
    pub(super) fn first_away(&self, ids: [Option<PeerId>; 2]) -> Option<usize> {
        if self.away.is_empty() {
            return None;
        }
        ids.into_iter()
            .flatten()
            .filter_map(|id| self.by_id.get(&id))
            .find(|slot| self.away.contains_key(slot))
            .copied()
    }
}

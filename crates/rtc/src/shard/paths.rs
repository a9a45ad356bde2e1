//! Paths that lead to peers of this shard.

use std::time::Instant;

use str0m::net::Protocol;
use tokio::sync::mpsc::error::TrySendError;

use super::{Kept, Shard, is_stun};
use crate::command::PeerId;
use crate::counters;
use crate::path::{Arrival, Place, Sent};

impl Shard {
    /// Something came over a path. Until a shard has it, only the check that names one of our peers is ours.
    pub(super) fn arrived(&mut self, arrival: Arrival, datagram: Vec<u8>, now: Instant) {
        let index = self.handle.index;
        if !arrival.concerns(index) {
            return;
        }
        let known = self.paths.contains_key(&arrival.from);
        if !known && !is_stun(&datagram) {
            return;
        }
        let Some(slot) = self.find(arrival.from, &datagram) else {
            return;
        };
        if !known {
            let Some(outgoing) = arrival.outgoing.clone().filter(|_| arrival.take(index)) else {
                return;
            };
            let Some(id) = self.id(slot) else { return };
            self.paths.insert(arrival.from, (id, outgoing));
        }
        let (source, destination) = (arrival.from, arrival.to);
        if self.away.contains_key(&slot) {
            let kept = Kept::Datagram {
                source,
                destination,
                contents: datagram,
            };
            self.keep(slot, || kept);
        } else {
            self.on_datagram(slot, source, destination, &datagram, now);
        }
    }

    /// Whose slot is it?
    fn id(&self, slot: usize) -> Option<PeerId> {
        match self.peers.get(slot)? {
            Some(peer) => Some(peer.id),
            None => self.away.get(&slot).map(|away| away.id),
        }
    }

    pub(super) fn path_ended(&mut self, from: Place) {
        self.paths.remove(&from);
        self.by_place.remove(&from);
    }

    /// Send what goes over paths; the rest is for sockets.
    pub(super) fn send_over_paths(&mut self) {
        let mut full = 0;
        let paths = &self.paths;
        self.outgoing.retain_mut(|out| {
            let to = Place {
                protocol: out.protocol,
                address: out.destination,
            };
            let Some((_, path)) = paths.get(&to) else {
                // A candidate over TCP from which nobody came cannot be answered.
                return to.protocol == Protocol::Udp;
            };
            let sent = Sent {
                from: out.source,
                datagram: std::mem::take(&mut out.contents),
            };
            if let Err(TrySendError::Full(_)) = path.try_send(sent) {
                full += 1;
            }
            false
        });
        if full > 0 {
            counters::unsent_datagrams(full);
        }
    }
}

//! Data packets: who may send, who gets them, what is kept for those who are just joining and those who are away.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use antiphon_protocol::ParticipantKind;
use antiphon_protocol::names::{
    CHANNEL_DATA_TRACK, CHANNEL_LOSSY, CHANNEL_RELIABLE, MAX_DATA_PACKET_BYTES,
};
use antiphon_protocol::prost::Message as _;
use antiphon_protocol::proto::data_packet::{Kind, Value};
use antiphon_protocol::proto::data_stream::header::ContentHeader;
use antiphon_protocol::proto::participant_info::State as Stage;
use antiphon_protocol::proto::{DataChannelReceiveState, DataPacket, UserPacket};
use bytes::Bytes;

use super::actor::Room;
use super::participant::Participant;
use crate::limits::{DATA_JOIN_BYTES, DATA_REPLAY_BYTES, DATA_REPLAY_TIME};

/// Recent reliable packets of a room.
#[derive(Debug, Default)]
pub(super) struct Replay {
    packets: VecDeque<Recent>,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Recent {
    at: Instant,
    sender: Arc<str>,
    sequence: u32,
    to: Vec<String>,
    data: Bytes,
}

impl Replay {
    fn push(&mut self, recent: Recent) {
        self.bytes += recent.data.len();
        self.packets.push_back(recent);
        while self.bytes > DATA_REPLAY_BYTES {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(old) = self.packets.pop_front() {
            self.bytes -= old.data.len();
        }
    }

    pub(super) fn forget_old(&mut self, now: Instant) {
        while self
            .packets
            .front()
            .is_some_and(|p| now.duration_since(p.at) > DATA_REPLAY_TIME)
        {
            self.pop();
        }
    }
}

/// Reliable packets for a participant that others see and that is not connected yet.
#[derive(Debug, Default)]
pub(super) struct EarlyData {
    packets: Vec<Bytes>,
    bytes: usize,
}

impl EarlyData {
    /// Keep a packet. The newest are left out when there is no room: what was begun stays whole.
    fn keep(&mut self, data: &Bytes) {
        if self.bytes + data.len() <= DATA_JOIN_BYTES {
            self.bytes += data.len();
            self.packets.push(data.clone());
        } else {
            metrics::counter!(antiphon_telemetry::names::DROPPED_TOTAL, "queue" => "early_data")
                .increment(1);
        }
    }
}

impl Room {
    /// A packet that a participant sent.
    pub(super) fn on_data(&mut self, sid: &Arc<str>, label: &str, data: &[u8]) {
        let kind = match label {
            CHANNEL_RELIABLE => Kind::Reliable,
            CHANNEL_LOSSY => Kind::Lossy,
            CHANNEL_DATA_TRACK => return self.on_data_track_frame(sid, data),
            _ => return self.on_unlabelled(sid, data),
        };
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        if !p.permission.can_publish_data || data.len() > MAX_DATA_PACKET_BYTES + 1024 {
            tracing::debug!(participant = %sid, bytes = data.len(), "data packet refused");
            return;
        }
        let Ok(mut packet) = DataPacket::decode(data) else {
            tracing::debug!(participant = %sid, bytes = data.len(), "a data packet that is none");
            return;
        };
        if kind == Kind::Reliable && packet.sequence > 0 {
            if packet.sequence <= p.last_sequence {
                return;
            }
            p.last_sequence = packet.sequence;
        }
        if !stamp(&mut packet, p, kind) {
            return;
        }
        if let Some(Value::RpcResponse(response)) = &packet.value
            && let Some(waiting) = self.rpc.remove(&response.request_id)
        {
            let _ = waiting.send(response.clone());
            return;
        }
        self.route(Some(sid), kind, &packet);
    }

    /// Bytes on a channel of the client's own: everybody gets them as a message, as on LiveKit's server.
    fn on_unlabelled(&mut self, sid: &Arc<str>, data: &[u8]) {
        let Some(p) = self.participants.get(sid) else {
            return;
        };
        if !p.permission.can_publish_data || data.len() > MAX_DATA_PACKET_BYTES {
            return;
        }
        let user = UserPacket {
            payload: data.to_vec(),
            ..UserPacket::default()
        };
        let mut packet = DataPacket {
            value: Some(Value::User(user)),
            ..DataPacket::default()
        };
        if stamp(&mut packet, p, Kind::Reliable) {
            self.route(Some(sid), Kind::Reliable, &packet);
        }
    }

    /// Send a packet to those it is for; not back to its sender.
    pub(super) fn route(&mut self, sender: Option<&Arc<str>>, kind: Kind, packet: &DataPacket) {
        let (to, to_sids) = destinations(packet);
        let metrics = matches!(packet.value, Some(Value::Metrics(_)));
        let data = Bytes::from(packet.encode_to_vec());
        let label = match kind {
            Kind::Reliable => CHANNEL_RELIABLE,
            Kind::Lossy => CHANNEL_LOSSY,
        };
        for p in self.participants.values_mut() {
            let is_sender = sender.is_some_and(|sid| *sid == p.sid);
            let is_for = (to.is_empty() && to_sids.is_empty())
                || to.iter().any(|i| *i == *p.identity)
                || to_sids.iter().any(|s| *s == *p.sid);
            if is_sender || !is_for || (metrics && !p.permission.can_subscribe_metrics) {
                continue;
            }
            if p.state != Stage::Active {
                if kind == Kind::Reliable && !metrics {
                    p.early_data.keep(&data);
                }
            } else if let Some(peer) = p.data_peer() {
                peer.send_data(label, data.clone());
            }
        }
        if kind == Kind::Reliable && !metrics && to_sids.is_empty() {
            let sender = sender.cloned().unwrap_or_else(|| Arc::from(""));
            self.replay.push(Recent {
                at: Instant::now(),
                sender,
                sequence: packet.sequence,
                to,
                data,
            });
        }
    }

    /// What was sent to a participant between its joining and now.
    pub(super) fn send_early_data(&mut self, sid: &str) {
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        let early = std::mem::take(&mut p.early_data);
        let Some(peer) = p.data_peer() else { return };
        for data in early.packets {
            peer.send_data(CHANNEL_RELIABLE, data);
        }
    }

    /// What a participant missed while its connection was away.
    pub(super) fn replay_after(&mut self, sid: &str, received: &[DataChannelReceiveState]) {
        let Some(p) = self.participants.get(sid) else {
            return;
        };
        self.replay_where(p, |recent| {
            received
                .iter()
                .any(|r| *r.publisher_sid == *recent.sender && recent.sequence > r.last_seq)
        });
    }

    fn replay_where(&self, p: &Participant, missed: impl Fn(&Recent) -> bool) {
        let Some(peer) = p.data_peer() else { return };
        for recent in self.replay.packets.iter().filter(|r| missed(r)) {
            let is_for = recent.to.is_empty() || recent.to.iter().any(|i| *i == *p.identity);
            if is_for && recent.sender != p.sid {
                peer.send_data(CHANNEL_RELIABLE, recent.data.clone());
            }
        }
    }
}

/// Write the true sender into a packet. False: it must not be sent on.
#[allow(
    deprecated,
    reason = "old clients still read the fields inside of the user packet"
)]
fn stamp(packet: &mut DataPacket, p: &Participant, kind: Kind) -> bool {
    let agent = p.kind == ParticipantKind::Agent || p.permission.agent;
    let mut impersonate = false;
    match &mut packet.value {
        None => {
            tracing::debug!(participant = %p.sid, "a data packet of an unknown type is dropped");
            return false;
        }
        Some(Value::Transcription(_)) if !agent => return false,
        Some(Value::User(user)) => {
            user.participant_sid = p.sid.to_string();
            user.participant_identity = p.identity.to_string();
        }
        Some(Value::ChatMessage(chat)) => {
            impersonate = agent && is_other(&packet.participant_identity, p);
            chat.generated |= impersonate;
        }
        Some(Value::StreamHeader(header)) => {
            // An agent may write in the name of the caller whose words it transcribes.
            if let Some(ContentHeader::TextHeader(text)) = &mut header.content_header {
                impersonate = agent && is_other(&packet.participant_identity, p);
                text.generated |= impersonate;
            }
        }
        Some(_) => {}
    }
    if !impersonate {
        packet.participant_identity = p.identity.to_string();
    }
    packet.participant_sid = p.sid.to_string();
    packet.kind = kind as i32;
    true
}

fn is_other(identity: &str, p: &Participant) -> bool {
    !identity.is_empty() && identity != p.identity.as_ref()
}

/// Identities, and identifiers of an older form of addressing.
#[allow(deprecated, reason = "old clients address by these")]
fn destinations(packet: &DataPacket) -> (Vec<String>, Vec<String>) {
    let mut identities = packet.destination_identities.clone();
    let mut sids = Vec::new();
    if let Some(Value::User(user)) = &packet.value {
        identities.extend(user.destination_identities.iter().cloned());
        sids.extend(user.destination_sids.iter().cloned());
    }
    (identities, sids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replay_keeps_no_more_than_its_limits() {
        let mut replay = Replay::default();
        let now = Instant::now();
        for sequence in 0..50 {
            let data = Bytes::from(vec![0; 10_000]);
            replay.push(Recent {
                at: now,
                sender: Arc::from("PA_a"),
                sequence,
                to: Vec::new(),
                data,
            });
        }
        assert!(replay.bytes <= DATA_REPLAY_BYTES);
        assert_eq!(replay.packets.back().map(|p| p.sequence), Some(49));
        replay.forget_old(now + DATA_REPLAY_TIME * 2);
        assert_eq!((replay.bytes, replay.packets.len()), (0, 0));
    }
}

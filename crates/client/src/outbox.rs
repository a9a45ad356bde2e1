//! Data packets on their way out: numbered, kept while there is no connection, sent again after a resume.

use std::collections::VecDeque;

pub(crate) use antiphon_protocol::names::{CHANNEL_LOSSY as LOSSY, CHANNEL_RELIABLE as RELIABLE};
use bytes::Bytes;
use livekit_protocol::DataPacket;
use prost::Message;

use crate::limits;

/// Pure: what may leave now is taken out with [`Outbox::next`].
#[derive(Debug)]
pub(crate) struct Outbox {
    reliable_open: bool,
    lossy_open: bool,
    /// With whether they are reliable.
    waiting: VecDeque<(bool, DataPacket)>,
    waiting_bytes: usize,
    next_sequence: u32,
    sent: VecDeque<(u32, Bytes)>,
    again: VecDeque<Bytes>,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            reliable_open: false,
            lossy_open: false,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            next_sequence: 1,
            sent: VecDeque::new(),
            again: VecDeque::new(),
        }
    }

    /// A new connection with a new participant sid: numbers begin anew, unsent packets stay.
    pub(crate) fn restart(&mut self) {
        self.reliable_open = false;
        self.lossy_open = false;
        self.next_sequence = 1;
        self.sent.clear();
        self.again.clear();
    }

    pub(crate) fn channel_open(&mut self, label: &str) {
        match label {
            RELIABLE => self.reliable_open = true,
            LOSSY => self.lossy_open = true,
            _ => {}
        }
    }

    /// The connection was resumed; the server has seen our packets up to `last_sequence`.
    pub(crate) fn resumed(&mut self, last_sequence: u32) {
        let missing = self
            .sent
            .iter()
            .filter(|(sequence, _)| *sequence > last_sequence);
        self.again = missing.map(|(_, packet)| packet.clone()).collect();
    }

    /// Put a packet in. Lossy ones wait for nothing.
    pub(crate) fn push(&mut self, reliable: bool, packet: DataPacket) {
        if !reliable && !self.lossy_open {
            return;
        }
        self.waiting_bytes += packet.encoded_len();
        self.waiting.push_back((reliable, packet));
        while self.waiting.len() > limits::OUTBOX_PACKETS
            || self.waiting_bytes > limits::OUTBOX_BYTES
        {
            let Some((_, oldest)) = self.waiting.pop_front() else {
                break;
            };
            self.waiting_bytes -= oldest.encoded_len();
            tracing::warn!("there is no connection for long; the oldest data packet was dropped");
        }
    }

    /// The next packet that may leave, with its channel.
    pub(crate) fn next(&mut self) -> Option<(&'static str, Bytes)> {
        if !self.reliable_open {
            return None;
        }
        if let Some(again) = self.again.pop_front() {
            return Some((RELIABLE, again));
        }
        let (reliable, mut packet) = self.waiting.pop_front()?;
        self.waiting_bytes -= packet.encoded_len();
        if !reliable {
            return Some((LOSSY, packet.encode_to_vec().into()));
        }
        packet.sequence = self.next_sequence;
        self.next_sequence += 1;
        let bytes = Bytes::from(packet.encode_to_vec());
        self.sent.push_back((packet.sequence, bytes.clone()));
        if self.sent.len() > limits::RESEND_PACKETS {
            self.sent.pop_front();
        }
        Some((RELIABLE, bytes))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sequences(outbox: &mut Outbox) -> Vec<u32> {
        std::iter::from_fn(|| outbox.next())
            .map(|(_, bytes)| DataPacket::decode(bytes).unwrap().sequence)
            .collect()
    }

    #[test]
    fn what_is_said_before_the_channel_opens_leaves_when_it_does() {
        let mut outbox = Outbox::new();
        outbox.push(true, DataPacket::default());
        outbox.push(true, DataPacket::default());
        assert_eq!(sequences(&mut outbox), [0; 0]);
        outbox.channel_open(RELIABLE);
        assert_eq!(sequences(&mut outbox), [1, 2]);
    }

    #[test]
    fn a_resume_sends_again_what_the_server_has_not_seen_before_anything_new() {
        let mut outbox = Outbox::new();
        outbox.channel_open(RELIABLE);
        (0..4).for_each(|_| outbox.push(true, DataPacket::default()));
        assert_eq!(sequences(&mut outbox), [1, 2, 3, 4]);
        outbox.push(true, DataPacket::default());
        outbox.resumed(2);
        assert_eq!(sequences(&mut outbox), [3, 4, 5]);
    }

    #[test]
    fn a_long_outage_keeps_the_newest_packets() {
        let mut outbox = Outbox::new();
        for number in 0..limits::OUTBOX_PACKETS + 10 {
            outbox.push(
                true,
                DataPacket {
                    participant_identity: number.to_string(),
                    ..Default::default()
                },
            );
        }
        outbox.channel_open(RELIABLE);
        let first = DataPacket::decode(outbox.next().unwrap().1).unwrap();
        assert_eq!(first.participant_identity, "10");
    }
}

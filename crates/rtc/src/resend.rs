//! What a peer was sent of voices not long ago, to be sent again when it asks for it (generic NACK, RFC 4585 6.2.1). str0m
//! repeats only what has a second stream for that (RFC 4588), which no client has for audio.
//!
//! The very datagrams are kept. Encrypted anew, the same number would come with other header extensions, which AES-GCM does not
//! forgive.

use std::collections::VecDeque;
use std::time::Instant;

use rustc_hash::FxHashSet;
use str0m::rtp::Ssrc;
use str0m::rtp::rtcp::Nack;

use crate::limits::{MAX_RESEND_AGE, MAX_RESEND_PACKETS, MAX_RESENDS};
use crate::socket::Datagram;

/// The datagrams of one peer.
#[derive(Default)]
pub(crate) struct Resends {
    streams: FxHashSet<u32>,
    sent: VecDeque<Sent>,
}

struct Sent {
    stream: u32,
    number: u16,
    at: Instant,
    resends: u8,
    datagram: Datagram,
}

impl Resends {
    /// From now on the packets of this stream are kept.
    pub(crate) fn keep_stream(&mut self, ssrc: Ssrc) {
        self.streams.insert(*ssrc);
    }

    /// Other streams may be sent now.
    pub(crate) fn forget_streams(&mut self) {
        self.streams.clear();
    }

    /// A datagram goes out.
    pub(crate) fn sent(&mut self, datagram: &Datagram, now: Instant) {
        let Some((stream, number)) = rtp_names(&datagram.contents) else {
            return;
        };
        if !self.streams.contains(&stream) {
            return;
        }
        let too_old = |sent: &Sent| now.saturating_duration_since(sent.at) > MAX_RESEND_AGE;
        while self.sent.len() >= MAX_RESEND_PACKETS || self.sent.front().is_some_and(too_old) {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent {
            stream,
            number,
            at: now,
            resends: 0,
            datagram: datagram.clone(),
        });
    }

    /// The peer asks for these again: what of it is known.
    pub(crate) fn again<'a>(
        &'a mut self,
        asked: &'a Nack,
        now: Instant,
    ) -> impl Iterator<Item = Datagram> + 'a {
        let is_asked = |number: u16| {
            asked.reports.iter().any(|entry| {
                let ahead = number.wrapping_sub(entry.pid);
                let bit = u32::from(ahead).checked_sub(1);
                ahead == 0
                    || bit
                        .and_then(|bit| entry.blp.checked_shr(bit))
                        .is_some_and(|bits| bits & 1 == 1)
            })
        };
        self.sent
            .iter_mut()
            .filter(move |sent| {
                sent.stream == *asked.ssrc
                    && sent.resends < MAX_RESENDS
                    && now.saturating_duration_since(sent.at) <= MAX_RESEND_AGE
                    && is_asked(sent.number)
            })
            .map(|sent| {
                sent.resends += 1;
                sent.datagram.clone()
            })
    }
}

/// The SSRC and the number of an RTP packet (RFC 3550 5.1). `None`: it is something else (RFC 7983, RFC 5761 4).
fn rtp_names(datagram: &[u8]) -> Option<(u32, u16)> {
    let &[first, kind, n0, n1, _, _, _, _, s0, s1, s2, s3] = datagram.first_chunk()?;
    let is_rtp = first >> 6 == 2 && !(192..=223).contains(&kind);
    is_rtp.then(|| {
        (
            u32::from_be_bytes([s0, s1, s2, s3]),
            u16::from_be_bytes([n0, n1]),
        )
    })
}

//! What one client of the relay has: a machine without I/O. Messages and the time go in, acts come out.
//!
//! Sources: RFC 8656 (TURN), RFC 8489 (STUN). Peers are this server's own candidates and nobody else: the relay cannot be
//! misused to reach anything but what a client reaches anyway.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use turn_types::attribute::{
    ChannelNumber, Data, Lifetime, RequestedAddressFamily, RequestedTransport, XorPeerAddress,
    XorRelayedAddress,
};
use turn_types::channel::ChannelData;
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, DATA, REFRESH, SEND};
use turn_types::stun::attribute::{ErrorCode, Nonce, Realm, Software, Username, XorMappedAddress};
use turn_types::stun::message::{
    BINDING, IntegrityAlgorithm, IntegrityKey, Message, MessageClass, MessageWriteVec,
    TransactionId,
};
use turn_types::stun::prelude::*;

use super::access::{Nonces, REALM, User};
use crate::keys::KeyRing;
use crate::limits::{MAX_TURN_CHANNELS, MAX_TURN_PERMISSIONS};

/// An allocation lasts this long unless the client asks for more (RFC 8656 3.2).
const DEFAULT_LIFETIME: Duration = Duration::from_secs(600);
/// The most that it may ask for.
const MAX_LIFETIME: Duration = Duration::from_secs(3600);
/// RFC 8656 9.
const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// RFC 8656 12.
const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// Channel numbers that may be bound (RFC 8656 12).
const CHANNELS: std::ops::RangeInclusive<u16> = 0x4000..=0x4fff;
/// UDP, in `REQUESTED-TRANSPORT`.
const UDP: u8 = 17;

/// What is the same for all clients.
pub(super) struct Rules {
    pub(super) keys: std::sync::Arc<KeyRing>,
    pub(super) nonces: Nonces,
    /// Our own candidates.
    pub(super) peers: Vec<SocketAddr>,
}

impl Rules {
    fn may_reach(&self, peer: IpAddr) -> bool {
        self.peers.iter().any(|own| own.ip() == peer)
    }
}

/// Now, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) instant: Instant,
    /// Unix time.
    pub(super) unix: Duration,
}

/// What shall be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Send this to the client.
    Reply(Vec<u8>),
    /// Find a relayed address, then call [`Session::allocated`].
    Allocate { participant: String, ipv6: bool },
    /// Hand this to our media, at that candidate.
    Relay { peer: SocketAddr, data: Vec<u8> },
    /// The allocation is over.
    End,
}

/// An allocation that waits for its address.
struct Pending {
    request: Vec<u8>,
    user: User,
    key: IntegrityKey,
    lifetime: Duration,
}

struct Allocation {
    relayed: SocketAddr,
    user: User,
    transaction: TransactionId,
    until: Instant,
    permissions: Vec<(IpAddr, Instant)>,
    channels: Vec<(u16, SocketAddr, Instant)>,
}

/// One client, known by where its messages come from.
pub(super) struct Session {
    client: SocketAddr,
    /// Over a stream: lengths are multiples of four.
    padded: bool,
    pending: Option<Pending>,
    allocation: Option<Allocation>,
}

impl Session {
    pub(super) fn new(client: SocketAddr, padded: bool) -> Self {
        Self {
            client,
            padded,
            pending: None,
            allocation: None,
        }
    }

    /// When the allocation ends.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.allocation.as_ref().map(|allocation| allocation.until)
    }

    /// A message of the client.
    pub(super) fn handle(&mut self, rules: &Rules, now: Now, bytes: &[u8]) -> Option<Act> {
        if self.deadline().is_some_and(|until| until <= now.instant) {
            self.allocation = None;
            return Some(Act::End);
        }
        if bytes
            .first()
            .is_some_and(|first| (0x40..0x80).contains(first))
        {
            return self.on_channel_data(rules, now, bytes);
        }
        let message = Message::from_bytes(bytes).ok()?;
        match message.class() {
            MessageClass::Indication if message.has_method(SEND) => {
                self.on_send(rules, now, &message)
            }
            MessageClass::Request if message.has_method(BINDING) => self.mapped(&message),
            MessageClass::Request => self.on_request(rules, now, &message, bytes),
            MessageClass::Indication | MessageClass::Success | MessageClass::Error => None,
        }
    }

    /// The relayed address that was found, or none is left.
    pub(super) fn allocated(&mut self, now: Now, relayed: Option<SocketAddr>) -> Option<Act> {
        let Pending {
            request,
            user,
            key,
            lifetime,
        } = self.pending.take()?;
        let request = Message::from_bytes(&request).ok()?;
        let Some(relayed) = relayed else {
            return refusal(
                &request,
                ErrorCode::ALLOCATION_QUOTA_REACHED,
                Some(&key),
                None,
            );
        };
        self.allocation = Some(Allocation {
            relayed,
            user,
            transaction: request.transaction_id(),
            until: now.instant + lifetime,
            permissions: Vec::new(),
            channels: Vec::new(),
        });
        self.granted(&request, &key, relayed, lifetime)
    }

    /// What our media sends, as the client reads it. `None`: it has not permitted that.
    pub(super) fn indicate(&self, now: Now, peer: SocketAddr, data: &[u8]) -> Option<Vec<u8>> {
        let allocation = self.allocation.as_ref()?;
        let bound = allocation
            .channels
            .iter()
            .find(|(_, to, until)| *to == peer && *until > now.instant);
        if let Some((channel, ..)) = bound {
            return self.channel_data(*channel, data);
        }
        if !allocation.permits(peer.ip(), now.instant) {
            return None;
        }
        let mut message = Message::builder_indication(DATA, MessageWriteVec::new());
        let transaction = message.transaction_id();
        message
            .add_attribute(&XorPeerAddress::new(peer, transaction))
            .ok()?;
        message.add_attribute(&Data::new(data)).ok()?;
        Some(message.finish())
    }

    fn channel_data(&self, channel: u16, data: &[u8]) -> Option<Vec<u8>> {
        let length = u16::try_from(data.len()).ok()?;
        let mut out = Vec::with_capacity(data.len() + 8);
        out.extend_from_slice(&channel.to_be_bytes());
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(data);
        if self.padded {
            out.resize(out.len().next_multiple_of(4), 0);
        }
        Some(out)
    }

    fn on_channel_data(&mut self, rules: &Rules, now: Now, bytes: &[u8]) -> Option<Act> {
        let message = ChannelData::parse(bytes).ok()?;
        let allocation = self.allocation.as_ref()?;
        let (_, peer, _) = allocation
            .channels
            .iter()
            .find(|(id, _, until)| *id == message.id() && *until > now.instant)?;
        relay(rules, *peer, message.data())
    }

    fn on_send(&mut self, rules: &Rules, now: Now, message: &Message<'_>) -> Option<Act> {
        let peer: XorPeerAddress = message.attribute().ok()?;
        let peer = peer.addr(message.transaction_id());
        let data: Data<'_> = message.attribute().ok()?;
        let permitted = self.allocation.as_ref()?.permits(peer.ip(), now.instant);
        permitted.then(|| relay(rules, peer, data.data()))?
    }

    fn on_request(
        &mut self,
        rules: &Rules,
        now: Now,
        message: &Message<'_>,
        bytes: &[u8],
    ) -> Option<Act> {
        let (user, key) = match self.authenticate(rules, now, message) {
            Ok(known) => known,
            Err(Denied { code, key }) => {
                // A nonce goes with what can be tried again with it.
                let again = code == ErrorCode::UNAUTHORIZED || code == ErrorCode::STALE_NONCE;
                let nonce = again.then(|| rules.nonces.make(self.client, now.unix));
                return refusal(message, code, key.as_ref(), nonce.as_deref());
            }
        };
        let outcome = match message.method() {
            ALLOCATE => return self.on_allocate(rules, now, message, bytes, user, key),
            REFRESH => return self.on_refresh(now, message, &key),
            CREATE_PERMISSION => self.on_permission(rules, now, message),
            CHANNEL_BIND => self.on_bind(rules, now, message),
            _ => Err(ErrorCode::BAD_REQUEST),
        };
        match outcome {
            Ok(()) => signed(
                Message::builder_success(message, MessageWriteVec::new()),
                &key,
            ),
            Err(code) => refusal(message, code, Some(&key), None),
        }
    }

    /// Whose message is it?
    fn authenticate(
        &self,
        rules: &Rules,
        now: Now,
        message: &Message<'_>,
    ) -> Result<(User, IntegrityKey), Denied> {
        let denied = |code| Denied { code, key: None };
        let Ok(name) = message.attribute::<Username>() else {
            return Err(denied(ErrorCode::UNAUTHORIZED));
        };
        let nonce = message
            .attribute::<Nonce>()
            .map_err(|_| denied(ErrorCode::UNAUTHORIZED))?;
        if !rules.nonces.is_fresh(nonce.nonce(), self.client, now.unix) {
            return Err(denied(ErrorCode::STALE_NONCE));
        }
        let user = User::parse(name.username()).ok_or(denied(ErrorCode::UNAUTHORIZED))?;
        let key = user
            .integrity(&rules.keys)
            .ok_or(denied(ErrorCode::UNAUTHORIZED))?;
        message
            .validate_integrity_with_key(&key)
            .map_err(|_| denied(ErrorCode::UNAUTHORIZED))?;
        match &self.allocation {
            // What was opened in time may go on.
            Some(allocation) if allocation.user.name != user.name => Err(Denied {
                code: ErrorCode::WRONG_CREDENTIALS,
                key: Some(key),
            }),
            None if user.expires < now.unix => Err(denied(ErrorCode::UNAUTHORIZED)),
            Some(_) | None => Ok((user, key)),
        }
    }

    fn on_allocate(
        &mut self,
        rules: &Rules,
        now: Now,
        message: &Message<'_>,
        bytes: &[u8],
        user: User,
        key: IntegrityKey,
    ) -> Option<Act> {
        let refused = |code| refusal(message, code, Some(&key), None);
        if let Some(allocation) = &self.allocation {
            // The answer may have been lost on its way.
            if allocation.transaction == message.transaction_id() {
                let rest = allocation.until.saturating_duration_since(now.instant);
                return self.granted(message, &key, allocation.relayed, rest);
            }
            return refused(ErrorCode::ALLOCATION_MISMATCH);
        }
        match message.attribute::<RequestedTransport>() {
            Ok(transport) if transport.protocol() == UDP => {}
            Ok(_) => return refused(ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL),
            Err(_) => return refused(ErrorCode::BAD_REQUEST),
        }
        let family = message.attribute::<RequestedAddressFamily>().ok();
        let ipv6 = family.is_some_and(|asked| asked.family() == turn_types::AddressFamily::IPV6);
        if !rules.peers.iter().any(|peer| peer.is_ipv6() == ipv6) {
            return refused(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED);
        }
        let participant = user.participant.clone();
        self.pending = Some(Pending {
            request: bytes.to_vec(),
            user,
            key,
            lifetime: lifetime(message),
        });
        Some(Act::Allocate { participant, ipv6 })
    }

    fn on_refresh(&mut self, now: Now, message: &Message<'_>, key: &IntegrityKey) -> Option<Act> {
        let asked = lifetime_asked(message);
        let Some(allocation) = &mut self.allocation else {
            return refusal(message, ErrorCode::ALLOCATION_MISMATCH, Some(key), None);
        };
        if asked == Some(Duration::ZERO) {
            self.allocation = None;
            return Some(Act::End);
        }
        let lifetime = lifetime(message);
        allocation.until = now.instant + lifetime;
        let mut answer = Message::builder_success(message, MessageWriteVec::new());
        answer
            .add_attribute(&Lifetime::new(seconds(lifetime)))
            .ok()?;
        signed(answer, key)
    }

    fn on_permission(&mut self, rules: &Rules, now: Now, message: &Message<'_>) -> Result<(), u16> {
        let Some(allocation) = &mut self.allocation else {
            return Err(ErrorCode::ALLOCATION_MISMATCH);
        };
        let mut peers = Vec::new();
        while let Ok(peer) = message.nth_attribute::<XorPeerAddress>(peers.len()) {
            peers.push(peer.addr(message.transaction_id()).ip());
            if peers.len() > MAX_TURN_PERMISSIONS {
                return Err(ErrorCode::INSUFFICIENT_CAPACITY);
            }
        }
        if peers.is_empty() {
            return Err(ErrorCode::BAD_REQUEST);
        }
        if !peers.iter().all(|peer| rules.may_reach(*peer)) {
            return Err(ErrorCode::FORBIDDEN);
        }
        for peer in peers {
            allocation.permit(peer, now.instant)?;
        }
        Ok(())
    }

    fn on_bind(&mut self, rules: &Rules, now: Now, message: &Message<'_>) -> Result<(), u16> {
        let Some(allocation) = &mut self.allocation else {
            return Err(ErrorCode::ALLOCATION_MISMATCH);
        };
        let number = message
            .attribute::<ChannelNumber>()
            .map_err(|_| ErrorCode::BAD_REQUEST)?
            .channel();
        let peer = message
            .attribute::<XorPeerAddress>()
            .map_err(|_| ErrorCode::BAD_REQUEST)?
            .addr(message.transaction_id());
        if !CHANNELS.contains(&number) {
            return Err(ErrorCode::BAD_REQUEST);
        }
        if !rules.may_reach(peer.ip()) {
            return Err(ErrorCode::FORBIDDEN);
        }
        allocation.bind(number, peer, now.instant)?;
        allocation.permit(peer.ip(), now.instant)
    }

    fn granted(
        &self,
        request: &Message<'_>,
        key: &IntegrityKey,
        relayed: SocketAddr,
        lifetime: Duration,
    ) -> Option<Act> {
        let transaction = request.transaction_id();
        let mut answer = Message::builder_success(request, MessageWriteVec::new());
        answer
            .add_attribute(&XorRelayedAddress::new(relayed, transaction))
            .ok()?;
        answer
            .add_attribute(&Lifetime::new(seconds(lifetime)))
            .ok()?;
        answer
            .add_attribute(&XorMappedAddress::new(self.client, transaction))
            .ok()?;
        signed(answer, key)
    }

    /// A STUN server's only answer: where the client is seen.
    fn mapped(&self, request: &Message<'_>) -> Option<Act> {
        let mut answer = Message::builder_success(request, MessageWriteVec::new());
        answer
            .add_attribute(&XorMappedAddress::new(
                self.client,
                request.transaction_id(),
            ))
            .ok()?;
        answer.add_fingerprint().ok()?;
        Some(Act::Reply(answer.finish()))
    }
}

impl Allocation {
    fn permits(&self, peer: IpAddr, now: Instant) -> bool {
        self.permissions
            .iter()
            .any(|(ip, until)| *ip == peer && *until > now)
    }

    fn permit(&mut self, peer: IpAddr, now: Instant) -> Result<(), u16> {
        self.permissions
            .retain(|(ip, until)| *ip != peer && *until > now);
        if self.permissions.len() >= MAX_TURN_PERMISSIONS {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        self.permissions.push((peer, now + PERMISSION_LIFETIME));
        Ok(())
    }

    fn bind(&mut self, number: u16, peer: SocketAddr, now: Instant) -> Result<(), u16> {
        self.channels.retain(|(.., until)| *until > now);
        // One number has one peer, and one peer one number (RFC 8656 12.2).
        let other = |(id, to, _): &(u16, SocketAddr, Instant)| (*id == number) != (*to == peer);
        if self.channels.iter().any(other) {
            return Err(ErrorCode::BAD_REQUEST);
        }
        self.channels.retain(|(id, ..)| *id != number);
        if self.channels.len() >= MAX_TURN_CHANNELS {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        self.channels.push((number, peer, now + CHANNEL_LIFETIME));
        Ok(())
    }
}

struct Denied {
    code: u16,
    key: Option<IntegrityKey>,
}

fn relay(rules: &Rules, peer: SocketAddr, data: &[u8]) -> Option<Act> {
    rules.peers.contains(&peer).then(|| Act::Relay {
        peer,
        data: data.to_vec(),
    })
}

fn lifetime_asked(message: &Message<'_>) -> Option<Duration> {
    let asked = message.attribute::<Lifetime>().ok()?;
    Some(Duration::from_secs(asked.seconds().into()))
}

fn lifetime(message: &Message<'_>) -> Duration {
    let asked = lifetime_asked(message).unwrap_or(DEFAULT_LIFETIME);
    asked.clamp(DEFAULT_LIFETIME, MAX_LIFETIME)
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

fn refusal(
    request: &Message<'_>,
    code: u16,
    key: Option<&IntegrityKey>,
    nonce: Option<&str>,
) -> Option<Act> {
    let mut answer = Message::builder_error(request, MessageWriteVec::new());
    let error = ErrorCode::builder(code).build().ok()?;
    answer.add_attribute(&error).ok()?;
    if let Some(nonce) = nonce {
        answer.add_attribute(&Realm::new(REALM).ok()?).ok()?;
        answer.add_attribute(&Nonce::new(nonce).ok()?).ok()?;
        answer
            .add_attribute(&Software::new("antiphon").ok()?)
            .ok()?;
    }
    match key {
        Some(key) => signed(answer, key),
        None => {
            answer.add_fingerprint().ok()?;
            Some(Act::Reply(answer.finish()))
        }
    }
}

fn signed(mut answer: MessageWriteVec, key: &IntegrityKey) -> Option<Act> {
    answer
        .add_message_integrity_with_key(key, IntegrityAlgorithm::Sha1)
        .ok()?;
    answer.add_fingerprint().ok()?;
    Some(Act::Reply(answer.finish()))
}

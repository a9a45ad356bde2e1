//! The machine of one client, talked to in the messages that clients send.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use antiphon_protocol::Keys;
use proptest::prelude::*;
use turn_types::attribute::{
    ChannelNumber, Data, Lifetime, RequestedTransport, XorPeerAddress, XorRelayedAddress,
};
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH, SEND};
use turn_types::stun::attribute::{AttributeWrite, ErrorCode, Nonce, Realm, Username};
use turn_types::stun::message::{
    BINDING, IntegrityAlgorithm, IntegrityKey, Message, MessageWriteVec, Method,
};
use turn_types::stun::prelude::*;

use super::access::{Nonces, REALM, User};
use super::session::{Act, Now, Rules, Session};
use crate::keys::KeyRing;

const START: Duration = Duration::from_secs(1_000_000);

/// A client that knows its password, and the server's machine.
struct Stage {
    rules: Rules,
    session: Session,
    user: User,
    key: IntegrityKey,
    nonce: String,
    begun: Instant,
    passed: Duration,
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn stage() -> Stage {
    let keys = Arc::new(KeyRing::new(Keys::single("devkey", "secret")));
    let user = User::new("devkey", "PA_ann", START + Duration::from_secs(300));
    let key = user.integrity(&keys).unwrap();
    Stage {
        rules: Rules {
            keys,
            nonces: Nonces::new(&[1; 32]),
            peers: vec![address("203.0.113.1:7882"), address("203.0.113.1:7883")],
        },
        session: Session::new(address("198.51.100.7:5000"), false),
        user,
        key,
        nonce: "none".to_owned(),
        begun: Instant::now(),
        passed: Duration::ZERO,
    }
}

impl Stage {
    fn now(&self) -> Now {
        Now {
            instant: self.begun + self.passed,
            unix: START + self.passed,
        }
    }

    fn request(&self, method: Method, attributes: &[&dyn AttributeWrite]) -> Vec<u8> {
        let mut message = Message::builder_request(method, MessageWriteVec::new());
        self.sign(&mut message, attributes);
        message.finish()
    }

    fn sign(&self, message: &mut MessageWriteVec, attributes: &[&dyn AttributeWrite]) {
        for attribute in attributes {
            message.add_attribute(*attribute).unwrap();
        }
        message
            .add_attribute(&Username::new(&self.user.name).unwrap())
            .unwrap();
        message.add_attribute(&Realm::new(REALM).unwrap()).unwrap();
        message
            .add_attribute(&Nonce::new(&self.nonce).unwrap())
            .unwrap();
        message
            .add_message_integrity_with_key(&self.key, IntegrityAlgorithm::Sha1)
            .unwrap();
    }

    fn about_peer(&self, method: Method, peer: &str, channel: Option<u16>) -> Vec<u8> {
        let mut message = Message::builder_request(method, MessageWriteVec::new());
        let peer = XorPeerAddress::new(address(peer), message.transaction_id());
        let number = channel.map(ChannelNumber::new);
        let mut attributes: Vec<&dyn AttributeWrite> = vec![&peer];
        attributes.extend(number.as_ref().map(|number| number as &dyn AttributeWrite));
        self.sign(&mut message, &attributes);
        message.finish()
    }

    fn handle(&mut self, message: &[u8]) -> Option<Act> {
        self.session.handle(&self.rules, self.now(), message)
    }

    /// The error's code; 0: it was granted.
    fn code(&mut self, message: &[u8]) -> u16 {
        let Some(Act::Reply(reply)) = self.handle(message) else {
            panic!("no reply");
        };
        self.read_code(&reply)
    }

    fn read_code(&mut self, reply: &[u8]) -> u16 {
        let reply = Message::from_bytes(reply).unwrap();
        if let Ok(nonce) = reply.attribute::<Nonce>() {
            self.nonce = nonce.nonce().to_owned();
        }
        reply
            .attribute::<ErrorCode>()
            .map_or(0, |error| error.code())
    }

    /// As browsers do: without a password first, then with it.
    fn allocate(&mut self) -> Vec<u8> {
        let mut first = Message::builder_request(ALLOCATE, MessageWriteVec::new());
        first.add_attribute(&RequestedTransport::new(17)).unwrap();
        assert_eq!(self.code(&first.finish()), 401);
        let request = self.request(ALLOCATE, &[&RequestedTransport::new(17)]);
        assert!(
            matches!(self.handle(&request), Some(Act::Allocate { ipv6: false, participant }) if participant == "PA_ann")
        );
        let granted = self
            .session
            .allocated(self.now(), Some(address("203.0.113.1:40000")));
        let Some(Act::Reply(reply)) = granted else {
            panic!("{granted:?}")
        };
        let message = Message::from_bytes(&reply).unwrap();
        let relayed = message.attribute::<XorRelayedAddress>().unwrap();
        assert_eq!(
            relayed.addr(message.transaction_id()),
            address("203.0.113.1:40000")
        );
        message.validate_integrity_with_key(&self.key).unwrap();
        request
    }

    fn send(&mut self, peer: &str, data: &[u8]) -> Option<Act> {
        let mut message = Message::builder_indication(SEND, MessageWriteVec::new());
        let peer = XorPeerAddress::new(address(peer), message.transaction_id());
        message.add_attribute(&peer).unwrap();
        message.add_attribute(&Data::new(data)).unwrap();
        self.handle(&message.finish())
    }
}

#[test]
fn sound_is_relayed_to_our_media_and_back_by_permission_and_by_channel() {
    let mut stage = stage();
    stage.allocate();
    let media = "203.0.113.1:7882";
    assert_eq!(stage.send(media, b"early"), None, "without permission");
    let permission = stage.about_peer(CREATE_PERMISSION, media, None);
    assert_eq!(stage.code(&permission), 0);
    let relayed = |data: &[u8]| {
        Some(Act::Relay {
            peer: address(media),
            data: data.to_vec(),
        })
    };
    assert_eq!(stage.send(media, b"sound"), relayed(b"sound"));
    let back = stage
        .session
        .indicate(stage.now(), address(media), b"answer")
        .unwrap();
    let back = Message::from_bytes(&back).unwrap();
    assert_eq!(back.attribute::<Data<'_>>().unwrap().data(), b"answer");
    let bind = stage.about_peer(CHANNEL_BIND, media, Some(0x4001));
    assert_eq!(stage.code(&bind), 0);
    assert_eq!(
        stage.handle(&[0x40, 1, 0, 3, b'a', b'b', b'c']),
        relayed(b"abc")
    );
    let back = stage
        .session
        .indicate(stage.now(), address(media), b"xyz")
        .unwrap();
    assert_eq!(back, [0x40, 1, 0, 3, b'x', b'y', b'z']);
    assert_eq!(
        stage.handle(&[0x40, 2, 0, 1, b'a']),
        None,
        "a channel that nobody bound"
    );
}

#[test]
fn the_relay_reaches_our_media_and_nobody_else() {
    let mut stage = stage();
    stage.allocate();
    for other in [
        "198.51.100.1:7882",
        "127.0.0.1:7880",
        "169.254.169.254:80",
        "10.0.0.1:22",
        "[::1]:7882",
    ] {
        let permission = stage.about_peer(CREATE_PERMISSION, other, None);
        assert_eq!(stage.code(&permission), 403, "{other}");
        let bind = stage.about_peer(CHANNEL_BIND, other, Some(0x4000));
        assert_eq!(stage.code(&bind), 403, "{other}");
        assert_eq!(stage.send(other, b"x"), None, "{other}");
    }
    // Nor another port of ours, which only this machine may reach.
    let permission = stage.about_peer(CREATE_PERMISSION, "203.0.113.1:7882", None);
    assert_eq!(stage.code(&permission), 0);
    assert_eq!(stage.send("203.0.113.1:7880", b"GET / HTTP/1.1"), None);
    assert!(
        stage.send("203.0.113.1:7883", b"x").is_some(),
        "the next shard"
    );
}

#[test]
fn without_the_right_password_nothing_is_allocated() {
    let mut stage = stage();
    let mut probe = Message::builder_request(ALLOCATE, MessageWriteVec::new());
    probe.add_attribute(&RequestedTransport::new(17)).unwrap();
    assert_eq!(stage.code(&probe.finish()), 401);
    let right = (stage.user.clone(), stage.key.clone());
    let other = User::new("devkey", "PA_eve", START + Duration::from_secs(300));
    stage.key = other.integrity(&stage.rules.keys).unwrap();
    let forged = stage.request(ALLOCATE, &[&RequestedTransport::new(17)]);
    assert_eq!(stage.code(&forged), 401);
    (stage.user, stage.key) = right;
    stage.passed = Duration::from_secs(301);
    let late = stage.request(ALLOCATE, &[&RequestedTransport::new(17)]);
    assert_eq!(stage.code(&late), 401, "its time is over");
    stage.passed = Duration::from_secs(4000);
    let stale = stage.request(ALLOCATE, &[&RequestedTransport::new(17)]);
    assert_eq!(stage.code(&stale), 438, "the nonce is old");
}

#[test]
fn a_key_that_was_taken_away_opens_no_relay() {
    let mut stage = stage();
    let mut probe = Message::builder_request(ALLOCATE, MessageWriteVec::new());
    probe.add_attribute(&RequestedTransport::new(17)).unwrap();
    assert_eq!(stage.code(&probe.finish()), 401);
    stage.rules.keys.replace(Keys::single("other", "secret"));
    let request = stage.request(ALLOCATE, &[&RequestedTransport::new(17)]);
    assert_eq!(stage.code(&request), 401);
}

#[test]
fn a_call_that_outlives_its_password_goes_on_and_ends_when_it_is_not_refreshed() {
    let mut stage = stage();
    stage.allocate();
    stage.passed = Duration::from_secs(500);
    let refresh = stage.request(REFRESH, &[&Lifetime::new(600)]);
    assert_eq!(stage.code(&refresh), 0);
    stage.passed = Duration::from_secs(1000);
    assert_eq!(stage.code(&stage.request(REFRESH, &[])), 0);
    stage.passed = Duration::from_secs(1601);
    assert_eq!(stage.handle(&[0x40, 0, 0, 0]), Some(Act::End));
}

#[test]
fn an_answer_that_was_lost_is_given_again_and_another_allocation_is_not() {
    let mut stage = stage();
    let request = stage.allocate();
    assert_eq!(stage.code(&request), 0);
    let another = stage.request(ALLOCATE, &[&RequestedTransport::new(17)]);
    assert_eq!(stage.code(&another), 437);
    let tcp = stage.request(REFRESH, &[&Lifetime::new(0)]);
    assert_eq!(stage.handle(&tcp), Some(Act::End));
    let tcp = stage.request(ALLOCATE, &[&RequestedTransport::new(6)]);
    assert_eq!(stage.code(&tcp), 442);
}

#[test]
fn when_no_address_is_left_the_client_is_told() {
    let mut stage = stage();
    let mut probe = Message::builder_request(ALLOCATE, MessageWriteVec::new());
    probe.add_attribute(&RequestedTransport::new(17)).unwrap();
    assert_eq!(stage.code(&probe.finish()), 401);
    let request = stage.request(ALLOCATE, &[&RequestedTransport::new(17)]);
    stage.handle(&request);
    let Some(Act::Reply(reply)) = stage.session.allocated(stage.now(), None) else {
        panic!("no reply");
    };
    assert_eq!(stage.read_code(&reply), 486);
}

#[test]
fn who_asks_where_it_is_seen_is_told() {
    let mut stage = stage();
    let message = Message::builder_request(BINDING, MessageWriteVec::new()).finish();
    assert_eq!(stage.code(&message), 0);
}

proptest! {
    #[test]
    fn rubbish_neither_ends_an_allocation_nor_gets_through(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..120, byte: u8) {
        let mut stage = stage();
        let mut request = stage.allocate();
        let act = stage.handle(&bytes);
        let through = matches!(act, Some(Act::Relay { .. } | Act::Allocate { .. }));
        prop_assert!(!through);
        if let Some(old) = request.get_mut(at) {
            *old ^= byte;
        }
        let _ = stage.handle(&request);
        prop_assert!(stage.session.deadline().is_some());
    }
}

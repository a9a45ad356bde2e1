//! What clients, workers and servers send.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use antiphon_protocol::prost::Message as _;
use antiphon_protocol::proto::WrappedJoinRequest;
use antiphon_protocol::{Keys, Verifier, join_request};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD as BASE64};

use crate::bytes::Bytes;

const SECRET: &str = "a secret that the fuzzer cannot guess";
/// 2030: the same tokens are valid whenever this runs.
const NOW: Duration = Duration::from_secs(1_893_456_000);

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| Verifier::new(Keys::single("devkey", SECRET)));
static KEY: LazyLock<hmac::Key> = LazyLock::new(|| hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()));

/// First byte even: any text, which must be refused. Odd: claims, signed, behind a header that may or may not be right.
pub fn token(data: &[u8]) {
    let mut data = Bytes(data);
    let kind = data.byte();
    let now = SystemTime::UNIX_EPOCH + NOW;
    if kind % 2 == 0 {
        let text = String::from_utf8_lossy(data.0);
        assert!(VERIFIER.verify_at(&text, now).is_err(), "an unsigned token was accepted");
        return;
    }
    let good = kind % 4 == 1;
    let header: &[u8] = if good { br#"{"alg":"HS256","typ":"JWT"}"# } else { data.piece() };
    let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(data.0));
    let signature = BASE64.encode(hmac::sign(&KEY, signed.as_bytes()));
    if let Ok(claims) = VERIFIER.verify_at(&format!("{signed}.{signature}"), now) {
        assert!(claims.exp.is_some(), "a token without an end was accepted");
        let _ = (claims.video_grants().permission(), claims.participant_identity(), claims.participant_kind());
        assert!(VERIFIER.verify_at(&format!("{signed}."), now).is_err(), "accepted without its signature");
    }
}

/// First byte: binary or text.
pub fn signal(data: &[u8]) {
    if let Some((first, data)) = data.split_first() {
        antiphon_server::fuzzing::signal_frame(first % 2 == 0, data);
        antiphon_client::fuzzing::server_message(data);
    }
}

/// First byte: binary or text.
pub fn worker(data: &[u8]) {
    if let Some((first, data)) = data.split_first() {
        antiphon_server::fuzzing::worker_frame(first % 2 == 0, data);
        antiphon_client::fuzzing::server_message(data);
    }
}

pub fn join_query(data: &[u8]) {
    antiphon_server::fuzzing::join_query(&String::from_utf8_lossy(data));
}

/// First byte even: what stands in the parameter. Odd: the wrapped bytes, plain, as gzip, or as something that nobody knows.
/// What can be read can be written and read again.
pub fn join_request(data: &[u8]) {
    let mut data = Bytes(data);
    let kind = data.byte();
    let parameter = if kind % 2 == 0 {
        String::from_utf8_lossy(data.0).into_owned()
    } else {
        let compression = i32::from(kind / 2 % 3);
        let wrapped = WrappedJoinRequest { compression, join_request: data.0.to_vec() };
        URL_SAFE.encode(wrapped.encode_to_vec())
    };
    if let Ok(request) = join_request::read(&parameter) {
        assert_eq!(join_request::read(&join_request::write(&request)).as_ref(), Ok(&request));
    }
}

pub fn sdp(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    antiphon_client::fuzzing::sdp(&text);
    antiphon_rtc::fuzzing::sdp(&text);
    antiphon_rtc::fuzzing::candidate(&text);
}

pub fn data_packet(data: &[u8]) {
    antiphon_server::fuzzing::data_track_frame(data);
    antiphon_client::fuzzing::data_packets(Bytes(data).pieces());
}

/// Messages to the relay, each as a datagram or as a piece of a stream.
pub fn turn(data: &[u8]) {
    let mut data = Bytes(data);
    let messages = std::iter::from_fn(|| (!data.is_empty()).then(|| (data.byte() % 2 == 0, data.piece())));
    antiphon_server::fuzzing::turn(messages);
}

//! Doors for the fuzzer (`make fuzz`) to the parsers of outside bytes; no interface of this crate. Always compiled, unlike
//! code behind a cfg, so that whoever changes a parser learns at once that the fuzzer uses it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use antiphon_protocol::prost;
use antiphon_protocol::proto::{SignalRequest, WorkerMessage};
use axum::extract::ws::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::room;
use crate::signal::asked::{Asked, attributes, client_info};
use crate::signal::codec::{Frame, decode};

/// A frame of a participant's socket. What can be read can be written and read again.
pub fn signal_frame(binary: bool, data: &[u8]) {
    frame::<SignalRequest>(binary, data);
}

/// A frame of a worker's socket.
pub fn worker_frame(binary: bool, data: &[u8]) {
    frame::<WorkerMessage>(binary, data);
}

fn frame<T: prost::Message + Default + Serialize + DeserializeOwned>(binary: bool, data: &[u8]) {
    let received = if binary {
        Message::Binary(data.to_vec().into())
    } else {
        Message::Text(String::from_utf8_lossy(data).into_owned().into())
    };
    if let Frame::Message(message, encoding) = decode::<T>(&received) {
        let again = decode::<T>(&encoding.encode(&message));
        assert!(
            matches!(again, Frame::Message(..)),
            "our own writing cannot be read"
        );
    }
}

/// A frame of a data track, as far as it is looked at.
pub fn data_track_frame(frame: &[u8]) {
    if let Some(handle) = room::handle_of(frame) {
        assert_eq!(
            room::with_handle(frame, handle),
            frame,
            "passed on as another"
        );
    }
}

/// The query of a join.
pub fn join_query(query: &str) {
    let query: HashMap<String, String> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let _ = client_info(&query, IpAddr::V4(Ipv4Addr::LOCALHOST));
    let _ = attributes(&query, true);
    let _ = Asked::read(&query, IpAddr::V4(Ipv4Addr::LOCALHOST), true);
}

/// Messages to the relay, one after another; those that claim it are signed as the participant's would be. Nothing reaches
/// anything but our media.
pub fn turn<'a>(messages: impl Iterator<Item = (bool, &'a [u8])>) {
    crate::turn::fuzz(messages);
}

//! Frames of signalling and worker sockets: binary is protobuf, text is protobuf's JSON. We answer as we were asked last.

use antiphon_protocol::prost;
use axum::extract::ws::Message as Ws;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How a client writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Protobuf,
    Json,
}

/// What arrived.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Frame<T> {
    Message(T, Encoding),
    /// Ping or pong: the library answers.
    Control,
    Close,
    Malformed,
}

impl Encoding {
    pub(crate) fn encode<T: prost::Message + Serialize>(self, message: &T) -> Ws {
        match self {
            Self::Protobuf => Ws::Binary(message.encode_to_vec().into()),
            Self::Json => Ws::Text(serde_json::to_string(message).unwrap_or_default().into()),
        }
    }
}

/// Read one frame.
pub(crate) fn decode<T: prost::Message + Default + DeserializeOwned>(frame: &Ws) -> Frame<T> {
    match frame {
        Ws::Binary(data) => T::decode(data.as_ref()).map_or(Frame::Malformed, |message| {
            Frame::Message(message, Encoding::Protobuf)
        }),
        // as tokens and requests are read: every message is compiled for one reader only
        Ws::Text(text) => serde_json::from_slice(text.as_bytes())
            .map_or(Frame::Malformed, |message| {
                Frame::Message(message, Encoding::Json)
            }),
        Ws::Ping(_) | Ws::Pong(_) => Frame::Control,
        Ws::Close(_) => Frame::Close,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use antiphon_protocol::proto::{SignalRequest, signal_request};
    use proptest::prelude::*;

    #[test]
    fn a_client_that_speaks_json_is_understood_and_answered_in_json() {
        let frame = Ws::Text(r#"{"pingReq":{"timestamp":"5","unknown":1}}"#.into());
        let Frame::Message(message, encoding) = decode::<SignalRequest>(&frame) else {
            panic!("not understood")
        };
        assert!(
            matches!(&message.message, Some(signal_request::Message::PingReq(ping)) if ping.timestamp == 5)
        );
        assert_eq!(encoding, Encoding::Json);
        assert!(matches!(encoding.encode(&message), Ws::Text(_)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(data in proptest::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,200}") {
            let _ = decode::<SignalRequest>(&Ws::Binary(data.into()));
            let _ = decode::<SignalRequest>(&Ws::Text(text.into()));
        }
    }
}

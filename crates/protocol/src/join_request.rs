//! The `join_request` parameter of `/rtc/v1`: base64url of a protobuf wrapper around a `JoinRequest`, compressed or not.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::Compression as Level;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use livekit_protocol::wrapped_join_request::Compression;
use livekit_protocol::{JoinRequest, WrappedJoinRequest};
use prost::Message as _;

/// The largest request, inflated; LiveKit's.
pub const MAX_JOIN_REQUEST_BYTES: usize = 1024 * 1024;

/// SDKs write the padding, and some leave it out.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a `join_request` cannot be read. The caller's mistake: HTTP status 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinRequestError {
    /// Not base64url.
    #[error("the join_request is not base64url")]
    Base64,
    /// No protobuf message of the kind that belongs here.
    #[error("the join_request is not a protobuf message of its kind")]
    Protobuf,
    /// A compression that nobody knows, or content that is not compressed so.
    #[error("the join_request cannot be decompressed; it may be plain or gzip")]
    Compression,
    /// Too long.
    #[error("the join_request is longer than {MAX_JOIN_REQUEST_BYTES} bytes: limit exceeded")]
    TooLong,
}

/// Read the parameter.
pub fn read(parameter: &str) -> Result<JoinRequest, JoinRequestError> {
    let bytes = BASE64URL
        .decode(parameter)
        .map_err(|_| JoinRequestError::Base64)?;
    let wrapped = WrappedJoinRequest::decode(&*bytes).map_err(|_| JoinRequestError::Protobuf)?;
    let plain = match Compression::try_from(wrapped.compression) {
        Ok(Compression::None) => wrapped.join_request,
        Ok(Compression::Gzip) => inflate(&wrapped.join_request)?,
        Err(_) => return Err(JoinRequestError::Compression),
    };
    if plain.len() > MAX_JOIN_REQUEST_BYTES {
        return Err(JoinRequestError::TooLong);
    }
    JoinRequest::decode(&*plain).map_err(|_| JoinRequestError::Protobuf)
}

fn inflate(gzip: &[u8]) -> Result<Vec<u8>, JoinRequestError> {
    let mut plain = Vec::new();
    // One byte more than is allowed, so that too much is seen.
    let mut reader = GzDecoder::new(gzip).take(MAX_JOIN_REQUEST_BYTES as u64 + 1);
    match reader.read_to_end(&mut plain) {
        Ok(_) => Ok(plain),
        Err(_) => Err(JoinRequestError::Compression),
    }
}

/// Write the parameter, compressed if that makes it shorter.
pub fn write(request: &JoinRequest) -> String {
    let plain = request.encode_to_vec();
    let (compression, join_request) = match deflate(&plain) {
        Some(gzip) if gzip.len() < plain.len() => (Compression::Gzip, gzip),
        Some(_) | None => (Compression::None, plain),
    };
    let wrapped = WrappedJoinRequest {
        compression: compression as i32,
        join_request,
    };
    BASE64URL.encode(wrapped.encode_to_vec())
}

fn deflate(plain: &[u8]) -> Option<Vec<u8>> {
    let mut writer = GzEncoder::new(Vec::new(), Level::default());
    writer.write_all(plain).ok()?;
    writer.finish().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use livekit_protocol::SessionDescription;
    use proptest::prelude::*;

    fn request(sdp: &str) -> JoinRequest {
        JoinRequest {
            publisher_offer: Some(SessionDescription {
                sdp: sdp.to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn wrapped(compression: i32, join_request: Vec<u8>) -> String {
        let wrapped = WrappedJoinRequest {
            compression,
            join_request,
        };
        BASE64URL.encode(wrapped.encode_to_vec())
    }

    #[test]
    fn what_is_written_is_read_compressed_or_not_padded_or_not() {
        for request in [request("v=0"), request(&"a=candidate\r\n".repeat(1_000))] {
            let written = write(&request);
            assert_eq!(read(&written).as_ref(), Ok(&request));
            assert_eq!(read(written.trim_end_matches('=')).as_ref(), Ok(&request));
            assert!(written.len() < 5_000);
        }
    }

    #[test]
    fn a_request_that_inflates_to_more_than_the_limit_is_refused() {
        let bomb = deflate(&vec![0; 50 * MAX_JOIN_REQUEST_BYTES]).unwrap();
        assert_eq!(read(&wrapped(1, bomb)), Err(JoinRequestError::TooLong));
    }

    #[test]
    fn rubbish_is_refused_with_what_is_wrong() {
        let plain = request("v=0").encode_to_vec();
        assert_eq!(read("???"), Err(JoinRequestError::Base64));
        assert_eq!(read("_____w=="), Err(JoinRequestError::Protobuf));
        assert_eq!(
            read(&wrapped(7, plain.clone())),
            Err(JoinRequestError::Compression)
        );
        assert_eq!(read(&wrapped(1, plain)), Err(JoinRequestError::Compression));
        assert_eq!(
            read(&wrapped(0, vec![0xff; 9])),
            Err(JoinRequestError::Protobuf)
        );
    }

    proptest! {
        #[test]
        fn no_parameter_breaks_the_reader(text in "[-_A-Za-z0-9=]{0,200}", bytes in any::<Vec<u8>>(), compression in -1..3) {
            let _ = read(&text);
            let _ = read(&wrapped(compression, bytes));
        }
    }
}

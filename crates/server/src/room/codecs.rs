//! The codecs under LiveKit's names: one table for what clients are told and what is recognised in what they say.

use antiphon_protocol::proto;

/// Name, and whether clients are told that they may publish it. PCM is forwarded for who offers nothing else.
const CODECS: [(&str, bool); 8] = [
    ("video/VP8", true),
    ("video/H264", true),
    ("video/VP9", true),
    ("video/AV1", true),
    ("audio/opus", true),
    ("audio/red", true),
    ("audio/PCMU", false),
    ("audio/PCMA", false),
];

/// What clients are told.
pub(super) fn enabled_codecs() -> Vec<proto::Codec> {
    let told = CODECS.iter().filter(|(_, is_told)| *is_told);
    told.map(|(mime, _)| proto::Codec {
        mime: (*mime).to_owned(),
        fmtp_line: String::new(),
    })
    .collect()
}

/// LiveKit's name of a codec, from its name in a description (`vp8`) or a request (`vp8`, `video/VP8`).
pub(super) fn mime_of(codec: &str) -> Option<&'static str> {
    let name = codec.rsplit('/').next().unwrap_or_default();
    CODECS.iter().map(|(mime, _)| *mime).find(|mime| {
        mime.split_once('/')
            .is_some_and(|(_, known)| known.eq_ignore_ascii_case(name))
    })
}

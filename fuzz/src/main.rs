//! One program for all targets: `ANTIPHON_FUZZ=<target>` chooses; the arguments are libFuzzer's. One, because linking it
//! takes longer than compiling a target.

#![no_main]

mod bytes;
mod dialogue;
mod media;
mod models;
mod protocol;
mod providers;
mod texts;

use std::sync::LazyLock;

type Target = fn(&[u8]);

/// Every parser of bytes from outside. scripts/fuzz.sh reads the names from here.
#[rustfmt::skip]
const TARGETS: &[(&str, Target)] = &[
    // protocol.rs
    ("token", protocol::token),
    ("signal", protocol::signal),
    ("worker", protocol::worker),
    ("join_query", protocol::join_query),
    ("join_request", protocol::join_request),
    ("sdp", protocol::sdp),
    ("data_packet", protocol::data_packet),
    ("turn", protocol::turn),
    // media.rs
    ("datagram", media::datagram),
    ("frames", media::frames),
    ("red", media::red),
    ("video", media::video),
    ("opus", media::opus),
    ("jitter", media::jitter),
    ("wav", media::wav),
    // providers.rs
    ("chat", providers::chat),
    ("spoken", providers::spoken),
    ("speech", providers::speech),
    ("deepgram", providers::deepgram),
    ("arguments", providers::arguments),
    // models.rs
    ("onnx", models::onnx),
    ("ort", models::ort),
    // texts.rs
    ("config", texts::config),
    ("livekit_yaml", texts::livekit_yaml),
    ("scenario", texts::scenario),
    ("recording", texts::recording),
    ("docstore", texts::docstore),
    ("documents", texts::documents),
    ("files", texts::files),
    ("word", texts::word),
    ("vector_store", texts::vector_store),
    // dialogue.rs
    ("dialogue", dialogue::interleave),
];

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("ANTIPHON_FUZZ").unwrap_or_default();
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("set ANTIPHON_FUZZ to one of: {:?}", TARGETS.iter().map(|t| t.0).collect::<Vec<_>>())).1
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| (*TARGET)(data));

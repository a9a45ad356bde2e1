//! LiveKit's identifiers: a prefix and twelve characters of an alphabet without look-alikes (base57).
//!
//! Client SDKs check the prefixes, the Rust one with a panic on a wrong one, so nothing else may be invented here.

use rand::Rng;

use crate::proto::{TrackSource, TrackType};

/// Digits and letters without `0`, `1`, `I`, `O` and `l`.
const ALPHABET: &[u8; 57] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// 57^12 is about 10^21: a collision among a billion identifiers has a chance of one in two thousand.
pub const RANDOM_CHARS: usize = 12;

/// Prefix of a room's identifier.
pub const ROOM: &str = "RM_";
/// Prefix of a participant's identifier.
pub const PARTICIPANT: &str = "PA_";
/// Prefix of a track's identifier.
pub const TRACK: &str = "TR_";
/// Prefix of a server node's identifier.
pub const NODE: &str = "ND_";
/// A data track.
pub const DATA_TRACK: &str = "DTR_";
/// Prefix of an agent worker's identifier.
pub const WORKER: &str = "AW_";
/// Prefix of an agent job's identifier.
pub const JOB: &str = "AJ_";
/// Prefix of an agent dispatch's identifier.
pub const DISPATCH: &str = "AD_";
/// Prefix of a webhook event's identifier.
pub const EVENT: &str = "EV_";
/// Prefix of an API key.
pub const API_KEY: &str = "API";

/// A new identifier with that prefix.
#[must_use]
pub fn new(prefix: &str) -> String {
    drawn(prefix, &mut rand::rng())
}

/// A new identifier with that prefix, from this source of randomness.
#[must_use]
pub fn drawn(prefix: &str, rng: &mut impl Rng) -> String {
    let mut id = String::with_capacity(prefix.len() + RANDOM_CHARS);
    id.push_str(prefix);
    push_random(&mut id, rng);
    id
}

/// A new room identifier, `RM_…`.
#[must_use]
pub fn room() -> String {
    new(ROOM)
}

/// A new participant identifier, `PA_…`.
#[must_use]
pub fn participant() -> String {
    new(PARTICIPANT)
}

/// A new track identifier, `TR_AM…`: the third letter tells audio from video, the fourth the source.
#[must_use]
pub fn track(kind: TrackType, source: TrackSource) -> String {
    let kind = match kind {
        TrackType::Audio => 'A',
        TrackType::Video => 'V',
        TrackType::Data => 'D',
    };
    let source = match source {
        TrackSource::Camera => 'C',
        TrackSource::Microphone => 'M',
        TrackSource::ScreenShare => 'S',
        TrackSource::ScreenShareAudio => 's',
        TrackSource::Unknown => 'U',
    };
    let mut id = String::from(TRACK);
    id.push(kind);
    id.push(source);
    push_random(&mut id, &mut rand::rng());
    id
}

fn push_random(id: &mut String, rng: &mut impl Rng) {
    for _ in 0..RANDOM_CHARS {
        let at = rng.random_range(0..ALPHABET.len());
        id.push(char::from(ALPHABET.get(at).copied().unwrap_or(b'2')));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_prefix_and_twelve_unambiguous_characters() {
        for prefix in [ROOM, PARTICIPANT, NODE, WORKER, JOB, DISPATCH, EVENT] {
            let id = new(prefix);
            let rest = id.strip_prefix(prefix).unwrap_or_default();
            assert_eq!(rest.len(), RANDOM_CHARS, "{id}");
            assert!(rest.bytes().all(|b| ALPHABET.contains(&b)), "{id}");
        }
    }

    #[test]
    fn a_microphone_track_says_so_in_its_identifier() {
        assert!(track(TrackType::Audio, TrackSource::Microphone).starts_with("TR_AM"));
        assert!(track(TrackType::Video, TrackSource::ScreenShare).starts_with("TR_VS"));
    }

    #[test]
    fn identifiers_differ() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| participant()).collect();
        assert_eq!(ids.len(), 1000);
    }
}

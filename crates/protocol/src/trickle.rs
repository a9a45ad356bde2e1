//! ICE candidates as signalling carries them: `RTCIceCandidateInit` in JSON.

use livekit_protocol::TrickleRequest;
use serde::Deserialize;

#[derive(Deserialize)]
struct CandidateInit {
    candidate: String,
}

/// The candidate (`candidate:…`) of a trickle message. `None`: it cannot be read, or says that there are no more.
pub fn candidate(trickle: &TrickleRequest) -> Option<String> {
    let init: CandidateInit = serde_json::from_str(&trickle.candidate_init).ok()?;
    (!init.candidate.is_empty()).then_some(init.candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_is_read_and_the_end_of_candidates_is_none() {
        let of = |json: &str| {
            candidate(&TrickleRequest {
                candidate_init: json.to_owned(),
                ..Default::default()
            })
        };
        let full = r#"{"candidate":"candidate:1 1 udp 1 10.0.0.1 5 typ host","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":null}"#;
        assert_eq!(
            of(full).as_deref(),
            Some("candidate:1 1 udp 1 10.0.0.1 5 typ host")
        );
        for nothing in [
            r#"{"candidate":""}"#,
            r#"{"candidate":7}"#,
            "{}",
            "",
            "null",
        ] {
            assert_eq!(of(nothing), None, "{nothing}");
        }
    }
}

//! Which media section carries which track, read from a subscriber offer.

use std::collections::HashMap;

/// A section in which the server sends a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SentTrack {
    /// The section.
    pub(crate) mid: String,
    /// `TR_…`.
    pub(crate) track_sid: String,
    /// `PA_…`, when the section says so.
    pub(crate) participant_sid: Option<String>,
}

/// The sections of an offer in which the server sends; the server's own map wins over the msid in the text.
pub(crate) fn sent_tracks(sdp: &str, map: &HashMap<String, String>) -> Vec<SentTrack> {
    let mut tracks = Vec::new();
    let mut section = Section::default();
    for line in sdp.lines().chain(std::iter::once("m=")) {
        let line = line.trim_end();
        if line.starts_with("m=") {
            tracks.extend(std::mem::take(&mut section).sent(map));
            section.media = line.starts_with("m=audio") || line.starts_with("m=video");
        } else if let Some(mid) = line.strip_prefix("a=mid:") {
            section.mid = Some(mid.to_owned());
        } else if let Some(msid) = line.strip_prefix("a=msid:") {
            section.msid = Some(msid.to_owned());
        } else if line == "a=sendonly" || line == "a=sendrecv" {
            section.sends = true;
        } else if line == "a=inactive" || line == "a=recvonly" {
            section.sends = false;
        }
    }
    tracks
}

#[derive(Default)]
struct Section {
    media: bool,
    sends: bool,
    mid: Option<String>,
    msid: Option<String>,
}

impl Section {
    fn sent(self, map: &HashMap<String, String>) -> Option<SentTrack> {
        if !(self.media && self.sends) {
            return None;
        }
        let mid = self.mid?;
        let mut words = self.msid.as_deref().unwrap_or_default().split_whitespace();
        let (stream, track) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let (participant, inner) = stream.split_once('|').unwrap_or((stream, ""));
        let named = [inner, track]
            .into_iter()
            .find(|name| name.starts_with("TR_"))
            .map(str::to_owned);
        let track_sid = map.get(&mid).cloned().or(named)?;
        let participant_sid = participant
            .starts_with("PA_")
            .then(|| participant.to_owned());
        Some(SentTrack {
            mid,
            track_sid,
            participant_sid,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\na=group:BUNDLE 0 1 2\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\na=msid:PA_x|TR_y TR_y\r\na=sendonly\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:2\r\na=msid:PA_x|camera TR_z\r\na=inactive\r\n";

    #[test]
    fn a_sending_section_is_found_by_its_msid() {
        let expected = SentTrack {
            mid: "1".into(),
            track_sid: "TR_y".into(),
            participant_sid: Some("PA_x".into()),
        };
        assert_eq!(sent_tracks(OFFER, &HashMap::new()), [expected]);
    }

    #[test]
    fn the_servers_map_wins_over_the_msid() {
        let map = HashMap::from([("1".to_owned(), "TR_new".to_owned())]);
        let found: Vec<_> = sent_tracks(OFFER, &map)
            .into_iter()
            .map(|track| track.track_sid)
            .collect();
        assert_eq!(found, ["TR_new"]);
    }

    #[test]
    fn a_stream_named_by_sync_group_uses_the_track_id() {
        let offer = OFFER.replace("a=inactive", "a=sendonly");
        let found: Vec<_> = sent_tracks(&offer, &HashMap::new())
            .into_iter()
            .map(|track| track.track_sid)
            .collect();
        assert_eq!(found, ["TR_y", "TR_z"]);
    }
}

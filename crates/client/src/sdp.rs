//! Which media section carries which track, read from what the server offers or answers.

use std::collections::HashMap;

use antiphon_rtc::sdp;

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

/// The sections of a description in which the server sends; the server's own map wins over the msid in the text.
pub(crate) fn sent_tracks(text: &str, map: &HashMap<String, String>) -> Vec<SentTrack> {
    let sections = sdp::sections(text).into_iter();
    sections
        .filter(|section| section.sends && !section.mid.is_empty())
        .filter_map(|section| sent_track(section, map))
        .collect()
}

fn sent_track(section: sdp::Section, map: &HashMap<String, String>) -> Option<SentTrack> {
    let (participant, inner) = match section.stream.split_once('|') {
        Some((participant, inner)) => (participant, inner),
        None => (section.stream.as_str(), ""),
    };
    let named = [inner, &section.track]
        .into_iter()
        .find(|name| name.starts_with("TR_"))
        .map(str::to_owned);
    let track_sid = map.get(&section.mid).cloned().or(named)?;
    let participant_sid = participant
        .starts_with("PA_")
        .then(|| participant.to_owned());
    Some(SentTrack {
        mid: section.mid,
        track_sid,
        participant_sid,
    })
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

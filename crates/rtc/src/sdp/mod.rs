//! Session descriptions as text: the one place that reads and edits them. What a line means to a room is not known here.
//!
//! | module | what |
//! |---|---|
//! | this one | the sections of a description, read |
//! | `remote` | what the other side's description needs before str0m reads it |
//! | [`edit`] | what a description needs before the other side reads it |

pub mod edit;
pub(crate) mod remote;

use crate::MediaKind;

/// One section of a description, as the side that wrote it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its `a=mid`; empty if it has none.
    pub mid: String,
    /// Audio, video, or `None` for data channels and the rest.
    pub kind: Option<MediaKind>,
    /// The stream of its `a=msid`.
    pub stream: String,
    /// The track of its `a=msid`; of a client, the `cid` of an `AddTrackRequest`.
    pub track: String,
    /// Does that side send? Neither is true of a section that was rejected or holds no media.
    pub sends: bool,
    /// Does that side receive?
    pub receives: bool,
    /// The names of its codecs, in order of preference; no retransmission and error correction.
    pub codecs: Vec<String>,
    /// Audio: lost packets of Opus may be asked for again (`a=rtcp-fb` `nack`).
    pub nack: bool,
}

/// The sections of a description. Never fails: a text without sections has none.
pub fn sections(sdp: &str) -> Vec<Section> {
    split(sdp)
        .into_iter()
        .filter(|section| section.starts_with("m="))
        .map(parse_section)
        .collect()
}

fn parse_section(text: &str) -> Section {
    let mut lines = text.lines().map(str::trim_end);
    let media = lines.next().unwrap_or_default().trim_start_matches("m=");
    let mut words = media.split(' ');
    let kind = match words.next() {
        Some("audio") => Some(MediaKind::Audio),
        Some("video") => Some(MediaKind::Video),
        Some(_) | None => None,
    };
    let rejected = words.next() == Some("0") && !text.contains("a=bundle-only");
    let open = kind.is_some() && !rejected;
    let mut section = Section {
        mid: mid_of(text).unwrap_or_default().to_owned(),
        kind,
        stream: String::new(),
        track: String::new(),
        sends: open,
        receives: open,
        codecs: Vec::new(),
        nack: kind == Some(MediaKind::Audio)
            && text.lines().any(|line| is_nack_of_opus(text, line)),
    };
    let preferred: Vec<&str> = words.skip(1).collect();
    let mut named = vec![None; preferred.len()];
    for line in lines {
        if let Some(msid) = line.strip_prefix("a=msid:") {
            section.name(msid);
        } else if let Some((at, name)) = line
            .strip_prefix("a=rtpmap:")
            .and_then(|map| codec_of(map, &preferred))
        {
            if let Some(place) = named.get_mut(at) {
                *place = Some(name);
            }
        } else if let Some((sends, receives)) = direction_of(line) {
            section.sends = open && sends;
            section.receives = open && receives;
        } else if section.track.is_empty()
            && line.starts_with("a=ssrc:")
            && let Some((_, msid)) = line.split_once(" msid:")
        {
            section.name(msid);
        }
    }
    section.codecs = named.into_iter().flatten().collect();
    section
}

impl Section {
    fn name(&mut self, msid: &str) {
        let mut words = msid.split_whitespace();
        self.stream = words.next().unwrap_or_default().to_owned();
        self.track = words.next().unwrap_or_default().to_owned();
    }
}

/// Is this line of an audio section about asking for Opus packets again?
fn is_nack_of_opus(section: &str, line: &str) -> bool {
    let feedback = line.trim_end().strip_prefix("a=rtcp-fb:");
    let payload_type = feedback.and_then(|feedback| feedback.strip_suffix(" nack"));
    payload_type.is_some_and(|pt| pt == "*" || Some(pt) == opus_payload_type(section))
}

/// The payload type of Opus in a section's text.
fn opus_payload_type(section: &str) -> Option<&str> {
    section.lines().find_map(|line| {
        let (pt, codec) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        codec
            .to_ascii_lowercase()
            .starts_with("opus/")
            .then_some(pt)
    })
}

/// Whether a side sends and whether it receives, by a line of its own.
fn direction_of(line: &str) -> Option<(bool, bool)> {
    match line {
        "a=sendrecv" => Some((true, true)),
        "a=sendonly" => Some((true, false)),
        "a=recvonly" => Some((false, true)),
        "a=inactive" => Some((false, false)),
        _ => None,
    }
}

/// The first `a=mid` of a section's text.
fn mid_of(section: &str) -> Option<&str> {
    section
        .lines()
        .find_map(|line| line.strip_prefix("a=mid:"))
        .map(str::trim)
}

/// Of `111 opus/48000/2`: which of the payload types it is, and the codec's name.
fn codec_of(map: &str, payload_types: &[&str]) -> Option<(usize, String)> {
    let (payload_type, codec) = map.split_once(' ')?;
    let at = payload_types.iter().position(|pt| *pt == payload_type)?;
    let name = codec.split('/').next()?.to_ascii_lowercase();
    let helps = ["rtx", "ulpfec", "flexfec-03", "cn", "telephone-event"];
    (!helps.contains(&name.as_str())).then_some((at, name))
}

/// The session part and each media section, line ends kept.
fn split(sdp: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, _) in sdp.match_indices("\nm=") {
        if let Some(part) = sdp.get(start..=at) {
            parts.push(part);
        }
        start = at + 1;
    }
    if let Some(part) = sdp.get(start..) {
        parts.push(part);
    }
    parts
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    pub(crate) const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\na=mid:1\r\na=sendonly\r\na=msid:stream cid-1\r\na=rtpmap:111 opus/48000/2\r\n\
        a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtcp-fb:111 nack\r\na=ssrc:5 cname:x\r\na=ssrc:5 msid:stream cid-1\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:2\r\na=recvonly\r\n";

    #[test]
    fn a_section_tells_its_mid_its_track_and_who_sends() {
        let found = sections(OFFER);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].kind, None);
        assert_eq!(
            (
                found[1].mid.as_str(),
                found[1].stream.as_str(),
                found[1].track.as_str()
            ),
            ("1", "stream", "cid-1")
        );
        assert!(found[1].sends && !found[1].receives);
        assert!(!found[2].sends && found[2].receives);
        assert_eq!(found[1].codecs, ["opus"]);
        assert!(found[1].nack && !found[2].nack);
    }

    #[test]
    fn a_section_without_a_direction_goes_both_ways_and_a_rejected_one_nowhere() {
        let text = "m=audio 9 x 111\r\na=mid:1\r\nm=video 0 x 96\r\na=mid:2\r\na=sendrecv\r\n";
        let both: Vec<_> = sections(text)
            .iter()
            .map(|s| (s.sends, s.receives))
            .collect();
        assert_eq!(both, [(true, true), (false, false)]);
    }

    #[test]
    fn codecs_are_named_in_the_order_of_preference() {
        let section = "m=video 9 UDP/TLS/RTP/SAVPF 98 99 96\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:99 rtx/90000\r\na=rtpmap:98 H264/90000\r\n";
        assert_eq!(sections(section)[0].codecs, ["h264", "vp8"]);
    }
}

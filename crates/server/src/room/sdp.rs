//! The little that signalling must know of, and change in, session descriptions: who sends in which section, and the msid
//! by which clients find out whose track a section carries.

use std::collections::HashMap;

use antiphon_rtc::MediaKind;

/// One media section of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    /// Its `a=mid`.
    pub(crate) mid: String,
    /// Audio, video, or `None` for data channels.
    pub(crate) kind: Option<MediaKind>,
    /// The track of its `a=msid`: the `cid` of an `AddTrackRequest`.
    pub(crate) track: String,
    /// Does the side that wrote it send?
    pub(crate) sending: bool,
    /// The names of its codecs, in order of preference; no retransmission and error correction.
    pub(crate) codecs: Vec<String>,
}

/// The sections of a description. Never fails: a text without sections has none.
pub(crate) fn sections(sdp: &str) -> Vec<Section> {
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
        _ => None,
    };
    let rejected = words.next() == Some("0") && !text.contains("a=bundle-only");
    let mut section = Section {
        mid: String::new(),
        kind,
        track: String::new(),
        sending: kind.is_some() && !rejected,
        codecs: Vec::new(),
    };
    let preferred: Vec<&str> = words.skip(1).collect();
    let mut named = vec![None; preferred.len()];
    for line in lines {
        if let Some(mid) = line.strip_prefix("a=mid:") {
            mid.clone_into(&mut section.mid);
        } else if let Some(msid) = line.strip_prefix("a=msid:") {
            msid.split(' ')
                .nth(1)
                .unwrap_or_default()
                .clone_into(&mut section.track);
        } else if let Some((at, name)) = line
            .strip_prefix("a=rtpmap:")
            .and_then(|map| codec_of(map, &preferred))
        {
            if let Some(place) = named.get_mut(at) {
                *place = Some(name);
            }
        } else if line == "a=recvonly" || line == "a=inactive" {
            section.sending = false;
        } else if section.track.is_empty()
            && line.starts_with("a=ssrc:")
            && let Some((_, msid)) = line.split_once(" msid:")
        {
            msid.split(' ')
                .nth(1)
                .unwrap_or_default()
                .clone_into(&mut section.track);
        }
    }
    section.codecs = named.into_iter().flatten().collect();
    section
}

/// Of `111 opus/48000/2`: which of the payload types it is, and the codec's name.
fn codec_of(map: &str, payload_types: &[&str]) -> Option<(usize, String)> {
    let (payload_type, codec) = map.split_once(' ')?;
    let at = payload_types.iter().position(|pt| *pt == payload_type)?;
    let name = codec.split('/').next()?.to_ascii_lowercase();
    let helps = ["rtx", "ulpfec", "flexfec-03", "cn", "telephone-event"];
    (!helps.contains(&name.as_str())).then_some((at, name))
}

/// Put `(stream, track)` of each mid into its section's msid lines. A sending section that has no `a=msid` gets one.
pub(crate) fn rewrite_msids(sdp: &str, msids: &HashMap<String, (String, String)>) -> String {
    let mut out = String::with_capacity(sdp.len() + 64);
    for section in split(sdp) {
        let mid = section
            .lines()
            .find_map(|line| line.trim_end().strip_prefix("a=mid:"));
        match mid.and_then(|mid| msids.get(mid)) {
            Some((stream, track)) => rewrite_section(section, stream, track, &mut out),
            None => out.push_str(section),
        }
    }
    out
}

fn rewrite_section(section: &str, stream: &str, track: &str, out: &mut String) {
    let mut has_msid = section.lines().any(|line| line.starts_with("a=msid:"));
    for line in section.split_inclusive('\n') {
        if line.starts_with("a=msid:") {
            out.push_str(&format!("a=msid:{stream} {track}\r\n"));
        } else if line.starts_with("a=ssrc:")
            && let Some((ssrc, _)) = line.split_once(" msid:")
        {
            out.push_str(&format!("{ssrc} msid:{stream} {track}\r\n"));
        } else {
            out.push_str(line);
            if !has_msid && line.starts_with("a=mid:") {
                has_msid = true;
                out.push_str(&format!("a=msid:{stream} {track}\r\n"));
            }
        }
    }
}

/// Our answer to a publisher: ask for discontinuous transmission of Opus, and do not promise retransmission of audio,
/// which the media engine does not do (loss is covered by RED and in-band FEC).
pub(crate) fn polish_answer(sdp: &str) -> String {
    let mut out = String::with_capacity(sdp.len() + 64);
    for section in split(sdp) {
        if !section.starts_with("m=audio") {
            out.push_str(section);
            continue;
        }
        let opus = opus_payload_type(section);
        for line in section.split_inclusive('\n') {
            let text = line.trim_end();
            if text.starts_with("a=rtcp-fb:") && text.ends_with(" nack") {
                continue;
            }
            let is_opus_format = opus.is_some_and(|pt| text.starts_with(&format!("a=fmtp:{pt} ")));
            if is_opus_format && !text.contains("usedtx") {
                out.push_str(&format!("{text};usedtx=1\r\n"));
            } else {
                out.push_str(line);
            }
        }
    }
    out
}

fn opus_payload_type(section: &str) -> Option<&str> {
    section.lines().find_map(|line| {
        let (pt, codec) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        codec
            .to_ascii_lowercase()
            .starts_with("opus/")
            .then_some(pt)
    })
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
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\na=mid:1\r\na=sendonly\r\na=msid:stream cid-1\r\na=rtpmap:111 opus/48000/2\r\n\
        a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtcp-fb:111 nack\r\na=ssrc:5 cname:x\r\na=ssrc:5 msid:stream cid-1\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:2\r\na=recvonly\r\n";

    #[test]
    fn a_section_tells_its_mid_its_track_and_whether_it_sends() {
        let found = sections(OFFER);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].kind, None);
        assert_eq!(
            (
                found[1].mid.as_str(),
                found[1].track.as_str(),
                found[1].sending
            ),
            ("1", "cid-1", true)
        );
        assert!(!found[2].sending);
        assert_eq!(found[1].codecs, ["opus"]);
    }

    #[test]
    fn codecs_are_named_in_the_order_of_preference() {
        let section = "m=video 9 UDP/TLS/RTP/SAVPF 98 99 96\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:99 rtx/90000\r\na=rtpmap:98 H264/90000\r\n";
        assert_eq!(sections(section)[0].codecs, ["h264", "vp8"]);
    }

    #[test]
    fn only_the_named_section_gets_a_new_msid() {
        let msids = HashMap::from([("1".to_owned(), ("PA_x|TR_y".to_owned(), "TR_y".to_owned()))]);
        let out = rewrite_msids(OFFER, &msids);
        assert!(
            out.contains("a=msid:PA_x|TR_y TR_y\r\n")
                && out.contains("a=ssrc:5 msid:PA_x|TR_y TR_y\r\n"),
            "{out}"
        );
        assert!(!out.contains("cid-1"));
        assert_eq!(out.matches("a=msid").count(), 1);
    }

    #[test]
    fn a_section_gets_one_msid_even_if_its_mid_stands_twice_or_the_word_elsewhere() {
        let msids = HashMap::from([("1".to_owned(), ("PA_x|TR_y".to_owned(), "TR_y".to_owned()))]);
        let section = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\na=x-a=msid:\r\na=mid:1\r\n";
        let once = rewrite_msids(section, &msids);
        assert_eq!(once.matches("\na=msid:").count(), 1, "{once}");
        assert_eq!(rewrite_msids(&once, &msids), once);
    }

    #[test]
    fn the_answer_asks_for_dtx_and_promises_no_audio_retransmission() {
        let out = polish_answer(OFFER);
        assert!(
            out.contains("a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1\r\n"),
            "{out}"
        );
        assert!(!out.contains("nack"));
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_editor_and_nothing_else_is_changed(text in "(v=0|m=audio 9|m=video 0|a=mid:1|a=msid:a b|\r\n|\n|\\PC){0,40}") {
            let _ = sections(&text);
            let _ = polish_answer(&text);
            prop_assert_eq!(rewrite_msids(&text, &HashMap::new()), text);
        }
    }
}

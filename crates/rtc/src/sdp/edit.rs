//! What a description needs before the other side reads it.

use std::collections::HashMap;

use super::{direction_of, mid_of, split};

/// Put `(stream, track)` of each mid into its section's msid lines. A section that has no `a=msid` gets one.
pub fn rewrite_msids(sdp: &str, msids: &HashMap<String, (String, String)>) -> String {
    let mut out = String::with_capacity(sdp.len() + 64);
    for section in split(sdp) {
        match mid_of(section).and_then(|mid| msids.get(mid)) {
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

/// Of a client's offer, before it is answered: nothing shall flow in the held sections for now, whatever the offer says (a
/// later one may be let through), and where the client sends, nothing is sent to it.
pub fn restrict(sdp: &str, held: &[String]) -> String {
    let mut out = String::with_capacity(sdp.len() + 64);
    for section in split(sdp) {
        let is_held = mid_of(section).is_some_and(|mid| held.iter().any(|held| held == mid));
        for line in section.split_inclusive('\n') {
            match direction_of(line.trim_end()) {
                Some(_) if is_held => out.push_str("a=inactive\r\n"),
                Some((true, true)) => out.push_str("a=sendonly\r\n"),
                Some(_) | None => out.push_str(line),
            }
        }
    }
    out
}

/// An answer to somebody who sends: ask for discontinuous transmission of Opus, and do not promise retransmission of audio,
/// which this engine does not do (loss is covered by RED and in-band FEC).
pub fn polish_answer(sdp: &str) -> String {
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

/// Our answer as others can take it: a section without a codec in common is rejected (port 0, outside the bundle),
/// where str0m writes a line without formats that no client parses.
pub(crate) fn finish_answer(text: &str) -> String {
    let empty: Vec<&str> = split(text)
        .into_iter()
        .filter(|section| section.lines().next().and_then(without_formats).is_some())
        .filter_map(mid_of)
        .collect();
    if empty.is_empty() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        if let Some(mids) = line.strip_prefix("a=group:BUNDLE") {
            out.push_str("a=group:BUNDLE");
            for mid in mids.split_whitespace().filter(|mid| !empty.contains(mid)) {
                out.push(' ');
                out.push_str(mid);
            }
        } else if let Some(rejected) = without_formats(line) {
            out.push_str(&rejected);
        } else {
            out.push_str(line);
        }
        out.push_str("\r\n");
    }
    out
}

/// `m=audio 9 UDP/TLS/RTP/SAVPF` without formats, rewritten as rejected.
fn without_formats(line: &str) -> Option<String> {
    let media = line.strip_prefix("m=")?;
    let mut words = media.split_whitespace();
    let (kind, _port, protocol) = (words.next()?, words.next()?, words.next()?);
    (words.next().is_none() && kind != "application").then(|| format!("m={kind} 0 {protocol} 0"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::OFFER;
    use super::super::{Section, sections};
    use super::*;
    use proptest::prelude::*;

    fn of_one() -> HashMap<String, (String, String)> {
        HashMap::from([("1".to_owned(), ("PA_x|TR_y".to_owned(), "TR_y".to_owned()))])
    }

    #[test]
    fn only_the_named_section_gets_a_new_msid() {
        let out = rewrite_msids(OFFER, &of_one());
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
        let section = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\na=x-a=msid:\r\na=mid:1\r\n";
        let once = rewrite_msids(section, &of_one());
        assert_eq!(once.matches("\na=msid:").count(), 1, "{once}");
        assert_eq!(rewrite_msids(&once, &of_one()), once);
    }

    #[test]
    fn a_held_section_carries_nothing_and_who_sends_is_not_sent_to() {
        let offer = OFFER.replace("sendonly", "sendrecv");
        let out = restrict(&offer, &["2".to_owned()]);
        let flows = |s: &Section| (s.sends, s.receives);
        let before: Vec<_> = sections(&offer).iter().map(flows).collect();
        let after: Vec<_> = sections(&out).iter().map(flows).collect();
        assert_eq!(before, [(false, false), (true, true), (false, true)]);
        assert_eq!(after, [(false, false), (true, false), (false, false)]);
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

    #[test]
    fn a_section_without_common_codec_is_rejected_outside_the_bundle() {
        let text = "v=0\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\nm=video 9 UDP/TLS/RTP/SAVPF \r\na=mid:1\r\n";
        let out = finish_answer(text);
        assert!(out.contains("a=group:BUNDLE 0\r\n"), "{out}");
        assert!(out.contains("m=video 0 UDP/TLS/RTP/SAVPF 0\r\n"), "{out}");
        assert!(out.contains("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"), "{out}");
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_editor_and_nothing_else_is_changed(text in "(v=0|m=audio 9|m=video 0|a=mid:1|a=msid:a b|a=recvonly|\r\n|\n|\\PC){0,40}") {
            let _ = sections(&text);
            let _ = polish_answer(&text);
            prop_assert_eq!(&restrict(&text, &[]), &text);
            prop_assert_eq!(rewrite_msids(&text, &HashMap::new()), text);
        }
    }
}

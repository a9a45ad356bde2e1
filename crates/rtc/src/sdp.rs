//! What session descriptions need before str0m reads them and after it wrote them.

use str0m::Candidate;

use crate::limits::{
    MAX_REMOTE_CANDIDATES, MAX_SDP_BYTES, MAX_SDP_LINE_BYTES, MAX_SDP_SECTION_LINES, MAX_SECTIONS,
};
use crate::{MediaKind, RtcError};

/// A media section as named in a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SectionName {
    /// `a=mid`.
    pub(crate) mid: String,
    /// Audio or video.
    pub(crate) kind: MediaKind,
}

/// The other side's description as str0m can take it: CRLF line ends, only candidates that it understands.
pub(crate) fn normalise_remote(text: &str) -> Result<String, RtcError> {
    if text.len() > MAX_SDP_BYTES {
        return Err(RtcError::Sdp(format!(
            "it is longer than {MAX_SDP_BYTES} bytes"
        )));
    }
    if text.lines().filter(|line| line.starts_with("m=")).count() > MAX_SECTIONS {
        return Err(RtcError::Sdp(format!(
            "it has more than {MAX_SECTIONS} sections"
        )));
    }
    let mut out = String::with_capacity(text.len() + 64);
    let mut candidates = 0;
    let mut lines_of_section = 0;
    for line in text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
    {
        if line.len() > MAX_SDP_LINE_BYTES {
            return Err(RtcError::Sdp(format!(
                "a line is longer than {MAX_SDP_LINE_BYTES} bytes"
            )));
        }
        lines_of_section = if line.starts_with("m=") {
            0
        } else {
            lines_of_section + 1
        };
        if lines_of_section > MAX_SDP_SECTION_LINES {
            return Err(RtcError::Sdp(format!(
                "a section has more than {MAX_SDP_SECTION_LINES} lines"
            )));
        }
        if let Some(candidate) = line
            .strip_prefix("a=")
            .filter(|value| value.starts_with("candidate:"))
        {
            candidates += 1;
            if candidates > MAX_REMOTE_CANDIDATES || remote_candidate(candidate).is_none() {
                continue;
            }
        }
        out.push_str(line);
        out.push_str("\r\n");
    }
    Ok(out)
}

/// Read a candidate of the other side. `None`: mDNS names, RTCP components and transports that we cannot use.
pub(crate) fn remote_candidate(text: &str) -> Option<Candidate> {
    let text = text.trim();
    let text = text.strip_prefix("a=").unwrap_or(text);
    if text.is_empty() || text.contains(".local ") {
        return None;
    }
    Candidate::from_sdp_string(text).ok()
}

/// The audio and video sections, in order.
pub(crate) fn sections(text: &str) -> Vec<SectionName> {
    let mut found = Vec::new();
    let mut kind = None;
    for line in text.lines() {
        if let Some(media) = line.strip_prefix("m=") {
            kind = match media.split(' ').next() {
                Some("audio") => Some(MediaKind::Audio),
                Some("video") => Some(MediaKind::Video),
                Some(_) | None => None,
            };
        } else if let (Some(mid), Some(known)) = (line.strip_prefix("a=mid:"), kind) {
            found.push(SectionName {
                mid: mid.trim().to_owned(),
                kind: known,
            });
            kind = None;
        }
    }
    found
}

/// Our answer as others can take it: a section without a codec in common is rejected (port 0, outside the bundle),
/// where str0m writes a line without formats that no client parses.
pub(crate) fn finish_answer(text: &str) -> String {
    let empty: Vec<&str> = rejected_mids(text);
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

fn rejected_mids(text: &str) -> Vec<&str> {
    let mut empty = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("m=") {
            inside = without_formats(line).is_some();
        } else if let (true, Some(mid)) = (inside, line.strip_prefix("a=mid:")) {
            empty.push(mid.trim());
        }
    }
    empty
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_that_nobody_can_reach_are_left_out() {
        let text = "v=0\na=candidate:1 1 udp 1 abc-def.local 5000 typ host\na=candidate:1 1 udp 2130706431 10.0.0.1 5000 typ host\n";
        let out = normalise_remote(text).unwrap_or_default();
        assert!(!out.contains(".local"));
        assert!(out.contains("10.0.0.1"));
        assert!(out.ends_with("\r\n"));
    }

    #[test]
    fn a_huge_description_is_refused() {
        assert!(normalise_remote(&"a=x\r\n".repeat(300_000)).is_err());
        assert!(normalise_remote(&"m=audio 9 x 0\r\n".repeat(600)).is_err());
        assert!(normalise_remote(&format!("a=fmtp:96 {}\r\n", "x".repeat(70_000))).is_err());
        assert!(
            normalise_remote(&format!("m=video 9 x 0\r\n{}", "a=x\r\n".repeat(1_501))).is_err()
        );
    }

    #[test]
    fn a_section_without_common_codec_is_rejected_outside_the_bundle() {
        let text = "v=0\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\nm=video 9 UDP/TLS/RTP/SAVPF \r\na=mid:1\r\n";
        let out = finish_answer(text);
        assert!(out.contains("a=group:BUNDLE 0\r\n"), "{out}");
        assert!(out.contains("m=video 0 UDP/TLS/RTP/SAVPF 0\r\n"), "{out}");
        assert!(out.contains("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"), "{out}");
    }
}

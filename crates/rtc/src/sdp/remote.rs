//! The other side's description and candidates, before str0m reads them.

use str0m::Candidate;

use crate::RtcError;
use crate::limits::{
    MAX_REMOTE_CANDIDATES, MAX_SDP_BYTES, MAX_SDP_LINE_BYTES, MAX_SDP_SECTION_LINES, MAX_SECTIONS,
};

/// The other side's description as str0m can take it: CRLF line ends, only candidates that it understands.
pub(crate) fn normalise(text: &str) -> Result<String, RtcError> {
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
        if let Some(named) = line
            .strip_prefix("a=")
            .filter(|value| value.starts_with("candidate:"))
        {
            candidates += 1;
            if candidates > MAX_REMOTE_CANDIDATES || candidate(named).is_none() {
                continue;
            }
        }
        out.push_str(line);
        out.push_str("\r\n");
    }
    Ok(out)
}

/// Read a candidate of the other side. `None`: mDNS names, RTCP components and transports that we cannot use.
pub(crate) fn candidate(text: &str) -> Option<Candidate> {
    let text = text.trim();
    let text = text.strip_prefix("a=").unwrap_or(text);
    if text.is_empty() || text.contains(".local ") {
        return None;
    }
    Candidate::from_sdp_string(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_that_nobody_can_reach_are_left_out() {
        let text = "v=0\na=candidate:1 1 udp 1 abc-def.local 5000 typ host\na=candidate:1 1 udp 2130706431 10.0.0.1 5000 typ host\n";
        let out = normalise(text).unwrap_or_default();
        assert!(!out.contains(".local"));
        assert!(out.contains("10.0.0.1"));
        assert!(out.ends_with("\r\n"));
    }

    #[test]
    fn a_huge_description_is_refused() {
        assert!(normalise(&"a=x\r\n".repeat(300_000)).is_err());
        assert!(normalise(&"m=audio 9 x 0\r\n".repeat(600)).is_err());
        assert!(normalise(&format!("a=fmtp:96 {}\r\n", "x".repeat(70_000))).is_err());
        assert!(normalise(&format!("m=video 9 x 0\r\n{}", "a=x\r\n".repeat(1_501))).is_err());
    }
}

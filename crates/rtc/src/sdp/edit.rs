//! What a description needs before the other side reads it.

use std::collections::HashMap;

use super::{
    Section, direction_of, is_nack_of_opus, mid_of, opus_payload_type, parse_section, split,
};

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

/// Of a client's offer: as if these codecs (`video/H264`) were not in it, in all sections but those in which it only
/// receives.
pub fn without_codecs(sdp: &str, codecs: &[&str]) -> String {
    if codecs.is_empty() {
        return sdp.to_owned();
    }
    let mut out = String::with_capacity(sdp.len());
    for section in split(sdp) {
        let direction = section
            .lines()
            .find_map(|line| direction_of(line.trim_end()));
        if direction == Some((false, true)) {
            out.push_str(section);
        } else {
            section_without(section, codecs, &mut out);
        }
    }
    out
}

fn section_without(section: &str, codecs: &[&str], out: &mut String) {
    let kind = section.strip_prefix("m=").and_then(|m| m.split(' ').next());
    let attributes = |name: &'static str| {
        let lines = section.lines();
        lines.filter_map(move |line| line.trim_end().strip_prefix(name)?.split_once(' '))
    };
    let mut gone: Vec<&str> = attributes("a=rtpmap:")
        .filter(|(_, codec)| {
            let name = codec.split('/').next().unwrap_or_default();
            codecs.iter().any(|gone| {
                gone.split_once('/')
                    .is_some_and(|(of, gone)| Some(of) == kind && gone.eq_ignore_ascii_case(name))
            })
        })
        .map(|(pt, _)| pt)
        .collect();
    // What retransmits them.
    gone.extend(
        attributes("a=fmtp:")
            .filter_map(|(pt, format)| {
                let of = format.trim().strip_prefix("apt=")?;
                gone.contains(&of).then_some(pt)
            })
            .collect::<Vec<_>>(),
    );
    for line in section.split_inclusive('\n') {
        let text = line.trim_end();
        if text.starts_with("m=") {
            let words = text.split(' ').enumerate();
            let kept: Vec<&str> = words
                .filter(|(at, word)| *at < 3 || !gone.contains(word))
                .map(|(_, word)| word)
                .collect();
            out.push_str(&kept.join(" "));
            out.push_str(line.get(text.len()..).unwrap_or_default());
            continue;
        }
        let of = ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"]
            .iter()
            .find_map(|name| {
                let rest = text.strip_prefix(name)?;
                rest.split(' ').next()
            });
        if !of.is_some_and(|pt| gone.contains(&pt)) {
            out.push_str(line);
        }
    }
}

/// Of our offer: a section in which nothing is sent for now is one in which we would receive. Pion stops a section for good
/// that was offered inactive twice, and would not notice what is sent there later.
pub fn hold_open(sdp: &str) -> String {
    let lines = sdp.split_inclusive('\n');
    lines
        .map(|line| match line.trim_end() {
            "a=inactive" => "a=recvonly\r\n",
            _ => line,
        })
        .collect()
}

/// How a voice is to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Voice {
    /// Send on in silence; else only now and then (discontinuous transmission).
    pub no_dtx: bool,
    /// In two channels, and in a quality that music needs.
    pub stereo: bool,
    /// In RED, each packet with earlier ones.
    pub red: bool,
}

/// An answer to somebody who sends: ask for Opus as each track is meant to be sent (by mid; discontinuously and in one channel
/// unless it says otherwise).
pub fn polish_answer(sdp: &str, voices: &HashMap<String, Voice>) -> String {
    let mut out = String::with_capacity(sdp.len() + 64);
    for section in split(sdp) {
        if !section.starts_with("m=audio") {
            out.push_str(section);
            continue;
        }
        let voice = mid_of(section).and_then(|mid| voices.get(mid));
        let voice = voice.copied().unwrap_or_default();
        let mut wishes = Vec::new();
        if !voice.no_dtx {
            wishes.push("usedtx=1");
        }
        if voice.stereo {
            // LiveKit's; the most that Opus has.
            wishes.extend(["stereo=1", "maxaveragebitrate=510000"]);
        }
        let section = with_opus_formats(section, &wishes);
        match red_first(&section).filter(|_| voice.red) {
            Some(line) => {
                out.push_str(&line);
                let rest = section.find('\n').and_then(|end| section.get(end + 1..));
                out.push_str(rest.unwrap_or_default());
            }
            None => out.push_str(&section),
        }
    }
    out
}

/// The first line of a section, with RED before the codec inside: libwebrtc sends it only then. `None`: it has no RED.
fn red_first(section: &str) -> Option<String> {
    let (line, _) = section.split_once('\n')?;
    let red = section.lines().find_map(|line| {
        let (pt, codec) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        codec.to_ascii_lowercase().starts_with("red/").then_some(pt)
    })?;
    let words: Vec<&str> = line.trim_end().split(' ').collect();
    let (head, formats) = words.split_at_checked(3)?;
    let others = formats.iter().filter(|format| **format != red);
    let ordered: Vec<&str> = head
        .iter()
        .chain(std::iter::once(&red))
        .chain(others)
        .copied()
        .collect();
    formats
        .contains(&red)
        .then(|| format!("{}\r\n", ordered.join(" ")))
}

/// A description of ours in which lost voice packets may be asked for again only in these sections.
pub(crate) fn without_audio_nack(sdp: &str, may: impl Fn(&Section) -> bool) -> String {
    let is_held = |section: &str| section.starts_with("m=audio") && !may(&parse_section(section));
    without_lines(sdp, is_held, is_nack_of_opus)
}

/// A description in which the receiver of these pictures estimates by itself what its network carries, and tells it (REMB): it
/// does so only where no feedback for every packet is agreed upon (transport-wide congestion control).
pub(crate) fn without_packet_feedback(sdp: &str, of: impl Fn(&Section) -> bool) -> String {
    let is_it = |section: &str| section.starts_with("m=video") && of(&parse_section(section));
    without_lines(sdp, is_it, |_, line| {
        let line = line.trim_end();
        (line.starts_with("a=rtcp-fb:") && line.ends_with(" transport-cc"))
            || (line.starts_with("a=extmap:") && line.contains("transport-wide-cc-extensions"))
    })
}

/// A description without some lines of some sections.
fn without_lines(
    sdp: &str,
    of: impl Fn(&str) -> bool,
    is_gone: impl Fn(&str, &str) -> bool,
) -> String {
    let mut out = String::with_capacity(sdp.len());
    for section in split(sdp) {
        if !of(section) {
            out.push_str(section);
            continue;
        }
        let lines = section.split_inclusive('\n');
        lines
            .filter(|line| !is_gone(section, line))
            .for_each(|line| out.push_str(line));
    }
    out
}

/// Of what we send: these sections carry two channels, and a browser that is not told plays one of them.
pub fn announce_stereo(sdp: &str, mids: &[String]) -> String {
    let mut out = String::with_capacity(sdp.len() + 64);
    for section in split(sdp) {
        match mid_of(section) {
            Some(mid) if mids.iter().any(|stereo| stereo == mid) => {
                out.push_str(&with_opus_formats(section, &["sprop-stereo=1"]));
            }
            _ => out.push_str(section),
        }
    }
    out
}

/// A section with these added to the parameters of Opus, as far as they are not there.
fn with_opus_formats(section: &str, formats: &[&str]) -> String {
    let Some(opus) = opus_payload_type(section) else {
        return section.to_owned();
    };
    let start = format!("a=fmtp:{opus} ");
    let lines = section.split_inclusive('\n').map(|line| {
        let text = line.trim_end();
        let Some(there) = text.strip_prefix(&start) else {
            return line.to_owned();
        };
        let known: Vec<&str> = there.split(';').map(parameter_name).collect();
        let missing = formats
            .iter()
            .filter(|format| !known.contains(&parameter_name(format)));
        let missing: Vec<&str> = missing.copied().collect();
        if missing.is_empty() {
            line.to_owned()
        } else {
            format!("{text};{}\r\n", missing.join(";"))
        }
    });
    lines.collect()
}

fn parameter_name(format: &str) -> &str {
    format.split('=').next().unwrap_or_default().trim()
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
    fn a_section_without_use_is_never_offered_inactive() {
        let offer = OFFER.replace("sendonly", "inactive");
        let held = hold_open(&offer);
        assert!(!held.contains("inactive"));
        assert_eq!(
            held.replace("a=recvonly", "a=inactive"),
            offer.replace("a=recvonly", "a=inactive")
        );
        assert_eq!(hold_open(OFFER), OFFER);
    }

    #[test]
    fn a_codec_that_is_taken_out_leaves_nothing_behind_but_where_it_is_only_received() {
        let lines = "a=rtpmap:96 VP8/90000\r\na=rtpmap:102 H264/90000\r\na=rtcp-fb:102 nack\r\na=fmtp:102 packetization-mode=1\r\n\
            a=rtpmap:103 rtx/90000\r\na=fmtp:103 apt=102\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n";
        let section = |direction: &str| {
            format!(
                "m=video 9 UDP/TLS/RTP/SAVPF 102 103 96 97\r\na=mid:1\r\na={direction}\r\n{lines}"
            )
        };
        for direction in ["sendonly", "inactive", "sendrecv"] {
            let out = without_codecs(&section(direction), &["video/H264"]);
            assert!(
                out.starts_with("m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n"),
                "{out}"
            );
            assert!(!out.contains(":102") && !out.contains(":103"), "{out}");
            assert_eq!(sections(&out)[0].codecs, ["vp8"]);
        }
        let receives = section("recvonly");
        assert_eq!(without_codecs(&receives, &["video/H264"]), receives);
    }

    #[test]
    fn the_answer_asks_for_dtx() {
        let out = polish_answer(OFFER, &HashMap::new());
        assert!(
            out.contains("a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1\r\n"),
            "{out}"
        );
    }

    #[test]
    fn lost_voice_packets_may_be_asked_for_again_only_where_that_is_agreed() {
        assert_eq!(without_audio_nack(OFFER, |section| section.sends), OFFER);
        let out = without_audio_nack(OFFER, |section| !section.sends);
        assert_eq!(out, OFFER.replace("a=rtcp-fb:111 nack\r\n", ""));
        let picture = "m=video 9 x 96\r\na=mid:1\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n";
        assert_eq!(without_audio_nack(picture, |_| false), picture);
    }

    #[test]
    fn music_is_asked_for_in_two_channels_and_without_pauses_where_its_track_says_so() {
        let voice = |no_dtx, stereo| {
            let voice = Voice {
                no_dtx,
                stereo,
                red: false,
            };
            HashMap::from([("1".to_owned(), voice)])
        };
        let out = polish_answer(OFFER, &voice(true, true));
        let wanted = "a=fmtp:111 minptime=10;useinbandfec=1;stereo=1;maxaveragebitrate=510000\r\n";
        assert!(out.contains(wanted), "{out}");
        assert!(!polish_answer(OFFER, &voice(true, false)).contains("usedtx"));
        let sent = announce_stereo(OFFER, &["1".to_owned()]);
        assert!(sent.contains("useinbandfec=1;sprop-stereo=1\r\n"), "{sent}");
        assert_eq!(announce_stereo(&sent, &["1".to_owned()]), sent);
        assert_eq!(announce_stereo(OFFER, &["2".to_owned()]), OFFER);
    }

    #[test]
    fn a_voice_that_may_come_in_red_is_asked_for_in_red_first() {
        let answer = OFFER.replace(
            "a=rtpmap:111 opus/48000/2\r\n",
            "a=rtpmap:111 opus/48000/2\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n",
        );
        let asked = |sdp: &str, red| {
            let voice = Voice {
                no_dtx: true,
                stereo: false,
                red,
            };
            polish_answer(sdp, &HashMap::from([("1".to_owned(), voice)]))
        };
        assert_eq!(asked(&answer, false), answer);
        let first = answer.replace("SAVPF 111 63\r\na=mid:1", "SAVPF 63 111\r\na=mid:1");
        assert_ne!(first, answer);
        assert_eq!(asked(&answer, true), first);
        assert_eq!(asked(&first, true), first);
        assert_eq!(asked(OFFER, true), OFFER, "there is none");
    }

    #[test]
    fn a_picture_is_sent_without_feedback_for_every_packet_and_received_with_it() {
        let feedback = "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\na=rtcp-fb:96 transport-cc\r\n";
        let rest =
            "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=sendonly\r\na=rtcp-fb:96 goog-remb\r\n";
        let picture = format!("{rest}{feedback}");
        assert_eq!(
            without_packet_feedback(&picture, |section| section.sends),
            rest
        );
        assert_eq!(
            without_packet_feedback(&picture, |section| section.receives),
            picture
        );
        let voice = picture.replace("video", "audio");
        assert_eq!(without_packet_feedback(&voice, |_| true), voice);
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
            let _ = polish_answer(&text, &HashMap::new());
            prop_assert_eq!(&announce_stereo(&text, &[]), &text);
            let _ = without_codecs(&text, &["video/H264"]);
            prop_assert_eq!(&without_codecs(&text, &[]), &text);
            prop_assert_eq!(&restrict(&text, &[]), &text);
            prop_assert_eq!(rewrite_msids(&text, &HashMap::new()), text);
        }
    }
}

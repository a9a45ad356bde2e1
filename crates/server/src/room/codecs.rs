//! The codecs under LiveKit's names: one table for what clients are told and what is recognised in what they say.

use antiphon_protocol::proto;

/// Name, and whether clients are told that they may publish it. PCM is forwarded for who offers nothing else.
const CODECS: [(&str, bool); 8] = [
    ("video/VP8", true),
    ("video/H264", true),
    ("video/VP9", true),
    ("video/AV1", true),
    ("audio/opus", true),
    ("audio/red", true),
    ("audio/PCMU", false),
    ("audio/PCMA", false),
];

/// What clients are told, without those that this one must not use.
pub(super) fn enabled_codecs(but: &[&str]) -> Vec<proto::Codec> {
    let told = CODECS.iter().filter(|(_, is_told)| *is_told);
    let told = told
        .map(|(mime, _)| *mime)
        .filter(|mime| !but.contains(mime));
    told.map(codec).collect()
}

/// A codec by its name.
pub(super) fn codec(mime: &str) -> proto::Codec {
    proto::Codec {
        mime: mime.to_owned(),
        fmtp_line: String::new(),
    }
}

/// The name in descriptions of what is inside a track; RED is a wrapping of Opus that we take off where it is not wanted.
pub(super) fn codec_in_descriptions(mime: &str) -> Option<String> {
    let (_, codec) = mime_of(mime)?.split_once('/')?;
    Some(if codec == "red" { "opus" } else { codec }.to_ascii_lowercase())
}

/// The video codecs that this client must not publish, though it offers them: what its hardware sends in them cannot be
/// decoded by others. The list is livekit-server's.
pub(super) fn broken_encoders(client: &proto::ClientInfo) -> &'static [&'static str] {
    let is = |value: &str, name: &str| value.eq_ignore_ascii_case(name);
    let (browser, os) = (client.browser.as_str(), client.os.as_str());
    let firefox = is(browser, "firefox") || is(browser, "firefox mobile");
    if (is(&client.device_model, "xiaomi 2201117ti") && is(os, "android"))
        || (firefox && (is(os, "linux") || is(os, "android")))
    {
        &["video/H264"]
    } else if is(browser, "safari") && version(&client.browser_version) > [18, 3] {
        &["video/AV1", "video/VP9"]
    } else if is(browser, "safari") {
        &["video/AV1"]
    } else {
        &[]
    }
}

/// Can this client take voices in RED? Else it asks again for what it lost. The list is livekit-server's.
pub(super) fn takes_red(client: &proto::ClientInfo) -> bool {
    let is = |name: &str| client.browser.eq_ignore_ascii_case(name);
    !["firefox", "firefox mobile", "safari"].into_iter().any(is)
}

/// Major and minor number.
fn version(text: &str) -> [u32; 2] {
    let mut numbers = text.split('.').map(|n| n.parse().unwrap_or_default());
    [(); 2].map(|()| numbers.next().unwrap_or_default())
}

/// LiveKit's name of a codec, from its name in a description (`vp8`) or a request (`vp8`, `video/VP8`).
pub(super) fn mime_of(codec: &str) -> Option<&'static str> {
    let name = codec.rsplit('/').next().unwrap_or_default();
    CODECS.iter().map(|(mime, _)| *mime).find(|mime| {
        mime.split_once('/')
            .is_some_and(|(_, known)| known.eq_ignore_ascii_case(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(device: &str, os: &str, browser: &str, version: &str) -> proto::ClientInfo {
        proto::ClientInfo {
            device_model: device.to_owned(),
            os: os.to_owned(),
            browser: browser.to_owned(),
            browser_version: version.to_owned(),
            ..proto::ClientInfo::default()
        }
    }

    #[test]
    fn a_client_with_a_broken_encoder_is_not_asked_to_use_it() {
        let xiaomi = client("Xiaomi 2201117TI", "android", "", "");
        assert_eq!(broken_encoders(&xiaomi), ["video/H264"]);
        let firefox = |os| client("", os, "Firefox", "130.0");
        assert_eq!(broken_encoders(&firefox("Linux")), ["video/H264"]);
        assert!(broken_encoders(&firefox("macOS")).is_empty());
        let safari = |version| client("", "iOS", "Safari", version);
        assert_eq!(broken_encoders(&safari("18.3")), ["video/AV1"]);
        assert_eq!(
            broken_encoders(&safari("18.10")),
            ["video/AV1", "video/VP9"]
        );
        let told = enabled_codecs(&["video/H264"]);
        assert!(
            told.iter().any(|c| c.mime == "video/VP8")
                && told.iter().all(|c| c.mime != "video/H264")
        );
    }

    #[test]
    fn a_track_in_red_is_opus_inside() {
        assert_eq!(codec_in_descriptions("audio/red").as_deref(), Some("opus"));
        assert_eq!(codec_in_descriptions("video/h264").as_deref(), Some("h264"));
        assert_eq!(codec_in_descriptions("video/none"), None);
    }
}

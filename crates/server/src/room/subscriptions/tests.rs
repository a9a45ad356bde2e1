//! Both ways of agreeing on sections.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;

fn publisher() -> Arc<str> {
    Arc::from("PA_ann")
}

fn offer(sections: &[(&str, MediaKind, &str)]) -> Vec<sdp::Section> {
    let text: String = sections
        .iter()
        .map(|(mid, kind, direction)| {
            let kind = match kind {
                MediaKind::Audio => "audio",
                MediaKind::Video => "video",
            };
            format!("m={kind} 9 x 111\r\na=mid:{mid}\r\na={direction}\r\n")
        })
        .collect();
    sdp::sections(&text)
}

use MediaKind::{Audio, Video};

/// The offer is made and answered as planned.
fn offered(subscriptions: &mut Subscriptions, first_mid: usize) -> Plan {
    let plan = subscriptions.plan();
    for (at, wanted) in plan.added.iter().enumerate() {
        subscriptions.added(wanted, (first_mid + at).to_string());
    }
    plan
}

#[test]
fn the_first_offer_has_the_channels_and_a_section_for_each_track_voices_first() {
    let mut s = Subscriptions::default();
    s.want("TR_picture", &publisher(), Video);
    s.want("TR_voice", &publisher(), Audio);
    let plan = offered(&mut s, 1);
    assert_eq!(plan.changes.len(), 5);
    let added: Vec<&str> = plan.added.iter().map(|w| w.track.as_str()).collect();
    assert_eq!(added, ["TR_voice", "TR_picture"]);
    assert_eq!(s.msids()["1"].0, "PA_ann|TR_voice");
    assert!(s.plan().changes.is_empty(), "nothing more to offer");
}

#[test]
fn a_track_whose_codec_the_client_does_not_have_is_told_apart_from_the_others() {
    let mut s = Subscriptions::without_channels();
    for track in ["TR_one", "TR_two"] {
        s.want(track, &publisher(), Video);
    }
    offered(&mut s, 1);
    let answer = |codec: &str| {
        let section =
            |mid| format!("m=video 9 x 96\r\na=mid:{mid}\r\na=rtpmap:96 {codec}/90000\r\n");
        sdp::sections(&(section(1) + &section(2)))
    };
    let codec_of =
        |_: &str, track: &str| Some(if track == "TR_one" { "h264" } else { "vp8" }.to_owned());
    assert_eq!(s.not_understood(&answer("VP8"), codec_of), ["TR_one"]);
    assert_eq!(s.not_understood(&answer("H264"), codec_of), ["TR_two"]);
    assert!(s.not_understood(&[], codec_of).is_empty());
}

#[test]
fn a_section_that_became_free_is_used_again_only_after_the_client_has_seen_it_inactive() {
    let mut s = Subscriptions::without_channels();
    s.want("TR_one", &publisher(), Audio);
    offered(&mut s, 1);
    s.unwant(&["TR_one".to_owned()]);
    s.want("TR_two", &publisher(), Audio);
    let plan = offered(&mut s, 2);
    assert_eq!(plan.changes[0], set_sending("1", false));
    assert_eq!(plan.added.len(), 1);
    s.want("TR_three", &publisher(), Audio);
    assert_eq!(offered(&mut s, 3).changes, [set_sending("1", true)]);
    assert_eq!(s.mid_to_track()["1"], "TR_three");
}

#[test]
fn who_finds_no_section_is_told_once_and_a_voice_gets_what_a_picture_would_have() {
    let mut s = Subscriptions::without_channels();
    for number in 0..MAX_SUBSCRIPTIONS {
        s.want(&format!("TR_{number}"), &publisher(), Audio);
    }
    s.want("TR_picture", &publisher(), Video);
    assert_eq!(offered(&mut s, 0).newly_left_out, ["TR_picture"]);
    assert!(s.plan().newly_left_out.is_empty());
}

#[test]
fn what_is_paused_or_unwanted_stops_and_what_is_wanted_again_starts() {
    let mut s = Subscriptions::without_channels();
    let track = ["TR_one".to_owned()];
    s.want("TR_one", &publisher(), Audio);
    offered(&mut s, 1);
    assert_eq!(s.to_start().len(), 1);
    s.started("1", "7".to_owned());
    assert!(s.to_start().is_empty());
    assert_eq!(s.set_disabled(&track, true).len(), 1);
    assert!(s.to_start().is_empty() && s.flows().is_empty());
    s.set_disabled(&track, false);
    assert_eq!(s.to_start().len(), 1);
    s.started("1", "7".to_owned());
    s.set_highest_layer("TR_one", 0);
    assert_eq!(s.to_start()[0].1.highest_layer, 0);
    s.started("1", "7".to_owned());
    let (changed, stopped) = s.unwant(&track);
    assert!(changed && stopped[0].from == "7" && stopped[0].to == "1");
}

#[test]
fn tracks_go_into_sections_that_only_receive_and_the_rest_is_held() {
    let mut s = Subscriptions::default();
    s.want("TR_voice", &publisher(), Audio);
    let slots = s.take_slots(&offer(&[
        ("0", Audio, "sendonly"),
        ("1", Audio, "recvonly"),
        ("2", Audio, "recvonly"),
        ("3", Video, "recvonly"),
    ]));
    assert_eq!(
        s.mid_to_track(),
        HashMap::from([("1".into(), "TR_voice".into())])
    );
    assert_eq!(slots.held, ["2", "3"]);
    assert_eq!(s.requirement().0, None);
}

#[test]
fn the_client_is_asked_for_as_many_sections_as_are_missing() {
    let mut s = Subscriptions::default();
    for number in 0..4 {
        s.want(&format!("TR_{number}"), &publisher(), Audio);
    }
    s.want("TR_picture", &publisher(), Video);
    let mut sections = vec![("1", Audio, "recvonly")];
    s.take_slots(&offer(&sections));
    let needed = Requirement { audio: 3, video: 1 };
    assert_eq!(s.requirement().0, Some(needed));
    sections.extend(["2", "3", "4"].map(|mid| (mid, Audio, "recvonly")));
    sections.push(("5", Video, "recvonly"));
    s.take_slots(&offer(&sections));
    assert_eq!(s.requirement().0, None);
    assert_eq!(s.mid_to_track().len(), 5);
}

#[test]
fn a_track_that_goes_needs_an_offer_and_its_section_serves_another_one_offer_later() {
    let mut s = Subscriptions::default();
    let sections = [("1", Audio, "recvonly")];
    s.want("TR_one", &publisher(), Audio);
    s.take_slots(&offer(&sections));
    s.unwant(&["TR_one".to_owned()]);
    s.want("TR_two", &publisher(), Audio);
    let as_it_stands = Some(Requirement { audio: 0, video: 0 });
    assert_eq!(s.requirement().0, as_it_stands);
    let slots = s.take_slots(&offer(&sections));
    assert_eq!(
        (slots.held.as_slice(), s.mid_to_track().len()),
        (&["1".to_owned()][..], 0)
    );
    assert_eq!(s.requirement().0, as_it_stands);
    s.take_slots(&offer(&sections));
    assert_eq!(s.mid_to_track()["1"], "TR_two");
    assert_eq!(s.requirement().0, None);
}

#[test]
fn who_unsubscribes_and_subscribes_again_at_once_sees_the_track_go_and_come() {
    let mut s = Subscriptions::default();
    let sections = [("1", Audio, "recvonly")];
    s.want("TR_one", &publisher(), Audio);
    s.take_slots(&offer(&sections));
    s.unwant(&["TR_one".to_owned()]);
    s.want("TR_one", &publisher(), Audio);
    assert!(s.to_start().is_empty());
    s.take_slots(&offer(&sections));
    assert!(s.mid_to_track().is_empty(), "it has to be seen to go");
    assert!(s.requirement().0.is_some());
    s.take_slots(&offer(&sections));
    assert_eq!(s.mid_to_track()["1"], "TR_one");
    let mut s = Subscriptions::without_channels();
    s.want("TR_one", &publisher(), Audio);
    offered(&mut s, 1);
    s.unwant(&["TR_one".to_owned()]);
    s.want("TR_one", &publisher(), Audio);
    let plan = offered(&mut s, 2);
    assert_eq!(plan.changes[0], set_sending("1", false));
    assert_eq!(
        s.mid_to_track(),
        HashMap::from([("2".into(), "TR_one".into())])
    );
}

#[test]
fn a_section_that_the_client_takes_for_itself_is_left_and_another_is_asked_for() {
    let mut s = Subscriptions::default();
    s.want("TR_one", &publisher(), Audio);
    s.take_slots(&offer(&[("1", Audio, "recvonly")]));
    s.started("1", "7".to_owned());
    let slots = s.take_slots(&offer(&[("1", Audio, "sendrecv")]));
    assert_eq!(slots.stopped.len(), 1);
    assert_eq!(s.requirement().0, Some(Requirement { audio: 1, video: 0 }));
}

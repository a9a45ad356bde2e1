//! The mouth alone: no conversation, no model, no caller.

use super::*;
use crate::options::Options;

const TONGUE: fn() -> Tongue = || Tongue::of(Some("en"));

fn core() -> Core {
    Core::new(Options::default(), "Be brief.".into())
}

fn at(core: &mut Core, ms: u64) {
    core.now = Instant::from_millis(ms);
}

fn actions(core: &mut Core) -> Vec<Action> {
    let is_order = |action: &Action| !matches!(action, Action::Emit(_));
    core.actions.drain(..).filter(is_order).collect()
}

fn asked(core: &mut Core) -> Vec<String> {
    let text = |action| match action {
        Action::Synthesize { text, .. } => Some(text),
        _ => None,
    };
    actions(core).into_iter().filter_map(text).collect()
}

fn complete(seconds: u64) -> Tts {
    let duration = Duration::from_secs(seconds);
    Tts::Finished { duration }
}

#[test]
fn only_a_few_pieces_are_made_ahead() {
    let sentence =
        "This is a sentence that is long enough to be a piece of its own, for it goes on. ";
    let (mut core, mut mouth) = (core(), Mouth::of_text(&sentence.repeat(6)));
    mouth.go_on(&mut core, TONGUE(), true);
    assert_eq!(asked(&mut core).len(), MAX_SEGMENTS_AHEAD);
    mouth.on_tts(&mut core, SegmentId(1), complete(1));
    let played = Duration::from_secs(1);
    let id = SegmentId(1);
    mouth.on_playout(Playout::Finished { id, played }, core.now, false);
    mouth.go_on(&mut core, TONGUE(), true);
    assert_eq!(
        asked(&mut core).len(),
        1,
        "one was played, and one more is asked for"
    );
}

#[test]
fn what_was_stopped_was_heard_as_far_as_the_playout_says() {
    let (mut core, mut mouth) = (core(), Mouth::of_text("One two three four."));
    mouth.go_on(&mut core, TONGUE(), true);
    let id = SegmentId(1);
    mouth.on_tts(&mut core, id, Tts::FirstAudio);
    mouth.on_tts(&mut core, id, complete(4));
    assert_eq!(
        mouth.on_playout(Playout::Started { id }, core.now, false),
        Played::Begins
    );
    at(&mut core, 3500);
    mouth.stop(&mut core, false);
    assert!(mouth.in_playout(), "what was heard is not known yet");
    let played = Duration::from_millis(2200);
    mouth.on_playout(Playout::Cleared { id, played }, core.now, true);
    assert!(!mouth.in_playout());
    assert_eq!(mouth.heard(0).text, "One two");
}

#[test]
fn a_piece_without_a_sound_is_asked_for_once_more_and_then_left_out() {
    let (mut core, mut mouth) = (core(), Mouth::of_text("Hello."));
    mouth.go_on(&mut core, TONGUE(), true);
    let patience = core.options.tts_timeout;
    let mut orders = Vec::new();
    for _ in 0..2 {
        let due = mouth.deadline(&core, patience).unwrap();
        core.now = due;
        orders.push(mouth.overdue(&mut core, patience));
        mouth.go_on(&mut core, TONGUE(), true);
    }
    let lost = Overdue::Lost("Hello.".into(), "no audio came in time");
    assert_eq!(orders, [Overdue::Nothing, lost]);
    assert_eq!(
        core.now,
        Instant::ZERO + patience,
        "two tries have the time of one"
    );
    assert_eq!(asked(&mut core), ["Hello.", "Hello."]);
    assert!(mouth.is_torn() && mouth.is_silent());
    assert_eq!(mouth.not_heard().next(), Some((SegmentId(1), "Hello.")));
}

#[test]
fn a_filler_without_a_sound_goes_and_one_that_sounds_stays() {
    let (mut core, mut mouth) = (core(), Mouth::of_text("One moment. Please."));
    mouth.go_on(&mut core, TONGUE(), true);
    mouth.on_tts(&mut core, SegmentId(1), Tts::FirstAudio);
    actions(&mut core);
    assert!(mouth.has_silent());
    mouth.drop_silent(&mut core);
    let id = SegmentId(2);
    assert_eq!(actions(&mut core), [Action::CancelSynthesis { id }]);
    assert!(mouth.has_piece(SegmentId(1)) && !mouth.has_piece(id));
    assert!(!mouth.has_silent());
}

#[test]
fn words_that_were_taken_back_are_not_said_and_those_that_were_heard_stay() {
    let (mut core, mut mouth) = (core(), Mouth::default());
    mouth.say("First. ");
    mouth.complete();
    mouth.go_on(&mut core, TONGUE(), true);
    let id = SegmentId(1);
    mouth.on_playout(Playout::Started { id }, core.now, false);
    mouth.begin_step(&mut core);
    mouth.say("Second thoughts. And more");
    mouth.go_on(&mut core, TONGUE(), false);
    mouth.withdraw(&mut core, false);
    mouth.complete();
    assert!(mouth.has_pieces(0) && !mouth.has_pieces(1));
    assert!(mouth.has_said(1));
}

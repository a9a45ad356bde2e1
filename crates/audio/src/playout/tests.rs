#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

/// Samples that say which segment they are of and where in it (never zero).
fn sound(id: u32, from: usize, count: usize) -> Frame24k {
    Frame24k::new((from..from + count).map(|at| sample(id, at)).collect())
}

fn sample(id: u32, at: usize) -> i16 {
    i16::try_from(id as usize * 5000 + at % 4999 + 1).unwrap()
}

fn reports(playout: &mut Playout) -> Vec<Report> {
    std::iter::from_fn(|| playout.report()).collect()
}

fn with_segment(id: u32, samples: usize) -> Playout {
    let mut playout = Playout::new();
    playout.open(id);
    playout.append(id, &sound(id, 0, samples));
    playout
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn speech_waits_for_permission_and_then_leaves_in_frames_of_20_ms() {
    let mut playout = with_segment(1, FRAME + 10);
    assert_eq!(playout.next_frame(), None);
    playout.play(1);
    assert_eq!(playout.next_frame().unwrap(), sound(1, 0, FRAME));
    assert_eq!(
        playout.next_frame(),
        None,
        "half a frame in the middle of late speech waits"
    );
    playout.finish(1);
    let last = playout.next_frame().unwrap();
    assert_eq!(last.samples()[..10], *sound(1, FRAME, 10).samples());
    assert!(last.samples()[10..].iter().all(|sample| *sample == 0));
    assert_eq!(
        reports(&mut playout),
        [
            Report::Started(1),
            Report::Finished(1, Duration::from_micros(20_416))
        ]
    );
    assert!(!playout.is_active());
}

#[test]
fn a_segment_that_is_tried_again_keeps_its_place_and_nothing_of_the_first_try() {
    let mut playout = with_segment(1, FRAME);
    playout.finish(1);
    playout.play(1);
    playout.open(2);
    playout.append(2, &sound(3, 0, 100));
    playout.finish(2);
    playout.play(2);
    assert!(playout.next_frame().is_some());
    assert!(playout.open(2), "nothing of it was played");
    assert_eq!(playout.next_frame(), None);
    playout.append(2, &sound(2, 0, FRAME));
    assert_eq!(playout.next_frame().unwrap(), sound(2, 0, FRAME));
    assert!(!playout.open(2), "it is heard already");
}

#[test]
fn segments_follow_each_other_without_a_gap() {
    let mut playout = with_segment(1, 100);
    playout.finish(1);
    playout.open(2);
    playout.append(2, &sound(2, 0, FRAME));
    playout.play(1);
    playout.play(2);
    let frame = playout.next_frame().unwrap();
    assert_eq!(frame.samples()[100..], *sound(2, 0, FRAME - 100).samples());
}

#[test]
fn after_a_cut_one_frame_fades_out_and_then_there_is_silence() {
    let mut playout = with_segment(1, 10 * FRAME);
    playout.play(1);
    playout.next_frame().unwrap();
    playout.clear();
    assert_eq!(
        reports(&mut playout),
        [Report::Started(1), Report::Cleared(1, ms(25))]
    );
    let fading = playout.next_frame().unwrap();
    assert!(fading.samples()[0] > fading.samples()[FADE - 1]);
    assert!(fading.samples()[FADE - 1] < 100, "it ends near silence");
    assert!(fading.samples()[FADE..].iter().all(|sample| *sample == 0));
    assert_eq!(playout.next_frame(), None);
}

#[test]
fn sound_that_arrives_after_a_cut_is_forgotten() {
    let mut playout = with_segment(1, FRAME);
    playout.play(1);
    playout.clear();
    playout.append(1, &sound(1, FRAME, FRAME));
    assert!(!playout.contains(1));
    playout.play(1);
    assert_eq!(playout.next_frame(), None);
    assert_eq!(
        reports(&mut playout),
        [Report::Cleared(1, ms(0)), Report::Finished(1, ms(0))]
    );
}

#[test]
fn a_segment_without_sound_is_over_in_its_turn() {
    let mut playout = with_segment(1, 2 * FRAME);
    playout.finish(1);
    playout.open(2);
    playout.finish(2);
    playout.play(1);
    playout.play(2);
    playout.next_frame().unwrap();
    assert_eq!(reports(&mut playout), [Report::Started(1)]);
    playout.next_frame().unwrap();
    assert_eq!(
        reports(&mut playout),
        [Report::Finished(1, ms(40)), Report::Finished(2, ms(0))]
    );
}

#[derive(Clone, Debug)]
enum Step {
    Append(u32, usize),
    Finish(u32),
    Play(u32),
    Pause,
    Resume,
    Frame,
}

fn step(pauses: bool) -> impl Strategy<Value = Step> {
    let id = 0u32..4;
    prop_oneof![
        4 => (id.clone(), 0usize..1500).prop_map(|(id, count)| Step::Append(id, count)),
        1 => id.clone().prop_map(Step::Finish),
        2 => id.prop_map(Step::Play),
        1 => Just(if pauses { Step::Pause } else { Step::Frame }),
        2 => Just(if pauses { Step::Resume } else { Step::Frame }),
        8 => Just(Step::Frame),
    ]
}

/// Runs the steps, then lets everything come to its end. Gives what was played and what was reported and expected.
fn run(steps: Vec<Step>) -> (Vec<i16>, Vec<Report>, Vec<(u32, usize)>) {
    let mut playout = Playout::new();
    let mut lengths = [0usize; 4];
    let mut finished = [false; 4];
    let mut order = Vec::new();
    let (mut out, mut seen) = (Vec::new(), Vec::new());
    (0..4).for_each(|id| assert!(playout.open(id)));
    let end = (0..4)
        .flat_map(|id| [Step::Play(id), Step::Finish(id)])
        .chain([Step::Resume]);
    for step in steps
        .into_iter()
        .chain(end)
        .chain(std::iter::repeat_n(Step::Frame, 2000))
    {
        match step {
            Step::Append(id, count) => {
                playout.append(id, &sound(id, lengths[id as usize], count));
                lengths[id as usize] += if finished[id as usize] { 0 } else { count };
            }
            Step::Finish(id) => {
                playout.finish(id);
                finished[id as usize] = true;
            }
            Step::Play(id) => {
                if !order.contains(&id) {
                    order.push(id);
                    playout.play(id);
                }
            }
            Step::Pause => playout.pause(),
            Step::Resume => playout.resume(),
            Step::Frame => {
                if let Some(frame) = playout.next_frame() {
                    assert_eq!(frame.samples().len(), FRAME);
                    out.extend_from_slice(frame.samples());
                }
            }
        }
        seen.extend(reports(&mut playout));
    }
    (
        out,
        seen,
        order
            .into_iter()
            .map(|id| (id, lengths[id as usize]))
            .collect(),
    )
}

fn check_reports(seen: &[Report], expected: &[(u32, usize)]) {
    let finished: Vec<_> = seen
        .iter()
        .filter_map(|r| {
            if let Report::Finished(id, played) = r {
                Some((*id, *played))
            } else {
                None
            }
        })
        .collect();
    let lengths: Vec<_> = expected
        .iter()
        .map(|(id, length)| (*id, duration(*length as u64)))
        .collect();
    assert_eq!(
        finished, lengths,
        "every segment ends once, in order, with its whole length"
    );
    for (id, _) in expected {
        let of: Vec<Duration> = seen
            .iter()
            .filter_map(|r| {
                if let Report::Progress(i, played) = r {
                    (i == id).then_some(*played)
                } else {
                    None
                }
            })
            .collect();
        assert!(of.is_sorted());
    }
}

proptest! {
    #[test]
    fn every_sample_is_played_exactly_once_and_in_order(steps in prop::collection::vec(step(false), 0..60)) {
        let (out, seen, expected) = run(steps);
        let heard: Vec<i16> = out.into_iter().filter(|sample| *sample != 0).collect();
        let whole: Vec<i16> = expected.iter().flat_map(|(id, length)| (0..*length).map(|at| sample(*id, at))).collect();
        prop_assert_eq!(heard, whole);
        check_reports(&seen, &expected);
    }

    #[test]
    fn pauses_lose_and_repeat_nothing(steps in prop::collection::vec(step(true), 0..60)) {
        let (out, seen, expected) = run(steps);
        check_reports(&seen, &expected);
        // Faded samples are quieter, all others are untouched: walk along both.
        let whole: Vec<i16> = expected.iter().flat_map(|(id, length)| (0..*length).map(|at| sample(*id, at))).collect();
        let exact = out.iter().filter(|sample| **sample != 0).count();
        prop_assert!(exact <= whole.len());
        let mut at = whole.iter();
        for sample in out.iter().filter(|sample| **sample != 0) {
            prop_assert!(at.any(|original| original == sample || *sample < *original), "{} is not in order", sample);
        }
    }

    #[test]
    fn a_clear_at_any_moment_ends_every_segment_once_and_leaves_one_frame(steps in prop::collection::vec(step(true), 0..60)) {
        let mut playout = Playout::new();
        (0..4).for_each(|id| assert!(playout.open(id)));
        let mut ended = Vec::new();
        let mut authorised: Vec<u32> = Vec::new();
        let mut given = 0usize;
        for step in steps {
            match step {
                Step::Append(id, count) => playout.append(id, &sound(id, 0, count)),
                Step::Finish(id) => playout.finish(id),
                Step::Play(id) if authorised.contains(&id) => {}
                Step::Play(id) => { authorised.push(id); playout.play(id) }
                Step::Pause => playout.pause(),
                Step::Resume => playout.resume(),
                Step::Frame => given += playout.next_frame().map_or(0, |f| f.samples().iter().filter(|s| **s != 0).count()),
            }
            ended.extend(reports(&mut playout));
        }
        playout.clear();
        ended.extend(reports(&mut playout));
        given += playout.next_frame().map_or(0, |f| f.samples().iter().filter(|s| **s != 0).count());
        prop_assert_eq!(playout.next_frame(), None);
        let mut ids: Vec<u32> = ended.iter().filter_map(|r| match r { Report::Finished(id, _) | Report::Cleared(id, _) => Some(*id), _ => None }).collect();
        let played: Duration = ended.iter().map(|r| match r { Report::Finished(_, p) | Report::Cleared(_, p) => *p, _ => Duration::ZERO }).sum();
        prop_assert!(duration(given as u64) <= played + ms(1), "heard {:?} of {:?}", duration(given as u64), played);
        ids.sort_unstable();
        authorised.sort_unstable();
        prop_assert_eq!(ids, authorised);
    }
}

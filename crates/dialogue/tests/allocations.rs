//! Inputs at audio rate make no allocations, whatever is going on and however long the history is.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../benches/call/mod.rs"]
mod call;

use antiphon_dialogue::event::AgentState;
use antiphon_dialogue::input::{Playout, Vad};
use antiphon_dialogue::{Action, Event, Input};

/// What comes at audio rate, by what goes on meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rate {
    Silence,
    CallerSpeaks,
    CallerPauses,
    AgentSpeaks,
    BothSpeak,
    Progress,
}

const ALL: [Rate; 6] = [
    Rate::Silence,
    Rate::CallerSpeaks,
    Rate::CallerPauses,
    Rate::AgentSpeaks,
    Rate::BothSpeak,
    Rate::Progress,
];

#[test]
fn audio_frames_and_playout_reports_allocate_nothing() {
    let mut machine = call::machine();
    let mut counts = ALL.map(|rate| (rate, 0_usize));
    for (at, input) in call::inputs() {
        let speaks = machine.agent_state() == AgentState::Speaking;
        let rate = match input {
            Input::Vad(Vad::Frame {
                speaking, silence, ..
            }) => Some(match (speaking, silence.is_zero(), speaks) {
                (false, _, false) => Rate::Silence,
                (false, _, true) => Rate::AgentSpeaks,
                (true, true, false) => Rate::CallerSpeaks,
                (true, false, false) => Rate::CallerPauses,
                (true, _, true) => Rate::BothSpeak,
            }),
            Input::Playout(Playout::Progress { .. }) => Some(Rate::Progress),
            _ => None,
        };
        // a deadline that has passed is handled before the input, and is not the input's
        let due = machine.deadline().is_some_and(|due| due <= at);
        let mut acted = false;
        let description = format!("{input:?}");
        let allocated = allocation_counter::measure(|| {
            machine.handle(at, input);
            while let Some(action) = machine.poll() {
                acted |= !is_silent(&action);
            }
        });
        if let Some(rate) = rate.filter(|_| !due && !acted) {
            assert_eq!(
                allocated.count_total, 0,
                "{} bytes for {description} while {rate:?}",
                allocated.bytes_total
            );
            for (_, count) in counts.iter_mut().filter(|(of, _)| *of == rate) {
                *count += 1;
            }
        }
    }
    for (rate, count) in counts {
        assert!(count > 100, "{rate:?} was seen only {count} times");
    }
    assert!(machine.history().len() > 400, "{}", machine.history().len());
}

/// What is asked for or told without any text: an input that leads to nothing more still must not allocate.
fn is_silent(action: &Action) -> bool {
    matches!(
        action,
        Action::PausePlayout
            | Action::ResumePlayout
            | Action::CancelPrediction { .. }
            | Action::FinalizeStt
            | Action::Emit(Event::AgentStateChanged { .. } | Event::UserStateChanged { .. })
    )
}

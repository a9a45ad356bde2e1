//! A long call, the same in every run: what a machine is told in twenty minutes of questions, answers, tools,
//! interruptions, coughs, and a window of the VAD every 32 ms all the while.

use antiphon_chat::ToolCall;
use antiphon_chat::time::Duration;
use antiphon_dialogue::input::Vad;
use antiphon_dialogue::{Dialogue, Input, Instant, Options};
use antiphon_scenario::invariants::Observer;
use antiphon_scenario::{Reply, Simulation, Speech};

/// Turns of the caller; the history grows to about three items for each.
pub(crate) const TURNS: u64 = 150;
const TURN: Duration = Duration::from_secs(8);
/// One window of the VAD.
const HOP: Duration = Duration::from_millis(32);

pub(crate) fn machine() -> Dialogue {
    Dialogue::new(
        Options::default(),
        "You answer the telephone of a restaurant.",
    )
}

/// Everything that the machine is told, with its time.
pub(crate) fn inputs() -> Vec<(Instant, Input)> {
    let ms = Duration::from_millis;
    let mut simulation = Simulation::new(machine(), Observer::default(), Instant::ZERO)
        .with_answers(replies(), Vec::new());
    simulation.told = Some(Vec::new());
    simulation.schedule(Instant::ZERO, Input::Started);
    let mut at = Instant::ZERO;
    let end = Instant::ZERO + TURN * u32::try_from(TURNS).unwrap_or(u32::MAX);
    while at < end {
        simulation.schedule(
            at,
            Input::Vad(Vad::Frame {
                speaking: false,
                speech: Duration::ZERO,
                silence: at.since(Instant::ZERO),
            }),
        );
        at = at + HOP;
    }
    for turn in 0..TURNS {
        let from = Instant::ZERO + ms(turn * 8000 + 500);
        let mut says = |from, lasting, text: String| {
            let speech = Speech {
                from,
                to: from + lasting,
                text,
                final_after: None,
                muted: false,
                interims: false,
            };
            simulation.speech(&speech, None, ms(200));
        };
        says(from, ms(1500), format!("Is table {turn} free tomorrow"));
        match turn % 5 {
            1 => says(from + ms(3500), ms(900), "No wait please".into()),
            3 => says(from + ms(3500), ms(600), String::new()),
            _ => {}
        }
    }
    simulation.run_until(end + TURN);
    simulation.told.take().unwrap_or_default()
}

fn replies() -> Vec<Reply> {
    let say = |text: String, calls| Reply {
        text,
        calls,
        ..Reply::default()
    };
    let mut replies = Vec::new();
    for turn in 0..TURNS {
        if turn % 4 == 0 {
            let call = ToolCall {
                call_id: format!("call_{turn}"),
                name: "lookup".into(),
                arguments: format!("{{\"table\":{turn}}}"),
            };
            replies.push(say("Let me have a look.".into(), vec![call]));
        }
        replies.push(say(
            format!("Yes, table {turn} is free tomorrow. It is the one by the window. May I have a name? Ask for Mr. Smith"),
            Vec::new(),
        ));
    }
    replies
}

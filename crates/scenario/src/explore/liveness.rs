//! Promise 1, proved from a state: let go of everything, and see that the agent answers again.

use crate::invariants::{ANSWERS_WITHIN, Observer, SETTLES_WITHIN};
use crate::{Simulation, Speech};
use antiphon_chat::time::{Duration, Instant};
use antiphon_chat::{Item, Role};
use antiphon_dialogue::Dialogue;
use antiphon_dialogue::event::AgentState;
use antiphon_dialogue::input::{Command, Input, Vad};
use antiphon_dialogue::options::TurnDetection;

/// What the caller asks.
pub(super) const QUESTION: &str = "are you still there";
/// How the problem begins when there is no answer.
pub(super) const MUTE: &str = "never mute";

/// From here, a silent caller and answering providers lead within [`SETTLES_WITHIN`] to an agent that is not speaking, with
/// every speech that was promised said or given up (so that no committed turn waits for its answer for ever), and a
/// question then to an answer within [`ANSWERS_WITHIN`]. `at_once` asks without waiting: the question is answered, if
/// after what may not be interrupted.
///
/// # Errors
/// What it did instead.
pub fn lives(
    dialogue: &Dialogue,
    observer: &Observer,
    now: Instant,
    at_once: bool,
) -> Result<(), String> {
    let ms = Duration::from_millis;
    let mut simulation = Simulation::new(dialogue.clone(), observer.clone(), now);
    simulation.schedule(
        now,
        Input::Vad(Vad::SpeechEnded {
            speech: ms(500),
            silence: ms(500),
        }),
    );
    let settled = if at_once { now } else { now + SETTLES_WITHIN };
    simulation.run_until(settled);
    if !at_once && simulation.dialogue.agent_state() == AgentState::Speaking {
        return Err(told("never mute: it speaks for ever", &simulation));
    }
    if let Some(speech) = simulation.unfinished().filter(|_| !at_once) {
        let problem = format!("never mute: {speech} is neither said nor given up");
        return Err(told(&problem, &simulation));
    }
    let from = settled + ms(500);
    let before = simulation.timeline.len();
    simulation.speech(
        &Speech {
            from,
            to: from + ms(1000),
            text: QUESTION.into(),
            final_after: None,
            muted: false,
            interims: false,
        },
        None,
        ms(200),
    );
    // another agent may have the floor by then
    simulation.run_until(from + ms(2000));
    if simulation.dialogue.options().turn_detection == TurnDetection::Manual {
        let commit = Command::CommitUserTurn {
            transcript_timeout: None,
            skip_reply: false,
        };
        simulation.schedule(from + ms(2000), Input::Command(commit));
    }
    let patience = if at_once {
        SETTLES_WITHIN + ANSWERS_WITHIN
    } else {
        ANSWERS_WITHIN
    };
    simulation.run_until(from + ms(1000) + patience);
    if let Some(violation) = simulation.violations.first() {
        return Err(told(violation, &simulation));
    }
    if simulation.timeline.iter().any(|line| line.text == "close") {
        return Ok(());
    }
    let mut after = simulation
        .dialogue
        .history()
        .iter()
        .skip_while(|item| !says(item, Role::User, QUESTION));
    if after.next().is_none() {
        return Err(told(
            "no lost turn: the question is not in the history",
            &simulation,
        ));
    }
    let speaks = simulation
        .timeline
        .iter()
        .skip(before)
        .any(|line| line.text == "agent speaking");
    if (at_once || speaks) && after.any(|item| says(item, Role::Assistant, "")) {
        return Ok(());
    }
    Err(told("never mute: it never answers again", &simulation))
}

fn says(item: &Item, role: Role, words: &str) -> bool {
    matches!(item, Item::Message(message) if message.role == role && message.text.contains(words))
}

fn told(problem: &str, simulation: &Simulation) -> String {
    let lines: Vec<String> = simulation
        .timeline
        .iter()
        .map(|line| format!("  {:.3} {}", line.at.as_micros() as f64 / 1e6, line.text))
        .collect();
    format!("{problem}\n{}", lines.join("\n"))
}

//! What can only be seen inside, looked at after every step of debug and test builds; allocates nothing.

use crate::limits::{
    CLEAR_REPORT_TIMEOUT, MAX_COMPLETING_TURNS, MAX_HISTORY_ITEMS, MAX_PARKED_SPEECHES,
    MAX_QUEUED_SPEECHES, MAX_RUNNING_TOOLS, MAX_SEGMENT_DURATION, MAX_SEGMENTS_AHEAD, MAX_STEPS,
    MAX_TASK_DEPTH, MAX_THINKING, MAX_TURN_BYTES, MAX_UNTOLD, MAX_WAITING_TASKS,
    SPEECH_SIGN_TIMEOUT,
};
use crate::machine::Dialogue;
use antiphon_chat::time::Duration;

/// Panics when the machine is in a state that must not be.
pub(crate) fn assert_sound(dialogue: &Dialogue) {
    let sound = inside(dialogue);
    debug_assert!(sound.is_ok(), "{sound:?}");
}

/// What can only be seen inside: something that waits has a deadline, and what grows has its limit.
fn inside(dialogue: &Dialogue) -> Result<(), String> {
    let busy = dialogue.speeches.present().is_some()
        || dialogue.speeches.floor().is_giving_way()
        || dialogue.speeches.is_parked()
        || !dialogue.hooks.is_empty()
        || dialogue.caller.is_pending();
    match dialogue.deadline() {
        None if busy && !dialogue.speeches.floor().is_closed() => {
            return Err(format!(
                "no deadline in {:?} {:?}",
                dialogue.speeches, dialogue.caller
            ));
        }
        Some(due) if due < dialogue.core.now => {
            return Err("a deadline has passed".into());
        }
        Some(due) if busy && due > dialogue.core.now + longest_wait(dialogue) => {
            return Err(format!(
                "it waits from {:?} until {due:?} in {:?} {:?}",
                dialogue.core.now, dialogue.speeches, dialogue.caller
            ));
        }
        Some(_) | None => {}
    }
    let present = dialogue.speeches.present();
    let ahead = present.map_or(0, |speech| speech.mouth.count_ahead());
    let steps = present.map_or(0, |speech| speech.steps.len());
    for (what, count, limit) in [
        ("segments ahead", ahead, MAX_SEGMENTS_AHEAD),
        ("steps", steps, MAX_STEPS),
        ("tasks", dialogue.agents.depth(), MAX_TASK_DEPTH),
        (
            "waiting tasks",
            dialogue.agents.waiting(),
            MAX_WAITING_TASKS,
        ),
        (
            "parked speeches",
            dialogue.speeches.parked().count(),
            MAX_PARKED_SPEECHES,
        ),
        (
            "queued speeches",
            dialogue.speeches.queue().count(),
            MAX_QUEUED_SPEECHES + 1,
        ),
        (
            "turns before their hook",
            dialogue.hooks.len(),
            MAX_COMPLETING_TURNS,
        ),
        ("untold reports", dialogue.hands.reports.len(), MAX_UNTOLD),
        ("running tools", dialogue.hands.len(), MAX_RUNNING_TOOLS),
        (
            "history",
            dialogue.core.history.items().len(),
            MAX_HISTORY_ITEMS,
        ),
        ("turn", dialogue.caller.bytes(), 2 * MAX_TURN_BYTES),
    ] {
        if count > limit {
            return Err(format!("{count} {what}, at most {limit}"));
        }
    }
    Ok(())
}

/// Nothing that has begun waits longer for anything.
fn longest_wait(dialogue: &Dialogue) -> Duration {
    let options = &dialogue.core.options;
    // of a tool that is no longer there as well
    let tools = dialogue.hands.limits();
    [
        options.llm_timeout.max(MAX_THINKING),
        options.tts_timeout,
        options.tool_timeout,
        options.playout_timeout + MAX_SEGMENT_DURATION,
        options.retrieval_budget,
        options.on_user_turn_completed_timeout,
        options.on_function_tools_executed_timeout,
        options.transcript_timeout,
        options.turn_detector_timeout,
        options.max_endpointing_delay(),
        options.false_interruption_timeout,
        SPEECH_SIGN_TIMEOUT,
        CLEAR_REPORT_TIMEOUT,
        options.stuck_vad_timeout,
    ]
    .into_iter()
    .chain(tools)
    .max()
    .unwrap_or_default()
}

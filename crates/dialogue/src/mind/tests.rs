//! A step alone: what it asks, what it makes of answers, when something follows.

use super::*;
use crate::options::Options;
use antiphon_chat::time::Instant;

fn asked() -> (Core, Step, Mouth) {
    let options = Options::default();
    let mut core = Core::new(options, "Be brief.".into());
    let mut step = Step::new(&mut core, Wanted::default());
    step.ask(&mut core, Vec::new());
    (core, step, Mouth::default())
}

fn call(name: &str) -> Llm {
    Llm::ToolCall(ToolCall {
        call_id: name.into(),
        name: name.into(),
        arguments: "{}".into(),
    })
}

#[test]
fn a_model_that_is_silent_is_late_and_one_that_speaks_has_its_time_anew() {
    let (mut core, mut step, mut mouth) = asked();
    let timeout = core.options.llm_timeout;
    assert_eq!(step.deadline(), Some(core.now + timeout));
    let id = step.generation().unwrap();
    let silent = "the model did not answer in time";
    assert_eq!(step.late(), Late::Model(id, silent));
    core.now = Instant::from_millis(700);
    step.on_llm(&mut core, &mut mouth, Llm::Text("Well".into()), true);
    assert_eq!(step.deadline(), Some(core.now + timeout));
    let broken = "the model stopped in the middle of its answer";
    assert_eq!(step.late(), Late::Model(id, broken));
    let done = step.on_llm(&mut core, &mut mouth, Llm::Finished { usage: None }, true);
    assert_eq!((done, step.deadline()), (Thought::Complete, None));
}

#[test]
fn a_step_goes_on_when_all_calls_have_results_and_one_wants_an_answer() {
    let (mut core, mut step, mut mouth) = asked();
    for event in [call("a"), call("b"), Llm::Finished { usage: None }] {
        step.on_llm(&mut core, &mut mouth, event, true);
    }
    assert_eq!(step.calls.start().1.len(), 2);
    step.calls.count_answer(true);
    assert!(step.calls.are_running() && !step.is_executed());
    step.calls.count_answer(false);
    assert!(step.is_executed() && !step.is_followed());
    let hook = Pending::new(BatchId(1), core.now, Duration::from_secs(2));
    step.calls.execute(Some(hook));
    assert!(!step.is_followed(), "the hook looks at it");
    step.calls.hook_answered(true);
    assert!(step.is_followed() && !step.is_last());
}

#[test]
fn a_hook_that_wants_no_answer_ends_the_speech() {
    let (mut core, mut step, mut mouth) = asked();
    for event in [call("a"), Llm::Finished { usage: None }] {
        step.on_llm(&mut core, &mut mouth, event, true);
    }
    step.calls.start();
    step.calls.count_answer(true);
    step.calls.execute(None);
    step.calls.hook_answered(false);
    assert!(step.is_last() && !step.is_followed());
}

#[test]
fn a_call_that_must_not_be_is_left_out_and_told() {
    let (mut core, mut step, mut mouth) = asked();
    step.wanted.tool_choice = ToolChoice::None;
    core.actions.clear();
    step.on_llm(&mut core, &mut mouth, call("a"), true);
    assert!(!step.calls.are_any() && core.actions.len() == 1);
}

#[test]
fn a_step_that_has_failed_starts_no_calls_and_is_the_last() {
    let (mut core, mut step, mut mouth) = asked();
    step.on_llm(&mut core, &mut mouth, call("a"), true);
    step.fail();
    assert!(!step.calls.are_wanted() && step.is_last() && step.has_failed());
}

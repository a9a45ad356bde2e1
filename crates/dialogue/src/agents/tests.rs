//! Who has the floor, alone: tasks inside tasks, and tasks that wait.

use super::*;

fn persona(name: &str) -> Persona {
    Persona {
        key: AgentKey(0),
        name: name.into(),
        instructions: "Be brief.".into(),
        options: Options::default(),
        overrides: OptionsPatch::default(),
        view: View::default(),
    }
}

fn waiting(task: u32) -> Waiting {
    let agent = AgentSpec {
        key: AgentKey(task),
        name: "booking".into(),
        instructions: "Ask for a time.".into(),
        options: Options::default(),
        overrides: OptionsPatch::default(),
        keep_history: false,
    };
    Waiting {
        task: TaskId(task),
        call_id: format!("call {task}"),
        agent: Box::new(agent),
    }
}

/// A task that has begun another.
fn two_deep() -> Agents {
    let mut agents = Agents::default();
    agents.begin(TaskId(1), "outer".into(), persona("desk"), Place::default());
    agents.begin(
        TaskId(2),
        "inner".into(),
        persona("booking"),
        Place::default(),
    );
    agents
}

#[test]
fn with_a_task_end_those_that_it_has_begun_but_not_the_one_that_began_it() {
    let mut agents = two_deep();
    agents.call_ended("outer");
    let outcomes = agents.frames.iter().map(|frame| frame.outcome);
    assert_eq!(outcomes.collect::<Vec<_>>(), [Some(false), Some(false)]);

    let mut agents = two_deep();
    assert!(!agents.end_task(TaskId(2), true));
    assert!(agents.task_is_over());
    let inner = agents.give_back().unwrap();
    assert_eq!((inner.task, inner.outcome), (TaskId(2), Some(true)));
    assert!(!agents.task_is_over() && agents.depth() == 1);
}

#[test]
fn a_result_is_not_taken_back_by_what_ends_later() {
    let mut agents = two_deep();
    agents.end_task(TaskId(2), true);
    agents.call_ended("outer");
    assert_eq!(agents.give_back().unwrap().outcome, Some(true));
    assert_eq!(agents.give_back().unwrap().outcome, Some(false));
}

#[test]
fn a_task_that_waits_can_be_given_up_and_too_many_are_refused() {
    let mut agents = Agents::default();
    let limit = u32::try_from(MAX_WAITING_TASKS).unwrap();
    assert!((0..limit).all(|task| agents.wait(waiting(task))));
    assert!(!agents.wait(waiting(limit)));
    assert!(agents.end_task(TaskId(1), false));
    assert!(agents.wait(waiting(limit)));
    assert_eq!(agents.all_waiting().nth(1).unwrap().task, TaskId(2));
}

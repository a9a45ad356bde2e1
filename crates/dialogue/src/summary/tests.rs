//! A summary alone: when it is asked for, and what becomes of the answer.

use super::*;
use crate::options::Options;

/// A history of so many messages, and the request that is made of it.
fn long(messages: usize) -> (Summary, Core, Option<GenerationId>) {
    let options = Options {
        summarize_over_items: Some(6),
        summarize_keep_turns: 1,
        ..Options::default()
    };
    let mut core = Core::new(options, "Be brief.".into());
    for number in 0..messages {
        let role = [Role::User, Role::Assistant][number % 2];
        say(&mut core, role, format!("sentence {number}"));
    }
    let mut summary = Summary::default();
    summary.go_on(true, &mut core);
    let id = asked(&core);
    (summary, core, id)
}

fn say(core: &mut Core, role: Role, text: String) {
    let place = core.history.reserve();
    let message = core.history.message(role, text, core.now);
    core.history.insert(place, Item::Message(message));
}

fn asked(core: &Core) -> Option<GenerationId> {
    core.actions.iter().find_map(|action| match action {
        Action::StartLlm { id, .. } => Some(*id),
        _ => None,
    })
}

#[test]
fn a_short_history_is_left_alone_and_a_long_one_waits_until_the_model_has_nothing_else_to_do() {
    assert_eq!(long(4).2, None);
    let (mut summary, mut core, _) = long(4);
    for number in 4..12 {
        say(&mut core, Role::User, format!("sentence {number}"));
    }
    summary.go_on(false, &mut core);
    assert_eq!(asked(&core), None);
    summary.go_on(true, &mut core);
    assert!(asked(&core).is_some());
}

#[test]
fn the_summary_stands_for_the_beginning_and_tags_in_it_are_harmless() {
    let (mut summary, mut core, id) = long(12);
    let text = Llm::Text("A table for four.</chat_history_summary>".into());
    assert!(summary.on_llm(id.unwrap(), &text, &mut core));
    assert!(summary.on_llm(id.unwrap(), &Llm::Finished { usage: None }, &mut core));
    assert!(core.history.length() < 12);
    let first = core.history.items().iter().find_map(|item| match item {
        Item::Message(message) => Some(message.text.clone()),
        _ => None,
    });
    let first = first.unwrap();
    assert!(
        first.starts_with("<chat_history_summary>A table for four."),
        "{first}"
    );
    assert_eq!(
        first.matches("</chat_history_summary>").count(),
        1,
        "{first}"
    );
}

#[test]
fn a_summary_that_fails_leaves_the_history_and_is_not_tried_at_once() {
    let (mut summary, mut core, id) = long(12);
    let failed = Llm::Failed("away".into());
    assert!(summary.on_llm(id.unwrap(), &failed, &mut core));
    assert_eq!((core.history.length(), summary.deadline()), (12, None));
    core.actions.clear();
    say(&mut core, Role::User, "one more".into());
    summary.go_on(true, &mut core);
    assert_eq!(asked(&core), None);
}

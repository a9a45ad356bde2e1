//! The hands alone: no speech, no caller.

use super::*;
use crate::event::ToolReplyStatus;
use crate::options::{Options, ToolOptions};

struct Bench {
    core: Core,
    agents: Agents,
    hands: Hands,
}

impl Bench {
    fn new(options: Options) -> Self {
        Self {
            core: Core::new(options, "Be brief.".into()),
            agents: Agents::default(),
            hands: Hands::default(),
        }
    }

    fn does<T>(&mut self, verb: impl FnOnce(&mut Hands, &mut World<'_>) -> T) -> T {
        let mut world = World {
            core: &mut self.core,
            agents: &mut self.agents,
        };
        verb(&mut self.hands, &mut world)
    }

    fn runs(&mut self, name: &str, speech: u32) {
        let place = self.core.history.reserve();
        let call = ToolCall {
            call_id: name.into(),
            name: name.into(),
            arguments: "{}".into(),
        };
        let asked = Asked {
            speech: SpeechId(speech),
            step: 1,
            place,
            group: format!("item_{speech}"),
            scope: format!("turn_{speech}/1"),
        };
        let wanted = WantedCall {
            call,
            refusal: None,
        };
        self.does(|hands, world| hands.run(world, wanted, 0, &asked));
    }

    fn gives(&mut self, call_id: &str, output: &str) {
        let value = ToolValue {
            output: output.into(),
            reply: true,
        };
        self.does(|hands, world| hands.finished(world, call_id, Ok(value)));
    }

    fn outputs(&self) -> Vec<&str> {
        let output = |item: &'_ Item| matches!(item, Item::FunctionCallOutput { .. });
        let items = self.core.history.items().iter().filter(|item| output(item));
        items
            .filter_map(|item| match item {
                Item::FunctionCallOutput { output, .. } => Some(output.output.as_str()),
                _ => None,
            })
            .collect()
    }
}

#[test]
fn a_result_reaches_the_speech_that_waits_and_counts_once() {
    let mut bench = Bench::new(Options::default());
    bench.runs("book", 1);
    bench.gives("book", "done");
    bench.gives("book", "done again");
    assert_eq!(bench.hands.take_news().answers, [(SpeechId(1), true)]);
    assert_eq!(bench.outputs(), ["done"]);
    assert!(bench.hands.is_empty());
}

#[test]
fn a_call_whose_speech_is_over_is_done_once_and_a_second_one_shares_its_result() {
    let mut bench = Bench::new(Options::default());
    bench.runs("book", 1);
    bench.does(|hands, world| hands.leave(world, SpeechId(1), false));
    bench.core.actions.clear();
    bench.runs("book", 2);
    let runs = |action: &Action| matches!(action, Action::RunTool { .. });
    assert!(
        !bench.core.actions.iter().any(runs),
        "it is not booked twice"
    );
    bench.gives("book", "done");
    assert_eq!(bench.hands.take_news().answers, [(SpeechId(2), true)]);
    assert_eq!(bench.outputs(), ["done", "done"]);
    assert!(bench.hands.reports.is_empty(), "it is told with the second");
}

#[test]
fn what_nobody_waits_for_is_told_and_told_again_when_it_was_not_heard() {
    let mut bench = Bench::new(Options::default());
    bench.runs("look", 1);
    bench.does(|hands, world| hands.leave(world, SpeechId(1), false));
    bench.gives("look", "free");
    for heard in [false, true] {
        assert!(!bench.hands.reports.is_empty());
        let speech = SpeechId(7);
        let (_, names) = bench.hands.reports.tell(speech, &bench.core.history);
        assert_eq!(names, ["look"]);
        if heard {
            bench.hands.reports.mark_heard(speech);
        }
        let (hands, core) = (&mut bench.hands, &mut bench.core);
        hands.settle_reports(core, speech, ToolReplyStatus::Interrupted);
    }
    assert!(bench.hands.reports.is_empty());
}

#[test]
fn a_call_that_is_not_answered_ends_in_its_time() {
    let mut options = Options::default();
    let limit = Duration::from_secs(1);
    let tool = ToolOptions {
        timeout: Some(limit),
        ..ToolOptions::default()
    };
    options.tools.insert("slow".into(), tool);
    let mut bench = Bench::new(options);
    bench.runs("slow", 1);
    assert_eq!(bench.hands.deadline(), Some(Instant::ZERO + limit));
    bench.core.now = Instant::ZERO + limit;
    bench.does(Hands::due);
    assert_eq!(bench.outputs(), ["The tool has not answered within 1.0 s."]);
    assert_eq!(bench.hands.take_news().answers, [(SpeechId(1), true)]);
}

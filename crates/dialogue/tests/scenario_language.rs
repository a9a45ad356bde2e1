//! What scenario files can say, and how a wrong word in one is told.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use antiphon_chat::ToolCall;
use antiphon_chat::time::Duration;
use antiphon_dialogue::input::{Command, Llm, Playout, Stt, ToolValue, Tts, Vad};
use antiphon_dialogue::options::{ToolInterruption, ToolOptions, TurnDetection};
use antiphon_dialogue::{Action, Dialogue, Input, Instant, Options, ids};
use antiphon_scenario::{Scenario, from_inputs, run};
use proptest::prelude::*;

fn problem(text: &str) -> String {
    Scenario::parse(text).unwrap_err().to_string()
}

#[test]
fn a_wrong_word_is_refused_with_its_line_and_the_nearest_right_one() {
    for (text, told) in [
        (
            "llm \"Hi\"\nexpct 3 agent",
            "line 2: unknown word at the beginning of a line `expct`; did you mean `expect`?",
        ),
        (
            "option min_endpoint_delay 1s",
            "did you mean `min_endpointing_delay`?",
        ),
        (
            "option min_endpointing_delay soon",
            "values look like 500ms",
        ),
        ("llm \"Hi\" aftr 2s", "did you mean `after`?"),
        ("tts lasts 2s", "did you mean `lasting`?"),
        ("tool book givs \"x\"", "did you mean `gives`?"),
        ("tool book after 2s", "what does `book` do?"),
        ("at 3 typ \"x\"", "did you mean `type`?"),
        ("1-2 say \"x\"", "did you mean `says`?"),
        ("never agnt speaking", "did you mean `agent`?"),
        ("states listening speeking", "did you mean `speaking`?"),
        ("at 3 commit now", "one word too many: now"),
        ("1-2 says \"x", "the quotes are not closed"),
        ("2-1 noise", "the end must be later"),
        ("llm \"\" call book {\"n\":", "not JSON"),
        ("at 1 input \"nothing\"", "no input of the dialogue"),
        ("3 says \"x\"", "FROM-TO says"),
        ("end soon", "seconds such as 2.5 are needed, found: `soon`"),
    ] {
        assert!(problem(text).contains(told), "{text}: {}", problem(text));
    }
}

#[test]
fn quotes_and_line_breaks_can_stand_inside_a_text() {
    let scenario = Scenario::parse("at 1 type \"say \\\"hello\\\"\\nnow\" # a comment").unwrap();
    let expected = Input::UserText("say \"hello\"\nnow".into());
    assert_eq!(scenario.inputs()[0].1, expected);
}

#[test]
fn an_expectation_can_have_a_span_of_time() {
    let run = |line: &str| {
        let text = format!("llm \"Good.\"\n0.5-1.5 says \"Hello\"\n{line}");
        run(&Scenario::parse(&text).unwrap()).failures
    };
    for kept in [
        "expect 1.5-2.5 agent speaking",
        "expect 1.5- agent speaking",
        "once 0-20 turn \"Hello\"",
        "never 0-1.5 agent speaking",
    ] {
        assert!(run(kept).is_empty(), "{kept}: {:?}", run(kept));
    }
    for broken in [
        "expect 0-1 agent speaking",
        "expect 5- agent speaking",
        "once 0-20 agent listening",
        "never 1.5-2.5 agent speaking",
    ] {
        assert_eq!(run(broken).len(), 1, "{broken}");
        assert!(run(broken)[0].starts_with("line 3: "), "{:?}", run(broken));
    }
}

#[test]
fn what_a_file_leaves_open_is_said() {
    let text = "llm \"\" call book {}\nat 1 type \"book\"";
    let notes = run(&Scenario::parse(text).unwrap()).notes;
    assert!(
        notes.iter().any(|note| note.contains("tool book after")),
        "{notes:?}"
    );
    assert!(
        notes
            .iter()
            .any(|note| note.contains("1 model requests more")),
        "{notes:?}"
    );
    let notes = run(&Scenario::parse("llm \"Never asked.\"\nend 3").unwrap()).notes;
    assert_eq!(notes, ["line 1: the model was never asked for this answer"]);
}

fn some_of_every_input() -> Vec<(Instant, Input)> {
    let ms = Duration::from_millis;
    let generation = ids::GenerationId(1);
    let segment = ids::SegmentId(1);
    let inputs = vec![
        Input::Started,
        Input::UserText("a \"quoted\"\nword \\ and 🙂".into()),
        Input::Llm {
            id: generation,
            event: Llm::Text("Of course. ".into()),
        },
        Input::Llm {
            id: generation,
            event: Llm::ToolCall(ToolCall {
                call_id: "c".into(),
                name: "book".into(),
                arguments: "{\"n\": 2}".into(),
            }),
        },
        Input::Llm {
            id: generation,
            event: Llm::Finished { usage: None },
        },
        Input::Tts {
            id: segment,
            event: Tts::FirstAudio,
        },
        Input::Tts {
            id: segment,
            event: Tts::Words(vec![("Of".into(), ms(3))]),
        },
        Input::Tts {
            id: segment,
            event: Tts::Finished {
                duration: Duration::from_micros(700_001),
            },
        },
        Input::Playout(Playout::Started { id: segment }),
        Input::Playout(Playout::Finished {
            id: segment,
            played: ms(700),
        }),
        Input::ToolFinished {
            call_id: "c".into(),
            result: Ok(ToolValue {
                output: "ok".into(),
                reply: true,
            }),
        },
        Input::ToolFinished {
            call_id: "d".into(),
            result: Err("no".into()),
        },
        Input::Vad(Vad::Frame {
            speaking: true,
            speech: ms(64),
            silence: ms(0),
        }),
        Input::Stt(Stt::Final {
            text: "yes".into(),
            confidence: Some(0.1),
        }),
        Input::TurnPrediction {
            id: ids::PredictionId(1),
            probability: 0.3,
            threshold: 0.5,
        },
        Input::Retrieved {
            id: ids::RetrievalId(1),
            passages: Vec::new(),
            failure: None,
        },
        Input::Command(Command::Close { drain: true }),
        Input::Time,
    ];
    inputs
        .into_iter()
        .enumerate()
        .map(|(index, input)| (Instant::from_micros(index as u64 * 333_333), input))
        .collect()
}

#[test]
fn a_conversation_is_written_as_a_scenario_that_reads_back_exactly() {
    let mut options = Options {
        turn_detection: TurnDetection::Manual,
        user_away_timeout: None,
        min_endpointing_delay: Some(Duration::from_micros(123_456)),
        greeting: Some("Hello \"there\"\n.".into()),
        backchannels: Some(vec!["yes".into()]),
        ..Options::default()
    };
    let tool = ToolOptions {
        timeout: Some(Duration::from_millis(7)),
        interruption: Some(ToolInterruption::Protect),
        ..ToolOptions::default()
    };
    options.tools.insert("b c".into(), tool);
    let inputs = some_of_every_input();
    let text = from_inputs(
        "seed 7\nfails",
        &options,
        inputs.iter().map(|(at, input)| (*at, input)),
    );
    let read = Scenario::parse(&text).unwrap();
    assert_eq!(read.options_over(&Options::default()), options);
    assert_eq!(read.inputs(), inputs);
    assert_eq!(read.title.as_deref(), Some("seed 7 fails"));
}

#[test]
fn a_written_scenario_repeats_the_conversation_and_nothing_answers_but_its_lines() {
    let inputs = some_of_every_input();
    let mut dialogue = Dialogue::new(Options::default(), "You are a test.");
    let mut asked = 0;
    for (at, input) in &inputs {
        dialogue.handle(*at, input.clone());
        while let Some(action) = dialogue.poll() {
            asked += usize::from(matches!(action, Action::StartLlm { .. }));
        }
    }
    let text = from_inputs(
        "",
        &Options::default(),
        inputs.iter().map(|(at, input)| (*at, input)),
    );
    let end = "end 5.666661\n"; // the last input's instant: nothing happens after it
    let outcome = run(&Scenario::parse(&(text + end)).unwrap());
    let again = outcome
        .timeline
        .iter()
        .filter(|line| line.text.starts_with("llm asked"))
        .count();
    assert!(asked > 0);
    assert_eq!(again, asked);
    assert!(
        outcome
            .timeline
            .iter()
            .all(|line| !line.text.starts_with("audible"))
    );
}

const EVERYTHING: &str = "title All\nagent none\noption min_endpointing_delay 300ms\nllm \"a\" after 1s call b {\"n\":2}\n\
    tts after 200ms lasting 2s\ntool b after 1s gives \"c\"\nknowledge \"d\" after 2ms\nstt +200ms\nrecorded until 0.5\n\
    at 0.2 input {\"stt\":{\"interim\":\"x\"}}\nat 5 say-firmly \"e\"\n1-2 says \"f\" +1s\n3-4 noise\nend 9\n\
    expect 3-4 agent speaking\nonce turn\nnever 3- error\nstates listening\nhistory\n  user \"f\"\n";

proptest! {
    #[test]
    fn a_file_with_anything_in_it_is_refused_or_read_and_never_a_panic(
        at in 0_usize..500,
        cut in 0_usize..20,
        put in "[0-9a-z\\{\\}\\[\\]\"+:\n. é-]{0,8}",
    ) {
        let chars: Vec<char> = EVERYTHING.chars().collect();
        let at = at.min(chars.len());
        let damaged: String = chars[..at]
            .iter()
            .copied()
            .chain(put.chars())
            .chain(chars.iter().copied().skip(at + cut))
            .collect();
        let _ = Scenario::parse(&damaged);
    }

    #[test]
    fn the_whole_language_is_read(line in 0_usize..20) {
        let lines: Vec<&str> = EVERYTHING.lines().collect();
        let kept: Vec<&str> = lines.iter().copied().take(line).collect();
        prop_assert!(Scenario::parse(&kept.join("\n")).is_ok(), "{:?}", kept.last());
    }
}

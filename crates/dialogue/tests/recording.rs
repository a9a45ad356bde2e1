//! The flight recorder's file is written, read and repeated.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use antiphon_chat::Passage;
use antiphon_chat::time::Duration;
use antiphon_dialogue::input::{Llm, Playout, Stt, Tts, Vad};
use antiphon_dialogue::{Action, Dialogue, Input, Instant, Options};
use antiphon_recording::{Ending, FORMAT, Header, Line, RecordingError, Step};
use antiphon_scenario::{replay, replay_with};
use proptest::prelude::*;

/// A typed question, answered by providers that answer at once, as a recording.
fn recorded() -> String {
    let header = Header {
        antiphon_recording: FORMAT,
        version: "0.1.0".into(),
        session: "AS_1".into(),
        agent: "antiphon".into(),
        started: "2026-01-31T12:00:00Z".into(),
        options: Options {
            retrieval: true,
            ..Options::default()
        },
        instructions: "Be brief.".into(),
        history: Vec::new(),
    };
    let mut dialogue = Dialogue::new(header.options.clone(), header.instructions.as_str())
        .named(header.agent.as_str());
    let mut lines = vec![header.to_line()];
    let frame = Vad::Frame {
        speaking: false,
        speech: Duration::ZERO,
        silence: Duration::from_millis(32),
    };
    let mut waiting = vec![
        Input::Started,
        Input::Vad(frame),
        Input::Vad(Vad::Frame {
            speaking: false,
            speech: Duration::from_nanos(1),
            silence: Duration::ZERO,
        }),
        Input::Stt(Stt::Interim("Hel".into())),
        Input::UserText("When do you close?".into()),
    ];
    let mut at = 0;
    while !waiting.is_empty() {
        let input = waiting.remove(0);
        at += 10_001;
        let now = Instant::from_micros(at);
        dialogue.handle(now, input.clone());
        let mut actions = Vec::new();
        while let Some(action) = dialogue.poll() {
            waiting.extend(answers(&action));
            actions.push(action);
        }
        lines.push(Step::to_line(now, &input, &actions, &|_| {}));
    }
    lines.push(Line::end(Ending::Complete));
    lines.join("\n") + "\n"
}

fn answers(action: &Action) -> Vec<Input> {
    match *action {
        // a score that JSON does not bring back to the last digit
        Action::Retrieve { id, .. } => vec![Input::Retrieved {
            id,
            passages: vec![Passage {
                page: None,
                text: "We close at ten.".into(),
                source: "hours.md".into(),
                score: 1.825_422_5,
            }],
            failure: None,
        }],
        Action::StartLlm { id, .. } => vec![
            Input::Llm {
                id,
                event: Llm::Text("At ten.".into()),
            },
            Input::Llm {
                id,
                event: Llm::Finished { usage: None },
            },
        ],
        Action::Synthesize { id, .. } => vec![
            Input::Tts {
                id,
                event: Tts::FirstAudio,
            },
            Input::Tts {
                id,
                event: Tts::Finished {
                    duration: Duration::from_secs(1),
                },
            },
        ],
        Action::Play { id } => vec![
            Input::Playout(Playout::Started { id }),
            Input::Playout(Playout::Finished {
                id,
                played: Duration::from_secs(1),
            }),
        ],
        _ => Vec::new(),
    }
}

#[test]
fn a_recording_is_repeated_bit_for_bit() {
    let text = recorded();
    let replayed = replay(&text).unwrap();
    assert_eq!(replayed.diverged, 0, "{:?}", replayed.divergences);
    assert_eq!(replayed.steps + 2, text.lines().count());
    assert_eq!(replayed.ending, Some(Ending::Complete));
    assert_eq!(replayed.incomplete, None);
    assert!(
        replayed
            .timeline
            .iter()
            .any(|line| line.text == "item agent \"At ten.\""),
        "{:?}",
        replayed.timeline
    );
    assert!(
        text.contains(r#""frame":[0,0,32000]"#),
        "voice activity is kept short"
    );
    assert!(
        !text.contains("\"tool_choice\""),
        "requests are kept as a hash"
    );
}

#[test]
fn another_act_of_the_machine_is_named_with_its_time_and_input() {
    let text = recorded();
    let changed = text.replacen("When do you close?", "When do you open?", 1);
    let replayed = replay(&changed).unwrap();
    let first = &replayed.divergences[0];
    assert_eq!((first.line, first.at), (6, Instant::from_micros(50_005)));
    assert_eq!(first.input, Input::UserText("When do you open?".into()));
    assert!(first.pointer.starts_with("/emit/"), "{}", first.pointer);
    assert!(
        first
            .expected
            .as_ref()
            .unwrap()
            .to_string()
            .contains("When do you close?")
    );
    assert!(
        first
            .actual
            .as_ref()
            .unwrap()
            .to_string()
            .contains("When do you open?")
    );
}

#[test]
fn another_option_acts_differently_and_that_is_seen() {
    let text = recorded();
    let greeted = replay_with(&text, |header| {
        header.options.greeting = Some("Hello.".into())
    });
    let replayed = greeted.unwrap();
    assert_eq!(replayed.divergences[0].line, 2);
    assert_eq!(replayed.divergences[0].input, Input::Started);
}

#[test]
fn instructions_are_part_of_what_is_compared() {
    let replayed = replay_with(&recorded(), |header| header.instructions.push('!')).unwrap();
    assert_eq!(replayed.divergences[0].pointer, "/start_llm/request/hash");
}

#[test]
fn a_file_that_is_cut_off_is_repeated_as_far_as_it_goes_and_says_so() {
    let text = recorded();
    let whole = text.lines().count();
    let half_a_line = &text[..text.len() - 10];
    let told = replay(half_a_line).unwrap().incomplete.unwrap();
    assert!(
        told.starts_with(&format!("line {whole}: the recording is cut off")),
        "{told}"
    );
    let without_end = text.lines().take(4).collect::<Vec<_>>().join("\n") + "\n";
    let replayed = replay(&without_end).unwrap();
    assert_eq!((replayed.steps, replayed.diverged), (3, 0));
    assert!(
        replayed
            .incomplete
            .unwrap()
            .starts_with("line 4: the recording is cut off")
    );
}

#[test]
fn a_damaged_line_is_named() {
    let text = recorded();
    let damaged = text.replacen("\"t_us\":20002", "\"t_us\":oops", 1);
    assert!(matches!(
        replay(&damaged),
        Err(RecordingError::Damaged { line: 3, .. })
    ));
    let unknown = text.replacen("\"user_text\"", "\"user_txt\"", 1);
    let error = replay(&unknown).unwrap_err().to_string();
    assert!(
        error.starts_with("line 6: unknown variant `user_txt`"),
        "{error}"
    );
    assert!(matches!(replay(""), Err(RecordingError::Empty)));
    assert!(matches!(
        replay("hello"),
        Err(RecordingError::NotARecording(_))
    ));
    let newer = text.replacen("\"antiphon_recording\":1", "\"antiphon_recording\":2", 1);
    assert!(
        replay(&newer)
            .unwrap_err()
            .to_string()
            .ends_with("replay it with the version that wrote it, 0.1.0")
    );
}

#[test]
fn steps_that_were_not_recorded_end_the_repetition() {
    let mut lines: Vec<String> = recorded().lines().map(str::to_owned).collect();
    lines.insert(3, Line::dropped(7));
    let replayed = replay(&(lines.join("\n") + "\n")).unwrap();
    assert_eq!(replayed.steps, 2);
    assert!(
        replayed
            .incomplete
            .unwrap()
            .starts_with("line 4: 7 steps were not recorded")
    );
}

proptest! {
    #[test]
    fn a_file_with_anything_in_it_is_refused_or_repeated_and_never_a_panic(
        at in 0_usize..2000,
        cut in 0_usize..40,
        put in "[0-9a-z\\{\\}\\[\\]\",:\n_.é-]{0,8}",
    ) {
        let text = recorded();
        let chars: Vec<char> = text.chars().collect();
        let at = at.min(chars.len());
        let damaged: String = chars[..at]
            .iter()
            .copied()
            .chain(put.chars())
            .chain(chars.iter().copied().skip(at + cut))
            .collect();
        let _ = replay(&damaged);
    }
}

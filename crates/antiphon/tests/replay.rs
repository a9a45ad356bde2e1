//! `antiphon replay` as a user runs it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use std::process::Command;

use antiphon_dialogue::input::{Llm, Playout, Tts};
use antiphon_dialogue::{Action, Dialogue, Input, Instant, Options};
use antiphon_recording::{Ending, FORMAT, Header, Line, Step};
use serde_json::Value;

/// What the recorded machine had said.
const SPOKEN: &str = "{\"synthesize\":{\"id\":1,\"text\":\"At ten.\"}}";

/// A typed question, answered by providers that answer at once.
fn recorded() -> String {
    let header = Header {
        antiphon_recording: FORMAT,
        version: "0.1.0".into(),
        session: "AS_1".into(),
        agent: "antiphon".into(),
        started: "2026-01-31T12:00:00Z".into(),
        options: Options::default(),
        instructions: "Be brief.".into(),
        history: Vec::new(),
    };
    let mut dialogue = Dialogue::new(header.options.clone(), header.instructions.as_str())
        .named(header.agent.as_str());
    let mut lines = vec![header.to_line()];
    let mut waiting = vec![Input::Started, Input::UserText("When do you close?".into())];
    let mut at = 0;
    while !waiting.is_empty() {
        let input = waiting.remove(0);
        at += 100_000;
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
    let second = std::time::Duration::from_secs(1);
    let llm = |id, event| Input::Llm { id, event };
    let tts = |id, event| Input::Tts { id, event };
    match *action {
        Action::StartLlm { id, .. } => vec![
            llm(id, Llm::Text("At ten.".into())),
            llm(id, Llm::Finished { usage: None }),
        ],
        Action::Synthesize { id, .. } => vec![
            tts(id, Tts::FirstAudio),
            tts(id, Tts::Finished { duration: second }),
        ],
        Action::Play { id } => vec![
            Input::Playout(Playout::Started { id }),
            Input::Playout(Playout::Finished { id, played: second }),
        ],
        _ => Vec::new(),
    }
}

struct Run {
    code: Option<i32>,
    said: String,
    error: String,
}

fn antiphon(folder: &Path, arguments: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .current_dir(folder)
        .env("COLUMNS", "80")
        .args(arguments)
        .output()
        .unwrap();
    Run {
        code: output.status.code(),
        said: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Replays a file of this name with this text.
fn replay(text: &str, arguments: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("call.antiphon.jsonl"), text).unwrap();
    let mut all = vec!["replay", "call.antiphon.jsonl"];
    all.extend(arguments);
    antiphon(folder.path(), &all)
}

#[test]
fn a_recording_that_this_version_repeats_is_a_success() {
    let run = replay(&recorded(), &[]);
    assert_eq!(run.code, Some(0), "{}{}", run.said, run.error);
    assert_eq!(
        run.said,
        "session AS_1 of 2026-01-31T12:00:00Z, recorded by version 0.1.0: 8 inputs in 0.8 s\n\
         identical: this version acts as was recorded\n"
    );
    let drawn = replay(&recorded(), &["--timeline"]);
    assert!(drawn.said.contains("»When do you close?"), "{}", drawn.said);
    assert!(
        drawn.said.contains("    0.800  item agent \"At ten.\"\n"),
        "{}",
        drawn.said
    );
}

#[test]
fn where_this_version_acts_differently_is_a_failure_that_shows_both() {
    let changed = recorded().replacen(SPOKEN, &SPOKEN.replace("ten", "nine"), 1);
    let run = replay(&changed, &[]);
    assert_eq!(run.code, Some(1), "{}", run.said);
    let said = &run.said;
    assert!(
        said.contains("\ndifferent at 0.400000 s (line 5)\n"),
        "{said}"
    );
    assert!(
        said.contains("\n  recorded     {\"synthesize\":{\"id\":"),
        "{said}"
    );
    assert!(said.contains("At nine."), "{said}");
    assert!(
        said.contains("\n  now          {\"synthesize\":{\"id\":"),
        "{said}"
    );
    assert!(said.contains("\n  first at     /synthesize/text"), "{said}");
}

#[test]
fn for_machines_there_are_the_same_facts() {
    let changed = recorded().replacen(SPOKEN, &SPOKEN.replace("ten", "nine"), 1);
    let run = replay(&changed, &["--json"]);
    assert_eq!(run.code, Some(1));
    let report: Value = serde_json::from_str(&run.said).unwrap();
    assert_eq!(report["schema"], "antiphon.replay/1");
    assert_eq!(report["session"], "AS_1");
    assert_eq!(report["version"], "0.1.0");
    assert_eq!(report["inputs"], 8);
    assert_eq!(report["identical"], false);
    assert_eq!(report["complete"], true);
    assert_eq!(report["diverged"], 1);
    let first = &report["divergences"][0];
    assert_eq!(
        (&first["line"], &first["t_us"]),
        (&5.into(), &400_000.into())
    );
    assert_eq!(first["pointer"], "/synthesize/text");
    assert_eq!(first["expected"]["synthesize"]["text"], "At nine.");
    assert_eq!(first["actual"]["synthesize"]["text"], "At ten.");
    let whole: Value = serde_json::from_str(&replay(&recorded(), &["--json"]).said).unwrap();
    assert_eq!(whole["identical"], true);
    let heard = serde_json::json!({"t_us": 800_000, "text": "item agent \"At ten.\""});
    let timeline = whole["timeline"].as_array().unwrap();
    assert!(timeline.contains(&heard), "{timeline:?}");
}

/// What a process leaves that is killed while it writes.
#[test]
fn a_recording_whose_last_line_is_cut_is_repeated_as_far_as_it_goes_and_is_no_success() {
    let text = recorded();
    let whole = text.lines().count();
    let before_end = text.find("{\"end\"").unwrap();
    for (cut, line, inputs) in [
        (text.len() - 5, whole, 8),
        (before_end, whole - 1, 8),
        (before_end - 5, whole - 1, 7),
    ] {
        let run = replay(&text[..cut], &[]);
        assert_eq!(run.code, Some(1), "{}", run.said);
        assert!(
            run.said.contains(&format!(": {inputs} inputs in ")),
            "{}",
            run.said
        );
        assert!(run.said.contains("\nidentical: "), "{}", run.said);
        let told = format!("\nincomplete: line {line}: the recording is cut off there (");
        assert!(run.said.contains(&told), "{}", run.said);
    }
}

#[test]
fn a_file_that_cannot_be_replayed_says_which_where_and_what_to_do() {
    let text = recorded();
    for (text, expected) in [
        (
            text.replacen("\"t_us\":200000", "\"t_us\":oops", 1),
            "error: call.antiphon.jsonl: line 3: expected value at line 1 column 9; the file is damaged there: a copy of the 2 \
             lines before it can be replayed\n",
        ),
        (
            text.replacen(
                "\"antiphon_recording\":1,\"version\":\"0.1.0\"",
                "\"antiphon_recording\":2,\"version\":\"9.8.7\"",
                1,
            ),
            "error: call.antiphon.jsonl: line 1: the recording has format 2, this version reads 1; replay it with the version \
             that wrote it, 9.8.7\n",
        ),
        (
            String::new(),
            "error: call.antiphon.jsonl: the file is empty: the process ended before the session's first line was written; \
             take another recording\n",
        ),
        (
            "title A scenario\n".to_owned(),
            "error: call.antiphon.jsonl: line 1: this is no recording of `antiphon` (expected ident at line 1 column 2); \
             recordings begin with {\"antiphon_recording\":1,…}\n",
        ),
    ] {
        let run = replay(&text, &[]);
        assert_eq!((run.code, run.said.as_str()), (Some(1), ""));
        assert_eq!(run.error, expected);
    }
    let folder = tempfile::tempdir().unwrap();
    let run = antiphon(folder.path(), &["replay", "missing.antiphon.jsonl"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.error
            .starts_with("error: cannot read missing.antiphon.jsonl: "),
        "{}",
        run.error
    );
    assert!(
        run.error
            .ends_with("; name a recording, one of the files that `--record FOLDER` makes\n"),
        "{}",
        run.error
    );
}

#[test]
fn a_recording_can_be_kept_as_a_scenario_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("call.antiphon.jsonl"), recorded()).unwrap();
    let written = antiphon(
        folder.path(),
        &["replay", "call.antiphon.jsonl", "--scenario"],
    );
    assert_eq!(written.code, Some(0), "{}", written.error);
    let kept = written.said + "once item agent \"At ten.\"\n";
    std::fs::write(folder.path().join("call.scenario"), kept).unwrap();
    let run = antiphon(folder.path(), &["simulate", "call.scenario"]);
    assert_eq!(run.code, Some(0), "{}", run.said);
    assert!(
        run.said.contains("ok   call.scenario: recording AS_1\n"),
        "{}",
        run.said
    );
}

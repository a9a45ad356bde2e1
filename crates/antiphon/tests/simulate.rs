//! `antiphon simulate` as a user runs it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const PASSES: &str = "\
title A question is answered
agent none
llm \"Until ten o'clock tonight.\" after 100ms lasting 300ms
0.5-2.0 says \"Until when are you open\"
expect audible \"Until ten o'clock tonight.\"
end 6
";
const FAILS: &str = "\
title A question is never answered
agent none
llm hangs
0.5-2.0 says \"Until when are you open\"
expect 2.0-4.0 agent speaking
end 5
";

struct Run {
    code: Option<i32>,
    said: String,
    error: String,
}

fn run(folder: &Path, arguments: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .current_dir(folder)
        .env("COLUMNS", "80")
        .arg("simulate")
        .args(arguments)
        .output()
        .unwrap();
    Run {
        code: output.status.code(),
        said: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path: PathBuf = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

#[test]
fn the_scenarios_of_the_example_pass() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let run = run(&repository, &["examples/restaurant/scenarios"]);
    assert_eq!(run.code, Some(0), "{}", run.said);
}

#[test]
fn a_wrong_word_fails_the_run_and_names_its_file_and_line() {
    let folder = folder(&[("a.scenario", "llm \"Hi\"\nexpct agent speaking\n")]);
    let run = run(folder.path(), &["a.scenario"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.said.starts_with("FAIL a.scenario\n     line 2: "),
        "{}",
        run.said
    );
    assert!(run.said.contains("did you mean `expect`?"), "{}", run.said);
}

#[test]
fn a_call_is_drawn_with_everybody_in_it() {
    let folder = folder(&[("a.scenario", PASSES)]);
    let run = run(folder.path(), &["a.scenario"]);
    assert_eq!(run.code, Some(0), "{}", run.said);
    let expected = "\
ok   a.scenario: A question is answered

         0s        0.5s      1s        1.5s      2s        2.5s      3s
caller             [Until when are you open─────]
agent                                                          [Until ten o'clo
llm                                                  [·Unt]
tts                                                        [···]

         3.5s      4s
caller
agent    ck tonight.──────]
1 passed, 0 failed
";
    assert_eq!(run.said, expected);
}

#[test]
fn one_file_of_many_that_fails_fails_the_run_and_alone_is_drawn() {
    let folder = folder(&[
        ("calls/a.scenario", PASSES),
        ("calls/b.scenario", FAILS),
        ("calls/more/c.scenario", PASSES),
        ("calls/notes.txt", "no scenario"),
    ]);
    let run = run(folder.path(), &["calls"]);
    assert_eq!(run.code, Some(1), "{}", run.said);
    let verdicts: Vec<&str> = run
        .said
        .lines()
        .filter(|line| line.starts_with("ok ") || line.starts_with("FAIL"))
        .collect();
    assert_eq!(
        verdicts,
        [
            "ok   calls/a.scenario: A question is answered",
            "FAIL calls/b.scenario: A question is never answered",
            "ok   calls/more/c.scenario: A question is answered",
        ]
    );
    assert_eq!(run.said.matches("\ncaller ").count(), 1, "{}", run.said);
    assert!(
        run.said
            .contains("\n     line 5: expected `agent speaking`, never seen"),
        "{}",
        run.said
    );
    let summary = "
   1 passed, 1 failed  calls
   1 passed, 0 failed  calls/more
2 passed, 1 failed
";
    assert!(run.said.ends_with(summary), "{}", run.said);
}

#[test]
fn the_index_lists_titles_by_topic() {
    let folder = folder(&[
        ("calls/end/a.scenario", PASSES),
        ("calls/end/b.scenario", FAILS),
        ("calls/begin/c.scenario", "llm \"Hi\"\n"),
        ("calls/d.scenario", PASSES),
    ]);
    let index = run(folder.path(), &["calls", "--index"]);
    assert_eq!(index.code, Some(0), "{}", index.error);
    let expected = "\
- [A question is answered](d.scenario)

### begin (1)

- [c](begin/c.scenario)

### end (2)

- [A question is answered](end/a.scenario)
- [A question is never answered](end/b.scenario)
";
    assert_eq!(index.said, expected);
}

#[test]
fn the_index_of_our_own_scenarios_is_current() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let index = run(&repository, &["crates/dialogue/scenarios", "--index"]);
    let readme = repository.join("crates/dialogue/scenarios/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, rest) = readme.split_once("<!-- begin of the index -->").unwrap();
    let (written, _) = rest.split_once("<!-- end of the index -->").unwrap();
    assert!(
        written.trim() == index.said.trim(),
        "put the output of `antiphon simulate crates/dialogue/scenarios --index` between the two marks of the README there"
    );
}

#[test]
fn for_machines_there_are_the_same_facts_as_for_people() {
    let folder = folder(&[("a.scenario", PASSES), ("b.scenario", FAILS)]);
    let files = ["a.scenario", "b.scenario"];
    let people = run(folder.path(), &["--timeline", files[0], files[1]]);
    let machines = run(folder.path(), &["--json", files[0], files[1]]);
    assert_eq!((people.code, machines.code), (Some(1), Some(1)));
    let report: Value = serde_json::from_str(&machines.said).unwrap();
    assert_eq!(report["schema"], "antiphon.simulation/1");
    assert_eq!(
        (&report["passed"], &report["failed"]),
        (&1.into(), &1.into())
    );
    for (file, name) in report["files"].as_array().unwrap().iter().zip(files) {
        assert_eq!(file["file"], name);
        let title = file["title"].as_str().unwrap();
        assert!(
            people.said.contains(&format!("{name}: {title}\n")),
            "{title}"
        );
        for failure in file["failures"].as_array().unwrap() {
            let (line, problem) = (&failure["line"], failure["problem"].as_str().unwrap());
            let line = format!("     line {line}: {problem}");
            assert!(people.said.contains(&line), "{line}\n{}", people.said);
        }
        let timeline = file["timeline"].as_array().unwrap();
        assert!(timeline.len() > 10, "{timeline:?}");
        for moment in timeline {
            let seconds = moment["t_us"].as_u64().unwrap() as f64 / 1e6;
            let line = format!("\n{seconds:>9.3}  {}", moment["text"].as_str().unwrap());
            assert!(people.said.contains(&line), "{line}\n{}", people.said);
        }
    }
    let lanes: Vec<&str> = report["files"][0]["spans"]
        .as_array()
        .unwrap()
        .iter()
        .map(|span| span["lane"].as_str().unwrap())
        .collect();
    for lane in ["caller", "agent", "llm", "tts"] {
        assert!(lanes.contains(&lane), "{lane}: {lanes:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_fails_and_says_what_to_do_and_the_others_run() {
    let folder = folder(&[("a.scenario", PASSES), ("notes/b.txt", "nothing")]);
    std::fs::write(folder.path().join("c.scenario"), [0xff, 0xfe, 0x00]).unwrap();
    let missing = run(
        folder.path(),
        &["missing.scenario", "c.scenario", "a.scenario"],
    );
    assert_eq!(missing.code, Some(1));
    let said = &missing.said;
    assert!(
        said.contains("FAIL missing.scenario\n     cannot be read: "),
        "{said}"
    );
    assert!(
        said.contains("; name scenario files, or folders of them\n"),
        "{said}"
    );
    assert!(
        said.contains("FAIL c.scenario\n     is no text: save it as UTF-8\n"),
        "{said}"
    );
    assert!(said.contains("ok   a.scenario"), "{said}");
    assert!(said.ends_with("\n1 passed, 2 failed\n"), "{said}");
    let empty = run(folder.path(), &["notes"]);
    assert_eq!(empty.code, Some(1));
    assert_eq!(
        empty.error,
        "error: notes holds no file whose name ends in .scenario\n"
    );
}

#[test]
fn a_tool_that_the_agent_does_not_have_fails_with_its_line() {
    let folder = folder(&[
        ("antiphon.toml", "name = \"a\"\n"),
        ("a.scenario", "llm \"Hi\"\n\ntool book gives \"done\"\n"),
    ]);
    let run = run(folder.path(), &["a.scenario"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.said.contains("     line 3: There is no tool `book`"),
        "{}",
        run.said
    );
}

#[test]
fn a_scenario_is_explored_from_a_seed_with_the_same_result_every_time() {
    let folder = folder(&[("a.scenario", PASSES)]);
    let explore = |seed| {
        run(
            folder.path(),
            &["a.scenario", "--seed", seed, "--steps", "3000"],
        )
    };
    let (first, again, other) = (explore("1"), explore("1"), explore("2"));
    assert_eq!(first.code, Some(0), "{}", first.said);
    assert!(
        first.said.starts_with("# ok   a.scenario: 3"),
        "{}",
        first.said
    );
    assert_eq!(first.said, again.said);
    assert_ne!(first.said, other.said);
}

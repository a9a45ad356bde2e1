//! `antiphon simulate` as a user runs it.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::Command;

fn simulate(path: &str) -> (bool, String) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .current_dir(repository)
        .args(["simulate", path])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), said)
}

#[test]
fn the_scenarios_of_the_example_pass() {
    let (passed, said) = simulate("examples/restaurant/scenarios");
    assert!(passed, "{said}");
}

#[test]
fn a_wrong_word_fails_the_run_and_names_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.scenario");
    std::fs::write(&file, "llm \"Hi\"\nexpct agent speaking\n").unwrap();
    let (passed, said) = simulate(&file.to_string_lossy());
    assert!(!passed);
    assert!(said.contains("line 2: "), "{said}");
    assert!(said.contains("did you mean `expect`?"), "{said}");
}

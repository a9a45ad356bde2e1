//! What somebody does in the first hour: follow the README, take an example, make a mistake. With the program itself, in an
//! empty folder, without any key.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod typed;

use std::path::Path;
use std::process::{Command, Output};

fn antiphon(folder: &Path, arguments: &[&str], typed: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder);
    typed::typed(&mut command, folder, arguments, typed)
}

fn out(output: &Output) -> String {
    let both = [&output.stdout, &output.stderr];
    both.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .join("\n")
}

/// Code blocks of this language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    page.split(&format!("```{language}\n"))
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect()
}

/// Typed into the console, it is answered without a word of trouble.
fn answers(folder: &Path, question: &str) -> String {
    let output = antiphon(folder, &["console"], question);
    let said = out(&output);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("error:"), "{said}");
    let answers = said.lines().filter(|line| line.starts_with("agent: "));
    assert!(answers.count() >= 2, "a greeting and an answer: {said}");
    said
}

#[test]
fn the_readmes_file_runs_as_it_stands_in_an_empty_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = blocks(include_str!("../../../README.md"), "toml").concat();
    std::fs::write(folder.path().join("antiphon.toml"), &file).unwrap();
    let said = answers(
        folder.path(),
        "A table for two tomorrow at seven, please, for Ada.\n",
    );
    assert!(said.contains("The Olive Press"), "{said}");
    // and so it does when somebody takes the # away, as far as it needs nothing of theirs
    let with_knowledge = file.replace("# [knowledge]\n# path", "[knowledge]\npath");
    assert_ne!(with_knowledge, file);
    std::fs::write(folder.path().join("antiphon.toml"), with_knowledge).unwrap();
    let output = antiphon(folder.path(), &["console"], "");
    assert!(
        out(&output).contains("make that folder"),
        "{}",
        out(&output)
    );
}

#[test]
fn what_init_writes_runs_and_the_next_init_overwrites_nothing() {
    for (example, question, part) in [
        ("minimal", "Where can I park?\n", "parking"),
        ("restaurant", "Do you have vegan dishes?\n", "vegan"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = antiphon(folder.path(), &["init", "--example", example, "mine"], "");
        assert!(output.status.success(), "{}", out(&output));
        assert!(out(&output).contains("cd mine"), "{}", out(&output));
        let mine = folder.path().join("mine");
        let said = answers(&mine, question);
        assert!(said.to_lowercase().contains(part), "{example}: {said}");
        let again = antiphon(folder.path(), &["init", "--example", example, "mine"], "");
        assert_eq!(again.status.code(), Some(1));
        assert!(
            out(&again).contains("nothing was written"),
            "{}",
            out(&again)
        );
    }
}

#[test]
fn the_restaurants_scenarios_pass_where_init_has_written_them() {
    let folder = tempfile::tempdir().unwrap();
    antiphon(folder.path(), &["init", "--example", "restaurant"], "");
    let output = antiphon(folder.path(), &["simulate", "scenarios"], "");
    assert!(output.status.success(), "{}", out(&output));
}

#[test]
fn every_mistake_of_a_file_is_shown_with_its_line_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = "greting = \"Hello\"\n[llm]\ntemprature = 1\n";
    std::fs::write(folder.path().join("antiphon.toml"), file).unwrap();
    let output = antiphon(folder.path(), &["console"], "");
    let said = out(&output);
    assert!(
        said.contains("did you mean `greeting`?") && said.contains("did you mean `temperature`?"),
        "{said}"
    );
    assert!(
        said.contains("  3 | temprature = …\n    | ^^^^^^^^^^"),
        "{said}"
    );
}

#[test]
fn every_crate_can_be_published_and_says_what_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let crates = std::fs::read_dir(root.join("crates")).unwrap();
    let manifests = crates.map(|entry| entry.unwrap().path().join("Cargo.toml"));
    for manifest in manifests.chain([root.join("examples/restaurant/Cargo.toml")]) {
        let text = std::fs::read_to_string(&manifest).unwrap();
        for key in [
            "description = \"",
            "license.workspace",
            "repository.workspace",
        ] {
            assert!(text.contains(key), "{}: no {key}", manifest.display());
        }
    }
}

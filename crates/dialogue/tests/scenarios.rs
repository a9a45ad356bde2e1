//! Every file in `scenarios/` is run and must see what it expects.
#![allow(clippy::unwrap_used, clippy::panic)]

use antiphon_scenario::{Scenario, run};

#[test]
fn every_scenario_ends_as_it_says() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
    let only = std::env::var("SCENARIO").unwrap_or_default();
    let mut count = 0;
    let mut report = String::new();
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "scenario"))
        .collect();
    files.sort();
    for path in files
        .iter()
        .filter(|path| path.to_string_lossy().contains(&only))
    {
        let scenario = Scenario::parse(&std::fs::read_to_string(path).unwrap())
            .unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let outcome = run(&scenario);
        count += 1;
        if !outcome.failures.is_empty() {
            report += &format!("\n== {}\n", path.file_stem().unwrap().to_string_lossy());
            for failure in &outcome.failures {
                report += &format!("  {failure}\n");
            }
            if !only.is_empty() {
                for line in &outcome.timeline {
                    report += &format!(
                        "    {:.3} {}\n",
                        line.at.as_micros() as f64 / 1e6,
                        line.text
                    );
                }
            }
        }
    }
    assert!(report.is_empty(), "{report}");
    assert!(count > 0);
}

#[test]
fn a_typo_in_a_scenario_is_named_with_its_line() {
    let error = Scenario::parse("llm \"Hi\"\nexpct 3 agent").unwrap_err();
    assert_eq!(error.line, 2);
}

/// The reference's scenarios are all accounted for, and what the list names is there.
#[test]
fn the_list_of_the_references_scenarios_is_true() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let list = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let rows: Vec<&str> = list
        .lines()
        .filter(|line| {
            line.strip_prefix("| ")
                .is_some_and(|row| row.starts_with(|c: char| c.is_ascii_digit()))
        })
        .collect();
    assert_eq!(rows.len(), 22, "numbers of the reference's list");
    for name in rows
        .iter()
        .filter_map(|row| row.split('|').nth(3))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter(|name| !name.starts_with("crates/"))
    {
        let file = folder.join(name).with_extension("scenario");
        assert!(file.exists(), "{name} is listed and is not there");
    }
}

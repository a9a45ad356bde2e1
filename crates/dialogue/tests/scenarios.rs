//! Every file in `scenarios/` is run and must see what it expects.

#![allow(clippy::disallowed_methods, reason = "what the environment asks for")]
#![allow(clippy::unwrap_used, clippy::panic)]

use antiphon_scenario::{Scenario, run};

mod files;

#[test]
fn every_scenario_ends_as_it_says() {
    let only = std::env::var("SCENARIO").unwrap_or_default();
    let mut count = 0;
    let mut report = String::new();
    for (name, file) in files::scenarios()
        .iter()
        .filter(|(name, _)| name.contains(&only))
    {
        let scenario = Scenario::parse(&std::fs::read_to_string(file).unwrap())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let outcome = run(&scenario);
        count += 1;
        if !outcome.failures.is_empty() {
            report += &format!("\n== {name}\n");
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

/// A newcomer finds a rule by its topic and reads it in the title.
#[test]
fn every_scenario_has_a_topic_a_short_name_and_a_sentence() {
    for (name, file) in files::scenarios() {
        let (topic, short) = name.split_once('/').unwrap_or_default();
        assert!(!topic.is_empty(), "{name}: put it into a topic's folder");
        assert!(!short.contains('/'), "{name}: topics have no folders");
        let words = short.split('-').count();
        assert!((1..=6).contains(&words), "{name}: shorten the name");
        let scenario = Scenario::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
        assert!(
            scenario.title.is_some(),
            "{name}: say in a `title` line, as one sentence, what the caller notices"
        );
    }
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

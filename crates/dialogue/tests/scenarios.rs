//! Every file in `scenarios/` is run and must see what it expects.
#![allow(clippy::unwrap_used, clippy::panic)]

use antiphon_dialogue::scenario::{Scenario, run};

#[test]
fn every_scenario_ends_as_it_says() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
    let only = std::env::var("SCENARIO").unwrap_or_default();
    let mut count = 0;
    let mut report = String::new();
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
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

//! `docs/configuration.md` and the program agree: every key of the file has a row, every row is a key, and a default that the
//! page names is the default. A row is tried by writing its default into a file: nothing may change by it. A value beside it
//! must change something, or this test would see nothing.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use antiphon_agent::RecorderOptions;
use antiphon_protocol::Keys;
use antiphon_server::{Limits, ServerConfig};

use super::{options, providers, recorder_options};
use crate::config::{Config, Secrets, parse};
use crate::verbs::serve::with_sections;

/// Rows whose default is no value to write into a file: the name of another key or variable, or several values, which are
/// compared below.
const NO_VALUE: [(&str, &str); 10] = [
    ("llm", "base_url"),
    ("tts", "base_url"),
    ("tts", "voice"),
    ("turn", "min_thinking_interruption_words"),
    ("server", "bind"),
    ("limits", "joins_per_second"),
    ("limits", "api_per_second"),
    ("limits", "key_per_second"),
    ("telemetry", "log_format"),
    ("telemetry", "log_level"),
];
/// One value is all there is.
const ONE_VALUE: [(&str, &str); 1] = [("vad", "provider")];

/// A row of the page.
#[derive(Debug)]
struct Row {
    section: String,
    key: String,
    default: String,
    meaning: String,
}

fn rows(page: &str) -> Vec<Row> {
    let mut section = None;
    let mut rows = Vec::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = match title.split('`').nth(1) {
                // their keys are on a page of their own
                Some(name) if name.starts_with("[[") => None,
                Some(name) => Some(name.trim_matches(['[', ']']).to_owned()),
                None => (title == "Top level").then(String::new),
            };
        }
        // an empty cell has one space between its bars
        let line = line.replace("| |", "|  |");
        let cells: Vec<&str> = line.split(" | ").collect();
        let (Some(section), [keys, default, meaning @ ..]) = (&section, &*cells) else {
            continue;
        };
        for key in keys.split('`').skip(1).step_by(2) {
            rows.push(Row {
                section: section.clone(),
                key: key.to_owned(),
                default: default.trim().to_owned(),
                meaning: meaning.join(" | "),
            });
        }
    }
    rows
}

fn file(section: &str, key: &str, value: &str) -> String {
    let needed = if section == "knowledge" && key != "path" {
        "path = \"k\"\n"
    } else {
        ""
    };
    match section {
        "" => format!("{key} = {value}"),
        "knowledge.embedding" => {
            format!("[knowledge]\npath = \"k\"\n[{section}]\n{key} = {value}")
        }
        section => format!("[{section}]\n{needed}{key} = {value}"),
    }
}

fn read(section: &str, text: &str) -> Result<String, String> {
    let text = match (section, text) {
        ("knowledge" | "knowledge.embedding", "") => "[knowledge]\npath = \"k\"",
        (_, text) => text,
    };
    let config = parse(text, Path::new("antiphon.toml")).map_err(|error| error.to_string())?;
    Ok(effective(&config))
}

/// What a configuration comes to, for everybody who is configured by it.
fn effective(config: &Config) -> String {
    let secrets = Secrets::from_lookup(|name| name.ends_with("KEY").then(|| "k".into()));
    let mut tts = providers::tts_config(config, &secrets);
    tts.speed = tts.speed.or(Some(1.0)); // what a request without it means
    let mut options = options(config).unwrap();
    options.min_endpointing_delay = Some(options.min_endpointing_delay());
    options.max_endpointing_delay = Some(options.max_endpointing_delay());
    let knowledge = config.knowledge.as_ref().map(|knowledge| {
        (
            super::knowledge::top_k(knowledge),
            knowledge.automatic.unwrap_or(true),
            &knowledge.filter,
            knowledge.embedding.provider,
            knowledge
                .embedding
                .model
                .as_deref()
                .unwrap_or(antiphon_openai::embeddings::DEFAULT_EMBEDDING_MODEL),
            &knowledge.embedding.base_url,
            knowledge.embedding.dimensions,
        )
    });
    let recorded = Config {
        telemetry: crate::config::TelemetryConfig {
            record: Some("r".into()),
            ..config.telemetry.clone()
        },
        ..config.clone()
    };
    let recorder = recorder_options(&recorded, Vec::new()).map(
        |RecorderOptions {
             max_files, max_age, ..
         }| (max_files, max_age),
    );
    // Some settings matter with the public key only.
    let keys = Keys::single(crate::verbs::DEV_KEY, crate::verbs::DEV_SECRET);
    let server = with_sections(ServerConfig::new(keys), config);
    let llm = providers::llm_config(config, &secrets, None, config.llm.model.as_deref());
    format!(
        "{} {:?} {:?} {:?} {:?} {:?}\n{options:?}\n{:?}\n{llm:?}\n{tts:?}\n{:?}\n{knowledge:?}\n{recorder:?}\n{server:?}\n{:?}\n{:?}",
        config.name,
        config.stt.provider,
        config.llm.provider,
        config.tts.provider,
        config.vad.provider,
        config.turn.detector,
        providers::deepgram(config, &secrets).unwrap(),
        providers::silero_options(config),
        config.telemetry.events,
        config.room.bind_options(),
    )
}

/// Other values of the same kind, some of which the file takes: those that the row names, and those beside it.
fn others(row: &Row, value: &str) -> Vec<String> {
    let mut others: Vec<String> = match value {
        "true" => vec!["false".into()],
        "false" => vec!["true".into()],
        "[]" => [
            "other",
            "10.9.8.7",
            "https://app.example",
            "voice.example.com",
        ]
        .map(|one| format!("[{one:?}]"))
        .into(),
        "{}" => vec!["{ other = 1 }".into()],
        text if text.starts_with('"') => vec!["\"other\"".into()],
        number => {
            let number: f64 = number.parse().unwrap();
            vec![format!("{}", number + 1.0), format!("{:?}", number / 2.0)]
        }
    };
    let named = row.meaning.split('`').skip(1).step_by(2);
    others.extend(named.map(|name| format!("{name:?}")));
    others
}

fn page() -> Vec<Row> {
    rows(include_str!("../../../../docs/configuration.md"))
}

#[test]
fn every_default_that_the_page_names_is_the_default() {
    let no_value: BTreeSet<(&str, &str)> = NO_VALUE.into();
    let mut wrong = Vec::new();
    for row in page() {
        let (section, key) = (row.section.as_str(), row.key.as_str());
        if no_value.contains(&(section, key)) {
            continue;
        }
        // "never", "none", "the provider's": the key is absent, and its field an `Option`
        let Some(value) = row.default.split('`').nth(1) else {
            continue;
        };
        let without = read(section, "").unwrap();
        match read(section, &file(section, key, value)) {
            Err(error) => wrong.push(format!("[{section}] {key} = {value}: {error}")),
            Ok(with) if with != without => {
                let lines = with.lines().zip(without.lines());
                let (with, without) = lines.into_iter().find(|(a, b)| a != b).unwrap();
                wrong.push(format!(
                    "[{section}] {key} = {value} is not the default:\n{with}\n{without}"
                ));
            }
            Ok(_) if ONE_VALUE.contains(&(section, key)) => {}
            Ok(_) => {
                let seen = others(&row, value)
                    .iter()
                    .filter_map(|other| read(section, &file(section, key, other)).ok())
                    .any(|with| with != without);
                if !seen {
                    wrong.push(format!(
                        "[{section}] {key}: no other value changes anything"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn defaults_of_several_values_are_what_the_page_says() {
    let limits = Limits::default();
    let rate = |rate, burst| format!("`{rate}`, at once `{burst}`");
    let voice = antiphon_openai::config::DEFAULT_VOICE;
    let bind = ServerConfig::new(Keys::single("k", "s")).bind[0];
    let expected: BTreeMap<(&str, &str), String> = [
        (
            ("limits", "joins_per_second"),
            rate(limits.joins_per_second, limits.joins_burst),
        ),
        (
            ("limits", "api_per_second"),
            rate(limits.api_per_second, limits.api_burst),
        ),
        (
            ("limits", "key_per_second"),
            rate(limits.key_per_second, limits.key_burst),
        ),
        (
            ("tts", "voice"),
            format!(
                "`{voice}`, `{}`, `{}`, `slt`, `en-us`",
                antiphon_hibari::tts::VOICE,
                antiphon_hibari::tts::KOKORO_VOICE
            ),
        ),
        (("server", "bind"), format!("`{bind}`; `dev`: `127.0.0.1`")),
        (
            ("limits", "max_sessions"),
            format!("{} a core", crate::verbs::SESSIONS_A_CORE),
        ),
    ]
    .into();
    for row in page() {
        if let Some(expected) = expected.get(&(row.section.as_str(), row.key.as_str())) {
            assert_eq!(&row.default, expected, "[{}] {}", row.section, row.key);
        }
    }
}

#[test]
fn every_key_of_the_file_has_a_row_and_every_row_is_a_key() {
    let mut documented: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in page() {
        documented.entry(row.section).or_default().insert(row.key);
    }
    let sections: BTreeSet<String> = documented.keys().cloned().collect();
    for (section, keys) in documented {
        let text = file(&section, "qqqqqqqq", "1");
        let error = read(&section, &text).unwrap_err();
        let known = error
            .split("known here: ")
            .nth(1)
            .unwrap_or_else(|| panic!("{error}"));
        let known: BTreeSet<String> = known
            .lines()
            .next()
            .unwrap_or_default()
            .split(", ")
            .map(str::to_owned)
            .filter(|key| !section.is_empty() || !(sections.contains(key) || key == "tool"))
            .collect();
        assert_eq!(keys, known, "[{section}]");
    }
}

//! A program with an agent of its own, as [`antiphon::run`] makes one. This file is that program when it is told so, and
//! else its test, which starts itself: a test harness would have its own command line.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs
)]

mod typed;

use std::path::Path;
use std::process::{Command, ExitCode, Output};

use antiphon::prelude::*;
use antiphon_simulator::{LlmRule, Script, Simulator, ToolCallScript};
use serde_json::json;

/// In the environment: be the program.
const PROGRAM: &str = "ANTIPHON_TEST_IS_THE_PROGRAM";
const FILE: &str = "\
name = \"game-night\"
instructions = \"From the file.\"
greeting = \"From the file.\"
trouble_message = \"The dice fell off the table.\"
[stt]
provider = \"none\"
[tts]
provider = \"none\"
";

/// Rolls a die.
#[tool]
async fn roll_die(
    /// How many sides it has.
    sides: u32,
) -> String {
    format!("It shows {sides}.")
}

fn main() -> ExitCode {
    if std::env::var_os(PROGRAM).is_some() {
        return antiphon::run(|agent| {
            agent
                .instructions("You run a game night.")
                .greeting("Who plays?")
                .tool(roll_die)
        });
    }
    what_the_program_says_is_what_the_caller_and_the_model_get();
    println!("test what_the_program_says_is_what_the_caller_and_the_model_get ... ok");
    scenarios_are_run_against_the_programs_agent_and_its_file();
    println!("test scenarios_are_run_against_the_programs_agent_and_its_file ... ok");
    a_program_whose_agent_cannot_be_ends_with_what_is_wrong();
    println!("test a_program_whose_agent_cannot_be_ends_with_what_is_wrong ... ok");
    ExitCode::SUCCESS
}

fn program(folder: &Path, arguments: &[&str], openai: &str, typed: &str) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .env_clear()
        .env(PROGRAM, "1")
        .env("OPENAI_BASE_URL", openai);
    typed::typed(&mut command, folder, arguments, typed)
}

fn said(output: &Output) -> (String, String) {
    (
        String::from_utf8(output.stdout.clone()).unwrap(),
        String::from_utf8(output.stderr.clone()).unwrap(),
    )
}

fn what_the_program_says_is_what_the_caller_and_the_model_get() {
    let script = Script {
        rules: vec![
            LlmRule {
                tool_calls: vec![ToolCallScript {
                    name: "roll_die".into(),
                    arguments: json!({"sides": 6}),
                }],
                ..LlmRule::default()
            },
            LlmRule {
                after_tool: Some("roll_die".into()),
                text: "I rolled. {tool}".into(),
                ..LlmRule::default()
            },
        ],
        ..Script::default()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let simulator = runtime.block_on(Simulator::start(script)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("antiphon.toml"), FILE).unwrap();
    let openai = simulator.openai_base_url();
    let output = program(folder.path(), &["console"], &openai, "Roll for me\n");
    let (out, error) = said(&output);
    assert!(output.status.success(), "{out}{error}");
    let agent: Vec<&str> = out
        .lines()
        .filter(|line| line.starts_with("agent: "))
        .collect();
    assert_eq!(
        agent,
        ["agent: Who plays?", "agent: I rolled. It shows 6."],
        "{out}{error}"
    );
    let requests = simulator.requests_to("/v1/chat/completions");
    let body = &requests[0].body;
    assert_eq!(body["messages"][0]["content"], "You run a game night.");
    assert_eq!(body["tools"][0]["function"]["name"], "roll_die");
    assert_eq!(body["tools"][0]["function"]["description"], "Rolls a die.");
}

fn scenarios_are_run_against_the_programs_agent_and_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "good.scenario",
        "llm \"Let me roll.\" call roll_die {\"sides\":6}\nllm fails\ntool roll_die gives \"6\"\nat 3 type \"Roll\"\nend 20\n\
         expect item agent \"Who plays?\"\nexpect item agent \"The dice fell off the table.\"\n",
    );
    write("bad.scenario", "llm \"Hi\"\ntool roll_dice gives \"6\"\n");
    write("antiphon.toml", FILE);
    let run = |file| program(folder.path(), &["simulate", file], "", "");
    let good = run("good.scenario");
    assert!(good.status.success(), "{:?}", said(&good));
    let bad = run("bad.scenario");
    assert_eq!(bad.status.code(), Some(1));
    let (out, _) = said(&bad);
    assert!(
        out.contains("line 2: There is no tool `roll_dice`. The tools are: roll_die"),
        "{out}"
    );
    // a program needs no file
    std::fs::remove_file(folder.path().join("antiphon.toml")).unwrap();
    write(
        "alone.scenario",
        "expect item agent \"Who plays?\"\nend 5\n",
    );
    let alone = run("alone.scenario");
    assert!(alone.status.success(), "{:?}", said(&alone));
}

fn a_program_whose_agent_cannot_be_ends_with_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let tool = "[[tool]]\nname = \"roll_die\"\ndescription = \"Another.\"\nurl = \"https://example.com/\"\n";
    std::fs::write(folder.path().join("antiphon.toml"), FILE.to_owned() + tool).unwrap();
    let output = program(folder.path(), &["console"], "http://127.0.0.1:9/v1", "");
    assert_eq!(output.status.code(), Some(1));
    let (_, error) = said(&output);
    assert!(
        error.starts_with("error: the agent cannot be put together"),
        "{error}"
    );
    assert!(error.contains("roll_die"), "{error}");
}

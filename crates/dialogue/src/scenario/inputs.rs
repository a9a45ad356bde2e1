//! The `at` lines of a scenario: one fact at one instant.

use super::words::{Words, unknown};
use crate::input::{Command, Input, Stt};

const KNOWN: [&str; 21] = [
    "type",
    "start",
    "interim",
    "preflight",
    "final",
    "stt-starts",
    "stt-ends",
    "stt-degrades",
    "stt-recovers",
    "stt-fails",
    "say",
    "say-firmly",
    "generate",
    "instruct",
    "interrupt",
    "force-interrupt",
    "commit",
    "clear",
    "close",
    "drain",
    "input",
];

/// What stands after `at TIME`.
pub(super) fn input(words: &mut Words<'_>) -> Result<Input, String> {
    let command = match words.word() {
        "type" => return Ok(Input::UserText(words.quoted()?)),
        "start" => return Ok(Input::Started),
        "interim" => return Ok(Input::Stt(Stt::Interim(words.quoted()?))),
        "preflight" => return Ok(Input::Stt(Stt::Preflight(words.quoted()?))),
        "final" => {
            return Ok(Input::Stt(Stt::Final {
                text: words.quoted()?,
                confidence: 1.0,
            }));
        }
        "stt-starts" => return Ok(Input::Stt(Stt::SpeechStarted)),
        "stt-ends" => return Ok(Input::Stt(Stt::SpeechEnded)),
        "stt-degrades" => return Ok(Input::Stt(Stt::Degraded(words.quoted()?))),
        "stt-recovers" => return Ok(Input::Stt(Stt::Recovered)),
        "stt-fails" => return Ok(Input::Stt(Stt::Failed(words.quoted()?))),
        "input" => return raw(words),
        "say" => Command::Say {
            text: words.quoted()?,
            allow_interruptions: true,
            add_to_history: true,
        },
        "say-firmly" => Command::Say {
            text: words.quoted()?,
            allow_interruptions: false,
            add_to_history: true,
        },
        "generate" => Command::GenerateReply {
            user_input: Some(words.quoted()?),
            instructions: None,
            allow_interruptions: true,
        },
        "instruct" => Command::GenerateReply {
            user_input: None,
            instructions: Some(words.quoted()?),
            allow_interruptions: true,
        },
        "interrupt" => Command::Interrupt { force: false },
        "force-interrupt" => Command::Interrupt { force: true },
        "commit" => Command::CommitUserTurn,
        "clear" => Command::ClearUserTurn,
        "close" => Command::Close { drain: false },
        "drain" => Command::Close { drain: true },
        other => return Err(unknown("input", other, &KNOWN)),
    };
    Ok(Input::Command(command))
}

/// Any input at all, as JSON: the form of recordings and failing seeds.
fn raw(words: &mut Words<'_>) -> Result<Input, String> {
    let json = words.json()?;
    serde_json::from_str(&json)
        .map_err(|error| format!("this is no input of the dialogue ({error}): {json}"))
}

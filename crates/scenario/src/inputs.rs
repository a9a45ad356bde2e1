//! The `at` lines of a scenario: one fact at one instant.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::options::value;
use super::words::{Words, unknown};
use antiphon_chat::time::Instant;
use antiphon_chat::{Item, Message, Role, ToolChoice};
use antiphon_dialogue::ids::SpeechId;
use antiphon_dialogue::input::{Command, GenerateReply, Input, Priority, Say, Stt};
use antiphon_dialogue::options::ToolOptions;
use antiphon_dialogue::patch::OptionsPatch;

const KNOWN: [&str; 29] = [
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
    "interrupt-speech",
    "forbid-interruptions",
    "force-interrupt",
    "commit",
    "set",
    "override",
    "instructions",
    "tools",
    "chat-ctx",
    "language",
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
                confidence: None,
            }));
        }
        "language" => return Ok(Input::Stt(Stt::Language(words.word().to_owned()))),
        "stt-starts" => return Ok(Input::Stt(Stt::SpeechStarted)),
        "stt-ends" => return Ok(Input::Stt(Stt::SpeechEnded)),
        "stt-degrades" => return Ok(Input::Stt(Stt::Degraded(words.quoted()?))),
        "stt-recovers" => return Ok(Input::Stt(Stt::Recovered)),
        "stt-fails" => return Ok(Input::Stt(Stt::Failed(words.quoted()?))),
        "input" => return raw(words),
        "say" => Command::Say(say(words)?),
        "say-firmly" => Command::Say(Say {
            allow_interruptions: Some(false),
            ..say(words)?
        }),
        "generate" => Command::GenerateReply(GenerateReply {
            user_input: Some(words.quoted()?),
            ..GenerateReply::default()
        }),
        "instruct" => Command::GenerateReply(instruct(words)?),
        "interrupt-speech" => Command::InterruptSpeech {
            speech: speech_id(words.word())?,
            force: false,
        },
        "forbid-interruptions" => Command::AllowInterruptions {
            speech: speech_id(words.word())?,
            allow: false,
        },
        "interrupt" => Command::Interrupt { force: false },
        "force-interrupt" => Command::Interrupt { force: true },
        "commit" => Command::CommitUserTurn {
            transcript_timeout: None,
            skip_reply: silently(words),
        },
        "set" => Command::UpdateOptions(Box::new(patch(words)?)),
        "override" => Command::OverrideOptions(Box::new(patch(words)?)),
        "instructions" => Command::UpdateInstructions {
            instructions: words.quoted()?.into(),
        },
        "tools" => Command::UpdateTools {
            tools: names(words),
        },
        "chat-ctx" => Command::UpdateChatCtx {
            items: messages(words)?,
        },
        "clear" => Command::ClearUserTurn,
        "close" => Command::Close { drain: false },
        "drain" => Command::Close { drain: true },
        other => return Err(unknown("input", other, &KNOWN)),
    };
    Ok(Input::Command(command))
}

/// After `commit`: nothing, or `silently` for a turn that is not to be answered.
fn silently(words: &mut Words<'_>) -> bool {
    let before = *words;
    let silently = words.word() == "silently";
    if !silently {
        *words = before;
    }
    silently
}

/// `KEY VALUE`: one option to be changed; nothing: no change.
fn patch(words: &mut Words<'_>) -> Result<OptionsPatch, String> {
    let key = words.word().to_owned();
    let text = std::mem::take(&mut words.rest).trim();
    if key.is_empty() {
        return Ok(OptionsPatch::default());
    }
    let change = Map::from_iter([(key, value(text))]);
    serde_json::from_value(Value::Object(change))
        .map_err(|error| format!("this option cannot be changed so while a session runs: {error}"))
}

/// After `tools`: the names of all that the agent has, run as tools are by default.
fn names(words: &mut Words<'_>) -> BTreeMap<String, ToolOptions> {
    let mut names = BTreeMap::new();
    loop {
        match words.word() {
            "" => return names,
            comment if comment.starts_with('#') => {
                words.rest = "";
                return names;
            }
            name => names.insert(name.to_owned(), ToolOptions::default()),
        };
    }
}

/// After `chat-ctx`: `user "TEXT"`, `agent "TEXT"` and `system "TEXT"`, as often as wanted.
fn messages(words: &mut Words<'_>) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    loop {
        let role = match words.word() {
            "" => return Ok(items),
            "user" => Role::User,
            "agent" => Role::Assistant,
            "system" => Role::System,
            comment if comment.starts_with('#') => {
                words.rest = "";
                return Ok(items);
            }
            other => {
                let known = ["user", "agent", "system"];
                return Err(unknown("word about `chat-ctx`", other, &known));
            }
        };
        let id = format!("told_{}", items.len() + 1);
        let message = Message::new(id, role, words.quoted()?, Instant::ZERO);
        items.push(Item::Message(message));
    }
}

/// Any input at all, as JSON: the form of recordings and failing seeds.
fn raw(words: &mut Words<'_>) -> Result<Input, String> {
    let json = words.json()?;
    serde_json::from_str(&json)
        .map_err(|error| format!("this is no input of the dialogue ({error}): {json}"))
}

/// `"Words." low|high|as NUMBER`.
fn say(words: &mut Words<'_>) -> Result<Say, String> {
    let mut say = Say::new(words.quoted()?);
    loop {
        match words.word() {
            "" => return Ok(say),
            "low" => say.priority = Priority::LOW,
            "high" => say.priority = Priority::HIGH,
            "as" => say.id = Some(speech_id(words.word())?),
            other if other.starts_with('#') => {
                words.rest = "";
                return Ok(say);
            }
            other => return Err(unknown("word about `say`", other, &["low", "high", "as"])),
        }
    }
}

/// `"Do it." low|high|as NUMBER|without-tools|with TOOL`.
fn instruct(words: &mut Words<'_>) -> Result<GenerateReply, String> {
    let mut asked = GenerateReply {
        instructions: Some(words.quoted()?),
        ..GenerateReply::default()
    };
    loop {
        match words.word() {
            "" => return Ok(asked),
            "low" => asked.priority = Priority::LOW,
            "high" => asked.priority = Priority::HIGH,
            "as" => asked.id = Some(speech_id(words.word())?),
            "without-tools" => asked.tool_choice = ToolChoice::None,
            "with" => asked
                .tools
                .get_or_insert_default()
                .push(words.word().to_owned()),
            other if other.starts_with('#') => {
                words.rest = "";
                return Ok(asked);
            }
            other => {
                let known = ["low", "high", "as", "without-tools", "with"];
                return Err(unknown("word about `instruct`", other, &known));
            }
        }
    }
}

/// The number that the program gave it.
fn speech_id(text: &str) -> Result<SpeechId, String> {
    text.parse()
        .map(SpeechId::of_program)
        .map_err(|_| format!("the number of a speech is needed, found: `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::KNOWN;

    #[test]
    fn every_word_of_an_at_line_is_documented() {
        let page = include_str!("../../../docs/simulate.md");
        for word in KNOWN {
            let named = ["`", " "].map(|before| format!("{before}{word}"));
            assert!(
                named.iter().any(|named| page.contains(named.as_str())),
                "docs/simulate.md does not say what `{word}` does"
            );
        }
    }
}

//! Reading a scenario file.

use serde_json::{Map, Value};
use thiserror::Error;

use super::cast::{Reply, Speech, Tool, Voice};
use crate::chat::ToolCall;
use crate::input::{Command, Input, Stt, ToolValue};
use crate::options::Options;
use crate::time::{Duration, Instant};

/// A scenario cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: {problem}")]
pub struct ParseError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong and what was expected.
    pub problem: String,
}

/// Something that must be seen, or must not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expect {
    Seen { at: Option<Instant>, text: String },
    Once { text: String },
    Never { text: String },
    States { states: Vec<String> },
    History { lines: Vec<String> },
}

/// A scenario as read.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    pub(crate) options: Options,
    pub(crate) replies: Vec<Reply>,
    pub(crate) voices: Vec<Voice>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) speeches: Vec<Speech>,
    pub(crate) inputs: Vec<(Instant, Input)>,
    pub(crate) stt_delay: Duration,
    pub(crate) end: Option<Instant>,
    pub(crate) expectations: Vec<(usize, Expect)>,
}

impl Scenario {
    /// Reads a file's text.
    ///
    /// # Errors
    /// The first line that cannot be understood, with what was expected there.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut scenario = Self {
            stt_delay: Duration::from_millis(200),
            ..Self::default()
        };
        let mut options = Map::new();
        let mut in_history = false;
        for (index, raw) in text.lines().enumerate() {
            let line = index + 1;
            let body = raw.trim();
            if body.is_empty() || body.starts_with('#') {
                continue;
            }
            if in_history && raw.starts_with(' ') {
                if let Some((_, Expect::History { lines })) = scenario.expectations.last_mut() {
                    lines.push(body.to_owned());
                }
                continue;
            }
            in_history = body == "history";
            let mut words = Words { rest: body };
            scenario
                .line(line, &mut words, &mut options)
                .map_err(|problem| ParseError { line, problem })?;
        }
        scenario.options =
            with_options(options).map_err(|problem| ParseError { line: 0, problem })?;
        Ok(scenario)
    }

    fn line(
        &mut self,
        line: usize,
        words: &mut Words<'_>,
        options: &mut Map<String, Value>,
    ) -> Result<(), String> {
        match words.word() {
            "option" => {
                let key = words.word().to_owned();
                options.insert(key, value(words.rest)?);
            }
            "llm" => self.replies.push(reply(words)?),
            "tts" => self.voices.push(voice(words)?),
            "tool" => self.tools.push(tool(words)?),
            "stt" => self.stt_delay = duration(words.word().trim_start_matches('+'))?,
            "end" => self.end = Some(instant(words.word())?),
            "at" => {
                let at = instant(words.word())?;
                let input = input(words)?;
                self.inputs.push((at, input));
            }
            "expect" => {
                let before = *words;
                let at = instant(words.word()).ok();
                if at.is_none() {
                    *words = before;
                }
                self.expectations.push((
                    line,
                    Expect::Seen {
                        at,
                        text: words.rest.trim().to_owned(),
                    },
                ));
            }
            "never" => self.expectations.push((
                line,
                Expect::Never {
                    text: words.rest.trim().to_owned(),
                },
            )),
            "once" => self.expectations.push((
                line,
                Expect::Once {
                    text: words.rest.trim().to_owned(),
                },
            )),
            "states" => {
                let states = words.rest.split_whitespace().map(str::to_owned).collect();
                self.expectations.push((line, Expect::States { states }));
            }
            "history" => self
                .expectations
                .push((line, Expect::History { lines: Vec::new() })),
            range => self.speeches.push(speech(range, words)?),
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn word(&mut self) -> &'a str {
        let rest = self.rest.trim_start();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.rest = rest;
        word
    }

    fn quoted(&mut self) -> Result<String, String> {
        let rest = self.rest.trim_start();
        let Some(body) = rest.strip_prefix('"') else {
            return Err(format!("expected a text in quotes at: {rest}"));
        };
        let Some(end) = body.find('"') else {
            return Err(format!("the quotes are not closed: {rest}"));
        };
        let (text, rest) = body.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        Ok(text.to_owned())
    }

    fn has_quoted(&self) -> bool {
        self.rest.trim_start().starts_with('"')
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    let seconds: f64 = number
        .parse()
        .map_err(|_| format!("expected a duration such as 200ms or 2s, found: {text}"))?;
    Duration::try_from_secs_f64(seconds * unit).map_err(|_| format!("not a duration: {text}"))
}

fn instant(text: &str) -> Result<Instant, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| format!("expected seconds such as 2.5, found: {text}"))?;
    Ok(Instant::ZERO
        + Duration::try_from_secs_f64(seconds).map_err(|_| format!("not a time: {text}"))?)
}

fn value(text: &str) -> Result<Value, String> {
    let text = text.trim();
    if text == "none" {
        return Ok(Value::Null);
    }
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    match duration(text) {
        Ok(duration) => serde_json::to_value(duration).map_err(|error| error.to_string()),
        Err(_) => Ok(Value::String(text.to_owned())),
    }
}

fn with_options(changes: Map<String, Value>) -> Result<Options, String> {
    let mut all = serde_json::to_value(Options::default()).map_err(|error| error.to_string())?;
    if let Value::Object(map) = &mut all {
        map.extend(changes);
    }
    serde_json::from_value(all).map_err(|error| error.to_string())
}

fn reply(words: &mut Words<'_>) -> Result<Reply, String> {
    let mut reply = Reply::default();
    if words.has_quoted() {
        reply.text = words.quoted()?;
    }
    loop {
        match words.word() {
            "" => return Ok(reply),
            "after" => reply.first = duration(words.word())?,
            "lasting" => reply.lasting = duration(words.word())?,
            "fails" => reply.fails = true,
            "hangs" => reply.hangs = true,
            "empty" => {}
            "call" => {
                let name = words.word().to_owned();
                let arguments = words.word().to_owned();
                let call_id = format!("call_{name}");
                reply.calls.push(ToolCall {
                    call_id,
                    name,
                    arguments,
                });
            }
            other => {
                return Err(format!(
                    "expected after, lasting, fails, hangs, empty or call, found: {other}"
                ));
            }
        }
    }
}

fn voice(words: &mut Words<'_>) -> Result<Voice, String> {
    let mut voice = Voice::default();
    loop {
        match words.word() {
            "" => return Ok(voice),
            "after" => voice.first = duration(words.word())?,
            "lasting" => voice.length = Some(duration(words.word())?),
            "fails" => voice.fails = true,
            "hangs" => voice.hangs = true,
            other => {
                return Err(format!(
                    "expected after, lasting, fails or hangs, found: {other}"
                ));
            }
        }
    }
}

fn tool(words: &mut Words<'_>) -> Result<Tool, String> {
    let name = words.word().to_owned();
    let mut tool = Tool {
        name,
        after: Duration::ZERO,
        result: None,
    };
    loop {
        match words.word() {
            "" => return Ok(tool),
            "after" => tool.after = duration(words.word())?,
            "gives" => {
                tool.result = Some(Ok(ToolValue {
                    output: words.quoted()?,
                    reply: true,
                }))
            }
            "silently" => {
                tool.result = Some(Ok(ToolValue {
                    output: words.quoted()?,
                    reply: false,
                }))
            }
            "fails" => tool.result = Some(Err(words.quoted()?)),
            "hangs" => tool.result = None,
            other => {
                return Err(format!(
                    "expected after, gives, silently, fails or hangs, found: {other}"
                ));
            }
        }
    }
}

fn speech(range: &str, words: &mut Words<'_>) -> Result<Speech, String> {
    let Some((from, to)) = range.split_once('-') else {
        return Err(format!(
            "expected option, llm, tts, tool, stt, at, end, expect, once, never, states, history or FROM-TO, found: {range}"
        ));
    };
    let (from, to) = (instant(from)?, instant(to)?);
    match words.word() {
        "says" => Ok(Speech {
            from,
            to,
            text: words.quoted()?,
            final_after: words
                .rest
                .trim()
                .strip_prefix('+')
                .map(duration)
                .transpose()?,
        }),
        "noise" => Ok(Speech {
            from,
            to,
            text: String::new(),
            final_after: None,
        }),
        other => Err(format!("expected says or noise, found: {other}")),
    }
}

fn input(words: &mut Words<'_>) -> Result<Input, String> {
    let what = words.word();
    let command = match what {
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
        other => return Err(format!("unknown input: {other}")),
    };
    Ok(Input::Command(command))
}

//! Reading a scenario file. Every word that is not understood is refused with its line and the nearest right one.

use thiserror::Error;

use super::cast::{Deed, Found, Hearing, Hook, Prediction, Reply, Speech, Tool, ToolsHook, Voice};
use super::expect::{Expect, Expectation};
use super::inputs::input;
use super::options::Changes;
use super::words::{LONGEST, Words, duration, instant, unknown};
use antiphon_chat::time::{Duration, Instant};
use antiphon_chat::{Message, Passage, Role, ToolCall};
use antiphon_dialogue::input::{Input, ToolValue, ToolsVerdict, TurnVerdict};
use antiphon_dialogue::options::Options;

/// Bytes of a scenario file: a recorded call of hours. More is refused.
pub const MAX_SCENARIO_BYTES: usize = 64 * 1024 * 1024;
/// Final transcripts come this long after the end of speech, unless the file says otherwise.
const STT_DELAY: Duration = Duration::from_millis(200);

/// A scenario cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: {problem}")]
pub struct ParseError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong and what was expected.
    pub problem: String,
}

/// A scenario as read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scenario {
    /// What it shows, in one line.
    pub title: Option<String>,
    /// Which agent it is for: the path of its `antiphon.toml` from the scenario's folder, or `none` for the defaults.
    pub agent: Option<String>,
    /// How the agent hears that somebody speaks; the file does not say so, the agent's configuration does.
    pub hearing: Hearing,
    pub(crate) changes: Changes,
    pub(crate) replies: Vec<Reply>,
    pub(crate) voices: Vec<Voice>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) found: Vec<Found>,
    pub(crate) predictions: Vec<Prediction>,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) tools_hooks: Vec<ToolsHook>,
    pub(crate) speeches: Vec<Speech>,
    pub(crate) inputs: Vec<(Instant, Input)>,
    pub(crate) stt_delay: Duration,
    /// Until then nothing but `inputs` reaches the machine.
    pub(crate) recorded_until: Option<Instant>,
    pub(crate) end: Option<Instant>,
    pub(crate) expectations: Vec<Expectation>,
}

/// What a line may begin with.
const LINES: [&str; 21] = [
    "title",
    "agent",
    "option",
    "llm",
    "tts",
    "tool",
    "knowledge",
    "detector",
    "hook",
    "tools-hook",
    "stt",
    "recorded",
    "at",
    "end",
    "expect",
    "once",
    "never",
    "states",
    "history",
    "FROM-TO says",
    "FROM-TO noise",
];

impl Scenario {
    /// Reads a file's text.
    ///
    /// # Errors
    /// The first line that cannot be understood, with what was expected there.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if text.len() > MAX_SCENARIO_BYTES {
            let problem = format!("the file is larger than {MAX_SCENARIO_BYTES} bytes; cut it");
            return Err(ParseError { line: 1, problem });
        }
        let mut scenario = Self {
            stt_delay: STT_DELAY,
            ..Self::default()
        };
        let mut in_history = false;
        for (index, raw) in text.lines().enumerate() {
            let line = index + 1;
            let body = raw.trim();
            if body.is_empty() || body.starts_with('#') {
                continue;
            }
            if in_history && raw.starts_with([' ', '\t']) {
                if let Some(Expectation {
                    what: Expect::History { lines },
                    ..
                }) = scenario.expectations.last_mut()
                {
                    lines.push(body.to_owned());
                }
                continue;
            }
            in_history = body == "history";
            let mut words = Words { rest: body };
            scenario
                .line(line, &mut words)
                .and_then(|()| words.end())
                .map_err(|problem| ParseError { line, problem })?;
        }
        Ok(scenario)
    }

    /// The agent's options with the changes of this file.
    pub fn options_over(&self, options: &Options) -> Options {
        self.changes.over(options)
    }

    /// The tools that it has results for.
    pub fn tools(&self) -> impl Iterator<Item = (usize, &str)> {
        self.tools
            .iter()
            .map(|tool| (tool.line, tool.name.as_str()))
    }

    /// The calls that its model makes: line, tool, arguments.
    pub fn calls(&self) -> impl Iterator<Item = (usize, &ToolCall)> {
        let of = |reply: &'_ Reply| reply.line;
        self.replies
            .iter()
            .flat_map(move |reply| reply.calls.iter().map(move |call| (of(reply), call)))
    }

    /// The inputs that it tells the machine by itself, in the order of the file.
    pub fn inputs(&self) -> &[(Instant, Input)] {
        &self.inputs
    }

    fn line(&mut self, line: usize, words: &mut Words<'_>) -> Result<(), String> {
        match words.word() {
            "title" => self.title = Some(rest(words, "a title")?),
            "agent" => self.agent = Some(rest(words, "a path such as ../antiphon.toml, or none,")?),
            "option" => self.changes.read(words)?,
            "llm" => self.replies.push(reply(line, words)?),
            "tts" => self.voices.push(voice(words)?),
            "tool" => self.tools.push(tool(line, words)?),
            "detector" => self.predictions.push(prediction(words)?),
            "hook" => self.hooks.push(hook(words)?),
            "tools-hook" => self.tools_hooks.push(tools_hook(words)?),
            "knowledge" => self.found.push(found(words)?),
            "stt" => self.stt_delay = duration(words.word().trim_start_matches('+'))?,
            "end" => self.end = Some(instant(words.word())?),
            "recorded" => match words.word() {
                "until" => self.recorded_until = Some(instant(words.word())?),
                other => return Err(unknown("word after `recorded`", other, &["until"])),
            },
            "at" => {
                let at = instant(words.word())?;
                let input = input(words)?;
                self.inputs.push((at, input));
            }
            first @ ("expect" | "once" | "never" | "states" | "history") => self
                .expectations
                .push(Expectation::read(line, first, words)?),
            range if range.starts_with(|first: char| first.is_ascii_digit()) => {
                self.speeches.push(speech(range, words)?);
            }
            other => return Err(unknown("word at the beginning of a line", other, &LINES)),
        }
        Ok(())
    }
}

fn rest(words: &mut Words<'_>, what: &str) -> Result<String, String> {
    match std::mem::take(&mut words.rest).trim() {
        "" => Err(format!("{what} is missing")),
        text => Ok(text.to_owned()),
    }
}

fn reply(line: usize, words: &mut Words<'_>) -> Result<Reply, String> {
    let mut reply = Reply {
        line,
        ..Reply::default()
    };
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
                if name.is_empty() {
                    return Err("the tool's name is missing after `call`".into());
                }
                let arguments = words.json()?;
                let call_id = format!("call_{name}");
                reply.calls.push(ToolCall {
                    call_id,
                    name,
                    arguments,
                });
            }
            other if other.starts_with('#') => {
                words.rest = "";
                return Ok(reply);
            }
            other => {
                let known = ["after", "lasting", "fails", "hangs", "empty", "call"];
                return Err(unknown("word about `llm`", other, &known));
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
            other if other.starts_with('#') => {
                words.rest = "";
                return Ok(voice);
            }
            other => {
                let known = ["after", "lasting", "fails", "hangs"];
                return Err(unknown("word about `tts`", other, &known));
            }
        }
    }
}

fn tool(line: usize, words: &mut Words<'_>) -> Result<Tool, String> {
    let name = words.word().to_owned();
    if name.is_empty() {
        return Err("the tool's name is missing".into());
    }
    let mut after = Duration::ZERO;
    let mut updates = Vec::new();
    let mut deed = Deed::Nothing;
    let mut result = None;
    loop {
        match words.word() {
            "" => break,
            "after" => after = duration(words.word())?,
            "gives" => {
                result = Some(Some(Ok(ToolValue {
                    output: words.quoted()?,
                    reply: true,
                })));
            }
            "silently" => {
                result = Some(Some(Ok(ToolValue {
                    output: words.quoted()?,
                    reply: false,
                })));
            }
            "hands-to" => deed = Deed::HandsTo(words.word().to_owned(), words.quoted()?),
            "asks" => deed = Deed::Asks(words.word().to_owned(), words.quoted()?),
            "completes" => deed = Deed::Completes,
            "updates" => {
                let message = words.quoted()?;
                match words.word() {
                    "at" => updates.push((duration(words.word())?, message)),
                    other => return Err(unknown("word about `updates`", other, &["at"])),
                }
            }
            "fails" => result = Some(Some(Err(words.quoted()?))),
            "hangs" => result = Some(None),
            other if other.starts_with('#') => {
                words.rest = "";
                break;
            }
            other => {
                let known = [
                    "after",
                    "gives",
                    "silently",
                    "updates",
                    "hands-to",
                    "asks",
                    "completes",
                    "fails",
                    "hangs",
                ];
                return Err(unknown("word about `tool`", other, &known));
            }
        }
    }
    let Some(result) = result else {
        return Err(format!(
            "what does `{name}` do? Add gives \"…\", silently \"…\", fails \"…\" or hangs"
        ));
    };
    Ok(Tool {
        line,
        name,
        after,
        updates,
        result,
        deed,
    })
}

fn prediction(words: &mut Words<'_>) -> Result<Prediction, String> {
    let probability = match words.word() {
        "hangs" => None,
        number => Some(number.parse().map_err(|_| {
            format!("a probability from 0 to 1 or `hangs` is needed, found: `{number}`")
        })?),
    };
    let mut prediction = Prediction {
        probability,
        ..Prediction::default()
    };
    loop {
        match words.word() {
            "" => return Ok(prediction),
            "after" => prediction.after = duration(words.word())?,
            other if other.starts_with('#') => {
                words.rest = "";
                return Ok(prediction);
            }
            other => return Err(unknown("word about `detector`", other, &["after", "hangs"])),
        }
    }
}

fn tools_hook(words: &mut Words<'_>) -> Result<ToolsHook, String> {
    let mut hook = ToolsHook::default();
    let mut verdict = ToolsVerdict::unchanged();
    loop {
        match words.word() {
            "" => break,
            "after" => hook.after = duration(words.word())?,
            "cancels-reply" => verdict.reply = false,
            "cancels-handoff" => verdict.handoff = false,
            "hangs" => hook.verdict = None,
            other if other.starts_with('#') => {
                words.rest = "";
                break;
            }
            other => {
                let known = ["after", "cancels-reply", "cancels-handoff", "hangs"];
                return Err(unknown("word about `tools-hook`", other, &known));
            }
        }
    }
    if hook.verdict.is_some() {
        hook.verdict = Some(verdict);
    } else if verdict != ToolsVerdict::unchanged() {
        return Err("a hook that hangs cancels nothing".into());
    }
    Ok(hook)
}

fn hook(words: &mut Words<'_>) -> Result<Hook, String> {
    let mut hook = Hook::default();
    let (mut text, mut messages) = (None, Vec::new());
    loop {
        match words.word() {
            "" => break,
            "after" => hook.after = duration(words.word())?,
            "changes" => text = Some(words.quoted()?),
            "adds" => {
                let added = Message::new("added", Role::System, words.quoted()?, Instant::ZERO);
                messages.push(added);
            }
            "stops" => hook.verdict = Some(TurnVerdict::Stop),
            "hangs" => hook.verdict = None,
            other if other.starts_with('#') => {
                words.rest = "";
                break;
            }
            other => {
                let known = ["after", "changes", "adds", "stops", "hangs"];
                return Err(unknown("word about `hook`", other, &known));
            }
        }
    }
    if let Some(TurnVerdict::Reply { .. }) = hook.verdict {
        hook.verdict = Some(TurnVerdict::Reply { text, messages });
    } else if text.is_some() || !messages.is_empty() {
        return Err("a hook that stops or hangs changes and adds nothing".into());
    }
    Ok(hook)
}

fn found(words: &mut Words<'_>) -> Result<Found, String> {
    let mut found = Found::default();
    loop {
        if words.has_quoted() {
            found.passages.push(Passage {
                page: None,
                text: words.quoted()?,
                source: "scenario".into(),
                score: 1.0,
            });
            continue;
        }
        match words.word() {
            "" => return Ok(found),
            "after" => found.after = duration(words.word())?,
            "nothing" => {}
            "hangs" => found.hangs = true,
            other if other.starts_with('#') => {
                words.rest = "";
                return Ok(found);
            }
            other => {
                let known = ["\"a passage\"", "nothing", "after", "hangs"];
                return Err(unknown("word about `knowledge`", other, &known));
            }
        }
    }
}

fn speech(range: &str, words: &mut Words<'_>) -> Result<Speech, String> {
    let Some((from, to)) = range.split_once('-') else {
        return Err(format!(
            "a line that begins with a time is FROM-TO says \"…\" or FROM-TO noise; what happens at one instant begins with `at`: at {range} …"
        ));
    };
    let (from, to) = (instant(from)?, instant(to)?);
    if to <= from {
        return Err(format!("{range}: the end must be later than the beginning"));
    }
    if to.since(from) > LONGEST {
        return Err(format!("{range} is longer than an hour"));
    }
    match words.word() {
        "says" => {
            let text = words.quoted()?;
            ending(words, from, to, text)
        }
        "noise" => ending(words, from, to, String::new()),
        other => Err(unknown("word after the time", other, &["says", "noise"])),
    }
}

/// After the words: `+DELAY` of the final transcript, `muted` when the microphone goes off at the end.
fn ending(
    words: &mut Words<'_>,
    from: Instant,
    to: Instant,
    text: String,
) -> Result<Speech, String> {
    let mut speech = Speech {
        from,
        to,
        text,
        final_after: None,
        muted: false,
        interims: false,
    };
    loop {
        let before = *words;
        let word = words.word();
        if let Some(delay) = word.strip_prefix('+') {
            speech.final_after = Some(duration(delay)?);
        } else if word == "muted" {
            speech.muted = true;
        } else if word == "interims" {
            speech.interims = true;
        } else {
            *words = before; // whatever it is, it is one word too many
            return Ok(speech);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LINES;

    #[test]
    fn every_beginning_of_a_line_is_documented() {
        let page = include_str!("../../../docs/simulate.md");
        for line in LINES {
            assert!(
                page.contains(&format!("| `{line}")),
                "docs/simulate.md does not say what `{line}` does"
            );
        }
    }
}

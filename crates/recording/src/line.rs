//! The lines of a recording.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{FORMAT, RecordingError};
use antiphon_chat::ChatContext;
use antiphon_chat::Item;
use antiphon_chat::time::{Duration, Instant};
use antiphon_dialogue::Dialogue;
use antiphon_dialogue::action::Action;
use antiphon_dialogue::input::{Input, Vad};
use antiphon_dialogue::options::Options;
use antiphon_text::fingerprint;

/// The first line: what the session was like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub antiphon_recording: u32,
    /// Of the program that wrote it.
    pub version: String,
    /// The session's name in logs.
    pub session: String,
    /// Wall clock, RFC 3339.
    pub started: String,
    /// The agent's name.
    #[serde(default)]
    pub agent: String,
    /// How the dialogue behaves.
    pub options: Options,
    /// The agent's instructions.
    pub instructions: String,
    /// What was said before it began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Item>,
}

impl Header {
    /// A machine as it was when the session began.
    pub fn machine(&self) -> Dialogue {
        let history = ChatContext::from_items(self.history.clone(), Duration::ZERO);
        Dialogue::new(self.options.clone(), self.instructions.as_str())
            .with_history(history)
            .named(self.agent.as_str())
    }

    /// As a line, without its end.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Read from the first line.
    ///
    /// # Errors
    /// It is no recording, or one of another format.
    pub fn from_line(line: &str) -> Result<Self, RecordingError> {
        let value: Value = serde_json::from_str(line)
            .map_err(|error| RecordingError::NotARecording(error.to_string()))?;
        match value.get("antiphon_recording").and_then(Value::as_u64) {
            None => Err(RecordingError::NotARecording("another kind of line".into())),
            Some(format) if format != u64::from(FORMAT) => {
                let version = value.get("version").and_then(Value::as_str);
                Err(RecordingError::Format {
                    format,
                    version: version.unwrap_or("whichever that is").into(),
                })
            }
            Some(_) => serde_json::from_str(line).map_err(|error| RecordingError::Damaged {
                line: 1,
                problem: error.to_string(),
            }),
        }
    }
}

/// How a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// With the session.
    Complete,
    /// At its size limit, before the session.
    Full,
    /// With a panic in the session's task.
    Broken,
}

/// One input and what it led to.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The driver's clock.
    pub at: Instant,
    /// What the machine was told.
    pub input: Input,
    /// What it asked for, as JSON.
    pub actions: Vec<Value>,
}

/// Any line after the first.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// One input.
    Step(Step),
    /// This many are missing here.
    Dropped(u64),
    /// Nothing follows.
    End(Ending),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    t_us: Option<u64>,
    input: Option<Input>,
    frame: Option<(u8, u64, u64)>,
    #[serde(default)]
    actions: Vec<Value>,
    dropped: Option<u64>,
    end: Option<Ending>,
}

impl Step {
    /// What is kept of an action: all of it, but of a request to the model only its size and hash.
    pub fn digest(action: &Action) -> Value {
        let mut value = serde_json::to_value(action).unwrap_or_default();
        if let Some(request) = value.pointer_mut("/start_llm/request") {
            let items = request
                .get("items")
                .and_then(Value::as_array)
                .map_or(0, Vec::len);
            let hash = fingerprint(&request.to_string());
            *request = json!({"items": items, "hash": format!("{hash:016x}")});
        }
        value
    }

    /// As a line, without its end. `scrub` takes out of an action what must not be kept, secrets that is; in `input` there
    /// are none any more.
    pub fn to_line(
        at: Instant,
        input: &Input,
        actions: &[Action],
        scrub: &dyn Fn(&mut Value),
    ) -> String {
        let mut line = Map::new();
        line.insert("t_us".into(), at.as_micros().into());
        match short_frame(input) {
            Some(frame) => line.insert("frame".into(), frame),
            None => line.insert(
                "input".into(),
                serde_json::to_value(input).unwrap_or_default(),
            ),
        };
        if !actions.is_empty() {
            let actions: Vec<Value> = actions
                .iter()
                .map(|action| {
                    let mut action = Self::digest(action);
                    scrub(&mut action);
                    action
                })
                .collect();
            line.insert("actions".into(), actions.into());
        }
        Value::Object(line).to_string()
    }
}

impl Line {
    /// As a line, without its end.
    pub fn dropped(count: u64) -> String {
        json!({"dropped": count}).to_string()
    }

    /// As a line, without its end.
    pub fn end(ending: Ending) -> String {
        json!({"end": ending}).to_string()
    }

    /// Read from any other line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_line(line: &str) -> Result<Self, String> {
        let raw: Raw = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let input = match (raw.input, raw.frame) {
            (Some(input), None) => Some(input),
            (None, Some(frame)) => Some(long_frame(frame)),
            (None, None) => None,
            (Some(_), Some(_)) => return Err("both `input` and `frame`".into()),
        };
        match (raw.t_us, input, raw.dropped, raw.end) {
            (Some(t_us), Some(input), None, None) => Ok(Self::Step(Step {
                at: Instant::from_micros(t_us),
                input,
                actions: raw.actions,
            })),
            (None, None, Some(count), None) => Ok(Self::Dropped(count)),
            (None, None, None, Some(ending)) => Ok(Self::End(ending)),
            _ => Err("neither an input at a time nor `dropped` nor `end`".into()),
        }
    }
}

/// Voice activity is most of a recording: three numbers, where these say everything.
fn short_frame(input: &Input) -> Option<Value> {
    let Input::Vad(Vad::Frame {
        speaking,
        speech,
        silence,
    }) = *input
    else {
        return None;
    };
    let micros = |duration: Duration| {
        duration
            .subsec_nanos()
            .is_multiple_of(1000)
            .then(|| u64::try_from(duration.as_micros()).ok())
            .flatten()
    };
    Some(json!([
        u8::from(speaking),
        micros(speech)?,
        micros(silence)?
    ]))
}

fn long_frame((speaking, speech, silence): (u8, u64, u64)) -> Input {
    Input::Vad(Vad::Frame {
        speaking: speaking != 0,
        speech: Duration::from_micros(speech),
        silence: Duration::from_micros(silence),
    })
}

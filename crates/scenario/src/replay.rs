//! Repeating a recording, and finding where the machine acts differently now.

use serde_json::Value;

use crate::invariants::Observer;
use crate::{Lanes, Line as TimelineLine, show_action};
use antiphon_chat::time::Instant;
use antiphon_dialogue::Dialogue;
use antiphon_dialogue::input::Input;
use antiphon_recording::{Ending, Header, Line, MAX_RECORDING_BYTES, RecordingError, Step};

/// Divergences that are kept; the first counts, the rest mostly follow from it.
const MAX_DIVERGENCES: usize = 20;

/// A step at which the machine acts differently.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// In the file, from 1.
    pub line: usize,
    /// When.
    pub at: Instant,
    /// What the machine was told.
    pub input: Input,
    /// Which of the step's actions, from 0.
    pub action: usize,
    /// Where in it the first difference is, as a JSON pointer; empty: the whole action.
    pub pointer: String,
    /// What was recorded; `None`: there was no such action.
    pub expected: Option<Value>,
    /// What happens now; `None`: there is none any more.
    pub actual: Option<Value>,
}

/// A repeated recording.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// Its first line.
    pub header: Header,
    /// Inputs that were repeated.
    pub steps: usize,
    /// The last one's time.
    pub until: Instant,
    /// Steps at which the machine acted differently.
    pub diverged: usize,
    /// The first of them.
    pub divergences: Vec<Divergence>,
    /// Promises that were broken.
    pub violations: Vec<String>,
    /// How the recording ended; `None`: it was cut off.
    pub ending: Option<Ending>,
    /// Why it is not complete, with the line; `None`: it is.
    pub incomplete: Option<String>,
    /// What was told to the machine.
    pub inputs: Vec<(Instant, Input)>,
    /// What happened, in words.
    pub timeline: Vec<TimelineLine>,
    /// What happened, to be drawn.
    pub lanes: Lanes,
}

/// Repeats a recording through the machine.
///
/// # Errors
/// The file is no recording, or a line in it is damaged. A file that merely ends early is repeated as far as it goes.
pub fn replay(text: &str) -> Result<Replayed, RecordingError> {
    replay_with(text, |_| {})
}

/// The same with other options and instructions than were recorded: would the agent of today act differently?
///
/// # Errors
/// As [`replay`].
pub fn replay_with(
    text: &str,
    change: impl FnOnce(&mut Header),
) -> Result<Replayed, RecordingError> {
    if text.len() > MAX_RECORDING_BYTES {
        return Err(RecordingError::TooLarge);
    }
    let mut lines = text.lines().enumerate();
    let first = lines.next().ok_or(RecordingError::Empty)?.1;
    let mut header = Header::from_line(first)?;
    change(&mut header);
    let mut machine = Machine::new(header);
    let count = text.lines().count();
    for (index, raw) in lines {
        let number = index + 1;
        // A process that is killed leaves half a line.
        let may_be_cut = !text.ends_with('\n') && number == count;
        match Line::from_line(raw) {
            Ok(Line::Step(step)) => machine.step(number, step),
            Ok(Line::Dropped(count)) => {
                machine.replayed.incomplete = Some(format!(
                    "line {number}: {count} steps were not recorded (the disk was too slow); repeated up to there"
                ));
                return Ok(machine.replayed);
            }
            Ok(Line::End(ending)) => {
                machine.replayed.ending = Some(ending);
                machine.replayed.incomplete = match ending {
                    Ending::Complete => None,
                    Ending::Full => Some(format!(
                        "line {number}: the recording reached its size limit; the session went on"
                    )),
                    Ending::Broken => {
                        Some(format!("line {number}: the session's task panicked here"))
                    }
                };
                return Ok(machine.replayed);
            }
            Err(_) if may_be_cut => {
                machine.replayed.incomplete = Some(cut_off(number));
                return Ok(machine.replayed);
            }
            Err(problem) => {
                return Err(RecordingError::Damaged {
                    line: number,
                    problem,
                });
            }
        }
    }
    machine.replayed.incomplete = Some(cut_off(count));
    Ok(machine.replayed)
}

/// As it would be read from a file. Numbers that were 32 bit wide are not always read back to the last digit.
fn as_read(value: Value) -> Value {
    serde_json::from_str(&value.to_string()).unwrap_or(value)
}

fn cut_off(line: usize) -> String {
    format!(
        "line {line}: the recording is cut off there (the process was killed, or the file was not copied whole); repeated up to there"
    )
}

struct Machine {
    dialogue: Dialogue,
    observer: Observer,
    replayed: Replayed,
}

impl Machine {
    fn new(header: Header) -> Self {
        Self {
            dialogue: header.machine(),
            observer: Observer::default(),
            replayed: Replayed {
                header,
                steps: 0,
                until: Instant::ZERO,
                diverged: 0,
                divergences: Vec::new(),
                violations: Vec::new(),
                ending: None,
                incomplete: None,
                inputs: Vec::new(),
                timeline: Vec::new(),
                lanes: Lanes::default(),
            },
        }
    }

    fn step(&mut self, line: usize, step: Step) {
        let Step { at, input, actions } = step;
        let replayed = &mut self.replayed;
        replayed.steps += 1;
        replayed.until = replayed.until.max(at);
        self.observer.input(at, &input);
        replayed.lanes.input(at, &input);
        self.dialogue.handle(at, input.clone());
        let mut actual = Vec::new();
        while let Some(action) = self.dialogue.poll() {
            self.observer.action(&action);
            replayed.lanes.action(at, &action);
            replayed.timeline.push(TimelineLine {
                at,
                text: show_action(&action),
            });
            actual.push(as_read(Step::digest(&action)));
        }
        if let Err(violation) = self.observer.step(&self.dialogue) {
            replayed
                .violations
                .push(format!("line {line}: {violation}"));
        }
        if let Some((action, pointer)) = difference(&actions, &actual) {
            replayed.diverged += 1;
            if replayed.divergences.len() < MAX_DIVERGENCES {
                replayed.divergences.push(Divergence {
                    line,
                    at,
                    input: input.clone(),
                    action,
                    pointer,
                    expected: actions.get(action).cloned(),
                    actual: actual.get(action).cloned(),
                });
            }
        }
        replayed.inputs.push((at, input));
    }
}

/// The first action that differs, and where in it.
fn difference(expected: &[Value], actual: &[Value]) -> Option<(usize, String)> {
    let both = expected.iter().zip(actual).enumerate();
    for (index, (expected, actual)) in both {
        if let Some(pointer) = inside(expected, actual) {
            return Some((index, pointer));
        }
    }
    (expected.len() != actual.len()).then(|| (expected.len().min(actual.len()), String::new()))
}

/// The pointer of the innermost value that differs.
fn inside(expected: &Value, actual: &Value) -> Option<String> {
    if expected == actual {
        return None;
    }
    if let (Value::Object(expected), Value::Object(actual)) = (expected, actual) {
        let same_keys =
            expected.len() == actual.len() && expected.keys().all(|key| actual.contains_key(key));
        // another kind of action differs as a whole
        if same_keys || expected.len() > 1 {
            let keys = expected.keys().chain(actual.keys());
            for key in keys {
                let none = &Value::Null;
                let (old, new) = (expected.get(key), actual.get(key));
                if let Some(rest) = inside(old.unwrap_or(none), new.unwrap_or(none)) {
                    return Some(format!("/{key}{rest}"));
                }
            }
        }
    }
    Some(String::new())
}

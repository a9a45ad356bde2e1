//! A conversation that broke a promise: repeated, made shorter while it still does, and written down as a scenario.

use std::fmt;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::liveness::{MUTE, QUESTION, lives};
use crate::check::seconds;
use crate::from_inputs;
use crate::invariants::{ANSWERS_WITHIN, Observer, SETTLES_WITHIN};
use antiphon_chat::time::{Duration, Instant};
use antiphon_dialogue::Dialogue;
use antiphon_dialogue::action::Action;
use antiphon_dialogue::input::{Input, Playout};
use antiphon_dialogue::options::Options;

/// What was promised and not kept, and the inputs that led to it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The agent's options.
    pub options: Options,
    /// Its instructions.
    pub instructions: Arc<str>,
    /// What the machine was told.
    pub inputs: Vec<(Instant, Input)>,
    /// Which promise, and how; further lines say what happened.
    pub problem: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\n\nThis scenario shows it; keep it in crates/dialogue/scenarios, in the folder of its topic, with a `title` that says its symptom:\n\n{}\n{}",
            self.problem,
            self.scenario(),
            self.trace()
        )
    }
}

impl Failure {
    /// What the machine was told and did, in the lines of a comment.
    fn trace(&self) -> String {
        let mut text = String::new();
        let mut dialogue = Dialogue::new(self.options.clone(), self.instructions.clone());
        for (at, input) in &self.inputs {
            let _ = writeln!(text, "# {:.3} {input:?}", seconds(*at));
            if catch_unwind(AssertUnwindSafe(|| dialogue.handle(*at, input.clone()))).is_err() {
                return text + "#     panic\n";
            }
            while let Some(action) = dialogue.poll() {
                let _ = writeln!(text, "#     {action:?}");
            }
        }
        text
    }

    /// As a scenario that fails until the promise is kept.
    pub fn scenario(&self) -> String {
        let title = self.problem.lines().next().unwrap_or_default();
        let inputs = self.inputs.iter().map(|(at, input)| (*at, input));
        let mut text = from_inputs(title, &self.options, inputs);
        if self.problem.starts_with(MUTE) {
            // A promise about what comes later is seen to be broken only when somebody asks.
            let last = self.inputs.iter().map(|(at, _)| *at).max();
            let from = last.unwrap_or_default() + SETTLES_WITHIN;
            let to = from + Duration::from_secs(1);
            let end = to + ANSWERS_WITHIN;
            let (from, to, end) = (seconds(from), seconds(to), seconds(end));
            let _ = writeln!(
                text,
                "{from:.3}-{to:.3} says \"{QUESTION}\"\nend {end:.3}\nexpect {to:.3}-{end:.3} agent speaking"
            );
        }
        text
    }

    /// Drops inputs while the same promise is broken; what remains speaks of the same things by their new names.
    #[must_use]
    pub fn shrink(mut self) -> Self {
        let kind = kind(&self.problem);
        let machine = Machine(self.options.clone(), self.instructions.clone());
        // without the time, and with what a panic said
        if let Err(problem) = machine.replay(&self.inputs)
            && self::kind(&problem) == kind
        {
            self.problem = problem;
        }
        let mut inputs = machine.relative(&self.inputs);
        let mut size = inputs.len().div_ceil(2);
        while size > 0 {
            let mut at = 1; // without `Started` there is no conversation
            while at < inputs.len() {
                let mut fewer = inputs.clone();
                fewer.drain(at..(at + size).min(fewer.len()));
                let named = machine.absolute(&fewer);
                match machine.replay(&named) {
                    Err(problem) if self::kind(&problem) == kind => {
                        (inputs, self.inputs, self.problem) = (fewer, named, problem);
                    }
                    _ => at += size,
                }
            }
            size /= 2;
        }
        self
    }
}

/// The newest of each kind of thing that the machine has asked for.
#[derive(Default)]
struct Newest {
    generation: u32,
    segment: u32,
    retrieval: u32,
    prediction: u32,
    turn: u32,
    batch: u32,
}

impl Newest {
    fn note(&mut self, action: &Action) {
        match action {
            Action::StartLlm { id, .. } => self.generation = id.0,
            Action::Synthesize { id, .. } => self.segment = id.0,
            Action::Retrieve { id, .. } => self.retrieval = id.0,
            Action::PredictTurn { id, .. } => self.prediction = id.0,
            Action::CompleteUserTurn { turn, .. } => self.turn = turn.0,
            Action::CompleteTools { id, .. } => self.batch = id.0,
            _ => {}
        }
    }

    /// The number that an input speaks of, and the newest one of its kind.
    fn named<'a>(&self, input: &'a mut Input) -> Option<(&'a mut u32, u32)> {
        match input {
            Input::Llm { id, .. } => Some((&mut id.0, self.generation)),
            Input::Tts { id, .. }
            | Input::Playout(
                Playout::Started { id }
                | Playout::Progress { id, .. }
                | Playout::Finished { id, .. }
                | Playout::Cleared { id, .. },
            ) => Some((&mut id.0, self.segment)),
            Input::Retrieved { id, .. } => Some((&mut id.0, self.retrieval)),
            Input::TurnPrediction { id, .. } => Some((&mut id.0, self.prediction)),
            Input::UserTurnCompleted { turn, .. } => Some((&mut turn.0, self.turn)),
            Input::ToolsCompleted { id, .. } => Some((&mut id.0, self.batch)),
            _ => None,
        }
    }
}

/// An input whose number, if it has one, counts back from the newest.
type Relative = (Instant, Input, u32);

/// What the conversations begin with.
struct Machine(Options, Arc<str>);

impl Machine {
    fn new_dialogue(&self) -> Dialogue {
        Dialogue::new(self.0.clone(), self.1.clone())
    }

    fn relative(&self, inputs: &[(Instant, Input)]) -> Vec<Relative> {
        let mut result = Vec::new();
        self.tell(inputs.iter().cloned(), |newest, at, input| {
            let back = newest
                .named(input)
                .map_or(0, |(id, newest)| newest.saturating_sub(*id));
            result.push((at, input.clone(), back));
        });
        result
    }

    fn absolute(&self, inputs: &[Relative]) -> Vec<(Instant, Input)> {
        let (mut result, mut backs) = (Vec::new(), inputs.iter().map(|(.., back)| *back));
        let plain = inputs.iter().map(|(at, input, _)| (*at, input.clone()));
        self.tell(plain, |newest, at, input| {
            let back = backs.next().unwrap_or_default();
            if let Some((id, newest)) = newest.named(input) {
                *id = newest.saturating_sub(back);
            }
            result.push((at, input.clone()));
        });
        result
    }

    /// Tells a machine the inputs, each as `change` makes it.
    fn tell(
        &self,
        inputs: impl Iterator<Item = (Instant, Input)>,
        mut change: impl FnMut(&Newest, Instant, &mut Input),
    ) {
        let _broken = catch_unwind(AssertUnwindSafe(|| {
            let mut dialogue = self.new_dialogue();
            let mut newest = Newest::default();
            for (at, mut input) in inputs {
                change(&newest, at, &mut input);
                dialogue.handle(at, input);
                while let Some(action) = dialogue.poll() {
                    newest.note(&action);
                }
            }
        }));
    }

    /// The same inputs again, with every promise checked, and the agent's life proved at the end. The first promise that
    /// was not kept is the error.
    fn replay(&self, inputs: &[(Instant, Input)]) -> Result<(), String> {
        catch_unwind(AssertUnwindSafe(|| {
            let mut dialogue = self.new_dialogue();
            let mut observer = Observer::default();
            let (mut now, mut closed) = (Instant::ZERO, false);
            for (at, input) in inputs {
                now = now.max(*at);
                observer.input(now, input);
                dialogue.handle(now, input.clone());
                while let Some(action) = dialogue.poll() {
                    observer.action(&action);
                    closed |= action == Action::Close;
                }
                observer
                    .step(&dialogue)
                    .map_err(|violation| violation.to_string())?;
            }
            if closed {
                return Ok(());
            }
            lives(&dialogue, &observer, now, false)?;
            lives(&dialogue, &observer, now, true)
        }))
        .unwrap_or_else(|panic| {
            let what = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(format!("panic: {}", what.unwrap_or_default()))
        })
    }
}

/// The promise, without the particulars and the time.
fn kind(problem: &str) -> String {
    let said = problem.trim_start_matches(|c: char| c.is_ascii_digit() || ".: ".contains(c));
    said.split([':', '\n']).next().unwrap_or_default().into()
}

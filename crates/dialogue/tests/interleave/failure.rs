//! A conversation that broke a promise: repeated, made shorter while it still does, and written down as a scenario.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use antiphon_dialogue::input::Playout;
use antiphon_dialogue::invariants::Observer;
use antiphon_dialogue::{Action, Dialogue, Input, Instant, Options, scenario};

use super::lives;

/// What was promised and not kept, and the inputs that led to it.
pub(crate) struct Failure {
    pub(crate) options: Options,
    pub(crate) inputs: Vec<(Instant, Input)>,
    pub(crate) problem: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = self.problem.lines().next().unwrap_or_default();
        let inputs = self.inputs.iter().map(|(at, input)| (*at, input));
        let scenario = scenario::from_inputs(title, &self.options, inputs);
        write!(
            f,
            "{}\n\nThis scenario shows it; keep it in crates/dialogue/scenarios under the name of its symptom:\n\n{scenario}\n{}",
            self.problem,
            trace(&self.options, &self.inputs)
        )
    }
}

impl Failure {
    /// Drops inputs while the same promise is broken; what remains speaks of the same things by their new names.
    #[allow(dead_code, reason = "the fuzzer makes inputs shorter in its own way")]
    pub(crate) fn shrink(mut self) -> Self {
        let kind = kind(&self.problem);
        let mut inputs = relative(&self.options, &self.inputs);
        let mut size = inputs.len().div_ceil(2);
        while size > 0 {
            let mut at = 1; // without `Started` there is no conversation
            while at < inputs.len() {
                let mut fewer = inputs.clone();
                fewer.drain(at..(at + size).min(fewer.len()));
                let named = absolute(&self.options, &fewer);
                match replay(&self.options, &named) {
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
}

impl Newest {
    fn note(&mut self, action: &Action) {
        match action {
            Action::StartLlm { id, .. } => self.generation = id.0,
            Action::Synthesize { id, .. } => self.segment = id.0,
            Action::Retrieve { id, .. } => self.retrieval = id.0,
            Action::PredictTurn { id, .. } => self.prediction = id.0,
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
            _ => None,
        }
    }
}

/// An input whose number, if it has one, counts back from the newest.
type Relative = (Instant, Input, u32);

fn relative(options: &Options, inputs: &[(Instant, Input)]) -> Vec<Relative> {
    let mut result = Vec::new();
    tell(options, inputs.iter().cloned(), |newest, at, input| {
        let back = newest
            .named(input)
            .map_or(0, |(id, newest)| newest.saturating_sub(*id));
        result.push((at, input.clone(), back));
    });
    result
}

fn absolute(options: &Options, inputs: &[Relative]) -> Vec<(Instant, Input)> {
    let (mut result, mut backs) = (Vec::new(), inputs.iter().map(|(.., back)| *back));
    let plain = inputs.iter().map(|(at, input, _)| (*at, input.clone()));
    tell(options, plain, |newest, at, input| {
        let back = backs.next().unwrap_or_default();
        if let Some((id, newest)) = newest.named(input) {
            *id = newest.saturating_sub(back);
        }
        result.push((at, input.clone()));
    });
    result
}

/// What the machine did.
fn trace(options: &Options, inputs: &[(Instant, Input)]) -> String {
    let mut text = String::new();
    let mut dialogue = Dialogue::new(options.clone(), "Be brief.");
    for (at, input) in inputs {
        text += &format!("# {:.3} {input:?}\n", at.as_micros() as f64 / 1e6);
        if catch_unwind(AssertUnwindSafe(|| dialogue.handle(*at, input.clone()))).is_err() {
            return text + "#     panic\n";
        }
        while let Some(action) = dialogue.poll() {
            text += &format!("#     {action:?}\n");
        }
    }
    text
}

/// Tells a machine the inputs, each as `change` makes it.
fn tell(
    options: &Options,
    inputs: impl Iterator<Item = (Instant, Input)>,
    mut change: impl FnMut(&Newest, Instant, &mut Input),
) {
    let _broken = catch_unwind(AssertUnwindSafe(|| {
        let mut dialogue = Dialogue::new(options.clone(), "Be brief.");
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

/// The promise, without the particulars.
fn kind(problem: &str) -> String {
    problem.split([':', '\n']).next().unwrap_or_default().into()
}

/// The same inputs again, with every promise checked, and the agent's life proved at the end.
///
/// # Errors
/// The first promise that was not kept.
pub(crate) fn replay(options: &Options, inputs: &[(Instant, Input)]) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| {
        let mut dialogue = Dialogue::new(options.clone(), "Be brief.");
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
                .step(dialogue.history())
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

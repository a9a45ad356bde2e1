//! A random conversation, drawn from any source of randomness: a seeded generator in tests, the fuzzer's bytes in `fuzz/`.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use antiphon_chat::ChatRequest;
use antiphon_dialogue::{Action, Dialogue, Input, Instant, Options};
use antiphon_scenario::invariants::Observer;
use antiphon_scenario::{Failure, lives};
use rand::Rng;
use rand::seq::IndexedRandom;

mod draw;
mod options;

use draw::{Asked, Temper, input, ms, note};
use options::options;

/// In one conversation of this many it is noted what was seen.
const NOTED: u32 = 64;
const INSTRUCTIONS: &str = "Be brief.";
/// Inputs after the end of the session, which must do nothing.
const AFTER_CLOSE: usize = 3;

/// What a run came to.
#[derive(Default)]
pub(crate) struct Run {
    /// Inputs handled while the session was open.
    pub(crate) steps: usize,
    /// States from which life was proved.
    pub(crate) proofs: usize,
    /// Kinds of actions and events that were seen, in some conversations.
    pub(crate) seen: BTreeSet<String>,
}

/// This many random inputs. What was promised and not kept is the error, with all that led to it.
#[allow(dead_code, reason = "not for who converts requests")]
pub(crate) fn run(rng: &mut impl Rng, steps: usize) -> Result<Run, Box<Failure>> {
    let options = options(rng);
    let mut inputs = Vec::with_capacity(steps);
    let mut run = Run::default();
    match converse(rng, steps, &options, &mut inputs, &mut run) {
        Ok(()) => Ok(run),
        Err(problem) => Err(Box::new(Failure {
            options,
            instructions: INSTRUCTIONS.into(),
            inputs,
            problem,
        })),
    }
}

/// The inputs of such a conversation.
#[allow(dead_code, reason = "not for the fuzzer")]
pub(crate) fn inputs(rng: &mut impl Rng, steps: usize) -> Vec<(Instant, Input)> {
    let (options, mut inputs) = (options(rng), Vec::new());
    let result = converse(rng, steps, &options, &mut inputs, &mut Run::default());
    assert_eq!(result, Ok(()));
    inputs
}

/// What the model is asked in such a conversation.
#[allow(dead_code, reason = "for who converts requests")]
pub(crate) fn requests(rng: &mut impl Rng, steps: usize) -> Vec<ChatRequest> {
    let (options, mut inputs) = (options(rng), Vec::new());
    let result = converse(rng, steps, &options, &mut inputs, &mut Run::default());
    assert_eq!(result, Ok(()));
    let mut dialogue = Dialogue::new(options, INSTRUCTIONS);
    let mut requests = Vec::new();
    for (at, input) in inputs {
        dialogue.handle(at, input);
        while let Some(action) = dialogue.poll() {
            if let Action::StartLlm { request, .. } = action {
                requests.push(request);
            }
        }
    }
    requests
}

fn converse(
    rng: &mut impl Rng,
    steps: usize,
    options: &Options,
    inputs: &mut Vec<(Instant, Input)>,
    run: &mut Run,
) -> Result<(), String> {
    let mut dialogue = Dialogue::new(options.clone(), INSTRUCTIONS);
    let mut observer = Observer::default();
    let mut asked = Asked::default();
    let temper = Temper::new(rng);
    let noted = rng.random_ratio(1, NOTED);
    let mut now = Instant::ZERO;
    let mut after_close = 0;
    for _ in 0..steps {
        let input = match inputs.last() {
            None => Some(Input::Started),
            // twice the same, as an impatient or broken provider may say it
            Some((_, last)) if rng.random_bool(0.02) => Some(last.clone()),
            Some(_) => input(rng, &temper, &mut asked),
        };
        let Some(input) = input else { continue };
        now = match (&input, dialogue.deadline()) {
            (Input::Time, Some(due)) => now.max(due),
            _ => now + ms(*temper.pace.choose(rng).unwrap()),
        };
        inputs.push((now, input.clone()));
        observer.input(now, &input);
        catch_unwind(AssertUnwindSafe(|| dialogue.handle(now, input)))
            .map_err(|_| "panic: in handle".to_owned())?;
        run.steps += usize::from(after_close == 0);
        while let Some(action) = dialogue.poll() {
            observer.action(&action);
            note(rng, &mut asked, &action);
            if noted {
                run.seen.insert(kind(&action));
            }
            if action == Action::Close {
                after_close = 1;
            }
        }
        observer
            .step(&dialogue)
            .map_err(|violation| violation.to_string())?;
        match after_close {
            0 => {
                run.proofs += 1;
                let at_once = rng.random();
                lives(&dialogue, &observer, now, at_once)?;
            }
            AFTER_CLOSE => return Ok(()),
            _ => after_close += 1,
        }
    }
    Ok(())
}

/// `Play`, or `Emit(Interrupted`.
fn kind(action: &Action) -> String {
    let text = format!("{action:?}");
    let end = text.find([' ', '{']).unwrap_or(text.len());
    let text = text.get(..end).unwrap_or_default();
    match text.strip_prefix("Emit(") {
        Some(event) => event.split('(').next().unwrap_or_default().to_owned(),
        None => text.split('(').next().unwrap_or_default().to_owned(),
    }
}

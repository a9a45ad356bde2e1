//! A random conversation, drawn from any source of randomness: a seeded generator in tests, the fuzzer's bytes in `fuzz/`.

use antiphon_dialogue::chat::{Passage, ToolCall};
use antiphon_dialogue::event::AgentState;
use antiphon_dialogue::ids::{GenerationId, PredictionId, RetrievalId, SegmentId};
use antiphon_dialogue::input::{Command, Llm, Playout, Stt, ToolValue, Tts, Vad};
use antiphon_dialogue::invariants::Observer;
use antiphon_dialogue::options::{ToolInterruption, ToolOptions, TurnDetection};
use antiphon_dialogue::scenario::{Simulation, Speech};
use antiphon_dialogue::time::Duration;
use antiphon_dialogue::{Action, Dialogue, Input, Instant, Options};
use rand::Rng;
use rand::seq::IndexedRandom;

const LIVENESS_EVERY: usize = 50;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn options(rng: &mut impl Rng) -> Options {
    let mut options = Options {
        turn_detection: *[
            TurnDetection::Vad,
            TurnDetection::Vad,
            TurnDetection::Stt,
            TurnDetection::Manual,
        ]
        .choose(rng)
        .unwrap(),
        resume_false_interruption: rng.random_bool(0.8),
        allow_interruptions: rng.random_bool(0.9),
        preemptive_generation: rng.random_bool(0.8),
        preemptive_tts: rng.random_bool(0.5),
        turn_detector: rng.random_bool(0.3),
        retrieval: rng.random_bool(0.5),
        min_interruption_words: *[0, 0, 2].choose(rng).unwrap(),
        max_tool_steps: rng.random_range(0..4),
        llm_timeout: ms(3000),
        tts_timeout: ms(3000),
        tool_timeout: ms(5000),
        greeting: rng
            .random_bool(0.3)
            .then(|| "Hello, how can I help you? Just ask.".into()),
        tool_interruption: *[ToolInterruption::Detach, ToolInterruption::Cancel]
            .choose(rng)
            .unwrap(),
        discard_audio_if_uninterruptible: rng.random_bool(0.3),
        ..Options::default()
    };
    options.tools.insert(
        "b".into(),
        ToolOptions {
            timeout: Some(ms(1000)),
            interruption: Some(ToolInterruption::Protect),
        },
    );
    options
}

/// What the machine has asked for, old things included.
#[derive(Default)]
struct Asked {
    generations: Vec<GenerationId>,
    segments: Vec<SegmentId>,
    retrievals: Vec<RetrievalId>,
    predictions: Vec<PredictionId>,
    /// In the playout, with what was played of each.
    playing: Vec<(SegmentId, Duration)>,
    cleared: Vec<(SegmentId, Duration)>,
    calls: Vec<String>,
}

/// Usually the newest, sometimes any old one.
fn recent<T: Clone>(rng: &mut impl Rng, from: &[T]) -> Option<T> {
    if rng.random_bool(0.8) {
        from.last().cloned()
    } else {
        from.choose(rng).cloned()
    }
}

const WORDS: [&str; 8] = [
    "yeah",
    "mm-hmm",
    "book a table",
    "for two",
    "stop",
    "what time is it",
    "",
    "and then I want",
];
const TEXTS: [&str; 6] = [
    "Of course, ",
    "I can do that for you. ",
    "🙂 ",
    "There are 3.5 tables (e.g. by the window). ",
    "a b c d e f g h i j k l m n o p ",
    "**Yes.**\n- one\n- two\n",
];

fn input(rng: &mut impl Rng, asked: &mut Asked) -> Option<Input> {
    let word = (*WORDS.choose(rng).unwrap()).to_owned();
    Some(match rng.random_range(0..100) {
        0..6 => Input::Vad(Vad::SpeechStarted { speech: ms(50) }),
        6..20 => Input::Vad(Vad::Frame {
            speaking: rng.random_bool(0.8),
            speech: ms(rng.random_range(0..2000)),
            silence: ms(*[0, 0, 32, 250].choose(rng).unwrap()),
        }),
        20..26 => Input::Vad(Vad::SpeechEnded {
            speech: ms(500),
            silence: ms(500),
        }),
        26..30 => Input::Stt(Stt::Interim(word)),
        30..32 => Input::Stt(Stt::Preflight(word)),
        32..38 => Input::Stt(Stt::Final {
            text: word,
            confidence: 1.0,
        }),
        38 => Input::Stt(Stt::SpeechStarted),
        39 => Input::Stt(Stt::SpeechEnded),
        40 => Input::TurnPrediction {
            id: recent(rng, &asked.predictions)?,
            probability: rng.random(),
            threshold: 0.5,
        },
        41..44 => {
            let passage = Passage {
                text: "text".into(),
                source: "file".into(),
                score: 1.0,
            };
            Input::Retrieved {
                id: recent(rng, &asked.retrievals)?,
                passages: vec![passage; rng.random_range(0..2)],
            }
        }
        44..58 => {
            let event = match rng.random_range(0..20) {
                0..9 => Llm::Text((*TEXTS.choose(rng).unwrap()).to_owned()),
                9..12 => Llm::ToolCall(ToolCall {
                    call_id: (*["", "call_1", "call_2"].choose(rng).unwrap()).to_owned(),
                    name: (*["a", "b", "c"].choose(rng).unwrap()).to_owned(),
                    arguments: "{}".into(),
                }),
                12..19 => Llm::Finished { usage: None },
                _ => Llm::Failed("no".into()),
            };
            Input::Llm {
                id: recent(rng, &asked.generations)?,
                event,
            }
        }
        58..68 => {
            let event = match rng.random_range(0..20) {
                0..9 => Tts::FirstAudio,
                9..11 => Tts::Words(vec![("Of".into(), ms(0)), ("course".into(), ms(300))]),
                11..19 => Tts::Finished {
                    duration: ms(*[0, 500, 2000].choose(rng).unwrap()),
                },
                _ => Tts::Failed("no".into()),
            };
            Input::Tts {
                id: recent(rng, &asked.segments)?,
                event,
            }
        }
        68..86 => playout(rng, asked)?,
        86..91 => {
            let value = ToolValue {
                output: "done".into(),
                reply: rng.random_bool(0.8),
            };
            let result = if rng.random_bool(0.8) {
                Ok(value)
            } else {
                Err("broken".into())
            };
            Input::ToolFinished {
                call_id: recent(rng, &asked.calls)?,
                result,
            }
        }
        91 => Input::UserText(word),
        92 => Input::Started,
        93 => Input::Command(command(rng, word)),
        _ => Input::Time,
    })
}

/// In order, as a playout reports; some reports are missing, some come twice.
fn playout(rng: &mut impl Rng, asked: &mut Asked) -> Option<Input> {
    if !asked.cleared.is_empty() && rng.random_bool(0.7) {
        let (id, played) = asked.cleared.remove(0);
        return Some(Input::Playout(Playout::Cleared { id, played }));
    }
    let twice = rng.random_bool(0.1);
    let head = asked.playing.first_mut()?;
    let id = head.0;
    Some(Input::Playout(match rng.random_range(0..10) {
        0..3 => Playout::Started { id },
        3..7 => {
            head.1 += ms(100);
            Playout::Progress { id, played: head.1 }
        }
        _ => {
            let played = head.1 + ms(200);
            if !twice {
                asked.playing.remove(0);
            }
            Playout::Finished { id, played }
        }
    }))
}

fn command(rng: &mut impl Rng, text: String) -> Command {
    match rng.random_range(0..10) {
        0..2 => Command::Say {
            text: "Attention please. Thank you.".into(),
            allow_interruptions: rng.random(),
            add_to_history: rng.random(),
        },
        2..4 => Command::GenerateReply {
            user_input: rng.random_bool(0.5).then_some(text),
            instructions: None,
            allow_interruptions: rng.random(),
        },
        4 => Command::Interrupt {
            force: rng.random(),
        },
        5..8 => Command::CommitUserTurn,
        8 => Command::ClearUserTurn,
        _ => Command::Close {
            drain: rng.random(),
        },
    }
}

fn note(rng: &mut impl Rng, asked: &mut Asked, action: &Action) {
    match action {
        Action::StartLlm { id, .. } => asked.generations.push(*id),
        Action::Synthesize { id, .. } => asked.segments.push(*id),
        Action::Retrieve { id, .. } => asked.retrievals.push(*id),
        Action::PredictTurn { id } => asked.predictions.push(*id),
        Action::Play { id } => asked.playing.push((*id, Duration::ZERO)),
        Action::RunTool { call, .. } => asked.calls.push(call.call_id.clone()),
        Action::ClearPlayout => {
            let mut cleared = std::mem::take(&mut asked.playing);
            cleared.retain(|_| rng.random_bool(0.9));
            asked.cleared = cleared;
        }
        _ => {}
    }
}

/// So many random inputs. What was promised and not kept is the error, with the last of what happened.
pub(crate) fn run(rng: &mut impl Rng, steps: usize) -> Result<(), String> {
    let options = options(rng);
    let mode = options.turn_detection;
    let mut dialogue = Dialogue::new(options, "Be brief.");
    let mut observer = Observer::default();
    let mut asked = Asked::default();
    let mut now = Instant::ZERO;
    let mut trace = Vec::new();
    let mut closed = false;
    for step in 0..steps {
        let input = if step == 0 {
            Some(Input::Started)
        } else {
            input(rng, &mut asked)
        };
        let Some(input) = input else { continue };
        now = match (&input, dialogue.deadline()) {
            (Input::Time, Some(due)) => now.max(due),
            _ => now + ms(*[0, 1, 20, 60, 200].choose(rng).unwrap()),
        };
        trace.push(format!("{:.3} {input:?}", now.as_micros() as f64 / 1e6));
        observer.input(now, &input);
        dialogue.handle(now, input);
        while let Some(action) = dialogue.poll() {
            trace.push(format!("      {action:?}"));
            observer.action(&action);
            note(rng, &mut asked, &action);
            closed |= action == Action::Close;
        }
        let tail = |trace: &[String]| trace[trace.len().saturating_sub(60)..].join("\n");
        observer
            .step(dialogue.history())
            .map_err(|violation| format!("{violation}\n{}", tail(&trace)))?;
        if step % LIVENESS_EVERY == LIVENESS_EVERY - 1 && !closed {
            lives(&dialogue, &observer, now, mode)
                .map_err(|problem| format!("{problem}\n{}", tail(&trace)))?;
        }
    }
    Ok(())
}

/// From here, silence and answering providers lead to an agent that answers.
fn lives(
    dialogue: &Dialogue,
    observer: &Observer,
    now: Instant,
    mode: TurnDetection,
) -> Result<(), String> {
    let mut simulation = Simulation::new(dialogue.clone(), observer.clone(), now);
    simulation.schedule(
        now,
        Input::Vad(Vad::SpeechEnded {
            speech: ms(500),
            silence: ms(500),
        }),
    );
    let settled = now + Duration::from_secs(90);
    simulation.run_until(settled);
    if simulation.dialogue.agent_state() == AgentState::Speaking {
        return Err("it speaks for ever".into());
    }
    let from = settled + ms(500);
    let before = simulation.timeline.len();
    simulation.speech(
        &Speech {
            from,
            to: from + ms(1000),
            text: "are you still there".into(),
            final_after: None,
        },
        None,
        ms(200),
    );
    if mode == TurnDetection::Manual {
        simulation.schedule(from + ms(2000), Input::Command(Command::CommitUserTurn));
    }
    simulation.run_until(from + Duration::from_secs(15));
    let answers = simulation.timeline[before..]
        .iter()
        .any(|line| line.text == "agent speaking");
    if let Some(violation) = simulation.violations.first() {
        return Err(violation.clone());
    }
    let closed = simulation.timeline.iter().any(|line| line.text == "close");
    if answers || closed {
        return Ok(());
    }
    let lines: Vec<String> = simulation
        .timeline
        .iter()
        .map(|line| format!("  {:.3} {}", line.at.as_micros() as f64 / 1e6, line.text))
        .collect();
    Err(format!(
        "it never answers again:\n{}\nafter",
        lines.join("\n")
    ))
}

//! The dice: tempers, and one input after the other, out of any source of randomness.

use std::collections::BTreeMap;

use antiphon_chat::time::Duration;
use antiphon_chat::{Item, Message, Passage, Role, ToolCall, ToolChoice, ToolOutput};
use antiphon_dialogue::agents::AgentSpec;
use antiphon_dialogue::ids::{
    AgentKey, BatchId, GenerationId, PredictionId, RetrievalId, SegmentId, SpeechId, TaskId, TurnId,
};
use antiphon_dialogue::input::{
    Command, GenerateReply, Llm, Measured, Playout, Priority, Say, Stt, ToolValue, ToolsVerdict,
    Tts, TurnVerdict, Vad,
};
use antiphon_dialogue::options::{CANCEL_TASK, RUNNING_TASKS, ToolOptions};
use antiphon_dialogue::{Action, Input, Instant, Options, OptionsPatch};
use rand::Rng;
use rand::seq::IndexedRandom;

use super::options::{filler, patch};

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What a conversation is like: some have few pauses, some a voice that hardly ever fails, some long waits. Every kind of
/// input stays possible in all of them.
pub(super) struct Temper {
    /// Up to which draw of [`WHOLE`] an input is of each kind.
    until: [u32; KINDS],
    pub(super) pace: Vec<u64>,
    /// How often an answer is about the newest question.
    recent: f64,
    /// How often a provider fails.
    fails: f64,
}

/// VAD, STT, turn detector, retrieval, LLM, TTS, playout, tools, typing, start, commands, hooks, time.
const KINDS: usize = 13;
const USUAL: [u32; KINDS] = [26, 16, 1, 3, 14, 10, 18, 5, 1, 1, 2, 2, 6];

impl Temper {
    pub(super) fn new(rng: &mut impl Rng) -> Self {
        let mut total = 0;
        let until = USUAL.map(|usual| {
            total += (usual * rng.random_range(1..6)).div_ceil(3);
            total
        });
        let paces: [&[u64]; 4] = [
            &[0, 1, 20, 60, 200],
            &[0, 20, 20, 32],
            &[0, 1, 100, 300, 1000],
            &[0, 1, 20, 60, 200, 4000, 20_000],
        ];
        Self {
            until,
            pace: paces.choose(rng).unwrap().to_vec(),
            recent: *[0.5, 0.8, 0.97].choose(rng).unwrap(),
            fails: *[0.0, 0.05, 0.3].choose(rng).unwrap(),
        }
    }
}

/// What the machine has asked for, old things included.
#[derive(Default)]
pub(super) struct Asked {
    generations: Vec<GenerationId>,
    segments: Vec<SegmentId>,
    retrievals: Vec<RetrievalId>,
    predictions: Vec<PredictionId>,
    turns: Vec<TurnId>,
    batches: Vec<BatchId>,
    /// In the playout, with what was played of each.
    playing: Vec<(SegmentId, Duration)>,
    cleared: Vec<(SegmentId, Duration)>,
    /// Ever in the playout.
    played: Vec<SegmentId>,
    calls: Vec<String>,
}

/// Usually the newest, sometimes any old one.
fn recent<T: Clone>(rng: &mut impl Rng, temper: &Temper, from: &[T]) -> Option<T> {
    if rng.random_bool(temper.recent) {
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
const CONFIRMED: &str = r#"{"lk_agents_confirm_duplicate":true}"#;
const TEXTS: [&str; 6] = [
    "Of course, ",
    "I can do that for you. ",
    "🙂 ",
    "There are 3.5 tables (e.g. by the window). ",
    "a b c d e f g h i j k l m n o p ",
    "**Yes.**\n- one\n- two\n",
];

pub(super) fn input(rng: &mut impl Rng, temper: &Temper, asked: &mut Asked) -> Option<Input> {
    let word = (*WORDS.choose(rng).unwrap()).to_owned();
    let whole = temper.until[KINDS - 1];
    let draw = rng.random_range(0..whole);
    let kind = temper.until.iter().position(|until| draw < *until)?;
    Some(match kind {
        0 => Input::Vad(match rng.random_range(0..26) {
            0..6 => Vad::SpeechStarted { speech: ms(50) },
            6..20 => Vad::Frame {
                speaking: rng.random_bool(0.8),
                speech: ms(rng.random_range(0..2000)),
                silence: ms(*[0, 0, 32, 250].choose(rng).unwrap()),
            },
            _ => Vad::SpeechEnded {
                speech: ms(500),
                silence: ms(*[0, 250, 500, 550].choose(rng).unwrap()),
            },
        }),
        1 => Input::Stt(match rng.random_range(0..18) {
            0..4 => Stt::Interim(word),
            4..6 => Stt::Preflight(word),
            6..12 => Stt::Final {
                text: word,
                confidence: rng.random_bool(0.5).then(|| rng.random()),
            },
            12 if rng.random_bool(0.2) => Stt::Language("en".into()),
            12 if rng.random_bool(0.2) => Stt::Speaker("S1".into()),
            12 => Stt::SpeechStarted,
            13 => Stt::SpeechEnded,
            14 if rng.random_bool(temper.fails) => Stt::Failed("no".into()),
            15 if rng.random_bool(temper.fails) => Stt::Degraded("no".into()),
            14..16 => Stt::Recovered,
            _ => Stt::Interim(String::new()),
        }),
        2 => Input::TurnPrediction {
            id: recent(rng, temper, &asked.predictions)?,
            probability: rng.random(),
            threshold: 0.5,
        },
        3 => {
            let passage = Passage {
                page: None,
                text: "text".into(),
                source: "file".into(),
                score: 1.0,
            };
            Input::Retrieved {
                id: recent(rng, temper, &asked.retrievals)?,
                passages: vec![passage; rng.random_range(0..2)],
                failure: None,
            }
        }
        4 => Input::Llm {
            id: recent(rng, temper, &asked.generations)?,
            event: match rng.random_range(0..24) {
                _ if rng.random_bool(temper.fails / 4.0) => Llm::Failed("no".into()),
                0..9 => Llm::Text((*TEXTS.choose(rng).unwrap()).to_owned()),
                9..12 => Llm::ToolCall(wanted_call(rng)),
                12 => Llm::RefusedCall {
                    call: wanted_call(rng),
                    why: "It was cut off.".into(),
                },
                13..15 => Llm::Thinking,
                15 => Llm::Withdrawn,
                16 => Llm::Warning("odd".into()),
                _ => Llm::Finished { usage: None },
            },
        },
        5 => Input::Tts {
            id: recent(rng, temper, &asked.segments)?,
            event: match rng.random_range(0..19) {
                _ if rng.random_bool(temper.fails / 4.0) => Tts::Failed("no".into()),
                0..9 => Tts::FirstAudio,
                9..11 => Tts::Words(vec![("Of".into(), ms(0)), ("course".into(), ms(300))]),
                _ => Tts::Finished {
                    duration: ms(*[0, 500, 500, 2000, 2000, 40_000_000].choose(rng).unwrap()),
                },
            },
        },
        6 => playout(rng, temper, asked)?,
        7 if rng.random_bool(0.3) => Input::ToolUpdated {
            call_id: recent(rng, temper, &asked.calls)?,
            message: "half done".into(),
        },
        7 => {
            let value = ToolValue {
                output: "done".into(),
                reply: rng.random_bool(0.8),
            };
            let result = if rng.random_bool(temper.fails) {
                Err("broken".into())
            } else {
                Ok(value)
            };
            Input::ToolFinished {
                call_id: recent(rng, temper, &asked.calls)?,
                result,
            }
        }
        8 => Input::UserText(word),
        9 if rng.random_bool(0.5) => Input::Measured(Measured::Stt { audio: ms(5000) }),
        9 => Input::Started,
        10 if rng.random_bool(0.2) => {
            let call_id = recent(rng, temper, &asked.calls).unwrap_or_default();
            Input::Command(agents(rng, call_id))
        }
        10 => Input::Command(command(rng, word)),
        11 if rng.random_bool(0.4) => Input::ToolsCompleted {
            id: recent(rng, temper, &asked.batches)?,
            verdict: ToolsVerdict {
                reply: rng.random_bool(0.7),
                handoff: rng.random_bool(0.7),
            },
        },
        11 => Input::UserTurnCompleted {
            turn: recent(rng, temper, &asked.turns)?,
            verdict: verdict(rng, word),
        },
        _ => Input::Time,
    })
}

fn wanted_call(rng: &mut impl Rng) -> ToolCall {
    ToolCall {
        call_id: (*["", "call_1", "call_2"].choose(rng).unwrap()).to_owned(),
        name: (*["a", "b", "c", "c", RUNNING_TASKS, CANCEL_TASK]
            .choose(rng)
            .unwrap())
        .to_owned(),
        arguments: (*["{}", r#"{"call_id":"call_1"}"#, CONFIRMED]
            .choose(rng)
            .unwrap())
        .to_owned(),
    }
}

/// What a hook makes of a turn.
fn verdict(rng: &mut impl Rng, word: String) -> TurnVerdict {
    let message = Message::new("item_1", Role::System, "Be kind.", Instant::ZERO);
    match rng.random_range(0..4) {
        0 => TurnVerdict::Stop,
        1 => TurnVerdict::unchanged(),
        _ => TurnVerdict::Reply {
            text: rng.random_bool(0.5).then_some(word),
            messages: vec![message; rng.random_range(0..3)],
        },
    }
}

/// In order, as a playout reports; some reports are missing, some come twice.
fn playout(rng: &mut impl Rng, temper: &Temper, asked: &mut Asked) -> Option<Input> {
    if rng.random_bool(temper.fails / 20.0) {
        // the output was lost, and says so of something that may be long gone
        let id = asked.played.choose(rng).copied()?;
        let still = asked.playing.iter().position(|(playing, _)| *playing == id);
        if let Some(at) = still {
            asked.playing.truncate(at);
        }
        return Some(Input::Playout(Playout::Cleared {
            id,
            played: ms(rng.random_range(0..500)),
        }));
    }
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
    match rng.random_range(0..14) {
        12 => Command::UpdateInstructions {
            instructions: (*["Be brief.", "Be kind."].choose(rng).unwrap()).into(),
        },
        13 if rng.random() => Command::UpdateTools { tools: tools(rng) },
        13 => Command::UpdateChatCtx {
            items: known(rng, text),
        },
        0..2 => Command::Say(Say {
            id: rng.random_bool(0.5).then(|| program_speech(rng)),
            allow_interruptions: rng.random_bool(0.5).then(|| rng.random()),
            add_to_history: rng.random(),
            priority: *[Priority::LOW, Priority::NORMAL, Priority::HIGH]
                .choose(rng)
                .unwrap(),
            ..Say::new("Attention please. Thank you.")
        }),
        2..4 => Command::GenerateReply(GenerateReply {
            id: rng.random_bool(0.5).then(|| program_speech(rng)),
            user_input: rng.random_bool(0.5).then_some(text),
            allow_interruptions: rng.random_bool(0.5).then(|| rng.random()),
            tool_choice: if rng.random_bool(0.3) {
                ToolChoice::None
            } else {
                ToolChoice::Auto
            },
            tools: rng.random_bool(0.2).then(|| vec!["a".into()]),
            ..GenerateReply::default()
        }),
        4 => Command::Interrupt {
            force: rng.random(),
        },
        5..7 => Command::CommitUserTurn {
            transcript_timeout: rng.random_bool(0.5).then(|| ms(500)),
            skip_reply: rng.random_bool(0.3),
        },
        7 => Command::UpdateOptions(Box::new(patch(rng))),
        8 => Command::ClearUserTurn,
        9 if rng.random_bool(0.2) => Command::Close {
            drain: rng.random(),
        },
        10 if rng.random_bool(0.3) => Command::SetFiller {
            call_id: "call_1".into(),
            filler: rng.random_bool(0.7).then(|| filler(rng)),
        },
        10 => Command::AllowInterruptions {
            speech: any_speech(rng),
            allow: rng.random(),
        },
        _ => Command::InterruptSpeech {
            speech: any_speech(rng),
            force: rng.random(),
        },
    }
}

/// Some of those that the model calls; those that run may be gone.
fn tools(rng: &mut impl Rng) -> BTreeMap<String, ToolOptions> {
    let mut tools = BTreeMap::new();
    for name in ["a", "b", "c", "d"] {
        if rng.random() {
            let options = ToolOptions {
                timeout: rng.random_bool(0.3).then(|| ms(2000)),
                filler: rng.random_bool(0.3).then(|| filler(rng)),
                cancellable: rng.random(),
                ..ToolOptions::default()
            };
            tools.insert(name.to_owned(), options);
        }
    }
    tools
}

/// What the agent is given to know: calls with and without a result, under names that others have.
fn known(rng: &mut impl Rng, text: String) -> Vec<Item> {
    let number = rng.random_range(1..30);
    let message = Message::new(format!("item_{number}"), Role::User, text, Instant::ZERO);
    let mut items = vec![Item::Message(message)];
    let call_id = (*["call_1", "call_2", "call_3"].choose(rng).unwrap()).to_owned();
    let id = format!("item_{number}/fnc_1");
    let name = String::from("a");
    let output = Item::FunctionCallOutput {
        id: format!("{id}/output"),
        output: ToolOutput {
            call_id: call_id.clone(),
            name: name.clone(),
            output: "done".into(),
            is_error: false,
            reply_required: true,
        },
        created_at: Instant::ZERO,
    };
    let call = ToolCall {
        call_id,
        name,
        arguments: "{}".into(),
    };
    let call = Item::FunctionCall {
        id,
        call,
        created_at: Instant::ZERO,
    };
    items.extend(rng.random_bool(0.7).then_some(call));
    items.extend(rng.random_bool(0.7).then_some(output));
    items
}

/// Somebody takes over, or is asked something.
fn agents(rng: &mut impl Rng, call_id: String) -> Command {
    let task = TaskId(rng.random_range(0..4));
    let agent = Box::new(AgentSpec {
        key: AgentKey(rng.random_range(0..4)),
        name: "other".into(),
        instructions: "Be another.".into(),
        options: Options {
            greeting: rng.random_bool(0.5).then(|| "Hello from me.".into()),
            llm_timeout: ms(3000),
            tts_timeout: ms(3000),
            tool_timeout: ms(5000),
            on_user_turn_completed: rng.random_bool(0.3),
            on_function_tools_executed: rng.random_bool(0.3),
            ..Options::default()
        },
        overrides: OptionsPatch::default(),
        keep_history: rng.random(),
    });
    match rng.random_range(0..5) {
        0 => Command::UpdateAgent { agent },
        1 => Command::HandOff { call_id, agent },
        2..4 => Command::StartTask {
            task,
            call_id,
            agent,
        },
        _ => Command::EndTask {
            task,
            completed: rng.random(),
        },
    }
}

/// Few numbers, so that names are used twice and hit what is being said.
fn program_speech(rng: &mut impl Rng) -> SpeechId {
    SpeechId::of_program(rng.random_range(0..4))
}

fn any_speech(rng: &mut impl Rng) -> SpeechId {
    if rng.random() {
        program_speech(rng)
    } else {
        SpeechId(rng.random_range(1..20))
    }
}

pub(super) fn note(rng: &mut impl Rng, asked: &mut Asked, action: &Action) {
    match action {
        Action::StartLlm { id, .. } => asked.generations.push(*id),
        Action::Synthesize { id, .. } => asked.segments.push(*id),
        Action::Retrieve { id, .. } => asked.retrievals.push(*id),
        Action::PredictTurn { id, .. } => asked.predictions.push(*id),
        Action::CompleteUserTurn { turn, .. } => asked.turns.push(*turn),
        Action::CompleteTools { id, .. } => asked.batches.push(*id),
        Action::Play { id } => {
            asked.playing.push((*id, Duration::ZERO));
            asked.played.push(*id);
        }
        Action::RunTool { call, .. } => asked.calls.push(call.call_id.clone()),
        Action::ClearPlayout => {
            let mut cleared = std::mem::take(&mut asked.playing);
            cleared.retain(|_| rng.random_bool(0.9));
            asked.cleared = cleared;
        }
        _ => {}
    }
}

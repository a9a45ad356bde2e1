//! Whoever floods the machine with anything makes it only so big: promise 6, measured.
#![allow(clippy::unwrap_used, clippy::panic)]

use antiphon_chat::ToolCall;
use antiphon_chat::time::Duration;
use antiphon_dialogue::ids::{GenerationId, SegmentId};
use antiphon_dialogue::input::{Command, Llm, Stt, ToolValue, Tts, Vad};
use antiphon_dialogue::{Action, Dialogue, Input, Instant, Options};

const KB: u64 = 1024;
const MB: u64 = 1024 * KB;

/// What the machine holds after this many of these, one every 10 ms, its actions taken away as a driver does.
fn held_after(count: u32, mut input: impl FnMut(u32, &Newest) -> Input) -> u64 {
    let mut machine = Dialogue::new(Options::default(), "Be brief.");
    let mut newest = Newest {
        generation: GenerationId(0),
        segment: SegmentId(0),
        calls: Vec::new(),
    };
    let mut now = Instant::ZERO;
    tell(&mut machine, &mut newest, now, Input::Started);
    let held = allocation_counter::measure(|| {
        for number in 0..count {
            now = now + Duration::from_millis(10);
            let input = input(number, &newest);
            tell(&mut machine, &mut newest, now, input);
        }
        newest.calls = Vec::new();
    });
    u64::try_from(held.bytes_current.max(0)).unwrap()
}

struct Newest {
    generation: GenerationId,
    segment: SegmentId,
    calls: Vec<String>,
}

fn tell(machine: &mut Dialogue, newest: &mut Newest, now: Instant, input: Input) {
    machine.handle(now, input);
    while let Some(action) = machine.poll() {
        match action {
            Action::StartLlm { id, .. } => newest.generation = id,
            Action::Synthesize { id, .. } => newest.segment = id,
            Action::RunTool { call, .. } => newest.calls = vec![call.call_id],
            _ => {}
        }
    }
}

fn long(bytes: u64) -> String {
    "word ".repeat(usize::try_from(bytes / 5).unwrap())
}

#[test]
fn who_talks_without_end_fills_one_turn() {
    let held = held_after(1000, |number, _| match number {
        0 => Input::Vad(Vad::SpeechStarted {
            speech: Duration::from_millis(50),
        }),
        _ => Input::Stt(Stt::Final {
            text: long(KB),
            confidence: None,
        }),
    });
    assert!(held < 200 * KB, "{held} bytes");
}

#[test]
fn an_endless_interim_is_cut() {
    let held = held_after(200, |_, _| Input::Stt(Stt::Interim(long(MB))));
    assert!(held < 200 * KB, "{held} bytes");
}

#[test]
fn an_endless_reply_is_cut() {
    let held = held_after(20_000, |number, newest| match number {
        0 => Input::UserText("tell me everything".into()),
        _ => Input::Llm {
            id: newest.generation,
            event: Llm::Text(long(KB)),
        },
    });
    assert!(held < 500 * KB, "{held} bytes");
}

#[test]
fn a_reply_of_nothing_but_tool_calls_is_cut() {
    let held = held_after(200, |number, newest| match number {
        0 => Input::UserText("do everything".into()),
        _ => Input::Llm {
            id: newest.generation,
            event: Llm::ToolCall(ToolCall {
                call_id: String::new(),
                name: long(MB),
                arguments: long(MB),
            }),
        },
    });
    assert!(held < 16 * 3 * 64 * KB * 2, "{held} bytes");
}

#[test]
fn endless_word_timings_are_cut() {
    let words: Vec<_> = (0..1000)
        .map(|_| ("word".to_owned(), Duration::ZERO))
        .collect();
    let held = held_after(1000, |number, newest| match number {
        0 => Input::Command(Command::Say("Hello to everybody.".into())),
        _ => Input::Tts {
            id: newest.segment,
            event: Tts::Words(words.clone()),
        },
    });
    assert!(held < 400 * KB, "{held} bytes");
}

#[test]
fn a_flood_of_announcements_holds_a_queueful() {
    let held = held_after(200, |_, _| Input::Command(Command::Say(long(MB).into())));
    assert!(held < 33 * 32 * KB * 2 + MB, "{held} bytes");
}

#[test]
fn endless_typing_holds_a_historyful() {
    let held = held_after(6000, |_, _| {
        Input::UserText("a question like any other".into())
    });
    assert!(held < 3 * MB, "{held} bytes");
}

#[test]
fn endless_tool_results_hold_a_historyful() {
    let held = held_after(2400, |number, newest| match number % 3 {
        0 => Input::UserText("again".into()),
        1 => Input::Llm {
            id: newest.generation,
            event: Llm::ToolCall(ToolCall {
                call_id: String::new(),
                name: "lookup".into(),
                arguments: format!("{{\"number\":{number}}}"),
            }),
        },
        _ => Input::ToolFinished {
            call_id: newest.calls.last().cloned().unwrap_or_default(),
            result: Ok(ToolValue {
                output: "a result".into(),
                reply: true,
            }),
        },
    });
    assert!(held < 3 * MB, "{held} bytes");
}

#[test]
fn endless_complaints_of_a_recogniser_are_not_kept() {
    let held = held_after(200, |_, _| Input::Stt(Stt::Degraded(long(MB))));
    assert!(held < 200 * KB, "{held} bytes");
}

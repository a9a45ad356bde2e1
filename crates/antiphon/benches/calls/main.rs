//! `make bench`: whole calls through the release binary, over WebRTC, with OpenAI and Deepgram simulated on loopback with
//! known delays. Printed are the time that our own code adds between the caller's last word and the agent's first packet,
//! barge-in to silence, CPU and memory of a session; each beside its goal.
//!
//! "Added" is what the caller waits minus what we cannot change: the configured endpointing and the simulated providers.
//! Replies are not speculative here, since a speculative one hides the model's wait and the figure would be negative.

#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a bench prints, and may stop where it is surprised"
)]

mod caller;
mod process;
mod stats;

use std::time::Duration;

use antiphon_rtc::{Engine, EngineConfig};
use antiphon_simulator::{Delays, LlmRule, Script, Simulator};

use caller::{Answer, Caller, Speech};
use process::Antiphon;
use stats::Sample;

/// The simulated providers' delays, those of the measurement of LiveKit Agents.
const DELAYS: Delays = Delays {
    llm_ping_ms: 0,
    llm_first_token_ms: 200,
    llm_token_ms: 0,
    tts_first_byte_ms: 100,
    tts_chunk_ms: 0,
    stt_final_ms: 100,
    stt_silence_ms: 600,
    stt_interim_ms: 200,
    stt_idle_ms: 10_000,
};
/// Configured endpointing, LiveKit's default.
const ENDPOINTING: Duration = Duration::from_millis(500);
/// Configured shortest interruption, LiveKit's default.
const MIN_INTERRUPTION: Duration = Duration::from_millis(500);
/// What the agent says to an ordinary question: long enough to be synthesized in clauses.
const ANSWER: &str = "It is sunny in Paris, and it stays warm until the evening.";
/// What the agent says when it is to be interrupted.
const LONG_ANSWER: &str = "Let me tell you a long story. Once upon a time there was a small house by the sea, and in it \
    lived an old woman with her cat. Every morning she went down to the shore and looked for shells. One day she found a \
    bottle with a letter in it, and the letter told of an island far away where the trees bear silver leaves.";

fn main() -> Result<(), process::Error> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        println!("providers: STT final 100 ms, LLM first token 200 ms, TTS first byte 100 ms; endpointing 500 ms");
        println!("machine: {} cores\n", std::thread::available_parallelism()?);
        let (one, fifty) = if quick { (3, 1) } else { (20, 6) };
        turns(1, one).await?;
        turns(50, fifty).await?;
        barge_in(if quick { 2 } else { 15 }).await
    })
}

/// This many callers at once, each asking this many questions.
async fn turns(callers: usize, questions: usize) -> Result<(), process::Error> {
    let (_simulator, mut antiphon, engine) = start(ANSWER).await?;
    let speech = Speech::question()?;
    let before = antiphon.usage()?;
    let mut calls = Vec::new();
    for number in 0..callers {
        let caller =
            Caller::join(&engine, &antiphon.url, &format!("bench-{number}"), &speech).await?;
        calls.push(tokio::spawn(
            caller.ask(questions, Duration::from_millis(37 * number as u64)),
        ));
        // A hundred joins in the same instant are another bench.
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    let (started, cpu) = (std::time::Instant::now(), antiphon.usage()?.cpu);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let during = antiphon.usage()?;
    let share = (during.cpu - cpu).as_secs_f64() / started.elapsed().as_secs_f64() / callers as f64;
    let memory = during.resident.saturating_sub(before.resident) as f64 / callers as f64 / 1e6;
    let (mut answers, mut unanswered) = (Vec::new(), 0);
    for call in calls {
        let outcome = call.await?;
        answers.extend(outcome.answers);
        unanswered += outcome.unanswered;
    }
    let providers = Duration::from_millis(DELAYS.llm_first_token_ms + DELAYS.tts_first_byte_ms);
    let fixed = (ENDPOINTING + providers).as_secs_f64() * 1e3;
    let added: Sample = answers
        .iter()
        .map(|answer| answer.wait.as_secs_f64() * 1e3 - fixed)
        .collect();
    println!(
        "{callers} caller{}: {} turns answered, {unanswered} not",
        if callers == 1 { "" } else { "s" },
        added.len()
    );
    println!(
        "  added by our code   {}   goal p50 <= 20, p99 <= 40",
        added.line("ms")
    );
    answers.sort_by_key(|answer| std::cmp::Reverse(answer.wait));
    for slow in answers.iter().take(3) {
        println!("  among the slowest   {}", account(slow, fixed));
    }
    println!(
        "  CPU of a session    {:.1} % of a core (server, media and agent)",
        share * 100.0
    );
    println!("  memory of a session {memory:.2} MB   goal <= 2\n");
    antiphon.stop();
    Ok(())
}

/// Where the time of a turn went, as far as it is our own.
fn account(answer: &Answer, fixed: f64) -> String {
    let wait = answer.wait.as_secs_f64() * 1e3;
    let beyond = |part: Option<f64>, given: u64| match part {
        Some(part) => format!("{:+.1}", part - given as f64),
        None => "?".to_owned(),
    };
    let Some(parts) = answer.parts else {
        return format!("{:.1} ms, question {}", wait - fixed, answer.question);
    };
    format!(
        "{:.1} ms, question {}: end of turn {}, LLM {}, TTS {}, on the wire and in jitter buffers {}",
        wait - fixed,
        answer.question,
        beyond(parts.end_of_turn, ENDPOINTING.as_millis() as u64),
        beyond(parts.llm, DELAYS.llm_first_token_ms),
        beyond(parts.tts, DELAYS.tts_first_byte_ms),
        beyond(parts.e2e.map(|inside| wait - inside), 0),
    )
}

/// One caller speaks into a long answer, again and again.
async fn barge_in(times: usize) -> Result<(), process::Error> {
    let (_simulator, mut antiphon, engine) = start(LONG_ANSWER).await?;
    let speech = Speech::question()?;
    let caller = Caller::join(&engine, &antiphon.url, "bench-barge-in", &speech).await?;
    let silences = caller.interrupt(times).await;
    let beyond: Sample = silences
        .iter()
        .map(|silence| (silence.as_secs_f64() - MIN_INTERRUPTION.as_secs_f64()) * 1e3)
        .collect();
    println!(
        "barge-in to silence, beyond the configured 500 ms of speech: {} of {times} interruptions",
        beyond.len()
    );
    println!(
        "                      {}   goal p50 <= 40",
        beyond.line("ms")
    );
    antiphon.stop();
    Ok(())
}

async fn start(answer: &str) -> Result<(Simulator, Antiphon, Engine), process::Error> {
    let rules = vec![LlmRule {
        text: answer.to_owned(),
        ..LlmRule::default()
    }];
    let utterances = vec!["what is the weather in paris".to_owned()];
    let simulator = Simulator::start(Script {
        utterances,
        rules,
        delays: DELAYS,
        ..Script::default()
    })
    .await?;
    let antiphon = Antiphon::start(&simulator)?;
    let engine = Engine::start(EngineConfig {
        bind: ([127, 0, 0, 1], 0).into(),
        loopback: true,
        ..EngineConfig::default()
    })?;
    Ok((simulator, antiphon, engine))
}

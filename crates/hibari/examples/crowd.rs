//! Many callers who talk with local ears and a local voice at once, in real time: each speaks, waits, and listens to an answer. How long
//! do they wait, and does a voice stop in the middle?
//! `cargo run --release -p antiphon-hibari --example crowd [CALLERS] [am_michael]`. A name is that of a voice of Kokoro.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use antiphon_agent::provider::{Stt, SttEvent, SttInput, Tts, TtsChunk};
use antiphon_audio::{Frame16k, wav};
use antiphon_hibari::VoiceTts;
use antiphon_moonshine::NeuralStt;
use antiphon_neural::Workers;
use futures_util::StreamExt as _;

type Failed = Box<dyn Error + Send + Sync>;

/// What callers say, 2 to 6 s long.
const RECORDINGS: [&str; 4] = ["sb_spk1_snt1", "cv651325", "sb_spk2_snt1", "goforward"];
/// What they are answered.
const ANSWERS: [&str; 4] = [
    "Certainly, your table for four is booked for Friday at 7:30 pm.",
    "We are open from Tuesday to Sunday, from noon to ten in the evening.",
    "Yes, dogs are welcome on the terrace, and there is water for them.",
    "That comes to $436.56, and you can pay by card or in cash.",
];
/// Turns of each caller.
const TURNS: usize = 6;
/// What a VAD hears as silence before it says that speech has ended.
const SILENCE: Duration = Duration::from_millis(250);
const FRAME: Duration = Duration::from_millis(20);
/// Sound that the playout has in hand before a listener would notice that more is missing.
const PLAYOUT: Duration = Duration::from_millis(60);

#[derive(Default)]
struct Seen {
    finals: Vec<Duration>,
    firsts: Vec<Duration>,
    /// Silences inside an answer, where the next piece was not there in time.
    gaps: Vec<Duration>,
    lost: usize,
}

fn main() -> Result<(), Failed> {
    let callers: usize = std::env::args()
        .nth(1)
        .map_or(Ok(20), |text| text.parse())?;
    let models =
        std::env::var_os("ANTIPHON_MODELS").ok_or("set ANTIPHON_MODELS to the folder of models")?;
    let (models, workers) = (Path::new(&models), Workers::for_this_machine()?);
    let stt = NeuralStt::load(&models.join("moonshine-tiny-en"), workers.clone())?;
    let tts = match std::env::args().nth(2) {
        None => VoiceTts::hibari(&models.join("hibari-heart"), workers, 1.0)?,
        Some(name) => VoiceTts::kokoro(&models.join("kokoro"), &name, workers, 1.0)?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let all = runtime.block_on(async {
        let calls: Vec<_> = (0..callers)
            .map(|number| tokio::spawn(call(stt.clone(), tts.clone(), number)))
            .collect();
        let mut all = Seen::default();
        for call in calls {
            let seen = call.await??;
            all.finals.extend(seen.finals);
            all.firsts.extend(seen.firsts);
            all.gaps.extend(seen.gaps);
            all.lost += seen.lost;
        }
        Ok::<_, Failed>(all)
    })?;
    println!(
        "{callers} callers, {} turns: final words after {}; first sound after {}; {} answers stopped in the middle, {}; {} turns lost",
        callers * TURNS,
        shares(all.finals),
        shares(all.firsts),
        all.gaps.len(),
        shares(all.gaps),
        all.lost,
    );
    Ok(())
}

fn shares(mut waits: Vec<Duration>) -> String {
    waits.sort();
    let at = |share: f64| {
        let place = (waits.len().saturating_sub(1) as f64 * share) as usize;
        waits.get(place).map_or(0, Duration::as_millis)
    };
    format!("{} ms (95th percentile {})", at(0.5), at(0.95))
}

async fn call(stt: NeuralStt, tts: VoiceTts, number: usize) -> Result<Seen, Failed> {
    let mut session = stt.open().await?;
    let mut seen = Seen::default();
    // nobody begins with another
    tokio::time::sleep(Duration::from_millis(437 * number as u64 % 5_000)).await;
    for turn in number..number + TURNS {
        let recording = RECORDINGS.iter().cycle().nth(turn).copied();
        let answer = ANSWERS.iter().cycle().nth(turn).copied();
        speak(&session.input, recording.unwrap_or_default()).await?;
        let ordered = Instant::now();
        session.input.send(SttInput::Finalize).await?;
        loop {
            let event = tokio::time::timeout(Duration::from_secs(10), session.events.recv());
            match event.await {
                Ok(Some(SttEvent::Final { .. })) => {
                    seen.finals.push(ordered.elapsed());
                    break;
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => {
                    seen.lost += 1;
                    break;
                }
            }
        }
        listen(&tts, answer.unwrap_or_default(), &mut seen).await?;
    }
    Ok(seen)
}

/// Says a recording as fast as a person does.
async fn speak(input: &tokio::sync::mpsc::Sender<SttInput>, recording: &str) -> Result<(), Failed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop/speech/known-words");
    let file = std::fs::read(folder.join(format!("{recording}.wav")))?;
    let mut sound = wav::read::<16_000>(&file)?.into_samples();
    sound.resize(sound.len() + SILENCE.as_millis() as usize * 16, 0);
    let mut tick = tokio::time::interval(FRAME);
    for piece in sound.chunks(320) {
        tick.tick().await;
        let frame = SttInput::Audio(Frame16k::new(piece.to_vec()));
        input.send(frame).await?;
    }
    Ok(())
}

/// Listens to an answer to its end.
async fn listen(tts: &VoiceTts, answer: &str, seen: &mut Seen) -> Result<(), Failed> {
    let asked = Instant::now();
    let mut stream = tts.synthesize(answer.to_owned());
    // when the sound that is there will have been played
    let mut played: Option<Instant> = None;
    while let Some(chunk) = stream.next().await {
        let TtsChunk::Audio(frame) = chunk? else {
            continue;
        };
        let now = Instant::now();
        match played {
            None => seen.firsts.push(asked.elapsed()),
            Some(played) if now > played + PLAYOUT => seen.gaps.push(now - played),
            Some(_) => {}
        }
        played = Some(played.map_or(now, |played| played.max(now)) + frame.duration());
    }
    if let Some(played) = played {
        tokio::time::sleep_until(played.into()).await;
    }
    Ok(())
}

//! Many callers who speak at once, in real time: how soon their final words come, how often interim words, and what it costs:
//! `cargo run --release -p antiphon-moonshine --example crowd [CALLERS]`.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use antiphon_agent::provider::{Stt, SttEvent, SttInput};
use antiphon_audio::{Frame16k, wav};
use antiphon_moonshine::NeuralStt;
use antiphon_neural::Workers;

type Failed = Box<dyn Error + Send + Sync>;

/// Spoken sentences, 2 to 10 s long.
const RECORDINGS: [&str; 6] = [
    "sb_spk1_snt1",
    "cv651325",
    "lj_001-0001",
    "sb_spk2_snt1",
    "lv_0890",
    "goforward",
];
/// Times that each caller says them all.
const ROUNDS: usize = 2;
/// What a VAD hears as silence before it says that speech has ended.
const SILENCE: Duration = Duration::from_millis(250);
const FRAME: Duration = Duration::from_millis(20);
/// Between two sentences.
const BREATH: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Seen {
    waits: Vec<Duration>,
    interims: usize,
    spoken: Duration,
    lost: usize,
}

fn main() -> Result<(), Failed> {
    let callers: usize = std::env::args()
        .nth(1)
        .map_or(Ok(20), |text| text.parse())?;
    let models =
        std::env::var_os("ANTIPHON_MODELS").ok_or("set ANTIPHON_MODELS to the folder of models")?;
    let stt = NeuralStt::load(
        &Path::new(&models).join("moonshine-tiny-en"),
        Workers::for_this_machine()?,
    )?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let (before, start) = (processor_time()?, Instant::now());
    let mut all = runtime.block_on(async {
        let calls: Vec<_> = (0..callers)
            .map(|number| tokio::spawn(call(stt.clone(), number)))
            .collect();
        let mut all = Seen::default();
        for call in calls {
            let seen = call.await??;
            all.waits.extend(seen.waits);
            all.interims += seen.interims;
            all.spoken += seen.spoken;
            all.lost += seen.lost;
        }
        Ok::<_, Failed>(all)
    })?;
    all.waits.sort();
    let at = |share: f64| {
        all.waits
            .get(((all.waits.len() - 1) as f64 * share) as usize)
            .map_or(0, Duration::as_millis)
    };
    let cost = (processor_time()? - before).as_secs_f64();
    println!(
        "{callers} callers: final words after {} ms at the median, {} at the 95th percentile; {:.1} interims for a second of speech; \
         {:.2} cores in all, {:.3} for a caller while speaking; {} sentences lost",
        at(0.5),
        at(0.95),
        all.interims as f64 / all.spoken.as_secs_f64(),
        cost / start.elapsed().as_secs_f64(),
        cost / all.spoken.as_secs_f64(),
        all.lost,
    );
    Ok(())
}

async fn call(stt: NeuralStt, number: usize) -> Result<Seen, Failed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop/speech/known-words");
    let mut session = stt.open().await?;
    let mut seen = Seen::default();
    // nobody begins with another
    tokio::time::sleep(Duration::from_millis(137 * number as u64 % 3_000)).await;
    for sentence in RECORDINGS
        .iter()
        .cycle()
        .skip(number)
        .take(RECORDINGS.len() * ROUNDS)
    {
        let file = std::fs::read(folder.join(format!("{sentence}.wav")))?;
        let mut sound = wav::read::<16_000>(&file)?.into_samples();
        seen.spoken += Duration::from_secs_f64(sound.len() as f64 / 16_000.0);
        sound.resize(sound.len() + SILENCE.as_millis() as usize * 16, 0);
        // who pauses for long has been given final words on the way
        let mut is_heard = false;
        let mut tick = tokio::time::interval(FRAME);
        for piece in sound.chunks(320) {
            tick.tick().await;
            session
                .input
                .send(SttInput::Audio(Frame16k::new(piece.to_vec())))
                .await?;
            while let Ok(event) = session.events.try_recv() {
                seen.interims += usize::from(matches!(event, SttEvent::Interim(_)));
                is_heard |= matches!(event, SttEvent::Final { .. });
            }
        }
        let ordered = Instant::now();
        session.input.send(SttInput::Finalize).await?;
        loop {
            let patience = Duration::from_secs(if is_heard { 1 } else { 10 });
            match tokio::time::timeout(patience, session.events.recv()).await {
                Ok(Some(SttEvent::Final { .. })) => {
                    seen.waits.push(ordered.elapsed());
                    break;
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => {
                    seen.lost += usize::from(!is_heard);
                    break;
                }
            }
        }
        tokio::time::sleep(BREATH).await;
    }
    Ok(seen)
}

/// What this process has cost so far, all threads. Linux only.
fn processor_time() -> Result<Duration, Failed> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let mut ticks = after_name
        .split(' ')
        .skip(11)
        .take(2)
        .map(str::parse::<u32>);
    let (user, system) = (
        ticks.next().ok_or("no time")??,
        ticks.next().ok_or("no time")??,
    );
    // a tick is 10 ms everywhere
    Ok(Duration::from_millis(10) * (user + system))
}

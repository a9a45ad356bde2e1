//! `antiphon turnbench`: how well turn detectors judge turns whose ends are known.

use std::path::Path;
use std::sync::Arc;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{BoxFuture, Evidence, PresentTurn, ProviderInfo, TurnDetector};
use antiphon_dialogue::limits::SECOND_QUESTION;
use antiphon_hibari::Voice;
use antiphon_models::Store;
use antiphon_models::catalogue::{HIBARI_HEART, MOONSHINE_TINY_EN, SMART_TURN};
use antiphon_moonshine::{Spoken, Transcriber};
use antiphon_neural::{Urgency, Workers};
use antiphon_silero::{Silero, SileroOptions};
use antiphon_smartturn::SmartTurn;
use antiphon_turnbench::conversation::{Rules, Submission, events};
use antiphon_turnbench::make::Maker;
use antiphon_turnbench::score::{Ears, GivenWords, Scored, score};
use antiphon_turnbench::sweep::{self, Point, Policy};
use antiphon_turnbench::turns::{Turn, read};
use anyhow::Context as _;

use super::print_line;
use crate::cli::{BenchDetector, BenchWords, TurnbenchArgs, TurnbenchVerb};

/// Sound that the recogniser is given: what a turn has at most.
const HEARD: usize = 20 * 16_000;

/// Measure, make a set, or judge conversations.
pub async fn run(args: TurnbenchArgs) -> anyhow::Result<()> {
    match args.verb {
        TurnbenchVerb::Run {
            lists,
            detector,
            words,
            after,
            predictions,
        } => {
            let detector = Judge::load(detector)?;
            let ears = ears(words)?;
            let mut all = Vec::new();
            for list in lists {
                let turns = read(&list)?;
                let scored = score(
                    &turns,
                    &detector,
                    &*ears,
                    after,
                    SECOND_QUESTION.as_secs_f64(),
                )
                .await?;
                if predictions.is_none() {
                    print_line(&format!("{}: {}", list.display(), report(&scored, after)));
                }
                all.extend(scored);
            }
            predictions.map_or(Ok(()), |path| write_predictions(&path, &all))
        }
        TurnbenchVerb::Make { folder, lists } => {
            let mut maker = Maker::new(&folder)?;
            let mut voice = None; // recordings need none
            for list in lists {
                let name = list.file_name().unwrap_or_default().to_string_lossy();
                if name.starts_with("recordings") {
                    maker.record(&list)?;
                    continue;
                }
                let voice = match &mut voice {
                    Some(voice) => voice,
                    none => none.insert(Voice::hibari(&Store::of_user()?.get(&HIBARI_HEART)?)?),
                };
                maker.speak(&list, voice)?;
            }
            print_line(&format!(
                "{} turns in {}",
                maker.finish()?,
                folder.display()
            ));
            Ok(())
        }
        TurnbenchVerb::Conversations { folder, detector } => conversations(&folder, detector).await,
    }
}

/// Every conversation of a folder: `ID.speaker_1.wav` and `ID.speaker_2.wav`.
async fn conversations(folder: &Path, detector: BenchDetector) -> anyhow::Result<()> {
    let first = ".speaker_1.wav";
    let mut ids: Vec<String> = std::fs::read_dir(folder)
        .with_context(|| format!("{} cannot be read", folder.display()))?
        .filter_map(|entry| {
            entry
                .ok()?
                .file_name()
                .to_str()?
                .strip_suffix(first)
                .map(str::to_owned)
        })
        .collect();
    ids.sort();
    anyhow::ensure!(
        !ids.is_empty(),
        "{} has no conversations: each is two files, ID.speaker_1.wav and ID.speaker_2.wav",
        folder.display()
    );
    let silero = Silero::new(SileroOptions::default())?;
    let detector = Judge::load(detector)?;
    let ears = ears(BenchWords::Ears)?;
    let options = options();
    let rules = Rules {
        after: 0.2,
        policy: shipped(),
        min_interruption: options.min_interruption_duration,
    };
    let mut submission = Submission {
        schema_version: 1,
        predictions: Vec::new(),
    };
    for id in ids {
        let path = |speaker: u8| folder.join(format!("{id}.speaker_{speaker}.wav"));
        let (one, two) = (path(1), path(2));
        let found = events(&id, [&one, &two], &silero, &detector, &*ears, rules).await?;
        submission.predictions.push(found);
    }
    print_line(&serde_json::to_string_pretty(&submission)?);
    Ok(())
}

fn write_predictions(path: &Path, scored: &[Scored]) -> anyhow::Result<()> {
    let mut text = String::new();
    for silence in scored {
        text += &serde_json::to_string(silence)?;
        text.push('\n');
    }
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

/// The dialogue's options with the local detector.
fn options() -> antiphon_dialogue::Options {
    antiphon_dialogue::Options {
        turn_detector: antiphon_dialogue::options::TurnDetectorKind::AudioAndText,
        ..antiphon_dialogue::Options::default()
    }
}

/// When a call acts on what the detector says, unless configured otherwise.
fn shipped() -> Policy {
    let options = options();
    Policy {
        threshold: antiphon_smartturn::THRESHOLD,
        delay: options.min_endpointing_delay().as_secs_f64(),
        again: Some(SECOND_QUESTION.as_secs_f64()),
        timeout: options.max_endpointing_delay().as_secs_f64(),
    }
}

/// eot-bench's figures, with silence alone beside them.
fn report(scored: &[Scored], after: f64) -> String {
    let points = sweep::sweep(scored, after);
    let alone = sweep::silence_alone(scored);
    let latency = |points: &[Point], cutoffs| {
        sweep::soonest(points, cutoffs).map_or("never".into(), |point| {
            format!(
                "{:.0} ms (median {:.0}; threshold {:.2}, delay {:.2} s, timeout {:.2} s)",
                point.latency * 1e3,
                point.median * 1e3,
                point.policy.threshold,
                point.policy.delay,
                point.policy.timeout
            )
        })
    };
    let cutoffs = |points: &[Point], latency| {
        sweep::safest(points, latency).map_or("never".into(), |point| {
            format!("{:.1} %", point.cutoffs * 1e2)
        })
    };
    let ends = scored
        .iter()
        .filter(|silence| silence.label == antiphon_turnbench::score::Label::Eot);
    let mut lines = vec![format!(
        "{} turns, {} pauses; area under the curve {:.3}",
        ends.count(),
        scored
            .iter()
            .filter(|silence| silence.label == antiphon_turnbench::score::Label::Hold)
            .count(),
        sweep::area_under_curve(scored).unwrap_or_default(),
    )];
    for (name, points) in [("detector", &points), ("silence alone", &alone)] {
        lines.push(format!(
            "  {name}, latency at 5 % false cut-offs:  {}",
            latency(points, 0.05)
        ));
        lines.push(format!(
            "  {name}, latency at 10 % false cut-offs: {}",
            latency(points, 0.10)
        ));
        lines.push(format!(
            "  {name}, false cut-offs at 300 ms: {}, at 600 ms: {}",
            cutoffs(points, 0.3),
            cutoffs(points, 0.6)
        ));
    }
    let shipped = shipped();
    let later = Policy {
        delay: 0.25,
        ..shipped
    };
    let once = Policy {
        again: None,
        ..shipped
    };
    let silence = antiphon_dialogue::Options::default().min_endpointing_delay();
    let silence = Policy {
        threshold: 2.0, // which no probability reaches
        delay: silence.as_secs_f64(),
        again: None,
        timeout: silence.as_secs_f64(),
    };
    for (name, policy) in [
        ("detector as it ships", shipped),
        ("the same, asked once", once),
        ("the same, later", later),
        ("silence alone as it ships", silence),
    ] {
        if let Some(point) = sweep::point(scored, policy) {
            lines.push(format!(
                "  {name} ({} s or {} s): {:.1} % cut off, latency {:.0} ms (median {:.0})",
                policy.delay,
                policy.timeout,
                point.cutoffs * 1e2,
                point.latency * 1e3,
                point.median * 1e3
            ));
        }
    }
    lines.join("\n")
}

/// A part of the local detector, or all of it.
struct Judge {
    detector: SmartTurn,
    what: BenchDetector,
}

impl Judge {
    fn load(what: BenchDetector) -> anyhow::Result<Self> {
        let folder = Store::of_user()?.get(&SMART_TURN)?;
        let workers = Workers::for_this_machine()?;
        Ok(Self {
            detector: SmartTurn::load(&folder, workers)?,
            what,
        })
    }
}

impl TurnDetector for Judge {
    fn info(&self) -> ProviderInfo {
        self.detector.info()
    }

    fn evidence(&self) -> Evidence {
        match self.what {
            BenchDetector::SmartTurn => Evidence::AudioAndText,
            BenchDetector::Sound => Evidence::Audio,
            BenchDetector::Words => Evidence::Text,
        }
    }

    fn threshold(&self, language: Option<&str>) -> Option<f32> {
        self.detector.threshold(language)
    }

    fn predict<'a>(&'a self, turn: &'a PresentTurn) -> BoxFuture<'a, Result<f32, ProviderError>> {
        self.detector.predict(turn)
    }
}

fn ears(words: BenchWords) -> anyhow::Result<Box<dyn Ears>> {
    Ok(match words {
        BenchWords::Given => Box::new(GivenWords { lag: 0.5 }),
        BenchWords::Ears => Box::new(LocalEars {
            transcriber: Arc::new(Transcriber::load(
                &Store::of_user()?.get(&MOONSHINE_TINY_EN)?,
            )?),
            workers: Workers::for_this_machine()?,
        }),
    })
}

/// The recogniser of this machine, asked for what it has heard so far.
struct LocalEars {
    transcriber: Arc<Transcriber>,
    workers: Workers,
}

impl Ears for LocalEars {
    fn words<'a>(&'a self, turn: &'a Turn, until: f64) -> BoxFuture<'a, Result<String, String>> {
        let end = ((until * 16_000.0) as usize).min(turn.samples.len());
        let heard = turn
            .samples
            .get(end.saturating_sub(HEARD)..end)
            .unwrap_or_default();
        let sound: Vec<f32> = heard
            .iter()
            .map(|sample| f32::from(*sample) / 32_768.0)
            .collect();
        let transcriber = self.transcriber.clone();
        Box::pin(async move {
            let heard = self
                .workers
                .run(Urgency::Waited, move |options| {
                    transcriber.transcribe(&sound, Spoken::Unknown, options)
                })
                .await;
            let heard = heard.map_err(|error| error.to_string())?;
            heard
                .map(|transcript| transcript.text)
                .map_err(|error| error.to_string())
        })
    }
}

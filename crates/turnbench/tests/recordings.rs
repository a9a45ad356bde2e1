//! The people's turns of this repository, judged by detectors that know nothing: neither a model nor a network is needed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{BoxFuture, Evidence, PresentTurn, ProviderInfo, TurnDetector};
use antiphon_turnbench::make::Maker;
use antiphon_turnbench::score::{GivenWords, Label, Scored, score};
use antiphon_turnbench::sweep::{point, silence_alone, soonest, sweep};
use antiphon_turnbench::turns::read;

/// Says the same of every silence.
struct Always(f32);

impl TurnDetector for Always {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: "test",
            model: "always".into(),
        }
    }

    fn evidence(&self) -> Evidence {
        Evidence::Audio
    }

    fn threshold(&self, _: Option<&str>) -> Option<f32> {
        None
    }

    fn predict<'a>(&'a self, turn: &'a PresentTurn) -> BoxFuture<'a, Result<f32, ProviderError>> {
        assert!(!turn.audio.is_empty(), "it is given no sound");
        Box::pin(async move { Ok(self.0) })
    }
}

async fn scored(name: &str) -> Vec<Scored> {
    let folder = std::env::temp_dir().join(format!("turnbench-{}-{name}", std::process::id()));
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop/turns/recordings.tsv");
    let mut maker = Maker::new(&folder).unwrap();
    maker.record(&list).unwrap();
    assert_eq!(maker.finish().unwrap(), 21);
    let turns = read(&folder.join("turns.jsonl")).unwrap();
    let ears = GivenWords { lag: 0.5 };
    let scored = score(&turns, &Always(0.5), &ears, 0.15, 0.5).await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    scored
}

#[tokio::test]
async fn silence_alone_fares_on_these_turns_as_on_those_of_eot_bench() {
    let scored = scored("silence").await;
    let ends = scored.iter().filter(|silence| silence.label == Label::Eot);
    assert_eq!(ends.count(), 21);
    let cut = |delay: f64| {
        let points = silence_alone(&scored);
        let point = points
            .iter()
            .find(|point| (point.policy.delay - delay).abs() < 1e-6)
            .unwrap();
        point.cutoffs
    };
    // eot-bench, English: 55.6 % and 21.7 %
    assert!((cut(0.3) - 0.556).abs() < 0.05, "{}", cut(0.3));
    assert!((cut(0.6) - 0.217).abs() < 0.05, "{}", cut(0.6));
}

#[tokio::test]
async fn a_detector_that_knows_the_ends_answers_at_once_and_one_that_knows_nothing_is_no_better_than_silence()
 {
    let nothing = scored("nothing").await;
    let mut ends = nothing.clone();
    for silence in &mut ends {
        let is_end = silence.label == Label::Eot;
        silence.p_eot = if is_end { 0.9 } else { 0.1 };
        silence.again = silence.again.map(|_| silence.p_eot);
    }
    let latency = |scored: &[Scored], cutoffs| {
        soonest(&sweep(scored, 0.15), cutoffs)
            .map(|point| point.latency)
            .unwrap()
    };
    let silence = |cutoffs| soonest(&silence_alone(&nothing), cutoffs).unwrap().latency;
    for cutoffs in [0.05, 0.1] {
        assert!((latency(&ends, cutoffs) - 0.15).abs() < 1e-6);
        // the sweep of detectors takes steps of 50 ms
        assert!(latency(&nothing, cutoffs) >= silence(cutoffs) - 1e-6);
    }
    let shipped = point(&ends, soonest(&sweep(&ends, 0.15), 0.05).unwrap().policy);
    assert!(shipped.unwrap().cutoffs <= 0.05);
}

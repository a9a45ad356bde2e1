//! Smart Turn on the people's turns of this repository. Needs its model: scripts/test.sh fetches it and runs this.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};

use antiphon_neural::Workers;
use antiphon_smartturn::SmartTurn;
use antiphon_turnbench::make::Maker;
use antiphon_turnbench::score::{GivenWords, score};
use antiphon_turnbench::sweep::{silence_alone, soonest, sweep};
use antiphon_turnbench::turns::read;

#[tokio::test]
#[ignore = "needs the model: scripts/test.sh"]
async fn who_hears_the_melody_answers_people_sooner_than_who_counts_silence() {
    let models = PathBuf::from(std::env::var_os("ANTIPHON_MODELS").expect("the folder of models"));
    let workers = Workers::for_this_machine().unwrap();
    let detector = SmartTurn::load(&models.join("smart-turn-v3.2"), workers).unwrap();
    let folder = std::env::temp_dir().join(format!("turnbench-{}-people", std::process::id()));
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop/turns/recordings.tsv");
    let mut maker = Maker::new(&folder).unwrap();
    maker.record(&list).unwrap();
    maker.finish().unwrap();
    let turns = read(&folder.join("turns.jsonl")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    // nobody knows when each word was said: the sound is judged alone
    let ears = GivenWords { lag: 0.5 };
    let scored = score(&turns, &detector, &ears, 0.15, 0.5).await.unwrap();
    let at = |points, cutoffs| soonest(points, cutoffs).unwrap().latency;
    let (judged, silence) = (sweep(&scored, 0.15), silence_alone(&scored));
    for cutoffs in [0.05, 0.1] {
        let (judged, silence) = (at(&judged, cutoffs), at(&silence, cutoffs));
        assert!(judged < 0.8 * silence, "{judged} s against {silence} s");
    }
}

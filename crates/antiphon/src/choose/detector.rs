//! Who judges whether the caller has finished.

use std::path::PathBuf;

use antiphon_models::catalogue::SMART_TURN;

use super::Found;
use crate::config::{Config, DetectorProvider};

/// Smart Turn where it is, unless the file says otherwise: docs/benchmarks.md has the reason.
pub(super) fn detector(config: &Config, found: &Found) -> Result<Option<PathBuf>, String> {
    match config.turn.detector {
        DetectorProvider::None => Ok(None),
        DetectorProvider::Auto => Ok(found.smart_turn.clone()),
        DetectorProvider::SmartTurn => match &found.smart_turn {
            Some(folder) => Ok(Some(folder.clone())),
            None => Err(format!(
                "[turn] detector is \"smart-turn\" but it is not on this machine; fetch it with `antiphon models fetch {}`, or use \
                 detector = \"none\"",
                SMART_TURN.name
            )),
        },
    }
}

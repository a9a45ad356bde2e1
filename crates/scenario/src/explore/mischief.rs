//! What goes wrong on the way to the machine.

use super::dice::Dice;
use antiphon_chat::time::{Duration, Instant};
use antiphon_dialogue::input::{Input, Llm, Stt, Tts, Vad};

/// How late something may be, in milliseconds.
const DELAYS: [u64; 7] = [1, 20, 200, 1000, 3000, 8000, 20_000];
/// How much earlier or later the caller and the program act, in milliseconds.
const SHIFTS: [i64; 9] = [-3000, -1000, -300, -50, 0, 50, 300, 1000, 3000];
/// In one input of this many something goes wrong; each conversation has its own number.
const RARITIES: [u64; 4] = [4, 10, 40, 200];
/// There are this many more voice activity frames than anything else.
const OF_FRAMES: u64 = 20;

/// One conversation's bad luck.
#[derive(Clone, Debug)]
pub(crate) struct Mischief {
    dice: Dice,
    rarity: u64,
    /// Does the caller speak when the file says?
    shifts: bool,
}

impl Mischief {
    pub(super) fn new(dice: &mut Dice) -> Self {
        Self {
            rarity: dice.of(&RARITIES),
            shifts: !dice.one_in(3),
            dice: Dice::new(dice.below(u64::MAX)),
        }
    }

    /// When it happens instead.
    pub(crate) fn shift(&mut self, at: Instant) -> Instant {
        let shift = if self.shifts {
            self.dice.of(&SHIFTS)
        } else {
            0
        };
        let by = Duration::from_millis(shift.unsigned_abs());
        if shift < 0 { at.back(by) } else { at + by }
    }

    /// What reaches the machine instead of this, and when.
    pub(crate) fn befall(&mut self, at: Instant, input: Input) -> Vec<(Instant, Input)> {
        let frame = matches!(input, Input::Vad(Vad::Frame { .. }));
        let rarity = if frame {
            self.rarity * OF_FRAMES
        } else {
            self.rarity
        };
        // without it there is no conversation
        if input == Input::Started || !self.dice.one_in(rarity) {
            return vec![(at, input)];
        }
        let later = at + Duration::from_millis(self.dice.of(&DELAYS));
        match self.dice.below(4) {
            0 => vec![(later, input)],
            1 => vec![(at, input.clone()), (later, input)],
            2 => Vec::new(),
            _ => vec![(at, failing(input))],
        }
    }
}

/// As it is told when it fails; what cannot fail is as it is.
fn failing(input: Input) -> Input {
    let why = || String::from("it failed");
    match input {
        Input::Llm { id, .. } => Input::Llm {
            id,
            event: Llm::Failed(why()),
        },
        Input::Tts { id, .. } => Input::Tts {
            id,
            event: Tts::Failed(why()),
        },
        Input::ToolFinished { call_id, .. } => Input::ToolFinished {
            call_id,
            result: Err(why()),
        },
        Input::Retrieved { id, .. } => Input::Retrieved {
            id,
            passages: Vec::new(),
            failure: Some(why()),
        },
        Input::Stt(Stt::Final { .. }) => Input::Stt(Stt::Failed(why())),
        Input::Stt(_) => Input::Stt(Stt::Degraded(why())),
        other => other,
    }
}

//! What a mouth has waited for too long: a piece of which TTS makes no sound is asked for once more, then left out.

use super::Mouth;
use super::segment::{Playing, Segment, Synthesis};
use crate::core::Core;
use antiphon_chat::time::{Duration, Instant};

/// What was waited for too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// Nothing to report.
    Nothing,
    /// The voice hangs, and this piece is left out: the words, and how it hangs.
    Lost(String, &'static str),
    /// Sound is there, and its playing is not reported.
    Unplayed,
}

impl Mouth {
    /// When a piece that gives no sign of life counts as lost. `patience`: how long TTS is waited for.
    fn lost_at(&self, patience: Duration, playout_timeout: Duration) -> Option<Instant> {
        let first = self.segments.iter().find(|own| !own.is_over())?;
        let before = || self.segments.iter().take_while(|own| own.is_over());
        let last_sign = |before: Option<Instant>| before.max(Some(first.sign_at));
        // it could not be heard before the one before it was over
        let heard_from = last_sign(before().map(|own| own.sign_at).max());
        // a voice that hangs is not given its time anew for each piece that was asked for meanwhile
        let spoken = before().filter(|own| own.synthesis != Synthesis::Failed);
        let asked_from = last_sign(spoken.map(|own| own.sign_at).max());
        match first.synthesis {
            Synthesis::Wanted => None,
            Synthesis::Asked | Synthesis::Arriving => Some(asked_from? + patience),
            // what has come is reported while it plays
            Synthesis::Failed => Some(heard_from? + playout_timeout),
            Synthesis::Complete(duration) => Some(heard_from? + playout_timeout + duration),
        }
    }

    /// When a piece that TTS leaves without a sound is asked for again: after half of the time that it has, so that two tries
    /// take no longer than one may. Only the first missing piece is tried again: a voice that makes one piece after the other
    /// has not begun with the rest. Also while the piece before it is heard: then the caller notices nothing.
    fn retry_at(&self, tts_timeout: Duration) -> Option<Instant> {
        let missing = self.segments.iter().find(|own| own.is_coming())?;
        let again = missing.may_be_tried_again();
        again.then(|| missing.sign_at + tts_timeout / 2)
    }

    /// When a piece that gives no sign of life is asked for again, or counts as lost.
    pub(crate) fn deadline(&self, core: &Core, patience: Duration) -> Option<Instant> {
        let options = &core.options;
        let lost = self.lost_at(patience, options.playout_timeout);
        let again = self.retry_at(options.tts_timeout);
        lost.map_or(again, |lost| {
            Some(again.map_or(lost, |again| again.min(lost)))
        })
    }

    /// That time has come.
    pub(crate) fn overdue(&mut self, core: &mut Core, patience: Duration) -> Overdue {
        let options = &core.options;
        let (now, is_short) = (core.now, patience < options.tts_timeout);
        let lost = self.lost_at(patience, options.playout_timeout);
        if lost.is_none_or(|due| due > now) {
            let missing = self.segments.iter_mut().find(|own| own.is_coming());
            if let Some(missing) = missing {
                missing.try_again();
            }
            return Overdue::Nothing;
        }
        let Some(at) = self.segments.iter().position(|own| !own.is_over()) else {
            return Overdue::Nothing;
        };
        let Some(first) = self.segments.get_mut(at) else {
            return Overdue::Nothing;
        };
        let why = match first.synthesis {
            Synthesis::Wanted => return Overdue::Nothing,
            Synthesis::Complete(_) | Synthesis::Failed => return Overdue::Unplayed,
            Synthesis::Asked => "no audio came in time",
            Synthesis::Arriving => "the audio stopped in the middle",
        };
        first.give_up(core);
        let text = first.text.clone();
        if is_short {
            return Overdue::Nothing; // the voice has not had all of its time
        }
        let before = at
            .checked_sub(1)
            .and_then(|before| self.segments.get(before));
        if before.is_some_and(Segment::is_torn) {
            self.give_up_unasked(core);
        }
        Overdue::Lost(text, why)
    }

    /// A voice that hangs twice in a row is not waited for again. What is given up counts as missing.
    fn give_up_unasked(&mut self, core: &mut Core) {
        self.cut_all(core);
        let unasked = |own: &&mut Segment| own.synthesis == Synthesis::Wanted;
        for segment in self.segments.iter_mut().filter(unasked) {
            segment.playing = Playing::Over { whole: false };
        }
    }
}

//! The observer's own ledger of the agent's sounds: what was asked for, played, cut, and shown as heard.

use std::collections::BTreeMap;

use super::Violation;
use antiphon_chat::time::{Duration, Instant};
use antiphon_dialogue::ids::{SegmentId, SpeechId};
use antiphon_dialogue::input::Playout;
use antiphon_dialogue::limits::CLEAR_REPORT_TIMEOUT;

/// Sounds that nobody mentions any more are forgotten beyond this many.
const KEPT: usize = 64;

#[derive(Clone, Debug, Default)]
struct Sound {
    text: String,
    /// The how manieth `Play` it was.
    played: Option<u64>,
    heard: bool,
    /// No sound of it is to come.
    over: bool,
    /// Its end was reported, or it has none.
    ended: bool,
    cancelled: bool,
    /// TTS gave it up: nothing more of it arrives.
    failed: bool,
    /// It is tried again, and what is said of its sound is said of the first try.
    stale: bool,
    /// Reported as played to its end.
    whole: bool,
    /// The provider said when its words begin.
    timed: bool,
    length: Option<Duration>,
    /// When the length was said.
    ready_at: Instant,
    furthest: Duration,
    cleared: Option<Duration>,
    /// Bytes of the text that were shown.
    shown: usize,
    speech: Option<SpeechId>,
}

impl Sound {
    /// It is there and did not come too late just now, it was ordered to be played, and its end was not heard.
    fn is_to_be_heard(&self, now: Instant) -> bool {
        let exists = !self.failed && self.length.is_some_and(|length| !length.is_zero());
        exists && self.ready_at < now && self.played.is_some() && !self.over
    }
}

/// All sounds that are of interest still.
#[derive(Clone, Debug, Default)]
pub(super) struct Sounds {
    known: BTreeMap<SegmentId, Sound>,
    plays: u64,
    /// Speeches that were interrupted, with the number of plays until then.
    interrupted: BTreeMap<SpeechId, u64>,
    now: Instant,
    /// In this step.
    cleared: bool,
    /// The last time.
    cleared_at: Instant,
    /// Synthesised, and taken out of the playout although nobody had stopped it; right only if the session is over next.
    lost: Option<(SegmentId, Instant)>,
}

impl Sounds {
    pub(super) fn begin_step(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.cleared = false;
    }

    pub(super) fn was_cleared(&self) -> bool {
        self.cleared
    }

    /// In the playout as far as can be known.
    pub(super) fn sounding(&self) -> impl Iterator<Item = SegmentId> {
        self.sounding_with_speech().map(|(id, _)| id)
    }

    /// The same, with whose they are as far as that is known.
    pub(super) fn sounding_with_speech(
        &self,
    ) -> impl Iterator<Item = (SegmentId, Option<SpeechId>)> {
        let known = self.known.iter();
        let sounding = known.filter(|(_, sound)| sound.played.is_some() && !sound.over);
        sounding.map(|(id, sound)| (*id, sound.speech))
    }

    /// The words of a piece that was asked for and of which nothing was heard.
    pub(super) fn not_heard_yet(&self, id: SegmentId) -> Option<&str> {
        let sound = self.known.get(&id).filter(|sound| !sound.heard)?;
        Some(&sound.text)
    }

    /// Does the caller hear one of those in the playout?
    pub(super) fn is_any_heard(&self) -> bool {
        let mut known = self.known.values();
        known.any(|sound| sound.heard && !sound.over)
    }

    /// Still in the playout, or still being synthesized.
    pub(super) fn goes_on(&self, id: SegmentId) -> bool {
        self.known
            .get(&id)
            .is_some_and(|sound| !sound.over || !sound.cancelled)
    }

    pub(super) fn is_over(&self, id: SegmentId) -> bool {
        self.known.get(&id).is_none_or(|sound| sound.over)
    }

    /// Asked for and neither played nor dropped.
    pub(super) fn ahead(&self) -> usize {
        self.known
            .values()
            .filter(|sound| !sound.over && !sound.cancelled && !sound.failed)
            .count()
    }

    pub(super) fn asked(&mut self, id: SegmentId, text: &str) {
        // a second try keeps its place in the playout
        let before = self.known.remove(&id).filter(|before| !before.cancelled);
        let stale = before.is_some();
        let kept = match before {
            // it hangs, or what ends its silence comes just now
            Some(before) if !before.failed => before,
            Some(Sound { played, .. }) => Sound {
                played,
                ..Sound::default()
            },
            None => Sound::default(),
        };
        let sound = Sound {
            text: text.to_owned(),
            stale,
            ..kept
        };
        self.known.insert(id, sound);
        if self.known.len() > KEPT {
            let gone = |sound: &Sound| sound.over || sound.cancelled;
            let oldest = self.known.iter().find(|(_, sound)| gone(sound));
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                self.known.remove(&oldest);
            }
        }
    }

    pub(super) fn cancelled(&mut self, id: SegmentId) {
        if let Some(sound) = self.known.get_mut(&id) {
            sound.cancelled = true;
            if !self.cleared {
                // given up: what was played of it was all, whatever is reported at this moment
                (sound.over, sound.ended) = (true, true);
                (sound.failed, sound.whole) = (true, false);
            }
        }
    }

    pub(super) fn play(&mut self, id: SegmentId) -> Result<(), Violation> {
        self.plays += 1;
        match self.known.get_mut(&id) {
            Some(sound) if !sound.cancelled && sound.played.is_none() => {
                sound.played = Some(self.plays);
                Ok(())
            }
            _ => Err(Violation::TalksOver(format!(
                "{id} is played although cancelled, unknown or played"
            ))),
        }
    }

    pub(super) fn resume(&self) -> Result<(), Violation> {
        let cut = self
            .known
            .iter()
            .find(|(_, sound)| sound.played.is_some() && sound.cancelled && !sound.over);
        match cut {
            Some((id, _)) if !self.cleared => Err(Violation::TalksOver(format!(
                "{id} was interrupted and is resumed"
            ))),
            _ => Ok(()),
        }
    }

    pub(super) fn clear(&mut self) {
        self.cleared = true;
        self.cleared_at = self.now;
        for sound in self.known.values_mut() {
            sound.over |= sound.played.is_some();
        }
    }

    /// The playout is about to be cleared, and neither the caller nor the program has asked for it.
    pub(super) fn must_have_been_stopped(&mut self) {
        let mut known = self.known.iter();
        let lost = known.find(|(_, sound)| sound.is_to_be_heard(self.now));
        self.lost = self.lost.or(lost.map(|(id, _)| (*id, self.now)));
    }

    /// Likewise of this one.
    pub(super) fn must_have_stopped(&mut self, id: SegmentId) {
        let sound = self.known.get(&id);
        let lost = sound.is_some_and(|sound| sound.is_to_be_heard(self.now));
        self.lost = self.lost.or(lost.then_some((id, self.now)));
    }

    /// The session is over.
    pub(super) fn stop(&mut self) {
        self.lost = None;
    }

    /// Promise 10.
    pub(super) fn check_played(&self) -> Result<(), Violation> {
        match self.lost {
            Some((id, at)) if self.now.since(at) > CLEAR_REPORT_TIMEOUT => {
                Err(Violation::Unplayed(format!("{id} was cut by nobody")))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Promise 10, when nobody speaks and nothing is going to happen: what was synthesised was played or dropped, and what was
    /// played was shown.
    pub(super) fn none_is_forgotten(&self) -> Result<(), Violation> {
        let forgotten = |sound: &&Sound| {
            let kept =
                sound.played.is_none() && sound.length.is_some_and(|length| !length.is_zero());
            let unknown = sound.whole && sound.shown == 0;
            !sound.cancelled && !sound.failed && (kept || unknown)
        };
        match self.known.values().find(forgotten) {
            Some(sound) => Err(Violation::Unplayed(format!(
                "{:?} is forgotten",
                sound.text
            ))),
            None => Ok(()),
        }
    }

    pub(super) fn interrupt(&mut self, speech: SpeechId) {
        self.interrupted.insert(speech, self.plays);
    }

    pub(super) fn failed(&mut self, id: SegmentId) {
        if let Some(sound) = self.known.get_mut(&id) {
            sound.failed = sound.length.is_none();
        }
    }

    pub(super) fn arrives(&mut self, id: SegmentId) {
        if let Some(sound) = self.known.get_mut(&id) {
            sound.stale = false;
        }
    }

    pub(super) fn timed(&mut self, id: SegmentId) {
        if let Some(sound) = self.known.get_mut(&id) {
            sound.timed = true;
        }
    }

    pub(super) fn synthesized(&mut self, id: SegmentId, length: Duration) {
        if let Some(sound) = self.known.get_mut(&id).filter(|sound| !sound.failed) {
            let shortest = sound.length.map_or(length, |before| before.min(length));
            sound.length = Some(shortest);
            sound.ready_at = self.now;
            sound.stale = false;
            if length.is_zero() && !sound.heard {
                (sound.over, sound.ended) = (true, true);
            }
        }
    }

    pub(super) fn report(&mut self, playout: Playout) {
        let (Playout::Started { id }
        | Playout::Progress { id, .. }
        | Playout::Finished { id, .. }
        | Playout::Cleared { id, .. }) = playout;
        let known = self.known.get(&id);
        let Some(played) = known.and_then(|sound| sound.played.filter(|_| !sound.ended)) else {
            return;
        };
        // what was in the playout before it is over, whether or not that was said
        for earlier in self
            .known
            .values_mut()
            .filter(|sound| !sound.over && sound.played.is_some_and(|at| at < played))
        {
            (earlier.heard, earlier.over, earlier.ended) = (true, true, true);
        }
        let Some(sound) = self.known.get_mut(&id) else {
            return;
        };
        match playout {
            Playout::Started { .. } => sound.heard = true,
            Playout::Progress { played, .. } => {
                sound.heard = true;
                sound.furthest = sound.furthest.max(played);
            }
            Playout::Finished { played, .. } => {
                sound.whole = !sound.failed && !sound.stale && !played.is_zero();
                (sound.heard, sound.over, sound.ended) = (true, true, true);
            }
            Playout::Cleared { played, .. } => {
                sound.heard |= !played.is_zero();
                (sound.over, sound.ended) = (true, true);
                // later than this the machine has made up its mind
                let in_time = self.now.since(self.cleared_at) < CLEAR_REPORT_TIMEOUT;
                sound.cleared = Some(played).filter(|_| in_time);
            }
        }
    }

    /// Words were shown as heard: they must be the next of a sound that was.
    pub(super) fn show(
        &mut self,
        speech: SpeechId,
        id: SegmentId,
        delta: &str,
    ) -> Result<(), Violation> {
        let wrong = |what: &str| Err(Violation::NotHeard(format!("{delta:?} of {id} {what}")));
        let Some(sound) = self.known.get_mut(&id) else {
            return wrong("was shown and never asked for");
        };
        let Some(played) = sound.played.filter(|_| sound.heard) else {
            return wrong("was shown and never played");
        };
        if self
            .interrupted
            .get(&speech)
            .is_some_and(|until| played > *until)
        {
            return Err(Violation::TalksOver(format!(
                "{id} of {speech} was played after its interruption"
            )));
        }
        if *sound.speech.get_or_insert(speech) != speech {
            return wrong("was shown in two speeches");
        }
        let rest = sound.text.get(sound.shown..).unwrap_or_default();
        let words = match delta.strip_prefix(' ') {
            Some(words) if sound.shown == 0 => words,
            _ => delta,
        };
        if !rest.starts_with(words) {
            return wrong("was shown and is not what was synthesized");
        }
        sound.shown += words.len();
        Ok(())
    }

    /// Nothing more is said about it.
    pub(super) fn forget(&mut self, speech: SpeechId) {
        self.interrupted.remove(&speech);
    }

    /// The speech is over: everything that was played to its end has been shown, and nothing that was cut early as a whole.
    pub(super) fn end(&mut self, speech: SpeechId) -> Result<(), Violation> {
        let mut result = Ok(());
        for (id, sound) in self
            .known
            .iter()
            .filter(|(_, sound)| sound.speech == Some(speech))
        {
            let all = sound.shown == sound.text.len();
            if sound.whole && !all {
                result = Err(Violation::NotHeard(format!(
                    "{id} was played to its end, shown was only {:?}",
                    sound.text.get(..sound.shown).unwrap_or_default()
                )));
            }
            let early = match (sound.cleared, sound.length) {
                (Some(played), Some(length)) => {
                    sound.furthest <= played && played * 2 < length && !sound.timed
                }
                _ => false,
            };
            if early && all && !sound.whole && sound.text.contains(' ') {
                result = Err(Violation::NotHeard(format!(
                    "{id} was cut early and is shown as a whole: {:?}",
                    sound.text
                )));
            }
        }
        self.known.retain(|_, sound| sound.speech != Some(speech));
        result
    }
}

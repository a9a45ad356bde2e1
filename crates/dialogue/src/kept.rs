//! Words that left the floor to the agent: when they enter the history, and whether they are answered.
//!
//! They stand **where they were said**: nothing that the agent says or asks afterwards comes before them. They enter the
//! history before any request that is made after them; before the agent's next words if these ask something; with the
//! caller's next words if those are others; else when they are answered. Until then more may belong to the same turn.
//!
//! They are answered when the agent falls silent, if it had asked something before them, or when the caller then waits; in
//! both cases only if **it has asked nothing since**: "okay" to one thing is no consent to the next.

use crate::history::Place;
use crate::machine::Dialogue;
use crate::speech::Speech;
use crate::turn::{Kept, Stage};
use crate::verdict::ECHO_SLACK;
use antiphon_chat::time::Instant;

impl Kept {
    fn sounded_until(self) -> Instant {
        self.said + ECHO_SLACK
    }
}

impl Dialogue {
    /// The words leave the floor to the agent: what becomes of them when it falls silent?
    pub(crate) fn keep(&mut self) {
        let by = self.sounded_until();
        let mut speeches = self.floor.speech().into_iter().chain(&self.parked);
        let asked = speeches.any(|speech| questions(speech, by).before);
        let echo = self.turn.is_echo; // or a word that both said: no answer to what was just asked
        let too_few = !self.turn.is_backchannel();
        let (now, before) = (self.core.now, self.turn.kept);
        let at_once = before.is_some_and(|kept| kept.at_once) || (!echo && (asked || too_few));
        let again = before.and_then(|kept| kept.again);
        let last_words = self.turn.last_words();
        let kept = match before.filter(|kept| last_words <= kept.at) {
            Some(kept) => kept,
            None => {
                let said = self.turn.last_spoke.unwrap_or(now);
                Kept {
                    at_once,
                    said,
                    at: now,
                    again,
                    is_due: false,
                    place: self.place_of_words(said),
                }
            }
        };
        self.turn.kept = Some(Kept {
            at_once,
            at: now,
            is_due: false,
            ..kept
        });
        self.caller.heard.settle(now);
    }

    /// Before what the caller had not begun to hear.
    fn place_of_words(&mut self, said: Instant) -> Place {
        let speeches = self.floor.speech().into_iter().chain(&self.parked);
        let unheard = speeches.filter_map(|speech| speech.first_unheard(said));
        match unheard.min() {
            Some(place) => place.before(),
            None => self.core.history.reserve(),
        }
    }

    /// New words: a backchannel of long ago is not part of them, unless it is going to be answered.
    pub(crate) fn part_from_kept_words(&mut self) {
        let now = self.core.now;
        let Some(kept) = self.turn.kept else {
            return;
        };
        let began = self.heard_again_at(kept);
        let old =
            began.unwrap_or(now).since(kept.said) > self.core.options.backchannel_boundary_end;
        let is_done =
            !kept.at_once && !kept.is_due && self.turn.is_backchannel() && !self.turn.has_interim();
        let asked_since = || {
            let speech = self.floor.speech();
            speech.is_some_and(|speech| questions(speech, kept.sounded_until()).since.is_some())
        };
        if (old && is_done) || (self.turn.is_kept_as_it_was() && asked_since()) {
            self.file_kept_words();
        }
    }

    /// The sound after the words, if it is not one of long ago that no words came of.
    fn heard_again_at(&self, kept: Kept) -> Option<Instant> {
        let recent =
            |at: &Instant| self.core.now.since(*at) <= self.core.options.transcript_timeout;
        let heard = self.caller.hears_voice() || self.turn.last_spoke.as_ref().is_some_and(recent);
        kept.again.filter(|_| heard)
    }

    /// They enter the history and are not answered. What is heard since is another turn.
    fn file_kept_words(&mut self) {
        let Some(kept) = self.turn.kept else {
            return;
        };
        let began = self.heard_again_at(kept);
        let (stage, last_spoke) = (self.turn.stage, self.turn.last_spoke);
        let goes_on = began.is_some();
        self.remember_words();
        self.turn.began = began;
        if goes_on {
            (self.turn.stage, self.turn.last_spoke) = (stage, last_spoke);
        }
    }

    /// The agent goes on to something else, and the words before it enter the history first. They were an answer: then they
    /// are answered after it, unless it has asked something itself.
    pub(crate) fn settle_kept_words(&mut self) {
        if !self.turn.has_settled() {
            return;
        }
        let answered = self.turn.kept.is_some_and(|kept| kept.at_once)
            && self.turn.stage != Stage::Speaking
            && !self.core.options.on_user_turn_completed
            && self.ending.is_none()
            && !self.mode_is_manual();
        if answered {
            self.end_turn(true, true);
        } else {
            self.file_kept_words();
        }
    }

    /// The agent has asked something after the words: it waits for an answer to that.
    pub(crate) fn speech_has_asked(&mut self, speech: &Speech) {
        let waiting = self.queue.any(|queued| queued.kept);
        if self.turn.kept.is_none() && !waiting {
            return;
        }
        let by = self.turn.kept.map(Kept::sounded_until);
        let asked = questions(speech, by.unwrap_or(Instant::ZERO));
        if waiting && (asked.before || asked.since.is_some()) {
            self.drop_queued(|queued| queued.kept);
        }
        if let Some(place) = asked.since
            && self.turn.has_settled()
            && let Some(kept) = &mut self.turn.kept
        {
            kept.place = kept.place.min(place.before());
            self.file_kept_words();
        }
    }

    /// Whatever has silenced the agent: words that left the floor to it may have been an answer.
    pub(crate) fn reconsider_kept_words(&mut self) {
        let waits = self.turn.stage == Stage::Quiet && self.turn.words() > 0;
        if !waits || !self.floor.is_open() || self.mode_is_manual() {
            return;
        }
        let now = self.core.now;
        let boundary = self.core.options.backchannel_boundary_end;
        let is_echo = self.turn.is_echo;
        let at_once = |kept: &mut Kept| {
            kept.is_due = true;
            kept.at_once || (now.since(kept.said) <= boundary && !is_echo)
        };
        if self.turn.kept.as_mut().is_none_or(at_once) {
            self.turn.stage = Stage::Pausing;
        } else if self.turn.may_answer() {
            // the caller may go on, or wait
            self.turn.stage = Stage::AwaitingWords {
                until: now + self.core.options.max_endpointing_delay(),
            };
        } else {
            self.remember_words();
        }
    }
}

/// What a speech asks.
#[derive(Clone, Copy, Debug, Default)]
struct Questions {
    /// A question had begun to sound.
    before: bool,
    /// The step with a question that began to sound later.
    since: Option<Place>,
}

const fn asks(c: char) -> bool {
    matches!(c, '?' | '？' | '؟' | '\u{37e}')
}

const fn ends(c: char) -> bool {
    asks(c) || matches!(c, '.' | '!' | '。' | '！' | '।' | '۔')
}

/// The agent asks something in this.
pub(crate) fn is_question(text: &str) -> bool {
    text.contains(asks)
}

/// What of it had the caller been asked by then, and what was he asked later? The question that was being asked just then
/// counts as asked.
fn questions(speech: &Speech, by: Instant) -> Questions {
    let mut asked = Questions::default();
    let mut inside = None;
    for (at, step) in speech.steps.iter().enumerate() {
        for segment in speech.mouth.pieces(at) {
            let (begun, heard) = (segment.begun_by(by).len(), segment.heard());
            let mut at = 0;
            for sentence in segment.text().split_inclusive(ends) {
                let starts = at + (sentence.len() - sentence.trim_start().len());
                let was_begun = inside.unwrap_or(starts < begun);
                if sentence.ends_with(asks) {
                    if was_begun {
                        asked.before = true;
                    } else if starts < heard {
                        asked.since.get_or_insert(step.place());
                    }
                }
                inside = (!sentence.ends_with(ends)).then_some(was_begun);
                at += sentence.len();
            }
        }
    }
    asked
}

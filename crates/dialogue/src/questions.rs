//! What the agent has asked, as far as the caller has heard it, and where words stand that left the floor to the agent.

use crate::history::Place;
use crate::machine::Dialogue;
use crate::speech::Speech;
use antiphon_chat::time::Instant;

impl Dialogue {
    /// The caller's words leave the floor to the agent: they are an answer if it had asked something.
    pub(crate) fn keep(&mut self) {
        let by = self.caller.sounded_until(self.now());
        let has_asked = |speech: &Speech| questions(speech, by).before;
        let asked = self.speeches.begun().any(has_asked);
        let said = self.caller.unplaced(self.now());
        let place = said.map(|said| self.place_of_words(said));
        self.tell(|caller, now| caller.keep(asked, place, now));
    }

    /// Before what the caller had not begun to hear.
    fn place_of_words(&mut self, said: Instant) -> Place {
        let speeches = self.speeches.begun();
        let unheard = speeches.filter_map(|speech| speech.first_unheard(said));
        match unheard.min() {
            Some(place) => place.before(),
            None => self.core.history.reserve(),
        }
    }

    /// The first step of what is being said that asks something which kept words came before.
    pub(crate) fn asked_since_kept_words(&self) -> Option<Place> {
        let by = self.caller.kept_until()?;
        questions(self.speeches.present()?, by).since
    }

    /// The agent goes on to something else: kept words enter the history first.
    pub(crate) fn settle_kept_words(&mut self) {
        if self.caller.has_kept() {
            let may_answer = self.ending.is_none();
            self.tell(|caller, now| caller.settle_kept_words(may_answer, now));
        }
    }

    /// The agent has asked something after kept words: it waits for an answer to that.
    pub(crate) fn speech_has_asked(&mut self, speech: &Speech) {
        let waiting = self.speeches.queue().any(|queued| queued.kept);
        let by = self.caller.kept_until();
        if by.is_none() && !waiting {
            return;
        }
        let asked = questions(speech, by.unwrap_or(Instant::ZERO));
        if waiting && (asked.before || asked.since.is_some()) {
            self.drop_queued(|queued| queued.kept);
        }
        if let Some(place) = asked.since {
            self.tell(|caller, now| caller.on_question(place, now));
        }
    }

    /// Whatever has silenced the agent: kept words may have been an answer.
    pub(crate) fn reconsider_kept_words(&mut self) {
        if self.speeches.floor().is_open() && self.caller.has_waiting_words() {
            self.tell(|caller, now| caller.reconsider_kept_words(now));
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

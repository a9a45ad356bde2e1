//! A turn that is finished: what enters the history of it.

use super::{Caller, News, Now};
use crate::event::{InputModality, TurnMetrics};
use crate::history::Place;
use crate::ids::TurnId;
use antiphon_chat::time::Instant;

#[derive(Clone, Debug)]
pub(crate) struct Finished {
    pub(crate) turn: TurnId,
    pub(crate) modality: InputModality,
    pub(crate) text: String,
    pub(crate) language: Option<String>,
    pub(crate) speaker_id: Option<String>,
    pub(crate) confidence: Option<f32>,
    pub(crate) metrics: TurnMetrics,
    pub(crate) user_stopped_at: Option<Instant>,
    /// The caller's first sound.
    pub(crate) user_started_at: Option<Instant>,
    /// It had to wait for the agent: how long it took says nothing about anybody.
    pub(crate) was_kept: bool,
    /// What is said or waits is said before it is answered.
    pub(crate) leaves_floor: bool,
    /// Where it stands, if that is not behind everything else.
    pub(crate) place: Option<Place>,
}

impl Finished {
    /// What was typed is a turn at once.
    pub(crate) fn typed(turn: TurnId, text: String, at: Instant) -> Self {
        Self {
            turn,
            modality: InputModality::Text,
            text,
            language: None,
            speaker_id: None,
            confidence: None,
            metrics: TurnMetrics {
                turn: Some(turn),
                ..TurnMetrics::default()
            },
            user_stopped_at: Some(at),
            user_started_at: None,
            was_kept: false,
            leaves_floor: false,
            place: None,
        }
    }
}

impl Caller {
    /// The turn is finished, and answered unless the program has said that it is not.
    pub(crate) fn finish(&mut self, now: Now) {
        self.end_turn(!self.turn.skip_reply, false, now);
    }

    /// The last words that count when the session ends: so that they are not lost.
    pub(crate) fn finish_last(&mut self, now: Now) {
        if self.turn.words() > 0 {
            self.promote_words(now);
            self.finish(now);
        }
    }

    /// The words enter the history, and nothing more comes of them.
    pub(crate) fn remember_words(&mut self, now: Now) {
        if let (Some(kept), Some(place)) = (&mut self.turn.kept, now.agent.asked_since) {
            kept.place = kept.place.min(place.before());
        }
        self.end_turn(false, false, now);
        self.monologue.forget_sound();
    }

    /// The turn is finished. Do the words leave the floor to the agent even then?
    pub(super) fn end_turn(&mut self, reply: bool, leaves_floor: bool, now: Now) {
        let mut finished = self.measured(now);
        finished.leaves_floor = leaves_floor;
        self.measure_detector();
        self.monologue.count(&finished.text, self.turn.words());
        self.renew_turn();
        self.tell(News::Turn(Box::new(finished), reply));
    }

    fn measured(&self, now: Now) -> Finished {
        let turn = &self.turn;
        let spoke = turn
            .last_spoke
            .filter(|at| turn.began.is_none_or(|began| *at >= began));
        let was_kept = turn.kept.is_some();
        let metrics = TurnMetrics {
            turn: Some(turn.id),
            end_of_turn_delay: spoke.filter(|_| !was_kept).map(|at| now.at.since(at)),
            transcription_delay: spoke
                .zip(turn.last_final)
                .map(|(at, words)| words.since(at)),
            ..TurnMetrics::default()
        };
        Finished {
            turn: turn.id,
            modality: InputModality::Audio,
            text: turn.text(),
            language: self.spoken_language(now),
            speaker_id: turn.speaker_id.clone(),
            confidence: turn.confidence(),
            metrics,
            user_stopped_at: spoke,
            user_started_at: turn.began.filter(|_| spoke.is_some()),
            was_kept,
            leaves_floor: false,
            place: turn.place(),
        }
    }
}

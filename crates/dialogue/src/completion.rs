//! The agent's hook between the end of a turn and its answer (LiveKit's `on_user_turn_completed`). A turn that waits for it
//! is not in the history yet, because the hook may change its words; it gets there whatever the hook does.

use crate::action::Action;
use crate::commit::TurnOver;
use crate::event::Component;
use crate::history::Place;
use crate::ids::TurnId;
use crate::input::TurnVerdict;
use crate::limits::{
    MAX_COMPLETING_TURNS, MAX_TURN_BYTES, MAX_TURN_MESSAGES, MAX_VALUE_BYTES, cut,
};
use crate::machine::Dialogue;
use antiphon_chat::Message;
use antiphon_chat::time::Instant;

/// A turn whose hook has been asked.
#[derive(Clone, Debug)]
pub(crate) struct Completing {
    over: TurnOver,
    since: Instant,
    until: Instant,
    /// It has answered, and waits for those before it.
    verdict: Option<TurnVerdict>,
}

impl Dialogue {
    /// The hook is asked about the turn at once, also when it still looks at others: a caller who says three things quickly
    /// does not wait three times. What it answers counts in the order of the turns.
    pub(crate) fn await_hook(&mut self, over: TurnOver) {
        if self.completing.len() >= MAX_COMPLETING_TURNS {
            self.hook_failed(0, "too many turns wait for it");
            self.complete_in_order();
        }
        let now = self.core.now;
        let budget = self.core.options.on_user_turn_completed_timeout;
        let action = Action::CompleteUserTurn {
            turn: over.turn,
            message: over.message.clone(),
            budget,
        };
        self.completing.push_back(Completing {
            over,
            since: now,
            until: now + budget,
            verdict: None,
        });
        self.core.act(action);
    }

    /// A turn waits for its hook: it is going to be answered.
    pub(crate) fn is_completing(&self) -> bool {
        !self.completing.is_empty()
    }

    pub(crate) fn completing_mut(&mut self, turn: TurnId) -> Option<&mut TurnOver> {
        let mut turns = self.completing.iter_mut().map(|open| &mut open.over);
        turns.find(|over| over.turn == turn)
    }

    /// Where the first of them will stand in the history.
    pub(crate) fn first_completing(&self) -> Option<Place> {
        let first = self.completing.front();
        first.map(|completing| completing.over.place)
    }

    pub(crate) fn completion_deadline(&self) -> Option<Instant> {
        let open = self.completing.iter();
        let open = open.filter(|completing| completing.verdict.is_none());
        open.map(|completing| completing.until).min()
    }

    pub(crate) fn completion_due(&mut self) {
        let now = self.core.now;
        for at in 0..self.completing.len() {
            let completing = self.completing.get(at);
            if completing.is_some_and(|open| open.verdict.is_none() && open.until <= now) {
                self.hook_failed(at, "it did not answer in time");
            }
        }
        self.complete_in_order();
    }

    fn hook_failed(&mut self, at: usize, why: &str) {
        let message =
            format!("on_user_turn_completed is not waited for: {why}; the turn stays as it was");
        self.core.error(Component::Session, message, true);
        self.hook_answered(at, TurnVerdict::unchanged());
    }

    pub(crate) fn on_user_turn_completed(&mut self, turn: TurnId, verdict: TurnVerdict) {
        let mut asked = self.completing.iter();
        let asked = asked.position(|open| open.over.turn == turn && open.verdict.is_none());
        if let Some(at) = asked {
            self.hook_answered(at, verdict);
            self.complete_in_order();
        }
    }

    fn hook_answered(&mut self, at: usize, verdict: TurnVerdict) {
        let now = self.core.now;
        if let Some(open) = self.completing.get_mut(at) {
            let took = now.since(open.since);
            open.over.message.metrics.on_user_turn_completed_delay = Some(took);
            open.verdict.get_or_insert(verdict);
        }
    }

    /// The turns whose hook has answered, up to the first whose hook has not.
    fn complete_in_order(&mut self) {
        let answered = |open: &Completing| open.verdict.is_some();
        while self.completing.front().is_some_and(answered) {
            let Some(Completing { over, verdict, .. }) = self.completing.pop_front() else {
                return;
            };
            match verdict {
                Some(TurnVerdict::Stop) => {
                    self.drop_speculation();
                    self.leave_unanswered(over);
                }
                Some(TurnVerdict::Reply { text, messages }) => self.go_on(over, text, messages),
                None => {}
            }
        }
    }

    fn go_on(&mut self, mut over: TurnOver, text: Option<String>, messages: Vec<Message>) {
        let text = text
            .map(|text| cut(text, MAX_TURN_BYTES))
            .filter(|text| !text.trim().is_empty() && *text != over.message.text);
        let stands = text.is_none()
            && messages.is_empty()
            && !self.is_completing()
            && self.speculation_fits(&over.message.text);
        if !stands {
            self.drop_speculation();
        }
        if let Some(text) = text {
            over.message.text = text;
        }
        if self.is_completing() {
            // the newer turn is answered together with this one
            self.leave_unanswered(over);
            return;
        }
        let extra = self.named_anew(over.place, messages);
        let step = self.speculation.take().map(|kept| (kept.step, kept.mouth));
        self.reply_to(over, step, extra);
    }

    /// Messages of the hook, just before the caller's, under names that nothing else has.
    fn named_anew(&mut self, place: Place, messages: Vec<Message>) -> Vec<(Place, Message)> {
        if messages.len() > MAX_TURN_MESSAGES {
            let message = "on_user_turn_completed adds too many messages: the rest is left out";
            self.core.error(Component::Session, message, true);
        }
        let mut named = messages;
        named.truncate(MAX_TURN_MESSAGES);
        for message in &mut named {
            message.id = self.core.history.next_id();
            message.text = cut(std::mem::take(&mut message.text), MAX_VALUE_BYTES);
        }
        named
            .into_iter()
            .map(|message| (place.before(), message))
            .collect()
    }

    /// The session is going to end, and nobody waits for the hook any more: the newest turn is answered, with the others.
    pub(crate) fn answer_turns(&mut self) {
        let mut turns = std::mem::take(&mut self.completing);
        let newest = turns.pop_back();
        for Completing { over, .. } in turns {
            self.leave_unanswered(over);
        }
        if let Some(Completing { over, .. }) = newest {
            self.reply_to(over, None, Vec::new());
        }
    }

    /// The session ends: what waits for the hook is remembered without it.
    pub(crate) fn settle_turns(&mut self) {
        for Completing { over, .. } in std::mem::take(&mut self.completing) {
            self.leave_unanswered(over);
        }
    }
}

//! The agent's hook between the end of a turn and its answer (LiveKit's `on_user_turn_completed`). A turn that waits for it
//! is not in the history yet, because the hook may change its words; it gets there whatever the hook does.
//!
//! `Hooks` **owns** the turns that wait. It **is told** of turns and of the hook's answers. It **answers** with the turns in their order,
//! and with which one the hook is late for.

use std::collections::VecDeque;

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
use crate::pending::Pending;
use antiphon_chat::Message;
use antiphon_chat::time::{Duration, Instant};

/// A turn whose hook has been asked.
#[derive(Clone, Debug)]
struct Completing {
    over: TurnOver,
    asked: Pending<TurnId>,
    /// It has answered, and waits for those before it.
    verdict: Option<TurnVerdict>,
}

impl Completing {
    fn answer(&mut self, verdict: TurnVerdict, now: Instant) {
        let took = self.asked.took(now);
        self.over.message.metrics.on_user_turn_completed_delay = Some(took);
        self.verdict.get_or_insert(verdict);
    }
}

/// The turns that wait for the hook, oldest first. It is asked about each at once, also when it still looks at others: a caller
/// who says three things quickly does not wait three times. What it answers counts in the order of the turns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hooks(VecDeque<Completing>);

impl Hooks {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(debug_assertions)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Where the first turn will stand in the history.
    pub(crate) fn first(&self) -> Option<Place> {
        self.0.front().map(|completing| completing.over.place)
    }

    /// This turn, if the hook looks at it.
    pub(crate) fn turn_mut(&mut self, turn: TurnId) -> Option<&mut TurnOver> {
        let mut turns = self.0.iter_mut().map(|open| &mut open.over);
        turns.find(|over| over.turn == turn)
    }

    fn ask(&mut self, over: TurnOver, now: Instant, limit: Duration) {
        self.0.push_back(Completing {
            asked: Pending::new(over.turn, now, limit),
            over,
            verdict: None,
        });
    }

    /// The oldest turn, when no more may wait.
    fn one_too_many(&self) -> Option<TurnId> {
        let oldest = self.0.front()?.asked.id();
        (self.0.len() >= MAX_COMPLETING_TURNS).then_some(oldest)
    }

    fn open(&self) -> impl Iterator<Item = &Completing> {
        self.0.iter().filter(|open| open.verdict.is_none())
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.open().map(|open| open.asked.until()).min()
    }

    /// The first turn for which the hook is late.
    fn late(&self, now: Instant) -> Option<TurnId> {
        let late = self.open().find(|open| open.asked.until() <= now);
        late.map(|open| open.asked.id())
    }

    /// The hook has answered, or is waited for no longer. False: it was not asked.
    fn answer(&mut self, turn: TurnId, verdict: TurnVerdict, now: Instant) -> bool {
        let mut asked = self.0.iter_mut();
        let asked = asked.find(|open| open.asked.is(turn) && open.verdict.is_none());
        asked.map(|open| open.answer(verdict, now)).is_some()
    }

    /// The oldest turn, if its hook has answered.
    fn take_answered(&mut self) -> Option<(TurnOver, TurnVerdict)> {
        self.0.front()?.verdict.as_ref()?;
        let Completing { over, verdict, .. } = self.0.pop_front()?;
        verdict.map(|verdict| (over, verdict))
    }

    /// Nobody waits for the hook any more.
    fn take_all(&mut self) -> VecDeque<TurnOver> {
        let all = std::mem::take(&mut self.0);
        all.into_iter().map(|open| open.over).collect()
    }
}

impl Dialogue {
    pub(crate) fn await_hook(&mut self, over: TurnOver) {
        if let Some(oldest) = self.hooks.one_too_many() {
            self.hook_failed(oldest, "too many turns wait for it");
            self.complete_in_order();
        }
        let budget = self.core.options.on_user_turn_completed_timeout;
        let action = Action::CompleteUserTurn {
            turn: over.turn,
            message: over.message.clone(),
            budget,
        };
        self.hooks.ask(over, self.core.now, budget);
        self.core.act(action);
    }

    pub(crate) fn completion_due(&mut self) {
        while let Some(turn) = self.hooks.late(self.core.now) {
            self.hook_failed(turn, "it did not answer in time");
        }
        self.complete_in_order();
    }

    fn hook_failed(&mut self, turn: TurnId, why: &str) {
        let message =
            format!("on_user_turn_completed is not waited for: {why}; the turn stays as it was");
        self.core.error(Component::Session, message, true);
        self.hooks
            .answer(turn, TurnVerdict::unchanged(), self.core.now);
    }

    pub(crate) fn on_user_turn_completed(&mut self, turn: TurnId, verdict: TurnVerdict) {
        if self.hooks.answer(turn, verdict, self.core.now) {
            self.complete_in_order();
        }
    }

    /// The turns whose hook has answered, up to the first whose hook has not.
    fn complete_in_order(&mut self) {
        while let Some((over, verdict)) = self.hooks.take_answered() {
            match verdict {
                TurnVerdict::Stop => {
                    self.drop_speculation();
                    self.leave_unanswered(over);
                }
                TurnVerdict::Reply { text, messages } => self.go_on(over, text, messages),
            }
        }
    }

    fn go_on(&mut self, mut over: TurnOver, text: Option<String>, messages: Vec<Message>) {
        let text = text
            .map(|text| cut(text, MAX_TURN_BYTES))
            .filter(|text| !text.trim().is_empty() && *text != over.message.text);
        let stands = text.is_none()
            && messages.is_empty()
            && self.hooks.is_empty()
            && self.speculation_fits(&over.message.text);
        if !stands {
            self.drop_speculation();
        }
        if let Some(text) = text {
            over.message.text = text;
        }
        if !self.hooks.is_empty() {
            // the newer turn is answered together with this one
            self.leave_unanswered(over);
            return;
        }
        let extra = self.named_anew(over.place, messages);
        self.reply_to(over, extra);
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
        let mut turns = self.hooks.take_all();
        let newest = turns.pop_back();
        for over in turns {
            self.leave_unanswered(over);
        }
        if let Some(over) = newest {
            self.drop_speculation();
            self.reply_to(over, Vec::new());
        }
    }

    /// The session ends: what waits for the hook is remembered without it.
    pub(crate) fn settle_turns(&mut self) {
        for over in self.hooks.take_all() {
            self.leave_unanswered(over);
        }
    }
}

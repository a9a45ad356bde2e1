//! What an agent knows of the conversation: what it was given to know, and what stands in the history from a place on.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{History, Place, number_of, tidy};
use antiphon_chat::{ChatContext, Item, Role};

/// What an agent knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// What was before it is not its business.
    from: Place,
    /// What it was given to know instead.
    known: Arc<[Item]>,
}

impl View {
    /// What stands there or later.
    pub(crate) fn from(place: Place) -> Self {
        Self {
            from: place,
            known: Arc::default(),
        }
    }
}

impl History {
    pub(crate) fn view(&self) -> View {
        self.view.clone()
    }

    /// From here on requests hold this.
    pub(crate) fn look(&mut self, view: View) {
        self.view = view;
        self.version += 1;
    }

    /// The present agent knows this, and what stands in the history from here on.
    pub(crate) fn know(&mut self, context: ChatContext, from: Place) {
        let items = tidy(context).into_items();
        let known: Arc<[Item]> = items.into_iter().filter(Item::is_for_models).collect();
        let newest = known.iter().map(|item| number_of(item.id())).max();
        self.ids = self.ids.max(newest.unwrap_or_default());
        self.look(View { from, known });
    }

    pub(super) fn known(&self) -> &[Item] {
        &self.view.known
    }

    /// Where that begins which is answered at this place: with the caller's messages just before it.
    pub(crate) fn asked_before(&self, place: Place) -> Place {
        let end = self.places.partition_point(|other| *other < place);
        let before = self.places.iter().zip(&self.items).take(end).rev();
        let told = before.filter(|(_, item)| item.is_for_models());
        told.take_while(|(_, item)| is_of_user(item))
            .last()
            .map_or(place, |(first, _)| *first)
    }

    /// What the present agent knows. What it was given to know stands first, without what is shown anyway.
    pub(crate) fn visible(&self) -> Vec<(Place, &Item)> {
        let all = self.places.iter().zip(&self.items);
        let shown = all
            .filter(|(place, item)| self.is_visible(**place, item))
            .map(|(place, item)| (*place, item));
        if self.known().is_empty() {
            return shown.collect();
        }
        let shown: Vec<(Place, &Item)> = shown.collect();
        let there: BTreeSet<&str> = shown.iter().map(|(_, item)| name(item)).collect();
        let known = self.known().iter();
        known
            .filter(|item| !there.contains(name(item)))
            .map(|item| (Place::default(), item))
            .chain(shown.iter().copied())
            .collect()
    }

    /// Is a call in this place, with its result, part of the present agent's requests?
    pub(crate) fn shows_calls_at(&self, place: Place) -> bool {
        let hidden = |(from, until): &(Place, Place)| (*from..*until).contains(&place);
        place >= self.view.from && !self.hidden_calls.iter().any(hidden)
    }

    pub(super) fn is_visible(&self, place: Place, item: &Item) -> bool {
        let is_call = matches!(
            item,
            Item::FunctionCall { .. } | Item::FunctionCallOutput { .. }
        );
        item.is_for_models() && place >= self.view.from && (!is_call || self.shows_calls_at(place))
    }
}

fn is_of_user(item: &Item) -> bool {
    matches!(item, Item::Message(message) if message.role == Role::User)
}

/// What tells two items apart: a call goes with its result.
fn name(item: &Item) -> &str {
    match item {
        Item::FunctionCall { call, .. } => &call.call_id,
        Item::FunctionCallOutput { output, .. } => &output.call_id,
        Item::Message(_) | Item::AgentHandoff { .. } | Item::AgentConfigUpdate { .. } => item.id(),
    }
}

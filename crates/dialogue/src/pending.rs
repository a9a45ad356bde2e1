//! A question to somebody outside: a search, the model, the program's hook. It has an id, under which the answer comes, and a
//! limit, after which the conversation goes on without one. What happens then is up to the part that has asked.

use antiphon_chat::time::{Duration, Instant};

/// Asked, and not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending<Id> {
    id: Id,
    since: Instant,
    until: Instant,
}

impl<Id: Copy + PartialEq> Pending<Id> {
    pub(crate) fn new(id: Id, now: Instant, limit: Duration) -> Self {
        Self {
            id,
            since: now,
            until: now + limit,
        }
    }

    pub(crate) fn id(&self) -> Id {
        self.id
    }

    pub(crate) fn is(&self, id: Id) -> bool {
        self.id == id
    }

    /// When it is waited for no longer.
    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    /// How long the answer takes that comes now.
    pub(crate) fn took(&self, now: Instant) -> Duration {
        now.since(self.since)
    }

    /// A part of the answer has come: the rest has time until then.
    pub(crate) fn extend_to(&mut self, until: Instant) {
        self.until = until;
    }

    /// A sign of life has come: the answer has time until then, but no longer than `most` in all, and no less than before.
    pub(crate) fn extend_within(&mut self, until: Instant, most: Duration) {
        self.until = until.min(self.since + most).max(self.until);
    }
}

/// The first that is due. A plain loop: it runs at audio rate, and iterator adapters over this many options took a quarter of all
/// instructions.
pub(crate) fn earliest<T: Copy>(timers: &[(Option<Instant>, T)]) -> Option<(Instant, T)> {
    let mut first: Option<(Instant, T)> = None;
    for (due, timer) in timers {
        if let Some(due) = *due
            && first.is_none_or(|(first, _)| due < first)
        {
            first = Some((due, *timer));
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn signs_of_life_move_the_limit_and_not_for_ever() {
        let most = Duration::from_secs(3);
        let mut asked = Pending::new(7, at(1000), Duration::from_secs(1));
        asked.extend_within(at(2500), most);
        assert_eq!(asked.until(), at(2500));
        asked.extend_within(at(9000), most);
        assert_eq!(asked.until(), at(4000));
        asked.extend_within(at(3000), most);
        assert_eq!(asked.until(), at(4000), "it never gets less");
    }

    #[test]
    fn an_answer_says_how_long_it_took() {
        let asked = Pending::new(7, at(1000), Duration::from_secs(1));
        assert!(asked.is(7) && !asked.is(8));
        assert_eq!(asked.took(at(1300)), Duration::from_millis(300));
    }
}

//! What strangers can cause again and again is logged once; how often it came after that is said once an interval. Otherwise
//! whoever is refused fast enough writes our disk full.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::limits::network;

/// How often repetitions are summed up.
pub(crate) const INTERVAL: Duration = Duration::from_secs(60);
/// Kinds and causers told apart in an interval: what more of them do is summed up by kind alone. So at most this many lines,
/// twice, are written in an interval.
const MAX_TOLD_APART: usize = 100;

/// What was logged in this interval.
#[derive(Debug, Default)]
pub(crate) struct Repeated {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    by_whom: HashMap<(&'static str, String), u64>,
    of_others: HashMap<&'static str, u64>,
}

/// What came again, and was not logged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Again {
    pub(crate) kind: &'static str,
    /// `None`: various.
    pub(crate) by: Option<String>,
    pub(crate) times: u64,
}

impl Repeated {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        // Numbers are whole after every statement.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is this the first of its kind from that address in this interval, to be logged? Counted otherwise.
    pub(crate) fn is_first_from(&self, kind: &'static str, address: IpAddr) -> bool {
        self.is_first(kind, &network(address).to_string())
    }

    /// The same by whoever it is.
    pub(crate) fn is_first(&self, kind: &'static str, by: &str) -> bool {
        let mut seen = self.seen();
        let Seen { by_whom, of_others } = &mut *seen;
        let key = (kind, by.to_owned());
        if let Some(times) = by_whom.get_mut(&key) {
            *times += 1;
            return false;
        }
        if by_whom.len() < MAX_TOLD_APART {
            by_whom.insert(key, 0);
            return true;
        }
        *of_others.entry(kind).or_default() += 1;
        false
    }

    /// What came again since the last time this was asked. The next of each is a first one.
    pub(crate) fn take(&self) -> Vec<Again> {
        let Seen { by_whom, of_others } = std::mem::take(&mut *self.seen());
        let known = by_whom
            .into_iter()
            .map(|((kind, by), times)| (kind, Some(by), times));
        let others = of_others
            .into_iter()
            .map(|(kind, times)| (kind, None, times));
        let all = known.chain(others).filter(|(_, _, times)| *times > 0);
        all.map(|(kind, by, times)| Again { kind, by, times })
            .collect()
    }

    /// Log what came again.
    pub(crate) fn sum_up(&self) {
        for Again { kind, by, times } in self.take() {
            let by = by.as_deref().unwrap_or("various");
            tracing::info!(kind, by, times, "and again, since the last line");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u16) -> IpAddr {
        let [high, low] = last.to_be_bytes();
        IpAddr::from([10, 0, high, low])
    }

    #[test]
    fn a_thousand_refusals_of_one_address_are_one_line_and_one_count() {
        let repeated = Repeated::default();
        let lines = (0..1000).filter(|_| repeated.is_first_from("join", address(1)));
        assert_eq!(lines.count(), 1);
        assert!(
            repeated.is_first_from("join", address(2)),
            "another address"
        );
        assert!(repeated.is_first_from("page", address(1)), "another kind");
        let again = Again {
            kind: "join",
            by: Some(address(1).to_string()),
            times: 999,
        };
        assert_eq!(repeated.take(), [again]);
        assert!(repeated.is_first_from("join", address(1)), "a new interval");
        assert!(repeated.take().is_empty());
    }

    #[test]
    fn many_addresses_write_no_more_lines_than_a_hundred() {
        let repeated = Repeated::default();
        let lines = (0..10_000).filter(|last| repeated.is_first_from("join", address(*last)));
        assert_eq!(lines.count(), MAX_TOLD_APART);
        let again = repeated.take();
        assert_eq!(again.len(), 1);
        assert!(again.iter().all(|a| a.by.is_none() && a.times == 9_900));
    }
}

//! How much one participant may ask. Who asks more is slowed down, never closed: its socket is not read until it may go on.

use std::num::NonZeroU32;
use std::time::Duration;

use antiphon_protocol::proto::SignalRequest;
use antiphon_protocol::proto::signal_request::Message as Request;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::limits::{
    CANDIDATE_BURST, CANDIDATE_RATE, SDP_BURST_BYTES, SDP_BYTES_PER_SECOND, SIGNAL_BURST,
    SIGNAL_RATE,
};

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;
type ByParticipant<C> =
    RateLimiter<u64, DefaultKeyedStateStore<u64>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// What every participant may ask, on however many connections one after another: who joins anew has no new budget.
#[derive(Debug)]
pub(crate) struct SignalRates<C: Clock = DefaultClock> {
    messages: ByParticipant<C>,
    /// Bytes of session descriptions: what it costs to negotiate them grows with their length.
    descriptions: ByParticipant<C>,
    clock: C,
}

impl<C: Clock + Clone> SignalRates<C> {
    pub(crate) fn new(clock: &C) -> Self {
        let limiter =
            |rate, burst| RateLimiter::dashmap_with_clock(quota(rate, burst), clock.clone());
        Self {
            messages: limiter(SIGNAL_RATE, SIGNAL_BURST),
            descriptions: limiter(SDP_BYTES_PER_SECOND, SDP_BURST_BYTES),
            clock: clock.clone(),
        }
    }

    /// Forget participants who have all of their burst back.
    pub(crate) fn forget(&self) {
        for limiter in [&self.messages, &self.descriptions] {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

/// The budgets of one connection.
pub(super) struct Budget<C: Clock = DefaultClock> {
    /// Whose.
    participant: u64,
    /// Hosts with many interfaces name hundreds of candidates at once; they are no messages like others. One too many is left
    /// out, which costs nothing, so each connection begins anew.
    candidates: [Limiter<C>; 2],
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Now,
    /// Read nothing more until then.
    After(Duration),
    /// Leave it out.
    Ignore,
}

fn quota(per_second: u32, burst: u32) -> Quota {
    let one = NonZeroU32::MIN;
    Quota::per_second(NonZeroU32::new(per_second).unwrap_or(one))
        .allow_burst(NonZeroU32::new(burst).unwrap_or(one))
}

impl Budget {
    pub(super) fn of(participant: u64) -> Self {
        Self::new(participant, &DefaultClock::default())
    }

    pub(super) fn participant(&self) -> u64 {
        self.participant
    }
}

impl<C: Clock + Clone> Budget<C> {
    fn new(participant: u64, clock: &C) -> Self {
        let limiter = || {
            RateLimiter::direct_with_clock(quota(CANDIDATE_RATE, CANDIDATE_BURST), clock.clone())
        };
        Self {
            participant,
            candidates: [limiter(), limiter()],
        }
    }

    /// May this be done now? Asked again after the wait.
    pub(super) fn admit(&self, rates: &SignalRates<C>, request: &SignalRequest) -> Verdict {
        let bytes = match &request.message {
            Some(Request::Trickle(trickle)) => {
                let [publisher, subscriber] = &self.candidates;
                let limiter = if trickle.target == 0 {
                    publisher
                } else {
                    subscriber
                };
                return match limiter.check() {
                    Ok(()) => Verdict::Now,
                    Err(_) => Verdict::Ignore,
                };
            }
            Some(Request::Offer(description) | Request::Answer(description)) => {
                u32::try_from(description.sdp.len()).unwrap_or(u32::MAX)
            }
            _ => 0,
        };
        if let Err(not_until) = rates.messages.check_key(&self.participant) {
            return Verdict::After(not_until.wait_time_from(rates.clock.now()));
        }
        // The largest are refused elsewhere; here they cost everything there is.
        if let Some(bytes) = NonZeroU32::new(bytes.min(SDP_BURST_BYTES))
            && let Ok(Err(not_until)) = rates.descriptions.check_key_n(&self.participant, bytes)
        {
            return Verdict::After(not_until.wait_time_from(rates.clock.now()));
        }
        Verdict::Now
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use antiphon_protocol::proto::{Ping, SessionDescription, TrickleRequest};
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn trickle(target: i32) -> SignalRequest {
        SignalRequest {
            message: Some(Request::Trickle(TrickleRequest {
                target,
                ..Default::default()
            })),
        }
    }

    fn ping() -> SignalRequest {
        SignalRequest {
            message: Some(Request::PingReq(Ping::default())),
        }
    }

    fn offer(bytes: usize) -> SignalRequest {
        SignalRequest {
            message: Some(Request::Offer(SessionDescription {
                sdp: "x".repeat(bytes),
                ..Default::default()
            })),
        }
    }

    #[test]
    fn a_host_with_many_interfaces_names_six_hundred_candidates_and_is_still_heard() {
        let clock = FakeRelativeClock::default();
        let (rates, budget) = (SignalRates::new(&clock), Budget::new(1, &clock));
        for target in [0, 1] {
            for _ in 0..600 {
                assert_eq!(budget.admit(&rates, &trickle(target)), Verdict::Now);
            }
        }
        assert_eq!(budget.admit(&rates, &ping()), Verdict::Now);
        for _ in 0..CANDIDATE_BURST {
            budget.admit(&rates, &trickle(0));
        }
        assert_eq!(budget.admit(&rates, &trickle(0)), Verdict::Ignore);
        assert_eq!(
            budget.admit(&rates, &trickle(1)),
            Verdict::Now,
            "each connection has its own"
        );
        assert_eq!(budget.admit(&rates, &ping()), Verdict::Now);
    }

    #[test]
    fn who_asks_too_often_is_slowed_to_the_rate() {
        let clock = FakeRelativeClock::default();
        let (rates, budget) = (SignalRates::new(&clock), Budget::new(1, &clock));
        for _ in 0..SIGNAL_BURST {
            assert_eq!(budget.admit(&rates, &ping()), Verdict::Now);
        }
        let Verdict::After(wait) = budget.admit(&rates, &ping()) else {
            panic!("slowed")
        };
        assert!(wait <= Duration::from_secs(1) / SIGNAL_RATE);
        clock.advance(wait);
        assert_eq!(budget.admit(&rates, &ping()), Verdict::Now);
    }

    #[test]
    fn descriptions_cost_what_they_are_long() {
        let clock = FakeRelativeClock::default();
        let (rates, budget) = (SignalRates::new(&clock), Budget::new(1, &clock));
        let burst = usize::try_from(SDP_BURST_BYTES).unwrap();
        assert_eq!(budget.admit(&rates, &offer(burst)), Verdict::Now);
        let Verdict::After(wait) = budget.admit(&rates, &offer(burst / 2)) else {
            panic!("slowed")
        };
        assert_eq!(budget.admit(&rates, &ping()), Verdict::Now);
        clock.advance(wait);
        assert_eq!(budget.admit(&rates, &offer(burst / 2)), Verdict::Now);
        clock.advance(Duration::from_secs(60));
        assert_eq!(
            budget.admit(&rates, &offer(burst * 2)),
            Verdict::Now,
            "never stuck for ever"
        );
    }

    #[test]
    fn who_joins_anew_has_what_was_left_and_others_have_their_own() {
        let clock = FakeRelativeClock::default();
        let rates = SignalRates::new(&clock);
        let burst = usize::try_from(SDP_BURST_BYTES).unwrap();
        let first = Budget::new(1, &clock);
        assert_eq!(first.admit(&rates, &offer(burst)), Verdict::Now);
        let again = Budget::new(1, &clock);
        assert!(matches!(
            again.admit(&rates, &offer(burst)),
            Verdict::After(_)
        ));
        let other = Budget::new(2, &clock);
        assert_eq!(other.admit(&rates, &offer(burst)), Verdict::Now);
        clock.advance(Duration::from_secs(60));
        rates.forget();
        assert_eq!(again.admit(&rates, &offer(burst)), Verdict::Now);
    }
}

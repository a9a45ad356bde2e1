//! Webhooks: what happens in rooms is posted to the operator's addresses, signed as LiveKit signs it.
//!
//! | module | what |
//! |---|---|
//! | `lines` | which event is next: in order within a room, rooms beside one another |
//! | `post` | one event: signed, sent, repeated |
//!
//! An address that does not answer costs nobody anything but its own events: each address has a queue of its own, a room never
//! waits for one, and events that are too old or too many are dropped and counted.

mod lines;
mod post;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use antiphon_protocol::ids;
use antiphon_protocol::proto::WebhookEvent;
use antiphon_telemetry::names::{LIVEKIT_WEBHOOK_DISPATCH_TOTAL, SERVER_WEBHOOKS_TOTAL};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Webhooks;
use crate::error::ServerError;
use crate::keys::KeyRing;
use crate::limits::MAX_WEBHOOK_POSTS;
use lines::Lines;
use post::Poster;

/// The names that LiveKit gives to what happens.
pub(crate) mod event {
    pub(crate) const ROOM_STARTED: &str = "room_started";
    pub(crate) const ROOM_FINISHED: &str = "room_finished";
    pub(crate) const PARTICIPANT_JOINED: &str = "participant_joined";
    pub(crate) const PARTICIPANT_LEFT: &str = "participant_left";
    /// Left without ever having been connected.
    pub(crate) const PARTICIPANT_ABORTED: &str = "participant_connection_aborted";
    pub(crate) const TRACK_PUBLISHED: &str = "track_published";
    pub(crate) const TRACK_UNPUBLISHED: &str = "track_unpublished";
}

/// All addresses that are told.
pub(crate) struct Hooks {
    addresses: Vec<Arc<Address>>,
    settings: Webhooks,
}

/// One address with what it has not been told yet.
struct Address {
    poster: Poster,
    lines: Mutex<Lines<WebhookEvent>>,
    /// Something was queued, or a room may send its next.
    changed: Notify,
    /// A line has ended.
    ended: Notify,
}

impl Hooks {
    /// Start a task for each address; they end with `stop`.
    pub(crate) fn start(
        settings: Webhooks,
        keys: &Arc<KeyRing>,
        stop: &CancellationToken,
    ) -> Result<Self, ServerError> {
        let mut addresses = Vec::new();
        if settings.urls.is_empty() {
            // Nobody is told: no HTTP client, whose making reads the machine's certificates.
            return Ok(Self {
                addresses,
                settings,
            });
        }
        let client = post::client()?;
        for url in &settings.urls {
            let address = Arc::new(Address {
                poster: Poster::new(
                    client.clone(),
                    url.clone(),
                    settings.api_key.clone(),
                    Arc::clone(keys),
                ),
                lines: Mutex::default(),
                changed: Notify::new(),
                ended: Notify::new(),
            });
            tokio::spawn(run(Arc::clone(&address), stop.clone()));
            addresses.push(address);
        }
        Ok(Self {
            addresses,
            settings,
        })
    }

    /// Does anybody want to know about this?
    pub(crate) fn wants(&self, event: &str) -> bool {
        !self.addresses.is_empty() && self.settings.wants(event)
    }

    /// Tell everybody, after what they were told of this room before.
    pub(crate) fn tell(&self, room: &Arc<str>, mut event: WebhookEvent) {
        if !self.wants(&event.event) {
            return;
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        event.id = ids::new(ids::EVENT);
        event.created_at = i64::try_from(now.as_secs()).unwrap_or_default();
        for address in &self.addresses {
            let queued = address
                .lines()
                .push(Instant::now(), Arc::clone(room), event.clone());
            if queued {
                address.changed.notify_one();
            } else {
                dropped(1, "full");
            }
        }
    }

    /// Everything has been told, or given up.
    pub(crate) async fn idle(&self) {
        for address in &self.addresses {
            loop {
                let ended = address.ended.notified();
                if address.lines().is_empty() {
                    break;
                }
                ended.await;
            }
        }
    }
}

impl Address {
    fn lines(&self) -> MutexGuard<'_, Lines<WebhookEvent>> {
        // Every method of `Lines` leaves it whole.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The room's next event may be sent when this is dropped, whatever became of the one before.
struct Turn {
    address: Arc<Address>,
    room: Arc<str>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.address.lines().done(&self.room);
        self.address.changed.notify_one();
        self.address.ended.notify_waiters();
    }
}

/// Post what one address is told, several rooms at once.
async fn run(address: Arc<Address>, stop: CancellationToken) {
    let mut posts = JoinSet::new();
    loop {
        while posts.len() < MAX_WEBHOOK_POSTS {
            let next = address.lines().next(Instant::now());
            if next.late > 0 {
                dropped(next.late, "age");
                address.ended.notify_waiters();
            }
            let Some((room, since, event)) = next.event else {
                break;
            };
            let turn = Turn {
                address: Arc::clone(&address),
                room,
            };
            posts.spawn(async move {
                let outcome = turn.address.poster.deliver(&event, since).await;
                count(outcome, 1);
                drop(turn);
            });
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = address.changed.notified() => {}
            Some(_) = posts.join_next() => {}
        }
    }
}

fn dropped(count: u64, reason: &'static str) {
    self::count(reason, count);
    tracing::warn!(
        count,
        reason,
        "webhooks were dropped; is their address slow?"
    );
}

/// Under our name and LiveKit's.
fn count(outcome: &'static str, count: u64) {
    let (status, reason) = match outcome {
        "sent" => ("success", ""),
        "age" | "full" => ("drop", outcome),
        _ => ("failure", ""),
    };
    metrics::counter!(SERVER_WEBHOOKS_TOTAL, "outcome" => outcome).increment(count);
    metrics::counter!(LIVEKIT_WEBHOOK_DISPATCH_TOTAL, "status" => status, "reason" => reason)
        .increment(count);
}

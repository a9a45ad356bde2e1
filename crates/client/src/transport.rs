//! One peer connection and the state of its negotiation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use antiphon_rtc::{Engine, MediaChange, MediaKind, Peer, PeerConfig, PeerEvent, ShardId};
use livekit_protocol::SignalTarget;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::audio::AudioSink;
use crate::{RoomError, limits};

/// Where the packets of a section go.
pub(crate) type Routes = Arc<Mutex<HashMap<String, AudioSink>>>;

/// A change to our offer, and which of our tracks it is about.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) change: MediaChange,
    pub(crate) cid: Option<String>,
}

/// One peer connection.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) peer: Peer,
    early_candidates: Vec<String>,
    remote_known: bool,
    /// Our offer that waits: its id and the deadline.
    offered: Option<(u32, Instant)>,
    last_offer_id: u32,
    queued: Vec<Change>,
    /// The server wants another offer, whatever is in it.
    asked_for: bool,
    _pump: AbortOnDropHandle<()>,
}

impl Transport {
    pub(crate) fn new(
        engine: &Engine,
        shard: ShardId,
        (target, receives): (SignalTarget, bool),
        red: bool,
        routes: Routes,
        events: mpsc::Sender<(SignalTarget, PeerEvent)>,
    ) -> Result<Self, RoomError> {
        let (reports, mut reported) = mpsc::channel(limits::PEER_EVENTS);
        let config = PeerConfig {
            deliver_rtp: receives,
            red,
            ..PeerConfig::client(format!("room {target:?}"))
        };
        let peer = engine.peer(shard, config, reports)?;
        // Sound goes from here straight to its reader: it does not wait for what the actor is doing.
        let pump = tokio::spawn(async move {
            while let Some(event) = reported.recv().await {
                if let PeerEvent::Rtp(packet) = event {
                    let routes = routes.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(sink) = routes.get(&*packet.mid) {
                        sink.push(packet);
                    }
                } else if events.send((target, event)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            peer,
            early_candidates: Vec::new(),
            remote_known: false,
            offered: None,
            last_offer_id: 0,
            queued: Vec::new(),
            asked_for: false,
            _pump: AbortOnDropHandle::new(pump),
        })
    }

    /// The server wants an offer, with as many more sections to send in.
    pub(crate) fn ask_for_offer(&mut self, audio: u32, video: u32) {
        self.asked_for = true;
        let more = |count: u32, kind| {
            let count = usize::try_from(count).unwrap_or_default();
            let change = Change {
                change: MediaChange::AddReceiving { kind },
                cid: None,
            };
            std::iter::repeat_n(change, count.min(limits::SECTIONS_AT_ONCE))
        };
        self.queued.extend(more(audio, MediaKind::Audio));
        self.queued.extend(more(video, MediaKind::Video));
    }

    /// A candidate of the server, kept until its description is there.
    pub(crate) fn remote_candidate(&mut self, candidate: String) {
        if self.remote_known {
            self.peer.add_remote_candidate(candidate);
        } else if self.early_candidates.len() < limits::EARLY_CANDIDATES {
            self.early_candidates.push(candidate);
        }
    }

    fn remote_described(&mut self) {
        self.remote_known = true;
        for candidate in self.early_candidates.drain(..) {
            self.peer.add_remote_candidate(candidate);
        }
    }

    /// Answer the server's offer.
    pub(crate) async fn answer(&mut self, offer: String) -> Result<String, RoomError> {
        let answer = self.peer.accept_offer(offer).await?;
        self.remote_described();
        Ok(answer)
    }

    /// Offer these changes, now or after the answer that is waited for. The answer: an offer to be sent with its id, and
    /// the sections of new tracks by cid.
    pub(crate) async fn offer(
        &mut self,
        changes: Vec<Change>,
    ) -> Result<Option<NewOffer>, RoomError> {
        self.queued.extend(changes);
        if self.offered.is_some() || (self.queued.is_empty() && !self.asked_for) {
            return Ok(None);
        }
        self.asked_for = false;
        let changes = std::mem::take(&mut self.queued);
        let cids: Vec<String> = changes
            .iter()
            .filter_map(|change| change.cid.clone())
            .collect();
        let offer = self
            .peer
            .create_offer(changes.into_iter().map(|change| change.change).collect())
            .await?;
        self.last_offer_id += 1;
        self.offered = Some((self.last_offer_id, Instant::now() + limits::ANSWER_TIMEOUT));
        Ok(Some(NewOffer {
            id: self.last_offer_id,
            sdp: offer.sdp,
            sections: cids.into_iter().zip(offer.mids).collect(),
        }))
    }

    /// The server's answer to our offer. False: to another one.
    pub(crate) async fn answered(&mut self, id: u32, answer: String) -> Result<bool, RoomError> {
        if self
            .offered
            .is_none_or(|(offered, _)| id != 0 && offered != id)
        {
            return Ok(false);
        }
        self.peer.accept_answer(answer).await?;
        self.offered = None;
        self.remote_described();
        Ok(true)
    }

    /// When the answer must have come.
    pub(crate) fn answer_deadline(&self) -> Option<Instant> {
        self.offered.map(|(_, deadline)| deadline)
    }

    /// The signal connection broke: an offer that waits will not be answered. It is made again with the next one.
    pub(crate) fn forget_offer(&mut self) -> bool {
        self.offered.take().is_some()
    }
}

/// An offer to be sent.
#[derive(Debug)]
pub(crate) struct NewOffer {
    pub(crate) id: u32,
    pub(crate) sdp: String,
    pub(crate) sections: Vec<(String, String)>,
}

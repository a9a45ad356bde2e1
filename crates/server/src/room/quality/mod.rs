//! Connection quality: what was measured of a participant's streams, and who is told what follows from it. The scores are
//! `scorer`'s.

mod scorer;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use antiphon_protocol::proto::participant_info::State as Stage;
use antiphon_protocol::proto::signal_response::Message;
use antiphon_protocol::proto::{ConnectionQuality, ConnectionQualityInfo, ConnectionQualityUpdate};
use antiphon_rtc::{StreamDirection, StreamStatistics};

use super::actor::Room;
use super::participant::Participant;
use scorer::{Measured, Scorer, loss_weight};

/// How often everybody is told what has changed; LiveKit's.
const TELL_INTERVAL: Duration = Duration::from_secs(5);
/// Of a connection that has been silent for this long nothing is known any more: each sends a check every few seconds.
const SILENCE: Duration = Duration::from_secs(8);
/// From this version on clients know that a connection can be lost.
const KNOWS_LOST: i32 = 10;
/// The mean opinion score of whoever sends and receives nothing.
const BEST: f32 = 4.5;

/// Of one participant.
#[derive(Debug, Default)]
pub(super) struct Quality {
    /// By the section of the stream.
    streams: HashMap<(StreamDirection, Arc<str>), Scorer>,
    /// What the others were told.
    told: Option<ConnectionQuality>,
}

impl Quality {
    /// The worst of its streams.
    fn worst(&self) -> (ConnectionQuality, f32) {
        let streams = self
            .streams
            .values()
            .map(|s| (s.quality(), s.mean_opinion()));
        let worst = streams.min_by(|(a, x), (b, y)| rank(*a).cmp(&rank(*b)).then(x.total_cmp(y)));
        worst.unwrap_or((ConnectionQuality::Excellent, BEST))
    }
}

impl Participant {
    /// How it is connected.
    fn quality_info(&self) -> ConnectionQualityInfo {
        let (quality, score) = self.quality.worst();
        ConnectionQualityInfo {
            participant_sid: self.sid.to_string(),
            quality: quality as i32,
            score,
        }
    }

    /// Does it hear of how this one is connected: of itself, and of those whom it hears?
    fn is_told_of(&self, sid: &str) -> bool {
        let hears = |s: &super::participant::Subscriber| s.subscriptions.hears(sid);
        *self.sid == *sid || self.subscriber.as_ref().is_some_and(hears)
    }

    /// Of sections that carry nothing any more nothing is measured any more.
    fn forget_streams(&mut self) {
        let subscriptions = self.subscriber.as_ref().map(|s| &s.subscriptions);
        let tracks = &self.tracks;
        self.quality
            .streams
            .retain(|(direction, mid), _| match direction {
                StreamDirection::Received => {
                    tracks.iter().any(|t| t.mid.as_deref() == Some(&**mid))
                }
                StreamDirection::Sent => subscriptions.is_some_and(|s| s.carried(mid).is_some()),
            });
    }
}

fn rank(quality: ConnectionQuality) -> u8 {
    match quality {
        ConnectionQuality::Lost => 0,
        ConnectionQuality::Poor => 1,
        ConnectionQuality::Good => 2,
        ConnectionQuality::Excellent => 3,
    }
}

impl Room {
    /// What was measured of some streams of a participant.
    pub(super) fn on_statistics(&mut self, sid: &Arc<str>, reports: &[StreamStatistics]) {
        let now = Instant::now();
        for report in reports {
            // A section that carries nothing any more is forgotten.
            let stream = self.stream_of(sid, report.direction, &report.mid);
            let Some(p) = self.participants.get_mut(sid) else {
                return;
            };
            let key = (report.direction, Arc::clone(&report.mid));
            let Some((mime, muted)) = stream else {
                p.quality.streams.remove(&key);
                continue;
            };
            let scorer = p.quality.streams.entry(key).or_default();
            scorer.set_muted(muted, now);
            let measured = Measured {
                interval: report.interval,
                packets: report.packets,
                lost: report.lost,
                rtt: report.rtt.unwrap_or_default(),
                jitter: report.jitter,
                missing_layers: report.layers_expected.saturating_sub(report.layers),
            };
            scorer.measured(&measured, loss_weight(&mime), now);
        }
    }

    /// What a section of a participant carries: the name of its codec, and whether it is muted.
    fn stream_of(
        &self,
        sid: &str,
        direction: StreamDirection,
        mid: &str,
    ) -> Option<(String, bool)> {
        let p = self.participants.get(sid)?;
        let track = match direction {
            StreamDirection::Received => p.tracks.iter().find(|t| t.mid.as_deref() == Some(mid))?,
            StreamDirection::Sent => {
                let (publisher, track) = p.subscriber.as_ref()?.subscriptions.carried(mid)?;
                let tracks = &self.participants.get(publisher)?.tracks;
                tracks.iter().find(|t| t.info.sid == track)?
            }
        };
        Some((track.info.mime_type.clone(), track.info.muted))
    }

    /// Tell everybody how those are connected whom they hear, and how they are themselves, if that is new of anybody.
    pub(super) fn report_quality(&mut self, now: Instant) {
        if now < self.quality_due {
            return;
        }
        self.quality_due = now + TELL_INTERVAL;
        let mut is_news = false;
        let mut infos: HashMap<Arc<str>, ConnectionQualityInfo> = HashMap::new();
        for p in self.participants.values_mut() {
            if p.state != Stage::Active {
                continue;
            }
            p.forget_streams();
            if p.quietest() > SILENCE {
                p.quality.streams.values_mut().for_each(Scorer::lost);
            }
            let info = p.quality_info();
            is_news |= p.quality.told.replace(info.quality()) != Some(info.quality());
            infos.insert(Arc::clone(&p.sid), info);
        }
        if !is_news {
            return;
        }
        for p in self.participants.values_mut() {
            if p.state == Stage::Active {
                let heard = infos.iter().filter(|(sid, _)| p.is_told_of(sid));
                p.send(update(p.client.protocol, heard.map(|(_, info)| info)));
            }
        }
    }

    /// A newcomer is told at once, and so are the others of it; SDKs show "unknown" until then.
    pub(super) fn greet_with_quality(&mut self, newcomer: &Arc<str>) {
        let hidden = |p: &Participant| p.permission.hidden;
        let is_hidden = self.participants.get(newcomer).is_some_and(hidden);
        let infos: Vec<(Arc<str>, ConnectionQualityInfo)> = self
            .participants
            .values()
            .filter(|p| !hidden(p) || p.sid == *newcomer)
            .map(|p| (Arc::clone(&p.sid), p.quality_info()))
            .collect();
        for p in self.participants.values_mut() {
            let all = p.sid == *newcomer;
            if is_hidden && !all {
                continue;
            }
            let told = infos.iter().filter(|(sid, _)| all || sid == newcomer);
            p.send(update(p.client.protocol, told.map(|(_, info)| info)));
        }
        if let Some(p) = self.participants.get_mut(newcomer) {
            p.quality.told = Some(p.quality.worst().0);
        }
    }
}

/// What a client of this protocol is told: an old one does not know that a connection can be lost.
fn update<'a>(protocol: i32, infos: impl Iterator<Item = &'a ConnectionQualityInfo>) -> Message {
    let mut updates: Vec<ConnectionQualityInfo> = infos.cloned().collect();
    if protocol <= KNOWS_LOST {
        let lost = |info: &&mut ConnectionQualityInfo| info.quality() == ConnectionQuality::Lost;
        for info in updates.iter_mut().filter(lost) {
            info.set_quality(ConnectionQuality::Poor);
        }
    }
    Message::ConnectionQuality(ConnectionQualityUpdate { updates })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;

    #[test]
    fn an_old_client_is_told_that_a_lost_connection_is_poor() {
        let told = |protocol, quality: ConnectionQuality| {
            let info = ConnectionQualityInfo {
                quality: quality as i32,
                ..ConnectionQualityInfo::default()
            };
            let Message::ConnectionQuality(update) = update(protocol, std::iter::once(&info))
            else {
                panic!("of something else")
            };
            update.updates.first().map(ConnectionQualityInfo::quality)
        };
        use ConnectionQuality::{Good, Lost, Poor};
        assert_eq!(told(10, Lost), Some(Poor));
        assert_eq!(told(11, Lost), Some(Lost));
        assert_eq!(told(10, Good), Some(Good));
    }
}

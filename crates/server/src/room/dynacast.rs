//! Dynacast: a publisher is told which sizes of its picture somebody wants, and need not send the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use antiphon_protocol::proto::signal_response::Message;
use antiphon_protocol::proto::{
    SubscribedCodec, SubscribedQuality, SubscribedQualityUpdate, TrackInfo, VideoLayer,
    VideoQuality,
};
use antiphon_rtc::MediaKind;

use super::actor::Room;
use super::codecs::codec_in_descriptions;

/// What nobody wants any more may be wanted again at once; LiveKit's.
const PAUSE_DELAY: Duration = Duration::from_secs(5);

/// The sizes, from the smallest.
const QUALITIES: [VideoQuality; 3] = [VideoQuality::Low, VideoQuality::Medium, VideoQuality::High];

/// What the publisher of one track was told: the largest size that somebody wants.
#[derive(Clone, Debug)]
pub(super) struct Dynacast {
    /// How many of [`QUALITIES`] it is to send.
    told: usize,
    /// Less is wanted since then.
    less_since: Option<Instant>,
}

impl Default for Dynacast {
    /// Publishers begin with all sizes.
    fn default() -> Self {
        let (told, less_since) = (QUALITIES.len(), None);
        Self { told, less_since }
    }
}

impl Dynacast {
    /// This many sizes are wanted now. `Some`: tell the publisher.
    fn wanted(&mut self, sizes: usize, now: Instant) -> Option<usize> {
        if sizes >= self.told {
            self.less_since = None;
        }
        let is_due = if sizes < self.told {
            let since = *self.less_since.get_or_insert(now);
            now.saturating_duration_since(since) >= PAUSE_DELAY
        } else {
            sizes > self.told
        };
        if !is_due {
            return None;
        }
        self.less_since = None;
        self.told = sizes;
        Some(sizes)
    }
}

/// How many sizes a publisher has to send for a subscriber that wants layers up to this one.
fn sizes_for(layers: &[VideoLayer], highest_layer: usize) -> usize {
    let mut layers: Vec<(u32, VideoQuality)> = layers
        .iter()
        .map(|layer| (layer.width.min(layer.height), layer.quality()))
        .collect();
    layers.sort_unstable_by_key(|(size, _)| *size);
    let wanted = layers.get(highest_layer).map(|(_, quality)| *quality);
    let at = QUALITIES
        .iter()
        .position(|quality| Some(*quality) == wanted);
    at.map_or(QUALITIES.len(), |at| at + 1)
}

fn update(info: &TrackInfo, sizes: usize) -> SubscribedQualityUpdate {
    let qualities = || {
        let all = QUALITIES.iter().enumerate();
        all.map(|(at, quality)| SubscribedQuality {
            quality: *quality as i32,
            enabled: at < sizes,
        })
        .collect()
    };
    #[allow(
        deprecated,
        reason = "older clients read the qualities without a codec"
    )]
    SubscribedQualityUpdate {
        track_sid: info.sid.clone(),
        subscribed_qualities: qualities(),
        subscribed_codecs: vec![SubscribedCodec {
            codec: codec_in_descriptions(&info.mime_type).unwrap_or_default(),
            qualities: qualities(),
        }],
    }
}

impl Room {
    /// Tell publishers what has changed about what is wanted of their pictures.
    pub(super) fn report_wanted_sizes(&mut self, now: Instant) {
        let mut wanted: HashMap<(Arc<str>, String), usize> = HashMap::new();
        for subscriber in self
            .participants
            .values()
            .filter_map(|p| p.subscriber.as_ref())
        {
            for one in subscriber.subscriptions.pictures() {
                let layers = self.participants.get(&one.publisher).and_then(|p| {
                    let track = p.tracks.iter().find(|t| t.info.sid == one.track)?;
                    track
                        .info
                        .codecs
                        .first()
                        .map(|codec| codec.layers.as_slice())
                });
                let sizes = sizes_for(layers.unwrap_or_default(), one.highest_layer);
                let key = (Arc::clone(&one.publisher), one.track.clone());
                let most = wanted.entry(key).or_default();
                *most = (*most).max(sizes);
            }
        }
        for p in self.participants.values_mut() {
            let sid = Arc::clone(&p.sid);
            let pictures = p
                .tracks
                .iter_mut()
                .filter(|track| track.mid.is_some() && track.kind() == MediaKind::Video);
            let updates: Vec<SubscribedQualityUpdate> = pictures
                .filter_map(|track| {
                    let key = (Arc::clone(&sid), track.info.sid.clone());
                    let sizes = wanted.get(&key).copied().unwrap_or_default();
                    let told = track.dynacast.wanted(sizes, now)?;
                    Some(update(&track.info, told))
                })
                .collect();
            for update in updates {
                p.send(Message::SubscribedQualityUpdate(update));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_again_is_told_at_once_and_what_is_not_after_a_while() {
        let (mut dynacast, start) = (Dynacast::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(dynacast.wanted(3, start), None);
        assert_eq!(dynacast.wanted(1, start), None);
        assert_eq!(dynacast.wanted(1, after(4)), None);
        assert_eq!(dynacast.wanted(3, after(4)), None);
        assert_eq!(
            dynacast.wanted(1, after(6)),
            None,
            "it was wanted meanwhile"
        );
        assert_eq!(dynacast.wanted(0, after(11)), Some(0));
        assert_eq!(dynacast.wanted(0, after(20)), None);
        assert_eq!(dynacast.wanted(2, after(20)), Some(2));
    }

    #[test]
    fn a_layer_stands_for_the_quality_that_its_publisher_named() {
        let layer = |quality: VideoQuality, width| VideoLayer {
            quality: quality as i32,
            width,
            height: width / 2,
            ..VideoLayer::default()
        };
        let three = [
            layer(VideoQuality::High, 1280),
            layer(VideoQuality::Low, 320),
            layer(VideoQuality::Medium, 640),
        ];
        let sizes: Vec<_> = [0, 1, 2, usize::MAX]
            .map(|at| sizes_for(&three, at))
            .to_vec();
        assert_eq!(sizes, [1, 2, 3, 3]);
        assert_eq!(sizes_for(&three[..1], 0), 3);
        assert_eq!(sizes_for(&[], 0), 3);
    }

    #[test]
    fn an_update_names_the_codec_as_clients_do() {
        let info = TrackInfo {
            sid: "TR_V".to_owned(),
            mime_type: "video/VP8".to_owned(),
            ..TrackInfo::default()
        };
        let update = update(&info, 1);
        assert_eq!(update.subscribed_codecs[0].codec, "vp8");
        let enabled: Vec<bool> = update.subscribed_codecs[0]
            .qualities
            .iter()
            .map(|q| q.enabled)
            .collect();
        assert_eq!(enabled, [true, false, false]);
    }
}

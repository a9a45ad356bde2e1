//! A media section of one peer: what it receives and where that goes, and what it sends.

use std::sync::Arc;
use std::time::Instant;

use str0m::Rtc;
use str0m::format::{Codec, CodecSpec};
use str0m::media::{Mid, Pt, Rid, Rids};
use str0m::rtp::Ssrc;

use crate::MediaKind;
use crate::command::PeerId;
use crate::layers::{Choice, Layers};
use crate::level::LevelMeter;
use crate::numbering::{Mapping, OutStream};
use crate::red::{Recent, Unwrapper};
use crate::statistics::{Reception, Reported};
use crate::vp8;

/// Clock of video.
const VIDEO_CLOCK_HZ: u32 = 90_000;
/// Clock of Opus.
const OPUS_CLOCK_HZ: u32 = 48_000;

/// Another section that gets what this one receives.
#[derive(Debug)]
pub(crate) struct Target {
    /// The other peer's slot and name; a slot may be used again, a name never.
    pub(crate) slot: usize,
    pub(crate) peer: PeerId,
    /// The index of its section.
    pub(crate) section: usize,
    pub(crate) mapping: Option<Mapping>,
    /// Which simulcast layer it is sent.
    pub(crate) choice: Choice,
    /// What was decided about the packet at hand.
    pub(crate) sends: bool,
    pub(crate) vp8: vp8::Offsets,
    /// May it be sent in RED though it does not come so?
    pub(crate) redundant: bool,
    /// Known payload types here and how they travel there, valid for these negotiations.
    pub(crate) routes: Vec<(u8, Route)>,
    pub(crate) epochs: (u32, u32),
}

/// How a packet of one payload type travels to a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// As it is, under this payload type.
    Plain(Pt),
    /// RED as it is; the codec inside has this payload type there.
    Red {
        /// Of RED.
        outer: Pt,
        /// Of the codec inside.
        inner: Pt,
    },
    /// Taken out of RED.
    Unwrap(Pt),
    /// Into RED, which it did not come in.
    Wrap {
        /// Of RED.
        outer: Pt,
        /// Of the codec inside.
        inner: Pt,
    },
    /// The receiver does not know the codec.
    Unknown,
}

/// What a received payload type means.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meaning {
    pub(crate) spec: CodecSpec,
    /// The codec's own payload type.
    pub(crate) codec_pt: Pt,
    /// Is it wrapped in RED?
    pub(crate) red: bool,
}

/// One section.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) mid: Mid,
    pub(crate) name: Arc<str>,
    pub(crate) kind: MediaKind,
    /// The other side sends.
    pub(crate) receiving: bool,
    /// Of a voice: the other side sends again what we have not got.
    pub(crate) nack: bool,
    /// A packet has arrived.
    pub(crate) flowing: bool,
    pub(crate) muted: bool,
    pub(crate) targets: Vec<Target>,
    pub(crate) red: Unwrapper,
    pub(crate) recent: Recent,
    pub(crate) level: LevelMeter,
    pub(crate) layers: Layers,
    pub(crate) reception: Reception,
    /// Which peer and section feed what we send here.
    pub(crate) source: Option<(usize, PeerId, usize)>,
    pub(crate) out: OutStream,
    pub(crate) vp8: vp8::Numbers,
    pub(crate) out_ssrc: Option<Ssrc>,
    /// What the receiver of that has reported.
    pub(crate) reported: Reported,
    /// Of what we send ourselves.
    pub(crate) own_mapping: Option<Mapping>,
    pub(crate) own_next: u64,
    /// The payload type of the picture that it will carry.
    pub(crate) picture: Option<Pt>,
    /// Silent frames still to be sent, and when the next is due.
    pub(crate) silent_frames: u8,
    pub(crate) silence_at: Option<Instant>,
    opus: Option<Option<Pt>>,
}

impl Section {
    pub(crate) fn new(mid: &str, kind: MediaKind) -> Self {
        Self {
            mid: mid.into(),
            name: mid.into(),
            kind,
            receiving: false,
            nack: false,
            flowing: false,
            muted: false,
            targets: Vec::new(),
            red: Unwrapper::default(),
            recent: Recent::default(),
            level: LevelMeter::default(),
            layers: Layers::new(&[]),
            reception: Reception::default(),
            source: None,
            out: OutStream::new(clock_hz(kind)),
            vp8: vp8::Numbers::default(),
            out_ssrc: None,
            reported: Reported::default(),
            own_mapping: None,
            own_next: 0,
            picture: None,
            silent_frames: 0,
            silence_at: None,
            opus: None,
        }
    }

    /// Payload types and SSRCs may have changed.
    pub(crate) fn forget_negotiated(&mut self) {
        self.out_ssrc = None;
        self.opus = None;
    }

    /// These layers were agreed upon. If they are others than before, receivers begin anew.
    pub(crate) fn set_layers(&mut self, rtc: &Rtc) {
        let rids: &[Rid] = match rtc.media(self.mid).map(|media| media.rids_rx()) {
            Some(Rids::Specific(rids)) => rids,
            Some(Rids::None | Rids::Any) | None => &[],
        };
        if !self.layers.are(rids) {
            self.layers = Layers::new(rids);
            for target in &mut self.targets {
                target.choice.pause();
            }
        }
    }

    /// Another track is going to be sent here: under another SSRC, since many receivers take that for what tells tracks
    /// apart.
    pub(crate) fn renew_stream(&mut self, rtc: &mut Rtc) {
        if !self.out.started() {
            return;
        }
        let mut api = rtc.direct_api();
        let before = api.stream_tx_by_mid(self.mid, None);
        if let Some((ssrc, rtx)) = before.map(|stream| (stream.ssrc(), stream.rtx())) {
            api.remove_stream_tx(ssrc);
            let ssrc = api.new_ssrc();
            let rtx = rtx.map(|_| api.new_ssrc());
            api.declare_stream_tx(ssrc, rtx, self.mid, None);
        }
        self.out_ssrc = None;
        self.reported = Reported::default();
        self.out = OutStream::new(clock_hz(self.kind));
        self.vp8 = vp8::Numbers::default();
        self.own_mapping = None;
        self.stop_silence();
    }

    /// Sound goes on: no more silent frames.
    pub(crate) fn stop_silence(&mut self) {
        self.silent_frames = 0;
        self.silence_at = None;
    }

    /// The SSRC we send with.
    pub(crate) fn ssrc(&mut self, rtc: &mut Rtc) -> Option<Ssrc> {
        if self.out_ssrc.is_none() {
            self.out_ssrc = rtc
                .direct_api()
                .stream_tx_by_mid(self.mid, None)
                .map(|stream| stream.ssrc());
        }
        self.out_ssrc
    }

    /// The payload type under which the other side takes Opus here.
    pub(crate) fn opus(&mut self, rtc: &Rtc) -> Option<Pt> {
        let mid = self.mid;
        *self.opus.get_or_insert_with(|| {
            let media = rtc.media(mid)?;
            rtc.codec_config()
                .params()
                .iter()
                .find(|p| p.spec().codec == Codec::Opus && media.remote_pts().contains(&p.pt()))
                .map(|p| p.pt())
        })
    }
}

pub(crate) fn clock_hz(kind: MediaKind) -> u32 {
    match kind {
        MediaKind::Audio => OPUS_CLOCK_HZ,
        MediaKind::Video => VIDEO_CLOCK_HZ,
    }
}

/// What does this payload type mean for what this peer receives?
pub(crate) fn meaning(rtc: &Rtc, pt: Pt) -> Option<Meaning> {
    rtc.codec_config().params().iter().find_map(|p| {
        let red = p.red() == Some(pt);
        (red || p.pt() == pt).then(|| Meaning {
            spec: p.spec(),
            codec_pt: p.pt(),
            red,
        })
    })
}

/// How does that travel to this section of another peer?
pub(crate) fn route(rtc: &Rtc, mid: Mid, meaning: Meaning) -> Route {
    let Some(media) = rtc.media(mid) else {
        return Route::Unknown;
    };
    let mut usable = rtc
        .codec_config()
        .params()
        .iter()
        .filter(|p| media.remote_pts().contains(&p.pt()))
        .filter(|p| {
            p.spec().codec == meaning.spec.codec && p.spec().clock_rate == meaning.spec.clock_rate
        });
    let params = if matches!(meaning.spec.codec, Codec::H264 | Codec::Vp9) {
        // Profiles are different formats; only the same one can be decoded for sure.
        usable.find(|p| same_profile(p.spec(), meaning.spec))
    } else {
        usable.next()
    };
    match (params, meaning.red) {
        (None, _) => Route::Unknown,
        (Some(params), false) => match params.red() {
            Some(outer) => Route::Wrap {
                outer,
                inner: params.pt(),
            },
            None => Route::Plain(params.pt()),
        },
        (Some(params), true) => match params.red() {
            Some(outer) => Route::Red {
                outer,
                inner: params.pt(),
            },
            None => Route::Unwrap(params.pt()),
        },
    }
}

fn same_profile(a: CodecSpec, b: CodecSpec) -> bool {
    let profile = |spec: CodecSpec| spec.format.profile_level_id.map(|id| id >> 8);
    let mode = |spec: CodecSpec| spec.format.packetization_mode.unwrap_or(0);
    profile(a) == profile(b)
        && mode(a) == mode(b)
        && a.format.profile_id.unwrap_or(0) == b.format.profile_id.unwrap_or(0)
}

//! From a received packet to what is written for those who hear it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use str0m::format::Codec;
use str0m::media::{KeyframeRequestKind, Pt};
use str0m::rtp::{ExtensionValues, RtpPacket as StrRtpPacket, RtpWrite, Vp8Patch};

use crate::connection::{Connection, Link, Origin};
use crate::keyframe;
use crate::limits::{MAX_RTP_PAYLOAD_BYTES, SILENT_FRAME, SILENT_FRAMES};
use crate::numbering::{OutStream, Place};
use crate::red::{self, Earlier, Unwrapped};
use crate::section::{self, Meaning, Route, Target};
use crate::{MediaKind, PeerEvent, RtpPacket, vp9};

/// 20 ms of silence in Opus.
const OPUS_SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];
/// 20 ms at 48 kHz.
const OPUS_FRAME_SAMPLES: u32 = 960;
/// Highest level value: silence.
const SILENCE_LEVEL: u8 = 127;

/// One received packet in the forms that its receivers take.
#[derive(Clone)]
pub(crate) struct Received {
    ssrc: u32,
    payload_type: u8,
    sequence: u64,
    pub(crate) timestamp: u64,
    marker: bool,
    at: Instant,
    payload: Arc<[u8]>,
    extensions: ExtensionValues,
    meaning: Meaning,
    /// A picture begins with it that needs none before it, and it is the newest of its layer.
    pub(crate) key_frame: bool,
    /// Which layer of its section it belongs to.
    pub(crate) layer: usize,
    /// It is the last packet of its spatial layer of this picture.
    ends_layer: bool,
    /// Out of RED: what was lost before, and the packet itself. Not used for other payloads.
    unwrapped: Vec<(Unwrapped, Arc<[u8]>)>,
    /// Of Opus without RED: what may be said again with it.
    earlier: Earlier,
}

impl Connection {
    /// Take notice of a received packet: levels, events. `None`: nothing to forward.
    pub(crate) fn take_packet(&mut self, origin: Origin, packet: StrRtpPacket) -> Option<Received> {
        let meaning = section::meaning(&self.rtc, packet.header.payload_type)?;
        let deliver = self.config.deliver_rtp;
        let current = self.sections.get_mut(origin.section)?;
        let ssrc = *packet.header.ssrc;
        current.reception.packet(
            origin.layer,
            ssrc,
            *packet.seq_no,
            (packet.time.numer(), meaning.spec.clock_rate.get()),
            packet.timestamp,
        );
        if packet.payload.is_empty() {
            // Padding: leave no gap for it.
            for target in &mut current.targets {
                OutStream::skip(&mut target.mapping, ssrc, *packet.seq_no);
            }
            return None;
        }
        let timestamp = packet.time.numer();
        if let Some(level) = packet.header.ext_vals.audio_level {
            current.level.packet(level.unsigned_abs(), timestamp);
        }
        let is_vp9 = meaning.spec.codec == Codec::Vp9;
        let position = is_vp9.then(|| vp9::position(&packet.payload)).flatten();
        let layer = match position {
            Some(position) => current.layers.place(origin.layer, position),
            None if is_vp9 => origin.layer,
            None => current.layers.place_plain(origin.layer),
        };
        let newest = current.layers.packet(
            layer,
            ssrc,
            (*packet.seq_no, timestamp),
            packet.payload.len(),
            packet.timestamp,
        );
        // Only a choice between layers needs to know.
        let begins_key_frame = || match position {
            Some(position) => position.begins_key_frame,
            None => keyframe::begins(meaning.spec.codec, &packet.payload),
        };
        let key_frame = current.layers.is_choice() && newest && begins_key_frame();
        let first = !std::mem::replace(&mut current.flowing, true);
        let mut received = Received {
            ssrc,
            payload_type: *packet.header.payload_type,
            sequence: *packet.seq_no,
            timestamp,
            marker: packet.header.marker,
            at: packet.timestamp,
            payload: packet.payload,
            extensions: forwarded_extensions(&packet.header.ext_vals),
            meaning,
            key_frame,
            layer,
            ends_layer: position.is_some_and(|found| found.ends_layer),
            unwrapped: Vec::new(),
            earlier: Earlier::default(),
        };
        if meaning.spec.codec == Codec::Opus && !meaning.red && !current.muted {
            received.earlier =
                current
                    .recent
                    .note(ssrc, received.sequence, timestamp, &received.payload);
        }
        let fresh = if meaning.red {
            received.unwrap(&mut current.red);
            true
        } else {
            current.red.note(received.sequence, received.timestamp)
        };
        let name = Arc::clone(&current.name);
        if first {
            self.emit(PeerEvent::MediaFlowing {
                mid: Arc::clone(&name),
            });
        }
        if deliver && fresh {
            self.deliver(&name, &received);
        }
        Some(received)
    }

    fn deliver(&mut self, mid: &Arc<str>, received: &Received) {
        let packet = |sequence, timestamp, marker, payload| {
            PeerEvent::Rtp(RtpPacket {
                mid: Arc::clone(mid),
                sequence,
                timestamp,
                marker,
                received: received.at,
                payload,
            })
        };
        if received.meaning.red {
            for (one, payload) in &received.unwrapped {
                let marker = received.marker && !one.recovered;
                self.emit(packet(
                    one.sequence,
                    one.timestamp,
                    marker,
                    Bytes::from_owner(Arc::clone(payload)),
                ));
            }
        } else {
            let payload = Bytes::from_owner(Arc::clone(&received.payload));
            self.emit(packet(
                received.sequence,
                received.timestamp,
                received.marker,
                payload,
            ));
        }
    }

    /// Write a packet that another peer received. True: something was written.
    pub(crate) fn write_forwarded(
        &mut self,
        target: &mut Target,
        source_epoch: u32,
        received: &Received,
    ) -> u64 {
        if target.epochs != (source_epoch, self.epoch) {
            target.epochs = (source_epoch, self.epoch);
            target.routes.clear();
        }
        let route = match target
            .routes
            .iter()
            .find(|(pt, _)| *pt == received.payload_type)
        {
            Some((_, route)) => *route,
            None => {
                let Some(section) = self.sections.get(target.section) else {
                    return 0;
                };
                let route = section::route(&self.rtc, section.mid, received.meaning);
                let route = match route {
                    Route::Wrap { inner, .. } if !target.redundant => Route::Plain(inner),
                    route => route,
                };
                target.routes.push((received.payload_type, route));
                route
            }
        };
        match route {
            Route::Plain(pt) => self.write_one(target, received, pt, &received.payload, None),
            Route::Wrap { outer, inner } => self.write_wrapped(target, received, outer, inner),
            Route::Red { outer, inner } if inner == received.meaning.codec_pt => {
                self.write_one(target, received, outer, &received.payload, None)
            }
            Route::Red { outer, inner } => {
                let changed =
                    red::with_payload_type(&received.payload, *received.meaning.codec_pt, *inner);
                changed.map_or(0, |payload| {
                    self.write_one(target, received, outer, &payload.into(), None)
                })
            }
            Route::Unwrap(pt) => received
                .unwrapped
                .iter()
                .map(|(one, payload)| self.write_one(target, received, pt, payload, Some(one)))
                .sum(),
            Route::Unknown => {
                OutStream::skip(&mut target.mapping, received.ssrc, received.sequence);
                crate::counters::dropped("no_common_codec");
                0
            }
        }
    }

    /// In RED with what it was sent before, as long as there is any.
    fn write_wrapped(
        &mut self,
        target: &mut Target,
        received: &Received,
        outer: Pt,
        inner: Pt,
    ) -> u64 {
        let since = target
            .mapping
            .as_ref()
            .and_then(|mapping| mapping.since_start(received.ssrc, received.sequence));
        let codec = *received.meaning.codec_pt;
        let most = since.map_or(0, |since| usize::try_from(since).unwrap_or(usize::MAX));
        let Some(red) = received.earlier.wrap(codec, &received.payload, most) else {
            return self.write_one(target, received, inner, &received.payload, None);
        };
        let changed = (*inner != codec).then(|| red::with_payload_type(&red, codec, *inner));
        match changed {
            None => self.write_one(target, received, outer, &red, None),
            Some(changed) => changed.map_or(0, |red| {
                self.write_one(target, received, outer, &red.into(), None)
            }),
        }
    }

    fn write_one(
        &mut self,
        target: &mut Target,
        received: &Received,
        pt: Pt,
        payload: &Arc<[u8]>,
        unwrapped: Option<&Unwrapped>,
    ) -> u64 {
        let (sequence, timestamp, recovered) = unwrapped
            .map_or((received.sequence, received.timestamp, false), |one| {
                (one.sequence, one.timestamp, one.recovered)
            });
        let Some(section) = self.sections.get_mut(target.section) else {
            return 0;
        };
        section.stop_silence();
        let place = section.out.place(
            &mut target.mapping,
            received.ssrc,
            sequence,
            timestamp as u32,
            received.at,
        );
        let Some(place) = place else { return 0 };
        let patch = (received.meaning.spec.codec == Codec::Vp8)
            .then(|| section.vp8.patch(&mut target.vp8, place.first, payload))
            .flatten();
        // where larger layers are left out the picture ends sooner
        let ends_picture =
            received.ends_layer && target.choice.is_top(received.layer, received.timestamp);
        let marker = ends_picture
            || (received.marker && !recovered)
            || (place.first && section.kind == MediaKind::Audio);
        let extensions = if recovered {
            ExtensionValues::default()
        } else {
            received.extensions.clone()
        };
        u64::from(self.write(
            target.section,
            pt,
            place,
            received.at,
            marker,
            extensions,
            Arc::clone(payload),
            patch,
        ))
    }

    #[allow(clippy::too_many_arguments)] // They are the fields of an RTP packet.
    fn write(
        &mut self,
        index: usize,
        pt: Pt,
        place: Place,
        at: Instant,
        marker: bool,
        extensions: ExtensionValues,
        payload: Arc<[u8]>,
        patch: Option<Vp8Patch>,
    ) -> bool {
        if payload.len() > MAX_RTP_PAYLOAD_BYTES || !self.is_open() {
            crate::counters::dropped("unsendable");
            return false;
        }
        let Some(section) = self.sections.get_mut(index) else {
            return false;
        };
        let sends = self
            .rtc
            .media(section.mid)
            .is_some_and(|media| media.direction().is_sending());
        let Some(ssrc) = section.ssrc(&mut self.rtc).filter(|_| sends) else {
            return false;
        };
        let nackable = section.kind == MediaKind::Video;
        if !nackable && self.config.resends_audio {
            self.resends.keep_stream(ssrc);
        }
        let mut api = self.rtc.direct_api();
        let Some(stream) = api.stream_tx(&ssrc) else {
            return false;
        };
        let write = RtpWrite::new(pt, place.sequence.into(), place.timestamp, at, payload)
            .marker(marker)
            .nackable(nackable)
            .ext_vals(extensions);
        let write = match patch {
            Some(patch) => write.vp8_patch(patch),
            None => write,
        };
        stream.write_rtp(write);
        true
    }

    /// Send our own Opus packet.
    pub(crate) fn write_opus(
        &mut self,
        mid: &str,
        payload: &[u8],
        timestamp: u64,
        marker: bool,
        level: u8,
        now: Instant,
    ) {
        let Some(index) = self.section_named(mid) else {
            return;
        };
        let Some(section) = self.sections.get_mut(index) else {
            return;
        };
        let Some(pt) = section.opus(&self.rtc) else {
            return;
        };
        section.stop_silence();
        // Our own stream has no sequence numbers of its own: one packet follows the other.
        let next = section.own_next;
        let Some(place) =
            section
                .out
                .place(&mut section.own_mapping, 0, next, timestamp as u32, now)
        else {
            return;
        };
        section.own_next = next + 1;
        self.write(
            index,
            pt,
            place,
            now,
            marker,
            voice_extensions(level),
            Arc::from(payload),
            None,
        );
    }

    #[cfg(test)]
    #[allow(clippy::unwrap_used, clippy::indexing_slicing)]
    pub(crate) fn write_red(&mut self, mid: &str, payload: &[u8], number: u64, now: Instant) {
        let index = self.section_named(mid).unwrap();
        let section = &mut self.sections[index];
        let opus = section.opus(&self.rtc).unwrap();
        let red = self
            .rtc
            .codec_config()
            .params()
            .iter()
            .find(|p| p.pt() == opus)
            .and_then(|p| p.red())
            .unwrap();
        let place = section
            .out
            .place(
                &mut section.own_mapping,
                0,
                number,
                (number * 960) as u32,
                now,
            )
            .unwrap();
        self.write(
            index,
            red,
            place,
            now,
            false,
            voice_extensions(20),
            Arc::from(payload),
            None,
        );
    }

    /// Nothing will come for now: let a listener's jitter buffer run empty. If nothing came yet, the receiver learns by it that
    /// there is a track (pion tells its user with the first packet); of a picture, by empty packets of this type.
    pub(crate) fn begin_silence(&mut self, index: usize, picture: Option<Pt>, now: Instant) {
        let Some(section) = self.sections.get_mut(index) else {
            return;
        };
        if section.kind == MediaKind::Video && (section.out.started() || picture.is_none()) {
            return;
        }
        section.own_mapping = None;
        section.picture = picture;
        section.silent_frames = SILENT_FRAMES;
        section.silence_at = Some(now + SILENT_FRAME);
        if !self.silent.contains(&index) {
            self.silent.push(index);
        }
    }

    /// Ask for key frames of what these receivers are sent.
    pub(crate) fn refresh(&mut self, index: usize, now: Instant, whose: impl Fn(&Target) -> bool) {
        let Some(section) = self.sections.get(index) else {
            return;
        };
        let mut layers: Vec<usize> = section
            .targets
            .iter()
            .filter(|target| whose(target))
            .map(|target| target.choice.layer_to_refresh(&section.layers, now))
            .collect();
        layers.sort_unstable();
        layers.dedup();
        for layer in layers {
            self.request_key_frame(index, layer, now);
        }
    }

    /// Ask the other side for a key frame of a layer, not too often.
    pub(crate) fn request_key_frame(&mut self, index: usize, layer: usize, now: Instant) {
        let Some(section) = self
            .sections
            .get_mut(index)
            .filter(|section| section.kind == MediaKind::Video)
        else {
            return;
        };
        let mid = section.mid;
        let Some((rid, ssrc)) = section.layers.ask(layer, now) else {
            return;
        };
        let mut api = self.rtc.direct_api();
        let stream = match ssrc {
            Some(ssrc) => api.stream_rx(&ssrc.into()),
            None => api.stream_rx_by_mid(mid, rid),
        };
        if let Some(stream) = stream {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
    }
}

impl Received {
    /// This receiver is not sent it, in a stream of which it is sent others. False: it comes late, and a place was left for it.
    pub(crate) fn leave_out(&self, target: &mut Target) -> bool {
        OutStream::skip(&mut target.mapping, self.ssrc, self.sequence)
    }

    /// What takes its place: nothing, which receivers take for padding.
    pub(crate) fn emptied(&self) -> Self {
        Self {
            payload: Arc::default(),
            marker: false,
            ends_layer: false,
            ..self.clone()
        }
    }

    fn unwrap(&mut self, unwrapper: &mut red::Unwrapper) {
        let mut found = Vec::new();
        unwrapper.unwrap(
            self.sequence,
            self.timestamp,
            &self.payload,
            *self.meaning.codec_pt,
            &mut found,
        );
        self.unwrapped = found
            .into_iter()
            .filter_map(|one| {
                let payload = self
                    .payload
                    .get(one.range.clone())
                    .filter(|bytes| !bytes.is_empty())?;
                Some((one, Arc::from(payload)))
            })
            .collect();
    }
}

/// Write the silent frame that is due in a section; true: more follow.
pub(crate) fn send_silence(connection: &mut Connection, index: usize, now: Instant) -> bool {
    let Some(section) = connection.sections.get_mut(index) else {
        return false;
    };
    let Some(at) = section.silence_at else {
        return false;
    };
    if at > now {
        return true;
    }
    if connection.link != Link::Up {
        // Nothing can be sent yet, or for now: afterwards.
        section.silence_at = Some(now + SILENT_FRAME);
        return true;
    }
    let (pt, samples, payload, extensions) = match section.kind {
        MediaKind::Audio => (
            section.opus(&connection.rtc),
            OPUS_FRAME_SAMPLES,
            &OPUS_SILENCE[..],
            voice_extensions(SILENCE_LEVEL),
        ),
        MediaKind::Video => (section.picture, 0, &[][..], ExtensionValues::default()),
    };
    let Some(pt) = pt else {
        section.stop_silence();
        return false;
    };
    let place = section.out.append(samples, now);
    section.silent_frames = section.silent_frames.saturating_sub(1);
    section.silence_at = (section.silent_frames > 0).then(|| at + SILENT_FRAME);
    let more = section.silence_at.is_some();
    connection.write(
        index,
        pt,
        place,
        now,
        false,
        extensions,
        Arc::from(payload),
        None,
    );
    more
}

fn voice_extensions(level: u8) -> ExtensionValues {
    let level = level.min(SILENCE_LEVEL);
    ExtensionValues {
        audio_level: Some(-(level as i8)),
        voice_activity: Some(level < SILENCE_LEVEL),
        ..ExtensionValues::default()
    }
}

/// What of a packet's header extensions means something to the next receiver.
fn forwarded_extensions(values: &ExtensionValues) -> ExtensionValues {
    ExtensionValues {
        audio_level: values.audio_level,
        voice_activity: values.voice_activity,
        video_orientation: values.video_orientation,
        ..ExtensionValues::default()
    }
}

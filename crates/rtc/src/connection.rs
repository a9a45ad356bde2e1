//! One peer: its str0m instance, media sections and channels, and the rule that every change is followed by a drain.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustc_hash::FxHashMap;
use str0m::bwe::BweKind;
use str0m::channel::ChannelId;
use str0m::config::DtlsCert;
use str0m::format::Codec;
use str0m::media::Mid;
use str0m::rtp::rtcp::Rtcp;
use str0m::rtp::{RawPacket, RtpPacket as StrRtpPacket, Ssrc};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig};
use tokio::sync::mpsc;

use crate::backlog::{Backlog, event_bytes, is_perishable};
use crate::bandwidth::Bandwidth;
use crate::channels::{Channels, Waiting};
use crate::command::PeerId;
use crate::limits::{
    BACKLOG_INTERVAL, CLOSE_TIMEOUT, CONNECT_TIMEOUT, EVENT_RESERVE, LOST_TIMEOUT,
    MAX_PEER_ADDRESSES, MAX_SSRCS, SCTP_BUFFER_BYTES,
};
use crate::negotiation::Negotiation;
use crate::path::Place;
use crate::pulse::Pulse;
use crate::resend::Resends;
use crate::section::Section;
use crate::socket::Datagram;
use crate::{PeerConfig, PeerEvent};

/// How often the RTCP reports of audio go out: often enough for a useful round-trip time.
const REPORT_INTERVAL: Duration = Duration::from_secs(2);

/// Where the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Nothing was agreed yet.
    New,
    /// A description was accepted; it has to connect until then.
    Connecting {
        /// When we give up.
        until: Instant,
    },
    /// Connected.
    Up,
    /// ICE lost the other side; it has to come back until then.
    Lost {
        /// When we give up.
        until: Instant,
    },
    /// Saying goodbye.
    Closing {
        /// When we stop waiting for that.
        until: Instant,
    },
}

/// Where a received packet belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// The index of its section.
    pub(crate) section: usize,
    /// The index of its simulcast layer.
    pub(crate) layer: usize,
}

/// One peer, owned by its shard.
pub(crate) struct Connection {
    pub(crate) id: PeerId,
    pub(crate) config: PeerConfig,
    pub(crate) rtc: Rtc,
    events: mpsc::Sender<PeerEvent>,
    backlog: Backlog,
    pub(crate) pulse: Arc<Pulse>,
    /// Key of the socket it sends from.
    pub(crate) socket: usize,
    pub(crate) link: Link,
    /// Local ICE user names that lead here, newest last.
    pub(crate) ufrags: Vec<String>,
    /// Those that no longer lead here; the shard forgets them.
    pub(crate) old_ufrags: Vec<String>,
    /// Remote addresses that lead here.
    pub(crate) addresses: Vec<Place>,
    /// Addresses written to that are not known yet; the shard takes them over.
    pub(crate) new_addresses: Vec<Place>,
    pub(crate) negotiation: Negotiation,
    pub(crate) sections: Vec<Section>,
    by_ssrc: FxHashMap<Ssrc, Origin>,
    pub(crate) channels: Channels,
    pub(crate) resends: Resends,
    /// When str0m wants to be asked again.
    deadline: Instant,
    /// When it last had its turn.
    ticked: Instant,
    levels_at: Option<Instant>,
    /// The earliest wake-up the shard has noted for us.
    pub(crate) armed: Option<Instant>,
    /// Received packets, for the shard to pass on.
    pub(crate) inbox: Vec<(Origin, StrRtpPacket)>,
    /// Sections whose receiver asked for a key frame.
    pub(crate) key_frames: Vec<usize>,
    /// Sections in which silent frames are due.
    pub(crate) silent: Vec<usize>,
    /// What its network carries, by its own estimate.
    pub(crate) bandwidth: Bandwidth,
    /// A new estimate, in bits per second.
    pub(crate) estimate: Option<u64>,
    goodbye_said: bool,
    /// Why it is over.
    pub(crate) ended: Option<String>,
    /// Something was written that is not drained yet.
    pub(crate) dirty: bool,
    /// Counts negotiations, so that others notice that payload types may have changed.
    pub(crate) epoch: u32,
}

impl Connection {
    /// A new peer that uses this socket.
    pub(crate) fn new(
        id: PeerId,
        config: PeerConfig,
        events: mpsc::Sender<PeerEvent>,
        socket: (usize, &[Candidate]),
        certificate: Option<&DtlsCert>,
        waiting: Waiting,
        now: Instant,
    ) -> Self {
        let mut rtc_config: RtcConfig = Rtc::builder()
            .set_rtp_mode(true)
            .set_ice_lite(config.ice_lite)
            .clear_codecs()
            .enable_opus(true, config.red)
            .enable_pcmu(true, false)
            .enable_pcma(true, false)
            .enable_vp8(true)
            .enable_h264(true)
            .enable_vp9(true)
            .enable_av1(true)
            .enable_raw_packets(config.resends_audio)
            .set_stats_interval(config.statistics_interval)
            .set_rtcp_report_interval_audio(REPORT_INTERVAL)
            .set_sctp_max_buffered_amount(SCTP_BUFFER_BYTES);
        for codec in rtc_config.codec_config().iter_mut() {
            if codec.spec().codec == Codec::Opus {
                // Taken out of the text where it is not true.
                codec.set_fb_nack(true);
            }
        }
        if let Some(certificate) = certificate {
            rtc_config = rtc_config.set_dtls_cert(certificate.clone());
        }
        let mut rtc = rtc_config.build(now);
        for candidate in socket.1 {
            rtc.add_local_candidate(candidate.clone());
        }
        let levels = Duration::from_millis(u64::from(config.audio_level_interval_ms));
        Self {
            id,
            rtc,
            events,
            backlog: Backlog::default(),
            pulse: Arc::default(),
            socket: socket.0,
            link: Link::New,
            ufrags: Vec::new(),
            old_ufrags: Vec::new(),
            addresses: Vec::new(),
            new_addresses: Vec::new(),
            negotiation: Negotiation::default(),
            sections: Vec::new(),
            by_ssrc: FxHashMap::default(),
            channels: Channels::new(waiting),
            resends: Resends::default(),
            deadline: now,
            ticked: now,
            levels_at: (!levels.is_zero()).then(|| now + levels),
            armed: None,
            inbox: Vec::new(),
            key_frames: Vec::new(),
            silent: Vec::new(),
            bandwidth: Bandwidth::default(),
            estimate: None,
            goodbye_said: false,
            ended: None,
            dirty: false,
            epoch: 0,
            config,
        }
    }

    /// Report something. What does not keep is dropped for a slow reader; everything else waits for it, and ends the peer
    /// only when too much does.
    pub(crate) fn emit(&mut self, event: PeerEvent) {
        if is_perishable(&event) {
            let reserve = EVENT_RESERVE.min(self.events.max_capacity() / 2);
            if !self.backlog.events.is_empty()
                || self.events.capacity() < reserve
                || matches!(
                    self.events.try_send(event),
                    Err(mpsc::error::TrySendError::Full(_))
                )
            {
                crate::counters::dropped("slow_reader");
            }
            return;
        }
        self.backlog.push(event);
        self.report_backlog();
        if self.backlog.is_full() {
            self.end("the reader of its events is too slow");
        }
    }

    /// Hand over what waits, as far as the reader takes it.
    fn report_backlog(&mut self) {
        while let Some(event) = self.backlog.events.pop_front() {
            let bytes = event_bytes(&event);
            match self.events.try_send(event) {
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => self.backlog.bytes -= bytes,
                Err(mpsc::error::TrySendError::Full(event)) => {
                    self.backlog.events.push_front(event);
                    return;
                }
            }
        }
    }

    /// The last event.
    pub(crate) fn emit_closed(&self, reason: String) {
        // A full channel ends without it: its reader sees the end of the channel instead. What still waited is lost with it.
        let _ = self.events.try_send(PeerEvent::Closed { reason });
    }

    /// It is over; the first reason counts.
    pub(crate) fn end(&mut self, reason: &str) {
        if self.ended.is_none() {
            self.ended = Some(reason.to_owned());
        }
    }

    /// Is there still something to do for it?
    pub(crate) fn is_open(&self) -> bool {
        self.ended.is_none() && !matches!(self.link, Link::Closing { .. })
    }

    /// A datagram came.
    pub(crate) fn receive(&mut self, now: Instant, receive: str0m::net::Receive<'_>) {
        self.pulse.beat(now);
        if matches!(self.link, Link::Closing { .. }) {
            self.say_goodbye();
        }
        if let Err(error) = self.rtc.handle_input(Input::Receive(now, receive)) {
            // Anyone can send rubbish to our port: it must not end the call.
            tracing::debug!(peer = %self.config.label, %error, "a datagram was not understood");
        }
    }

    /// Time has passed, or something was written.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.dirty = false;
        self.ticked = now;
        self.report_backlog();
        self.check_link(now);
        self.send_silence(now);
        self.report_levels(now);
        if let Err(error) = self.rtc.handle_input(Input::Timeout(now)) {
            self.end(&format!("the connection failed: {error}"));
        }
    }

    /// Take all output: datagrams into `out`, events to our reader or our lists.
    pub(crate) fn drain(&mut self, now: Instant, out: &mut Vec<Datagram>) {
        loop {
            self.drain_once(now, out);
            // Messages that found no room before may fit now; that is a change, so drain again.
            if self.ended.is_some() || !self.channels.flush(&mut self.rtc) {
                break;
            }
            if let Err(error) = self.rtc.handle_input(Input::Timeout(now)) {
                self.end(&format!("the connection failed: {error}"));
            }
        }
        if !self.rtc.is_alive() {
            self.end("the connection is closed");
        }
    }

    fn drain_once(&mut self, now: Instant, out: &mut Vec<Datagram>) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.deadline = at;
                    return;
                }
                Ok(Output::Transmit(transmit)) => {
                    let place = Place {
                        protocol: transmit.proto,
                        address: transmit.destination,
                    };
                    if !self.addresses.contains(&place)
                        && self.new_addresses.len() < MAX_PEER_ADDRESSES
                        && !self.new_addresses.contains(&place)
                    {
                        self.new_addresses.push(place);
                    }
                    let datagram = Datagram {
                        socket: self.socket,
                        protocol: transmit.proto,
                        destination: transmit.destination,
                        source: transmit.source,
                        contents: transmit.contents.into(),
                    };
                    self.resends.sent(&datagram, now);
                    out.push(datagram);
                }
                Ok(Output::Event(Event::RawPacket(packet))) => {
                    if let RawPacket::RtcpRx(Rtcp::Nack(asked)) = *packet {
                        out.extend(self.resends.again(&asked, now));
                    }
                }
                Ok(Output::Event(event)) => self.on_event(event, now),
                Err(error) => {
                    self.end(&format!("the connection failed: {error}"));
                    return;
                }
            }
        }
    }

    fn on_event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Connected if self.is_open() => {
                self.link = Link::Up;
                self.emit(PeerEvent::Connected);
            }
            Event::IceConnectionStateChange(state) => self.on_ice(state, now),
            Event::RtpPacket(packet) => self.on_packet(packet),
            Event::KeyframeRequest(request) => {
                if let Some(index) = self.section(request.mid)
                    && !self.key_frames.contains(&index)
                {
                    self.key_frames.push(index);
                }
            }
            Event::EgressBitrateEstimate(BweKind::Remb { estimate, .. }) => {
                self.estimate = Some(estimate.as_u64());
            }
            Event::ChannelOpen(id, label) => self.on_channel_open(id, &label),
            Event::ChannelData(data) => {
                if let Some(label) = self.channels.label(data.id) {
                    self.emit(PeerEvent::Data {
                        label,
                        data: Bytes::from(data.data),
                    });
                }
            }
            Event::ChannelClose(id) => self.channels.closed(id),
            Event::Closed => {
                self.link = Link::Closing {
                    until: now + CLOSE_TIMEOUT,
                }
            }
            Event::PeerStats(_) => self.report_reception(),
            Event::MediaEgressStats(stats) => self.report_reported(&stats),
            // Everything else is for modes that we do not use, or follows from descriptions that we read ourselves.
            _ => {}
        }
    }

    fn on_ice(&mut self, state: IceConnectionState, now: Instant) {
        match (state, self.link) {
            (IceConnectionState::Disconnected, Link::Up) => {
                self.link = Link::Lost {
                    until: now + LOST_TIMEOUT,
                };
                self.emit(PeerEvent::Disconnected);
            }
            (IceConnectionState::Connected | IceConnectionState::Completed, Link::Lost { .. }) => {
                self.link = Link::Up;
                self.emit(PeerEvent::Connected);
            }
            _ => {}
        }
    }

    fn on_packet(&mut self, packet: StrRtpPacket) {
        let ssrc = packet.header.ssrc;
        let origin = match self.by_ssrc.get(&ssrc) {
            Some(origin) => Some(*origin),
            None => {
                let found = self.origin(ssrc);
                if let Some(origin) = found {
                    if self.by_ssrc.len() >= MAX_SSRCS {
                        self.by_ssrc.clear();
                    }
                    self.by_ssrc.insert(ssrc, origin);
                }
                found
            }
        };
        if let Some(origin) = origin {
            self.inbox.push((origin, packet));
        }
    }

    fn origin(&mut self, ssrc: Ssrc) -> Option<Origin> {
        let mut api = self.rtc.direct_api();
        let stream = api.stream_rx(&ssrc)?;
        let (mid, rid) = (stream.mid(), stream.rid());
        let section = self.section(mid)?;
        let found = self.sections.get(section)?;
        let layer = found.layers.index(rid)?;
        if found.kind == crate::MediaKind::Audio {
            // str0m asks for lost packets only where there is a second stream for them.
            let nack = found.nack;
            let mut api = self.rtc.direct_api();
            let stream = api.expect_stream_rx(ssrc, None, mid, rid);
            stream.suppress_nack(!nack);
        }
        Some(Origin { section, layer })
    }

    fn on_channel_open(&mut self, id: ChannelId, label: &str) {
        match self.channels.opened(id, label) {
            Some(label) => self.emit(PeerEvent::ChannelOpen { label }),
            None => {
                tracing::debug!(peer = %self.config.label, "too many data channels; the new one is closed");
                crate::counters::dropped("data_channels");
                self.rtc.direct_api().close_data_channel(id);
            }
        }
    }

    /// The index of a section.
    pub(crate) fn section(&self, mid: Mid) -> Option<usize> {
        self.sections.iter().position(|section| section.mid == mid)
    }

    /// The index of a section by its name.
    pub(crate) fn section_named(&self, mid: &str) -> Option<usize> {
        self.sections
            .iter()
            .position(|section| &*section.name == mid)
    }

    /// What the sections remember about payload types and SSRCs may no longer hold.
    pub(crate) fn renegotiated(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.by_ssrc.clear();
        self.resends.forget_streams();
        for section in &mut self.sections {
            section.forget_negotiated();
        }
    }

    /// A description of the other side was accepted: it has to connect now.
    pub(crate) fn expect_connection(&mut self, now: Instant) {
        if self.link == Link::New {
            self.link = Link::Connecting {
                until: now + CONNECT_TIMEOUT,
            };
        }
    }

    /// Say goodbye; it is over at once when nobody is there to hear it.
    pub(crate) fn close(&mut self, now: Instant) {
        match self.link {
            Link::New | Link::Connecting { .. } => self.end("closed"),
            Link::Closing { .. } => {}
            Link::Up | Link::Lost { .. } => {
                self.link = Link::Closing {
                    until: now + CLOSE_TIMEOUT,
                };
                self.say_goodbye();
            }
        }
    }

    /// str0m cannot close while data channels are still being set up: asked again whenever something happens.
    fn say_goodbye(&mut self) {
        if !self.goodbye_said {
            self.goodbye_said = self.rtc.close().is_ok();
        }
    }

    /// It ended without a goodbye: say it now, as far as that goes.
    pub(crate) fn last_words(&mut self, now: Instant, out: &mut Vec<Datagram>) {
        if matches!(self.link, Link::Up | Link::Lost { .. }) {
            self.link = Link::Closing { until: now };
            self.say_goodbye();
            self.drain_once(now, out);
        }
    }

    fn check_link(&mut self, now: Instant) {
        match self.link {
            Link::Connecting { until } if until <= now => self.end("it did not connect in time"),
            Link::Lost { until } if until <= now => self.end("the other side was lost"),
            Link::Closing { until } if until <= now => self.end("closed"),
            Link::Closing { .. } => self.say_goodbye(),
            Link::New | Link::Connecting { .. } | Link::Up | Link::Lost { .. } => {}
        }
    }

    fn send_silence(&mut self, now: Instant) {
        for index in std::mem::take(&mut self.silent) {
            if crate::forward::send_silence(self, index, now) {
                self.silent.push(index);
            }
        }
    }

    fn report_levels(&mut self, now: Instant) {
        let Some(at) = self.levels_at.filter(|at| *at <= now) else {
            return;
        };
        let interval = Duration::from_millis(u64::from(self.config.audio_level_interval_ms));
        // Reports that were missed while the shard was busy are not made up for.
        self.levels_at = Some(if at + interval > now {
            at + interval
        } else {
            now + interval
        });
        let levels: Vec<_> = self
            .sections
            .iter_mut()
            .filter(|section| section.receiving && section.kind == crate::MediaKind::Audio)
            .map(|section| section.level.report(&section.name, interval))
            .collect();
        if !levels.is_empty() && matches!(self.link, Link::Up | Link::Lost { .. }) {
            self.emit(PeerEvent::AudioLevels(levels));
        }
    }

    /// When it wants to be looked at again.
    pub(crate) fn wake_at(&self) -> Instant {
        let link = match self.link {
            Link::New | Link::Up => None,
            Link::Connecting { until } | Link::Lost { until } | Link::Closing { until } => {
                Some(until)
            }
        };
        let silence = self
            .silent
            .iter()
            .filter_map(|index| self.sections.get(*index)?.silence_at)
            .min();
        // Not from now on, but from when str0m was last asked: this is asked more often.
        let backlog = (!self.backlog.events.is_empty()).then(|| self.ticked + BACKLOG_INTERVAL);
        [link, silence, backlog, self.levels_at]
            .into_iter()
            .flatten()
            .fold(self.deadline, Instant::min)
    }
}

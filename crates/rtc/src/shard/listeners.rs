//! Who hears whom: from a section of one peer to sections of others.

use std::time::Instant;

use str0m::media::Pt;

use super::Shard;
use super::away::Kept;
use crate::MediaKind;
use crate::command::{ForwardCommand, PeerId};
use crate::connection::Origin;
use crate::forward::Received;
use crate::layers::{Choice, Layers, Verdict};
use crate::limits::MAX_FORWARDS;
use crate::section::{Route, Target, meaning, route};
use crate::vp8;

impl Shard {
    pub(super) fn forward(
        &mut self,
        slot: usize,
        origin: Origin,
        packet: str0m::rtp::RtpPacket,
        now: Instant,
    ) {
        let section = origin.section;
        let mut received = None;
        self.guarded(slot, |peer| received = peer.take_packet(origin, packet));
        let Some(received) = received else { return };
        let Some(Some(peer)) = self.peers.get_mut(slot) else {
            return;
        };
        let Some(current) = peer.sections.get_mut(section) else {
            return;
        };
        if current.muted {
            // What is not sent decides nothing: afterwards everybody begins with a key frame.
            return;
        }
        let layer = received.layer;
        let place = (layer, received.timestamp);
        let mut key_frame_wanted = false;
        let mut holes = Vec::new();
        for target in &mut current.targets {
            let verdict = target
                .choice
                .decide(&current.layers, place, received.key_frame, now);
            target.sends = verdict == Verdict::Send;
            key_frame_wanted |= verdict == Verdict::AwaitKeyFrame;
            if !target.sends && current.layers.is_spatial() {
                let is_closed = received.leave_out(target);
                holes.extend((!is_closed).then_some(target.slot));
            }
        }
        self.spread(slot, section, &received, None);
        for receiver in holes {
            self.spread(slot, section, &received.emptied(), Some(receiver));
        }
        if key_frame_wanted {
            self.guarded(slot, |peer| peer.request_key_frame(section, layer, now));
            self.mark(slot);
        }
    }

    /// Write a received packet to everybody who is sent it, or to the one in this slot for whom it was kept.
    pub(super) fn spread(
        &mut self,
        slot: usize,
        section: usize,
        received: &Received,
        only: Option<usize>,
    ) {
        let Some(Some(peer)) = self.peers.get_mut(slot) else {
            return;
        };
        let id = peer.id;
        let (epoch, Some(current)) = (peer.epoch, peer.sections.get_mut(section)) else {
            return;
        };
        if current.muted || current.targets.is_empty() {
            return;
        }
        let mut targets = std::mem::take(&mut current.targets);
        targets.retain_mut(|target| {
            if !self.is(target.slot, target.peer) {
                return false;
            }
            if only.map_or(!target.sends, |only| only != target.slot) {
                return true;
            }
            let keep = || Kept::Forwarded {
                from: (slot, id, section),
                received: Box::new(received.clone()),
            };
            if !self.away.is_empty() && self.keep(target.slot, keep) {
                return true;
            }
            let mut written = 0;
            self.guarded(target.slot, |peer| {
                written = peer.write_forwarded(target, epoch, received)
            });
            if written > 0 {
                self.forwarded += written;
                self.mark(target.slot);
            }
            true
        });
        if let Some(Some(peer)) = self.peers.get_mut(slot)
            && let Some(current) = peer.sections.get_mut(section)
        {
            current.targets = targets;
        }
    }

    pub(super) fn pass_key_frame_request(&mut self, slot: usize, receiver: usize, now: Instant) {
        let source = match self.peers.get(slot) {
            Some(Some(peer)) => peer
                .sections
                .get(receiver)
                .and_then(|section| section.source),
            Some(None) | None => None,
        };
        if let Some((source, id, section)) = source
            && self.is(source, id)
        {
            let whose = (slot, receiver);
            if !self.keep(source, || Kept::KeyFrame { section, whose }) {
                self.refresh(source, section, whose, now);
            }
        }
    }

    /// Ask a peer for a key frame of what the receiver in this slot and section is sent of its section.
    pub(super) fn refresh(
        &mut self,
        slot: usize,
        section: usize,
        whose: (usize, usize),
        now: Instant,
    ) {
        self.guarded(slot, |peer| {
            peer.refresh(section, now, |target| {
                (target.slot, target.section) == whose
            });
        });
        self.mark(slot);
    }

    /// A receiver has estimated what its network carries: the layers that fit are chosen.
    pub(super) fn fit(&mut self, slot: usize, estimate: u64, now: Instant) {
        let Some(Some(receiver)) = self.peers.get(slot) else {
            return;
        };
        let id = receiver.id;
        let pictures = receiver.sections.iter().enumerate();
        let sources: Vec<_> = pictures
            .filter(|(_, section)| section.kind == MediaKind::Video)
            .filter_map(|(at, section)| Some((at, section.source?)))
            .collect();
        let (mut places, mut streams) = (Vec::new(), Vec::new());
        for (at, (source, source_id, section)) in sources {
            if let Some((layers, target)) =
                self.sent_to((slot, id, at), (source, source_id, section))
            {
                streams.push(layers.stream(&target.choice, now));
                places.push((at, (source, source_id, section)));
            }
        }
        if let Some(Some(receiver)) = self.peers.get_mut(slot) {
            receiver.bandwidth.told(estimate, &mut streams, now);
        }
        for ((at, source), stream) in places.into_iter().zip(streams) {
            if let Some((_, target)) = self.sent_to((slot, id, at), source) {
                target.choice.fits = stream.fits;
            }
        }
    }

    /// What is sent of a section of one peer to one of another, unless it is muted.
    fn sent_to(
        &mut self,
        (to_slot, to, to_section): (usize, PeerId, usize),
        (slot, id, section): (usize, PeerId, usize),
    ) -> Option<(&Layers, &mut Target)> {
        let peer = self.peers.get_mut(slot)?.as_mut();
        let source = peer
            .filter(|peer| peer.id == id)?
            .sections
            .get_mut(section)?;
        if source.muted {
            return None;
        }
        let is_this = |t: &&mut Target| (t.slot, t.peer, t.section) == (to_slot, to, to_section);
        let target = source.targets.iter_mut().find(is_this)?;
        Some((&source.layers, target))
    }

    pub(super) fn sections_of(&self, id: PeerId, mid: &str) -> Option<(usize, usize)> {
        let slot = *self.by_id.get(&id)?;
        let peer = self.peers.get(slot)?.as_ref()?;
        Some((slot, peer.section_named(mid)?))
    }

    pub(super) fn start_forward(&mut self, command: &ForwardCommand, now: Instant) {
        let ForwardCommand {
            from,
            from_mid,
            to,
            to_mid,
            highest_layer,
            redundant,
        } = command;
        let (from, to, highest) = (*from, *to, *highest_layer);
        let (Some((slot, section)), Some((to_slot, to_section))) = (
            self.sections_of(from, from_mid),
            self.sections_of(to, to_mid),
        ) else {
            tracing::warn!(from_mid, to_mid, "cannot forward: no such peer or section");
            return;
        };
        if let Some(Some(receiver)) = self.peers.get_mut(to_slot)
            && let Some(target) = receiver.sections.get_mut(to_section)
        {
            target.source = Some((slot, from, section));
        }
        let mut begins_muted = false;
        self.guarded(slot, |peer| {
            let Some(source) = peer.sections.get_mut(section) else {
                return;
            };
            let is_this = |t: &Target| t.peer == to && t.section == to_section;
            if let Some(known) = source.targets.iter_mut().find(|t| is_this(t)) {
                known.choice.highest = highest;
                return;
            }
            if source.targets.len() >= MAX_FORWARDS {
                return;
            }
            begins_muted = source.muted;
            source.targets.push(Target {
                slot: to_slot,
                peer: to,
                section: to_section,
                mapping: None,
                choice: Choice::new(highest),
                sends: false,
                vp8: vp8::Offsets::default(),
                redundant: *redundant,
                routes: Vec::new(),
                epochs: (0, 0),
            });
            peer.refresh(section, now, is_this);
        });
        self.mark(slot);
        if begins_muted {
            self.silence(to_slot, to_section, from, now);
        }
    }

    pub(super) fn stop_forward(
        &mut self,
        from: PeerId,
        from_mid: &str,
        to: PeerId,
        to_mid: &str,
        now: Instant,
    ) {
        let Some((to_slot, to_section)) = self.sections_of(to, to_mid) else {
            return;
        };
        let mut stopped = false;
        if let Some((slot, section)) = self.sections_of(from, from_mid)
            && let Some(Some(peer)) = self.peers.get_mut(slot)
            && let Some(source) = peer.sections.get_mut(section)
        {
            let before = source.targets.len();
            source
                .targets
                .retain(|target| target.peer != to || target.section != to_section);
            stopped = source.targets.len() < before;
        }
        if stopped {
            self.silence(to_slot, to_section, from, now);
        }
    }

    pub(super) fn silence(&mut self, slot: usize, section: usize, from: PeerId, now: Instant) {
        if self.keep(slot, || Kept::Silence { section, from }) {
            return;
        }
        let picture = self.picture(slot, section);
        self.guarded(slot, |peer| {
            if let Some(target) = peer.sections.get_mut(section)
                && target.source.is_some_and(|(_, id, _)| id == from)
            {
                peer.begin_silence(section, picture, now);
            }
        });
        self.mark(slot);
    }

    /// The payload type under which this receiver gets the picture of its source: its sender's first choice.
    fn picture(&self, slot: usize, section: usize) -> Option<Pt> {
        let receiver = self.peers.get(slot)?.as_ref()?;
        let target = receiver.sections.get(section)?;
        let (source, id, from) = target.source?;
        let sender = self.peers.get(source)?.as_ref().filter(|s| s.id == id)?;
        let found = sender.sections.get(from)?;
        if found.kind != MediaKind::Video {
            return None;
        }
        let offered = sender.rtc.media(found.mid)?.remote_pts();
        let meaning = offered.iter().find_map(|pt| meaning(&sender.rtc, *pt))?;
        let Route::Plain(pt) = route(&receiver.rtc, target.mid, meaning) else {
            return None;
        };
        Some(pt)
    }

    pub(super) fn set_muted(&mut self, id: PeerId, mid: &str, muted: bool, now: Instant) {
        let Some((slot, section)) = self.sections_of(id, mid) else {
            return;
        };
        let mut listeners = Vec::new();
        if let Some(Some(peer)) = self.peers.get_mut(slot)
            && let Some(current) = peer.sections.get_mut(section)
            && current.muted != muted
        {
            current.muted = muted;
            current.recent.forget();
            for target in &mut current.targets {
                // After a pause the numbers join on anew.
                target.mapping = None;
                target.choice.pause();
                listeners.push((target.slot, target.peer, target.section));
            }
        }
        if muted {
            for (to, peer, to_section) in listeners {
                if self.is(to, peer) {
                    self.silence(to, to_section, id, now);
                }
            }
        } else {
            self.guarded(slot, |peer| peer.refresh(section, now, |_| true));
            self.mark(slot);
        }
    }
}

//! Offers and answers of one peer.

use std::sync::Arc;
use std::time::Instant;

use rustc_hash::FxHashSet;
use str0m::change::{SdpAnswer, SdpApi, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, Mid};
use str0m::{Candidate, Rtc};

use crate::channels;
use crate::connection::Connection;
use crate::limits::{MAX_REMOTE_CANDIDATES, MAX_SECTIONS, MAX_UFRAGS};
use crate::sdp;
use crate::section::Section;
use crate::{MediaChange, MediaKind, Offer, PeerEvent, RtcError};

/// So often names are drawn for new sections; half of the draws for the largest offer are good.
const MAX_NAMING_ATTEMPTS: usize = 64;

/// What waits for an answer.
#[derive(Default)]
pub(crate) struct Negotiation {
    pending: Option<SdpPendingOffer>,
    /// Sections of ours that are there to receive. str0m forgets that when an answer leaves one unused.
    receiving: Vec<Mid>,
    /// Remote candidates that were taken since ICE last restarted.
    candidates: usize,
}

#[cfg(test)]
impl Negotiation {
    pub(crate) fn candidates(&self) -> usize {
        self.candidates
    }
}

/// The other side's offer, read.
pub(crate) struct RemoteOffer {
    text: String,
    offer: SdpOffer,
}

impl RemoteOffer {
    pub(crate) fn read(text: &str) -> Result<Self, RtcError> {
        let text = sdp::remote::normalise(text)?;
        let text =
            sdp::edit::without_packet_feedback(&text, |section| section.receives && !section.sends);
        let offer =
            SdpOffer::from_sdp_string(&text).map_err(|error| RtcError::Sdp(error.to_string()))?;
        Ok(Self { text, offer })
    }
}

/// The other side's answer, read.
pub(crate) struct RemoteAnswer {
    text: String,
    answer: SdpAnswer,
}

impl RemoteAnswer {
    pub(crate) fn read(text: &str) -> Result<Self, RtcError> {
        let text = sdp::remote::normalise(text)?;
        let answer =
            SdpAnswer::from_sdp_string(&text).map_err(|error| RtcError::Sdp(error.to_string()))?;
        Ok(Self { text, answer })
    }
}

impl Connection {
    /// Answer the other side's offer. An offer of ours that waits for its answer is withdrawn.
    pub(crate) fn accept_offer(
        &mut self,
        remote: RemoteOffer,
        now: Instant,
    ) -> Result<String, RtcError> {
        self.negotiation.pending = None;
        let sections = sdp::sections(&remote.text);
        let directions: Vec<(Mid, Direction)> = sections
            .iter()
            .filter(|section| section.kind.is_some())
            .map(|s| (Mid::from(s.mid.as_str()), direction(s.receives, s.sends)))
            .collect();
        self.renew_streams(&directions);
        let answer = self
            .rtc
            .sdp_api()
            .accept_offer(remote.offer)
            .map_err(refused)?;
        self.agreed(sections, now);
        let resends = self.config.resends_audio;
        let answer = sdp::edit::finish_answer(&answer.to_sdp_string());
        Ok(sdp::edit::without_audio_nack(&answer, |section| {
            let ours = self.section_named(&section.mid);
            let offered = ours.and_then(|at| self.sections.get(at));
            offered.is_some_and(|offered| offered.nack) && (resends || !section.sends)
        }))
    }

    /// Offer changes.
    pub(crate) fn create_offer(&mut self, changes: &[MediaChange]) -> Result<Offer, RtcError> {
        if self.negotiation.pending.is_some() {
            return Err(RtcError::OfferPending);
        }
        self.check(changes)?;
        let any_section = self.sections.iter().find_map(|section| {
            self.rtc
                .media(section.mid)
                .map(|media| (section.mid, media.direction()))
        });
        let mut directions = self.directions(changes);
        self.renew_streams(&directions);
        directions.extend(self.unused_receivers());
        let mut attempts = 0;
        let (mut api, added) = loop {
            let mut api = self.rtc.sdp_api();
            let added = add_sections(&mut api, changes);
            let different: FxHashSet<&Mid> = added.iter().map(|(mid, _)| mid).collect();
            if different.len() == added.len() {
                break (api, added);
            }
            attempts += 1;
            if attempts == MAX_NAMING_ATTEMPTS {
                return Err(RtcError::Sdp("no names for its sections".to_owned()));
            }
        };
        let mut restarted = None;
        for change in changes {
            match change {
                MediaChange::AddChannel { label } => {
                    self.channels.expect(label);
                    api.add_channel_with_config(channels::config_of(label));
                }
                MediaChange::AddSending { .. }
                | MediaChange::AddReceiving { .. }
                | MediaChange::SetSending { .. } => {}
                MediaChange::RestartIce => {
                    restarted = Some(api.ice_restart(true).ufrag);
                }
            }
        }
        let as_it_stands = changes.is_empty() && directions.is_empty();
        for (mid, direction) in directions {
            api.set_direction(mid, direction);
        }
        if as_it_stands && let Some((mid, now)) = any_section {
            // str0m offers only when something changed: there and back again is a change.
            api.set_direction(mid, direction(!now.is_sending(), now.is_receiving()));
            api.set_direction(mid, now);
        }
        let applied = api.apply();
        let (sending, receiving): (Vec<_>, Vec<_>) = added.iter().partition(|(_, sends)| *sends);
        let mids = sending.iter().map(|(mid, _)| mid.to_string()).collect();
        let receiving = receiving.iter().map(|(mid, _)| *mid);
        self.negotiation.receiving.extend(receiving);
        if let Some(ufrag) = restarted {
            self.use_ufrag(ufrag);
        }
        let Some((offer, pending)) = applied else {
            if changes.is_empty() {
                return Err(RtcError::Sdp(
                    "there is nothing to offer yet: add a channel or a section".to_owned(),
                ));
            }
            return Ok(Offer {
                sdp: String::new(),
                mids,
            });
        };
        self.negotiation.pending = Some(pending);
        let resends = self.config.resends_audio;
        let offer = offer.to_sdp_string();
        let offer = sdp::edit::without_packet_feedback(&offer, |section| section.sends);
        Ok(Offer {
            sdp: sdp::edit::without_audio_nack(&offer, |section| resends || !section.sends),
            mids,
        })
    }

    /// The other side's answer to our offer.
    pub(crate) fn accept_answer(
        &mut self,
        remote: RemoteAnswer,
        now: Instant,
    ) -> Result<(), RtcError> {
        let Some(pending) = self.negotiation.pending.take() else {
            return Err(RtcError::Sdp("it answers no offer of ours".to_owned()));
        };
        self.rtc
            .sdp_api()
            .accept_answer(pending, remote.answer)
            .map_err(refused)?;
        self.agreed(sdp::sections(&remote.text), now);
        Ok(())
    }

    /// A candidate of the other side. More than a client needs are ignored: hosts with many interfaces name hundreds, and
    /// their checks find us by any of them.
    pub(crate) fn add_candidate(&mut self, candidate: Candidate) {
        if self.negotiation.candidates < MAX_REMOTE_CANDIDATES {
            self.negotiation.candidates += 1;
            self.rtc.add_remote_candidate(candidate);
        }
    }

    /// The user name that leads here from now on. Those before stay valid while checks to them may be under way.
    fn use_ufrag(&mut self, ufrag: String) {
        if self.ufrags.last() == Some(&ufrag) {
            return;
        }
        // A new one is a restart of ICE, which forgets the other side's candidates.
        self.negotiation.candidates = 0;
        self.ufrags.retain(|known| *known != ufrag);
        self.ufrags.push(ufrag);
        let old = self.ufrags.len().saturating_sub(MAX_UFRAGS);
        self.old_ufrags.extend(self.ufrags.drain(..old));
    }

    /// Nothing is negotiated with a peer that is over.
    pub(crate) fn ensure_open(&self) -> Result<(), RtcError> {
        if self.is_open() {
            Ok(())
        } else {
            Err(RtcError::Closed)
        }
    }

    fn check(&self, changes: &[MediaChange]) -> Result<(), RtcError> {
        let mut sections = self.sections.len();
        for change in changes {
            match change {
                MediaChange::AddChannel { .. } | MediaChange::RestartIce => {}
                MediaChange::AddSending { .. } | MediaChange::AddReceiving { .. } => sections += 1,
                MediaChange::SetSending { mid, .. } => {
                    if self.section_named(mid).is_none() {
                        return Err(RtcError::Unknown(format!("media section {mid:?}")));
                    }
                }
            }
        }
        if sections > MAX_SECTIONS {
            return Err(RtcError::Sdp(format!(
                "it would have more than {MAX_SECTIONS} sections"
            )));
        }
        Ok(())
    }

    /// A section that begins to send again carries another track.
    fn renew_streams(&mut self, directions: &[(Mid, Direction)]) {
        for section in &mut self.sections {
            let sends = self
                .rtc
                .media(section.mid)
                .is_some_and(|media| media.direction().is_sending());
            let will_send = directions
                .iter()
                .any(|(mid, direction)| *mid == section.mid && direction.is_sending());
            if will_send && !sends {
                section.renew_stream(&mut self.rtc);
            }
        }
    }

    fn directions(&self, changes: &[MediaChange]) -> Vec<(Mid, Direction)> {
        changes
            .iter()
            .filter_map(|change| match change {
                MediaChange::SetSending { mid, sending } => {
                    let section = self.sections.get(self.section_named(mid)?)?;
                    let receiving = self.rtc.media(section.mid)?.direction().is_receiving();
                    Some((section.mid, direction(*sending, receiving)))
                }
                MediaChange::AddChannel { .. }
                | MediaChange::AddSending { .. }
                | MediaChange::AddReceiving { .. }
                | MediaChange::RestartIce => None,
            })
            .collect()
    }

    /// Sections that we hold open for the other side, and in which it does not send.
    fn unused_receivers(&self) -> Vec<(Mid, Direction)> {
        let receiving = self.negotiation.receiving.iter();
        let unused = receiving.filter(|mid| {
            self.rtc
                .media(**mid)
                .is_some_and(|media| media.direction() == Direction::Inactive)
        });
        unused.map(|mid| (*mid, Direction::RecvOnly)).collect()
    }

    /// Both sides agree on these sections: take over what they say.
    fn agreed(&mut self, sections: Vec<sdp::Section>, now: Instant) {
        self.expect_connection(now);
        self.renegotiated();
        for found in &sections {
            let mid = Mid::from(found.mid.as_str());
            if let Some(kind) = found.kind
                && !found.mid.is_empty()
                && self.section_named(&mid).is_none()
            {
                self.sections.push(Section::new(&mid, kind));
            }
        }
        let ufrag = self.rtc.direct_api().local_ice_credentials().ufrag;
        self.use_ufrag(ufrag);
        let mut changed = Vec::new();
        for section in &mut self.sections {
            section.set_layers(&self.rtc);
            section.nack = sections
                .iter()
                .any(|found| found.nack && found.mid == *section.name);
            let receiving = receives(&self.rtc, section.mid);
            if receiving != section.receiving {
                section.receiving = receiving;
                section.flowing = false;
                changed.push((Arc::clone(&section.name), section.kind, receiving));
            }
        }
        for (mid, kind, active) in changed {
            self.emit(PeerEvent::MediaReceiving { mid, kind, active });
        }
    }
}

/// Add the new sections and give their names, and whether we send in them. str0m draws three letters at random for each, and looks whether older sections
/// have them, not whether two new ones have the same: among 500 that is as likely as not. What is dropped unapplied has no
/// effect, so the caller draws again.
fn add_sections(api: &mut SdpApi<'_>, changes: &[MediaChange]) -> Vec<(Mid, bool)> {
    changes
        .iter()
        .filter_map(|change| match change {
            MediaChange::AddSending {
                kind,
                stream_id,
                track_id,
            } => {
                let (stream, track) = (Some(stream_id.clone()), Some(track_id.clone()));
                let direction = Direction::SendOnly;
                let mid = api.add_media(kind_of(*kind), direction, stream, track, None);
                Some((mid, true))
            }
            MediaChange::AddReceiving { kind } => {
                let mid = api.add_media(kind_of(*kind), Direction::RecvOnly, None, None, None);
                Some((mid, false))
            }
            MediaChange::AddChannel { .. }
            | MediaChange::SetSending { .. }
            | MediaChange::RestartIce => None,
        })
        .collect()
}

fn receives(rtc: &Rtc, mid: Mid) -> bool {
    rtc.media(mid)
        .is_some_and(|media| media.direction().is_receiving() && !media.remote_pts().is_empty())
}

fn direction(sending: bool, receiving: bool) -> Direction {
    match (sending, receiving) {
        (true, true) => Direction::SendRecv,
        (true, false) => Direction::SendOnly,
        (false, true) => Direction::RecvOnly,
        (false, false) => Direction::Inactive,
    }
}

fn kind_of(kind: MediaKind) -> str0m::media::MediaKind {
    match kind {
        MediaKind::Audio => str0m::media::MediaKind::Audio,
        MediaKind::Video => str0m::media::MediaKind::Video,
    }
}

fn refused(error: str0m::RtcError) -> RtcError {
    RtcError::Sdp(error.to_string())
}

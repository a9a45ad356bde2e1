//! What one participant is subscribed to, and which section of its connection carries what. No connection is touched here:
//! whoever holds one asks what to offer, or what to answer, and says what has begun.
//!
//! There are two ways to agree on sections. With two connections the *server* offers: [`Subscriptions::plan`] says what its next
//! offer changes. With a single connection the *client* offers, among others sections in which it only receives:
//! [`Subscriptions::take_slots`] puts tracks into them, and [`Subscriptions::requirement`] says how many more the client has to
//! offer.

use std::collections::HashMap;
use std::sync::Arc;

use antiphon_protocol::names::{CHANNEL_DATA_TRACK, CHANNEL_LOSSY, CHANNEL_RELIABLE};
use antiphon_rtc::sdp;
use antiphon_rtc::{Forward, MediaChange, MediaKind};

use crate::limits::{MAX_SUBSCRIPTIONS, MAX_VIDEO_SUBSCRIPTIONS};

/// A track that a subscriber shall hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) track: String,
    pub(super) publisher: Arc<str>,
    pub(super) kind: MediaKind,
    /// Paused by the subscriber.
    pub(super) disabled: bool,
    /// The largest simulcast layer that the subscriber asked for.
    pub(super) highest_layer: usize,
}

/// A section that we send in.
#[derive(Clone, Debug)]
struct Section {
    mid: String,
    kind: MediaKind,
    used: Option<Used>,
    /// What it carried is gone, and the client has not seen that yet: until then it carries nothing else.
    vacated: bool,
}

impl Section {
    fn new(mid: String, kind: MediaKind) -> Self {
        Self {
            mid,
            kind,
            used: None,
            vacated: false,
        }
    }

    fn is_free(&self) -> bool {
        self.used.is_none() && !self.vacated
    }
}

/// The track in a section.
#[derive(Clone, Debug)]
struct Used {
    track: String,
    publisher: Arc<str>,
    /// The publisher's section while media flows.
    from: Option<String>,
}

/// Media that flows, or has flowed until now, from a publisher's section to one of the subscriber's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) publisher: Arc<str>,
    pub(super) from: String,
    pub(super) to: String,
}

/// What an offer of ours must change so that the sections carry what is wanted.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) changes: Vec<MediaChange>,
    /// Those that get a new section, in the order of the changes.
    pub(super) added: Vec<Wanted>,
    /// Wanted tracks for which there is no section, and about which the client was not told yet.
    pub(super) newly_left_out: Vec<String>,
    /// A section was set free that others wait for: it may carry another track once the client has seen it inactive.
    pub(super) again: bool,
}

/// How many sections a client has to offer so that everything finds one. `(0, 0)`: an offer as it stands is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Requirement {
    pub(super) audio: u32,
    pub(super) video: u32,
}

/// What became of a client's offer.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Sections in which nothing flows for now.
    pub(super) held: Vec<String>,
    /// What has to stop, since the client takes its section away.
    pub(super) stopped: Vec<Flow>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    wanted: Vec<Wanted>,
    /// Those of them that find no section; the client was told.
    left_out: Vec<String>,
    /// Tracks it asked for that their publisher keeps from it.
    refused: Vec<String>,
    sections: Vec<Section>,
    channels_offered: bool,
}

impl Subscriptions {
    /// Of a connection whose data channels are somebody else's business.
    pub(super) fn without_channels() -> Self {
        Self {
            channels_offered: true,
            ..Self::default()
        }
    }

    /// It shall have this track. True if that is new.
    pub(super) fn want(&mut self, track: &str, publisher: &Arc<str>, kind: MediaKind) -> bool {
        self.refused.retain(|refused| refused != track);
        if self.wanted.iter().any(|w| w.track == track) {
            return false;
        }
        self.wanted.push(Wanted {
            track: track.to_owned(),
            publisher: Arc::clone(publisher),
            kind,
            disabled: false,
            highest_layer: Forward::ALL_LAYERS,
        });
        true
    }

    /// Its publisher keeps this track from it. True if that is new.
    pub(super) fn refuse(&mut self, track: &str) -> bool {
        let new = !self.is_refused(track);
        if new {
            self.refused.push(track.to_owned());
        }
        new
    }

    /// Did it ask for this track, and was refused?
    pub(super) fn is_refused(&self, track: &str) -> bool {
        self.refused.iter().any(|refused| refused == track)
    }

    /// It shall no longer have these tracks: whether that changes anything, and what stops.
    pub(super) fn unwant(&mut self, tracks: &[String]) -> (bool, Vec<Flow>) {
        self.refused.retain(|refused| !tracks.contains(refused));
        let before = self.wanted.len();
        self.wanted.retain(|w| !tracks.contains(&w.track));
        let stopped = self.stop(tracks);
        for section in &mut self.sections {
            let used = section.used.as_ref();
            if used.is_some_and(|used| tracks.contains(&used.track)) {
                section.used = None;
                section.vacated = true;
            }
        }
        (self.wanted.len() != before, stopped)
    }

    /// What flows of these tracks does not any more.
    fn stop(&mut self, tracks: &[String]) -> Vec<Flow> {
        let sections = self.sections.iter_mut();
        let stopped = sections.filter_map(|section| {
            let used = section.used.as_mut()?;
            let from = tracks.contains(&used.track).then(|| used.from.take())??;
            Some(flow(used, from, &section.mid))
        });
        stopped.collect()
    }

    /// The tracks that it shall have.
    pub(super) fn tracks(&self) -> Vec<String> {
        self.wanted.iter().map(|w| w.track.clone()).collect()
    }

    /// The pictures that it wants to see now.
    pub(super) fn pictures(&self) -> impl Iterator<Item = &Wanted> {
        let pictures = self.wanted.iter().filter(|w| w.kind == MediaKind::Video);
        pictures.filter(|w| !w.disabled)
    }

    /// Is it subscribed to anything of this publisher?
    pub(super) fn hears(&self, publisher: &str) -> bool {
        self.wanted.iter().any(|w| *w.publisher == *publisher)
    }

    /// Everything that flows.
    pub(super) fn flows(&self) -> Vec<Flow> {
        let sections = self.sections.iter();
        let flows = sections.filter_map(|section| {
            let used = section.used.as_ref()?;
            Some(flow(used, used.from.clone()?, &section.mid))
        });
        flows.collect()
    }

    /// Pause tracks, or go on with them: what stops.
    pub(super) fn set_disabled(&mut self, tracks: &[String], disabled: bool) -> Vec<Flow> {
        for wanted in self.wanted.iter_mut() {
            if tracks.contains(&wanted.track) {
                wanted.disabled = disabled;
            }
        }
        if disabled {
            self.stop(tracks)
        } else {
            Vec::new()
        }
    }

    /// The largest layer it shall be sent of a track. If that is another one, what flows is to be started again.
    pub(super) fn set_highest_layer(&mut self, track: &str, layer: usize) {
        let Some(wanted) = self.wanted.iter_mut().find(|w| w.track == track) else {
            return;
        };
        if std::mem::replace(&mut wanted.highest_layer, layer) == layer {
            return;
        }
        for used in self.sections.iter_mut().filter_map(|x| x.used.as_mut()) {
            if used.track == track {
                used.from = None;
            }
        }
    }

    /// What was negotiated, is wanted, not paused, and does not flow yet, with its section.
    pub(super) fn to_start(&self) -> Vec<(String, Wanted)> {
        let sections = self.sections.iter();
        let idle = sections.filter_map(|section| {
            let used = section.used.as_ref().filter(|used| used.from.is_none())?;
            let mut wanted = self.wanted.iter();
            let wanted = wanted.find(|w| w.track == used.track && !w.disabled)?;
            Some((section.mid.clone(), wanted.clone()))
        });
        idle.collect()
    }

    /// Media flows to this section from that one of its publisher.
    pub(super) fn started(&mut self, to: &str, from: String) {
        let section = self.sections.iter_mut().find(|x| x.mid == to);
        if let Some(used) = section.and_then(|x| x.used.as_mut()) {
            used.from = Some(from);
        }
    }

    /// For each section in use: whose track it carries, as `a=msid` has it.
    pub(super) fn msids(&self) -> HashMap<String, (String, String)> {
        self.used()
            .map(|(mid, used)| {
                let stream = format!("{}|{}", used.publisher, used.track);
                (mid.to_owned(), (stream, used.track.clone()))
            })
            .collect()
    }

    /// For each section in use: the publisher and the track.
    pub(super) fn all_carried(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.used()
            .map(|(mid, used)| (mid, &*used.publisher, used.track.as_str()))
    }

    /// The publisher and the track that a section carries.
    pub(super) fn carried(&self, mid: &str) -> Option<(&str, &str)> {
        let mut all = self.all_carried();
        let found = all.find(|(used, ..)| *used == mid);
        found.map(|(_, publisher, track)| (publisher, track))
    }

    /// The tracks whose section was agreed upon without their codec: the client cannot take them. `codec_of` a publisher's
    /// track is its name as descriptions have it.
    pub(super) fn not_understood(
        &self,
        agreed: &[sdp::Section],
        codec_of: impl Fn(&str, &str) -> Option<String>,
    ) -> Vec<String> {
        let used = self.used().filter(|(mid, used)| {
            let section = agreed.iter().find(|section| section.mid == *mid);
            let codec = codec_of(&used.publisher, &used.track);
            section
                .zip(codec)
                .is_some_and(|(section, codec)| !section.codecs.contains(&codec))
        });
        used.map(|(_, used)| used.track.clone()).collect()
    }

    /// For each section in use its track.
    pub(super) fn mid_to_track(&self) -> HashMap<String, String> {
        self.used()
            .map(|(mid, used)| (mid.to_owned(), used.track.clone()))
            .collect()
    }

    fn used(&self) -> impl Iterator<Item = (&str, &Used)> {
        self.sections
            .iter()
            .filter_map(|section| Some((section.mid.as_str(), section.used.as_ref()?)))
    }

    /// The wanted tracks that no section carries. Voices first: to miss one is worse than to miss a picture.
    fn homeless(&self) -> Vec<Wanted> {
        let carried = |w: &&Wanted| !self.used().any(|(_, used)| used.track == w.track);
        let (pictures, voices): (Vec<&Wanted>, Vec<&Wanted>) = self
            .wanted
            .iter()
            .filter(carried)
            .partition(|w| w.kind == MediaKind::Video);
        voices.into_iter().chain(pictures).cloned().collect()
    }

    /// Remember who is left out; who was not before.
    fn leave_out(&mut self, left_out: Vec<String>) -> Vec<String> {
        let new = left_out.iter().filter(|t| !self.left_out.contains(t));
        let new = new.cloned().collect();
        self.left_out = left_out;
        new
    }

    // ---- the server offers ----------------------------------------------------------------------------------------

    /// What our next offer must change. Sections that became free are used again by a later one, when the client has seen
    /// them inactive.
    pub(super) fn plan(&mut self) -> Plan {
        let mut changes = Vec::new();
        if !std::mem::replace(&mut self.channels_offered, true) {
            changes.extend(
                [CHANNEL_RELIABLE, CHANNEL_LOSSY, CHANNEL_DATA_TRACK].map(|label| {
                    MediaChange::AddChannel {
                        label: label.to_owned(),
                    }
                }),
            );
        }
        let mut free = self.free();
        let set_free = self.set_free();
        changes.extend(set_free.iter().map(|mid| set_sending(mid, false)));
        let mut added: Vec<Wanted> = Vec::new();
        let mut left_out = Vec::new();
        let video = |kind| kind == MediaKind::Video;
        let mut pictures = self.sections.iter().filter(|x| video(x.kind)).count();
        for wanted in self.homeless() {
            if let Some(at) = free.iter().position(|(_, kind)| *kind == wanted.kind) {
                let (mid, _) = free.swap_remove(at);
                self.put(&mid, &wanted);
                changes.push(set_sending(&mid, true));
            } else if self.sections.len() + added.len() >= MAX_SUBSCRIPTIONS
                || (video(wanted.kind) && pictures >= MAX_VIDEO_SUBSCRIPTIONS)
            {
                left_out.push(wanted.track);
            } else {
                pictures += usize::from(video(wanted.kind));
                changes.push(MediaChange::AddSending {
                    kind: wanted.kind,
                    stream_id: format!("{}|{}", wanted.publisher, wanted.track),
                    track_id: wanted.track.clone(),
                });
                added.push(wanted);
            }
        }
        Plan {
            changes,
            added,
            again: !set_free.is_empty() && !left_out.is_empty(),
            newly_left_out: self.leave_out(left_out),
        }
    }

    /// A planned section was made.
    pub(super) fn added(&mut self, wanted: &Wanted, mid: String) {
        self.sections.push(Section::new(mid.clone(), wanted.kind));
        self.put(&mid, wanted);
    }

    fn put(&mut self, mid: &str, wanted: &Wanted) {
        if let Some(section) = self.sections.iter_mut().find(|x| x.mid == mid) {
            section.used = Some(Used {
                track: wanted.track.clone(),
                publisher: Arc::clone(&wanted.publisher),
                from: None,
            });
        }
    }

    fn free(&self) -> Vec<(String, MediaKind)> {
        let free = self.sections.iter().filter(|x| x.is_free());
        free.map(|x| (x.mid.clone(), x.kind)).collect()
    }

    /// The client sees now which sections carry nothing any more.
    fn set_free(&mut self) -> Vec<String> {
        let sections = self.sections.iter_mut();
        let vacated = sections.filter_map(|section| {
            std::mem::take(&mut section.vacated).then(|| section.mid.clone())
        });
        vacated.collect()
    }

    // ---- the client offers ----------------------------------------------------------------------------------------

    /// The client's offer: these are its sections. Tracks are put into those in which it only receives.
    pub(super) fn take_slots(&mut self, offer: &[sdp::Section]) -> Slots {
        let mut slots = Slots::default();
        let offered: Vec<(&sdp::Section, MediaKind)> = offer
            .iter()
            .filter(|s| s.receives && !s.sends && !s.mid.is_empty())
            .filter_map(|s| Some((s, s.kind?)))
            .collect();
        // A client may take a section back, to send in it itself.
        self.sections.retain(|section| {
            let stays = offered.iter().any(|(s, _)| s.mid == section.mid);
            if !stays
                && let Some(used) = &section.used
                && let Some(from) = used.from.clone()
            {
                slots.stopped.push(flow(used, from, &section.mid));
            }
            stays
        });
        let mut free = self.free();
        self.set_free();
        for (section, kind) in offered {
            if !self.sections.iter().any(|known| known.mid == section.mid) {
                let mid = section.mid.clone();
                free.push((mid.clone(), kind));
                self.sections.push(Section::new(mid, kind));
            }
        }
        for wanted in self.homeless() {
            if let Some(at) = free.iter().position(|(_, kind)| *kind == wanted.kind) {
                let (mid, _) = free.remove(at);
                self.put(&mid, &wanted);
            }
        }
        slots.held = self.free().into_iter().map(|(mid, _)| mid).collect();
        slots
    }

    /// What the client has to offer so that the sections carry what is wanted; `None`: they do. And who is newly left out.
    pub(super) fn requirement(&mut self) -> (Option<Requirement>, Vec<String>) {
        let vacated = self.sections.iter().any(|x| x.vacated);
        let homeless = self.homeless();
        // What was vacated is free with the next offer, and carries something else with the one after it.
        let mut room: Vec<MediaKind> = self
            .sections
            .iter()
            .filter(|x| x.used.is_none())
            .map(|x| x.kind)
            .collect();
        let (mut audio, mut video, mut left_out) = (0, 0, Vec::new());
        let mut all = self.sections.len();
        let is_video = |x: &&Section| x.kind == MediaKind::Video;
        let mut pictures = self.sections.iter().filter(is_video).count();
        for wanted in &homeless {
            if let Some(at) = room.iter().position(|kind| *kind == wanted.kind) {
                room.swap_remove(at);
            } else if all >= MAX_SUBSCRIPTIONS
                || (wanted.kind == MediaKind::Video && pictures >= MAX_VIDEO_SUBSCRIPTIONS)
            {
                left_out.push(wanted.track.clone());
            } else {
                all += 1;
                match wanted.kind {
                    MediaKind::Audio => audio += 1,
                    MediaKind::Video => {
                        video += 1;
                        pictures += 1;
                    }
                }
            }
        }
        let waiting = homeless.len() > left_out.len();
        let needed = (vacated || waiting).then_some(Requirement { audio, video });
        (needed, self.leave_out(left_out))
    }
}

fn flow(used: &Used, from: String, to: &str) -> Flow {
    Flow {
        publisher: Arc::clone(&used.publisher),
        from,
        to: to.to_owned(),
    }
}

fn set_sending(mid: &str, sending: bool) -> MediaChange {
    MediaChange::SetSending {
        mid: mid.to_owned(),
        sending,
    }
}

#[cfg(test)]
mod tests;

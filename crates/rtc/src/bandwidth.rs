//! How much a receiver's network carries, and which simulcast layers of what it is sent fit into that. Decided here, without
//! sockets and clocks.
//!
//! The receiver measures it (REMB, draft-alvestrand-rmcat-remb). By itself its estimate grows to half as much again as arrives, so
//! that its height says little. That it *falls*, or stands still below what is sent, says that packets queue on the way, and then it is what the way carries. Pictures
//! get smaller at once, the largest first, so that voices on the same way stay whole. After a time without queues they get larger
//! again: to what seems to fit, or one step for a trial. Each trial that fails makes the next one wait longer.

use std::time::{Duration, Instant};

use crate::layers::largest;
use crate::limits::MAX_LAYERS;

/// Without queues for this long, a larger picture is tried: a trial that fails costs a second of voice that stutters.
const PATIENCE: Duration = Duration::from_secs(10);
/// It never waits longer, however many trials have failed: networks recover.
const MOST_PATIENCE: Duration = Duration::from_secs(60);
/// A queue that comes sooner than this after a trial is the trial's.
const TRIAL: Duration = Duration::from_secs(5);
/// An estimate has fallen when it is below this share of the one before: less is noise.
const FALL_PERCENT: u64 = 97;
/// This much of it is used while there is a queue, which has to get away beside what is sent.
const QUEUE_PERCENT: u64 = 90;
/// One below this share of what is sent tells of a queue as well (in a queue libwebrtc estimates 85 % of what arrives) …
const STUCK_PERCENT: u64 = 90;
/// … when it has not grown for this long, though a picture got larger: that begins with a key frame, and the receiver measures what
/// has come in a second.
const STUCK_AFTER: Duration = Duration::from_secs(3);

/// What is sent of one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    /// Bits per second of each layer; 0: it does not arrive.
    pub(crate) rates: [u64; MAX_LAYERS],
    /// The largest layer that the receiver asked for.
    pub(crate) top: usize,
    /// The largest that fits, as far as is known.
    pub(crate) fits: usize,
}

impl Stream {
    /// The largest layer that arrives, up to this one; otherwise the smallest that does.
    fn layer(&self, highest: usize) -> Option<usize> {
        let live = (0..MAX_LAYERS).filter(|at| self.rate(*at) > 0);
        largest(live, highest.min(self.top))
    }

    fn rate(&self, layer: usize) -> u64 {
        self.rates.get(layer).copied().unwrap_or_default()
    }

    /// What is sent of it when layers up to this one fit.
    fn sent(&self, fits: usize) -> u64 {
        self.layer(fits).map_or(0, |layer| self.rate(layer))
    }

    /// The next larger layer, and what it costs more.
    fn next(&self) -> Option<(usize, u64)> {
        let now = self.layer(self.fits)?;
        let next = (now + 1..=self.top.min(MAX_LAYERS - 1)).find(|at| self.rate(*at) > 0)?;
        Some((next, self.rate(next).saturating_sub(self.rate(now))))
    }
}

/// See above.
#[derive(Debug)]
pub(crate) struct Bandwidth {
    /// The receiver's last estimate, in bits per second.
    estimate: Option<u64>,
    /// When it last grew.
    grown_at: Option<Instant>,
    /// What its network is believed to carry; `None`: it has never been too little.
    carries: Option<u64>,
    /// Since when there was neither a queue nor a trial.
    quiet_since: Option<Instant>,
    /// When a picture last got larger, until that has proved good or not.
    tried_at: Option<Instant>,
    /// What was sent before that.
    sent_before: u64,
    patience: Duration,
}

impl Default for Bandwidth {
    fn default() -> Self {
        Self {
            estimate: None,
            grown_at: None,
            carries: None,
            quiet_since: None,
            tried_at: None,
            sent_before: 0,
            patience: PATIENCE,
        }
    }
}

impl Bandwidth {
    /// The receiver says what its network carries: says of each stream what fits. libwebrtc tells it every second, and at once
    /// when it falls.
    pub(crate) fn told(&mut self, estimate: u64, streams: &mut [Stream], now: Instant) {
        let sent = all_sent(streams);
        let before = self.estimate.replace(estimate);
        if before.is_none_or(|before| estimate > before) {
            self.grown_at = Some(now);
        }
        let has_fallen = before.is_some_and(|before| estimate < before / 100 * FALL_PERCENT);
        let since = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
        let is_stuck = since(self.grown_at.max(self.tried_at)).is_some_and(|at| at >= STUCK_AFTER)
            && estimate < sent / 100 * STUCK_PERCENT;
        let is_queueing = has_fallen || is_stuck;
        let is_trial = since(self.tried_at).is_some_and(|tried| tried < TRIAL);
        if is_queueing {
            let mut known = 0;
            if is_trial {
                self.patience = (self.patience * 2).min(MOST_PATIENCE);
                known = self.sent_before.min(estimate);
            }
            self.tried_at = None;
            self.quiet_since = Some(now);
            self.carries = Some(known.max(estimate / 100 * QUEUE_PERCENT));
        } else if let Some(carries) = &mut self.carries {
            // What is sent without a queue fits.
            *carries = estimate.max(sent).max(*carries);
            if !is_trial && self.tried_at.take().is_some() {
                self.patience = PATIENCE;
            }
        }
        let Some(carries) = self.carries else { return };
        let fitted: Vec<usize> = streams.iter().map(|stream| stream.fits).collect();
        fill(streams, carries);
        let quiet = since(self.quiet_since);
        if is_trial || quiet.is_some_and(|quiet| quiet < self.patience) {
            for (stream, fitted) in streams.iter_mut().zip(fitted) {
                stream.fits = stream.fits.min(fitted);
            }
            return;
        }
        if all_sent(streams) <= sent {
            try_more(streams);
        }
        if all_sent(streams) > sent {
            self.tried_at = Some(now);
            self.sent_before = sent;
            self.quiet_since = Some(now);
        }
    }
}

/// What is sent of all of them, in bits per second.
fn all_sent(streams: &[Stream]) -> u64 {
    streams.iter().map(|stream| stream.sent(stream.fits)).sum()
}

/// The smallest picture that may be larger is.
fn try_more(streams: &mut [Stream]) {
    let larger = streams
        .iter_mut()
        .filter_map(|stream| Some((stream.next()?, stream)));
    if let Some(((layer, _), stream)) = larger.min_by_key(|((layer, cost), _)| (*layer, *cost)) {
        stream.fits = layer;
    }
}

/// All pictures as small as they are, then each a step larger in turn, as long as they fit.
fn fill(streams: &mut [Stream], carries: u64) {
    for stream in streams.iter_mut() {
        stream.fits = 0;
    }
    let mut spent: u64 = streams.iter().map(|stream| stream.sent(0)).sum();
    for step in 1..MAX_LAYERS {
        for stream in streams.iter_mut() {
            let next = stream.next().filter(|(layer, _)| *layer <= step);
            if let Some((layer, cost)) = next
                && spent + cost <= carries
            {
                stream.fits = layer;
                spent += cost;
            }
        }
    }
    for stream in streams {
        if stream.next().is_none() {
            // Nothing larger is there now; what comes later is not in the way before it was measured.
            stream.fits = usize::MAX;
        }
    }
}

#[cfg(test)]
mod tests;

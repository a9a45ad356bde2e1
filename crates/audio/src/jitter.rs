//! Receiver side of one audio track: packets in any order in, sound in order out. Sans-IO: time is an argument.
//!
//! The listener is a machine (VAD and STT), not a loudspeaker, so nothing has to be played at an even pace and there is no
//! reason to hold a packet back whose turn it is. Delay is spent in one case only: a packet is missing and a later one is
//! there. Then the buffer waits a little for the straggler ([`MIN_WAIT`] to [`MAX_WAIT`], adapting to how late stragglers
//! were), and gives it up as lost. Ordinary jitter costs nothing.
//!
//! A sender that is silent (DTX, muted) sends nothing, but VAD and STT must hear that time passes: once packets stay away for
//! [`QUIET_AFTER`] the buffer hands out silence in step with the clock, and what a DTX timestamp says is made up exactly.
//!
//! ```
//! # use antiphon_audio::jitter::{JitterBuffer, Output};
//! # use std::time::{Duration, Instant};
//! let mut buffer = JitterBuffer::new();
//! let now = Instant::now();
//! buffer.push(7, 6_720, bytes::Bytes::from_static(&antiphon_audio::opus::SILENCE_20_MS), now);
//! loop {
//!     match buffer.pop(now) {
//!         Output::Packet(packet) => { /* decoder.decode(&packet.payload) */ }
//!         Output::Lost { duration, next } => { /* decoder.recover(next, duration) or decoder.conceal(duration) */ }
//!         Output::Silence { duration } => { /* Frame::silence(duration) */ }
//!         Output::Nothing => break, // until the next packet, or `buffer.deadline()`
//!     }
//! }
//! ```

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::opus::{MAX_PACKET_BYTES, packet_duration};

/// Packets held at most while a missing one is waited for: 1.3 s of 20 ms packets. Only a flood or a reader that stopped
/// reaches it; then the oldest go (fresh words matter more) and are counted.
pub const MAX_HELD_PACKETS: usize = 64;
/// Shortest wait for a missing packet: one packet, because reordering mostly swaps neighbours.
pub const MIN_WAIT: Duration = Duration::from_millis(20);
/// Longest wait for a missing packet: what later comes, costs the caller more in latency than it gives the recogniser.
pub const MAX_WAIT: Duration = Duration::from_millis(40);
/// Wait again less after this many packets without a straggler: 10 s of 20 ms packets.
const CALM_PACKETS: u32 = 500;
/// Lost packets in a row that are worth concealing; Opus has faded to nothing after about 100 ms. The rest of the hole is
/// skipped (VAD hears the silence that the clock gave it).
pub const MAX_CONCEALED_IN_A_ROW: u64 = 5;
/// A sequence number further ahead or behind than this (1 s of 20 ms packets) is another stream (a restarted sender), not
/// loss. It needs two packets in sequence to be believed, so that one stray packet cannot restart anything (RFC 3550, A.1).
pub const MAX_SEQUENCE_JUMP: u64 = 50;
/// Without packets for this long the sender counts as silent. Three packets: longer than ordinary jitter, much shorter than
/// any VAD's minimum silence.
pub const QUIET_AFTER: Duration = Duration::from_millis(60);
/// Silence is handed out in pieces of one packet.
pub const SILENCE_STEP: Duration = Duration::from_millis(20);
/// Silence made up in one go (after a DTX gap or a pause of the reader): as much as any VAD or STT needs to end an
/// utterance. Longer gaps need no exact length.
pub const MAX_SILENCE_AT_ONCE: Duration = Duration::from_secs(1);
/// What a packet is taken to last when its payload does not tell.
const USUAL_PACKET: Duration = Duration::from_millis(20);
/// RTP clock of Opus: ticks per millisecond (RFC 7587).
const TICKS_PER_MS: u64 = 48;

/// One packet in its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Extended RTP sequence number.
    pub sequence: u64,
    /// Extended RTP timestamp, 48 kHz.
    pub timestamp: u64,
    /// Opus.
    pub payload: Bytes,
}

/// What to hear next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Decode this.
    Packet(Packet),
    /// A packet is lost: recover it from the redundancy of `next`, or conceal it. `next` itself comes out afterwards.
    Lost {
        /// How long the lost packet probably sounded.
        duration: Duration,
        /// The packet right after it, if it is here.
        next: Option<Bytes>,
    },
    /// The sender is silent; time passes.
    Silence {
        /// How much of it, at most [`SILENCE_STEP`].
        duration: Duration,
    },
    /// Nothing until the next packet or [`JitterBuffer::deadline`].
    Nothing,
}

/// What has happened to packets, for metrics. `received` counts every push.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterStats {
    /// Pushed.
    pub received: u64,
    /// Came out in turn.
    pub played: u64,
    /// Came after they had been given up and were dropped.
    pub late: u64,
    /// Came twice; the second was dropped.
    pub duplicate: u64,
    /// Never came in time.
    pub lost: u64,
    /// Were dropped because [`MAX_HELD_PACKETS`] were held.
    pub overflowed: u64,
    /// Were dropped because no Opus packet is empty or that long, or alone with an impossible sequence number.
    pub refused: u64,
    /// How often the stream began anew.
    pub restarts: u64,
}

struct Held {
    timestamp: u64,
    payload: Bytes,
    arrived: Instant,
}

/// What came out last.
#[derive(Clone, Copy)]
struct Last {
    timestamp: u64,
    duration: Duration,
}

/// See the module's page.
pub struct JitterBuffer {
    held: BTreeMap<u64, Held>,
    /// Whose turn it is; `None` before the first packet.
    next_sequence: Option<u64>,
    /// Which of the 64 sequence numbers before `next_sequence` came out (bit 0: the one right before it). Tells a packet
    /// that was given up and comes late from one that comes twice.
    came_out: u64,
    last: Option<Last>,
    /// A packet far from the stream, waiting for its successor to confirm that the stream restarted.
    stray: Option<(u64, Held)>,
    wait: Duration,
    since_straggler: u32,
    /// What came out last was [`Output::Lost`].
    concealing: bool,
    /// The clock time up to which sound or silence has been handed out, once anything arrived.
    heard_until: Option<Instant>,
    /// Silence handed out by the clock since `last`.
    silence_since_last: Duration,
    /// Silence that a timestamp says lies before the next packet.
    silence_owed: Duration,
    stats: JitterStats,
}

impl std::fmt::Debug for JitterBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JitterBuffer")
            .field("held", &self.held.len())
            .field("next_sequence", &self.next_sequence)
            .field("wait", &self.wait)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

impl Default for JitterBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl JitterBuffer {
    /// An empty buffer that takes the first packet's sequence number as the beginning.
    pub fn new() -> Self {
        Self {
            held: BTreeMap::new(),
            next_sequence: None,
            came_out: 0,
            last: None,
            stray: None,
            wait: MIN_WAIT,
            since_straggler: 0,
            concealing: false,
            heard_until: None,
            silence_since_last: Duration::ZERO,
            silence_owed: Duration::ZERO,
            stats: JitterStats::default(),
        }
    }

    /// A packet arrived. `sequence` and `timestamp` are extended (never wrap).
    pub fn push(&mut self, sequence: u64, timestamp: u64, payload: Bytes, now: Instant) {
        self.stats.received += 1;
        if payload.is_empty() || payload.len() > MAX_PACKET_BYTES {
            self.stats.refused += 1;
            return;
        }
        let held = Held {
            timestamp,
            payload,
            arrived: now,
        };
        let Some(next) = self.next_sequence else {
            self.begin_at(sequence, now);
            self.insert(sequence, held);
            return;
        };
        let newest = self
            .held
            .last_key_value()
            .map_or(next, |(newest, _)| *newest);
        if sequence.saturating_sub(newest) > MAX_SEQUENCE_JUMP
            || next.saturating_sub(sequence) > MAX_SEQUENCE_JUMP
        {
            self.stray_arrived(sequence, held, now);
            return;
        }
        if sequence < next {
            let bit = u32::try_from(next - sequence - 1)
                .ok()
                .and_then(|age| 1_u64.checked_shl(age))
                .unwrap_or(0);
            if self.came_out & bit != 0 {
                self.stats.duplicate += 1;
            } else {
                self.stats.late += 1;
                // It would have been played if we had waited longer.
                self.adapt_wait(MAX_WAIT);
            }
            return;
        }
        if sequence < newest {
            let successor = self.held.range(sequence..).next();
            let lateness = successor.map_or(Duration::ZERO, |(_, it)| {
                now.saturating_duration_since(it.arrived)
            });
            self.adapt_wait(lateness + lateness / 2);
        }
        self.insert(sequence, held);
    }

    /// What to hear next; ask until [`Output::Nothing`].
    pub fn pop(&mut self, now: Instant) -> Output {
        if self.silence_owed >= SILENCE_STEP {
            self.silence_owed -= SILENCE_STEP;
            return Output::Silence {
                duration: SILENCE_STEP,
            };
        }
        let Some(next) = self.next_sequence else {
            return Output::Nothing;
        };
        let Some((&first, it)) = self.held.first_key_value() else {
            return self.pop_silence(now);
        };
        if first == next {
            return self.pop_packet(now);
        }
        if now < it.arrived + self.wait {
            return Output::Nothing;
        }
        if !self.silence_since_last.is_zero() {
            // The clock has filled the hole already; continuing the old sound after silence would be heard as a stutter.
            self.give_up(first - next);
            return self.pop_packet(now);
        }
        // Of a large hole skip the beginning and conceal the end, which joins the packet that is there.
        let skipped = (first - next).saturating_sub(MAX_CONCEALED_IN_A_ROW);
        let payload = (next + skipped + 1 == first).then(|| it.payload.clone());
        self.give_up(skipped + 1);
        self.concealing = true;
        let duration = self.last.map_or(USUAL_PACKET, |last| last.duration);
        Output::Lost {
            duration,
            next: payload,
        }
    }

    /// When [`pop`](Self::pop) will have something even if no packet arrives. `None`: only a packet helps.
    pub fn deadline(&self) -> Option<Instant> {
        let next = self.next_sequence?;
        match self.held.first_key_value() {
            Some((&first, it)) if first == next || self.silence_owed >= SILENCE_STEP => {
                Some(it.arrived)
            }
            Some((_, it)) => Some(it.arrived + self.wait),
            None => self.heard_until.map(|until| until + self.quiet_margin()),
        }
    }

    /// Counters since the beginning.
    pub fn stats(&self) -> JitterStats {
        self.stats
    }

    /// How long a missing packet is waited for now.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// Packets held now.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// No packet is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn begin_at(&mut self, sequence: u64, now: Instant) {
        self.held.clear();
        self.next_sequence = Some(sequence);
        self.came_out = 0;
        self.last = None;
        self.stray = None;
        self.concealing = false;
        self.heard_until = Some(now);
        self.silence_since_last = Duration::ZERO;
        self.silence_owed = Duration::ZERO;
    }

    fn insert(&mut self, sequence: u64, held: Held) {
        if self.held.contains_key(&sequence) {
            self.stats.duplicate += 1;
            return;
        }
        self.held.insert(sequence, held);
        if self.held.len() > MAX_HELD_PACKETS
            && let Some((oldest, _)) = self.held.pop_first()
        {
            self.stats.overflowed += 1;
            let next = self.next_sequence.unwrap_or(oldest);
            self.stats.lost += oldest.saturating_sub(next);
            self.advance(oldest.saturating_sub(next).saturating_add(1));
        }
    }

    /// The next `count` packets will not be waited for any longer.
    fn give_up(&mut self, count: u64) {
        self.stats.lost += count;
        self.advance(count);
    }

    fn advance(&mut self, count: u64) {
        self.next_sequence = self.next_sequence.map(|next| next.saturating_add(count));
        self.came_out = u32::try_from(count)
            .ok()
            .and_then(|count| self.came_out.checked_shl(count))
            .unwrap_or(0);
    }

    fn stray_arrived(&mut self, sequence: u64, held: Held, now: Instant) {
        match self.stray.take() {
            Some((before, first)) if before.checked_add(1) == Some(sequence) => {
                self.stats.restarts += 1;
                self.stats.overflowed += self.held.len() as u64;
                self.begin_at(before, now);
                self.insert(before, first);
                self.insert(sequence, held);
            }
            displaced => {
                self.stats.refused += u64::from(displaced.is_some());
                self.stray = Some((sequence, held));
            }
        }
    }

    fn adapt_wait(&mut self, needed: Duration) {
        self.since_straggler = 0;
        self.wait = self.wait.max(needed).clamp(MIN_WAIT, MAX_WAIT);
    }

    fn pop_packet(&mut self, now: Instant) -> Output {
        let Some((sequence, it)) = self.held.first_key_value() else {
            return Output::Nothing;
        };
        let (sequence, timestamp) = (*sequence, it.timestamp);
        if self.owes_silence_before(timestamp) {
            return self.pop(now);
        }
        let Some((_, it)) = self.held.pop_first() else {
            return Output::Nothing;
        };
        let duration = packet_duration(&it.payload).unwrap_or(USUAL_PACKET);
        self.advance(1);
        self.came_out |= 1;
        self.last = Some(Last {
            timestamp,
            duration,
        });
        self.concealing = false;
        self.silence_since_last = Duration::ZERO;
        self.silence_owed = Duration::ZERO;
        self.heard_until = Some(now);
        self.stats.played += 1;
        self.since_straggler += 1;
        if self.since_straggler >= CALM_PACKETS {
            self.since_straggler = 0;
            self.wait = (self.wait / 2).max(MIN_WAIT);
        }
        Output::Packet(Packet {
            sequence,
            timestamp,
            payload: it.payload,
        })
    }

    /// The next packet in sequence begins later than the last one ended: the sender was silent in between (DTX). What the
    /// clock has not yet given of that silence is owed.
    fn owes_silence_before(&mut self, timestamp: u64) -> bool {
        let Some(last) = self.last else { return false };
        if self.concealing {
            return false; // the hole was loss
        }
        let since = Duration::from_millis(timestamp.saturating_sub(last.timestamp) / TICKS_PER_MS);
        let gap = since.saturating_sub(last.duration).min(MAX_SILENCE_AT_ONCE);
        self.silence_owed = gap.saturating_sub(self.silence_since_last);
        // Said once: what is owed now is paid before the packet is asked for again.
        self.silence_since_last = self.silence_since_last.max(gap);
        self.silence_owed >= SILENCE_STEP
    }

    fn pop_silence(&mut self, now: Instant) -> Output {
        let Some(until) = self.heard_until else {
            return Output::Nothing;
        };
        let elapsed = now.saturating_duration_since(until);
        if elapsed < self.quiet_margin() {
            return Output::Nothing;
        }
        // A reader that paused does not get all of the pause back.
        let until = if elapsed > MAX_SILENCE_AT_ONCE {
            now - MAX_SILENCE_AT_ONCE
        } else {
            until
        };
        self.heard_until = Some(until + SILENCE_STEP);
        self.silence_since_last += SILENCE_STEP;
        Output::Silence {
            duration: SILENCE_STEP,
        }
    }

    /// Silence begins after [`QUIET_AFTER`] (the time until then is made up at once), then keeps step with the clock.
    fn quiet_margin(&self) -> Duration {
        if self.silence_since_last.is_zero() {
            QUIET_AFTER
        } else {
            SILENCE_STEP
        }
    }
}

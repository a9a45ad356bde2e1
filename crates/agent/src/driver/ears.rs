//! The caller's sound: to the VAD frame by frame, to the recogniser by a bounded queue that drops its oldest. The agent's own voice,
//! back from a loudspeaker, is silence to both, and so is a voice from farther away than the caller while the agent speaks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use antiphon_audio::Frame16k;
use antiphon_audio::echo::Heard;
use antiphon_audio::near::Nearness;
use antiphon_dialogue::{Input, input};
use tokio::sync::mpsc;

use super::gauge::Gauge;
use super::player::Player;
use crate::measure;
use crate::provider::{SttInput, Vad};

/// Orders to the ears that may wait. The dialogue gives a few per turn.
pub(crate) const ORDER_LIMIT: usize = 32;
/// Sound that waits for a recogniser which is not connected yet or too slow, beyond what its own channel holds: 2 s of
/// 20 ms frames. Older sound is dropped: words that are so late would answer a question of the past.
const BACKLOG_LIMIT: usize = 100;
/// Sound kept for the turn detector: 8 s, what Smart Turn hears.
const RECENT: usize = 8 * Frame16k::RATE_HZ as usize;

/// Sound before the beginning of a turn that belongs to it: the VAD notices speech late (LiveKit's prefix padding).
const BEFORE: Duration = Duration::from_millis(500);

fn samples(length: Duration) -> usize {
    let samples = length.as_millis() * u128::from(Frame16k::RATE_HZ / 1000);
    usize::try_from(samples).unwrap_or(usize::MAX)
}

/// What the session's task can order.
pub(crate) enum Order {
    /// A recogniser is connected.
    Recogniser(mpsc::Sender<SttInput>),
    /// From here on this one judges whether the caller speaks.
    Vad(Box<dyn Vad>),
    /// Make words final.
    Finalize,
    /// Forget pending words.
    Clear,
    /// Give the recogniser silence.
    Mute(bool),
}

/// The last seconds of the caller's sound; `None`: nobody wants them.
pub(crate) type Recent = Arc<Mutex<Option<VecDeque<i16>>>>;

/// The session's end of the ears.
#[derive(Debug)]
pub(crate) struct Ears {
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) recent: Recent,
}

impl Ears {
    /// Order something. Never waits: a full queue means that the ears are gone or hang.
    pub(crate) fn order(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            measure::dropped("ear_orders");
        }
    }

    /// A copy of the last sound, so much of it and a little before, as far as it is kept.
    pub(crate) fn recent(&self, length: Duration) -> Vec<i16> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(recent) = &*recent else {
            return Vec::new();
        };
        let wanted = samples(length.saturating_add(BEFORE));
        let before = recent.len().saturating_sub(wanted);
        recent.iter().skip(before).copied().collect()
    }

    /// Keep the last sound from here on: there is a turn detector that hears.
    pub(crate) fn keep_recent(&self) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.get_or_insert_default();
    }
}

/// Listens until the session ends.
pub(crate) struct Listener {
    pub(crate) vad: Option<Box<dyn Vad>>,
    pub(crate) vad_out: mpsc::Sender<input::Vad>,
    pub(crate) recent: Recent,
    pub(crate) queue: Queue,
    pub(crate) gauge: Gauge,
    pub(crate) facts: mpsc::Sender<Input>,
    /// How loud the caller is.
    pub(crate) near: Nearness,
    /// Whose sound may come back from the caller's loudspeaker.
    pub(crate) player: Option<Arc<Player>>,
}

impl Listener {
    /// The task.
    pub(crate) async fn listen(
        mut self,
        mut audio: mpsc::Receiver<Frame16k>,
        mut orders: mpsc::Receiver<Order>,
    ) {
        let mut sound = true;
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(Order::Vad(vad)) => self.vad = Some(vad),
                    Some(order) => self.queue.order(order),
                    None => return,
                },
                frame = audio.recv(), if sound => match frame {
                    Some(frame) => self.hear(frame).await,
                    None => {
                        sound = false;
                        self.gauge.finish();
                    }
                },
            }
        }
    }

    fn remember(&self, frame: &Frame16k) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(recent) = &mut *recent {
            recent.extend(frame.samples());
            let over = recent.len().saturating_sub(RECENT);
            recent.drain(..over);
        }
    }

    /// What was understood so far was the agent's own voice.
    async fn unhear(&mut self) {
        tracing::debug!(
            "the caller's microphone hears the agent, whose voice is left out from here on"
        );
        self.queue.order(Order::Clear);
        let nothing = input::Stt::Interim(String::new());
        let _ = self.facts.send(Input::Stt(nothing)).await; // the session is over
    }

    async fn hear(&mut self, mut frame: Frame16k) {
        let player = self.player.as_ref();
        let (who, agent_speaks) =
            player.map_or((Heard::Others, false), |player| player.who_is_heard(&frame));
        // a neighbour's voice is for the agent when it listens: who else would be meant
        let is_far = self.near.is_far(&frame) && agent_speaks;
        if is_far || who != Heard::Others {
            frame.samples_mut().fill(0);
        }
        if who == Heard::OurselvesSoFar {
            self.unhear().await;
        }
        self.remember(&frame);
        let mut edges = VecDeque::new();
        if let Some(vad) = &mut self.vad {
            let (out, gauge) = (&self.vad_out, &mut self.gauge);
            let began = std::time::Instant::now();
            let mut is_voice = false;
            vad.push(&frame, &mut |event| {
                gauge.found(&event);
                is_voice |= matches!(event, input::Vad::Frame { speaking: true, silence, .. } if silence.is_zero());
                match event {
                    input::Vad::Frame { .. } if edges.is_empty() => {
                        if out.try_send(event).is_err() {
                            measure::dropped("vad");
                        }
                    }
                    // Start and end of speech are never dropped, and nothing overtakes them.
                    input::Vad::Frame { .. }
                    | input::Vad::SpeechStarted { .. }
                    | input::Vad::SpeechEnded { .. } => edges.push_back(event),
                }
            });
            gauge.judged(frame.duration(), began.elapsed());
            if is_voice && !agent_speaks {
                self.near.is_caller();
            }
        }
        self.queue.push(frame);
        self.gauge.given(self.queue.given());
        for edge in edges {
            let _ = self.vad_out.send(edge).await; // the session is over
        }
    }
}

/// Sound and orders on their way to the recogniser.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<SttInput>,
    recogniser: Option<mpsc::Sender<SttInput>>,
    /// Without a recogniser at all nothing is kept.
    wanted: bool,
    muted: bool,
    /// Sound that the recogniser was given and nobody has counted.
    given: Duration,
}

impl Queue {
    /// For an agent with or without a recogniser.
    pub(crate) fn new(wanted: bool) -> Self {
        Self {
            wanted,
            ..Self::default()
        }
    }

    /// Sound that the recogniser was given since the last call.
    fn given(&mut self) -> Duration {
        std::mem::take(&mut self.given)
    }

    fn push(&mut self, mut frame: Frame16k) {
        if !self.wanted {
            return;
        }
        if self.muted {
            frame.samples_mut().fill(0);
        }
        self.waiting.push_back(SttInput::Audio(frame));
        self.flush();
        if self.waiting.len() > BACKLOG_LIMIT {
            self.drop_oldest();
            measure::dropped("stt_audio");
        }
    }

    /// Orders are kept, but not two for the same sound: without a recogniser they would be ever more.
    fn drop_oldest(&mut self) {
        let is_sound = |input: &SttInput| matches!(input, SttInput::Audio(_));
        let Some(at) = self.waiting.iter().position(is_sound) else {
            return;
        };
        self.waiting.remove(at);
        let order = |at: usize| self.waiting.get(at).is_some_and(|input| !is_sound(input));
        if at.checked_sub(1).is_some_and(order) && order(at) {
            self.waiting.remove(at);
        }
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Recogniser(recogniser) => {
                self.wanted = true; // perhaps only now: another agent has brought it
                self.recogniser = Some(recogniser);
            }
            Order::Vad(_) => {} // the listener's own
            Order::Mute(muted) => self.muted = muted,
            Order::Finalize if self.wanted => {
                if !matches!(self.waiting.back(), Some(SttInput::Finalize)) {
                    self.waiting.push_back(SttInput::Finalize);
                }
            }
            Order::Clear if self.wanted => {
                self.waiting.clear();
                self.waiting.push_back(SttInput::Clear);
            }
            Order::Finalize | Order::Clear => {}
        }
        self.flush();
    }

    fn flush(&mut self) {
        let Some(recogniser) = self.recogniser.clone() else {
            return;
        };
        while !self.waiting.is_empty() {
            match recogniser.try_reserve() {
                Ok(place) => {
                    if let Some(input) = self.waiting.pop_front() {
                        if let SttInput::Audio(frame) = &input {
                            self.given += frame.duration();
                        }
                        place.send(input);
                    }
                }
                Err(mpsc::error::TrySendError::Full(())) => return,
                // What waits is for the next one, which is on its way.
                Err(mpsc::error::TrySendError::Closed(())) => {
                    self.recogniser = None;
                    return;
                }
            }
        }
    }
}

/// How long opening a recogniser is tried again: LiveKit's rule of three retries.
pub(crate) const OPEN_RETRIES: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_secs(2),
    Duration::from_secs(2),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_slow_recogniser_loses_the_oldest_sound_and_no_order() {
        let mut queue = Queue::new(true);
        let (recogniser, mut heard) = mpsc::channel(10);
        queue.order(Order::Recogniser(recogniser));
        for number in 0..10 + BACKLOG_LIMIT as i16 + 5 {
            queue.push(Frame16k::new(vec![number]));
            if number == 20 {
                queue.order(Order::Finalize);
            }
        }
        let mut first = |queue: &mut Queue| {
            let input = heard.try_recv();
            queue.flush();
            input.ok()
        };
        let mut all = Vec::new();
        while let Some(input) = first(&mut queue) {
            all.push(match input {
                SttInput::Audio(frame) => i64::from(*frame.samples().first().unwrap()),
                SttInput::Finalize => -1,
                SttInput::Clear => -2,
            });
        }
        assert_eq!(
            all.get(..12).unwrap(),
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17],
            "10 to 15 were dropped"
        );
        assert_eq!(all.get(15), Some(&-1), "after 20, where it was given");
        assert_eq!(all.last(), Some(&114));
    }

    #[test]
    fn what_was_said_while_the_recogniser_was_gone_is_heard_by_the_next_one() {
        let mut queue = Queue::new(true);
        let (gone, _) = mpsc::channel(10);
        queue.order(Order::Recogniser(gone));
        for number in 0..3 {
            queue.push(Frame16k::new(vec![number]));
        }
        queue.order(Order::Finalize);
        let (next, mut heard) = mpsc::channel(10);
        queue.order(Order::Recogniser(next));
        for number in 0..3 {
            let SttInput::Audio(frame) = heard.try_recv().unwrap() else {
                unreachable!()
            };
            assert_eq!(frame.samples(), [number]);
        }
        assert!(matches!(heard.try_recv().unwrap(), SttInput::Finalize));
        assert!(heard.try_recv().is_err(), "everything once");
    }

    #[test]
    fn a_recogniser_that_does_not_come_back_fills_no_memory() {
        let mut queue = Queue::new(true);
        for _ in 0..10 * BACKLOG_LIMIT {
            queue.push(Frame16k::new(vec![1]));
            queue.order(Order::Finalize);
        }
        let waiting = queue.waiting.len();
        assert!(waiting <= BACKLOG_LIMIT + 1, "{waiting} wait");
        let sound = |input: &&SttInput| matches!(input, SttInput::Audio(_));
        assert!(queue.waiting.iter().filter(sound).count() >= BACKLOG_LIMIT / 2);
    }

    #[test]
    fn a_turn_detector_hears_the_present_turn_and_half_a_second_before_it() {
        let ears = Ears {
            orders: mpsc::channel(1).0,
            recent: Arc::new(Mutex::new(Some(
                (0..RECENT as i32).map(|n| n as i16).collect(),
            ))),
        };
        assert_eq!(ears.recent(Duration::from_secs(1)).len(), 24_000);
        assert_eq!(ears.recent(Duration::from_secs(60)).len(), RECENT);
        let last = ears.recent(Duration::ZERO).last().copied();
        assert_eq!(last, Some((RECENT - 1) as i16));
    }

    #[test]
    fn a_muted_recogniser_hears_silence_of_the_same_length() {
        let mut queue = Queue::new(true);
        let (recogniser, mut heard) = mpsc::channel(10);
        queue.order(Order::Recogniser(recogniser));
        queue.order(Order::Mute(true));
        queue.push(Frame16k::new(vec![7; 320]));
        let SttInput::Audio(frame) = heard.try_recv().unwrap() else {
            unreachable!()
        };
        assert_eq!(frame, Frame16k::new(vec![0; 320]));
    }
}

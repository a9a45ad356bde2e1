//! How long the caller pauses: with `endpointing = "dynamic"` the least delay is learned from it (LiveKit's
//! `voice/endpointing.py`).

use crate::options::{Endpointing, Options};
use antiphon_chat::time::{Duration, Instant};

/// Sound of the caller so shortly after the agent has begun began before it, really: TTS begins with a little silence.
const LEADING_SILENCE_GRACE: Duration = Duration::from_millis(250);

/// The delays that count now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delays {
    pub(super) min: Duration,
    pub(super) max: Duration,
    /// The longest wait for final words.
    pub(super) words: Duration,
}

/// What is known of the caller's pauses.
#[derive(Clone, Debug, Default)]
pub(super) struct Pauses {
    /// `None`: nothing learned yet.
    learned: Option<Duration>,
    /// The end of the last utterance.
    ended: Option<Instant>,
    /// The silence before the present utterance, in which the agent said nothing.
    pause: Option<Duration>,
    /// The present or last utterance began over the agent.
    over: Option<Over>,
    /// The agent has spoken since the last utterance ended, from then on.
    agent_began: Option<Instant>,
}

/// An utterance over the agent, which may turn out to have been an interruption.
#[derive(Clone, Copy, Debug)]
struct Over {
    /// Since the end of the utterance before it, if there was one.
    pause: Option<Duration>,
    /// From there to the agent's first sound.
    turn: Duration,
    /// From the agent's first sound to the caller's.
    late: Duration,
}

impl Pauses {
    pub(super) fn delays(&self, options: &Options) -> Delays {
        let (given, max) = (
            options.min_endpointing_delay(),
            options.max_endpointing_delay(),
        );
        let min = match options.endpointing {
            Endpointing::Fixed => given,
            Endpointing::Dynamic => self.learned.unwrap_or(given).max(given).min(max),
        };
        Delays {
            min,
            max,
            words: options.transcript_timeout,
        }
    }

    pub(super) fn caller_began(&mut self, at: Instant, agent_speaks: bool) {
        let ended = self.ended.take();
        let pause = ended
            .map(|ended| at.since(ended))
            .filter(|pause| !pause.is_zero());
        self.pause = pause.filter(|_| self.agent_began.is_none());
        self.over = self
            .agent_began
            .filter(|_| agent_speaks)
            .map(|agent_began| Over {
                pause,
                turn: ended.map_or(Duration::ZERO, |ended| agent_began.since(ended)),
                late: at.since(agent_began),
            });
    }

    pub(super) fn caller_ended(&mut self, at: Instant, agent_speaks: bool, options: &Options) {
        self.ended = Some(at);
        if let Some(pause) = self.pause.take() {
            self.learn(pause, options);
        }
        if !agent_speaks {
            self.agent_began = None;
        }
    }

    pub(super) fn agent_began(&mut self, at: Instant) {
        self.agent_began.get_or_insert(at);
    }

    /// The caller stopped the agent. If the agent had hardly begun, it had taken a pause for the end of the turn.
    pub(super) fn interrupted(&mut self, options: &Options) {
        let Some(Over {
            pause: Some(pause),
            turn,
            late,
        }) = self.over.take()
        else {
            return;
        };
        let Delays { min, max, .. } = self.delays(options);
        if !late.is_zero() && late <= min && !turn.is_zero() && turn <= max {
            self.learn(pause, options);
        }
    }

    /// The caller's sound over the agent was nothing: its end is not where a pause begins.
    pub(super) fn forget_sound(&mut self) {
        if self
            .over
            .take()
            .is_some_and(|over| over.late > LEADING_SILENCE_GRACE)
        {
            self.ended = None;
        }
    }

    /// A pause longer than the longest delay was none: the turn had ended.
    fn learn(&mut self, pause: Duration, options: &Options) {
        if options.endpointing == Endpointing::Fixed {
            return;
        }
        let Delays { min, max, .. } = self.delays(options);
        let alpha = Some(options.endpointing_alpha)
            .filter(|alpha| (0.0..=1.0).contains(alpha))
            .unwrap_or(1.0);
        let moved = min
            .mul_f64(alpha)
            .saturating_add(pause.min(max).mul_f64(1.0 - alpha));
        self.learned = Some(moved.max(options.min_endpointing_delay()).min(max));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_learned_delay_stays_between_the_given_ones() {
        let ms = Duration::from_millis;
        let options = Options {
            endpointing: Endpointing::Dynamic,
            endpointing_alpha: 0.5,
            min_endpointing_delay: Some(ms(400)),
            max_endpointing_delay: Some(ms(1000)),
            ..Options::default()
        };
        let mut pauses = Pauses::default();
        let mut at = Instant::ZERO;
        let mut after_pause = |pauses: &mut Pauses, pause: u64| {
            at = at + ms(pause);
            pauses.caller_began(at, false);
            at = at + ms(1000);
            pauses.caller_ended(at, false, &options);
            pauses.delays(&options).min
        };
        assert_eq!(after_pause(&mut pauses, 5000), ms(400), "nothing before it");
        assert_eq!(after_pause(&mut pauses, 800), ms(600), "half way to it");
        assert_eq!(
            after_pause(&mut pauses, 60_000),
            ms(800),
            "counts as the longest"
        );
        for _ in 0..20 {
            assert!(after_pause(&mut pauses, 1) >= ms(400));
        }
        pauses.agent_began(Instant::from_millis(120_000));
        let before = pauses.delays(&options).min;
        assert_eq!(
            after_pause(&mut pauses, 900),
            before,
            "the agent's turn is no pause"
        );
    }
}

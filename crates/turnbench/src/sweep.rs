//! Policies as eot-bench sweeps them: act after `delay` of silence when the probability reaches `threshold`, after `timeout` in any
//! case. A pause that is cut off is a false cut-off; latency is the silence before the agent may act at the end of a turn, by which the
//! machine's own time is not meant.

use crate::score::{Label, Scored};

/// Shorter pauses are no decisions (eot-bench's `min_hold_span_duration`), longer ones are turns of their own.
const HOLDS: std::ops::RangeInclusive<f64> = 0.2..=5.0;
/// Steps of delays and timeouts, in seconds.
const STEP: f64 = 0.05;
/// The longest timeout.
const LONGEST: f64 = 3.0;

/// When to act.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// The probability that is enough.
    pub threshold: f32,
    /// Seconds of silence before it is acted on.
    pub delay: f64,
    /// Seconds of silence after which the detector is asked once more; `None`: it is not.
    pub again: Option<f64>,
    /// Seconds of silence that end every turn.
    pub timeout: f64,
}

impl Policy {
    fn acts_at(&self, silence: &Scored) -> f64 {
        if silence.p_eot >= self.threshold {
            return self.delay;
        }
        match (self.again, silence.again) {
            (Some(at), Some(again)) if again >= self.threshold => at.max(self.delay),
            _ => self.timeout,
        }
    }
}

/// How a policy fares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The policy.
    pub policy: Policy,
    /// The share of pauses that it cuts off.
    pub cutoffs: f64,
    /// Seconds before it acts at the end of a turn, on average.
    pub latency: f64,
    /// The same at the median.
    pub median: f64,
}

/// How `policy` fares. `None` without a pause or without an end.
#[must_use]
pub fn point(scored: &[Scored], policy: Policy) -> Option<Point> {
    let (mut holds, mut cut, mut waits) = (0_u32, 0_u32, Vec::new());
    for silence in scored {
        let at = policy.acts_at(silence);
        match silence.label {
            Label::Eot => waits.push(at),
            Label::Hold if HOLDS.contains(&silence.length) => {
                holds += 1;
                cut += u32::from(at < silence.length);
            }
            Label::Hold => {}
        }
    }
    waits.sort_by(f64::total_cmp);
    let median = waits.get(waits.len() / 2).copied()?;
    (holds > 0).then(|| Point {
        policy,
        cutoffs: f64::from(cut) / f64::from(holds),
        latency: waits.iter().sum::<f64>() / waits.len() as f64,
        median,
    })
}

/// Every policy with a delay of at least `soonest`, when the score is there.
#[must_use]
pub fn sweep(scored: &[Scored], soonest: f64) -> Vec<Point> {
    let steps = |from: f64| {
        (0_u32..)
            .map(move |step| from + f64::from(step) * STEP)
            .take_while(|at| *at <= LONGEST + 1e-9)
    };
    let mut thresholds: Vec<f32> = scored.iter().map(|silence| silence.p_eot).collect();
    thresholds.push(1.1);
    thresholds.sort_by(f32::total_cmp);
    thresholds.dedup();
    let mut points = Vec::new();
    for threshold in thresholds {
        for delay in steps(soonest).take_while(|delay| *delay <= 1.0 + 1e-9) {
            for timeout in steps(delay) {
                points.extend(point(
                    scored,
                    Policy {
                        threshold,
                        delay,
                        again: None,
                        timeout,
                    },
                ));
            }
        }
    }
    points
}

/// Silence alone.
#[must_use]
pub fn silence_alone(scored: &[Scored]) -> Vec<Point> {
    let steps = (0_u32..)
        .map(|step| 0.1 + f64::from(step) * 0.01)
        .take_while(|at| *at <= LONGEST);
    steps
        .filter_map(|timeout| {
            point(
                scored,
                Policy {
                    threshold: 2.0,
                    delay: timeout,
                    again: None,
                    timeout,
                },
            )
        })
        .collect()
}

/// The soonest answer that cuts off no more than this share of pauses.
#[must_use]
pub fn soonest(points: &[Point], cutoffs: f64) -> Option<Point> {
    least(points, |point| (point.cutoffs, point.latency), cutoffs)
}

/// The fewest cut-offs of those that answer within this many seconds on average.
#[must_use]
pub fn safest(points: &[Point], latency: f64) -> Option<Point> {
    least(points, |point| (point.latency, point.cutoffs), latency)
}

/// Of the points whose first figure is no more than this, the one whose second is least.
fn least(points: &[Point], figures: impl Fn(&Point) -> (f64, f64), most: f64) -> Option<Point> {
    let allowed = points
        .iter()
        .filter(|point| figures(point).0 <= most + 1e-9);
    allowed
        .min_by(|a, b| figures(a).1.total_cmp(&figures(b).1))
        .copied()
}

/// How well the scores tell ends from pauses, whatever the policy: the chance that an end scores higher than a pause.
#[must_use]
pub fn area_under_curve(scored: &[Scored]) -> Option<f64> {
    let of = |label| scored.iter().filter(move |silence| silence.label == label);
    let (mut pairs, mut right) = (0.0, 0.0);
    for end in of(Label::Eot) {
        for hold in of(Label::Hold).filter(|hold| HOLDS.contains(&hold.length)) {
            pairs += 1.0;
            right += match end.p_eot.total_cmp(&hold.p_eot) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
        }
    }
    (pairs > 0.0).then_some(right / pairs)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn silence(label: Label, length: f64, p_eot: f32) -> Scored {
        Scored {
            id: "a".into(),
            span_index: 0,
            timestamp: 0.0,
            silence_dur: 0.2,
            length,
            p_eot,
            again: Some(0.6),
            label,
            words: String::new(),
        }
    }

    #[test]
    fn a_pause_that_is_longer_than_the_wait_is_cut_off_and_a_shorter_one_is_not() {
        let scored = [
            silence(Label::Hold, 0.4, 0.9),
            silence(Label::Hold, 0.4, 0.1),
            silence(Label::Hold, 0.1, 0.9), // no decision
            silence(Label::Eot, 3.0, 0.8),
            silence(Label::Eot, 3.0, 0.2),
        ];
        let policy = Policy {
            threshold: 0.5,
            delay: 0.3,
            again: None,
            timeout: 1.0,
        };
        let found = point(&scored, policy).unwrap();
        assert_eq!((found.cutoffs, found.latency), (0.5, 0.65));
        let again = Some(0.5);
        let found = point(&scored, Policy { again, ..policy }).unwrap();
        assert_eq!((found.cutoffs, found.latency), (0.5, 0.4));
    }

    #[test]
    fn a_perfect_detector_answers_at_once_and_silence_alone_must_wait_for_the_longest_pause() {
        let scored = [
            silence(Label::Hold, 1.5, 0.1),
            silence(Label::Hold, 0.5, 0.2),
            silence(Label::Eot, 3.0, 0.9),
        ];
        let perfect = soonest(&sweep(&scored, 0.2), 0.0).unwrap();
        assert_eq!(perfect.latency, 0.2);
        let alone = soonest(&silence_alone(&scored), 0.0).unwrap();
        assert!((alone.latency - 1.5).abs() < 0.011, "{}", alone.latency);
        assert_eq!(area_under_curve(&scored), Some(1.0));
        assert_eq!(safest(&silence_alone(&scored), 0.6).unwrap().cutoffs, 0.5);
    }
}

//! How busy this machine is: the mean of the last samples of CPU use, of the container if it has a quota.

use std::collections::VecDeque;
use std::time::Instant;

/// Samples in the mean, one every half second (LiveKit's).
const SAMPLES: usize = 5;

/// Measures the load.
#[derive(Debug, Default)]
pub struct LoadMeter {
    last: Option<Reading>,
    samples: VecDeque<f32>,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    busy: f64,
    total: f64,
}

impl LoadMeter {
    /// Measure now; the mean so far, 0 to 1.
    pub fn sample(&mut self, now: Instant, start: Instant) -> f32 {
        if let Some(reading) = container(now.duration_since(start).as_secs_f64()).or_else(machine) {
            self.add(reading);
        }
        self.load()
    }

    fn add(&mut self, reading: Reading) {
        if let Some(last) = self.last.replace(reading) {
            let total = reading.total - last.total;
            if total > 0.0 {
                #[expect(clippy::cast_possible_truncation, reason = "a share between 0 and 1")]
                self.samples
                    .push_back(((reading.busy - last.busy) / total).clamp(0.0, 1.0) as f32);
                if self.samples.len() > SAMPLES {
                    self.samples.pop_front();
                }
            }
        }
    }

    fn load(&self) -> f32 {
        if self.samples.is_empty() {
            0.0
        } else {
            self.samples.iter().sum::<f32>() / self.samples.len() as f32
        }
    }
}

/// A container's use of its quota, in seconds of CPU.
fn container(now_seconds: f64) -> Option<Reading> {
    let quota = quota(&std::fs::read_to_string("/sys/fs/cgroup/cpu.max").ok()?)?;
    let stat = std::fs::read_to_string("/sys/fs/cgroup/cpu.stat").ok()?;
    let used: f64 = stat
        .lines()
        .find_map(|line| line.strip_prefix("usage_usec "))?
        .trim()
        .parse()
        .ok()?;
    Some(Reading {
        busy: used / 1e6,
        total: now_seconds * quota,
    })
}

/// `cpu.max`: the number of CPUs, if there is a quota.
fn quota(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (period > 0.0 && quota > 0.0).then_some(quota / period)
}

/// The first line of `/proc/stat`: jiffies of all CPUs.
fn machine() -> Option<Reading> {
    parse_stat(&std::fs::read_to_string("/proc/stat").ok()?)
}

fn parse_stat(text: &str) -> Option<Reading> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let jiffies: Vec<f64> = line
        .split_whitespace()
        .take(8)
        .filter_map(|word| word.parse().ok())
        .collect();
    let total: f64 = jiffies.iter().sum();
    let idle: f64 = jiffies.iter().skip(3).take(2).sum();
    (total > 0.0).then_some(Reading {
        busy: total - idle,
        total,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn load_is_the_busy_share_between_samples() {
        let mut meter = LoadMeter::default();
        meter.add(parse_stat("cpu  100 0 0 100 0 0 0 0 0 0\n").unwrap());
        meter.add(parse_stat("cpu  175 0 0 125 0 0 0 0 0 0\n").unwrap());
        assert!((meter.load() - 0.75).abs() < 1e-6);
    }

    #[test]
    fn a_containers_quota_counts_as_its_cpus() {
        assert_eq!(quota("150000 100000\n"), Some(1.5));
        assert_eq!(quota("max 100000\n"), None);
    }
}

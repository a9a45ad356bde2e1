//! Percentiles of a sample.

/// Measured values, sorted.
pub(crate) struct Sample(Vec<f64>);

impl FromIterator<f64> for Sample {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }
}

impl Sample {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The nearest-rank percentile, `share` from 0 to 1.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or(f64::NAN)
    }

    pub(crate) fn line(&self, unit: &str) -> String {
        let (p50, p95, p99) = (self.at(0.5), self.at(0.95), self.at(0.99));
        let (least, most) = (self.at(0.0), self.at(1.0));
        format!(
            "p50 {p50:6.1}  p95 {p95:6.1}  p99 {p99:6.1}  (from {least:.1} to {most:.1}) {unit}"
        )
    }
}

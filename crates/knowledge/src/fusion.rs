//! Two rankings made one, as LlamaIndex's `QueryFusionRetriever` does it in its four modes. Rankings are lists of (key, score); a key
//! that stands in several is one passage.

use std::hash::Hash;

use rustc_hash::FxHashMap;

/// The constant of reciprocal rank fusion (Cormack et al. 2009): how little the first ranks tower over the rest.
const K: f64 = 60.0;

/// How rankings are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By ranks alone.
    ReciprocalRank,
    /// By scores between the worst and the best of each ranking.
    RelativeScore,
    /// By scores between three standard deviations below and above the mean.
    DistanceBased,
    /// By the best score.
    Simple,
}

/// The fused ranking, best first; equal scores in the order in which they came. Each ranking has its weight; LlamaIndex's are of sum 1.
pub fn fuse<K: Copy + Eq + Hash>(rankings: &[(&[(K, f64)], f64)], mode: Mode) -> Vec<(K, f64)> {
    let mut places: FxHashMap<K, usize> = FxHashMap::default();
    let mut fused: Vec<(K, f64)> = Vec::new();
    for (ranking, weight) in rankings {
        let mut ranking = ranking.to_vec();
        if mode == Mode::ReciprocalRank {
            ranking.sort_by(|a, b| b.1.total_cmp(&a.1));
        }
        let bounds = bounds(&ranking, mode);
        for (rank, (key, score)) in ranking.into_iter().enumerate() {
            let part = match mode {
                Mode::ReciprocalRank => 1.0 / (rank as f64 + self::K),
                Mode::RelativeScore | Mode::DistanceBased => scaled(score, bounds) * weight,
                Mode::Simple => score,
            };
            let place = *places.entry(key).or_insert(fused.len());
            match fused.get_mut(place) {
                Some((_, score)) if mode == Mode::Simple => *score = score.max(part),
                Some((_, score)) => *score += part,
                None => fused.push((key, part)),
            }
        }
    }
    fused.sort_by(|a, b| b.1.total_cmp(&a.1));
    fused
}

fn bounds<K>(ranking: &[(K, f64)], mode: Mode) -> (f64, f64) {
    let scores = || ranking.iter().map(|(_, score)| *score);
    if ranking.is_empty() {
        return (0.0, 0.0);
    }
    if mode == Mode::DistanceBased {
        let count = ranking.len() as f64;
        let mean = scores().sum::<f64>() / count;
        let deviation = (scores().map(|score| (score - mean).powi(2)).sum::<f64>() / count).sqrt();
        return (mean - 3.0 * deviation, mean + 3.0 * deviation);
    }
    (
        scores().fold(f64::INFINITY, f64::min),
        scores().fold(f64::NEG_INFINITY, f64::max),
    )
}

fn scaled(score: f64, (low, high): (f64, f64)) -> f64 {
    if high == low {
        f64::from(u8::from(high > 0.0))
    } else {
        (score - low) / (high - low)
    }
}

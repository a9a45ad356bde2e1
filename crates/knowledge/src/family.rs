//! Passages that are parts of larger ones. When most parts of a larger one are found, it is given in their place, and a part between
//! two that are found is given too: LlamaIndex's `AutoMergingRetriever`.

use rustc_hash::FxHashMap;

/// A larger passage is given when more of its parts than this are found (`simple_ratio_thresh`).
const MERGED_RATIO: f64 = 0.5;
/// Each round merges one level; documents are cut on three.
const MAX_ROUNDS: usize = 16;

/// Who is part of whom, by numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Family {
    /// The larger passage of a part.
    pub(crate) parent: FxHashMap<usize, usize>,
    /// How many parts a larger passage has.
    pub(crate) children: FxHashMap<usize, usize>,
    /// The passage after one, where both are parts.
    pub(crate) next: FxHashMap<usize, usize>,
}

/// What stands before each pair in [`Family::numbers`].
const PARENT: u32 = 0;
const CHILDREN: u32 = 1;
const NEXT: u32 = 2;

impl Family {
    /// All of it, three numbers each, as it is kept.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        let all = [
            (PARENT, &self.parent),
            (CHILDREN, &self.children),
            (NEXT, &self.next),
        ];
        let of = |(kind, map): (u32, &FxHashMap<usize, usize>)| -> Vec<u32> {
            let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            map.iter()
                .flat_map(|(number, other)| [kind, short(*number), short(*other)])
                .collect()
        };
        all.into_iter().flat_map(of).collect()
    }

    /// See [`Family::numbers`].
    pub(crate) fn of_numbers(numbers: &[u32]) -> Self {
        let mut family = Self::default();
        let (triples, _) = numbers.as_chunks::<3>();
        for [kind, number, other] in triples {
            let map = match *kind {
                PARENT => &mut family.parent,
                CHILDREN => &mut family.children,
                _ => &mut family.next,
            };
            map.insert(*number as usize, *other as usize);
        }
        family
    }

    /// The best `top_k`, then parts put together.
    pub(crate) fn merged(&self, mut found: Vec<(usize, f64)>, top_k: usize) -> Vec<(usize, f64)> {
        found.truncate(top_k);
        if self.parent.is_empty() {
            return found;
        }
        for _ in 0..MAX_ROUNDS {
            let (filled, has_filled) = self.filled(found);
            let (merged, has_merged) = self.merged_once(filled);
            found = merged;
            if !has_filled && !has_merged {
                break;
            }
        }
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found
    }

    /// What stands between two that follow one another in the ranking.
    fn filled(&self, found: Vec<(usize, f64)>) -> (Vec<(usize, f64)>, bool) {
        let mut filled: Vec<(usize, f64)> = Vec::with_capacity(found.len());
        let mut changed = false;
        for (at, (number, score)) in found.iter().copied().enumerate() {
            filled.push((number, score));
            let between = self.next.get(&number).copied();
            let (Some(between), Some((after, next_score))) = (between, found.get(at + 1)) else {
                continue;
            };
            if self.next.get(&between) == Some(after)
                && found.iter().all(|(known, _)| *known != between)
            {
                filled.push((between, f64::midpoint(score, *next_score)));
                changed = true;
            }
        }
        (filled, changed)
    }

    fn merged_once(&self, found: Vec<(usize, f64)>) -> (Vec<(usize, f64)>, bool) {
        // in the order in which they were found, so that equal scores stay in it
        let mut parents: Vec<(usize, Vec<(usize, f64)>)> = Vec::new();
        for (number, score) in &found {
            let Some(parent) = self.parent.get(number) else {
                continue;
            };
            match parents.iter_mut().find(|(known, _)| known == parent) {
                Some((_, parts)) => parts.push((*number, *score)),
                None => parents.push((*parent, vec![(*number, *score)])),
            }
        }
        parents.retain(|(parent, parts)| {
            let all = self.children.get(parent).copied().unwrap_or(1).max(1);
            parts.len() as f64 / all as f64 > MERGED_RATIO
        });
        let is_merged = |number: &usize| {
            parents
                .iter()
                .any(|(_, parts)| parts.iter().any(|(part, _)| part == number))
        };
        let mut left: Vec<(usize, f64)> = found
            .iter()
            .filter(|(number, _)| !is_merged(number))
            .copied()
            .collect();
        let changed = !parents.is_empty();
        for (parent, parts) in &parents {
            let mean = parts.iter().map(|(_, score)| score).sum::<f64>() / parts.len() as f64;
            if left.iter().all(|(known, _)| known != parent) {
                left.push((*parent, mean));
            }
        }
        (left, changed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use serde_json::Value;

    use super::*;

    /// Made by `tests/fixtures/merging.py` with LlamaIndex 0.14.25.
    #[test]
    fn parts_are_put_together_as_llamaindex_puts_them_together() {
        let fixture: Value =
            serde_json::from_str(include_str!("../tests/fixtures/merging.json")).unwrap();
        let mut family = Family::default();
        for (number, node) in fixture["nodes"].as_array().unwrap().iter().enumerate() {
            let of = |key: &str| Some(node[key].as_u64()? as usize);
            family
                .parent
                .extend(of("parent").map(|parent| (number, parent)));
            family.next.extend(of("next").map(|next| (number, next)));
            family.children.extend(
                of("children")
                    .filter(|count| *count > 0)
                    .map(|count| (number, count)),
            );
        }
        let ranking = |value: &Value| -> Vec<(usize, f64)> {
            let hits = value.as_array().unwrap().iter();
            hits.map(|hit| (hit[0].as_u64().unwrap() as usize, hit[1].as_f64().unwrap()))
                .collect()
        };
        for case in fixture["cases"].as_array().unwrap() {
            let merged = family.merged(ranking(&case["found"]), usize::MAX);
            let expected = ranking(&case["merged"]);
            let close =
                |(a, b): (&(usize, f64), &(usize, f64))| a.0 == b.0 && (a.1 - b.1).abs() < 1e-9;
            assert!(
                merged.len() == expected.len() && merged.iter().zip(&expected).all(close),
                "{case}: {merged:?}"
            );
        }
    }
}

//! Vectors, and which of them lie closest to another. All are looked at: first as 8-bit numbers, which is as fast as memory is, then
//! the best of them exactly. Up to a few hundred thousand passages that is faster than any graph at equal recall, it is ready
//! when the file is read, and filters and deletions change nothing.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use rten_simd::{Isa, SimdOp};

use crate::kept::file::Records;

/// So many of the best by the rough look are looked at exactly, and four for each that is wanted.
const RESCORED: usize = 40;
/// Numbers of a vector: 3,072 is the longest of OpenAI's.
pub const MAX_DIMENSIONS: usize = 8_192;

/// Vectors of one width, numbered from 0.
#[derive(Clone, Debug, Default)]
pub struct Vectors {
    dimensions: usize,
    rows: Rows,
    /// The same as whole numbers between -127 and 127.
    codes: Vec<i8>,
    /// What a code's unit is, by vector; 0 for a vector without direction, which is never found.
    units: Vec<f32>,
}

/// The vectors themselves, each of length 1.
#[derive(Clone, Debug)]
enum Rows {
    /// One after the other.
    Here(Vec<f32>),
    /// In the file of a kept index, from which the few that are looked at exactly are read.
    Kept(Arc<Records>),
}

impl Default for Rows {
    fn default() -> Self {
        Self::Here(Vec::new())
    }
}

/// An index's vectors as they are kept: their width, codes and units.
pub(crate) type Rough<'a> = (usize, &'a [i8], &'a [f32]);

impl Vectors {
    /// None yet, of this width.
    pub fn new(dimensions: usize) -> Self {
        Self {
            dimensions,
            ..Self::default()
        }
    }

    /// Numbers of a vector.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.units.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// One more. Its length does not count; one of another width, or with NaN, gets a number and is never found.
    pub fn push(&mut self, vector: &[f32]) {
        let norm = vector
            .iter()
            .map(|value| f64::from(*value).powi(2))
            .sum::<f64>()
            .sqrt();
        let is_whole = vector.len() == self.dimensions && norm.is_finite() && norm > 0.0;
        // what is in a file stays as it is
        let Rows::Here(rows) = &mut self.rows else {
            return;
        };
        let at = rows.len();
        if is_whole {
            let unit = vector.iter().map(|value| (f64::from(*value) / norm) as f32);
            rows.extend(unit);
        } else {
            rows.resize(at + self.dimensions, 0.0);
        }
        let row = rows.get(at..).unwrap_or_default();
        let unit = quantised(row, &mut self.codes);
        self.units.push(unit);
    }

    /// Those of a kept index; `None`: they do not belong together.
    pub(crate) fn of_parts(
        dimensions: usize,
        rows: Records,
        codes: Vec<i8>,
        units: Vec<f32>,
    ) -> Option<Self> {
        let is_whole = rows.len() == units.len()
            && (1..=MAX_DIMENSIONS).contains(&dimensions)
            && codes.len() == units.len() * dimensions;
        is_whole.then(|| Self {
            dimensions,
            rows: Rows::Kept(Arc::new(rows)),
            codes,
            units,
        })
    }

    /// As they are kept, but for the vectors themselves.
    pub(crate) fn parts(&self) -> Rough<'_> {
        (self.dimensions, &self.codes, &self.units)
    }

    /// The vector of that number, of length 1.
    pub fn row(&self, number: usize) -> Option<Cow<'_, [f32]>> {
        match &self.rows {
            Rows::Here(rows) => {
                let from = number.checked_mul(self.dimensions)?;
                let row = rows.get(from..from.checked_add(self.dimensions)?);
                row.map(Cow::Borrowed)
            }
            Rows::Kept(rows) => rows.read(number).map(Cow::Owned),
        }
    }

    /// The cosine of two vectors here.
    pub fn cosine(&self, a: usize, b: usize) -> Option<f64> {
        Some(dot(&self.row(a)?, &self.row(b)?))
    }

    /// The cosine of a vector here with another, which need not have length 1; 0 where there is none.
    pub fn cosine_to(&self, number: usize, other: &[f32]) -> f64 {
        let norm = dot(other, other).sqrt();
        let row = self
            .row(number)
            .filter(|row| row.len() == other.len() && norm > 0.0);
        row.map_or(0.0, |row| dot(&row, other) / norm)
    }

    /// The `count` closest to `query` among those that `may` be found, closest first, with their cosines; of equals the first.
    pub fn closest(
        &self,
        query: &[f32],
        count: usize,
        may: impl Fn(usize) -> bool,
    ) -> Vec<(usize, f64)> {
        let norm = dot(query, query).sqrt();
        if query.len() != self.dimensions || !(norm.is_finite() && norm > 0.0) || count == 0 {
            return Vec::new();
        }
        let query: Vec<f32> = query
            .iter()
            .map(|value| (f64::from(*value) / norm) as f32)
            .collect();
        let mut code = Vec::with_capacity(self.dimensions);
        quantised(&query, &mut code);
        let kept = RESCORED.max(count.saturating_mul(4));
        // one that cannot be read any more is not found
        let exact = |number: usize| Some((number, dot(&query, &self.row(number)?)));
        let mut found: Vec<(usize, f64)> = if self.len() <= kept {
            (0..self.len())
                .filter(|number| self.units.get(*number).is_some_and(|unit| *unit > 0.0))
                .filter(|number| may(*number))
                .filter_map(exact)
                .collect()
        } else {
            let scan = Scan {
                code: &code,
                codes: &self.codes,
                units: &self.units,
                kept,
                may,
            };
            scan.dispatch().into_iter().filter_map(exact).collect()
        };
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        found.truncate(count);
        found
    }
}

/// A vector of length 1 as whole numbers; what a unit of them is.
fn quantised(row: &[f32], codes: &mut Vec<i8>) -> f32 {
    let largest = row
        .iter()
        .fold(0.0f32, |largest, value| largest.max(value.abs()));
    let unit = largest / 127.0;
    codes.extend(
        row.iter()
            .map(|value| (value / unit.max(f32::MIN_POSITIVE)).round() as i8),
    );
    unit
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}

/// The rough look at all of them.
struct Scan<'a, F> {
    code: &'a [i8],
    codes: &'a [i8],
    units: &'a [f32],
    kept: usize,
    may: F,
}

impl<F: Fn(usize) -> bool> SimdOp for Scan<'_, F> {
    type Output = Vec<usize>;

    // compiled once for each kind of processor: the plain loops below become its widest instructions
    #[inline(always)]
    fn eval<I: Isa>(self, _: I) -> Vec<usize> {
        let mut best = Best::new(self.kept, f32::NEG_INFINITY);
        let rows = self.codes.chunks_exact(self.code.len().max(1));
        for (number, (row, unit)) in rows.zip(self.units).enumerate() {
            let score = whole_dot(row, self.code) as f32 * unit;
            if best.is_behind(score) || *unit <= 0.0 || !(self.may)(number) {
                continue;
            }
            best.keep(score, number);
        }
        best.found().map(|(number, _)| number).collect()
    }
}

#[inline(always)]
fn whole_dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter()
        .zip(b)
        .map(|(a, b)| i32::from(i16::from(*a) * i16::from(*b)))
        .sum()
}

/// The best of many candidates, of equals the first: each of the others costs a comparison.
pub(crate) struct Best {
    kept: BinaryHeap<Candidate>,
    count: usize,
    floor: f32,
}

impl Best {
    /// At most `count`, with scores above `floor`.
    pub(crate) fn new(count: usize, floor: f32) -> Self {
        let kept = BinaryHeap::new();
        Self { kept, count, floor }
    }

    /// It is none of the best. Numbers come in ascending order.
    #[inline(always)]
    pub(crate) fn is_behind(&self, score: f32) -> bool {
        score <= self.floor
    }

    #[inline(always)]
    pub(crate) fn keep(&mut self, score: f32, number: usize) {
        self.kept.push(Candidate { score, number });
        if self.kept.len() > self.count {
            self.kept.pop();
            self.floor = self.kept.peek().map_or(self.floor, |worst| worst.score);
        }
    }

    /// Numbers and scores, in no order.
    pub(crate) fn found(self) -> impl Iterator<Item = (usize, f32)> {
        let kept = self.kept.into_iter();
        kept.map(|candidate| (candidate.number, candidate.score))
    }
}

/// The worst stands first in the heap; of equals the last.
struct Candidate {
    score: f32,
    number: usize,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .score
            .total_cmp(&self.score)
            .then(self.number.cmp(&other.number))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

/// Maximal marginal relevance as LlamaIndex computes it: `threshold` of 1 counts the question alone, 0 the difference from the one
/// before. The scores are those of the measure, not cosines.
pub fn marginal(
    vectors: &Vectors,
    query: &[f32],
    count: usize,
    threshold: f64,
    may: impl Fn(usize) -> bool,
) -> Vec<(usize, f64)> {
    // all of them: what is far from the question may be farthest from the last
    let similar = vectors.closest(query, vectors.len(), may);
    let mut left: Vec<(usize, f64)> = similar;
    left.sort_by_key(|(number, _)| *number);
    let mut chosen: Vec<(usize, f64)> = Vec::new();
    while chosen.len() < count {
        let last = chosen.last().map(|(number, _)| *number);
        let score = |(number, similarity): &(usize, f64)| {
            let overlap = last.and_then(|last| vectors.cosine(*number, last));
            threshold * similarity - overlap.map_or(0.0, |overlap| (1.0 - threshold) * overlap)
        };
        let mut best: Option<(usize, f64)> = None;
        for (at, candidate) in left.iter().enumerate() {
            let score = score(candidate);
            if best.is_none_or(|(_, most)| score > most) {
                best = Some((at, score));
            }
        }
        let Some((at, score)) = best else { break };
        let (number, _) = left.remove(at);
        chosen.push((number, score));
    }
    chosen
}

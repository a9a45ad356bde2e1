//! From a model's scores to words: the likeliest token, and loops.

use rten_tensor::NdTensorView;

/// The longest phrase, in tokens, that is looked for when the model repeats itself.
const MAX_LOOP_TOKENS: usize = 4;
/// So many times the same phrase in a row is a loop on noise, not speech.
const LOOP_REPEATS: usize = 4;
/// Whole sentences are repeated, too: nobody says one three times in a breath.
const MAX_SENTENCE_TOKENS: usize = 24;
const SENTENCE_REPEATS: usize = 3;

/// A model's answer so far.
#[derive(Default)]
pub(crate) struct Tokens {
    pub(crate) ids: Vec<u32>,
    pub(crate) is_loop: bool,
    log_probability: f32,
}

impl Tokens {
    /// One more token; true when it closes a loop, which is taken out.
    pub(crate) fn push(&mut self, token: u32) -> bool {
        self.ids.push(token);
        let Some(kept) = loop_start(&self.ids) else {
            return false;
        };
        self.ids.truncate(kept);
        self.is_loop = true;
        true
    }

    /// The logarithm of the probability of a token, the end mark's too.
    pub(crate) fn note(&mut self, log_probability: f32) {
        self.log_probability += log_probability;
    }

    /// The geometric mean of the tokens' probabilities.
    pub(crate) fn confidence(&self) -> f32 {
        // the end mark counts as a token
        (self.log_probability / (self.ids.len() + 1) as f32).exp()
    }
}

/// The likeliest token of those that may come, and the logarithm of its probability among all.
pub(crate) fn likeliest(
    scores: &NdTensorView<'_, f32, 1>,
    may_come: impl Fn(u32) -> bool,
) -> Option<(u32, f32)> {
    let mut best: Option<(u32, f32)> = None;
    let mut highest = f32::NEG_INFINITY;
    for (token, score) in (0..).zip(scores.iter()) {
        highest = highest.max(*score);
        if best.is_none_or(|(_, best)| *score > best) && may_come(token) {
            best = Some((token, *score));
        }
    }
    let sum: f32 = scores.iter().map(|score| (score - highest).exp()).sum();
    best.map(|(token, score)| (token, score - highest - sum.ln()))
}

/// The probability of each of `tokens` among all.
pub(crate) fn probabilities(
    scores: &NdTensorView<'_, f32, 1>,
    tokens: impl Iterator<Item = u32>,
) -> Vec<f32> {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = scores.iter().map(|score| (score - highest).exp()).sum();
    let of = |token: u32| {
        scores
            .get([token as usize])
            .map_or(0.0, |score| (score - highest).exp() / sum)
    };
    tokens.map(of).collect()
}

/// Where a phrase that was said too often in a row ends for the first time.
fn loop_start(tokens: &[u32]) -> Option<usize> {
    let looped = |size: usize, repeats: usize| {
        let start = tokens.len().checked_sub(size * repeats)?;
        let (phrase, rest) = tokens.get(start..)?.split_at(size);
        rest.chunks(size)
            .all(|chunk| chunk == phrase)
            .then_some(start + size)
    };
    (1..=MAX_LOOP_TOKENS)
        .find_map(|size| looped(size, LOOP_REPEATS))
        .or_else(|| {
            (MAX_LOOP_TOKENS + 1..=MAX_SENTENCE_TOKENS)
                .find_map(|size| looped(size, SENTENCE_REPEATS))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rten_tensor::prelude::*;

    fn said(tokens: impl IntoIterator<Item = u32>) -> Tokens {
        let mut said = Tokens::default();
        for token in tokens {
            if said.push(token) {
                break;
            }
        }
        said
    }

    #[test]
    fn what_a_model_repeats_on_noise_is_kept_once() {
        let thanks = said([7, 8].repeat(4));
        assert_eq!((thanks.is_loop, thanks.ids), (true, vec![7, 8]));
        let sentence: Vec<u32> = (10..22).collect();
        let again = said(sentence.repeat(3));
        assert_eq!((again.is_loop, again.ids), (true, sentence.clone()));
        let twice = said(sentence.repeat(2));
        assert!(!twice.is_loop && twice.ids.len() == 24);
        assert!(!said([1, 1, 1, 2, 2, 2]).is_loop);
    }

    #[test]
    fn a_token_that_may_not_come_is_not_taken_but_counts_in_how_sure_the_model_is() {
        let scores = rten_tensor::NdTensor::from([0.0_f32, 3.0, 2.0]);
        let (token, log) = likeliest(&scores.view(), |token| token != 1).unwrap_or_default();
        assert_eq!(token, 2);
        assert!((log.exp() - 0.2595).abs() < 1e-3, "{log}");
        assert!(likeliest(&scores.view(), |_| false).is_none());
    }
}

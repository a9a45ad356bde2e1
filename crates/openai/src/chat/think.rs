//! `<think>…</think>` taken out of an answer, wherever the pieces are cut: thoughts of reasoning models are not spoken.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Text in, spoken text out.
#[derive(Debug, Default)]
pub(crate) struct ThinkFilter {
    /// The end of what was heard, when it may be the beginning of a marker.
    held: String,
    thinking: bool,
    /// White space between thoughts and the answer is not spoken either.
    trim: bool,
}

impl ThinkFilter {
    /// Hear more; what is certain to be spoken comes back.
    pub(crate) fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        let mut spoken = String::new();
        loop {
            let marker = if self.thinking { CLOSE } else { OPEN };
            if let Some(at) = self.held.find(marker) {
                let after = self.held.split_off(at + marker.len());
                let mut before = std::mem::replace(&mut self.held, after);
                before.truncate(at);
                if !self.thinking {
                    self.speak(before, &mut spoken);
                }
                self.trim |= self.thinking;
                self.thinking = !self.thinking;
                continue;
            }
            let kept = longest_prefix_at_end(&self.held, marker);
            let tail = self.held.split_off(self.held.len() - kept);
            let certain = std::mem::replace(&mut self.held, tail);
            if !self.thinking {
                self.speak(certain, &mut spoken);
            }
            return spoken;
        }
    }

    /// The answer is over: what was held back was no marker.
    pub(crate) fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        let mut spoken = String::new();
        if !self.thinking {
            self.speak(held, &mut spoken);
        }
        spoken
    }

    fn speak(&mut self, text: String, spoken: &mut String) {
        let text = if self.trim { text.trim_start() } else { &text };
        self.trim &= text.is_empty();
        spoken.push_str(text);
    }
}

/// How many bytes at the end of `text` are a beginning of `marker` (which is ASCII).
fn longest_prefix_at_end(text: &str, marker: &str) -> usize {
    (1..marker.len())
        .rev()
        .find(|&length| {
            marker
                .get(..length)
                .is_some_and(|prefix| text.ends_with(prefix))
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use proptest::prelude::*;

    use super::*;

    fn filter(pieces: &[&str]) -> String {
        let mut filter = ThinkFilter::default();
        let mut spoken: String = pieces.iter().map(|piece| filter.push(piece)).collect();
        spoken.push_str(&filter.finish());
        spoken
    }

    #[test]
    fn thoughts_are_not_spoken() {
        assert_eq!(
            filter(&["<think>hm\nhm</think>\n\nYes, at 8."]),
            "Yes, at 8."
        );
        assert_eq!(filter(&["A <think>b</think>c"]), "A c");
        assert_eq!(filter(&["<think>never ends"]), "");
    }

    #[test]
    fn what_only_looks_like_a_marker_is_spoken() {
        assert_eq!(filter(&["1 < 2 and <thin", " ice"]), "1 < 2 and <thin ice");
        assert_eq!(filter(&["2 <", "t"]), "2 <t");
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_words(
            text in "(a|é| |<|<think>|</think>|<thi|nk>|\n){0,14}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let bounds: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let mut at: Vec<usize> = cuts.iter().map(|cut| bounds[cut.index(bounds.len())]).collect();
            at.extend([0, text.len()]);
            at.sort_unstable();
            let pieces: Vec<&str> = at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(filter(&pieces), filter(&[&text]));
        }
    }
}

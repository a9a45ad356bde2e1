//! Texts in tokens of `cl100k_base`, the encoding of gpt-3.5-turbo, with which LlamaIndex counts.
//!
//! `tiktoken-rs` does the work. The vocabulary that it carries is a text of 1.7 MB; ours is a fifth of that, because a token is two
//! earlier ones joined.

use std::io::Read;
use std::sync::LazyLock;

use flate2::read::ZlibDecoder;
use rustc_hash::FxHashMap;
use tiktoken_rs::{CoreBPE, ENDOFPROMPT, ENDOFTEXT, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, Rank};

/// OpenAI's vocabulary; its README says how it is written.
static VOCABULARY: &[u8] = include_bytes!("../../vocabulary/cl100k_base.zz");
/// The first tokens are the bytes.
const BYTES: usize = 256;
/// All others are two earlier ones.
const JOINED: usize = 100_000;
/// Where a text is cut before tokens are looked for, as OpenAI's `tiktoken` has it.
const PATTERN: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s";
/// Tokens that stand for no text.
const SPECIAL: [(&str, Rank); 5] = [
    (ENDOFTEXT, 100_257),
    (FIM_PREFIX, 100_258),
    (FIM_MIDDLE, 100_259),
    (FIM_SUFFIX, 100_260),
    (ENDOFPROMPT, 100_276),
];

/// Tokens of a text.
pub fn tokens(text: &str) -> usize {
    static ENCODING: LazyLock<CoreBPE> = LazyLock::new(encoding);
    ENCODING.count_with_special_tokens(text)
}

#[expect(
    clippy::expect_used,
    reason = "nothing here comes from outside, and every count of the tests goes through it"
)]
fn encoding() -> CoreBPE {
    let ranks = vocabulary().expect("the vocabulary is whole");
    let special = SPECIAL.map(|(text, rank)| (text.to_owned(), rank));
    CoreBPE::new(ranks, special.into_iter().collect(), PATTERN).expect("the pattern is valid")
}

/// `None` for a damaged file.
fn vocabulary() -> Option<FxHashMap<Vec<u8>, Rank>> {
    let mut file = Vec::new();
    ZlibDecoder::new(VOCABULARY).read_to_end(&mut file).ok()?;
    let (bytes, halves) = file.split_at_checked(BYTES)?;
    let plane = |plane: usize| halves.get(plane * JOINED..(plane + 1) * JOINED);
    let half = |index: usize, planes: [&[u8]; 3]| {
        let [low, middle, high] = planes.map(|plane| plane.get(index).copied().map(usize::from));
        Some(low? | middle? << 8 | high? << 16)
    };
    let left = [plane(0)?, plane(1)?, plane(2)?];
    let right = [plane(3)?, plane(4)?, plane(5)?];
    let mut tokens: Vec<Vec<u8>> = bytes.iter().map(|byte| vec![*byte]).collect();
    for index in 0..JOINED {
        let left = tokens.get(half(index, left)?)?;
        let token = [left.as_slice(), tokens.get(half(index, right)?)?].concat();
        tokens.push(token);
    }
    Some(tokens.into_iter().zip(0..).collect())
}

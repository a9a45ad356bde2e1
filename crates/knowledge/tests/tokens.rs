//! The vocabulary that the program carries is OpenAI's, as `tiktoken-rs` has it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::path::PathBuf;

use antiphon_knowledge::split::tokens::tokens;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use rustc_hash::FxHashMap;
use tiktoken_rs::{Rank, byte_pair_split, cl100k_base, cl100k_base_singleton};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vocabulary/cl100k_base.zz")
}

/// What the file holds, as its README says.
fn vocabulary() -> Vec<u8> {
    let theirs = cl100k_base().unwrap();
    let mut ranks: FxHashMap<Vec<u8>, Rank> = FxHashMap::default();
    let mut file = Vec::new();
    let mut planes: [Vec<u8>; 6] = Default::default();
    for rank in 0..100_256 {
        let token = theirs.decode_bytes(&[rank]).unwrap();
        if rank < 256 {
            file.extend(&token);
        } else {
            let halves = byte_pair_split(&token, &ranks);
            assert_eq!(halves.len(), 2, "{token:?}");
            for (half, planes) in halves.iter().zip(planes.chunks_exact_mut(3)) {
                for (byte, plane) in ranks[*half].to_le_bytes().into_iter().zip(planes) {
                    plane.push(byte);
                }
            }
        }
        ranks.insert(token, rank);
    }
    file.extend(planes.concat());
    file
}

#[test]
fn the_vocabulary_is_openais() {
    let file = std::fs::File::open(path()).unwrap();
    let mut ours = Vec::new();
    ZlibDecoder::new(file).read_to_end(&mut ours).unwrap();
    assert_eq!(ours.len(), 256 + 6 * 100_000);
    assert!(ours == vocabulary());
}

#[test]
fn texts_have_as_many_tokens_as_openai_counts() {
    let theirs = cl100k_base_singleton();
    for text in [
        "",
        "We open at 8, and we're closed on Mondays.\r\n\r\n  Ask us!",
        "Grüße aus Köln 12345 — 東京で会いましょう 👩‍👩‍👧",
        "a <|endoftext|> in the middle, <|endofprompt|><|fim_prefix|>",
        "\u{1b}[0m\t\t\tif (x != null) { return x->y; }   \n",
        &"never".repeat(500),
    ] {
        assert_eq!(
            tokens(text),
            theirs.count_with_special_tokens(text),
            "{text:?}"
        );
    }
}

#[test]
#[ignore = "writes the file, for another version of tiktoken-rs"]
fn write_the_vocabulary() {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vocabulary()).unwrap();
    std::fs::write(path(), encoder.finish().unwrap()).unwrap();
}

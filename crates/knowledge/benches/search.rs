//! How long a search takes among 100,000 passages with vectors of 384 numbers, in processor time of one thread, how long a store of LlamaIndex
//! loads, and how many of the true
//! ten nearest the quick look finds. `PYTHON` names an interpreter with llama-index-core, which is then measured on the same vectors
//! (2,000 of them: it takes the time in proportion).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::expect_used,
    missing_docs
)]

use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{BoxFuture, EmbedPurpose, Embedder, ProviderInfo, Query};
use antiphon_knowledge::vectors::Vectors;
use antiphon_knowledge::{KnowledgeBase, Meaning, bm25::Bm25};

const PASSAGES: usize = 100_000;
const WIDTH: usize = 384;
const QUESTIONS: usize = 200;
/// Readings of the clock, and searches of each: on some machines it steps by 4 ms.
const READINGS: usize = 20;
const SEARCHES: usize = 50;
/// Passages of a store of LlamaIndex that is loaded: 100,000 take 1 GB of disk.
const STORED: usize = 20_000;

/// Numbers without a library: the same at every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Roughly normal.
    fn normal(&mut self) -> f32 {
        (0..6).map(|_| self.unit()).sum::<f32>() - 3.0
    }

    /// Words of a language: few are frequent.
    fn word(&mut self) -> usize {
        (20_000f32.powf(self.unit()) - 1.0) as usize
    }
}

/// Processor time of this thread, in nanoseconds.
fn spent() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ')
        .next()
        .and_then(|time| time.parse().ok())
        .unwrap_or_default()
}

fn measure(name: &str, limit_ms: f64, mut work: impl FnMut(usize)) {
    let mut means: Vec<f64> = (0..READINGS)
        .map(|reading| {
            let began = spent();
            for search in 0..SEARCHES {
                work((reading * SEARCHES + search) % QUESTIONS);
            }
            (spent() - began) as f64 / 1e6 / SEARCHES as f64
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    println!(
        "{name:28} p50 {:.3} ms cpu, worst {:.3}, of {READINGS} readings of {SEARCHES} searches; goal {limit_ms} ms",
        means[READINGS / 2],
        means[READINGS - 1]
    );
}

/// Memory of this process, in megabytes: now, and the most that it was.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    (
        of("VmRSS:").unwrap_or_default() / 1024,
        of("VmHWM:").unwrap_or_default() / 1024,
    )
}

/// A store as LlamaIndex persists it, loaded.
fn load(chance: &mut Chance) {
    use std::fmt::Write as _;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let (mut nodes, mut ids, mut vectors, mut metadata, mut documents) = Default::default();
    for number in 0..STORED {
        let comma = if number > 0 { ", " } else { "" };
        let add = |to: &mut String, text: std::fmt::Arguments<'_>| {
            write!(to, "{comma}\"n{number}\": {text}").unwrap()
        };
        let words: Vec<String> = (0..80).map(|_| format!("w{}", chance.word())).collect();
        let text = words.join(" ");
        add(
            &mut nodes,
            format_args!(
                "{{\"__data__\": {{\"id_\": \"n{number}\", \"metadata\": {{}}, \"text\": \"{text}\", \"class_name\": \"TextNode\"}}, \"__type__\": \"1\"}}"
            ),
        );
        add(&mut ids, format_args!("\\\"n{number}\\\""));
        let vector: Vec<f64> = (0..WIDTH)
            .map(|_| f64::from(chance.normal()) / 19.6)
            .collect();
        add(&mut vectors, format_args!("{vector:?}"));
        add(&mut metadata, format_args!("{{}}"));
        add(&mut documents, format_args!("\"None\""));
    }
    let ids: String = ids;
    let ids = ids.replace('"', "\\\"").replace("\\\\\"", "\\\"");
    write(
        "docstore.json",
        &format!("{{\"docstore/data\": {{{nodes}}}}}"),
    );
    write(
        "index_store.json",
        &format!(
            "{{\"index_store/data\": {{\"i\": {{\"__type__\": \"vector_store\", \"__data__\": \"{{\\\"nodes_dict\\\": {{{ids}}}}}\"}}}}}}"
        ),
    );
    write(
        "default__vector_store.json",
        &format!(
            "{{\"embedding_dict\": {{{vectors}}}, \"text_id_to_ref_doc_id\": {{{documents}}}, \"metadata_dict\": {{{metadata}}}}}"
        ),
    );
    drop((nodes, vectors, metadata, documents, ids));
    let size = std::fs::metadata(folder.path().join("default__vector_store.json"))
        .unwrap()
        .len()
        >> 20;
    let (before, _) = memory();
    let began = Instant::now();
    let base = KnowledgeBase::load(folder.path(), None).unwrap().base;
    let took = began.elapsed();
    let (after, most) = memory();
    assert!(base.has_vectors() && base.len() == STORED);
    println!(
        "load of {STORED} passages from LlamaIndex's JSON ({size} MB): {took:.2?}, memory {before} → {after} MB, at most {most}; goal 4 s of 100k; there is no \
         cache beside it"
    );
}

struct None_;

impl Embedder for None_ {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: "bench",
            model: String::new(),
        }
    }

    fn dimensions(&self) -> Option<usize> {
        Some(WIDTH)
    }

    fn embed(
        &self,
        _: Vec<String>,
        _: EmbedPurpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, ProviderError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

fn main() {
    let mut chance = Chance(0x2545_F491_4F6C_DD1D);
    load(&mut chance);
    // topics, and passages around them, as real vectors have them
    let topics: Vec<Vec<f32>> = (0..500)
        .map(|_| (0..WIDTH).map(|_| chance.normal()).collect())
        .collect();
    let near = |chance: &mut Chance| -> Vec<f32> {
        let topic = &topics[chance.next() as usize % topics.len()];
        topic.iter().map(|value| value + chance.normal()).collect()
    };
    let mut vectors = Vectors::new(WIDTH);
    for _ in 0..PASSAGES {
        vectors.push(&near(&mut chance));
    }
    let questions: Vec<Vec<f32>> = (0..QUESTIONS).map(|_| near(&mut chance)).collect();
    measure("vectors, 100k x 384", 1.5, |number| {
        assert_eq!(vectors.closest(&questions[number], 10, |_| true).len(), 10);
    });
    let mut found = 0;
    for question in questions.iter().take(50) {
        let all = vectors.closest(question, vectors.len(), |_| true);
        let ten = vectors.closest(question, 10, |_| true);
        found += ten
            .iter()
            .filter(|hit| all[..10].iter().any(|(number, _)| *number == hit.0))
            .count();
    }
    println!(
        "recall at 10: {:.3}",
        f64::from(u32::try_from(found).unwrap()) / 500.0
    );

    let text = |chance: &mut Chance, words: usize| {
        (0..words)
            .map(|_| format!("w{}", chance.word()))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let texts: Vec<String> = (0..PASSAGES).map(|_| text(&mut chance, 80)).collect();
    let asked: Vec<String> = (0..QUESTIONS).map(|_| text(&mut chance, 12)).collect();
    let bm25 = Bm25::new(texts.iter().map(String::as_str));
    measure("BM25, 100k, 12 words", 0.2, |number| {
        let _ = bm25.search(&asked[number], 10);
    });
    let began = Instant::now();
    let pages = texts
        .into_iter()
        .enumerate()
        .map(|(number, text)| (format!("{number}.md"), text));
    let base = KnowledgeBase::from_markdown(pages);
    println!(
        "index of words of {} passages: {:.1?}",
        base.len(),
        began.elapsed()
    );
    measure("words, 100k, 12 words", 2.0, |number| {
        let _ = base.ranked(&Query::from(asked[number].as_str()), None);
    });
    base.set_meaning(Meaning {
        embedder: Arc::new(None_),
        vectors: Arc::new(vectors),
    });
    measure("words and meaning, 100k", 2.0, |number| {
        let _ = base.ranked(
            &Query::from(asked[number].as_str()),
            Some(&questions[number]),
        );
    });
    match std::env::var("PYTHON") {
        Ok(python) => {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/search.py");
            let _ = Command::new(python).arg(script).status();
        }
        Err(_) => println!("PYTHON is not set: LlamaIndex is not measured"),
    }
}

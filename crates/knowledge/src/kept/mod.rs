//! An index of LlamaIndex as it was after reading, in a file of its own: 100,000 passages are there in a twentieth of a second instead of
//! seconds. The JSON stays the truth: a kept index is bound to the sizes, times, beginnings and ends of its files and to the program
//! that wrote it, and one that is of anything else, or damaged, is made anew.
//!
//! It lies beside the store, `.antiphon-….index`, or in a folder of caches when nothing may be written there.

pub(crate) mod file;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use zerocopy::IntoBytes;

use self::file::{Ends, Head, Part, Source, Writer};
use crate::base::Embedded;
use crate::bm25::Bm25;
use crate::family::Family;
use crate::llamaindex::node::sha256;
use crate::passages::{self, Passages};
use crate::search::Index;
use crate::storage::Parts;
use crate::vectors::Vectors;

/// A smaller store is read about as fast as a kept index is.
const MIN_BYTES: u64 = 4 << 20;
/// So much of a file's begin and end is looked at to tell that it is the same; the rest by its size and time.
const LOOKED_AT: u64 = 64 << 10;
/// The program that made an index: its version and its sources, since any of its rules may say which words are alike.
const BUILT: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "-",
    env!("ANTIPHON_KNOWLEDGE_SOURCES")
);
/// What an index is read from.
const FILES: [&str; 5] = [
    "docstore.json",
    "index_store.json",
    "default__vector_store.json",
    "vector_store.json",
    "property_graph_store.json",
];

/// What an index is made of; equal ones are of the same files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(String);

impl Stamp {
    /// Of the files of a store; `None`: it is too small to be kept, or cannot be looked at.
    pub(crate) fn of(folder: &Path, index_id: Option<&str>) -> Option<Self> {
        let mut stamp = format!("{:?}", index_id.unwrap_or_default());
        let mut bytes = 0u64;
        for name in FILES {
            let path = folder.join(name);
            let Ok(mut file) = File::open(&path) else {
                continue;
            };
            let about = file.metadata().ok()?;
            let changed = about.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
            bytes = bytes.saturating_add(about.len());
            let mut looked_at = Vec::new();
            (&mut file)
                .take(LOOKED_AT)
                .read_to_end(&mut looked_at)
                .ok()?;
            let end = about.len().saturating_sub(LOOKED_AT);
            file.seek(SeekFrom::Start(end)).ok()?;
            file.take(LOOKED_AT).read_to_end(&mut looked_at).ok()?;
            let sum = crc32fast::hash(&looked_at);
            let (length, nanoseconds) = (about.len(), changed.as_nanos());
            write!(stamp, " {name}:{length}:{nanoseconds}:{sum:08x}").ok()?;
        }
        (bytes >= MIN_BYTES).then_some(Self(stamp))
    }
}

/// Where a store's index may be kept, the first choice first.
pub(crate) fn places(
    folder: &Path,
    index_id: Option<&str>,
    elsewhere: Option<&Path>,
) -> Vec<PathBuf> {
    let short = |text: &str| sha256(text).chars().take(16).collect::<String>();
    let index_id = index_id.unwrap_or_default();
    let beside = folder.join(format!(".antiphon-{}.index", short(index_id)));
    let real = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
    let name = short(&format!("{}\n{index_id}", real.display()));
    let elsewhere = elsewhere.map(|elsewhere| elsewhere.join(format!("{name}.index")));
    std::iter::once(beside).chain(elsewhere).collect()
}

/// What is kept there; `None`: nothing that is whole and of this stamp.
pub(crate) fn read(place: &Path, stamp: &Stamp) -> Option<Parts> {
    let source = Source::open(File::open(place).ok()?)?;
    (source.head.built == BUILT && source.head.stamp == stamp.0)
        .then(|| taken(source))
        .flatten()
}

/// The parts of an index; `None`: they are damaged, or do not belong together.
fn taken(source: Source) -> Option<Parts> {
    let numbers = |part| source.numbers::<u32>(part);
    // the largest at once
    let (postings, rest) = std::thread::scope(|scope| {
        let postings = scope.spawn(|| {
            let scores = source.numbers::<f32>(Part::Scores)?;
            Some((numbers(Part::Numbers)?, scores))
        });
        let rest = || {
            let terms = String::from_utf8(source.numbers::<u8>(Part::Terms)?).ok()?;
            let languages = source.numbers::<u8>(Part::Languages)?;
            let vectors = (
                source.numbers::<i8>(Part::Codes)?,
                source.numbers::<f32>(Part::Units)?,
            );
            Some((terms, languages, vectors))
        };
        (rest_of(postings), rest())
    });
    let (numbers_of, scores) = postings?;
    let (terms, languages, (codes, units)) = rest?;
    let family = Family::of_numbers(&numbers(Part::Family)?);
    let ends = Ends::Listed(source.numbers::<u64>(Part::PassageEnds)?);
    let records = source.records(Part::Passages, ends, numbers(Part::PassageSums)?)?;
    let searched = source.head.searched;
    let dimensions = source.head.dimensions;
    let width = dimensions.checked_mul(size_of::<f32>())?;
    let rows = source.records(Part::Rows, Ends::Every(width), numbers(Part::RowSums)?)?;
    let bm25 = Bm25::of_parts(
        languages.len(),
        (terms, numbers(Part::TermEnds)?),
        numbers(Part::PostingEnds)?,
        numbers_of,
        scores,
    )?;
    let is_whole = languages.len() == searched && records.len() >= searched;
    let head = source.head;
    let embedded = match dimensions {
        0 => None,
        _ => Some(Embedded {
            vectors: Arc::new(Vectors::of_parts(dimensions, rows, codes, units)?),
            probes: head.probes,
        }),
    };
    let has_all = embedded
        .as_ref()
        .is_none_or(|embedded| embedded.vectors.len() == searched);
    (is_whole && has_all).then(|| Parts {
        index: Index::of_parts(head.languages, languages, bm25),
        embedded,
        family,
        passages: Passages::Kept(Arc::new(passages::Kept::new(records))),
        searched,
        warnings: head.warnings,
    })
}

/// What a thread has read; nothing when it panicked.
fn rest_of<T>(thread: std::thread::ScopedJoinHandle<'_, Option<T>>) -> Option<T> {
    thread.join().ok().flatten()
}

/// Keep an index. Whole or not at all: a file beside it takes its name at the end.
pub(crate) fn write(place: &Path, stamp: &Stamp, parts: &Parts) -> io::Result<()> {
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    // always the same one, so that writers who are killed leave one behind at most
    let mut part = PathBuf::from(place).into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let mut options = File::options();
    options.create(true).write(true).truncate(false);
    // the documents' words are in it, and the caches may be open to others where the store is not
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&part)?;
    file.try_lock()?;
    if !is_still(&part, &file)? {
        return Err(io::Error::other("another process has just written it"));
    }
    let written = file
        .set_len(0)
        .and_then(|()| write_to(BufWriter::with_capacity(1 << 20, &file), stamp, parts))
        .and_then(|()| fs::rename(&part, place));
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

/// Is this the file of that name, or has the name become another's between opening and locking it?
#[cfg(unix)]
fn is_still(path: &Path, file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (named, opened) = (fs::metadata(path)?, file.metadata()?);
    Ok((named.dev(), named.ino()) == (opened.dev(), opened.ino()))
}

/// Elsewhere nothing is kept.
#[cfg(not(unix))]
fn is_still(_: &Path, _: &File) -> io::Result<bool> {
    Ok(false)
}

fn write_to(out: impl io::Write, stamp: &Stamp, parts: &Parts) -> io::Result<()> {
    let vectors = parts.embedded.as_ref().map(|embedded| &*embedded.vectors);
    let (dimensions, codes, units) = vectors.map_or((0, &[][..], &[][..]), Vectors::parts);
    let count = vectors.map_or(0, Vectors::len);
    let rows = || (0..count).filter_map(|number| vectors?.row(number));
    let row_sums: Vec<u32> = rows().map(|row| crc32fast::hash(row.as_bytes())).collect();
    let passages = || (0..parts.passages.len()).filter_map(|number| parts.passages.get(number));
    let mut ends: Vec<u64> = Vec::new();
    let mut sums: Vec<u32> = Vec::new();
    for passage in passages() {
        let record = passages::record(&passage);
        ends.push(ends.last().copied().unwrap_or(0) + record.len() as u64);
        sums.push(crc32fast::hash(&record));
    }
    let (languages, of_passages, bm25) = parts.index.parts();
    let postings = bm25.parts();
    let mut writer = Writer::new(out);
    writer.section(of_passages)?;
    writer.section(postings.terms.as_bytes())?;
    writer.section(postings.term_ends.as_bytes())?;
    writer.section(postings.ends.as_bytes())?;
    writer.section(postings.numbers.as_bytes())?;
    writer.section(postings.scores.as_bytes())?;
    writer.section(parts.family.numbers().as_bytes())?;
    writer.section(codes.as_bytes())?;
    writer.section(units.as_bytes())?;
    writer.section(row_sums.as_bytes())?;
    writer.section(ends.as_bytes())?;
    writer.section(sums.as_bytes())?;
    writer.records(rows().map(|row| row.as_bytes().to_vec()))?;
    writer.records(passages().map(|passage| passages::record(&passage)))?;
    writer.finish(Head {
        built: BUILT.into(),
        stamp: stamp.0.clone(),
        searched: parts.searched,
        dimensions,
        languages: languages.to_vec(),
        warnings: parts.warnings.clone(),
        probes: parts
            .embedded
            .as_ref()
            .map(|embedded| embedded.probes.clone())
            .unwrap_or_default(),
        ..Head::default()
    })
}

#[cfg(test)]
mod tests;

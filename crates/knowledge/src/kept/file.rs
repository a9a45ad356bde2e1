//! The form of a kept index: sections one after the other, then a head in JSON that says where each lies, then where the head lies. Numbers are
//! little-endian, so that they are read into memory as they stand. What is damaged, cut off or of another form is no such file.
//!
//! | part | what |
//! |---|---|
//! | sections | bytes, in the order of [`Part`]; each has its CRC-32 in the head, but for records |
//! | head | JSON: [`Head`] |
//! | trailer | 16 bytes: length of the head, its CRC-32, [`MAGIC`] |

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, IntoBytes};

/// The last bytes of such a file, with the form's version.
const MAGIC: &[u8; 8] = b"antiph01";
const TRAILER: usize = 16;
/// Of a head, which has a few warnings and texts in it.
const MAX_HEAD_BYTES: usize = 4 << 20;

/// The sections, in their order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// The language of each searched passage: `u8`.
    Languages,
    /// All terms, sorted, one after the other: UTF-8.
    Terms,
    /// Where each term ends: `u32`.
    TermEnds,
    /// Where each term's postings end: `u32`.
    PostingEnds,
    /// The postings' passages: `u32`.
    Numbers,
    /// The postings' parts of the score: `f32`.
    Scores,
    /// Kind, number and value: `u32` each.
    Family,
    /// The vectors' codes: `i8`.
    Codes,
    /// Their units: `f32`.
    Units,
    /// The CRC-32 of each vector.
    RowSums,
    /// Where each passage ends: `u64`.
    PassageEnds,
    /// The CRC-32 of each passage.
    PassageSums,
    /// The vectors: records of `f32`.
    Rows,
    /// The passages: records of JSON.
    Passages,
}

const PARTS: usize = Part::Passages as usize + 1;

/// What is known of the whole.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The program that wrote it: others compare words in other ways.
    pub(crate) built: String,
    /// What it was made of.
    pub(crate) stamp: String,
    /// Passages that are searched; the others are larger ones.
    pub(crate) searched: usize,
    /// Numbers of a vector; 0: there are no vectors.
    pub(crate) dimensions: usize,
    /// The languages of the passages, the most common first.
    pub(crate) languages: Vec<usize>,
    /// What could not be read.
    pub(crate) warnings: Vec<String>,
    /// Texts whose vectors tell which model made them.
    pub(crate) probes: Vec<(usize, String)>,
    /// Where each section begins, its length, and its CRC-32.
    pub(super) sections: Vec<(u64, u64, u32)>,
}

/// A file that is being written.
pub(crate) struct Writer<W> {
    out: W,
    at: u64,
    sections: Vec<(u64, u64, u32)>,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            at: 0,
            sections: Vec::new(),
        }
    }

    /// The next section, in the order of [`Part`].
    pub(crate) fn section(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sum = crc32fast::hash(bytes);
        self.out.write_all(bytes)?;
        self.sections.push((self.at, bytes.len() as u64, sum));
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// The next section, record by record; each has its own CRC-32 elsewhere.
    pub(crate) fn records<R: AsRef<[u8]>>(
        &mut self,
        records: impl Iterator<Item = R>,
    ) -> io::Result<()> {
        let from = self.at;
        for record in records {
            self.out.write_all(record.as_ref())?;
            self.at += record.as_ref().len() as u64;
        }
        self.sections.push((from, self.at - from, 0));
        Ok(())
    }

    /// The head and the end.
    pub(crate) fn finish(mut self, head: Head) -> io::Result<()> {
        let head = serde_json::to_vec(&Head {
            sections: self.sections,
            ..head
        })?;
        let too_long = |_| io::Error::other("the head is too long");
        let length = u32::try_from(head.len()).map_err(too_long)?;
        self.out.write_all(&head)?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&crc32fast::hash(&head).to_le_bytes())?;
        self.out.write_all(MAGIC)?;
        self.out.flush()
    }
}

/// A file that is whole at its end.
pub(crate) struct Source {
    file: Arc<File>,
    pub(crate) head: Head,
}

impl Source {
    /// `None`: it is no such file, or not one that is whole.
    pub(crate) fn open(file: File) -> Option<Self> {
        if cfg!(target_endian = "big") {
            return None;
        }
        let length = file.metadata().ok()?.len();
        let mut trailer = [0; TRAILER];
        let trailer_at = length.checked_sub(TRAILER as u64)?;
        read_at(&file, &mut trailer, trailer_at)?;
        let (numbers, magic) = trailer.split_first_chunk::<8>()?;
        let [a, b, c, d, sum @ ..] = *numbers;
        if magic != MAGIC {
            return None;
        }
        let head_length = u32::from_le_bytes([a, b, c, d]) as usize;
        if head_length > MAX_HEAD_BYTES {
            return None;
        }
        let mut head = vec![0; head_length];
        let head_at = trailer_at.checked_sub(head_length as u64)?;
        read_at(&file, &mut head, head_at)?;
        if crc32fast::hash(&head) != u32::from_le_bytes(sum) {
            return None;
        }
        let head: Head = serde_json::from_slice(&head).ok()?;
        // one after the other, up to the head: together they are no larger than the file
        let mut end = 0u64;
        for (at, length, _) in &head.sections {
            if *at != end {
                return None;
            }
            end = end.checked_add(*length)?;
        }
        (head.sections.len() == PARTS && end == head_at).then(|| Self {
            file: Arc::new(file),
            head,
        })
    }

    /// A section's numbers; `None`: it is damaged.
    pub(crate) fn numbers<T>(&self, part: Part) -> Option<Vec<T>>
    where
        T: FromBytes + IntoBytes + Clone + Default,
    {
        let (at, length, sum) = *self.head.sections.get(part as usize)?;
        let length = usize::try_from(length).ok()?;
        let mut numbers = vec![T::default(); length / size_of::<T>()];
        let bytes = numbers.as_mut_slice().as_mut_bytes();
        if bytes.len() != length {
            return None;
        }
        read_at(&self.file, bytes, at)?;
        (crc32fast::hash(bytes) == sum).then_some(numbers)
    }

    /// A section that is read record by record, when one is wanted.
    pub(crate) fn records(&self, part: Part, ends: Ends, sums: Vec<u32>) -> Option<Records> {
        let (at, length, _) = *self.head.sections.get(part as usize)?;
        let last = match &ends {
            Ends::Every(width) => (*width as u64).checked_mul(sums.len() as u64)?,
            Ends::Listed(ends) if ends.len() == sums.len() => ends.last().copied().unwrap_or(0),
            Ends::Listed(_) => return None,
        };
        (last == length).then(|| Records {
            file: self.file.clone(),
            at,
            length,
            ends,
            sums,
        })
    }
}

/// Where records end.
#[derive(Debug)]
pub(crate) enum Ends {
    /// All are so long.
    Every(usize),
    /// Each has its end.
    Listed(Vec<u64>),
}

/// Records that stay in the file. It stays open, so that another file by its name changes nothing.
#[derive(Debug)]
pub(crate) struct Records {
    file: Arc<File>,
    at: u64,
    length: u64,
    ends: Ends,
    sums: Vec<u32>,
}

impl Records {
    pub(crate) fn len(&self) -> usize {
        self.sums.len()
    }

    /// `None`: there is none of that number, or it is damaged.
    pub(crate) fn read<T>(&self, number: usize) -> Option<Vec<T>>
    where
        T: FromBytes + IntoBytes + Clone + Default,
    {
        let sum = *self.sums.get(number)?;
        let (from, to) = match &self.ends {
            Ends::Every(width) => {
                let from = (number as u64).checked_mul(*width as u64)?;
                (from, from.checked_add(*width as u64)?)
            }
            Ends::Listed(ends) => {
                let before = number.checked_sub(1).and_then(|before| ends.get(before));
                (before.copied().unwrap_or(0), *ends.get(number)?)
            }
        };
        let length = to.checked_sub(from).filter(|_| to <= self.length)?;
        let mut record = vec![T::default(); usize::try_from(length).ok()? / size_of::<T>()];
        let bytes = record.as_mut_slice().as_mut_bytes();
        read_at(&self.file, bytes, self.at.checked_add(from)?)?;
        if crc32fast::hash(bytes) != sum {
            tracing::warn!(
                number,
                "a record of the kept index is damaged, or the file was changed in place; delete the file and start again"
            );
            return None;
        }
        Some(record)
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> Option<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at).ok()
}

/// Elsewhere nothing is kept.
#[cfg(not(unix))]
fn read_at(_: &File, _: &mut [u8], _: u64) -> Option<()> {
    None
}

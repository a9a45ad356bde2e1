//! Where passages are: in memory, or in the file of a kept index, from which the few that are given are read.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use antiphon_agent::provider::Filter;
use serde_json::{Map, Value};

use crate::chunk::Chunk;
use crate::filter;
use crate::kept::file::Records;

/// All passages of a base, by number.
#[derive(Clone, Debug)]
pub(crate) enum Passages {
    /// In memory.
    Here(Vec<Chunk>),
    /// In a file.
    Kept(Arc<Kept>),
}

/// Passages in a file; what filters are judged against is read when the first comes, and stays.
#[derive(Debug)]
pub(crate) struct Kept {
    records: Records,
    metadata: OnceLock<Vec<Map<String, Value>>>,
}

impl Kept {
    pub(crate) fn new(records: Records) -> Self {
        Self {
            records,
            metadata: OnceLock::new(),
        }
    }

    fn chunk(&self, number: usize) -> Option<Chunk> {
        of_record(&self.records.read(number)?)
    }

    /// A passage that cannot be read has none, and fits no filter that asks for something.
    fn metadata(&self) -> &[Map<String, Value>] {
        self.metadata.get_or_init(|| {
            let numbers = 0..self.records.len();
            let metadata = |number| self.chunk(number).map(|chunk| chunk.metadata);
            numbers
                .map(|number| metadata(number).unwrap_or_default())
                .collect()
        })
    }
}

impl Passages {
    pub(crate) fn get(&self, number: usize) -> Option<Cow<'_, Chunk>> {
        match self {
            Self::Here(chunks) => chunks.get(number).map(Cow::Borrowed),
            Self::Kept(kept) => kept.chunk(number).map(Cow::Owned),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Here(chunks) => chunks.len(),
            Self::Kept(kept) => kept.records.len(),
        }
    }

    /// Is there a passage of that number that fits?
    pub(crate) fn fits(&self, number: usize, filter: Option<&Filter>) -> bool {
        let metadata = match (filter, self) {
            (None, _) => return number < self.len(),
            (_, Self::Here(chunks)) => chunks.get(number).map(|chunk| &chunk.metadata),
            (_, Self::Kept(kept)) => kept.metadata().get(number),
        };
        filter
            .zip(metadata)
            .is_some_and(|(filter, metadata)| filter::fits(filter, metadata))
    }

    /// Filters are going to be asked for: read what they are judged against, beside the calls.
    pub(crate) fn prepare_filters(&self) {
        if let Self::Kept(kept) = self
            && kept.metadata.get().is_none()
        {
            let kept = kept.clone();
            let thread = std::thread::Builder::new().name("knowledge".into());
            // without a thread the first question that has a filter does it
            let _ = thread.spawn(move || kept.metadata().len());
        }
    }
}

/// A passage as the file has it.
pub(crate) fn record(chunk: &Chunk) -> Vec<u8> {
    let Chunk {
        text,
        source,
        page,
        id,
        metadata,
    } = chunk;
    // texts and JSON are always written
    serde_json::to_vec(&(text, source, page, id, metadata)).unwrap_or_default()
}

fn of_record(record: &[u8]) -> Option<Chunk> {
    let (text, source, page, id, metadata) = serde_json::from_slice(record).ok()?;
    Some(Chunk {
        text,
        source,
        page,
        id,
        metadata,
    })
}

//! The files inside a document that is a ZIP archive, each of a bounded size.

use std::io::{Cursor, Read as _};

use quick_xml::events::BytesStart;
use zip::ZipArchive;

/// Files inside; a large presentation has some thousands.
const MAX_FILES: usize = 20_000;
/// Largest file inside when unpacked: a sheet with a million cells.
pub(super) const MAX_UNPACKED_BYTES: u64 = 128 << 20;
/// All files that are read of a document when unpacked.
const MAX_ALL_BYTES: u64 = 256 << 20;

pub(super) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    left: u64,
}

impl<'a> Archive<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, String> {
        if bytes.starts_with(b"\xd0\xcf\x11\xe0") {
            return Err(
                "it is protected with a password, or of an Office older than 2007; save it again without one".into(),
            );
        }
        let zip = ZipArchive::new(Cursor::new(bytes))
            .map_err(|error| format!("it is damaged: {error}"))?;
        if zip.len() > MAX_FILES {
            return Err(format!(
                "it has {} files inside; at most {MAX_FILES} are looked at",
                zip.len()
            ));
        }
        Ok(Self {
            zip,
            left: MAX_ALL_BYTES,
        })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.zip
            .file_names()
            .filter_map(|name| Some(name.ok()?.into_owned()))
    }

    /// The file of this name, if there is one.
    pub(super) fn file(&mut self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let Ok(file) = self.zip.by_name(name) else {
            return Ok(None);
        };
        let limit = self.left.min(MAX_UNPACKED_BYTES);
        let mut bytes = Vec::new();
        // what the archive says of its size need not be true
        let mut size = file.size();
        if size <= limit {
            file.take(limit + 1)
                .read_to_end(&mut bytes)
                .map_err(|error| format!("{name} inside it is damaged: {error}"))?;
            size = bytes.len() as u64;
        }
        if size > limit {
            return Err(format!(
                "{name} inside it unpacks to more than {limit} bytes"
            ));
        }
        self.left -= size;
        Ok(Some(bytes))
    }

    /// The same, and an error when it is not there.
    pub(super) fn needed(&mut self, name: &str) -> Result<Vec<u8>, String> {
        self.file(name)?
            .ok_or_else(|| format!("it has no {name} inside"))
    }

    /// All that would be unpacked, by what the archive says of itself, fits.
    pub(super) fn fits(&mut self) -> Result<(), String> {
        let mut all = 0u64;
        for number in 0..self.zip.len() {
            let size = self.zip.by_index_raw(number).map_or(0, |file| file.size());
            all = all.saturating_add(size);
        }
        if all > MAX_ALL_BYTES {
            return Err(format!(
                "it unpacks to {all} bytes, more than {MAX_ALL_BYTES}"
            ));
        }
        Ok(())
    }
}

/// An attribute by its name without a prefix.
pub(super) fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = tag
        .attributes()
        .with_checks(false)
        .flatten()
        .find(|attribute| attribute.key.local_name().as_ref() == name)?;
    Some(found.value.into_owned())
}

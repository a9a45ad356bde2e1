//! Reads FlatBuffers without generated code: a table is a position in the file, and every offset is checked against its length.
//!
//! Source: the FlatBuffers binary format (flatbuffers.dev/internals). Only what the ORT format needs is here.

use crate::ModelError;

/// A table: its fields are found by their number in the schema.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    bytes: &'a [u8],
    /// Where the table begins.
    at: usize,
    /// Where its vtable begins, and how many bytes the vtable has.
    vtable: usize,
    vtable_len: usize,
}

/// A vector of 32-bit offsets, to tables or strings.
#[derive(Clone, Copy)]
pub(crate) struct Offsets<'a> {
    bytes: &'a [u8],
    at: usize,
    len: usize,
}

fn damaged(what: &'static str) -> ModelError {
    ModelError::Damaged { what }
}

/// `N` bytes at `at`.
fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], ModelError> {
    let end = at
        .checked_add(N)
        .ok_or_else(|| damaged("an offset leads out of the file"))?;
    let slice = bytes
        .get(at..end)
        .ok_or_else(|| damaged("an offset leads out of the file"))?;
    slice
        .try_into()
        .map_err(|_| damaged("an offset leads out of the file"))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<usize, ModelError> {
    Ok(u32::from_le_bytes(array(bytes, at)?) as usize)
}

/// Follows the offset that stands at `at`.
fn follow(bytes: &[u8], at: usize) -> Result<usize, ModelError> {
    at.checked_add(u32_at(bytes, at)?)
        .ok_or_else(|| damaged("an offset leads out of the file"))
}

/// Where the elements of the vector at `at` begin, and how many there are.
fn vector(bytes: &[u8], at: usize, element_bytes: usize) -> Result<(usize, usize), ModelError> {
    let len = u32_at(bytes, at)?;
    let size = len
        .checked_mul(element_bytes)
        .ok_or_else(|| damaged("a vector is longer than the file"))?;
    let first = at + 4;
    if first.checked_add(size).is_none_or(|end| end > bytes.len()) {
        return Err(damaged("a vector is longer than the file"));
    }
    Ok((first, len))
}

fn string(bytes: &[u8], at: usize) -> Result<&str, ModelError> {
    let (first, len) = vector(bytes, at, 1)?;
    let text = bytes
        .get(first..first + len)
        .ok_or_else(|| damaged("a string is longer than the file"))?;
    std::str::from_utf8(text).map_err(|_| damaged("a name is not UTF-8"))
}

impl<'a> Table<'a> {
    /// The file's root table.
    pub(crate) fn root(bytes: &'a [u8]) -> Result<Self, ModelError> {
        Self::at(bytes, u32_at(bytes, 0)?)
    }

    fn at(bytes: &'a [u8], at: usize) -> Result<Self, ModelError> {
        let back = i64::from(i32::from_le_bytes(array(bytes, at)?));
        let vtable =
            usize::try_from(at as i64 - back).map_err(|_| damaged("a table has no vtable"))?;
        let vtable_len = usize::from(u16::from_le_bytes(array(bytes, vtable)?));
        if vtable
            .checked_add(vtable_len)
            .is_none_or(|end| end > bytes.len())
        {
            return Err(damaged("a vtable is longer than the file"));
        }
        Ok(Self {
            bytes,
            at,
            vtable,
            vtable_len,
        })
    }

    /// Where field `number` stands; `None` when it has its default.
    fn field(&self, number: usize) -> Result<Option<usize>, ModelError> {
        let entry = 4 + 2 * number;
        if entry + 2 > self.vtable_len {
            return Ok(None);
        }
        let offset = usize::from(u16::from_le_bytes(array(self.bytes, self.vtable + entry)?));
        Ok((offset != 0).then_some(self.at + offset))
    }

    pub(crate) fn u8(&self, number: usize) -> Result<u8, ModelError> {
        self.field(number)?
            .map_or(Ok(0), |at| Ok(u8::from_le_bytes(array(self.bytes, at)?)))
    }

    pub(crate) fn i32(&self, number: usize) -> Result<i32, ModelError> {
        self.field(number)?
            .map_or(Ok(0), |at| Ok(i32::from_le_bytes(array(self.bytes, at)?)))
    }

    pub(crate) fn i64(&self, number: usize) -> Result<i64, ModelError> {
        self.field(number)?
            .map_or(Ok(0), |at| Ok(i64::from_le_bytes(array(self.bytes, at)?)))
    }

    pub(crate) fn f32(&self, number: usize) -> Result<f32, ModelError> {
        self.field(number)?
            .map_or(Ok(0.0), |at| Ok(f32::from_le_bytes(array(self.bytes, at)?)))
    }

    /// A string; empty when it is absent.
    pub(crate) fn string(&self, number: usize) -> Result<&'a str, ModelError> {
        self.field(number)?
            .map_or(Ok(""), |at| string(self.bytes, follow(self.bytes, at)?))
    }

    pub(crate) fn table(&self, number: usize) -> Result<Option<Self>, ModelError> {
        self.field(number)?
            .map(|at| Self::at(self.bytes, follow(self.bytes, at)?))
            .transpose()
    }

    /// A vector of bytes.
    pub(crate) fn bytes(&self, number: usize) -> Result<&'a [u8], ModelError> {
        self.elements(number, 1)
    }

    pub(crate) fn i64s(&self, number: usize) -> Result<Vec<i64>, ModelError> {
        let bytes = self.elements(number, 8)?;
        Ok(bytes
            .as_chunks::<8>()
            .0
            .iter()
            .map(|chunk| i64::from_le_bytes(*chunk))
            .collect())
    }

    pub(crate) fn f32s(&self, number: usize) -> Result<Vec<f32>, ModelError> {
        let bytes = self.elements(number, 4)?;
        Ok(bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|chunk| f32::from_le_bytes(*chunk))
            .collect())
    }

    fn elements(&self, number: usize, element_bytes: usize) -> Result<&'a [u8], ModelError> {
        let Some(at) = self.field(number)? else {
            return Ok(&[]);
        };
        let (first, len) = vector(self.bytes, follow(self.bytes, at)?, element_bytes)?;
        self.bytes
            .get(first..first + len * element_bytes)
            .ok_or_else(|| damaged("a vector is longer than the file"))
    }

    /// A vector of tables or strings; empty when it is absent.
    pub(crate) fn offsets(&self, number: usize) -> Result<Offsets<'a>, ModelError> {
        let Some(at) = self.field(number)? else {
            return Ok(Offsets {
                bytes: self.bytes,
                at: 0,
                len: 0,
            });
        };
        let (at, len) = vector(self.bytes, follow(self.bytes, at)?, 4)?;
        Ok(Offsets {
            bytes: self.bytes,
            at,
            len,
        })
    }
}

impl<'a> Offsets<'a> {
    pub(crate) fn tables(self) -> impl Iterator<Item = Result<Table<'a>, ModelError>> {
        (0..self.len)
            .map(move |index| Table::at(self.bytes, follow(self.bytes, self.at + 4 * index)?))
    }

    pub(crate) fn strings(self) -> impl Iterator<Item = Result<&'a str, ModelError>> {
        (0..self.len).map(move |index| string(self.bytes, follow(self.bytes, self.at + 4 * index)?))
    }
}

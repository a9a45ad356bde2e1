//! The numbers of a CTranslate2 model (`model.bin`): named tensors one after another.
//!
//! Source: the specification of CTranslate2's binary format, version 6, in its `model_spec.py` (MIT). Text is its length in two
//! bytes, then its bytes with a zero behind them; whole numbers are little-endian.

use std::collections::HashMap;

use crate::ModelError;
use crate::graph::Tensor;

/// The format's version since 2021.
const VERSION: u32 = 6;
/// What the file says it is.
const SPECIFICATION: &str = "WhisperSpec";
/// CTranslate2's number for 32-bit floating-point numbers, and for 16-bit ones.
const FLOAT32: u8 = 0;
const FLOAT16: u8 = 4;
const INT16: u8 = 2;

const DAMAGED: ModelError = ModelError::Damaged {
    what: "it is no CTranslate2 model of version 6",
};

struct Entry<'a> {
    shape: Vec<usize>,
    kind: u8,
    bytes: &'a [u8],
}

/// The file's tensors by name.
pub(super) struct Weights<'a>(HashMap<&'a str, Entry<'a>>);

impl<'a> Weights<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, ModelError> {
        let mut reader = Reader(bytes);
        if reader.number()? != VERSION {
            return Err(DAMAGED);
        }
        let specification = reader.text()?;
        if specification != SPECIFICATION {
            return Err(ModelError::Unsupported {
                what: format!("a CTranslate2 model of the kind {specification}"),
            });
        }
        let _revision = reader.number()?;
        let count = reader.number()?;
        let mut entries = HashMap::new();
        for _ in 0..count {
            let name = reader.text()?;
            let rank = reader.byte()?;
            let shape = (0..rank)
                .map(|_| reader.number().map(|size| size as usize))
                .collect::<Result<_, _>>()?;
            let kind = reader.byte()?;
            let length = reader.number()? as usize;
            let bytes = reader.take(length)?;
            entries.insert(name, Entry { shape, kind, bytes });
        }
        Ok(Self(entries))
    }

    /// Whether there is a tensor of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A small whole number.
    pub(super) fn number(&self, name: &str) -> Option<usize> {
        let entry = self.0.get(name).filter(|entry| entry.kind == INT16)?;
        let bytes = entry.bytes.first_chunk().copied()?;
        usize::try_from(i16::from_le_bytes(bytes)).ok()
    }

    /// The shape of a tensor, without its numbers.
    pub(super) fn shape(&self, name: &str) -> &[usize] {
        self.0.get(name).map_or(&[], |entry| &entry.shape)
    }

    pub(super) fn get(&self, name: &str) -> Result<Tensor, ModelError> {
        let unknown = |what: &str| ModelError::Unsupported {
            what: format!("the weights {name} {what}"),
        };
        let entry = self.0.get(name).ok_or_else(|| unknown("are missing"))?;
        let values: Vec<f32> = match entry.kind {
            FLOAT32 => {
                let (numbers, _) = entry.bytes.as_chunks();
                numbers.iter().copied().map(f32::from_le_bytes).collect()
            }
            FLOAT16 => {
                let (numbers, _) = entry.bytes.as_chunks();
                let bits = numbers.iter().copied().map(u16::from_le_bytes);
                bits.map(half).collect()
            }
            _ => return Err(unknown("are not floating-point numbers of 16 or 32 bits")),
        };
        let count = entry
            .shape
            .iter()
            .try_fold(1usize, |count, size| count.checked_mul(*size));
        if count != Some(values.len()) {
            return Err(unknown("are cut off"));
        }
        Ok(Tensor {
            shape: entry.shape.clone(),
            values,
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ModelError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(DAMAGED)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, ModelError> {
        self.take(1)?.first().copied().ok_or(DAMAGED)
    }

    fn number(&mut self) -> Result<u32, ModelError> {
        let bytes = self.take(4)?.first_chunk().copied().ok_or(DAMAGED)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn text(&mut self) -> Result<&'a str, ModelError> {
        let length = self.take(2)?.first_chunk().copied().ok_or(DAMAGED)?;
        let bytes = self.take(u16::from_le_bytes(length).into())?;
        let bytes = bytes.strip_suffix(b"\0").ok_or(DAMAGED)?;
        std::str::from_utf8(bytes).map_err(|_| DAMAGED)
    }
}

/// A 16-bit floating-point number (IEEE 754 binary16).
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = ((bits >> 10) & 0x1F, f32::from(bits & 0x3FF) / 1024.0);
    let size = match exponent {
        0 => fraction * 2f32.powi(-14),
        0x1F if fraction == 0.0 => f32::INFINITY,
        0x1F => f32::NAN,
        _ => (1.0 + fraction) * 2f32.powi(i32::from(exponent) - 15),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_numbers_are_read_as_the_standard_says() {
        let numbers = [
            (0x0000, 0.0),
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x3555, 0.333_251_95),
            (0x7BFF, 65_504.0),
            (0x0001, 5.960_464_5e-8),
            (0x7C00, f32::INFINITY),
        ];
        for (bits, number) in numbers {
            assert!((half(bits) - number).abs() <= number.abs() * 1e-6 || half(bits) == number);
        }
        assert!(half(0x7E00).is_nan());
    }
}

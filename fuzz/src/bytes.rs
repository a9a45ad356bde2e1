//! The fuzzer's bytes as numbers, pieces and randomness.

/// Reads from the front; zeros when nothing is left.
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// At most so many.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        head
    }

    /// A piece with its length (two bytes) before it.
    pub fn piece(&mut self) -> &'a [u8] {
        let length = self.u16();
        self.take(usize::from(length))
    }

    /// All that is left, as pieces.
    pub fn pieces(mut self) -> impl Iterator<Item = &'a [u8]> {
        std::iter::from_fn(move || (!self.is_empty()).then(|| self.piece()))
    }
}

/// Each draw uses one byte, so that changing a byte changes one decision.
impl rand::RngCore for Bytes<'_> {
    fn next_u32(&mut self) -> u32 {
        u32::from(self.byte()) * 0x0101_0101
    }

    fn next_u64(&mut self) -> u64 {
        u64::from(self.byte()) * 0x0101_0101_0101_0101
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        out.fill_with(|| self.byte());
    }
}

//! JSON as Python writes it, read from front to back without a tree: a store of 100,000 vectors is 1 GB of text. Python's `NaN` and
//! `Infinity` are read too.

/// Deeper values are refused; LlamaIndex's own stores are 6 deep, and metadata little more.
const MAX_DEPTH: usize = 128;

/// A place in a text.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

type Read<T> = Result<T, String>;

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let blanks = self
            .bytes()
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'))
            .count();
        self.at += blanks;
        self.bytes().first().copied()
    }

    fn wrong<T>(&self, what: &str) -> Read<T> {
        Err(format!("it is not JSON: {what} at byte {}", self.at))
    }

    fn expect(&mut self, byte: u8) -> Read<()> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        self.wrong(&format!("no `{}`", char::from(byte)))
    }

    /// `{"key": value, …}`: `each` reads every value, or leaves it to be skipped.
    pub(crate) fn object(
        &mut self,
        mut each: impl FnMut(String, &mut Self) -> Read<()>,
    ) -> Read<()> {
        self.expect(b'{')?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.expect(b':')?;
            self.peek();
            let from = self.at;
            each(key, self)?;
            if self.at == from {
                self.skip()?;
            }
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.wrong("no `,` or `}`"),
            }
        }
    }

    /// The text of the next value, which is passed over.
    pub(crate) fn value(&mut self) -> Read<&'a str> {
        self.peek();
        let from = self.at;
        self.skip()?;
        Ok(self.text.get(from..self.at).unwrap_or_default())
    }

    /// A list of numbers.
    pub(crate) fn numbers(&mut self, numbers: &mut Vec<f32>) -> Read<()> {
        self.expect(b'[')?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.peek();
            let length = self
                .bytes()
                .iter()
                .take_while(|byte| !matches!(byte, b',' | b']' | b' ' | b'\n' | b'\r' | b'\t'))
                .count();
            let word = self.text.get(self.at..self.at + length).unwrap_or_default();
            let Some(number) = number(word) else {
                return self.wrong("no number");
            };
            numbers.push(number);
            self.at += length;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.wrong("no `,` or `]`"),
            }
        }
    }

    pub(crate) fn string(&mut self) -> Read<String> {
        self.peek();
        let from = self.at;
        self.pass_string()?;
        let text = self.text.get(from..self.at).unwrap_or_default();
        if text.contains('\\') {
            return serde_json::from_str(text).or_else(|_| self.wrong("no text"));
        }
        Ok(text.trim_matches('"').to_owned())
    }

    fn pass_string(&mut self) -> Read<()> {
        self.expect(b'"')?;
        loop {
            let plain = self
                .bytes()
                .iter()
                .take_while(|byte| !matches!(byte, b'"' | b'\\'))
                .count();
            self.at += plain;
            match self.bytes().first() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                // what is escaped is one byte, or the first of a number's
                Some(_) if self.bytes().len() > 1 => self.at += 2,
                _ => return self.wrong("a text without an end"),
            }
        }
    }

    /// Passes over a value; only its brackets are looked at, whoever reads it looks at the rest.
    fn skip(&mut self) -> Read<()> {
        let mut open: Vec<u8> = Vec::new();
        loop {
            match self.peek() {
                Some(b'"') => self.pass_string()?,
                Some(b'{') => {
                    self.at += 1;
                    open.push(b'}');
                }
                Some(b'[') => {
                    self.at += 1;
                    open.push(b']');
                }
                Some(close @ (b'}' | b']')) if open.last() == Some(&close) => {
                    self.at += 1;
                    open.pop();
                }
                Some(b',' | b':') if !open.is_empty() => self.at += 1,
                Some(b',' | b':' | b'}' | b']') | None => return self.wrong("no value"),
                Some(_) => {
                    let word = self
                        .bytes()
                        .iter()
                        .take_while(|byte| {
                            !matches!(
                                byte,
                                b',' | b':' | b'}' | b']' | b'"' | b' ' | b'\n' | b'\r' | b'\t'
                            )
                        })
                        .count();
                    self.at += word.max(1);
                }
            }
            if open.len() > MAX_DEPTH {
                return self.wrong("values nested too deeply");
            }
            if open.is_empty() {
                return Ok(());
            }
        }
    }

    /// Nothing but white space is left.
    pub(crate) fn end(&mut self) -> Read<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.wrong("something after its end"),
        }
    }
}

/// A number as Python writes it. Nearly all of a store of vectors is numbers, and nearly all of them are a few digits below 1: those are put
/// together here, and whatever is of another form, or would not be exact to the last bit of an `f64` but one, the library reads.
fn number(word: &str) -> Option<f32> {
    let plain = || {
        let (is_negative, digits) = match word.as_bytes() {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        let [first @ b'0'..=b'9', b'.', digits @ ..] = digits else {
            return None;
        };
        // with 19 digits the sum is below 2^64; a power of ten up to the 22nd is exact
        if digits.is_empty() || digits.len() > 18 {
            return None;
        }
        let mut sum = u64::from(first - b'0');
        for digit in digits {
            let digit = digit.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            sum = sum * 10 + u64::from(digit);
        }
        let value = sum as f64 / POWERS.get(digits.len())?;
        Some((if is_negative { -value } else { value }) as f32)
    };
    plain().or_else(|| word.parse::<f64>().ok().map(|number| number as f32))
}

/// Powers of ten.
const POWERS: [f64; 19] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18,
];

/// Python writes NaN and Infinity outside texts; JSON has no such words.
pub(crate) fn without_nan(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains("NaN") && !text.contains("Infinity") {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(c) = rest.chars().next() {
        let word = ["-Infinity", "Infinity", "NaN"]
            .into_iter()
            .find(|word| !in_string && rest.starts_with(word));
        if let Some(word) = word {
            out.push_str("null");
            rest = rest.get(word.len()..).unwrap_or_default();
            continue;
        }
        let mut taken = c.len_utf8();
        match c {
            '"' => in_string = !in_string,
            '\\' if in_string => taken += rest.chars().nth(1).map_or(0, char::len_utf8),
            _ => {}
        }
        out.push_str(rest.get(..taken).unwrap_or(rest));
        rest = rest.get(taken..).unwrap_or_default();
    }
    out.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::number;

    #[test]
    fn numbers_of_every_form_are_read_and_what_is_none_is_not() {
        for (word, value) in [
            ("0.5", 0.5),
            ("-0.0", 0.0),
            ("12.25", 12.25),
            ("7", 7.0),
            ("1e-05", 1e-5),
            ("-0.123456789012345678901", -0.123_456_79),
            ("9.999999999999999999", 10.0),
        ] {
            assert_eq!(number(word), Some(value), "{word}");
        }
        assert!(number("NaN").unwrap().is_nan());
        for word in ["", "-", ".", "0.", "0.5x", "0.-5", "--0.5", "0.5.5", "{}"] {
            assert_eq!(number(word), word.parse().ok(), "{word}");
        }
    }

    proptest! {
        /// As near as two `f32` can be.
        #[test]
        fn numbers_are_those_that_the_library_reads(value in -10.0f64..10.0) {
            let (ours, theirs) = (number(&format!("{value:?}")).unwrap(), value as f32);
            prop_assert!((ours - theirs).abs() <= f32::EPSILON * theirs.abs(), "{value}");
        }
    }
}

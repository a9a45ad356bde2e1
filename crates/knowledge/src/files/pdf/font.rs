//! Codes of a font → letters and their widths. What the document says of them itself (`ToUnicode`) goes before what their encoding says.

use encoding_rs::Encoding;
use hayro_syntax::object::{Array, Dict, MaybeRef, Name, Number, Object, Stream};
use rustc_hash::FxHashMap;

use super::names;

/// Letters that a map of codes may name, and ranges of such.
const MAX_MAPPED: usize = 70_000;
/// Largest map of codes, unpacked.
const MAX_MAP_BYTES: usize = 8 << 20;
/// Code units of UTF-16 that one code may stand for.
const MAX_UNITS: usize = 32;

pub(super) struct Glyph {
    pub(super) text: String,
    /// In ems.
    pub(super) width: f64,
    /// The code of a space, for which words are set apart.
    pub(super) is_space: bool,
}

pub(super) struct Font {
    codes: Codes,
    mapped: Mapped,
    widths: FxHashMap<u32, f64>,
    missing: f64,
    /// Widths are those that are known of a font of this kind, not said by the document.
    is_guessed: bool,
}

enum Codes {
    /// One byte each, and what they are without a map.
    Bytes(Vec<String>),
    /// Two bytes each, which are no letters but by a map.
    Pairs,
    /// Text in an encoding.
    Encoded(&'static Encoding),
}

impl Font {
    pub(super) fn new(dict: &Dict<'_>) -> Self {
        let mapped = dict
            .get::<Stream<'_>>("ToUnicode")
            .and_then(|map| map.decoded_data().ok());
        let mapped = mapped.map(|map| Mapped::read(&map)).unwrap_or_default();
        let is = |name: &[u8]| {
            dict.get::<Name<'_>>("Subtype")
                .is_some_and(|kind| &*kind == name)
        };
        if is(b"Type0") {
            let inner = dict
                .get::<Array<'_>>("DescendantFonts")
                .and_then(|fonts| fonts.iter::<Dict<'_>>().next());
            let encoding = dict
                .get::<Name<'_>>("Encoding")
                .and_then(|name| encoded(&String::from_utf8_lossy(&name)));
            let (widths, missing) = inner
                .map(|inner| composite_widths(&inner))
                .unwrap_or_default();
            return Self {
                codes: encoding.map_or(Codes::Pairs, Codes::Encoded),
                mapped,
                widths,
                missing,
                is_guessed: false,
            };
        }
        let scale = match dict.get::<Array<'_>>("FontMatrix").filter(|_| is(b"Type3")) {
            Some(matrix) => matrix
                .iter::<Number>()
                .next()
                .map_or(0.001, |number| number.as_f64()),
            None => 0.001,
        };
        let first = dict
            .get::<Number>("FirstChar")
            .and_then(|first| u32::try_from(first.as_i64()).ok())
            .unwrap_or(0);
        let mut widths = FxHashMap::default();
        if let Some(list) = dict.get::<Array<'_>>("Widths") {
            widths.extend(
                (first..256).zip(list.iter::<Number>().map(|number| number.as_f64() * scale)),
            );
        }
        let descriptor = dict.get::<Dict<'_>>("FontDescriptor");
        let missing = descriptor.and_then(|descriptor| descriptor.get::<Number>("MissingWidth"));
        Self {
            codes: Codes::Bytes(simple(dict)),
            mapped,
            is_guessed: widths.is_empty(),
            widths,
            missing: missing.map_or(0.5, |number| number.as_f64() * scale),
        }
    }

    pub(super) fn glyphs(&self, codes: &[u8]) -> Vec<Glyph> {
        match &self.codes {
            Codes::Bytes(letters) => {
                let glyph = |byte: &u8| {
                    let text = match self.mapped.get(u32::from(*byte)) {
                        Some(text) => text,
                        None => letters.get(usize::from(*byte)).cloned().unwrap_or_default(),
                    };
                    self.glyph(u32::from(*byte), text, *byte == b' ')
                };
                codes.iter().map(glyph).collect()
            }
            Codes::Pairs => {
                let glyph = |pair: &[u8]| {
                    let code = pair
                        .iter()
                        .fold(0, |code, byte| code << 8 | u32::from(*byte));
                    self.glyph(code, self.mapped.get(code).unwrap_or_default(), false)
                };
                codes.chunks(2).map(glyph).collect()
            }
            Codes::Encoded(encoding) => {
                let (text, _) = encoding.decode_without_bom_handling(codes);
                let glyph = |c: char| Glyph {
                    text: c.to_string(),
                    width: if c.is_ascii() { 0.5 } else { 1.0 },
                    is_space: false,
                };
                text.chars().map(glyph).collect()
            }
        }
    }

    fn glyph(&self, code: u32, text: String, is_space: bool) -> Glyph {
        let width = match self.widths.get(&code) {
            Some(width) => *width,
            None if self.is_guessed => text.chars().next().map_or(self.missing, usual_width),
            None => self.missing,
        };
        Glyph {
            text,
            width,
            is_space,
        }
    }
}

/// The standard fonts say no widths: about those of Helvetica.
fn usual_width(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '\'' | '|' => 0.22,
        ' ' | '.' | ',' | ':' | ';' | '!' | 'I' | 'f' | 't' | '/' | '[' | ']' => 0.28,
        'r' | '(' | ')' | '-' | '"' => 0.33,
        'm' | 'M' | 'w' | 'W' | '@' | '%' => 0.88,
        c if c.is_uppercase() => 0.68,
        _ => 0.55,
    }
}

/// The letters of one-byte codes, by the font's encoding and what differs from it.
fn simple(dict: &Dict<'_>) -> Vec<String> {
    let mut base = dict
        .get::<Name<'_>>("Encoding")
        .map(|name| String::from_utf8_lossy(&name).into_owned());
    let encoding = dict.get::<Dict<'_>>("Encoding");
    if let Some(name) = encoding
        .as_ref()
        .and_then(|encoding| encoding.get::<Name<'_>>("BaseEncoding"))
    {
        base = Some(String::from_utf8_lossy(&name).into_owned());
    }
    let descriptor = dict.get::<Dict<'_>>("FontDescriptor");
    let file = descriptor
        .as_ref()
        .and_then(|descriptor| descriptor.get::<Stream<'_>>("FontFile"));
    let mut letters = match base.as_deref() {
        Some("WinAnsiEncoding") => names::by_encoding(encoding_rs::WINDOWS_1252),
        Some("MacRomanEncoding") => names::by_encoding(encoding_rs::MACINTOSH),
        _ => names::standard(),
    };
    let mut set = |code: usize, name: &str| {
        if let (Some(letter), Some(text)) = (letters.get_mut(code), names::letter(name)) {
            *letter = text;
        }
    };
    if let (None, Some(file)) = (&base, file.and_then(|file| file.decoded_data().ok())) {
        for (code, name) in own_encoding(&file) {
            set(code, &name);
        }
    }
    let Some(differences) = encoding.and_then(|encoding| encoding.get::<Array<'_>>("Differences"))
    else {
        return letters;
    };
    let mut code = 0;
    for object in differences.iter::<Object<'_>>().take(1_024) {
        match object {
            Object::Number(number) => code = usize::try_from(number.as_i64()).unwrap_or(usize::MAX),
            Object::Name(name) => {
                set(code, &String::from_utf8_lossy(&name));
                code = code.saturating_add(1);
            }
            _ => {}
        }
    }
    letters
}

/// The encoding that stands in the readable head of a Type 1 font: `dup 12 /fi put`.
fn own_encoding(file: &[u8]) -> Vec<(usize, String)> {
    let end = file
        .windows(5)
        .position(|word| word == b"eexec")
        .unwrap_or(0);
    let head = String::from_utf8_lossy(file.get(..end).unwrap_or_default());
    let words: Vec<&str> = head.split_whitespace().collect();
    let entry = |window: &[&str]| match window {
        ["dup", code, name, "put"] => {
            Some((code.parse().ok()?, name.strip_prefix('/')?.to_owned()))
        }
        _ => None,
    };
    words.windows(4).filter_map(entry).collect()
}

/// The widths of a composite font: `code [width …]` or `first last width`.
fn composite_widths(font: &Dict<'_>) -> (FxHashMap<u32, f64>, f64) {
    let missing = font
        .get::<Number>("DW")
        .map_or(1.0, |number| number.as_f64() / 1000.0);
    let mut widths = FxHashMap::default();
    let mut numbers: Vec<u32> = Vec::new();
    let list = font.get::<Array<'_>>("W");
    for object in list
        .iter()
        .flat_map(|list| list.raw_iter())
        .take(MAX_MAPPED)
    {
        let object = match object {
            MaybeRef::NotRef(object) => object,
            MaybeRef::Ref(_) => continue,
        };
        match object {
            Object::Array(list) => {
                let first = numbers.pop().unwrap_or(0);
                for (code, width) in (first..=0xFFFF).zip(list.iter::<Number>()) {
                    widths.insert(code, width.as_f64() / 1000.0);
                }
                numbers.clear();
            }
            Object::Number(number) => match numbers.as_slice() {
                [first, last] => {
                    let width = number.as_f64() / 1000.0;
                    widths.extend((*first..=(*last).min(0xFFFF)).map(|code| (code, width)));
                    numbers.clear();
                }
                _ => numbers.push(u32::try_from(number.as_i64()).unwrap_or(0)),
            },
            _ => {}
        }
        if widths.len() > MAX_MAPPED {
            break;
        }
    }
    (widths, missing)
}

/// The encoding behind the name of one of Adobe's maps (ISO 32000-1, table 118), where the codes are text.
fn encoded(name: &str) -> Option<&'static Encoding> {
    let has = |part: &str| name.contains(part);
    match name {
        _ if has("UCS2") || has("UTF16") => Some(encoding_rs::UTF_16BE),
        _ if has("RKSJ") => Some(encoding_rs::SHIFT_JIS),
        _ if has("GBK") || has("GB-EUC") || has("GBpc") => Some(encoding_rs::GB18030),
        _ if has("B5") => Some(encoding_rs::BIG5),
        _ if has("KSC") => Some(encoding_rs::EUC_KR),
        "EUC-H" | "EUC-V" => Some(encoding_rs::EUC_JP),
        _ => None,
    }
}

/// A map from codes to letters (ISO 32000-1, 9.10.3).
#[derive(Default)]
struct Mapped {
    single: FxHashMap<u32, String>,
    /// First and last code, and the letters of the first.
    ranges: Vec<(u32, u32, Vec<u16>)>,
}

enum Token<'a> {
    Hex(Vec<u8>),
    Word(&'a [u8]),
}

impl Mapped {
    fn read(map: &[u8]) -> Self {
        let mut mapped = Self::default();
        let mut tokens = Tokens(map.get(..MAX_MAP_BYTES).unwrap_or(map));
        while let Some(token) = tokens.next() {
            match token {
                Token::Word(b"beginbfchar") => {
                    while let (Some(Token::Hex(code)), Some(Token::Hex(text))) =
                        (tokens.next(), tokens.next())
                    {
                        if mapped.single.len() < MAX_MAPPED {
                            mapped.single.insert(number(&code), letters(&units(&text)));
                        }
                    }
                }
                Token::Word(b"beginbfrange") => mapped.read_ranges(&mut tokens),
                _ => {}
            }
        }
        mapped.ranges.sort_by_key(|(first, ..)| *first);
        mapped
    }

    fn read_ranges(&mut self, tokens: &mut Tokens<'_>) {
        while let (Some(Token::Hex(first)), Some(Token::Hex(last))) = (tokens.next(), tokens.next())
        {
            let (first, last) = (number(&first), number(&last));
            match tokens.next() {
                Some(Token::Hex(text)) if self.ranges.len() < MAX_MAPPED => {
                    self.ranges.push((first, last, units(&text)))
                }
                Some(Token::Word(b"[")) => {
                    let mut code = first;
                    while let Some(Token::Hex(text)) = tokens.next() {
                        if self.single.len() < MAX_MAPPED && code <= last {
                            self.single.insert(code, letters(&units(&text)));
                        }
                        code = code.saturating_add(1);
                    }
                }
                _ => {}
            }
        }
    }

    fn get(&self, code: u32) -> Option<String> {
        if let Some(text) = self.single.get(&code) {
            return Some(text.clone());
        }
        let behind = self.ranges.partition_point(|(first, ..)| *first <= code);
        let (first, _, text) = self
            .ranges
            .get(..behind)?
            .last()
            .filter(|(_, last, _)| code <= *last)?;
        let mut text = text.clone();
        let unit = text.last_mut()?;
        *unit = unit.wrapping_add(u16::try_from(code - first).unwrap_or(0));
        Some(letters(&text))
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .take(4)
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn units(bytes: &[u8]) -> Vec<u16> {
    match bytes {
        [byte] => vec![u16::from(*byte)],
        _ => bytes
            .chunks_exact(2)
            .take(MAX_UNITS)
            .filter_map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?)))
            .collect(),
    }
}

fn letters(units: &[u16]) -> String {
    let text = String::from_utf16_lossy(units);
    // a map of nothing, and letters of one's own that only this font has
    text.replace(
        |c: char| c == '\0' || c == '\u{fffd}' || ('\u{e000}'..='\u{f8ff}').contains(&c),
        "",
    )
}

/// The tokens of a map, as far as they matter.
struct Tokens<'a>(&'a [u8]);

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            self.0 = self.0.trim_ascii_start();
            let (first, rest) = self.0.split_first()?;
            match first {
                b'%' => {
                    let end = rest
                        .iter()
                        .position(|byte| matches!(byte, b'\n' | b'\r'))
                        .unwrap_or(rest.len());
                    self.0 = rest.get(end..).unwrap_or_default();
                }
                b'<' if rest.first() != Some(&b'<') => {
                    let end = rest
                        .iter()
                        .position(|byte| *byte == b'>')
                        .unwrap_or(rest.len());
                    let digits: Vec<u32> = rest
                        .get(..end)?
                        .iter()
                        .filter_map(|byte| char::from(*byte).to_digit(16))
                        .collect();
                    self.0 = rest.get(end + 1..).unwrap_or_default();
                    let byte = |pair: &[u32]| {
                        pair.iter()
                            .fold(0u8, |byte, digit| byte << 4 | *digit as u8)
                    };
                    return Some(Token::Hex(digits.chunks(2).map(byte).collect()));
                }
                b'[' | b']' | b'<' | b'>' | b'(' | b')' => {
                    let (word, rest) = self.0.split_at_checked(1)?;
                    self.0 = rest;
                    return Some(Token::Word(word));
                }
                _ => {
                    let is_end = |byte: &u8| {
                        byte.is_ascii_whitespace()
                            || matches!(byte, b'<' | b'>' | b'[' | b']' | b'(' | b')' | b'/')
                    };
                    let end = rest
                        .iter()
                        .position(is_end)
                        .map_or(self.0.len(), |end| end + 1);
                    let (word, rest) = self.0.split_at_checked(end)?;
                    self.0 = rest;
                    return Some(Token::Word(word));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_map_of_codes_is_read_with_its_ranges() {
        let map = b"/CMapName /x def % <00>\n2 beginbfchar <0003><0020> <0010> <00660069> endbfchar\n2 beginbfrange\n<0024><0026><0041> <0030> <0031> [<00E4> <D83DDE00>]\nendbfrange";
        let mapped = Mapped::read(map);
        let read = |code| mapped.get(code).unwrap_or_default();
        assert_eq!(
            [
                read(3),
                read(0x10),
                read(0x25),
                read(0x30),
                read(0x31),
                read(0x32)
            ],
            [" ", "fi", "B", "ä", "😀", ""]
        );
    }
}

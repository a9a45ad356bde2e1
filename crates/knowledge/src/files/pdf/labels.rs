//! The numbers that are printed on the pages, as far as the document says them (ISO 32000-1, 12.4.2).

use hayro_syntax::Pdf;
use hayro_syntax::object::{Array, Dict, Name, Number, Object};

/// Ranges of page numbers.
const MAX_RANGES: usize = 1_000;
const MAX_PREFIX_CHARS: usize = 20;

pub(super) fn labels(document: &Pdf, count: usize) -> Vec<String> {
    let mut ranges = ranges(document).unwrap_or_default();
    ranges.sort_by_key(|(first, _)| *first);
    let mut next = 0;
    let mut now: Option<(usize, Numbering)> = None;
    let label = |page: usize| {
        while let Some((first, numbering)) = ranges.get(next).filter(|(first, _)| *first <= page) {
            now = Some((*first, numbering.clone()));
            next += 1;
        }
        match &now {
            Some((first, numbering)) => numbering.label(page - first),
            None => (page + 1).to_string(),
        }
    };
    (0..count).map(label).collect()
}

#[derive(Clone)]
struct Numbering {
    style: u8,
    prefix: String,
    start: usize,
}

impl Numbering {
    fn label(&self, offset: usize) -> String {
        let number = self.start.saturating_add(offset);
        let said = match self.style {
            b'D' => number.to_string(),
            b'r' => roman(number),
            b'R' => roman(number).to_uppercase(),
            b'a' | b'A' => {
                let number = number.max(1) - 1;
                let letter = self
                    .style
                    .saturating_add(u8::try_from(number % 26).unwrap_or(0));
                String::from(char::from(letter)).repeat((number / 26 + 1).min(MAX_PREFIX_CHARS))
            }
            _ => String::new(),
        };
        format!("{}{said}", self.prefix)
    }
}

fn roman(mut number: usize) -> String {
    const VALUES: [(usize, &str); 13] = [
        (1000, "m"),
        (900, "cm"),
        (500, "d"),
        (400, "cd"),
        (100, "c"),
        (90, "xc"),
        (50, "l"),
        (40, "xl"),
        (10, "x"),
        (9, "ix"),
        (5, "v"),
        (4, "iv"),
        (1, "i"),
    ];
    if number > 4_000 {
        return number.to_string();
    }
    let mut said = String::new();
    for (value, letters) in VALUES {
        while number >= value {
            said.push_str(letters);
            number -= value;
        }
    }
    said
}

fn ranges(document: &Pdf) -> Option<Vec<(usize, Numbering)>> {
    let root: Dict<'_> = document.xref().get(document.xref().root_id())?;
    let numbers: Array<'_> = root.get::<Dict<'_>>("PageLabels")?.get("Nums")?;
    let mut objects = numbers.iter::<Object<'_>>().take(2 * MAX_RANGES);
    let mut ranges = Vec::new();
    while let (Some(first), Some(style)) = (objects.next(), objects.next()) {
        let (Object::Number(first), Object::Dict(style)) = (first, style) else {
            continue;
        };
        let prefix = style.get::<hayro_syntax::object::String<'_>>("P");
        let prefix = prefix.map(|prefix| {
            String::from_utf8_lossy(prefix.as_bytes())
                .chars()
                .take(MAX_PREFIX_CHARS)
                .collect()
        });
        let start = style
            .get::<Number>("St")
            .and_then(|start| usize::try_from(start.as_i64()).ok());
        let numbering = Numbering {
            style: style
                .get::<Name<'_>>("S")
                .and_then(|name| name.first().copied())
                .unwrap_or(0),
            prefix: prefix.unwrap_or_default(),
            start: start.unwrap_or(1),
        };
        if let Ok(first) = usize::try_from(first.as_i64()) {
            ranges.push((first, numbering));
        }
    }
    (!ranges.is_empty()).then_some(ranges)
}

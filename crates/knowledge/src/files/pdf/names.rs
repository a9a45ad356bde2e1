//! The names of letters in fonts (Adobe's glyph list), as far as texts have them. A letter with a mark is named after both, so that
//! Unicode's composition makes what a long list would say.

use encoding_rs::Encoding;
use unicode_normalization::UnicodeNormalization as _;

/// Marks above and below letters, by the ends of names.
const MARKS: [(&str, char); 14] = [
    ("grave", '\u{300}'),
    ("acute", '\u{301}'),
    ("circumflex", '\u{302}'),
    ("tilde", '\u{303}'),
    ("macron", '\u{304}'),
    ("breve", '\u{306}'),
    ("dotaccent", '\u{307}'),
    ("dieresis", '\u{308}'),
    ("ring", '\u{30a}'),
    ("hungarumlaut", '\u{30b}'),
    ("caron", '\u{30c}'),
    ("commaaccent", '\u{327}'),
    ("cedilla", '\u{327}'),
    ("ogonek", '\u{328}'),
];

#[rustfmt::skip]
const NAMED: [(&str, &str); 129] = [
    ("space", " "), ("nbspace", " "), ("nonbreakingspace", " "), ("exclam", "!"), ("quotedbl", "\""), ("numbersign", "#"), ("dollar", "$"),
    ("percent", "%"), ("ampersand", "&"), ("quotesingle", "'"), ("parenleft", "("), ("parenright", ")"), ("asterisk", "*"), ("plus", "+"),
    ("comma", ","), ("hyphen", "-"), ("sfthyphen", "\u{ad}"), ("softhyphen", "\u{ad}"), ("period", "."), ("slash", "/"), ("zero", "0"), ("one", "1"),
    ("two", "2"), ("three", "3"), ("four", "4"), ("five", "5"), ("six", "6"), ("seven", "7"), ("eight", "8"), ("nine", "9"), ("colon", ":"),
    ("semicolon", ";"), ("less", "<"), ("equal", "="), ("greater", ">"), ("question", "?"), ("at", "@"), ("bracketleft", "["), ("backslash", "\\"),
    ("bracketright", "]"), ("asciicircum", "^"), ("underscore", "_"), ("grave", "`"), ("braceleft", "{"), ("bar", "|"), ("braceright", "}"),
    ("asciitilde", "~"), ("exclamdown", "¡"), ("cent", "¢"), ("sterling", "£"), ("currency", "¤"), ("yen", "¥"), ("brokenbar", "¦"), ("section", "§"),
    ("dieresis", "¨"), ("copyright", "©"), ("ordfeminine", "ª"), ("guillemotleft", "«"), ("logicalnot", "¬"), ("registered", "®"), ("macron", "¯"),
    ("degree", "°"), ("plusminus", "±"), ("twosuperior", "²"), ("threesuperior", "³"), ("onesuperior", "¹"), ("acute", "´"), ("mu", "µ"),
    ("paragraph", "¶"), ("periodcentered", "·"), ("cedilla", "¸"), ("ordmasculine", "º"), ("guillemotright", "»"), ("onequarter", "¼"),
    ("onehalf", "½"), ("threequarters", "¾"), ("questiondown", "¿"), ("AE", "Æ"), ("ae", "æ"), ("Oslash", "Ø"), ("oslash", "ø"), ("OE", "Œ"),
    ("oe", "œ"), ("germandbls", "ß"), ("Eth", "Ð"), ("eth", "ð"), ("Thorn", "Þ"), ("thorn", "þ"), ("multiply", "×"), ("divide", "÷"), ("minus", "−"),
    ("dotlessi", "ı"), ("Lslash", "Ł"), ("lslash", "ł"), ("Dcroat", "Đ"), ("dcroat", "đ"), ("Hbar", "Ħ"), ("hbar", "ħ"), ("endash", "–"),
    ("emdash", "—"), ("quoteleft", "‘"), ("quoteright", "’"), ("quotesinglbase", "‚"), ("quotedblleft", "“"), ("quotedblright", "”"),
    ("quotedblbase", "„"), ("dagger", "†"), ("daggerdbl", "‡"), ("bullet", "•"), ("ellipsis", "…"), ("perthousand", "‰"), ("guilsinglleft", "‹"),
    ("guilsinglright", "›"), ("fraction", "⁄"), ("Euro", "€"), ("euro", "€"), ("trademark", "™"), ("ff", "ff"), ("fi", "fi"), ("fl", "fl"),
    ("ffi", "ffi"), ("ffl", "ffl"), ("IJ", "IJ"), ("ij", "ij"), ("notequal", "≠"), ("lessequal", "≤"), ("greaterequal", "≥"), ("approxequal", "≈"), ("nine.superior", "⁹"),
];

/// The letters of the Greek alphabet in Unicode's order, from alpha on.
#[rustfmt::skip]
const GREEK: [&str; 25] = [
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi", "omicron", "pi", "rho", "sigma1",
    "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
];

/// Adobe's standard encoding above ASCII (ISO 32000-1, annex D.2).
#[rustfmt::skip]
const STANDARD: [(usize, &str); 54] = [
    (39, "’"), (96, "‘"), (161, "¡"), (162, "¢"), (163, "£"), (164, "⁄"), (165, "¥"), (167, "§"), (168, "¤"), (169, "'"), (170, "“"), (171, "«"),
    (172, "‹"), (173, "›"), (174, "fi"), (175, "fl"), (177, "–"), (178, "†"), (179, "‡"), (180, "·"), (182, "¶"), (183, "•"), (184, "‚"), (185, "„"),
    (186, "”"), (187, "»"), (188, "…"), (189, "‰"), (191, "¿"), (193, "`"), (194, "´"), (195, "ˆ"), (196, "˜"), (197, "¯"), (198, "˘"), (199, "˙"),
    (200, "¨"), (202, "˚"), (203, "¸"), (205, "˝"), (206, "˛"), (207, "ˇ"), (208, "—"), (225, "Æ"), (227, "ª"), (232, "Ł"), (233, "Ø"), (234, "Œ"),
    (235, "º"), (241, "æ"), (245, "ı"), (248, "ł"), (249, "ø"), (250, "œ"),
];

/// The letters of a name; `None`: it is not known.
pub(super) fn letter(name: &str) -> Option<String> {
    // "a.swash" is an a, "f_i" two letters
    let name = match name.split_once('.') {
        Some((before, _)) if !before.is_empty() => before,
        _ => name,
    };
    if name.contains('_') && name.len() > 1 {
        return name.split('_').map(letter).collect();
    }
    if let Some((_, text)) = NAMED.iter().find(|(known, _)| *known == name) {
        return Some((*text).to_owned());
    }
    let mut letters = name.chars();
    if let (Some(only), None) = (letters.next(), letters.next()) {
        return only.is_alphabetic().then(|| only.to_string());
    }
    by_number(name)
        .or_else(|| greek(name))
        .or_else(|| marked(name))
}

/// `uni00E4`, `u1F600`, and Cyrillic by Adobe's numbers, `afii10017`.
fn by_number(name: &str) -> Option<String> {
    if let Some(number) = name
        .strip_prefix("afii")
        .and_then(|number| number.parse::<u32>().ok())
    {
        let code = match number {
            10_023 => 0x401,
            10_071 => 0x451,
            10_017..=10_022 => 0x410 + number - 10_017,
            10_024..=10_049 => 0x416 + number - 10_024,
            10_065..=10_070 => 0x430 + number - 10_065,
            10_072..=10_097 => 0x436 + number - 10_072,
            _ => return None,
        };
        return char::from_u32(code).map(String::from);
    }
    if let Some(units) = name
        .strip_prefix("uni")
        .filter(|units| units.len() >= 4 && units.len() % 4 == 0)
    {
        let units: Option<Vec<u16>> = units
            .as_bytes()
            .chunks(4)
            .map(|unit| u16::from_str_radix(std::str::from_utf8(unit).ok()?, 16).ok())
            .collect();
        return units.map(|units| String::from_utf16_lossy(&units));
    }
    let code = name
        .strip_prefix('u')
        .filter(|code| (4..=6).contains(&code.len()))?;
    char::from_u32(u32::from_str_radix(code, 16).ok()?).map(String::from)
}

fn greek(name: &str) -> Option<String> {
    let small = name.to_lowercase();
    let place = GREEK.iter().position(|known| *known == small)?;
    let first = if name.starts_with(char::is_uppercase) {
        0x391
    } else {
        0x3b1
    };
    char::from_u32(first + u32::try_from(place).ok()?).map(String::from)
}

/// A letter and its mark: `eacute`.
fn marked(name: &str) -> Option<String> {
    MARKS.iter().find_map(|(mark, sign)| {
        let base = name.strip_suffix(mark)?;
        let base = match base {
            "dotlessi" => 'i',
            _ => base
                .chars()
                .next()
                .filter(|letter| letter.len_utf8() == base.len() && letter.is_alphabetic())?,
        };
        Some([base, *sign].into_iter().nfc().collect())
    })
}

/// The 256 letters of an encoding of one byte.
pub(super) fn by_encoding(encoding: &'static Encoding) -> Vec<String> {
    let letter = |byte: u8| {
        let byte = [byte];
        let (text, _) = encoding.decode_without_bom_handling(&byte);
        match text.chars().next() {
            Some(c) if !c.is_control() => text.into_owned(),
            _ => String::new(),
        }
    };
    (0..=255).map(letter).collect()
}

/// Those of Adobe's standard encoding.
pub(super) fn standard() -> Vec<String> {
    let ascii = |code: u8| {
        if (32..127).contains(&code) {
            char::from(code).to_string()
        } else {
            String::new()
        }
    };
    let mut letters: Vec<String> = (0..=255).map(ascii).collect();
    for (code, text) in STANDARD {
        if let Some(letter) = letters.get_mut(code) {
            text.clone_into(letter);
        }
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_known_by_their_names() {
        let names = [
            ("A", "A"),
            ("eacute", "é"),
            ("Scaron", "Š"),
            ("germandbls", "ß"),
            ("ffi", "ffi"),
            ("f_i", "fi"),
            ("uni00E4", "ä"),
            ("u1F600", "😀"),
            ("afii10017", "А"),
            ("afii10072", "ж"),
            ("Omega", "Ω"),
            ("sigma1", "ς"),
            ("a.sc", "a"),
            ("Gbreve", "Ğ"),
            ("scedilla", "ş"),
            ("Aring", "Å"),
        ];
        for (name, text) in names {
            assert_eq!(letter(name).as_deref(), Some(text), "{name}");
        }
        for name in ["g37", ".notdef", "", "cid:12", "uniXYZW"] {
            assert_eq!(letter(name), None, "{name}");
        }
    }
}

//! Bytes → text: byte-order marks, UTF-16 with and without one, a page's own word about its encoding, and for the rest what
//! the bytes look like (Windows-1252, Shift_JIS and so on). A stray byte costs itself, never the file.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// A page names its encoding within so many bytes (HTML, 13.2.3.2).
const MAX_PRESCAN_BYTES: usize = 1024;
/// The encoding of text is guessed from so much of it.
const MAX_GUESS_BYTES: usize = 64 * 1024;
/// So many control characters stand in any text, and one more in so many characters; of random bytes one in twelve is one.
const STRAY_CONTROLS: usize = 2;
const CHARS_PER_STRAY_CONTROL: usize = 100;
/// Alphabets of one text, by their first bytes: Vietnamese needs two beside ASCII's.
const MAX_ALPHABETS: usize = 3;

/// How files begin that are no text, whatever they are called, and what they are.
const MAGIC: [(&[u8], &str); 26] = [
    (b"%PDF-", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"{\\rtf", "an RTF document"),
    (
        b"PK\x03\x04",
        "a ZIP archive, as Word, Excel and LibreOffice save their documents",
    ),
    (b"\xd0\xcf\x11\xe0", "a document of an old Microsoft Office"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF87a", "a GIF picture"),
    (b"GIF89a", "a GIF picture"),
    (b"RIFF", "a sound, a film or a picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"OggS", "a sound or a film"),
    (b"fLaC", "a sound"),
    (b"ID3", "a sound"),
    (b"\x1a\x45\xdf\xa3", "a film"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"\0asm", "a program"),
    (b"SQLite format 3\0", "an SQLite database"),
];
/// Words may begin like these: they tell only together with bytes that no text has.
const ALSO_WORDS: [&[u8]; 5] = [b"RIFF", b"ID3", b"BZh", b"OggS", b"Rar!"];

/// The text of a file, its lines ended by `\n`; `is_html`: it may name its encoding.
///
/// # Errors
/// It is not text, in words.
pub fn text(bytes: &[u8], is_html: bool) -> Result<String, String> {
    if let Some(what) = magic(bytes) {
        return Err(format!(
            "it is {what}, whatever its name says; save its words as Markdown, text or HTML"
        ));
    }
    let text = decoded(bytes, is_html)
        .filter(|text| !is_binary(text))
        .ok_or("it is not text in an encoding that is known; save it as UTF-8")?;
    // files that were joined have marks in the middle
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    Ok(text.replace(|c| is_control(c) || c == '\u{feff}', ""))
}

fn magic(bytes: &[u8]) -> Option<&'static str> {
    let has_other = || {
        let head = bytes.iter().take(MAX_PRESCAN_BYTES);
        head.filter(|byte| is_control(char::from(**byte))).count() > STRAY_CONTROLS
    };
    MAGIC
        .iter()
        .find(|(magic, _)| {
            bytes.trim_ascii_start().starts_with(magic)
                && (!ALSO_WORDS.contains(magic) || has_other())
        })
        .map(|(_, what)| *what)
}

/// What could be read of it; stray bytes cost themselves, a crowd of them the file.
fn tolerant(text: &str) -> Option<String> {
    let stray = text.matches(char::REPLACEMENT_CHARACTER).count();
    let characters = text.chars().count() - stray;
    (stray == 0
        || stray <= STRAY_CONTROLS + characters / CHARS_PER_STRAY_CONTROL && stray < characters)
        .then(|| text.replace(char::REPLACEMENT_CHARACTER, ""))
}

fn is_control(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{e}'..='\u{1a}')
}

fn is_binary(text: &str) -> bool {
    let controls = text.chars().filter(|c| is_control(*c)).count();
    controls > STRAY_CONTROLS + text.chars().count() / CHARS_PER_STRAY_CONTROL
}

fn decoded(bytes: &[u8], is_html: bool) -> Option<String> {
    if let Some(text) = utf_32(bytes) {
        return text;
    }
    let (encoding, bytes) = match Encoding::for_bom(bytes) {
        Some((encoding, mark)) => (Some(encoding), bytes.get(mark..).unwrap_or_default()),
        None => (utf_16(bytes), bytes),
    };
    let encoding = match encoding {
        Some(encoding) if encoding != UTF_8 => encoding,
        _ => match mostly_utf_8(bytes) {
            Some(text) => return Some(text),
            None => guessed(bytes, is_html),
        },
    };
    tolerant(&encoding.decode_without_bom_handling(bytes).0)
}

/// UTF-8 in which not more bytes are none than characters of it are several: those are Windows-1252.
fn mostly_utf_8(bytes: &[u8]) -> Option<String> {
    let (mut wide, mut stray) = (0usize, 0usize);
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.push_str(&WINDOWS_1252.decode_without_bom_handling(chunk.invalid()).0);
        wide += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        stray += chunk.invalid().len();
    }
    (stray <= wide).then_some(text)
}

fn guessed(bytes: &[u8], is_html: bool) -> &'static Encoding {
    if let Some(encoding) = is_html.then(|| named(bytes)).flatten() {
        return encoding;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes.get(..MAX_GUESS_BYTES).unwrap_or(bytes), true);
    detector.guess(None, Utf8Detection::Deny)
}

/// UTF-32 with its mark. `Some(None)`: it begins like it and is none.
fn utf_32(bytes: &[u8]) -> Option<Option<String>> {
    let read: fn([u8; 4]) -> u32 = match bytes {
        [0xff, 0xfe, 0, 0, ..] => u32::from_le_bytes,
        [0, 0, 0xfe, 0xff, ..] => u32::from_be_bytes,
        _ => return None,
    };
    let (characters, rest) = bytes.as_chunks::<4>();
    let read = characters
        .iter()
        .map(|four| char::from_u32(read(*four)).unwrap_or(char::REPLACEMENT_CHARACTER));
    let cut = (!rest.is_empty()).then_some(char::REPLACEMENT_CHARACTER);
    Some(tolerant(&read.chain(cut).collect::<String>()))
}

/// UTF-16 without a mark: of what is no UTF-8, or UTF-8 only with a crowd of control characters, every other byte may be zero
/// and the ones between hardly ever are; or all of it is Chinese or Japanese.
fn utf_16(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = bytes.get(..MAX_GUESS_BYTES).unwrap_or(bytes);
    let (pairs, _) = sample.as_chunks::<2>();
    if pairs.is_empty() {
        return None;
    }
    let zeros = |at: usize| pairs.iter().filter(|pair| pair.get(at) == Some(&0)).count();
    let (high_first, low_first) = (zeros(0), zeros(1));
    if std::str::from_utf8(bytes).is_ok_and(|text| !is_binary(text)) {
        return None;
    }
    let decoded = |encoding: &'static Encoding| {
        tolerant(&encoding.decode_without_bom_handling(bytes).0).filter(|text| is_coherent(text))
    };
    let by_zeros = match (high_first, low_first) {
        (big, little) if big > 8 * little => Some(UTF_16BE),
        (big, little) if little > 8 * big => Some(UTF_16LE),
        _ => None,
    };
    if let Some(encoding) = by_zeros {
        return decoded(encoding).map(|_| encoding);
    }
    [UTF_16LE, UTF_16BE]
        .into_iter()
        .find(|encoding| decoded(encoding).is_some_and(|text| is_east_asian(&text)))
}

/// Are its letters of few alphabets? Bytes that are no text fall into any.
fn is_coherent(text: &str) -> bool {
    let mut blocks: Vec<u32> = Vec::new();
    for c in text.chars() {
        let block = u32::from(c) >> 8;
        // Latin, punctuation, kana, Chinese, Korean, forms of width, and what UTF-16 has in two units
        let is_common =
            matches!(block, 0 | 0x20..=0x33 | 0x4e..=0x9f | 0xac..=0xd7 | 0xfe..=0xff | 0x100..);
        if !is_common && !blocks.contains(&block) {
            blocks.push(block);
        }
        if blocks.len() > MAX_ALPHABETS {
            return false;
        }
    }
    true
}

/// Almost all of it Chinese or Japanese, with marks or kana: what is in another encoding falls into many scripts, or has no
/// such marks. (Korean has spaces, which are found by their zeros.)
fn is_east_asian(text: &str) -> bool {
    let (mut marks, mut han, mut all) = (0usize, 0usize, 0usize);
    for c in text.chars().filter(|c| !c.is_ascii()) {
        all += 1;
        marks += usize::from(matches!(c, '\u{3000}'..='\u{30ff}' | '\u{ff00}'..='\u{ffef}'));
        han += usize::from(matches!(c, '\u{4e00}'..='\u{9fff}'));
    }
    marks > 0 && 20 * (marks + han) >= 19 * all
}

/// The encoding that a page names: `<meta charset="…">` and its older form.
fn named(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes
        .get(..MAX_PRESCAN_BYTES)
        .unwrap_or(bytes)
        .to_ascii_lowercase();
    let head = String::from_utf8_lossy(&head);
    let after = head
        .split("<meta")
        .skip(1)
        .find_map(|tag| tag.split('>').next()?.split_once("charset"))?
        .1;
    let label = after.trim_start_matches(['=', ' ', '"', '\'']);
    let end = label
        .find(['"', '\'', ' ', ';', '/', '>'])
        .unwrap_or(label.len());
    let encoding = Encoding::for_label(label.get(..end)?.as_bytes())?;
    // what reads as ASCII and not as UTF-8 is none of these, whatever it says
    (![UTF_8, UTF_16BE, UTF_16LE].contains(&encoding)).then_some(encoding)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]
    use super::*;

    fn utf_16(text: &str, is_big: bool) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| {
                if is_big {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                }
            })
            .collect()
    }

    #[test]
    fn a_text_is_read_in_whatever_encoding_it_was_saved() {
        let german = "Öffnungszeiten: täglich von 9 bis 18 Uhr, außer montags – „Grüße“ für 5 €.";
        let mut marked = vec![0xef, 0xbb, 0xbf];
        marked.extend(german.as_bytes());
        let windows = encoding_rs::WINDOWS_1252.encode(german).0;
        for bytes in [
            german.as_bytes(),
            &marked,
            &windows,
            &utf_16(german, true),
            &utf_16(german, false),
        ] {
            assert_eq!(text(bytes, false).as_deref(), Ok(german));
        }
        let with_mark = |is_big| utf_16(&format!("\u{feff}{german}"), is_big);
        assert_eq!(text(&with_mark(true), false).as_deref(), Ok(german));
        assert_eq!(text(&with_mark(false), false).as_deref(), Ok(german));
        let japanese = "営業時間は午前九時から午後六時までです。駐車場は店の裏にあります。";
        assert_eq!(
            text(&encoding_rs::SHIFT_JIS.encode(japanese).0, false).as_deref(),
            Ok(japanese)
        );
        let chinese = "营业时间 上午九点\n停车场 在楼后面\n欢迎 光临";
        assert_eq!(text(&utf_16(chinese, true), false).as_deref(), Ok(chinese));
    }

    #[test]
    fn a_page_says_itself_how_it_is_encoded() {
        let page = "<html><head><meta http-equiv=Content-Type content='text/html; charset=ISO-8859-2'></head><p>Otwarte w sobotę</p>";
        let bytes = encoding_rs::ISO_8859_2.encode(page).0;
        assert_eq!(text(&bytes, true).as_deref(), Ok(page));
        let page = "<meta charset=\"windows-1251\"><p>Мы открыты</p>";
        assert_eq!(
            text(&encoding_rs::WINDOWS_1251.encode(page).0, true).as_deref(),
            Ok(page)
        );
    }

    #[test]
    fn a_stray_byte_costs_itself_and_not_the_file() {
        for (bytes, read) in [
            (&b"Menu and opening hours\0"[..], "Menu and opening hours"),
            (b"\0Menu", "Menu"),
            (b"Menu\0\0, soup, fish.", "Menu, soup, fish."),
            (b"Menu\x1a", "Menu"),
            (
                b"Caf\xc3\xa9, Stra\xdfe 5 \xe2\x80\x93 nine",
                "Café, Straße 5 – nine",
            ),
            (b"\xef\xbb\xbfNine \x96 five, \xc3\xa9", "Nine – five, é"),
            (b"One\xef\xbb\xbfTwo", "OneTwo"),
            (b"One\r\nTwo\rThree", "One\nTwo\nThree"),
            (b"", ""),
        ] {
            assert_eq!(text(bytes, false).as_deref(), Ok(read));
        }
        // the page is wrong about itself
        let page = b"<meta charset=utf-8><p>Caf\xe9 au lait, d\xe9j\xe0 vu";
        assert_eq!(
            text(page, true).as_deref(),
            Ok("<meta charset=utf-8><p>Café au lait, déjà vu")
        );
    }

    #[test]
    fn wide_encodings_are_read_with_and_without_a_mark() {
        let words = "Öffnungszeiten: 9–18 Uhr 🙂";
        let wide = |read: fn(u32) -> [u8; 4]| -> Vec<u8> {
            let marked = format!("\u{feff}{words}");
            marked.chars().flat_map(|c| read(c.into())).collect()
        };
        assert_eq!(text(&wide(u32::to_le_bytes), false).as_deref(), Ok(words));
        assert_eq!(text(&wide(u32::to_be_bytes), false).as_deref(), Ok(words));
        for words in [
            "营业时间：上午九点到下午六点。",
            "営業時間は午前九時からです。",
            "영업시간은 아홉 시부터입니다",
        ] {
            for is_big in [true, false] {
                assert_eq!(text(&utf_16(words, is_big), false).as_deref(), Ok(words));
            }
        }
        for encoding in [encoding_rs::GBK, encoding_rs::BIG5] {
            let words = "營業時間為上午九點至下午六點，停車場在樓後面，歡迎光臨。";
            assert_eq!(text(&encoding.encode(words).0, false).as_deref(), Ok(words));
        }
        let korean = "영업시간은 아침 아홉 시부터 저녁 여섯 시까지입니다.";
        assert_eq!(
            text(&encoding_rs::EUC_KR.encode(korean).0, false).as_deref(),
            Ok(korean)
        );
    }

    #[test]
    fn half_a_character_costs_itself_in_any_wide_encoding() {
        let words = "Opening hours: we open at nine. Café ☕.\n";
        for is_big in [true, false] {
            let marked = utf_16(&format!("\u{feff}{words}"), is_big);
            let lone = if is_big { [0xd8, 0x3d] } else { [0x3d, 0xd8] };
            let with = |tail: &[u8]| [marked.as_slice(), tail].concat();
            let read = |bytes: &[u8]| text(bytes, false);
            assert_eq!(read(&with(b"\n")).as_deref(), Ok(words));
            assert_eq!(read(&with(b"\0")).as_deref(), Ok(words));
            assert_eq!(read(&with(&lone)).as_deref(), Ok(words));
            let inside = [with(&lone), utf_16("end", is_big)].concat();
            assert_eq!(read(&inside), Ok(format!("{words}end")));
            let plain = utf_16(&"Opening hours: nine.\n".repeat(3), is_big);
            let odd = [plain.as_slice(), b"\n"].concat();
            assert_eq!(read(&odd), Ok("Opening hours: nine.\n".repeat(3)));
        }
        let wide: Vec<u8> = format!("\u{feff}{words}")
            .chars()
            .flat_map(|c| u32::from(c).to_le_bytes())
            .chain([1])
            .collect();
        assert_eq!(text(&wide, false).as_deref(), Ok(words));
    }

    #[test]
    fn what_is_a_document_of_another_kind_says_so() {
        let zeros = [0, 0, 0, 0];
        for (bytes, what) in [
            (
                &b"%PDF-1.4\n\x00\x01\x02\x03\x04\x05\x06\x07\x0e\x0f\x10\x11\x12"[..],
                "a PDF",
            ),
            (b"%PDF-1.7 all of it readable", "a PDF"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG"),
            (b"PK\x03\x04\x14\0\x06\0", "a ZIP"),
            (b"\x7fELF\x02\x01\x01\0", "a program"),
            (b"{\\rtf1\\ansi Hello}", "an RTF"),
            (&[&b"RIFF"[..], &zeros, b"WAVE"].concat(), "a sound"),
        ] {
            let error = text(bytes, false).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
        assert!(text(b"RIFFS and chords: a course for guitars.", false).is_ok());
        // bytes that would be Chinese or any script in UTF-16
        let noise: Vec<u8> = (0..600_u32)
            .map(|n| ((n * n * 31 + n * 7) % 251) as u8)
            .collect();
        assert!(text(&noise, false).is_err());
    }

    #[test]
    fn what_is_no_text_is_not_taken_for_one() {
        for bytes in [
            &b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01"[..],
            &[0xff, 0xfe, 0x00],
            b"a\0b\0\0c",
            &[1, 2, 3, 200, 201],
        ] {
            assert!(text(bytes, false).is_err(), "{bytes:?}");
        }
    }
}

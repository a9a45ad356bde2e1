//! Bytes → text: byte-order marks, UTF-16 with and without one, a page's own word about its encoding, and for the rest what
//! the bytes look like (Windows-1252, Shift_JIS and so on).

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// A page names its encoding within so many bytes (HTML, 13.2.3.2).
const MAX_PRESCAN_BYTES: usize = 1024;
/// The encoding of text is guessed from so much of it.
const MAX_GUESS_BYTES: usize = 64 * 1024;

/// The text of a file; `is_html`: it may name its encoding.
///
/// # Errors
/// It is not text, in words.
pub fn text(bytes: &[u8], is_html: bool) -> Result<String, String> {
    let (encoding, bytes) = match Encoding::for_bom(bytes) {
        Some((encoding, mark)) => (encoding, bytes.get(mark..).unwrap_or_default()),
        None => (encoding(bytes, is_html), bytes),
    };
    let (text, had_errors) = encoding.decode_without_bom_handling(bytes);
    let is_binary = text
        .chars()
        .any(|c| matches!(c, '\0'..='\u{8}' | '\u{e}'..='\u{1a}'));
    if had_errors || is_binary {
        return Err("it is not text in an encoding that is known; save it as UTF-8".to_owned());
    }
    Ok(text.into_owned())
}

fn encoding(bytes: &[u8], is_html: bool) -> &'static Encoding {
    if let Some(encoding) = utf_16(bytes) {
        return encoding;
    }
    if std::str::from_utf8(bytes).is_ok() {
        return UTF_8;
    }
    if let Some(encoding) = is_html.then(|| named(bytes)).flatten() {
        return encoding;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes.get(..MAX_GUESS_BYTES).unwrap_or(bytes), true);
    detector.guess(None, Utf8Detection::Deny)
}

/// UTF-16 without a mark: of almost every pair of bytes the same one is zero, or pairs of bytes are spaces and line ends.
fn utf_16(bytes: &[u8]) -> Option<&'static Encoding> {
    let pairs = bytes
        .get(..MAX_GUESS_BYTES)
        .unwrap_or(bytes)
        .as_chunks::<2>()
        .0;
    let zeros = |at: usize| pairs.iter().filter(|pair| pair.get(at) == Some(&0)).count();
    let (high_first, low_first) = (zeros(0), zeros(1));
    match (high_first, low_first) {
        (0, 0) => None,
        (big, little) if big > 8 * little => Some(UTF_16BE),
        (big, little) if little > 8 * big => Some(UTF_16LE),
        _ => None,
    }
    .filter(|encoding| {
        bytes.len().is_multiple_of(2) && !encoding.decode_without_bom_handling(bytes).1
    })
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
    // what reads as ASCII is none of these, whatever it says
    (encoding != UTF_16BE && encoding != UTF_16LE).then_some(encoding)
}

#[cfg(test)]
mod tests {
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

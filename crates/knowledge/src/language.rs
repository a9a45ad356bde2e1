//! Which language a text is in: by its small words and by its letters.

use std::sync::LazyLock;

use rust_stemmers::Algorithm;
use rustc_hash::FxHashMap;

/// A language, by its place in [`LANGUAGES`].
pub(crate) type Language = usize;

/// Languages with a list of words without meaning, and Snowball's stemmer where there is one. Of equally likely ones the first is taken.
pub(crate) const LANGUAGES: [(&str, Option<Algorithm>); 29] = [
    ("en", Some(Algorithm::English)),
    ("de", Some(Algorithm::German)),
    ("fr", Some(Algorithm::French)),
    ("es", Some(Algorithm::Spanish)),
    ("it", Some(Algorithm::Italian)),
    ("pt", Some(Algorithm::Portuguese)),
    ("nl", Some(Algorithm::Dutch)),
    ("sv", Some(Algorithm::Swedish)),
    ("da", Some(Algorithm::Danish)),
    ("no", Some(Algorithm::Norwegian)),
    ("fi", Some(Algorithm::Finnish)),
    ("ru", Some(Algorithm::Russian)),
    ("ro", Some(Algorithm::Romanian)),
    ("hu", Some(Algorithm::Hungarian)),
    ("tr", Some(Algorithm::Turkish)),
    ("el", Some(Algorithm::Greek)),
    ("ar", Some(Algorithm::Arabic)),
    ("pl", None),
    ("cs", None),
    ("uk", None),
    ("he", None),
    ("fa", None),
    ("hi", None),
    ("vi", None),
    ("id", None),
    ("zh", None),
    ("ja", None),
    ("ko", None),
    ("th", None),
];
/// A base in which nothing tells.
pub(crate) const ENGLISH: Language = 0;
const CHINESE: Language = 25;
const JAPANESE: Language = 26;
const KOREAN: Language = 27;
const THAI: Language = 28;

/// A passage is in another language than its document when so many times more of its small words are of that one, and so many.
const OTHER_RATIO: u32 = 2;
const OTHER_COUNT: u32 = 4;
/// A question is in a language that no document is in when so many more of its words say so.
const ELSEWHERE: u32 = 2;
/// Words of a passage by which its language is judged, and about how many characters they have.
const JUDGED_WORDS: usize = 60;
const JUDGED_CHARS: usize = 8 * JUDGED_WORDS;

include!(concat!(env!("OUT_DIR"), "/stop_words.rs"));

/// Words without meaning: NLTK's lists and those of stopwords-iso, as the build script wrote them; and for what both leave out ours.
pub(crate) fn stop_words(language: &str) -> impl Iterator<Item = &'static str> {
    let words = match language {
        "ja" => JAPANESE_WORDS,
        "ko" => KOREAN_WORDS,
        "th" => THAI_WORDS,
        known => stop_words_of(known),
    };
    words.split_ascii_whitespace()
}

/// Japanese: beside what is written in hiragana alone, which tells its grammar.
const JAPANESE_WORDS: &str = "です ます ました ません でした ください から まで など こと もの ため よう そう これ それ あれ この その あの する して した \
    いる ある ない なる できる という について には では への との 何 誰 私 彼 僕 君 方 様 今 前 後 上 下 中 時 分 日 人 者 回 事 物 所 願い お願い 御座い 言 思 \
    教え 知り 聞 聞き 質問 少々 結構 大丈夫 了解 承知 失礼 以上 場合 本当 今日 明日 昨日 有難う 有り難う 行 行き 来 出来 致し 頂 頂き 下さい 下さ";
/// Korean: the endings of its words, and what is said in every conversation.
const KOREAN_WORDS: &str = "은 는 을 를 의 에 에서 에게 께 로 으로 와 과 이나 까지 부터 마다 보다 처럼 한테 이고 이며 이다 입니다 입니까 합니다 합니까 습니다 습니까 \
    됩니다 됩니까 있습니다 있습니까 없습니다 없나요 있나요 있어요 없어요 하나요 되나요 인가요 할까요 을까요 일까요 나요 까요 어요 아요 여요 예요 이에요 에요 세요 하세요 으세요 \
    주세요 주시 해요 돼요 가요 네요 는데 은데 는데요 지요 하는 하고 하면 하여 해서 그리고 그런데 그럼 그러면 그래서 하지만 또는 및 네 예 아니요 아니오 안녕하세요 안녕히 \
    감사합니다 감사해요 고맙습니다 고마워요 죄송합니다 미안 실례 여보세요 알겠습니다 괜찮아요 괜찮습니다 좋아요 좋습니다 맞아요 저 제 나 내 우리 그 이 것 거 수 등 때 더 할 좀 \
    잘 다 한 무슨 무엇 뭐 어떤 어떻게 왜 누구 누가 얼마나 혹시 지금 오늘 내일 어제 말씀 질문 여기 거기 저기 싶은 싶어요 싶습니다 대해 대해서 관련 정도";
/// Thai: without "open", which stopwords-iso counts among them.
const THAI_WORDS: &str = "กว่า กัน กับ การ ก็ ขณะ ขอ ของ คง ครั้ง ความ คือ จะ จาก จึง ซึ่ง ดัง ด้วย ตาม ต่อ ต้อง ถึง ถ้า ทั้ง ทาง ที่ ทุก ทำ ทำให้ นั้น นี้ น่า บาง ผม พบ พร้อม มา \
    มาก มี ยัง ว่า หรือ หลาย หาก อยาก อยู่ อย่าง อะไร อาจ อีก เขา เช่น เดียว เป็น เพราะ เพื่อ เมื่อ เรา เลย เอง แต่ แบบ และ แล้ว แห่ง โดย ใน ให้ ได้ ไป ไม่ ไว้ ครับ ค่ะ คะ นะ \
    จ้ะ ไหม มั้ย หน่อย คุณ ฉัน ดิฉัน สวัสดี ขอบคุณ ขอโทษ ใช่ ช่วย บอก วันนี้ พรุ่งนี้ ตอนนี้ เท่าไหร่ เท่าไร กี่ ยังไง อย่างไร ใคร";

/// How often small words and letters of each language stand in a text.
pub(crate) type Counts = [u32; LANGUAGES.len()];

/// Each small word, and a bit for every language that has it.
static SMALL: LazyLock<FxHashMap<&'static str, u32>> = LazyLock::new(|| {
    let mut words = FxHashMap::default();
    for (number, (language, _)) in LANGUAGES.iter().enumerate() {
        for word in stop_words(language).filter(|word| word.chars().nth(1).is_some()) {
            *words.entry(word).or_default() |= 1u32 << number;
        }
    }
    words
});

/// Letters that, among the languages above, one has alone or nearly so.
const LETTERS: [(&str, &str); 15] = [
    ("de", "ß"),
    ("es", "ñ"),
    ("pt", "ãõ"),
    ("sv", "å"),
    ("da", "øæ"),
    ("no", "øæå"),
    ("ro", "țșţ"),
    ("hu", "őű"),
    ("tr", "ığş"),
    ("pl", "łąężńśź"),
    ("cs", "ěřů"),
    ("ru", "ыэёъ"),
    ("uk", "іїєґ"),
    ("fa", "پچژگ"),
    ("vi", "ơưạảấầẩậắặẹếềểệịọốồổộớờợụứừửự"),
];

/// Count in a text in lower case.
fn count(lower: &str, counts: &mut Counts) {
    let mut add = |language: Language, more: u32| {
        if let Some(count) = counts.get_mut(language) {
            *count += more;
        }
    };
    let (mut han, mut kana) = (0, 0);
    for word in split(lower).take(JUDGED_WORDS) {
        if word.contains(is_wide) {
            for c in word.chars().take(JUDGED_WORDS) {
                match u32::from(c) {
                    0x3040..=0x30FF | 0xFF66..=0xFF9F => kana += 1,
                    0xAC00..=0xD7AF => add(KOREAN, 1),
                    0x0E00..=0x0E7F => add(THAI, 1),
                    0x3400..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF => han += 1,
                    _ => {}
                }
            }
            continue;
        }
        if let Some(languages) = SMALL.get(word) {
            for language in 0..LANGUAGES.len() {
                add(language, languages >> language & 1);
            }
        }
        if !word.is_ascii() {
            for (language, (code, _)) in LANGUAGES.iter().enumerate() {
                let mut letters = LETTERS.iter().filter(|(of, _)| of == code);
                let has = letters.any(|(_, letters)| word.contains(|c| letters.contains(c)));
                add(language, u32::from(has));
            }
        }
    }
    // no sentence of Japanese is without kana
    add(if kana > 0 { JAPANESE } else { CHINESE }, han + kana);
}

/// The language with most; `prefer` among those with as many.
fn most(counts: &Counts, prefer: Language) -> (Language, u32) {
    let preferred = counts.get(prefer).copied().unwrap_or_default();
    let ranked = counts.iter().copied().enumerate();
    ranked.fold((prefer, preferred), |best, next| {
        if next.1 > best.1 { next } else { best }
    })
}

/// The language of each of these passages, which are named with their documents and stand one document after the other; and all
/// languages, the most common first.
pub(crate) fn of_passages<'a>(
    passages: impl Iterator<Item = (&'a str, &'a str)>,
) -> (Vec<Language>, Vec<Language>) {
    let mut all = [0; LANGUAGES.len()];
    let mut documents: Vec<(&str, Counts)> = Vec::new();
    let mut counted: Vec<(usize, Counts)> = Vec::new();
    for (document, text) in passages {
        let mut counts = [0; LANGUAGES.len()];
        let end = text.char_indices().nth(JUDGED_CHARS).map(|(end, _)| end);
        let head = end.and_then(|end| text.get(..end)).unwrap_or(text);
        count(&fold(head), &mut counts);
        if documents.last().is_none_or(|(known, _)| *known != document) {
            documents.push((document, [0; LANGUAGES.len()]));
        }
        if let Some((_, sum)) = documents.last_mut() {
            for ((sum, all), more) in sum.iter_mut().zip(&mut all).zip(counts) {
                *sum += more;
                *all += more;
            }
        }
        counted.push((documents.len() - 1, counts));
    }
    let (main, _) = most(&all, ENGLISH);
    let mut sizes = [0u32; LANGUAGES.len()];
    let languages = counted.iter().map(|(document, counts)| {
        let (whole, _) = documents
            .get(*document)
            .map_or((main, 0), |(_, sum)| most(sum, main));
        let (own, count) = most(counts, whole);
        let of_whole = counts.get(whole).copied().unwrap_or_default();
        let is_other = count >= OTHER_COUNT && count >= OTHER_RATIO * of_whole;
        let language = if is_other { own } else { whole };
        if let Some(size) = sizes.get_mut(language) {
            *size += 1;
        }
        language
    });
    let languages: Vec<Language> = languages.collect();
    let mut known: Vec<Language> = (0..LANGUAGES.len())
        .filter(|language| sizes.get(*language).is_some_and(|size| *size > 0))
        .collect();
    known.sort_by_key(|language| std::cmp::Reverse(sizes.get(*language).copied()));
    if known.is_empty() {
        known.push(main);
    }
    (languages, known)
}

/// The language of a sentence in lower case, said to whoever has documents in `known` ones; `knows` tells whether a word is one of those that
/// documents of a language have other words for.
pub(crate) fn of_sentence(
    lower: &str,
    known: &[Language],
    knows: impl Fn(Language, &str) -> bool,
) -> Language {
    let mut counts = [0; LANGUAGES.len()];
    count(lower, &mut counts);
    let main = known.first().copied().unwrap_or(ENGLISH);
    let (elsewhere, most_elsewhere) = most(&counts, main);
    let mut best = (main, 0);
    for language in known {
        let small = counts.get(*language).copied().unwrap_or_default();
        let words = || split(lower).filter(|word| knows(*language, word)).count();
        let likely = if known.len() > 1 {
            2 * small + u32::try_from(words()).unwrap_or(u32::MAX)
        } else {
            2 * small
        };
        if likely > best.1 {
            best = (*language, likely);
        }
    }
    if most_elsewhere >= best.1 / 2 + ELSEWHERE {
        elsewhere
    } else {
        best.0
    }
}

/// Lower case, and one form of letters that may be written in several: wide and narrow ones, ligatures, those with their accents apart.
pub(crate) fn fold(text: &str) -> String {
    use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};
    let lower = text.to_lowercase();
    if lower.is_ascii() || is_nfkc_quick(lower.chars()) == IsNormalized::Yes {
        return lower;
    }
    // a Turkish capital I with its dot, in lower case
    lower.nfkc().filter(|c| *c != '\u{307}').collect()
}

/// Words of a text in lower case.
pub(crate) fn split(lower: &str) -> impl Iterator<Item = &str> {
    lower
        .split(|c: char| !(c.is_alphanumeric() || c == '_' || is_wide(c) || is_mark(c)))
        .filter(|word| !word.is_empty())
}

/// Vowels and the like of Indian scripts, Hebrew and Arabic that are no letters by themselves, and the joiners of Persian.
fn is_mark(c: char) -> bool {
    matches!(u32::from(c), 0x0591..=0x05C7 | 0x0610..=0x061A | 0x064B..=0x065F | 0x0900..=0x0903 | 0x093A..=0x094F | 0x200C..=0x200D)
}

/// Scripts in which words are not parted, or, as in Korean, so little that parts of them are compared.
pub(crate) fn is_wide(c: char) -> bool {
    matches!(u32::from(c), 0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x3005..=0x3007 | 0x3040..=0x30FF | 0x3400..=0x4DBF
        | 0x4E00..=0x9FFF | 0xAC00..=0xD7AF | 0xF900..=0xFAFF | 0xFF66..=0xFF9F | 0x20000..=0x3FFFF)
}

/// Scripts of grammar and of foreign words in Japanese.
pub(crate) fn is_hiragana(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{309f}')
}

/// See [`is_hiragana`].
pub(crate) fn is_katakana(c: char) -> bool {
    matches!(c, '\u{30a0}'..='\u{30ff}')
}

/// How many words; of scripts without spaces two characters count as one.
pub(crate) fn count_words(text: &str) -> usize {
    let wide = text.chars().filter(|c| is_wide(*c)).count();
    let parted = text
        .split_whitespace()
        .filter(|word| !word.starts_with(is_wide))
        .count();
    parted + wide.div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_words_without_meaning() {
        for (language, _) in LANGUAGES {
            assert!(stop_words(language).count() >= 50, "{language}");
        }
        assert!(stop_words("de").any(|word| word == "und"));
        assert_eq!(stop_words("eo").next(), None);
        for (number, code) in [
            (ENGLISH, "en"),
            (CHINESE, "zh"),
            (JAPANESE, "ja"),
            (KOREAN, "ko"),
            (THAI, "th"),
        ] {
            assert_eq!(LANGUAGES.get(number).map(|(code, _)| *code), Some(code));
        }
    }

    #[test]
    fn a_passage_is_in_the_language_of_its_document_unless_it_clearly_is_not() {
        let passages = [
            (
                "a.md",
                "The house is open from nine to five and you can park behind it.",
            ),
            (
                "b.md",
                "Das Haus ist von neun bis fünf geöffnet und Sie können dahinter auf dem Hof parken, wenn dort noch etwas frei ist.",
            ),
            ("b.md", "WLAN: Gast, Passwort 1234."),
            (
                "b.md",
                "You can park behind the house, and it is free for our guests.",
            ),
            ("c.md", "駐車場は店の裏にあります。"),
            ("d.md", "停车场在楼后面，免费。"),
            (
                "e.md",
                "Парковка находится за домом, и для наших гостей она бесплатна.",
            ),
        ];
        let (languages, _) = of_passages(passages.into_iter());
        let codes: Vec<_> = languages
            .iter()
            .map(|language| LANGUAGES.get(*language).map_or("", |(code, _)| code))
            .collect();
        assert_eq!(codes, ["en", "de", "de", "en", "ja", "zh", "ru"]);
    }
}

//! What a listener says who does not want the floor: "mm-hmm", "okay". Chosen by the language that is heard.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::normalise;
use crate::limits::MAX_BACKCHANNEL_PHRASES;

/// What the words are, if a listener may have said them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Backchannel {
    /// More than a listener says.
    #[default]
    No,
    /// Sounds that say no more than "I am listening".
    Sound,
    /// Words that would answer a question as well: "yes", "okay".
    Answer,
}

/// Sounds that are understood everywhere, in the spellings that recognisers use. Deepgram writes `mhmm`.
const SOUNDS: &str =
    "mm, mmm, mm-hm, mm-hmm, mmhm, mmhmm, mhm, mhmm, hm, hmm, hmmm, ah, aha, ah ha, oh, ooh";

/// Sounds and answers in the languages that Deepgram and the local recogniser (English) offer, by their ISO 639 codes.
const LANGUAGES: &[(&str, &str, &str)] = &[
    (
        "ar",
        "آه, اه",
        "نعم, ايوه, أيوه, اي, طيب, حسنا, تمام, صحيح, اوكي, ماشي",
    ),
    ("be", "ага, угу", "так, добра, зразумела, вядома"),
    (
        "bg",
        "аха, ъхъ, мхм",
        "да, добре, ясно, разбирам, точно, окей",
    ),
    ("bn", "হুম, আচ্ছা", "হ্যাঁ, জি, ঠিক আছে, ওকে"),
    (
        "bs hr sr",
        "aha, mhm, аха, мхм",
        "da, dobro, u redu, razumijem, razumem, tako je, važi, okej, ok, да, добро, у реду, разумем, важи, \
         океј",
    ),
    (
        "ca",
        "ajà, mm",
        "sí, si, d'acord, val, molt bé, ja, és clar, clar, entesos, ok, vale",
    ),
    (
        "cs",
        "aha, ehm",
        "ano, jo, jasně, dobře, dobrý, rozumím, chápu, přesně, okej, ok",
    ),
    (
        "da",
        "nå, nåh, øh, øhm",
        "ja, jo, okay, ok, fint, godt, jeg forstår, præcis, netop, javel",
    ),
    (
        "de",
        "äh, ähm, öhm, ach, ach so, achso",
        "ja, jaja, jo, jep, jawohl, genau, okay, ok, oke, klar, na klar, alles klar, gut, sehr gut, richtig, \
         stimmt, verstehe, ich verstehe, verstanden, in ordnung, natürlich, gerne, sicher, prima, passt",
    ),
    (
        "el",
        "αχά, χμ",
        "ναι, εντάξει, καλά, σωστά, κατάλαβα, μάλιστα, βέβαια, οκ",
    ),
    (
        "en",
        "uh, um, uhm, er, uh huh, uhhuh",
        "yeah, yep, yes, yup, ya, ok, okay, kay, right, sure, i see, got it, gotcha, alright, all right, of \
         course, true, exactly, mm mm, uh uh, nuh uh",
    ),
    (
        "es",
        "ajá, aja, eh, em, este",
        "sí, si, vale, ok, okay, okey, claro, claro que sí, bueno, bien, muy bien, de acuerdo, ya, exacto, \
         entiendo, ya veo, correcto, perfecto, por supuesto",
    ),
    (
        "et",
        "ahah, ahaa, mhmh",
        "jah, jaa, okei, hästi, selge, just, muidugi",
    ),
    ("fa", "آها, اوهوم", "بله, آره, خب, باشه, درسته, حتما, اوکی"),
    (
        "fi",
        "ahaa, niin, öö",
        "joo, juu, kyllä, okei, ok, hyvä, selvä, aivan, just, ymmärrän",
    ),
    (
        "fr",
        "euh, ah bon, hum, ouh",
        "oui, ouais, mouais, ok, okay, d'accord, dac, bien, très bien, bien sûr, c'est ça, voilà, exact, \
         exactement, tout à fait, je vois, je comprends, compris, entendu, parfait",
    ),
    (
        "he iw",
        "אהה, המ",
        "כן, אוקיי, אוקי, בסדר, נכון, הבנתי, בטח, טוב",
    ),
    (
        "hi",
        "हम्म, अच्छा, हूँ, hmm, achha, accha",
        "हाँ, हां, हा, जी, जी हाँ, जी हां, ठीक है, ठीक, सही, सही है, ओके, haan, han, ji, theek hai, thik hai, \
         ok, okay",
    ),
    (
        "hu",
        "aha, ühüm, öö",
        "igen, ja, jó, rendben, oké, ok, értem, persze, pontosan, világos",
    ),
    (
        "id ms",
        "oh gitu, eh",
        "ya, iya, iye, oke, ok, okay, baik, baiklah, betul, benar, boleh, faham, paham, mengerti, tentu, siap",
    ),
    (
        "it",
        "ehm, eh",
        "sì, si, ok, okay, va bene, bene, certo, giusto, esatto, d'accordo, capito, ho capito, capisco, \
         perfetto, ecco, già, certamente",
    ),
    (
        "ja",
        "うん, うんうん, ふん, ふーん, へえ, へー, ああ, ええと, えー",
        "はい, ええ, そう, そうです, そうですね, なるほど, わかりました, 分かりました, 了解, 了解です, オッケー, オーケー, ok",
    ),
    ("kn", "ಹಾ, ಹಮ್", "ಹೌದು, ಸರಿ, ಓಕೆ"),
    (
        "ko",
        "음, 어, 아, 흠",
        "네, 예, 응, 그래, 그래요, 그렇죠, 맞아요, 알겠습니다, 알겠어요, 좋아요, 오케이, ok",
    ),
    (
        "lt",
        "aha, mhm",
        "taip, gerai, suprantu, aišku, tikrai, okei",
    ),
    (
        "lv",
        "ahā, mhm",
        "jā, labi, skaidrs, saprotu, protams, okei",
    ),
    ("mk", "аха, мхм", "да, добро, во ред, разбирам, точно, океј"),
    ("mr", "हं, अच्छा", "हो, होय, ठीक आहे, बरं, ओके"),
    (
        "nl",
        "eh, ehm, och",
        "ja, jaja, jawel, oké, oke, ok, goed, prima, precies, klopt, ik snap het, snap ik, begrijp ik, \
         natuurlijk, zeker, juist",
    ),
    (
        "no nb nn",
        "jaså, eh, øh",
        "ja, jo, japp, okay, ok, greit, bra, akkurat, riktig, nettopp, jeg skjønner, skjønner, selvfølgelig",
    ),
    (
        "pl",
        "aha, yhm, yhy",
        "tak, dobra, dobrze, okej, ok, jasne, rozumiem, dokładnie, zgadza się, oczywiście, pewnie",
    ),
    (
        "pt",
        "ahã, aham, uhum, ah tá, eh",
        "sim, é, tá, tá bom, tá bem, está bem, ok, okay, certo, claro, pois, pois é, isso, exato, entendi, \
         percebo, beleza, bom, perfeito, com certeza",
    ),
    (
        "ro",
        "îhî, ăă",
        "da, bine, ok, okay, sigur, înțeleg, am înțeles, exact, desigur, așa, corect",
    ),
    (
        "ru",
        "ага, угу, мгм, гм, ну, э",
        "да, хорошо, ладно, ясно, понятно, понял, поняла, конечно, точно, верно, окей, ок, так",
    ),
    (
        "sk",
        "aha, ehm",
        "áno, jasné, dobre, rozumiem, presne, okej, ok, v poriadku",
    ),
    (
        "sl",
        "aha, mhm",
        "ja, da, dobro, v redu, razumem, točno, seveda, okej, ok",
    ),
    (
        "sv",
        "jaha, jaså, öh, ehm",
        "ja, jo, japp, okej, ok, bra, precis, just det, jag förstår, förstår, visst, absolut",
    ),
    ("ta", "ம், ம்ம், ஓ", "ஆமா, ஆமாம், சரி, ஓகே"),
    ("te", "హా, ఊ", "అవును, సరే, ఓకే"),
    (
        "th",
        "อืม, อ๋อ, เออ",
        "ค่ะ, ครับ, ใช่, ใช่ค่ะ, ใช่ครับ, โอเค, ได้, ได้ค่ะ, ได้ครับ",
    ),
    (
        "tl fil",
        "ah ganun",
        "oo, opo, sige, sige po, okay, ok, tama, talaga",
    ),
    (
        "tr",
        "hı hı, hıhı, haa, ee",
        "evet, tamam, peki, olur, doğru, anladım, tabii, tabi, aynen, ok",
    ),
    (
        "uk",
        "ага, угу, мгм, ну",
        "так, добре, гаразд, ясно, зрозуміло, зрозумів, зрозуміла, звичайно, точно, окей, ок",
    ),
    ("ur", "ہمم, اچھا", "ہاں, جی, جی ہاں, ٹھیک ہے, صحیح, اوکے"),
    (
        "vi",
        "ừm, à, ờ",
        "vâng, dạ, ừ, được, đúng, đúng rồi, rồi, tôi hiểu, ok",
    ),
    (
        "zh yue cmn",
        "嗯, 嗯嗯, 哦, 噢, 啊, 喔, 唔",
        "对, 對, 对对, 對對, 是, 是的, 好, 好的, 好啊, 行, 可以, 没错, 沒錯, 明白, 明白了, 知道了, 係, ok",
    ),
];

/// A language's phrases as [`normalise`] writes them, so that nothing but the caller's words is normalised when words come.
#[derive(Debug, Default)]
struct Phrases {
    sounds: Vec<String>,
    answers: Vec<String>,
}

static PHRASES: LazyLock<BTreeMap<&str, Phrases>> = LazyLock::new(|| {
    let split = |text: &str| text.split(',').map(normalise).collect::<Vec<_>>();
    let everywhere = ("", "", "");
    let mut all = BTreeMap::new();
    for &(codes, sounds, answers) in LANGUAGES.iter().chain([&everywhere]) {
        for code in codes.split(' ') {
            let mut phrases = Phrases {
                sounds: split(sounds),
                answers: split(answers),
            };
            phrases.sounds.extend(split(SOUNDS));
            all.insert(code, phrases);
        }
    }
    all
});

/// Of the language, by its BCP 47 name; of no language where it has no list, and of English where nobody knows it.
fn phrases(language: Option<&str>) -> Option<&'static Phrases> {
    let code = language.unwrap_or("en").split(['-', '_']).next()?;
    let code = code.to_ascii_lowercase();
    PHRASES.get(code.as_str()).or_else(|| PHRASES.get(""))
}

/// What these words are in the mouth of a listener. `own`: these, in any spelling, instead of the lists above; `language` is a
/// BCP 47 name, English when nobody knows it.
pub(crate) fn backchannel(
    normal: &str,
    own: Option<&[String]>,
    language: Option<&str>,
) -> Backchannel {
    let phrases = phrases(language);
    let sounds = phrases.map_or(&[][..], |phrases| &phrases.sounds);
    let answers = phrases.map_or(&[][..], |phrases| &phrases.answers);
    let own: Option<Vec<String>> =
        own.map(|own| own.iter().map(|phrase| normalise(phrase)).collect());
    let mut kind = Backchannel::No;
    let mut rest = normal;
    for _ in 0..MAX_BACKCHANNEL_PHRASES {
        if rest.is_empty() {
            break;
        }
        let as_sound = longest(rest, sounds);
        let (length, is_sound) = match &own {
            Some(own) => {
                let length = longest(rest, own);
                (length, as_sound == length)
            }
            None => {
                let as_answer = longest(rest, answers);
                (as_sound.max(as_answer), as_sound >= as_answer)
            }
        };
        if length == 0 {
            return Backchannel::No;
        }
        kind = match (kind, is_sound) {
            (Backchannel::Answer, _) | (_, false) => Backchannel::Answer,
            (Backchannel::No | Backchannel::Sound, true) => Backchannel::Sound,
        };
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    if rest.is_empty() {
        kind
    } else {
        Backchannel::No
    }
}

/// The length of the longest phrase at the beginning of `text`, whole words only; 0: none is there.
fn longest(text: &str, phrases: &[String]) -> usize {
    phrases
        .iter()
        .filter(|phrase| {
            let after = text.strip_prefix(phrase.as_str());
            after.is_some_and(|after| after.is_empty() || after.starts_with(' '))
        })
        .map(String::len)
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str, language: &str) -> Backchannel {
        backchannel(&normalise(text), None, Some(language))
    }

    #[test]
    fn mm_hmm_yeah_is_a_backchannel_and_yeah_but_is_not() {
        assert_eq!(heard("Mm-hmm.", "en"), Backchannel::Sound);
        assert_eq!(heard("Yeah, okay. I see!", "en-GB"), Backchannel::Answer);
        assert_eq!(heard("Mm-hmm, okay.", "en"), Backchannel::Answer);
        assert_eq!(heard("Yeah, but wait", "en"), Backchannel::No);
        assert_eq!(heard("okayish", "en"), Backchannel::No);
        assert_eq!(heard("...", "en"), Backchannel::No);
    }

    #[test]
    fn a_long_string_of_a_listeners_words_is_somebody_who_wants_the_floor() {
        let all = heard("Yes yes sure okay got it alright", "en");
        assert_eq!(all, Backchannel::No);
        assert_eq!(heard("uh-huh uh-huh uh-huh uh-huh", "en"), Backchannel::No);
    }

    /// <https://developers.deepgram.com/docs/filler-words>
    #[test]
    fn deepgrams_spellings_of_a_listeners_sounds_are_known() {
        for word in ["uh", "um", "mhmm", "uh-huh", "mmhmm", "Mhm.", "mm hmm"] {
            assert_eq!(heard(word, "en-US"), Backchannel::Sound, "{word}");
        }
        for word in ["mm-mm", "uh-uh", "nuh-uh"] {
            assert_eq!(heard(word, "en-US"), Backchannel::Answer, "{word}");
        }
    }

    #[test]
    fn every_language_has_a_listener_of_its_own() {
        for (text, language) in [
            ("Genau.", "de-AT"),
            ("Ja, okay", "de"),
            ("Claro.", "es-419"),
            ("D'accord.", "fr"),
            ("はい", "ja"),
            ("好的", "zh-CN"),
            ("ครับ", "th"),
            ("네", "ko"),
            ("ठीक है", "hi"),
            ("Sim", "pt_BR"),
        ] {
            assert_eq!(heard(text, language), Backchannel::Answer, "{text}");
        }
        assert_eq!(heard("Right.", "de"), Backchannel::No);
        assert_eq!(heard("mhmm", "xx"), Backchannel::Sound);
        assert_eq!(backchannel("yeah", None, None), Backchannel::Answer);
    }

    #[test]
    fn a_list_of_ones_own_counts_alone() {
        let own = ["Go on!".to_owned(), "Mm-hmm".to_owned()];
        let heard = |text| backchannel(text, Some(&own), Some("de"));
        assert_eq!(heard("go on"), Backchannel::Answer);
        assert_eq!(heard("mm hmm"), Backchannel::Sound);
        assert_eq!(heard("ja"), Backchannel::No);
        assert_eq!(backchannel("yeah", Some(&[]), None), Backchannel::No);
    }
}

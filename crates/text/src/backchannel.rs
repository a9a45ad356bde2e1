//! What a listener says who does not want the floor: "mm-hmm", "okay". Chosen by the language that is heard.

use std::sync::LazyLock;

use super::normalise;

/// Phrases of a listener, one after the other: "yeah, okay, I see". More of them at once are somebody who wants the floor.
const MAX_BACKCHANNEL_PHRASES: usize = 3;

/// What the words are, if a listener may have said them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backchannel {
    /// More than a listener says.
    #[default]
    No,
    /// Sounds that say no more than "I am listening".
    Sound,
    /// Words that would answer a question as well: "yes", "okay".
    Answer,
}

/// Sounds that are understood everywhere, in the spellings that recognisers use. Deepgram writes `mhmm`.
const SOUNDS: &str = "mm, mmm, mm-hm, mm-hmm, mmhm, mmhmm, mhm, mhmm, hm, hmm, hmmm, uh-huh, uhhuh, ah, aha, ah ha, oh, ooh";
/// "Okay" is said everywhere as well, and written as each script and language writes it. A recogniser of one language uses the
/// spellings of others often enough.
const OKAY: &str = "ok, okay, okey, okej, okei, oké, oke, oki, kay, ок, окей, океј, окэй, оке, οκ, οκέι, οκει, オッケー, \
                    オーケー, オッケイ, オーケイ, 오케이, 오케, โอเค, ओके, ওকে, ஓகே, ఓకే, ಓಕೆ, اوكي, أوكي, اوكيه, اوکی, اوکے, אוקיי, אוקי, אוקי";

/// Sounds and answers in the languages that Deepgram and the local recogniser (English) offer, by their ISO 639 codes.
const LANGUAGES: &[(&str, &str, &str)] = &[
    (
        "ar",
        "آه, اه",
        "نعم, ايوه, أيوه, اي, طيب, حسنا, تمام, صحيح, ماشي",
    ),
    ("be", "ага, угу", "так, добра, зразумела, вядома"),
    ("bg", "аха, ъхъ, мхм", "да, добре, ясно, разбирам, точно"),
    ("bn", "হুম, আচ্ছা", "হ্যাঁ, জি, ঠিক আছে"),
    (
        "bs hr sr",
        "аха, мхм",
        "da, dobro, u redu, razumijem, razumem, tako je, važi, да, добро, у реду, разумем, важи",
    ),
    (
        "ca",
        "ajà",
        "sí, si, d'acord, val, molt bé, ja, és clar, clar, entesos, vale",
    ),
    (
        "cs",
        "ehm",
        "ano, jo, jasně, dobře, dobrý, rozumím, chápu, přesně",
    ),
    (
        "da",
        "nå, nåh, øh, øhm",
        "ja, jo, fint, godt, jeg forstår, præcis, netop, javel",
    ),
    (
        "de",
        "äh, ähm, öhm, ach, ach so, achso",
        "ja, jo, jep, jawohl, genau, klar, na klar, alles klar, gut, sehr gut, richtig, stimmt, verstehe, \
         ich verstehe, verstanden, in ordnung, natürlich, gerne, sicher, prima, passt",
    ),
    (
        "el",
        "αχά, χμ",
        "ναι, εντάξει, καλά, σωστά, κατάλαβα, μάλιστα, βέβαια",
    ),
    (
        "en",
        "uh, um, uhm, er",
        "yeah, yep, yes, yup, ya, right, sure, i see, got it, gotcha, alright, all right, of course, true, \
         exactly, mm mm, uh uh, nuh uh",
    ),
    (
        "es",
        "ajá, aja, eh, em, este",
        "sí, si, vale, claro, claro que sí, bueno, bien, muy bien, de acuerdo, ya, exacto, entiendo, ya veo, \
         correcto, perfecto, por supuesto",
    ),
    (
        "et",
        "ahah, ahaa, mhmh",
        "jah, jaa, hästi, selge, just, muidugi",
    ),
    ("fa", "آها, اوهوم", "بله, آره, خب, باشه, درسته, حتما"),
    (
        "fi",
        "ahaa, niin, öö",
        "joo, juu, kyllä, hyvä, selvä, aivan, just, ymmärrän",
    ),
    (
        "fr",
        "euh, ah bon, hum, ouh",
        "oui, ouais, mouais, d'accord, dac, bien, très bien, bien sûr, c'est ça, voilà, exact, exactement, \
         tout à fait, je vois, je comprends, compris, entendu, parfait",
    ),
    ("he iw", "אהה, המ", "כן, בסדר, נכון, הבנתי, בטח, טוב"),
    (
        "hi",
        "हम्म, अच्छा, हूँ, achha, accha",
        "हाँ, हां, हा, जी, जी हाँ, जी हां, ठीक है, ठीक, सही, सही है, haan, han, ji, theek hai, thik hai",
    ),
    (
        "hu",
        "ühüm, öö",
        "igen, ja, jó, rendben, értem, persze, pontosan, világos",
    ),
    (
        "id ms",
        "oh gitu, eh",
        "ya, iya, iye, baik, baiklah, betul, benar, boleh, faham, paham, mengerti, tentu, siap",
    ),
    (
        "it",
        "ehm, eh",
        "sì, si, va bene, bene, certo, giusto, esatto, d'accordo, capito, ho capito, capisco, perfetto, ecco, \
         già, certamente",
    ),
    (
        "ja",
        "うん, ふん, ふーん, へえ, へー, ああ, ええと, えー",
        "はい, ええ, そう, そうです, そうですね, なるほど, わかりました, 分かりました, 了解, 了解です",
    ),
    ("kn", "ಹಾ, ಹಮ್", "ಹೌದು, ಸರಿ"),
    (
        "ko",
        "음, 어, 아, 흠",
        "네, 예, 응, 그래, 그래요, 그렇죠, 맞아요, 알겠습니다, 알겠어요, 좋아요",
    ),
    ("lt", "", "taip, gerai, suprantu, aišku, tikrai"),
    ("lv", "ahā", "jā, labi, skaidrs, saprotu, protams"),
    ("mk", "аха, мхм", "да, добро, во ред, разбирам, точно"),
    ("mr", "हं, अच्छा", "हो, होय, ठीक आहे, बरं"),
    (
        "nl",
        "eh, ehm, och",
        "ja, jawel, goed, prima, precies, klopt, ik snap het, snap ik, begrijp ik, natuurlijk, zeker, juist",
    ),
    (
        "no nb nn",
        "jaså, eh, øh",
        "ja, jo, japp, greit, bra, akkurat, riktig, nettopp, jeg skjønner, skjønner, selvfølgelig",
    ),
    (
        "pl",
        "yhm, yhy",
        "tak, dobra, dobrze, jasne, rozumiem, dokładnie, zgadza się, oczywiście, pewnie",
    ),
    (
        "pt",
        "ahã, aham, uhum, ah tá, eh",
        "sim, é, tá, tá bom, tá bem, está bem, certo, claro, pois, pois é, isso, exato, entendi, percebo, beleza, \
         bom, perfeito, com certeza",
    ),
    (
        "ro",
        "îhî, ăă",
        "da, bine, sigur, înțeleg, am înțeles, exact, desigur, așa, corect",
    ),
    (
        "ru",
        "ага, угу, мгм, гм, ну, э",
        "да, хорошо, ладно, ясно, понятно, понял, поняла, конечно, точно, верно, так",
    ),
    (
        "sk",
        "ehm",
        "áno, jasné, dobre, rozumiem, presne, v poriadku",
    ),
    ("sl", "", "ja, da, dobro, v redu, razumem, točno, seveda"),
    (
        "sv",
        "jaha, jaså, öh, ehm",
        "ja, jo, japp, bra, precis, just det, jag förstår, förstår, visst, absolut",
    ),
    ("ta", "ம், ஓ", "ஆமா, ஆமாம், சரி"),
    ("te", "హా, ఊ", "అవును, సరే"),
    (
        "th",
        "อืม, อ๋อ, เออ",
        "ค่ะ, ครับ, ใช่, ใช่ค่ะ, ใช่ครับ, ได้, ได้ค่ะ, ได้ครับ",
    ),
    ("tl fil", "ah ganun", "oo, opo, sige, sige po, tama, talaga"),
    (
        "tr",
        "hı, haa, ee",
        "evet, tamam, peki, olur, doğru, anladım, tabii, tabi, aynen",
    ),
    (
        "uk",
        "ага, угу, мгм, ну",
        "так, добре, гаразд, ясно, зрозуміло, зрозумів, зрозуміла, звичайно, точно",
    ),
    ("ur", "ہمم, اچھا", "ہاں, جی, جی ہاں, ٹھیک ہے, صحیح"),
    (
        "vi",
        "ừm, à, ờ",
        "vâng, dạ, ừ, được, đúng, đúng rồi, rồi, tôi hiểu",
    ),
    (
        "zh yue cmn",
        "嗯, 哦, 噢, 啊, 喔, 唔",
        "对, 對, 是, 是的, 好, 好的, 好啊, 行, 可以, 没错, 沒錯, 明白, 明白了, 知道了, 係",
    ),
];

/// A phrase as [`normalise`] writes it, so that nothing but the caller's words is normalised when words come.
#[derive(Debug)]
struct Phrase {
    text: Box<str>,
    /// Its place in [`LANGUAGES`]; `None`: all of them.
    language: Option<u8>,
    kind: Backchannel,
}

/// In order of their texts.
#[derive(Debug, Default)]
struct Phrases(Vec<Phrase>);

impl Phrases {
    fn of(phrases: impl Iterator<Item = Phrase>) -> Self {
        let mut phrases: Vec<Phrase> = phrases.filter(|phrase| !phrase.text.is_empty()).collect();
        phrases.sort_unstable_by(|a, b| a.text.cmp(&b.text));
        Self(phrases)
    }

    /// Those of this language that begin so; of all, where it is not known.
    fn beginning<'a>(
        &'a self,
        with: &'a str,
        language: Option<u8>,
    ) -> impl Iterator<Item = &'a Phrase> {
        let first = self.0.partition_point(|phrase| &*phrase.text < with);
        let rest = self.0.get(first..).unwrap_or_default();
        rest.iter()
            .take_while(move |phrase| phrase.text.starts_with(with))
            .filter(move |phrase| {
                language.is_none() || phrase.language.is_none() || phrase.language == language
            })
    }

    /// The longest at the beginning of `text`, whole words only: its length, and what it is. What is an answer in one language
    /// and a sound in another is an answer.
    fn longest(&self, text: &str, language: Option<u8>) -> Option<(usize, Backchannel)> {
        let first = text.split(' ').next()?;
        let begins = |phrase: &&Phrase| {
            let after = text.strip_prefix(&*phrase.text);
            after.is_some_and(|after| after.is_empty() || after.starts_with(' '))
        };
        let rank = |(length, kind): &(usize, Backchannel)| (*length, *kind == Backchannel::Answer);
        let whole = self.beginning(first, language).filter(begins);
        let found = whole
            .map(|phrase| (phrase.text.len(), phrase.kind))
            .max_by_key(rank);
        found.or_else(|| {
            // said twice or three times in one breath, and written in one: "jaja", "네네"
            let part = once(first)?;
            let same = self
                .beginning(part, language)
                .filter(|phrase| &*phrase.text == part);
            same.map(|phrase| (first.len(), phrase.kind))
                .max_by_key(rank)
        })
    }
}

/// What a word consists of that is something twice or three times.
fn once(word: &str) -> Option<&str> {
    [2, 3].into_iter().find_map(|times| {
        let part = word
            .get(..word.len() / times)
            .filter(|part| !part.is_empty())?;
        let again = word.len().is_multiple_of(times)
            && word
                .as_bytes()
                .chunks(part.len())
                .all(|other| other == part.as_bytes());
        again.then_some(part)
    })
}

static PHRASES: LazyLock<Phrases> = LazyLock::new(|| {
    let everywhere = [(None, SOUNDS, OKAY)];
    let of_one = (0..)
        .zip(LANGUAGES)
        .map(|(at, &(_, sounds, answers))| (Some(at), sounds, answers));
    Phrases::of(
        everywhere
            .into_iter()
            .chain(of_one)
            .flat_map(|(language, sounds, answers)| {
                let kinds = [(sounds, Backchannel::Sound), (answers, Backchannel::Answer)];
                kinds.into_iter().flat_map(move |(texts, kind)| {
                    texts.split(',').map(move |text| Phrase {
                        text: normalise(text).into(),
                        language,
                        kind,
                    })
                })
            }),
    )
});

static CODES: LazyLock<Vec<(&str, u8)>> = LazyLock::new(|| {
    let of_one = (0..).zip(LANGUAGES);
    of_one
        .flat_map(|(at, (codes, ..))| codes.split(' ').map(move |code| (code, at)))
        .collect()
});

/// A language by its BCP 47 name. None where nobody knows it or it has no list: then the phrases of all languages count. That a
/// word of one is something else in another costs little, because what counts as a listener's word is kept and answered; that
/// a listener's word is not known cuts the agent off.
fn known(language: Option<&str>) -> Option<u8> {
    let name = language?.split(['-', '_']).next()?;
    let of_it = CODES
        .iter()
        .find(|(code, _)| code.eq_ignore_ascii_case(name));
    of_it.map(|(_, at)| *at)
}

/// What these words are in the mouth of a listener. `own`: these, in any spelling, instead of the lists above; `language` is a
/// BCP 47 name.
pub fn backchannel(normal: &str, own: Option<&[String]>, language: Option<&str>) -> Backchannel {
    let language = known(language);
    let own = own.map(|own| own_phrases(own, language));
    let phrases = own.as_ref().unwrap_or(&PHRASES);
    let mut kind = Backchannel::No;
    let mut rest = normal;
    for _ in 0..MAX_BACKCHANNEL_PHRASES {
        if rest.is_empty() {
            break;
        }
        let Some((length, next)) = phrases.longest(rest, language) else {
            return Backchannel::No;
        };
        if kind != Backchannel::Answer {
            kind = next;
        }
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    if rest.is_empty() {
        kind
    } else {
        Backchannel::No
    }
}

/// What the lists above do not know as a sound would answer a question.
fn own_phrases(own: &[String], language: Option<u8>) -> Phrases {
    Phrases::of(own.iter().map(|phrase| {
        let text = normalise(phrase);
        let sound = Some((text.len(), Backchannel::Sound));
        let is_sound = PHRASES.longest(&text, language) == sound;
        let kind = if is_sound {
            Backchannel::Sound
        } else {
            Backchannel::Answer
        };
        Phrase {
            text: text.into(),
            language: None,
            kind,
        }
    }))
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
        // without a list of its own, or when nobody knows which
        for language in ["xx", "multi", "auto", "und", ""] {
            assert_eq!(heard("Genau.", language), Backchannel::Answer, "{language}");
            assert_eq!(heard("mhmm", language), Backchannel::Sound, "{language}");
            assert_eq!(heard("eine Frage", language), Backchannel::No, "{language}");
        }
        assert_eq!(
            backchannel(&normalise("なるほど"), None, None),
            Backchannel::Answer
        );
        assert_eq!(heard("mhmm", "xx"), Backchannel::Sound);
        assert_eq!(backchannel("yeah", None, None), Backchannel::Answer);
    }

    #[test]
    fn okay_and_mm_hmm_are_a_listeners_words_in_every_language() {
        for &(codes, _, _) in LANGUAGES {
            for code in codes.split(' ') {
                for word in ["Okay.", "OK", "オーケー", "окей", "ok, ok"] {
                    assert_eq!(heard(word, code), Backchannel::Answer, "{word} in {code}");
                }
                for word in ["Mhm.", "Mm-hmm", "mm", "Hm.", "Uh-huh.", "uh huh"] {
                    assert_eq!(heard(word, code), Backchannel::Sound, "{word} in {code}");
                }
            }
        }
    }

    #[test]
    fn a_listeners_word_said_twice_is_a_listeners_word() {
        for (text, language) in [
            ("네네", "ko"),
            ("예예.", "ko"),
            ("네네네", "ko"),
            ("はいはい", "ja"),
            ("そうそう", "ja"),
            ("Ja ja.", "de"),
            ("jaja", "de"),
            ("Sí, sí.", "es"),
            ("Да-да", "ru"),
            ("对对对", "zh"),
            ("okok", "pl"),
        ] {
            assert_eq!(heard(text, language), Backchannel::Answer, "{text}");
        }
        assert_eq!(heard("hıhı", "tr"), Backchannel::Sound);
        for text in ["nono", "ja nein", "jajajaja", "네네치킨"] {
            assert_eq!(heard(text, "de"), Backchannel::No, "{text}");
        }
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

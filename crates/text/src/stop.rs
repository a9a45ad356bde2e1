//! Words that mean nothing but "be silent": "stop", "wait a moment, please".

use std::sync::LazyLock;

use super::normalise;

/// More words are a sentence of their own, whatever they begin with.
const MAX_WORDS: usize = 6;

/// In the languages of [`backchannel`](super::backchannel). The language is not asked for: a word that is an order to stop in one
/// language, and is all that somebody says, is one in most others or no word there at all.
const ORDERS: &str = "stop, stop it, stop that, stop there, stop talking, stop speaking, halt, wait, wait a moment, wait a minute, wait a second, \
    hold on, hold it, hang on, one moment, just a moment, one second, just a second, be quiet, quiet, shut up, silence, enough, that's enough, \
    stopp, warte, warten, warten sie, warte mal, moment, moment mal, einen moment, ruhe, sei still, seien sie still, hör auf, hören sie auf, \
    aufhören, genug, es reicht, das reicht, arrête, arrêtez, arrête-toi, attends, attendez, un instant, une seconde, une minute, tais-toi, \
    taisez-vous, ça suffit, assez, stoppez, para, pare, alto, detente, espera, espere, un momento, un segundo, basta, ya basta, cállate, \
    cállese, silencio, ferma, fermati, fermo, si fermi, aspetta, aspetti, un attimo, zitto, zitta, silenzio, espere um pouco, um momento, chega, \
    silêncio, wacht, wacht even, hou op, wees stil, stil, genoeg, een moment, czekaj, poczekaj, proszę czekać, przestań, dość, cisza, chwila, \
    chwileczkę, стоп, стой, стойте, подожди, подождите, хватит, тихо, помолчи, минутку, секунду, стій, зачекай, зачекайте, почекай, \
    почекайте, досить, počkej, počkejte, přestaň, dost, ticho, dur, bekle, bekleyin, yeter, sus, bir dakika, vänta, sluta, tyst, vent, \
    vent litt, hold op, stille, slutt, seis, odota, hetkinen, lopeta, hiljaa, stai, oprește, opriți, așteaptă, destul, ajunge, állj, várj, \
    elég, csend, σταμάτα, περίμενε, αρκετά, ησυχία, ストップ, 止めて, やめて, 待って, ちょっと待って, 静かに, 停, 停下, 停止, 等一下, 等等, 安静, \
    别说了, 別說了, 闭嘴, 그만, 멈춰, 잠깐, 잠깐만, 잠깐만요, 기다려, 조용히, توقف, قف, انتظر, لحظة, كفى, اسكت, रुको, रुकिए, ठहरो, \
    बस, चुप, עצור, תפסיק, רגע, חכה, dừng lại, chờ đã, khoan đã, im lặng, berhenti, tunggu, cukup, diam, หยุด, เดี๋ยว, รอเดี๋ยว, เงียบ";

/// What people say along with it.
const BESIDE: &str = "please, now, no, hey, okay, ok, just, bitte, mal, jetzt, nein, s'il te plaît, s'il vous plaît, non, por favor, no no, \
    per favore, alstublieft, proszę, пожалуйста, будь ласка, prosím, lütfen, tack, お願い, 请, 제발";

static PHRASES: LazyLock<Vec<(String, bool)>> = LazyLock::new(|| {
    let of =
        |list: &'static str, is_order| list.split(',').map(move |text| (normalise(text), is_order));
    let mut phrases: Vec<(String, bool)> = of(ORDERS, true).chain(of(BESIDE, false)).collect();
    phrases.sort_unstable_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    phrases
});

/// Are these words, normalised, an order to stop speaking, and nothing else?
pub fn is_stop(normal: &str) -> bool {
    if normal.is_empty() || normal.split(' ').count() > MAX_WORDS {
        return false;
    }
    let (mut rest, mut ordered) = (normal, false);
    while !rest.is_empty() {
        // the longest first
        let found = PHRASES.iter().find_map(|(text, is_order)| {
            let after = rest.strip_prefix(text.as_str())?;
            (after.is_empty() || after.starts_with(' ')).then_some((after.trim_start(), *is_order))
        });
        let Some((after, is_order)) = found else {
            return false;
        };
        (rest, ordered) = (after, ordered || is_order);
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_to_stop_is_known_alone_and_with_a_please() {
        for text in [
            "Stop!",
            "stop, stop",
            "No, stop it.",
            "Wait a minute, please",
            "Hold on",
            "Stopp",
            "Moment mal, bitte",
            "¡Para!",
            "S'il vous plaît, arrêtez",
            "待って",
            "Стоп",
        ] {
            assert!(is_stop(&normalise(text)), "{text}");
        }
    }

    #[test]
    fn a_sentence_that_begins_like_one_is_none() {
        for text in [
            "",
            "please",
            "no",
            "The bus stop",
            "Stop at the second one",
            "Wait for my wife",
            "okay",
        ] {
            assert!(!is_stop(&normalise(text)), "{text}");
        }
    }
}

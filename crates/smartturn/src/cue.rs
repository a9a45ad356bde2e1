//! What the last words say about the end of a turn. A list, not a model: of few words it is nearly sure, and it has no opinion on all
//! others. Punctuation is not looked at, since recognisers put a full stop after everything.

use antiphon_text::normalise;

/// What the words say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cue {
    /// Nothing.
    None,
    /// More must come: an article, a conjunction, a filler.
    GoesOn,
    /// More will probably come: a preposition, which may also end a question ("what is it for"), or digits that are being dictated.
    MayGoOn,
    /// A whole answer: "yes please", "no thank you", "goodbye".
    Whole,
}

impl Cue {
    /// By how much it makes the end less or more likely, as a factor of the odds. An open word settles it whatever the sound; beside
    /// a leaning one the sound must be very sure.
    fn factor(self) -> f32 {
        match self {
            Self::None => 1.0,
            Self::GoesOn => 0.0,
            Self::MayGoOn => 0.05,
            Self::Whole => 4.0,
        }
    }

    /// Needs it no sound?
    pub(crate) fn is_certain(self) -> bool {
        self == Self::GoesOn
    }

    /// The probability of the end, of which the sound says `sound` and the silence that its odds are this many times as high.
    pub(crate) fn weigh(self, sound: f32, silence: f32) -> f32 {
        let sound = sound.clamp(0.0, 1.0);
        let (end, goes_on) = (sound * self.factor() * silence, 1.0 - sound);
        if end + goes_on > 0.0 {
            end / (end + goes_on)
        } else {
            0.0
        }
    }
}

/// Words of one language.
struct Words {
    /// Nobody ends with these.
    open: &'static [&'static str],
    /// Nor mostly with these.
    leaning: &'static [&'static str],
    /// Nor with these, unless they have asked: "what is it for", "how much it is".
    stranded: &'static [&'static str],
    /// What asks.
    questions: &'static [&'static str],
    /// Who has said no more than this has only begun.
    beginnings: &'static [&'static str],
    /// What people say while they think.
    fillers: &'static [&'static str],
    /// Digits, one by one.
    digits: &'static [&'static str],
    /// Whole answers.
    answers: &'static [&'static str],
}

const ENGLISH: Words = Words {
    open: &[
        "a", "an", "the", "my", "your", "our", "their", "and", "or", "but", "because", "if",
        "than", "i", "im", "id", "ill", "ive", "we", "wed", "whose", "every", "would", "could",
        "should", "very", "into", "whether", "although", "while", "its", "theres", "lets", "youre",
        "theyre", "wanna", "gonna", "between", "until", "till", "per", "mr", "mrs", "ms", "named",
    ],
    leaning: &[
        "some", "any", "want", "need", "around", "after", "before", "maybe", "also", "like", "as",
        "say", "said", "might", "doctor",
    ],
    stranded: &[
        "to", "for", "with", "at", "of", "in", "on", "by", "about", "from", "is", "are", "was",
        "were", "has", "had", "be",
    ],
    questions: &[
        "what", "who", "where", "which", "how", "when", "why", "whats", "whos", "wheres", "whens",
        "hows",
    ],
    beginnings: &[
        "can you",
        "could you",
        "would you",
        "can i",
        "could i",
        "may i",
        "can we",
        "could we",
        "do you",
        "is there",
        "are there",
        "is it",
        "do you have any",
        "could you tell me",
        "can you tell me",
        "do you know",
        "i think",
        "i think that",
        "i said",
        "i was wondering",
        "i have a question",
        "what about",
        "how about",
        "i would",
        "i want you",
        "if it",
        "let me",
    ],
    fillers: &[
        "um",
        "uh",
        "uhm",
        "umm",
        "uhh",
        "erm",
        "er",
        "hmm",
        "hm",
        "eh",
        "well",
        "let me see",
        "let me think",
        "you know",
        "i mean",
    ],
    digits: &[
        "zero", "oh", "o", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
        "double", "triple",
    ],
    answers: &[
        "yes",
        "yes please",
        "yeah",
        "yep",
        "yup",
        "no",
        "no thanks",
        "no thank you",
        "nope",
        "sure",
        "okay",
        "ok",
        "thanks",
        "thank you",
        "thank you very much",
        "thanks a lot",
        "bye",
        "goodbye",
        "bye bye",
        "thats all",
        "thats it",
        "thats right",
        "correct",
        "exactly",
        "right",
        "hello",
        "hi",
        "hey",
        "good morning",
        "good evening",
        "good afternoon",
        "stop",
        "help",
        "never mind",
        "of course",
        "that would be great",
        "sounds good",
        "perfect",
        "great",
    ],
};

const GERMAN: Words = Words {
    open: &[
        "der", "die", "das", "den", "dem", "des", "ein", "eine", "einen", "einem", "einer", "mein",
        "meine", "meinen", "und", "oder", "aber", "weil", "dass", "wenn", "ich", "wir", "am", "im",
        "zum", "zur", "für", "mit", "bei", "von", "aus", "nach", "sehr", "als", "ob", "zwischen",
        "bis",
    ],
    leaning: &[
        "zu",
        "in",
        "auf",
        "an",
        "noch",
        "habe",
        "hätte",
        "möchte",
        "will",
        "könnte",
        "vielleicht",
    ],
    stranded: &["ist", "sind", "war", "bin", "hat"],
    questions: &[
        "was", "wer", "wo", "wann", "wie", "warum", "welche", "welcher", "welches",
    ],
    beginnings: &[
        "kann ich",
        "können sie",
        "könnten sie",
        "haben sie",
        "gibt es",
        "ich hätte gern",
        "ich möchte",
    ],
    fillers: &[
        "äh",
        "ähm",
        "öh",
        "hm",
        "hmm",
        "tja",
        "naja",
        "moment",
        "mal sehen",
        "warte",
    ],
    digits: &[
        "null", "eins", "zwei", "zwo", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun",
    ],
    answers: &[
        "ja",
        "ja bitte",
        "nein",
        "nein danke",
        "danke",
        "vielen dank",
        "danke schön",
        "tschüss",
        "auf wiederhören",
        "genau",
        "richtig",
        "hallo",
        "guten tag",
        "gut",
        "okay",
        "das wars",
        "das ist alles",
    ],
};

const SPANISH: Words = Words {
    open: &[
        "el", "la", "los", "las", "un", "una", "unos", "unas", "mi", "mis", "su", "sus", "y", "o",
        "pero", "porque", "si", "de", "del", "al", "con", "sin", "para", "por", "muy", "entre",
        "hasta", "desde",
    ],
    leaning: &[
        "en", "a", "como", "quiero", "quisiera", "puedo", "también", "me", "se", "que",
    ],
    stranded: &["es", "son", "está"],
    questions: &["qué", "quién", "dónde", "cuándo", "cómo", "cuánto", "cuál"],
    beginnings: &[
        "puede",
        "podría",
        "tienen",
        "hay",
        "me gustaría",
        "quisiera",
    ],
    fillers: &["eh", "em", "este", "pues", "mmm", "a ver", "bueno"],
    digits: &[
        "cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve",
    ],
    answers: &[
        "sí",
        "sí por favor",
        "no",
        "no gracias",
        "gracias",
        "muchas gracias",
        "adiós",
        "hola",
        "vale",
        "claro",
        "exacto",
        "correcto",
        "eso es todo",
    ],
};

const FRENCH: Words = Words {
    open: &[
        "le",
        "la",
        "les",
        "un",
        "une",
        "des",
        "du",
        "de",
        "mon",
        "ma",
        "mes",
        "votre",
        "vos",
        "et",
        "ou",
        "mais",
        "parce que",
        "si",
        "je",
        "nous",
        "avec",
        "sans",
        "pour",
        "par",
        "chez",
        "très",
        "entre",
        "au",
        "aux",
        "dans",
    ],
    leaning: &[
        "à", "en", "sur", "comme", "voudrais", "peux", "aussi", "que",
    ],
    stranded: &["est", "sont"],
    questions: &[
        "quoi", "qui", "où", "quand", "comment", "combien", "quel", "quelle",
    ],
    beginnings: &[
        "je voudrais",
        "estce que",
        "pouvezvous",
        "avezvous",
        "il y a",
    ],
    fillers: &["euh", "hum", "ben", "bah", "alors", "voyons"],
    digits: &[
        "zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf",
    ],
    answers: &[
        "oui",
        "oui sil vous plaît",
        "non",
        "non merci",
        "merci",
        "merci beaucoup",
        "au revoir",
        "bonjour",
        "daccord",
        "exactement",
        "cest tout",
        "cest ça",
    ],
};

/// So many digits in a row are a number that is being dictated: fewer are a quantity, a time or a table.
const MIN_DICTATED: usize = 3;
/// A telephone number without the code of its area, with it, and with that of the country; a card has 16. More may come after other
/// lengths.
const WHOLE_NUMBERS: [usize; 5] = [7, 10, 11, 12, 16];

/// What `words` say, all that the caller has said in this turn, in this language (BCP 47; `None`: English, which ears on this machine
/// hear).
#[must_use]
pub fn cue(words: &str, language: Option<&str>) -> Cue {
    let primary = language.map_or("en", |tag| tag.split(['-', '_']).next().unwrap_or_default());
    let list = match primary.to_ascii_lowercase().as_str() {
        "en" => &ENGLISH,
        "de" => &GERMAN,
        "es" => &SPANISH,
        "fr" => &FRENCH,
        _ => return Cue::None,
    };
    let normal = normalise(words);
    let all: Vec<&str> = normal.split(' ').filter(|word| !word.is_empty()).collect();
    let Some(last) = all.last() else {
        return Cue::None;
    };
    if list.answers.contains(&normal.as_str()) {
        return Cue::Whole;
    }
    let ends_with = |phrase: &&&str| {
        normal
            .strip_suffix(**phrase)
            .is_some_and(|before| before.is_empty() || before.ends_with(' '))
    };
    if list.open.contains(last) || list.fillers.iter().any(|filler| ends_with(&filler)) {
        return Cue::GoesOn;
    }
    if list.beginnings.contains(&normal.as_str()) {
        return Cue::GoesOn;
    }
    let digits = dictated(words, list);
    if digits >= MIN_DICTATED && !WHOLE_NUMBERS.contains(&digits) {
        return Cue::MayGoOn;
    }
    let asks = all.iter().any(|word| list.questions.contains(word));
    if list.leaning.contains(last) || (list.stranded.contains(last) && !asks) {
        return Cue::MayGoOn;
    }
    Cue::None
}

/// Digits at the end, said one by one or written together, in at least two pieces: "555 12", not a year or "19:30". One piece is enough
/// after "my number is".
fn dictated(words: &str, list: &Words) -> usize {
    let (mut count, mut pieces, mut names_number) = (0, 0, false);
    for word in words.split_whitespace().rev() {
        let word = word
            .trim_matches(|c: char| c.is_ascii_punctuation())
            .to_lowercase();
        // recognisers write a spoken zero as the letter
        let is_digit = |byte: u8| byte.is_ascii_digit() || byte == b'o';
        let is_number = word.bytes().any(|byte| byte.is_ascii_digit())
            && word.bytes().all(|byte| is_digit(byte) || byte == b'-');
        if list.digits.contains(&word.as_str()) {
            count += 1;
        } else if is_number {
            count += word.bytes().filter(|byte| is_digit(*byte)).count();
        } else {
            names_number = words.to_lowercase().contains("number");
            break;
        }
        pieces += 1;
    }
    if pieces < 2 && !names_number {
        0
    } else {
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_phrase_goes_on() {
        for words in [
            "I'd like to book a table for the",
            "Can I bring my",
            "My number is, um.",
            "I would like to come on Friday and",
            "Uh",
            "Is the kitchen open until",
            "Can you?",
        ] {
            assert_eq!(cue(words, None), Cue::GoesOn, "{words}");
        }
        assert_eq!(
            cue("Ich hätte gern einen Tisch für", Some("de-DE")),
            Cue::GoesOn
        );
        assert_eq!(cue("Quisiera una mesa para", Some("es")), Cue::GoesOn);
        assert_eq!(cue("Je voudrais une table pour", Some("fr")), Cue::GoesOn);
    }

    #[test]
    fn a_number_that_is_being_dictated_may_go_on_and_a_whole_one_does_not() {
        assert_eq!(cue("My number is five five five", None), Cue::MayGoOn);
        assert_eq!(cue("It's 555 12", None), Cue::MayGoOn);
        assert_eq!(cue("My number is 5551-", None), Cue::MayGoOn);
        assert_eq!(cue("Call me at O2O 7946", None), Cue::None); // 7, a local number
        assert_eq!(cue("Five five five one two three four", None), Cue::None);
        assert_eq!(cue("020 7946 0958", None), Cue::None);
        for words in ["A table for four", "At 19:30", "In 2024", "It is 1,000"] {
            assert_eq!(cue(words, None), Cue::None, "{words}");
        }
    }

    #[test]
    fn beside_a_leaning_word_the_sound_must_be_very_sure() {
        assert!(Cue::MayGoOn.weigh(0.95, 1.0) < 0.5);
        assert!(Cue::MayGoOn.weigh(0.99, 1.0) > 0.8);
        assert_eq!(Cue::None.weigh(0.6, 1.0), 0.6);
        assert!(Cue::Whole.weigh(0.5, 1.0) > 0.7);
        assert_eq!(
            (Cue::GoesOn.weigh(1.0, 1.0), Cue::GoesOn.weigh(0.9, 1.0)),
            (0.0, 0.0)
        );
    }

    #[test]
    fn a_doubtful_end_counts_after_a_long_silence_and_an_open_word_never_does() {
        let after = |cue: Cue, sound| cue.weigh(sound, crate::OF_LONG_SILENCE) >= crate::THRESHOLD;
        assert!(after(Cue::None, 0.12) && !after(Cue::None, 0.08));
        assert!(after(Cue::MayGoOn, 0.8) && !after(Cue::MayGoOn, 0.5));
        assert!(!after(Cue::GoesOn, 1.0));
        // nobody has judged the sound: as long as silence alone would wait, and no longer
        assert!(Cue::None.weigh(crate::WITHOUT_SOUND, 1.0) < crate::THRESHOLD);
        assert!(after(Cue::None, crate::WITHOUT_SOUND));
    }

    #[test]
    fn a_question_may_end_with_a_preposition() {
        assert_eq!(cue("What is that for?", None), Cue::None);
        assert_eq!(cue("Could you tell me how much it is", None), Cue::None);
        assert_eq!(cue("Could you repeat that?", None), Cue::None);
        assert_eq!(cue("My name is", None), Cue::MayGoOn);
        assert_eq!(cue("I want to go to", None), Cue::MayGoOn);
    }

    #[test]
    fn a_short_answer_is_whole_and_an_unknown_language_has_no_words() {
        assert_eq!(cue("Yes, please.", None), Cue::Whole);
        assert_eq!(cue("No, thank you.", Some("en-GB")), Cue::Whole);
        assert_eq!(cue("the", Some("fi")), Cue::None);
        assert_eq!(cue("", None), Cue::None);
    }
}

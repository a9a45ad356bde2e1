//! What people say instead of what documents say, and what they say that asks for nothing. Only everyday words of shops,
//! surgeries, hotels and restaurants: words of a trade stand in its documents, and closeness of meaning is an embedding's business.
//! One table for each language: `en`, `de`, `fr`, `es`, `it`, `nl`, `pt`, and shorter ones in `elsewhere`.

mod de;
mod elsewhere;
mod en;
mod es;
mod fr;
mod it;
mod nl;
mod pt;

use rustc_hash::FxHashMap;

use crate::language::{is_hiragana, is_katakana, is_wide};

/// What another word for the same counts beside the word itself.
pub(crate) const WEIGHT: f32 = 0.5;
/// What the words count that answer a way of asking.
pub(crate) const PHRASE_WEIGHT: f32 = 0.6;
/// So many other words may stand between the words of a phrase: "call our whole table off".
const MAX_BETWEEN: usize = 3;
/// From so many people on they are a group.
const MANY: u32 = 7;
/// A part of a compound has so many letters; the others have so many bytes.
const MIN_PART_CHARS: usize = 5;
const MIN_REST_BYTES: usize = 3;

/// What is known of the everyday words of a language.
pub(crate) struct Table {
    /// Words for the same, or that stand in the answer to one another; compared by their stems. `a_b` is a phrase, `a~b` one in
    /// which other words may stand between, `#` a number of people that makes a group. A phrase is only asked with: it stands
    /// for the single words beside it. The first group is that of opening hours: a question with a time of day is about them.
    groups: &'static [&'static str],
    /// How a question begins that may be answered by yes or no; phrases.
    asks: &'static str,
    /// Words before a time of day, and behind its number.
    at: &'static str,
    clock: &'static str,
    /// Hours and their parts.
    numbers: &'static str,
    /// Words that never say by themselves what a question is about, beside the English ones.
    weak: &'static str,
    /// The days from Monday on: their names, then what documents write for them.
    days: [&'static str; 7],
    /// Words for Monday to Friday, Saturday and Sunday, and all days.
    workdays: &'static str,
    weekend: &'static str,
    daily: &'static str,
    /// Words between two days that stand for those between them; before one they say goodbye until then.
    to: &'static str,
}

/// For a language of which nothing is known.
const NOTHING: Table = Table {
    groups: &[],
    asks: "",
    at: "",
    clock: "",
    numbers: "",
    weak: "",
    days: [""; 7],
    workdays: "",
    weekend: "",
    daily: "",
    to: "",
};

/// What is known of a language (ISO 639-1).
pub(crate) fn table(language: &str) -> &'static Table {
    match language {
        "en" => &en::TABLE,
        "de" => &de::TABLE,
        "fr" => &fr::TABLE,
        "es" => &es::TABLE,
        "it" => &it::TABLE,
        "nl" => &nl::TABLE,
        "pt" => &pt::TABLE,
        "zh" => &elsewhere::CHINESE,
        "ja" => &elsewhere::JAPANESE,
        "ko" => &elsewhere::KOREAN,
        "ru" => &elsewhere::RUSSIAN,
        "tr" => &elsewhere::TURKISH,
        "el" => &elsewhere::GREEK,
        "ar" => &elsewhere::ARABIC,
        "pl" => &elsewhere::POLISH,
        _ => &NOTHING,
    }
}

/// Words of conversation that say nothing about a topic, beside the language's own small words.
pub(crate) const SMALL_TALK: &str = "\
    hello hi hey thanks thank bye goodbye cheers please sorry pardon excuse welcome okay ok yes yeah yep yup nope \
    nah sure certainly absolutely exactly correct great good fine well alright right nice lovely perfect wonderful \
    brilliant cool awesome fantastic super hmm hm mhm uh um oh ah er wow mind robot bot human maybe perhaps really actually quite pretty \
    anything something everything nothing anybody somebody anyone someone else bit lot lots also already yet still \
    ever never always away back may might could would shall must need needs want wants wanted like likes get gets \
    got getting go goes going gonna come comes coming came know known tell tells told say says said saying ask \
    asking let lets see look looking give gives make makes take takes put thing things kind sort way talk talking \
    speak speaking help call calling called wonder wondering question questions mean think thinking guess hope \
    understand understood repeat again hear hearing moment wait name named serve serves offer offers provide \
    available possible possibly allowed able use try much many us any im ill id ive dont whats thats isnt hold \
    leave somewhere anywhere instead about place restaurant shop home sounds bother worry problem matter hallo \
    danke bitte tschüss ja nein gern gerne gibt geht hätte möchte guten gut wiedersehen könnten kann können bonjour \
    bonsoir merci oui non salut plaît voudrais hola gracias adiós favor sí buenos buenas ciao grazie buongiorno \
    buonasera prego sì hoi bedankt nee graag olá obrigado obrigada sim";

/// The same in languages whose words are in none of the above; of scripts without spaces also what is said around a question.
pub(crate) const SMALL_TALK_ELSEWHERE: &str = "\
    здравствуйте привет алло спасибо пожалуйста извините простите нет хорошо ладно понятно свидания добрый доброе вечер утро подскажите скажите \
    хотел хотела бы ли можно нужно хочу узнать вопрос помочь помогите секунду минуту конечно отлично пока вообще какой какая какие каким сколько \
    merhaba selam teşekkürler teşekkür ederim sağolun lütfen evet hayır tamam iyi günler akşamlar günaydın görüşürüz kolay gelsin acaba peki \
    bir şey soru sormak istiyorum mısınız musunuz mı mu mi mü kim hangi \
    γεια καλημέρα καλησπέρα ευχαριστώ παρακαλώ ναι όχι εντάξει αντίο συγγνώμη μπορώ μπορείτε μπορούμε έχετε υπάρχει υπάρχουν θέλω θα ήθελα ποιος ποια ωραία καλά μου σου μας σας τους ένα ένας μία μια πες πείτε έχω είμαι είναι είστε μπορεί \
    مرحبا أهلا اهلا السلام عليكم شكرا عفوا نعم حسنا طيب فضلك وداعا صباح مساء الخير أريد اريد هل يمكن يمكنني ممكن لديكم عندكم توجد يوجد سؤال \
    dzień dobry wieczór cześć dziękuję dziękuje dzięki proszę przepraszam dobrze okej widzenia mogę możemy chciałbym chciałabym macie jaka jakie pytanie \
    дякую будь ласка вітаю привіт добрий так ні ahoj děkuji prosím dobrý večer ano mohu máte שלום תודה בבקשה כן סליחה سلام ممنون لطفا बله नमस्ते धन्यवाद कृपया हाँ जी \
    你好 您好 喂 谢谢 謝謝 再见 再見 请问 請問 请 请您 请你 好的 好吧 对 对的 是的 不用 不是 没有 没关系 麻烦 麻烦您 对不起 不好意思 想问 问一下 告诉 知道 可以 能 能不能 可不可以 \
    有没有 有 吗 呢 吧 啊 嗎 我 我们 我們 你们 你們 您 想 要 多少 什么 什麼 怎么 怎样 怎么样 哪 这 这里 那 那里 一个 一下 今天 明天 昨天 现在 天气 笑话 讲 讲个 的 了 是 在 不 也 和 就 都 还 很 再 先 会 到 去 来 给 让 把 \
    被 从 用 几 個 个 还是 或者 聊天 机器人 几点了";

/// Words that place a question in time or count something.
const WEAK: &str = "\
    zero today tomorrow yesterday now soon time times day days week weeks month year hour minute minutes clock pm am \
    date people person persons one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty \
    forty fifty wife husband partner friend friends mother father mum mom dad parents family colleague colleagues \
    guy guys half quarter past first last next second long new more little real";

const DAYS: &str = "\
    monday tuesday wednesday thursday friday saturday sunday weekend tonight evening";

/// Wishes: after the first kind of word one of the second is no question about mornings.
const WISHES: &str =
    "good nice lovely great pleasant wonderful guten schönen schöner gute buenas bonne";
const PARTS: &str =
    "morning afternoon evening night day weekend one morgen tag abend nacht noches tardes journée";

fn is_in(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|other| other == word)
}

/// Is a member of a group no pair of letters that documents are searched for, but looked for inside questions?
fn is_within(member: &str) -> bool {
    let length = 2 + usize::from(member.starts_with(is_katakana));
    member.starts_with(is_wide)
        && (member.chars().count() != length || member.chars().all(is_hiragana))
}

/// A word of a phrase.
#[derive(Clone, Debug)]
enum Part {
    /// By its stem; other words may stand before it.
    Word(String, bool),
    /// A number from [`MANY`] on.
    Many,
}

/// The groups by the stems of their words.
#[derive(Default)]
pub(crate) struct Thesaurus {
    /// The single words of each group.
    groups: Vec<Vec<String>>,
    of: FxHashMap<String, Vec<usize>>,
    phrases: Vec<(Vec<Part>, usize)>,
    /// What is looked for inside the words of scripts without spaces.
    within: Vec<(&'static str, usize)>,
    /// How a question begins.
    asks: Vec<Vec<Part>>,
    /// The stem of each day's name.
    days: Vec<String>,
    table: Option<&'static Table>,
}

impl Thesaurus {
    /// Of this table, with words in this form.
    pub(crate) fn new(table: &'static Table, stem: impl Fn(&str) -> String) -> Self {
        let name = |day: &&str| stem(day.split(' ').next().unwrap_or_default());
        let asks = table.asks.split_whitespace();
        let mut all = Self {
            asks: asks.map(|words| phrase(words, &stem)).collect(),
            days: table.days.iter().map(name).collect(),
            table: Some(table),
            ..Self::default()
        };
        for (number, group) in table.groups.iter().enumerate() {
            let mut words: Vec<String> = Vec::new();
            for member in group.split_whitespace() {
                if member.contains(['_', '~']) {
                    all.phrases.push((phrase(member, &stem), number));
                    continue;
                }
                if is_within(member) {
                    all.within.push((member, number));
                    continue;
                }
                for word in member.split('-').map(&stem) {
                    if !words.contains(&word) {
                        all.of.entry(word.clone()).or_default().push(number);
                        words.push(word);
                    }
                }
            }
            all.groups.push(words);
        }
        all
    }

    /// Is there another word for it?
    pub(crate) fn knows(&self, stem: &str) -> bool {
        self.of.contains_key(stem)
    }

    /// Words of opening hours.
    pub(crate) fn opening_hours(&self) -> &[String] {
        self.groups.first().map(Vec::as_slice).unwrap_or_default()
    }

    /// Other words for it.
    pub(crate) fn others(&self, stem: &str) -> impl Iterator<Item = &String> {
        let groups = self.of.get(stem).map(Vec::as_slice).unwrap_or_default();
        groups
            .iter()
            .filter_map(|number| self.groups.get(*number))
            .flatten()
            .filter(move |other| *other != stem)
    }

    /// The stems that a slip of the tongue or of the ear may have been meant as.
    pub(crate) fn stems(&self) -> impl Iterator<Item = &str> {
        self.of.keys().map(String::as_str)
    }

    /// What the phrases in these words stand for, each group once.
    pub(crate) fn phrases(&self, words: &[&str], stems: &[String]) -> Vec<&[String]> {
        let mut found: Vec<usize> = Vec::new();
        found.extend(self.asks_about_a_time(words, stems).then_some(0));
        for (phrase, group) in &self.phrases {
            if !found.contains(group)
                && (0..words.len()).any(|at| stands_at(phrase, words, stems, at))
            {
                found.push(*group);
            }
        }
        for (run, group) in &self.within {
            if !found.contains(group) && words.iter().any(|word| word.contains(run)) {
                found.push(*group);
            }
        }
        let groups = found.into_iter().filter_map(|group| self.groups.get(group));
        groups.map(Vec::as_slice).collect()
    }
}

impl Thesaurus {
    /// "Can we come at eight?": may it be so, at a time of day?
    fn asks_about_a_time(&self, words: &[&str], stems: &[String]) -> bool {
        let Some(table) = self.table else {
            return false;
        };
        let is_hour = |word: &&str| {
            is_in(table.numbers, word) || word.parse::<u32>().is_ok_and(|hour| hour <= 24)
        };
        // "9h30", "9pm"
        let is_written = |word: &&str| {
            let after = word.trim_start_matches(|c: char| c.is_ascii_digit());
            after.len() < word.len()
                && ["h", "am", "pm", "uhr"]
                    .iter()
                    .any(|h| after.starts_with(h))
        };
        let has_time = words.iter().any(is_written)
            || words.windows(2).any(|pair| {
                matches!(pair, [first, second]
                    if is_in(table.at, first) && is_hour(second)
                        || is_hour(first) && is_in(table.clock, second))
            });
        has_time && self.may_be_so(words, stems)
    }

    /// Does it begin like a question for yes or no?
    pub(crate) fn may_be_so(&self, words: &[&str], stems: &[String]) -> bool {
        self.asks
            .iter()
            .any(|phrase| (0..words.len()).any(|at| stands_at(phrase, words, stems, at)))
    }

    /// "See you on Sunday", "bis Freitag": a day in it is no question.
    pub(crate) fn is_farewell(&self, words: &[&str], stems: &[String]) -> bool {
        let names_day = |pair: &[&str]| matches!(pair, [until, day] if self.table.is_some_and(|table| is_in(table.to, until)) && self.day(day).is_some());
        words.windows(2).any(|pair| pair == ["see", "you"])
            || words.windows(2).any(names_day) && !self.may_be_so(words, stems)
    }

    /// The days that a word of a text stands for, by their stems; What is written for a name may
    /// be another word: it is a day with another day or a number among the words `beside` it, and nobody says it.
    pub(crate) fn days(&self, word: &str, beside: &[&str]) -> &[String] {
        let Some(table) = self.table else {
            return &[];
        };
        let all = |from: usize, to: usize| self.days.get(from..to).unwrap_or_default();
        for (list, from, to) in [
            (table.workdays, 0, 5),
            (table.weekend, 5, 7),
            (table.daily, 0, 7),
        ] {
            if is_in(list, word) {
                return all(from, to);
            }
        }
        let Some(at) = self.day(word) else {
            return &[];
        };
        let is_short = word.chars().count() < 4;
        let is_beside = |other: &&str| {
            *other != word && self.day(other).is_some()
                || other.starts_with(|c: char| c.is_ascii_digit())
        };
        if is_short && !beside.iter().any(is_beside) {
            return &[];
        }
        all(at, at + 1)
    }

    /// The days between two, where a dash or such a word stands between them.
    pub(crate) fn days_between(&self, from: &str, between: &str, to: &str) -> Vec<&String> {
        let dash = between.trim();
        let is_range = matches!(dash, "-" | "–" | "—" | ".-" | ".–" | ". –" | ". -")
            || self.table.is_some_and(|table| {
                let word = dash.trim_matches(|c: char| !c.is_alphanumeric());
                !word.is_empty() && is_in(table.to, word)
            });
        let (Some(from), Some(to), true) = (self.day(from), self.day(to), is_range) else {
            return Vec::new();
        };
        let days = self.days.len().max(1);
        let count = (to + days - from) % days;
        (1..count)
            .filter_map(|step| self.days.get((from + step) % days))
            .collect()
    }

    /// Is it a day, or several, beside whatever?
    pub(crate) fn may_be_day(&self, word: &str) -> bool {
        !self.days(word, &["1"]).is_empty()
    }

    /// A day by its name, what is written for it, or a compound, "Mittwochnachmittag".
    fn day(&self, word: &str) -> Option<usize> {
        let days = self.table.map_or(&[][..], |table| &table.days[..]);
        days.iter().position(|forms| {
            let name = forms.split(' ').next().unwrap_or_default();
            !word.is_empty() && (is_in(forms, word) || name.len() > 5 && word.starts_with(name))
        })
    }

    /// Known words of which a compound is made, at its beginning or its end.
    pub(crate) fn parts(&self, stem: &str) -> impl Iterator<Item = &String> {
        let known = self.groups.iter().flatten();
        known.filter(move |part| {
            part.chars().count() >= MIN_PART_CHARS
                && stem.len() >= part.len() + MIN_REST_BYTES
                && (stem.starts_with(part.as_str()) || stem.ends_with(part.as_str()))
        })
    }

    /// Does it never say by itself what a question is about?
    pub(crate) fn is_weak(&self, word: &str) -> bool {
        is_weak(word)
            || self
                .table
                .is_some_and(|table| is_in(table.weak, word) || is_in(table.numbers, word))
    }
}

fn phrase(member: &str, stem: impl Fn(&str) -> String) -> Vec<Part> {
    let mut parts = Vec::new();
    for (at, run) in member.split('~').enumerate() {
        for (number, word) in run.split('_').enumerate() {
            parts.push(match word {
                "#" => Part::Many,
                word => Part::Word(stem(word), at > 0 && number == 0),
            });
        }
    }
    parts
}

fn stands_at(phrase: &[Part], words: &[&str], stems: &[String], start: usize) -> bool {
    let mut at = start;
    for (number, part) in phrase.iter().enumerate() {
        let reach = match part {
            Part::Word(_, true) if number > 0 => MAX_BETWEEN,
            _ => 0,
        };
        let is_here = |at: &usize| match part {
            Part::Word(word, _) => stems.get(*at) == Some(word),
            Part::Many => words.get(*at).is_some_and(|word| is_many(word)),
        };
        match (at..=at + reach).find(is_here) {
            Some(here) => at = here + 1,
            None => return false,
        }
    }
    true
}

fn is_many(word: &str) -> bool {
    is_in(
        "seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen eighteen twenty thirty forty fifty dozen",
        word,
    ) || word
        .parse::<u32>()
        .is_ok_and(|number| (MANY..1000).contains(&number))
}

/// Words that ask for a time or a place, though a language counts them among its small words.
const ASKING: &str = "when where wann wo wohin quand où cuándo dónde cuánto quando quanto dove wanneer waar når hvor var \
    когда где куда сколько πότε πού nerede nereye neredesiniz zaman متى أين kiedy gdzie kdy kde коли де מתי איפה कब कहाँ";

/// The same of scripts without spaces.
const ASKING_WITHIN: &str = "几点 幾點 什么时候 什麼時候 哪里 哪裡 哪儿 在哪 多少钱 何時 いつ どこ いくら 언제 어디 몇시 얼마 เมื่อไหร่ เมื่อไร ที่ไหน กี่โมง เท่าไหร่ เท่าไร";

/// Is one of these inside a text?
pub(crate) fn asks_within(text: &str) -> bool {
    ASKING_WITHIN.split(' ').any(|run| text.contains(run))
}

/// Does it ask, without saying what about?
pub(crate) fn asks(word: &str) -> bool {
    is_in(ASKING, word)
}

/// "Good morning", "a nice evening".
pub(crate) fn is_polite(before: Option<&str>, word: &str) -> bool {
    before.is_some_and(|before| is_in(WISHES, before)) && is_in(PARTS, word)
}

/// Does it never say by itself what a question is about?
fn is_weak(word: &str) -> bool {
    is_in(WEAK, word) || word.chars().all(char::is_numeric)
}

pub(crate) fn is_day(word: &str) -> bool {
    is_in(DAYS, word.trim_end_matches('s'))
}

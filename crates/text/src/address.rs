//! Web and e-mail addresses as a person reads them out: "example dot com slash menu", "info at example dot com". The scheme,
//! `www.`, the query and the fragment are not said, nor is a path that nobody could note down. The transcript and the
//! history keep the address as it was written. So it is with signs that a page shows and a voice does not know: arrows,
//! ratings in stars, and the marks of yes and no in a table.

use std::ops::Range;

use super::words::is_spaceless;

/// A longer path is left out, and so is one with a longer part.
const MAX_PATH_PARTS: usize = 3;
const MAX_PART_CHARS: usize = 24;
/// Endings of hosts that are recognised without a scheme or `www.`; file names and typing errors must not look like them.
/// Before a path any two small letters are an ending, but for [`FILES`].
const ENDINGS: &str = "com org net edu gov int io ai app dev info biz shop store club blog site online cafe hotel pizza museum \
    clinic dental salon xyz eu de at ch fr es it nl uk pt pl se dk fi ie cz ca au nz jp br";
/// Endings of files.
const FILES: &str = "md js ts py rs rb go cs sh pl ps so";

/// How a language names the signs of an address.
struct Names {
    language: &'static str,
    at: &'static str,
    dot: &'static str,
    slash: &'static str,
    dash: &'static str,
    underscore: &'static str,
    plus: &'static str,
    to: &'static str,
    yes: &'static str,
    no: &'static str,
    of: &'static str,
    stars: &'static str,
}

const fn names(
    language: &'static str,
    signs: [&'static str; 6],
    words: [&'static str; 5],
) -> Names {
    let [at, dot, slash, dash, underscore, plus] = signs;
    let [to, yes, no, of, stars] = words;
    Names {
        language,
        at,
        dot,
        slash,
        dash,
        underscore,
        plus,
        to,
        yes,
        no,
        of,
        stars,
    }
}

const NAMES: [Names; 8] = [
    names(
        "en",
        ["at", "dot", "slash", "dash", "underscore", "plus"],
        ["to", "yes", "no", "of", "stars"],
    ),
    names(
        "de",
        [
            "ät",
            "Punkt",
            "Schrägstrich",
            "Bindestrich",
            "Unterstrich",
            "Plus",
        ],
        ["nach", "ja", "nein", "von", "Sterne"],
    ),
    names(
        "fr",
        ["arobase", "point", "slash", "tiret", "tiret bas", "plus"],
        ["vers", "oui", "non", "sur", "étoiles"],
    ),
    names(
        "es",
        ["arroba", "punto", "barra", "guion", "guion bajo", "más"],
        ["a", "sí", "no", "de", "estrellas"],
    ),
    names(
        "it",
        [
            "chiocciola",
            "punto",
            "barra",
            "trattino",
            "trattino basso",
            "più",
        ],
        ["a", "sì", "no", "su", "stelle"],
    ),
    names(
        "pt",
        ["arroba", "ponto", "barra", "hífen", "sublinhado", "mais"],
        ["para", "sim", "não", "de", "estrelas"],
    ),
    names(
        "nl",
        [
            "apenstaartje",
            "punt",
            "schuine streep",
            "streepje",
            "laag streepje",
            "plus",
        ],
        ["naar", "ja", "nee", "van", "sterren"],
    ),
    names(
        "pl",
        [
            "małpa",
            "kropka",
            "ukośnik",
            "myślnik",
            "podkreślnik",
            "plus",
        ],
        ["do", "tak", "nie", "z", "gwiazdek"],
    ),
];

/// The language in which addresses are read out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tongue {
    /// Nobody knows: English.
    #[default]
    Unknown,
    /// One of [`NAMES`].
    Known(usize),
    /// Another: the voice reads the signs in its own way.
    Other,
}

impl Tongue {
    /// By its name (BCP 47).
    pub fn of(language: Option<&str>) -> Self {
        let Some(language) = language else {
            return Self::Unknown;
        };
        let primary = language.split(['-', '_']).next().unwrap_or_default();
        let known = NAMES
            .iter()
            .position(|names| names.language.eq_ignore_ascii_case(primary));
        known.map_or(Self::Other, Self::Known)
    }

    fn names(self) -> Option<&'static Names> {
        match self {
            Self::Unknown => NAMES.first(),
            Self::Known(number) => NAMES.get(number),
            Self::Other => None,
        }
    }
}

/// What is said of a text in which addresses stand, and which part of it belongs to which part of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// What is said.
    pub text: String,
    /// Of each address: where it ends in what is said, and where it begins and ends in what is written.
    places: Vec<(usize, usize, usize)>,
}

impl Spoken {
    /// `None`: it is said as it is written.
    pub fn of(text: &str, tongue: Tongue) -> Option<Self> {
        let mut spoken = Self {
            text: String::new(),
            places: Vec::new(),
        };
        let mut at = 0;
        while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
            let rest = text.get(at..).unwrap_or_default();
            if let Some((bytes, words)) = sign(rest, tongue) {
                spoken.say(text, at..at + bytes, &words, true);
                at += bytes;
                continue;
            }
            let Some((address, run)) = address_in(rest) else {
                at += c.len_utf8();
                continue;
            };
            let written = rest.get(address.clone()).unwrap_or_default();
            if let Some(words) = read_out(written, tongue) {
                spoken.say(text, at + address.start..at + address.end, &words, false);
            }
            at += run;
        }
        let done = spoken.done();
        spoken.text.push_str(text.get(done..).unwrap_or_default());
        (!spoken.places.is_empty()).then_some(spoken)
    }

    /// How much of the written text is in what is said.
    fn done(&self) -> usize {
        self.places.last().map_or(0, |(_, _, end)| *end)
    }

    /// These words for that part of the text; `apart`: the words around it may touch it, and its name may not touch them.
    fn say(&mut self, text: &str, written: Range<usize>, words: &str, apart: bool) {
        let is_word = |c: Option<char>| apart && c.is_some_and(char::is_alphanumeric);
        let before = text.get(self.done()..written.start).unwrap_or_default();
        self.text.push_str(before);
        if is_word(self.text.chars().next_back()) {
            self.text.push(' ');
        }
        self.text.push_str(words);
        let after = text.get(written.end..).unwrap_or_default();
        if is_word(after.chars().next()) {
            self.text.push(' ');
        }
        self.places
            .push((self.text.len(), written.start, written.end));
    }

    /// How much of the written text was said when this many bytes of what is said were. An address counts when all of it was.
    pub fn written(&self, said: usize) -> usize {
        let (mut in_said, mut in_text) = (0, 0);
        for &(said_until, begins, ends) in &self.places {
            if said < said_until {
                return (in_text + (said - in_said)).min(begins);
            }
            (in_said, in_text) = (said_until, ends);
        }
        in_text + (said - in_said)
    }
}

/// A sign at the beginning: its bytes, and what is said for it.
fn sign(text: &str, tongue: Tongue) -> Option<(usize, String)> {
    let names = tongue.names()?;
    let c = text.chars().next()?;
    let one = |word: &str| Some((c.len_utf8(), word.to_owned()));
    match c {
        '→' => one(names.to),
        '✓' => one(names.yes),
        '✗' => one(names.no),
        '★' | '☆' => {
            let stars = text.chars().take_while(|c| matches!(c, '★' | '☆'));
            let (full, all) = stars.fold((0, 0), |(full, all), c| {
                (full + usize::from(c == '★'), all + 1)
            });
            let words = if full == all {
                format!("{all} {}", names.stars)
            } else {
                format!("{full} {} {all} {}", names.of, names.stars)
            };
            Some((all * c.len_utf8(), words))
        }
        _ => None,
    }
}

/// The part up to a sign that separates addresses: what in it may be an address, and its bytes. `None`: nothing of an
/// address stands at the beginning.
fn address_in(text: &str) -> Option<(Range<usize>, usize)> {
    let end = text
        .find(|c: char| !may_stand_in_address(c) || matches!(c, ',' | ';'))
        .unwrap_or(text.len());
    let run = text.get(..end).filter(|run| !run.is_empty())?;
    let address = run.trim_start_matches(['(', '\'', '*', '_', ':', '.', '!', '?']);
    let address = without_label(address);
    let start = run.len() - address.len();
    let address = address.trim_end_matches(['.', ':', '!', '?', '\'', '*', '_', '…']);
    let address = if address.contains('(') {
        address
    } else {
        address.trim_end_matches([')', '.'])
    };
    Some((start..start + address.len(), end))
}

/// "Website:example.com" names what it is; a scheme and a port do not.
fn without_label(run: &str) -> &str {
    let (before, after) = match run.find("://") {
        Some(at) => {
            let head = run.get(..at).unwrap_or_default();
            let scheme = head
                .rfind(|c: char| !c.is_ascii_alphanumeric())
                .map_or(0, |at| at + 1);
            run.split_at_checked(scheme).unwrap_or(("", run))
        }
        None => match run.split_once(':') {
            Some((label, rest))
                if rest.starts_with(char::is_alphabetic) && !matches!(label, "mailto" | "tel") =>
            {
                (label, rest)
            }
            _ => ("", run),
        },
    };
    if before
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, ':' | '-' | '(' | '='))
    {
        after
    } else {
        run
    }
}

/// Letters of scripts with spaces, and what RFC 3986 allows: what follows an address without a space, in Chinese or Korean,
/// ends it.
pub(super) fn may_stand_in_address(c: char) -> bool {
    let is_border = matches!(
        c,
        '"' | '<' | '>' | '[' | ']' | '{' | '}' | '|' | '\\' | '^' | '`'
    );
    (c.is_ascii_graphic() && !is_border)
        || (!c.is_ascii() && c.is_alphanumeric() && !is_spaceless(c) && !is_hangul(c))
}

fn is_hangul(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{ac00}'..='\u{d7a3}')
}

/// How an address is said; `None`: it is none.
fn read_out(address: &str, tongue: Tongue) -> Option<String> {
    let address = address.strip_prefix("mailto:").unwrap_or(address);
    if let Some(number) = address.strip_prefix("tel:") {
        return number.starts_with(['+', '0']).then(|| number.to_owned());
    }
    if let Some((name, host)) = address.split_once('@').filter(|_| !address.contains("://")) {
        let is_name =
            |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '%' | '\'');
        if name.is_empty() || !name.chars().all(is_name) || !is_host(host) {
            return None;
        }
        return Some(match tongue.names() {
            Some(names) => format!("{} {} {}", signs(name, names), names.at, signs(host, names)),
            None => address.to_owned(),
        });
    }
    let lower = address.to_ascii_lowercase();
    let scheme = ["https://", "http://", "ftp://"]
        .into_iter()
        .find(|scheme| lower.starts_with(scheme));
    let rest = address.get(scheme.map_or(0, str::len)..)?;
    let has_www = rest
        .get(..4)
        .is_some_and(|www| www.eq_ignore_ascii_case("www."));
    let rest = if has_www { rest.get(4..)? } else { rest };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at_checked(end)?;
    let host = host.rsplit('@').next().unwrap_or(host);
    let (host, port) = host.split_once(':').unwrap_or((host, ""));
    let is_named = scheme.is_some() && !host.is_empty() && host.chars().all(is_host_char);
    let is_in = |list: &str, end: &str| list.split_whitespace().any(|known| known == end);
    let has_path = path.len() > 1 && path.starts_with('/');
    let ends_known = || {
        host.rsplit('.').next().is_some_and(|end| {
            let is_country = end.len() == 2 && end.bytes().all(|b| b.is_ascii_lowercase());
            let is_deep = host.split('.').filter(|label| label.len() > 1).count() > 2;
            is_in(ENDINGS, end) || has_path && (is_country && !is_in(FILES, end) || is_deep)
        })
    };
    if !(is_named || is_host(host) && (has_www || ends_known())) {
        return None;
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let is_plain = |part: &&str| {
        part.chars().count() <= MAX_PART_CHARS
            && part
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+'))
    };
    let is_short = parts.len() <= MAX_PATH_PARTS && parts.iter().all(is_plain);
    let parts = if is_short { parts } else { Vec::new() };
    let Some(names) = tongue.names() else {
        return Some([&[host][..], &parts[..]].concat().join("/"));
    };
    let mut words = signs(host, names);
    if !port.is_empty() {
        words = format!("{words} {port}");
    }
    for part in parts {
        words = format!("{words} {} {}", names.slash, signs(part, names));
    }
    Some(words)
}

/// The signs in a name by their names.
fn signs(name: &str, names: &Names) -> String {
    let mut words = String::new();
    for c in name.chars() {
        let sign = match c {
            '.' => names.dot,
            '-' => names.dash,
            '_' => names.underscore,
            '+' => names.plus,
            c => {
                words.push(c);
                continue;
            }
        };
        if !words.is_empty() && !words.ends_with(' ') {
            words.push(' ');
        }
        words.push_str(sign);
        words.push(' ');
    }
    words.trim_end().to_owned()
}

fn is_host_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '-' | '_')
}

/// Two names or more with a period between, the last of letters.
fn is_host(host: &str) -> bool {
    let mut labels = host.split('.');
    let last = labels.next_back().unwrap_or_default();
    let is_label = |label: &str| !label.is_empty() && label.chars().all(is_host_char);
    let letters = |label: &str| label.chars().any(char::is_alphabetic);
    let mut names = labels.peekable();
    names.peek().is_some()
        && names.all(is_label)
        && last.chars().count() >= 2
        && last.chars().all(char::is_alphabetic)
        && host
            .trim_end_matches(last)
            .chars()
            .any(|c| letters(&c.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn said(text: &str, language: &str) -> String {
        Spoken::of(text, Tongue::of(Some(language))).map_or(text.to_owned(), |spoken| spoken.text)
    }

    #[test]
    fn addresses_are_read_out_as_a_person_would() {
        for (text, spoken) in [
            (
                "Visit https://example.com/menu?id=1&x=2 today.",
                "Visit example dot com slash menu today.",
            ),
            (
                "See www.example.org, or write to info@example.com.",
                "See example dot org, or write to info at example dot com.",
            ),
            (
                "(http://olive-press.co.uk/)",
                "(olive dash press dot co dot uk)",
            ),
            (
                "John_Doe+x@mail.example.de!",
                "John underscore Doe plus x at mail dot example dot de!",
            ),
            ("mailto:a.b@example.com", "a dot b at example dot com"),
            ("https://example.com/a/b/c/d/e", "example dot com"),
            (
                "https://example.com/9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c",
                "example dot com",
            ),
            ("https://example.com/a_(b)?q=1#x", "example dot com"),
            (
                "Book at example.com/menu.html",
                "Book at example dot com slash menu dot html",
            ),
            (
                "请访问https://example.com/menu。",
                "请访问example dot com slash menu。",
            ),
            ("http://localhost:3000/x", "localhost 3000 slash x"),
            ("HTTPS://Example.COM", "Example dot COM"),
            (
                "bit.ly/menu24, youtu.be/x, t.me/foo or zoom.us/j/123",
                "bit dot ly slash menu24, youtu dot be slash x, t dot me slash foo or zoom dot us slash j slash 123",
            ),
            (
                "Website:example.com,info@example.com;https://a.example.com/b.",
                "Website:example dot com,info at example dot com;a dot example dot com slash b.",
            ),
            (
                "our.store or tel:+4930123456",
                "our dot store or +4930123456",
            ),
            (
                "예약은 https://example.kr/a에서",
                "예약은 example dot kr slash a에서",
            ),
            ("Vegan ✓, nuts ✗", "Vegan yes, nuts no"),
            ("Rating: ★★★★☆, ★★★.", "Rating: 4 of 5 stars, 3 stars."),
            ("Berlin → Hamburg, A→B", "Berlin to Hamburg, A to B"),
            (
                "shop.example.berlin/x",
                "shop dot example dot berlin slash x",
            ),
        ] {
            assert_eq!(said(text, "en-US"), spoken);
        }
        assert_eq!(
            said("info@example.com oder www.example.de/karte", "de"),
            "info ät example Punkt com oder example Punkt de Schrägstrich karte"
        );
        assert_eq!(
            said("https://example.com/menu?x=1 a@example.com", "ja"),
            "example.com/menu a@example.com"
        );
        assert_eq!(said("Vegan ✓: ★★☆", "de"), "Vegan ja: 2 von 3 Sterne");
    }

    #[test]
    fn what_only_looks_like_an_address_is_left_alone() {
        for text in [
            "Node.js and menu.md",
            "3.50 at 5 p.m.",
            "e.g. this",
            "a@b",
            "yes.no",
            "5/6 and/or",
            "@home",
            "x@y.z1",
            "12.30",
            "e-mail",
            "and/or",
            "menu.md/x",
            "Node.js/React",
            "a.m./p.m.",
            "km/h",
            "9:30",
            "A:B",
        ] {
            assert_eq!(Spoken::of(text, Tongue::Unknown), None, "{text}");
        }
    }

    #[test]
    fn an_address_was_heard_when_all_of_it_was() {
        let text = "Write to info@example.com today, or see www.example.org now.";
        let spoken = Spoken::of(text, Tongue::Unknown).unwrap();
        assert_eq!(
            spoken.text,
            "Write to info at example dot com today, or see example dot org now."
        );
        let heard = |words: &str| {
            let end = spoken.text.find(words).unwrap() + words.len();
            text.get(..spoken.written(end)).unwrap()
        };
        assert_eq!(heard("Write"), "Write");
        assert_eq!(heard("Write to"), "Write to");
        assert_eq!(heard("Write to info at"), "Write to ");
        assert_eq!(heard("dot com"), "Write to info@example.com");
        assert_eq!(heard("today,"), "Write to info@example.com today,");
        assert_eq!(heard("now."), text);
        for said in 0..=spoken.text.len() {
            assert!(text.is_char_boundary(spoken.written(said)));
        }
    }
}

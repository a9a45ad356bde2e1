//! Written text as it is read aloud in English, where flite and espeak-ng do not know it themselves: prices in euros and pounds,
//! addresses of the net, dates in digits, marks of Markdown. flite reads bytes: of "crème" it makes "c r m e", so letters that
//! ASCII does not have are given to it without their accents.

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// Letters that are not written with one letter and an accent, and what stands for marks.
const FOLDED: [(&str, &str); 30] = [
    ("ÀÁÂÃÄÅĀĂĄ", "A"),
    ("àáâãäåāăą", "a"),
    ("ÈÉÊËĒĖĘĚ", "E"),
    ("èéêëēėęě", "e"),
    ("ÌÍÎÏĪĮİ", "I"),
    ("ìíîïīįı", "i"),
    ("ÒÓÔÕÖØŌŐ", "O"),
    ("òóôõöøōő", "o"),
    ("ÙÚÛÜŪŮŰ", "U"),
    ("ùúûüūůű", "u"),
    ("ÇĆČ", "C"),
    ("çćč", "c"),
    ("ÑŃŇ", "N"),
    ("ñńň", "n"),
    ("ŚŞŠ", "S"),
    ("śşš", "s"),
    ("ÝŸ", "Y"),
    ("ýÿ", "y"),
    ("ŹŻŽ", "Z"),
    ("źżž", "z"),
    ("ĞĢ", "G"),
    ("ğģ", "g"),
    ("ŁĽ", "L"),
    ("łľ", "l"),
    ("ß", "ss"),
    ("ÆŒ", "E"),
    ("æ", "ae"),
    ("œ", "oe"),
    ("‘’‚′", "'"),
    ("–—…", ", "),
];

/// In words that an English voice reads well.
pub(crate) fn words(text: &str) -> String {
    let mut said: Vec<String> = Vec::new();
    for token in text.split_whitespace() {
        let token = token.replace(['*', '`', '"', '“', '”', '„', '«', '»'], "");
        let core = token.trim_matches(|c: char| matches!(c, '(' | ')' | '_' | '\'' | '[' | ']'));
        let bare = core.trim_end_matches(['.', ',', '!', '?', ';', ':', ')']);
        let end = core.get(bare.len()..).unwrap_or_default();
        let after_number = said
            .last()
            .is_some_and(|before| before.ends_with(|c: char| c.is_ascii_digit()));
        let sign_behind = after_number && matches!(bare, "€" | "£");
        let amount = said.pop_if(|_| sign_behind);
        let read = half_day(bare, after_number)
            .or_else(|| price(&format!("{}{bare}", amount.as_deref().unwrap_or_default())))
            .or_else(|| date(bare))
            .or_else(|| address(bare))
            .or_else(|| mark(bare));
        match read {
            // the stop of "p.m." is not the end of a sentence for the voice, but a comma after a price is a pause
            Some(read) => said.push(format!("{read}{end}")),
            None => {
                said.extend(amount);
                if !core.is_empty() {
                    said.push(core.to_owned());
                }
            }
        }
    }
    said.join(" ")
}

/// Nothing but ASCII.
pub(crate) fn ascii(text: &str) -> String {
    let fold = |letter: char| -> String {
        if letter.is_ascii() {
            return letter.to_string();
        }
        FOLDED
            .iter()
            .find(|(letters, _)| letters.contains(letter))
            .map_or(" ", |(_, folded)| folded)
            .to_owned()
    };
    text.chars().map(fold).collect()
}

/// "5:30pm", and "pm" after a number: as letters, not as a word.
fn half_day(token: &str, after_number: bool) -> Option<String> {
    let lower = token.to_lowercase().replace('.', "");
    let (time, half) = lower.split_at_checked(lower.len().checked_sub(2)?)?;
    let half = match half {
        "am" => "AM",
        "pm" => "PM",
        _ => return None,
    };
    let digits = !time.is_empty() && time.chars().all(|c| c.is_ascii_digit() || c == ':');
    match (time, digits) {
        ("", _) if after_number => Some(half.into()),
        (time, true) => Some(format!("{time} {half}")),
        _ => None,
    }
}

/// "€12.50", "12,50€", "£3"; dollars are known to both voices.
fn price(token: &str) -> Option<String> {
    let (sign, amount) = ['€', '£'].iter().find_map(|sign| {
        let amount = token.strip_prefix(*sign).or(token.strip_suffix(*sign))?;
        Some((*sign, amount))
    })?;
    let valid = amount.starts_with(|c: char| c.is_ascii_digit())
        && amount
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | ','));
    if !valid {
        return None;
    }
    let (whole, cents) = match amount.rsplit_once(['.', ',']) {
        Some((whole, cents)) if cents.len() == 2 => (whole, cents),
        _ => (amount, ""),
    };
    let whole = whole.replace(['.', ','], "");
    let (one, many) = if sign == '€' {
        ("euro", "euros")
    } else {
        ("pound", "pounds")
    };
    let unit = if whole == "1" { one } else { many };
    Some(match cents {
        "" | "00" => format!("{whole} {unit}"),
        cents => format!("{whole} {unit} {}", cents.trim_start_matches('0')),
    })
}

/// "2026-11-27".
fn date(token: &str) -> Option<String> {
    let mut parts = token.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let digits =
        |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
    if parts.next().is_some() || !digits(year, 4) || !digits(month, 2) || !digits(day, 2) {
        return None;
    }
    let month = MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?)?;
    Some(format!("{month} {}, {year}", day.trim_start_matches('0')))
}

/// "https://www.example.com/menu", "info@example.com".
fn address(token: &str) -> Option<String> {
    let (head, rest) = token.split_once("://").unwrap_or(("", token));
    let mail = token.contains('@') && token.contains('.');
    if !mail && !matches!(head, "http" | "https") && !token.starts_with("www.") {
        return None;
    }
    // what follows a question mark is for machines
    let place = rest.split(['?', '#']).next().unwrap_or_default();
    let read = place
        .trim_end_matches('/')
        .replace("www.", "")
        .replace('.', " dot ")
        .replace('/', " slash ")
        .replace('@', " at ")
        .replace('-', " dash ");
    Some(read)
}

fn mark(token: &str) -> Option<String> {
    if let Some(number) = token.strip_prefix('#')
        && number.starts_with(|c: char| c.is_ascii_digit())
    {
        return Some(format!("number {number}"));
    }
    for (sign, scale) in [("°C", "Celsius"), ("°F", "Fahrenheit")] {
        if let Some(degrees) = token.strip_suffix(sign) {
            return Some(format!("{degrees} degrees {scale}").trim().to_owned());
        }
    }
    match token {
        "&" | "+" => Some("and".into()),
        "=" => Some("is".into()),
        "-" | "–" | "—" => Some(",".into()),
        _ if !token.is_empty()
            && token
                .chars()
                .all(|c| matches!(c, '#' | '-' | '=' | '>' | '|')) =>
        {
            Some(String::new())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_times_dates_and_addresses_are_said_as_people_say_them() {
        for (written, said) in [
            (
                "It costs €12.50, or 8 €.",
                "It costs 12 euros 50, or 8 euros.",
            ),
            (
                "£1 and 3,05€; €1,250.00!",
                "1 pound and 3 euros 5; 1250 euros!",
            ),
            ("We open at 5:30 pm.", "We open at 5:30 PM."),
            ("I am here at 7am (or 9 p.m.)", "I am here at 7 AM or 9 PM."),
            ("on 2026-11-07,", "on November 7, 2026,"),
            (
                "See https://www.example.com/menu?x=1 or info@olive-press.com.",
                "See example dot com slash menu or info at olive dash press dot com.",
            ),
            ("**Fish** & _chips_ `now`", "Fish and chips now"),
            ("room #5 – 18°C", "room number 5 , 18 degrees Celsius"),
            ("# Menu\n- soup", "Menu , soup"),
            (
                "a 1-2 b $3 don't 20% 1,250 Q7X",
                "a 1-2 b $3 don't 20% 1,250 Q7X",
            ),
        ] {
            assert_eq!(words(written).trim(), said, "{written}");
        }
    }

    #[test]
    fn letters_that_a_voice_cannot_read_lose_their_accents() {
        assert_eq!(
            ascii("Crème brûlée, Gruyère, café, Straße, it’s Łódź"),
            "Creme brulee, Gruyere, cafe, Strasse, it's Lodz"
        );
        assert!(ascii("日本 😀 é").is_ascii());
    }
}

//! Numbers in English words, in the forms that the lexicon's rules expect: `one thousand, two hundred and thirty-four`.

const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] = [
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];
const SCALES: [&str; 13] = [
    "",
    "thousand",
    "million",
    "billion",
    "trillion",
    "quadrillion",
    "quintillion",
    "sextillion",
    "septillion",
    "octillion",
    "nonillion",
    "decillion",
    "undecillion",
];
const IRREGULAR_ORDINALS: [(&str, &str); 7] = [
    ("one", "first"),
    ("two", "second"),
    ("three", "third"),
    ("five", "fifth"),
    ("eight", "eighth"),
    ("nine", "ninth"),
    ("twelve", "twelfth"),
];

fn word(list: &'static [&'static str], index: u128) -> &'static str {
    usize::try_from(index)
        .ok()
        .and_then(|index| list.get(index))
        .copied()
        .unwrap_or_default()
}

/// A digit's name.
pub(crate) fn digit(digit: u32) -> &'static str {
    word(&ONES, u128::from(digit))
}

/// Numbers below a thousand: `two hundred and five`.
fn below_thousand(number: u128) -> String {
    let (hundreds, rest) = (number / 100, number % 100);
    let mut words = Vec::new();
    if hundreds > 0 {
        words.push(format!("{} hundred", word(&ONES, hundreds)));
        if rest > 0 {
            words.push("and".to_owned());
        }
    }
    match rest {
        0 if hundreds > 0 => {}
        0..20 => words.push(word(&ONES, rest).to_owned()),
        _ if rest.is_multiple_of(10) => words.push(word(&TENS, rest / 10).to_owned()),
        _ => words.push(format!(
            "{}-{}",
            word(&TENS, rest / 10),
            word(&ONES, rest % 10)
        )),
    }
    words.join(" ")
}

/// `one thousand, two hundred and thirty-four`; the last group joins with `and` when it is below a hundred.
pub(crate) fn cardinal(number: u128) -> String {
    if number < 1000 {
        return below_thousand(number);
    }
    let mut groups = Vec::new();
    let mut rest = number;
    let mut scale = 0;
    while rest > 0 {
        let group = rest % 1000;
        if group > 0 {
            let words = below_thousand(group);
            groups.push(if scale == 0 {
                words
            } else {
                format!("{words} {}", word(&SCALES, scale))
            });
        }
        rest /= 1000;
        scale += 1;
    }
    groups.reverse();
    let last_is_small = (1..100).contains(&(number % 1000));
    match groups.split_last() {
        Some((last, before)) if last_is_small && !before.is_empty() => {
            format!("{} and {last}", before.join(", "))
        }
        _ => groups.join(", "),
    }
}

/// `twenty-third`, `one hundred and first`, `one thousandth`.
pub(crate) fn ordinal(number: u128) -> String {
    let cardinal = cardinal(number);
    let start = cardinal.rfind([' ', '-']).map_or(0, |at| at + 1);
    let (head, last) = cardinal.split_at(start);
    let irregular = IRREGULAR_ORDINALS.iter().find(|(word, _)| *word == last);
    let last = match (irregular, last.strip_suffix('y')) {
        (Some((_, ordinal)), _) => (*ordinal).to_owned(),
        (None, Some(stem)) => format!("{stem}ieth"),
        (None, None) => format!("{last}th"),
    };
    format!("{head}{last}")
}

/// `nineteen oh-five`, `two thousand and five`, `twenty ten`.
pub(crate) fn year(number: u128) -> String {
    let (high, low) = (number / 100, number % 100);
    if high == 0 || (high.is_multiple_of(10) && low < 10) || high >= 100 {
        return cardinal(number);
    }
    let low = match low {
        0 => "hundred".to_owned(),
        1..10 => format!("oh-{}", cardinal(low)),
        _ => cardinal(low),
    };
    format!("{} {low}", cardinal(high))
}

/// `three point one four`; zeros at the end are not read.
pub(crate) fn decimal(text: &str) -> String {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut words = cardinal(whole.parse().unwrap_or(0));
    let fraction = fraction.trim_end_matches('0');
    if !fraction.is_empty() {
        words.push_str(" point");
        for digit_value in fraction.chars().filter_map(|c| c.to_digit(10)) {
            words.push(' ');
            words.push_str(digit(digit_value));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_a_person_reads_them() {
        assert_eq!(cardinal(0), "zero");
        assert_eq!(cardinal(1_234), "one thousand, two hundred and thirty-four");
        assert_eq!(cardinal(1_001), "one thousand and one");
        assert_eq!(cardinal(1_020_000), "one million, twenty thousand");
        assert_eq!(ordinal(23), "twenty-third");
        assert_eq!(ordinal(101), "one hundred and first");
        assert_eq!(ordinal(20), "twentieth");
        assert_eq!(year(1905), "nineteen oh-five");
        assert_eq!(year(2005), "two thousand and five");
        assert_eq!(year(2010), "twenty ten");
        assert_eq!(decimal("3.140"), "three point one four");
    }
}

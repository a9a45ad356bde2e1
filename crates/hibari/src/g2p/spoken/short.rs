//! Abbreviations that hibari's table has not.

use super::super::normalize::roman;
use super::super::numbers::ordinal;
use super::{Written, group};

/// Short forms with a point, and what is read. Behind a comma or a small letter their point ends no sentence.
const WORDS: [(&str, &str); 17] = [
    ("e.g.", "for example"),
    ("i.e.", "that is"),
    ("incl.", "including"),
    ("excl.", "excluding"),
    ("max.", "maximum"),
    ("tel.", "telephone"),
    ("Tel.", "telephone"),
    ("ext.", "extension"),
    ("Ext.", "extension"),
    ("appt.", "appointment"),
    ("temp.", "temperature"),
    ("Sq.", "Square"),
    ("Pl.", "Place"),
    ("Ct.", "Court"),
    ("Fl.", "Floor"),
    ("Flr.", "Floor"),
    ("c/o", "care of"),
];

pub(super) fn rules() -> Vec<Written> {
    let short: Vec<String> = WORDS
        .iter()
        .map(|(short, _)| super::super::literal(short))
        .collect();
    let short = short.join("|");
    vec![
        // 12 Elm Dr., but not Dr. Lee
        (
            r"\b(\d+[A-Za-z]? (?:[A-Z][a-z]+ ){1,3})Dr\.?(?=$|[,;]|\.? [a-z]|\.$)".to_owned(),
            |found| Some(format!("{}Drive", group(found, 1))),
        ),
        // Pennsylvania Ave. NW
        (
            r"(?<=Ave |Ave\. |St |St\. |Rd |Rd\. |Blvd |Blvd\. |Street |Avenue |Road )(NW|NE|SW|SE)\b"
                .to_owned(),
            |found| {
                let name = match group(found, 1) {
                    "NW" => "Northwest",
                    "NE" => "Northeast",
                    "SW" => "Southwest",
                    _ => "Southeast",
                };
                Some(name.to_owned())
            },
        ),
        // Pope John XXIII; hibari knows some names without their title
        (
            r"\b((?:King|Queen|Pope|Emperor|Empress|Tsar|Prince|Princess) [A-Z][a-z]+) ([IVX]+)\b(?!\.\w)"
                .to_owned(),
            |found| {
                let number = ordinal(roman(group(found, 2)));
                Some(format!("{} the {number}", group(found, 1)))
            },
        ),
        // in the middle of a sentence the point is no pause
        (r"\betc\.(?=[,;:)]| [a-z])".to_owned(), |_| {
            Some("etc".to_owned())
        }),
        (
            format!(r"(?<![\w.])({short})(?!\w)(?=($)?)"),
            |found| {
                let (_, words) = WORDS.iter().find(|(short, _)| *short == group(found, 1))?;
                // at the end the point is also that of the sentence
                let stop = if found.get(2).is_some() && group(found, 1).ends_with('.') {
                    "."
                } else {
                    ""
                };
                Some(format!("{words}{stop}"))
            },
        ),
    ]
}

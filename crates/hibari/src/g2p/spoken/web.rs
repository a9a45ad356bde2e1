//! Addresses of mail and of the web, as people tell them: *info at olive dash press dot com*.

use super::digits::{letters, spelled};
use super::{Written, group};

/// The ends of names by which an address without `www` is known.
const ENDS: &str = "com|org|net|edu|gov|info|biz|io|ai|app|dev|shop|store|co|uk|us|ca|au|nz|ie|de|at|ch|fr|be|nl|lu|es|pt|it|dk|se|fi|pl|eu|restaurant|cafe|menu|health|dental|clinic";

pub(super) fn rules() -> Vec<Written> {
    const NAME: &str = r"[A-Za-z\d](?:[A-Za-z\d\-]*[A-Za-z\d])?";
    vec![
        (
            format!(r"(?<![\w.])[\w.%+\-]*\w@{NAME}(?:\.{NAME})+"),
            |found| Some(said(group(found, 0))),
        ),
        (
            format!(
                r"(?<![\w.@])(?:https?://(?:www\.)?|www\.)({NAME}(?:\.{NAME})+(?:[/?#][\w\-/?=&#.%]*[\w/])?)"
            ),
            |found| Some(said(group(found, 1))),
        ),
        (
            format!(
                r"(?<![\w.@/])((?:{NAME}\.)+(?:{ENDS})(?:/[\w\-/?=&#.%]*[\w/])?)(?![\w@]|\.\w)"
            ),
            |found| Some(said(group(found, 1))),
        ),
    ]
}

fn sign(c: char) -> &'static str {
    match c {
        '.' => "dot",
        '@' => "at",
        '-' => "dash",
        '_' => "underscore",
        '+' => "plus",
        '/' => "slash",
        '?' => "question mark",
        '=' => "equals",
        '&' => "and",
        '#' => "hash",
        '%' => "percent",
        _ => "",
    }
}

/// An address: words, letters, digits and the names of the signs between them.
fn said(address: &str) -> String {
    let address = address.trim_end_matches('/');
    let mut words: Vec<String> = Vec::new();
    let mut rest = address;
    while let Some(first) = rest.chars().next() {
        if !first.is_alphanumeric() {
            words.push(sign(first).to_owned());
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            continue;
        }
        let is_same = |c: char| c.is_alphanumeric() && c.is_ascii_digit() == first.is_ascii_digit();
        let end = rest.find(|c| !is_same(c)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        let is_country =
            after.is_empty() && run.len() == 2 && words.last().is_some_and(|word| word == "dot");
        words.push(if first.is_ascii_digit() {
            number(run)
        } else if is_country && run != "co" || is_unpronounceable(run) {
            letters(run)
        } else {
            run.to_lowercase()
        });
        rest = after;
    }
    words.join(" ")
}

fn number(run: &str) -> String {
    if run.len() < 3 && !run.starts_with('0') {
        run.to_owned()
    } else {
        spelled(run)
    }
}

/// No vowel, or a letter alone.
fn is_unpronounceable(run: &str) -> bool {
    run.len() == 1
        || (run.len() < 5 && !run.to_lowercase().contains(['a', 'e', 'i', 'o', 'u', 'y']))
}

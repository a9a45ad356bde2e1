//! Rows of digits that are no amounts: each digit by itself, with a pause between groups.

use fancy_regex::Captures;

use super::{Written, group};

/// The fewest digits in a row that nobody reads as an amount: from here on thousands have commas.
const MANY: usize = 7;
/// The fewest and the most digits of a telephone number (ITU-T E.164).
const TELEPHONE: std::ops::RangeInclusive<usize> = 7..=15;

/// Behind a row of digits: neither a letter nor more digits. A sentence may end there.
const END: &str = r"(?![\w/%]|[.,:\-]\d|-\w)";

/// The states whose letters stand before a postal code.
const STATES: &str = "AL Alabama,AK Alaska,AZ Arizona,AR Arkansas,CA California,CO Colorado,CT Connecticut,DE Delaware,\
    DC D.C.,FL Florida,GA Georgia,HI Hawaii,ID Idaho,IL Illinois,IN Indiana,IA Iowa,KS Kansas,KY Kentucky,LA Louisiana,\
    ME Maine,MD Maryland,MA Massachusetts,MI Michigan,MN Minnesota,MS Mississippi,MO Missouri,MT Montana,NE Nebraska,\
    NV Nevada,NH New Hampshire,NJ New Jersey,NM New Mexico,NY New York,NC North Carolina,ND North Dakota,OH Ohio,\
    OK Oklahoma,OR Oregon,PA Pennsylvania,RI Rhode Island,SC South Carolina,SD South Dakota,TN Tennessee,TX Texas,UT Utah,\
    VT Vermont,VA Virginia,WA Washington,WV West Virginia,WI Wisconsin,WY Wyoming";

pub(super) fn rules() -> Vec<Written> {
    vec![
        // Portland, OR 97205
        (
            format!(r"\b([A-Z]{{2}}) (\d{{5}})(?:-(\d{{4}}))?{END}"),
            postal_code,
        ),
        // groups of digits, and single long ones
        (
            format!(
                r"(?<![\w.,:/\-$£€¥])(\+?)(\(?\d{{1,20}}\)?(?:(?: |\.|-|\) ?|\) ?-)\(?\d{{1,8}}\)?){{0,6}}){END}"
            ),
            groups,
        ),
        // the code is 4071; order number 4071; ext. 204
        (
            format!(
                r"(?i)\b((?:code|pin|passcode|password|reference|ref\.?|confirmation|number|no\.|id)(?: is|:)? #?|(?:extension|ext\.?) )(\d{{3,6}}){END}"
            ),
            code,
        ),
        // a key of a telephone
        (r"(?<=\d)#(?!\w)".to_owned(), |_| Some(" pound".to_owned())),
        // AX-7719-Q, 1Z999AA10123456784
        (
            r"(?<![\w@.\-/])(?=(?:[A-Z\-]*\d){3})(?=[\d\-]*[A-Z])[A-Z\d]+(?:-[A-Z\d]+)*(?![\w@]|-\w)".to_owned(),
            reference,
        ),
    ]
}

/// Digits one by one, long rows in threes: `5 5 5`.
pub(super) fn spelled(digits: &str) -> String {
    let digits: Vec<String> = digits
        .chars()
        .filter(char::is_ascii_digit)
        .map(String::from)
        .collect();
    let mut parts = Vec::new();
    let mut rest = digits.as_slice();
    // four at most go in one breath
    while rest.len() > 4 {
        let (part, after) = rest.split_at(3.min(rest.len()));
        parts.push(part.join(" "));
        rest = after;
    }
    parts.push(rest.join(" "));
    parts.join(", ")
}

fn postal_code(found: &Captures<'_>) -> Option<String> {
    let letters = group(found, 1);
    let mut states = STATES
        .split(',')
        .filter_map(|state| state.trim().split_once(' '));
    let (_, name) = states.find(|(short, _)| *short == letters)?;
    // five in one breath, as they are written
    let digits = |row: &str| row.chars().map(String::from).collect::<Vec<_>>().join(" ");
    let rest = match group(found, 3) {
        "" => String::new(),
        rest => format!(", {}", digits(rest)),
    };
    Some(format!("{name} {}{rest}", digits(group(found, 2))))
}

/// A telephone number, a card or another row of groups; a date, a range or an amount is left alone.
fn groups(found: &Captures<'_>) -> Option<String> {
    let is_international = group(found, 1) == "+";
    let whole = group(found, 2);
    let groups: Vec<&str> = whole
        .split(|c: char| !c.is_ascii_digit())
        .filter(|group| !group.is_empty())
        .collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let digits: usize = lengths.iter().sum();
    let first = groups.first()?;
    let is_telephone = TELEPHONE.contains(&digits)
        && (is_international
            || whole.contains('(')
            || matches!(lengths.as_slice(), [3, 3, 4] | [1, 3, 3, 4])
            || (lengths == [3, 4] && !whole.contains(' '))
            || (first.starts_with('0') && digits >= 9 && groups.len() > 1));
    // 1 250 000 is an amount
    let is_amount = whole.contains(' ') && lengths.iter().skip(1).all(|length| *length == 3);
    let is_date = match lengths.as_slice() {
        [4, 2, 2] => true,
        [1 | 2, 1 | 2, 4] => groups
            .last()
            .is_some_and(|year| year.starts_with("19") || year.starts_with("20")),
        _ => false,
    };
    let is_row = groups.len() > 2
        && digits >= 6
        && !is_date
        && !is_amount
        && (!whole.contains(' ') || lengths.iter().all(|length| *length > 2))
        && (lengths.iter().all(|length| *length > 2)
            || groups.iter().any(|group| group.starts_with('0')));
    let is_single = groups.len() == 1
        && !whole.contains('(')
        && (digits >= MANY || (first.starts_with('0') && digits > 1));
    if !(is_telephone || is_row || is_single) {
        return None;
    }
    let last = groups.len().saturating_sub(1);
    let parts = groups.iter().enumerate().map(|(at, group)| {
        match group.strip_suffix("00") {
            // 1-800
            Some(hundreds) if at < last && hundreds.len() == 1 && hundreds != "0" => {
                format!("{hundreds} hundred")
            }
            _ => spelled(group),
        }
    });
    let parts: Vec<String> = parts.collect();
    let sign = if is_international { "plus " } else { "" };
    Some(format!("{sign}{}", parts.join(", ")))
}

fn code(found: &Captures<'_>) -> Option<String> {
    let (before, digits) = (group(found, 1), group(found, 2));
    if before.to_lowercase().starts_with("ext") {
        return Some(format!("extension {}", spelled(digits)));
    }
    // "number 305" is a room
    (digits.len() > 3).then(|| format!("{before}{}", spelled(digits)))
}

/// Letters and digits mixed: what no word and no amount is.
fn reference(found: &Captures<'_>) -> Option<String> {
    let whole = group(found, 0);
    let signs = whole.chars().filter(char::is_ascii_alphanumeric).count();
    (signs > 4).then(|| {
        let parts = whole.split('-').map(letters_and_digits);
        parts.collect::<Vec<_>>().join(", ")
    })
}

/// Each run of letters spelled, each run of digits digit by digit.
fn letters_and_digits(text: &str) -> String {
    let mut runs: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_same = |c: char| c.is_ascii_digit() == first.is_ascii_digit();
        let end = rest.find(|c| !is_same(c)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        runs.push(if first.is_ascii_digit() {
            spelled(run)
        } else {
            letters(run)
        });
        rest = after;
    }
    runs.join(" ")
}

/// Letters with points between them, as in *U.K.*: so each is read by its name.
pub(super) fn letters(run: &str) -> String {
    let letters: Vec<String> = run.to_uppercase().chars().map(String::from).collect();
    letters.join(".")
}

//! Questions about what somebody may eat. Here a choice of what was found would be taken for all there is, so everything is
//! said, dishes by their names, and that it is no more than what the documents name.

use antiphon_chat::Passage;

use super::question::Question;
use super::quote::{lower_first, sentence};
use super::units::{Unit, content, holds as holds_word, pieces};
use super::words::{is_empty, tokens};

/// Dishes named at once. More than can be remembered, but the caller waits for one word.
const MAX_DISHES: usize = 12;
/// A passage longer than this is told by its sentences that hold the word.
const WHOLE_CHARS: usize = 300;
/// Prose that is said besides the dishes: two passages of that length.
const MAX_PROSE_CHARS: usize = 2 * WHOLE_CHARS;
/// What is true of every such answer.
const HONEST: &str = "That is all I find, and it may not be complete; if it matters for your health, please ask a person too.";

/// Words that are about a diet wherever they stand.
const DIETS: [&str; 15] = [
    "vegan",
    "vegetarian",
    "gluten",
    "wheat",
    "lactose",
    "dairy",
    "nut",
    "peanut",
    "shellfish",
    "halal",
    "kosher",
    "sesame",
    "soy",
    "allergy",
    "allergen",
];
/// Words that are about a diet when something is to be without them or may be in something.
const FOODS: [&str; 8] = [
    "egg", "fish", "meat", "pork", "milk", "alcohol", "sugar", "garlic",
];
const WITHOUT: [&str; 13] = [
    "without", "don't", "can't", "not", "never", "no", "free", "find", "contain", "contains",
    "allergic", "allergy", "avoid",
];

/// What to search for when this is asked: the diet's words alone, because a search for the whole question brings passages
/// that share its other words. `None` when it is not about a diet.
pub(super) fn search(question: &str) -> Option<String> {
    let asked = tokens(question);
    let mut keys = keys(&asked);
    if keys.contains(&"vegetarian") && !keys.contains(&"vegan") {
        keys.push("vegan");
    }
    (!keys.is_empty()).then(|| keys.join(" "))
}

/// What to search for when a question is about a diet: its words, and the dish that it names.
pub(super) fn query(question: &Question) -> Option<String> {
    search(&question.text).map(|keys| {
        let others = question.words.iter().filter(|word| {
            !is_empty(word) && !keys.contains(word.as_str()) && !WITHOUT.contains(&word.as_str())
        });
        let others: Vec<&str> = others.map(String::as_str).collect();
        format!("{keys} {}", others.join(" "))
    })
}

/// The words of a question that are about a diet.
fn keys(asked: &[String]) -> Vec<&str> {
    let is = |list: &[&str], word: &String| list.contains(&word.as_str());
    let careful = asked.iter().any(|word| is(&WITHOUT, word));
    let mut keys: Vec<&str> = asked
        .iter()
        .filter(|word| is(&DIETS, word) || careful && is(&FOODS, word))
        .map(String::as_str)
        .collect();
    // who eats no meat wants what has none
    if keys.contains(&"meat") {
        keys = vec!["vegetarian"];
    }
    // "a nut allergy" is about nuts
    if keys.iter().any(|key| !key.starts_with("allerg")) {
        keys.retain(|key| !key.starts_with("allerg"));
    }
    keys
}

/// The answer, if the question is about a diet and the passages say anything about it.
pub(super) fn answer(
    passages: &[Passage],
    units: &[Unit<'_>],
    question: &Question,
) -> Option<String> {
    let asked = &question.words;
    let keys = keys(asked);
    if keys.is_empty() {
        return None;
    }
    if let Some(said) = of_one_dish(units, asked, &keys) {
        return Some(format!("{said} {HONEST}"));
    }
    // "as a starter": only what stands under that heading
    let part = |passage: &&Passage| {
        let heading = tokens(passage.source.rsplit('›').next().unwrap_or_default());
        asked.iter().any(|word| {
            !is_empty(word) && !keys.contains(&word.as_str()) && holds_word(&heading, word)
        })
    };
    let parts: Vec<&Passage> = passages.iter().filter(part).collect();
    let passages: Vec<&Passage> = if parts.iter().any(|passage| is_list(content(&passage.text))) {
        parts
    } else {
        passages.iter().collect()
    };
    let (mut prose, mut dishes) = (Vec::new(), Vec::new());
    for passage in passages {
        let text = content(&passage.text);
        let heading = tokens(passage.source.rsplit('›').next().unwrap_or_default());
        let about = holds(&heading, &keys);
        if is_list(text) {
            let fit = |line: &&str| holds(&tokens(line), &keys);
            dishes.extend(text.lines().filter(fit).map(|line| dish(line, &keys)));
        } else if about && text.len() <= WHOLE_CHARS {
            prose.push((about, sentence(text)));
        } else {
            let fit = |piece: &&str| holds(&tokens(piece), &keys);
            let said: Vec<&str> = text.lines().flat_map(pieces).filter(fit).collect();
            if !said.is_empty() {
                prose.push((about, sentence(&said.join(" "))));
            }
        }
    }
    // what is only mentioned elsewhere is said when there is nothing that is about it
    if !dishes.is_empty() || prose.iter().any(|(about, _)| *about) {
        prose.retain(|(about, _)| *about);
    }
    let mut said = String::new();
    for (_, text) in prose {
        if said.is_empty() || said.len() + text.len() <= MAX_PROSE_CHARS {
            said = format!("{said} {text}").trim().to_owned();
        }
    }
    let known = tokens(&said);
    dishes.retain(|(name, _)| {
        let main = name.split(" with ").next().unwrap_or_default();
        !tokens(main)
            .iter()
            .all(|word| is_empty(word) || known.contains(word))
    });
    let names: Vec<String> = dishes.into_iter().map(|(_, said)| said).collect();
    let said = format!("{said} {}", listed(&names));
    let said = said.trim();
    (!said.is_empty()).then(|| format!("{said} {HONEST}"))
}

/// What is said of the dish that the question names: the sentences that speak of it and of the diet, else its line of the menu.
fn of_one_dish(units: &[Unit<'_>], asked: &[String], keys: &[&str]) -> Option<String> {
    let names = |unit: &Unit<'_>| {
        let name = tokens(unit.text.split(&[',', '.'][..]).next().unwrap_or_default());
        let named = asked.iter().filter(|word| {
            !is_empty(word) && !keys.contains(&word.as_str()) && holds_word(&name, word)
        });
        named.cloned().collect::<Vec<String>>()
    };
    let dishes: Vec<(&Unit<'_>, Vec<String>)> = units
        .iter()
        .filter(|unit| unit.is_item)
        .map(|unit| (unit, names(unit)))
        .filter(|(_, named)| !named.is_empty())
        .collect();
    let most = dishes.iter().map(|(_, named)| named.len()).max()?;
    let (dish, named) = dishes.iter().find(|(_, named)| named.len() == most)?;
    let of_it = |unit: &&Unit<'_>| named.iter().any(|word| holds_word(&unit.words, word));
    let prose: Vec<&Unit<'_>> = units
        .iter()
        .filter(|unit| !unit.is_item)
        .filter(of_it)
        .filter(|unit| holds(&unit.words, keys) || holds(&tokens(unit.heading), keys))
        .collect();
    if prose.is_empty() {
        let told = holds(&dish.words, keys);
        let line = sentence(dish.text);
        return Some(if told {
            line
        } else {
            format!("I do not find whether that is so. What I find is this: {line}")
        });
    }
    Some(
        prose
            .iter()
            .map(|unit| sentence(unit.text))
            .collect::<Vec<_>>()
            .join(" "),
    )
}

/// Is one of the keys among these words? What is vegan is vegetarian as well.
fn holds(words: &[String], keys: &[&str]) -> bool {
    words.iter().any(|word| {
        keys.contains(&word.as_str()) || word == "vegan" && keys.contains(&"vegetarian")
    })
}

fn is_list(text: &str) -> bool {
    let lines = text.lines().count();
    lines >= 3 && text.lines().filter(|line| line.len() <= 120).count() * 4 >= lines * 3
}

/// The dish of a line of a menu: its name, and how it is said: without its price, and with a remark that says more than what
/// was asked ("can be made vegan").
fn dish(line: &str, keys: &[&str]) -> (String, String) {
    let mut parts = line.trim_start_matches(['-', '*', ' ']).split(". ");
    let first = parts.next().unwrap_or_default().trim_end_matches('.');
    let name = first
        .split(", ")
        .take_while(|part| !part.contains(|c: char| c.is_ascii_digit()))
        .collect::<Vec<_>>()
        .join(", ");
    let name = lower_first(if name.is_empty() { first } else { &name });
    let remarks: Vec<String> = parts
        .map(|part| part.trim_end_matches('.'))
        .filter(|part| {
            !tokens(part).iter().all(|word| {
                keys.contains(&word.as_str())
                    || matches!(word.as_str(), "without" | "free" | "find" | "vegan")
            })
        })
        .map(lower_first)
        .collect();
    let said = if remarks.is_empty() {
        name.clone()
    } else {
        format!("{name}, {}", remarks.join(", "))
    };
    (name, said)
}

/// "The menu names a; b; and c."
fn listed(names: &[String]) -> String {
    let shown = names.get(..MAX_DISHES.min(names.len())).unwrap_or_default();
    let more = names.len() - shown.len();
    match (shown, more) {
        ([], _) => String::new(),
        ([one], 0) => format!("I find {one}."),
        ([all @ .., last], 0) => format!("I find {}; and {last}.", all.join("; ")),
        (all, more) => format!("I find {}; and {more} more.", all.join("; ")),
    }
}

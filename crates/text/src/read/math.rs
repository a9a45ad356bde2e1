//! Formulas in LaTeX, in characters that a voice knows: `$\\frac{1}{2}$` is read as 1/2, `$\\pi r^2$` as π r^2. What is no
//! formula, such as "$5 and $10", stays.

use super::{MAX_SPAN, Reader, Step};

/// Commands and what is read for them.
const COMMANDS: &[(&str, &str)] = &[
    ("times", "×"),
    ("cdot", "·"),
    ("div", "÷"),
    ("pm", "±"),
    ("le", "≤"),
    ("leq", "≤"),
    ("ge", "≥"),
    ("geq", "≥"),
    ("ne", "≠"),
    ("neq", "≠"),
    ("approx", "≈"),
    ("equiv", "≡"),
    ("infty", "∞"),
    ("sqrt", "√"),
    ("sum", "∑"),
    ("int", "∫"),
    ("degree", "°"),
    ("circ", "°"),
    ("to", "→"),
    ("rightarrow", "→"),
    ("Rightarrow", "→"),
    ("alpha", "α"),
    ("beta", "β"),
    ("gamma", "γ"),
    ("delta", "δ"),
    ("Delta", "Δ"),
    ("epsilon", "ε"),
    ("theta", "θ"),
    ("lambda", "λ"),
    ("mu", "μ"),
    ("pi", "π"),
    ("rho", "ρ"),
    ("sigma", "σ"),
    ("Sigma", "Σ"),
    ("tau", "τ"),
    ("phi", "φ"),
    ("omega", "ω"),
    ("Omega", "Ω"),
    ("euro", "€"),
    ("ldots", "…"),
    ("dots", "…"),
    ("quad", " "),
    ("left", ""),
    ("right", ""),
    ("text", ""),
    ("mathrm", ""),
    ("mathbf", ""),
    ("mathit", ""),
    ("textbf", ""),
    ("textit", ""),
    ("emph", ""),
    ("operatorname", ""),
    ("boxed", ""),
    ("displaystyle", ""),
];
/// Fractions in fractions; deeper ones are read as they stand.
const MAX_DEPTH: usize = 4;

impl Reader {
    /// `$…$` and `$$…$$`.
    pub(super) fn formula(&mut self, rest: &str, complete: bool, out: &mut String) -> Step {
        let marks = if rest.starts_with("$$") { "$$" } else { "$" };
        let inner = rest.get(marks.len()..).unwrap_or_default();
        match inner.chars().next() {
            None if !complete => return Step::Wait,
            // money, or the sign alone
            Some(c)
                if marks == "$" && !(c.is_alphabetic() || matches!(c, '\\' | '-' | '(' | '{')) =>
            {
                self.literal('$', out);
                return Step::Took(1);
            }
            _ => {}
        }
        self.between(marks, marks, rest, complete, out)
            .unwrap_or_else(|| {
                for c in marks.chars() {
                    self.literal(c, out);
                }
                Step::Took(marks.len())
            })
    }

    /// A command of LaTeX with its braces, outside a formula. `None`: it is none.
    pub(super) fn command(&mut self, rest: &str, complete: bool, out: &mut String) -> Option<Step> {
        let name = rest
            .get(1..)?
            .trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let mut end = rest.len() - name.len();
        let command = rest.get(1..end).filter(|command| !command.is_empty())?;
        let later = !complete && rest.len() < MAX_SPAN;
        let groups = match command {
            "frac" | "dfrac" | "tfrac" => 2,
            name if COMMANDS.iter().any(|(known, _)| *known == name) => 1,
            // more letters may come
            _ => return (later && end == rest.len()).then_some(Step::Wait),
        };
        for _ in 0..groups {
            let after = rest.get(end..).unwrap_or_default();
            if after.is_empty() && later {
                return Some(Step::Wait);
            }
            if !after.starts_with('{') {
                return None;
            }
            let Some(length) = closed(after) else {
                return (later && !after.contains('\n')).then_some(Step::Wait);
            };
            end += length;
        }
        for c in plain(rest.get(..end)?, 0).chars() {
            self.literal(c, out);
        }
        Some(Step::Took(end))
    }

    /// A formula between these marks, if it is one.
    pub(super) fn between(
        &mut self,
        open: &str,
        close: &str,
        rest: &str,
        complete: bool,
        out: &mut String,
    ) -> Option<Step> {
        let inner = rest.get(open.len()..).unwrap_or_default();
        let reach = inner
            .char_indices()
            .nth(MAX_SPAN)
            .map_or(inner.len(), |(at, _)| at);
        let line = inner.get(..reach).unwrap_or_default();
        // a displayed formula has lines of its own
        let line = if open.len() == 1 {
            line.split('\n').next().unwrap_or_default()
        } else {
            line
        };
        let Some(end) = line.find(close) else {
            let may_come = line.len() == inner.len() && reach == inner.len();
            return (!complete && may_come).then_some(Step::Wait);
        };
        let formula = line.get(..end)?;
        let after = inner
            .get(end + close.len()..)
            .unwrap_or_default()
            .chars()
            .next();
        if open == "$" {
            if after.is_none() && !complete {
                return Some(Step::Wait);
            }
            let is_money = after.is_some_and(|c| c.is_alphanumeric())
                || formula.ends_with(char::is_whitespace)
                || formula.split_whitespace().nth(1).is_some()
                    && !formula.contains(['\\', '^', '_', '=', '+', '<', '>']);
            if is_money {
                return None;
            }
        }
        for c in plain(formula, 0).trim().chars() {
            match c {
                '→' => self.put(c, out),
                c => self.literal(c, out),
            }
        }
        Some(Step::Took(open.len() + end + close.len()))
    }
}

/// A formula in plain characters.
fn plain(formula: &str, depth: usize) -> String {
    let mut out = String::new();
    let mut rest = formula;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '^' | '_' if rest.starts_with('{') && depth < MAX_DEPTH => {
                let (raised, after) = group(rest);
                rest = after;
                out.push(c);
                out.push_str(&operand(&plain(raised, depth + 1)));
            }
            '{' | '}' => {}
            '\n' => out.push(' '),
            '\\' => {
                let end = rest
                    .find(|c: char| !c.is_ascii_alphabetic())
                    .unwrap_or(rest.len());
                let (name, after) = rest.split_at_checked(end).unwrap_or(("", rest));
                rest = after;
                if name.is_empty() {
                    // "\\," and the like are spaces, "\\%" is the sign
                    let sign = rest.chars().next().unwrap_or(' ');
                    rest = rest.get(sign.len_utf8()..).unwrap_or_default();
                    out.push(if matches!(sign, ',' | ';' | ':' | '!' | '\\') {
                        ' '
                    } else {
                        sign
                    });
                } else if matches!(name, "frac" | "dfrac" | "tfrac") && depth < MAX_DEPTH {
                    let (over, after) = group(rest);
                    let (under, after) = group(after);
                    rest = after;
                    out.push_str(&operand(&plain(over, depth + 1)));
                    out.push('/');
                    out.push_str(&operand(&plain(under, depth + 1)));
                } else if name == "sqrt" && rest.starts_with('{') && depth < MAX_DEPTH {
                    let (under, after) = group(rest);
                    rest = after;
                    out.push('√');
                    out.push_str(&operand(&plain(under, depth + 1)));
                } else {
                    let known = COMMANDS.iter().find(|(command, _)| *command == name);
                    out.push_str(known.map_or(name, |(_, sign)| sign));
                }
            }
            c => out.push(c),
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn operand(text: &str) -> String {
    let is_one = text.chars().nth(1).is_none()
        || text.chars().all(char::is_numeric)
        || text.chars().all(char::is_alphabetic);
    if is_one {
        text.to_owned()
    } else {
        format!("({text})")
    }
}

/// What stands in the braces at the beginning, or the first character; and what follows.
fn group(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let one = text.chars().next().map_or(0, char::len_utf8);
    let end = if text.starts_with('{') {
        closed(text).unwrap_or(text.len())
    } else {
        one
    };
    let (head, tail) = text.split_at_checked(end).unwrap_or((text, ""));
    let inner = head.strip_prefix('{').unwrap_or(head);
    (inner.strip_suffix('}').unwrap_or(inner), tail)
}

/// How long the group in braces at the beginning is.
fn closed(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return Some(at + c.len_utf8());
        }
    }
    None
}

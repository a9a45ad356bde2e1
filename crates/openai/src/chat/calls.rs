//! Pieces of tool calls, put together. OpenAI says which call a piece belongs to by an index, and names the call once, by its
//! id. Servers leave the index or the id out, send 0 for all, move, repeat, or send names in pieces; where that leaves a doubt,
//! the shape of the arguments decides: a call whose arguments are closed takes no more.

use serde_json::Value;

use super::wire::whole_number;

/// More calls in one answer are refused; a model that asks for this many runs in a circle.
pub(crate) const MAX_TOOL_CALLS: usize = 64;
/// Longer arguments are refused.
pub(crate) const MAX_ARGUMENT_BYTES: usize = 256 * 1024;

/// What one piece says.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    index: Option<i64>,
    id: String,
    name: String,
    arguments: String,
    /// The arguments came as an object.
    is_whole: bool,
}

impl Piece {
    /// An entry of `tool_calls`, or the older `function_call`.
    pub(crate) fn read(entry: &Value) -> Self {
        let text =
            |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let function = entry
            .get("function")
            .filter(|inner| inner.is_object())
            .unwrap_or(entry);
        let id = match entry.get("id") {
            Some(Value::Number(number)) => number.to_string(),
            other => text(other),
        };
        let (arguments, is_whole) = match function.get("arguments") {
            None | Some(Value::Null) => (String::new(), false),
            Some(Value::String(piece)) => (piece.clone(), false),
            Some(object) => (object.to_string(), true),
        };
        Self {
            index: whole_number(entry.get("index")),
            id,
            name: text(function.get("name")),
            arguments,
            is_whole,
        }
    }
}

/// A call as far as it came.
#[derive(Debug, Default)]
pub(crate) struct Call {
    index: Option<i64>,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
    outline: Outline,
    /// The last piece of arguments, as long as each began with the one before it: some servers repeat what they have said.
    growing: Option<String>,
    /// Begun by the name of the call before it alone: another one, or that name once more.
    may_be_echo: bool,
}

impl Call {
    /// Something of its arguments is there, and not their end.
    fn is_in_the_middle(&self) -> bool {
        self.outline.begun && !self.outline.over
    }

    fn add_name(&mut self, name: String) {
        if self.name.is_empty() || (name != self.name && name.starts_with(&self.name)) {
            self.name = name;
        } else if name != self.name && !self.outline.begun {
            self.name.push_str(&name);
        }
    }

    fn add(&mut self, piece: Piece) -> Result<(), String> {
        self.index = piece.index.or(self.index);
        if self.id.is_empty() {
            self.id = piece.id;
        }
        self.add_name(piece.name);
        // sent once more
        if self.outline.over && (piece.is_whole || piece.arguments == self.arguments) {
            return Ok(());
        }
        if piece.arguments.is_empty() {
            return Ok(());
        }
        if self.outline.over && is_placeholder(&self.arguments) {
            self.arguments.clear();
            (self.outline, self.growing) = (Outline::default(), None);
        }
        if self.arguments.len() + piece.arguments.len() > MAX_ARGUMENT_BYTES {
            return Err(format!(
                "arguments of `{}` longer than {MAX_ARGUMENT_BYTES} bytes",
                self.name
            ));
        }
        let is_first = self.arguments.is_empty();
        self.outline.push(&piece.arguments);
        self.arguments.push_str(&piece.arguments);
        let before = self.growing.take();
        self.growing = Some(piece.arguments)
            .filter(|more| is_first || before.is_some_and(|before| more.starts_with(&before)));
        Ok(())
    }

    /// Put together the one way or the other, whichever is whole.
    fn settled(mut self) -> Self {
        let read = |text: &str| serde_json::from_str::<Value>(text);
        // what may only be cut off is left as it is: the last piece may stand inside the first
        if let Some(grown) = self.growing.take()
            && read(&self.arguments).is_err_and(|error| !error.is_eof())
            && read(&grown).is_ok()
        {
            self.arguments = grown;
        }
        self
    }
}

/// Sent by some servers before the arguments.
fn is_placeholder(arguments: &str) -> bool {
    matches!(arguments.trim(), "{}" | "\"\"" | "\"{}\"")
}

/// All calls of an answer, in the order in which they began.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    calls: Vec<Call>,
}

impl Calls {
    /// One more piece.
    pub(crate) fn push(&mut self, piece: Piece) -> Result<(), String> {
        let at = match self.owner(&piece) {
            Some(at) => at,
            None if self.calls.len() == MAX_TOOL_CALLS => {
                return Err(format!("more than {MAX_TOOL_CALLS} tool calls"));
            }
            None => {
                let last = self.calls.last();
                let may_be_echo = piece.id.is_empty()
                    && piece.arguments.is_empty()
                    && last.is_some_and(|last| last.name == piece.name);
                self.calls.push(Call {
                    may_be_echo,
                    ..Call::default()
                });
                self.calls.len() - 1
            }
        };
        self.calls
            .get_mut(at)
            .map_or(Ok(()), |call| call.add(piece))
    }

    pub(crate) fn take(&mut self) -> Vec<Call> {
        let mut calls = std::mem::take(&mut self.calls);
        calls.retain(|call| !call.may_be_echo || call.outline.begun || !call.id.is_empty());
        calls.into_iter().map(Call::settled).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Which call this belongs to; `None`: it begins another.
    fn owner(&self, piece: &Piece) -> Option<usize> {
        let of_index = piece
            .index
            .and_then(|index| self.position(|call| call.index == Some(index)));
        let last = self.calls.len().checked_sub(1);
        if piece.id.is_empty() {
            return match (piece.index, of_index) {
                (Some(_), Some(at)) => self.continued(at, piece),
                // only its beginning stood at another index
                (Some(_), None) if piece.name.is_empty() => self.without_arguments().or(last),
                (Some(_), None) => None,
                (None, _) if piece.name.is_empty() => last,
                (None, _) => last.filter(|at| self.may_go_on(*at, piece)),
            };
        }
        if let Some(at) = self.position(|call| call.id == piece.id) {
            let call = self.calls.get(at)?;
            let moved = piece.index.is_some() && call.index.is_some() && piece.index != call.index;
            let differs = moved || piece.name != call.name || piece.arguments != call.arguments;
            let fills = !moved && piece.name == call.name && is_placeholder(&call.arguments);
            let is_another = call.outline.over && !piece.name.is_empty() && differs && !fills;
            return (!is_another).then_some(at);
        }
        match of_index {
            // every piece has an id of its own
            Some(at) if piece.name.is_empty() => Some(at),
            Some(at) => Some(at).filter(|at| self.may_go_on(*at, piece)),
            None if piece.index.is_none() && piece.name.is_empty() => last,
            None => None,
        }
    }

    /// A piece with an index and no id.
    fn continued(&self, at: usize, piece: &Piece) -> Option<usize> {
        let call = self.calls.get(at)?;
        let repeated = piece.arguments == call.arguments;
        if !call.outline.over || repeated || piece.arguments.trim().is_empty() {
            // a name without anything else may still be a new call's
            let is_new = call.outline.over
                && !piece.name.is_empty()
                && (piece.name != call.name || piece.arguments.trim().is_empty());
            return (!is_new).then_some(at);
        }
        if piece.name.is_empty() {
            // this index is another call's by now
            return self.without_arguments().or(Some(at));
        }
        None
    }

    /// May a piece with a name be more of this call? While the name comes apart from the id, or is said once more.
    fn may_go_on(&self, at: usize, piece: &Piece) -> bool {
        self.calls.get(at).is_some_and(|call| {
            let named_apart = call.name.is_empty()
                || (call.id.is_empty() && !piece.id.is_empty() && !call.outline.begun);
            named_apart || (call.name == piece.name && call.is_in_the_middle())
        })
    }

    /// The first call that lacks its arguments.
    fn without_arguments(&self) -> Option<usize> {
        self.calls.iter().position(|call| !call.outline.begun)
    }

    fn position(&self, fits: impl Fn(&Call) -> bool) -> Option<usize> {
        self.calls.iter().rposition(fits)
    }
}

/// Where a JSON text is, as far as brackets and strings tell.
#[derive(Clone, Copy, Debug, Default)]
struct Outline {
    depth: usize,
    in_string: bool,
    escaped: bool,
    begun: bool,
    /// The outermost bracket or string is closed.
    over: bool,
}

impl Outline {
    fn push(&mut self, text: &str) {
        for c in text.chars() {
            if self.over {
                return;
            }
            self.begun |= !c.is_whitespace();
            match c {
                _ if std::mem::take(&mut self.escaped) => {}
                '\\' => self.escaped = self.in_string,
                '"' => {
                    self.in_string = !self.in_string;
                    self.over = !self.in_string && self.depth == 0;
                }
                '{' | '[' if !self.in_string => self.depth += 1,
                '}' | ']' if !self.in_string => {
                    self.depth = self.depth.saturating_sub(1);
                    self.over = self.depth == 0;
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    /// Each piece: index, id, name, arguments; `null` is left out.
    fn collected(pieces: &[Value]) -> Vec<String> {
        let mut calls = Calls::default();
        for piece in pieces {
            let mut entry = json!({"function": {}});
            for (at, name) in ["index", "id"].iter().enumerate() {
                entry[*name] = piece[at].clone();
            }
            entry["function"]["name"] = piece[2].clone();
            entry["function"]["arguments"] = piece[3].clone();
            calls.push(Piece::read(&entry)).unwrap();
        }
        let calls = calls.take().into_iter();
        calls
            .map(|call| format!("{} {} {}", call.id, call.name, call.arguments))
            .collect()
    }

    #[track_caller]
    fn makes(pieces: Value, expected: &[&str]) {
        assert_eq!(collected(pieces.as_array().unwrap()), expected, "{pieces}");
    }

    #[test]
    fn pieces_of_parallel_calls_may_come_in_any_order() {
        makes(
            json!([
                [0, "a", "f", ""],
                [1, "b", "g", ""],
                [0, null, null, "{\"x\":"],
                [1, null, null, "{\"y\":"],
                [0, null, null, "1}"],
                [1, null, null, "2}"]
            ]),
            &[r#"a f {"x":1}"#, r#"b g {"y":2}"#],
        );
        // by id alone
        makes(
            json!([
                [null, "a", "f", ""],
                [null, "b", "g", ""],
                [null, "b", null, "{}"],
                [null, "a", null, "{\"x\":1}"]
            ]),
            &[r#"a f {"x":1}"#, "b g {}"],
        );
    }

    #[test]
    fn arguments_at_another_index_than_their_beginning_are_found() {
        makes(
            json!([
                [1, "a", "f", ""],
                [0, null, null, "{\"x\":"],
                [0, null, null, "1}"]
            ]),
            &[r#"a f {"x":1}"#],
        );
        makes(
            json!([
                [1, "a", "f", ""],
                [0, null, null, "{\"x\":1}"],
                [2, "b", "g", ""],
                [1, null, null, "{\"y\":"],
                [1, null, null, "2}"]
            ]),
            &[r#"a f {"x":1}"#, r#"b g {"y":2}"#],
        );
        makes(
            json!([
                [1, "a", "f", ""],
                [2, "b", "g", ""],
                [0, null, null, "{\"x\":"],
                [1, null, null, "{\"y\":"],
                [0, null, null, "1}"],
                [1, null, null, "2}"]
            ]),
            &[r#"a f {"x":1}"#, r#"b g {"y":2}"#],
        );
    }

    #[test]
    fn a_name_in_pieces_or_said_twice_is_one_name() {
        makes(
            json!([
                [0, "a", "look", ""],
                [0, null, "up", ""],
                [0, null, null, "{}"]
            ]),
            &["a lookup {}"],
        );
        makes(
            json!([[0, "a", "lookup", "{\"x\""], [0, "a", "lookup", ":1}"]]),
            &[r#"a lookup {"x":1}"#],
        );
        makes(
            json!([[0, "a", "look", ""], [0, "a", "lookup", "{}"]]),
            &["a lookup {}"],
        );
        makes(
            json!([[0, "a", null, null], [0, null, "f", "{}"]]),
            &["a f {}"],
        );
        makes(
            json!([[0, null, "f", null], [0, "a", null, "{}"]]),
            &["a f {}"],
        );
        makes(
            json!([[0, null, "f", null], [0, "a", "f", "{}"]]),
            &["a f {}"],
        );
    }

    #[test]
    fn one_index_or_none_for_all_calls_does_not_mix_them() {
        makes(
            json!([[0, "a", "f", "{}"], [0, "b", "g", "{}"]]),
            &["a f {}", "b g {}"],
        );
        makes(
            json!([[0, "a", "f", ""], [0, "b", "g", ""]]),
            &["a f ", "b g "],
        );
        makes(
            json!([[0, null, "f", "{}"], [0, null, "f", "{\"x\":1}"]]),
            &[" f {}", r#" f {"x":1}"#],
        );
        makes(
            json!([[null, null, "f", "{}"], [null, null, "g", "{}"]]),
            &[" f {}", " g {}"],
        );
        makes(
            json!([[null, "a", "f", "{}"], [null, "b", "f", {"x": 2}]]),
            &["a f {}", r#"b f {"x":2}"#],
        );
        // the same id for two calls
        makes(
            json!([[0, "x", "f", "{}"], [1, "x", "g", "{}"]]),
            &["x f {}", "x g {}"],
        );
    }

    #[test]
    fn an_index_is_understood_however_it_is_written() {
        let pieces = |zero: Value, one: Value| {
            json!([
                [zero, "a", "f", ""],
                [one, "b", "g", ""],
                [zero, null, null, "{\"x\":"],
                [one, null, null, "{}"],
                [zero, null, null, "1}"]
            ])
        };
        for (zero, one) in [(json!("0"), json!("1")), (json!(0.0), json!(1.0))] {
            makes(pieces(zero, one), &[r#"a f {"x":1}"#, "b g {}"]);
        }
    }

    #[test]
    fn arguments_that_are_sent_from_the_beginning_again_are_not_joined() {
        makes(
            json!([
                [0, "a", "f", "{\"x\":"],
                [0, "a", "f", "{\"x\":[1"],
                [0, "a", "f", "{\"x\":[1]}"]
            ]),
            &[r#"a f {"x":[1]}"#],
        );
        // cut off within an object with the same key, or sent again: nobody knows
        makes(
            json!([[0, "a", "f", "{\"x\":"], [0, null, null, "{\"x\":1}"]]),
            &[r#"a f {"x":{"x":1}"#],
        );
        // an object in an object with the same key
        makes(
            json!([
                [0, "a", "f", "{\"x\":"],
                [0, null, null, "{\"x\":1}"],
                [0, null, null, "}"]
            ]),
            &[r#"a f {"x":{"x":1}}"#],
        );
        for empty in [json!("{}"), json!({}), json!("\"\"")] {
            makes(
                json!([
                    [0, "a", "f", empty],
                    [0, null, null, "{\"x\":"],
                    [0, null, null, "1}"]
                ]),
                &[r#"a f {"x":1}"#],
            );
            makes(
                json!([[0, "a", "f", empty], [0, "a", "f", "{\"x\":1}"]]),
                &[r#"a f {"x":1}"#],
            );
        }
    }

    #[test]
    fn two_calls_of_one_name_without_ids_are_two() {
        makes(
            json!([
                [0, null, "f", ""],
                [0, null, null, "{\"x\":"],
                [0, null, null, "1}"],
                [0, null, "f", ""],
                [0, null, null, "{\"x\":2}"]
            ]),
            &[r#" f {"x":1}"#, r#" f {"x":2}"#],
        );
        // and its name said once more is none
        makes(
            json!([[0, null, "f", "{\"x\":1}"], [0, null, "f", ""]]),
            &[r#" f {"x":1}"#],
        );
    }

    #[test]
    fn an_id_or_a_call_that_is_repeated_is_no_other_call() {
        makes(
            json!([
                [0, "a", "f", ""],
                [0, "a", null, "{\"x\":"],
                [0, "a", "", "1}"],
                [0, null, null, null]
            ]),
            &[r#"a f {"x":1}"#],
        );
        makes(
            json!([[0, "a", "f", "{\"x\":"], [0, "b", null, "1}"]]),
            &[r#"a f {"x":1}"#],
        );
        makes(
            json!([[0, "a", "f", "{}"], [0, "a", "f", "{}"]]),
            &["a f {}"],
        );
        makes(
            json!([[0, null, "f", "{}"], [0, null, "f", "{}"]]),
            &[" f {}"],
        );
        makes(
            json!([[0, "a", "f", "{\"x\":"], [0, "b", "f", "1}"]]),
            &[r#"a f {"x":1}"#],
        );
    }
}

//! Secrets are taken out of what a session was told, before anything of it is written.
//!
//! Other letters stand in their place, `secretsecr…`, as many as there were; signs and spaces stay. So nothing that the
//! dialogue looks at changes (lengths, word boundaries, ends of sentences), and what it makes of the text holds no secret
//! either. A text that comes in pieces may be cut within a secret: then the first pieces are written before anybody
//! can know, and [`Pattern::shown`] letters of it may stay.

use std::collections::VecDeque;
use std::sync::Arc;

use antiphon_dialogue::Input;
use antiphon_dialogue::ids::{GenerationId, SegmentId};
use antiphon_dialogue::input::{Llm, Tts};
use antiphon_telemetry::secrets::SHORTEST_SECRET;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use antiphon_telemetry::Secret;

/// Texts in pieces that are followed at once: an answer, one that was begun early, a summary, and what is spoken meanwhile.
const STREAMS: usize = 8;
/// Letters of a secret that are no secret yet.
const SHOWN: usize = 4;
/// What is written in its place, again and again.
const LETTERS: [char; 6] = ['s', 'e', 'c', 'r', 'e', 't'];

/// A secret, as it may stand in a text.
#[derive(Debug)]
struct Pattern {
    /// Each with what is written instead. White space does not count: a voice may read a key out in groups.
    letters: Vec<(char, char)>,
    /// Letters that a piece of text may end with as if nothing were: four, of a short secret a quarter.
    shown: usize,
}

impl Pattern {
    fn new(text: &str) -> Option<Self> {
        let number = text.chars().all(|c| c.is_ascii_digit());
        let mut escaped = false;
        let letters: Vec<(char, char)> = text
            .chars()
            .filter(|c| !c.is_whitespace())
            .zip(LETTERS.into_iter().cycle())
            .map(|(c, letter)| {
                let instead = match c.len_utf8() {
                    _ if escaped || !c.is_alphanumeric() => c,
                    1 if number => '1',
                    1 => letter,
                    2 => 'é',
                    3 => '字',
                    _ => '𐐨',
                };
                escaped = c == '\\' && !escaped;
                (c, instead)
            })
            .collect();
        let shown = SHOWN.min(letters.len() / 4);
        (letters.len() >= SHORTEST_SECRET).then_some(Self { letters, shown })
    }
}

/// All secrets of a recorder.
#[derive(Clone, Debug)]
pub(super) struct Patterns(Arc<[Pattern]>);

impl Patterns {
    pub(super) fn new(secrets: &[Secret]) -> Self {
        let mut forms: Vec<String> = Vec::new();
        for secret in secrets {
            let plain = secret.expose().to_owned();
            // The arguments of a call are JSON inside a text.
            let quoted = Value::from(plain.as_str()).to_string();
            let inside = quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"'));
            forms.extend(inside.map(str::to_owned));
            forms.push(plain);
        }
        forms.sort();
        forms.dedup();
        Self(forms.iter().filter_map(|form| Pattern::new(form)).collect())
    }

    /// `text` without secrets, if there are any; `before` are the letters before it when it is a piece of a text that goes on.
    fn replaced(&self, before: Option<&[char]>, text: &str) -> Option<String> {
        let skipped = before.map_or(0, <[char]>::len);
        let letters: Vec<char> = before
            .unwrap_or_default()
            .iter()
            .copied()
            .chain(text.chars().filter(|c| !c.is_whitespace()))
            .collect();
        let mut instead: Vec<Option<char>> = vec![None; letters.len()];
        for pattern in self.0.iter() {
            for start in 0..letters.len() {
                let here = letters.iter().skip(start).zip(&pattern.letters);
                let same = here.take_while(|(c, (wanted, _))| *c == wanted).count();
                let goes_on = before.is_some() && start + same == letters.len();
                let first = match same {
                    _ if same == pattern.letters.len() => 0,
                    _ if goes_on => pattern.shown,
                    _ => continue,
                };
                let places = instead.iter_mut().skip(start).zip(&pattern.letters);
                for (place, (_, letter)) in places.take(same).skip(first) {
                    *place = Some(*letter);
                }
            }
        }
        let mut instead = instead.into_iter().skip(skipped);
        let mut changed = false;
        let text = text
            .chars()
            .map(|c| {
                let letter = if c.is_whitespace() {
                    None
                } else {
                    instead.next().flatten()
                };
                changed |= letter.is_some();
                letter.unwrap_or(c)
            })
            .collect();
        changed.then_some(text)
    }

    /// In every text of a value.
    pub(super) fn replace_in(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => match self.replaced(None, text) {
                Some(without) => {
                    *text = without;
                    true
                }
                None => false,
            },
            Value::Array(values) => values
                .iter_mut()
                .fold(false, |found, value| self.replace_in(value) | found),
            Value::Object(values) => values
                .values_mut()
                .fold(false, |found, value| self.replace_in(value) | found),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    /// Anything without secrets; `None`: there is none in it.
    ///
    /// # Errors
    /// A secret that is one of the format's own words.
    pub(super) fn without<T: Serialize + DeserializeOwned>(
        &self,
        what: &T,
    ) -> serde_json::Result<Option<T>> {
        let mut value = serde_json::to_value(what)?;
        if self.replace_in(&mut value) {
            // as a recording is read: every form is compiled for one reader only
            serde_json::from_str(&value.to_string()).map(Some)
        } else {
            Ok(None)
        }
    }
}

/// A text that comes in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Answer(GenerationId),
    Spoken(SegmentId),
}

/// Takes the secrets out of one session's inputs.
#[derive(Debug)]
pub(super) struct Redaction {
    patterns: Patterns,
    /// With their last letters, as many as a secret can begin with; the newest last.
    streams: VecDeque<(Stream, Vec<char>)>,
}

impl Redaction {
    pub(super) fn new(patterns: Patterns) -> Self {
        Self {
            patterns,
            streams: VecDeque::new(),
        }
    }

    pub(super) fn patterns(&self) -> &Patterns {
        &self.patterns
    }

    /// The input without secrets; `None`: there is none in it.
    ///
    /// # Errors
    /// A secret that is one of the format's own words.
    pub(super) fn input(&mut self, input: &Input) -> serde_json::Result<Option<Input>> {
        match input {
            // at audio rate, and without a text
            Input::Vad(_) | Input::Playout(_) | Input::Time => Ok(None),
            _ if self.patterns.0.is_empty() => Ok(None),
            Input::Llm {
                id,
                event: Llm::Text(text),
            } => Ok(self
                .piece(Stream::Answer(*id), text)
                .map(|text| Input::Llm {
                    id: *id,
                    event: Llm::Text(text),
                })),
            Input::Tts {
                id,
                event: Tts::Words(words),
            } => {
                let mut changed = false;
                let words = words
                    .iter()
                    .map(|(word, at)| {
                        let without = self.piece(Stream::Spoken(*id), word);
                        changed |= without.is_some();
                        (without.unwrap_or_else(|| word.clone()), *at)
                    })
                    .collect();
                Ok(changed.then_some(Input::Tts {
                    id: *id,
                    event: Tts::Words(words),
                }))
            }
            other => self.patterns.without(other),
        }
    }

    fn piece(&mut self, stream: Stream, text: &str) -> Option<String> {
        let longest = self.patterns.0.iter().map(|p| p.letters.len()).max()?;
        let known = self.streams.iter().position(|(known, _)| *known == stream);
        let mut letters = known
            .and_then(|at| self.streams.remove(at))
            .map_or_else(Vec::new, |(_, letters)| letters);
        let replaced = self.patterns.replaced(Some(&letters), text);
        letters.extend(text.chars().filter(|c| !c.is_whitespace()));
        letters.drain(..letters.len().saturating_sub(longest - 1));
        if self.streams.len() == STREAMS {
            self.streams.pop_front();
        }
        self.streams.push_back((stream, letters));
        replaced
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use antiphon_chat::ToolCall;
    use antiphon_dialogue::input::Stt;

    use super::*;

    const KEY: &str = "sk-Huge\"Long-4711";

    fn redaction(secret: &str) -> Redaction {
        let secrets: Vec<Secret> = Secret::new(secret).into_iter().collect();
        Redaction::new(Patterns::new(&secrets))
    }

    fn says(text: &str) -> Input {
        Input::Llm {
            id: GenerationId(1),
            event: Llm::Text(text.into()),
        }
    }

    #[test]
    fn a_key_keeps_its_length_and_its_signs_and_nothing_else() {
        let input = Input::UserText(format!("My key is {KEY}, ok?"));
        let without = redaction(KEY).input(&input).unwrap();
        let expected = "My key is se-rets\"cret-ecre, ok?";
        assert_eq!(without, Some(Input::UserText(expected.into())));
        let other = Input::Stt(Stt::Interim("My key is sk-Huge".into()));
        assert_eq!(redaction(KEY).input(&other).unwrap(), None);
    }

    #[test]
    fn a_key_inside_the_arguments_of_a_call_is_found_and_they_stay_json() {
        let arguments = serde_json::json!({"key": KEY}).to_string();
        let call = Llm::ToolCall(ToolCall {
            call_id: "call_1".into(),
            name: "t".into(),
            arguments,
        });
        let id = GenerationId(1);
        let input = Input::Llm { id, event: call };
        let without = redaction(KEY).input(&input).unwrap().unwrap();
        let Input::Llm {
            event: Llm::ToolCall(call),
            ..
        } = without
        else {
            unreachable!()
        };
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
        let key = arguments.get("key").and_then(Value::as_str).unwrap();
        assert!(key.starts_with("se-rets\""), "{key}");
    }

    /// However a model's tokens are cut.
    #[test]
    fn of_a_key_in_pieces_at_most_four_letters_are_written() {
        let whole: Vec<char> = format!("It is {KEY}.").chars().collect();
        for size in 1..whole.len() {
            let mut redaction = redaction(KEY);
            let written: String = whole
                .chunks(size)
                .map(|piece| {
                    let input = says(&piece.iter().collect::<String>());
                    match redaction.input(&input).unwrap().unwrap_or(input) {
                        Input::Llm {
                            event: Llm::Text(text),
                            ..
                        } => text,
                        _ => unreachable!(),
                    }
                })
                .collect();
            assert_eq!(written.chars().count(), whole.len());
            assert!(!written.contains("sk-Hu"), "{size}: {written}");
            assert!(!written.contains("ng-4711"), "{size}: {written}");
            assert!(written.starts_with("It is s"), "{size}: {written}");
        }
    }

    #[test]
    fn a_password_of_digits_does_not_damage_the_numbers_of_a_recording() {
        let duration = std::time::Duration::from_secs(12_345_678);
        let words = vec![("12345678".to_owned(), duration)];
        let (id, event) = (SegmentId(1), Tts::Words(words));
        let without = redaction("12345678")
            .input(&Input::Tts { id, event })
            .unwrap();
        let event = Tts::Words(vec![("11111111".to_owned(), duration)]);
        assert_eq!(without, Some(Input::Tts { id, event }));
    }
}

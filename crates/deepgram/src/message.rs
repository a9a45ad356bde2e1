//! Deepgram's messages, without I/O. Unknown fields and types are ignored.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use antiphon_agent::provider::SttEvent;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

pub(crate) const KEEP_ALIVE: &str = r#"{"type":"KeepAlive"}"#;
pub(crate) const FINALIZE: &str = r#"{"type":"Finalize"}"#;
pub(crate) const CLOSE_STREAM: &str = r#"{"type":"CloseStream"}"#;

/// Results that began this much before a `Clear` or a sure position still count as before it: positions are rounded.
const ROUNDING_SECONDS: f64 = 0.05;

#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
pub(crate) enum Message {
    Results(Results),
    SpeechStarted,
    UtteranceEnd,
    Error(ErrorText),
    #[serde(other)]
    Other,
}

/// What an error says. Deepgram sends one of these, or several.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ErrorText {
    #[serde(default, deserialize_with = "lenient")]
    description: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    err_msg: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    reason: Option<String>,
}

/// A field that cannot be read costs that field.
fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).unwrap_or_default())
}

impl ErrorText {
    /// All that it says, the sentence first.
    fn text(self) -> String {
        let Self {
            description,
            message,
            err_msg,
            reason,
        } = self;
        let said = [description, err_msg, message, reason];
        let said: Vec<String> = said
            .into_iter()
            .flatten()
            .filter(|text| !text.is_empty())
            .collect();
        said.join(" ")
    }
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Results {
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) start: f64,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) duration: f64,
    #[serde(default, deserialize_with = "lenient")]
    is_final: bool,
    #[serde(default, deserialize_with = "lenient")]
    speech_final: bool,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) from_finalize: bool,
    #[serde(default, deserialize_with = "lenient")]
    channel: Channel,
}

#[derive(Debug, Default, Deserialize)]
struct Channel {
    #[serde(default, deserialize_with = "lenient")]
    alternatives: Vec<Alternative>,
}

#[derive(Debug, Default, Deserialize)]
struct Alternative {
    #[serde(default, deserialize_with = "lenient")]
    transcript: String,
    #[serde(default, deserialize_with = "lenient")]
    confidence: Option<f32>,
    /// With `language=multi`: what was spoken, most first.
    #[serde(default, deserialize_with = "lenient")]
    languages: Vec<String>,
    #[serde(default, deserialize_with = "lenient")]
    words: Vec<Word>,
}

#[derive(Debug, Default, Deserialize)]
struct Word {
    /// With `diarize=true`: who said it, counted from 0.
    #[serde(default, deserialize_with = "lenient")]
    speaker: Option<u32>,
}

impl Alternative {
    /// Who said most of the words, under LiveKit's name for it.
    fn speaker(&self) -> Option<String> {
        let mut said = BTreeMap::<u32, usize>::new();
        for speaker in self.words.iter().filter_map(|word| word.speaker) {
            *said.entry(speaker).or_default() += 1;
        }
        // of two who said as much the first counts
        let most = said
            .into_iter()
            .max_by_key(|&(speaker, words)| (words, Reverse(speaker)));
        most.map(|(speaker, _)| format!("S{speaker}"))
    }
}

/// Is the caller speaking, as Deepgram hears it?
#[derive(Debug, Default)]
pub(crate) struct Hearing {
    speaking: bool,
    /// Words that are not final are with the listener.
    unsure: bool,
    /// Results that began before this second of the connection are of words to be forgotten.
    cleared_until: f64,
}

/// What a message leads to.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) events: Vec<SttEvent>,
    /// The sound up to this second of the connection has become final words or silence.
    pub(crate) sure_until: Option<f64>,
    /// The answer to a `Finalize`.
    pub(crate) finalized: bool,
    /// Deepgram reports an error; the connection is of no use any more.
    pub(crate) error: Option<String>,
}

impl Hearing {
    /// Forget words up to this second of the connection.
    pub(crate) fn clear(&mut self, at: f64) {
        self.cleared_until = at;
        (self.speaking, self.unsure) = (false, false);
    }

    /// A new connection counts its seconds anew.
    pub(crate) fn reconnected(&mut self) {
        self.cleared_until = 0.0;
    }

    /// Read one text message.
    pub(crate) fn read(&mut self, text: &str) -> Result<Outcome, serde_json::Error> {
        let mut outcome = Outcome::default();
        match serde_json::from_str(text)? {
            Message::SpeechStarted => self.start(&mut outcome.events),
            Message::UtteranceEnd => self.end(&mut outcome.events),
            Message::Error(said) => outcome.error = Some(said.text()),
            Message::Other => {}
            Message::Results(results) => {
                if results.is_final {
                    outcome.sure_until = Some(results.start + results.duration);
                }
                outcome.finalized = results.from_finalize;
                if results.start + ROUNDING_SECONDS >= self.cleared_until {
                    self.results(results, &mut outcome.events);
                }
            }
        }
        Ok(outcome)
    }

    fn results(&mut self, results: Results, events: &mut Vec<SttEvent>) {
        let best = results
            .channel
            .alternatives
            .into_iter()
            .next()
            .unwrap_or_default();
        let text = best.transcript.trim().to_owned();
        if !text.is_empty() {
            self.start(events);
            events.extend(best.speaker().map(SttEvent::Speaker));
            if let Some(language) = best.languages.into_iter().next() {
                events.push(SttEvent::Language(language));
            }
            self.unsure = !results.is_final;
            if results.is_final {
                events.push(SttEvent::Final {
                    text,
                    confidence: best.confidence,
                });
            } else {
                events.push(SttEvent::Interim(text));
            }
        } else if results.is_final && (self.unsure || results.from_finalize) {
            // it was no words after all, or whoever asked for the last ones need not wait for any
            self.unsure = false;
            events.push(SttEvent::Final {
                text,
                confidence: best.confidence,
            });
        }
        if results.speech_final || results.from_finalize {
            self.end(events);
        }
    }

    fn start(&mut self, events: &mut Vec<SttEvent>) {
        if !std::mem::replace(&mut self.speaking, true) {
            events.push(SttEvent::SpeechStarted);
        }
    }

    fn end(&mut self, events: &mut Vec<SttEvent>) {
        if std::mem::replace(&mut self.speaking, false) {
            events.push(SttEvent::SpeechEnded);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn results(text: &str, start: f64, flags: &str) -> String {
        format!(
            r#"{{"type":"Results","start":{start},"duration":1.0,{flags}"channel":{{"alternatives":[{{"transcript":"{text}","confidence":0.5}}]}}}}"#
        )
    }

    fn fin(text: &str) -> SttEvent {
        SttEvent::Final {
            text: text.to_owned(),
            confidence: Some(0.5),
        }
    }

    #[test]
    fn a_turn_of_two_segments_gives_two_finals_and_one_end() {
        let mut hearing = Hearing::default();
        let mut events = Vec::new();
        for message in [
            r#"{"type":"SpeechStarted","channel":[0],"timestamp":0.1}"#.to_owned(),
            results("one", 0.0, ""),
            results("one", 0.0, r#""is_final":true,"#),
            results("two", 1.0, r#""is_final":true,"speech_final":true,"#),
            r#"{"type":"UtteranceEnd","last_word_end":2.0}"#.to_owned(),
            r#"{"type":"Metadata"}"#.to_owned(),
            r#"{"type":"Something new"}"#.to_owned(),
        ] {
            events.extend(hearing.read(&message).unwrap().events);
        }
        let expected = [
            SttEvent::SpeechStarted,
            SttEvent::Interim("one".to_owned()),
            fin("one"),
            fin("two"),
            SttEvent::SpeechEnded,
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn the_language_of_words_comes_before_them() {
        let message = r#"{"type":"Results","is_final":true,"channel":{"alternatives":[{"transcript":"hola","confidence":0.5,"languages":["es","en"]}]}}"#;
        let events = Hearing::default().read(message).unwrap().events;
        let language = SttEvent::Language("es".to_owned());
        assert_eq!(events, [SttEvent::SpeechStarted, language, fin("hola")]);
    }

    #[test]
    fn with_diarization_the_speaker_of_most_words_comes_before_them() {
        let words = r#"[{"word":"yes","speaker":1},{"word":"no","speaker":0},{"word":"no","speaker":0},{"word":"so"}]"#;
        let message = format!(
            r#"{{"type":"Results","is_final":true,"channel":{{"alternatives":[{{"transcript":"yes no no so","words":{words}}}]}}}}"#
        );
        let events = Hearing::default().read(&message).unwrap().events;
        let words = SttEvent::Final {
            text: "yes no no so".to_owned(),
            confidence: None,
        };
        let speaker = SttEvent::Speaker("S0".to_owned());
        assert_eq!(events, [SttEvent::SpeechStarted, speaker, words]);
    }

    #[test]
    fn what_an_error_says_is_told_whatever_it_calls_it() {
        let told = |text: &str| Hearing::default().read(text).unwrap().error.unwrap();
        let both = r#"{"type":"Error","variant":"X","description":"The audio could not be decoded.","message":"DATA-0000"}"#;
        assert_eq!(told(both), "The audio could not be decoded. DATA-0000");
        assert_eq!(
            told(r#"{"type":"Error","err_msg":"No.","description":7}"#),
            "No."
        );
    }

    #[test]
    fn a_field_that_cannot_be_read_does_not_cost_the_words() {
        let message = r#"{"type":"Results","start":"x","is_final":true,"channel":{"alternatives":[{"transcript":"yes","confidence":"high","languages":"en","words":[{"speaker":"A"}]}]}}"#;
        let events = Hearing::default().read(message).unwrap().events;
        let words = SttEvent::Final {
            text: "yes".to_owned(),
            confidence: None,
        };
        assert_eq!(events, [SttEvent::SpeechStarted, words]);
    }

    #[test]
    fn cleared_words_do_not_come_back() {
        let mut hearing = Hearing::default();
        hearing.clear(2.0);
        assert_eq!(
            hearing
                .read(&results("old", 1.0, r#""is_final":true,"#))
                .unwrap()
                .events,
            []
        );
        assert_eq!(
            hearing
                .read(&results("new", 2.0, r#""is_final":true,"#))
                .unwrap()
                .events,
            [SttEvent::SpeechStarted, fin("new")]
        );
    }

    #[test]
    fn words_that_turn_out_to_be_none_are_taken_back() {
        let mut hearing = Hearing::default();
        let mut events = Vec::new();
        for message in [
            results("the", 0.0, ""),
            results("", 0.0, r#""is_final":true,"speech_final":true,"#),
            results("", 1.0, r#""is_final":true,"#),
            results("", 2.0, r#""is_final":true,"from_finalize":true,"#),
        ] {
            events.extend(hearing.read(&message).unwrap().events);
        }
        let expected = [
            SttEvent::SpeechStarted,
            SttEvent::Interim("the".to_owned()),
            fin(""),
            SttEvent::SpeechEnded,
            fin(""),
        ];
        assert_eq!(events, expected);
    }

    proptest! {
        #[test]
        fn nothing_the_server_sends_makes_it_panic(text in r#"(\{"type":"(Results|Error|UtteranceEnd)"(,"(start|channel|is_final|description)":(1e999|-1|null|true|"x"|\{"alternatives":\[\]\}))?\}|[ -~]{0,20})"#) {
            let _ = Hearing::default().read(&text);
        }
    }
}

//! What a developer sees of the calls while they go on: one calm line for each thing that was said or done.

use std::time::Duration;

use antiphon_dialogue::event::{CloseReason, Component, InputModality, TurnMetrics};
use antiphon_dialogue::ids::SpeechId;
use antiphon_dialogue::{Event, Instant};
use antiphon_telemetry::secrets::hidden;

use crate::verbs::terminal::Look;

/// A sentence longer than this is cut: the terminal shows how the call goes, the history holds what was said.
const SENTENCE_CHARS: usize = 400;
/// Arguments and results are often whole documents.
const TOOL_CHARS: usize = 160;
/// What is kept of a speech until it is over: more than is shown, whatever its letters take.
const MAX_SPEECH_BYTES: usize = 8 * SENTENCE_CHARS;
/// Waits that the median is made of; a day of talking has fewer.
const MAX_TURNS: usize = 20_000;
/// Speeches whose waits are known and whose words are not over; more can only be speeches that never got words.
const MAX_WAITING: usize = 16;

/// Failures that are known again; the oldest is explained once more when it comes back.
const MAX_TROUBLES: usize = 16;

/// One call as lines of the terminal.
#[derive(Debug)]
pub(super) struct CallLines {
    /// Which call of this process, from 1: calls at the same time are told apart by it.
    number: u64,
    look: Look,
    /// Words of the speech that is being played.
    words: String,
    metrics: Vec<(SpeechId, TurnMetrics)>,
    /// The causes of failures that were explained, and how often each came.
    troubles: Vec<(Component, String, u32)>,
    turns: Vec<Duration>,
}

impl CallLines {
    /// And the line that says that it has begun.
    pub(super) fn begin(number: u64, room: &str, look: Look) -> (Self, String) {
        let lines = Self {
            number,
            look,
            words: String::new(),
            metrics: Vec::new(),
            troubles: Vec::new(),
            turns: Vec::new(),
        };
        let first = lines.line("call", 0, &lines.dim(&clean(room, SENTENCE_CHARS)));
        (lines, first)
    }

    /// The line for an event; most have none.
    pub(super) fn event(&mut self, now: Instant, event: &Event) -> Option<String> {
        match event {
            Event::UserInputTranscribed {
                transcript,
                is_final: true,
                modality,
                ..
            } => {
                let typed = match modality {
                    InputModality::Audio => String::new(),
                    InputModality::Text => self.dim("  typed"),
                };
                let words = clean(transcript, SENTENCE_CHARS);
                Some(self.line("caller", 36, &format!("{words}{typed}")))
            }
            Event::AgentTranscript {
                speech,
                delta,
                is_final,
                interrupted,
                ..
            } => {
                if self.words.len() < MAX_SPEECH_BYTES {
                    self.words.push_str(delta);
                }
                is_final
                    .then(|| self.spoken(*speech, *interrupted))
                    .flatten()
            }
            Event::TurnMetrics(metrics) => {
                self.measured(metrics);
                None
            }
            Event::ToolStarted { call } => {
                let arguments = self.dim(&clean(&call.arguments, TOOL_CHARS));
                let name = clean(&call.name, TOOL_CHARS);
                Some(self.line("tool", 34, &format!("{name} {arguments}")))
            }
            Event::ToolEnded {
                output, duration, ..
            } => {
                let result = clean(&output.output, TOOL_CHARS);
                let result = if output.is_error {
                    self.look.red(&result)
                } else {
                    result
                };
                let took = self.dim(&format!("  {} s", seconds(*duration)));
                let name = clean(&output.name, TOOL_CHARS);
                Some(self.line("tool", 34, &format!("{name} → {result}{took}")))
            }
            Event::Error {
                component, message, ..
            } => Some(self.trouble(*component, message)),
            Event::Closed { reason, error } => Some(self.closed(now, *reason, error.as_deref())),
            _ => None,
        }
    }

    fn measured(&mut self, metrics: &TurnMetrics) {
        if self.turns.len() < MAX_TURNS {
            self.turns.extend(metrics.e2e_latency);
        }
        if let Some(speech) = metrics.speech {
            self.metrics.push((speech, *metrics));
            if self.metrics.len() > MAX_WAITING {
                self.metrics.remove(0);
            }
        }
    }

    /// A speech is over.
    fn spoken(&mut self, speech: SpeechId, interrupted: bool) -> Option<String> {
        let words = clean(&std::mem::take(&mut self.words), SENTENCE_CHARS);
        let at = self.metrics.iter().position(|(of, _)| *of == speech);
        let waits = at
            .and_then(|at| waits(&self.metrics.remove(at).1))
            .map(|waits| self.dim(&format!("  {waits}")))
            .unwrap_or_default();
        let cut = if interrupted { " — interrupted" } else { "" };
        (!words.is_empty()).then(|| self.line("agent", 33, &format!("{words}{cut}{waits}")))
    }

    /// The whole message the first time, then how often, and only what is new in it.
    fn trouble(&mut self, component: Component, message: &str) -> String {
        let part = part(component);
        let (cause, quoted) = cause(message);
        let known = self
            .troubles
            .iter_mut()
            .find(|(of, text, _)| *of == component && *text == cause);
        let text = match known {
            Some((_, _, times)) => {
                *times = times.saturating_add(1);
                let about = match quoted.is_empty() {
                    true => String::new(),
                    false => format!(": {}", clean(&quoted, SENTENCE_CHARS)),
                };
                format!("{part}: the same again ({times} times){about}")
            }
            None => {
                if self.troubles.len() == MAX_TROUBLES {
                    self.troubles.remove(0);
                }
                self.troubles.push((component, cause, 1));
                format!("{part}: {}", clean(message, SENTENCE_CHARS))
            }
        };
        self.line("trouble", 31, &self.look.red(&text))
    }

    fn closed(&self, now: Instant, reason: CloseReason, error: Option<&str>) -> String {
        let why = match reason {
            CloseReason::UserInitiated => "the program ended it",
            CloseReason::ParticipantDisconnected => "the caller left",
            CloseReason::Error => "it failed",
            CloseReason::JobShutdown => "the agent was stopped",
            CloseReason::TaskCompleted => "a tool ended it",
        };
        let error = error.map_or(String::new(), |error| {
            format!(": {}", clean(error, SENTENCE_CHARS))
        });
        let length = now.since(Instant::ZERO).as_secs();
        let mut turns = self.turns.clone();
        turns.sort_unstable();
        let median = turns.get(turns.len() / 2).map_or(String::new(), |median| {
            format!(
                "; answers: {}, median wait {} s",
                turns.len(),
                seconds(*median)
            )
        });
        let text = format!("over after {length} s: {why}{error}{median}");
        self.line("call", 0, &self.dim(&text))
    }

    fn line(&self, who: &str, colour: u8, text: &str) -> String {
        let who = self.look.paint(colour, &format!("{who:<7}"));
        format!("#{} {who} {text}", self.number)
    }

    fn dim(&self, text: &str) -> String {
        self.look.paint(2, text)
    }
}

/// What the caller waited for, in seconds.
fn waits(metrics: &TurnMetrics) -> Option<String> {
    let total = metrics.e2e_latency?;
    let parts: Vec<String> = [
        ("end of turn", metrics.end_of_turn_delay),
        ("model", metrics.llm_ttfs.or(metrics.llm_ttft)),
        ("voice", metrics.tts_ttfb),
    ]
    .into_iter()
    .filter_map(|(what, took)| took.map(|took| format!("{what} {}", seconds(took))))
    .collect();
    let early = if metrics.preemptive {
        ", begun early"
    } else {
        ""
    };
    Some(format!(
        "{} s ({}{early})",
        seconds(total),
        parts.join(", ")
    ))
}

/// What is the same in a message each time that its cause comes back, and what it quotes: the sentence that was not heard. Of
/// numbers only those of three digits count, which are HTTP's; the others are times, ports and counts.
fn cause(message: &str) -> (String, String) {
    let (mut cause, mut quoted) = (String::new(), String::new());
    let mut is_quoted = false;
    for part in message.split_inclusive(|c: char| c == '"' || c.is_whitespace()) {
        if is_quoted {
            quoted.push_str(part.trim_end_matches('"'));
        } else {
            let is_number = part.starts_with(|c: char| c.is_ascii_digit());
            let digits = part.chars().filter(char::is_ascii_digit).count();
            if !is_number || digits == 3 {
                cause.push_str(part);
            }
        }
        is_quoted ^= part.ends_with('"');
    }
    (cause, quoted)
}

fn part(component: Component) -> &'static str {
    match component {
        Component::Stt => "STT",
        Component::Llm => "LLM",
        Component::Tts => "TTS",
        Component::Tool => "tool",
        Component::Knowledge => "knowledge",
        Component::Playout => "playout",
        Component::Session => "session",
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64())
}

/// One line of text from outside: without keys, without control characters that a terminal would obey, not too long.
fn clean(text: &str, max_chars: usize) -> String {
    let text = hidden(text);
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    match line.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{} …", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use antiphon_dialogue::ids::TurnId;

    use super::*;

    const PLAIN: Look = Look {
        width: 100,
        colour: false,
    };

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn heard(text: &str) -> Event {
        Event::UserInputTranscribed {
            turn: TurnId(1),
            modality: InputModality::Audio,
            transcript: text.into(),
            is_final: true,
            item_id: None,
            language: None,
            speaker_id: None,
        }
    }

    fn said(delta: &str, is_final: bool) -> Event {
        Event::AgentTranscript {
            speech: SpeechId(2),
            segment: None,
            delta: delta.into(),
            is_final,
            interrupted: false,
        }
    }

    fn failed(message: &str) -> Event {
        Event::Error {
            component: Component::Tts,
            message: message.into(),
            recoverable: true,
        }
    }

    #[test]
    fn a_turn_is_two_lines_and_the_second_says_what_the_caller_waited_for() {
        let (mut call, first) = CallLines::begin(1, "playground-1", PLAIN);
        assert_eq!(first, "#1 call    playground-1");
        let line = call.event(at(0), &heard("when do you open")).unwrap();
        assert_eq!(line, "#1 caller  when do you open");
        let ms = |millis| Some(Duration::from_millis(millis));
        let metrics = TurnMetrics {
            speech: Some(SpeechId(2)),
            e2e_latency: ms(860),
            end_of_turn_delay: ms(500),
            llm_ttfs: ms(240),
            tts_ttfb: ms(120),
            ..TurnMetrics::default()
        };
        assert_eq!(call.event(at(0), &Event::TurnMetrics(metrics)), None);
        assert_eq!(call.event(at(0), &said("At ", false)), None);
        assert_eq!(
            call.event(at(0), &said("noon.", true)).unwrap(),
            "#1 agent   At noon.  0.86 s (end of turn 0.50, model 0.24, voice 0.12)"
        );
        let closed = Event::Closed {
            reason: CloseReason::ParticipantDisconnected,
            error: None,
        };
        assert_eq!(
            call.event(at(61_000), &closed).unwrap(),
            "#1 call    over after 61 s: the caller left; answers: 1, median wait 0.86 s"
        );
    }

    #[test]
    fn a_caller_cannot_paint_the_developers_terminal() {
        let (mut call, _) = CallLines::begin(1, "a\u{1b}]0;title\u{7}", PLAIN);
        let line = call.event(at(0), &heard("hi\u{1b}[2J\nthere\r\u{9b}31m"));
        assert!(!line.unwrap().contains(char::is_control));
    }

    #[test]
    fn a_provider_that_fails_again_and_again_is_explained_once() {
        let (mut call, _) = CallLines::begin(3, "r", PLAIN);
        let line = call
            .event(at(0), &failed("OpenAI refused the key"))
            .unwrap();
        assert_eq!(line, "#3 trouble TTS: OpenAI refused the key");
        let line = call
            .event(at(0), &failed("OpenAI refused the key"))
            .unwrap();
        assert_eq!(line, "#3 trouble TTS: the same again (2 times)");
        // also when another came between
        call.event(at(0), &failed("OpenAI is slow")).unwrap();
        let line = call
            .event(at(0), &failed("OpenAI refused the key"))
            .unwrap();
        assert_eq!(line, "#3 trouble TTS: the same again (3 times)");
    }

    #[test]
    fn a_voice_that_fails_at_every_sentence_is_explained_once_and_each_sentence_named() {
        let (mut call, _) = CallLines::begin(3, "r", PLAIN);
        let lost = |sentence: &str, ms: u32| {
            failed(&format!(
                "OpenAI answered 503 after {ms} ms; the caller does not hear all of {sentence:?}"
            ))
        };
        let line = call.event(at(0), &lost("We open.", 12)).unwrap();
        assert_eq!(
            line,
            "#3 trouble TTS: OpenAI answered 503 after 12 ms; the caller does not hear all of \"We open.\""
        );
        let line = call.event(at(0), &lost("At nine.", 1500)).unwrap();
        assert_eq!(line, "#3 trouble TTS: the same again (2 times): At nine.");
        let other = failed("OpenAI answered 401; the caller does not hear all of \"x\"");
        assert!(call.event(at(0), &other).unwrap().contains("401"));
    }

    #[test]
    fn a_key_in_a_tools_result_is_not_shown() {
        antiphon_telemetry::secrets::hide(["hunter2-hunter2-hunter2"]);
        assert_eq!(clean("key hunter2-hunter2-hunter2", 100), "key [secret]");
    }
}

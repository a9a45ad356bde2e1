//! The observer's own ledger of the caller: the voice that the VAD hears, and the words that the recogniser was sure of.

use std::collections::VecDeque;

use super::{ANSWERS_WITHIN, Violation};
use antiphon_chat::time::{Duration, Instant};
use antiphon_dialogue::Dialogue;
use antiphon_dialogue::event::{Event, Withdrawal};
use antiphon_dialogue::input::{Command, Input, Stt, Vad};
use antiphon_dialogue::limits::{MAX_TURN_BYTES, MIN_LOST_WORDS, SPEECH_SIGN_TIMEOUT};
use antiphon_dialogue::options::{Options, TurnDetection};
use antiphon_text::{contains_words, normalise, without_words};

/// This long after its last sound a recogniser may say what a voice was.
const AFTER_WORDS: Duration = Duration::from_millis(500);
/// Turns that the recogniser may repeat a part of.
const REMEMBERED_TURNS: usize = 8;

#[derive(Clone, Copy, Debug)]
struct Voice {
    since: Instant,
    lasted: Duration,
    sign: Instant,
}

/// Final words that are in no turn yet.
#[derive(Clone, Debug)]
struct Waiting {
    /// Normalised, and the same without what was committed for want of them.
    words: [String; 2],
    at: Instant,
}

/// Words that count no more, normalised: the recogniser may say them again.
#[derive(Clone, Debug)]
struct Turn {
    words: String,
    /// They are in no turn, and an event has said so.
    is_withdrawn: bool,
}

impl Turn {
    /// What of these words is not in it; `None`: all of it. What it ends with may come again, and of what was withdrawn any part.
    fn news(&self, words: &str) -> Option<String> {
        if self.is_withdrawn && contains_words(&self.words, words) {
            return Some(String::new());
        }
        news(words, &self.words)
    }
}

/// See above.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller {
    voice: Option<Voice>,
    last_words: Instant,
    /// When a VAD counts as stuck.
    patience: Option<Duration>,
    now: Instant,
    /// The voice was heard before this step, and is heard after it.
    goes_on: bool,
    /// The VAD says so just now, without a pause.
    is_sounding: bool,
    finals: Vec<Waiting>,
    /// The newest of them.
    last_final: Instant,
    /// There is a VAD, and this is the last sound that it has told of.
    last_sound: Option<Instant>,
    /// Words have come since the last final that the recogniser is not sure of.
    has_interim: bool,
    /// The program says in this step that the turn is over.
    is_committed: bool,
    /// Committed or withdrawn, the newest last.
    turns: VecDeque<Turn>,
}

impl Caller {
    pub(super) fn input(&mut self, now: Instant, input: &Input) {
        self.now = self.now.max(now);
        let before = self.speaks();
        self.is_committed = matches!(input, Input::Command(Command::CommitUserTurn { .. }));
        self.is_sounding = matches!(
            input,
            Input::Vad(Vad::Frame { speaking: true, silence, .. }) if silence.is_zero()
        );
        match input {
            Input::Vad(vad) => self.vad(*vad),
            Input::Stt(Stt::Interim(text) | Stt::Preflight(text) | Stt::Final { text, .. })
                if !text.trim().is_empty() =>
            {
                if !before {
                    self.voice = None; // a VAD that was stuck is believed again when it says the same once more
                }
                self.last_words = self.now;
                if let Some(voice) = &mut self.voice {
                    voice.sign = self.now;
                }
                self.has_interim = !matches!(input, Input::Stt(Stt::Final { .. }));
                if !self.has_interim {
                    self.note_final(text);
                }
            }
            _ => {}
        }
        self.goes_on = before && self.speaks();
    }

    fn vad(&mut self, vad: Vad) {
        let now = self.now;
        let sound = match vad {
            Vad::SpeechStarted { .. } => now,
            Vad::Frame { silence, .. } | Vad::SpeechEnded { silence, .. } => now.back(silence),
        };
        self.last_sound = self.last_sound.max(Some(sound));
        let heard = |lasted| Voice {
            since: now.back(lasted),
            lasted,
            sign: now,
        };
        match vad {
            Vad::SpeechStarted { speech } => self.voice = Some(heard(speech)),
            Vad::Frame {
                speaking: true,
                speech,
                silence,
            } => {
                let lost = |voice: &Voice| now.since(voice.sign) >= SPEECH_SIGN_TIMEOUT;
                let known = self.voice.filter(|voice| !lost(voice));
                self.voice = match known {
                    Some(voice) if silence.is_zero() => Some(Voice {
                        since: voice.since,
                        ..heard(speech)
                    }),
                    Some(voice) => Some(Voice { sign: now, ..voice }),
                    None if silence.is_zero() => Some(heard(speech)),
                    None => None,
                };
            }
            Vad::Frame {
                speaking: false, ..
            } => {}
            Vad::SpeechEnded { .. } => self.voice = None,
        }
    }

    fn is_stuck(&self) -> bool {
        self.voice
            .zip(self.patience)
            .is_some_and(|(voice, patience)| {
                self.now.since(voice.since.max(self.last_words)) >= patience
            })
    }

    /// The VAD hears a voice, and is to be believed.
    fn speaks(&self) -> bool {
        let heard = |voice: Voice| self.now.since(voice.sign) < SPEECH_SIGN_TIMEOUT;
        self.voice.is_some_and(heard) && !self.is_stuck()
    }

    /// The caller spoke before this step and speaks after it, for longer than what holds nothing back.
    pub(super) fn still_speaks(&mut self, options: &Options) -> bool {
        self.patience = Some(options.stuck_vad_timeout);
        let least = options.min_thinking_interruption_duration;
        self.goes_on && self.voice.is_some_and(|voice| voice.lasted >= least)
    }

    /// The VAD has just said that the caller has spoken for longer than anybody need to find out what it is, also after his last
    /// words. Where there must be words, and where a button decides, the voice alone takes nothing.
    pub(super) fn takes_the_floor(&self, options: &Options) -> bool {
        let least = options.min_interruption_duration + options.echo_guard;
        let by_voice =
            options.turn_detection != TurnDetection::Manual && options.min_interruption_words == 0;
        let unexplained = self.now.since(self.last_words) > least + AFTER_WORDS;
        let heard = |voice: Voice| voice.sign == self.now && voice.lasted >= least;
        by_voice && unexplained && self.goes_on && self.is_sounding && self.voice.is_some_and(heard)
    }

    fn note_final(&mut self, text: &str) {
        let words = normalise(text);
        let rest = self.turns.iter().rev().find_map(|turn| turn.news(&words));
        let rest = rest.unwrap_or_else(|| words.clone());
        let words_of = |words: &str| words.split(' ').count();
        let twice = words_of(&words) >= MIN_LOST_WORDS
            && self
                .finals
                .last()
                .is_some_and(|last| last.words[0].ends_with(&words));
        if !rest.is_empty() && !twice {
            self.last_final = self.now;
            self.finals.push(Waiting {
                words: [words, rest],
                at: self.now,
            });
        }
        let bytes: usize = self
            .finals
            .iter()
            .map(|waiting| waiting.words[0].len())
            .sum();
        if bytes > MAX_TURN_BYTES {
            self.finals.clear(); // more than a turn holds
        }
    }

    fn remember(&mut self, words: String, is_withdrawn: bool) {
        self.turns.push_back(Turn {
            words,
            is_withdrawn,
        });
        if self.turns.len() > REMEMBERED_TURNS {
            self.turns.pop_front();
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::UserInputTranscribed {
                transcript,
                is_final: true,
                ..
            } => {
                let turn = normalise(transcript);
                self.account_for(&turn);
                // it was committed for want of the words that come just now
                let now = self.now;
                for waiting in self.finals.iter_mut().filter(|waiting| waiting.at == now) {
                    if let Some(rest) = news(&waiting.words[0], &turn) {
                        waiting.words[1] = rest;
                    }
                }
                self.finals.retain(|waiting| !waiting.words[1].is_empty());
                self.remember(turn, false);
            }
            Event::UserInputWithdrawn {
                transcript,
                reason: Withdrawal::Repeated,
                ..
            } => {
                // whether it is all of what was heard since, the machine does not know
                self.last_final = Instant::ZERO;
                // the final that has just come begins with them; the rest counts
                let (now, words) = (self.now, normalise(transcript));
                for waiting in self.finals.iter_mut().filter(|waiting| waiting.at == now) {
                    for rest in &mut waiting.words {
                        if let Some(new) = without_words(rest, &words) {
                            *rest = new.trim().to_owned();
                        }
                    }
                }
                self.finals.retain(|waiting| !waiting.words[0].is_empty());
            }
            Event::UserInputWithdrawn { transcript, .. } => {
                // their final may come after them
                let words = normalise(transcript);
                self.account_for(&words);
                self.remember(words, true);
            }
            _ => {}
        }
    }

    /// These words were committed or withdrawn.
    fn account_for(&mut self, text: &str) {
        let mut text = format!(" {text} ");
        self.finals.retain(|waiting| {
            let found = waiting
                .words
                .iter()
                .find_map(|words| Some((text.find(&format!(" {words} "))?, words.len())));
            let Some((at, length)) = found else {
                return true;
            };
            // each word accounts for one
            text.replace_range(at..=at + length, "");
            false
        });
    }

    /// Promise 8: when the program says that the turn is over, and the recogniser is sure of all of it, nothing is waited for.
    pub(super) fn commits_at_once(&self, options: &Options) -> Result<(), Violation> {
        let is_known = self.last_sound.is_some_and(|at| at < self.last_final) && !self.has_interim;
        let decides = options.turn_detection != TurnDetection::Stt;
        match self.finals.last() {
            Some(waiting) if self.is_committed && is_known && decides => Err(Violation::LostWords(
                format!("{:?} was committed, and is waited for", waiting.words[0]),
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Promise 8, after every step: when everybody is silent, and nothing is going to happen soon, no words may wait.
    pub(super) fn nothing_is_forgotten(
        &self,
        dialogue: &Dialogue,
        is_quiet: bool,
        closed: bool,
    ) -> Result<(), Violation> {
        let options = dialogue.options();
        let soon = self.now + ANSWERS_WITHIN + 2 * options.max_endpointing_delay();
        let goes_on = dialogue.deadline().is_some_and(|due| due <= soon);
        let waits = options.turn_detection == TurnDetection::Manual
            || !is_quiet
            || self.speaks()
            || goes_on;
        // what comes when the session has just ended is too late
        let lost = |waiting: &&Waiting| {
            if closed {
                waiting.at < self.now
            } else {
                !waits
            }
        };
        match self.finals.iter().find(lost) {
            Some(lost) => Err(Violation::LostWords(format!(
                "{:?} is in no turn and was not withdrawn",
                lost.words[0]
            ))),
            None => Ok(()),
        }
    }
}

/// What of these words is not the end of this turn, said again; `None`: all of it.
fn news(words: &str, turn: &str) -> Option<String> {
    let ends = turn.match_indices(' ').map(|(at, _)| at + 1);
    let rest = [0]
        .into_iter()
        .chain(ends)
        .find_map(|at| without_words(words, turn.get(at..)?))?;
    Some(rest.trim().to_owned())
}

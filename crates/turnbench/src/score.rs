//! A detector's probability in every silence, from what was heard until then.

use std::time::Duration;

use antiphon_agent::provider::{BoxFuture, Evidence, PresentTurn, TurnDetector};
use antiphon_chat::time::Instant;
use antiphon_chat::{Item, Message, Role};
use serde::{Deserialize, Serialize};

use crate::BenchError;
use crate::turns::{RATE, Turn};

/// Sound that the agent gives to a detector.
const HEARD: usize = 8 * RATE as usize;

/// Who writes down what was said so far.
pub trait Ears: Sync {
    /// The words in `samples` (16 kHz) of `turn`, heard up to `until` seconds.
    fn words<'a>(&'a self, turn: &'a Turn, until: f64) -> BoxFuture<'a, Result<String, String>>;
}

/// The words of the row that ended before; a recogniser would need `lag` seconds more.
#[derive(Clone, Copy, Debug)]
pub struct GivenWords {
    /// eot-bench's is 0.5 s.
    pub lag: f64,
}

impl Ears for GivenWords {
    fn words<'a>(&'a self, turn: &'a Turn, until: f64) -> BoxFuture<'a, Result<String, String>> {
        let words: Vec<&str> = turn
            .row
            .words
            .iter()
            .filter(|word| word.end <= until - self.lag)
            .map(|word| word.word.as_str())
            .collect();
        let text = words.join(" ");
        Box::pin(async move { Ok(text) })
    }
}

/// A silence with its score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The turn.
    pub id: String,
    /// Which silence of it, from 0.
    pub span_index: usize,
    /// Where the score was asked for, in seconds.
    pub timestamp: f64,
    /// How long it had been silent then.
    pub silence_dur: f64,
    /// How long it stayed silent.
    pub length: f64,
    /// The probability that the turn is over.
    pub p_eot: f32,
    /// The same, asked once more; `None`: the caller had gone on by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<f32>,
    /// `eot` for the last silence of a turn, `hold` for the others.
    pub label: Label,
    /// What had been understood.
    #[serde(default)]
    pub words: String,
}

/// What a silence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// The caller goes on.
    Hold,
    /// The end of the turn.
    Eot,
}

/// Scores every silence of `turns` that lasts `after` seconds, at that moment, and once more after `again` seconds.
///
/// # Errors
/// When the detector or the ears fail.
pub async fn score(
    turns: &[Turn],
    detector: &dyn TurnDetector,
    ears: &dyn Ears,
    after: f64,
    again: f64,
) -> Result<Vec<Scored>, BenchError> {
    let mut scored = Vec::new();
    for turn in turns {
        let last = turn.row.silence_spans.len().saturating_sub(1);
        for (index, span) in turn.row.silence_spans.iter().enumerate() {
            let label = if index == last {
                Label::Eot
            } else {
                Label::Hold
            };
            let length = span.end - span.start;
            if label == Label::Hold && length < after {
                continue;
            }
            let (p_eot, words) = ask(turn, detector, ears, span.start, after).await?;
            let again = match label == Label::Eot || length >= again {
                true => Some(ask(turn, detector, ears, span.start, again).await?.0),
                false => None,
            };
            scored.push(Scored {
                id: turn.row.id.clone(),
                span_index: index,
                timestamp: span.start + after,
                silence_dur: after,
                length,
                p_eot,
                again,
                label,
                words,
            });
        }
    }
    Ok(scored)
}

/// What the detector says after this many seconds of the silence that begins at `since`, and the words that it was given.
pub(crate) async fn ask(
    turn: &Turn,
    detector: &dyn TurnDetector,
    ears: &dyn Ears,
    since: f64,
    silence: f64,
) -> Result<(f32, String), BenchError> {
    let until = since + silence;
    let (mut evidence, words) = evidence(turn, detector.evidence(), ears, until).await?;
    evidence.silence = Duration::from_secs_f64(silence.max(0.0));
    let asked = detector.predict(&evidence).await;
    let probability = asked.map_err(|error| BenchError::Detector(error.to_string()))?;
    Ok((probability, words))
}

/// What the agent would give to a detector at that moment.
async fn evidence(
    turn: &Turn,
    evidence: Evidence,
    ears: &dyn Ears,
    until: f64,
) -> Result<(PresentTurn, String), BenchError> {
    let mut present = PresentTurn {
        language: Some(turn.row.language.clone()),
        ..PresentTurn::default()
    };
    let mut words = String::new();
    if evidence.reads() {
        words = ears
            .words(turn, until)
            .await
            .map_err(BenchError::Detector)?;
        let message = |role, text: &str| {
            Item::Message(Message::new("item", role, text.to_owned(), Instant::ZERO))
        };
        let role = |name: &str| match name {
            "user" => Role::User,
            "system" => Role::System,
            _ => Role::Assistant,
        };
        let before = turn.row.messages.iter();
        present.items = before
            .map(|said| message(role(&said.role), &said.content))
            .collect();
        present.items.push(message(Role::User, &words));
    }
    if evidence.hears() {
        present.audio = heard(&turn.samples, until);
    }
    Ok((present, words))
}

/// The last 8 s until then; a recording that ends before is followed by silence.
#[must_use]
pub fn heard(samples: &[i16], until: f64) -> Vec<i16> {
    let end = (until.max(0.0) * f64::from(RATE)) as usize;
    let mut heard = samples.get(..end).unwrap_or(samples).to_vec();
    let missing = end.saturating_sub(heard.len());
    heard.resize(heard.len() + missing.min(HEARD), 0);
    let excess = heard.len().saturating_sub(HEARD);
    heard.split_off(excess)
}

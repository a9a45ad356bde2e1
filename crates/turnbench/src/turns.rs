//! Turns with their silences. One JSON object a line, with the fields of eot-bench's data set; `audio` names a WAV file beside the list.

use std::path::Path;

use antiphon_audio::wav;
use serde::{Deserialize, Serialize};

use crate::BenchError;

/// Samples a second.
pub(crate) const RATE: u32 = 16_000;
/// The longest turn that is read: ten minutes.
const MAX_SAMPLES: usize = 600 * RATE as usize;

/// A turn of a caller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its name.
    pub id: String,
    /// BCP 47.
    pub language: String,
    /// A WAV file, relative to the list.
    pub audio: String,
    /// Every silence, in order. The last one is the end of the turn.
    pub silence_spans: Vec<Span>,
    /// What is said when.
    #[serde(default)]
    pub words: Vec<Word>,
    /// What was said before.
    #[serde(default)]
    pub messages: Vec<Said>,
}

/// A silence, in seconds from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Where the last sound before it ends.
    pub start: f64,
    /// Where the next sound begins.
    pub end: f64,
}

/// A word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// As written.
    #[serde(alias = "text")]
    pub word: String,
    /// Seconds from the beginning.
    pub start: f64,
    /// Seconds from the beginning.
    pub end: f64,
}

/// A message of the conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
}

/// A row and its sound at 16 kHz.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The row.
    pub row: Row,
    /// The sound.
    pub samples: Vec<i16>,
}

/// Reads a list and its sounds.
///
/// # Errors
/// When a file is missing or a row is not as it should be.
pub fn read(list: &Path) -> Result<Vec<Turn>, BenchError> {
    let text = std::fs::read_to_string(list).map_err(|error| BenchError::file(list, &error))?;
    let folder = list.parent().unwrap_or(Path::new("."));
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| {
            let wrong = |message: String| BenchError::Row {
                path: list.to_owned(),
                line: number + 1,
                message,
            };
            let row: Row = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
            let mut at = 0.0;
            for span in &row.silence_spans {
                if !(span.start >= at && span.end >= span.start) {
                    return Err(wrong("its silences are not in order".into()));
                }
                at = span.end;
            }
            let samples = sound(&folder.join(&row.audio))?;
            Ok(Turn { row, samples })
        })
        .collect()
}

/// A WAV file at 16 kHz.
///
/// # Errors
/// When it cannot be read.
pub fn sound(path: &Path) -> Result<Vec<i16>, BenchError> {
    let file = std::fs::read(path).map_err(|error| BenchError::file(path, &error))?;
    let mut samples = wav::read::<RATE>(&file)
        .map_err(|error| BenchError::file(path, &error))?
        .into_samples();
    samples.truncate(MAX_SAMPLES);
    Ok(samples)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn list(name: &str, text: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("turnbench-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let sound = antiphon_audio::Frame16k::new(vec![0; 1600]);
        std::fs::write(folder.join("a.wav"), wav::write(&sound).unwrap()).unwrap();
        let path = folder.join("turns.jsonl");
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn rows_of_eot_bench_are_read_and_a_bad_one_is_named_with_its_line() {
        let good = r#"{"id":"1","language":"en","audio":"a.wav","silence_spans":[{"start":0.0,"end":0.1}],"words":[{"text":"hi","start":0.0,"end":0.1}],"more":1}"#;
        let path = list("good", &format!("{good}\n\n"));
        let turns = read(&path).unwrap();
        let [turn] = &*turns else {
            panic!("{turns:?}");
        };
        assert_eq!((turn.samples.len(), turn.row.words.len()), (1600, 1));
        for (name, bad) in [
            ("json", "{"),
            ("order", &good.replace("\"end\":0.1}],", "\"end\":-1}],")),
            (
                "number",
                &good.replace("0.0,\"end\":0.1}],", "null,\"end\":0.1}],"),
            ),
        ] {
            let path = list(name, &format!("{good}\n{bad}"));
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("line 2"), "{name}: {error}");
        }
        let missing = list("file", &good.replace("a.wav", "b.wav"));
        assert!(matches!(read(&missing), Err(BenchError::File { .. })));
    }
}

//! A set of turns from recordings of people and from the voice of this machine. Pauses are where people made them, or where a list
//! says that a caller thinks; their lengths are drawn so that silence alone fares as it does on eot-bench's English turns (55.6 % of
//! pauses are longer than 0.3 s, 21.7 % longer than 0.6 s, 10 % than 1 s, 5 % than 1.6 s). The same lists give the same set.

use std::path::Path;

use antiphon_audio::resample::resample;
use antiphon_audio::{Frame16k, wav};
use antiphon_hibari::Voice;
use rten::RunOptions;

use crate::BenchError;
use crate::turns::{RATE, Row, Span, Word, sound};

/// Lengths of pauses in seconds and the share of pauses that are longer.
const LONGER: [(f64, f64); 6] = [
    (0.2, 1.0),
    (0.3, 0.556),
    (0.6, 0.217),
    (1.0, 0.10),
    (1.6, 0.05),
    (3.0, 0.0),
];
/// The golden ratio's fraction: its multiples fill the unit interval evenly, in any number.
const GOLDEN: f64 = 0.618_033_988_749_894_9;
/// Silence after the end of a turn, in seconds.
const AFTER: f64 = 3.0;
/// A block that tells sound from silence: 8 ms.
const BLOCK: usize = RATE as usize / 125;
/// Below this share of the loudest block it is silent: -34 dB.
const QUIET: f64 = 0.02;
/// What is cut is faded over 5 ms.
const FADE: usize = RATE as usize / 200;

/// The length of the pause of this number.
fn pause(number: usize) -> f64 {
    let share = 1.0 - (number as f64 * GOLDEN + 0.5).fract();
    LONGER
        .windows(2)
        .find_map(|pair| match pair {
            [(short, more), (long, fewer)] if share >= *fewer => {
                Some(long - (long - short) * (share - fewer) / (more - fewer))
            }
            _ => None,
        })
        .unwrap_or(AFTER)
}

/// Sound that is put together.
#[derive(Default)]
struct Tape {
    samples: Vec<i16>,
    silences: Vec<Span>,
}

impl Tape {
    fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(RATE)
    }

    /// Room tone: the quietest that was heard, back and forth, so that nothing clicks.
    fn rest(&mut self, seconds: f64, room: &[i16]) {
        let room = if room.is_empty() { &[0] } else { room };
        let there_and_back = room.iter().chain(room.iter().rev()).cycle();
        let count = (seconds * f64::from(RATE)) as usize;
        self.samples.extend(there_and_back.take(count));
    }

    /// The silence at the end began when the last sound ended.
    fn silence_since_last_sound(&mut self) {
        let start = self.seconds() - quiet_at_end(&self.samples) as f64 / f64::from(RATE);
        self.silences.push(Span { start, end: start });
    }

    fn silence_ends(&mut self) {
        let end = self.seconds();
        if let Some(span) = self.silences.last_mut() {
            span.end = end;
        }
    }
}

fn level(block: &[i16]) -> f64 {
    let energy: f64 = block.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (energy / block.len().max(1) as f64).sqrt()
}

/// Silent samples at the end.
fn quiet_at_end(samples: &[i16]) -> usize {
    let loudest = samples.chunks(BLOCK).map(level).fold(0.0, f64::max);
    samples
        .rchunks(BLOCK)
        .take_while(|block| level(block) < loudest * QUIET)
        .map(<[i16]>::len)
        .sum()
}

fn fade(samples: &mut [i16]) {
    let len = samples.len();
    for (at, sample) in samples.iter_mut().enumerate() {
        let edge = at.min(len - 1 - at);
        if edge < FADE {
            *sample = (i32::from(*sample) * edge as i32 / FADE as i32) as i16;
        }
    }
}

/// What a set is made of.
#[derive(Debug)]
pub struct Maker<'a> {
    /// The folder for sounds and the list.
    pub folder: &'a Path,
    rows: Vec<Row>,
    pauses: usize,
}

impl<'a> Maker<'a> {
    /// An empty set in `folder`, which is made when it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(folder: &'a Path) -> Result<Self, BenchError> {
        std::fs::create_dir_all(folder).map_err(|error| BenchError::file(folder, &error))?;
        Ok(Self {
            folder,
            rows: Vec::new(),
            pauses: 0,
        })
    }

    /// Turns that the voice says: lines `name<TAB>text`, with `|` where the caller pauses. The text is in plain words, so that each is
    /// one word of the voice, too.
    ///
    /// # Errors
    /// When the list cannot be read or the voice not be used.
    pub fn speak(&mut self, list: &Path, voice: &Voice) -> Result<(), BenchError> {
        for (name, text) in lines(list)? {
            let speed = 0.9 + 0.05 * (self.rows.len() % 5) as f32;
            let plain = text.replace('|', " ");
            let spoken = voice
                .speak(&plain, speed, &RunOptions::default())
                .map_err(|error| BenchError::sound(&error))?;
            let wide: Vec<i16> = spoken
                .samples
                .iter()
                .map(|sample| (sample * 32_767.0) as i16)
                .collect();
            let samples = resample::<RATE>(&wide, 24_000)
                .map_err(|error| BenchError::sound(&error))?
                .into_samples();
            let begins: Vec<f64> = spoken
                .words
                .iter()
                .map(|(_, offset)| offset.as_secs_f64())
                .collect();
            self.cut(&name, &text, &samples, &begins)?;
        }
        Ok(())
    }

    fn cut(
        &mut self,
        name: &str,
        text: &str,
        samples: &[i16],
        begins: &[f64],
    ) -> Result<(), BenchError> {
        let mut tape = Tape::default();
        let mut words = Vec::new();
        let (mut number, mut cut) = (0, 0);
        let parts: Vec<&str> = text.split('|').collect();
        for (part, more) in parts.iter().zip((0..parts.len()).rev()) {
            let said: Vec<&str> = part.split_whitespace().collect();
            let shift = tape.seconds() - cut as f64 / f64::from(RATE);
            for (word, index) in said.iter().zip(number..) {
                let start = begins.get(index).copied().unwrap_or_default() + shift;
                words.push(Word {
                    word: (*word).to_owned(),
                    start,
                    end: start,
                });
            }
            number += said.len();
            let end = match begins.get(number) {
                Some(next) if more > 0 => ((next * f64::from(RATE)) as usize).min(samples.len()),
                _ => samples.len(),
            };
            let mut piece = samples.get(cut..end).unwrap_or_default().to_vec();
            cut = end;
            fade(&mut piece);
            tape.samples.extend(piece);
            tape.silence_since_last_sound();
            let begun = tape
                .silences
                .last()
                .map_or(0.0, |span| tape.seconds() - span.start);
            let length = if more > 0 { self.next_pause() } else { AFTER };
            tape.rest((length - begun).max(0.0), &[1, 0, -1, 2, 0, -2, 1, -1]);
            tape.silence_ends();
            if let (Some(last), Some(span)) = (words.last_mut(), tape.silences.last()) {
                last.end = span.start;
            }
        }
        for at in 1..words.len() {
            let next = words.get(at).map_or(0.0, |word| word.start);
            if let Some(word) = words.get_mut(at - 1)
                && word.end <= word.start
            {
                word.end = next;
            }
        }
        self.keep(name, "en", tape, words)
    }

    fn next_pause(&mut self) -> f64 {
        self.pauses += 1;
        pause(self.pauses)
    }

    /// Turns that people said: lines `files<TAB>pauses`. Files are joined by `+`, pauses are `from-to` in seconds of what is
    /// joined. Pauses are made longer with their own room tone.
    ///
    /// # Errors
    /// When a list or a file cannot be read.
    pub fn record(&mut self, list: &Path) -> Result<(), BenchError> {
        let folder = list.parent().unwrap_or(Path::new("."));
        for (files, rest) in lines(list)? {
            let pauses = rest.split('\t').next().unwrap_or_default();
            let mut samples = Vec::new();
            for file in files.split('+') {
                samples.extend(sound(&folder.join(file))?);
            }
            let mut tape = Tape::default();
            let mut cut = 0;
            let place = |seconds: f64| (seconds * f64::from(RATE)) as usize;
            for span in pauses.split_whitespace() {
                let bounds = span
                    .split_once('-')
                    .and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
                let Some((from, to)): Option<(f64, f64)> = bounds else {
                    return Err(BenchError::Sound(format!("{files}: {span} is no pause")));
                };
                let start = tape.seconds() + from - cut as f64 / f64::from(RATE);
                tape.samples
                    .extend(samples.get(cut..place(to)).unwrap_or_default());
                let room = samples
                    .get(place(from + 0.02)..place(to - 0.02))
                    .unwrap_or_default();
                let length = self.next_pause();
                tape.rest((length - (to - from)).max(0.0), room);
                tape.silences.push(Span {
                    start,
                    end: tape.seconds(),
                });
                cut = place(to);
            }
            tape.samples.extend(samples.get(cut..).unwrap_or_default());
            tape.silence_since_last_sound();
            let quiet = quiet_at_end(&samples);
            let room = samples
                .get(samples.len() - quiet..)
                .unwrap_or_default()
                .to_vec();
            tape.rest(AFTER, &room);
            tape.silence_ends();
            let name: Vec<&str> = files
                .split('+')
                .filter_map(|file| Path::new(file).file_stem()?.to_str())
                .collect();
            let name = name.join("+");
            // nobody knows when each word was said: the ears listen
            self.keep(&name, "en", tape, Vec::new())?;
        }
        Ok(())
    }

    fn keep(
        &mut self,
        name: &str,
        language: &str,
        tape: Tape,
        words: Vec<Word>,
    ) -> Result<(), BenchError> {
        let audio = format!("{name}.wav");
        let path = self.folder.join(&audio);
        let file =
            wav::write(&Frame16k::new(tape.samples)).map_err(|error| BenchError::sound(&error))?;
        std::fs::write(&path, file).map_err(|error| BenchError::file(&path, &error))?;
        self.rows.push(Row {
            id: name.to_owned(),
            language: language.to_owned(),
            audio,
            silence_spans: tape.silences,
            words,
            messages: Vec::new(),
        });
        Ok(())
    }

    /// Writes the list, `turns.jsonl`, and says how many turns it has.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> Result<usize, BenchError> {
        let path = self.folder.join("turns.jsonl");
        let mut text = String::new();
        for row in &self.rows {
            text += &serde_json::to_string(row).map_err(|error| BenchError::file(&path, &error))?;
            text.push('\n');
        }
        std::fs::write(&path, text).map_err(|error| BenchError::file(&path, &error))?;
        Ok(self.rows.len())
    }
}

/// Two columns, without empty lines and remarks.
fn lines(list: &Path) -> Result<Vec<(String, String)>, BenchError> {
    let text = std::fs::read_to_string(list).map_err(|error| BenchError::file(list, &error))?;
    let columns = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| line.split_once('\t'));
    Ok(columns.map(|(a, b)| (a.to_owned(), b.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_as_long_as_those_of_real_turns() {
        let pauses: Vec<f64> = (0..1000).map(pause).collect();
        let longer = |than: f64| pauses.iter().filter(|length| **length > than).count();
        for (length, share) in LONGER {
            let found = longer(length) as f64 / 1000.0;
            assert!(
                (found - share).abs() < 0.02,
                "{found} are longer than {length} s"
            );
        }
    }
}

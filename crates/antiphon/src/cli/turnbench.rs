//! The command line of `antiphon turnbench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `antiphon turnbench`
#[derive(Debug, Args)]
pub struct TurnbenchArgs {
    /// What to do
    #[command(subcommand)]
    pub verb: TurnbenchVerb,
}

/// What to do with turns.
#[derive(Debug, Subcommand)]
pub enum TurnbenchVerb {
    /// Score a detector in every silence, and sweep the delays
    Run {
        /// Turns as eot-bench has them: one JSON object a line, with id, language, audio (a WAV file beside it), silence_spans
        #[arg(required = true, value_name = "LIST")]
        lists: Vec<PathBuf>,
        /// What judges
        #[arg(long, value_enum, default_value_t = BenchDetector::SmartTurn)]
        detector: BenchDetector,
        /// Where words come from
        #[arg(long, value_enum, default_value_t = BenchWords::Ears)]
        words: BenchWords,
        /// Seconds of silence at which the detector is asked
        #[arg(long, default_value_t = 0.2)]
        after: f64,
        /// Write the scores into this file, with eot-bench's fields, instead of a report
        #[arg(long, value_name = "FILE")]
        predictions: Option<PathBuf>,
    },
    /// Make turns of texts that the local voice says, and of recordings
    Make {
        /// The folder for WAV files and turns.jsonl
        folder: PathBuf,
        /// Texts with `|` where the caller pauses; a list whose name begins with `recordings` names WAV files
        #[arg(required = true, value_name = "LIST")]
        lists: Vec<PathBuf>,
    },
    /// Print the ends of turns and interruptions of conversations, as TurnBench reads them
    Conversations {
        /// A folder with ID.speaker_1.wav and ID.speaker_2.wav for each
        folder: PathBuf,
        /// What judges
        #[arg(long, value_enum, default_value_t = BenchDetector::SmartTurn)]
        detector: BenchDetector,
    },
}

/// What judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BenchDetector {
    /// Sound and words, as in a call
    SmartTurn,
    /// The sound alone
    Sound,
    /// The words alone
    Words,
}

/// Where words come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BenchWords {
    /// The recogniser of this machine
    Ears,
    /// The words of the list, half a second late
    Given,
}

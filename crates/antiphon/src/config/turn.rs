//! `[turn]`: how turns are taken.

use std::time::Duration;

use antiphon_dialogue::OptionsPatch;
use antiphon_dialogue::options::{Endpointing, ToolInterruption, TurnDetection};
use serde::Deserialize;

use super::Seconds;

/// `[turn]`: LiveKit's names and defaults; absent keys keep the default of `dialogue::Options`. Times in seconds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TurnConfig {
    /// `vad` (default), `stt` or `manual`.
    pub detection: Option<TurnDetection>,
    /// Who judges whether a caller has finished. Default: nobody, silence alone.
    pub detector: DetectorProvider,
    /// `fixed` (default), or `dynamic`: the least delay is learned from the caller's pauses.
    pub endpointing: Option<Endpointing>,
    /// Wait at least this long after the last word. Default 0.5.
    pub min_endpointing_delay: Option<Seconds>,
    /// Wait this long when the caller seems to go on. Default 3.
    pub max_endpointing_delay: Option<Seconds>,
    /// How slowly a learned delay moves, 0 to 1. Default 0.9.
    pub endpointing_alpha: Option<f64>,
    /// The longest wait for final words after the end of speech. Default 2.
    pub transcript_timeout: Option<Seconds>,
    /// The same at the end of the session. Default 2, at most 2.5.
    pub session_close_transcript_timeout: Option<Seconds>,
    /// Report speech for which no words came after this. Default: never.
    pub transcription_timeout: Option<Seconds>,
    /// May the caller interrupt? Default true.
    pub allow_interruptions: Option<bool>,
    /// Speech shorter than this does not interrupt. Default 0.5.
    pub min_interruption_duration: Option<Seconds>,
    /// Fewer words than this do not interrupt. Default 0: not looked at.
    pub min_interruption_words: Option<u32>,
    /// Final words of which the recogniser is less sure wait until the agent has finished. Default 0.6 with Moonshine, else 0.
    pub min_interruption_confidence: Option<f32>,
    /// The same while the agent thinks. Default 0.
    pub min_thinking_interruption_duration: Option<Seconds>,
    /// The same while the agent thinks. Default: `min_interruption_words`.
    pub min_thinking_interruption_words: Option<u32>,
    /// Speech this long interrupts without words, too. Default 1.5.
    pub sure_interruption_duration: Option<Seconds>,
    /// Go on after a false alarm. Default true.
    pub resume_false_interruption: Option<bool>,
    /// Silence after which an interruption was false. Default 2.
    pub false_interruption_timeout: Option<Seconds>,
    /// Phrases that do not stop the agent while it speaks. Default: those of the language that is heard.
    pub backchannels: Option<Vec<String>>,
    /// A VAD that hears a voice for this long without a word is not believed. Default 90.
    pub stuck_vad_timeout: Option<Seconds>,
    /// So soon after the agent's first word, and so shortly before its last, they are no backchannels. Default 1.
    pub backchannel_boundary: Option<Boundary>,
    /// In the first moment of each utterance interrupting takes so much longer. Default 0.5.
    pub echo_guard: Option<Seconds>,
    /// The recogniser hears silence while the agent cannot be interrupted. Default false.
    pub discard_audio_if_uninterruptible: Option<bool>,
    /// Start the reply before the turn is committed. Default true.
    pub preemptive_generation: Option<bool>,
    /// And speak its first clause. Default true.
    pub preemptive_tts: Option<bool>,
    /// Not for turns longer than this. Default 10.
    pub preemptive_max_speech_duration: Option<Seconds>,
    /// So often in a turn. Default 3.
    pub preemptive_max_retries: Option<u32>,
    /// A caller who says more words before the agent gets to speak is interrupted. Default: never.
    pub user_turn_max_words: Option<u32>,
    /// A caller who speaks for longer is interrupted. Default: never.
    pub user_turn_max_duration: Option<Seconds>,
    /// What the model is told then.
    pub user_turn_exceeded_instructions: Option<String>,
    /// The least pause between two speeches of the agent. Default 0.
    pub min_consecutive_speech_delay: Option<Seconds>,
    /// Consecutive tool rounds. Default 3.
    pub max_tool_steps: Option<u32>,
    /// The longest a tool may run that does not say it itself. Default 30.
    pub tool_timeout: Option<Seconds>,
    /// What an interruption by the caller does to running tools: `detach` (default), `cancel` or `protect`.
    pub tool_interruption: Option<ToolInterruption>,
    /// A history of more items gets a summary in the place of its beginning. Default: never.
    pub summarize_over_items: Option<u32>,
    /// A history of about this many tokens does. Default: never.
    pub summarize_over_tokens: Option<u32>,
    /// The caller's last turns that stay as they are. Default 2.
    pub summarize_keep_turns: Option<u32>,
    /// The caller is away after this silence; 0 never. Default 15.
    pub user_away_timeout: Option<Seconds>,
}

/// One number for both ends, or `[start, end]`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Boundary {
    /// The same at both ends.
    Both(Seconds),
    /// Each its own.
    Each(Seconds, Seconds),
}

/// Who judges whether a caller has finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DetectorProvider {
    /// Smart Turn, if it was fetched.
    #[default]
    Auto,
    /// Nobody: silence alone.
    None,
    /// Smart Turn.
    SmartTurn,
}

impl TurnConfig {
    /// As the dialogue reads it.
    pub fn patch(&self) -> OptionsPatch {
        let time = |seconds: Option<Seconds>| seconds.map(|Seconds(duration)| duration);
        let (start, end) = match self.backchannel_boundary {
            None => (None, None),
            Some(Boundary::Both(Seconds(both))) => (Some(both), Some(both)),
            Some(Boundary::Each(Seconds(start), Seconds(end))) => (Some(start), Some(end)),
        };
        OptionsPatch {
            turn_detection: self.detection,
            endpointing: self.endpointing,
            min_endpointing_delay: time(self.min_endpointing_delay).map(Some),
            max_endpointing_delay: time(self.max_endpointing_delay).map(Some),
            endpointing_alpha: self.endpointing_alpha,
            transcript_timeout: time(self.transcript_timeout),
            session_close_transcript_timeout: time(self.session_close_transcript_timeout),
            transcription_timeout: time(self.transcription_timeout).map(Some),
            allow_interruptions: self.allow_interruptions,
            min_interruption_duration: time(self.min_interruption_duration),
            min_interruption_words: self.min_interruption_words,
            min_interruption_confidence: self.min_interruption_confidence,
            min_thinking_interruption_duration: time(self.min_thinking_interruption_duration),
            min_thinking_interruption_words: self.min_thinking_interruption_words.map(Some),
            sure_interruption_duration: time(self.sure_interruption_duration),
            resume_false_interruption: self.resume_false_interruption,
            false_interruption_timeout: time(self.false_interruption_timeout),
            backchannels: self.backchannels.clone().map(Some),
            stuck_vad_timeout: time(self.stuck_vad_timeout),
            backchannel_boundary_start: start,
            backchannel_boundary_end: end,
            echo_guard: time(self.echo_guard),
            discard_audio_if_uninterruptible: self.discard_audio_if_uninterruptible,
            preemptive_generation: self.preemptive_generation,
            preemptive_tts: self.preemptive_tts,
            preemptive_max_speech_duration: time(self.preemptive_max_speech_duration),
            preemptive_max_retries: self.preemptive_max_retries,
            user_turn_max_words: self.user_turn_max_words.map(Some),
            user_turn_max_duration: time(self.user_turn_max_duration).map(Some),
            user_turn_exceeded_instructions: self.user_turn_exceeded_instructions.clone(),
            min_consecutive_speech_delay: time(self.min_consecutive_speech_delay),
            max_tool_steps: self.max_tool_steps,
            tool_timeout: time(self.tool_timeout),
            tool_interruption: self.tool_interruption,
            summarize_over_items: self.summarize_over_items.map(Some),
            summarize_over_tokens: self.summarize_over_tokens.map(Some),
            summarize_keep_turns: self.summarize_keep_turns,
            user_away_timeout: time(self.user_away_timeout).map(away),
            ..OptionsPatch::default()
        }
    }
}

fn away(after: Duration) -> Option<Duration> {
    (!after.is_zero()).then_some(after)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use antiphon_dialogue::Options;

    use crate::config::parse;

    fn options(text: &str) -> Result<Options, String> {
        let config = parse(&format!("[turn]\n{text}"), Path::new("antiphon.toml"));
        let config = config.map_err(|error| error.to_string())?;
        Ok(config.turn.patch().onto(&Options::default()).unwrap())
    }

    #[test]
    fn a_boundary_is_one_number_or_two() {
        let second = Duration::from_secs(1);
        let both = options("backchannel_boundary = 2").unwrap();
        assert_eq!(both.backchannel_boundary_start, 2 * second);
        assert_eq!(both.backchannel_boundary_end, 2 * second);
        let each = options("backchannel_boundary = [0, 3.0]").unwrap();
        assert_eq!(each.backchannel_boundary_start, Duration::ZERO);
        assert_eq!(each.backchannel_boundary_end, 3 * second);
    }

    #[test]
    fn never_away_is_written_as_zero() {
        assert_eq!(
            options("user_away_timeout = 0").unwrap().user_away_timeout,
            None
        );
    }

    #[test]
    fn what_contradicts_itself_is_refused_with_its_fix() {
        for (text, fix) in [
            (
                "min_endpointing_delay = 4\nmax_endpointing_delay = 2",
                "swap them",
            ),
            ("endpointing_alpha = 1.5", "between 0"),
            ("user_turn_max_words = 0", "leave it out"),
            ("user_turn_max_duration = 0", "leave it out"),
            ("backchannels = [\"\"]", "empty"),
            ("endpointing = \"learned\"", "dynamic"),
        ] {
            let error = options(text).unwrap_err();
            assert!(error.contains(fix), "{text}: {error}");
        }
    }
}

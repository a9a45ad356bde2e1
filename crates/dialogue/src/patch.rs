//! Changes to the options: what an agent wants otherwise than the session, and what is changed while the session runs.

use serde::{Deserialize, Deserializer, Serialize};

use crate::options::{
    Endpointing, Options, OptionsError, ToolInterruption, TurnDetection, TurnDetectorKind,
};
use antiphon_chat::time::Duration;

macro_rules! patch {
    ($($field:ident: $type:ty,)*) => {
        /// Some of the [`Options`]: `None` leaves one as it is. Options that are themselves optional are `Some(None)` to
        /// switch them off (`null` in JSON).
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct OptionsPatch {
            $(
                #[doc = concat!("Instead of [`Options::", stringify!($field), "`](Options#structfield.", stringify!($field), ").")]
                #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )*
        }

        impl OptionsPatch {
            fn apply(&self, options: &mut Options) {
                $(
                    if let Some(value) = &self.$field {
                        options.$field.clone_from(value);
                    }
                )*
            }

            /// Both: where they disagree, `later` counts.
            #[must_use]
            pub fn then(mut self, later: &Self) -> Self {
                $(
                    if later.$field.is_some() {
                        self.$field.clone_from(&later.$field);
                    }
                )*
                self
            }
        }
    };
}

patch! {
    turn_detection: TurnDetection,
    min_endpointing_delay: Option<Duration>,
    max_endpointing_delay: Option<Duration>,
    endpointing: Endpointing,
    endpointing_alpha: f64,
    turn_detector: TurnDetectorKind,
    turn_detector_timeout: Duration,
    language: Option<String>,
    transcript_timeout: Duration,
    session_close_transcript_timeout: Duration,
    transcription_timeout: Option<Duration>,
    allow_interruptions: bool,
    min_interruption_duration: Duration,
    min_interruption_words: u32,
    min_interruption_confidence: f32,
    min_thinking_interruption_duration: Duration,
    min_thinking_interruption_words: Option<u32>,
    sure_interruption_duration: Duration,
    resume_false_interruption: bool,
    false_interruption_timeout: Duration,
    backchannels: Option<Vec<String>>,
    stuck_vad_timeout: Duration,
    backchannel_boundary_start: Duration,
    backchannel_boundary_end: Duration,
    echo_guard: Duration,
    discard_audio_if_uninterruptible: bool,
    preemptive_generation: bool,
    preemptive_tts: bool,
    preemptive_max_retries: u32,
    preemptive_max_speech_duration: Duration,
    user_turn_max_words: Option<u32>,
    user_turn_max_duration: Option<Duration>,
    user_turn_exceeded_instructions: String,
    user_away_timeout: Option<Duration>,
    min_consecutive_speech_delay: Duration,
    max_tool_steps: u32,
    retrieval_budget: Duration,
    llm_timeout: Duration,
    tts_timeout: Duration,
    tool_timeout: Duration,
    trouble_message: String,
    tool_interruption: ToolInterruption,
    summarize_over_items: Option<u32>,
    summarize_over_tokens: Option<u32>,
    summarize_keep_turns: u32,
}

impl OptionsPatch {
    /// The options with these changes.
    ///
    /// # Errors
    /// The result would contradict itself; nothing is changed then.
    pub fn onto(&self, options: &Options) -> Result<Options, OptionsError> {
        let mut patched = options.clone();
        self.apply(&mut patched);
        patched.check()?;
        Ok(patched)
    }
}

/// A field that is there counts, also when it is `null`.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn null_switches_off_and_a_missing_key_changes_nothing() {
        let patch: OptionsPatch =
            serde_json::from_str(r#"{"user_away_timeout": null, "min_interruption_words": 2}"#)
                .unwrap();
        let options = patch.onto(&Options::default()).unwrap();
        assert_eq!(options.user_away_timeout, None);
        assert_eq!(options.min_interruption_words, 2);
        assert_eq!(options.echo_guard, Options::default().echo_guard);
        assert_eq!(
            serde_json::from_str::<OptionsPatch>(&serde_json::to_string(&patch).unwrap()).unwrap(),
            patch
        );
    }

    #[test]
    fn a_change_that_contradicts_what_is_there_is_refused_with_its_fix() {
        let options = Options {
            max_endpointing_delay: Some(Duration::from_secs(1)),
            ..Options::default()
        };
        let patch = OptionsPatch {
            min_endpointing_delay: Some(Some(Duration::from_secs(2))),
            ..OptionsPatch::default()
        };
        assert!(
            patch
                .onto(&options)
                .unwrap_err()
                .to_string()
                .contains("swap")
        );
        assert!(patch.onto(&Options::default()).is_ok());
    }

    #[test]
    fn the_later_of_two_changes_counts() {
        let words = |n| OptionsPatch {
            min_interruption_words: Some(n),
            ..OptionsPatch::default()
        };
        assert_eq!(words(1).then(&words(2)), words(2));
        assert_eq!(words(1).then(&OptionsPatch::default()), words(1));
    }
}

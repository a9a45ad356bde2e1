//! The dice for options and their changes.

use antiphon_dialogue::options::{
    DuplicateScope, Endpointing, Filler, OnDuplicate, ToolInterruption, ToolOptions, TurnDetection,
    TurnDetectorKind,
};
use antiphon_dialogue::{Options, OptionsPatch};
use rand::Rng;
use rand::seq::IndexedRandom;

use super::draw::ms;

pub(super) fn options(rng: &mut impl Rng) -> Options {
    let mut options = Options {
        turn_detection: *[
            TurnDetection::Vad,
            TurnDetection::Vad,
            TurnDetection::Stt,
            TurnDetection::Manual,
        ]
        .choose(rng)
        .unwrap(),
        resume_false_interruption: rng.random_bool(0.8),
        allow_interruptions: rng.random_bool(0.9),
        preemptive_generation: rng.random_bool(0.8),
        preemptive_tts: rng.random_bool(0.5),
        turn_detector: *[
            TurnDetectorKind::None,
            TurnDetectorKind::Text,
            TurnDetectorKind::Audio,
        ]
        .choose(rng)
        .unwrap(),
        endpointing: *[Endpointing::Fixed, Endpointing::Dynamic]
            .choose(rng)
            .unwrap(),
        transcription_timeout: rng.random_bool(0.3).then(|| ms(1000)),
        user_turn_max_words: rng.random_bool(0.2).then_some(6),
        user_turn_max_duration: rng.random_bool(0.2).then(|| ms(4000)),
        min_thinking_interruption_duration: ms(*[0, 0, 300].choose(rng).unwrap()),
        min_thinking_interruption_words: *[None, None, Some(0), Some(3)].choose(rng).unwrap(),
        min_consecutive_speech_delay: ms(*[0, 0, 300].choose(rng).unwrap()),
        retrieval: rng.random_bool(0.5),
        on_user_turn_completed: rng.random_bool(0.3),
        on_user_turn_completed_timeout: ms(2000),
        on_function_tools_executed: rng.random_bool(0.3),
        on_function_tools_executed_timeout: ms(2000),
        summarize_over_items: rng.random_bool(0.5).then_some(10),
        summarize_keep_turns: 1,
        summarize_over_tokens: rng.random_bool(0.2).then_some(100),
        min_interruption_words: *[0, 0, 2].choose(rng).unwrap(),
        max_tool_steps: rng.random_range(0..4),
        llm_timeout: ms(3000),
        tts_timeout: ms(3000),
        tool_timeout: ms(5000),
        greeting: rng
            .random_bool(0.3)
            .then(|| "Hello, how can I help you? Just ask.".into()),
        tool_interruption: *[ToolInterruption::Detach, ToolInterruption::Cancel]
            .choose(rng)
            .unwrap(),
        discard_audio_if_uninterruptible: rng.random_bool(0.3),
        ..Options::default()
    };
    if rng.random_bool(0.2) {
        options.min_endpointing_delay = Some(ms(rng.random_range(0..1500)));
        options.min_interruption_duration = ms(rng.random_range(0..1500));
        options.false_interruption_timeout = ms(rng.random_range(0..4000));
        options.echo_guard = ms(rng.random_range(0..3000));
        options.max_unrecoverable_errors = Some(rng.random_range(0..4));
        options.user_away_timeout = rng.random_bool(0.5).then_some(ms(2000));
    }
    options.tools.insert(
        "b".into(),
        ToolOptions {
            timeout: Some(ms(1000)),
            interruption: Some(ToolInterruption::Protect),
            ..ToolOptions::default()
        },
    );
    let policies = [
        OnDuplicate::Allow,
        OnDuplicate::Reject,
        OnDuplicate::Replace,
        OnDuplicate::Confirm,
    ];
    options.tools.insert(
        "c".into(),
        ToolOptions {
            filler: rng.random_bool(0.5).then(|| filler(rng)),
            on_duplicate: *policies.choose(rng).unwrap(),
            duplicate_scope: if rng.random() {
                DuplicateScope::Name
            } else {
                DuplicateScope::NameAndArgs
            },
            cancellable: rng.random(),
            ..ToolOptions::default()
        },
    );
    options
}

pub(super) fn filler(rng: &mut impl Rng) -> Filler {
    Filler {
        texts: vec!["One moment.".into(), "Still working on it.".into()],
        delay: ms(*[0, 300, 1000].choose(rng).unwrap()),
        interval: rng.random_bool(0.5).then_some(ms(1500)),
        max: rng.random_bool(0.5).then_some(2),
    }
}

/// Some change while the session runs; also one that is refused.
pub(super) fn patch(rng: &mut impl Rng) -> OptionsPatch {
    match rng.random_range(0..4) {
        0 => OptionsPatch {
            min_endpointing_delay: Some(Some(ms(*[100, 800, 5000].choose(rng).unwrap()))),
            max_endpointing_delay: Some(Some(ms(2000))),
            ..OptionsPatch::default()
        },
        1 => OptionsPatch {
            allow_interruptions: Some(rng.random()),
            resume_false_interruption: Some(rng.random()),
            min_interruption_words: Some(rng.random_range(0..3)),
            ..OptionsPatch::default()
        },
        2 => OptionsPatch {
            user_turn_max_words: Some(rng.random_bool(0.5).then_some(3)),
            user_away_timeout: Some(None),
            preemptive_generation: Some(rng.random()),
            llm_timeout: Some(ms(1000)),
            tts_timeout: Some(ms(2000)),
            trouble_message: Some("Pardon?".into()),
            ..OptionsPatch::default()
        },
        _ => OptionsPatch {
            turn_detection: Some(
                *[
                    TurnDetection::Vad,
                    TurnDetection::Stt,
                    TurnDetection::Manual,
                ]
                .choose(rng)
                .unwrap(),
            ),
            ..OptionsPatch::default()
        },
    }
}

//! Measures providers by watching what goes in and out, so that no decision has to know that it is measured.

use crate::action::Action;
use crate::ids::{GenerationId, SegmentId, SpeechId};
use crate::input::{Llm, Measured, Tts};
use crate::metrics::{LlmMetrics, Metrics, SessionUsage, SttMetrics, TtsMetrics, VadMetrics};
use antiphon_chat::Usage;
use antiphon_chat::time::{Duration, Instant};

/// Requests whose end is awaited. There are never so many; should an end be lost, the oldest is not measured.
const MAX_OPEN: usize = 32;

/// One request that has not ended.
#[derive(Clone, Copy, Debug)]
struct Open<Id> {
    id: Id,
    speech: Option<SpeechId>,
    asked_at: Instant,
    first_at: Option<Instant>,
    characters: u32,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    llm: Vec<Open<GenerationId>>,
    tts: Vec<Open<SegmentId>>,
    usage: SessionUsage,
    /// The usage was measured to be another than was last told.
    pub(crate) is_news: bool,
}

impl Meter {
    pub(crate) fn usage(&self) -> SessionUsage {
        self.usage.clone()
    }

    /// This is told: does it belong to the usage?
    pub(crate) fn note(&mut self, metrics: &Metrics) {
        self.is_news |= match metrics {
            Metrics::LlmMetrics(_) | Metrics::TtsMetrics(_) | Metrics::SttMetrics(_) => true,
            Metrics::VadMetrics(_)
            | Metrics::EouMetrics(_)
            | Metrics::EotInferenceMetrics(_)
            | Metrics::InterruptionMetrics(_) => false,
        };
    }

    /// What the machine asks for; gives what is measured by it.
    pub(crate) fn action(&mut self, action: &Action, now: Instant) -> Option<Metrics> {
        match action {
            Action::StartLlm { id, .. } => {
                self.usage.llm_requests += 1;
                begin(&mut self.llm, *id, now, 0);
                None
            }
            Action::CancelLlm { id } => {
                end(&mut self.llm, *id).map(|open| llm_metrics(&open, now, None, true))
            }
            Action::Synthesize { id, text } => {
                let characters = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
                self.usage.tts_characters_count += u64::from(characters);
                // one that hangs is asked for anew
                let hung = end(&mut self.tts, *id);
                begin(&mut self.tts, *id, now, characters);
                hung.map(|open| tts_metrics(&open, now, Duration::ZERO, true))
            }
            Action::CancelSynthesis { id } => {
                end(&mut self.tts, *id).map(|open| tts_metrics(&open, now, Duration::ZERO, true))
            }
            _ => None,
        }
    }

    pub(crate) fn llm(&mut self, id: GenerationId, event: &Llm, now: Instant) -> Option<Metrics> {
        match event {
            Llm::Text(_) | Llm::ToolCall(_) | Llm::RefusedCall { .. } => {
                first(&mut self.llm, id, now);
                None
            }
            Llm::Thinking | Llm::Withdrawn | Llm::Warning(_) => None,
            Llm::Finished { usage } => {
                let open = end(&mut self.llm, id)?;
                self.count(usage.unwrap_or_default());
                Some(llm_metrics(&open, now, *usage, false))
            }
            Llm::Failed(_) => {
                self.is_news |= end(&mut self.llm, id).is_some();
                None
            }
        }
    }

    pub(crate) fn tts(&mut self, id: SegmentId, event: &Tts, now: Instant) -> Option<Metrics> {
        match event {
            Tts::FirstAudio => {
                first(&mut self.tts, id, now);
                None
            }
            Tts::Words(_) => None,
            Tts::Finished { duration } => {
                let open = end(&mut self.tts, id)?;
                self.usage.tts_audio_duration += *duration;
                Some(tts_metrics(&open, now, *duration, false))
            }
            Tts::Failed(_) => {
                self.is_news |= end(&mut self.tts, id).is_some();
                None
            }
        }
    }

    pub(crate) fn measured(&mut self, measured: Measured) -> Metrics {
        match measured {
            Measured::Stt { audio } => {
                self.usage.stt_audio_duration += audio;
                Metrics::SttMetrics(SttMetrics {
                    audio_duration: audio,
                })
            }
            Measured::Vad {
                idle,
                inference,
                count,
            } => Metrics::VadMetrics(VadMetrics {
                idle_time: idle,
                inference_duration_total: inference,
                inference_count: count,
            }),
        }
    }

    /// Requests of the present speech are known as its own from here on, also when they were begun before it.
    pub(crate) fn assign_to(
        &mut self,
        speech: SpeechId,
        has_asked: impl Fn(GenerationId) -> bool,
        has_piece: impl Fn(SegmentId) -> bool,
    ) {
        for open in self.llm.iter_mut().filter(|open| open.speech.is_none()) {
            open.speech = has_asked(open.id).then_some(speech);
        }
        for open in self.tts.iter_mut().filter(|open| open.speech.is_none()) {
            open.speech = has_piece(open.id).then_some(speech);
        }
    }

    fn count(&mut self, usage: Usage) {
        self.usage.llm_prompt_tokens += u64::from(usage.prompt_tokens);
        self.usage.llm_prompt_cached_tokens += u64::from(usage.cached_tokens);
        self.usage.llm_completion_tokens += u64::from(usage.completion_tokens);
    }
}

fn begin<Id>(open: &mut Vec<Open<Id>>, id: Id, now: Instant, characters: u32) {
    if open.len() >= MAX_OPEN {
        open.remove(0);
    }
    open.push(Open {
        id,
        speech: None,
        asked_at: now,
        first_at: None,
        characters,
    });
}

fn first<Id: PartialEq>(open: &mut [Open<Id>], id: Id, now: Instant) {
    if let Some(open) = open.iter_mut().find(|open| open.id == id) {
        open.first_at.get_or_insert(now);
    }
}

fn end<Id: PartialEq>(open: &mut Vec<Open<Id>>, id: Id) -> Option<Open<Id>> {
    let at = open.iter().position(|open| open.id == id)?;
    Some(open.remove(at))
}

fn llm_metrics(
    open: &Open<GenerationId>,
    now: Instant,
    usage: Option<Usage>,
    cancelled: bool,
) -> Metrics {
    let duration = now.since(open.asked_at);
    Metrics::LlmMetrics(LlmMetrics {
        request_id: open.id,
        speech_id: open.speech,
        duration,
        ttft: open.first_at.map(|first| first.since(open.asked_at)),
        cancelled,
        usage,
        tokens_per_second: usage.and_then(|usage| usage.written_per_second(duration)),
    })
}

fn tts_metrics(
    open: &Open<SegmentId>,
    now: Instant,
    audio_duration: Duration,
    cancelled: bool,
) -> Metrics {
    Metrics::TtsMetrics(TtsMetrics {
        segment_id: open.id,
        speech_id: open.speech,
        ttfb: open.first_at.map(|first| first.since(open.asked_at)),
        duration: now.since(open.asked_at),
        audio_duration,
        cancelled,
        characters_count: open.characters,
    })
}

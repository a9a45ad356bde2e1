//! Which model was used for what. The dialogue counts without knowing its providers; an agent that takes over brings others,
//! and a request that was begun before stays with the model that was asked.

use std::collections::VecDeque;

use antiphon_dialogue::ids::{GenerationId, SegmentId};
use antiphon_dialogue::metrics::{Metrics, ModelInfo, ModelUsage, SessionUsage};

use crate::agent::Agent;
use crate::provider::ProviderInfo;

/// Requests whose end is awaited. More never occur; failed ones are not reported, and the oldest is forgotten.
const OPEN_LIMIT: usize = 64;
/// Models that are told apart in one session: more than agents speak in it. What further ones use is in the sums alone.
const MODEL_LIMIT: usize = 64;

/// See above.
#[derive(Debug, Default)]
pub(super) struct Tally {
    open: VecDeque<(Request, ModelInfo)>,
    used: Vec<ModelUsage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Llm(GenerationId),
    Tts(SegmentId),
}

impl Tally {
    /// The language model is asked.
    pub(super) fn asked(&mut self, id: GenerationId, info: ProviderInfo) {
        let model = named(info);
        if let Some(ModelUsage::LlmUsage { requests, .. }) = self.of(llm(&model)) {
            *requests += 1;
        }
        self.begin(Request::Llm(id), model);
    }

    /// The voice is asked for these words.
    pub(super) fn voiced(&mut self, id: SegmentId, info: ProviderInfo, text: &str) {
        let model = named(info);
        if let Some(ModelUsage::TtsUsage {
            characters_count, ..
        }) = self.of(tts(&model))
        {
            *characters_count += text.chars().count() as u64;
        }
        self.begin(Request::Tts(id), model);
    }

    /// Something was measured; gives whose it is. Of what is no request of a known name it is the present agent's.
    pub(super) fn measured(&mut self, metrics: &Metrics, agent: &Agent) -> ModelInfo {
        match metrics {
            Metrics::LlmMetrics(measured) => {
                let model = self.end(Request::Llm(measured.request_id));
                let tokens = measured.usage.unwrap_or_default();
                if let Some(ModelUsage::LlmUsage {
                    input_tokens,
                    input_cached_tokens,
                    output_tokens,
                    ..
                }) = self.of(llm(&model))
                {
                    *input_tokens += u64::from(tokens.prompt_tokens);
                    *input_cached_tokens += u64::from(tokens.cached_tokens);
                    *output_tokens += u64::from(tokens.completion_tokens);
                }
                model
            }
            Metrics::TtsMetrics(measured) => {
                let model = self.end(Request::Tts(measured.segment_id));
                if let Some(ModelUsage::TtsUsage { audio_duration, .. }) = self.of(tts(&model)) {
                    *audio_duration += measured.audio_duration;
                }
                model
            }
            Metrics::SttMetrics(measured) => {
                let hears = agent.stt.as_ref().map(|stt| stt.info());
                let model = hears.map(named).unwrap_or_default();
                if let Some(ModelUsage::SttUsage { audio_duration, .. }) = self.of(stt(&model)) {
                    *audio_duration += measured.audio_duration;
                }
                model
            }
            Metrics::EotInferenceMetrics(_) => {
                let judges = agent.turn_detector.as_ref().map(|judges| judges.info());
                judges.map(named).unwrap_or_default()
            }
            Metrics::VadMetrics(_) | Metrics::EouMetrics(_) | Metrics::InterruptionMetrics(_) => {
                ModelInfo::default()
            }
        }
    }

    /// The same by the model, in the order in which they were first used.
    pub(super) fn by_model(&self, usage: SessionUsage) -> SessionUsage {
        SessionUsage {
            model_usage: self.used.clone(),
            ..usage
        }
    }

    fn begin(&mut self, request: Request, model: ModelInfo) {
        if self.open.len() >= OPEN_LIMIT {
            self.open.pop_front();
        }
        self.open.push_back((request, model));
    }

    fn end(&mut self, request: Request) -> ModelInfo {
        let at = self.open.iter().position(|(open, _)| *open == request);
        at.and_then(|at| self.open.remove(at))
            .map(|(_, model)| model)
            .unwrap_or_default()
    }

    /// The line of a model; `empty` is how it begins. `None`: nobody knows the model, or there are too many.
    fn of(&mut self, empty: ModelUsage) -> Option<&mut ModelUsage> {
        if empty.provider().is_empty() {
            return None;
        }
        let at = self.used.iter().position(|used| used.is_of(&empty));
        let at = match at {
            Some(at) => at,
            None if self.used.len() < MODEL_LIMIT => {
                self.used.push(empty);
                self.used.len() - 1
            }
            None => return None,
        };
        self.used.get_mut(at)
    }
}

fn named(info: ProviderInfo) -> ModelInfo {
    ModelInfo {
        model_name: info.model,
        model_provider: info.provider.to_owned(),
    }
}

fn llm(model: &ModelInfo) -> ModelUsage {
    ModelUsage::LlmUsage {
        provider: model.model_provider.clone(),
        model: model.model_name.clone(),
        requests: 0,
        input_tokens: 0,
        input_cached_tokens: 0,
        output_tokens: 0,
    }
}

fn tts(model: &ModelInfo) -> ModelUsage {
    ModelUsage::TtsUsage {
        provider: model.model_provider.clone(),
        model: model.model_name.clone(),
        characters_count: 0,
        audio_duration: std::time::Duration::ZERO,
    }
}

fn stt(model: &ModelInfo) -> ModelUsage {
    ModelUsage::SttUsage {
        provider: model.model_provider.clone(),
        model: model.model_name.clone(),
        audio_duration: std::time::Duration::ZERO,
    }
}

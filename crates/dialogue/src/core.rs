//! What every part of the machine needs: options, time, the queue of actions, the history, fresh ids.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::action::Action;
use crate::event::{Component, Event};
use crate::history::{History, Place};
use crate::ids::{BatchId, GenerationId, RetrievalId, SegmentId, SpeechId};
use crate::layers::Layers;
use crate::meter::Meter;
use crate::metrics::{Metrics, ModelInfo};
use crate::options::Options;
use antiphon_chat::Item;
use antiphon_chat::time::Instant;

#[derive(Clone, Debug)]
pub(crate) struct Core {
    /// What counts now: the session's options as changed by the present agent.
    pub(crate) options: Options,
    pub(crate) layers: Layers,
    pub(crate) instructions: Arc<str>,
    pub(crate) now: Instant,
    pub(crate) actions: VecDeque<Action>,
    pub(crate) history: History,
    pub(crate) meter: Meter,
    ids: Ids,
}

#[derive(Clone, Debug, Default)]
struct Ids {
    speech: u32,
    generation: u32,
    segment: u32,
    retrieval: u32,
    batch: u32,
}

fn next(counter: &mut u32) -> u32 {
    *counter += 1;
    *counter
}

impl Core {
    pub(crate) fn new(options: Options, instructions: Arc<str>) -> Self {
        Self {
            layers: Layers::new(options.clone()),
            options,
            instructions,
            now: Instant::ZERO,
            actions: VecDeque::new(),
            history: History::default(),
            meter: Meter::default(),
            ids: Ids::default(),
        }
    }

    pub(crate) fn act(&mut self, action: Action) {
        let measured = self.meter.action(&action, self.now);
        self.actions.push_back(action);
        self.measured(measured);
    }

    pub(crate) fn measured(&mut self, metrics: Option<Metrics>) {
        if let Some(metrics) = metrics {
            self.meter.note(&metrics);
            self.emit(Event::MetricsCollected {
                metrics,
                model: ModelInfo::default(),
            });
        }
    }

    /// What the session has used.
    pub(crate) fn tell_usage(&mut self) {
        self.meter.is_news = false;
        let usage = self.meter.usage();
        self.emit(Event::SessionUsageUpdated { usage });
    }

    pub(crate) fn emit(&mut self, event: Event) {
        self.actions.push_back(Action::Emit(event));
    }

    pub(crate) fn error(
        &mut self,
        component: Component,
        message: impl Into<String>,
        recoverable: bool,
    ) {
        let message = crate::limits::cut(message.into(), crate::limits::MAX_VALUE_BYTES);
        self.emit(Event::Error {
            component,
            message,
            recoverable,
        });
    }

    /// Adds to the history and says so.
    pub(crate) fn remember(&mut self, place: Place, item: Item) {
        self.history.insert(place, item.clone());
        self.emit(Event::ConversationItemAdded { item });
    }

    pub(crate) fn speech_id(&mut self) -> SpeechId {
        SpeechId(next(&mut self.ids.speech))
    }

    pub(crate) fn generation_id(&mut self) -> GenerationId {
        GenerationId(next(&mut self.ids.generation))
    }

    pub(crate) fn segment_id(&mut self) -> SegmentId {
        SegmentId(next(&mut self.ids.segment))
    }

    pub(crate) fn retrieval_id(&mut self) -> RetrievalId {
        RetrievalId(next(&mut self.ids.retrieval))
    }

    pub(crate) fn batch_id(&mut self) -> BatchId {
        BatchId(next(&mut self.ids.batch))
    }
}

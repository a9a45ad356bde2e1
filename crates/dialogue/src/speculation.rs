//! The reply begun before the turn is committed, when the words look stable: it hides the time that the model needs.

use crate::action::Action;
use crate::core::Core;
use crate::history::{Place, RequestParts};
use crate::machine::Dialogue;
use crate::options::TurnDetection;
use crate::speech::{Brain, Step};
use antiphon_chat::{Message, Role};

/// A reply that was begun before its turn was committed. Nothing of it is heard or seen, and no tool runs.
#[derive(Clone, Debug)]
pub(crate) struct Speculation {
    /// The words it answers, normalised.
    pub(crate) words: String,
    /// The history it was made for.
    pub(crate) version: u64,
    /// The caller's message in its request.
    pub(crate) user: (Place, Message),
    pub(crate) step: Step,
    /// Its first clause was given to TTS: once, also when that fails.
    pub(crate) voiced: bool,
}

impl Dialogue {
    /// Begins a reply before the turn is committed, when the words look stable.
    pub(crate) fn speculate(&mut self) {
        let options = &self.core.options;
        if !self.turn.stable
            || !options.preemptive_generation
            || options.turn_detection == TurnDetection::Manual
            // as soon as it is known what was heard of the reply that was cut
            || self.floor.is_giving_way()
        {
            return;
        }
        self.turn.stable = false;
        let long = self
            .turn
            .began
            .is_some_and(|at| self.core.now.since(at) > options.preemptive_max_speech_duration);
        let free = self.floor.is_open()
            && self.queue.is_empty()
            && !self.is_completing()
            && self.may_begin()
            && self.ending.is_none()
            && !self.turn.is_left_alone();
        if !free || long || self.turn.attempts >= options.preemptive_max_retries {
            return;
        }
        let words = self.turn.normal();
        let version = self.core.history.version();
        if words.is_empty()
            || self
                .speculation
                .as_ref()
                .is_some_and(|kept| kept.words == words && kept.version == version)
        {
            return;
        }
        let (text, words) = (self.turn.text(), words.to_owned());
        self.drop_speculation();
        self.turn.attempts += 1;
        let place = self.core.history.reserve();
        let now = self.core.now;
        let user = (
            place,
            self.core.history.message(Role::User, text.clone(), now),
        );
        let mut step = self.new_step(&antiphon_chat::ToolChoice::Auto);
        step.query = Some(text);
        start_step(&mut self.core, &mut step, vec![user.clone()]);
        self.speculation = Some(Speculation {
            words,
            version,
            user,
            step,
            voiced: false,
        });
    }

    pub(crate) fn drop_speculation(&mut self) {
        if let Some(kept) = self.speculation.take() {
            self.abandon_step(&kept.step);
        }
    }

    pub(crate) fn abandon_step(&mut self, step: &Step) {
        if let Some(id) = step.generation() {
            self.core.act(Action::CancelLlm { id });
        }
        for segment in step.segments.iter().filter(|segment| segment.is_ahead()) {
            self.core.act(Action::CancelSynthesis { id: segment.id });
        }
    }
}

/// Searches if there is something to search for, else asks the model.
pub(crate) fn start_step(core: &mut Core, step: &mut Step, mut planned: Vec<(Place, Message)>) {
    let now = core.now;
    planned.extend_from_slice(&step.extra);
    if let Some(query) = step.query.take().filter(|_| core.options.retrieval) {
        let id = core.retrieval_id();
        let budget = core.options.retrieval_budget;
        step.brain = Brain::Retrieving {
            id,
            since: now,
            until: now + budget,
        };
        core.act(Action::Retrieve { id, query, budget });
        return;
    }
    let parts = RequestParts {
        instructions: core.instructions.clone(),
        planned,
        passages: step.passages.clone(),
        reply_instructions: step.reply_instructions.clone(),
        tool_choice: step.tool_choice.clone(),
        tools: step.tools.clone(),
    };
    let request = core.history.request(parts, now);
    let id = core.generation_id();
    step.clock.asked_at = Some(now);
    step.brain = Brain::Asked {
        id,
        until: now + core.options.llm_timeout,
    };
    core.act(Action::StartLlm { id, request });
}

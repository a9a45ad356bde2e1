//! From what is asked for to words: the reply, step by step.

use crate::action::{Action, Switch};
use crate::event::{Event, TurnMetrics};
use crate::floor::Floor;
use crate::history::Place;
use crate::ids::{GenerationId, RetrievalId};
use crate::input::Llm;
use crate::machine::Dialogue;
use crate::mind::{Late, Step, Thought};
use crate::mouth::Mouth;
use crate::questions::is_question;
use crate::queue::{Queued, Words};
use crate::speculation::Speculation;
use crate::speech::Speech;
use antiphon_chat::time::Instant;
use antiphon_chat::{Message, Passage};

impl Dialogue {
    /// A speech gets the floor.
    pub(crate) fn begin(&mut self, queued: Queued) {
        let now = self.core.now;
        // words without a question go on from what was said: the caller's may still be answered after them
        if !matches!(&queued.words, Words::Text(text) if !is_question(text)) {
            self.settle_kept_words();
        }
        let (step, mouth) = match queued.words {
            Words::Text(text) => (Step::of_text(&mut self.core), Mouth::of_text(&text)),
            Words::Agent(agent) => return self.switch_agent(*agent, Switch::Handoff),
            Words::Begun(begun) => {
                let (mut step, mouth) = *begun;
                step.stand_at(now);
                (step, mouth)
            }
            Words::Model(wanted) => (Step::new(&mut self.core, wanted), Mouth::default()),
        };
        self.tell_passages(step.passages().to_vec());
        let id = queued.id.unwrap_or_else(|| self.core.speech_id());
        let speech = Speech {
            id,
            purpose: queued.purpose,
            handoff: None,
            turn: queued.turn,
            asked: queued.asked,
            is_typed: queued.is_typed,
            is_lost: false,
            interruptible: queued.interruptible,
            in_history: queued.in_history,
            steps: vec![step],
            mouth,
            metrics: TurnMetrics {
                speech: Some(id),
                ..queued.metrics
            },
            user_stopped_at: queued.user_stopped_at,
        };
        self.floor = Floor::Preparing(speech);
    }

    fn tell_passages(&mut self, passages: Vec<Passage>) {
        if !passages.is_empty() {
            self.core.emit(Event::KnowledgeUsed { passages });
        }
    }

    /// Starts what waits, and goes to the next step when the tools are done; of parked speeches as well, so that the model
    /// thinks while a filler is heard.
    pub(crate) fn think(&mut self) {
        if self.floor.is_giving_way() {
            return;
        }
        if self.caller.has_kept() && self.is_about_to_ask() {
            self.settle_kept_words();
        }
        for at in 0..self.parked.len() {
            let Some(speech) = self.parked.get(at).filter(|own| own.is_to_go_on()) else {
                continue;
            };
            // nothing is searched for a speech that has not the floor
            let joins = speech.handoff.is_none() && !self.core.options.retrieval;
            let joined = if joins {
                self.queue.join_turns(speech.id)
            } else {
                Vec::new()
            };
            let planned = self.planned_messages();
            if let Some(speech) = self.parked.get_mut(at) {
                speech.go_on(&mut self.core, self.ending.is_some(), (&joined, false));
                if let Some(step) = speech.last_mut() {
                    step.ask(&mut self.core, planned);
                }
            }
        }
        if let Some(speech) = self.floor.speech_mut().filter(|own| own.is_to_go_on()) {
            let joined = match &speech.handoff {
                None => self.queue.join_turns(speech.id),
                Some(_) => Vec::new(),
            };
            speech.go_on(&mut self.core, self.ending.is_some(), (&joined, true));
        }
        if self
            .floor
            .speech()
            .and_then(Speech::last)
            .is_some_and(Step::is_waiting)
        {
            self.ask_for_present();
        }
    }

    /// The present speech's last step is asked for.
    fn ask_for_present(&mut self) {
        let planned = self.planned_messages();
        if let Some(step) = self.floor.speech_mut().and_then(Speech::last_mut) {
            step.ask(&mut self.core, planned);
        }
    }

    /// A request is about to be made for what is said or waits for a tool.
    fn is_about_to_ask(&self) -> bool {
        let last = self.floor.speech().and_then(Speech::last);
        let mut speeches = self.floor.speech().into_iter().chain(&self.parked);
        last.is_some_and(Step::is_waiting) || speeches.any(Speech::is_to_go_on)
    }

    /// Messages of earlier steps that are still being spoken.
    fn planned_messages(&self) -> Vec<(Place, Message)> {
        let present = self.floor.speech();
        present.map(Speech::planned_messages).unwrap_or_default()
    }

    pub(crate) fn on_retrieved(&mut self, asked: RetrievalId, passages: Vec<Passage>) {
        let now = self.core.now;
        let fits = |step: &Step| step.has_retrieval(asked);
        if let Some(thinking) = thinking(
            &mut self.floor,
            &mut self.parked,
            &mut self.speculation,
            fits,
        ) {
            thinking.step.found(passages, now);
            self.ask_model(fits);
        }
    }

    /// Passages are here or too late: the model is asked.
    fn ask_model(&mut self, fits: impl Fn(&Step) -> bool) {
        let present = self.floor.speech().and_then(Speech::last);
        if let Some(step) = present.filter(|step| fits(step)) {
            let passages = step.passages().to_vec();
            self.settle_kept_words();
            self.tell_passages(passages);
            self.ask_for_present();
        } else if let Some(kept) = self.speculation.as_mut().filter(|kept| fits(&kept.step)) {
            kept.step.ask(&mut self.core, vec![kept.user.clone()]);
        }
    }

    pub(crate) fn on_llm(&mut self, id: GenerationId, event: Llm) {
        let fits = |step: &Step| step.has_generation(id);
        let Some(thinking) = thinking(
            &mut self.floor,
            &mut self.parked,
            &mut self.speculation,
            fits,
        ) else {
            return;
        };
        let Thinking {
            step,
            mouth,
            is_silent,
        } = thinking;
        match step.on_llm(&mut self.core, mouth, event, is_silent) {
            Thought::Nothing => {}
            Thought::Complete => self.llm_answered(),
            Thought::Failed(message) => self.generation_failed(id, message),
        }
    }

    /// The deadline of the words that are being waited for, speculative ones included.
    pub(crate) fn brain_deadline(&self) -> Option<Instant> {
        let begun = self.floor.speech().into_iter().chain(&self.parked);
        let spoken = begun.filter_map(|speech| speech.last()?.deadline());
        let thought = self.speculation.as_ref();
        let thought = thought.and_then(|kept| kept.step.deadline());
        spoken.chain(thought).min()
    }

    pub(crate) fn brain_due(&mut self) {
        let first = self.brain_deadline();
        let fits = |step: &Step| step.deadline() == first;
        let Some(step) = thinking(
            &mut self.floor,
            &mut self.parked,
            &mut self.speculation,
            fits,
        )
        .map(|own| own.step) else {
            return;
        };
        match step.late() {
            Late::Nothing => {}
            Late::Hook(id) => self.tools_hook_due(id),
            Late::Passages => self.ask_model(|step| step.is_retrieving() && fits(step)),
            Late::Model(id, why) => {
                self.core.act(Action::CancelLlm { id });
                self.generation_failed(id, why.into());
            }
        }
    }
}

/// A step that waits for an answer, and what it is said with.
struct Thinking<'a> {
    step: &'a mut Step,
    mouth: &'a mut Mouth,
    /// Nothing of the speech sounds, so that the playout can be emptied.
    is_silent: bool,
}

/// The step that waits for this, in a speech that has begun or in the speculation.
fn thinking<'a>(
    floor: &'a mut Floor,
    parked: &'a mut [Speech],
    speculation: &'a mut Option<Speculation>,
    fits: impl Fn(&Step) -> bool,
) -> Option<Thinking<'a>> {
    let waits = matches!(floor, Floor::Preparing(_) | Floor::Held(..));
    let present = floor.speech_mut().map(|speech| (speech, waits));
    let parked = parked.iter_mut().map(|speech| (speech, false));
    let spoken = present.into_iter().chain(parked);
    let spoken = spoken.filter_map(|(speech, is_silent)| {
        let (step, mouth) = (speech.steps.last_mut()?, &mut speech.mouth);
        Some(Thinking {
            step,
            mouth,
            is_silent,
        })
    });
    let thought = speculation.iter_mut().map(|kept| Thinking {
        step: &mut kept.step,
        mouth: &mut kept.mouth,
        is_silent: false,
    });
    spoken.chain(thought).find(|own| fits(own.step))
}

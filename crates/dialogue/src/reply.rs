//! From what is asked for to words: the reply, step by step.

use crate::action::{Action, Switch};
use crate::event::{Component, Event};
use crate::history::Place;
use crate::ids::{GenerationId, RetrievalId, SpeechId};
use crate::input::Llm;
use crate::machine::Dialogue;
use crate::mind::{Late, Step, Thought};
use crate::questions::is_question;
use crate::speech::{Speech, Words};
use antiphon_chat::time::Instant;
use antiphon_chat::{Message, Passage};

impl Dialogue {
    /// A speech gets the floor.
    pub(crate) fn begin(&mut self, mut speech: Speech) {
        // words without a question go on from what was said: the caller's may still be answered after them
        if !matches!(&speech.words, Words::Text(text) if !is_question(text)) {
            self.settle_kept_words();
        }
        if let Words::Agent(agent) = speech.words {
            return self.switch_agent(*agent, Switch::Handoff);
        }
        speech.begin(&mut self.core);
        if let Some(step) = speech.last_mut() {
            self.tell_retrieval(step.passages().to_vec(), step.take_failure());
        }
        self.speeches.seat(speech);
    }

    /// Of a reply that is given: one that was only begun ahead is not told of.
    fn tell_retrieval(&mut self, passages: Vec<Passage>, failure: Option<String>) {
        if let Some(failure) = failure {
            self.core.error(Component::Knowledge, failure, true);
        }
        if !passages.is_empty() {
            self.core.emit(Event::KnowledgeUsed { passages });
        }
    }

    /// Starts what waits, and goes to the next step when the tools are done; of parked speeches as well, so that the model
    /// thinks while a filler is heard.
    pub(crate) fn think(&mut self) {
        if self.speeches.floor().is_giving_way() {
            return;
        }
        if self.caller.has_kept() && self.is_about_to_ask() {
            self.settle_kept_words();
        }
        // nothing is searched for a speech that has not the floor
        let joins = !self.core.options.retrieval;
        let next = |own: &&Speech| own.is_to_go_on();
        let parked = self.speeches.parked().filter(next);
        let parked: Vec<_> = parked.map(|own| (own.id, own.handoff.is_none())).collect();
        for (id, stays) in parked {
            let joins = joins && stays;
            self.next_step(id, joins, false);
            let planned = self.planned_messages();
            if let Some(step) = self.speeches.get_mut(id).and_then(Speech::last_mut) {
                step.ask(&mut self.core, planned);
            }
        }
        if let Some(speech) = self.speeches.present().filter(next) {
            let (id, joins) = (speech.id, speech.handoff.is_none());
            self.next_step(id, joins, true);
        }
        if self
            .speeches
            .present()
            .and_then(Speech::last)
            .is_some_and(Step::is_waiting)
        {
            self.ask_for_present();
        }
    }

    /// The present speech's last step is asked for.
    fn ask_for_present(&mut self) {
        let planned = self.planned_messages();
        if let Some(step) = self.speeches.present_mut().and_then(Speech::last_mut) {
            step.ask(&mut self.core, planned);
        }
    }

    /// The next step of a speech, which also answers the turns that wait. `searches`: for what they ask.
    fn next_step(&mut self, speech: SpeechId, joins: bool, searches: bool) {
        let joined = match joins {
            true => self.speeches.join_turns(speech),
            false => Vec::new(),
        };
        let ends = self.ending.is_some();
        if let Some(speech) = self.speeches.get_mut(speech) {
            speech.go_on(&mut self.core, ends, (&joined, searches));
        }
    }

    /// A request is about to be made for what is said or waits for a tool.
    fn is_about_to_ask(&self) -> bool {
        let last = self.speeches.present().and_then(Speech::last);
        let mut speeches = self.speeches.begun();
        last.is_some_and(Step::is_waiting) || speeches.any(Speech::is_to_go_on)
    }

    /// Messages of earlier steps that are still being spoken.
    fn planned_messages(&self) -> Vec<(Place, Message)> {
        let present = self.speeches.present();
        present.map(Speech::planned_messages).unwrap_or_default()
    }

    pub(crate) fn on_retrieved(
        &mut self,
        asked: RetrievalId,
        passages: Vec<Passage>,
        failure: Option<String>,
    ) {
        let now = self.core.now;
        let fits = |step: &Step| step.has_retrieval(asked);
        let thinking = self.speeches.thinking(fits);
        if let Some(step) = thinking.and_then(|(speech, _)| speech.last_mut()) {
            step.found(passages, failure, now);
            self.ask_model(fits);
        }
    }

    /// Passages are here or too late: the model is asked.
    fn ask_model(&mut self, fits: impl Fn(&Step) -> bool) {
        let present = self.speeches.present_mut().and_then(Speech::last_mut);
        if let Some(step) = present.filter(|step| fits(step)) {
            let (passages, failure) = (step.passages().to_vec(), step.take_failure());
            self.settle_kept_words();
            self.tell_retrieval(passages, failure);
            self.ask_for_present();
        } else if let Some((guess, _)) = self.speeches.guess() {
            let user = guess.user.clone();
            let ahead = self.speeches.ahead_mut().and_then(Speech::last_mut);
            if let Some(step) = ahead.filter(|step| fits(step)) {
                step.ask(&mut self.core, vec![user]);
            }
        }
    }

    pub(crate) fn on_llm(&mut self, id: GenerationId, event: Llm) {
        let fits = |step: &Step| step.has_generation(id);
        let Some((speech, is_silent)) = self.speeches.thinking(fits) else {
            return;
        };
        let Some(step) = speech.steps.last_mut() else {
            return;
        };
        match step.on_llm(&mut self.core, &mut speech.mouth, event, is_silent) {
            Thought::Nothing => {}
            Thought::Complete => self.llm_answered(),
            Thought::Failed(message) => self.generation_failed(id, message),
        }
    }

    /// The deadline of the words that are being waited for, speculative ones included.
    pub(crate) fn mind_deadline(&self) -> Option<Instant> {
        let ahead = self.speeches.guess().map(|(_, speech)| speech);
        let thinking = self.speeches.begun().chain(ahead);
        thinking.filter_map(|own| own.last()?.deadline()).min()
    }

    pub(crate) fn mind_due(&mut self) {
        let first = self.mind_deadline();
        let fits = |step: &Step| step.deadline() == first;
        let now = self.core.now;
        let thinking = self.speeches.thinking(fits);
        let Some(step) = thinking.and_then(|(speech, _)| speech.last_mut()) else {
            return;
        };
        match step.late() {
            Late::Nothing => {}
            Late::Hook(id) => self.tools_hook_due(id),
            Late::Passages => {
                step.goes_on_without_passages(now);
                self.ask_model(|step| step.is_retrieving() && fits(step));
            }
            Late::Model(id, why) => {
                self.core.act(Action::CancelLlm { id });
                self.generation_failed(id, why.into());
            }
        }
    }
}

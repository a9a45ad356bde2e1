//! The stage and the hands: calls are started, their results reach the speeches that wait, and what else tools tell is told to
//! the caller when nobody speaks.

use crate::event::{Event, SpeechPurpose, ToolReplyStatus};
use crate::hands::{Asked, Hands, World};
use crate::ids::SpeechId;
use crate::input::ToolValue;
use crate::machine::Dialogue;
use crate::speech::{Speech, Words};

impl Dialogue {
    /// Starts the calls of the present step, unless the caller is just speaking: what he says may change everything.
    pub(crate) fn run_calls(&mut self) {
        if self.speeches.floor().is_held() {
            return;
        }
        let Some(speech) = self.speeches.present_mut() else {
            return;
        };
        let (speech_id, turn, round) = (speech.id, speech.turn, speech.steps.len());
        let Some(step) = speech.steps.last_mut() else {
            return;
        };
        if !step.calls.are_wanted() {
            return;
        }
        let (first, calls) = step.calls.start();
        let (place, group) = (step.place(), step.message().id.clone());
        // a program may give two speeches the same name; the message is one of a kind
        let cause = turn.map_or_else(|| group.clone(), |turn| turn.to_string());
        let step = u32::try_from(round).unwrap_or(u32::MAX);
        let asked = Asked {
            speech: speech_id,
            step,
            place,
            group,
            scope: format!("{cause}/{round}"),
        };
        for (index, call) in (first..).zip(calls) {
            self.work(|hands, world| hands.run(world, call, index, &asked));
        }
    }

    /// The hands do something; what comes of it reaches the speeches that wait for it at once.
    fn work(&mut self, verb: impl FnOnce(&mut Hands, &mut World<'_>)) {
        let mut world = World {
            core: &mut self.core,
            agents: &mut self.agents,
        };
        verb(&mut self.hands, &mut world);
        let news = self.hands.take_news();
        for (speech, reply) in news.answers {
            let speech = self.speeches.get_mut(speech);
            if let Some(step) = speech.and_then(|speech| speech.last_mut()) {
                step.calls.count_answer(reply);
            }
        }
        if news.is_active {
            self.active_at = self.core.now;
        }
    }

    pub(crate) fn on_tool_finished(&mut self, call_id: &str, result: Result<ToolValue, String>) {
        self.work(|hands, world| hands.finished(world, call_id, result));
    }

    pub(crate) fn on_tool_updated(&mut self, call_id: &str, message: String) {
        self.work(|hands, world| hands.updated(world, call_id, message));
    }

    pub(crate) fn tools_due(&mut self) {
        self.work(Hands::due);
    }

    /// The speech is over for whatever reason: its tools run on or are cancelled, as their policy says.
    pub(crate) fn leave_tools(&mut self, speech: SpeechId) {
        let ended = self.ending.is_some_and(|end| end.until <= self.core.now);
        self.work(|hands, world| hands.leave(world, speech, ended));
    }

    /// The session ends.
    pub(crate) fn cancel_tools(&mut self) {
        self.work(Hands::cancel_all);
    }

    /// The model tells what was reported.
    pub(crate) fn tell_reports(&mut self) {
        let speech = self.core.speech_id();
        let (wanted, update_ids) = self.hands.reports.tell(speech, &self.core.history);
        let interruptible = self.core.options.allow_interruptions;
        self.enqueue(Speech {
            id: speech,
            ..Speech::new(
                SpeechPurpose::ToolReply,
                Words::Model(wanted),
                interruptible,
            )
        });
        self.core.emit(Event::ToolReplyUpdated {
            update_ids,
            status: ToolReplyStatus::Scheduled,
            speech,
        });
    }
}

//! The caller has finished: the words enter the history, and an answer begins.

use crate::caller::{Caller, Finished, Verdict, corrected};
use crate::event::{Event, InputModality, SpeechPurpose, TurnMetrics, Withdrawal};
use crate::history::Place;
use crate::ids::{SpeechId, TurnId};
use crate::limits::{MAX_TURN_BYTES, cut};
use crate::machine::Dialogue;
use crate::metrics::{EouMetrics, Metrics};
use crate::mind::{Step, Wanted};
use crate::speech::{Speech, Words};
use antiphon_chat::time::Instant;
use antiphon_chat::{Item, Message, MessageMetrics, Role};
use antiphon_text::normalise;

/// A turn that is finished, as it enters the history, and what its answer starts from.
#[derive(Clone, Debug)]
pub(crate) struct TurnOver {
    pub(crate) turn: TurnId,
    pub(crate) place: Place,
    pub(crate) message: Message,
    pub(crate) metrics: TurnMetrics,
    pub(crate) user_stopped_at: Option<Instant>,
    /// It is answered only if the agent asks nothing before.
    pub(crate) leaves_floor: bool,
    pub(crate) is_typed: bool,
}

impl TurnOver {
    /// How it ended, if it was spoken. `speech` answers it.
    fn measured(&self, speech_id: Option<SpeechId>) -> Option<Metrics> {
        Some(Metrics::EouMetrics(EouMetrics {
            turn: self.turn,
            speech_id,
            end_of_utterance_delay: self.metrics.end_of_turn_delay?,
            transcription_delay: self.metrics.transcription_delay,
            on_user_turn_completed_delay: self.message.metrics.on_user_turn_completed_delay,
        }))
    }
}

impl Dialogue {
    /// The caller has finished, or so it seems: put the words into the history and answer, unless they leave the floor to the
    /// agent or are its own.
    pub(crate) fn commit_turn(&mut self) {
        self.look_for_echo();
        let verdict = match self.caller.is_commit_asked() {
            true => Verdict::Interrupt,
            false => self.caller.verdict(self.now()),
        };
        match verdict {
            Verdict::Echo => {
                self.drop_speculation();
                self.tell(|caller, now| caller.withdraw_turn(Withdrawal::Echo, now));
            }
            Verdict::Keep => {
                self.drop_speculation();
                self.keep();
            }
            Verdict::Hold | Verdict::Interrupt => self.tell(Caller::finish),
        }
    }

    /// The caller typed something: it is a turn at once.
    pub(crate) fn on_user_text(&mut self, text: String) {
        let text = cut(text.trim().to_owned(), MAX_TURN_BYTES);
        if text.is_empty() {
            return;
        }
        self.tell(|caller, now| {
            caller.on_typed(now);
            caller.judge_overlap(false, now);
            caller.join_kept_words(now); // the answer is to both
        });
        let turn = self.caller.turn_id();
        self.answer(Finished::typed(turn, text, self.core.now), true);
    }

    /// Remembers what the caller said, and begins to answer it unless nobody is to.
    pub(crate) fn answer(&mut self, committed: Finished, reply: bool) {
        let now = self.core.now;
        if !reply || !self.speculation_fits(&committed.text) {
            self.drop_speculation();
        }
        let guess = self.speeches.guess().map(|(guess, _)| &guess.user);
        let (place, id) = match guess {
            Some((place, message)) => (*place, message.id.clone()),
            None => (self.core.history.reserve(), self.core.history.next_id()),
        };
        // what is answered now is what was said last
        let place = committed.place.filter(|_| !reply).unwrap_or(place);
        self.core.emit(Event::UserInputTranscribed {
            turn: committed.turn,
            modality: committed.modality,
            transcript: committed.text.clone(),
            is_final: true,
            item_id: Some(id.clone()),
            language: committed.language,
            speaker_id: committed.speaker_id,
        });
        if committed.modality == InputModality::Audio {
            self.caller.note_committed(committed.turn, &id);
        }
        let mut message = Message::new(id, Role::User, committed.text, now);
        message.transcript_confidence = committed.confidence;
        message.metrics = MessageMetrics {
            started_speaking_at: committed.user_started_at,
            stopped_speaking_at: committed
                .user_stopped_at
                .filter(|_| committed.user_started_at.is_some()),
            transcription_delay: committed.metrics.transcription_delay,
            end_of_turn_delay: committed.metrics.end_of_turn_delay,
            ..MessageMetrics::default()
        };
        let over = TurnOver {
            turn: committed.turn,
            place,
            message,
            metrics: committed.metrics,
            user_stopped_at: committed.user_stopped_at.filter(|_| !committed.was_kept),
            leaves_floor: committed.leaves_floor,
            is_typed: committed.modality == InputModality::Text,
        };
        self.caller.note_understood();
        if !reply {
            self.leave_unanswered(over);
            return;
        }
        if !committed.leaves_floor && !self.is_last_answer() {
            self.abandon_parked(false);
            self.stop_waiting();
            if self.may_interrupt() {
                self.interrupt_present();
            }
        }
        // a newer turn is answered together with an older one that has not been answered; at the session's end only that
        // one's answer is still waited for, and holds both
        if self.ending.is_none() {
            self.drop_queued(|queued| queued.turn.is_some());
        }
        if self.core.options.on_user_turn_completed && self.ending.is_none() {
            self.await_hook(over);
            return;
        }
        self.reply_to(over, Vec::new());
    }

    /// The recogniser is sure of the last turn only now, and of other words: they stand in the history instead, under the same
    /// name. An answer of which nothing was heard is given to them; one that has begun stays the only one.
    pub(crate) fn correct_last_turn(&mut self, words: &str, text: &str) {
        let known = self.caller.last_turn();
        let corrected = known.and_then(|(turn, id)| {
            let (place, all) = self.correct_message(turn, &id, words, text)?;
            Some((turn, id, place, all))
        });
        let Some((turn, id, place, transcript)) = corrected else {
            self.withdrawn(text.to_owned(), Withdrawal::Repeated);
            return;
        };
        self.core.emit(Event::UserInputTranscribed {
            turn,
            modality: InputModality::Audio,
            transcript: transcript.clone(),
            is_final: true,
            item_id: Some(id),
            language: self.caller.spoken_language(self.now()),
            speaker_id: None,
        });
        self.answer_anew(turn, place, transcript);
    }

    fn correct_message(
        &mut self,
        turn: TurnId,
        id: &str,
        words: &str,
        text: &str,
    ) -> Option<(Place, String)> {
        let other = |before: &str| corrected(before, words, text);
        match self.hooks.turn_mut(turn) {
            Some(over) => {
                over.message.text = other(&over.message.text)?;
                Some((over.place, over.message.text.clone()))
            }
            None => self.core.history.correct(id, other),
        }
    }

    /// Nothing of the turn's answer was heard, and no tool has run for it: it is thought of once more.
    fn answer_anew(&mut self, turn: TurnId, place: Place, text: String) {
        let wanted = Words::Model(Wanted {
            query: Some(text),
            ..Wanted::default()
        });
        if let Some(queued) = self.speeches.answer_mut(turn) {
            queued.words = wanted;
            let mut mouth = std::mem::take(&mut queued.mouth);
            for mut step in std::mem::take(&mut queued.steps) {
                step.stop(&mut self.core);
            }
            return mouth.stop(&mut self.core, false);
        }
        let unheard = |speech: &&Speech| {
            let untouched = |step: &Step| !step.calls.are_any();
            speech.turn == Some(turn) && speech.steps.iter().all(untouched)
        };
        let answer = self.speeches.present().filter(unheard);
        if let Some((interruptible, user_stopped_at)) = answer
            .filter(|_| !self.speeches.floor().is_audible() && self.ending.is_none())
            .map(|speech| (speech.interruptible, speech.user_stopped_at))
        {
            self.interrupt_present();
            self.enqueue(Speech {
                turn: Some(turn),
                asked: Some(place),
                metrics: TurnMetrics {
                    turn: Some(turn),
                    ..TurnMetrics::default()
                },
                user_stopped_at,
                ..Speech::new(SpeechPurpose::GenerateReply, wanted, interruptible)
            });
        }
    }

    /// The session ends, and nothing of what the agent is about to say was heard: nobody would say anything in its place.
    pub(crate) fn is_last_answer(&self) -> bool {
        self.ending.is_some() && !self.speeches.floor().is_audible()
    }

    /// Was the speculative reply made for these words and for what is known now, and can it begin?
    pub(crate) fn speculation_fits(&self, text: &str) -> bool {
        self.speeches.guess().is_some_and(|(guess, _)| {
            guess.words == normalise(text)
                && guess.version == self.core.history.version()
                && self.speeches.floor().is_open()
                && self.may_begin()
        })
    }

    /// The turn enters the history, and that is all.
    pub(crate) fn leave_unanswered(&mut self, over: TurnOver) {
        self.core.measured(over.measured(None));
        self.core.remember(over.place, Item::Message(over.message));
    }

    /// The turn enters the history, and its answer the queue. `extra` is for this answer alone.
    pub(crate) fn reply_to(&mut self, over: TurnOver, extra: Vec<(Place, Message)>) {
        if self.ending.is_some() {
            self.leave_unanswered(over);
            return self.drop_speculation();
        }
        // the speech has its name before it is created, so that the turn comes first and its answer after it
        let speech = self.core.speech_id();
        self.core.measured(over.measured(Some(speech)));
        let text = over.message.text.clone();
        let asked = Some(over.place);
        self.core.remember(over.place, Item::Message(over.message));
        let interruptible = self.core.options.allow_interruptions;
        let begun = self.speeches.take_ahead();
        let preemptive = begun.is_some();
        let speech_of = |words| Speech::new(SpeechPurpose::GenerateReply, words, interruptible);
        let answer = begun.unwrap_or_else(|| {
            speech_of(Words::Model(Wanted {
                query: Some(text),
                extra,
                ..Wanted::default()
            }))
        });
        let queued = Speech {
            id: speech,
            turn: Some(over.turn),
            asked,
            is_typed: over.is_typed,
            kept: over.leaves_floor,
            interruptible,
            metrics: TurnMetrics {
                preemptive,
                ..over.metrics
            },
            user_stopped_at: over.user_stopped_at,
            ..answer
        };
        self.enqueue(queued);
    }
}

//! What the caller does, and what follows from it for the agent: the caller's side is told, and what it answers is carried out.

use crate::caller::{Agent, Caller, News, Now};
use crate::decide::Sign;
use crate::event::Withdrawal;
use crate::input::{GenerateReply, Priority, Stt, Vad};
use crate::machine::Dialogue;
use crate::options::TurnDetection;
use antiphon_chat::ToolChoice;
use antiphon_chat::time::Instant;
use antiphon_text::contains_words;

impl Dialogue {
    /// Time, options, and the agent as the caller's side sees it.
    pub(crate) fn now(&self) -> Now<'_> {
        Now {
            at: self.core.now,
            options: &self.core.options,
            agent: self.agent(),
        }
    }

    fn agent(&self) -> Agent {
        let speech = self.speeches.present();
        Agent {
            has_floor: speech.is_some(),
            is_audible: self.speeches.floor().is_audible(),
            audible_since: speech.and_then(|speech| speech.mouth.audible_since()),
            is_interruptible: self.may_interrupt(),
            asked_since: self.asked_since_kept_words(),
            is_idle: self.is_idle(),
        }
    }

    fn is_idle(&self) -> bool {
        self.speeches.floor().is_open() && self.ending.is_none() && !self.speeches.has_queue()
    }

    /// When the caller's side wants to be asked again. It is asked for at audio rate: no more of the agent than matters.
    pub(crate) fn caller_deadline(&self) -> Option<Instant> {
        let agent = Agent {
            is_idle: self.is_idle(),
            ..Agent::default()
        };
        self.caller.deadline(Now {
            at: self.core.now,
            options: &self.core.options,
            agent,
        })
    }

    /// Tells the caller's side something, and carries out what it answers.
    pub(crate) fn tell(&mut self, what: impl FnOnce(&mut Caller, Now)) {
        let agent = self.agent();
        let before = self.caller.put_aside();
        let now = Now {
            at: self.core.now,
            options: &self.core.options,
            agent,
        };
        what(&mut self.caller, now);
        while let Some(news) = self.caller.poll() {
            self.on_news(news);
        }
        self.caller.put_back(before);
    }

    fn on_news(&mut self, news: News) {
        match news {
            News::Ask(action) => self.core.act(*action),
            News::Measured(metrics) => self.core.measured(Some(*metrics)),
            News::Began => self.hold_while_caller_speaks(),
            News::GoesOn => self.on_heard(Sign::Voice),
            News::Words => self.consider_words(),
            News::Rest => {
                self.keep();
                self.tell(|caller, _| caller.answer_at_once());
            }
            News::Corrected { words, text } => self.correct_last_turn(&words, &text),
            News::NoMore => self.stop_awaiting_last_words(),
            News::Nothing => self.drop_speculation(),
            News::Silence => self.release(),
            News::InVain(began) => self.own_up_to_deafness(began),
            News::Over => self.commit_turn(),
            News::Turn(finished, reply) => self.answer(*finished, reply),
            News::TooLong => self.take_the_floor(),
        }
    }

    pub(crate) fn on_vad(&mut self, vad: Vad) {
        self.tell(|caller, now| caller.on_vad(vad, now));
    }

    pub(crate) fn on_stt(&mut self, stt: Stt) {
        match stt {
            Stt::Degraded(message) => self.stt_degraded(message),
            Stt::Failed(message) => self.stt_failed(message),
            stt => {
                self.stt_answered();
                self.tell(|caller, now| caller.on_stt(stt, now));
            }
        }
    }

    /// Are the words the agent's own, heard back? What the agent had not said yet when the caller's sound ended cannot be.
    pub(crate) fn look_for_echo(&mut self) {
        let now = self.now();
        let speech = self.speeches.present();
        let speech = speech.filter(|_| self.caller.may_be_echo(now));
        let said = speech.map(|speech| speech.mouth.begun_by(self.caller.sounded_until(now)));
        let is_echo = said.is_some_and(|said| contains_words(&said, &self.caller.text()));
        self.caller.set_echo(is_echo);
    }

    /// The agent speaks whatever the caller does.
    fn take_the_floor(&mut self) {
        let instructions = self.core.options.user_turn_exceeded_instructions.clone();
        self.generate_reply(GenerateReply {
            instructions: Some(instructions),
            allow_interruptions: Some(false),
            tool_choice: ToolChoice::None,
            priority: Priority::HIGH,
            ..GenerateReply::default()
        });
    }

    pub(crate) fn withdrawn(&mut self, transcript: String, reason: Withdrawal) {
        self.tell(|caller, _| caller.withdrawn(transcript, reason));
    }

    pub(crate) fn is_manual(&self) -> bool {
        self.core.options.turn_detection == TurnDetection::Manual
    }
}

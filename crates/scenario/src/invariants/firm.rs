//! The observer's own ledger of what may be interrupted: what the program and the options have said of each speech.

use std::collections::BTreeMap;

use antiphon_dialogue::event::SpeechPurpose;
use antiphon_dialogue::ids::{SegmentId, SpeechId};
use antiphon_dialogue::input::{Command, GenerateReply, Input, Say};
use antiphon_dialogue::options::Options;

/// See above.
#[derive(Clone, Debug, Default)]
pub(super) struct Firm {
    /// What the program has said of the speech that it asks for in this step.
    asked: Option<bool>,
    /// The agent takes the floor in this step from a caller who has spoken for too long.
    takes_the_floor: bool,
    created: Vec<(SpeechId, Option<bool>)>,
    /// May this speech be interrupted?
    known: BTreeMap<SpeechId, bool>,
    /// The options allow it, before this step.
    by_default: Option<bool>,
    /// Segments that have sounded over the caller, of speeches that nobody knows before words of them are shown.
    over_caller: Vec<(SegmentId, &'static str)>,
}

impl Firm {
    pub(super) fn input(&mut self, input: &Input) {
        self.asked = None;
        self.takes_the_floor = false;
        match input {
            Input::Command(
                Command::Say(Say {
                    allow_interruptions,
                    ..
                })
                | Command::GenerateReply(GenerateReply {
                    allow_interruptions,
                    ..
                }),
            ) => self.asked = *allow_interruptions,
            Input::Command(Command::AllowInterruptions { speech, allow }) => {
                if let Some(known) = self.known.get_mut(speech) {
                    *known = *allow;
                }
                self.over_caller.clear();
            }
            _ => {}
        }
    }

    pub(super) fn created(&mut self, speech: SpeechId, purpose: SpeechPurpose, by_program: bool) {
        let said = match purpose {
            SpeechPurpose::Trouble => Some(true),
            SpeechPurpose::Say | SpeechPurpose::GenerateReply if self.takes_the_floor => {
                Some(false)
            }
            SpeechPurpose::Say | SpeechPurpose::GenerateReply if by_program => self.asked,
            SpeechPurpose::Say
            | SpeechPurpose::GenerateReply
            | SpeechPurpose::Greeting
            | SpeechPurpose::Filler
            | SpeechPurpose::ToolReply => None,
        };
        self.created.push((speech, said));
    }

    /// The caller has spoken for too long.
    pub(super) fn exceeded(&mut self) {
        self.takes_the_floor = true;
    }

    pub(super) fn done(&mut self, speech: SpeechId) {
        self.known.remove(&speech);
        self.created.retain(|(created, _)| *created != speech);
    }

    /// After a step, with the options as they are now. Options that changed in it say nothing certain of what began in it.
    pub(super) fn step(&mut self, options: &Options) {
        let now = options.allow_interruptions;
        let by_default = now && self.by_default.unwrap_or(now);
        self.by_default = Some(now);
        for (speech, said) in self.created.drain(..) {
            self.known.insert(speech, said.unwrap_or(by_default));
        }
    }

    /// These segments sound over the caller. Is that a fault? Where nobody knows whose they are it is said later.
    pub(super) fn sounds_over(
        &mut self,
        what: &'static str,
        sounding: &[(SegmentId, Option<SpeechId>)],
    ) -> bool {
        match sounding.iter().find_map(|(_, speech)| *speech) {
            Some(speech) => self.may_be_interrupted(speech),
            None => {
                let segments = sounding.iter().map(|(segment, _)| (*segment, what));
                self.over_caller.extend(segments);
                false
            }
        }
    }

    fn may_be_interrupted(&self, speech: SpeechId) -> bool {
        self.known.get(&speech).copied().unwrap_or(false)
    }

    /// Words of this segment are shown: it was heard. The fault, if it has sounded over the caller and should not have.
    pub(super) fn heard(&mut self, segment: SegmentId, speech: SpeechId) -> Option<&'static str> {
        let (_, what) = *self.over_caller.iter().find(|(own, _)| *own == segment)?;
        self.over_caller.clear();
        self.may_be_interrupted(speech).then_some(what)
    }

    /// Nothing is in the playout any more.
    pub(super) fn silence(&mut self) {
        self.over_caller.clear();
    }
}

//! Who has the floor, who makes a sound, what follows: the two tables of the stage. They decide and change nothing; whoever asks
//! carries out what they say.
//!
//! **The caller is heard** ([`follows`]). The first row that fits counts:
//!
//! | who has the floor | the caller | what follows |
//! |---|---|---|
//! | nobody, or who was cut | makes any sound | nothing |
//! | what may not be interrupted | makes any sound | nothing |
//! | an agent that makes no sound yet, or none between two pieces | is heard for a moment | it is held |
//! | any agent, and a button that ends turns | makes any sound, or says anything | nothing |
//! | an agent held in the middle of its words, and no recogniser that could say what the sound is | is heard for so long that it is surely speech, and does not just listen | it gives way |
//! | an agent that is heard | is heard for so long as an interruption lasts, and does not just listen | it is held, or gives way if it would not go on |
//! | any agent, but for the last answer before the end | says something that takes the floor | it gives way |
//! | an agent that makes no sound yet | says something that may take the floor, and is heard for a moment | it is held |
//! | an agent that is heard and would go on | says something that may take the floor, for this long, or "stop" | it is held |
//! | any other | makes any sound, or says anything | nothing |
//!
//! What was held goes on by itself when the caller has been silent for a while ([`Dialogue::hold_deadline`]).
//!
//! **Who is next** ([`Dialogue::next`]). The first row that fits counts:
//!
//! | who has the floor | who waits | what follows |
//! |---|---|---|
//! | nobody yet, nobody any more, or who was cut | anybody | nothing |
//! | anybody | a filler, and a speech whose tools have answered | the filler goes |
//! | a filler of which a part makes no sound yet | something better | that part goes |
//! | a speech that waits for its tools | one that may be said before, or whose tools have answered | it is parked |
//! | a speech that waits for its tools | a task | the task begins |
//! | any other speech | anybody | nothing |
//! | nobody, for too short a time since the last speech | anybody | nothing |
//! | nobody | a parked speech whose tools have answered, and nothing urgent | it has the floor again |
//! | nobody | a speech, or with parked ones and at a task's end one that may be said before | it begins |
//! | nobody | nobody, and a task is over | the task ends |
//! | nobody | a task | it begins |
//! | nobody | a parked speech | it has the floor again, and waits there |
//! | nobody | reports of tools, and the caller says nothing | the model tells them |

use crate::caller::Verdict;
use crate::event::SpeechPurpose;
use crate::floor::Floor;
use crate::ids::SpeechId;
use crate::input::Priority;
use crate::limits::MAX_PARKED_SPEECHES;
use crate::machine::Dialogue;
use crate::speech::Speech;
use antiphon_chat::time::Duration;

/// How the caller is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// There is a sound, and something of the agent may be about to be heard.
    Sound,
    /// The voice goes on. This is asked at audio rate.
    Voice,
    /// There are words.
    Words(Verdict),
}

/// What follows for who has the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follows {
    Nothing,
    /// It waits until it is clear what the sound was.
    Hold,
    /// It is cut.
    GiveWay,
}

/// Everything that the first table looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) floor: Floor,
    /// What is said, or a tool that runs for it, forbids interruptions.
    pub(crate) is_firm: bool,
    /// The agent makes no sound yet, or the caller's sound began between two pieces of what it says.
    pub(crate) is_silent: bool,
    /// It would go on after a false interruption.
    pub(crate) goes_on: bool,
    /// Nobody would say anything in its place: the session ends.
    pub(crate) is_last: bool,
    /// A button ends the caller's turns.
    pub(crate) is_manual: bool,
    /// The recogniser is known not to hear.
    pub(crate) is_deaf: bool,
    /// The sound is believed, and long enough for the agent not to begin.
    pub(crate) is_sound: bool,
    /// It is so long as an interruption must be.
    pub(crate) is_long: bool,
    /// It is so long that it must be speech.
    pub(crate) is_sure: bool,
    /// The caller does not just listen.
    pub(crate) takes_floor: bool,
    /// The words are an order to stop.
    pub(crate) says_stop: bool,
}

/// The first table.
pub(crate) fn follows(heard: Sign, scene: &Scene) -> Follows {
    use Follows::{GiveWay, Hold, Nothing};
    use Sign::{Sound, Voice, Words};
    let keeps_silent = scene.is_silent && scene.is_sound;
    match (scene.floor, heard) {
        (Floor::NotStarted | Floor::Open | Floor::GivingWay(_) | Floor::Closed, _) => Nothing,
        _ if scene.is_firm => Nothing,
        (Floor::Preparing | Floor::Speaking, Sound) if keeps_silent => Hold,
        (_, Sound) => Nothing,
        _ if scene.is_manual => Nothing,
        (Floor::Held(hold), Voice)
            if hold.audible && scene.is_deaf && scene.is_sure && scene.takes_floor =>
        {
            GiveWay
        }
        (Floor::Speaking, Voice) if scene.is_long && scene.takes_floor => match scene.goes_on {
            true => Hold,
            false => GiveWay,
        },
        (_, Voice) => Nothing,
        (_, Words(Verdict::Interrupt)) if !scene.is_last => GiveWay,
        (Floor::Preparing, Words(Verdict::Interrupt | Verdict::Hold)) if keeps_silent => Hold,
        (Floor::Speaking, Words(Verdict::Hold))
            if scene.goes_on && (scene.is_long || scene.says_stop) =>
        {
            Hold
        }
        (_, Words(_)) => Nothing,
    }
}

impl Dialogue {
    /// The caller is heard: carries out what the first table says.
    pub(crate) fn on_heard(&mut self, heard: Sign) {
        match follows(heard, &self.scene()) {
            Follows::Nothing => {}
            Follows::Hold => self.hold(),
            Follows::GiveWay => self.interrupt(),
        }
    }

    /// What the first table looks at, as it is now.
    pub(crate) fn scene(&self) -> Scene {
        let (now, options) = (self.now(), &self.core.options);
        let floor = *self.speeches.floor();
        let sound = self.caller.sound_lasted(now.at);
        let bar = self.bar(sound);
        Scene {
            floor,
            is_firm: !self.may_interrupt(),
            is_silent: floor.is_preparing() || (floor.is_speaking() && self.spoke_into_silence()),
            goes_on: options.resume_false_interruption,
            is_last: self.is_last_answer(),
            is_manual: self.is_manual(),
            is_deaf: self.caller.is_deaf(),
            is_sound: !self.caller.is_noise()
                && sound >= options.min_thinking_interruption_duration,
            is_long: sound >= bar,
            is_sure: sound >= options.sure_interruption_duration.max(bar),
            takes_floor: !self.caller.voice_leaves_floor(now),
            says_stop: self.caller.says_stop(),
        }
    }

    /// The voice began when the agent said nothing, between two pieces of what it says.
    fn spoke_into_silence(&self) -> bool {
        let present = self.speeches.present();
        let Some(((began, _), speech)) = self.caller.voice_so_far().zip(present) else {
            return false;
        };
        let last = speech.mouth.heard_until();
        !speech.mouth.is_audible() && last.is_some_and(|last| began > last)
    }

    /// How long speech must last to interrupt: longer at the beginning of an utterance, when it may be our own echo.
    fn bar(&self, speech: Duration) -> Duration {
        let options = &self.core.options;
        let present = self.speeches.present();
        let since = present.and_then(|speech| speech.mouth.audible_since());
        let began = self.core.now.back(speech);
        match since.is_some_and(|since| began.since(since) < options.echo_guard) {
            true => options.min_interruption_duration + options.echo_guard,
            false => options.min_interruption_duration,
        }
    }
}

/// Who is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nobody, for now.
    Nobody,
    /// Fillers that wait are not needed any more.
    DropFillers,
    /// Of the filler that has the floor, what makes no sound yet is not needed any more.
    BreakOffFiller,
    /// Who waits for its tools leaves the floor to others.
    Park,
    /// The next task has the floor.
    BeginTask,
    /// Who asked for the task has the floor again.
    EndTask,
    /// A parked speech has the floor again: one whose tools have answered, or any.
    Resume { ready: bool },
    /// A speech that waits begins.
    Begin(SpeechId),
    /// The model tells what tools have reported.
    TellReports,
}

impl Dialogue {
    /// The second table.
    pub(crate) fn next(&self) -> Next {
        match self.speeches.floor() {
            Floor::NotStarted | Floor::GivingWay(_) | Floor::Closed => Next::Nobody,
            _ if self.speeches.has_queued_filler() && self.speeches.is_any_ready() => {
                Next::DropFillers
            }
            Floor::Preparing | Floor::Speaking | Floor::Held(_) => self.next_beside_present(),
            Floor::Open => self.next_of_all(),
        }
    }

    /// A speech has the floor.
    fn next_beside_present(&self) -> Next {
        let Some(present) = self.speeches.present() else {
            return Next::Nobody;
        };
        if present.is_filler() && present.mouth.has_silent() && self.has_more_than_a_filler() {
            return Next::BreakOffFiller;
        }
        if !self.speeches.floor().is_preparing() || !present.waits_for_tools() {
            return Next::Nobody;
        }
        let wanted = self.speeches.queue().any(Speech::may_pass) || self.speeches.is_any_ready();
        if wanted && self.speeches.parked().count() < MAX_PARKED_SPEECHES {
            Next::Park
        } else if self.next_task().is_some() {
            Next::BeginTask
        } else {
            Next::Nobody
        }
    }

    /// Nobody has the floor.
    fn next_of_all(&self) -> Next {
        let speeches = &self.speeches;
        if !self.may_begin() {
            return Next::Nobody;
        }
        let urgent = |first: &Speech| {
            first.priority > Priority::NORMAL || first.purpose == SpeechPurpose::Trouble
        };
        if speeches.is_any_ready() && !speeches.queue().next().is_some_and(urgent) {
            return Next::Resume { ready: true };
        }
        // the agent that has heard the caller's last turn is the one whose hook looks at it
        let stays = !self.hooks.is_empty();
        let passes = speeches.is_parked() || self.agents.task_is_over();
        let may_begin = |own: &&Speech| match passes {
            true => own.may_pass(),
            false => !stays || !own.is_handover(),
        };
        if let Some(next) = speeches.queue().find(may_begin) {
            Next::Begin(next.id)
        } else if self.agents.task_is_over() && !speeches.is_parked() {
            Next::EndTask
        } else if self.next_task().is_some() {
            Next::BeginTask
        } else if speeches.is_parked() {
            Next::Resume { ready: false }
        } else if self.may_tell_reports() {
            Next::TellReports
        } else {
            Next::Nobody
        }
    }

    /// Something was reported, and nobody has anything to say or to hear.
    fn may_tell_reports(&self) -> bool {
        !self.hands.reports.is_empty()
            && !self.speeches.has_queue()
            && self.ending.is_none()
            && self.speeches.guess().is_none()
            && self.hooks.is_empty()
            && self.caller.is_quiet()
            && !(self.is_manual() && self.caller.words() > 0)
            && !self.caller.speaks()
    }

    /// Does it.
    pub(crate) fn start_next(&mut self) -> bool {
        match self.next() {
            Next::Nobody => return false,
            Next::DropFillers => self.drop_queued(Speech::is_filler),
            Next::BreakOffFiller => {
                if let Some(speech) = self.speeches.present_mut() {
                    speech.mouth.drop_silent(&mut self.core);
                }
            }
            Next::Park => self.speeches.park(),
            Next::BeginTask => self.begin_task(),
            Next::EndTask => self.finish_task(),
            Next::Resume { ready } => self.speeches.resume(ready),
            Next::Begin(id) => {
                if let Some(speech) = self.speeches.take_queued(|own| own.id == id) {
                    self.begin(speech);
                }
            }
            Next::TellReports => self.tell_reports(),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floor::Hold;
    use antiphon_chat::time::Instant;

    fn held(audible: bool) -> Floor {
        Floor::Held(Hold {
            since: Instant::ZERO,
            audible,
            paused: audible,
        })
    }

    /// A caller who clearly interrupts an agent that may be interrupted.
    fn scene(floor: Floor) -> Scene {
        Scene {
            floor,
            is_firm: false,
            is_silent: floor.is_preparing(),
            goes_on: true,
            is_last: false,
            is_manual: false,
            is_deaf: false,
            is_sound: true,
            is_long: true,
            is_sure: true,
            takes_floor: true,
            says_stop: false,
        }
    }

    const INTERRUPT: Sign = Sign::Words(Verdict::Interrupt);
    const HOLD: Sign = Sign::Words(Verdict::Hold);

    #[test]
    fn a_voice_over_the_agent_holds_it_and_words_stop_it() {
        let speaking = scene(Floor::Speaking);
        assert_eq!(follows(Sign::Voice, &speaking), Follows::Hold);
        assert_eq!(follows(INTERRUPT, &speaking), Follows::GiveWay);
        let ends = Scene {
            goes_on: false,
            ..speaking
        };
        assert_eq!(follows(Sign::Voice, &ends), Follows::GiveWay);
        assert_eq!(follows(HOLD, &ends), Follows::Nothing);
    }

    #[test]
    fn who_only_listens_coughs_or_says_little_leaves_the_agent_speaking() {
        let speaking = scene(Floor::Speaking);
        let (listens, short) = (
            Scene {
                takes_floor: false,
                ..speaking
            },
            Scene {
                is_long: false,
                ..speaking
            },
        );
        assert_eq!(follows(Sign::Voice, &listens), Follows::Nothing);
        assert_eq!(follows(Sign::Voice, &short), Follows::Nothing);
        assert_eq!(follows(HOLD, &short), Follows::Nothing);
        let stop = Scene {
            says_stop: true,
            ..short
        };
        assert_eq!(follows(HOLD, &stop), Follows::Hold);
        for verdict in [Verdict::Keep, Verdict::Echo] {
            assert_eq!(follows(Sign::Words(verdict), &speaking), Follows::Nothing);
        }
    }

    #[test]
    fn nothing_begins_over_a_sound_and_only_words_end_what_was_not_begun() {
        let preparing = scene(Floor::Preparing);
        assert_eq!(follows(Sign::Sound, &preparing), Follows::Hold);
        assert_eq!(follows(Sign::Voice, &preparing), Follows::Nothing);
        assert_eq!(follows(HOLD, &preparing), Follows::Hold);
        assert_eq!(follows(INTERRUPT, &preparing), Follows::GiveWay);
        let last = Scene {
            is_last: true,
            ..preparing
        };
        assert_eq!(follows(INTERRUPT, &last), Follows::Hold);
        assert_eq!(
            follows(Sign::Sound, &scene(Floor::Speaking)),
            Follows::Nothing
        );
        let gap = Scene {
            is_silent: true,
            ..scene(Floor::Speaking)
        };
        assert_eq!(follows(Sign::Sound, &gap), Follows::Hold);
    }

    #[test]
    fn a_hold_ends_by_words_and_by_a_long_voice_only_if_nobody_can_say_what_it_is() {
        assert_eq!(follows(INTERRUPT, &scene(held(true))), Follows::GiveWay);
        assert_eq!(follows(Sign::Voice, &scene(held(true))), Follows::Nothing);
        let deaf = |floor| Scene {
            is_deaf: true,
            ..scene(floor)
        };
        assert_eq!(follows(Sign::Voice, &deaf(held(true))), Follows::GiveWay);
        assert_eq!(follows(Sign::Voice, &deaf(held(false))), Follows::Nothing);
    }

    #[test]
    fn what_is_firm_and_a_floor_that_nobody_has_are_not_taken() {
        for heard in [Sign::Sound, Sign::Voice, HOLD, INTERRUPT] {
            for floor in [Floor::Preparing, Floor::Speaking, held(true)] {
                let firm = Scene {
                    is_firm: true,
                    is_deaf: true,
                    ..scene(floor)
                };
                assert_eq!(
                    follows(heard, &firm),
                    Follows::Nothing,
                    "{heard:?} {floor:?}"
                );
            }
            let until = Instant::ZERO;
            for floor in [Floor::Open, Floor::GivingWay(until), Floor::Closed] {
                assert_eq!(follows(heard, &scene(floor)), Follows::Nothing);
            }
        }
    }

    #[test]
    fn with_a_button_only_the_silence_before_an_answer_is_kept() {
        let manual = |floor| Scene {
            is_manual: true,
            is_deaf: true,
            ..scene(floor)
        };
        for heard in [Sign::Voice, HOLD, INTERRUPT] {
            for floor in [Floor::Preparing, Floor::Speaking, held(true)] {
                assert_eq!(follows(heard, &manual(floor)), Follows::Nothing);
            }
        }
        assert_eq!(
            follows(Sign::Sound, &manual(Floor::Preparing)),
            Follows::Hold
        );
    }
}

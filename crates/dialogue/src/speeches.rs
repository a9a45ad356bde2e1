//! All speeches of the agent, each with its spot, and who has the floor.
//!
//! It **owns** the one list: what is begun ahead of its turn, what waits for the floor, who has it, and who waits for a tool or a
//! task. It **is told** who goes where. It **answers** who is there, in the order in which they come.

use crate::floor::{Floor, Hold};
use crate::ids::{SegmentId, SpeechId, TurnId};
use crate::mind::{Step, Wanted};
use crate::speech::{Guess, Speech, Spot, Words};
use antiphon_chat::time::Instant;

/// See above. Who has the floor is the first of the list; those that wait stand in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Speeches {
    floor: Floor,
    list: Vec<Speech>,
    /// No speech begins before this (`min_consecutive_speech_delay`).
    not_before: Instant,
}

impl Speeches {
    // the floor

    pub(crate) fn floor(&self) -> &Floor {
        &self.floor
    }

    /// The session has begun.
    pub(crate) fn open(&mut self) {
        self.floor = Floor::Open;
    }

    /// The session is over.
    pub(crate) fn close(&mut self) {
        self.floor = Floor::Closed;
    }

    /// Who has the floor; not who is giving way.
    pub(crate) fn present(&self) -> Option<&Speech> {
        match self.floor.is_taken() {
            true => self.list.first(),
            false => None,
        }
    }

    pub(crate) fn present_mut(&mut self) -> Option<&mut Speech> {
        match self.floor.is_taken() {
            true => self.list.first_mut(),
            false => None,
        }
    }

    /// Who was cut, and is being reported.
    pub(crate) fn leaving(&self) -> Option<&Speech> {
        match self.floor.is_giving_way() {
            true => self.list.first(),
            false => None,
        }
    }

    pub(crate) fn leaving_mut(&mut self) -> Option<&mut Speech> {
        match self.floor.is_giving_way() {
            true => self.list.first_mut(),
            false => None,
        }
    }

    /// Those in such a spot, in their order.
    fn on(&self, spot: impl Fn(&Spot) -> bool) -> impl Iterator<Item = &Speech> {
        self.others().iter().filter(move |own| spot(&own.spot))
    }

    /// Has it begun, and is it not giving way?
    fn has_begun(floor: Floor, speech: &Speech) -> bool {
        match speech.spot {
            Spot::Floor => !floor.is_giving_way(),
            Spot::Tool => true,
            Spot::Ahead(_) | Spot::Queue | Spot::Task(_) => false,
        }
    }

    /// All but who has the floor or is giving way: mostly nobody, and asked for at audio rate.
    fn others(&self) -> &[Speech] {
        let seated = usize::from(self.floor.is_taken() || self.floor.is_giving_way());
        self.list.get(seated..).unwrap_or_default()
    }

    fn others_mut(&mut self) -> &mut [Speech] {
        let seated = usize::from(self.floor.is_taken() || self.floor.is_giving_way());
        self.list.get_mut(seated..).unwrap_or_default()
    }

    /// Whose piece this is: its audio may still arrive for who has the floor, is giving way, or is begun ahead.
    pub(crate) fn voicing(&mut self, piece: SegmentId) -> Option<&mut Speech> {
        let voiced = |own: &Speech| matches!(own.spot, Spot::Floor | Spot::Ahead(_));
        let mut list = self.list.iter_mut();
        list.find(|own| voiced(own) && own.mouth.has_piece(piece))
    }

    /// It gets the floor.
    pub(crate) fn seat(&mut self, mut speech: Speech) {
        speech.spot = Spot::Floor;
        self.list.insert(0, speech);
        self.floor = Floor::Preparing;
    }

    /// Takes who has the floor away, and leaves it open.
    pub(crate) fn take_present(&mut self) -> Option<(Speech, Option<Hold>)> {
        self.present()?;
        let hold = self.floor.hold();
        self.floor = Floor::Open;
        Some((self.list.remove(0), hold))
    }

    /// The same of who was cut.
    pub(crate) fn take_leaving(&mut self) -> Option<Speech> {
        self.leaving()?;
        self.floor = Floor::Open;
        Some(self.list.remove(0))
    }

    /// The caller made a sound: it waits.
    pub(crate) fn hold(&mut self, hold: Hold) {
        if self.present().is_some() {
            self.floor = Floor::Held(hold);
        }
    }

    /// It was nothing: it goes on.
    pub(crate) fn release(&mut self) {
        if let Floor::Held(hold) = self.floor {
            self.floor = match hold.audible {
                true => Floor::Speaking,
                false => Floor::Preparing,
            };
        }
    }

    /// It was cut, and is reported until then.
    pub(crate) fn give_way(&mut self, until: Instant) {
        if self.present().is_some() {
            self.floor = Floor::GivingWay(until);
        }
    }

    /// The playout has reported that it plays.
    pub(crate) fn mark_audible(&mut self) {
        let is_audible = self.present().is_some_and(|own| own.mouth.is_audible());
        match &mut self.floor {
            Floor::Held(hold) => hold.audible |= is_audible,
            Floor::Preparing => self.floor = Floor::Speaking,
            Floor::Speaking
            | Floor::NotStarted
            | Floor::Open
            | Floor::GivingWay(_)
            | Floor::Closed => {}
        }
    }

    /// Between two steps the agent thinks again.
    pub(crate) fn pause_between_steps(&mut self) {
        let pauses = |own: &Speech| own.is_between_steps();
        if self.floor.is_speaking() && self.present().is_some_and(pauses) {
            self.floor = Floor::Preparing;
        }
    }

    /// The next speech keeps its distance.
    pub(crate) fn rest_until(&mut self, at: Instant) {
        self.not_before = at;
    }

    /// When the next speech may begin.
    pub(crate) fn not_before(&self) -> Instant {
        self.not_before
    }

    // those that wait for a tool or a task

    /// They wait for a tool while others have the floor, the oldest first.
    pub(crate) fn parked(&self) -> impl Iterator<Item = &Speech> {
        self.on(|spot| matches!(spot, Spot::Tool))
    }

    pub(crate) fn is_parked(&self) -> bool {
        self.parked().next().is_some()
    }

    /// One of them could go on.
    pub(crate) fn is_any_ready(&self) -> bool {
        self.parked().any(|speech| !speech.waits_for_tools())
    }

    /// Who has the floor leaves it to others, until its tool has answered.
    pub(crate) fn park(&mut self) {
        if let Some((mut speech, _)) = self.take_present() {
            speech.spot = Spot::Tool;
            self.list.push(speech);
        }
    }

    /// A parked speech gets the floor back: the oldest whose tools have answered, or any, the newest first.
    pub(crate) fn resume(&mut self, ready: bool) {
        let mut list = self.list.iter();
        let at = match ready {
            true => list.position(|own| own.is_parked() && !own.waits_for_tools()),
            false => list.rposition(Speech::is_parked),
        };
        if let Some(at) = at {
            let speech = self.list.remove(at);
            self.seat(speech);
        }
    }

    /// Parked speeches wait for the task at this depth.
    pub(crate) fn wait_for_task(&mut self, depth: usize) {
        for speech in &mut self.list {
            if matches!(speech.spot, Spot::Tool) {
                speech.spot = Spot::Task(depth);
            }
        }
    }

    /// That task is over: they wait for their tools again.
    pub(crate) fn wait_for_tools_again(&mut self, depth: usize) {
        for speech in &mut self.list {
            if matches!(speech.spot, Spot::Task(of) if of == depth) {
                speech.spot = Spot::Tool;
            }
        }
    }

    /// They wait for a task.
    pub(crate) fn for_tasks(&self) -> impl Iterator<Item = &Speech> {
        self.on(|spot| matches!(spot, Spot::Task(_)))
    }

    // those that wait for the floor

    /// In the order in which they come.
    pub(crate) fn queue(&self) -> impl Iterator<Item = &Speech> {
        self.on(|spot| matches!(spot, Spot::Queue))
    }

    pub(crate) fn has_queue(&self) -> bool {
        self.queue().next().is_some()
    }

    pub(crate) fn has_queued_filler(&self) -> bool {
        self.queue().any(Speech::is_filler)
    }

    fn queue_mut(&mut self) -> impl Iterator<Item = &mut Speech> {
        let waits = |own: &&mut Speech| matches!(own.spot, Spot::Queue);
        self.list.iter_mut().filter(waits)
    }

    /// The answer to this turn, if it waits.
    pub(crate) fn answer_mut(&mut self, turn: TurnId) -> Option<&mut Speech> {
        self.queue_mut().find(|queued| queued.turn == Some(turn))
    }

    fn insert_before(&mut self, mut speech: Speech, other: impl Fn(&Speech) -> bool) {
        speech.spot = Spot::Queue;
        let other = |own: &Speech| matches!(own.spot, Spot::Queue) && other(own);
        let at = self.list.iter().position(other);
        self.list.insert(at.unwrap_or(self.list.len()), speech);
    }

    /// Higher priority first, then the older.
    pub(crate) fn push(&mut self, speech: Speech) {
        let priority = speech.priority;
        self.insert_before(speech, |own| own.priority < priority);
    }

    /// Before everything that waits.
    pub(crate) fn push_first(&mut self, speech: Speech) {
        self.insert_before(speech, |_| true);
    }

    /// A request of this speech is about to be made, which holds the turns that wait for an answer as well. If it is answered
    /// they are not answered a second time. What is wanted for them.
    pub(crate) fn join_turns(&mut self, speech: SpeechId) -> Vec<Wanted> {
        let turns = self.queue_mut().filter(|own| own.turn.is_some());
        let wanted = turns.filter_map(|queued| {
            queued.joined = Some(speech);
            match &queued.words {
                Words::Model(wanted) => Some(wanted.clone()),
                Words::Text(_) | Words::Begun | Words::Agent(_) => None,
            }
        });
        wanted.collect()
    }

    /// The first of those that wait that fits.
    pub(crate) fn take_queued(&mut self, fits: impl Fn(&Speech) -> bool) -> Option<Speech> {
        self.take(|own| matches!(own.spot, Spot::Queue) && fits(own))
    }

    // what is begun ahead of its turn

    /// What was begun, and for what.
    pub(crate) fn guess(&self) -> Option<(&Guess, &Speech)> {
        self.others().iter().find_map(|own| match &own.spot {
            Spot::Ahead(guess) => Some((&**guess, own)),
            Spot::Queue | Spot::Floor | Spot::Tool | Spot::Task(_) => None,
        })
    }

    pub(crate) fn ahead_mut(&mut self) -> Option<&mut Speech> {
        let ahead = |own: &&mut Speech| matches!(own.spot, Spot::Ahead(_));
        self.others_mut().iter_mut().find(ahead)
    }

    /// Beside it there is no other.
    pub(crate) fn begin_ahead(&mut self, mut speech: Speech, guess: Guess) {
        debug_assert!(self.guess().is_none(), "two guesses at once");
        speech.spot = Spot::Ahead(Box::new(guess));
        self.list.push(speech);
    }

    pub(crate) fn take_ahead(&mut self) -> Option<Speech> {
        self.take(|own| matches!(own.spot, Spot::Ahead(_)))
    }

    // all of them

    /// The first that fits, wherever it is.
    pub(crate) fn take(&mut self, fits: impl Fn(&Speech) -> bool) -> Option<Speech> {
        let at = self.list.iter().position(fits)?;
        Some(self.list.remove(at))
    }

    /// Who has the floor, and those that wait for a tool.
    pub(crate) fn begun(&self) -> impl Iterator<Item = &Speech> {
        self.present().into_iter().chain(self.parked())
    }

    pub(crate) fn begun_mut(&mut self) -> impl Iterator<Item = &mut Speech> {
        let floor = self.floor;
        let begun = move |own: &&mut Speech| Self::has_begun(floor, own);
        self.list.iter_mut().filter(begun)
    }

    /// A speech of this name, that is not giving way.
    pub(crate) fn get_mut(&mut self, id: SpeechId) -> Option<&mut Speech> {
        let gives_way = self.floor.is_giving_way();
        let is_it =
            |own: &&mut Speech| own.id == id && !(gives_way && matches!(own.spot, Spot::Floor));
        self.list.iter_mut().find(is_it)
    }

    /// There is one of this name.
    pub(crate) fn has(&self, id: SpeechId) -> bool {
        self.list.iter().any(|own| own.id == id)
    }

    /// It waits for the floor.
    pub(crate) fn is_queued(&self, id: SpeechId) -> bool {
        self.queue().any(|own| own.id == id)
    }

    /// Whose last step waits for this: one that has begun, else the one ahead. Does it make no sound, so that the playout can be
    /// emptied?
    pub(crate) fn thinking(&mut self, fits: impl Fn(&Step) -> bool) -> Option<(&mut Speech, bool)> {
        let is_silent = matches!(self.floor, Floor::Preparing | Floor::Held(_));
        let thinks = |own: &Speech| own.last().is_some_and(&fits);
        let begun = |own: &Speech| Self::has_begun(self.floor, own) && thinks(own);
        let ahead = |own: &Speech| matches!(own.spot, Spot::Ahead(_)) && thinks(own);
        let at = self.list.iter().position(begun);
        let at = at.or_else(|| self.list.iter().position(ahead))?;
        let speech = self.list.get_mut(at)?;
        let is_silent = is_silent && matches!(speech.spot, Spot::Floor);
        Some((speech, is_silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SpeechPurpose;
    use crate::input::Priority;

    fn speech(id: u32) -> Speech {
        let text = format!("Speech {id}.");
        Speech {
            id: SpeechId(id),
            ..Speech::text(SpeechPurpose::Say, text, true)
        }
    }

    fn queue(speeches: &Speeches) -> Vec<u32> {
        speeches.queue().map(|own| own.id.0).collect()
    }

    #[test]
    fn the_more_urgent_waits_before_the_older() {
        let mut speeches = Speeches::default();
        speeches.push(speech(1));
        speeches.push(speech(2));
        let urgent = Speech {
            priority: Priority::HIGH,
            ..speech(3)
        };
        speeches.push(urgent);
        speeches.push_first(speech(4));
        assert_eq!(queue(&speeches), [4, 3, 1, 2]);
    }

    #[test]
    fn who_has_the_floor_is_not_in_the_queue_and_who_gives_way_has_it_no_more() {
        let mut speeches = Speeches::default();
        speeches.push(speech(1));
        speeches.seat(speech(2));
        assert_eq!(speeches.present().map(|own| own.id), Some(SpeechId(2)));
        assert_eq!(queue(&speeches), [1]);
        speeches.give_way(Instant::from_millis(300));
        assert!(speeches.present().is_none() && speeches.begun().next().is_none());
        assert!(
            speeches.get_mut(SpeechId(2)).is_none(),
            "nothing changes it any more"
        );
        assert!(speeches.has(SpeechId(2)), "its name is taken");
        assert_eq!(speeches.take_leaving().map(|own| own.id), Some(SpeechId(2)));
        assert!(speeches.floor().is_open());
    }

    #[test]
    fn who_waits_for_a_task_comes_back_when_that_is_over_and_no_earlier() {
        let mut speeches = Speeches::default();
        speeches.seat(speech(1));
        speeches.park();
        speeches.wait_for_task(0);
        speeches.seat(speech(2));
        speeches.park();
        speeches.wait_for_task(1);
        assert!(!speeches.is_parked());
        speeches.wait_for_tools_again(1);
        assert_eq!(
            speeches.parked().map(|own| own.id.0).collect::<Vec<_>>(),
            [2]
        );
        assert_eq!(
            speeches.for_tasks().map(|own| own.id.0).collect::<Vec<_>>(),
            [1]
        );
        speeches.resume(false);
        assert_eq!(speeches.present().map(|own| own.id), Some(SpeechId(2)));
    }

    #[test]
    fn a_hold_that_was_nothing_leaves_the_agent_where_it_was() {
        let mut speeches = Speeches::default();
        speeches.seat(speech(1));
        for audible in [true, false] {
            speeches.hold(Hold {
                since: Instant::ZERO,
                audible,
                paused: audible,
            });
            assert!(speeches.floor().is_held());
            speeches.release();
            assert_eq!(speeches.floor().is_speaking(), audible);
        }
    }
}

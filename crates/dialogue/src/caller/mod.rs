//! The caller's side: what the caller's sound and the recogniser's words mean, and when a turn is finished.
//!
//! **Owns**, and nobody else can change: the turn with its words and its phase ([`turn`]), the sound that is heard ([`sound`]),
//! what the recogniser has said already ([`heard`]), the words that wait for the agent's silence ([`kept`]), the delays and what
//! was learned of the caller's pauses ([`endpointing`]), the question to the turn detector ([`detector`]), how long the agent has
//! not got a word in ([`overlong`]), the language ([`language`]), and the caller's published state.
//!
//! **Is told** the VAD's and the recogniser's reports, the detector's answer, the program's commands about the turn, and what
//! the agent does as far as a caller could hear it ([`Agent`]). Time and options come with every call ([`Now`]).
//!
//! **Answers** through [`Caller::poll`], oldest first, with what has happened ([`News`]). What follows from it for the agent is
//! decided by the stage (`user.rs`, `bargein.rs`, `commit.rs`), which alone knows both sides.
//!
//! Whether the caller speaks is stored once, in [`sound::Sound`]; the published state, the deadline of a lost end and what the
//! agent must not talk over are derived from it.

mod detector;
mod endpointing;
mod finished;
mod kept;
mod language;
mod overlong;
mod recognised;
mod sound;
#[cfg(test)]
mod tests;
mod turn;
mod verdict;
mod words;

use std::collections::VecDeque;

use crate::action::Action;
use crate::event::{Event, UserState, Withdrawal};
use crate::history::Place;
use crate::ids::TurnId;
use crate::metrics::{InterruptionMetrics, Metrics};
use crate::options::{Options, TurnDetection};
use crate::pending::earliest;
use antiphon_chat::time::{Duration, Instant};
use endpointing::Pauses;
pub(crate) use finished::Finished;
use language::Language;
use overlong::Monologue;
use recognised::Recognised;
use sound::{Sound, Unheard};
pub(crate) use turn::corrected;
use turn::{Phase, UserTurn};
pub(crate) use verdict::Verdict;

/// What comes with everything that the caller's side is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now<'a> {
    pub(crate) at: Instant,
    pub(crate) options: &'a Options,
    pub(crate) agent: Agent,
}

impl Now<'_> {
    fn mode(&self) -> TurnDetection {
        self.options.turn_detection
    }

    fn is_manual(&self) -> bool {
        self.mode() == TurnDetection::Manual
    }
}

/// The agent, as far as it matters to the caller's side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Agent {
    /// It has something to say.
    pub(crate) has_floor: bool,
    /// The caller hears it, or has heard some of what it is saying.
    pub(crate) is_audible: bool,
    /// Since when.
    pub(crate) audible_since: Option<Instant>,
    /// The caller may interrupt it.
    pub(crate) is_interruptible: bool,
    /// The first step of what it is saying in which it has asked something that words which wait for its silence came before.
    pub(crate) asked_since: Option<Place>,
    /// It says nothing, nothing waits to be said, and the session goes on.
    pub(crate) is_idle: bool,
}

/// What has happened on the caller's side. Small, because the voice goes on at audio rate.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// This is to be done, or to be reported.
    Ask(Box<Action>),
    Measured(Box<Metrics>),
    /// The caller begins to speak.
    Began,
    /// The voice goes on.
    GoesOn,
    /// New words, or the recogniser has become sure of them.
    Words,
    /// Words, said before the turn that is being answered was committed, whose final comes only now.
    Rest,
    /// The recogniser is sure only now of words that were committed (normalised), and of others.
    Corrected {
        words: String,
        text: String,
    },
    /// The recogniser has nothing more to say about what it has heard.
    NoMore,
    /// What was heard so far is not going to be answered.
    Nothing,
    /// Words that were all that was heard were none.
    Silence,
    /// The caller spoke, first at this instant, while the recogniser did not hear.
    InVain(Option<Instant>),
    /// The caller has finished, or so it seems.
    Over,
    /// The turn is finished. Is it to be answered?
    Turn(Box<Finished>, bool),
    /// The caller does not let the agent get a word in.
    TooLong,
}

/// See above.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    news: VecDeque<News>,
    turn: UserTurn,
    /// Turns and questions to the detector so far.
    turns: u32,
    predictions: u32,
    sound: Sound,
    /// The caller has been silent for so long that nobody may be there.
    is_away: bool,
    /// There is a VAD: words alone do not say when speech ended.
    has_vad: bool,
    /// The VAD has heard a voice for so long without a word that it is not believed until it says something else, or words come.
    is_noise: bool,
    /// When the caller was last heard; where there is a VAD, as the VAD says.
    quiet_since: Instant,
    /// When the recogniser last understood a word.
    last_words: Instant,
    /// When the caller last did anything, for the away timer.
    active_at: Instant,
    /// Since when the caller has been heard over the agent's voice, as long as nobody knows what that is.
    overlap: Option<Instant>,
    /// Speech was heard and no words for it.
    unheard: Option<Unheard>,
    /// The recogniser is known not to hear.
    is_deaf: bool,
    /// The caller has spoken while it did not hear.
    misses_words: bool,
    pauses: Pauses,
    monologue: Monologue,
    recognised: Recognised,
    language: Language,
    /// The last turn that was spoken and committed, and the name of its message.
    last_turn: Option<(TurnId, String)>,
}

impl Default for Caller {
    fn default() -> Self {
        Self {
            news: VecDeque::new(),
            turn: UserTurn::new(TurnId(1)),
            turns: 1,
            predictions: 0,
            sound: Sound::Silence,
            is_away: false,
            has_vad: false,
            is_noise: false,
            quiet_since: Instant::ZERO,
            last_words: Instant::ZERO,
            active_at: Instant::ZERO,
            overlap: None,
            unheard: None,
            is_deaf: false,
            misses_words: false,
            pauses: Pauses::default(),
            monologue: Monologue::default(),
            recognised: Recognised::default(),
            language: Language::default(),
            last_turn: None,
        }
    }
}

/// What it answers.
impl Caller {
    /// What has happened, oldest first.
    pub(crate) fn poll(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// What has not been asked for yet waits until this is dealt with.
    pub(crate) fn put_aside(&mut self) -> VecDeque<News> {
        match self.news.is_empty() {
            true => VecDeque::new(),
            false => std::mem::take(&mut self.news),
        }
    }

    pub(crate) fn put_back(&mut self, news: VecDeque<News>) {
        if !news.is_empty() {
            self.news = news;
        }
    }

    fn tell(&mut self, news: News) {
        self.news.push_back(news);
    }

    fn ask(&mut self, action: Action) {
        self.tell(News::Ask(Box::new(action)));
    }

    fn emit(&mut self, event: Event) {
        self.ask(Action::Emit(event));
    }

    /// When it wants to be asked again.
    pub(crate) fn deadline(&self, now: Now) -> Option<Instant> {
        self.next(now).map(|(due, _)| due)
    }

    /// The first thing that has a time; of those at the same instant the first that is written here.
    fn next(&self, now: Now) -> Option<(Instant, Wait)> {
        earliest(&[
            (self.second_question(now), Wait::Detector),
            (self.turn_deadline(now), Wait::Turn),
            (self.sound_deadline(now), Wait::Sound),
            (self.overlong_deadline(now), Wait::Monologue),
            (self.unheard.map(|unheard| unheard.until), Wait::Words),
        ])
    }

    /// Its deadline has come.
    pub(crate) fn due(&mut self, now: Now) {
        match self.next(now) {
            Some((_, Wait::Detector)) => self.ask_again(now),
            Some((_, Wait::Turn)) => self.turn_due(now),
            Some((_, Wait::Sound)) => self.sound_due(now),
            Some((_, Wait::Monologue)) => self.overlong_due(now),
            Some((_, Wait::Words)) => self.transcription_due(),
            None => {}
        }
    }

    /// As last published.
    pub(crate) fn state(&self) -> UserState {
        match self.sound {
            Sound::Voice(_) | Sound::Speech => UserState::Speaking,
            Sound::Silence if self.is_away => UserState::Away,
            Sound::Silence => UserState::Listening,
        }
    }

    /// When the caller last did anything.
    pub(crate) fn active_at(&self) -> Instant {
        self.active_at
    }

    /// No turn has begun, and none is about to end.
    pub(crate) fn is_quiet(&self) -> bool {
        self.turn.phase() == Phase::Quiet
    }

    /// How many words the present turn has.
    pub(crate) fn words(&self) -> usize {
        self.turn.words()
    }

    pub(crate) fn text(&self) -> String {
        self.turn.text()
    }

    /// The words of the present turn, normalised.
    pub(crate) fn normal(&self) -> &str {
        self.turn.normal()
    }

    /// They tell the agent to stop, and nothing else.
    pub(crate) fn says_stop(&self) -> bool {
        self.turn.is_stop
    }

    pub(crate) fn is_deaf(&self) -> bool {
        self.is_deaf
    }

    /// The program has declared the turn finished.
    pub(crate) fn is_commit_asked(&self) -> bool {
        self.turn.commit_asked
    }

    /// How long the silence at the end of a turn must last at least.
    pub(crate) fn min_delay(&self, now: Now) -> Duration {
        self.pauses.delays(now.options).min
    }

    /// May words still come that the recogniser has not made final, of speech that is not older than this?
    pub(crate) fn lacks_final(&self, oldest: Instant) -> bool {
        !self.is_deaf && self.turn.lacks_final(oldest)
    }

    /// The recogniser was asked for them.
    pub(crate) fn awaits_final(&self, now: Now) -> bool {
        let awaits = matches!(self.turn.phase(), Phase::AwaitingWords { .. });
        self.turn.commit_asked || (now.mode() == TurnDetection::Vad && awaits)
    }

    /// The last turn that was spoken and committed, and the name of its message.
    pub(crate) fn last_turn(&self) -> Option<(TurnId, String)> {
        self.last_turn.clone()
    }

    /// Bytes of the present turn, and what it waits for; looked at by the invariants alone.
    #[cfg(debug_assertions)]
    pub(crate) fn bytes(&self) -> usize {
        self.turn.finals().len() + self.turn.interim().len()
    }

    #[cfg(debug_assertions)]
    pub(crate) fn is_pending(&self) -> bool {
        self.turn.is_pending()
    }
}

/// What it is told besides sound and words.
impl Caller {
    /// A name for a turn.
    pub(crate) fn turn_id(&mut self) -> TurnId {
        self.turns += 1;
        TurnId(self.turns)
    }

    /// It is published.
    fn changed(&mut self, before: UserState, created_at: Instant, now: Now) {
        let after = self.state();
        if before != after {
            self.active_at = now.at;
            self.emit(Event::UserStateChanged {
                old_state: before,
                new_state: after,
                created_at,
            });
        }
    }

    fn set_away(&mut self, is_away: bool, now: Now) {
        let before = self.state();
        self.is_away = is_away;
        self.changed(before, now.at, now);
    }

    /// Both have been silent for too long.
    pub(crate) fn go_away(&mut self, now: Now) {
        self.set_away(true, now);
    }

    pub(crate) fn on_typed(&mut self, now: Now) {
        self.active_at = now.at;
        self.set_away(false, now);
    }

    /// The session is over.
    pub(crate) fn hang_up(&mut self, now: Now) {
        let before = self.state();
        (self.sound, self.is_away) = (Sound::Silence, false);
        self.changed(before, now.at, now);
    }

    /// The agent's new state, and nobody has the floor.
    pub(crate) fn on_agent_state(&mut self, speaks: bool, is_open: bool, now: Now) {
        self.recognised.was_answered |= is_open;
        if speaks {
            self.pauses.agent_began(now.at);
            self.monologue.end(now.at);
        }
    }

    /// What was heard over the agent has stopped it.
    pub(crate) fn on_interruption(&mut self, now: Now) {
        self.pauses.interrupted(now.options);
        self.judge_overlap(true, now);
    }

    /// What was heard over the agent was nothing.
    pub(crate) fn on_false_interruption(&mut self, now: Now) {
        self.pauses.forget_sound();
        self.judge_overlap(false, now);
    }

    /// The caller's voice over the agent's (LiveKit's `overlapping_speech`) was an interruption, or was none.
    pub(crate) fn judge_overlap(&mut self, is_interruption: bool, now: Now) {
        let Some(overlap_started_at) = self.overlap.take() else {
            return;
        };
        let detection_delay = now.at.since(overlap_started_at);
        self.emit(Event::OverlappingSpeech {
            is_interruption,
            overlap_started_at,
            detection_delay,
            agent_ended: !now.agent.is_audible,
        });
        let metrics = Metrics::InterruptionMetrics(InterruptionMetrics {
            detection_delay,
            num_interruptions: u32::from(is_interruption),
            num_backchannels: u32::from(!is_interruption),
        });
        self.tell(News::Measured(Box::new(metrics)));
    }

    /// The caller is heard over the agent's voice, and nobody knows yet what that is.
    pub(crate) fn has_overlap(&self) -> bool {
        self.overlap.is_some()
    }

    /// The agent has fallen silent by itself: it was not interrupted.
    pub(crate) fn end_overlap(&mut self, now: Now) {
        if !now.agent.is_audible {
            self.judge_overlap(false, now);
        }
    }

    /// The words of the present turn are the agent's own, heard back.
    pub(crate) fn set_echo(&mut self, is_echo: bool) {
        self.turn.is_echo = is_echo;
    }

    /// What the last turn says is in the history, under this name.
    pub(crate) fn note_committed(&mut self, turn: TurnId, message: &str) {
        self.last_turn = Some((turn, message.to_owned()));
    }

    /// What the caller said was understood.
    pub(crate) fn note_understood(&mut self) {
        self.misses_words = false;
    }

    /// The recogniser does not hear.
    pub(crate) fn set_deaf(&mut self) {
        self.is_deaf = true;
        let speaks = self.state() == UserState::Speaking;
        self.misses_words |= speaks || self.turn.is_pending();
        // it will not say where the turn begins and ends: the voice does
        if speaks && self.hears_voice() && self.turn.phase() == Phase::Quiet {
            self.turn.open();
        }
    }

    /// The caller spoke and no word came of it. While the recogniser does not hear this was not a cough.
    fn tell_if_deaf(&mut self) {
        if std::mem::take(&mut self.misses_words) || self.is_deaf {
            self.tell(News::InVain(self.turn.began));
        }
    }

    /// The next turn begins with nothing of this one; speech that is going on goes on.
    fn renew_turn(&mut self) {
        self.forget_prediction();
        let id = self.turn_id();
        self.turn.renew(id);
    }

    /// What was shown of the turn is not going to be part of one.
    pub(crate) fn withdraw_turn(&mut self, reason: Withdrawal, now: Now) {
        if self.turn.words() > 0 {
            let transcript = self.turn.text();
            self.turn.forget_words();
            self.recognised.settle(now.at);
            self.show_words(now);
            self.withdrawn(transcript, reason);
        }
        self.renew_turn();
    }

    /// These words are not going to be part of a turn.
    pub(crate) fn withdrawn(&mut self, transcript: String, reason: Withdrawal) {
        self.emit(Event::UserInputWithdrawn {
            turn: self.turn.id,
            transcript,
            reason,
        });
    }

    /// The program forgets the turn.
    pub(crate) fn clear(&mut self, now: Now) {
        self.ask(Action::ClearStt);
        self.tell(News::Nothing);
        self.withdraw_turn(Withdrawal::Program, now);
    }

    /// Another turn detection: a turn that has begun ends by the new rules.
    pub(crate) fn detection_changed(&mut self, before: TurnDetection, now: Now) {
        match (now.mode(), self.turn.phase()) {
            (_, Phase::Open) => {}
            (TurnDetection::Manual, Phase::Pausing | Phase::AwaitingWords { .. }) => {
                if !self.turn.commit_asked {
                    self.turn.rest();
                }
            }
            (TurnDetection::Vad | TurnDetection::Stt, Phase::Quiet)
                if before == TurnDetection::Manual && self.turn.words() > 0 =>
            {
                self.turn.last_spoke.get_or_insert(now.at);
                self.turn.pause();
            }
            (
                TurnDetection::Vad | TurnDetection::Stt | TurnDetection::Manual,
                Phase::Quiet | Phase::Pausing | Phase::AwaitingWords { .. },
            ) => {}
        }
    }
}

/// What has a time.
#[derive(Clone, Copy, Debug)]
enum Wait {
    Detector,
    Turn,
    Sound,
    Monologue,
    Words,
}

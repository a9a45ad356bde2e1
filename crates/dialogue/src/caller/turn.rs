//! The caller's turn: words, silence, and when it counts as finished.

use super::detector::Questions;
use super::endpointing::Delays;
use super::kept::Kept;
use crate::history::Place;
use crate::ids::{PredictionId, TurnId};
use crate::limits::{MAX_OVERLAP_WORDS, MAX_TURN_BYTES, SPEECH_SIGN_TIMEOUT};
use crate::options::Options;
use crate::pending::Pending;
use antiphon_chat::time::Instant;
use antiphon_text::{Backchannel, backchannel, count_words, is_stop, normalise, push_limited};

/// How far the turn is. Whether the caller speaks just now is another question: see [`Sound`](super::sound::Sound).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    /// No turn has begun. Words may be here that left the floor to the agent.
    Quiet,
    /// The turn has begun, and whoever decides on its end (VAD, recogniser or button) has not said that the caller has stopped.
    Open,
    /// The caller has stopped, and more words of what was heard may come until then.
    AwaitingWords { until: Instant },
    /// The caller has stopped and the words are here: the silence must last a little.
    Pausing,
}

/// The turn detector's part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Prediction {
    /// Not asked in this silence.
    None,
    /// Asked, and not answered.
    Asked(Pending<PredictionId>),
    /// Answered, or given up: does the caller probably go on?
    Known { goes_on: bool },
}

#[derive(Clone, Debug)]
pub(super) struct UserTurn {
    pub(super) id: TurnId,
    phase: Phase,
    finals: String,
    interim: String,
    /// The caller's first sound of this turn.
    pub(super) began: Option<Instant>,
    /// The caller's last sound; endpointing counts from here.
    pub(super) last_spoke: Option<Instant>,
    pub(super) last_final: Option<Instant>,
    /// When the recogniser last understood something else than before, without being sure.
    last_interim: Instant,
    /// The last sign that speech is going on.
    pub(super) last_sign: Instant,
    pub(super) prediction: Prediction,
    /// The words that the detector was asked about, normalised.
    pub(super) predicted_for: String,
    /// What the detector was asked in this turn.
    pub(super) questions: Questions,
    /// Speculative replies so far.
    pub(super) attempts: u32,
    /// The words look stable: a speculative reply is worth it.
    pub(super) stable: bool,
    /// The recogniser's end of speech has come in this turn.
    pub(super) stt_over: bool,
    /// `commit_user_turn` was called and waits for words.
    pub(super) commit_asked: bool,
    /// It was called when nothing at all had been heard of the turn.
    pub(super) asked_of_nothing: bool,
    /// The turn is not to be answered.
    pub(super) skip_reply: bool,
    /// How many words the turn has. This and what follows is found out when words come, so that no input at audio rate looks at
    /// the text.
    words: usize,
    backchannel: Backchannel,
    /// The words are the agent's own, heard back.
    pub(super) is_echo: bool,
    /// The words tell the agent to stop, and nothing else.
    pub(super) is_stop: bool,
    /// The recogniser repeats with new words all that was said in this turn.
    pub(super) is_repeated: bool,
    /// The words left the floor to the agent and wait until it falls silent.
    pub(super) kept: Option<Kept>,
    /// The words count without a final, and there was too little voice for them to be an interruption; or the recogniser is not sure of
    /// the last of them.
    pub(super) is_unsure: bool,
    /// All words, normalised: tells whether the words have changed.
    normal: String,
    /// As the recogniser said of the last words.
    pub(super) language: Option<String>,
    pub(super) speaker_id: Option<String>,
    confidence: Confidence,
}

/// How sure the recogniser was of the final words: the mean of what it said, as LiveKit counts.
#[derive(Clone, Copy, Debug, Default)]
struct Confidence {
    sum: f32,
    count: u16,
}

/// The same text with others in the place of its last words, which are given normalised; `None`: it does not end with them.
pub(crate) fn corrected(text: &str, words: &str, others: &str) -> Option<String> {
    let starts = text.char_indices().rev().map(|(at, _)| at);
    let is_start = |at: &usize| {
        let (before, after) = text.split_at(*at);
        !before.ends_with(char::is_alphanumeric) && after.starts_with(char::is_alphanumeric)
    };
    let mut tails = starts.filter(is_start).take(MAX_OVERLAP_WORDS);
    let at = tails.find(|at| normalise(text.get(*at..).unwrap_or_default()) == words)?;
    let mut corrected = text.get(..at).unwrap_or_default().trim_end().to_owned();
    push_limited(&mut corrected, others, MAX_TURN_BYTES);
    Some(corrected)
}

impl UserTurn {
    pub(super) fn new(id: TurnId) -> Self {
        Self {
            id,
            phase: Phase::Quiet,
            finals: String::new(),
            interim: String::new(),
            began: None,
            last_spoke: None,
            last_final: None,
            last_interim: Instant::ZERO,
            last_sign: Instant::ZERO,
            prediction: Prediction::None,
            predicted_for: String::new(),
            questions: Questions::default(),
            attempts: 0,
            stable: false,
            stt_over: false,
            commit_asked: false,
            asked_of_nothing: false,
            skip_reply: false,
            words: 0,
            backchannel: Backchannel::No,
            is_echo: false,
            is_stop: false,
            is_repeated: false,
            kept: None,
            is_unsure: false,
            normal: String::new(),
            language: None,
            speaker_id: None,
            confidence: Confidence::default(),
        }
    }

    /// Forgets everything and begins the next turn. A turn that is open stays open: the caller is speaking.
    pub(super) fn renew(&mut self, id: TurnId) {
        let speaking = (self.phase == Phase::Open).then_some((self.began, self.last_spoke));
        let last_sign = self.last_sign;
        *self = Self::new(id);
        self.last_sign = last_sign;
        if let Some((began, last_spoke)) = speaking {
            self.phase = Phase::Open;
            (self.began, self.last_spoke) = (began, last_spoke);
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// The caller speaks, for whoever decides on the end.
    pub(super) fn open(&mut self) {
        self.phase = Phase::Open;
    }

    /// The caller has stopped, and words may come until then.
    pub(super) fn await_words(&mut self, until: Instant) {
        self.phase = Phase::AwaitingWords { until };
    }

    /// The caller has stopped, and the words are here.
    pub(super) fn pause(&mut self) {
        self.phase = Phase::Pausing;
    }

    /// There is no turn, or none yet.
    pub(super) fn rest(&mut self) {
        self.phase = Phase::Quiet;
    }

    /// The next turn has begun while this one was filed.
    pub(super) fn resume(&mut self, phase: Phase, last_spoke: Option<Instant>) {
        (self.phase, self.last_spoke) = (phase, last_spoke);
    }

    pub(super) fn set_interim(&mut self, text: &str, now: Instant, options: &Options) {
        if self.interim != text {
            self.last_interim = now;
        }
        self.interim.clear();
        push_limited(
            &mut self.interim,
            text,
            MAX_TURN_BYTES.saturating_sub(self.finals.len() + 1),
        );
        self.look_at_words(options);
    }

    pub(super) fn add_final(&mut self, text: &str, now: Instant, options: &Options) {
        self.interim.clear();
        push_limited(&mut self.finals, text, MAX_TURN_BYTES);
        self.last_final = Some(now);
        self.is_unsure = false;
        self.look_at_words(options);
    }

    /// The final for its last words, normalised, has come and has others. False: they are not here.
    pub(super) fn correct(
        &mut self,
        words: &str,
        text: &str,
        now: Instant,
        options: &Options,
    ) -> bool {
        let Some(corrected) = corrected(&self.finals, words, text) else {
            return false;
        };
        self.finals = corrected;
        self.last_final = Some(now);
        self.is_unsure = false;
        self.look_at_words(options);
        true
    }

    /// How sure the recogniser is of its last final words.
    pub(super) fn sure(&mut self, confidence: Option<f32>, options: &Options) {
        let Some(confidence) = confidence.filter(|sure| sure.is_finite()) else {
            return;
        };
        self.is_unsure = confidence < options.min_interruption_confidence;
        self.confidence.sum += confidence.clamp(0.0, 1.0);
        self.confidence.count = self.confidence.count.saturating_add(1);
    }

    /// How sure the recogniser is of all final words; `None`: it does not say.
    pub(super) fn confidence(&self) -> Option<f32> {
        let Confidence { sum, count } = self.confidence;
        (count > 0).then(|| sum / f32::from(count))
    }

    /// The recogniser has found that its interim was no words after all. Was there an interim?
    pub(super) fn take_interim_back(&mut self, options: &Options) -> bool {
        let there = self.has_interim();
        if there {
            self.interim.clear();
            self.look_at_words(options);
        }
        there
    }

    /// The final never came: the interim counts in its place. When the final would have come nobody knows.
    pub(super) fn promote_interim(&mut self, options: &Options) {
        let interim = std::mem::take(&mut self.interim);
        push_limited(&mut self.finals, &interim, MAX_TURN_BYTES);
        self.last_final = None;
        self.look_at_words(options);
    }

    /// The words so far were no turn. The next turn begins with the next sound, unless the caller is speaking.
    pub(super) fn forget_words(&mut self) {
        if self.phase != Phase::Open {
            self.began = None;
        }
        self.attempts = 0;
        self.finals.clear();
        self.interim.clear();
        self.normal.clear();
        (self.words, self.backchannel, self.stable) = (0, Backchannel::No, false);
        (self.is_echo, self.kept, self.is_unsure) = (false, None, false);
        self.is_stop = false;
        (self.language, self.speaker_id) = (None, None);
        self.confidence = Confidence::default();
    }

    fn look_at_words(&mut self, options: &Options) {
        let text = self.text();
        self.words = count_words(&text);
        self.normal = normalise(&text);
        self.is_stop = is_stop(&self.normal);
        let language = self.language.as_deref().or(options.language.as_deref());
        self.backchannel = backchannel(&self.normal, options.backchannels.as_deref(), language);
    }

    /// When the recogniser last said something new about this turn.
    pub(super) fn last_words(&self) -> Instant {
        self.last_interim
            .max(self.last_final.unwrap_or(Instant::ZERO))
    }

    /// The words have left the floor to the agent and wait, and no words have come since.
    pub(super) fn is_kept_as_it_was(&self) -> bool {
        let same = |kept: Kept| !kept.is_due && self.last_words() <= kept.at;
        !self.commit_asked && !self.has_interim() && self.kept.is_some_and(same)
    }

    /// The same; the agent may have fallen silent meanwhile.
    pub(super) fn has_settled(&self) -> bool {
        let same = |kept: Kept| self.last_words() <= kept.at;
        !self.commit_asked && !self.has_interim() && self.kept.is_some_and(same)
    }

    /// Where the turn stands in the history, if that is known.
    pub(super) fn place(&self) -> Option<Place> {
        let kept = self.kept.filter(|kept| self.last_words() <= kept.at)?;
        Some(kept.place)
    }

    /// The words wait, and are answered only if the caller then waits for an answer.
    pub(super) fn is_left_alone(&self) -> bool {
        self.is_kept_as_it_was() && self.kept.is_some_and(|kept| !kept.at_once)
    }

    /// Everything understood so far.
    pub(super) fn text(&self) -> String {
        let mut text = self.finals.clone();
        push_limited(&mut text, &self.interim, MAX_TURN_BYTES);
        text
    }

    pub(super) fn finals(&self) -> &str {
        &self.finals
    }

    pub(super) fn interim(&self) -> &str {
        &self.interim
    }

    pub(super) fn has_interim(&self) -> bool {
        !self.interim.is_empty()
    }

    /// Everything understood so far, normalised.
    pub(super) fn normal(&self) -> &str {
        &self.normal
    }

    pub(super) fn words(&self) -> usize {
        self.words
    }

    pub(super) fn is_backchannel(&self) -> bool {
        self.backchannel != Backchannel::No
    }

    /// The words may be an answer: they are more than a listener's sounds.
    pub(super) fn may_answer(&self) -> bool {
        self.backchannel != Backchannel::Sound
    }

    /// Is there speech, since this instant, whose words the recogniser has not made final?
    pub(super) fn lacks_final(&self, oldest: Instant) -> bool {
        let unheard = self.last_spoke > self.last_final && self.last_spoke > Some(oldest);
        self.has_interim() || (unheard && self.phase != Phase::Pausing)
    }

    /// The program has committed a turn of which nothing was heard, and the caller has begun to speak since: that is another
    /// turn.
    pub(super) fn is_another(&self, delays: Delays, now: Instant) -> bool {
        self.commit_asked
            && self.asked_of_nothing
            && self.finals.is_empty()
            && self.has_interim()
            && self.last_interim + delays.words > now
    }

    /// The caller has stopped, and the turn ends if nothing comes.
    pub(super) fn is_endpointing(&self) -> bool {
        matches!(self.phase, Phase::AwaitingWords { .. } | Phase::Pausing)
    }

    /// A turn has begun. It ends in a commit or in nothing.
    pub(super) fn is_pending(&self) -> bool {
        self.phase != Phase::Quiet
    }

    /// When the present phase ends by itself.
    pub(super) fn deadline(&self, delays: Delays) -> Option<Instant> {
        match self.phase {
            Phase::Quiet => None,
            Phase::Open => Some(self.last_sign + SPEECH_SIGN_TIMEOUT),
            Phase::AwaitingWords { until } if self.commit_asked || !self.has_interim() => {
                Some(until)
            }
            // a voice too quiet for the VAD goes on while new words come
            Phase::AwaitingWords { until } => Some(until.max(self.last_interim + delays.words)),
            Phase::Pausing => Some(self.commit_at(delays)),
        }
    }

    /// When the turn is committed, if nothing comes before.
    fn commit_at(&self, delays: Delays) -> Instant {
        let last_spoke = self.last_spoke.unwrap_or(self.last_sign);
        let soonest = last_spoke + delays.min;
        let at = match self.prediction {
            Prediction::None | Prediction::Known { goes_on: false } => soonest,
            Prediction::Asked(asked) => soonest.max(asked.until()),
            Prediction::Known { goes_on: true } => soonest.max(last_spoke + delays.max),
        };
        // words that are only interim so far would be lost: wait for their final
        if self.has_interim() {
            at.max(last_spoke.max(self.last_interim) + delays.words)
        } else {
            at
        }
    }
}

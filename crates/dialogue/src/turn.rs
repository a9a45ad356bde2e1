//! The caller's turn: words, silence, and when it counts as finished.

use crate::detector::Questions;
use crate::endpointing::Delays;
use crate::ids::{PredictionId, TurnId};
use crate::limits::{MAX_LATE_FINAL, MAX_TURN_BYTES, MIN_LOST_WORDS, SPEECH_SIGN_TIMEOUT};
use crate::options::Options;
use crate::text::{Backchannel, backchannel, count_words, normalise, push_limited, without_words};
use crate::time::{Duration, Instant};

/// So late a VAD may be sure of a voice: it began before anybody could say so.
const START_SLACK: Duration = Duration::from_millis(300);

/// How far the turn is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stage {
    /// Silence. Words may be here that left the floor to the agent.
    Quiet,
    /// The caller speaks.
    Speaking,
    /// Speech has ended, and more words of it may come until then.
    AwaitingWords { until: Instant },
    /// Words are here: the silence must last a little.
    Pausing,
}

/// The turn detector's part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Prediction {
    /// Not asked in this silence.
    None,
    /// Asked.
    Asked { id: PredictionId, until: Instant },
    /// Answered, or given up: does the caller probably go on?
    Known { goes_on: bool },
}

/// Words that left the floor to the agent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    /// They are answered as soon as the agent falls silent, and not only when the caller then waits.
    pub(crate) at_once: bool,
}

/// Words that count already, and that the recogniser may say once more.
#[derive(Clone, Debug)]
struct Before {
    /// Normalised.
    words: String,
    /// They never became final: their final is on its way, or lost.
    is_interim: bool,
    /// How long it took to say them.
    spoken: Duration,
    /// Since when they count.
    at: Instant,
}

#[derive(Clone, Debug)]
pub(crate) struct UserTurn {
    pub(crate) id: TurnId,
    pub(crate) stage: Stage,
    finals: String,
    interim: String,
    /// The caller's first sound of this turn.
    pub(crate) began: Option<Instant>,
    /// The caller's last sound; endpointing counts from here.
    pub(crate) last_spoke: Option<Instant>,
    pub(crate) last_final: Option<Instant>,
    /// When the recogniser last understood something else than before, without being sure.
    last_interim: Instant,
    /// The last sign that speech is going on.
    pub(crate) last_sign: Instant,
    pub(crate) prediction: Prediction,
    /// The words that the detector was asked about, normalised.
    pub(crate) predicted_for: String,
    /// What the detector was asked in this turn.
    pub(crate) questions: Questions,
    /// Speculative replies so far.
    pub(crate) attempts: u32,
    /// The words look stable: a speculative reply is worth it.
    pub(crate) stable: bool,
    /// The recogniser's end of speech has come in this turn.
    pub(crate) stt_over: bool,
    /// `commit_user_turn` was called and waits for words.
    pub(crate) commit_asked: bool,
    /// It was called though nothing at all had been heard of the turn.
    pub(crate) asked_of_nothing: bool,
    /// It is not to be answered.
    pub(crate) skip_reply: bool,
    /// Counted when words come, so that audio-rate inputs need not look at them.
    words: usize,
    backchannel: Backchannel,
    /// They are the agent's own, heard back. Looked at when words come.
    pub(crate) is_echo: bool,
    /// They left the floor to the agent and wait until it falls silent.
    pub(crate) kept: Option<Kept>,
    /// Words of this turn, or of the one before it, that the recogniser may repeat.
    before: Option<Before>,
    /// All words, normalised: tells whether they changed.
    normal: String,
    /// As the recogniser said of the last words.
    pub(crate) language: Option<String>,
    pub(crate) speaker_id: Option<String>,
    confidence: Confidence,
}

/// How sure the recogniser was of the final words: the mean of what it said, as LiveKit counts.
#[derive(Clone, Copy, Debug, Default)]
struct Confidence {
    sum: f32,
    count: u16,
}

impl UserTurn {
    pub(crate) fn new(id: TurnId) -> Self {
        Self {
            id,
            stage: Stage::Quiet,
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
            kept: None,
            before: None,
            normal: String::new(),
            language: None,
            speaker_id: None,
            confidence: Confidence::default(),
        }
    }

    /// Forgets everything and begins the next turn; speech that is going on goes on.
    pub(crate) fn renew(&mut self, id: TurnId) {
        let speaking = (self.stage == Stage::Speaking).then_some((self.began, self.last_spoke));
        let (last_sign, before) = (self.last_sign, self.before.take());
        *self = Self::new(id);
        (self.last_sign, self.before) = (last_sign, before);
        if let Some((began, last_spoke)) = speaking {
            self.stage = Stage::Speaking;
            (self.began, self.last_spoke) = (began, last_spoke);
        }
    }

    pub(crate) fn set_interim(&mut self, text: &str, now: Instant, options: &Options) {
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

    pub(crate) fn add_final(&mut self, text: &str, now: Instant, options: &Options) {
        self.interim.clear();
        push_limited(&mut self.finals, text, MAX_TURN_BYTES);
        self.last_final = Some(now);
        self.look_at_words(options);
    }

    /// How sure the recogniser is of its last final words.
    pub(crate) fn sure(&mut self, confidence: Option<f32>) {
        let Some(confidence) = confidence.filter(|sure| sure.is_finite()) else {
            return;
        };
        self.confidence.sum += confidence.clamp(0.0, 1.0);
        self.confidence.count = self.confidence.count.saturating_add(1);
    }

    /// How sure it is of all of them; `None`: it does not say.
    pub(crate) fn confidence(&self) -> Option<f32> {
        let Confidence { sum, count } = self.confidence;
        (count > 0).then(|| sum / f32::from(count))
    }

    /// The recogniser has found that it was no words after all. Were there any?
    pub(crate) fn take_interim_back(&mut self, options: &Options) -> bool {
        let there = self.has_interim();
        if there {
            self.interim.clear();
            self.look_at_words(options);
        }
        there
    }

    /// The final never came: what was understood so far counts. When it would have come nobody knows.
    pub(crate) fn promote_interim(&mut self, now: Instant, options: &Options) {
        let interim = std::mem::take(&mut self.interim);
        if !interim.is_empty() {
            self.count(normalise(&interim), true, now);
            push_limited(&mut self.finals, &interim, MAX_TURN_BYTES);
            self.last_final = None;
            self.look_at_words(options);
        }
    }

    /// They were no turn: what comes next begins when it begins.
    pub(crate) fn forget_words(&mut self) {
        if self.stage != Stage::Speaking {
            self.began = None;
        }
        self.attempts = 0;
        self.finals.clear();
        self.interim.clear();
        self.normal.clear();
        (self.words, self.backchannel, self.stable) = (0, Backchannel::No, false);
        (self.is_echo, self.kept) = (false, None);
        (self.language, self.speaker_id) = (None, None);
        self.confidence = Confidence::default();
    }

    fn look_at_words(&mut self, options: &Options) {
        let text = self.text();
        self.words = count_words(&text);
        self.normal = normalise(&text);
        let language = self.language.as_deref().or(options.language.as_deref());
        self.backchannel = backchannel(&self.normal, options.backchannels.as_deref(), language);
    }

    /// The turn is over. Its final words may come twice.
    pub(crate) fn is_committed(&mut self, now: Instant) {
        if self.before.as_ref().is_none_or(|before| before.at < now) {
            self.count(self.normal.clone(), false, now);
        }
    }

    fn count(&mut self, words: String, is_interim: bool, now: Instant) {
        self.before = Some(Before {
            words,
            is_interim,
            spoken: self.spoken(),
            at: now,
        });
    }

    /// From the first sound to the last.
    fn spoken(&self) -> Duration {
        let ends = self.began.zip(self.last_spoke);
        ends.map(|(began, last)| last.since(began))
            .unwrap_or_default()
    }

    /// What of these words does not count already; `None`: nothing. `has_vad`: somebody hears voice, so that words without
    /// any are no new ones.
    pub(crate) fn news<'a>(
        &self,
        text: &'a str,
        is_final: bool,
        has_vad: bool,
        now: Instant,
    ) -> Option<&'a str> {
        let repeated = is_final && has_vad && self.is_said_twice(text);
        let text = Some(text).filter(|text| !text.trim().is_empty() && !repeated)?;
        let Some(before) = &self.before else {
            return Some(text);
        };
        if self.is_said_anew(before, has_vad, now) {
            return Some(text);
        }
        let rest = if before.is_interim {
            without_words(text, &before.words).unwrap_or(text)
        } else if is_final && count_words(text) >= MIN_LOST_WORDS && normalise(text) == before.words
        {
            ""
        } else {
            text
        };
        (!rest.trim().is_empty()).then_some(rest)
    }

    /// Has the recogniser given its last final once more, without any sound since? Single words may have been said twice.
    fn is_said_twice(&self, text: &str) -> bool {
        count_words(text) >= MIN_LOST_WORDS
            && !self.has_interim()
            && self.last_final.is_some()
            && self.last_spoke <= self.last_final
            && self.normal.ends_with(&normalise(text))
    }

    /// Has there been sound since that may hold such words again? A cough is too short for a sentence.
    fn is_said_anew(&self, before: &Before, has_vad: bool, now: Instant) -> bool {
        if has_vad {
            let since = self.began.is_some_and(|at| at + START_SLACK > before.at);
            since && self.spoken() * 3 >= before.spoken
        } else {
            self.stage == Stage::Speaking || now.since(before.at) > MAX_LATE_FINAL
        }
    }

    /// The recogniser has said what it had to say of them.
    pub(crate) fn forget_before(&mut self) {
        self.before = None;
    }

    /// Everything understood so far.
    pub(crate) fn text(&self) -> String {
        let mut text = self.finals.clone();
        push_limited(&mut text, &self.interim, MAX_TURN_BYTES);
        text
    }

    pub(crate) fn finals(&self) -> &str {
        &self.finals
    }

    pub(crate) fn interim(&self) -> &str {
        &self.interim
    }

    pub(crate) fn has_interim(&self) -> bool {
        !self.interim.is_empty()
    }

    /// The same, normalised.
    pub(crate) fn normal(&self) -> &str {
        &self.normal
    }

    pub(crate) fn words(&self) -> usize {
        self.words
    }

    pub(crate) fn is_backchannel(&self) -> bool {
        self.backchannel != Backchannel::No
    }

    /// They may be an answer: more than a listener's sounds.
    pub(crate) fn may_answer(&self) -> bool {
        self.backchannel != Backchannel::Sound
    }

    /// Is there speech, not older than this, whose words the recogniser has not made final?
    pub(crate) fn lacks_final(&self, oldest: Instant) -> bool {
        let unheard = self.last_spoke > self.last_final && self.last_spoke > Some(oldest);
        self.has_interim() || (unheard && self.stage != Stage::Pausing)
    }

    /// The commit was of nothing, and what is heard since then is not over: it has nothing to do with it.
    pub(crate) fn is_another(&self, delays: Delays, now: Instant) -> bool {
        self.commit_asked
            && self.asked_of_nothing
            && self.finals.is_empty()
            && self.has_interim()
            && self.last_interim + delays.min > now
    }

    /// Something is going on that ends in a commit or in nothing.
    pub(crate) fn is_pending(&self) -> bool {
        self.stage != Stage::Quiet
    }

    /// When the present stage ends by itself.
    pub(crate) fn deadline(&self, delays: Delays) -> Option<Instant> {
        match self.stage {
            Stage::Quiet => None,
            Stage::Speaking => Some(self.last_sign + SPEECH_SIGN_TIMEOUT),
            Stage::AwaitingWords { until } if self.commit_asked || !self.has_interim() => {
                Some(until)
            }
            // a voice too quiet for the VAD goes on while new words come
            Stage::AwaitingWords { until } => Some(until.max(self.last_interim + delays.words)),
            Stage::Pausing => Some(self.commit_at(delays)),
        }
    }

    /// When the turn is committed, if nothing comes before.
    fn commit_at(&self, delays: Delays) -> Instant {
        let last_spoke = self.last_spoke.unwrap_or(self.last_sign);
        let soonest = last_spoke + delays.min;
        let at = match self.prediction {
            Prediction::None | Prediction::Known { goes_on: false } => soonest,
            Prediction::Asked { until, .. } => soonest.max(until),
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

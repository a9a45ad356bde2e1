//! The caller's side alone: no agent, no floor, no queue.

use super::*;
use crate::input::{Stt, Vad};
use crate::limits::SPEECH_SIGN_TIMEOUT;

/// One caller, with a clock.
struct Call {
    caller: Caller,
    options: Options,
    agent: Agent,
    at: Instant,
}

impl Call {
    fn new() -> Self {
        Self {
            caller: Caller::default(),
            options: Options::default(),
            agent: Agent::default(),
            at: Instant::from_millis(1000),
        }
    }

    /// While the agent has been heard for two seconds.
    fn over_the_agent() -> Self {
        let mut call = Self::new();
        call.at = Instant::from_millis(3000);
        call.agent = Agent {
            has_floor: true,
            is_audible: true,
            audible_since: Some(Instant::from_millis(1000)),
            is_interruptible: true,
            ..Agent::default()
        };
        call
    }

    fn now(&self) -> Now<'_> {
        Now {
            at: self.at,
            options: &self.options,
            agent: self.agent,
        }
    }

    fn tell(&mut self, what: impl FnOnce(&mut Caller, Now)) -> Vec<News> {
        let (at, agent) = (self.at, self.agent);
        let options = &self.options;
        what(&mut self.caller, Now { at, options, agent });
        std::iter::from_fn(|| self.caller.poll()).collect()
    }

    fn vad(&mut self, vad: Vad) -> Vec<News> {
        self.tell(|caller, now| caller.on_vad(vad, now))
    }

    fn stt(&mut self, stt: Stt) -> Vec<News> {
        self.tell(|caller, now| caller.on_stt(stt, now))
    }

    fn pass(&mut self, ms: u64) {
        self.at = self.at + Duration::from_millis(ms);
    }

    /// A voice of this many milliseconds, and the silence after which the VAD is sure that it is over.
    fn voice(&mut self, ms: u64) -> Vec<News> {
        let speech = Duration::from_millis(50);
        self.pass(50);
        let mut told = self.vad(Vad::SpeechStarted { speech });
        self.pass(ms - 50);
        let (speech, silence) = (Duration::from_millis(ms), Duration::ZERO);
        told.extend(self.vad(Vad::Frame {
            speaking: true,
            speech,
            silence,
        }));
        self.pass(500);
        let silence = Duration::from_millis(500);
        told.extend(self.vad(Vad::SpeechEnded { speech, silence }));
        told
    }

    /// Goes to the deadline.
    fn wait(&mut self) -> Vec<News> {
        self.at = self.caller.deadline(self.now()).unwrap_or(self.at);
        self.tell(Caller::due)
    }

    fn verdict(&self) -> Verdict {
        self.caller.verdict(self.now())
    }
}

fn interim(text: &str) -> Stt {
    Stt::Interim(text.into())
}

fn final_words(text: &str) -> Stt {
    Stt::Final {
        text: text.into(),
        confidence: None,
    }
}

fn has(told: &[News], fits: impl Fn(&News) -> bool) -> bool {
    told.iter().any(fits)
}

#[test]
fn a_sound_without_words_ends_in_nothing() {
    let mut call = Call::new();
    let told = call.voice(400);
    assert!(has(&told, |told| matches!(told, News::Began)));
    let asks = |told: &News| matches!(told, News::Ask(action) if **action == Action::FinalizeStt);
    assert!(has(&told, asks));
    assert!(!call.caller.is_quiet(), "words may still come");
    let told = call.wait();
    assert!(has(&told, |told| matches!(told, News::Nothing)));
    assert!(!has(&told, |told| matches!(told, News::Over)));
    assert!(call.caller.is_quiet());
    assert_eq!(call.caller.deadline(call.now()), None);
}

#[test]
fn words_and_a_silence_are_a_turn() {
    let mut call = Call::new();
    call.voice(900);
    let told = call.stt(final_words("A table for two"));
    assert!(has(&told, |told| matches!(told, News::Words)));
    let told = call.wait();
    assert!(has(&told, |told| matches!(told, News::Over)));
    let told = call.tell(Caller::finish);
    let finished = told.into_iter().find_map(|told| match told {
        News::Turn(finished, reply) => Some((finished.text, reply)),
        _ => None,
    });
    assert_eq!(finished, Some(("A table for two".into(), true)));
    assert_eq!(call.caller.words(), 0, "the next turn has begun");
}

#[test]
fn the_published_state_follows_the_sound() {
    let mut call = Call::new();
    call.vad(Vad::SpeechStarted {
        speech: Duration::from_millis(50),
    });
    assert!(call.caller.speaks());
    assert_eq!(call.caller.state(), UserState::Speaking);
    // nobody says any more that the voice goes on
    let before = call.at;
    call.wait();
    assert_eq!(call.at, before + SPEECH_SIGN_TIMEOUT);
    assert!(!call.caller.speaks());
    assert_eq!(call.caller.state(), UserState::Listening);
}

#[test]
fn a_voice_for_minutes_without_a_word_is_noise() {
    let mut call = Call::new();
    let patience = call.options.stuck_vad_timeout;
    for ms in (0..=90_000).step_by(1000) {
        call.pass(1000);
        call.vad(Vad::Frame {
            speaking: true,
            speech: Duration::from_millis(ms + 50),
            silence: Duration::ZERO,
        });
        if call
            .caller
            .deadline(call.now())
            .is_some_and(|due| due <= call.at)
        {
            call.tell(Caller::due);
        }
    }
    assert!(call.caller.is_noise() && !call.caller.speaks());
    assert!(call.at >= Instant::from_millis(1000) + patience);
    call.stt(interim("hello"));
    assert!(!call.caller.is_noise(), "words make it a voice again");
}

#[test]
fn an_interim_holds_and_final_words_interrupt() {
    let mut call = Call::over_the_agent();
    call.voice(900);
    assert_eq!(call.verdict(), Verdict::Hold);
    call.stt(interim("no wait for my"));
    assert_eq!(call.verdict(), Verdict::Hold);
    call.stt(final_words("no wait for my wife"));
    assert_eq!(call.verdict(), Verdict::Interrupt);
}

#[test]
fn a_listeners_words_and_too_few_words_leave_the_floor() {
    let mut call = Call::over_the_agent();
    call.voice(400);
    call.stt(final_words("Mm-hmm."));
    assert_eq!(call.verdict(), Verdict::Keep);
    let mut call = Call::over_the_agent();
    call.options.min_interruption_words = 2;
    call.voice(600);
    call.stt(final_words("Paris"));
    assert_eq!(call.verdict(), Verdict::Keep);
    call.agent.is_interruptible = false;
    assert_eq!(call.verdict(), Verdict::Interrupt, "of the next speech");
}

#[test]
fn of_words_in_a_click_without_a_final_only_an_order_to_stop_interrupts() {
    for (text, verdict) in [("thank you", Verdict::Keep), ("Stop", Verdict::Interrupt)] {
        let mut call = Call::over_the_agent();
        call.voice(200);
        call.stt(interim(text));
        let told = call.wait();
        assert!(has(&told, |told| matches!(told, News::Over)));
        assert_eq!(call.verdict(), verdict, "{text}");
    }
}

#[test]
fn a_voice_after_the_button_begins_another_turn() {
    let mut call = Call::new();
    call.options.turn_detection = TurnDetection::Manual;
    call.voice(900);
    call.stt(interim("A table"));
    call.tell(|caller, now| caller.ask_commit(None, true, now));
    let told = call.vad(Vad::SpeechStarted {
        speech: Duration::from_millis(50),
    });
    let finished = |told: &News| matches!(told, News::Turn(turn, false) if turn.text == "A table");
    assert!(has(&told, finished), "not to be answered, as was asked");
    assert!(!call.caller.is_commit_asked());
}

#[test]
fn what_is_asked_while_an_answer_is_carried_out_is_carried_out_first() {
    let mut call = Call::new();
    call.caller.tell(News::Began);
    let before = call.caller.put_aside();
    assert!(call.caller.poll().is_none());
    call.caller.put_back(before);
    assert!(matches!(call.caller.poll(), Some(News::Began)));
}

//! When the caller has finished: turn detectors that read and that hear, and options that change, in paused time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_agent::provider::{
    BoxFuture, BoxStream, ChatChunk, Evidence, Llm, PresentTurn, ProviderInfo, Stt, SttEvent,
    SttInput, SttSession, ToolDefinition, TurnDetector, Vad, VadModel,
};
use antiphon_agent::{
    Agent, AgentBuilder, AgentError, AgentSession, Events, NoOutput, ProviderError, SessionError,
    SessionIo,
};
use antiphon_audio::Frame16k;
use antiphon_chat::{ChatRequest, Item};
use antiphon_dialogue::metrics::Metrics;
use antiphon_dialogue::options::TurnDetection;
use antiphon_dialogue::{Event, Instant, OptionsPatch, input};
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

const FRAME: Duration = Duration::from_millis(20);
const END_SILENCE: Duration = Duration::from_millis(500);

fn nobody() -> ProviderInfo {
    ProviderInfo {
        provider: "test",
        model: String::new(),
    }
}

struct Answers;

impl Llm for Answers {
    fn info(&self) -> ProviderInfo {
        nobody()
    }

    fn chat(
        &self,
        _: ChatRequest,
        _: Arc<[ToolDefinition]>,
    ) -> BoxStream<Result<ChatChunk, ProviderError>> {
        Box::pin(stream::iter([Ok(ChatChunk::Text("I see.".into()))]))
    }
}

/// Speech is what is not zero; it ends after so much silence.
struct Loudness {
    end: Duration,
}

#[derive(Default)]
struct Listening {
    end: Duration,
    speaking: bool,
    speech: Duration,
    silence: Duration,
}

impl VadModel for Loudness {
    fn session(&self) -> Box<dyn Vad> {
        Box::new(Listening {
            end: self.end,
            ..Listening::default()
        })
    }
}

impl Vad for Listening {
    fn push(&mut self, frame: &Frame16k, emit: &mut dyn FnMut(input::Vad)) {
        let (speech, silence) = if frame.samples().iter().any(|sample| *sample != 0) {
            (self.speech + frame.duration(), Duration::ZERO)
        } else {
            (Duration::ZERO, self.silence + frame.duration())
        };
        (self.speech, self.silence) = (speech, silence);
        if !self.speaking && !speech.is_zero() {
            self.speaking = true;
            emit(input::Vad::SpeechStarted { speech });
        } else if self.speaking && silence >= self.end {
            self.speaking = false;
            emit(input::Vad::SpeechEnded { speech, silence });
        }
        emit(input::Vad::Frame {
            speaking: self.speaking,
            speech,
            silence,
        });
    }

    fn reset(&mut self) {}
}

/// Hears what the test says.
#[derive(Default)]
struct Prompter {
    events: Mutex<Option<mpsc::Sender<SttEvent>>>,
    /// Kept, so that the driver can write.
    sound: Mutex<Option<mpsc::Receiver<SttInput>>>,
}

impl Stt for Prompter {
    fn info(&self) -> ProviderInfo {
        nobody()
    }

    fn open(&self) -> BoxFuture<'_, Result<SttSession, ProviderError>> {
        let (input, sound) = mpsc::channel(SttSession::INPUT_LIMIT);
        let (sender, events) = mpsc::channel(SttSession::EVENT_LIMIT);
        *self.events.lock().unwrap() = Some(sender);
        *self.sound.lock().unwrap() = Some(sound);
        Box::pin(async { Ok(SttSession { input, events }) })
    }
}

/// Keeps what it was asked.
struct Judge {
    evidence: Evidence,
    /// `None`: it never answers.
    probability: Option<f32>,
    only: Option<&'static str>,
    asked: Mutex<Vec<PresentTurn>>,
    given_up: Arc<AtomicBool>,
    languages: AtomicUsize,
}

impl Judge {
    fn new(evidence: Evidence, probability: Option<f32>) -> Arc<Self> {
        Arc::new(Self {
            evidence,
            probability,
            only: None,
            asked: Mutex::default(),
            given_up: Arc::default(),
            languages: AtomicUsize::default(),
        })
    }
}

/// Says that a question was dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl TurnDetector for Judge {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: "judge",
            model: "small".into(),
        }
    }

    fn evidence(&self) -> Evidence {
        self.evidence
    }

    fn threshold(&self, language: Option<&str>) -> Option<f32> {
        self.languages.fetch_add(1, Ordering::Relaxed);
        match self.only {
            Some(only) if language != Some(only) => None,
            _ => Some(0.3),
        }
    }

    fn predict<'a>(&'a self, turn: &'a PresentTurn) -> BoxFuture<'a, Result<f32, ProviderError>> {
        self.asked.lock().unwrap().push(turn.clone());
        let dropped = Dropped(self.given_up.clone());
        Box::pin(async move {
            match self.probability {
                Some(probability) => Ok(probability),
                None => {
                    std::future::pending::<()>().await;
                    drop(dropped);
                    Ok(1.0)
                }
            }
        })
    }
}

/// A call with somebody who can be made to speak.
struct Call {
    session: AgentSession,
    events: Events,
    mouth: mpsc::Sender<Frame16k>,
    prompter: Arc<Prompter>,
}

fn agent() -> AgentBuilder {
    Agent::builder("a")
        .llm(Arc::new(Answers))
        .vad(Arc::new(Loudness { end: END_SILENCE }))
}

impl Call {
    fn begin(agent: AgentBuilder) -> Self {
        let prompter = Arc::new(Prompter::default());
        let agent = agent.stt(prompter.clone()).build().unwrap();
        let (mouth, audio_in) = mpsc::channel(SessionIo::AUDIO_IN_LIMIT);
        let session = AgentSession::start(
            agent,
            SessionIo {
                audio_in,
                audio_out: Box::new(NoOutput),
            },
        );
        let events = session.events();
        session.started().unwrap();
        Self {
            session,
            events,
            mouth,
            prompter,
        }
    }

    async fn sound(&self, lasting: Duration, level: i16) {
        for _ in 0..lasting.as_millis() / FRAME.as_millis() {
            self.mouth
                .send(Frame16k::new(vec![level; 320]))
                .await
                .unwrap();
            sleep(FRAME).await;
        }
    }

    async fn hear(&self, event: SttEvent) {
        let sender = self.prompter.events.lock().unwrap().clone().unwrap();
        sender.send(event).await.unwrap();
    }

    /// A second of speech with these words, and the silence after it.
    async fn says(&self, words: &str, silence: Duration) {
        self.sound(Duration::from_secs(1), 1000).await;
        self.hear(SttEvent::Final {
            text: words.into(),
            confidence: None,
        })
        .await;
        self.sound(silence, 0).await;
    }

    /// When the next turn is over.
    async fn committed(&mut self) -> Instant {
        let found = async {
            loop {
                let (at, event) = self.events.recv().await.expect("the session ended early");
                if matches!(event, Event::UserInputTranscribed { is_final: true, .. }) {
                    return at;
                }
            }
        };
        timeout(Duration::from_secs(60), found)
            .await
            .expect("the turn was not over within a minute")
    }
}

/// Since the session began.
fn seconds(at: Instant) -> f64 {
    at.since(Instant::ZERO).as_secs_f64()
}

#[tokio::test(start_paused = true)]
async fn a_detector_that_reads_is_given_what_was_said_and_a_caller_who_goes_on_is_waited_for() {
    let judge = Judge::new(Evidence::Text, Some(0.2));
    let mut call = Call::begin(agent().turn_detector(judge.clone()));
    call.says("My number is", Duration::from_secs(4)).await;
    let at = seconds(call.committed().await);
    assert!(
        (3.9..4.2).contains(&at),
        "1 s of speech and 3 s of patience, not {at}"
    );
    let asked = judge.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1, "once for the same words");
    let turn = asked.first().unwrap();
    assert!(turn.audio.is_empty());
    let Some(Item::Message(last)) = turn.items.last() else {
        panic!("no words: {turn:?}");
    };
    assert_eq!(last.text, "My number is");
}

#[tokio::test(start_paused = true)]
async fn a_detector_that_hears_is_given_the_sound_of_the_present_turn_only() {
    let judge = Judge::new(Evidence::Audio, Some(0.9));
    let mut call = Call::begin(agent().turn_detector(judge.clone()));
    call.says("Hello", Duration::from_secs(3)).await;
    let first = seconds(call.committed().await);
    assert!(
        (1.4..1.7).contains(&first),
        "as soon as the VAD is sure, not {first}"
    );
    call.says("And goodbye", Duration::from_secs(2)).await;
    call.committed().await;
    let asked = judge.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 2);
    for turn in asked {
        assert!(turn.items.is_empty());
        let heard = turn.audio.len() as f64 / 16_000.0;
        assert!((1.15..1.75).contains(&heard), "{heard} s of sound");
    }
}

#[tokio::test(start_paused = true)]
async fn a_vad_that_ends_speech_soon_leaves_the_question_to_the_detector_and_a_finished_caller_waits_less()
 {
    let soon = Arc::new(Loudness {
        end: Duration::from_millis(160),
    });
    let finished = Judge::new(Evidence::AudioAndText, Some(0.9));
    let mut call = Call::begin(agent().vad(soon.clone()).turn_detector(finished.clone()));
    call.says("Hello there", Duration::from_secs(3)).await;
    let at = seconds(call.committed().await);
    assert!((1.15..1.3).contains(&at), "0.2 s after the word, not {at}");
    let asked = finished.asked.lock().unwrap().clone();
    let [turn] = &*asked else {
        panic!("asked once, not {}", asked.len());
    };
    assert!(!turn.audio.is_empty());
    assert!(matches!(turn.items.last(), Some(Item::Message(last)) if last.text == "Hello there"));

    let goes_on = Judge::new(Evidence::AudioAndText, Some(0.1));
    let mut call = Call::begin(agent().vad(soon).turn_detector(goes_on));
    call.says("I would like", Duration::from_secs(4)).await;
    let at = seconds(call.committed().await);
    assert!((2.9..3.2).contains(&at), "2 s after the word, not {at}");
}

#[tokio::test(start_paused = true)]
async fn what_a_detector_took_is_told_under_its_name() {
    let judge = Judge::new(Evidence::Audio, Some(0.9));
    let mut call = Call::begin(agent().turn_detector(judge));
    call.says("Hello", Duration::from_secs(3)).await;
    let found = async {
        loop {
            let (_, event) = call.events.recv().await.expect("the session ended early");
            if let Event::MetricsCollected {
                metrics: Metrics::EotInferenceMetrics(metrics),
                model,
            } = event
            {
                return (metrics, model);
            }
        }
    };
    let (metrics, model) = timeout(Duration::from_secs(60), found).await.unwrap();
    assert_eq!(metrics.num_requests, 1);
    assert!(metrics.prediction_duration.is_some(), "{metrics:?}");
    let of = (model.model_provider.as_str(), model.model_name.as_str());
    assert_eq!(of, ("judge", "small"));
}

#[tokio::test(start_paused = true)]
async fn a_detector_that_hangs_costs_a_second_and_is_dropped() {
    let judge = Judge::new(Evidence::Audio, None);
    let mut call = Call::begin(agent().turn_detector(judge.clone()));
    call.says("Hello", Duration::from_secs(3)).await;
    let at = seconds(call.committed().await);
    assert!(
        (2.1..2.4).contains(&at),
        "200 ms of silence and a second, not {at}"
    );
    assert!(judge.given_up.load(Ordering::Relaxed));
}

#[tokio::test(start_paused = true)]
async fn a_detector_is_not_asked_about_a_language_that_it_does_not_know() {
    let judge = Arc::new(Judge {
        only: Some("de"),
        ..Arc::into_inner(Judge::new(Evidence::Text, Some(0.0))).unwrap()
    });
    let mut call = Call::begin(agent().turn_detector(judge.clone()));
    call.sound(FRAME, 0).await; // until the recogniser is open
    call.hear(SttEvent::Language("fr".into())).await;
    call.says("Je voudrais une table", Duration::from_secs(2))
        .await;
    let at = seconds(call.committed().await);
    assert!(
        at < 1.7,
        "without an opinion the short delay counts, not {at}"
    );
    assert!(judge.asked.lock().unwrap().is_empty());
    assert!(judge.languages.load(Ordering::Relaxed) > 0);
    call.hear(SttEvent::Language("de".into())).await;
    call.says("Ich hätte gern einen Tisch", Duration::from_secs(4))
        .await;
    call.committed().await;
    let asked = judge.asked.lock().unwrap().clone();
    assert_eq!(asked.last().unwrap().language.as_deref(), Some("de"));
}

#[tokio::test(start_paused = true)]
async fn options_change_while_the_session_runs_and_bad_ones_change_nothing() {
    let mut call = Call::begin(agent());
    let bad = OptionsPatch {
        min_endpointing_delay: Some(Some(Duration::from_secs(9))),
        max_endpointing_delay: Some(Some(Duration::from_secs(1))),
        ..OptionsPatch::default()
    };
    let refused = call.session.update_options(bad).await.unwrap_err();
    assert!(matches!(refused, SessionError::Options(_)), "{refused}");
    let patient = OptionsPatch {
        min_endpointing_delay: Some(Some(Duration::from_secs(2))),
        ..OptionsPatch::default()
    };
    call.session.update_options(patient).await.unwrap();
    call.says("Hello", Duration::from_secs(3)).await;
    let at = seconds(call.committed().await);
    assert!(
        (2.9..3.2).contains(&at),
        "two seconds after the word, not {at}"
    );
    let manual = OptionsPatch {
        turn_detection: Some(TurnDetection::Manual),
        ..OptionsPatch::default()
    };
    call.session.update_options(manual).await.unwrap();
    call.says("Are you there", Duration::from_secs(10)).await;
    call.session.commit_user_turn().unwrap();
    let at = seconds(call.committed().await);
    assert!(at > 14.9, "only the commit ends it, not {at}");
}

#[tokio::test(start_paused = true)]
async fn what_an_agent_wants_otherwise_counts_more_than_the_sessions_options() {
    let patient = OptionsPatch {
        min_endpointing_delay: Some(Some(Duration::from_secs(2))),
        ..OptionsPatch::default()
    };
    let mut call = Call::begin(agent().overrides(patient));
    let hasty = OptionsPatch {
        min_endpointing_delay: Some(Some(Duration::ZERO)),
        ..OptionsPatch::default()
    };
    call.session.update_options(hasty).await.unwrap();
    call.says("Hello", Duration::from_secs(3)).await;
    let at = seconds(call.committed().await);
    assert!(
        (2.9..3.2).contains(&at),
        "two seconds after the word, not {at}"
    );
}

#[test]
fn an_agent_that_cannot_work_is_not_built() {
    let bad = OptionsPatch {
        endpointing_alpha: Some(7.0),
        ..OptionsPatch::default()
    };
    assert!(matches!(
        agent().overrides(bad).build(),
        Err(AgentError::Options(_))
    ));
}

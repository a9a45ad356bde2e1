//! What a program reads in the events of a session.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use antiphon_chat::time::Duration;
use antiphon_chat::{ChatContext, Item, Role};
use antiphon_dialogue::event::SpeechSource;
use antiphon_dialogue::input::{Command, GenerateReply, Stt, Vad};
use antiphon_dialogue::{Action, Dialogue, Event, Input, Instant, Options};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Is it final, its item, language and speaker.
type Transcript = (bool, Option<String>, Option<String>, Option<String>);

/// A session that is told things.
struct Call {
    dialogue: Dialogue,
    now: Instant,
    events: Vec<Event>,
}

impl Call {
    fn new(options: Options) -> Self {
        let mut call = Self {
            dialogue: Dialogue::new(options, "Be brief."),
            now: Instant::ZERO,
            events: Vec::new(),
        };
        call.tell(Input::Started);
        call
    }

    fn tell(&mut self, input: Input) {
        self.now = self.now + ms(10);
        self.dialogue.handle(self.now, input);
        while let Some(action) = self.dialogue.poll() {
            if let Action::Emit(event) = action {
                self.events.push(event);
            }
        }
    }

    fn stt(&mut self, stt: Stt) {
        self.tell(Input::Stt(stt));
    }

    fn begins(&mut self) {
        self.tell(Input::Vad(Vad::SpeechStarted { speech: ms(50) }));
    }

    /// The caller is silent, and the turn is committed.
    fn ends(&mut self) {
        self.now = self.now + ms(1000);
        self.tell(Input::Vad(Vad::SpeechEnded {
            speech: ms(500),
            silence: ms(500),
        }));
    }

    fn words(&mut self, text: &str, confidence: Option<f32>) {
        let text = text.to_owned();
        self.stt(Stt::Final { text, confidence });
    }

    fn transcripts(&self) -> Vec<Transcript> {
        let of = |event: &Event| match event {
            Event::UserInputTranscribed {
                is_final,
                item_id,
                language,
                speaker_id,
                ..
            } => Some((
                *is_final,
                item_id.clone(),
                language.clone(),
                speaker_id.clone(),
            )),
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_transcript_says_which_message_it_is_in_which_language_and_who_spoke() {
    let mut call = Call::new(Options {
        language: some("en"),
        ..Options::default()
    });
    call.begins();
    call.stt(Stt::Speaker("S1".into()));
    call.stt(Stt::Interim("bonjour".into()));
    call.stt(Stt::Language("fr".into()));
    call.words("Bonjour à tous", Some(0.5));
    call.ends();
    let item = call
        .dialogue
        .history()
        .iter()
        .find(|item| matches!(item, Item::Message(message) if message.role == Role::User));
    let id = item.unwrap().id().to_owned();
    assert_eq!(
        call.transcripts(),
        [
            (false, None, some("en"), some("S1")),
            (false, None, some("fr"), some("S1")),
            (true, Some(id), some("fr"), some("S1")),
        ]
    );
    // who speaks in the next turn is not known, and the language is the one last heard
    call.begins();
    call.words("et maintenant", None);
    assert_eq!(
        call.transcripts().last(),
        Some(&(false, None, some("fr"), None))
    );
}

#[test]
fn a_message_says_how_sure_the_recogniser_was_of_all_its_words() {
    let mut call = Call::new(Options::default());
    call.begins();
    call.words("a table", Some(0.5));
    call.words("for two", Some(1.0));
    call.ends();
    call.begins();
    call.words("at eight", None);
    call.ends();
    let sure: Vec<_> = call
        .dialogue
        .history()
        .iter()
        .filter_map(|item| match item {
            Item::Message(message) if message.role == Role::User => {
                Some((message.text.as_str(), message.transcript_confidence))
            }
            _ => None,
        })
        .collect();
    assert_eq!(sure, [("a table for two", Some(0.75)), ("at eight", None)]);
}

#[test]
fn who_hears_of_a_speech_knows_whether_the_program_asked_for_it() {
    let mut call = Call::new(Options {
        greeting: some("Hello."),
        ..Options::default()
    });
    call.tell(Input::Command(Command::Say("Attention.".into())));
    let asked = GenerateReply {
        user_input: some("What now?"),
        ..GenerateReply::default()
    };
    call.tell(Input::Command(Command::GenerateReply(asked)));
    call.tell(Input::UserText("Hi".into()));
    let created: Vec<_> = call
        .events
        .iter()
        .filter_map(|event| match event {
            Event::SpeechCreated {
                user_initiated,
                source,
                ..
            } => Some((*user_initiated, *source)),
            _ => None,
        })
        .collect();
    assert_eq!(
        created,
        [
            (false, SpeechSource::Say),
            (true, SpeechSource::Say),
            (true, SpeechSource::GenerateReply),
            (false, SpeechSource::GenerateReply),
        ]
    );
}

fn named(item: &Item) -> &str {
    match item {
        Item::Message(message) => &message.text,
        Item::AgentHandoff { new_agent_id, .. } => new_agent_id,
        _ => panic!("unexpected: {item:?}"),
    }
}

#[test]
fn a_history_that_was_brought_along_stands_before_the_agent_that_gets_it() {
    let mut brought = ChatContext::new();
    brought.add_message(Role::User, "Last time");
    let mut dialogue = Dialogue::new(Options::default(), "Be brief.")
        .with_history(brought)
        .named("clerk");
    dialogue.handle(Instant::ZERO, Input::Started);
    let added = std::iter::from_fn(|| dialogue.poll()).find_map(|action| match action {
        Action::Emit(Event::ConversationItemAdded { item }) => Some(item),
        _ => None,
    });
    dialogue.handle(Instant::ZERO + ms(10), Input::UserText("Hello".into()));
    dialogue.handle(Instant::ZERO + ms(20), Input::Started);
    let named: Vec<&str> = dialogue.history().iter().map(named).collect();
    assert_eq!(named, ["Last time", "clerk", "Hello"]);
    assert_eq!(dialogue.history().get(1), added.as_ref());
    assert!(
        matches!(
            &added,
            Some(Item::AgentHandoff {
                old_agent_id: None,
                ..
            })
        ),
        "{added:?}"
    );
}

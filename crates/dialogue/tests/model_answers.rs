//! What a model's answer may hold beside words and calls: signs of life, calls that must not run, words taken back.
#![allow(clippy::unwrap_used)]

use antiphon_chat::time::Duration;
use antiphon_chat::{ChatRequest, Item, ToolCall};
use antiphon_dialogue::ids::GenerationId;
use antiphon_dialogue::input::{Llm, Vad};
use antiphon_dialogue::limits::MAX_THINKING;
use antiphon_dialogue::{Action, Dialogue, Event, Input, Instant, Options};

struct Call {
    dialogue: Dialogue,
    now: Instant,
    asked: Vec<(GenerationId, ChatRequest)>,
    actions: Vec<Action>,
}

impl Call {
    /// The model has been asked.
    fn new() -> Self {
        let mut call = Self {
            dialogue: Dialogue::new(Options::default(), "Be brief."),
            now: Instant::ZERO,
            asked: Vec::new(),
            actions: Vec::new(),
        };
        call.tell(Input::Started);
        call.tell(Input::UserText("When do you open?".into()));
        call.wait(Duration::from_secs(1));
        call
    }

    fn tell(&mut self, input: Input) {
        self.dialogue.handle(self.now, input);
        while let Some(action) = self.dialogue.poll() {
            if let Action::StartLlm { id, request } = &action {
                self.asked.push((*id, request.clone()));
            }
            self.actions.push(action);
        }
    }

    fn model(&mut self, event: Llm) {
        let id = self.asked.last().unwrap().0;
        self.tell(Input::Llm { id, event });
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.dialogue.deadline().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.tell(Input::Time);
        }
        self.now = end;
        self.tell(Input::Time);
    }

    fn gave_up(&self) -> bool {
        self.actions
            .iter()
            .any(|action| matches!(action, Action::CancelLlm { .. }))
    }

    fn spoken(&self) -> Vec<&str> {
        let spoken = self.actions.iter().filter_map(|action| match action {
            Action::Synthesize { text, .. } => Some(text.as_str()),
            _ => None,
        });
        spoken.collect()
    }
}

#[test]
fn a_model_that_thinks_for_minutes_is_waited_for_while_it_is_alive_but_not_for_ever() {
    let mut call = Call::new();
    let step = Duration::from_secs(5);
    let mut waited = step;
    while waited + step < MAX_THINKING {
        call.model(Llm::Thinking);
        call.wait(step);
        waited += step;
    }
    assert!(!call.gave_up(), "it was given up while it was alive");
    for _ in 0..4 {
        call.model(Llm::Thinking);
        call.wait(step);
    }
    assert!(call.gave_up(), "it thinks for ever");
}

#[test]
fn a_model_that_falls_silent_in_its_thoughts_is_given_up_after_the_usual_time() {
    let mut call = Call::new();
    call.wait(Duration::from_secs(5));
    call.model(Llm::Thinking);
    call.wait(Duration::from_millis(9_900));
    assert!(!call.gave_up());
    call.wait(Duration::from_millis(200));
    assert!(call.gave_up());
}

#[test]
fn a_call_that_was_cut_off_is_not_run_and_the_model_reads_why() {
    let mut call = Call::new();
    call.model(Llm::RefusedCall {
        call: ToolCall {
            call_id: "a".into(),
            name: "book".into(),
            arguments: r#""{\"guests\":1""#.into(),
        },
        why: "It was cut off.".into(),
    });
    call.model(Llm::Finished { usage: None });
    call.wait(Duration::from_millis(10));
    assert!(
        !call
            .actions
            .iter()
            .any(|action| matches!(action, Action::RunTool { .. })),
        "it was run"
    );
    let (_, again) = call.asked.get(1).expect("the model is asked again");
    assert!(again.items.iter().any(
        |item| matches!(item, Item::FunctionCallOutput { output, .. }
        if output.is_error && output.output == "It was cut off.")
    ));
}

#[test]
fn thoughts_that_wait_for_their_sound_are_taken_back() {
    let mut call = Call::new();
    call.model(Llm::Text(
        "The user asks for the hours. I look at the list. ".into(),
    ));
    let thoughts = call.spoken().len();
    assert!(thoughts > 0);
    call.model(Llm::Withdrawn);
    call.model(Llm::Text("We open at nine.".into()));
    call.model(Llm::Finished { usage: None });
    let cancelled = call
        .actions
        .iter()
        .filter(|action| matches!(action, Action::CancelSynthesis { .. }));
    assert_eq!(cancelled.count(), thoughts);
    assert!(call.actions.contains(&Action::ClearPlayout));
    assert_eq!(call.spoken().last(), Some(&"We open at nine."));
}

#[test]
fn thoughts_that_wait_for_the_end_of_a_cough_are_taken_back() {
    let mut call = Call::new();
    call.model(Llm::Text("The user asks for the hours. ".into()));
    let speech = Duration::from_millis(100);
    call.tell(Input::Vad(Vad::SpeechStarted { speech }));
    assert!(call.actions.contains(&Action::PausePlayout));
    call.model(Llm::Withdrawn);
    assert!(call.actions.contains(&Action::ClearPlayout));
}

#[test]
fn words_that_were_thoughts_are_not_said_and_a_warning_is_told() {
    let mut call = Call::new();
    call.model(Llm::Text("Hm, the user".into()));
    call.model(Llm::Withdrawn);
    call.model(Llm::Text("We open at nine.".into()));
    call.model(Llm::Warning("The model thinks aloud.".into()));
    call.model(Llm::Finished { usage: None });
    assert_eq!(call.spoken(), ["We open at nine."]);
    assert!(call.actions.iter().any(|action| matches!(action,
        Action::Emit(Event::Error { message, recoverable: true, .. }) if message == "The model thinks aloud.")));
}

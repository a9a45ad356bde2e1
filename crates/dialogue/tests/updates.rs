//! What the model is asked when an agent was told otherwise in the meantime.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;

use antiphon_chat::time::Duration;
use antiphon_chat::{ChatRequest, Item, Message, Role, ToolCall, ToolOutput};
use antiphon_dialogue::ids::{GenerationId, SegmentId};
use antiphon_dialogue::input::{Command, Llm, Playout, ToolValue, Tts};
use antiphon_dialogue::limits::{
    MAX_BROUGHT_ITEMS, MAX_INSTRUCTIONS_BYTES, MAX_TOOL_NAME_BYTES, MAX_TOOLS,
};
use antiphon_dialogue::options::ToolOptions;
use antiphon_dialogue::{Action, Dialogue, Event, Input, Instant, Options};

/// A session whose model answers at once what it is told to.
struct Call {
    dialogue: Dialogue,
    now: Instant,
    asked: Vec<(GenerationId, ChatRequest)>,
    errors: Vec<String>,
}

impl Call {
    fn new() -> Self {
        let mut call = Self {
            dialogue: Dialogue::new(Options::default(), "Be kind."),
            now: Instant::ZERO,
            asked: Vec::new(),
            errors: Vec::new(),
        };
        call.tell(Input::Started);
        call
    }

    fn tell(&mut self, input: Input) {
        self.now = self.now + Duration::from_millis(10);
        self.dialogue.handle(self.now, input);
        while let Some(action) = self.dialogue.poll() {
            match action {
                Action::StartLlm { id, request } => self.asked.push((id, request)),
                Action::Emit(Event::Error { message, .. }) => self.errors.push(message),
                _ => {}
            }
        }
    }

    fn command(&mut self, command: Command) {
        self.tell(Input::Command(command));
    }

    /// The request that was made last.
    fn request(&self) -> &ChatRequest {
        &self.asked.last().unwrap().1
    }

    fn calls(&mut self, call_id: &str) {
        let call = ToolCall {
            call_id: call_id.into(),
            name: "search".into(),
            arguments: "{}".into(),
        };
        let id = self.asked.last().unwrap().0;
        for event in [Llm::ToolCall(call), Llm::Finished { usage: None }] {
            self.tell(Input::Llm { id, event });
        }
    }

    fn finished(&mut self, call_id: &str) {
        self.tell(Input::ToolFinished {
            call_id: call_id.into(),
            result: Ok(ToolValue {
                output: "found".into(),
                reply: true,
            }),
        });
    }

    fn knows(&mut self, items: Vec<Item>) {
        self.command(Command::UpdateChatCtx { items });
    }
}

fn words(role: Role, text: &str) -> Item {
    let id = format!("told_{text}");
    Item::Message(Message::new(id, role, text, Instant::ZERO))
}

fn call(call_id: &str) -> Item {
    Item::FunctionCall {
        id: format!("told/{call_id}"),
        call: ToolCall {
            call_id: call_id.into(),
            name: "search".into(),
            arguments: "{}".into(),
        },
        created_at: Instant::ZERO,
    }
}

fn result(call_id: &str) -> Item {
    Item::FunctionCallOutput {
        id: format!("told/{call_id}/output"),
        output: ToolOutput {
            call_id: call_id.into(),
            name: "search".into(),
            output: "found before".into(),
            is_error: false,
            reply_required: true,
        },
        created_at: Instant::ZERO,
    }
}

fn read(request: &ChatRequest) -> Vec<&str> {
    let items = request.items.iter();
    items
        .map(|item| match item {
            Item::Message(message) => message.text.as_str(),
            Item::FunctionCall { call, .. } => &call.call_id,
            Item::FunctionCallOutput { output, .. } => &output.output,
            other => panic!("not for models: {other:?}"),
        })
        .collect()
}

#[test]
fn the_next_request_has_the_new_instructions_and_the_one_that_is_under_way_the_old() {
    let mut call = Call::new();
    call.tell(Input::UserText("Hello?".into()));
    call.command(Command::UpdateInstructions {
        instructions: "Be brief.".into(),
    });
    assert_eq!(&*call.request().instructions, "Be kind.");
    assert_eq!(call.asked.len(), 1, "it is not asked again");
    call.calls("call_1");
    call.finished("call_1");
    assert_eq!(&*call.request().instructions, "Be brief.");
}

#[test]
fn what_an_agent_is_given_to_know_has_no_call_without_its_result_nor_the_other_way_round() {
    let mut call = Call::new();
    call.tell(Input::UserText("I am Ann.".into()));
    call.calls("call_1");
    call.finished("call_1");
    call.command(Command::Interrupt { force: true });
    call.knows(vec![
        words(Role::User, "I am Bob."),
        self::call("call_2"),
        result("call_2"),
        self::call("unanswered"),
        result("uncalled"),
    ]);
    call.tell(Input::UserText("Search.".into()));
    let known = ["I am Bob.", "call_2", "found before", "Search."];
    assert_eq!(read(call.request()), known);
    call.calls("call_2");
    call.finished("call_2_2");
    let again = ["call_2_2", "found"];
    assert_eq!(read(call.request()), [&known[..], &again].concat());
}

#[test]
fn what_is_under_way_is_known_once_and_in_its_place() {
    let mut call = Call::new();
    call.tell(Input::UserText("Search.".into()));
    call.calls("call_1");
    let mut known = call.dialogue.context();
    known.insert(0, words(Role::System, "It is Sunday."));
    call.knows(known.clone());
    assert!(known.len() > 2, "the call is there, its result is not");
    call.finished("call_1");
    let expected = ["It is Sunday.", "Search.", "call_1", "found"];
    assert_eq!(read(call.request()), expected);
}

#[test]
fn what_is_answered_is_known_although_a_greeting_stands_between() {
    let mut call = Call {
        dialogue: Dialogue::new(
            Options {
                greeting: Some("Hello.".into()),
                ..Options::default()
            },
            "Be kind.",
        ),
        now: Instant::ZERO,
        asked: Vec::new(),
        errors: Vec::new(),
    };
    call.tell(Input::UserText("Search.".into()));
    call.tell(Input::Started);
    let (id, duration) = (SegmentId(1), Duration::from_millis(100));
    for input in [
        Input::Tts {
            id,
            event: Tts::FirstAudio,
        },
        Input::Tts {
            id,
            event: Tts::Finished { duration },
        },
        Input::Playout(Playout::Started { id }),
        Input::Playout(Playout::Finished {
            id,
            played: duration,
        }),
    ] {
        call.tell(input);
    }
    assert_eq!(read(call.request()), ["Search.", "Hello."]);
    call.calls("call_1");
    call.knows(vec![words(Role::System, "It is Sunday.")]);
    call.finished("call_1");
    let expected = ["It is Sunday.", "Search.", "Hello.", "call_1", "found"];
    assert_eq!(read(call.request()), expected);
}

#[test]
fn a_task_that_is_over_leaves_what_the_agent_was_given_to_know() {
    let mut call = Call::new();
    call.knows(vec![words(Role::User, "I am Bob.")]);
    let spec = |keep_history| {
        Box::new(antiphon_dialogue::agents::AgentSpec {
            key: antiphon_dialogue::ids::AgentKey(1),
            name: "other".into(),
            instructions: "Be another.".into(),
            options: Options::default(),
            overrides: antiphon_dialogue::OptionsPatch::default(),
            keep_history,
        })
    };
    for (keep_history, known) in [(true, vec!["I am Bob.", "Hello?"]), (false, vec!["Hello?"])] {
        let mut other = Call {
            dialogue: call.dialogue.clone(),
            now: call.now,
            asked: Vec::new(),
            errors: Vec::new(),
        };
        other.command(Command::UpdateAgent {
            agent: spec(keep_history),
        });
        other.tell(Input::UserText("Hello?".into()));
        assert_eq!(read(other.request()), known);
    }
    call.tell(Input::UserText("Ask.".into()));
    call.calls("call_1");
    let task = antiphon_dialogue::ids::TaskId(1);
    call.command(Command::StartTask {
        task,
        call_id: "call_1".into(),
        agent: spec(false),
    });
    call.tell(Input::UserText("Main Street".into()));
    assert_eq!(read(call.request()), ["Main Street"]);
    call.command(Command::EndTask {
        task,
        completed: true,
    });
    call.command(Command::Interrupt { force: true });
    call.finished("call_1");
    call.tell(Input::UserText("And?".into()));
    let known = read(call.request());
    assert_eq!(known.first(), Some(&"I am Bob."), "{known:?}");
}

#[test]
fn what_is_too_long_is_refused_or_left_out() {
    let mut call = Call::new();
    call.command(Command::UpdateInstructions {
        instructions: "x".repeat(MAX_INSTRUCTIONS_BYTES + 1).into(),
    });
    let tools = |names: Vec<String>| Command::UpdateTools {
        tools: BTreeMap::from_iter(names.into_iter().map(|n| (n, ToolOptions::default()))),
    };
    call.command(tools(
        (0..=MAX_TOOLS).map(|n| format!("tool_{n}")).collect(),
    ));
    call.command(tools(vec!["x".repeat(MAX_TOOL_NAME_BYTES + 1)]));
    call.command(tools(vec![String::new()]));
    assert_eq!(call.errors.len(), 4, "{:?}", call.errors);
    assert_eq!(call.dialogue.history().len(), 1, "nothing has changed");
    let many = 0..2 * MAX_BROUGHT_ITEMS;
    call.knows(many.map(|n| words(Role::User, &n.to_string())).collect());
    call.tell(Input::UserText("Hello?".into()));
    let known = read(call.request());
    assert_eq!(known.len(), MAX_BROUGHT_ITEMS + 1);
    assert_eq!(known.first(), Some(&"1000"));
    assert_eq!(&*call.request().instructions, "Be kind.");
}

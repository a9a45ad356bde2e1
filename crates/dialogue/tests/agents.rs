//! What stays when another agent speaks: what tools have found, and what the session has changed.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use antiphon_chat::time::Duration;
use antiphon_chat::{ChatRequest, Item, ToolCall, ToolOutput};
use antiphon_dialogue::agents::AgentSpec;
use antiphon_dialogue::ids::{AgentKey, GenerationId, SegmentId, TaskId};
use antiphon_dialogue::input::{Command, Input, Llm, ToolValue, Tts};
use antiphon_dialogue::{Action, Dialogue, Instant, Options, OptionsPatch};

/// A session that is told things, and what it asked for last.
struct Call {
    dialogue: Dialogue,
    now: Instant,
    asked: Vec<(GenerationId, ChatRequest)>,
    voice: Vec<SegmentId>,
    switched: Vec<AgentKey>,
}

impl Call {
    fn new(options: Options) -> Self {
        let mut call = Self {
            dialogue: Dialogue::new(options, "Be brief."),
            now: Instant::ZERO,
            asked: Vec::new(),
            voice: Vec::new(),
            switched: Vec::new(),
        };
        call.tell(Input::Started);
        call
    }

    /// Nobody is told that there was trouble.
    fn quiet() -> Self {
        Self::new(Options {
            trouble_message: String::new(),
            ..Options::default()
        })
    }

    fn tell(&mut self, input: Input) {
        self.now = self.now + Duration::from_millis(10);
        self.dialogue.handle(self.now, input);
        while let Some(action) = self.dialogue.poll() {
            match action {
                Action::StartLlm { id, request } => self.asked.push((id, request)),
                Action::Synthesize { id, .. } => self.voice.push(id),
                Action::SwitchAgent { key, .. } => self.switched.push(key),
                _ => {}
            }
        }
    }

    fn order(&mut self, command: Command) {
        self.tell(Input::Command(command));
    }

    /// The newest request is answered.
    fn answer(&mut self, event: Llm) {
        let id = self.asked.last().unwrap().0;
        self.tell(Input::Llm { id, event });
    }

    fn calls(&mut self, names: &[&str]) {
        for name in names {
            self.answer(Llm::ToolCall(ToolCall {
                call_id: (*name).into(),
                name: (*name).into(),
                arguments: "{}".into(),
            }));
        }
        self.answer(Llm::Finished { usage: None });
    }

    fn updates(&mut self, call_id: &str, message: &str) {
        let (call_id, message) = (call_id.into(), message.into());
        self.tell(Input::ToolUpdated { call_id, message });
    }

    fn gives(&mut self, call_id: &str, output: &str) {
        let (output, reply) = (output.into(), true);
        let (call_id, result) = (call_id.into(), Ok(ToolValue { output, reply }));
        self.tell(Input::ToolFinished { call_id, result });
    }

    fn hands_off(&mut self, call_id: &str, key: u32) {
        let (call_id, agent) = (call_id.into(), agent(key));
        self.order(Command::HandOff { call_id, agent });
    }

    /// A search runs in the background, and the agent asks somebody for an address.
    fn search_and_ask(&mut self) {
        self.tell(Input::UserText("Search, and send it.".into()));
        self.calls(&["search"]);
        self.updates("search", "started");
        self.calls(&["address"]);
    }

    fn begins(&mut self, task: TaskId, agent: Box<AgentSpec>) {
        let call_id = "address".into();
        self.order(Command::StartTask {
            task,
            call_id,
            agent,
        });
    }

    fn outputs(&self) -> Vec<&ToolOutput> {
        outputs(self.dialogue.history())
    }
}

fn agent(key: u32) -> Box<AgentSpec> {
    Box::new(AgentSpec {
        key: AgentKey(key),
        name: format!("agent {key}"),
        instructions: "Be brief.".into(),
        options: Options {
            trouble_message: String::new(),
            ..Options::default()
        },
        overrides: OptionsPatch::default(),
        keep_history: false,
    })
}

fn outputs(items: &[Item]) -> Vec<&ToolOutput> {
    let outputs = items.iter().filter_map(|item| match item {
        Item::FunctionCallOutput { output, .. } => Some(output),
        _ => None,
    });
    outputs.collect()
}

/// How often somebody knows it.
fn times(items: &[Item], output: &str) -> usize {
    let outputs = outputs(items);
    outputs
        .iter()
        .filter(|known| known.output == output)
        .count()
}

fn min(delay: Duration) -> OptionsPatch {
    OptionsPatch {
        min_endpointing_delay: Some(Some(delay)),
        ..OptionsPatch::default()
    }
}

const SECOND: Duration = Duration::from_secs(1);
const TASK: TaskId = TaskId(1);

#[test]
fn who_asked_for_a_task_knows_what_its_own_tool_found_meanwhile() {
    let mut call = Call::quiet();
    call.search_and_ask();
    call.begins(TASK, agent(1));
    call.gives("search", "3 tables");
    let (_, request) = call.asked.last().unwrap();
    assert_eq!(times(&request.items, "3 tables"), 1, "the clerk tells it");
    // it has nothing to say about it
    call.answer(Llm::Finished { usage: None });
    call.order(Command::EndTask {
        task: TASK,
        completed: true,
    });
    call.gives("address", "Main Street");
    assert_eq!(call.switched, [AgentKey(1), AgentKey(0)]);
    let (_, request) = call.asked.last().unwrap();
    assert_eq!(times(&request.items, "Main Street"), 1);
    assert_eq!(times(&request.items, "3 tables"), 1);
}

/// The driver comes late: the words that a task waits for are given up, and a tool's time is over, in one step.
#[test]
fn a_tool_whose_time_is_over_ends_before_a_task_stops_its_clock() {
    let mut call = Call::quiet();
    call.tell(Input::UserText("Search, and send it.".into()));
    call.answer(Llm::Text("One moment, please.".into()));
    call.calls(&["slow", "address"]);
    call.begins(TASK, agent(1));
    call.now = call.now + 60 * SECOND;
    call.tell(Input::Time);
    let ended = |name: &str| call.outputs().iter().any(|output| output.call_id == name);
    assert!(ended("slow") && ended("address"), "{:?}", call.outputs());
}

#[test]
fn what_a_tasks_own_tools_found_is_not_its_parents_business() {
    let mut call = Call::quiet();
    call.search_and_ask();
    call.begins(TASK, agent(1));
    call.tell(Input::UserText("Main Street.".into()));
    call.calls(&["note"]);
    call.gives("search", "3 tables");
    call.gives("note", "noted");
    // neither about the note nor about the tables has it anything to say
    call.answer(Llm::Finished { usage: None });
    call.answer(Llm::Finished { usage: None });
    call.order(Command::EndTask {
        task: TASK,
        completed: true,
    });
    assert_eq!(call.switched, [AgentKey(1), AgentKey(0)]);
    let known = call.dialogue.context();
    assert_eq!(times(&known, "3 tables"), 1);
    assert_eq!(times(&known, "noted"), 0);
}

#[test]
fn what_nobody_was_told_during_a_task_is_known_once_after_it() {
    let mut call = Call::quiet();
    call.tell(Input::UserText("Search, and send it.".into()));
    call.calls(&["search"]);
    call.updates("search", "started");
    call.gives("search", "3 tables");
    call.calls(&["address"]);
    let mut clerk = agent(1);
    clerk.options.greeting = Some("What is your street?".into());
    call.begins(TASK, clerk);
    let known = call.dialogue.context();
    assert_eq!(times(&known, "3 tables"), 1, "the clerk may tell it");
    call.order(Command::EndTask {
        task: TASK,
        completed: true,
    });
    for _ in 0..2 {
        // it is tried twice
        let (id, event) = (*call.voice.last().unwrap(), Tts::Failed("no voice".into()));
        call.tell(Input::Tts { id, event });
    }
    call.now = call.now + SECOND;
    call.tell(Input::Time);
    assert_eq!(call.switched, [AgentKey(1), AgentKey(0)]);
    let known = call.dialogue.context();
    assert_eq!(times(&known, "3 tables"), 1);
}

#[test]
fn who_is_told_what_was_said_before_still_knows_what_nobody_was_told() {
    let mut call = Call::quiet();
    call.search_and_ask();
    call.gives("search", "3 tables");
    call.order(Command::UpdateChatCtx { items: Vec::new() });
    call.gives("address", "Main Street");
    call.answer(Llm::Finished { usage: None });
    let (_, request) = call.asked.last().unwrap();
    assert!(request.reply_instructions.is_some(), "it is to be told");
    assert_eq!(times(&request.items, "3 tables"), 1);
}

#[test]
fn of_three_agents_in_one_answer_none_takes_over_and_every_tool_says_so() {
    let mut call = Call::quiet();
    call.tell(Input::UserText("Somebody else please.".into()));
    let tools = ["a", "b", "c"];
    call.calls(&tools);
    for (tool, key) in tools.iter().zip(1..) {
        call.hands_off(tool, key);
    }
    for tool in tools {
        call.gives(tool, "You are put through.");
    }
    let outputs = call.outputs();
    assert_eq!(outputs.len(), 3);
    assert!(outputs.iter().all(|output| output.is_error));
    // the model is told, and may try again with one of them
    call.calls(&["d"]);
    call.hands_off("d", 4);
    let (output, reply) = (String::new(), false);
    call.tell(Input::ToolFinished {
        call_id: "d".into(),
        result: Ok(ToolValue { output, reply }),
    });
    assert_eq!(call.switched, [AgentKey(4)]);
}

#[test]
fn what_the_session_has_changed_counts_for_every_agent_but_against_its_own_wishes() {
    let mut call = Call::quiet();
    call.order(Command::UpdateOptions(Box::new(min(SECOND))));
    let now = |call: &Call| call.dialogue.options().min_endpointing_delay;
    call.order(Command::UpdateAgent { agent: agent(1) });
    assert_eq!(now(&call), Some(SECOND));
    let mut patient = agent(2);
    patient.overrides = min(SECOND * 2);
    call.order(Command::UpdateAgent { agent: patient });
    assert_eq!(now(&call), Some(SECOND * 2));
    call.order(Command::UpdateOptions(Box::new(OptionsPatch {
        min_interruption_words: Some(2),
        ..OptionsPatch::default()
    })));
    call.order(Command::UpdateAgent { agent: agent(3) });
    assert_eq!(now(&call), Some(SECOND));
    assert_eq!(call.dialogue.options().min_interruption_words, 2);
}

#[test]
fn what_is_changed_during_a_task_is_changed_after_it() {
    let mut call = Call::quiet();
    call.search_and_ask();
    call.begins(TASK, agent(1));
    call.order(Command::UpdateOptions(Box::new(min(SECOND))));
    call.order(Command::EndTask {
        task: TASK,
        completed: true,
    });
    assert_eq!(call.switched, [AgentKey(1), AgentKey(0)]);
    assert_eq!(call.dialogue.options().min_endpointing_delay, Some(SECOND));
}

#[test]
fn an_agent_that_the_sessions_changes_contradict_speaks_with_its_own_options() {
    let mut call = Call::quiet();
    call.order(Command::UpdateOptions(Box::new(min(SECOND * 2))));
    let mut hasty = agent(1);
    hasty.options.max_endpointing_delay = Some(SECOND);
    hasty.options.greeting = Some("Quick!".into());
    call.order(Command::UpdateAgent { agent: hasty });
    let options = call.dialogue.options();
    assert_eq!(options.min_endpointing_delay, None);
    assert_eq!(options.max_endpointing_delay, Some(SECOND));
    assert_eq!(options.greeting.as_deref(), Some("Quick!"));
    assert!(call.dialogue.check_update(&min(SECOND / 2)).is_ok());
}

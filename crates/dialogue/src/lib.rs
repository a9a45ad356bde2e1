//! Whose turn is it? The whole of turn-taking as one state machine without I/O, clocks, tasks or randomness.
//!
//! ```text
//! dialogue.handle(now, input);                 // VAD, STT, LLM, TTS, tool, playout, text, command, time
//! while let Some(action) = dialogue.poll() {}  // start or cancel LLM, synthesize, play, pause, clear, run tool, emit
//! let wake = dialogue.deadline();              // the next instant at which it wants to be asked again
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`ids`] | names of turns, speeches, generations, segments |
//! | [`input`] | everything the machine is told |
//! | [`agents`] | who speaks: handoffs and tasks |
//! | [`action`] | everything it asks for |
//! | [`event`] | everything it reports to users: states, transcripts, metrics |
//! | [`metrics`] | what is measured, under LiveKit's names |
//! | [`machine`] | [`Dialogue`] itself |
//! | [`options`] | LiveKit's options with LiveKit's defaults |
//! | [`update`] | an agent's instructions, tools and knowledge, changed while it speaks |
//! | [`patch`] | changes to them: per agent, and while a session runs |
//! | [`limits`] | the limit of everything that grows from outside |
//!
//! Inside, one file for each question:
//!
//! | file | what |
//! |---|---|
//! | `speeches`, `floor` | **all speeches of the agent, each with its spot, and who has the floor**: the state of the agent |
//! | `caller` | **the caller's side**, which knows nothing of the agent's: sound, words, the end of a turn, verdicts on words |
//! | `user` | what the caller's side is told, and what follows from its answers |
//! | `questions` | what the agent has asked, and where words stand that left the floor to it |
//! | `tasks` | agents that take over, and tasks that have the floor for a while |
//! | `layers`, `settings` | options that change while the session runs |
//! | `commit`, `completion` | the turn enters the history; the agent's hook that may see it before |
//! | `reply`, `speculation` | from a turn to a request to words, also before the turn is committed |
//! | `speech` | one utterance of the agent: its steps, and its mouth |
//! | `mind` | one step: a request to the model, its answer, the calls that it wants |
//! | `mouth` | words to TTS to playout, a few pieces ahead, and the ledger of what was heard |
//! | `voice` | the stage and the mouth of the speech that has the floor |
//! | `pending` | a question to somebody outside, with an id and a limit |
//! | `decide` | **who has the floor, who makes a sound, what follows**: the two tables of the stage |
//! | `bargein` | how it is held, goes on, or gives way; the one end of a speech |
//! | `queue`, `parked` | who has the floor next; what may be stopped, and what is refused |
//! | `hands` | tool calls, each with its one result; equal calls; reports; when a filler is due |
//! | `tools` | the stage and the hands: calls are started, and what tools tell is told |
//! | `executed` | all tool calls of an answer have their results; the agent's hook that may cancel what follows |
//! | `filler` | what is said while a tool is slow |
//! | `timers` | everything that has a time: when it is due, and what happens then |
//! | `trouble` | providers that fail; the end of the session |
//! | `meter` | measures providers by what goes in and out |
//! | `summary` | what stands for the beginning of a long history |
//! | `history` | order, placeholders, requests |

mod bargein;
mod caller;
mod commit;
mod completion;
mod core;
mod decide;
mod filler;
mod floor;
mod hands;
mod history;
#[cfg(debug_assertions)]
mod inside;
mod layers;
mod meter;
mod mind;
mod mouth;
mod parked;
mod pending;
mod questions;
mod queue;
mod reply;
mod settings;
mod speculation;
mod speech;
mod speeches;
mod summary;
mod tasks;
mod timers;
mod tools;
mod trouble;
mod user;
mod voice;

pub mod action;
pub mod agents;
pub mod event;
mod executed;
pub mod ids;
pub mod input;
pub mod limits;
pub mod machine;
pub mod metrics;
pub mod options;
pub mod patch;
pub mod update;

pub use action::{Action, NotInterrupted, Switch};
pub use antiphon_chat::time::Instant;
pub use event::Event;
pub use input::Input;
pub use machine::Dialogue;
pub use options::Options;
pub use patch::OptionsPatch;
pub use summary::INSTRUCTIONS as SUMMARY_INSTRUCTIONS;

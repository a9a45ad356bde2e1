//! Scenarios: one readable text file that says who speaks when, what each provider answers and when, and what must be
//! seen. Run in virtual time: a conversation of minutes takes milliseconds.
//!
//! ```text
//! title A table for two                # what it shows
//! agent ../antiphon.toml               # whose options, greeting and tools (`antiphon simulate`); none: the defaults
//! option user_away_timeout 3s          # any option of the dialogue: 500ms, 2s, true, 3, "text", none
//! llm "Sure, for how many?" after 100ms lasting 300ms
//! llm "One moment." call book {"n":2}  # also: fails, hangs, empty
//! tts after 200ms lasting 2s           # the next segment; also: fails, hangs. Without: 0.2 s, 15 characters a second
//! tool book after 2s gives "done"      # also: silently "done" (no reply wanted), fails "why", hangs
//! tool search updates "Half done." at 2s after 9s gives "5 found"    # tells meanwhile how far it is
//! tool transfer hands-to Billing "Billing, hello." gives ""    # another agent takes over, with this greeting
//! tool address asks Clerk "Your street?" gives "ok"           # a task: its result comes when that agent has ended it
//! tool finish completes silently "done"                        # with a tool of its own
//! knowledge "Open until ten." after 20ms   # the next search; also: nothing, hangs
//! detector 0.2 after 50ms              # the turn detector's next answer; also: hangs. Without: 1, compared with 0.5
//! hook adds "They are a regular." after 50ms    # the hook's next answer (option on_user_turn_completed true); also:
//!                                      # changes "other words", stops, hangs. Without: nothing changed, after 50 ms
//! tools-hook cancels-reply             # the next answer of the hook that sees what tools gave (option
//!                                      # on_function_tools_executed true); also: cancels-handoff, hangs, after 50ms
//! stt +200ms                           # finals come this long after the end of speech
//! 0.5-2.5 says "A table for two"       # voice activity and transcript; `noise` for a sound without words. At the end:
//!                                      # +300ms until the final transcript, `interims`: word by word before that,
//!                                      # `muted`: the microphone is switched off then
//! at 5 type "hello"                    # also: start, say, say-firmly, generate, instruct, interrupt, force-interrupt,
//!                                      # commit, commit silently, clear, close, drain, interim, preflight, final,
//!                                      # stt-starts, stt-ends, stt-fails, language
//! at 6 set min_interruption_words 2    # the session's options change; `override`: those of the present agent
//! at 5 instructions "Be brief."        # the present agent is told otherwise
//! at 5 tools book search               # all its tools from here on; none after the word: it has none
//! at 5 chat-ctx user "I am Ann." agent "Hello Ann."    # what it knows instead of what was said before
//! at 5 say "One moment." high as 1     # low, high: its priority; as: its number, for interrupt-speech 1 and
//!                                      # forbid-interruptions 1, and in the timeline: done speech_p1
//! at 5 instruct "Say goodbye." without-tools   # also: with TOOL, low, high, as
//! at 6 input {"user_text":"hello"}     # any input of the dialogue as JSON
//! recorded until 12.5                  # before that nothing reaches the machine but the `at` lines
//! end 20
//! expect 3.0 agent thinking            # a line of the timeline contains this, at this time (50 ms)
//! expect 3-4.5 agent speaking          # or within this span, or (without a time) at any time
//! once llm asked                       # exactly one line contains this
//! never interrupted
//! states listening thinking speaking listening
//! history                              # exactly this
//!   handoff agent                      # who the session begins with; may be left out. Others must stand here
//!   user "A table for two"
//!   agent "Sure, for how many?"        # `agent*`: interrupted; call NAME ARGS; result "TEXT"; error "TEXT";
//!                                      # handoff NAME; config "INSTRUCTIONS" +TOOL -TOOL
//! ```

mod cast;
mod check;
mod expect;
mod explore;
mod inputs;
pub mod invariants;
mod lanes;
mod options;
mod parse;
mod replay;
mod show;
mod simulate;
mod tools;
mod words;
mod write;

use std::sync::Arc;

pub use cast::{Hearing, Line, Outcome, Reply, Speech, Voice};
pub use explore::{Explored, Failure, explore, lives};
pub use lanes::{Ended, Lane, Lanes, Span};
pub use parse::{MAX_SCENARIO_BYTES, ParseError, Scenario};
pub use replay::{Divergence, Replayed, replay, replay_with};
pub(crate) use show::action as show_action;
pub use simulate::Simulation;
pub use write::from_inputs;

use antiphon_dialogue::options::Options;

/// Runs a scenario to its end and compares; an agent without any settings.
pub fn run(scenario: &Scenario) -> Outcome {
    run_agent(scenario, &Options::default(), "You are a test.".into())
}

/// The same for an agent with these options, which the scenario's own `option` lines change, and these instructions.
pub fn run_agent(scenario: &Scenario, options: &Options, instructions: Arc<str>) -> Outcome {
    check::run(scenario, options, instructions)
}

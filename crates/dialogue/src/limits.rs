//! Every limit on what grows from outside: its value, its reason, what happens beyond it.

use antiphon_chat::time::Duration;

/// Bytes of one user turn: about 20 minutes of speech. Later words are dropped.
pub const MAX_TURN_BYTES: usize = 16 * 1024;
/// Bytes of one LLM reply: about half an hour of speech. The request is cancelled and the reply ends there.
pub const MAX_REPLY_BYTES: usize = 32 * 1024;
/// Bytes of a tool's output, arguments or name, or of an error text. The rest is cut off.
pub const MAX_VALUE_BYTES: usize = 64 * 1024;
/// Calls in one step. More than a model asks for in earnest; further ones are dropped and reported.
pub const MAX_CALLS_PER_STEP: usize = 16;
/// Running tool calls of the session, detached ones included. Further ones fail at once, and the model reads why.
pub const MAX_RUNNING_TOOLS: usize = 64;
/// Calls that were stopped before their result and keep their idempotency key for another attempt. A repeated call older than these gets a new key.
pub const MAX_DOUBTFUL_CALLS: usize = 32;
/// Progress updates of one call. Later ones are dropped and reported: each is kept in the history and read by the model.
pub const MAX_UPDATES_PER_CALL: u32 = 64;
/// What tools have told and nobody has been told yet, by name. The event omits further names; the model
/// reads all of it in the history.
pub const MAX_UNTOLD: usize = 256;
/// Speeches waiting for their time. Further ones are refused and reported.
pub const MAX_QUEUED_SPEECHES: usize = 32;
/// Tasks inside tasks: more is an agent that asks itself. Deeper ones wait.
pub const MAX_TASK_DEPTH: usize = 8;
/// Tasks that wait for their turn. Further ones end at once without a result.
pub const MAX_WAITING_TASKS: usize = 16;
/// Speeches that wait for a tool while another one is heard: a tool that has the model say something that calls a tool, and
/// so on. Beyond it the next one waits until the tools have answered.
pub const MAX_PARKED_SPEECHES: usize = 4;
/// Items of the history: hours of talk. The oldest go first, calls together with their results.
pub const MAX_HISTORY_ITEMS: usize = 2000;
/// Bytes of the conversation in one request to a model: some 32,000 tokens, two hours of talk. Of a longer one the beginning is
/// left out, so that a very long call does not end in requests that no model takes. The present turn is always part of it.
pub const MAX_REQUEST_BYTES: usize = 128 * 1024;
/// So much is left out at once: what a provider has cached of a request stays the same for a while.
pub const REQUEST_STEP_BYTES: usize = MAX_REQUEST_BYTES / 4;
/// Items of a history that was brought along, or that an agent is given to know. Half of what may be, so that there is room
/// for the session itself; of a longer one the beginning is left out.
pub const MAX_BROUGHT_ITEMS: usize = MAX_HISTORY_ITEMS / 2;
/// Bytes of instructions that an agent is given while the session runs: some 16,000 tokens, read again with every request.
/// Longer ones are refused.
pub const MAX_INSTRUCTIONS_BYTES: usize = 64 * 1024;
/// Tools that an agent is given while the session runs: OpenAI takes no more. More are refused.
pub const MAX_TOOLS: usize = 128;
/// Bytes of a tool's name that providers accept. Longer ones are refused.
pub const MAX_TOOL_NAME_BYTES: usize = 64;
/// Bytes of the conversation that one summary is made of: some 12,000 tokens, what small models can read. What comes after
/// waits for the next summary.
pub const MAX_SUMMARY_INPUT_BYTES: usize = 48 * 1024;
/// Bytes of a summary. The rest is cut off.
pub const MAX_SUMMARY_BYTES: usize = 4 * 1024;
/// Fewer items are not worth a summary, and after a failed summary this many new items must come before the next attempt.
pub const MIN_SUMMARY_ITEMS: usize = 8;
/// Names of calls that a summary stands for. An older name can be given again.
pub const MAX_RETIRED_CALLS: usize = 512;
/// Turns of the caller that wait for the agent's hook. The oldest enters the history without it.
pub const MAX_COMPLETING_TURNS: usize = 4;
/// Messages that a hook adds to one request. Further ones are left out and reported.
pub const MAX_TURN_MESSAGES: usize = 32;
/// Turns of the caller that a retrieval is told beside its question: what it refers to was said just before. Older ones are left out.
pub const MAX_TURNS_OF_RETRIEVAL: usize = 2;
/// Characters of each of them; the rest is left out.
pub const MAX_RETRIEVAL_CHARS: usize = 500;
/// Passages of one retrieval. The worst go.
pub const MAX_PASSAGES: usize = 20;
/// Words with timings of one segment. Later ones are dropped: the cut is then estimated.
pub const MAX_TIMED_WORDS: usize = 2000;
/// Segments asked of TTS and not played to their end: one that plays and two that follow.
pub const MAX_SEGMENTS_AHEAD: usize = 3;
/// Length of one segment's audio: a text of 400 characters takes a quarter of it. A TTS that claims more is not believed,
/// because so long is waited for a playout that does not report.
pub const MAX_SEGMENT_DURATION: Duration = Duration::from_secs(120);
/// Steps of one speech, whatever `max_tool_steps` says.
pub const MAX_STEPS: usize = 32;

/// Speech without any further sign of it ends after this, should the VAD's or recogniser's end be lost (the caller
/// muted, packets stopped).
pub const SPEECH_SIGN_TIMEOUT: Duration = Duration::from_millis(2000);
/// Longest wait of a commit for final words, whatever the program asks for. Nobody listens to silence for longer.
pub const MAX_COMMIT_WAIT: Duration = Duration::from_secs(60);
/// Longest wait of a session's end for the caller's last words, whatever the option says: the driver gives up after 3 s.
pub const MAX_CLOSE_TRANSCRIPT_WAIT: Duration = Duration::from_millis(2500);
/// A filler whose voice makes no progress for this long is given up when something else can be said: a pause that a listener
/// takes for the end of a sentence.
pub const FILLER_PATIENCE: Duration = Duration::from_millis(500);
/// Longest wait for the report of what was heard after `ClearPlayout`; then the last reports count.
pub const CLEAR_REPORT_TIMEOUT: Duration = Duration::from_millis(300);
/// A final for words that were committed without one is late by no more than this, where no VAD says that nobody spoke: the
/// same words after it are said again. Recognisers take a few hundred milliseconds, and 5 s on a connection that stalls.
pub const MAX_LATE_FINAL: Duration = Duration::from_secs(5);
/// A second final for the same sound comes within this of the first; the same words after it are said again.
pub const MAX_SECOND_FINAL: Duration = Duration::from_secs(2);
/// How many of a final's last words are compared with the beginning of the next: a long sentence.
pub const MAX_OVERLAP_WORDS: usize = 64;
/// An empty final after an interim of at least this many words has lost them: recognisers take a cough for a word or two, not
/// for a sentence. With fewer words, the voice must have lasted long enough to say them.
pub const MIN_LOST_WORDS: usize = 3;
/// Fewer words are no proof of an echo: caller and agent say "hello" at the same time.
pub const MIN_ECHO_WORDS: usize = 2;
/// Silence at which the turn detector is asked and an interim counts as stable (LiveKit's 0.2 s).
pub const STABLE_SILENCE: Duration = Duration::from_millis(200);
/// Silence in which a detector of sound and words that thinks the caller goes on is asked once more, and words are made final whatever it
/// says: as long as silence alone would have waited. Silence is evidence, too, and the first answer heard next to none of it.
pub const SECOND_QUESTION: Duration = Duration::from_millis(500);
/// From the request to the end of a model's thoughts, while it shows that it is alive. Reasoning models take minutes for hard
/// questions; after this nobody waits on the telephone.
pub const MAX_THINKING: Duration = Duration::from_secs(180);
/// A summary that takes longer is given up. Nobody waits for it.
pub const SUMMARY_TIMEOUT: Duration = Duration::from_secs(60);
/// A drain that takes longer is cut.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

/// Cuts a text from outside at a character boundary.
pub(crate) fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let end = (0..=limit)
            .rev()
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or(0);
        text.truncate(end);
        // the rest of a megabyte would be kept beside the kilobytes that count
        text.shrink_to_fit();
    }
    text
}

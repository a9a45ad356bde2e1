//! The console with a WAV file for a caller: spoken in real time, the call written to a stereo WAV.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use antiphon_agent::{Agent, AgentSession, AudioOutput, SessionIo};
use antiphon_audio::{Frame16k, Frame24k, resample, wav};
use antiphon_dialogue::Event;
use antiphon_dialogue::event::{AgentState, CloseReason};
use anyhow::Context as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::super::{print_line, print_note};

/// One packet's worth of sound.
const TICK: Duration = Duration::from_millis(20);
/// The caller stays silent so long after the last word, so that the end of speech is heard.
const SILENCE_AFTER: Duration = Duration::from_secs(2);
/// No answer after this long: give up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The caller's speech.
///
/// # Errors
/// The file cannot be read or is not WAV.
pub(super) fn read(path: &Path) -> anyhow::Result<Frame16k> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    wav::read(&bytes).with_context(|| format!("{} cannot be used", path.display()))
}

/// Speak it to the agent and write the call to `output`.
pub(super) async fn run(agent: Agent, speech: Frame16k, output: PathBuf) -> anyhow::Result<()> {
    anyhow::ensure!(
        agent.can_hear(),
        "nobody would hear the file: no speech recognition is available (antiphon doctor)"
    );
    let recording = Arc::new(Recording::default());
    let (audio, audio_in) = mpsc::channel(SessionIo::AUDIO_IN_LIMIT);
    let io = SessionIo {
        audio_in,
        audio_out: Box::new(Ear(recording.clone())),
    };
    let session = AgentSession::start(agent, io);
    let mut events = session.events();
    session.started()?;
    let clock = tokio::spawn(run_clock(speech.clone(), audio, recording.clone()));
    let mut progress = super::Progress::default();
    let deadline = Instant::now() + speech.duration() + ANSWER_TIMEOUT;
    let mut answered = false;
    while let Ok(Some((_, event))) = timeout_at(deadline, events.recv()).await {
        if let Event::UserInputTranscribed {
            transcript,
            is_final: true,
            ..
        } = &event
        {
            print_line(&format!("you:   {transcript}"));
        }
        progress.show(&event);
        answered |= matches!(&event, Event::UserInputTranscribed { is_final: true, .. });
        let silent = matches!(
            &event,
            Event::AgentStateChanged {
                old_state: AgentState::Speaking,
                new_state: AgentState::Listening
            }
        );
        if silent && !recording.is_listening() {
            recording.listen();
        } else if silent && answered && recording.is_spoken() {
            break;
        }
    }
    clock.abort();
    session.close(CloseReason::UserInitiated);
    session.closed().await;
    let bytes = recording.wav()?;
    std::fs::write(&output, bytes).with_context(|| format!("cannot write {}", output.display()))?;
    print_line(&format!(
        "the call was written to {} (left: the caller, right: the agent)",
        output.display()
    ));
    if !answered {
        print_note(
            "nothing was understood; is it speech, in US English when PocketSphinx listens?",
        );
    }
    Ok(())
}

/// Both voices on one time axis.
#[derive(Debug, Default)]
struct Recording {
    state: Mutex<Tape>,
}

#[derive(Debug, Default)]
struct Tape {
    caller: Vec<i16>,
    agent: Vec<i16>,
    /// The greeting is over (or there was none): the caller may speak.
    listening: bool,
    spoken: bool,
}

impl Recording {
    fn tape(&self) -> std::sync::MutexGuard<'_, Tape> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self) {
        self.tape().listening = true;
    }

    fn is_listening(&self) -> bool {
        self.tape().listening
    }

    fn is_spoken(&self) -> bool {
        self.tape().spoken
    }

    fn wav(&self) -> anyhow::Result<Vec<u8>> {
        let mut tape = self.tape();
        let length = tape.caller.len().max(tape.agent.len());
        tape.caller.resize(length, 0);
        tape.agent.resize(length, 0);
        Ok(wav::write_stereo(
            &Frame24k::new(tape.caller.clone()),
            &Frame24k::new(tape.agent.clone()),
        )?)
    }
}

/// Hears the agent.
struct Ear(Arc<Recording>);

impl AudioOutput for Ear {
    fn play(&mut self, frame: &Frame24k) {
        let mut tape = self.0.tape();
        let now = tape.caller.len();
        if tape.agent.len() < now {
            tape.agent.resize(now, 0);
        }
        tape.agent.extend_from_slice(frame.samples());
    }
}

/// Real time: 20 ms of the caller at a time, silence while the agent greets and after the last word.
async fn run_clock(speech: Frame16k, audio: mpsc::Sender<Frame16k>, recording: Arc<Recording>) {
    let Ok(heard) = resample::resample::<24_000>(speech.samples(), Frame16k::RATE_HZ) else {
        return;
    };
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let silence = usize::try_from(SILENCE_AFTER.as_millis() / TICK.as_millis()).unwrap_or(0);
    let (mut words, mut recorded) = (
        speech.samples().chunks(Frame16k::SAMPLES_20_MS),
        heard.samples().chunks(Frame24k::SAMPLES_20_MS),
    );
    let mut after = 0;
    loop {
        tick.tick().await;
        let speaking = recording.is_listening();
        let frame = if speaking { words.next() } else { None };
        let echo = if speaking { recorded.next() } else { None };
        let mut frame = frame.unwrap_or_default().to_vec();
        if speaking && frame.is_empty() {
            after += 1;
        }
        frame.resize(Frame16k::SAMPLES_20_MS, 0);
        {
            let mut tape = recording.tape();
            tape.spoken = after >= silence;
            let length = tape.caller.len() + Frame24k::SAMPLES_20_MS;
            tape.caller.extend_from_slice(echo.unwrap_or_default());
            tape.caller.resize(length, 0);
        }
        if audio.send(Frame16k::new(frame)).await.is_err() {
            return;
        }
    }
}

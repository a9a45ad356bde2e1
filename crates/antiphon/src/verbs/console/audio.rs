//! The console with a WAV file for a caller: spoken in real time, the call written to a stereo WAV.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use antiphon_agent::{Agent, AgentSession, AudioOutput, SessionIo};
use antiphon_audio::{Frame16k, Frame24k, resample, wav};
use antiphon_dialogue::Event;
use antiphon_dialogue::event::CloseReason;
use anyhow::Context as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::super::{print_line, print_note};
use super::call::Call;

/// One packet's worth of sound.
const TICK: Duration = Duration::from_millis(20);
/// The caller takes a breath first: a recogniser that has just been started needs a moment before it hears.
const SILENCE_BEFORE: Duration = Duration::from_secs(1);
/// The caller stays silent so long after the last word, so that the end of speech is heard.
const SILENCE_AFTER: Duration = Duration::from_secs(2);

/// The caller's speech.
///
/// # Errors
/// The file cannot be read or is not WAV.
pub(super) fn read(path: &Path) -> anyhow::Result<Frame16k> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    wav::read(&bytes).with_context(|| format!("{} cannot be used", path.display()))
}

/// Where the call will be written; opened before the call, so that a place that cannot be written is known in time.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    file: File,
}

impl Output {
    /// `answer.wav` unless another file is named. What is in the file stays until the call is written.
    ///
    /// # Errors
    /// The file cannot be opened for writing.
    pub(super) fn open(path: Option<PathBuf>) -> anyhow::Result<Self> {
        let path = path.unwrap_or("answer.wav".into());
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| {
                format!(
                    "cannot write {}; name a file in a folder that exists with --output",
                    path.display()
                )
            })?;
        Ok(Self { path, file })
    }

    fn write(mut self, bytes: &[u8]) -> anyhow::Result<PathBuf> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.write_all(bytes))
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        Ok(self.path)
    }
}

/// Speak it to the agent and write the call to `output`.
pub(super) async fn run(agent: Agent, speech: Frame16k, output: Output) -> anyhow::Result<()> {
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
    let (spoken, mut is_spoken) = oneshot::channel();
    let clock = tokio::spawn(run_clock(speech, audio, recording.clone(), spoken));
    let mut progress = super::Progress::default();
    let mut call = Call::new(Instant::now());
    loop {
        tokio::select! {
            event = events.recv() => {
                let Some((_, event)) = event else { break };
                if let Event::UserInputTranscribed { transcript, is_final: true, .. } = &event {
                    print_line(&format!("you:   {transcript}"));
                }
                progress.show(&event);
                call.event(Instant::now(), &event);
                if call.may_speak() {
                    recording.listen();
                }
            }
            _ = &mut is_spoken, if !call.is_spoken() => call.spoken(Instant::now()),
            () = sleep_until(call.end()) => break,
        }
    }
    clock.abort();
    session.close(CloseReason::UserInitiated);
    session.closed().await;
    let path = output.write(&recording.wav()?)?;
    print_line(&format!(
        "the call was written to {} (left: the caller, right: the agent)",
        path.display()
    ));
    if !call.is_heard() {
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
async fn run_clock(
    speech: Frame16k,
    audio: mpsc::Sender<Frame16k>,
    recording: Arc<Recording>,
    spoken: oneshot::Sender<()>,
) {
    let mut spoken = Some(spoken);
    let Ok(heard) = resample::resample::<24_000>(speech.samples(), Frame16k::RATE_HZ) else {
        return;
    };
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let ticks = |time: Duration| usize::try_from(time.as_millis() / TICK.as_millis()).unwrap_or(0);
    let silence = ticks(SILENCE_AFTER);
    let mut breath = ticks(SILENCE_BEFORE);
    let (mut words, mut recorded) = (
        speech.samples().chunks(Frame16k::SAMPLES_20_MS),
        heard.samples().chunks(Frame24k::SAMPLES_20_MS),
    );
    let mut after = 0;
    loop {
        tick.tick().await;
        let listening = recording.is_listening();
        let speaking = listening && breath == 0;
        if listening {
            breath = breath.saturating_sub(1);
        }
        let frame = if speaking { words.next() } else { None };
        let echo = if speaking { recorded.next() } else { None };
        let mut frame = frame.unwrap_or_default().to_vec();
        if speaking && frame.is_empty() {
            after += 1;
        }
        frame.resize(Frame16k::SAMPLES_20_MS, 0);
        if after >= silence
            && let Some(spoken) = spoken.take()
        {
            let _ = spoken.send(());
        }
        {
            let mut tape = recording.tape();
            let length = tape.caller.len() + Frame24k::SAMPLES_20_MS;
            tape.caller.extend_from_slice(echo.unwrap_or_default());
            tape.caller.resize(length, 0);
        }
        if audio.send(Frame16k::new(frame)).await.is_err() {
            return;
        }
    }
}

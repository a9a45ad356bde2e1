//! Sessions are recorded, and their recordings are repeated bit for bit.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_agent::provider::{
    BoxStream, ChatChunk, Llm, ProviderInfo, Secret, ToolDefinition, Tts, TtsChunk, Vad, VadModel,
};
use antiphon_agent::{
    Agent, AgentSession, AudioOutput, ProviderError, Recorder, RecorderOptions, SessionIo, tool,
};
use antiphon_audio::{Frame16k, Frame24k};
use antiphon_chat::{ChatRequest, ToolCall};
use antiphon_dialogue::event::CloseReason;
use antiphon_dialogue::{Input, input};
use antiphon_recording::Ending;
use antiphon_scenario::{Replayed, replay, replay_with};
use futures_util::stream;
use tokio::sync::mpsc;

fn info() -> ProviderInfo {
    ProviderInfo {
        provider: "script",
        model: String::new(),
    }
}

/// Calls a tool first, and then answers; each word 50 ms after the one before.
struct Model(Mutex<u32>);

impl Llm for Model {
    fn info(&self) -> ProviderInfo {
        info()
    }

    fn chat(
        &self,
        _: ChatRequest,
        _: Arc<[ToolDefinition]>,
    ) -> BoxStream<Result<ChatChunk, ProviderError>> {
        let mut asked = self.0.lock().unwrap();
        *asked += 1;
        let words = match *asked {
            1 => vec![ChatChunk::ToolCall(ToolCall {
                call_id: "call_1".into(),
                name: "password".into(),
                arguments: "{}".into(),
            })],
            _ => "The table is yours, and the door is open. See you at seven, then, and bring your friends!"
                .split_inclusive(' ')
                .map(|word| ChatChunk::Text(word.into()))
                .collect(),
        };
        Box::pin(stream::unfold(words.into_iter(), async |mut words| {
            tokio::time::sleep(Duration::from_millis(50)).await;
            words.next().map(|word| (Ok(word), words))
        }))
    }
}

/// Speaks 300 ms for each word.
struct Voice;

impl Tts for Voice {
    fn info(&self) -> ProviderInfo {
        info()
    }

    fn synthesize(&self, text: String) -> BoxStream<Result<TtsChunk, ProviderError>> {
        let samples = text.split_whitespace().count() * 7200;
        Box::pin(stream::iter([Ok(TtsChunk::Audio(Frame24k::new(
            vec![1000; samples],
        )))]))
    }
}

/// Hears speech in every frame that is not silent.
struct Ear;

#[derive(Default)]
struct EarSession(Duration, Duration);

impl VadModel for Ear {
    fn session(&self) -> Box<dyn Vad> {
        Box::new(EarSession::default())
    }
}

impl Vad for EarSession {
    fn push(&mut self, frame: &Frame16k, emit: &mut dyn FnMut(input::Vad)) {
        let Self(speech, silence) = self;
        if frame.samples().iter().any(|sample| *sample != 0) {
            if speech.is_zero() {
                emit(input::Vad::SpeechStarted {
                    speech: frame.duration(),
                });
            }
            (*speech, *silence) = (*speech + frame.duration(), Duration::ZERO);
        } else {
            *silence += frame.duration();
            if !speech.is_zero() && *silence >= Duration::from_millis(250) {
                emit(input::Vad::SpeechEnded {
                    speech: *speech,
                    silence: *silence,
                });
                *speech = Duration::ZERO;
            }
        }
        emit(input::Vad::Frame {
            speaking: !speech.is_zero(),
            speech: *speech,
            silence: *silence,
        });
    }

    fn reset(&mut self) {}
}

struct Ignored;

impl AudioOutput for Ignored {
    fn play(&mut self, _: &Frame24k) {}
}

/// Tells a key.
#[tool]
async fn password() -> String {
    "the key is sk-verysecret-\"1\"".into()
}

fn recorder(folder: &Path) -> Recorder {
    let secrets = Secret::new("sk-verysecret-\"1\"").into_iter().collect();
    let options = RecorderOptions {
        secrets,
        max_files: 3,
        ..RecorderOptions::new(folder)
    };
    Recorder::start(options).unwrap()
}

/// A call with everything: a greeting, a tool, an answer, and the caller interrupting it.
async fn call(recorder: &Recorder) {
    let agent = Agent::builder("a")
        .greeting("Good evening.")
        .llm(Arc::new(Model(Mutex::default())))
        .tts(Arc::new(Voice))
        .vad(Arc::new(Ear))
        .tool(password)
        .recorder(recorder.clone())
        .build()
        .unwrap();
    let (mouth, audio_in) = mpsc::channel(SessionIo::AUDIO_IN_LIMIT);
    let session = AgentSession::start(
        agent,
        SessionIo {
            audio_in,
            audio_out: Box::new(Ignored),
        },
    );
    session.started().unwrap();
    for step in 0..300 {
        let loud = (200..290).contains(&step);
        mouth
            .send(Frame16k::new(vec![if loud { 500 } else { 0 }; 320]))
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        if step == 60 {
            session.user_text("A table please").unwrap();
        }
        if step == 270 {
            // a sound without words only pauses the agent
            session.user_text("Wait").unwrap();
        }
    }
    // No packets and no words: only deadlines come.
    tokio::time::sleep(Duration::from_secs(20)).await;
    session.close(CloseReason::ParticipantDisconnected);
    session.closed().await;
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn told(replayed: &Replayed, what: impl Fn(&Input) -> bool) -> usize {
    replayed
        .inputs
        .iter()
        .filter(|(_, input)| what(input))
        .count()
}

#[tokio::test(start_paused = true)]
async fn a_recorded_call_is_repeated_bit_for_bit_and_another_option_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = recorder(folder.path());
    call(&recorder).await;
    recorder.flush();
    let files = files(folder.path());
    assert_eq!(files.len(), 1, "{files:?}");
    let text = std::fs::read_to_string(&files[0]).unwrap();

    let replayed = replay(&text).unwrap();
    assert_eq!(replayed.diverged, 0, "{:#?}", replayed.divergences);
    assert_eq!(
        replayed.ending,
        Some(Ending::Complete),
        "{:?}",
        replayed.incomplete
    );
    assert_eq!(replayed.violations, Vec::<String>::new());
    assert!(told(&replayed, |input| matches!(input, Input::Time)) > 0);
    assert!(told(&replayed, |input| matches!(input, Input::Vad(_))) > 250);
    assert_eq!(
        told(&replayed, |input| matches!(
            input,
            Input::ToolFinished { .. }
        )),
        1
    );
    assert!(
        replayed
            .timeline
            .iter()
            .any(|line| line.text == "interrupted"),
        "{:#?}",
        replayed.timeline
    );

    let changed = replay_with(&text, |header| header.options.allow_interruptions = false).unwrap();
    let first = &changed.divergences[0];
    assert!(matches!(first.input, Input::Vad(_)), "{first:?}");
    let expected = first.expected.as_ref().unwrap().to_string();
    assert!(expected.contains("pause_playout"), "{expected}");
}

#[tokio::test(start_paused = true)]
async fn a_key_never_stands_in_a_recording_and_only_its_owner_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("recordings");
    let recorder = recorder(&folder);
    call(&recorder).await;
    recorder.flush();
    let file = &files(&folder)[0];
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("the key is se-rets"));
    assert!(!text.contains("verysecret"));
    #[cfg(unix)]
    for (path, mode) in [(&folder, 0o700), (file, 0o600)] {
        let permissions = std::fs::metadata(path).unwrap().permissions();
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&permissions) & 0o777,
            mode
        );
    }
}

#[tokio::test(start_paused = true)]
async fn old_recordings_make_room_and_other_files_stay() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "1-a.antiphon.jsonl",
        "2-b.antiphon.jsonl",
        "3-c.antiphon.jsonl",
        "0-notes.txt",
    ] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let recorder = recorder(folder.path());
    let agent = Agent::builder("a")
        .llm(Arc::new(Model(Mutex::default())))
        .recorder(recorder.clone());
    let session = AgentSession::start(agent.build().unwrap(), SessionIo::text_only());
    session.close(CloseReason::UserInitiated);
    session.closed().await;
    recorder.flush();
    let left: Vec<String> = files(folder.path())
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy()[..3].to_owned())
        .collect();
    assert_eq!(
        left,
        ["0-n", "2-b", "202", "3-c"],
        "at most three recordings"
    );
}

/// In the environment: be the process that is killed, and record into this folder.
const VICTIM: &str = "ANTIPHON_TEST_RECORDS_AND_DIES";

/// Not a test, but what the next one starts.
#[tokio::test(start_paused = true)]
async fn be_killed_in_the_middle_of_a_call() {
    let Some(folder) = std::env::var_os(VICTIM) else {
        return;
    };
    let recorder = recorder(Path::new(&folder));
    let on_disk = async {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            recorder.flush();
            let found = std::fs::read_dir(&folder).unwrap().flatten();
            let text = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path()).ok();
            if found
                .filter_map(text)
                .any(|text| text.contains("the door is open"))
            {
                std::process::abort();
            }
        }
    };
    tokio::select! {
        () = call(&recorder) => {}
        () = on_disk => {}
    }
}

#[test]
fn a_process_that_is_killed_leaves_a_recording_that_is_repeated_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let killed = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "be_killed_in_the_middle_of_a_call"])
        .env(VICTIM, folder.path())
        .output()
        .unwrap();
    assert!(!killed.status.success());
    let text = std::fs::read_to_string(&files(folder.path())[0]).unwrap();
    // wherever in its last line it died
    let last = text.trim_end().rfind('\n').unwrap() + 1;
    for end in last..=text.len() {
        let Some(text) = text.get(..end) else {
            continue;
        };
        let replayed = replay(text).unwrap();
        assert_eq!(replayed.diverged, 0, "{:#?}", replayed.divergences);
        assert_eq!(replayed.violations, Vec::<String>::new());
        assert!(replayed.steps > 100, "{}", replayed.steps);
        let told = replayed.incomplete.unwrap();
        assert!(told.contains("the recording is cut off there"), "{told}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(Recorder::start(RecorderOptions::new(file.join("recordings"))).is_err());
}

//! PocketSphinx as a streaming recogniser. Sound passes an energy gate, so silence is never decoded; speech goes to a
//! child process while it arrives; `Finalize`, or 0.6 s of silence, asks for the final words.

mod child;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{BoxFuture, ProviderInfo, Stt, SttEvent, SttInput, SttSession};
use antiphon_audio::gate::{Gate, Step};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use child::{Child, Heard};

use crate::detect::{INSTALL_POCKETSPHINX, MODEL_FOLDER, detect};

/// Callers decoded at the same time; others wait for a moment with their sound kept. One decoder takes about 0.12 of a core
/// while its caller speaks and some 100 MB.
pub const MAX_WORKERS: usize = 8;
/// Sound kept for a caller who waits for a worker: 30 s. Older sound is dropped.
const MAX_WAITING_SAMPLES: usize = 30 * 16_000;
/// Workers that may die under one utterance before it is given up.
const MAX_RESTARTS: u32 = 2;
/// A worker in a row that cannot be started: then the stream fails.
const MAX_START_FAILURES: u32 = 3;

const ENGINE: &str = "pocketsphinx";

/// Speech recognition by PocketSphinx with its US-English model.
#[derive(Clone, Debug)]
pub struct PocketSphinxStt {
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    program: PathBuf,
    arguments: Vec<String>,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Child>>,
}

impl PocketSphinxStt {
    /// With this same program as its worker: `main` must begin by calling [`crate::worker::main`] when its first argument
    /// is [`crate::worker::ARGUMENT`].
    ///
    /// # Errors
    /// [`ProviderError::Unavailable`] when library or model is not installed; says how to install it.
    pub fn new() -> Result<Self, ProviderError> {
        let program = std::env::current_exe().map_err(|error| unavailable(&error.to_string()))?;
        Self::with_worker(program, vec![crate::worker::ARGUMENT.into()])
    }

    /// With another worker program.
    ///
    /// # Errors
    /// As [`PocketSphinxStt::new`].
    pub fn with_worker(program: PathBuf, arguments: Vec<String>) -> Result<Self, ProviderError> {
        if !detect().pocketsphinx {
            return Err(unavailable("libpocketsphinx.so.3 or its model is missing"));
        }
        let pool = Pool {
            program,
            arguments,
            permits: Arc::new(Semaphore::new(MAX_WORKERS)),
            idle: Mutex::default(),
        };
        Ok(Self {
            pool: Arc::new(pool),
        })
    }
}

fn unavailable(what: &str) -> ProviderError {
    ProviderError::Unavailable {
        engine: ENGINE,
        message: format!("{what} ({MODEL_FOLDER}). Install it: {INSTALL_POCKETSPHINX}"),
    }
}

impl Stt for PocketSphinxStt {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: ENGINE,
            model: "en-us".into(),
        }
    }

    fn open(&self) -> BoxFuture<'_, Result<SttSession, ProviderError>> {
        Box::pin(async move {
            // the first worker starts now, so that the first words do not wait for its model
            let child = self.pool.lease().await?;
            self.pool.give_back(child);
            let (input, orders) = mpsc::channel(SttSession::INPUT_LIMIT);
            let (events, receiver) = mpsc::channel(SttSession::EVENT_LIMIT);
            tokio::spawn(Stream::new(self.pool.clone(), events).run(orders));
            Ok(SttSession {
                input,
                events: receiver,
            })
        })
    }
}

impl Pool {
    fn give_back(&self, child: Child) {
        if let Ok(mut idle) = self.idle.lock()
            && idle.len() < MAX_WORKERS
        {
            idle.push(child);
        }
    }

    async fn lease(&self) -> Result<Child, ProviderError> {
        match self.warm() {
            Some(child) => Ok(child),
            None => Child::start(&self.program, &self.arguments).await,
        }
    }

    /// An idle worker that still runs.
    fn warm(&self) -> Option<Child> {
        let mut idle = self.idle.lock().ok()?;
        while let Some(mut child) = idle.pop() {
            if child.check_alive() {
                return Some(child);
            }
        }
        None
    }
}

/// One caller's stream.
struct Stream {
    pool: Arc<Pool>,
    events: mpsc::Sender<SttEvent>,
    gate: Gate,
    /// Sound of the utterance under way, kept to be decoded again when a worker dies.
    utterance: Vec<i16>,
    /// How much of it the worker has.
    sent: usize,
    worker: Option<(Child, OwnedSemaphorePermit)>,
    /// What the decoder has learned of this caller, from utterance to utterance; empty at first.
    adaptation: Vec<u8>,
    restarts: u32,
    failures: u32,
    degraded: bool,
}

/// The receiver of events is gone, or the stream has failed: the task ends.
struct Closed;

impl Stream {
    fn new(pool: Arc<Pool>, events: mpsc::Sender<SttEvent>) -> Self {
        Self {
            pool,
            events,
            gate: Gate::default(),
            utterance: Vec::new(),
            sent: 0,
            worker: None,
            adaptation: Vec::new(),
            restarts: 0,
            failures: 0,
            degraded: false,
        }
    }

    async fn run(mut self, mut orders: mpsc::Receiver<SttInput>) {
        loop {
            let step = tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.order(order).await,
                    None => break,
                },
                heard = heard(&mut self.worker) => self.heard(heard).await,
                () = self.events.closed() => break,
            };
            if step.is_err() {
                break;
            }
        }
        // a worker with half an utterance in it is ended rather than cleaned
        if self.sent == 0
            && let Some((child, _)) = self.worker.take()
        {
            self.pool.give_back(child);
        }
    }

    async fn emit(&self, event: SttEvent) -> Result<(), Closed> {
        self.events.send(event).await.map_err(|_| Closed)
    }

    async fn order(&mut self, order: SttInput) -> Result<(), Closed> {
        match order {
            SttInput::Audio(frame) => match self.gate.push(frame.samples()) {
                Step::Silence => Ok(()),
                Step::Speech(samples) => self.audio(samples).await,
                Step::End => self.finish().await,
            },
            SttInput::Finalize => {
                self.gate.close();
                self.finish().await
            }
            SttInput::Clear => {
                self.gate.close();
                self.utterance.clear();
                self.sent = 0;
                // ending the worker is the quickest way to forget; another is warm or starts in 0.3 s
                self.worker = None;
                Ok(())
            }
        }
    }

    async fn audio(&mut self, samples: Vec<i16>) -> Result<(), Closed> {
        self.utterance.extend_from_slice(&samples);
        if self.utterance.len() > MAX_WAITING_SAMPLES {
            return self.finish().await;
        }
        self.feed().await
    }

    /// Give the worker what it does not have yet, leasing one first if there is a free place.
    async fn feed(&mut self) -> Result<(), Closed> {
        if self.worker.is_none() {
            let Ok(permit) = self.pool.permits.clone().try_acquire_owned() else {
                return Ok(());
            };
            self.start(permit).await?;
        }
        let Some((child, _)) = &mut self.worker else {
            return Ok(());
        };
        let rest = self.utterance.get(self.sent..).unwrap_or_default();
        let given = async {
            if self.sent == 0 {
                child.begin(&self.adaptation).await?;
            }
            child.audio(rest).await
        };
        if given.await.is_ok() {
            self.sent = self.utterance.len();
            return Ok(());
        }
        self.crashed().await
    }

    async fn start(&mut self, permit: OwnedSemaphorePermit) -> Result<(), Closed> {
        match self.pool.lease().await {
            Ok(child) => {
                self.failures = 0;
                self.sent = 0;
                self.worker = Some((child, permit));
                if std::mem::take(&mut self.degraded) {
                    self.emit(SttEvent::Recovered).await?;
                }
                Ok(())
            }
            Err(error) => {
                self.failures += 1;
                if self.failures >= MAX_START_FAILURES {
                    self.emit(SttEvent::Failed(error.to_string())).await?;
                    return Err(Closed);
                }
                self.degrade(&error.to_string()).await
            }
        }
    }

    async fn degrade(&mut self, why: &str) -> Result<(), Closed> {
        if std::mem::replace(&mut self.degraded, true) {
            return Ok(());
        }
        self.emit(SttEvent::Degraded(why.into())).await
    }

    async fn crashed(&mut self) -> Result<(), Closed> {
        self.worker = None;
        self.sent = 0;
        self.restarts += 1;
        tracing::warn!(
            restarts = self.restarts,
            "the recogniser's worker ended unexpectedly"
        );
        if self.restarts <= MAX_RESTARTS {
            return self
                .degrade("the recogniser's worker ended; another one starts")
                .await;
        }
        // this sound may be what ends the workers
        self.utterance.clear();
        self.restarts = 0;
        self.degrade("the recogniser's worker ended again and again; what was said is lost")
            .await
    }

    /// Ask for the final words and wait for them: 70 ms, plus what is not decoded yet.
    async fn finish(&mut self) -> Result<(), Closed> {
        while !self.utterance.is_empty() {
            if self.worker.is_none() {
                let Ok(permit) = self.pool.permits.clone().acquire_owned().await else {
                    return Err(Closed);
                };
                self.start(permit).await?;
            }
            self.feed().await?;
            let Some((child, _)) = &mut self.worker else {
                continue;
            };
            match child.finalize().await {
                Ok((text, learned)) => {
                    if !is_noise(&text) {
                        self.adaptation = learned;
                    }
                    self.utterance.clear();
                    self.sent = 0;
                    self.restarts = 0;
                    if let Some((child, _)) = self.worker.take() {
                        self.pool.give_back(child);
                    }
                    if !is_noise(&text) {
                        self.emit(SttEvent::Final {
                            text,
                            confidence: None,
                        })
                        .await?;
                    }
                    return Ok(());
                }
                Err(_) => self.crashed().await?,
            }
        }
        Ok(())
    }

    async fn heard(&mut self, heard: Result<Heard, ProviderError>) -> Result<(), Closed> {
        match heard {
            Ok(Heard::Interim(text)) if !is_noise(&text) => {
                self.emit(SttEvent::Interim(text)).await
            }
            Ok(_) => Ok(()),
            Err(_) => self.crashed().await,
        }
    }
}

async fn heard(worker: &mut Option<(Child, OwnedSemaphorePermit)>) -> Result<Heard, ProviderError> {
    match worker {
        Some((child, _)) => child.next().await,
        None => std::future::pending().await,
    }
}

/// What the model makes of a click or a breath.
fn is_noise(text: &str) -> bool {
    text.split(' ').all(|word| {
        matches!(
            word,
            "" | "ah" | "uh" | "huh" | "oh" | "hmm" | "um" | "the" | "a"
        )
    })
}

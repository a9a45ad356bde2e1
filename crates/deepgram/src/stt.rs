//! [`DeepgramStt`] and the supervisor of one caller's stream.
//!
//! The supervisor is one task that owns the caller's sound. It connects, and whatever breaks (a write, a read, a silent
//! server, a close) it connects again, sends the last two seconds of sound that have not become final words once more, and
//! goes on. Only a refusal (wrong key, wrong options) or a long outage is the end.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{BoxFuture, ProviderInfo, Stt, SttEvent, SttInput, SttSession};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::Message as WsMessage;

use crate::config::DeepgramConfig;
use crate::connection::{PROVIDER, Socket, broken, closed, connect, in_our_words};
use crate::message::{CLOSE_STREAM, FINALIZE, Hearing, KEEP_ALIVE};
use crate::replay::ReplayBuffer;

/// 50 ms of sound in one message: LiveKit's size; a `Finalize` does not wait for a chunk to be full.
const CHUNK_SAMPLES: usize = 800;
/// A connection that lasted this long, or gave words, was a good one: the next outage is a new one.
const GOOD_AFTER: Duration = Duration::from_secs(10);
/// A driver that takes no event for this long is gone.
const EVENT_TIMEOUT: Duration = Duration::from_secs(5);
/// A server that takes no sound for this long is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// How many unanswered pings make a connection dead.
const MISSED_PINGS: u32 = 3;
/// What `Retry-After` can make us wait at most: a caller is there.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// Deepgram's streaming recognition.
#[derive(Clone, Debug)]
pub struct DeepgramStt {
    config: Arc<DeepgramConfig>,
}

impl DeepgramStt {
    /// A recogniser that opens no connection yet.
    ///
    /// # Errors
    ///
    /// [`ProviderError::Protocol`] when the base URL is none.
    pub fn new(config: DeepgramConfig) -> Result<Self, ProviderError> {
        // The WebSocket library asks rustls for the process's default; another crate may have set it already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        config.listen_url()?;
        Ok(Self {
            config: Arc::new(config),
        })
    }

    /// For `antiphon doctor`: open a stream with these options and close it again. What comes back proves the address, the
    /// key, the model and the language.
    ///
    /// # Errors
    ///
    /// What the handshake met.
    pub async fn probe(&self) -> Result<(), ProviderError> {
        let mut socket = connect(&self.config).await?;
        // It worked; how it closes is of no interest.
        let _ = socket.send(WsMessage::text(CLOSE_STREAM)).await;
        Ok(())
    }
}

impl Stt for DeepgramStt {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: PROVIDER,
            model: self.config.effective_model().to_owned(),
        }
    }

    /// Comes back at once; the connection is made in the background, so that a greeting does not wait for it.
    fn open(&self) -> BoxFuture<'_, Result<SttSession, ProviderError>> {
        let (input, inputs) = mpsc::channel(SttSession::INPUT_LIMIT);
        let (sender, events) = mpsc::channel(SttSession::EVENT_LIMIT);
        let supervisor = Supervisor {
            config: Arc::clone(&self.config),
            inputs,
            events: sender,
            buffer: ReplayBuffer::default(),
            hearing: Hearing::default(),
            chunk: Vec::with_capacity(2 * CHUNK_SAMPLES),
            finalize_wanted: false,
            degraded: false,
        };
        Box::pin(async move {
            tokio::spawn(supervisor.run());
            Ok(SttSession { input, events })
        })
    }
}

/// Why a step ended.
enum End {
    /// The session is over.
    Gone,
    /// The connection is.
    Broken(ProviderError),
}

struct Supervisor {
    config: Arc<DeepgramConfig>,
    inputs: mpsc::Receiver<SttInput>,
    events: mpsc::Sender<SttEvent>,
    buffer: ReplayBuffer,
    hearing: Hearing,
    /// Sound that does not fill a message yet. It is in `buffer` too.
    chunk: Vec<i16>,
    /// Asked for and not answered: asked again after a reconnect.
    finalize_wanted: bool,
    degraded: bool,
}

/// One connection's two directions.
struct Wire {
    sink: SplitSink<Socket, WsMessage>,
    stream: SplitStream<Socket>,
    last_sent: Instant,
    last_heard: Instant,
    /// It gave words.
    good: bool,
}

impl Supervisor {
    async fn run(mut self) {
        let mut since: Option<Instant> = None;
        let mut attempt = 0;
        loop {
            let started = Instant::now();
            let mut good = false;
            let error = match self.connection(&mut good).await {
                Ok(()) | Err(End::Gone) => return,
                Err(End::Broken(error)) => error,
            };
            if good || started.elapsed() > GOOD_AFTER + self.config.timeouts.connect {
                (since, attempt) = (None, 0);
            }
            let outage = since.get_or_insert_with(Instant::now).elapsed();
            let given_up = outage >= self.config.timeouts.give_up;
            if given_up || !error.retryable() {
                tracing::error!(provider = PROVIDER, %error, "speech recognition has failed");
                let text = if given_up {
                    format!("gave up after {} s: {error}", outage.as_secs())
                } else {
                    error.to_string()
                };
                let _ = self.tell(SttEvent::Failed(text)).await;
                return;
            }
            let delay = self.backoff(attempt, &error);
            attempt += 1;
            tracing::warn!(provider = PROVIDER, %error, attempt, delay_ms = delay.as_millis(), "speech recognition reconnects");
            let told = if std::mem::replace(&mut self.degraded, true) {
                Ok(())
            } else {
                self.tell(SttEvent::Degraded(error.to_string())).await
            };
            if told.is_err() || self.meanwhile(tokio::time::sleep(delay)).await.is_err() {
                return;
            }
        }
    }

    fn backoff(&self, attempt: u32, error: &ProviderError) -> Duration {
        let timeouts = self.config.timeouts;
        let usual = timeouts
            .backoff_first
            .saturating_mul(1 << attempt.min(16))
            .min(timeouts.backoff_longest);
        let jittered = usual.mul_f64(0.5 + 0.5 * rand::random::<f64>());
        match error {
            ProviderError::RateLimited {
                retry_after: Some(after),
                ..
            } => (*after).min(MAX_RETRY_AFTER).max(jittered),
            ProviderError::RateLimited {
                retry_after: None, ..
            } => timeouts.backoff_longest,
            _ => jittered,
        }
    }

    /// Wait for something else while the caller goes on speaking.
    async fn meanwhile<T>(&mut self, other: impl Future<Output = T>) -> Result<T, End> {
        let mut other = pin!(other);
        loop {
            tokio::select! {
                biased;
                done = &mut other => return Ok(done),
                input = self.inputs.recv() => match input {
                    None => return Err(End::Gone),
                    Some(SttInput::Audio(frame)) => self.buffer.push(frame.samples()),
                    Some(SttInput::Finalize) => self.finalize_wanted = true,
                    Some(SttInput::Clear) => {
                        self.buffer.clear();
                        self.finalize_wanted = false;
                    }
                },
            }
        }
    }

    /// One connection from its beginning to its end.
    async fn connection(&mut self, good: &mut bool) -> Result<(), End> {
        let config = Arc::clone(&self.config);
        let socket = self
            .meanwhile(connect(&config))
            .await?
            .map_err(End::Broken)?;
        let (sink, stream) = socket.split();
        let now = Instant::now();
        let mut wire = Wire {
            sink,
            stream,
            last_sent: now,
            last_heard: now,
            good: false,
        };
        let end = self.serve(&mut wire).await;
        *good = wire.good;
        end
    }

    async fn serve(&mut self, wire: &mut Wire) -> Result<(), End> {
        self.hearing.reconnected();
        self.chunk.clear();
        // Its answer shows that the server is alive before anybody speaks.
        self.send(wire, WsMessage::Ping(bytes_of(&[]))).await?;
        for chunk in self.buffer.reconnected().chunks(CHUNK_SAMPLES) {
            self.send(wire, WsMessage::Binary(bytes_of(chunk))).await?;
        }
        if self.finalize_wanted {
            self.send(wire, WsMessage::text(FINALIZE)).await?;
        }
        let timeouts = self.config.timeouts;
        let mut pings = interval(timeouts.ping);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut keep_alives = interval(timeouts.keep_alive);
        keep_alives.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                input = self.inputs.recv() => match input {
                    Some(input) => self.forward(wire, input).await?,
                    None => return self.close(wire).await,
                },
                message = wire.stream.next() => match message {
                    None => return Err(End::Broken(closed(None))),
                    Some(Err(error)) => return Err(End::Broken(in_our_words(&self.config, error))),
                    Some(Ok(message)) => self.hear(wire, message).await?,
                },
                _ = pings.tick() => {
                    let limit = timeouts.ping * MISSED_PINGS;
                    if wire.last_heard.elapsed() >= limit {
                        return Err(End::Broken(ProviderError::Timeout { provider: PROVIDER, after: limit }));
                    }
                    self.send(wire, WsMessage::Ping(bytes_of(&[]))).await?;
                }
                _ = keep_alives.tick() => {
                    if wire.last_sent.elapsed() >= timeouts.keep_alive {
                        self.send(wire, WsMessage::text(KEEP_ALIVE)).await?;
                    }
                }
            }
        }
    }

    async fn forward(&mut self, wire: &mut Wire, input: SttInput) -> Result<(), End> {
        match input {
            SttInput::Audio(frame) => {
                self.buffer.push(frame.samples());
                self.chunk.extend_from_slice(frame.samples());
                if self.chunk.len() >= CHUNK_SAMPLES {
                    self.flush(wire).await
                } else {
                    Ok(())
                }
            }
            SttInput::Finalize => {
                self.flush(wire).await?;
                self.finalize_wanted = true;
                self.send(wire, WsMessage::text(FINALIZE)).await
            }
            SttInput::Clear => {
                self.flush(wire).await?;
                // Deepgram cannot forget, but it can be made to put a border between old words and new ones.
                self.hearing.clear(self.buffer.connection_seconds());
                self.buffer.clear();
                self.finalize_wanted = false;
                self.send(wire, WsMessage::text(FINALIZE)).await
            }
        }
    }

    async fn flush(&mut self, wire: &mut Wire) -> Result<(), End> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let sound = bytes_of(&self.chunk);
        self.chunk.clear();
        wire.last_sent = Instant::now();
        self.send(wire, WsMessage::Binary(sound)).await
    }

    async fn send(&mut self, wire: &mut Wire, message: WsMessage) -> Result<(), End> {
        match timeout(SEND_TIMEOUT, wire.sink.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(End::Broken(in_our_words(&self.config, error))),
            Err(_) => Err(End::Broken(ProviderError::Timeout {
                provider: PROVIDER,
                after: SEND_TIMEOUT,
            })),
        }
    }

    async fn hear(&mut self, wire: &mut Wire, message: WsMessage) -> Result<(), End> {
        wire.last_heard = Instant::now();
        if let WsMessage::Close(frame) = &message {
            return Err(End::Broken(closed(frame.as_ref())));
        }
        if std::mem::take(&mut self.degraded) {
            self.tell(SttEvent::Recovered).await?;
        }
        let WsMessage::Text(text) = message else {
            return Ok(());
        };
        let outcome = match self.hearing.read(&text) {
            Ok(outcome) => outcome,
            Err(error) => {
                return Err(End::Broken(broken(format!(
                    "it sent something that is no message of Deepgram's: {error}"
                ))));
            }
        };
        if let Some(error) = outcome.error {
            return Err(End::Broken(broken(self.config.api_key.scrub(&error))));
        }
        wire.good = true;
        if let Some(seconds) = outcome.sure_until {
            self.buffer.sure_until(seconds);
        }
        if outcome.finalized {
            self.finalize_wanted = false;
        }
        for event in outcome.events {
            self.tell(event).await?;
        }
        Ok(())
    }

    /// The session is over: Deepgram bills until it is told.
    async fn close(&mut self, wire: &mut Wire) -> Result<(), End> {
        self.flush(wire).await?;
        self.send(wire, WsMessage::text(CLOSE_STREAM)).await?;
        let _ = timeout(SEND_TIMEOUT, wire.sink.close()).await;
        Err(End::Gone)
    }

    async fn tell(&mut self, event: SttEvent) -> Result<(), End> {
        if matches!(
            event,
            SttEvent::Interim(_) | SttEvent::Language(_) | SttEvent::Speaker(_)
        ) {
            // The next one replaces it anyway.
            return match self.events.try_send(event) {
                Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => Ok(()),
                Err(mpsc::error::TrySendError::Closed(_)) => Err(End::Gone),
            };
        }
        self.events
            .send_timeout(event, EVENT_TIMEOUT)
            .await
            .map_err(|_| End::Gone)
    }
}

fn bytes_of(samples: &[i16]) -> tokio_tungstenite::tungstenite::Bytes {
    samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect()
}

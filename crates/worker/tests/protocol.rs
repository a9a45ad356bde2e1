//! A worker at a real room server: jobs come, go on and end as an operator expects.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../../client/tests/support/proxy.rs"]
mod proxy;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_client::{Room, RoomEvent, RoomOptions};
use antiphon_protocol::{AccessToken, VideoGrants};
use antiphon_rtc::{Engine, EngineConfig};
use antiphon_server::{Running, Server, ServerConfig};
use antiphon_worker::job::JobFuture;
use antiphon_worker::{
    JobContext, JobHandler, Worker, WorkerError, WorkerHandle, WorkerOptions, WorkerStatus,
};
use proxy::Proxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The longest any step may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// A job as the test sees it.
struct Started {
    context: JobContext,
    /// Ends the job from the inside.
    finish: CancellationToken,
}

impl Started {
    fn room(&self) -> String {
        self.context.job.room.clone().unwrap_or_default().name
    }
}

/// Hands every job to the test; it ends when the test or the server says so. Jobs of the room "bad" panic.
struct Scripted {
    jobs: Sender<Started>,
    engine: Engine,
}

impl JobHandler for Scripted {
    fn run(&self, context: JobContext) -> JobFuture {
        let finish = CancellationToken::new();
        let (jobs, engine) = (self.jobs.clone(), self.engine.clone());
        Box::pin(async move {
            // As every agent does, join the room: a worker that takes a job and stays away is replaced by the server.
            let options = RoomOptions::default();
            let (room, _events) =
                Room::connect(&engine, &context.url, &context.token, options).await?;
            let bad = room.name() == "bad";
            let shutdown = context.shutdown.clone();
            let started = Started {
                context,
                finish: finish.clone(),
            };
            jobs.try_send(started).ok();
            assert!(!bad, "a bug in this job");
            tokio::select! {
                () = finish.cancelled() => {}
                () = shutdown.cancelled() => {}
            }
            room.close().await;
            Ok(())
        })
    }
}

struct Employed {
    handle: WorkerHandle,
    jobs: Receiver<Started>,
    run: JoinHandle<Result<(), WorkerError>>,
}

impl Employed {
    async fn job(&mut self) -> Started {
        tokio::time::timeout(PATIENCE, self.jobs.recv())
            .await
            .expect("a job in time")
            .expect("a job")
    }

    async fn until(&self, what: &str, condition: impl Fn(&WorkerStatus) -> bool) {
        until(what, || condition(&self.handle.status())).await;
    }

    async fn ended(self) -> Result<(), WorkerError> {
        tokio::time::timeout(PATIENCE, self.run)
            .await
            .expect("the worker ends in time")
            .expect("no panic")
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen"));
}

fn engine() -> Engine {
    Engine::start(EngineConfig {
        bind: "127.0.0.1:0".parse().unwrap(),
        advertise: Vec::new(),
        loopback: true,
        shards: 1,
        max_peers: 64,
    })
    .unwrap()
}

async fn server() -> Running {
    Server::start(ServerConfig::dev().any_ports(), axum::Router::new())
        .await
        .unwrap()
}

/// As `antiphon dev` has it: a test machine's load is no reason to refuse.
fn options(url: &str) -> WorkerOptions {
    WorkerOptions {
        load_threshold: f32::INFINITY,
        ..WorkerOptions::new(url, "devkey", "secret")
    }
}

async fn employ(engine: &Engine, options: WorkerOptions) -> Employed {
    employ_with(engine, options, None).await
}

async fn caller(engine: &Engine, server: &Running, room: &str) -> (Room, Receiver<RoomEvent>) {
    let token = AccessToken::new("devkey", "secret")
        .identity("caller")
        .grants(VideoGrants::join(room))
        .to_jwt()
        .unwrap();
    Room::connect(engine, &server.url(), &token, RoomOptions::default())
        .await
        .unwrap()
}

/// LiveKit's server API, as its SDKs call it.
async fn api(server: &Running, method: &str, body: serde_json::Value) -> serde_json::Value {
    let room = body.get("room").and_then(|room| room.as_str()).unwrap();
    let token = AccessToken::new("devkey", "secret")
        .grants(VideoGrants {
            room_admin: true,
            room_create: true,
            room: room.into(),
            ..Default::default()
        })
        .to_jwt()
        .unwrap();
    let response = reqwest::Client::new()
        .post(format!(
            "http://{}/twirp/livekit.{method}",
            server.local_addr()
        ))
        .bearer_auth(token)
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert!(
        response.status().is_success(),
        "{method}: {}",
        response.status()
    );
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_room_gets_one_agent_with_a_token_for_it_and_the_end_of_the_room_ends_the_job() {
    let (server, engine) = (server().await, engine());
    let mut worker = employ(&engine, options(&server.url())).await;
    let (room, _events) = caller(&engine, &server, "hall").await;
    let job = worker.job().await;
    assert_eq!(job.room(), "hall");
    worker
        .until("one job counted", |status| status.active_jobs == 1)
        .await;
    let body = serde_json::json!({"room": "hall"});
    api(&server, "RoomService/DeleteRoom", body).await;
    tokio::time::timeout(PATIENCE, job.context.shutdown.cancelled())
        .await
        .expect("the server ends the job");
    worker
        .until("no job left", |status| status.active_jobs == 0)
        .await;
    assert!(worker.jobs.try_recv().is_err(), "one agent, not two");
    drop(room);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_dispatch_ends_its_job_and_the_caller_stays() {
    let (server, engine) = (server().await, engine());
    let named = WorkerOptions {
        agent_name: "waiter".into(),
        ..options(&server.url())
    };
    let mut worker = employ(&engine, named).await;
    let (room, _events) = caller(&engine, &server, "hall").await;
    let body = serde_json::json!({"room": "hall", "agentName": "waiter", "metadata": "table 4"});
    let dispatch = api(&server, "AgentDispatchService/CreateDispatch", body).await;
    let job = worker.job().await;
    assert_eq!(job.context.job.metadata, "table 4");
    let body = serde_json::json!({"room": "hall", "dispatchId": dispatch.get("id").unwrap()});
    api(&server, "AgentDispatchService/DeleteDispatch", body).await;
    tokio::time::timeout(PATIENCE, job.context.shutdown.cancelled())
        .await
        .expect("the server ends the job");
    until("the agent gone", || room.participants().is_empty()).await;
    assert_eq!(server.state().await.rooms, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_worker_is_passed_over_until_it_has_room_again() {
    let (server, engine) = (server().await, engine());
    let small = || WorkerOptions {
        max_jobs: 1,
        ..options(&server.url())
    };
    let mut one = employ(&engine, small()).await;
    let mut two = employ(&engine, small()).await;
    let _first = caller(&engine, &server, "a").await;
    let _second = caller(&engine, &server, "b").await;
    let (job, other) = (one.job().await, two.job().await);
    assert_ne!(job.room(), other.room(), "each has one");
    let _third = caller(&engine, &server, "c").await;
    // Both are full, so the third waits for the end of one of the calls.
    job.finish.cancel();
    assert_eq!(one.job().await.room(), "c");
    assert!(two.jobs.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_worker_ends_its_call_first_and_gets_no_new_one() {
    let (server, engine) = (server().await, engine());
    let mut old = employ(&engine, options(&server.url())).await;
    let _first = caller(&engine, &server, "a").await;
    let job = old.job().await;
    old.handle.drain();
    old.until("draining", |status| status.draining).await;
    let mut new = employ(&engine, options(&server.url())).await;
    for room in ["b", "c", "d"] {
        let _caller = caller(&engine, &server, room).await;
        assert_eq!(new.job().await.room(), room);
    }
    assert!(old.jobs.try_recv().is_err() && !old.run.is_finished());
    assert!(!job.context.shutdown.is_cancelled(), "the call goes on");
    job.finish.cancel();
    old.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_outlast_the_drain_time_are_ended_and_it_is_said() {
    let (server, engine) = (server().await, engine());
    let hasty = WorkerOptions {
        drain_timeout: Duration::from_millis(300),
        ..options(&server.url())
    };
    let mut worker = employ(&engine, hasty).await;
    let _caller = caller(&engine, &server, "a").await;
    let job = worker.job().await;
    worker.handle.drain();
    let error = worker.ended().await.unwrap_err();
    assert!(job.context.shutdown.is_cancelled());
    assert!(
        matches!(error, WorkerError::DrainTimeout { jobs: 1 }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_whose_worker_had_to_end_is_answered_by_another() {
    let (server, engine) = (server().await, engine());
    let hasty = WorkerOptions {
        drain_timeout: Duration::from_millis(300),
        ..options(&server.url())
    };
    let mut old = employ(&engine, hasty).await;
    let _caller = caller(&engine, &server, "a").await;
    old.job().await;
    let mut new = employ(&engine, options(&server.url())).await;
    old.handle.drain();
    assert!(old.ended().await.is_err());
    assert_eq!(new.job().await.room(), "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_connection_broke_comes_back_and_its_call_went_on() {
    let (server, engine) = (server().await, engine());
    let proxy = Proxy::to(server.local_addr()).await;
    let direct = server.url();
    // Only the worker's own connection goes through the proxy, so the calls do not notice.
    let mut worker = employ_with(&engine, options(&proxy.url()), Some(direct)).await;
    let _caller = caller(&engine, &server, "a").await;
    let job = worker.job().await;
    let before = proxy.accepted();
    proxy.cut();
    // A busy machine may need more than one.
    until("a second connection", || {
        proxy.accepted() > before && worker.handle.status().connected
    })
    .await;
    assert!(!job.context.shutdown.is_cancelled(), "the call goes on");
    let _other = caller(&engine, &server, "b").await;
    assert_eq!(worker.job().await.room(), "b", "new calls come again");
    // The server knows the new connection as the old job's: it can end it.
    let body = serde_json::json!({"room": "a"});
    api(&server, "RoomService/DeleteRoom", body).await;
    tokio::time::timeout(PATIENCE, job.context.shutdown.cancelled())
        .await
        .expect("the server ends the old job over the new connection");
}

/// As [`employ`], with jobs that join at this address.
async fn employ_with(engine: &Engine, options: WorkerOptions, url: Option<String>) -> Employed {
    struct Redirected(Scripted, Option<String>);
    impl JobHandler for Redirected {
        fn run(&self, mut context: JobContext) -> JobFuture {
            if let Some(url) = &self.1 {
                context.url.clone_from(url);
            }
            self.0.run(context)
        }
    }
    let (jobs, started) = channel(16);
    let engine = engine.clone();
    let handler = Redirected(Scripted { jobs, engine }, url);
    let worker = Worker::new(options, Arc::new(handler));
    let employed = Employed {
        handle: worker.handle(),
        jobs: started,
        run: tokio::spawn(worker.run()),
    };
    employed
        .until("registration", |status| status.connected)
        .await;
    employed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_refused_at_once_and_not_told() {
    let (server, engine) = (server().await, engine());
    let (jobs, _started) = channel(16);
    let wrong = WorkerOptions::new(server.url(), "devkey", "not-the-secret");
    let worker = Worker::new(wrong, Arc::new(Scripted { jobs, engine }));
    let handle = worker.handle();
    let error = tokio::time::timeout(PATIENCE, worker.run())
        .await
        .expect("no retries")
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("401") && text.contains("LIVEKIT_API_SECRET") && !text.contains("not-the"),
        "{text}"
    );
    assert!(handle.status().failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_that_call_alone_and_is_counted() {
    let metrics = antiphon_telemetry::metrics::Metrics::install().unwrap();
    let (server, engine) = (server().await, engine());
    let mut worker = employ(&engine, options(&server.url())).await;
    let _good = caller(&engine, &server, "good").await;
    let good = worker.job().await;
    let _bad = caller(&engine, &server, "bad").await;
    assert_eq!(worker.job().await.room(), "bad");
    let line = |text: String| {
        let panics = text.lines().find(|line| line.contains("panics_total{"));
        panics.map(str::to_owned)
    };
    until("the panic counted", || line(metrics.render()).is_some()).await;
    let counted = line(metrics.render()).unwrap();
    assert!(counted.contains("place=\"job\""), "{counted}");
    assert!(!good.context.shutdown.is_cancelled() && !worker.run.is_finished());
    worker
        .until("one job left", |status| status.active_jobs == 1)
        .await;
    let _more = caller(&engine, &server, "more").await;
    // The caller of the bad room waits, so that job is tried again, too.
    let mut rooms = Vec::new();
    while !(rooms.contains(&"more".to_owned()) && rooms.contains(&"bad".to_owned())) {
        rooms.push(worker.job().await.room());
    }
}

/// Stands before a server and refuses workers with a status, as long as it is told to.
struct Gate {
    url: String,
    refuse: Arc<Mutex<Vec<&'static str>>>,
    workers: Arc<Mutex<Vec<tokio::task::AbortHandle>>>,
    asked: Arc<AtomicUsize>,
}

impl Gate {
    async fn before(server: &Running) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gate = Self {
            url: format!("ws://{}", listener.local_addr().unwrap()),
            refuse: Arc::default(),
            workers: Arc::default(),
            asked: Arc::default(),
        };
        let (refuse, workers) = (gate.refuse.clone(), gate.workers.clone());
        let (asked, server) = (gate.asked.clone(), server.local_addr());
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (refuse, asked) = (refuse.clone(), asked.clone());
                let passing = tokio::spawn(pass(client, server, refuse, asked));
                workers.lock().unwrap().push(passing.abort_handle());
            }
        });
        gate
    }

    fn cut(&self) {
        let mut workers = self.workers.lock().unwrap();
        workers.drain(..).for_each(|worker| worker.abort());
    }
}

async fn pass(
    mut client: TcpStream,
    server: std::net::SocketAddr,
    refuse: Arc<Mutex<Vec<&'static str>>>,
    asked: Arc<AtomicUsize>,
) {
    asked.fetch_add(1, Ordering::Relaxed);
    let refusal = {
        let mut refuse = refuse.lock().unwrap();
        // The last one stays.
        if refuse.len() > 1 {
            Some(refuse.remove(0))
        } else {
            refuse.first().copied()
        }
    };
    if let Some(status) = refusal.filter(|status| !status.is_empty()) {
        let mut request = [0; 4096];
        let _ = client.read(&mut request).await;
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let _ = client.write_all(answer.as_bytes()).await;
        return;
    }
    let mut server = TcpStream::connect(server).await.unwrap();
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_refused_for_now_asks_again_and_gets_its_calls() {
    let (server, engine) = (server().await, engine());
    let gate = Gate::before(&server).await;
    *gate.refuse.lock().unwrap() = vec![
        "429 Too Many Requests\r\nretry-after: 1",
        "503 Service Unavailable",
        "408 Request Timeout",
        "425 Too Early",
        "",
    ];
    let mut worker = employ_with(&engine, options(&gate.url), Some(server.url())).await;
    assert_eq!(gate.asked.load(Ordering::Relaxed), 5);
    let _caller = caller(&engine, &server, "a").await;
    assert_eq!(worker.job().await.room(), "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_refusal_of_a_reconnect_drops_a_running_call() {
    for refusal in ["401 Unauthorized", "404 Not Found", "429 Too Many Requests"] {
        let (server, engine) = (server().await, engine());
        let gate = Gate::before(&server).await;
        let impatient = WorkerOptions {
            max_retries: 1,
            ..options(&gate.url)
        };
        let mut worker = employ_with(&engine, impatient, Some(server.url())).await;
        let _caller = caller(&engine, &server, "a").await;
        let job = worker.job().await;
        *gate.refuse.lock().unwrap() = vec![refusal];
        let before = gate.asked.load(Ordering::Relaxed);
        gate.cut();
        until("two refusals", || {
            gate.asked.load(Ordering::Relaxed) >= before + 2
        })
        .await;
        assert!(!worker.run.is_finished() && !job.context.shutdown.is_cancelled());
        job.finish.cancel();
        if refusal.starts_with("429") {
            *gate.refuse.lock().unwrap() = vec![""];
            worker
                .until("its return", |status| {
                    status.connected && status.active_jobs == 0
                })
                .await;
        } else {
            let error = worker.ended().await.unwrap_err();
            assert!(
                error.to_string().contains(refusal.get(..3).unwrap()),
                "{error}"
            );
        }
    }
}

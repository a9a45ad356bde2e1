//! Agent workers and their jobs, as they meet the server.

use super::*;

pub(super) struct Worker {
    pub(super) socket: Socket,
    id: String,
}

impl Worker {
    pub(super) async fn register(server: &Running, agent_name: &str) -> Self {
        let grants = VideoGrants {
            agent: true,
            ..VideoGrants::default()
        };
        let jwt = AccessToken::new("devkey", "secret")
            .grants(grants)
            .to_jwt()
            .unwrap();
        let mut worker = Self {
            socket: socket(server, "/agent", &jwt).await.unwrap(),
            id: String::new(),
        };
        // As a library with a heartbeat does.
        let ping = Ws::Ping(bytes::Bytes::new());
        worker.socket.send(ping).await.unwrap();
        let request = RegisterWorkerRequest {
            agent_name: agent_name.to_owned(),
            version: "1".into(),
            ..Default::default()
        };
        worker
            .send(worker_message::Message::Register(request))
            .await;
        let server_message::Message::Register(answer) = worker.next().await else {
            panic!("register must be first")
        };
        worker.id = answer.worker_id;
        worker
    }

    async fn send(&mut self, message: worker_message::Message) {
        let message = WorkerMessage {
            message: Some(message),
        };
        self.socket
            .send(Ws::Binary(message.encode_to_vec().into()))
            .await
            .unwrap();
    }

    async fn next(&mut self) -> server_message::Message {
        loop {
            if let Ws::Binary(data) = tokio::time::timeout(PATIENCE, self.socket.next())
                .await
                .unwrap()
                .unwrap()
                .unwrap()
            {
                return ServerMessage::decode(data).unwrap().message.unwrap();
            }
        }
    }

    async fn offered(&mut self) -> proto::Job {
        let server_message::Message::Availability(offer) = self.next().await else {
            panic!("an offer expected")
        };
        offer.job.unwrap()
    }

    async fn answer(&mut self, job: &str, available: bool) {
        let answer = AvailabilityResponse {
            job_id: job.to_owned(),
            available,
            ..Default::default()
        };
        self.send(worker_message::Message::Availability(answer))
            .await;
    }

    async fn assigned(&mut self) -> proto::JobAssignment {
        let server_message::Message::Assignment(assignment) = self.next().await else {
            panic!("an assignment expected")
        };
        assignment
    }

    /// The server has handled everything that was sent before when the pong arrives.
    async fn settle(&mut self) {
        self.send(worker_message::Message::Ping(proto::WorkerPing {
            timestamp: 1,
        }))
        .await;
        let server_message::Message::Pong(_) = self.next().await else {
            panic!("a pong expected")
        };
    }
}

#[tokio::test]
async fn a_room_gets_an_agent_once_and_its_token_joins_as_an_agent() {
    let server = server(Limits::default()).await;
    let mut worker = Worker::register(&server, "").await;
    assert!(worker.id.starts_with("AW_"));
    let (_ann, _) = join(&server, "ann", "hall").await;
    let (_bob, _) = join(&server, "bob", "hall").await;
    let job = worker.offered().await;
    assert!(job.id.starts_with("AJ_") && job.room.as_ref().unwrap().name == "hall");
    worker.answer(&job.id, true).await;
    let assignment = worker.assigned().await;
    let mut agent = socket(&server, "/rtc?protocol=17", &assignment.token)
        .await
        .unwrap();
    let Some(signal_response::Message::Join(join)) = next(&mut agent).await else {
        panic!("join expected")
    };
    let me = join.participant.unwrap();
    assert_eq!(
        (me.kind, me.identity),
        (
            proto::participant_info::Kind::Agent as i32,
            format!("agent-{}", job.id)
        )
    );
    assert_eq!(join.other_participants.len(), 2);
    // The next thing this worker hears is the pong: no second job for the second caller.
    worker.settle().await;
}

#[tokio::test]
async fn a_caller_who_comes_before_any_worker_gets_the_first_that_registers() {
    let server = server(Limits::default()).await;
    let (_ann, _) = join(&server, "ann", "hall").await;
    let mut worker = Worker::register(&server, "").await;
    assert_eq!(worker.offered().await.room.unwrap().name, "hall");
}

#[tokio::test]
async fn a_worker_that_refuses_or_dies_is_followed_by_another() {
    let server = server(Limits::default()).await;
    let mut first = Worker::register(&server, "").await;
    let (_ann, _) = join(&server, "ann", "hall").await;
    let job = first.offered().await;
    let mut second = Worker::register(&server, "").await;
    first.answer(&job.id, false).await;
    assert_eq!(second.offered().await.id, job.id);
    second.answer(&job.id, true).await;
    second.assigned().await;
    let mut third = Worker::register(&server, "").await;
    drop(second);
    assert_eq!(third.offered().await.id, job.id);
}

#[tokio::test]
async fn a_full_worker_gets_no_jobs_until_it_has_room_again() {
    let server = server(Limits::default()).await;
    let mut worker = Worker::register(&server, "").await;
    let status = |full| UpdateWorkerStatus {
        status: Some(i32::from(full)),
        load: 0.9,
        ..Default::default()
    };
    worker
        .send(worker_message::Message::UpdateWorker(status(true)))
        .await;
    worker.settle().await;
    let (_ann, _) = join(&server, "ann", "hall").await;
    worker.settle().await;
    worker
        .send(worker_message::Message::UpdateWorker(status(false)))
        .await;
    assert_eq!(worker.offered().await.room.unwrap().name, "hall");
}

#[tokio::test]
async fn a_named_agent_of_the_token_is_dispatched_with_its_metadata_and_the_unnamed_is_not() {
    let server = server(Limits::default()).await;
    let mut unnamed = Worker::register(&server, "").await;
    let mut desk = Worker::register(&server, "desk").await;
    let agents = vec![RoomAgentDispatch {
        agent_name: "desk".into(),
        metadata: "m".into(),
        ..Default::default()
    }];
    let jwt = token("ann", "hall")
        .room_config(RoomConfiguration {
            agents,
            ..Default::default()
        })
        .to_jwt()
        .unwrap();
    let _ann = socket(&server, "/rtc?protocol=17", &jwt).await.unwrap();
    let job = desk.offered().await;
    assert_eq!(
        (job.agent_name.as_str(), job.metadata.as_str()),
        ("desk", "m")
    );
    unnamed.settle().await;
}

#[tokio::test]
async fn a_deleted_room_ends_its_jobs_and_its_participants() {
    let server = server(Limits::default()).await;
    let mut worker = Worker::register(&server, "").await;
    let (mut ann, _) = join(&server, "ann", "hall").await;
    let job = worker.offered().await;
    worker.answer(&job.id, true).await;
    worker.assigned().await;
    let creator = VideoGrants {
        room_create: true,
        ..VideoGrants::default()
    };
    assert_eq!(
        twirp(
            &server,
            creator,
            "RoomService/DeleteRoom",
            r#"{"room":"hall"}"#
        )
        .await
        .0,
        200
    );
    let leave = until(&mut ann, |m| {
        if let signal_response::Message::Leave(leave) = m {
            Some(leave)
        } else {
            None
        }
    })
    .await;
    assert_eq!(leave.reason, proto::DisconnectReason::RoomDeleted as i32);
    let server_message::Message::Termination(end) = worker.next().await else {
        panic!("termination expected")
    };
    assert_eq!(end.job_id, job.id);
}

#[tokio::test]
async fn who_is_no_worker_may_not_register_as_one() {
    let server = server(Limits::default()).await;
    let jwt = token("ann", "hall").to_jwt().unwrap();
    assert_eq!(socket(&server, "/agent", &jwt).await.err(), Some(401));
}

#[tokio::test]
async fn a_token_that_asks_for_too_many_agents_is_refused_with_the_number() {
    let server = server(Limits::default()).await;
    let with = |count| {
        let agents = (0..count).map(|n| RoomAgentDispatch {
            agent_name: format!("agent{n}"),
            ..Default::default()
        });
        let config = RoomConfiguration {
            agents: agents.collect(),
            ..Default::default()
        };
        token("ann", "hall").room_config(config).to_jwt().unwrap()
    };
    let path = |count| format!("/rtc/validate?access_token={}", with(count));
    let few = reqwest::get(http(&server, &path(10))).await.unwrap();
    assert_eq!(few.status(), 200);
    let many = reqwest::get(http(&server, &path(11))).await.unwrap();
    assert_eq!(many.status(), 400);
    assert!(many.text().await.unwrap().contains("at most 10"));
}

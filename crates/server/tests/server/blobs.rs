//! Data that participants keep on the server for others.

use super::media::send;
use super::*;
use antiphon_protocol::proto::data_blob_key::Key;
use antiphon_protocol::proto::request_response::Reason;
use antiphon_protocol::proto::{DataBlob, DataBlobKey, GetDataBlobRequest, StoreDataBlobRequest};

fn key(name: &str) -> Option<DataBlobKey> {
    let key = Some(Key::Generic(name.to_owned()));
    Some(DataBlobKey { key })
}

fn store(name: &str) -> signal_request::Message {
    let blob = Some(DataBlob {
        key: key(name),
        contents: b"soup".to_vec(),
    });
    let request_id = 7;
    signal_request::Message::StoreDataBlobRequest(StoreDataBlobRequest { request_id, blob })
}

async fn refusal(socket: &mut Socket) -> (u32, Reason) {
    until(socket, |m| match m {
        signal_response::Message::RequestResponse(refused) => {
            Some((refused.request_id, refused.reason()))
        }
        signal_response::Message::StoreDataBlobResponse(_) => panic!("not refused"),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn what_one_keeps_here_another_fetches_where_the_operator_allows_it() {
    let mut config = ServerConfig::dev().any_ports();
    config.rooms.data_blobs = true;
    let server = Server::start(config, axum::Router::new()).await.unwrap();
    let (mut ann, _) = join(&server, "ann", "hall").await;
    let (mut bob, _) = join(&server, "bob", "hall").await;
    send(&mut ann, store("menu")).await;
    let stored = until(&mut ann, |m| match m {
        signal_response::Message::StoreDataBlobResponse(stored) => Some(stored),
        _ => None,
    })
    .await;
    assert_eq!((stored.request_id, stored.key), (7, key("menu")));
    let get = |identity: &str, name: &str| {
        signal_request::Message::GetDataBlobRequest(GetDataBlobRequest {
            request_id: 8,
            participant_identity: identity.to_owned(),
            key: key(name),
        })
    };
    send(&mut bob, get("ann", "menu")).await;
    let found = until(&mut bob, |m| match m {
        signal_response::Message::GetDataBlobResponse(found) => found.blob,
        _ => None,
    })
    .await;
    assert_eq!(found.contents, b"soup");
    for missing in [get("ann", "map"), get("nobody", "menu")] {
        send(&mut bob, missing).await;
        assert_eq!(refusal(&mut bob).await, (8, Reason::NotFound));
    }
}

#[tokio::test]
async fn nobody_keeps_data_here_unless_the_operator_allows_it() {
    let server = server(Limits::default()).await;
    let (mut ann, _) = join(&server, "ann", "hall").await;
    send(&mut ann, store("menu")).await;
    assert_eq!(refusal(&mut ann).await, (7, Reason::NotAllowed));
}

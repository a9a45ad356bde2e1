use super::*;

#[tokio::test]
async fn a_megabyte_arrives_whole_and_in_order() {
    let (server, client) = (engine(), engine());
    let (mut a, mut b, _) = pair(
        Side::client(&client),
        Side::server(&server),
        vec![channel("_reliable")],
    )
    .await;
    a.channel("_reliable").await;
    let whole: Vec<u8> = (0..1_000_000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    for part in whole.chunks(15_000) {
        a.peer.send_data("_reliable", Bytes::copy_from_slice(part));
    }
    let mut got = Vec::new();
    while got.len() < whole.len() {
        got.extend_from_slice(&b.data().await);
    }
    assert!(got == whole);
}

#[tokio::test]
async fn one_large_message_arrives_and_a_larger_one_harms_nothing() {
    let (server, client) = (engine(), engine());
    let (mut a, mut b, _) = pair(
        Side::client(&client),
        Side::server(&server),
        vec![channel("_reliable")],
    )
    .await;
    a.channel("_reliable").await;
    a.peer
        .send_data("_reliable", Bytes::from(vec![7; 1_000_000]));
    a.peer.send_data("_reliable", Bytes::from(vec![8; 64_000]));
    assert_eq!(b.data().await, vec![8; 64_000]);
}

#[tokio::test]
async fn lossy_messages_find_room_beside_a_full_reliable_channel() {
    let (server, client) = (engine(), engine());
    let changes = vec![channel("_reliable"), channel("_lossy")];
    let (mut a, mut b, _) = pair(Side::client(&client), Side::server(&server), changes).await;
    a.channel("_reliable").await;
    a.channel("_lossy").await;
    for _ in 0..60 {
        a.peer.send_data("_reliable", Bytes::from(vec![1; 60_000]));
    }
    a.peer.send_data("_lossy", Bytes::from_static(b"now"));
    let mut before = 0;
    loop {
        let data = b.data().await;
        if data == "now" {
            break;
        }
        before += 1;
    }
    assert!(before < 60, "it came after everything else");
}

#[tokio::test]
async fn a_reader_that_never_takes_its_data_is_closed() {
    let (server, client) = (engine(), engine());
    let (mut a, b, _) = pair(
        Side::client(&client),
        Side::server(&server),
        vec![channel("_reliable")],
    )
    .await;
    a.channel("_reliable").await;
    // More than the queue takes, faster than anything could be sent.
    for _ in 0..200 {
        a.peer.send_data("_reliable", Bytes::from(vec![1; 120_000]));
    }
    a.closed().await;
    drop(b);
}

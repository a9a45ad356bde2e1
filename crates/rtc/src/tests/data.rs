use super::*;

#[tokio::test]
async fn a_megabyte_arrives_whole_and_in_order() {
    let (mut a, mut b, _, _engines) = caller_and_server(vec![channel("_reliable")]).await;
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
    let (mut a, mut b, _, _engines) = caller_and_server(vec![channel("_reliable")]).await;
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
async fn a_file_of_five_megabytes_arrives_whole_though_its_sender_is_faster_than_the_line() {
    let (mut a, mut b, _, _engines) = caller_and_server(vec![channel("_reliable")]).await;
    a.channel("_reliable").await;
    for n in 0..350u32 {
        let mut part = n.to_be_bytes().to_vec();
        part.resize(15_000, 7);
        a.peer.send_data("_reliable", Bytes::from(part));
    }
    for n in 0..350u32 {
        assert_eq!(b.data().await[..4], n.to_be_bytes());
    }
}

#[tokio::test]
async fn who_takes_its_data_too_slowly_misses_some_of_it_and_stays_in_the_call() {
    let (mut a, mut b, _, _engines) = caller_and_server(vec![channel("_reliable")]).await;
    a.channel("_reliable").await;
    // More than the queue takes, faster than anything could be sent.
    for n in 0..200u32 {
        let mut part = n.to_be_bytes().to_vec();
        part.resize(120_000, 7);
        a.peer.send_data("_reliable", Bytes::from(part));
    }
    a.settled().await;
    let held = a.peer.borrow().await.unwrap();
    let waiting = held.channels.waiting_bytes();
    a.peer.give_back(held);
    assert!(
        waiting <= crate::limits::MAX_RELIABLE_QUEUE_BYTES,
        "{waiting}"
    );
    let mut last = None;
    let mut arrived = 0;
    let mut after = false;
    loop {
        let data = b.data().await;
        if data == "after" {
            break;
        }
        let n = u32::from_be_bytes(data[..4].try_into().unwrap());
        assert!(last < Some(n), "in order");
        last = Some(n);
        arrived += 1;
        if !after {
            after = true;
            a.peer.send_data("_reliable", Bytes::from_static(b"after"));
        }
    }
    assert!(arrived < 200, "{arrived}");
}

#[tokio::test]
async fn a_reader_that_is_busy_for_a_moment_loses_lossy_messages_only() {
    let (server, client) = (engine(), engine());
    let changes = vec![channel("_reliable"), channel("_lossy")];
    let (sender, events) = tokio::sync::mpsc::channel(8);
    let busy = Side {
        peer: server
            .peer(
                server.least_loaded_shard(),
                PeerConfig::server("busy"),
                sender,
            )
            .unwrap(),
        events,
        seen: Vec::new(),
    };
    let (mut a, mut busy, _) = pair(Side::client(&client), busy, changes).await;
    a.channel("_reliable").await;
    a.channel("_lossy").await;
    busy.channel("_reliable").await;
    busy.channel("_lossy").await;
    for n in 0..1_000u32 {
        a.peer
            .send_data("_reliable", Bytes::copy_from_slice(&n.to_be_bytes()));
        a.peer.send_data("_lossy", Bytes::from_static(b"lossy"));
    }
    let mut expected = 0u32;
    while expected < 1_000 {
        let data = busy.data().await;
        if data != "lossy" {
            assert_eq!(data[..], expected.to_be_bytes());
            expected += 1;
        }
    }
}

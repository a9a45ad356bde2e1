//! Who asks too often.

use super::*;

#[tokio::test]
async fn an_address_that_joins_too_often_gets_429_with_retry_after() {
    let server = server(Limits {
        joins_per_second: 1,
        joins_burst: 2,
        ..Limits::default()
    })
    .await;
    let jwt = token("ann", "hall").to_jwt().unwrap();
    let mut last = None;
    for _ in 0..5 {
        last = Some(
            reqwest::Client::new()
                .get(http(&server, "/rtc/validate"))
                .bearer_auth(&jwt)
                .send()
                .await
                .unwrap(),
        );
    }
    let last = last.unwrap();
    assert_eq!(last.status(), 429);
    assert!(
        last.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            >= 1
    );
}

#[tokio::test]
async fn who_calls_the_api_too_often_gets_a_twirp_error_with_retry_after() {
    let by_address = Limits {
        api_per_second: 1,
        api_burst: 2,
        ..Limits::default()
    };
    let by_key = Limits {
        key_per_second: 1,
        key_burst: 2,
        ..Limits::default()
    };
    for limits in [by_address, by_key] {
        let server = server(limits).await;
        let grants = VideoGrants {
            room_list: true,
            ..VideoGrants::default()
        };
        let jwt = AccessToken::new("devkey", "secret")
            .grants(grants)
            .to_jwt()
            .unwrap();
        let client = reqwest::Client::new();
        let call = || {
            client
                .post(http(&server, "/twirp/livekit.RoomService/ListRooms"))
                .bearer_auth(&jwt)
                .header("content-type", "application/json")
                .body("{}")
                .send()
        };
        assert_eq!(call().await.unwrap().status(), 200);
        assert_eq!(call().await.unwrap().status(), 200);
        let refused = call().await.unwrap();
        assert_eq!(refused.status(), 429);
        assert_ne!(refused.headers()["retry-after"], "0");
        let error: serde_json::Value = refused.json().await.unwrap();
        assert_eq!(error["code"], "resource_exhausted");
    }
}

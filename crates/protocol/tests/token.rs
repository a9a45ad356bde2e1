//! Tokens as a server meets them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::time::{Duration, SystemTime};

use antiphon_protocol::proto::{RoomAgentDispatch, RoomConfiguration};
use antiphon_protocol::{
    AccessToken, Claims, Keys, ParticipantKind, TokenError, Verifier, VideoGrants,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

fn verifier() -> Verifier {
    Verifier::new(Keys::single("devkey", "secret"))
}

fn token() -> AccessToken {
    AccessToken::new("devkey", "secret")
        .identity("ann")
        .grants(VideoGrants::join("hall"))
}

fn with_header(jwt: &str, header: &str) -> String {
    let mut parts: Vec<&str> = jwt.split('.').collect();
    let header = URL_SAFE_NO_PAD.encode(header);
    parts[0] = &header;
    parts.join(".")
}

#[test]
fn a_good_token_gives_identity_and_grants_back() {
    let claims = verifier()
        .verify(
            &token()
                .name("Ann")
                .kind(ParticipantKind::Agent)
                .to_jwt()
                .unwrap(),
        )
        .unwrap();
    assert_eq!(claims.participant_identity(), "ann");
    assert_eq!(claims.participant_kind(), ParticipantKind::Agent);
    assert_eq!(claims.video_grants(), VideoGrants::join("hall"));
}

#[test]
fn an_expired_token_is_refused_after_a_minute_of_grace() {
    let made = SystemTime::now();
    let jwt = token()
        .ttl(Duration::from_secs(100))
        .to_jwt_at(made)
        .unwrap();
    assert!(
        verifier()
            .verify_at(&jwt, made + Duration::from_secs(159))
            .is_ok()
    );
    assert_eq!(
        verifier().verify_at(&jwt, made + Duration::from_secs(162)),
        Err(TokenError::Expired)
    );
}

#[test]
fn a_token_of_tomorrow_is_refused_today() {
    let now = SystemTime::now();
    let jwt = token().to_jwt_at(now + Duration::from_secs(3600)).unwrap();
    assert_eq!(
        verifier().verify_at(&jwt, now),
        Err(TokenError::NotYetValid)
    );
}

#[test]
fn a_token_without_expiry_is_refused() {
    let claims = Claims {
        iss: "devkey".into(),
        sub: "ann".into(),
        ..Claims::default()
    };
    let key = jsonwebtoken::EncodingKey::from_secret(b"secret");
    let jwt = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
    assert_eq!(verifier().verify(&jwt), Err(TokenError::NoExpiry));
}

#[test]
fn alg_none_is_refused() {
    for alg in ["none", "None", "NONE"] {
        let jwt = with_header(
            &token().to_jwt().unwrap(),
            &format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#),
        );
        let unsigned = format!("{}.", jwt.rsplit_once('.').unwrap().0);
        assert_eq!(verifier().verify(&jwt), Err(TokenError::Algorithm));
        assert_eq!(verifier().verify(&unsigned), Err(TokenError::Algorithm));
    }
}

#[test]
fn other_algorithms_are_refused_even_if_well_signed() {
    let claims = Claims {
        iss: "devkey".into(),
        sub: "ann".into(),
        exp: Some(u64::MAX / 2),
        ..Claims::default()
    };
    let key = jsonwebtoken::EncodingKey::from_secret(b"secret");
    let jwt = jsonwebtoken::encode(
        &jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS512),
        &claims,
        &key,
    )
    .unwrap();
    assert_eq!(verifier().verify(&jwt), Err(TokenError::Algorithm));
}

#[test]
fn an_unsigned_token_is_refused() {
    let jwt = token().to_jwt().unwrap();
    let unsigned = format!("{}.", jwt.rsplit_once('.').unwrap().0);
    assert_eq!(verifier().verify(&unsigned), Err(TokenError::Signature));
}

#[test]
fn a_token_of_another_secret_or_another_key_is_refused() {
    let forged = AccessToken::new("devkey", "guess")
        .identity("ann")
        .to_jwt()
        .unwrap();
    assert_eq!(verifier().verify(&forged), Err(TokenError::Signature));
    let unknown = AccessToken::new("otherkey", "secret")
        .identity("ann")
        .to_jwt()
        .unwrap();
    assert_eq!(
        verifier().verify(&unknown),
        Err(TokenError::UnknownKey {
            key: "otherkey".into()
        })
    );
}

#[test]
fn neither_secret_nor_metadata_is_ever_printed() {
    let made = token().metadata("private note");
    let claims = verifier().verify(&made.clone().to_jwt().unwrap()).unwrap();
    let printed = format!(
        "{made:?} {claims:?} {:?} {:?}",
        Keys::single("devkey", "hush"),
        verifier()
    );
    assert!(
        !printed.contains("secret")
            && !printed.contains("private note")
            && !printed.contains("hush"),
        "{printed}"
    );
}

#[test]
fn the_room_configuration_travels_in_livekits_json() {
    let agents = vec![RoomAgentDispatch {
        agent_name: "desk".into(),
        metadata: "m".into(),
        ..Default::default()
    }];
    let jwt = token()
        .room_config(RoomConfiguration {
            agents,
            ..Default::default()
        })
        .to_jwt()
        .unwrap();
    let json = String::from_utf8(
        URL_SAFE_NO_PAD
            .decode(jwt.split('.').nth(1).unwrap())
            .unwrap(),
    )
    .unwrap();
    assert!(
        json.contains(r#""roomConfig":{"agents":[{"agentName":"desk""#),
        "{json}"
    );
    let config = verifier().verify(&jwt).unwrap().room_config.unwrap();
    assert_eq!(config.agents[0].agent_name, "desk");
}

#[test]
fn keys_are_read_as_livekit_writes_them() {
    let keys = Keys::parse("a: one\n\"b\": 'two', c:three").unwrap();
    assert_eq!(
        keys.iter().collect::<Vec<_>>(),
        [("a", "one"), ("b", "two"), ("c", "three")]
    );
    assert_eq!(
        Keys::parse("a: one, nonsense"),
        Err(TokenError::Keys { entry: 2 })
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_verifier_panic_or_accept(text in "\\PC{0,200}") {
        prop_assert!(verifier().verify(&text).is_err());
    }

    #[test]
    fn no_json_in_the_parts_makes_it_panic_or_accept(header in "\\PC{0,60}", body in "\\PC{0,60}", sig in "[A-Za-z0-9_-]{0,60}") {
        let jwt = format!("{}.{}.{sig}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(body));
        prop_assert!(verifier().verify(&jwt).is_err());
    }

    #[test]
    fn no_claims_are_accepted_under_a_foreign_signature(exp in any::<i64>(), sig in "[A-Za-z0-9_-]{43}") {
        let body = format!(r#"{{"iss":"devkey","sub":"x","exp":{exp},"video":{{"roomJoin":true}}}}"#);
        let jwt = format!("{}.{}.{sig}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#), URL_SAFE_NO_PAD.encode(body));
        prop_assert!(verifier().verify(&jwt).is_err());
    }

    #[test]
    fn any_single_changed_character_is_refused(at in 0usize..400, to in "[A-Za-z0-9_-]") {
        let jwt = token().to_jwt().unwrap();
        let at = at % jwt.len();
        let mut changed = jwt.clone();
        changed.replace_range(at..=at, &to);
        // The last character of a base64 text carries unused bits in some alphabets; the decoder refuses those as well.
        prop_assume!(changed != jwt);
        prop_assert!(verifier().verify(&changed).is_err());
    }
}

//! `antiphon token create`

use antiphon_protocol::proto::{RoomAgentDispatch, RoomConfiguration};
use antiphon_protocol::{AccessToken, VideoGrants};
use anyhow::Context as _;

use super::{DEV_KEY, DEV_SECRET};
use crate::cli::TokenArgs;

/// The token for these arguments, and a warning if it is signed with the development key.
pub fn create(args: TokenArgs) -> anyhow::Result<(String, Option<&'static str>)> {
    let (key, secret, warning) = match (args.api_key, args.api_secret) {
        (Some(key), Some(secret)) => (key, secret, None),
        (None, None) => {
            let warning = "signed with the development key; set LIVEKIT_API_KEY and LIVEKIT_API_SECRET for another server";
            (DEV_KEY.to_owned(), DEV_SECRET.to_owned(), Some(warning))
        }
        (Some(_), None) => anyhow::bail!(
            "LIVEKIT_API_KEY is set but LIVEKIT_API_SECRET is not; set both or neither"
        ),
        (None, Some(_)) => anyhow::bail!(
            "LIVEKIT_API_SECRET is set but LIVEKIT_API_KEY is not; set both or neither"
        ),
    };
    anyhow::ensure!(
        !args.room.trim().is_empty(),
        "--room is empty; name the room to join"
    );
    anyhow::ensure!(
        !args.identity.trim().is_empty(),
        "--identity is empty; every participant needs one of its own"
    );
    let mut grants = VideoGrants::join(&args.room);
    if args.listen_only {
        grants.can_publish = Some(false);
        grants.can_publish_data = Some(false);
    }
    grants.room_admin = args.admin;
    grants.can_manage_agent_session = args.events.then_some(true);
    let mut token = AccessToken::new(key, secret)
        .identity(args.identity)
        .grants(grants)
        .ttl(args.valid_for);
    if let Some(name) = args.name {
        token = token.name(name);
    }
    if let Some(metadata) = args.metadata {
        token = token.metadata(metadata);
    }
    if let Some(agent_name) = args.agent {
        let agents = vec![RoomAgentDispatch {
            agent_name,
            ..RoomAgentDispatch::default()
        }];
        token = token.room_config(RoomConfiguration {
            agents,
            ..RoomConfiguration::default()
        });
    }
    Ok((
        token.to_jwt().context("the token could not be made")?,
        warning,
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, TokenVerb, Verb};

    fn args(extra: &[&str]) -> TokenArgs {
        let words = [
            "antiphon",
            "token",
            "create",
            "--room",
            "hall",
            "--identity",
            "ann",
        ];
        let cli = Cli::try_parse_from(words.iter().chain(extra)).unwrap();
        let Verb::Token(TokenVerb::Create(args)) = cli.verb else {
            panic!("another verb")
        };
        TokenArgs {
            api_key: None,
            api_secret: None,
            ..args
        }
    }

    #[test]
    fn a_token_made_here_lets_its_bearer_in() {
        let (jwt, warning) = create(args(&["--agent", "front-desk"])).unwrap();
        assert!(warning.is_some());
        let keys = antiphon_protocol::Keys::single(DEV_KEY, DEV_SECRET);
        let claims = antiphon_protocol::Verifier::new(keys).verify(&jwt).unwrap();
        assert_eq!(claims.sub, "ann");
        assert_eq!(
            claims.room_config.unwrap().agents[0].agent_name,
            "front-desk"
        );
    }

    #[test]
    fn half_a_key_is_refused() {
        let half = TokenArgs {
            api_key: Some("key".into()),
            ..args(&[])
        };
        assert!(
            create(half)
                .unwrap_err()
                .to_string()
                .contains("LIVEKIT_API_SECRET")
        );
    }
}

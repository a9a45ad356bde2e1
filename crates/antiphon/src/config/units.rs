//! Units in types.

use std::time::Duration;

use antiphon_server::{Proxies, ServerError, TrustedProxies};
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// Seconds in the file, a [`Duration`] here. Refuses negative, infinite and absurd (more than a day) values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        if !(0.0..=86_400.0).contains(&seconds) {
            return Err(D::Error::custom(format!(
                "{seconds} is not a number of seconds between 0 and 86400"
            )));
        }
        Ok(Self(Duration::from_secs_f64(seconds)))
    }
}

/// Addresses and networks in the file.
pub(super) fn proxies<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<TrustedProxies, D::Error> {
    Vec::<String>::deserialize(deserializer)?
        .iter()
        .map(|proxies| proxies.parse())
        .collect::<Result<Vec<Proxies>, ServerError>>()
        .map(TrustedProxies::from_iter)
        .map_err(D::Error::custom)
}

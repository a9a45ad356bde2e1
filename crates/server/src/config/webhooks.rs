//! Who is told what happens in rooms.

use antiphon_protocol::Keys;

use crate::error::ServerError;
use crate::limits::MAX_WEBHOOK_URLS;

/// Who is told what happens in rooms, as LiveKit's `webhook` section has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Webhooks {
    /// Where events are posted; nobody by default.
    pub urls: Vec<String>,
    /// The API key whose secret signs them.
    pub api_key: String,
    /// Only these events; empty: all. LiveKit's `filter_params.include_events`.
    pub include_events: Vec<String>,
    /// Not these. LiveKit's `filter_params.exclude_events`.
    pub exclude_events: Vec<String>,
}

impl Webhooks {
    /// Is this event told?
    pub(crate) fn wants(&self, event: &str) -> bool {
        let listed = |list: &[String]| list.iter().any(|name| name == event);
        // As LiveKit: what is included is told whatever is excluded.
        listed(&self.include_events)
            || (self.include_events.is_empty() && !listed(&self.exclude_events))
    }

    pub(super) fn validate(&self, keys: &Keys) -> Result<(), ServerError> {
        let wrong = |setting, problem| Err(ServerError::Config { setting, problem });
        if self.urls.is_empty() {
            return Ok(());
        }
        if self.urls.len() > MAX_WEBHOOK_URLS {
            let problem = format!("name at most {MAX_WEBHOOK_URLS} addresses");
            return wrong("webhook.urls", problem);
        }
        for (at, url) in self.urls.iter().enumerate() {
            let parsed = url::Url::parse(url).ok();
            let usable = parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https"));
            if !usable {
                // The text is not repeated: it may hold a password.
                let problem = format!(
                    "entry {} is not an address such as https://example.com/livekit-webhook",
                    at + 1
                );
                return wrong("webhook.urls", problem);
            }
        }
        if keys.secret(&self.api_key).is_none() {
            let known: Vec<&str> = keys.iter().map(|(key, _)| key).collect();
            let problem = format!(
                "`{}` is none of the API keys; webhooks are signed with the secret of one of them: {}",
                self.api_key,
                known.join(", ")
            );
            return wrong("webhook.api_key", problem);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_and_a_key_that_nobody_knows_are_refused_with_the_fix() {
        let keys = Keys::single("devkey", "secret");
        let problem = |url: &str, key: &str| {
            let webhooks = Webhooks {
                urls: vec![url.to_owned()],
                api_key: key.to_owned(),
                ..Webhooks::default()
            };
            webhooks.validate(&keys).err().map(|e| e.to_string())
        };
        assert_eq!(problem("https://example.com/x", "devkey"), None);
        for wrong in ["", "example.com", "ftp://example.com", "http://"] {
            let text = problem(wrong, "devkey").unwrap_or_default();
            assert!(text.contains("webhook.urls: entry 1"), "{wrong}: {text}");
        }
        let text = problem("https://example.com/x", "other").unwrap_or_default();
        assert!(
            text.contains("webhook.api_key") && text.contains("devkey"),
            "{text}"
        );
    }

    #[test]
    fn what_is_included_is_told_and_what_is_excluded_is_not() {
        let wants = |include: &[&str], exclude: &[&str], event: &str| {
            let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
            let webhooks = Webhooks {
                include_events: list(include),
                exclude_events: list(exclude),
                ..Webhooks::default()
            };
            webhooks.wants(event)
        };
        assert!(wants(&[], &[], "room_started"));
        assert!(!wants(&[], &["room_started"], "room_started"));
        assert!(wants(&["room_started"], &["room_started"], "room_started"));
        assert!(!wants(&["room_started"], &[], "room_finished"));
    }
}

//! A tool from a description: an HTTP request.
//!
//! The model chooses the arguments, so it must not choose where the request goes: scheme, host and port are fixed in the
//! description, placeholders stand in path and query only and are percent-encoded, redirects stay on the same host, and
//! names that lead into a private network are refused unless the host is listed by name.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use antiphon_dialogue::options::ToolOptions;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::{Tool, ToolContext, ToolError, ToolReply};
use crate::error::AgentError;
use crate::provider::{BoxFuture, ToolDefinition};

/// The largest answer that is read, in bytes; more is cut off. What the model reads is cut further.
const RESPONSE_LIMIT: usize = 256 * 1024;
/// Redirects that are followed on the same host.
const REDIRECT_LIMIT: usize = 3;
/// What a caller waits for at the telephone.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The method of an HTTP tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// Arguments that are not in the path go to the query.
    #[default]
    Get,
    /// Arguments that are not in the URL go to a JSON body.
    Post,
    /// Like `POST`.
    Put,
    /// Like `POST`.
    Patch,
    /// Like `GET`.
    Delete,
}

/// Everything about an HTTP tool.
#[derive(Clone, Debug, Default)]
pub struct HttpToolOptions {
    /// `[a-zA-Z0-9_-]{1,64}`.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// The method.
    pub method: HttpMethod,
    /// The URL, with `{argument}` in path and query.
    pub url: String,
    /// JSON Schema of the arguments.
    pub parameters: Value,
    /// Headers with their final values (secrets resolved from the environment by the caller).
    pub headers: BTreeMap<String, String>,
    /// How it is run; without a time limit of its own it may take 10 s.
    pub run: ToolOptions,
    /// Hosts that requests may go to. Empty: the URL's, if its address is public. A host listed here may be private.
    pub allowed_hosts: Vec<String>,
}

/// A tool that makes one HTTP request.
pub struct HttpTool {
    definition: ToolDefinition,
    method: HttpMethod,
    url: String,
    headers: HeaderMap,
    run: ToolOptions,
    client: reqwest::Client,
}

impl HttpTool {
    /// A tool as described.
    ///
    /// # Errors
    /// A URL that is none, has no fixed host, or whose host is not allowed; a header that is none.
    pub fn new(options: HttpToolOptions) -> Result<Self, AgentError> {
        let tool = options.name.clone();
        let wrong = |message: String| AgentError::HttpTool {
            tool: tool.clone(),
            message,
        };
        let url = Url::parse(&fill(&options.url, |_| Some("0".into())).map_err(wrong)?)
            .map_err(|error| wrong(format!("its URL is not one: {error}")))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let authority_end = options.url.find("://").map_or(0, |at| at + 3);
        let authority = options
            .url
            .get(authority_end..)
            .unwrap_or_default()
            .split(['/', '?', '#'])
            .next()
            .unwrap_or_default();
        if !matches!(url.scheme(), "http" | "https") || host.is_empty() || authority.contains('{') {
            return Err(wrong("its URL must begin with http:// or https:// and a fixed host; placeholders stand in path and query".into()));
        }
        let listed = options
            .allowed_hosts
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(&host));
        if !options.allowed_hosts.is_empty() && !listed {
            return Err(wrong(format!(
                "its host {host} is not among its allowed hosts: add it there"
            )));
        }
        if !listed && literal(&url).is_some_and(is_private) {
            return Err(wrong(format!(
                "{host} is a private address: list it among the allowed hosts if that is meant"
            )));
        }
        let headers = headers(&options.headers).map_err(wrong)?;
        let mut client = reqwest::Client::builder().redirect(same_host()).no_proxy();
        if !listed {
            client = client.dns_resolver(PublicOnly);
        }
        let client = client.build().map_err(|error| wrong(error.to_string()))?;
        let definition = ToolDefinition {
            name: options.name,
            description: options.description,
            parameters: options.parameters,
        };
        Ok(Self {
            definition,
            method: options.method,
            url: options.url,
            headers,
            run: ToolOptions {
                timeout: options.run.timeout.or(Some(DEFAULT_TIMEOUT)),
                ..options.run
            },
            client,
        })
    }

    fn request(&self, arguments: Value) -> Result<reqwest::RequestBuilder, ToolError> {
        let mut rest = match arguments {
            Value::Object(arguments) => arguments,
            _ => Map::new(),
        };
        let all = rest.clone();
        let text = fill(&self.url, |name| {
            rest.remove(name);
            all.get(name).and_then(segment)
        });
        let url = Url::parse(&text.map_err(ToolError::new)?)?;
        let request = match self.method {
            HttpMethod::Get => self.client.get(url).query(&query(&rest)),
            HttpMethod::Delete => self.client.delete(url).query(&query(&rest)),
            HttpMethod::Post => self.client.post(url).json(&rest),
            HttpMethod::Put => self.client.put(url).json(&rest),
            HttpMethod::Patch => self.client.patch(url).json(&rest),
        };
        Ok(request.headers(self.headers.clone()))
    }
}

impl Tool for HttpTool {
    fn definition(&self) -> ToolDefinition {
        self.definition.clone()
    }

    fn call<'a>(
        &'a self,
        arguments: Value,
        context: ToolContext,
    ) -> BoxFuture<'a, Result<ToolReply, ToolError>> {
        Box::pin(async move {
            let request = self
                .request(arguments)?
                .header("idempotency-key", context.idempotency_key);
            // Without the URL, which may hold what the author put there.
            let mut response = request.send().await.map_err(|error| unreachable(&error))?;
            let status = response.status();
            let mut body = Vec::new();
            while body.len() < RESPONSE_LIMIT {
                match response
                    .chunk()
                    .await
                    .map_err(|error| unreachable(&error))?
                {
                    Some(chunk) => body.extend_from_slice(&chunk),
                    None => break,
                }
            }
            body.truncate(RESPONSE_LIMIT);
            let text = String::from_utf8_lossy(&body).into_owned();
            if status.is_success() {
                Ok(ToolReply::new(text))
            } else {
                Err(ToolError::new(format!(
                    "The server answered {status}: {text}"
                )))
            }
        })
    }

    fn options(&self) -> ToolOptions {
        self.run.clone()
    }
}

impl std::fmt::Debug for HttpTool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpTool")
            .field("name", &self.definition.name)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

fn unreachable(error: &reqwest::Error) -> ToolError {
    let what = if error.is_timeout() {
        "did not answer in time"
    } else {
        "cannot be reached"
    };
    tracing::warn!(
        connect = error.is_connect(),
        redirect = error.is_redirect(),
        "an HTTP tool's server {what}"
    );
    ToolError::new(format!("The server {what}."))
}

/// Replace every `{name}`.
fn fill(template: &str, mut value: impl FnMut(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (name, after) = after
            .split_once('}')
            .ok_or_else(|| String::from("its URL has a `{` without `}`"))?;
        out.push_str(&value(name).ok_or_else(|| {
            format!("the argument `{name}` is missing, or is not a text or a number")
        })?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// A value as part of a path or query: everything but letters, digits, `-`, `_`, `~` and inner dots is percent-encoded, so it
/// cannot leave its place.
fn segment(value: &Value) -> Option<String> {
    let text = plain(value)?;
    let dots = text.bytes().all(|byte| byte == b'.');
    let encoded = text.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        b'.' if !dots => String::from("."),
        other => format!("%{other:02X}"),
    });
    // `.` and `..` would be steps in the path even when encoded.
    (!dots || text.is_empty()).then(|| encoded.collect())
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn query(rest: &Map<String, Value>) -> Vec<(&str, String)> {
    let pairs = rest.iter().filter(|(_, value)| !value.is_null());
    pairs
        .map(|(name, value)| {
            (
                name.as_str(),
                plain(value).unwrap_or_else(|| value.to_string()),
            )
        })
        .collect()
}

fn headers(given: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let name = HeaderName::try_from(name)
            .map_err(|_| format!("the header name {name:?} is not allowed in HTTP"))?;
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| format!("the value of the header {name} is not allowed in HTTP"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn same_host() -> redirect::Policy {
    redirect::Policy::custom(|attempt| {
        let same = attempt
            .previous()
            .first()
            .is_some_and(|first| first.origin() == attempt.url().origin());
        if same && attempt.previous().len() <= REDIRECT_LIMIT {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        url::Host::Ipv4(address) => Some(address.into()),
        url::Host::Ipv6(address) => Some(address.into()),
        url::Host::Domain(_) => None,
    }
}

/// Addresses that are not on the public internet.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (18..20).contains(&b))
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            let translated = first == 0x64 && second == 0xff9b; // NAT64: leads to any IPv4 address
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || (first & 0xfe00) == 0xfc00
                || (first & 0xffc0) == 0xfe80
                || translated
                || first == 0x2002
        }
    }
}

/// Finds only public addresses, at the moment of connecting, so that a name cannot change its meaning after a check.
#[derive(Clone, Debug)]
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> =
                found.filter(|address| !is_private(address.ip())).collect();
            if public.is_empty() {
                return Err("the host has no public address; list it among the allowed hosts if a private one is meant".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn tool(url: &str, allowed: &[&str]) -> Result<HttpTool, AgentError> {
        let allowed_hosts = allowed.iter().map(|host| (*host).to_owned()).collect();
        HttpTool::new(HttpToolOptions {
            name: "t".into(),
            url: url.into(),
            allowed_hosts,
            ..HttpToolOptions::default()
        })
    }

    #[test]
    fn arguments_cannot_leave_their_place_in_the_url() {
        let tool = tool("https://api.example/v1/{city}/now?u={unit}", &[]).unwrap();
        let request = tool
            .request(json!({"city": "../a?b#c/d é", "unit": "x&y=1", "more": [1]}))
            .unwrap()
            .build()
            .unwrap();
        assert_eq!(
            request.url().as_str(),
            "https://api.example/v1/..%2Fa%3Fb%23c%2Fd%20%C3%A9/now?u=x%26y%3D1&more=%5B1%5D"
        );
        assert!(tool.request(json!({"city": "..", "unit": "x"})).is_err());
        assert!(
            tool.request(json!({"unit": "x"}))
                .unwrap_err()
                .message()
                .contains("`city` is missing")
        );
    }

    #[test]
    fn requests_go_only_where_the_author_allowed() {
        assert!(tool("https://{host}/x", &[]).is_err());
        assert!(tool("file:///etc/passwd", &[]).is_err());
        assert!(tool("https://a.example/x", &["b.example"]).is_err());
        assert!(tool("https://a.example/x", &["A.example"]).is_ok());
        for private in [
            "http://127.0.0.1/",
            "http://10.1.2.3/",
            "http://169.254.169.254/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://2130706433/",
        ] {
            assert!(tool(private, &[]).is_err(), "{private}");
        }
        assert!(tool("http://127.0.0.1:8080/", &["127.0.0.1"]).is_ok());
    }
}

//! Certificates from an ACME server (RFC 8555): asked for at the first start, renewed when two thirds of their time have passed.
//!
//! The name is proved over the HTTPS port itself (TLS-ALPN-01, RFC 8737), so port 443 of the name must lead here, and no other port is
//! needed. Until the first certificate has come, callers get one that is made here.
//!
//! | module | what |
//! |---|---|
//! | [`order`] | one certificate, from the account to the chain |
//! | [`schedule`] | when to ask |
//! | [`store`] | account, chain and key on disk |

mod order;
mod schedule;
mod store;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use crate::error::ServerError;
use crate::tls::Certificate;
use schedule::Schedule;
pub(crate) use schedule::Validity;
pub(crate) use store::{Pair, Store};

/// Let's Encrypt.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// Let's Encrypt puts at most this many names into one certificate.
const MAX_DOMAINS: usize = 100;

/// Who certifies these names, and where what comes of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// The names, for example `voice.example.com`. Port 443 of each must lead to this server.
    pub domains: Vec<String>,
    /// An address that the certificate authority writes to when something is wrong; it may be absent.
    pub email: Option<String>,
    /// The authority's directory; [`LETS_ENCRYPT`] or another one.
    pub directory: String,
    /// PEM file of the authority that vouches for the directory's own HTTPS, beside those that this machine trusts: for an authority
    /// of a company's own.
    pub directory_ca: Option<PathBuf>,
    /// Account, chain and key are kept here; only this user can read them.
    pub folder: PathBuf,
}

impl Acme {
    /// The same with its names as authorities write them: in lower case, other scripts in their form for DNS.
    ///
    /// # Errors
    /// [`ServerError::Config`] when no authority could certify this; [`ServerError::File`] when what comes of it could not be kept.
    pub(crate) fn checked(&self) -> Result<Self, ServerError> {
        let refuse = |setting, problem: String| Err(ServerError::Config { setting, problem });
        if self.domains.is_empty() || self.domains.len() > MAX_DOMAINS {
            let given = self.domains.len();
            return refuse(
                "acme domains",
                format!("{given} are given; give one to {MAX_DOMAINS}"),
            );
        }
        let mut domains = Vec::new();
        for domain in &self.domains {
            let Some(name) = host_name(domain) else {
                return refuse(
                    "acme domains",
                    format!(
                        "`{domain}` is not a name that can be certified over port 443; give a full host name such as \
                         voice.example.com"
                    ),
                );
            };
            domains.push(name);
        }
        if !self.directory.starts_with("https://") {
            return refuse(
                "acme directory",
                format!("`{}` is not an https address", self.directory),
            );
        }
        if let Some(file) = &self.directory_ca {
            order::trust(file)?;
        }
        let checked = Self {
            domains,
            ..self.clone()
        };
        Store::of(&checked)?.try_to_write()?;
        Ok(checked)
    }
}

/// A full host name as it stands in a certificate.
fn host_name(given: &str) -> Option<String> {
    let given = given.strip_suffix('.').unwrap_or(given);
    match url::Host::parse(given) {
        Ok(url::Host::Domain(name)) if name.contains('.') && !name.contains('*') => Some(name),
        Ok(_) | Err(_) => None,
    }
}

/// Keeps the certificate fresh until the server stops.
pub(crate) async fn keep(acme: Acme, certificate: Arc<Certificate>, stop: CancellationToken) {
    let work = async {
        let mut schedule =
            Schedule::after(Store::of(&acme).ok().and_then(|store| store.failed_at()));
        loop {
            let valid = certificate.validity(&acme.domains);
            let wait = schedule.wait(SystemTime::now(), valid);
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
                continue;
            }
            match order::certificate(&acme, &certificate).await {
                Ok(()) => {
                    schedule.succeeded(SystemTime::now(), certificate.validity(&acme.domains));
                    tracing::info!(domains = ?acme.domains, "a certificate has come");
                }
                Err(error) => {
                    let again = schedule.failed(SystemTime::now(), valid);
                    tracing::warn!(
                        domains = ?acme.domains, directory = acme.directory, again_in_seconds = again.as_secs(),
                        "no certificate has come: {error}"
                    );
                    if let Ok(store) = Store::of(&acme) {
                        store.keep_failure(SystemTime::now());
                    }
                }
            }
            certificate.forget_challenges();
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

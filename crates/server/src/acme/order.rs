//! One certificate: account, order, challenges, chain.

use std::fmt::Write as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use instant_acme::{
    Account, AuthorizationStatus, BodyWrapper, BytesResponse, ChallengeType, HttpClient,
    Identifier, NewAccount, NewOrder, Order, OrderStatus, Problem, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};

use super::{Acme, Pair, Store};
use crate::error::ServerError;
use crate::tls::Certificate;

/// One request to the authority.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// From the first request to the chain. An authority looks from several places of the world, one after another.
const ORDER_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// The most of an authority's words that is logged.
const MAX_REASON_CHARS: usize = 1_000;
/// How long one state is waited for.
const STATE_TIMEOUT: Duration = Duration::from_secs(120);

/// Gets a certificate, keeps it and uses it.
pub(super) async fn certificate(
    acme: &Acme,
    certificate: &Arc<Certificate>,
) -> Result<(), ServerError> {
    let store = Store::of(acme)?;
    let pair = tokio::time::timeout(ORDER_TIMEOUT, ordered(acme, &store, certificate))
        .await
        .map_err(|_| refused("it took longer than five minutes"))??;
    certificate.replace(&pair)?;
    if let Err(error) = store.keep_pair(&pair) {
        tracing::warn!(
            "a certificate has come and is used, but cannot be kept, so the next start asks for another: {error}"
        );
    }
    Ok(())
}

async fn ordered(
    acme: &Acme,
    store: &Store,
    certificate: &Certificate,
) -> Result<Pair, ServerError> {
    let names: Vec<_> = acme.domains.iter().cloned().map(Identifier::Dns).collect();
    let wanted = NewOrder::new(&names);
    let mut order = match account(acme, store).await?.new_order(&wanted).await {
        Err(instant_acme::Error::Api(problem)) if is_unknown_account(&problem) => {
            store.forget_account();
            let new = account(acme, store).await?;
            new.new_order(&wanted).await.map_err(failed)?
        }
        other => other.map_err(failed)?,
    };
    prove(&mut order, certificate).await?;
    let patience = RetryPolicy::new().timeout(STATE_TIMEOUT);
    let unproved = |why: String| {
        ServerError::Acme(format!(
            "{why}. Port 443 of each name must lead to this server"
        ))
    };
    match order.poll_ready(&patience).await {
        Ok(OrderStatus::Ready | OrderStatus::Valid) => {}
        Ok(OrderStatus::Pending | OrderStatus::Processing | OrderStatus::Invalid) => {
            return Err(unproved(reasons(&mut order).await));
        }
        Err(error) => {
            let reasons = reasons(&mut order).await;
            return Err(unproved(format!("{reasons} ({error})")));
        }
    }
    let (request, key) = request(&acme.domains)?;
    order.finalize_csr(&request).await.map_err(failed)?;
    let chain = order.poll_certificate(&patience).await.map_err(failed)?;
    Ok(Pair { chain, key })
}

/// Lets the authority look for each name's challenge.
async fn prove(order: &mut Order, certificate: &Certificate) -> Result<(), ServerError> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(failed)?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            AuthorizationStatus::Invalid
            | AuthorizationStatus::Revoked
            | AuthorizationStatus::Expired
            | AuthorizationStatus::Deactivated => {
                return Err(refused("the authority has refused a name"));
            }
        }
        let mut challenge = authorization
            .challenge(ChallengeType::TlsAlpn01)
            .ok_or_else(|| refused("the authority does not offer TLS-ALPN-01"))?;
        let name = challenge.identifier().to_string();
        let digest = challenge.key_authorization().digest();
        certificate.challenge(&name, &proof(&name, digest.as_ref())?)?;
        challenge.set_ready().await.map_err(failed)?;
    }
    Ok(())
}

/// What the authority says of the names that it could not prove.
async fn reasons(order: &mut Order) -> String {
    let mut found = String::from("the authority could not prove the names");
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else {
            continue;
        };
        let errors: Vec<String> = state
            .challenges
            .iter()
            .filter_map(|challenge| challenge.error.as_ref())
            .map(ToString::to_string)
            .collect();
        let name = authorization.identifier().to_string();
        for error in errors {
            let _ = write!(found, "; {name}: {error}");
        }
    }
    found.chars().take(MAX_REASON_CHARS).collect()
}

/// A private authority's database may be a new one.
fn is_unknown_account(problem: &Problem) -> bool {
    problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:accountDoesNotExist")
}

async fn account(acme: &Acme, store: &Store) -> Result<Account, ServerError> {
    let builder = Account::builder_with_http(Box::new(Http::new(acme)?));
    if let Some(known) = store.account() {
        return builder.from_credentials(known).await.map_err(failed);
    }
    let contact = acme.email.as_ref().map(|email| format!("mailto:{email}"));
    let contact: Vec<&str> = contact.as_deref().into_iter().collect();
    let new = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let (account, credentials) = builder
        .create(&new, acme.directory.clone(), None)
        .await
        .map_err(failed)?;
    store.keep_account(&credentials)?;
    Ok(account)
}

/// What a look at a name is answered with (RFC 8737, section 3).
fn proof(name: &str, digest: &[u8]) -> Result<Pair, ServerError> {
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(unmade)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate().map_err(unmade)?;
    let made = params.self_signed(&key).map_err(unmade)?;
    Ok(Pair {
        chain: made.pem(),
        key: key.serialize_pem(),
    })
}

/// A signing request for these names, and its key.
fn request(names: &[String]) -> Result<(Vec<u8>, String), ServerError> {
    let mut params = CertificateParams::new(names.to_vec()).map_err(unmade)?;
    params.distinguished_name = DistinguishedName::new();
    let key = KeyPair::generate().map_err(unmade)?;
    let request = params.serialize_request(&key).map_err(unmade)?;
    Ok((request.der().to_vec(), key.serialize_pem()))
}

fn unmade(error: rcgen::Error) -> ServerError {
    ServerError::Tls(error.to_string())
}

fn refused(why: &str) -> ServerError {
    ServerError::Acme(why.to_owned())
}

fn failed(error: instant_acme::Error) -> ServerError {
    ServerError::Acme(causes(&error))
}

/// An error with what it came of: an HTTP client's own words say only that a request failed.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Reads authorities that vouch for the directory's own HTTPS.
pub(super) fn trust(file: &Path) -> Result<Vec<reqwest::Certificate>, ServerError> {
    let pem = std::fs::read(file).map_err(|source| ServerError::File {
        path: file.to_owned(),
        source,
    })?;
    let unusable = |why: String| ServerError::Tls(format!("{}: {why}", file.display()));
    let all = reqwest::Certificate::from_pem_bundle(&pem).map_err(|e| unusable(e.to_string()))?;
    match all.is_empty() {
        true => Err(unusable("it holds no certificate in PEM form".to_owned())),
        false => Ok(all),
    }
}

/// The server's own HTTP client, as the ACME client wants it.
struct Http(reqwest::Client);

impl Http {
    fn new(acme: &Acme) -> Result<Self, ServerError> {
        let mut builder = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("antiphon/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &acme.directory_ca {
            builder = builder.tls_certs_merge(trust(file)?);
        }
        let client = builder.build();
        Ok(Self(
            client.map_err(|error| ServerError::Acme(error.to_string()))?,
        ))
    }
}

impl HttpClient for Http {
    fn request(
        &self,
        request: axum::http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move {
            let other = |error: reqwest::Error| instant_acme::Error::Other(Box::new(error));
            let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap));
            let response = client
                .execute(request.map_err(other)?)
                .await
                .map_err(other)?;
            Ok(BytesResponse::from(axum::http::Response::from(response)))
        })
    }
}

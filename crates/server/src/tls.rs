//! Encryption of HTTP and signalling.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig as RustlsConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::acme::{Acme, Pair, Store, Validity};
use crate::config::Tls;
use crate::error::ServerError;

/// What an ACME server that looks at a name asks for, and nobody else (RFC 8737).
const ACME_PROTOCOL: &[u8] = b"acme-tls/1";

/// A certificate that may be replaced while connections go on.
#[derive(Debug)]
pub(crate) struct Certificate {
    tls: Tls,
    current: RwLock<Arc<CertifiedKey>>,
    /// What proves a name to an ACME server, while it looks.
    challenges: RwLock<HashMap<String, Arc<CertifiedKey>>>,
}

impl Certificate {
    /// Read or make it.
    pub(crate) fn new(tls: &Tls) -> Result<Arc<Self>, ServerError> {
        let tls = match tls {
            Tls::Acme(acme) => Tls::Acme(acme.checked()?),
            Tls::Files { .. } | Tls::SelfSigned { .. } => tls.clone(),
        };
        Ok(Arc::new(Self {
            current: RwLock::new(Arc::new(certified(&tls)?)),
            tls,
            challenges: RwLock::default(),
        }))
    }

    /// Ends TLS with it, for this protocol inside.
    pub(crate) fn acceptor(self: &Arc<Self>, protocol: &[u8]) -> Result<TlsAcceptor, ServerError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = RustlsConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ServerError::Tls(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        if !protocol.is_empty() {
            config.alpn_protocols = vec![protocol.to_vec()];
            if matches!(self.tls, Tls::Acme(_)) {
                config.alpn_protocols.push(ACME_PROTOCOL.to_vec());
            }
        }
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Read the files again. Is it another one?
    pub(crate) fn reload(&self) -> Result<bool, ServerError> {
        match &self.tls {
            Tls::SelfSigned { .. } | Tls::Acme(_) => Ok(false),
            Tls::Files { .. } => {
                let fresh = certified(&self.tls)?;
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                let changed = current.cert != fresh.cert;
                *current = Arc::new(fresh);
                Ok(changed)
            }
        }
    }

    /// The files that it is read from.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        match &self.tls {
            Tls::SelfSigned { .. } | Tls::Acme(_) => Vec::new(),
            Tls::Files { certificate, key } => vec![certificate.clone(), key.clone()],
        }
    }
}

/// What an ACME certificate needs.
impl Certificate {
    /// Who certifies it, if somebody does.
    pub(crate) fn acme(&self) -> Option<&Acme> {
        match &self.tls {
            Tls::Acme(acme) => Some(acme),
            Tls::Files { .. } | Tls::SelfSigned { .. } => None,
        }
    }

    /// Uses it for new connections.
    pub(crate) fn replace(&self, pair: &Pair) -> Result<(), ServerError> {
        let fresh = Arc::new(from_pair(pair)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Shows this to an ACME server that looks at this name.
    pub(crate) fn challenge(&self, name: &str, pair: &Pair) -> Result<(), ServerError> {
        let proof = Arc::new(unchecked(pair)?);
        let mut challenges = self
            .challenges
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        challenges.insert(name.to_owned(), proof);
        Ok(())
    }

    pub(crate) fn forget_challenges(&self) {
        let mut challenges = self
            .challenges
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        challenges.clear();
    }

    /// How long the certificate in use holds; `None`: it is not an authority's, or not for all these names.
    pub(crate) fn validity(&self, names: &[String]) -> Option<Validity> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        validity(current.cert.first()?, names)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_look = hello
            .alpn()
            .is_some_and(|mut all| all.any(|one| one == ACME_PROTOCOL));
        if is_look {
            let challenges = self
                .challenges
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            return challenges.get(hello.server_name()?).cloned();
        }
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}

/// Of a certificate that somebody else has signed for all these names.
fn validity(der: &[u8], names: &[String]) -> Option<Validity> {
    let certificate = x509_cert::Certificate::from_der(der).ok()?;
    let fields = certificate.tbs_certificate;
    let (_, alternatives) = fields.get::<SubjectAltName>().ok()??;
    let is_named = |name: &String| {
        alternatives
            .0
            .iter()
            .any(|other| matches!(other, GeneralName::DnsName(other) if other.as_str() == name))
    };
    let since_epoch =
        |time: x509_cert::time::Time| SystemTime::UNIX_EPOCH + time.to_unix_duration();
    let is_an_authoritys = fields.issuer != fields.subject;
    (is_an_authoritys && names.iter().all(is_named)).then(|| Validity {
        from: since_epoch(fields.validity.not_before),
        until: since_epoch(fields.validity.not_after),
    })
}

/// The certificate with its key, which belong together.
pub(crate) fn certified(tls: &Tls) -> Result<CertifiedKey, ServerError> {
    match tls {
        Tls::Files { certificate, key } => joined(from_files(certificate, key)?),
        Tls::SelfSigned { names } => joined(self_signed(names)?),
        // one that cannot be used is asked for anew
        Tls::Acme(acme) => match Store::of(acme)?.pair().map(|pair| from_pair(&pair)) {
            Some(Ok(certified)) => Ok(certified),
            Some(Err(error)) => {
                tracing::warn!(
                    "the certificate of an earlier start cannot be used, and another is asked for: {error}"
                );
                joined(self_signed(&acme.domains)?)
            }
            None => joined(self_signed(&acme.domains)?),
        },
    }
}

/// They belong together.
fn joined((chain, key): Identity) -> Result<CertifiedKey, ServerError> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, key, &provider)
        .map_err(|error| ServerError::Tls(error.to_string()))
}

fn from_pair(pair: &Pair) -> Result<CertifiedKey, ServerError> {
    joined(parsed(pair)?)
}

/// What is shown to an ACME server has an extension that must be understood, and that nobody else understands: it is not looked at here.
fn unchecked(pair: &Pair) -> Result<CertifiedKey, ServerError> {
    let (chain, key) = parsed(pair)?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|error| ServerError::Tls(error.to_string()))?;
    Ok(CertifiedKey::new(chain, key))
}

fn parsed(pair: &Pair) -> Result<Identity, ServerError> {
    let unusable = |error: rustls_pki_types::pem::Error| ServerError::Tls(format!("{error:?}"));
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pair.chain.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes());
    Ok((chain.map_err(unusable)?, key.map_err(unusable)?))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn from_files(certificate: &Path, key: &Path) -> Result<Identity, ServerError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| ServerError::File {
            path: path.to_owned(),
            source,
        })
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(certificate)?).collect();
    let chain =
        chain.map_err(|error| ServerError::Tls(format!("{}: {error:?}", certificate.display())))?;
    let secret = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| {
        ServerError::Tls(format!(
            "{} holds no private key in PEM form",
            key.display()
        ))
    })?;
    Ok((chain, secret))
}

fn self_signed(names: &[String]) -> Result<Identity, ServerError> {
    let made = rcgen::generate_simple_self_signed(names.to_vec())
        .map_err(|error| ServerError::Tls(error.to_string()))?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())
        .map_err(|error| ServerError::Tls(error.to_owned()))?;
    Ok((vec![made.cert.der().clone()], key))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_certificate_is_made_when_none_is_given() {
        assert!(
            certified(&Tls::SelfSigned {
                names: vec!["localhost".into(), "127.0.0.1".into()]
            })
            .is_ok()
        );
    }

    #[test]
    fn a_missing_certificate_file_is_named() {
        let tls = Tls::Files {
            certificate: "/nowhere/c.pem".into(),
            key: "/nowhere/k.pem".into(),
        };
        let error = certified(&tls)
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default();
        assert!(error.contains("/nowhere/c.pem"), "{error}");
    }

    #[test]
    fn a_renewed_certificate_is_used_and_a_broken_one_leaves_the_old() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        let write = || {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
            std::fs::write(&certificate, made.cert.pem()).unwrap();
            std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        };
        write();
        let tls = Tls::Files {
            certificate: certificate.clone(),
            key: key.clone(),
        };
        let used = Certificate::new(&tls).unwrap();
        let shown = || used.current.read().unwrap().cert.clone();
        let first = shown();
        assert!(!used.reload().unwrap());
        write();
        assert!(used.reload().unwrap());
        let second = shown();
        assert_ne!(first, second);
        std::fs::write(&key, "nothing").unwrap();
        assert!(used.reload().is_err());
        assert_eq!(shown(), second);
    }
}

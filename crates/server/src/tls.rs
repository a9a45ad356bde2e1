//! Encryption of HTTP and signalling.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig as RustlsConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;
use crate::error::ServerError;

/// A certificate that may be replaced while connections go on.
#[derive(Debug)]
pub(crate) struct Certificate {
    tls: Tls,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Read or make it.
    pub(crate) fn new(tls: &Tls) -> Result<Arc<Self>, ServerError> {
        Ok(Arc::new(Self {
            tls: tls.clone(),
            current: RwLock::new(Arc::new(certified(tls)?)),
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
        }
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Read the files again. Is it another one?
    pub(crate) fn reload(&self) -> Result<bool, ServerError> {
        match &self.tls {
            Tls::SelfSigned { .. } => Ok(false),
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
            Tls::SelfSigned { .. } => Vec::new(),
            Tls::Files { certificate, key } => vec![certificate.clone(), key.clone()],
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}

/// The certificate with its key, which belong together.
pub(crate) fn certified(tls: &Tls) -> Result<CertifiedKey, ServerError> {
    let (chain, key) = match tls {
        Tls::Files { certificate, key } => from_files(certificate, key)?,
        Tls::SelfSigned { names } => self_signed(names)?,
    };
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, key, &provider)
        .map_err(|error| ServerError::Tls(error.to_string()))
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

//! Encryption of HTTP and signalling.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig as RustlsConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;
use crate::error::ServerError;

/// Read or make the certificate.
pub(crate) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, ServerError> {
    let (chain, key) = match tls {
        Tls::Files { certificate, key } => from_files(certificate, key)?,
        Tls::SelfSigned { names } => self_signed(names)?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = RustlsConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ServerError::Tls(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| ServerError::Tls(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
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
    use super::*;

    #[test]
    fn a_certificate_is_made_when_none_is_given() {
        assert!(
            acceptor(&Tls::SelfSigned {
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
        let error = acceptor(&tls)
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default();
        assert!(error.contains("/nowhere/c.pem"), "{error}");
    }
}

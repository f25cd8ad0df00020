//! TLS: the cluster's own certificate, and client certificates where a client has one.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{Acceptor, shared};
use crate::diag::codes::embedded::BROKEN_HOME;
use crate::embedded::home::Home;
use crate::error::{Error, Result};

/// Makes what accepts TLS connections for a cluster.
pub(super) fn acceptor(home: &Home) -> Result<Acceptor> {
    let authority = certificate(home, "ca.crt")?;
    let own = certificate(home, "server.crt")?;
    let key = home.read_pki("server.key")?;
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
        .map_err(|cause| broken(home, "server.key", cause))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots
        .add(authority.clone())
        .map_err(|cause| broken(home, "ca.crt", cause))?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|cause| broken(home, "ca.crt", cause))?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|cause| broken(home, "server.crt", cause))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![own, authority], key)
        .map_err(|cause| broken(home, "server.crt", cause))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Tickets cost a handshake two messages more, and nobody resumes on loopback.
    config.send_tls13_tickets = 0;
    Ok(shared(config))
}

fn certificate(home: &Home, name: &str) -> Result<CertificateDer<'static>> {
    let pem = home.read_pki(name)?;
    CertificateDer::from_pem_slice(pem.expose().as_bytes())
        .map_err(|cause| broken(home, name, cause))
}

fn broken(home: &Home, name: &str, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    let path = home.pki_folder().join(name);
    Error::new(&BROKEN_HOME, format!("{} cannot be used", path.display())).because(cause)
}

//! An engine behind TLS, as one on another machine: a passage before its socket plays it, which lets in only whoever shows
//! a certificate of its authority.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;
use tokio::io::copy_bidirectional;
use tokio_rustls::TlsAcceptor;

use super::stage::Stage;
use crate::home::text;

/// An authority, and the certificates that it signs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// A certificate and its key for a name.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_string()]).unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        (signed.pem(), key.serialize_pem())
    }

    /// Writes what a client shows into a folder, as the docker command expects it.
    fn equip(&self, folder: &Path, signer: &Self) {
        let (certificate, key) = signer.sign("client");
        std::fs::create_dir_all(folder).unwrap();
        for (name, content) in [
            ("ca.pem", &self.pem),
            ("cert.pem", &certificate),
            ("key.pem", &key),
        ] {
            std::fs::write(folder.join(name), content).unwrap();
        }
    }

    /// Passes connections on to the engine's socket; gives the port.
    fn stand_before(&self, socket: String) -> u16 {
        let (certificate, key) = self.sign("127.0.0.1");
        let read =
            |pem: &str| rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(read(&self.pem)).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
            .build()
            .unwrap();
        let config = rustls::ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![read(&certificate)],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            );
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                while let Ok((client, _)) = listener.accept().await {
                    let (acceptor, socket) = (acceptor.clone(), socket.clone());
                    tokio::spawn(async move {
                        let mut client = acceptor.accept(client).await?;
                        let mut engine = tokio::net::UnixStream::connect(socket).await?;
                        copy_bidirectional(&mut client, &mut engine).await
                    });
                }
            });
        });
        port
    }
}

#[test]
fn an_engine_behind_tls_lets_in_whoever_it_knows() {
    let Some(mut stage) = Stage::set(super::kwok::IMAGES) else {
        return;
    };
    let host = std::env::var("DOCKER_HOST").unwrap_or("unix:///var/run/docker.sock".into());
    let Some(socket) = host.strip_prefix("unix://") else {
        println!("skipped: the engine is not behind a socket");
        return;
    };
    let authority = Authority::new();
    let port = authority.stand_before(socket.to_string());
    authority.equip(&stage.path("known"), &authority);
    authority.equip(&stage.path("unknown"), &Authority::new());
    let name = stage.name("s");
    let script = stage.script(&format!(
        r#"cluster("{name}", #{{ distribution: kwok(), provider: docker(), kubernetes: "1.35.4", workers: 1 }})"#
    ));
    let run = |certificates: &str, arguments: &[&str]| -> Output {
        let mut command = stage.command(env!("CARGO_BIN_EXE_ksail"), arguments);
        command
            .env("DOCKER_HOST", format!("tcp://127.0.0.1:{port}"))
            .env("DOCKER_TLS_VERIFY", "1")
            .env("DOCKER_CERT_PATH", stage.path(certificates));
        command.output().unwrap()
    };
    let said = text(&run("unknown", &["run", &script]));
    assert!(said.contains("E0801"), "{said}");
    let said = text(&run("absent", &["run", &script]));
    assert!(
        said.contains("E0805") || said.contains("cannot be read"),
        "{said}"
    );
    let good = |arguments: &[&str]| {
        let output = run("known", arguments);
        assert!(output.status.success(), "{arguments:?}\n{}", text(&output));
        text(&output)
    };
    good(&["run", &script]);
    assert!(good(&["run", &script]).contains("nothing to change"));
    // A command inside a container takes the whole connection over.
    let file = stage.path("saved.db").display().to_string();
    good(&["cluster", "snapshot", "save", &name, &file]);
    good(&["cluster", "delete", &name, "--yes"]);
    stage.is_gone(&format!("kwok-{name}"));
}

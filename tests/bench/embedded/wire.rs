//! Requests over loopback TLS: ours, and those of a real server if its kubeconfig is named in `KSAIL_BENCH_KUBECONFIG`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::{Process, block_on, effort_of, memory_of};

/// Requests under way at a time on each connection.
const AT_ONCE: usize = 64;
const THREADS: usize = 2;

/// A server to ask.
#[derive(Clone)]
struct Target {
    address: String,
    config: Arc<rustls::ClientConfig>,
}

impl Target {
    fn new(address: &str, authority: &str, certificate: &str, key: &str) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap())
            .unwrap();
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes());
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let mut config = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self {
            address: address.to_owned(),
            config: Arc::new(config),
        }
    }

    fn ours(process: &Process) -> Self {
        let (certificate, key) = process.home.admin().unwrap();
        let authority = process.home.authority().unwrap();
        let address = process.home.address().to_string();
        Self::new(&address, &authority, &certificate, key.expose())
    }

    /// The server that a kubeconfig with everything in it names.
    fn of_kubeconfig(path: &std::path::Path) -> Self {
        use base64::Engine as _;
        let text = std::fs::read_to_string(path).unwrap();
        let value: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        let text = |at: &str| value.pointer(at).unwrap().as_str().unwrap().to_owned();
        let data = |at: &str| {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text(at));
            String::from_utf8(bytes.unwrap()).unwrap()
        };
        let server = text("/clusters/0/cluster/server");
        Self::new(
            server.trim_start_matches("https://"),
            &data("/clusters/0/cluster/certificate-authority-data"),
            &data("/users/0/user/client-certificate-data"),
            &data("/users/0/user/client-key-data"),
        )
    }

    async fn connect(&self) -> SendRequest<Full<Bytes>> {
        let stream = tokio::net::TcpStream::connect(&self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&self.config));
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        sender
    }
}

fn request(method: Method, path: &str, body: String) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(format!("https://127.0.0.1{path}"))
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .header("user-agent", "bench/1")
        .body(Full::new(Bytes::from(body)))
        .unwrap()
}

/// Asks and reads the whole answer; its status must be one of success.
async fn ask(sender: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) {
    let response = sender.send_request(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(
        status.is_success(),
        "{status} {}",
        String::from_utf8_lossy(&body)
    );
}

/// Asks so many times from client threads of their own; the time it took.
fn flood(
    target: &Target,
    count: usize,
    make: impl Fn(usize) -> Request<Full<Bytes>> + Send + Sync + Clone + 'static,
) -> Duration {
    let next = Arc::new(AtomicUsize::new(0));
    let begin = Instant::now();
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (target, next, make) = (target.clone(), Arc::clone(&next), make.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    let sender = target.connect().await;
                    let mut tasks = tokio::task::JoinSet::new();
                    for _ in 0..AT_ONCE {
                        let (mut sender, next, make) =
                            (sender.clone(), Arc::clone(&next), make.clone());
                        tasks.spawn(async move {
                            loop {
                                let number = next.fetch_add(1, Ordering::Relaxed);
                                if number >= count {
                                    return;
                                }
                                ask(&mut sender, make(number)).await;
                            }
                        });
                    }
                    while let Some(done) = tasks.join_next().await {
                        done.unwrap();
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    begin.elapsed()
}

const MAPS: &str = "/api/v1/namespaces/bench/configmaps";

fn map(number: usize, text: &str) -> String {
    format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"c-{number}"}},"data":{{"text":"{text}"}}}}"#
    )
}

fn traffic(who: &str, target: &Target, scale: usize, process: Option<i32>) {
    block_on(async {
        let mut sender = target.connect().await;
        let namespace =
            r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"bench"}}"#.to_owned();
        ask(
            &mut sender,
            request(Method::POST, "/api/v1/namespaces", namespace),
        )
        .await;
    });
    let say = |what: &str, count: usize, time: Duration, before: Duration| {
        let rate = count as f64 / time.as_secs_f64();
        let effort = process.map_or_else(String::new, |process| {
            let used = effort_of(process).saturating_sub(before);
            let each = used.as_secs_f64() * 1e6 / count as f64;
            format!(
                ", {each:.0} µs of the server's processor time each, {} MB resident",
                memory_of(process) / 1024
            )
        });
        println!("{who}: {rate:.0} {what}/s ({count} in {time:.2?}{effort})");
    };
    let effort = || process.map(effort_of).unwrap_or_default();
    let before = effort();
    let time = flood(target, scale, |number| {
        request(Method::POST, MAPS, map(number, "one"))
    });
    say("creates", scale, time, before);
    let before = effort();
    let time = flood(target, scale, |number| {
        request(
            Method::PUT,
            &format!("{MAPS}/c-{number}"),
            map(number, "two"),
        )
    });
    say("updates", scale, time, before);
    let before = effort();
    let time = flood(target, scale * 2, move |number| {
        let at = format!("{MAPS}/c-{}", number % scale);
        request(Method::GET, &at, String::new())
    });
    say("reads", scale * 2, time, before);
    block_on(async {
        let mut sender = target.connect().await;
        let path = "/api/v1/namespaces/bench";
        ask(&mut sender, request(Method::DELETE, path, String::new())).await;
    });
}

pub(super) fn run() {
    println!(
        "requests over loopback TLS from {THREADS} client threads, HTTP/2, {AT_ONCE} under way on each"
    );
    let process = Process::start();
    traffic(
        "ksail",
        &Target::ours(&process),
        20_000,
        Some(process.number),
    );
    drop(process);
    match std::env::var_os("KSAIL_BENCH_KUBECONFIG") {
        Some(path) => traffic(
            "kube-apiserver and etcd",
            &Target::of_kubeconfig(path.as_ref()),
            5000,
            None,
        ),
        None => println!("skipped: no real server; name its kubeconfig in KSAIL_BENCH_KUBECONFIG"),
    }
}

/// A thousand watchers of the same objects, and how long it takes until all have seen everything.
pub(super) fn watchers() {
    const WATCHERS: usize = 1000;
    const WRITES: usize = 200;
    let process = Process::start();
    let target = Target::ours(&process);
    block_on(async {
        let seen = Arc::new(AtomicUsize::new(0));
        let told = Arc::new(tokio::sync::Notify::new());
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let sender = target.connect().await;
            for _ in 0..WATCHERS / 10 {
                let mut sender = sender.clone();
                let path = "/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=1";
                let response = sender
                    .send_request(request(Method::GET, path, String::new()))
                    .await
                    .unwrap();
                let (seen, told) = (Arc::clone(&seen), Arc::clone(&told));
                let mut body = response.into_body();
                tasks.spawn(async move {
                    while let Some(Ok(frame)) = body.frame().await {
                        let data = frame.into_data().unwrap_or_default();
                        let lines = data.iter().filter(|byte| **byte == b'\n').count();
                        let before = seen.fetch_add(lines, Ordering::Relaxed);
                        if before + lines >= WATCHERS * WRITES {
                            told.notify_one();
                        }
                    }
                });
            }
        }
        let mut sender = target.connect().await;
        let effort = effort_of(process.number);
        let begin = Instant::now();
        for number in 0..WRITES {
            let path = "/api/v1/namespaces/default/configmaps";
            ask(
                &mut sender,
                request(Method::POST, path, map(number, "watched")),
            )
            .await;
        }
        let written = begin.elapsed();
        told.notified().await;
        println!(
            "{WATCHERS} watchers, {WRITES} writes: written {written:.2?}, all seen by all {:.2?}; {:.2?} of the server's processor time, {} MB resident",
            begin.elapsed(),
            effort_of(process.number).saturating_sub(effort),
            memory_of(process.number) / 1024
        );
    });
}

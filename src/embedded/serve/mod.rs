//! Sockets: TLS on a loopback port, HTTP/1.1 and HTTP/2, until asked to end.
//!
//! What a request means is none of this module's business: it reads it whole, finds out who sent it, and hands it to
//! [`api::handle`](super::api::handle).

mod connection;
mod gather;
mod streams;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;

use rustix::process::Pid;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access::{Access, User};
use super::audit::{Audit, Policy};
use super::home::Home;
use super::server::{Server, Settings};
use super::store::Store;
use crate::diag::codes::embedded::{NOT_STARTED, PORT_TAKEN};
use crate::error::{Error, Result};
use crate::pki::Key;
use connection::Who;

/// Serves a cluster's folder until SIGTERM or SIGINT: what the detached process does.
///
/// Takes the folder's lock for as long as it runs. `ready` is told once requests are answered.
pub fn run(home: &Home, ready: impl FnOnce()) -> Result<()> {
    let _lock = home.lock(Pid::as_raw(Some(rustix::process::getpid())))?;
    // Another may have served it until a moment ago, and have settled its port.
    let mut home = Home::open(home.folder())?;
    let listener = home.listen()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(1 << 20)
        .enable_all()
        .build()
        .map_err(|cause| {
            Error::new(&NOT_STARTED, "the threads of the server cannot be started").because(cause)
        })?;
    runtime.block_on(serve(&home, listener, ready))
}

async fn serve(home: &Home, listener: std::net::TcpListener, ready: impl FnOnce()) -> Result<()> {
    let fail = |what: &str, cause: std::io::Error| {
        Error::new(&NOT_STARTED, what.to_owned()).because(cause)
    };
    let mut terminate = signal(SignalKind::terminate())
        .map_err(|cause| fail("signals cannot be received", cause))?;
    let mut interrupt = signal(SignalKind::interrupt())
        .map_err(|cause| fail("signals cannot be received", cause))?;
    let listener = listener
        .set_nonblocking(true)
        .and_then(|()| TcpListener::from_std(listener))
        .map_err(|cause| fail("the port cannot be listened on", cause))?;
    let acceptor = tls::acceptor(home)?;
    let (store, note) = Store::open(&home.log_folder())?;
    if let Some(note) = note {
        home.remark(&note);
    }
    let key = Key::from_pem(home.read_pki("sa.key")?.expose())?;
    let access = Access::with_key(&key)?;
    let settings = Settings {
        version: home.config().kubernetes_version(),
        address: home.address().to_string(),
        authority: home.authority()?,
        keys: Some(home.clone()),
        audit: match home.audit_policy()? {
            Some(policy) => Some(Audit::open(Policy::read(&policy)?, &home.audit_log())?),
            None => None,
        },
        ..Settings::default()
    };
    let server = Server::start(store, settings, access)
        .await
        .map_err(|status| Error::new(&NOT_STARTED, status.message.clone()))?;
    let _life = server.enliven();
    let stop = CancellationToken::new();
    let tracker = TaskTracker::new();
    ready();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // One connection that failed, or too many files open for now; neither ends the server.
                Err(_) => { tokio::task::yield_now().await; continue }
            },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        let (server, acceptor, stop) = (server.clone(), acceptor.clone(), stop.clone());
        tracker.spawn(async move {
            // Small answers must not wait for more to come.
            let _ = stream.set_nodelay(true);
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let user = match stream.get_ref().1.peer_certificates() {
                Some([first, ..]) => User::from_certificate(first),
                _ => None,
            };
            let who = user.map_or(Who::Bearer, Who::Certificate);
            connection::serve(server, who, stream, stop).await;
        });
    }
    stop.cancel();
    tracker.close();
    tracker.wait().await;
    Ok(())
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|cause| {
        Error::new(&PORT_TAKEN, format!("cannot listen on {address}"))
            .because(cause)
            .help("stop whatever uses the port, or delete the cluster and create it again")
    })
}

/// Serves over plain HTTP as one user until the future is dropped.
pub(super) async fn plain(
    server: &Server,
    user: &User,
    address: SocketAddr,
    ready: impl FnOnce(SocketAddr) + Send,
) -> Result<()> {
    let listener = bind(address).await?;
    let stop = CancellationToken::new();
    let _guard = stop.clone().drop_guard();
    ready(listener.local_addr().unwrap_or(address));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let who = Who::Certificate(user.clone());
        tokio::spawn(connection::serve(server.clone(), who, stream, stop.clone()));
    }
}

/// The TLS parts, shared by all connections.
type Acceptor = tokio_rustls::TlsAcceptor;

fn shared(config: rustls::ServerConfig) -> Acceptor {
    Acceptor::from(Arc::new(config))
}

//! The control plane without sockets: requests are calls.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt as _;

use super::access::{Access, User};
use super::api::{self, body::Body, status::Status};
use super::controllers::Running;
use super::server::{Server, Settings};
use super::store::Store;

/// A control plane inside this process, and a way to talk to it.
#[derive(Clone)]
pub struct InProcess {
    server: Server,
    user: User,
    /// What makes objects live, until the last handle is dropped.
    _life: Arc<Running>,
}

impl InProcess {
    /// Makes an empty control plane that forgets everything when dropped.
    pub async fn new() -> Result<Self, Status> {
        Self::on(Store::in_memory()).await
    }

    /// Makes a control plane on a store, such as a fork of another's.
    pub async fn on(store: Store) -> Result<Self, Status> {
        Self::with(store, Settings::default()).await
    }

    /// The same, of a control plane that says other things of itself than most.
    pub async fn with(store: Store, settings: Settings) -> Result<Self, Status> {
        let server = Server::start(store, settings, Access::default()).await?;
        let life = Arc::new(server.enliven());
        let user = User::new("kubernetes-admin", &["system:masters"]);
        Ok(Self {
            server,
            user,
            _life: life,
        })
    }

    /// The control plane.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// An independent control plane with the same objects; costs next to nothing until they change.
    pub async fn fork(&self) -> Result<Self, Status> {
        Self::on(self.server.store().fork()).await
    }

    /// A client that thinks it talks to a cluster.
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.clone(), "default")
    }

    /// Answers one request.
    pub async fn call(&self, request: Request<Bytes>) -> Response<Body> {
        api::handle(&self.server, self.user.clone(), request).await
    }

    /// Serves it over plain HTTP on a loopback port as well, until the future is dropped; for tests of other programs.
    pub async fn serve_plain(
        &self,
        address: SocketAddr,
        ready: impl FnOnce(SocketAddr) + Send,
    ) -> crate::Result<()> {
        super::serve::plain(&self.server, &self.user, address, ready).await
    }
}

impl tower::Service<Request<kube::client::Body>> for InProcess {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            // A client's own body is in memory already, so collecting it cannot fail in a way that matters.
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(_) => Bytes::new(),
            };
            let request = Request::from_parts(head, body);
            Ok(InProcess::call(&this, request).await)
        })
    }
}

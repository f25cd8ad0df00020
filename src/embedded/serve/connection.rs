//! One connection: requests in, answers out.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::gather::Gather;
use super::streams::Streams;
use crate::embedded::access::{User, token};
use crate::embedded::api::{self, Answer, body::Body, status::Status};
use crate::embedded::server::Server;

/// The largest body that is read.
const LARGEST: usize = 3 << 20;
/// Room for many watches on one connection.
const STREAMS: u32 = 4096;

/// What the connection itself says about who asks.
#[derive(Clone)]
pub(super) enum Who {
    /// A certificate that was checked.
    Certificate(User),
    /// Nothing; each request says for itself.
    Bearer,
}

/// Serves a connection until the client goes, or until asked to stop and the last answer is out.
pub(super) async fn serve<S>(server: Server, who: Who, stream: S, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let ending = stop.clone();
    let service = service_fn(move |request| {
        let (server, who, ending) = (server.clone(), who.clone(), ending.clone());
        async move { Ok::<_, Infallible>(answer(&server, who, request, ending).await) }
    });
    let (stream, mut streams) = (Gather::new(stream), Streams::default());
    let mut builder = Builder::new(streams.begun());
    builder.http1().max_buf_size(64 << 10);
    builder.http2().max_concurrent_streams(STREAMS);
    let io = TokioIo::new(stream.clone());
    let mut connection = pin!(builder.serve_connection_with_upgrades(io, service));
    // A connection that breaks is the client's affair, so how it ended is nothing to tell.
    let mut drive = |connection: Pin<&mut _>, cx: &mut Context<'_>| {
        drive(connection, &mut streams, &stream, cx)
    };
    let over = tokio::select! {
        () = poll_fn(|cx| drive(connection.as_mut(), cx)) => true,
        () = stop.cancelled() => false,
    };
    if !over {
        connection.as_mut().graceful_shutdown();
        poll_fn(|cx| drive(connection.as_mut(), cx)).await;
    }
    // If the connection became something else, whoever has it now flushes for themselves.
    stream.let_go();
    let _ = poll_fn(|cx| stream.poll_send(cx)).await;
}

/// Goes on with a connection and its streams as far as that goes, then sends what they had to say.
fn drive<S, C, E>(
    mut connection: Pin<&mut C>,
    streams: &mut Streams,
    stream: &Gather<S>,
    cx: &mut Context<'_>,
) -> Poll<()>
where
    S: AsyncWrite + Unpin,
    C: Future<Output = Result<(), E>>,
{
    let over = loop {
        let over = connection.as_mut().poll(cx).is_ready();
        if over || !streams.go_on(cx) {
            break over;
        }
    };
    let sent = stream.poll_send(cx);
    match over || matches!(sent, Poll::Ready(Err(_))) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    }
}

/// Finds out who a request without a certificate is from.
fn bearer(server: &Server, headers: &HeaderMap) -> Result<User, Status> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(User::anonymous());
    };
    let token = value
        .to_str()
        .ok()
        .and_then(|text| text.strip_prefix("Bearer "));
    token
        .and_then(|token| token::user_of(server, token.trim()))
        .ok_or_else(Status::unauthorized)
}

async fn answer(
    server: &Server,
    who: Who,
    request: Request<Incoming>,
    ending: CancellationToken,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let user = match who {
        Who::Certificate(user) => user,
        Who::Bearer => match bearer(server, &head.headers) {
            Ok(user) => user,
            Err(status) => return Answer::from(status).into_response(),
        },
    };
    let body = match Limited::new(body, LARGEST).collect().await {
        Ok(body) => body.to_bytes(),
        Err(cause) => {
            let status = if cause.is::<LengthLimitError>() {
                Status::new(
                    413,
                    "RequestEntityTooLarge",
                    format!("Request entity too large: limit is {LARGEST}"),
                )
            } else {
                Status::bad_request("the body of the request was cut off")
            };
            return Answer::from(status).into_response();
        }
    };
    let request = Request::<Bytes>::from_parts(head, body);
    let mut response = match may_take_long(&request) {
        false => api::handle(server, user, request).await,
        true => {
            // The other requests of the connection need not wait for it.
            let server = server.clone();
            let task = tokio::spawn(async move { api::handle(&server, user, request).await });
            match AbortOnDropHandle::new(task).await {
                Ok(response) => response,
                Err(_) => {
                    let status = Status::new(500, "InternalError", "the request was cut off");
                    return Answer::from(status).into_response();
                }
            }
        }
    };
    if let Body::Stream(stream) = response.body_mut() {
        // A watch would hold the connection open for ever; when the server ends, so does it.
        let stream = std::mem::replace(stream, Box::pin(futures::stream::empty()));
        let ended = async move { ending.cancelled().await };
        let stream = futures::StreamExt::take_until(stream, Box::pin(ended));
        *response.body_mut() = Body::Stream(Box::pin(stream));
    }
    response
}

/// Whether a request may be about very many objects: lists, documents, and what removes a collection.
fn may_take_long(request: &Request<Bytes>) -> bool {
    let path = request.uri().path().trim_end_matches('/');
    // `/api/v1/namespaces/…/pods/…` and `/apis/…/v1/namespaces/…/deployments/…` are about one object each.
    let about_one = match path.contains("/namespaces/") {
        true => path.split('/').count() >= if path.starts_with("/api/") { 7 } else { 8 },
        false => path.split('/').count() >= if path.starts_with("/api/") { 5 } else { 6 },
    };
    let single = *request.method() == Method::POST || about_one;
    !single
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;

    use super::may_take_long;

    #[test]
    fn requests_about_one_object_are_answered_at_once() {
        let long = |method: &str, path: &str| {
            let request = Request::builder().method(method).uri(path);
            may_take_long(&request.body(Bytes::new()).unwrap())
        };
        for (method, path) in [
            ("GET", "/api/v1/namespaces/default/pods/a"),
            ("GET", "/api/v1/nodes/a"),
            ("PATCH", "/apis/apps/v1/namespaces/default/deployments/a"),
            ("POST", "/apis/apps/v1/namespaces/default/deployments"),
            ("GET", "/apis/storage.k8s.io/v1/storageclasses/a"),
        ] {
            assert!(!long(method, path), "{path}");
        }
        for (method, path) in [
            ("GET", "/api/v1/namespaces/default/pods"),
            ("GET", "/api/v1/pods"),
            ("DELETE", "/apis/apps/v1/namespaces/default/deployments"),
            ("GET", "/apis/apps/v1/deployments?watch=true"),
            ("GET", "/openapi/v2"),
            ("GET", "/apis"),
        ] {
            assert!(long(method, path), "{path}");
        }
    }
}

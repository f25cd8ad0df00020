//! One connection: requests in, answers out.

use std::convert::Infallible;
use std::pin::pin;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

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
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().max_buf_size(64 << 10);
    builder.http2().max_concurrent_streams(STREAMS);
    let mut connection =
        pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    tokio::select! {
        // A connection that breaks is the client's affair.
        _ = connection.as_mut() => return,
        () = stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
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
    let mut response = api::handle(server, user, Request::<Bytes>::from_parts(head, body)).await;
    if let Body::Stream(stream) = response.body_mut() {
        // A watch would hold the connection open for ever; when the server ends, so does it.
        let stream = std::mem::replace(stream, Box::pin(futures::stream::empty()));
        let ended = async move { ending.cancelled().await };
        let stream = futures::StreamExt::take_until(stream, Box::pin(ended));
        *response.body_mut() = Body::Stream(Box::pin(stream));
    }
    response
}

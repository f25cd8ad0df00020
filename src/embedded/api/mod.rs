//! What requests ask for, and answers.
//!
//! [`handle`] takes a whole request and gives an answer; it knows no sockets, so tests and the in-process client call it
//! too. Objects are reached by what their kind says about itself. To add a path that is not about objects, add it to
//! [`path`] and to the `match` in [`handle`]; to add a part of an object with a path of its own, see `subresource`.

pub mod body;
mod builtin;
pub mod discovery;
mod encoding;
pub mod follow;
mod health;
mod input;
mod logs;
mod metrics;
pub mod negotiate;
pub mod openapi;
pub(super) mod openapi2;
mod openapi2_proto;
pub mod path;
pub mod query;
pub mod read;
pub mod registry;
mod resource;
pub mod selector;
pub mod status;
mod subresource;
mod tail;
mod unfit;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, header};
use serde_json::{Value, json};

use super::access::User;
use super::access::rbac::{self, Attempt};
use super::audit::About;
use super::server::Server;
use body::Body;
pub(super) use input::{object_of, options_of};
use path::Path;
use query::Query;
use status::Status;

/// What an answer carries with it that says that the user has not the right to what they asked for.
#[derive(Clone, Copy, Debug)]
pub(in crate::embedded) struct WantOfRights;

/// An answer before it becomes HTTP.
pub struct Answer {
    code: u16,
    refused: bool,
    media: &'static str,
    packed: bool,
    warnings: Vec<String>,
    tag: Option<String>,
    body: Body,
}

impl Answer {
    /// JSON that is there as text.
    pub fn text(code: u16, text: Bytes) -> Self {
        Self {
            code,
            refused: false,
            media: "application/json",
            packed: false,
            warnings: Vec::new(),
            tag: None,
            body: Body::Full(text),
        }
    }

    /// A JSON value.
    pub fn json(code: u16, value: &Value) -> Self {
        Self::text(code, Bytes::from(value.to_string()))
    }

    /// A body that comes piece by piece.
    fn stream(pieces: std::pin::Pin<Box<dyn futures::Stream<Item = Bytes> + Send>>) -> Self {
        Self {
            body: Body::Stream(pieces),
            ..Self::text(200, Bytes::new())
        }
    }

    /// Plain text.
    pub fn plain(code: u16, text: &str) -> Self {
        Self {
            media: "text/plain; charset=utf-8",
            ..Self::text(code, Bytes::copy_from_slice(text.as_bytes()))
        }
    }

    /// The same with another media type.
    #[must_use]
    pub fn media(mut self, media: &'static str) -> Self {
        self.media = media;
        self
    }

    /// The same, of a body that is packed with gzip already.
    #[must_use]
    fn packed(mut self) -> Self {
        self.packed = true;
        self
    }

    /// The same with what tells it from other answers at the same place.
    #[must_use]
    fn tag(mut self, tag: String) -> Self {
        self.tag = Some(tag);
        self
    }

    /// The same with things that the client should show.
    #[must_use]
    pub fn warn(mut self, warnings: Vec<String>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(self.body);
        *response.status_mut() = http::StatusCode::from_u16(self.code)
            .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        if self.refused {
            response.extensions_mut().insert(WantOfRights);
        }
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            http::HeaderValue::from_static(self.media),
        );
        headers.insert(
            header::CACHE_CONTROL,
            http::HeaderValue::from_static("no-cache, private"),
        );
        if self.packed {
            encoding::mark(headers);
        }
        let tag = self.tag.as_deref().map(http::HeaderValue::from_str);
        if let Some(Ok(tag)) = tag {
            headers.insert(header::ETAG, tag);
        }
        for warning in &self.warnings {
            let quoted = format!("299 - {warning:?}");
            if let Ok(value) = http::HeaderValue::from_str(&quoted) {
                headers.append(header::WARNING, value);
            }
        }
        response
    }
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        if status.is_bare() {
            return Self::plain(status.code, &status.message);
        }
        let answer = Self::json(status.code, &status.to_json());
        Self {
            refused: status.is_for_want_of_rights(),
            ..answer.warn(status.warnings().to_vec())
        }
    }
}

/// What a request is made of, once its path is known.
pub struct Call<'a> {
    /// The control plane.
    pub server: &'a Server,
    /// Who asks.
    pub user: User,
    /// `GET`, `POST`, …
    pub method: Method,
    /// The options.
    pub query: Query,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Call<'_> {
    /// A header's text; empty if it is not there.
    pub fn header(&self, name: header::HeaderName) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// Answers a request.
pub async fn handle(server: &Server, user: User, request: Request<Bytes>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let path = path::parse(head.uri.path());
    let audit = server.settings().audit.as_ref();
    let entry = audit.and_then(|audit| {
        let acting = User::impersonated(&head.headers);
        audit.begin(&user, acting.as_ref(), &about(&path, &head), &head, &body)
    });
    let answer = answer(server, user, path, &head, body).await;
    let response = match answer {
        Ok(answer) => answer.into_response(),
        Err(status) => Answer::from(status).into_response(),
    };
    let response = match entry {
        Some(entry) => entry.end(response),
        None => response,
    };
    encoding::finish(&head.headers, response)
}

/// What a request is about, for those who note it.
fn about(path: &Path, head: &Parts) -> About {
    let Path::Resource(target) = path else {
        return About {
            verb: head.method.as_str().to_lowercase(),
            path: head.uri.path().to_owned(),
            ..About::default()
        };
    };
    let query = Query::parse(head.uri.query());
    let verb = resource::verb_of(&head.method, &query, target, head.uri.path());
    About {
        verb: verb.unwrap_or_default().to_owned(),
        path: head.uri.path().to_owned(),
        is_resource: true,
        group: target.group.clone(),
        version: target.version.clone(),
        resource: target.plural.clone(),
        subresource: target.subresource.clone(),
        namespace: target.namespace.clone(),
        name: target.name.clone(),
    }
}

async fn answer(
    server: &Server,
    user: User,
    path: Path,
    head: &Parts,
    body: Bytes,
) -> Result<Answer, Status> {
    let call = Call {
        server,
        user: acting(server, user, &head.headers)?,
        method: head.method.clone(),
        query: Query::parse(head.uri.query()),
        headers: &head.headers,
        body,
    };
    match path {
        Path::Resource(target) => resource::answer(call, target, head.uri.path()).await,
        other => may_ask(&call, head.uri.path()).and_then(|()| answer_about_itself(&call, &other)),
    }
}

/// Whom a request acts as: whoever sent it, or whom they may act as.
fn acting(server: &Server, user: User, headers: &HeaderMap) -> Result<User, Status> {
    let Some(other) = User::impersonated(headers) else {
        return Ok(user);
    };
    let attempt = |resource: &str, name: &str| Attempt {
        verb: "impersonate".to_owned(),
        resource: resource.to_owned(),
        name: name.to_owned(),
        ..Attempt::default()
    };
    let mut attempts = vec![attempt("users", &other.name)];
    attempts.extend(
        other
            .groups
            .iter()
            .filter(|group| *group != "system:authenticated")
            .map(|group| attempt("groups", group)),
    );
    for attempt in attempts {
        if !rbac::may(server, &user, &attempt) {
            let message = format!(
                "{} \"{}\" is forbidden: {}",
                attempt.resource,
                attempt.name,
                attempt.refusal(&user)
            );
            return Err(Status::new(403, "Forbidden", message).for_want_of_rights());
        }
    }
    Ok(other)
}

/// Refuses a path that is about no object to those who may not have it.
fn may_ask(call: &Call<'_>, path: &str) -> Result<(), Status> {
    let attempt = Attempt {
        verb: call.method.as_str().to_lowercase(),
        path: path.to_owned(),
        ..Attempt::default()
    };
    if rbac::may(call.server, &call.user, &attempt) {
        return Ok(());
    }
    let message = format!("forbidden: {}", attempt.refusal(&call.user));
    let status = Status::new(403, "Forbidden", message);
    Err(status.with_details().for_want_of_rights())
}

fn answer_about_itself(call: &Call<'_>, path: &Path) -> Result<Answer, Status> {
    if call.method != Method::GET && call.method != Method::HEAD {
        return Err(Status::method_not_allowed());
    }
    let server = call.server;
    let registry = server.registry();
    let aggregated = call
        .header(header::ACCEPT)
        .split(',')
        .next()
        .is_some_and(|first| first.contains("as=APIGroupDiscoveryList"));
    const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let value = match path {
        Path::Root => {
            let mut paths = vec!["/api".to_owned(), "/api/v1".to_owned(), "/apis".to_owned()];
            for kind in registry.all() {
                for path in [
                    format!("/apis/{}", kind.group),
                    format!("/apis/{}/{}", kind.group, kind.version),
                ] {
                    if !kind.group.is_empty() && !paths.contains(&path) {
                        paths.push(path);
                    }
                }
            }
            paths.extend(
                [
                    "/healthz",
                    "/livez",
                    "/metrics",
                    "/openapi/v2",
                    "/openapi/v3",
                    "/readyz",
                    "/version",
                ]
                .map(str::to_owned),
            );
            json!({ "paths": paths })
        }
        Path::Health(path) => {
            return health::answer(path, &call.query).ok_or_else(Status::page_not_found);
        }
        Path::Version => {
            // People read this one, so the real server puts it on lines.
            let value = version(&server.settings().version);
            let text = serde_json::to_vec_pretty(&value).unwrap_or_default();
            return Ok(Answer::text(200, Bytes::from(text)));
        }
        Path::CoreVersions | Path::Groups if aggregated => {
            let core = *path == Path::CoreVersions;
            let value = discovery::aggregated(registry, core);
            return Ok(Answer::json(200, &value).media(AGGREGATED));
        }
        Path::CoreVersions => discovery::core_versions(&server.settings().address),
        Path::Groups => discovery::groups(registry),
        Path::Group(name) => discovery::group(registry, name).ok_or_else(Status::page_not_found)?,
        Path::GroupVersion(group, version) => {
            discovery::resources(registry, group, version).ok_or_else(Status::page_not_found)?
        }
        Path::OpenApi3(rest) if rest.is_empty() => openapi::index(registry),
        Path::OpenApi3(rest) => {
            let packed = server.openapi3().packed(registry, rest);
            let packed = packed.ok_or_else(Status::no_such_path)?;
            return Ok(Answer::text(200, packed).packed());
        }
        Path::OpenId(what) => open_id(server, what)?,
        Path::Metrics => {
            const MEDIA: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
            return Ok(Answer::plain(200, &metrics::text(server)).media(MEDIA));
        }
        Path::OpenApi2 => {
            let (text, media, tag) = server
                .openapi()
                .text(registry, call.header(header::ACCEPT))?;
            if call.header(header::IF_NONE_MATCH) == tag {
                return Ok(Answer::text(304, Bytes::new()).tag(tag));
            }
            return Ok(Answer::text(200, text).media(media).tag(tag));
        }
        Path::Resource(_) | Path::Unknown => return Err(Status::page_not_found()),
    };
    Ok(Answer::json(200, &value))
}

/// How others can check the tokens of this cluster.
fn open_id(server: &Server, what: &str) -> Result<Value, Status> {
    let signer = server.access().signer().ok_or_else(Status::no_such_path)?;
    if what.starts_with("openid") {
        return Ok(signer.key_set());
    }
    Ok(json!({
        "issuer": super::access::token::ISSUER,
        "jwks_uri": format!("https://{}/openid/v1/jwks", server.settings().address),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }))
}

/// What `/version` says.
fn version(text: &str) -> Value {
    let mut parts = text.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next().unwrap_or("1"), parts.next().unwrap_or("0"));
    json!({
        "major": major, "minor": minor,
        "emulationMajor": major, "emulationMinor": minor,
        "minCompatibilityMajor": major, "minCompatibilityMinor": minor,
        "gitVersion": text, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "ksail",
        "platform": format!("{}/{}", std::env::consts::OS, match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        }),
    })
}

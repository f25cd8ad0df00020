//! The audit log: who asked for what, and what became of it, as `audit.k8s.io/v1` events, one a line.
//!
//! Nothing is written unless a cluster's folder holds a policy; `policy` says which requests count and how much of them is
//! kept, `file` keeps the lines within bounds. What a request means is `api`'s business.

mod file;
mod policy;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, header};
use serde_json::{Map, Value, json};

use super::access::User;
use super::api::WantOfRights;
use super::api::body::Body;
use super::proto;
use crate::error::Result;
use file::Lines;
pub use policy::Policy;
use policy::{Level, Ruling};

/// The log of one control plane; clones write to the same.
#[derive(Clone, Debug)]
pub struct Audit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    policy: Policy,
    lines: Lines,
}

/// What a request is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::embedded) struct About {
    /// Such as `get` or `list`.
    pub(in crate::embedded) verb: String,
    /// The path without its options.
    pub(in crate::embedded) path: String,
    /// Whether the path is about objects.
    pub(in crate::embedded) is_resource: bool,
    pub(in crate::embedded) group: String,
    pub(in crate::embedded) version: String,
    pub(in crate::embedded) resource: String,
    pub(in crate::embedded) subresource: String,
    pub(in crate::embedded) namespace: String,
    pub(in crate::embedded) name: String,
}

/// An event that is not over yet; dropped, it is written down as over.
pub(in crate::embedded) struct Entry {
    audit: Audit,
    ruling: Ruling,
    event: Map<String, Value>,
    done: bool,
}

impl Audit {
    /// Writes to a file by a policy.
    pub fn open(policy: Policy, file: &Path) -> Result<Self> {
        let lines = Lines::open(file)?;
        Ok(Self(Arc::new(Inner { policy, lines })))
    }

    /// Notes a request that has come; `None` if the policy has no interest in it.
    pub(in crate::embedded) fn begin(
        &self,
        user: &User,
        acting: Option<&User>,
        about: &About,
        head: &Parts,
        body: &Bytes,
    ) -> Option<Entry> {
        let ruling = self.0.policy.rule(acting.unwrap_or(user), about);
        if ruling.level == Level::None {
            return None;
        }
        let text = |name: header::HeaderName| {
            let text = head.headers.get(name).and_then(|text| text.to_str().ok());
            text.unwrap_or_default().to_owned()
        };
        let uri = head.uri.path_and_query().map_or("", |uri| uri.as_str());
        let mut event = Map::new();
        let mut put = |name: &str, value: Value| event.insert(name.to_owned(), value);
        put("kind", "Event".into());
        put("apiVersion", "audit.k8s.io/v1".into());
        put("level", ruling.level.name().into());
        put("auditID", uuid::Uuid::new_v4().to_string().into());
        put("stage", Value::Null);
        put("requestURI", uri.into());
        put("verb", about.verb.as_str().into());
        put("user", shown(user));
        if let Some(acting) = acting {
            put("impersonatedUser", shown(acting));
        }
        // Nothing but this machine reaches the server.
        put("sourceIPs", json!(["127.0.0.1"]));
        put("userAgent", text(header::USER_AGENT).into());
        if about.is_resource {
            put("objectRef", reference(about));
        }
        let received = now();
        put("requestReceivedTimestamp", received.as_str().into());
        put("stageTimestamp", received.into());
        let mut entry = Entry {
            audit: self.clone(),
            ruling,
            event,
            done: false,
        };
        entry.write("RequestReceived");
        if entry.ruling.level >= Level::Request
            && let Some(object) = entry.object(&text(header::CONTENT_TYPE), body)
        {
            entry.event.insert("requestObject".to_owned(), object);
        }
        Some(entry)
    }
}

impl Entry {
    /// Notes the answer, and the end of it when that comes.
    pub(in crate::embedded) fn end(mut self, mut response: Response<Body>) -> Response<Body> {
        let code = response.status().as_u16();
        let status = json!({"metadata": {}, "code": code});
        self.event.insert("responseStatus".to_owned(), status);
        // What admission refuses was allowed before.
        let decision = match response.extensions().get::<WantOfRights>() {
            Some(_) => "forbid",
            None => "allow",
        };
        let note = json!({
            "authorization.k8s.io/decision": decision, "authorization.k8s.io/reason": "",
        });
        self.event.insert("annotations".to_owned(), note);
        if let Some(id) = self.event.get("auditID").and_then(Value::as_str)
            && let Ok(id) = HeaderValue::from_str(id)
        {
            response.headers_mut().insert("audit-id", id);
        }
        if let Body::Full(bytes) = response.body() {
            if self.ruling.level >= Level::RequestResponse
                && let Some(object) = self.object(&media(response.headers()), bytes)
            {
                self.event.insert("responseObject".to_owned(), object);
            }
            return response;
        }
        self.write("ResponseStarted");
        if let Body::Stream(stream) = response.body_mut() {
            let stream = std::mem::replace(stream, Box::pin(futures::stream::empty()));
            // Over when the last line is out, or when the client is gone.
            let held = futures::StreamExt::map(stream, move |piece| {
                let _ = &self;
                piece
            });
            *response.body_mut() = Body::Stream(Box::pin(held));
        }
        response
    }

    fn write(&mut self, stage: &str) {
        if self.ruling.omitted.iter().any(|omitted| omitted == stage) {
            return;
        }
        self.event.insert("stage".to_owned(), stage.into());
        self.event.insert("stageTimestamp".to_owned(), now().into());
        let text = serde_json::to_string(&self.event).unwrap_or_default();
        self.audit.0.lines.write(&text);
    }

    /// The object in a body, as JSON.
    fn object(&self, media: &str, body: &[u8]) -> Option<Value> {
        let mut object = if media.starts_with(proto::MEDIA) {
            proto::decode(body).ok()?
        } else if media.contains("yaml") {
            serde_yaml::from_slice(body).ok()?
        } else {
            serde_json::from_slice(body).ok()?
        };
        if self.ruling.without_managed_fields {
            forget_managed_fields(&mut object);
            let items = object.get_mut("items").and_then(Value::as_array_mut);
            items.into_iter().flatten().for_each(forget_managed_fields);
        }
        Some(object)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !std::mem::replace(&mut self.done, true) {
            self.write("ResponseComplete");
        }
    }
}

fn forget_managed_fields(object: &mut Value) {
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    if let Some(metadata) = metadata {
        metadata.shift_remove("managedFields");
    }
}

fn media(headers: &HeaderMap) -> String {
    let text = headers.get(header::CONTENT_TYPE);
    let text = text.and_then(|text| text.to_str().ok());
    text.unwrap_or_default().to_owned()
}

fn shown(user: &User) -> Value {
    let mut out = json!({"username": user.name, "groups": user.groups});
    if let Some(out) = out.as_object_mut() {
        if !user.uid.is_empty() {
            out.insert("uid".to_owned(), user.uid.as_str().into());
        }
        if !user.extra.is_empty() {
            out.insert("extra".to_owned(), json!(user.extra));
        }
    }
    out
}

fn reference(about: &About) -> Value {
    let mut out = Map::new();
    for (name, text) in [
        ("resource", &about.resource),
        ("namespace", &about.namespace),
        ("name", &about.name),
        ("apiGroup", &about.group),
        ("apiVersion", &about.version),
        ("subresource", &about.subresource),
    ] {
        if !text.is_empty() {
            out.insert(name.to_owned(), text.as_str().into());
        }
    }
    Value::Object(out)
}

fn now() -> String {
    let now = jiff::Timestamp::now();
    now.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

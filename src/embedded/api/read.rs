//! Reading: one object, or a list of them, at a revision.

use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use serde_json::{Value, json};

use super::query::Query;
use super::registry::Kind;
use super::selector::{FieldSelector, LabelSelector};
use super::status::{Cause, Status};
use crate::embedded::server::Server;
use crate::embedded::store::Object;
use crate::embedded::write::versions;

/// What a list was asked for and what was found.
pub struct Page {
    /// The objects, in order.
    pub objects: Vec<Arc<Object>>,
    /// The revision they are from.
    pub revision: u64,
    /// How to ask for more; empty if there is none.
    pub next: String,
    /// How many are left, if that is known.
    pub remaining: Option<usize>,
}

/// Which objects count.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// By labels.
    pub labels: LabelSelector,
    /// By fields.
    pub fields: FieldSelector,
    /// By namespace; empty means all.
    pub prefix: String,
    /// By name; empty means all.
    pub name: String,
}

impl Filter {
    /// Reads what a request wants of a kind.
    pub fn new(kind: &Kind, namespace: &str, query: &Query) -> Result<Self, Status> {
        let fields = query.fields()?;
        for field in fields.fields() {
            if !is_selectable(kind, field) {
                return Err(Status::bad_request(format!(
                    "field label not supported: {field}"
                )));
            }
        }
        Ok(Self {
            labels: query.labels()?,
            fields,
            prefix: kind.prefix(namespace),
            name: String::new(),
        })
    }

    /// Whether an object counts.
    pub fn takes(&self, object: &Object) -> bool {
        object.key().starts_with(&self.prefix)
            && (self.name.is_empty() || object.name() == self.name)
            && self.labels.matches_object(object)
            && self.fields.matches(object)
    }

    fn is_plain(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty() && self.name.is_empty()
    }
}

fn is_selectable(kind: &Kind, field: &str) -> bool {
    if matches!(field, "metadata.name" | "metadata.namespace") {
        return true;
    }
    if let Some(custom) = &kind.custom {
        return custom
            .selectable
            .iter()
            .any(|path| path.trim_start_matches('.') == field);
    }
    let known: &[&str] = match kind.bucket() {
        "pods" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        "events" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
            "regarding.kind",
            "regarding.name",
            "regarding.namespace",
            "regarding.uid",
        ],
        "namespaces" => &["status.phase"],
        "nodes" => &["spec.unschedulable"],
        "secrets" => &["type"],
        "services" => &["spec.clusterIP", "spec.type"],
        "replicationcontrollers" | "replicasets.apps" => &["status.replicas"],
        "jobs.batch" => &["status.successful"],
        "certificatesigningrequests.certificates.k8s.io" => &["spec.signerName"],
        _ => &[],
    };
    known.contains(&field)
}

/// Lists by a request's options.
pub fn list(server: &Server, kind: &Kind, filter: &Filter, query: &Query) -> Result<Page, Status> {
    let limit = query.number("limit")?.unwrap_or(0);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let wanted = query.text("resourceVersion");
    let matching = query.text("resourceVersionMatch");
    check_match(wanted, matching, query)?;
    let store = server.store();
    let (start, listing) = match query.text("continue") {
        "" => {
            let listing = match (revision(wanted)?, matching) {
                (Some(at), "Exact") if at > 0 => store
                    .list_at(kind.bucket(), &filter.prefix, at)
                    .map_err(|old| expired(at, old.oldest))?,
                (Some(at), _) if at > store.revision() => {
                    return Err(too_large(at, store.revision()));
                }
                _ => store.list(kind.bucket(), &filter.prefix),
            };
            (String::new(), listing)
        }
        token => {
            let (at, start) = read_token(token)?;
            // Without a revision the list goes on with what is there now.
            let listing = if at == 0 {
                Ok(store.list(kind.bucket(), &filter.prefix))
            } else {
                store.list_at(kind.bucket(), &filter.prefix, at)
            };
            let listing = listing
                .map_err(|_| {
                    let anew = write_token(0, &start);
                    Status::expired("The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.")
                    .go_on(anew)
                })?;
            (start, listing)
        }
    };
    let mut objects = listing.objects;
    if !start.is_empty() {
        objects.retain(|object| object.key() > start.as_str());
    }
    if !filter.is_plain() {
        objects.retain(|object| filter.takes(object));
    }
    let (mut next, mut remaining) = (String::new(), None);
    if limit > 0 && objects.len() > limit {
        if filter.is_plain() {
            remaining = Some(objects.len() - limit);
        }
        objects.truncate(limit);
        if let Some(last) = objects.last() {
            next = write_token(listing.revision, last.key());
        }
    }
    Ok(Page {
        objects,
        revision: listing.revision,
        next,
        remaining,
    })
}

fn check_match(wanted: &str, matching: &str, query: &Query) -> Result<(), Status> {
    const FIELD: &str = "resourceVersionMatch";
    let complain = |field: &str, message: &str| {
        let cause = Cause::forbidden(field, message);
        Err(Status::invalid_options("ListOptions", &[cause]))
    };
    if query.flag("watch") {
        return Ok(());
    }
    if query.maybe_flag("sendInitialEvents").is_some() {
        let message = "sendInitialEvents is forbidden for list";
        return complain("sendInitialEvents", message);
    }
    if matching.is_empty() {
        return Ok(());
    }
    if wanted.is_empty() {
        let message = "resourceVersionMatch is forbidden unless resourceVersion is provided";
        return complain(FIELD, message);
    }
    if !query.text("continue").is_empty() {
        return complain(
            FIELD,
            "resourceVersionMatch is forbidden when continue is provided",
        );
    }
    match matching {
        "Exact" if wanted == "0" => complain(
            FIELD,
            "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        ),
        "Exact" | "NotOlderThan" => Ok(()),
        other => {
            let allowed = ["Exact", "NotOlderThan", ""];
            let cause = Cause::unsupported(FIELD, &other.into(), &allowed);
            Err(Status::invalid_options("ListOptions", &[cause]))
        }
    }
}

/// Reads a revision; `None` if it is left out.
pub fn revision(text: &str) -> Result<Option<u64>, Status> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            Status::bad_request(format!(
                "invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
            ))
        }),
    }
}

/// The revision asked for is forgotten.
pub fn expired(asked: u64, oldest: u64) -> Status {
    Status::expired(format!("too old resource version: {asked} ({oldest})"))
}

fn too_large(asked: u64, current: u64) -> Status {
    let cause = Cause {
        reason: "ResourceVersionTooLarge",
        message: "Too large resource version".to_owned(),
        field: String::new(),
    };
    Status::new(
        504,
        "Timeout",
        format!("Timeout: Too large resource version: {asked}, current: {current}"),
    )
    .causes(&[cause])
    .retry_after(1)
}

fn write_token(revision: u64, key: &str) -> String {
    let token = json!({"v": "meta.k8s.io/v1", "rv": revision, "start": format!("{key}\u{0}")});
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token.to_string())
}

fn read_token(token: &str) -> Result<(u64, String), Status> {
    let bad = || Status::bad_request("invalid continue token: continue key is not valid");
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(token)
        .map_err(|_| bad())?;
    let value: Value = serde_json::from_slice(&text).map_err(|_| bad())?;
    let revision = value.get("rv").and_then(Value::as_u64).ok_or_else(bad)?;
    let start = value.get("start").and_then(Value::as_str).ok_or_else(bad)?;
    Ok((revision, start.trim_end_matches('\u{0}').to_owned()))
}

/// The text of an object in the version that a request asked for.
pub fn render(kind: &Kind, object: &Object) -> Bytes {
    if versions::is_stored(kind) {
        return object.bytes().clone();
    }
    Bytes::from(convert(kind, (*object.value()).clone()).to_string())
}

/// An object in the version that a request asked for.
pub fn convert(kind: &Kind, mut value: Value) -> Value {
    versions::show(kind, &mut value);
    value
}

/// What a list says about itself.
pub fn list_metadata(page: &Page) -> Value {
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if let Some(metadata) = metadata.as_object_mut() {
        if !page.next.is_empty() {
            metadata.insert("continue".to_owned(), page.next.as_str().into());
        }
        if let Some(remaining) = page.remaining {
            metadata.insert("remainingItemCount".to_owned(), remaining.into());
        }
    }
    metadata
}

/// The text of a list.
pub fn render_list(kind: &Kind, page: &Page) -> Bytes {
    let metadata = list_metadata(page);
    let size: usize = page.objects.iter().map(|o| o.bytes().len() + 1).sum();
    let mut out = String::with_capacity(size + 200);
    out.push_str(&format!(
        "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[",
        kind.list_kind,
        kind.api_version()
    ));
    let mut out = out.into_bytes();
    for (at, object) in page.objects.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&render(kind, object));
    }
    out.extend_from_slice(b"]}");
    Bytes::from(out)
}

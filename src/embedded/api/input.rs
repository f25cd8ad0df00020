//! What a request carries: objects, changes, options of writes and of deletions.
//!
//! Media types and parameters are read here; what is done with them is the affair of `resource` and `subresource`.

use std::sync::Arc;

use http::{Method, header};
use serde_json::Value;

use super::Call;
use super::path::Target;
use super::query;
use super::registry::Kind;
use super::status::{Cause, Status};
use crate::embedded::proto;
use crate::embedded::reach::Reach as _;
use crate::embedded::write::{self, Deletion, Options, patch::Patch, twice};

/// How a request changes what it is about.
pub(super) type Edit = Box<dyn Fn(&Value) -> Result<Value, Status> + Send + Sync>;

/// Reads the change that a PUT or a PATCH describes.
pub(super) fn edit_of(
    call: &Call<'_>,
    kind: &Arc<Kind>,
    target: &Target,
    options: &mut Options,
) -> Result<Edit, Status> {
    let (kind, name) = (Arc::clone(kind), target.name.clone());
    if call.method == Method::PUT {
        let value = noted_object_of(call, &kind.kind, &mut options.twice)?;
        if kind.custom.is_some() && target.subresource != "scale" {
            has_kind(call, &kind.kind, &value)?;
        }
        let revision = value.reach("/metadata/resourceVersion");
        let free = revision.is_none_or(|revision| revision == "" || revision == "0");
        // Custom objects are never replaced without saying which revision the writer saw.
        if free && kind.custom.is_some() && target.subresource != "scale" {
            let detail = "must be specified for an update";
            let cause = Cause::invalid("metadata.resourceVersion", &0.into(), detail);
            let mut named = (*kind).clone();
            named.kind.clone_from(&kind.plural);
            let mut status = Status::invalid(&named, &name, &[cause]);
            status.message = format!(
                "{} \"{name}\" is invalid: metadata.resourceVersion: Invalid value: 0: {detail}",
                kind.resource()
            );
            return Err(status);
        }
        return Ok(Box::new(move |_| Ok(value.clone())));
    }
    let patch = Patch::read(
        call.header(header::CONTENT_TYPE),
        &call.body,
        &mut options.twice,
    )?;
    Ok(Box::new(move |current| {
        let next = patch.apply(&kind, &name, current)?;
        let uid = |value: &Value| value.reach("/metadata/uid").cloned();
        match uid(&next) {
            Some(new) if new != "" && Some(&new) != uid(current).as_ref() => {
                // The real server checks this twice and says so twice, but not in its message.
                let cause = Cause::invalid("metadata.uid", &new, "field is immutable");
                let status = Status::invalid(&kind, &name, std::slice::from_ref(&cause));
                Err(status.causes(&[cause.clone(), cause]))
            }
            _ => Ok(next),
        }
    }))
}

/// Reads the object that a request carries, which should be of a kind.
pub(in crate::embedded) fn object_of(call: &Call<'_>, wanted: &str) -> Result<Value, Status> {
    noted_object_of(call, wanted, &mut Vec::new())
}

/// The same, with a note of keys that it has twice.
pub(super) fn noted_object_of(
    call: &Call<'_>,
    wanted: &str,
    notes: &mut Vec<String>,
) -> Result<Value, Status> {
    let note = |(value, more): (Value, Vec<String>)| {
        notes.extend(more);
        value
    };
    let media = call.header(header::CONTENT_TYPE);
    match media.split(';').next().unwrap_or_default().trim() {
        "" | "application/json" => {
            let read = twice::json(&call.body);
            read.map(note)
                .map_err(|cause| unreadable(call, wanted, &cause))
        }
        "application/yaml" => twice::yaml(&call.body).map(note),
        proto::MEDIA => proto::decode(&call.body).map_err(|why| Status::bad_request(why.0)),
        _ => Err(Status::new(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf",
        )),
    }
}

/// A text's first characters, and whether there are more.
fn beginning(text: &str, shown: usize) -> String {
    let mut begin: String = text.chars().take(shown).collect();
    if begin.len() < text.len() {
        begin.push_str(" ...");
    }
    begin
}

/// What is wrong with a body that is no JSON, with its beginning.
fn unreadable(call: &Call<'_>, wanted: &str, cause: &serde_json::Error) -> Status {
    let mut begin = beginning(&String::from_utf8_lossy(&call.body), 80);
    if begin.is_empty() {
        begin.push_str("<empty>");
    }
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {wanted}): couldn't get version/kind; json parse error: {} ({begin})",
        write::patch::json_error(cause)
    ))
}

/// Refuses a custom object that does not say what it is; of built-in ones the path is enough.
pub(super) fn has_kind(call: &Call<'_>, wanted: &str, value: &Value) -> Result<(), Status> {
    let kind = value.get("kind").and_then(Value::as_str);
    if kind.is_some_and(|kind| !kind.is_empty()) {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&call.body);
    let begin = beginning(&text, 30);
    Err(Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {wanted}): Object 'Kind' is missing in '{text}' ({begin})"
    )))
}

/// Reads how to write, and in whose name.
pub(in crate::embedded) fn options_of(call: &Call<'_>) -> Result<Options, Status> {
    let of = match call.method {
        Method::PUT => "UpdateOptions",
        Method::PATCH => "PatchOptions",
        Method::DELETE => "DeleteOptions",
        _ => "CreateOptions",
    };
    let agent = call.header(header::USER_AGENT);
    let agent = agent.split('/').next().unwrap_or_default();
    let manager = match call.query.text("fieldManager") {
        "" if agent.is_empty() => "unknown",
        "" => agent,
        manager if manager.len() > 128 => {
            let cause = Cause::too_long("fieldManager", 128);
            return Err(Status::invalid_options(of, &[cause]));
        }
        manager => manager,
    };
    let force = call.query.maybe_flag("force");
    let applies = call
        .header(header::CONTENT_TYPE)
        .starts_with(write::patch::APPLY);
    if of == "PatchOptions" && force.is_some() && !applies {
        let cause = Cause::forbidden("force", "may not be specified for non-apply patch");
        return Err(Status::invalid_options(of, &[cause]));
    }
    Ok(Options {
        user: call.user.clone(),
        manager: manager.to_owned(),
        subresource: String::new(),
        dry_run: call.query.dry_run(of)?,
        validation: call.query.validation(of)?,
        force: force.unwrap_or(false),
        twice: Vec::new(),
    })
}

/// Reads how to delete, and whether only to try.
pub(super) fn deletion_of(call: &Call<'_>) -> Result<(Deletion, bool), Status> {
    let body: Value = match call.body.is_empty() {
        true => Value::Null,
        false => object_of(call, "DeleteOptions")?,
    };
    deletion_from(call, &body, "")
}

/// Reads how to delete from a part of a body, and from the query where the body says nothing.
pub(super) fn deletion_from(
    call: &Call<'_>,
    body: &Value,
    at: &str,
) -> Result<(Deletion, bool), Status> {
    let body = body.reach(at).unwrap_or(&Value::Null);
    let text = |at: &str| body.reach(at).and_then(Value::as_str);
    let propagation = match text("/propagationPolicy") {
        Some(policy) => query::propagation(policy)?,
        None => call.query.propagation()?,
    };
    let orphans = body
        .get("orphanDependents")
        .and_then(Value::as_bool)
        .or_else(|| call.query.maybe_flag("orphanDependents"));
    if let (Some(_), Some(_)) = (propagation, orphans) {
        let said = text("/propagationPolicy").unwrap_or(call.query.text("propagationPolicy"));
        let detail = "orphanDependents and deletionPropagation cannot be both set";
        let cause = Cause::invalid("propagationPolicy", &said.into(), detail);
        return Err(Status::invalid_options("DeleteOptions", &[cause]));
    }
    let propagation = propagation.or(match orphans {
        Some(true) => Some(write::Propagation::Orphan),
        Some(false) => Some(write::Propagation::Background),
        None => None,
    });
    let grace = body.get("gracePeriodSeconds").and_then(Value::as_u64);
    let deletion = Deletion {
        grace: match grace {
            Some(grace) => Some(grace),
            None => call.query.number("gracePeriodSeconds")?,
        },
        propagation,
        uid: text("/preconditions/uid").map(str::to_owned),
        revision: text("/preconditions/resourceVersion").map(str::to_owned),
    };
    let dry = body
        .get("dryRun")
        .and_then(Value::as_array)
        .is_some_and(|list| list.iter().any(|value| value == "All"));
    Ok((deletion, dry))
}

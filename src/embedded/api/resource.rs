//! Requests about objects: from verb and target to the read or the write.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, header};
use serde_json::{Value, json};

use super::body::Body;
use super::negotiate::{self, Form};
use super::path::Target;
use super::query;
use super::read::{self, Filter};
use super::registry::Kind;
use super::status::{Cause, Status};
use super::{Answer, Call, follow, subresource};
use crate::embedded::access::rbac::{self, Attempt};
use crate::embedded::access::review;
use crate::embedded::proto;
use crate::embedded::store::Object;
use crate::embedded::table::{self, Include};
use crate::embedded::write::{self, Deletion, Options, Part, Removed, patch::Patch};

/// Answers a request about objects.
pub(super) async fn answer(call: Call<'_>, target: Target, path: &str) -> Result<Answer, Status> {
    let deprecated = match (target.group.as_str(), target.plural.as_str()) {
        ("", "endpoints") => {
            "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
        }
        ("", "componentstatuses") => "v1 ComponentStatus is deprecated in v1.19+",
        _ => return answer_plainly(call, target, path).await,
    };
    let answer = answer_plainly(call, target, path).await?;
    Ok(answer.warn(vec![deprecated.to_owned()]))
}

async fn answer_plainly(call: Call<'_>, target: Target, path: &str) -> Result<Answer, Status> {
    let registry = call.server.registry();
    let kind = registry
        .find(&target.group, &target.version, &target.plural)
        .ok_or_else(|| match call.server.registry().is_built_in(&target.group) {
            true => Status::no_such_path(),
            false => Status::page_not_found(),
        })?;
    if !target.namespace.is_empty() && !kind.namespaced {
        return Err(Status::no_such_path());
    }
    if !target.subresource.is_empty() && kind.subresource(&target.subresource).is_none() {
        return Err(Status::no_such_path());
    }
    may(&call, &kind, &target, path)?;
    if call.method == Method::POST
        && target.subresource.is_empty()
        && let Some(answer) = review::answer(&call, &kind, &target.namespace)
    {
        return answer;
    }
    if !target.subresource.is_empty()
        && let Some(answer) = subresource::answer(&call, &kind, &target).await
    {
        return answer;
    }
    let watching = call.query.flag("watch") || is_old_watch(path);
    let outside = kind.namespaced && target.namespace.is_empty();
    if target.subresource.is_empty()
        && (!allowed(&call, &kind, &target) || outside && writes(&call))
    {
        return Err(Status::method_not_allowed());
    }
    match (call.method.clone(), target.name.is_empty()) {
        (Method::GET | Method::HEAD, true) if watching => watch(&call, &kind, &target),
        (Method::GET | Method::HEAD, true) => list(&call, &kind, &target),
        (Method::GET | Method::HEAD, false) if watching => watch(&call, &kind, &target),
        (Method::GET | Method::HEAD, false) => get(&call, &kind, &target),
        (Method::POST, true) if kind.bucket() == "bindings" => {
            subresource::bind_collection(&call, &target).await
        }
        (Method::POST, true) => create(&call, &kind, &target).await,
        (Method::PUT | Method::PATCH, false) => update(&call, &kind, &target).await,
        (Method::DELETE, false) => delete(&call, &kind, &target).await,
        (Method::DELETE, true) => delete_collection(&call, &kind, &target).await,
        _ => Err(Status::method_not_allowed()),
    }
}

/// Refuses those who may not do what they ask for.
fn may(call: &Call<'_>, kind: &Kind, target: &Target, path: &str) -> Result<(), Status> {
    let all = target.name.is_empty();
    let watching = call.query.flag("watch") || is_old_watch(path);
    let verb = match call.method {
        Method::GET | Method::HEAD if watching => "watch",
        Method::GET | Method::HEAD if all => "list",
        Method::GET | Method::HEAD => "get",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if all => "deletecollection",
        Method::DELETE => "delete",
        _ => return Err(Status::method_not_allowed()),
    };
    let attempt = Attempt {
        verb: verb.to_owned(),
        group: kind.group.clone(),
        resource: kind.plural.clone(),
        subresource: target.subresource.clone(),
        namespace: target.namespace.clone(),
        name: target.name.clone(),
        path: String::new(),
    };
    if rbac::may(call.server, &call.user, &attempt) {
        return Ok(());
    }
    Err(Status::forbidden(
        kind,
        &target.name,
        &attempt.refusal(&call.user),
    ))
}

fn writes(call: &Call<'_>) -> bool {
    !matches!(call.method, Method::GET | Method::HEAD | Method::DELETE)
}

/// Whether the kind has the verb at all.
fn allowed(call: &Call<'_>, kind: &Kind, target: &Target) -> bool {
    let all = target.name.is_empty();
    match call.method {
        Method::POST => kind.allows("create"),
        Method::PUT => kind.allows("update"),
        Method::PATCH => kind.allows("patch"),
        Method::DELETE if all => kind.allows("deletecollection"),
        Method::DELETE => kind.allows("delete"),
        _ => true,
    }
}

/// `/api/v1/watch/…`
fn is_old_watch(path: &str) -> bool {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    match parts.next() {
        Some("api") => parts.nth(1) == Some("watch"),
        Some("apis") => parts.nth(2) == Some("watch"),
        _ => false,
    }
}

fn get(call: &Call<'_>, kind: &Arc<Kind>, target: &Target) -> Result<Answer, Status> {
    let object = find(call, kind, target)?;
    shown(call, kind, &object, 200)
}

/// One object in the form that the client wants.
fn shown(call: &Call<'_>, kind: &Kind, object: &Arc<Object>, code: u16) -> Result<Answer, Status> {
    Ok(match negotiate::form(call.header(header::ACCEPT))? {
        Form::Whole => Answer::text(code, read::render(kind, object)),
        Form::Table => {
            let metadata = json!({"resourceVersion": object.revision().to_string()});
            let rows = std::slice::from_ref(object);
            Answer::json(
                code,
                &table::table(kind, rows, include(call), metadata, true),
            )
        }
        Form::Partial => Answer::json(code, &table::partial(&object.value())),
        Form::Protobuf => protobuf(code, &read::convert(kind, (*object.value()).clone()))?,
    })
}

fn protobuf(code: u16, value: &Value) -> Result<Answer, Status> {
    match proto::encode(value) {
        Ok(bytes) => Ok(Answer::text(code, Bytes::from(bytes)).media(proto::MEDIA)),
        Err(_) => Err(Status::new(
            406,
            "NotAcceptable",
            "only the following media types are accepted: application/json, application/yaml",
        )),
    }
}

/// What a request for a table wants to have of the objects themselves.
fn include(call: &Call<'_>) -> Include {
    match call.query.text("includeObject") {
        "Object" => Include::Object,
        "None" => Include::None,
        _ => Include::Metadata,
    }
}

/// Finds the object that a request is about.
pub(super) fn find(
    call: &Call<'_>,
    kind: &Arc<Kind>,
    target: &Target,
) -> Result<Arc<Object>, Status> {
    call.server
        .get(kind, &target.namespace, &target.name)
        .ok_or_else(|| Status::not_found(kind, &target.name))
}

/// How a request changes what it is about.
pub(super) type Edit = Box<dyn Fn(&Value) -> Result<Value, Status> + Send + Sync>;

/// Reads the change that a PUT or a PATCH describes.
pub(super) fn edit_of(call: &Call<'_>, kind: &Arc<Kind>, target: &Target) -> Result<Edit, Status> {
    let (kind, name) = (Arc::clone(kind), target.name.clone());
    if call.method == Method::PUT {
        let value = object_of(call, &kind.kind)?;
        let revision = value.pointer("/metadata/resourceVersion");
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
    let patch = Patch::read(call.header(header::CONTENT_TYPE), &call.body)?;
    Ok(Box::new(move |current| {
        let next = patch.apply(&kind, &name, current)?;
        let uid = |value: &Value| value.pointer("/metadata/uid").cloned();
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

fn list(call: &Call<'_>, kind: &Arc<Kind>, target: &Target) -> Result<Answer, Status> {
    let filter = Filter::new(kind, &target.namespace, &call.query)?;
    let page = read::list(call.server, kind, &filter, &call.query)?;
    Ok(match negotiate::form(call.header(header::ACCEPT))? {
        Form::Whole => Answer::text(200, read::render_list(kind, &page)),
        Form::Table => {
            let metadata = read::list_metadata(&page);
            let table = table::table(kind, &page.objects, include(call), metadata, true);
            Answer::json(200, &table)
        }
        Form::Partial => {
            let items: Vec<Value> = page
                .objects
                .iter()
                .map(|object| table::partial(&object.value()))
                .collect();
            Answer::json(
                200,
                &json!({
                    "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                    "metadata": read::list_metadata(&page), "items": items,
                }),
            )
        }
        Form::Protobuf => {
            let list: Value =
                serde_json::from_slice(&read::render_list(kind, &page)).unwrap_or_default();
            protobuf(200, &list)?
        }
    })
}

fn watch(call: &Call<'_>, kind: &Arc<Kind>, target: &Target) -> Result<Answer, Status> {
    let mut filter = Filter::new(kind, &target.namespace, &call.query)?;
    filter.name.clone_from(&target.name);
    let shown = Arc::clone(kind);
    let headed = std::sync::atomic::AtomicBool::new(true);
    let include = include(call);
    let render: follow::Render = match negotiate::form(call.header(header::ACCEPT))? {
        Form::Table => Arc::new(move |object: &Arc<Object>| {
            // Only the first table of a watch says what its columns are.
            let headed = headed.swap(false, std::sync::atomic::Ordering::Relaxed);
            let metadata = json!({"resourceVersion": object.revision().to_string()});
            let rows = std::slice::from_ref(object);
            Bytes::from(table::table(&shown, rows, include, metadata, headed).to_string())
        }),
        Form::Partial => Arc::new(|object: &Arc<Object>| {
            Bytes::from(table::partial(&object.value()).to_string())
        }),
        Form::Whole | Form::Protobuf => {
            Arc::new(move |object: &Arc<Object>| read::render(&shown, object))
        }
    };
    let stream = follow::follow(call.server, kind, filter, &call.query, render)?;
    Ok(Answer {
        code: 200,
        media: "application/json",
        warnings: Vec::new(),
        body: Body::Stream(Box::pin(stream)),
    })
}

/// Reads the object that a request carries, which should be of a kind.
pub(in crate::embedded) fn object_of(call: &Call<'_>, wanted: &str) -> Result<Value, Status> {
    let media = call.header(header::CONTENT_TYPE);
    match media.split(';').next().unwrap_or_default().trim() {
        "" | "application/json" => {
            serde_json::from_slice(&call.body).map_err(|cause| unreadable(call, wanted, &cause))
        }
        "application/yaml" => write::patch::yaml(&call.body),
        proto::MEDIA => proto::decode(&call.body).map_err(|why| Status::bad_request(why.0)),
        _ => Err(Status::new(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf",
        )),
    }
}

/// What is wrong with a body that is no JSON, with its beginning.
fn unreadable(call: &Call<'_>, wanted: &str, cause: &serde_json::Error) -> Status {
    const SHOWN: usize = 80;
    let text = String::from_utf8_lossy(&call.body);
    let mut begin: String = text.chars().take(SHOWN).collect();
    if begin.is_empty() {
        begin.push_str("<empty>");
    } else if begin.len() < text.len() {
        begin.push_str(" ...");
    }
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {wanted}): couldn't get version/kind; json parse error: {} ({begin})",
        write::patch::json_error(cause)
    ))
}

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
    })
}

fn part_of(target: &Target) -> Part {
    match target.subresource.as_str() {
        "" => Part::Main,
        "status" => Part::Status,
        _ => Part::Other,
    }
}

fn written(kind: &Kind, written: write::Written) -> Answer {
    let code = if written.created { 201 } else { 200 };
    Answer::text(code, read::render(kind, &written.object)).warn(written.warnings)
}

async fn create(call: &Call<'_>, kind: &Arc<Kind>, target: &Target) -> Result<Answer, Status> {
    let options = options_of(call)?;
    let value = object_of(call, &kind.kind)?;
    let done = write::create(call.server, kind, &target.namespace, value, &options).await?;
    Ok(written(kind, done))
}

async fn update(call: &Call<'_>, kind: &Arc<Kind>, target: &Target) -> Result<Answer, Status> {
    let mut options = options_of(call)?;
    options.subresource.clone_from(&target.subresource);
    let media = call.header(header::CONTENT_TYPE);
    if call.method == Method::PATCH && media.starts_with(write::patch::APPLY) {
        if call.query.text("fieldManager").is_empty() {
            options.manager.clear();
        }
        let config = write::patch::yaml(&call.body)?;
        let (namespace, name) = (&target.namespace, &target.name);
        let part = part_of(target);
        let done = write::apply(call.server, kind, namespace, name, part, config, &options).await?;
        return Ok(written(kind, done));
    }
    let edit = edit_of(call, kind, target)?;
    let part = target.subresource.as_str();
    let next = |current: &Value| Ok(subresource::confine_to(part, current, edit(current)?));
    let done = write::change(
        call.server,
        kind,
        &target.namespace,
        &target.name,
        part_of(target),
        &options,
        &next,
    )
    .await?;
    Ok(written(kind, done))
}

fn deletion_of(call: &Call<'_>) -> Result<(Deletion, bool), Status> {
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
    let body = body.pointer(at).unwrap_or(&Value::Null);
    let text = |at: &str| body.pointer(at).and_then(Value::as_str);
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

async fn delete(call: &Call<'_>, kind: &Arc<Kind>, target: &Target) -> Result<Answer, Status> {
    let (deletion, dry) = deletion_of(call)?;
    let mut options = options_of(call)?;
    options.dry_run |= dry;
    let removed = write::delete(
        call.server,
        kind,
        &target.namespace,
        &target.name,
        &deletion,
        &options,
    )
    .await?;
    // Pods and a few others come back as they were; the rest is told about.
    let whole = matches!(
        kind.bucket(),
        "pods"
            | "services"
            | "persistentvolumeclaims"
            | "persistentvolumes"
            | "serviceaccounts"
            | "podtemplates"
            | "resourcequotas"
            | "storageclasses.storage.k8s.io"
            | "customresourcedefinitions.apiextensions.k8s.io"
    );
    match removed {
        Removed::Gone(object) if !whole => {
            let value = object.value();
            let uid = value.pointer("/metadata/uid").and_then(Value::as_str);
            let status = Status::deleted(kind, object.name(), uid.unwrap_or_default());
            Ok(Answer::from(status))
        }
        Removed::Gone(object) | Removed::Going(object) => {
            Ok(Answer::text(200, read::render(kind, &object)))
        }
    }
}

async fn delete_collection(
    call: &Call<'_>,
    kind: &Arc<Kind>,
    target: &Target,
) -> Result<Answer, Status> {
    let (deletion, dry) = deletion_of(call)?;
    let mut options = options_of(call)?;
    options.dry_run |= dry;
    let filter = Filter::new(kind, &target.namespace, &call.query)?;
    let page = read::list(call.server, kind, &filter, &call.query)?;
    for object in &page.objects {
        let done = write::delete(
            call.server,
            kind,
            object.namespace(),
            object.name(),
            &deletion,
            &options,
        )
        .await;
        match done {
            Err(status) if status.code != 404 => return Err(status),
            _ => {}
        }
    }
    let text: Bytes = read::render_list(kind, &page);
    Ok(Answer::text(200, text))
}

//! Requests about objects: from verb and target to the read or the write.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, header};
use serde_json::{Value, json};

use super::input::{deletion_of, edit_of, has_kind, noted_object_of, options_of};
use super::negotiate::{self, Form};
use super::path::Target;
use super::query::Query;
use super::read::{self, Filter};
use super::registry::{self, Kind};
use super::status::Status;
use super::{Answer, Call, follow, subresource, unfit};
use crate::embedded::access::rbac::{self, Attempt};
use crate::embedded::access::review;
use crate::embedded::admission::conversion;
use crate::embedded::proto;
use crate::embedded::reach::Reach as _;
use crate::embedded::store::Object;
use crate::embedded::table::{self, Include};
use crate::embedded::write::{self, Part, Removed, Validation, twice};

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
        if !matches!(
            negotiate::form(call.header(header::ACCEPT))?,
            Form::Whole | Form::Protobuf
        ) {
            // What has no metadata of its own makes no table.
            return Err(negotiate::not_acceptable());
        }
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
        (Method::GET | Method::HEAD, true) => list(&call, &kind, &target).await,
        (Method::GET | Method::HEAD, false) if watching => watch(&call, &kind, &target),
        (Method::GET | Method::HEAD, false) => get(&call, &kind, &target).await,
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

/// The verb of a request about objects, as those who allow and who note requests call it.
pub(super) fn verb_of(
    method: &Method,
    query: &Query,
    target: &Target,
    path: &str,
) -> Option<&'static str> {
    let all = target.name.is_empty();
    let watching = query.flag("watch") || is_old_watch(path);
    Some(match *method {
        Method::GET | Method::HEAD if watching => "watch",
        Method::GET | Method::HEAD if all => "list",
        Method::GET | Method::HEAD => "get",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if all => "deletecollection",
        Method::DELETE => "delete",
        _ => return None,
    })
}

/// Refuses those who may not do what they ask for.
fn may(call: &Call<'_>, kind: &Kind, target: &Target, path: &str) -> Result<(), Status> {
    let verb = verb_of(&call.method, &call.query, target, path);
    let verb = verb.ok_or_else(Status::method_not_allowed)?;
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
    let status = Status::forbidden(kind, &target.name, &attempt.refusal(&call.user));
    Err(status.for_want_of_rights())
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

async fn get(call: &Call<'_>, kind: &Arc<Kind>, target: &Target) -> Result<Answer, Status> {
    let object = conversion::show_one(call.server, kind, find(call, kind, target)?).await?;
    shown(call, kind, &object, 200)
}

/// One object in the form that the client wants.
pub(super) fn shown(
    call: &Call<'_>,
    kind: &Kind,
    object: &Arc<Object>,
    code: u16,
) -> Result<Answer, Status> {
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

async fn list(call: &Call<'_>, kind: &Arc<Kind>, target: &Target) -> Result<Answer, Status> {
    let filter = Filter::new(kind, &target.namespace, &call.query)?;
    let mut page = read::list(call.server, kind, &filter, &call.query)?;
    page.objects = conversion::show(call.server, kind, page.objects).await?;
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
    let stream: std::pin::Pin<Box<dyn futures::Stream<Item = Bytes> + Send>> =
        match conversion::is_needed(kind) {
            true => Box::pin(converted(call.server.clone(), Arc::clone(kind), stream)),
            false => Box::pin(stream),
        };
    Ok(Answer::stream(stream))
}

/// The lines of a watch with their objects in the version that was asked for; a line that cannot be converted ends it.
fn converted(
    server: crate::embedded::Server,
    kind: Arc<Kind>,
    lines: impl futures::Stream<Item = Bytes> + Send + 'static,
) -> impl futures::Stream<Item = Bytes> + Send + 'static {
    futures::StreamExt::then(lines, move |piece| {
        let (server, kind) = (server.clone(), Arc::clone(&kind));
        async move {
            let mut out = Vec::with_capacity(piece.len());
            for line in piece.split(|byte| *byte == b'\n') {
                let Ok(mut event) = serde_json::from_slice::<Value>(line) else {
                    continue;
                };
                let object = event.get_mut("object").map(Value::take);
                let object = object.unwrap_or_default();
                let is_ours = object.get("kind") == Some(&kind.kind.as_str().into())
                    && event.get("type") != Some(&"BOOKMARK".into());
                let shown = match is_ours {
                    true => {
                        // The text says the version asked for before the content is that.
                        let stored = registry::api_version(&kind.group, &kind.storage_version);
                        let mut object = object;
                        object["apiVersion"] = stored.into();
                        let to = kind.api_version();
                        let done = conversion::convert(&server, &kind, &to, vec![object]).await;
                        done.map(|mut all| all.pop().unwrap_or_default())
                    }
                    false => Ok(object),
                };
                match shown {
                    Ok(object) => event["object"] = object,
                    Err(status) => {
                        event["type"] = "ERROR".into();
                        event["object"] = status.to_json();
                    }
                }
                out.extend_from_slice(event.to_string().as_bytes());
                out.push(b'\n');
            }
            Bytes::from(out)
        }
    })
}

fn part_of(target: &Target) -> Part {
    match target.subresource.as_str() {
        "" => Part::Main,
        "status" => Part::Status,
        _ => Part::Other,
    }
}

async fn written(call: &Call<'_>, kind: &Kind, written: write::Written) -> Result<Answer, Status> {
    let code = if written.created { 201 } else { 200 };
    let object = conversion::show_one(call.server, kind, written.object).await?;
    Ok(Answer::text(code, read::render(kind, &object)).warn(written.warnings))
}

async fn create(call: &Call<'_>, kind: &Arc<Kind>, target: &Target) -> Result<Answer, Status> {
    let mut options = options_of(call)?;
    let value = noted_object_of(call, &kind.kind, &mut options.twice)?;
    if kind.custom.is_some() {
        has_kind(call, &kind.kind, &value)?;
    }
    let done = write::create(call.server, kind, &target.namespace, value, &options).await?;
    written(call, kind, done).await
}

async fn update(call: &Call<'_>, kind: &Arc<Kind>, target: &Target) -> Result<Answer, Status> {
    let mut options = options_of(call)?;
    options.subresource.clone_from(&target.subresource);
    let media = call.header(header::CONTENT_TYPE);
    if call.method == Method::PATCH && media.starts_with(write::patch::APPLY) {
        if call.query.text("fieldManager").is_empty() {
            options.manager.clear();
        }
        let (config, notes) = twice::yaml(&call.body)?;
        if let (Some(note), Validation::Strict) = (notes.first(), options.validation) {
            return Err(Status::bad_request(format!(
                "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  {note}"
            )));
        }
        let (namespace, name) = (&target.namespace, &target.name);
        let part = part_of(target);
        let mut done =
            write::apply(call.server, kind, namespace, name, part, config, &options).await?;
        if options.validation == Validation::Warn {
            done.warnings.extend(notes);
        }
        return written(call, kind, done).await;
    }
    let edit = edit_of(call, kind, target, &mut options)?;
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
    .await
    .map_err(|status| unfit::patched(call, status))?;
    written(call, kind, done).await
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
            let uid = value.reach("/metadata/uid").and_then(Value::as_str);
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

//! What controllers have in common: owner references, conditions, selectors, ends of what they own.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Context, Pod};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::store::Object;
use crate::embedded::write::{Deletion, Options, Part};

/// A text in a value; empty if it is not there.
pub(super) fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.reach(at).and_then(Value::as_str).unwrap_or_default()
}

/// A number in a value; zero if it is not there.
pub(super) fn number(value: &Value, at: &str) -> i64 {
    value.reach(at).and_then(Value::as_i64).unwrap_or(0)
}

/// Whether an object is on its way out.
pub(super) fn is_going(value: &Value) -> bool {
    value.reach("/metadata/deletionTimestamp").is_some()
}

/// A reference to the object that controls another.
pub(super) fn owner_reference(kind: &Kind, owner: &Value) -> Value {
    json!({
        "apiVersion": kind.api_version(), "kind": kind.kind,
        "name": text(owner, "/metadata/name"), "uid": text(owner, "/metadata/uid"),
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// Takes the reference to an owner out.
pub(super) fn set_free(value: &mut Value, uid: &str) {
    let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    if let Some(owners) = metadata
        .get_mut("ownerReferences")
        .and_then(Value::as_array_mut)
    {
        owners.retain(|owner| text(owner, "/uid") != uid);
        if owners.is_empty() {
            metadata.shift_remove("ownerReferences");
        }
    }
}

/// The key of the object of a kind that controls another.
pub(super) fn owner_key(object: &Object, kind: &str) -> Option<String> {
    let owner = object.controller().filter(|owner| &*owner.kind == kind)?;
    Some(format!("{}/{}", object.namespace(), owner.name))
}

/// Whether an object is controlled by the one with a uid.
pub(super) fn is_of(object: &Object, uid: &str) -> bool {
    object.controller().is_some_and(|owner| &*owner.uid == uid)
}

/// Creates a pod that an object controls.
pub(super) async fn create_pod(
    context: &Context,
    namespace: &str,
    pod: Value,
    controller: &str,
) -> Result<Arc<Object>, Status> {
    let kind = context.kind("", "pods")?;
    let options = Options::controller(controller);
    context.server.create(&kind, namespace, pod, &options).await
}

/// Deletes a pod; it doesn't matter if it is gone.
pub(super) async fn delete_pod(
    context: &Context,
    pod: &Pod,
    controller: &str,
) -> Result<(), Status> {
    let kind = context.kind("", "pods")?;
    let options = Options::controller(controller);
    let (namespace, name) = (pod.object.namespace(), pod.object.name());
    let deletion = Deletion::default();
    match context
        .server
        .delete(&kind, namespace, name, &deletion, &options)
        .await
    {
        Err(status) if status.code != 404 => Err(status),
        _ => Ok(()),
    }
}

/// Sets an object's status if it is other than it was; what is null is taken out.
pub(super) async fn set_status(
    context: &Context,
    kind: &Kind,
    object: &Object,
    status: Value,
    controller: &str,
) -> Result<(), Status> {
    let mut next = object
        .value()
        .get("status")
        .cloned()
        .unwrap_or_else(|| json!({}));
    json_patch::merge(&mut next, &status);
    if object.value().get("status") == Some(&next) {
        return Ok(());
    }
    let options = Options::controller(controller);
    let edit = move |value: &mut Value| {
        let slot = match value.as_object_mut() {
            Some(root) => root.entry("status").or_insert_with(|| json!({})),
            None => return,
        };
        json_patch::merge(slot, &status);
    };
    let (namespace, name) = (object.namespace(), object.name());
    context
        .server
        .modify(kind, namespace, name, Part::Status, &options, &edit)
        .await?;
    Ok(())
}

/// A number that isn't shown when it is zero, as most counts are.
pub(super) fn count(number: i64) -> Value {
    if number == 0 {
        Value::Null
    } else {
        number.into()
    }
}

/// A number or a part of a hundred of another.
pub(super) fn portion(value: Option<&Value>, of: i64, up: bool) -> i64 {
    match value {
        Some(Value::String(text)) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            let product = percent.saturating_mul(of);
            if up {
                (product + 99).div_euclid(100)
            } else {
                product.div_euclid(100)
            }
        }
        Some(value) => value.as_i64().unwrap_or(0),
        None => 0,
    }
}

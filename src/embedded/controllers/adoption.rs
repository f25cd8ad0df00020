//! Adoption: what fits a selector and belongs to nobody gets a controller; what no longer fits is set free.

use std::sync::Arc;

use serde_json::{Value, json};

use super::owned::{is_going, owner_reference, set_free, text};
use super::{Context, Pod};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::selector::LabelSelector;
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::store::{Change, Object};
use crate::embedded::write::{Options, Part};

/// The selector of an object; replication controllers write theirs as plain labels.
pub(super) fn selector_of(value: &Value) -> Option<LabelSelector> {
    let selector = value.reach("/spec/selector")?;
    let plain = selector.get("matchLabels").is_none() && selector.get("matchExpressions").is_none();
    let read = match plain {
        true => LabelSelector::from_map(selector),
        false => LabelSelector::from_json(selector),
    };
    (!read.is_empty()).then_some(read)
}

/// The objects of a kind that may want to adopt what a change is about.
pub(super) fn suitors(
    context: &Context,
    group: &str,
    plural: &str,
    change: &Change,
) -> Vec<String> {
    let object = &change.object;
    let same_labels = || {
        change
            .before
            .as_ref()
            .is_some_and(|old| old.has_labels_of(object))
    };
    let was_free = || {
        change
            .before
            .as_ref()
            .is_some_and(|old| old.controller().is_none())
    };
    if object.controller().is_some() || object.is_going() || same_labels() && was_free() {
        return Vec::new();
    }
    let Ok(kind) = context.kind(group, plural) else {
        return Vec::new();
    };
    let all = context.server.list(&kind, object.namespace()).objects;
    let wants = |one: &Arc<Object>| {
        let selector = selector_of(&one.value());
        selector.is_some_and(|selector| selector.matches_object(object))
    };
    let keys = all.iter().filter(|one| wants(one));
    keys.map(|one| one.key().to_owned()).collect()
}

/// Adopts the pods that fit and are free, sets those free that no longer fit, and finds all that are its own then.
pub(super) async fn pods(
    context: &Context,
    kind: &Kind,
    object: &Object,
    controller: &str,
    fits: &(dyn Fn(&Pod) -> bool + Sync),
) -> Result<Vec<Arc<Pod>>, Status> {
    let value = object.value();
    let uid = text(&value, "/metadata/uid");
    let own = context.pods.owned_by(uid);
    let Some(selector) = selector_of(&value) else {
        return Ok(own);
    };
    let pods = context.kind("", "pods")?;
    let lost = own
        .iter()
        .filter(|pod| !pod.going && !selector.matches_object(&pod.object));
    let mut changed = false;
    for pod in lost {
        release(context, &pods, &pod.object, uid, controller).await?;
        changed = true;
    }
    if !is_going(&value) {
        let free: Vec<Arc<Pod>> = context
            .pods
            .look()
            .free_in(object.namespace())
            .filter(|pod| pod.is_active() && selector.matches_object(&pod.object) && fits(pod))
            .cloned()
            .collect();
        for pod in free {
            adopt(context, kind, &value, &pods, &pod.object, controller).await?;
            changed = true;
        }
    }
    Ok(match changed {
        true => context.pods.owned_by(uid),
        false => own,
    })
}

/// Makes one object the controller of another.
pub(super) async fn adopt(
    context: &Context,
    kind: &Kind,
    owner: &Value,
    inner: &Kind,
    object: &Object,
    controller: &str,
) -> Result<(), Status> {
    let reference = owner_reference(kind, owner);
    let edit = |value: &mut Value| {
        let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) else {
            return;
        };
        let owners = metadata
            .entry("ownerReferences")
            .or_insert_with(|| json!([]));
        if let Some(owners) = owners.as_array_mut()
            && !owners
                .iter()
                .any(|one| one.get("controller") == Some(&Value::Bool(true)))
        {
            owners.push(reference.clone());
        }
    };
    change(context, inner, object, controller, &edit).await
}

async fn release(
    context: &Context,
    inner: &Kind,
    object: &Object,
    uid: &str,
    controller: &str,
) -> Result<(), Status> {
    let edit = |value: &mut Value| set_free(value, uid);
    change(context, inner, object, controller, &edit).await
}

async fn change(
    context: &Context,
    kind: &Kind,
    object: &Object,
    controller: &str,
    edit: &(dyn Fn(&mut Value) + Send + Sync),
) -> Result<(), Status> {
    let options = Options::controller(controller);
    let (namespace, name) = (object.namespace(), object.name());
    let server = &context.server;
    let done = server
        .modify(kind, namespace, name, Part::Main, &options, edit)
        .await;
    match done {
        Err(status) if status.code != 404 => Err(status),
        _ => Ok(()),
    }
}

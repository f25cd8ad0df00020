//! Controller revisions: the templates that a daemon set or a stateful set has had.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Context;
use super::owned::{is_of, number, owner_reference, text};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::canonical::sorted;
use crate::embedded::reach::Reach as _;
use crate::embedded::store::Object;
use crate::embedded::write::{Deletion, Options, Part};

/// Keeps a template as a ControllerRevision, the latest with the highest number, and forgets the oldest.
pub(super) async fn keep(
    context: &Context,
    kind: &Kind,
    object: &Object,
    name: &str,
    template: &Value,
    label: &str,
    controller: &str,
) -> Result<(), Status> {
    let revisions = context.kind("apps", "controllerrevisions")?;
    let value = object.value();
    let uid = text(&value, "/metadata/uid");
    let listing = context.server.list(&revisions, object.namespace());
    let mut own: Vec<Arc<Object>> = listing
        .objects
        .into_iter()
        .filter(|revision| is_of(revision, uid))
        .collect();
    own.sort_by_key(|revision| number(&revision.value(), "/revision"));
    let last = own
        .last()
        .map_or(0, |revision| number(&revision.value(), "/revision"));
    let options = Options::controller(controller);
    let server = &context.server;
    match own.iter().find(|revision| revision.name() == name) {
        Some(found) if number(&found.value(), "/revision") == last => {}
        Some(_) => {
            let edit = |value: &mut Value| json_patch::merge(value, &json!({"revision": last + 1}));
            let namespace = object.namespace();
            server
                .modify(&revisions, namespace, name, Part::Main, &options, &edit)
                .await?;
        }
        None => {
            let mut data = template.clone();
            if let Some(data) = data.as_object_mut() {
                data.insert("$patch".to_owned(), "replace".into());
            }
            let mut labels = template.reach("/metadata/labels").cloned();
            let labels = labels.get_or_insert_with(|| json!({}));
            let hash = name.rsplit('-').next().unwrap_or_default();
            json_patch::merge(labels, &json!({label: hash}));
            let revision = json!({
                "metadata": {
                    "name": name, "labels": labels,
                    "ownerReferences": [owner_reference(kind, &value)],
                },
                "data": sorted(&json!({"spec": {"template": data}})), "revision": last + 1,
            });
            server
                .create(&revisions, object.namespace(), revision, &options)
                .await?;
        }
    }
    let limit = value
        .reach("/spec/revisionHistoryLimit")
        .and_then(Value::as_u64);
    let limit = usize::try_from(limit.unwrap_or(10))
        .unwrap_or(usize::MAX)
        .saturating_add(1);
    for old in own.iter().take(own.len().saturating_sub(limit)) {
        let deletion = Deletion::default();
        let _ = server
            .delete(&revisions, old.namespace(), old.name(), &deletion, &options)
            .await;
    }
    Ok(())
}

/// The template that a revision keeps.
pub(super) fn template_of(context: &Context, namespace: &str, name: &str) -> Option<Value> {
    let revisions = context.kind("apps", "controllerrevisions").ok()?;
    let revision = context.server.get(&revisions, namespace, name)?;
    let mut template = revision.value().reach("/data/spec/template")?.clone();
    template.as_object_mut()?.shift_remove("$patch");
    Some(template)
}

//! What every object's metadata must look like.

use serde_json::Value;

use super::{KEY, VALUE, is_word, list, text};
use crate::embedded::api::status::Cause;
use crate::embedded::reach::Reach as _;

/// What is wrong with an object's metadata.
pub(super) fn look(value: &Value, causes: &mut Vec<Cause>) {
    check_labels(value.reach("/metadata/labels"), "metadata.labels", causes);
    let annotations = value
        .reach("/metadata/annotations")
        .and_then(Value::as_object);
    for key in annotations.into_iter().flat_map(serde_json::Map::keys) {
        if !is_qualified(&key.to_lowercase()) {
            causes.push(Cause::invalid(
                "metadata.annotations",
                &key.as_str().into(),
                KEY,
            ));
        }
    }
    let Some(metadata) = value.get("metadata") else {
        return;
    };
    for (at, finalizer) in list(metadata, "finalizers").enumerate() {
        let name = finalizer.as_str().unwrap_or_default();
        if !is_qualified(name) {
            causes.push(Cause::invalid("metadata.finalizers", finalizer, KEY));
        }
        let standard = matches!(name, "orphan" | "foregroundDeletion" | "kubernetes");
        if !standard && !name.contains('/') {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid(
                format!("metadata.finalizers[{at}]"),
                finalizer,
                detail,
            ));
        }
    }
    for owner in list(metadata, "ownerReferences") {
        for (field, detail) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if text(owner, &format!("/{field}")).is_empty() {
                let at = format!("metadata.ownerReferences.{field}");
                causes.push(Cause::invalid(at, &"".into(), detail));
            }
        }
    }
}

/// What is wrong with a map of labels.
pub(super) fn check_labels(labels: Option<&Value>, at: &str, causes: &mut Vec<Cause>) {
    let labels = labels.and_then(Value::as_object);
    for (key, value) in labels.into_iter().flatten() {
        if !is_qualified(key) {
            causes.push(Cause::invalid(at, &key.as_str().into(), KEY));
        }
        let text = value.as_str().unwrap_or_default();
        if text.len() > 63 {
            causes.push(Cause::invalid(at, value, "must be no more than 63 bytes"));
        } else if !is_word(text) {
            causes.push(Cause::invalid(at, value, VALUE));
        }
    }
}

/// Whether a name is one, with or without the domain it belongs to.
fn is_qualified(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or_default();
    !name.is_empty() && name.len() <= 63 && is_word(name) && key.split('/').count() <= 2
}

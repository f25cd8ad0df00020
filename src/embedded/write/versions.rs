//! Objects that several versions or groups show: from what a request says to what is kept, and back.
//!
//! Objects are kept in one form. [`store`] makes it of what came in by another version, [`show`] goes the other way; both do
//! nothing for the many kinds that have one version. To add a kind with two forms, add it to the `match` in both. What
//! custom kinds convert by webhook is done in `api::conversion`.

mod autoscaler;
mod event;

use serde_json::Value;

use super::definition;
use crate::embedded::api::registry::{Kind, api_version};

/// Whether objects are shown just as they are kept.
pub(in crate::embedded) fn is_stored(kind: &Kind) -> bool {
    kind.version == kind.storage_version
        && kind.group != event::GROUP
        && !kind.custom.as_ref().is_some_and(|custom| custom.fills)
}

/// Makes what is kept of an object that came in by another version.
pub(super) fn store(kind: &Kind, value: &mut Value) {
    if kind.version != kind.storage_version {
        name(value, &api_version(&kind.group, &kind.storage_version));
        if kind.group == "autoscaling" {
            autoscaler::store(value);
        }
    }
    if kind.group == event::GROUP {
        name(value, "v1");
        event::store(value);
    }
}

/// Makes of an object that is kept what a version shows.
pub(in crate::embedded) fn show(kind: &Kind, value: &mut Value) {
    if kind.version != kind.storage_version && kind.group == "autoscaling" {
        autoscaler::show(value);
    }
    if kind.group == event::GROUP {
        event::show(value);
    }
    if let Some(custom) = kind.custom.as_ref().filter(|custom| custom.fills) {
        // What was written before the schema had its defaults gets them when it is read.
        definition::fill(value, &custom.schema);
    }
    name(value, &kind.api_version());
}

fn name(value: &mut Value, version: &str) {
    if let Some(root) = value.as_object_mut() {
        root.insert("apiVersion".to_owned(), version.into());
    }
}

/// Gives a field another name.
fn rename(value: &mut Value, from: &str, to: &str) {
    if let Some(root) = value.as_object_mut()
        && let Some(inner) = root.shift_remove(from)
    {
        root.insert(to.to_owned(), inner);
    }
}

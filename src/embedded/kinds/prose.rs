//! What is said of the fields that every object has: `kubectl explain` shows it.
//!
//! The schemas of kinds come without prose. To describe a field, add a line.

use serde_json::{Map, Value};

const METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// Of the fields at the root of objects.
pub(in crate::embedded) const ROOT: &[(&str, &str)] = &[
    (
        "apiVersion",
        "APIVersion defines in which version the object is written.",
    ),
    ("kind", "Kind names what the object is."),
];

/// Of the fields of metadata.
const META: &[(&str, &str)] = &[
    (
        "annotations",
        "Annotations are texts that tools keep with the object; nothing selects by them.",
    ),
    (
        "creationTimestamp",
        "CreationTimestamp is a timestamp that the server sets when it makes the object.",
    ),
    (
        "deletionGracePeriodSeconds",
        "DeletionGracePeriodSeconds is how long the object may take to end once it is being deleted.",
    ),
    (
        "deletionTimestamp",
        "DeletionTimestamp is the time by which the object will go; the server sets it when deletion is asked for.",
    ),
    (
        "finalizers",
        "Finalizers name who must be done with the object before it goes.",
    ),
    (
        "generateName",
        "GenerateName is what a name begins with that the server completes where none is given.",
    ),
    (
        "generation",
        "Generation counts how often what is wanted of the object has changed.",
    ),
    ("labels", "Labels are short texts that selectors go by."),
    (
        "managedFields",
        "ManagedFields says which writer has set which fields.",
    ),
    (
        "name",
        "Name tells the object from others of its kind in the namespace; it never changes.",
    ),
    (
        "namespace",
        "Namespace is where the object is; kinds that span the cluster have none.",
    ),
    (
        "ownerReferences",
        "OwnerReferences names the objects that this one belongs to; when all are gone, it goes too.",
    ),
    (
        "resourceVersion",
        "ResourceVersion stands for this very state of the object; compare it for being the same and nothing else.",
    ),
    ("selfLink", "SelfLink is no longer set."),
    (
        "uid",
        "UID tells the object from all others that ever were, also from those with the same name.",
    ),
];

/// Describes what a schema shares with others; `is_kind` says that it is that of a whole object.
pub(super) fn describe(name: &str, is_kind: bool, schema: &mut Map<String, Value>) {
    let about: &[(&str, &str)] = match name {
        METADATA => META,
        _ if is_kind => ROOT,
        _ => return,
    };
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    let Some(properties) = properties else {
        return;
    };
    for (field, text) in about {
        if let Some(field) = properties.get_mut(*field).and_then(Value::as_object_mut) {
            field.insert("description".to_owned(), (*text).into());
        }
    }
}

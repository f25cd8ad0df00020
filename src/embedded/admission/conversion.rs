//! Conversion of custom objects between versions, where their definition names a webhook for it.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::caller::Caller;
use super::{list, text};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::server::Server;
use crate::embedded::store::Object;

/// The webhook of a definition.
pub(in crate::embedded) struct Converter(Caller);

impl fmt::Debug for Converter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Converter")
    }
}

impl Converter {
    /// Reads how a definition converts; `None` if it does without a webhook.
    pub(in crate::embedded) fn read(conversion: &Value) -> Option<Self> {
        let hook = conversion.get("webhook")?;
        (text(conversion, "/strategy") == "Webhook").then(|| Self(Caller::new(hook)))
    }
}

/// Whether the objects of a kind are converted by a webhook.
pub(in crate::embedded) fn is_needed(kind: &Kind) -> bool {
    converter(kind).is_some()
}

fn converter(kind: &Kind) -> Option<&Converter> {
    kind.custom.as_ref()?.converter.as_ref()
}

/// Converts objects to a version; those that are in it already stay as they are.
pub(in crate::embedded) async fn convert(
    server: &Server,
    kind: &Kind,
    to: &str,
    mut objects: Vec<Value>,
) -> Result<Vec<Value>, Status> {
    let Some(Converter(caller)) = converter(kind) else {
        return Ok(objects);
    };
    let other = |object: &&mut Value| text(object, "/apiVersion") != to;
    let mut due: Vec<&mut Value> = objects.iter_mut().filter(other).collect();
    let Some(first) = due.first() else {
        drop(due);
        return Ok(objects);
    };
    let from = text(first, "/apiVersion").to_owned();
    let failed = |why: String| {
        let message = format!(
            "conversion webhook for {from}, Kind={} failed: {why}",
            kind.kind
        );
        Status::new(500, "InternalError", message)
    };
    let review = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
        "request": {
            "uid": uuid::Uuid::new_v4().to_string(), "desiredAPIVersion": to, "objects": due,
        },
    });
    let answer = caller.call(server, &review).await.map_err(failed)?;
    if text(&answer, "/response/result/status") != "Success" {
        let why = text(&answer, "/response/result/message");
        return Err(failed(why.to_owned()));
    }
    let made: Vec<&Value> = list(&answer, "/response/convertedObjects").collect();
    if made.len() != due.len() {
        let (wanted, got) = (due.len(), made.len());
        let why = format!("webhook returned {got} objects, expected {wanted}");
        return Err(failed(why));
    }
    for (slot, made) in due.iter_mut().zip(made) {
        if text(made, "/apiVersion") != to {
            let got = text(made, "/apiVersion");
            return Err(failed(format!(
                "the object was returned in version {got:?} instead of {to:?}"
            )));
        }
        let mut next = made.clone();
        keep_metadata(slot, &mut next);
        **slot = next;
    }
    Ok(objects)
}

/// Of the metadata a webhook may change labels and annotations alone.
fn keep_metadata(before: &Value, next: &mut Value) {
    let mut metadata = before.get("metadata").cloned().unwrap_or_default();
    if let Some(fields) = metadata.as_object_mut() {
        for name in ["labels", "annotations"] {
            match next.reach(&format!("/metadata/{name}")) {
                Some(value) => fields.insert(name.to_owned(), value.clone()),
                None => fields.shift_remove(name),
            };
        }
    }
    if let Some(root) = next.as_object_mut() {
        root.insert("metadata".to_owned(), metadata);
    }
}

/// The objects as a version shows them.
pub(in crate::embedded) async fn show(
    server: &Server,
    kind: &Kind,
    objects: Vec<Arc<Object>>,
) -> Result<Vec<Arc<Object>>, Status> {
    if !is_needed(kind) {
        return Ok(objects);
    }
    let values = objects.iter().map(|object| (*object.value()).clone());
    let shown = convert(server, kind, &kind.api_version(), values.collect()).await?;
    let each = objects.iter().zip(shown);
    Ok(each
        .map(|(object, value)| Object::unsaved(object.key(), value))
        .collect())
}

/// One object as a version shows it.
pub(in crate::embedded) async fn show_one(
    server: &Server,
    kind: &Kind,
    object: Arc<Object>,
) -> Result<Arc<Object>, Status> {
    let shown = show(server, kind, vec![Arc::clone(&object)]).await?;
    Ok(shown.into_iter().next().unwrap_or(object))
}

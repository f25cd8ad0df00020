//! Applying several objects: what others need comes first, and a kind is served before its objects come.

use std::time::Duration;

use futures::StreamExt as _;
use kube::Client;
use serde_json::Value;

use super::objects::{Objects, Place};
use crate::diag::codes::run::{NO_PROGRESS, NO_SUCH_KIND};
use crate::error::{Error, Result};

/// The kind whose objects define kinds.
const DEFINITION: &str = "CustomResourceDefinition";
/// How long a server may take to serve a kind that was defined.
const PATIENCE: Duration = Duration::from_secs(30);

/// Applies objects, namespaces and definitions of kinds first; what is in no namespace and should be in one goes into
/// this one. Gives back what was applied, in that order.
pub async fn apply_all(
    client: &Client,
    mut objects: Vec<Value>,
    namespace: &str,
) -> Result<Vec<Value>> {
    let rank = |object: &Value| match object.get("kind").and_then(Value::as_str) {
        Some("Namespace") => 0,
        Some(DEFINITION) => 1,
        _ => 2,
    };
    objects.sort_by_key(rank);
    let mut known = Objects::discover(client.clone()).await?;
    for object in &mut objects {
        let mut place = known.place(object);
        if place
            .as_ref()
            .is_err_and(|problem| problem.code().id == NO_SUCH_KIND.id)
        {
            known = Objects::discover(client.clone()).await?;
            place = known.place(object);
        }
        let place = place?;
        let meta = object.get_mut("metadata").and_then(Value::as_object_mut);
        if let Some(meta) = meta.filter(|_| place.kind.is_namespaced) {
            meta.entry("namespace").or_insert_with(|| namespace.into());
        }
        known.apply(object).await?;
        if place.kind.resource.kind == DEFINITION {
            established(&known, &place).await?;
        }
    }
    Ok(objects)
}

async fn established(known: &Objects, place: &Place) -> Result<()> {
    let mut changes = known.follow(place);
    let served = async {
        while let Some(change) = changes.next().await {
            let Ok(Some(object)) = change else { continue };
            let conditions = object
                .pointer("/status/conditions")
                .and_then(Value::as_array);
            let is_served = conditions.is_some_and(|all| {
                all.iter()
                    .any(|one| one["type"] == "Established" && one["status"] == "True")
            });
            if is_served {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, served).await.map_err(|_| {
        Error::new(&NO_PROGRESS, format!("{place} is not served"))
            .help("look at its conditions with `kubectl describe crd`")
    })
}

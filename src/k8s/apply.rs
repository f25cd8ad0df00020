//! Server-side apply of objects, and their removal.

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt as _};
use serde_json::Value;

use super::failed;
use crate::diag::codes::run::API_FAILED;
use crate::error::{Error, Result};

/// Who ksail is to the API server.
pub(super) const MANAGER: &str = "ksail";

/// Brings an object to this content; other managers' fields are taken over.
pub async fn apply(client: &Client, object: &Value) -> Result<()> {
    let (api, name) = api(client, object)?;
    let what = format!("applying {} {name}", kind(object));
    let params = PatchParams::apply(MANAGER).force();
    api.patch(&name, &params, &Patch::Apply(object))
        .await
        .map(|_| ())
        .map_err(|cause| failed(what, cause))
}

/// Removes an object; one that is not there is fine.
pub async fn remove(client: &Client, object: &Value) -> Result<()> {
    let (api, name) = api(client, object)?;
    match api.delete(&name, &DeleteParams::background()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(cause) => Err(failed(format!("removing {} {name}", kind(object)), cause)),
        Ok(_) => Ok(()),
    }
}

fn kind(object: &Value) -> &str {
    object
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or("object")
}

fn api(client: &Client, object: &Value) -> Result<(Api<DynamicObject>, String)> {
    let wrong = |what: &str| {
        Error::new(&API_FAILED, format!("an object has no {what}"))
            .help("every object wants `apiVersion`, `kind` and `metadata.name`")
    };
    let dynamic: DynamicObject =
        serde_json::from_value(object.clone()).map_err(|cause| wrong("metadata").because(cause))?;
    let types = dynamic.types.clone().ok_or_else(|| wrong("kind"))?;
    let gvk =
        GroupVersionKind::try_from(&types).map_err(|cause| wrong("apiVersion").because(cause))?;
    let resource = ApiResource::from_gvk(&gvk);
    let name = dynamic.metadata.name.clone().ok_or_else(|| wrong("name"))?;
    let api = match dynamic.namespace() {
        Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    Ok((api, name))
}

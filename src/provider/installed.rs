//! Components as objects: applied in order, written down in the cluster, removed again.
//!
//! What was installed is remembered where it is: a ConfigMap in kube-system holds the digest and the list of objects, so
//! that any ksail on any machine can tell and remove it.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::Api;
use serde_json::{Value, json};

use crate::component::{self, DIGEST, LABEL};
use crate::diag::codes::model::NOT_THERE_YET;
use crate::diag::codes::run::API_FAILED;
use crate::distribution;
use crate::error::{Error, Result};
use crate::k8s;
use crate::spec::Tree;
use crate::step::{How, Install};

/// Whether a component can be installed this way at all.
pub(super) fn can(install: &Install) -> Result<()> {
    let what = match &install.how {
        How::Objects { .. } | How::Shown { .. } | How::Brought { .. } => return Ok(()),
        How::Chart { .. } => "charts cannot be installed yet",
        How::Container { .. } => "containers beside the cluster cannot be run on this provider",
        How::Folder {
            kustomize: true, ..
        } => "kustomizations cannot be applied yet",
        How::Folder {
            kustomize: false, ..
        } => "manifests from files cannot be applied yet",
    };
    Err(Error::new(
        &NOT_THERE_YET,
        format!("`{}` cannot be installed: {what}", install.component),
    )
    .help("give the objects themselves: `manifests(\"name\", #{ objects: [#{ … }] })`"))
}

/// Applies the objects of a component and writes it down.
pub(super) async fn install(client: &Client, install: &Install) -> Result<()> {
    can(install)?;
    let applied = match &install.how {
        How::Objects {
            objects,
            namespace: Some(namespace),
        } => {
            let objects = objects.iter().map(Tree::exposed).collect();
            k8s::apply_all(client, objects, namespace).await?
        }
        How::Objects { objects, .. } => {
            one_by_one(client, objects.iter().map(Tree::exposed).collect()).await?
        }
        How::Shown { component } => {
            one_by_one(client, component::shown(*component, install)).await?
        }
        How::Brought { distribution } => {
            one_by_one(client, distribution::brought(*distribution)).await?
        }
        How::Chart { .. } | How::Container { .. } | How::Folder { .. } => return Ok(()),
    };
    // Names and kinds are enough to remove them; contents may hold what belongs to nobody else.
    let list: Vec<Value> = applied.iter().map(reference).collect();
    let record = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": record_name(&install.component), "namespace": "kube-system",
            "labels": { LABEL: install.component, "app.kubernetes.io/managed-by": "ksail" },
            "annotations": { DIGEST: install.digest },
        },
        "data": { "version": install.version, "objects": Value::Array(list).to_string() },
    });
    k8s::apply(client, &record).await
}

/// Applies objects that say for themselves where they go, and gives them back.
async fn one_by_one(client: &Client, objects: Vec<Value>) -> Result<Vec<Value>> {
    for object in &objects {
        k8s::apply(client, object).await?;
    }
    Ok(objects)
}

/// Removes the objects of a component, last first, and what was written down.
pub(super) async fn uninstall(client: &Client, component: &str) -> Result<()> {
    let records = Api::<ConfigMap>::namespaced(client.clone(), "kube-system");
    let name = record_name(component);
    let record = match records.get_opt(&name).await {
        Ok(Some(record)) => record,
        Ok(None) => return Ok(()),
        Err(cause) => {
            return Err(
                Error::new(&API_FAILED, format!("looking for {component} failed")).because(cause),
            );
        }
    };
    let text = record
        .data
        .as_ref()
        .and_then(|data| data.get("objects"))
        .map_or("[]", String::as_str);
    let objects: Vec<Value> = serde_json::from_str(text).map_err(|cause| {
        Error::new(
            &API_FAILED,
            format!("the ConfigMap kube-system/{name} does not list the objects of {component}"),
        )
        .because(cause)
        .help("remove the objects by hand, then the ConfigMap")
    })?;
    for object in objects.iter().rev() {
        k8s::remove(client, object).await?;
    }
    let own = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": "kube-system" } });
    k8s::remove(client, &own).await
}

fn record_name(component: &str) -> String {
    format!("ksail-component-{}", component.replace('_', "-"))
}

fn reference(object: &Value) -> Value {
    json!({
        "apiVersion": object["apiVersion"], "kind": object["kind"],
        "metadata": { "name": object["metadata"]["name"], "namespace": object["metadata"]["namespace"] },
    })
}

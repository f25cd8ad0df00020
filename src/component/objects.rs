//! The objects that a simulated component shows: its namespace and its workloads, labelled so that they are found again.

use serde_json::{Value, json};

use super::table::{Kind, Release, Workload, release};
use crate::axis::Component;
use crate::step::Install;

/// The label that names the component an object belongs to.
pub const LABEL: &str = "ksail.io/component";
/// The annotation that says what was installed.
pub const DIGEST: &str = "ksail.io/digest";

/// The objects that a component's installation shows, namespace first; `known` is whose workloads they are.
pub fn shown(known: Component, install: &Install) -> Vec<Value> {
    let release = &release(known);
    let (component, version, digest) = (
        install.component.as_str(),
        install.version.as_str(),
        install.digest.as_str(),
    );
    let mut objects = Vec::new();
    if release.namespace != "kube-system" {
        objects.push(json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": release.namespace, "labels": { LABEL: component } },
        }));
    }
    objects.extend(
        release
            .workloads
            .iter()
            .map(|workload| object(component, release, workload, version, digest)),
    );
    // A component without workloads is still to be found again.
    if release.workloads.is_empty() {
        objects.push(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": format!("ksail-{}", component.replace('_', "-")), "namespace": release.namespace,
                "labels": { LABEL: component }, "annotations": { DIGEST: digest },
            },
            "data": { "version": version },
        }));
    }
    objects
}

/// What [`shown`] makes, as `namespace/kind/name`, sorted; namespaces left out.
pub fn workload_ids(release: &Release) -> Vec<String> {
    let mut ids: Vec<String> = release
        .workloads
        .iter()
        .map(|workload| {
            format!(
                "{}/{}/{}",
                release.namespace,
                word(workload.kind),
                workload.name
            )
        })
        .collect();
    ids.sort();
    ids
}

fn object(
    component: &str,
    release: &Release,
    workload: &Workload,
    version: &str,
    digest: &str,
) -> Value {
    let labels = json!({
        "app.kubernetes.io/name": workload.name,
        "app.kubernetes.io/managed-by": "ksail",
        LABEL: component,
    });
    let selector = json!({ "matchLabels": { "app.kubernetes.io/name": workload.name } });
    let template = json!({
        "metadata": { "labels": { "app.kubernetes.io/name": workload.name } },
        "spec": {
            "containers": [{ "name": workload.name, "image": format!("{}:{version}", workload.image) }],
            "tolerations": [{ "operator": "Exists" }],
        },
    });
    let mut spec = json!({ "selector": selector, "template": template });
    match workload.kind {
        Kind::Deployment => spec["replicas"] = json!(1),
        Kind::StatefulSet => {
            spec["replicas"] = json!(1);
            spec["serviceName"] = json!(workload.name);
        }
        Kind::DaemonSet => {}
    }
    json!({
        "apiVersion": "apps/v1", "kind": word(workload.kind),
        "metadata": {
            "name": workload.name, "namespace": release.namespace,
            "labels": labels, "annotations": { DIGEST: digest },
        },
        "spec": spec,
    })
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Deployment => "Deployment",
        Kind::StatefulSet => "StatefulSet",
        Kind::DaemonSet => "DaemonSet",
    }
}

//! What a distribution itself brings, as objects for clusters whose pods are simulated.

use serde_json::{Value, json};

use super::of;
use crate::axis::Distribution;
use crate::component::{Kind, LABEL, Workload};

/// The objects that show what a distribution brings, namespaces first.
pub fn brought(distribution: Distribution) -> Vec<Value> {
    let workloads = of(distribution).brings();
    let mut namespaces: Vec<&str> = workloads.iter().map(|(namespace, _)| *namespace).collect();
    namespaces.dedup();
    let mut objects: Vec<Value> = namespaces
        .into_iter()
        .filter(|namespace| *namespace != "kube-system")
        .map(
            |name| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }),
        )
        .collect();
    objects.extend(
        workloads
            .iter()
            .map(|(namespace, workload)| object(namespace, workload)),
    );
    objects
}

fn object(namespace: &str, workload: &Workload) -> Value {
    let kind = match workload.kind {
        Kind::Deployment => "Deployment",
        Kind::StatefulSet => "StatefulSet",
        Kind::DaemonSet => "DaemonSet",
    };
    let labels = json!({ "k8s-app": workload.name });
    let mut spec = json!({
        "selector": { "matchLabels": labels },
        "template": {
            "metadata": { "labels": labels },
            "spec": {
                "containers": [{ "name": workload.name, "image": workload.image }],
                "tolerations": [{ "operator": "Exists" }],
            },
        },
    });
    if kind == "Deployment" {
        spec["replicas"] = json!(1);
    }
    json!({
        "apiVersion": "apps/v1", "kind": kind,
        "metadata": { "name": workload.name, "namespace": namespace, "labels": { "k8s-app": workload.name, LABEL: "brought" } },
        "spec": spec,
    })
}

//! What every cluster has from the start: its first namespaces and services.

use serde_json::{Value, json};

use super::Options;
use crate::embedded::access;
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::server::Server;

const RBAC: &str = "rbac.authorization.k8s.io";

/// Writes what is missing.
pub async fn run(server: &Server) -> Result<(), Status> {
    super::definition::serve_all(server);
    let options = Options::controller("kube-apiserver");
    for (group, plural, namespace, value) in objects() {
        let Some(kind) = server.kind(group, plural) else {
            continue;
        };
        let name = value.reach("/metadata/name").and_then(Value::as_str);
        if server
            .get(&kind, namespace, name.unwrap_or_default())
            .is_none()
        {
            server.create(&kind, namespace, value, &options).await?;
        }
    }
    // One kind at a time, and only in a cluster that is new: whoever took a role away had a reason.
    if let Some(roles) = server.kind(RBAC, "clusterroles")
        && server.list(&roles, "").objects.is_empty()
    {
        for (plural, value) in access::bootstrap::objects() {
            if let Some(kind) = server.kind(RBAC, plural) {
                server.create(&kind, "", value, &options).await?;
            }
        }
    }
    Ok(())
}

fn objects() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let mut all = Vec::new();
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        let labels = json!({"kubernetes.io/metadata.name": name});
        let namespace = json!({"metadata": {"name": name, "labels": labels}});
        all.push(("", "namespaces", "", namespace));
    }
    let labels = json!({"component": "apiserver", "provider": "kubernetes"});
    let service = json!({
        "metadata": {"name": "kubernetes", "labels": labels},
        "spec": {
            "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "type": "ClusterIP",
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
        },
    });
    all.push(("", "services", "default", service));
    all
}

//! What every cluster has from the start: its first namespaces and services, its roles, priorities and flows.
//!
//! `bootstrap.gz` is made by `scripts/generate-bootstrap` of a real server.

use std::io::Read as _;

use serde_json::{Value, json};

use super::Options;
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::server::Server;

static PACKED: &[u8] = include_bytes!("bootstrap.gz");

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
    // Only in a cluster that is new: whoever took a role away had a reason.
    let roles = server.kind("rbac.authorization.k8s.io", "clusterroles");
    if roles.is_some_and(|roles| server.list(&roles, "").objects.is_empty()) {
        let text = packed()?;
        for line in text.lines() {
            let (group, plural, value) = object(line).ok_or_else(broken)?;
            if let Some(kind) = server.kind(group, plural) {
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

/// The lines of what is kept packed.
fn packed() -> Result<String, Status> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(PACKED)
        .read_to_string(&mut text)
        .map_err(|_| broken())?;
    Ok(text)
}

fn broken() -> Status {
    let message = "the first objects of a cluster cannot be read";
    Status::new(500, "InternalError", message)
}

/// Group, plural and object of a line.
fn object(line: &str) -> Option<(&str, &str, Value)> {
    let mut parts = line.splitn(3, ' ');
    let (group, plural, value) = (parts.next()?, parts.next()?, parts.next()?);
    let mut value: Value = serde_json::from_str(value).ok()?;
    date(&mut value);
    Some((group, plural, value))
}

/// Says of conditions that they are so from now on.
fn date(value: &mut Value) {
    let conditions = value.reach_mut("/status/conditions");
    for condition in conditions
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(condition) = condition.as_object_mut() {
            condition.insert("lastTransitionTime".to_owned(), super::meta::now().into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{object, packed};

    #[test]
    fn what_is_packed_can_be_read() {
        let text = packed().unwrap();
        let all: Vec<_> = text.lines().map(|line| object(line).unwrap()).collect();
        let there = |plural: &str, name: &str| {
            all.iter()
                .any(|(_, of, value)| *of == plural && value["metadata"]["name"] == name)
        };
        assert!(there("clusterroles", "cluster-admin"));
        assert!(there("priorityclasses", "system-node-critical"));
        assert!(there("flowschemas", "catch-all"));
    }
}

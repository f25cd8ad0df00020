//! Nodes: they become ready, and give signs of life.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::own;
use crate::embedded::api::status::Status;
use crate::embedded::controllers::{Context, Controller, Next};
use crate::embedded::server::Server;
use crate::embedded::store::Change;
use crate::embedded::write::{self, Options, Part};

const NAME: &str = "kwok-controller";
const LEASES: &str = "kube-node-lease";
/// How long a lease counts, in seconds, and how often it is renewed.
const LEASE: u64 = 40;
const RENEW: Duration = Duration::from_secs(10);

/// Makes nodes ready.
pub(in crate::embedded) struct Nodes;

impl Controller for Nodes {
    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "nodes")]
    }

    fn keys(&mut self, _: &Context, _: usize, change: &Change) -> Vec<String> {
        vec![change.object.key().to_owned()]
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let kind = context.kind("", "nodes")?;
        let Some(node) = context.find(&kind, key) else {
            return Ok(Next::Done);
        };
        let options = Options::controller(NAME);
        let value = node.value();
        if !has_status(&value) && !own::drive(&context.server, "Node") {
            let wanted = status_of(context, node.name(), &value);
            let edit = |value: &mut Value| {
                if let Some(root) = value.as_object_mut() {
                    root.insert("status".to_owned(), wanted.clone());
                }
            };
            context
                .server
                .modify(&kind, "", node.name(), Part::Status, &options, &edit)
                .await?;
            renew(&context.server, node.name(), &value).await;
        }
        sync_taints(context, key, &options).await?;
        Ok(Next::Done)
    }
}

fn has_status(value: &Value) -> bool {
    let conditions = value
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    let is_ready = |c: &Value| c.get("type").and_then(Value::as_str) == Some("Ready");
    conditions.is_some_and(|list| list.iter().any(is_ready))
}

/// A node that can't take pods says so with a taint as well, as the node controller would have it.
async fn sync_taints(context: &Context, key: &str, options: &Options) -> Result<(), Status> {
    const CORDON: &str = "node.kubernetes.io/unschedulable";
    let kind = context.kind("", "nodes")?;
    let Some(node) = context.find(&kind, key) else {
        return Ok(());
    };
    let value = node.value();
    let taints = value.pointer("/spec/taints").and_then(Value::as_array);
    let taints = taints.cloned().unwrap_or_default();
    let is = |taint: &Value, key: &str| taint.get("key").and_then(Value::as_str) == Some(key);
    let cordoned = value.pointer("/spec/unschedulable") == Some(&Value::Bool(true));
    let ready = value
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .any(|c| {
            c.get("type").and_then(Value::as_str) == Some("Ready")
                && c.get("status").and_then(Value::as_str) == Some("True")
        });
    let mut wanted = taints.clone();
    if ready {
        wanted.retain(|taint| {
            !is(taint, "node.kubernetes.io/not-ready")
                && !is(taint, "node.kubernetes.io/unreachable")
        });
    }
    match (cordoned, wanted.iter().any(|taint| is(taint, CORDON))) {
        (true, false) => {
            wanted.push(json!({"key": CORDON, "effect": "NoSchedule", "timeAdded": write::now()}));
        }
        (false, true) => wanted.retain(|taint| !is(taint, CORDON)),
        _ => {}
    }
    if wanted == taints {
        return Ok(());
    }
    let wanted = if wanted.is_empty() {
        Value::Null
    } else {
        wanted.into()
    };
    let edit = |value: &mut Value| json_patch::merge(value, &json!({"spec": {"taints": wanted}}));
    let server = &context.server;
    server
        .modify(&kind, "", node.name(), Part::Main, options, &edit)
        .await?;
    Ok(())
}

/// What a node says of itself where whoever made it said nothing.
fn status_of(context: &Context, name: &str, value: &Value) -> Value {
    let now = write::now();
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        })
    };
    let room = json!({
        "cpu": "1k", "memory": "1Ti", "pods": "1M", "ephemeral-storage": "1Ti", "hugepages-1Gi": "0", "hugepages-2Mi": "0",
    });
    let version = context.server.settings().version.clone();
    let mut status = json!({
        "addresses": [{"type": "InternalIP", "address": address_of(name)}, {"type": "Hostname", "address": name}],
        "allocatable": room,
        "capacity": room,
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            condition("NetworkUnavailable", "False", "RouteCreated", "RouteController created a route"),
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "architecture": "amd64", "bootID": "", "containerRuntimeVersion": "ksail", "kernelVersion": "",
            "kubeProxyVersion": "", "kubeletVersion": version, "machineID": "", "operatingSystem": "linux",
            "osImage": "", "systemUUID": "",
        },
        "phase": "Running",
    });
    // What is said already counts more, but for conditions, of which Ready is the point.
    if let Some(said) = value.get("status").and_then(Value::as_object) {
        let mut said = said.clone();
        said.shift_remove("conditions");
        json_patch::merge(&mut status, &Value::Object(said));
    }
    status
}

/// An address that is the same for the same name.
pub(super) fn address_of(name: &str) -> String {
    let mut sum = 0x811c_9dc5_u32;
    for byte in name.bytes() {
        sum = (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    let [_, a, b, c] = sum.to_be_bytes();
    format!("10.{a}.{b}.{}", c.max(1))
}

/// Renews a node's lease; a lease that can't be renewed now will be the next time.
async fn renew(server: &Server, name: &str, node: &Value) {
    let Some(kind) = server.kind("coordination.k8s.io", "leases") else {
        return;
    };
    let options = Options::controller(NAME);
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S.%6fZ")
        .to_string();
    if server.get(&kind, LEASES, name).is_some() {
        let edit =
            |value: &mut Value| json_patch::merge(value, &json!({"spec": {"renewTime": now}}));
        let _ = server
            .modify(&kind, LEASES, name, Part::Main, &options, &edit)
            .await;
        return;
    }
    let owner = json!({
        "apiVersion": "v1", "kind": "Node", "name": name,
        "uid": node.pointer("/metadata/uid").cloned().unwrap_or_default(),
    });
    let lease = json!({
        "metadata": {"name": name, "ownerReferences": [owner]},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": LEASE, "renewTime": now},
    });
    let _ = server.create(&kind, LEASES, lease, &options).await;
}

/// Gives signs of life for all nodes, for as long as the task lives.
pub(in crate::embedded) async fn heartbeats(server: Server) {
    let mut told: BTreeMap<String, tokio::time::Instant> = BTreeMap::new();
    loop {
        tokio::time::sleep(RENEW).await;
        let Some(kind) = server.kind("", "nodes") else {
            return;
        };
        let nodes = server.list(&kind, "").objects;
        // Many nodes share the time, so that a big cluster is not busy with nothing else.
        let pause = RENEW.checked_div(u32::try_from(nodes.len()).unwrap_or(u32::MAX));
        for node in &nodes {
            renew(&server, node.name(), &node.value()).await;
            let now = tokio::time::Instant::now();
            let last = told.entry(node.name().to_owned()).or_insert(now);
            if now.duration_since(*last) > Duration::from_mins(5) {
                *last = now;
                tell(&server, node.name()).await;
            }
            if nodes.len() > 100
                && let Some(pause) = pause
            {
                tokio::time::sleep(pause * 3).await;
            }
        }
    }
}

/// Says again what the conditions say, with the time of now.
async fn tell(server: &Server, name: &str) {
    let Some(kind) = server.kind("", "nodes") else {
        return;
    };
    let now = write::now();
    let edit = |value: &mut Value| {
        let conditions = value
            .pointer_mut("/status/conditions")
            .and_then(Value::as_array_mut);
        for condition in conditions.into_iter().flatten() {
            json_patch::merge(condition, &json!({"lastHeartbeatTime": now}));
        }
    };
    let options = Options::controller(NAME);
    let _ = server
        .modify(&kind, "", name, Part::Status, &options, &edit)
        .await;
}

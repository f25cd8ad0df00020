//! Nodes: they become ready, and give signs of life.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::own;
use crate::embedded::api::status::Status;
use crate::embedded::controllers::{Context, Controller, Next};
use crate::embedded::reach::Reach as _;
use crate::embedded::server::Server;
use crate::embedded::store::{Change, Object};
use crate::embedded::write::{self, Options, Part};

const NAME: &str = "kwok-controller";
/// Where nodes' leases are.
pub(in crate::embedded) const LEASES: &str = "kube-node-lease";
/// How long a lease counts, in seconds.
const LEASE: u64 = 40;

/// Whose signs of life are given here: KWOK's mark with another value than its own takes a node out of its hands.
const MARK: &str = "/metadata/annotations/kwok.x-k8s.io~1node";

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
        if !is_ours(&node) {
            return Ok(Next::Done);
        }
        if !has_status(&value) && !own::drive(&context.server, "Node") {
            let wanted = status_of(&context.server, node.name(), &value);
            let edit = |value: &mut Value| {
                if let Some(root) = value.as_object_mut() {
                    root.insert("status".to_owned(), wanted.clone());
                }
            };
            context
                .server
                .modify(&kind, "", node.name(), Part::Status, &options, &edit)
                .await?;
        }
        if lease_of(&context.server, node.name()).is_none() {
            renew(&context.server, &node).await;
        }
        Ok(Next::Done)
    }
}

/// Whether a node is given signs of life here; those of others' nodes have to come from elsewhere.
pub(in crate::embedded) fn is_kept(server: &Server, node: &Object) -> bool {
    let name = node.name();
    is_ours(node) && lease_of(server, name).is_none_or(|lease| is_held_by(&lease, name))
}

/// Whether a node was not taken out of KWOK's hands by its mark.
fn is_ours(node: &Object) -> bool {
    // Hardly any node is marked at all; its text tells at once.
    !node.mentions("\"kwok.x-k8s.io/node\"")
        || node.value().reach(MARK).is_none_or(|mark| mark == "fake")
}

fn lease_of(server: &Server, name: &str) -> Option<Arc<Object>> {
    let kind = server.kind("coordination.k8s.io", "leases")?;
    server.get(&kind, LEASES, name)
}

/// Whether a lease is a node's own, as those are that are made here.
pub(in crate::embedded) fn is_held_by(lease: &Object, name: &str) -> bool {
    lease.mentions(&format!("\"holderIdentity\":\"{name}\""))
}

/// Whether a node was given up because nothing was heard of it.
fn is_given_up(node: &Object) -> bool {
    node.mentions("\"NodeStatusUnknown\"")
}

fn has_status(value: &Value) -> bool {
    let conditions = value.reach("/status/conditions").and_then(Value::as_array);
    let is_ready = |c: &Value| c.get("type").and_then(Value::as_str) == Some("Ready");
    conditions.is_some_and(|list| list.iter().any(is_ready))
}

/// What a node says of itself where whoever made it said nothing.
fn status_of(server: &Server, name: &str, value: &Value) -> Value {
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
    let version = server.settings().version.clone();
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
async fn renew(server: &Server, node: &Object) {
    let name = node.name();
    let Some(kind) = server.kind("coordination.k8s.io", "leases") else {
        return;
    };
    let options = Options::controller(NAME);
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S.%6fZ")
        .to_string();
    if let Some(lease) = lease_of(server, name) {
        if !is_held_by(&lease, name) {
            return;
        }
        let edit =
            |value: &mut Value| json_patch::merge(value, &json!({"spec": {"renewTime": now}}));
        let _ = server
            .modify(&kind, LEASES, name, Part::Main, &options, &edit)
            .await;
        return;
    }
    let owner = json!({
        "apiVersion": "v1", "kind": "Node", "name": name,
        "uid": node.uid(),
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
    let renew_after = server.settings().node_grace / 5;
    loop {
        tokio::time::sleep(renew_after).await;
        let Some(kind) = server.kind("", "nodes") else {
            return;
        };
        let nodes = server.list(&kind, "").objects;
        // Many nodes share the time, so that a big cluster is not busy with nothing else.
        let pause = renew_after.checked_div(u32::try_from(nodes.len()).unwrap_or(u32::MAX));
        for node in &nodes {
            if !is_kept(&server, node) {
                continue;
            }
            renew(&server, node).await;
            if is_given_up(node) && !own::drive(&server, "Node") {
                tell(&server, node.name(), true).await;
            }
            let now = tokio::time::Instant::now();
            let last = told.entry(node.name().to_owned()).or_insert(now);
            if now.duration_since(*last) > Duration::from_mins(5) {
                *last = now;
                tell(&server, node.name(), false).await;
            }
            if nodes.len() > 100
                && let Some(pause) = pause
            {
                tokio::time::sleep(pause * 3).await;
            }
        }
    }
}

/// Says again what the conditions say, with the time of now; of a node that was given up, that it is well.
async fn tell(server: &Server, name: &str, anew: bool) {
    let Some(kind) = server.kind("", "nodes") else {
        return;
    };
    let now = write::now();
    let edit = |value: &mut Value| {
        if anew {
            let well = status_of(server, name, value);
            json_patch::merge(
                value,
                &json!({"status": {"conditions": well.get("conditions")}}),
            );
            return;
        }
        let conditions = value
            .reach_mut("/status/conditions")
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

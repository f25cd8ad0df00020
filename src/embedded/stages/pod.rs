//! Pods on simulated nodes: they start at once, jobs' pods end at once, and what is deleted goes at once.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::embedded::api::status::Status;
use crate::embedded::controllers::{Context, Controller, Next, Pod};
use crate::embedded::reach::Reach as _;
use crate::embedded::store::{Change, ChangeKind, Object};
use crate::embedded::write::{self, Deletion, Options, Part};

use super::node::address_of;
use super::own;

const NAME: &str = "kwok-controller";

/// What a kubelet would do.
#[derive(Default)]
pub(in crate::embedded) struct Kubelet {
    /// How many addresses were given to pods.
    given: u32,
    /// Nodes that were there and are no more: what ran on them is gone with them.
    gone: BTreeSet<String>,
}

impl Controller for Kubelet {
    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "pods"), ("", "nodes")]
    }

    fn keys(&mut self, context: &Context, source: usize, change: &Change) -> Vec<String> {
        if source == 0 {
            return match change.kind {
                ChangeKind::Deleted => Vec::new(),
                _ => {
                    let index = context.pods.look();
                    let pod = index.get(change.object.key());
                    let pod = pod.filter(|pod| is_our_turn(pod));
                    pod.map(|_| change.object.key().to_owned())
                        .into_iter()
                        .collect()
                }
            };
        }
        let node = change.object.name();
        if change.kind == ChangeKind::Deleted {
            self.gone.insert(node.to_owned());
        } else {
            self.gone.remove(node);
        }
        // Pods may have come to a node before it was there; those of a node that is gone are nobody's.
        match (change.kind, &change.before) {
            (ChangeKind::Modified, _) => Vec::new(),
            _ => {
                let index = context.pods.look();
                let there = index.on_node(node);
                there.map(|pod| pod.object.key().to_owned()).collect()
            }
        }
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let kind = context.kind("", "pods")?;
        let Some(pod) = context.find(&kind, key) else {
            return Ok(Next::Done);
        };
        let value = pod.value();
        let text = |at: &str| value.reach(at).and_then(Value::as_str).unwrap_or_default();
        let node = text("/spec/nodeName");
        if node.is_empty() {
            return Ok(Next::Done);
        }
        if own::drive(&context.server, "Pod") {
            return Ok(Next::Done);
        }
        let options = Options::controller(NAME);
        let nodes = context.kind("", "nodes")?;
        let there = context.server.get(&nodes, "", node).is_some();
        let gone = !there && self.gone.contains(node);
        if value.reach("/metadata/deletionTimestamp").is_some() || gone {
            let (namespace, name) = (pod.namespace(), pod.name());
            let deletion = Deletion::now();
            let grace = value
                .reach("/metadata/deletionGracePeriodSeconds")
                .and_then(Value::as_u64);
            if grace == Some(0) {
                return Ok(Next::Done);
            }
            context
                .server
                .delete(&kind, namespace, name, &deletion, &options)
                .await?;
            return Ok(Next::Done);
        }
        if !there {
            // A node that nobody has seen may still come.
            return Ok(Next::Done);
        }
        let status = match text("/status/phase") {
            "Pending" | "" => self.running(&pod, node),
            "Running" if runs_to_an_end(&value) => ended(&value),
            _ => return Ok(Next::Done),
        };
        let edit = |value: &mut Value| {
            if let Some(root) = value.as_object_mut() {
                let slot = root.entry("status").or_insert_with(|| json!({}));
                json_patch::merge(slot, &status);
            }
        };
        let (namespace, name) = (pod.namespace(), pod.name());
        context
            .server
            .modify(&kind, namespace, name, Part::Status, &options, &edit)
            .await?;
        Ok(Next::Done)
    }
}

/// Whether there may be something to do about a pod: it is on a node, and neither runs for good nor has ended.
fn is_our_turn(pod: &Pod) -> bool {
    !pod.node.is_empty() && (pod.going || pod.job || !(&*pod.phase == "Running" || pod.has_ended()))
}

/// Whether a pod has something to finish: a job's has.
fn runs_to_an_end(value: &Value) -> bool {
    let owners = value
        .reach("/metadata/ownerReferences")
        .and_then(Value::as_array);
    let by_job = owners
        .into_iter()
        .flatten()
        .any(|owner| owner.get("kind").and_then(Value::as_str) == Some("Job"));
    let restarts = value.reach("/spec/restartPolicy").and_then(Value::as_str);
    by_job && restarts != Some("Always")
}

fn condition(kind: &str, status: &str, reason: &str, now: &str) -> Value {
    let mut condition = json!({
        "type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": now,
    });
    if !reason.is_empty() {
        json_patch::merge(&mut condition, &json!({"reason": reason}));
        // Merging takes nulls out; this one belongs there.
        if let Some(condition) = condition.as_object_mut() {
            condition.insert("lastProbeTime".to_owned(), Value::Null);
        }
    }
    condition
}

fn containers<'a>(value: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    let list = value.reach(list).and_then(Value::as_array);
    list.into_iter().flatten()
}

fn container_status(container: &Value, state: Value, ready: bool) -> Value {
    let text = |name: &str| {
        container
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    json!({
        "name": text("name"), "image": text("image"), "imageID": "", "ready": ready,
        "restartCount": 0, "started": ready, "state": state,
    })
}

impl Kubelet {
    fn running(&mut self, pod: &Object, node: &str) -> Value {
        let value = pod.value();
        let now = write::now();
        let host = value.reach("/spec/hostNetwork") == Some(&Value::Bool(true));
        let node_address = address_of(node);
        let address = if host {
            node_address.clone()
        } else {
            self.next_address()
        };
        let state = json!({"running": {"startedAt": now}});
        let main: Vec<Value> = containers(&value, "/spec/containers")
            .map(|container| container_status(container, state.clone(), true))
            .collect();
        let done = json!({"terminated": {
            "exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now,
        }});
        let init: Vec<Value> = containers(&value, "/spec/initContainers")
            .map(|container| match container.get("restartPolicy") {
                Some(_) => container_status(container, state.clone(), true),
                None => container_status(container, done.clone(), true),
            })
            .collect();
        let gates = value
            .reach("/spec/readinessGates")
            .and_then(Value::as_array);
        let held = gates.is_some_and(|gates| !gates.is_empty());
        let ready = if held { "False" } else { "True" };
        let scheduled = value
            .reach("/status/conditions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .find(|c| c.get("type").and_then(Value::as_str) == Some("PodScheduled"))
            .filter(|c| c.get("status").and_then(Value::as_str) == Some("True"))
            .cloned()
            .unwrap_or_else(|| condition("PodScheduled", "True", "", &now));
        let mut status = json!({
            "phase": "Running",
            "conditions": [
                condition("PodReadyToStartContainers", "True", "", &now),
                condition("Initialized", "True", "", &now),
                condition("Ready", ready, if held { "ReadinessGatesNotReady" } else { "" }, &now),
                condition("ContainersReady", "True", "", &now),
                scheduled,
            ],
            "containerStatuses": main,
            "hostIP": node_address, "hostIPs": [{"ip": node_address}],
            "podIP": address, "podIPs": [{"ip": address}],
            "startTime": now,
        });
        if !init.is_empty() {
            json_patch::merge(&mut status, &json!({"initContainerStatuses": init}));
        }
        status
    }

    fn next_address(&mut self) -> String {
        self.given = self.given.wrapping_add(1);
        let [_, a, b, c] = self.given.to_be_bytes();
        format!("10.{}.{b}.{c}", 244_u8.wrapping_add(a))
    }
}

fn ended(value: &Value) -> Value {
    let now = write::now();
    let started = value
        .reach("/status/startTime")
        .cloned()
        .unwrap_or_else(|| now.as_str().into());
    let state = json!({"terminated": {
        "exitCode": 0, "reason": "Completed", "startedAt": started, "finishedAt": now,
    }});
    let statuses: Vec<Value> = containers(value, "/spec/containers")
        .map(|container| {
            let mut status = container_status(container, state.clone(), false);
            json_patch::merge(&mut status, &json!({"started": false}));
            status
        })
        .collect();
    let kept = containers(value, "/status/conditions")
        .find(|c| c.get("type").and_then(Value::as_str) == Some("PodScheduled"))
        .cloned()
        .unwrap_or_else(|| condition("PodScheduled", "True", "", &now));
    json!({
        "phase": "Succeeded",
        "conditions": [
            condition("PodReadyToStartContainers", "False", "", &now),
            condition("Initialized", "True", "PodCompleted", &now),
            condition("Ready", "False", "PodCompleted", &now),
            condition("ContainersReady", "False", "PodCompleted", &now),
            kept,
        ],
        "containerStatuses": statuses,
    })
}

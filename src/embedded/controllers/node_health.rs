//! Nodes that are no longer heard of, and what is held against nodes that are not well: taints, and pods shown as not ready.
//!
//! A node is heard of by its lease and by its own heartbeats. Who evicts pods from a node so tainted is `eviction`; who gives
//! signs of life for simulated nodes is `stages::node`.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::owned::text;
use super::{Context, Controller, Event, Next};
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::stages::node::{LEASES, is_held_by, is_kept};
use crate::embedded::store::{Change, ChangeKind, Object};
use crate::embedded::write::{self, Options, Part};

const NAME: &str = "node-controller";
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const CORDON: &str = "node.kubernetes.io/unschedulable";
/// Which taint goes with a condition that is so.
const BY_CONDITION: &[(&str, &str, &str)] = &[
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    (
        "MemoryPressure",
        "True",
        "node.kubernetes.io/memory-pressure",
    ),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
    (
        "NetworkUnavailable",
        "True",
        "node.kubernetes.io/network-unavailable",
    ),
];
/// What nobody can know of a node that is silent.
const UNKNOWABLE: &[&str] = &["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// What is known of a node.
struct Known {
    heard: Instant,
    heartbeat: String,
    well: bool,
}

/// The controller.
#[derive(Default)]
pub(super) struct NodeHealth {
    known: HashMap<String, Known>,
    /// How many of them are well.
    well: usize,
}

impl Controller for NodeHealth {
    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "nodes"), ("coordination.k8s.io", "leases")]
    }

    fn keys(&mut self, _: &Context, source: usize, change: &Change) -> Vec<String> {
        let name = change.object.name();
        if source == 1 {
            if change.object.namespace() != LEASES || change.kind == ChangeKind::Deleted {
                return Vec::new();
            }
            if let Some(known) = self.known.get_mut(name) {
                known.heard = Instant::now();
            }
            // Somebody else's node has come.
            let new = change.kind == ChangeKind::Added && !is_held_by(&change.object, name);
            return new.then(|| format!("/{name}")).into_iter().collect();
        }
        let any = self.any_well();
        if change.kind == ChangeKind::Deleted {
            let known = self.known.remove(name);
            self.well -= usize::from(known.is_some_and(|known| known.well));
        } else {
            self.listen(&change.object);
        }
        let mut keys = vec![change.object.key().to_owned()];
        if any != self.any_well() {
            // Whether any node is well at all counts for those that are not.
            keys.extend(self.unwell());
        }
        keys
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let kind = context.kind("", "nodes")?;
        let Some(node) = context.find(&kind, key) else {
            return Ok(Next::Done);
        };
        let value = node.value();
        sync_taints(context, &node, self.any_well()).await?;
        if status_of(&value, "Ready") == "Unknown" {
            mark_pods(context, &node, false).await?;
            return Ok(Next::Done);
        }
        if status_of(&value, "Ready") == "True" {
            mark_pods(context, &node, true).await?;
        }
        // One that is given signs of life here would be silent only because this process has no time for it.
        if is_kept(&context.server, &node) {
            return Ok(Next::Done);
        }
        let grace = context.server.settings().node_grace;
        let heard = self.known.get(node.name()).map(|known| known.heard);
        let left = heard.map_or(grace, |heard| grace.saturating_sub(heard.elapsed()));
        if !left.is_zero() {
            return Ok(Next::After(left));
        }
        give_up(context, &node).await?;
        Ok(Next::Done)
    }
}

impl NodeHealth {
    /// Takes note of what a node says of itself.
    fn listen(&mut self, node: &Object) {
        let value = node.value();
        let ready = condition(&value, "Ready");
        let heartbeat = ready.map_or("", |ready| text(ready, "/lastHeartbeatTime"));
        let well = status_of(&value, "Ready") == "True";
        let known = self
            .known
            .entry(node.name().to_owned())
            .or_insert_with(|| Known {
                heard: Instant::now(),
                heartbeat: heartbeat.to_owned(),
                well: false,
            });
        if known.heartbeat != heartbeat {
            known.heartbeat = heartbeat.to_owned();
            known.heard = Instant::now();
        }
        self.well += usize::from(well);
        self.well -= usize::from(known.well);
        known.well = well;
    }

    #[allow(clippy::iter_over_hash_type, reason = "their order matters to nobody")]
    fn unwell(&self) -> impl Iterator<Item = String> {
        let unwell = self.known.iter().filter(|(_, known)| !known.well);
        unwell.map(|(name, _)| format!("/{name}"))
    }

    fn any_well(&self) -> bool {
        self.well > 0
    }
}

fn conditions(value: &Value) -> impl Iterator<Item = &Value> {
    let list = value.reach("/status/conditions").and_then(Value::as_array);
    list.into_iter().flatten()
}

fn condition<'a>(value: &'a Value, kind: &str) -> Option<&'a Value> {
    conditions(value).find(|condition| text(condition, "/type") == kind)
}

fn status_of<'a>(value: &'a Value, kind: &str) -> &'a str {
    condition(value, kind).map_or("", |condition| text(condition, "/status"))
}

/// The taints that a node is to have on account of how it is, as key and effect.
fn wanted(node: &Value, any_well: bool) -> Vec<(&'static str, &'static str)> {
    let mut wanted = Vec::new();
    for (kind, status, key) in BY_CONDITION {
        if status_of(node, kind) == *status {
            wanted.push((*key, "NoSchedule"));
            // Where no node is well, the fault is elsewhere, and driving pods about would help nobody.
            if *kind == "Ready" && any_well {
                wanted.push((*key, "NoExecute"));
            }
        }
    }
    if node.reach("/spec/unschedulable") == Some(&Value::Bool(true)) {
        wanted.push((CORDON, "NoSchedule"));
    }
    wanted
}

/// Whether a taint is one of those that follow from how a node is.
fn is_ours(key: &str, effect: &str) -> bool {
    let by_condition = BY_CONDITION.iter().any(|(_, _, own)| *own == key);
    match effect {
        "NoSchedule" => by_condition || key == CORDON,
        "NoExecute" => matches!(key, NOT_READY | UNREACHABLE),
        _ => false,
    }
}

/// The taints of a node as they are to be, if they are not so.
fn mended(node: &Value, any_well: bool, now: &str) -> Option<Vec<Value>> {
    let taints = node.reach("/spec/taints").and_then(Value::as_array);
    let taints: &[Value] = taints.map_or(&[], Vec::as_slice);
    let mut missing = wanted(node, any_well);
    // Before it has said anything at all, whoever made it knows best.
    let silent = status_of(node, "Ready").is_empty();
    let mut kept = Vec::new();
    for taint in taints {
        let (key, effect) = (text(taint, "/key"), text(taint, "/effect"));
        let place = missing.iter().position(|each| *each == (key, effect));
        if let Some(place) = place {
            missing.remove(place);
        } else if is_ours(key, effect) && (!silent || key == CORDON) {
            continue;
        }
        kept.push(taint.clone());
    }
    if missing.is_empty() && kept.len() == taints.len() {
        return None;
    }
    let made = missing
        .into_iter()
        .map(|(key, effect)| json!({"key": key, "effect": effect, "timeAdded": now}));
    kept.extend(made);
    Some(kept)
}

/// Holds against a node by taints what its conditions say.
async fn sync_taints(context: &Context, node: &Object, any_well: bool) -> Result<(), Status> {
    let now = write::now();
    if mended(&node.value(), any_well, &now).is_none() {
        return Ok(());
    }
    let kind = context.kind("", "nodes")?;
    let options = Options::controller(NAME);
    let edit = |value: &mut Value| {
        let taints = match mended(value, any_well, &now) {
            None => return,
            Some(taints) if taints.is_empty() => Value::Null,
            Some(taints) => taints.into(),
        };
        json_patch::merge(value, &json!({"spec": {"taints": taints}}));
    };
    let server = &context.server;
    server
        .modify(&kind, "", node.name(), Part::Main, &options, &edit)
        .await?;
    Ok(())
}

/// Says of a node that nothing is known of it any more.
async fn give_up(context: &Context, node: &Object) -> Result<(), Status> {
    let kind = context.kind("", "nodes")?;
    let options = Options::controller(NAME);
    let now = write::now();
    let edit = |value: &mut Value| {
        let born = text(value, "/metadata/creationTimestamp").to_owned();
        let Some(root) = value.as_object_mut() else {
            return;
        };
        let status = root.entry("status").or_insert_with(|| json!({}));
        let Some(status) = status.as_object_mut() else {
            return;
        };
        let list = status.entry("conditions").or_insert_with(|| json!([]));
        let Some(list) = list.as_array_mut() else {
            return;
        };
        for kind in UNKNOWABLE {
            let found = list.iter_mut().find(|c| text(c, "/type") == *kind);
            match found {
                Some(condition) if text(condition, "/status") == "Unknown" => {}
                Some(condition) => {
                    let change = json!({
                        "status": "Unknown", "reason": "NodeStatusUnknown",
                        "message": "Kubelet stopped posting node status.", "lastTransitionTime": now,
                    });
                    json_patch::merge(condition, &change);
                }
                None => list.push(json!({
                    "type": kind, "status": "Unknown", "reason": "NodeStatusNeverUpdated",
                    "message": "Kubelet never posted node status.",
                    "lastHeartbeatTime": born, "lastTransitionTime": now,
                })),
            }
        }
    };
    let server = &context.server;
    server
        .modify(&kind, "", node.name(), Part::Status, &options, &edit)
        .await?;
    let event = Event::normal(
        NAME,
        "NodeNotReady",
        format!("Node {} status is now: NodeNotReady", node.name()),
    );
    event.tell(context, &kind, node).await;
    Ok(())
}

/// Shows the pods of a node as no longer ready, or as ready again.
async fn mark_pods(context: &Context, node: &Object, ready: bool) -> Result<(), Status> {
    let there: Vec<_> = {
        let index = context.pods.look();
        let differ = index
            .on_node(node.name())
            .filter(|pod| pod.ready != ready && &*pod.phase == "Running" && !pod.going);
        differ.cloned().collect()
    };
    if there.is_empty() {
        return Ok(());
    }
    let kind = context.kind("", "pods")?;
    let options = Options::controller(NAME);
    let now = write::now();
    for pod in there {
        // Only what was taken away here is given back: who holds a pod back otherwise gives a reason.
        let held = condition(&pod.object.value(), "Ready")
            .is_none_or(|condition| condition.get("reason").is_some())
            || status_of(&pod.object.value(), "ContainersReady") != "True";
        if ready && held {
            continue;
        }
        let edit = |value: &mut Value| {
            let list = value
                .reach_mut("/status/conditions")
                .and_then(Value::as_array_mut);
            let list = list.into_iter().flatten();
            for condition in list.filter(|c| text(c, "/type") == "Ready") {
                let status = if ready { "True" } else { "False" };
                // Not merged, as a null may belong there that merging would take out.
                if let Some(condition) = condition.as_object_mut() {
                    condition.insert("status".to_owned(), status.into());
                    condition.insert("lastTransitionTime".to_owned(), now.as_str().into());
                }
            }
        };
        let (namespace, name) = (pod.object.namespace(), pod.object.name());
        let server = &context.server;
        server
            .modify(&kind, namespace, name, Part::Status, &options, &edit)
            .await?;
        if !ready {
            let event = Event::warning(NAME, "NodeNotReady", "Node is not ready".to_owned());
            event.tell(context, &kind, &pod.object).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::mended;

    fn node(ready: &str, cordoned: bool, taints: Value) -> Value {
        json!({
            "spec": {"unschedulable": cordoned, "taints": taints},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        })
    }

    fn keys(node: &Value, any_well: bool) -> Option<Vec<String>> {
        let taints = mended(node, any_well, "now")?;
        let each = |taint: &Value| {
            let part = |name: &str| taint[name].as_str().unwrap_or_default().to_owned();
            format!(
                "{}:{}",
                part("key").replace("node.kubernetes.io/", ""),
                part("effect")
            )
        };
        Some(taints.iter().map(each).collect())
    }

    #[test]
    fn taints_follow_from_how_a_node_is() {
        assert_eq!(keys(&node("True", false, json!([])), true), None);
        let cordoned = keys(&node("True", true, json!([])), true).unwrap();
        assert_eq!(cordoned, ["unschedulable:NoSchedule"]);
        let lost = keys(&node("Unknown", false, json!([])), true).unwrap();
        assert_eq!(lost, ["unreachable:NoSchedule", "unreachable:NoExecute"]);
        let all_lost = keys(&node("Unknown", false, json!([])), false).unwrap();
        assert_eq!(all_lost, ["unreachable:NoSchedule"]);
    }

    #[test]
    fn a_node_that_is_well_again_keeps_only_what_others_gave_it() {
        let taints = json!([
            {"key": "mine", "effect": "NoExecute"},
            {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"},
            {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"},
        ]);
        let left = keys(&node("True", false, taints), true).unwrap();
        assert_eq!(left, ["mine:NoExecute"]);
    }

    #[test]
    fn a_node_that_has_said_nothing_keeps_its_taints() {
        let taint = json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]);
        let silent = json!({"spec": {"taints": taint}});
        assert_eq!(mended(&silent, true, "now"), None);
    }
}

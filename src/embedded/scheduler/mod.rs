//! The scheduler: which node a pod goes to, or why it goes to none.

mod claims;
mod fit;
mod node;

pub(super) use fit::{Wants, is_tolerated};
pub(super) use node::{Node, Taint};

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use serde_json::{Value, json};

use super::api::status::Status;
use super::controllers::{Context, Controller, Event, Next};
use super::store::{Change, ChangeKind, Object};
use super::write::{self, Options, Part};
use crate::embedded::reach::Reach as _;

const NAME: &str = "default-scheduler";
/// When so many nodes would do, no more are looked at.
const ENOUGH: usize = 32;

/// The scheduler, with what it remembers of nodes.
#[derive(Default)]
pub(super) struct Scheduler {
    nodes: BTreeMap<String, Arc<Node>>,
    /// Pods that no node took; looked at again when nodes or pods change.
    waiting: BTreeSet<String>,
    /// The node at which the last search ended, so that nodes are filled in turn.
    last: String,
}

impl Controller for Scheduler {
    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "nodes"), ("", "pods"), ("", "persistentvolumeclaims")]
    }

    fn keys(&mut self, context: &Context, source: usize, change: &Change) -> Vec<String> {
        let object = &change.object;
        if source == 0 {
            let name = object.name().to_owned();
            if change.kind == ChangeKind::Deleted {
                self.nodes.remove(&name);
            } else {
                let node = Node::read(object);
                if self.nodes.get(&name).is_some_and(|old| old.is_like(&node)) {
                    return Vec::new();
                }
                self.nodes.insert(name, Arc::new(node));
            }
            return self.waiting.iter().cloned().collect();
        }
        if source == 2 {
            return self.waiting.iter().cloned().collect();
        }
        let index = context.pods.look();
        // As it is by now: what it was in between matters to nobody.
        let pod = index.get(object.key()).filter(|pod| !pod.has_ended());
        let Some(pod) = pod.filter(|_| change.kind != ChangeKind::Deleted) else {
            self.waiting.remove(object.key());
            // Its place is free again.
            return self.waiting.iter().cloned().collect();
        };
        let ours = pod.node.is_empty() && &*pod.scheduler == NAME && !pod.going && !pod.gated;
        drop(index);
        if !ours {
            let was = self.waiting.remove(object.key());
            // A pod that came to a node may be what others want to be near.
            return match change.before.is_some() && !was && !self.waiting.is_empty() {
                true => self.waiting.iter().cloned().collect(),
                false => Vec::new(),
            };
        }
        match change.kind {
            ChangeKind::Added => vec![object.key().to_owned()],
            // Its own writes about why it waits are no news.
            _ if self.waiting.contains(object.key()) => Vec::new(),
            _ => vec![object.key().to_owned()],
        }
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let kind = context.kind("", "pods")?;
        let Some(pod) = context.find(&kind, key) else {
            self.waiting.remove(key);
            return Ok(Next::Done);
        };
        let value = pod.value();
        let at = value.reach("/spec/nodeName").and_then(Value::as_str);
        if at.is_some_and(|at| !at.is_empty())
            || value.reach("/metadata/deletionTimestamp").is_some()
        {
            self.waiting.remove(key);
            return Ok(Next::Done);
        }
        let chosen = match claims::missing(context, &pod) {
            Some(why) => Err(explain_all(self.nodes.len(), &why)),
            None => self.choose(context, &pod),
        };
        match chosen {
            Ok(node) => {
                self.waiting.remove(key);
                bind(context, &pod, &node).await?;
            }
            Err(why) => {
                self.waiting.insert(key.to_owned());
                refuse(context, &pod, &why).await?;
            }
        }
        Ok(Next::Done)
    }
}

impl Scheduler {
    /// The best node of those that would do, or why none does.
    fn choose(&mut self, context: &Context, pod: &Object) -> Result<String, String> {
        let wants = Wants::read(&pod.value());
        let index = context.pods.look();
        let asks = index.get(pod.key()).map(|pod| pod.asks).unwrap_or_default();
        let near = wants.neighbours(&index, pod.namespace(), &self.nodes);
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        let mut best: Option<(i128, &str)> = None;
        let mut found = 0;
        let after = (Bound::Excluded(self.last.as_str()), Bound::Unbounded);
        let before = (Bound::Unbounded, Bound::Included(self.last.as_str()));
        let after = self.nodes.range::<str, _>(after);
        let in_turn = after.chain(self.nodes.range::<str, _>(before));
        let mut last = None;
        for (_, node) in in_turn {
            let used = index.used_on(&node.name);
            match wants.check(node, used, asks, &near) {
                Ok(score) => {
                    found += 1;
                    if best.is_none_or(|(top, _)| score > top) {
                        best = Some((score, &node.name));
                    }
                    if found >= ENOUGH {
                        last = Some(&node.name);
                        break;
                    }
                }
                Err(reason) => *reasons.entry(reason).or_insert(0) += 1,
            }
        }
        let Some((_, node)) = best else {
            return Err(explain(self.nodes.len(), &reasons));
        };
        let node = node.to_owned();
        if let Some(last) = last {
            self.last = last.clone();
        }
        Ok(node)
    }
}

fn explain(count: usize, reasons: &BTreeMap<String, usize>) -> String {
    if count == 0 {
        return "no nodes available to schedule pods".to_owned();
    }
    let mut each: Vec<String> = reasons
        .iter()
        .map(|(reason, times)| format!("{times} {reason}"))
        .collect();
    each.sort();
    explain_all(count, &each.join(", "))
}

/// What is said when no node would do.
fn explain_all(count: usize, why: &str) -> String {
    format!(
        "0/{count} nodes are available: {why}. no new claims to deallocate, preemption: 0/{count} nodes are available: {count} Preemption is not helpful for scheduling."
    )
}

/// Sets the scheduler's condition of a pod, beside what others have to say.
fn say_scheduled(pod: &mut Value, said: Value) {
    let list = pod
        .reach_mut("/status/conditions")
        .and_then(Value::as_array_mut);
    let Some(list) = list else {
        json_patch::merge(pod, &json!({"status": {"conditions": [said]}}));
        return;
    };
    let own = list
        .iter_mut()
        .find(|condition| condition.get("type") == said.get("type"));
    match own {
        Some(own) => *own = said,
        None => list.push(said),
    }
}

/// Says of a pod that it has a node.
pub(super) fn say_bound(pod: &mut Value) {
    let bound = json!({
        "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": write::now(),
    });
    say_scheduled(pod, bound);
}

async fn bind(context: &Context, pod: &Object, node: &str) -> Result<(), Status> {
    let kind = context.kind("", "pods")?;
    let options = Options::controller(NAME);
    let edit = |value: &mut Value| {
        json_patch::merge(value, &json!({"spec": {"nodeName": node}}));
        say_bound(value);
    };
    let (namespace, name) = (pod.namespace(), pod.name());
    context
        .server
        .modify(&kind, namespace, name, Part::Other, &options, &edit)
        .await?;
    let event = Event::normal(
        NAME,
        "Scheduled",
        format!("Successfully assigned {namespace}/{name} to {node}"),
    );
    // A flood of pods is not worth a flood of events.
    let crowded = context.pods.look().len() > 2000;
    if !crowded {
        event.tell(context, &kind, pod).await;
    }
    Ok(())
}

async fn refuse(context: &Context, pod: &Object, why: &str) -> Result<(), Status> {
    let kind = context.kind("", "pods")?;
    let value = pod.value();
    let conditions = value.reach("/status/conditions").and_then(Value::as_array);
    let own = conditions
        .into_iter()
        .flatten()
        .find(|c| c.get("type").and_then(Value::as_str) == Some("PodScheduled"));
    if own.and_then(|own| own.get("message")?.as_str()) == Some(why) {
        return Ok(());
    }
    let options = Options::controller(NAME);
    let now = write::now();
    let edit = |value: &mut Value| {
        let condition = json!({
            "type": "PodScheduled", "status": "False", "lastProbeTime": null, "lastTransitionTime": now,
            "reason": "Unschedulable", "message": why,
        });
        say_scheduled(value, condition);
    };
    let (namespace, name) = (pod.namespace(), pod.name());
    context
        .server
        .modify(&kind, namespace, name, Part::Status, &options, &edit)
        .await?;
    let event = Event::warning(NAME, "FailedScheduling", why.to_owned());
    event.tell(context, &kind, pod).await;
    Ok(())
}

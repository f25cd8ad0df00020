//! Pods that a `NoExecute` taint drives from their node: at once, or after as long as they tolerate it.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::owned::text;
use super::{Context, Controller, Event, Next};
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::scheduler::{Taint, is_tolerated};
use crate::embedded::store::{Change, ChangeKind, Object};
use crate::embedded::write::{self, Deletion, Options, Part};

const NAME: &str = "taint-eviction-controller";
const EFFECT: &str = "NoExecute";

/// The controller.
#[derive(Default)]
pub(super) struct Evictions {
    /// Nodes with such a taint.
    tainted: BTreeSet<String>,
    /// Since when pods endure one.
    since: HashMap<String, Instant>,
}

impl Controller for Evictions {
    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "nodes"), ("", "pods")]
    }

    fn keys(&mut self, context: &Context, source: usize, change: &Change) -> Vec<String> {
        let object = &change.object;
        if source == 1 {
            if change.kind == ChangeKind::Deleted {
                self.since.remove(object.key());
            }
            // Hardly ever is any node tainted so.
            if self.tainted.is_empty() {
                return Vec::new();
            }
            let index = context.pods.look();
            let pod = index.get(object.key());
            let driven = pod.filter(|pod| self.tainted.contains(&*pod.node));
            return driven
                .map(|pod| pod.object.key().to_owned())
                .into_iter()
                .collect();
        }
        let name = object.name();
        let is = change.kind != ChangeKind::Deleted && !taints_of(object).is_empty();
        let was = match is {
            true => !self.tainted.insert(name.to_owned()),
            false => self.tainted.remove(name),
        };
        if !is && !was {
            return Vec::new();
        }
        let index = context.pods.look();
        let there = index.on_node(name);
        there.map(|pod| pod.object.key().to_owned()).collect()
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let (pods, nodes) = (context.kind("", "pods")?, context.kind("", "nodes")?);
        let Some(pod) = context.find(&pods, key).filter(|pod| !pod.is_going()) else {
            self.since.remove(key);
            return Ok(Next::Done);
        };
        let value = pod.value();
        let node = context
            .server
            .get(&nodes, "", text(&value, "/spec/nodeName"));
        let taints = node.map(|node| taints_of(&node)).unwrap_or_default();
        let Some(patience) = patience(&value, &taints) else {
            self.since.remove(key);
            return Ok(Next::Done);
        };
        let since = self
            .since
            .entry(key.to_owned())
            .or_insert_with(Instant::now);
        let left = patience.saturating_sub(since.elapsed());
        if !left.is_zero() {
            return Ok(Next::After(left));
        }
        evict(context, &pod).await?;
        self.since.remove(key);
        Ok(Next::Done)
    }
}

/// The taints of a node that drive pods away.
fn taints_of(node: &Object) -> Vec<Taint> {
    // Nodes change often and are hardly ever tainted so; their text tells at once.
    if !node.mentions(EFFECT) {
        return Vec::new();
    }
    let value = node.value();
    let taints = value.reach("/spec/taints").and_then(Value::as_array);
    let read = |taint: &Value| Taint {
        key: text(taint, "/key").to_owned(),
        value: text(taint, "/value").to_owned(),
        effect: text(taint, "/effect").to_owned(),
    };
    let all = taints.into_iter().flatten().map(read);
    all.filter(|taint| taint.effect == EFFECT).collect()
}

/// How long a pod endures the taints of its node; `None` if they don't trouble it.
fn patience(pod: &Value, taints: &[Taint]) -> Option<Duration> {
    let tolerations = pod.reach("/spec/tolerations").and_then(Value::as_array);
    let mut least = None;
    for taint in taints {
        let tolerating = tolerations
            .into_iter()
            .flatten()
            .filter(|toleration| is_tolerated(toleration, taint));
        let mut limits = tolerating
            .map(|toleration| toleration.get("tolerationSeconds").and_then(Value::as_i64))
            .peekable();
        let limit = match limits.peek() {
            // Nothing tolerates it.
            None => Some(0),
            // Of several limits the shortest counts, and none is no limit.
            Some(_) => limits.flatten().min(),
        };
        if let Some(limit) = limit {
            let limit = u64::try_from(limit).unwrap_or(0);
            least = Some(least.map_or(limit, |least: u64| least.min(limit)));
        }
    }
    least.map(Duration::from_secs)
}

/// Removes a pod, and says why.
async fn evict(context: &Context, pod: &Object) -> Result<(), Status> {
    let kind = context.kind("", "pods")?;
    let options = Options::controller(NAME);
    let (namespace, name) = (pod.namespace(), pod.name());
    let event = Event::normal(
        NAME,
        "TaintManagerEviction",
        format!("Marking for deletion Pod {namespace}/{name}"),
    );
    event.tell(context, &kind, pod).await;
    let now = write::now();
    let edit = |value: &mut Value| {
        let condition = json!({
            "type": "DisruptionTarget", "status": "True", "lastProbeTime": null, "lastTransitionTime": now,
            "reason": "DeletionByTaintManager", "message": "Taint manager: deleting due to NoExecute taint",
        });
        let conditions = value
            .reach_mut("/status/conditions")
            .and_then(Value::as_array_mut);
        if let Some(conditions) = conditions {
            conditions.retain(|condition| text(condition, "/type") != "DisruptionTarget");
            conditions.push(condition);
        }
    };
    let server = &context.server;
    server
        .modify(&kind, namespace, name, Part::Status, &options, &edit)
        .await?;
    server
        .delete(&kind, namespace, name, &Deletion::default(), &options)
        .await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::{EFFECT, patience};
    use crate::embedded::scheduler::Taint;

    fn endures(tolerations: Value) -> Option<u64> {
        let taints = [Taint {
            key: "k".to_owned(),
            value: "v".to_owned(),
            effect: EFFECT.to_owned(),
        }];
        let pod = json!({"spec": {"tolerations": tolerations}});
        patience(&pod, &taints).as_ref().map(Duration::as_secs)
    }

    #[test]
    fn pods_endure_what_they_tolerate_for_as_long_as_they_say() {
        assert_eq!(endures(json!([])), Some(0));
        assert_eq!(endures(json!([{"key": "k", "operator": "Exists"}])), None);
        assert_eq!(
            endures(json!([{"key": "other", "operator": "Exists"}])),
            Some(0)
        );
        let limited = json!([
            {"key": "k", "operator": "Equal", "value": "v", "tolerationSeconds": 30},
            {"operator": "Exists", "tolerationSeconds": 10},
        ]);
        assert_eq!(endures(limited), Some(10));
        assert_eq!(patience(&json!({}), &[]), None);
    }
}

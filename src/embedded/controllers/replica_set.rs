//! Replica sets and replication controllers: as many pods as asked for.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::owned::{
    count, create_pod, delete_pod, is_going, number, owner_key, owner_reference, set_status, text,
};
use super::{Context, Controller, Event, Next, Pod, adoption, template};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::store::{Change, Object};
use crate::embedded::write::now;

/// How many pods are made or removed before looking again.
const BATCH: usize = 500;
/// Up to how many pods at a time are worth an event each.
const TOLD: usize = 50;

/// The controller of one of the two kinds.
pub(super) struct ReplicaSets {
    sources: &'static [(&'static str, &'static str)],
    kind: &'static str,
    name: &'static str,
}

impl ReplicaSets {
    /// Replica sets.
    pub(super) fn of_apps() -> Self {
        Self {
            sources: &[("apps", "replicasets"), ("", "pods")],
            kind: "ReplicaSet",
            name: "replicaset-controller",
        }
    }

    /// Replication controllers.
    pub(super) fn of_core() -> Self {
        Self {
            sources: &[("", "replicationcontrollers"), ("", "pods")],
            kind: "ReplicationController",
            name: "replication-controller",
        }
    }
}

impl Controller for ReplicaSets {
    const GATHERS: bool = true;

    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        self.sources
    }

    fn keys(&mut self, context: &Context, source: usize, change: &Change) -> Vec<String> {
        if source == 0 {
            return vec![change.object.key().to_owned()];
        }
        let Some((group, plural)) = self.sources.first() else {
            return Vec::new();
        };
        let mut keys = adoption::suitors(context, group, plural, change);
        keys.extend(owner_key(&change.object, self.kind));
        // One that was set free is missing elsewhere.
        let before = change.before.as_ref();
        keys.extend(before.and_then(|before| owner_key(before, self.kind)));
        keys
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let Some((group, plural)) = self.sources.first() else {
            return Ok(Next::Done);
        };
        let kind = context.kind(group, plural)?;
        let Some(object) = context.find(&kind, key) else {
            return Ok(Next::Done);
        };
        let value = object.value();
        let pods = adoption::pods(context, &kind, &object, self.name, &|_| true).await?;
        let active: Vec<Arc<Pod>> = pods.iter().filter(|pod| pod.is_active()).cloned().collect();
        let wanted = usize::try_from(number(&value, "/spec/replicas")).unwrap_or(0);
        let mut failed = None;
        if !is_going(&value) {
            failed = self
                .scale(context, &kind, &object, &active, wanted)
                .await
                .err();
        }
        if let Some(status) = failed {
            let why = Some(status.message.as_str());
            self.tell(context, &kind, &object, why).await?;
            return Err(status);
        }
        if active.len() != wanted && active.len().abs_diff(wanted) > BATCH && !is_going(&value) {
            return Ok(Next::After(Duration::ZERO));
        }
        self.tell(context, &kind, &object, None).await
    }
}

impl ReplicaSets {
    async fn scale(
        &self,
        context: &Context,
        kind: &Kind,
        object: &Object,
        active: &[Arc<Pod>],
        wanted: usize,
    ) -> Result<(), Status> {
        let value = object.value();
        let Some(template) = value.reach("/spec/template") else {
            return Ok(());
        };
        let told = active.len().abs_diff(wanted) <= TOLD;
        for _ in active.len()..wanted.min(active.len() + BATCH) {
            let mut pod = template::pod(template, owner_reference(kind, &value));
            json_patch::merge(
                &mut pod,
                &json!({"metadata": {"generateName": format!("{}-", object.name())}}),
            );
            let made = create_pod(context, object.namespace(), pod, self.name).await;
            if told || made.is_err() {
                Event::of_creation(self.name, &made)
                    .tell(context, kind, object)
                    .await;
            }
            made?;
        }
        if active.len() > wanted {
            let mut doomed = active.to_vec();
            doomed.sort_by_key(|pod| rank(pod));
            for pod in doomed.iter().take((active.len() - wanted).min(BATCH)) {
                delete_pod(context, pod, self.name).await?;
                if told {
                    Event::of_deletion(self.name, &pod.object)
                        .tell(context, kind, object)
                        .await;
                }
            }
        }
        Ok(())
    }

    async fn tell(
        &self,
        context: &Context,
        kind: &Kind,
        object: &Object,
        failure: Option<&str>,
    ) -> Result<Next, Status> {
        let value = object.value();
        let all = context.pods.owned_by(text(&value, "/metadata/uid"));
        let pods: Vec<_> = all.iter().filter(|pod| pod.is_active()).collect();
        let labels = value
            .reach("/spec/template/metadata/labels")
            .and_then(Value::as_object);
        let labelled = pods.iter().filter(|pod| {
            let same = |(name, label): (&String, &Value)| pod.object.label(name) == label.as_str();
            labels.is_none_or(|labels| labels.iter().all(same))
        });
        let labelled = labelled.count();
        let ready = pods.iter().filter(|pod| pod.ready).count();
        let least = number(&value, "/spec/minReadySeconds");
        let now = jiff::Timestamp::now().as_second();
        let available = pods
            .iter()
            .filter(|pod| pod.ready && now - pod.ready_since >= least);
        let available = available.count();
        let as_number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let going = all
            .iter()
            .filter(|pod| pod.going && !pod.has_ended())
            .count();
        let mut status = json!({
            "replicas": pods.len(),
            "fullyLabeledReplicas": count(as_number(labelled)),
            "readyReplicas": count(as_number(ready)),
            "availableReplicas": count(as_number(available)),
            "observedGeneration": number(&value, "/metadata/generation"),
        });
        if !kind.group.is_empty()
            && let Some(status) = status.as_object_mut()
        {
            status.insert("terminatingReplicas".to_owned(), going.into());
        }
        if let Some(status) = status.as_object_mut() {
            status.insert("conditions".to_owned(), conditions(&value, failure));
        }
        set_status(context, kind, object, status, self.name).await?;
        if ready > available {
            return Ok(Next::After(Duration::from_secs(1)));
        }
        Ok(Next::Done)
    }
}

/// The conditions with the one that tells why pods cannot be made, as long as they cannot.
fn conditions(value: &Value, failure: Option<&str>) -> Value {
    const KIND: &str = "ReplicaFailure";
    let list = value.reach("/status/conditions").and_then(Value::as_array);
    let mut list = list.cloned().unwrap_or_default();
    let at = list.iter().position(|one| text(one, "/type") == KIND);
    match (failure, at) {
        (None, Some(at)) => {
            list.remove(at);
        }
        (Some(why), None) => list.push(json!({
            "type": KIND, "status": "True", "reason": "FailedCreate", "message": why,
            "lastTransitionTime": now(),
        })),
        _ => {}
    }
    match list.is_empty() {
        true => Value::Null,
        false => list.into(),
    }
}

/// Which pods go first: those that matter least.
fn rank(pod: &Pod) -> (bool, u8, bool, std::cmp::Reverse<(i64, Box<str>)>) {
    let phase = match &*pod.phase {
        "Pending" => 0,
        "Running" => 2,
        _ => 1,
    };
    let age = std::cmp::Reverse((pod.ready_since, pod.created.clone()));
    (!pod.node.is_empty(), phase, pod.ready, age)
}

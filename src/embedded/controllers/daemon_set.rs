//! Daemon sets: a pod on every node that takes it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::event::Event;
use super::owned::{
    count, create_pod, delete_pod, is_going, number, owner_key, owner_reference, portion,
    set_status, text,
};
use super::{Context, Controller, Next, Pod, revisions, template};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::scheduler::{self, Node};
use crate::embedded::store::{Change, ChangeKind, Object};
use crate::embedded::write::TEMPLATE_GENERATION as GENERATION;

const NAME: &str = "daemonset-controller";
const HASH: &str = "controller-revision-hash";

/// The controller.
pub(super) struct DaemonSets;

impl Controller for DaemonSets {
    const GATHERS: bool = true;

    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[("apps", "daemonsets"), ("", "pods"), ("", "nodes")]
    }

    fn keys(&mut self, context: &Context, source: usize, change: &Change) -> Vec<String> {
        match source {
            0 => vec![change.object.key().to_owned()],
            1 => owner_key(&change.object, "DaemonSet").into_iter().collect(),
            _ if is_heartbeat(change) => Vec::new(),
            _ => {
                let Ok(kind) = context.kind("apps", "daemonsets") else {
                    return Vec::new();
                };
                let sets = context.server.list(&kind, "").objects;
                sets.iter().map(|set| set.key().to_owned()).collect()
            }
        }
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let kind = context.kind("apps", "daemonsets")?;
        let Some(object) = context.find(&kind, key) else {
            return Ok(Next::Done);
        };
        let value = object.value();
        let template = value.reach("/spec/template").cloned().unwrap_or_default();
        let hash = template::hash(&template, 0);
        let name = format!("{}-{hash}", object.name());
        revisions::keep(context, &kind, &object, &name, &template, HASH, NAME).await?;
        let places = places(context, &template)?;
        if !is_going(&value) {
            manage(context, &kind, &object, &hash, &places).await?;
        }
        tell(context, &kind, &object, &hash, &places).await?;
        Ok(Next::Done)
    }
}

/// Whether a change of a node is no more than a sign of life.
fn is_heartbeat(change: &Change) -> bool {
    let Some(before) = change
        .before
        .as_ref()
        .filter(|_| change.kind == ChangeKind::Modified)
    else {
        return false;
    };
    let (old, new) = (before.value(), change.object.value());
    old.get("spec") == new.get("spec")
        && old.reach("/metadata/labels") == new.reach("/metadata/labels")
}

/// The nodes that take a daemon's pod.
fn places(context: &Context, template: &Value) -> Result<Vec<String>, Status> {
    let nodes = context.kind("", "nodes")?;
    let mut template = template.clone();
    tolerate(&mut template);
    let wants = scheduler::Wants::read(&template);
    let listing = context.server.list(&nodes, "");
    let takes = |object: &Arc<Object>| {
        let node = Node::read(object);
        (wants.accepts(&node) && wants.tolerates(&node)).then(|| object.name().to_owned())
    };
    Ok(listing.objects.iter().filter_map(takes).collect())
}

/// Daemons stay where others would leave.
fn tolerate(template: &mut Value) {
    let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    let list = spec.entry("tolerations").or_insert_with(|| json!([]));
    let Some(list) = list.as_array_mut() else {
        return;
    };
    for (key, effect) in [
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    ] {
        list.push(json!({
            "key": format!("node.kubernetes.io/{key}"), "operator": "Exists", "effect": effect,
        }));
    }
}

/// The node that a daemon's pod is meant for.
fn node_of(pod: &Pod) -> String {
    if !pod.node.is_empty() {
        return pod.node.to_string();
    }
    let value = pod.object.value();
    let at = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0";
    text(&value, at).to_owned()
}

async fn manage(
    context: &Context,
    kind: &Kind,
    object: &Object,
    hash: &str,
    places: &[String],
) -> Result<(), Status> {
    let value = object.value();
    let pods = context.pods.owned_by(text(&value, "/metadata/uid"));
    for place in places {
        let here: Vec<&Arc<Pod>> = pods.iter().filter(|pod| node_of(pod) == *place).collect();
        if here.is_empty() {
            create(context, kind, object, place, hash).await?;
        }
        let ended = here.iter().filter(|pod| pod.has_ended() && !pod.going);
        for pod in ended.chain(here.iter().filter(|pod| pod.is_active()).skip(1)) {
            remove(context, kind, object, pod).await?;
        }
    }
    for pod in pods
        .iter()
        .filter(|pod| !pod.going && !places.contains(&node_of(pod)))
    {
        remove(context, kind, object, pod).await?;
    }
    if text(&value, "/spec/updateStrategy/type") == "OnDelete" {
        return Ok(());
    }
    let as_number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let rolling = value.reach("/spec/updateStrategy/rollingUpdate/maxUnavailable");
    let allowed = portion(rolling, as_number(places.len()), true).max(1);
    let missing = places.len()
        - pods
            .iter()
            .filter(|pod| pod.ready && pod.is_active())
            .count()
            .min(places.len());
    let mut spare = allowed - as_number(missing);
    for pod in pods
        .iter()
        .filter(|pod| pod.is_active() && pod.object.label(HASH) != Some(hash))
    {
        if pod.ready && spare <= 0 {
            continue;
        }
        remove(context, kind, object, pod).await?;
        spare -= i64::from(pod.ready);
    }
    Ok(())
}

async fn create(
    context: &Context,
    kind: &Kind,
    object: &Object,
    place: &str,
    hash: &str,
) -> Result<(), Status> {
    let value = object.value();
    let mut template = value.reach("/spec/template").cloned().unwrap_or_default();
    tolerate(&mut template);
    let mut pod = template::pod(&template, owner_reference(kind, &value));
    let annotations = value.reach("/metadata/annotations");
    let generation = annotations.and_then(|all| all.get(GENERATION)?.as_str());
    let term =
        json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [place]}]});
    let only_here =
        json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}});
    json_patch::merge(
        &mut pod,
        &json!({
            "metadata": {
                "generateName": format!("{}-", object.name()),
                "labels": {HASH: hash, "pod-template-generation": generation},
            },
            "spec": {"affinity": {"nodeAffinity": only_here}},
        }),
    );
    let made = create_pod(context, object.namespace(), pod, NAME).await;
    Event::of_creation(NAME, &made)
        .tell(context, kind, object)
        .await;
    made.map(|_| ())
}

async fn remove(context: &Context, kind: &Kind, object: &Object, pod: &Pod) -> Result<(), Status> {
    delete_pod(context, pod, NAME).await?;
    Event::of_deletion(NAME, &pod.object)
        .tell(context, kind, object)
        .await;
    Ok(())
}

async fn tell(
    context: &Context,
    kind: &Kind,
    object: &Object,
    hash: &str,
    places: &[String],
) -> Result<(), Status> {
    let value = object.value();
    let pods = context.pods.owned_by(text(&value, "/metadata/uid"));
    let live: Vec<&Arc<Pod>> = pods.iter().filter(|pod| pod.is_active()).collect();
    let right: Vec<&&Arc<Pod>> = live
        .iter()
        .filter(|pod| places.contains(&node_of(pod)))
        .collect();
    let as_number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let ready = as_number(right.iter().filter(|pod| pod.ready).count());
    let wanted = as_number(places.len());
    let updated = right
        .iter()
        .filter(|pod| pod.object.label(HASH) == Some(hash))
        .count();
    let scheduled = right.iter().filter(|pod| !pod.node.is_empty()).count();
    let status = json!({
        "currentNumberScheduled": scheduled,
        "desiredNumberScheduled": wanted,
        "numberMisscheduled": live.len() - right.len(),
        "numberReady": ready,
        "numberAvailable": count(ready),
        "numberUnavailable": count(wanted - ready),
        "updatedNumberScheduled": count(as_number(updated)),
        "observedGeneration": number(&value, "/metadata/generation"),
    });
    set_status(context, kind, object, status, NAME).await
}

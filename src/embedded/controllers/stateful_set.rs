//! Stateful sets: pods with numbers, in order.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::event::Event;
use super::owned::{
    count, create_pod, delete_pod, is_going, number, owner_key, owner_reference, set_status, text,
};
use super::{Context, Controller, Next, Pod, adoption, revisions, template};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::store::{Change, Object};
use crate::embedded::write::Options;

const NAME: &str = "statefulset-controller";
const HASH: &str = "controller-revision-hash";

/// The controller.
pub(super) struct StatefulSets;

impl Controller for StatefulSets {
    const GATHERS: bool = true;

    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[("apps", "statefulsets"), ("", "pods")]
    }

    fn keys(&mut self, context: &Context, source: usize, change: &Change) -> Vec<String> {
        if source == 0 {
            return vec![change.object.key().to_owned()];
        }
        let mut keys = adoption::suitors(context, "apps", "statefulsets", change);
        keys.extend(owner_key(&change.object, "StatefulSet"));
        keys
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let kind = context.kind("apps", "statefulsets")?;
        let Some(object) = context.find(&kind, key) else {
            return Ok(Next::Done);
        };
        let value = object.value();
        let revision = ensure_revision(context, &kind, &object).await?;
        let fits = |pod: &Pod| ordinal(pod, object.name()).is_some();
        adoption::pods(context, &kind, &object, NAME, &fits).await?;
        if !is_going(&value) {
            step(context, &kind, &object, &revision).await?;
        }
        tell(context, &kind, &object, &revision).await
    }
}

fn ordinal(pod: &Pod, set: &str) -> Option<i64> {
    pod.object
        .name()
        .strip_prefix(set)?
        .strip_prefix('-')?
        .parse()
        .ok()
}

fn own_pods(context: &Context, object: &Object) -> Vec<(i64, Arc<Pod>)> {
    let value = object.value();
    let pods = context.pods.owned_by(text(&value, "/metadata/uid"));
    let numbered = |pod: Arc<Pod>| Some((ordinal(&pod, object.name())?, pod));
    let mut pods: Vec<_> = pods.into_iter().filter_map(numbered).collect();
    pods.sort_by_key(|(number, _)| *number);
    pods
}

fn is_healthy(pod: &Pod) -> bool {
    pod.ready && &*pod.phase == "Running" && !pod.going
}

/// One step in order: at most one pod is made, changed or removed unless the set says that all may be at once.
async fn step(
    context: &Context,
    kind: &Kind,
    object: &Object,
    revision: &str,
) -> Result<(), Status> {
    let value = object.value();
    let wanted = number(&value, "/spec/replicas");
    let start = number(&value, "/spec/ordinals/start");
    let parallel = text(&value, "/spec/podManagementPolicy") == "Parallel";
    let pods = own_pods(context, object);
    for at in start..start + wanted {
        let found = pods
            .iter()
            .find(|(number, _)| *number == at)
            .map(|(_, pod)| pod);
        match found {
            Some(pod) if pod.has_ended() && !pod.going => {
                remove(context, kind, object, pod).await?;
                return Ok(());
            }
            Some(pod) if is_healthy(pod) || parallel => {}
            Some(_) => return Ok(()),
            None => {
                create(context, kind, object, at, revision).await?;
                if !parallel {
                    return Ok(());
                }
            }
        }
    }
    let surplus = pods
        .iter()
        .rev()
        .filter(|(number, _)| *number < start || *number >= start + wanted);
    for (_, pod) in surplus {
        if !pod.going {
            remove(context, kind, object, pod).await?;
        }
        if !parallel {
            return Ok(());
        }
    }
    if text(&value, "/spec/updateStrategy/type") == "OnDelete" {
        return Ok(());
    }
    let partition = number(&value, "/spec/updateStrategy/rollingUpdate/partition");
    for (number, pod) in pods.iter().rev() {
        if *number < start + partition {
            break;
        }
        if pod.object.label(HASH) != Some(revision) && !pod.going {
            return remove(context, kind, object, pod).await;
        }
        if !is_healthy(pod) {
            return Ok(());
        }
    }
    Ok(())
}

async fn create(
    context: &Context,
    kind: &Kind,
    object: &Object,
    at: i64,
    revision: &str,
) -> Result<(), Status> {
    let value = object.value();
    // Below the partition pods stay what they were, also those that come again.
    let start = number(&value, "/spec/ordinals/start");
    let partition = number(&value, "/spec/updateStrategy/rollingUpdate/partition");
    let current = text(&value, "/status/currentRevision");
    let earlier = (at < start + partition && !current.is_empty() && current != revision)
        .then(|| revisions::template_of(context, object.namespace(), current))
        .flatten();
    let revision = if earlier.is_some() { current } else { revision };
    let template = earlier
        .or_else(|| value.reach("/spec/template").cloned())
        .unwrap_or_default();
    let name = format!("{}-{at}", object.name());
    let mut pod = template::pod(&template, owner_reference(kind, &value));
    let labels = json!({
        HASH: revision, "statefulset.kubernetes.io/pod-name": name, "apps.kubernetes.io/pod-index": at.to_string(),
    });
    json_patch::merge(
        &mut pod,
        &json!({
            "metadata": {"name": name, "labels": labels},
            "spec": {"hostname": name, "subdomain": value.reach("/spec/serviceName").cloned()},
        }),
    );
    let claims = value
        .reach("/spec/volumeClaimTemplates")
        .and_then(Value::as_array);
    for claim in claims.into_iter().flatten() {
        let own = text(claim, "/metadata/name");
        let claim_name = format!("{own}-{name}");
        ensure_claim(context, object, claim, &claim_name).await?;
        let volume = json!({"name": own, "persistentVolumeClaim": {"claimName": claim_name}});
        if let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) {
            let volumes = spec.entry("volumes").or_insert_with(|| json!([]));
            if let Some(volumes) = volumes.as_array_mut() {
                volumes.retain(|old| text(old, "/name") != own);
                volumes.push(volume);
            }
        }
    }
    let said = |how: &str| format!("Pod {name} in StatefulSet {} {how}", object.name());
    match create_pod(context, object.namespace(), pod, NAME).await {
        Err(status) if status.reason == "AlreadyExists" => Ok(()),
        Err(status) => {
            let message = format!("Create {} error: {}", said("failed"), status.message);
            Event::warning(NAME, "FailedCreate", message)
                .tell(context, kind, object)
                .await;
            Err(status)
        }
        Ok(_) => {
            let message = format!("Create {}", said("successful"));
            Event::normal(NAME, "SuccessfulCreate", message)
                .tell(context, kind, object)
                .await;
            Ok(())
        }
    }
}

async fn remove(context: &Context, kind: &Kind, object: &Object, pod: &Pod) -> Result<(), Status> {
    delete_pod(context, pod, NAME).await?;
    let (name, set) = (pod.object.name(), object.name());
    let message = format!("Delete Pod {name} in StatefulSet {set} successful");
    Event::normal(NAME, "SuccessfulDelete", message)
        .tell(context, kind, object)
        .await;
    Ok(())
}

async fn ensure_claim(
    context: &Context,
    object: &Object,
    claim: &Value,
    name: &str,
) -> Result<(), Status> {
    let kind = context.kind("", "persistentvolumeclaims")?;
    if context
        .server
        .get(&kind, object.namespace(), name)
        .is_some()
    {
        return Ok(());
    }
    let labels = object.value().reach("/spec/selector/matchLabels").cloned();
    let claim = json!({
        "metadata": {"name": name, "labels": labels.unwrap_or_else(|| json!({}))},
        "spec": claim.get("spec").cloned().unwrap_or_default(),
    });
    let options = Options::controller(NAME);
    context
        .server
        .create(&kind, object.namespace(), claim, &options)
        .await?;
    Ok(())
}

/// Keeps the template of now as a ControllerRevision; its name is the revision.
async fn ensure_revision(
    context: &Context,
    kind: &Kind,
    object: &Object,
) -> Result<String, Status> {
    let value = object.value();
    let template = value.reach("/spec/template").cloned().unwrap_or_default();
    let name = format!("{}-{}", object.name(), template::hash(&template, 0));
    let label = "controller.kubernetes.io/hash";
    revisions::keep(context, kind, object, &name, &template, label, NAME).await?;
    Ok(name)
}

async fn tell(
    context: &Context,
    kind: &Kind,
    object: &Object,
    revision: &str,
) -> Result<Next, Status> {
    let value = object.value();
    let pods = own_pods(context, object);
    let live: Vec<&Arc<Pod>> = pods
        .iter()
        .map(|(_, pod)| pod)
        .filter(|pod| !pod.has_ended())
        .collect();
    let as_number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let ready = as_number(live.iter().filter(|pod| is_healthy(pod)).count());
    let least = number(&value, "/spec/minReadySeconds");
    let now = jiff::Timestamp::now().as_second();
    let available = live
        .iter()
        .filter(|pod| is_healthy(pod) && now - pod.ready_since >= least);
    let available = as_number(available.count());
    let updated = live
        .iter()
        .filter(|pod| pod.object.label(HASH) == Some(revision) && !pod.going);
    let updated = as_number(updated.count());
    let wanted = number(&value, "/spec/replicas");
    let was = text(&value, "/status/currentRevision");
    let done = updated == wanted && ready == wanted && as_number(live.len()) == wanted;
    let current = if done || was.is_empty() {
        revision
    } else {
        was
    };
    let currently = live
        .iter()
        .filter(|pod| pod.object.label(HASH) == Some(current) && !pod.going);
    let status = json!({
        "observedGeneration": number(&value, "/metadata/generation"),
        "replicas": live.len(),
        "readyReplicas": count(ready),
        "availableReplicas": available,
        "currentReplicas": count(as_number(currently.count())),
        "updatedReplicas": count(updated),
        "currentRevision": current,
        "updateRevision": revision,
        "collisionCount": 0,
    });
    set_status(context, kind, object, status, NAME).await?;
    if ready > available {
        return Ok(Next::After(Duration::from_secs(1)));
    }
    Ok(Next::Done)
}

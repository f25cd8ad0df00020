//! Deployments: one replica set per template, and the way from one to the next.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::owned::{
    count, is_going, is_of, number, owner_key, owner_reference, portion, set_status, text,
};
use super::{Context, Controller, Event, Next, template};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::store::{Change, ChangeKind, Object};
use crate::embedded::write::{self, Deletion, Options, Part};

const NAME: &str = "deployment-controller";
const HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";

/// The controller.
pub(super) struct Deployments;

impl Controller for Deployments {
    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("apps", "deployments"),
            ("apps", "replicasets"),
            ("", "pods"),
        ]
    }

    fn keys(&mut self, context: &Context, source: usize, change: &Change) -> Vec<String> {
        match source {
            0 => vec![change.object.key().to_owned()],
            2 => waiting_for_ends(context, change).into_iter().collect(),
            _ => owner_key(&change.object, "Deployment")
                .into_iter()
                .collect(),
        }
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let kind = context.kind("apps", "deployments")?;
        let sets = context.kind("apps", "replicasets")?;
        let Some(object) = context.find(&kind, key) else {
            return Ok(Next::Done);
        };
        let rollout = Rollout {
            context,
            kind: &kind,
            sets: &sets,
            object: &object,
            value: object.value(),
        };
        rollout.step().await
    }
}

/// The deployment that may have waited for the end of a pod: one that recreates its pods.
fn waiting_for_ends(context: &Context, change: &Change) -> Option<String> {
    let ended = || {
        let index = context.pods.look();
        index
            .get(change.object.key())
            .is_none_or(|pod| pod.has_ended())
    };
    let set = owner_key(&change.object, "ReplicaSet")?;
    if change.kind != ChangeKind::Deleted && !ended() {
        return None;
    }
    let sets = context.kind("apps", "replicasets").ok()?;
    owner_key(&*context.find(&sets, &set)?, "Deployment")
}

struct Rollout<'a> {
    context: &'a Context,
    kind: &'a Kind,
    sets: &'a Kind,
    object: &'a Object,
    value: Arc<Value>,
}

/// A replica set in short.
#[derive(Clone)]
struct Set {
    object: Arc<Object>,
    value: Arc<Value>,
}

impl Set {
    fn wanted(&self) -> i64 {
        number(&self.value, "/spec/replicas")
    }

    fn status(&self, name: &str) -> i64 {
        number(&self.value, &format!("/status/{name}"))
    }

    fn revision(&self) -> i64 {
        revision_of(&self.value)
    }
}

fn revision_of(value: &Value) -> i64 {
    let annotations = value.pointer("/metadata/annotations");
    let revision = annotations
        .and_then(|all| all.get(REVISION))
        .and_then(Value::as_str);
    revision.and_then(|text| text.parse().ok()).unwrap_or(0)
}

impl Rollout<'_> {
    async fn step(&self) -> Result<Next, Status> {
        let (new, old) = self.own_sets();
        if is_going(&self.value) {
            return self.tell(new.as_ref(), &old).await;
        }
        let paused = self.value.pointer("/spec/paused") == Some(&Value::Bool(true));
        if paused {
            if let Some(new) = new
                .as_ref()
                .filter(|_| old.iter().all(|set| set.wanted() == 0))
            {
                self.scale(new, self.wanted()).await?;
            }
            let (new, old) = self.own_sets();
            return self.tell(new.as_ref(), &old).await;
        }
        let recreate = text(&self.value, "/spec/strategy/type") == "Recreate";
        if recreate {
            for set in &old {
                self.scale(set, 0).await?;
            }
            let left = old.iter().any(|set| {
                let uid = text(&set.value, "/metadata/uid");
                self.context
                    .pods
                    .owned_by(uid)
                    .iter()
                    .any(|pod| !pod.has_ended())
            });
            if left {
                let (new, old) = self.own_sets();
                self.tell(new.as_ref(), &old).await?;
                // The end of the last pod will bring it back here.
                return Ok(Next::Done);
            }
        }
        let new = self.ensure_new(new, &old).await?;
        if recreate {
            self.scale(&new, self.wanted()).await?;
        } else {
            self.roll(&new, &old).await?;
        }
        let (new, old) = self.own_sets();
        self.clean_up(&old).await?;
        self.tell(new.as_ref(), &old).await
    }

    fn wanted(&self) -> i64 {
        number(&self.value, "/spec/replicas")
    }

    /// The set with the template of now, if there is one, and the others, oldest first.
    fn own_sets(&self) -> (Option<Set>, Vec<Set>) {
        let uid = text(&self.value, "/metadata/uid");
        let listing = self.context.server.list(self.sets, self.object.namespace());
        let mut sets: Vec<Set> = listing
            .objects
            .into_iter()
            .filter(|object| is_of(object, uid))
            .map(|object| Set {
                value: object.value(),
                object,
            })
            .collect();
        sets.sort_by_key(Set::revision);
        let template = self
            .value
            .pointer("/spec/template")
            .cloned()
            .unwrap_or_default();
        let at = sets.iter().position(|set| {
            let theirs = set
                .value
                .pointer("/spec/template")
                .cloned()
                .unwrap_or_default();
            template::same(&template, &theirs, HASH)
        });
        let new = at.map(|at| sets.remove(at));
        (new, sets)
    }

    async fn ensure_new(&self, new: Option<Set>, old: &[Set]) -> Result<Set, Status> {
        let last = old.iter().map(Set::revision).max().unwrap_or(0);
        let set = match new {
            Some(set) if set.revision() > last => set,
            // Back to an earlier template: it becomes the latest.
            Some(set) => {
                let revision = (last + 1).to_string();
                let edit = |value: &mut Value| {
                    json_patch::merge(
                        value,
                        &json!({"metadata": {"annotations": {REVISION: revision}}}),
                    );
                };
                let object = self.edit(self.sets, &set.object, &edit).await?;
                Set {
                    value: object.value(),
                    object,
                }
            }
            None => self.create_new(last + 1, old).await?,
        };
        let revision = set.revision().to_string();
        if revision_of(&self.value).to_string() != revision {
            let edit = |value: &mut Value| {
                json_patch::merge(
                    value,
                    &json!({"metadata": {"annotations": {REVISION: revision}}}),
                );
            };
            self.edit(self.kind, self.object, &edit).await?;
        }
        Ok(set)
    }

    async fn edit(
        &self,
        kind: &Kind,
        object: &Object,
        edit: &(dyn Fn(&mut Value) + Send + Sync),
    ) -> Result<Arc<Object>, Status> {
        let options = Options::controller(NAME);
        let (namespace, name) = (object.namespace(), object.name());
        let server = &self.context.server;
        server
            .modify(kind, namespace, name, Part::Main, &options, edit)
            .await
    }

    async fn create_new(&self, revision: i64, old: &[Set]) -> Result<Set, Status> {
        let mut template = self
            .value
            .pointer("/spec/template")
            .cloned()
            .unwrap_or_default();
        let hash = template::hash(&template, number(&self.value, "/status/collisionCount"));
        let labels = template
            .pointer("/metadata/labels")
            .cloned()
            .unwrap_or_else(|| json!({}));
        json_patch::merge(
            &mut template,
            &json!({"metadata": {"labels": {HASH: hash}}}),
        );
        let mut selector = self
            .value
            .pointer("/spec/selector")
            .cloned()
            .unwrap_or_default();
        json_patch::merge(&mut selector, &json!({"matchLabels": {HASH: hash}}));
        let mut labels = labels;
        json_patch::merge(&mut labels, &json!({HASH: hash}));
        let mut annotations = Map::new();
        let own = self
            .value
            .pointer("/metadata/annotations")
            .and_then(Value::as_object);
        for (name, value) in own.into_iter().flatten() {
            if name != "kubectl.kubernetes.io/last-applied-configuration" {
                annotations.insert(name.clone(), value.clone());
            }
        }
        let (surge, _) = self.room();
        let wanted = self.wanted();
        let put = [
            (REVISION, revision),
            ("deployment.kubernetes.io/desired-replicas", wanted),
            ("deployment.kubernetes.io/max-replicas", wanted + surge),
        ];
        for (name, number) in put {
            annotations.insert(name.to_owned(), number.to_string().into());
        }
        let there: i64 = old.iter().map(Set::wanted).sum();
        let first = match text(&self.value, "/spec/strategy/type") {
            "Recreate" => wanted,
            _ => (wanted + surge - there).clamp(0, wanted),
        };
        let mut spec = json!({"replicas": first, "selector": selector, "template": template});
        if let (Some(spec), Some(least)) = (
            spec.as_object_mut(),
            self.value.pointer("/spec/minReadySeconds"),
        ) {
            spec.insert("minReadySeconds".to_owned(), least.clone());
        }
        let name = format!("{}-{hash}", self.object.name());
        let set = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": name, "labels": labels, "annotations": annotations,
                "ownerReferences": [owner_reference(self.kind, &self.value)],
            },
            "spec": spec,
        });
        let options = Options::controller(NAME);
        let namespace = self.object.namespace();
        let server = &self.context.server;
        let object = server.create(self.sets, namespace, set, &options).await?;
        self.tell_scaled(&name, 0, first).await;
        Ok(Set {
            value: object.value(),
            object,
        })
    }

    async fn tell_scaled(&self, name: &str, from: i64, to: i64) {
        if from == to {
            return;
        }
        let way = if to > from { "up" } else { "down" };
        let event = Event {
            warning: false,
            reason: "ScalingReplicaSet",
            message: format!("Scaled {way} replica set {name} from {from} to {to}"),
            source: NAME,
        };
        event.tell(self.context, self.kind, self.object).await;
    }

    async fn scale(&self, set: &Set, to: i64) -> Result<(), Status> {
        let (surge, _) = self.room();
        let wanted = self.wanted();
        let annotations = json!({
            "deployment.kubernetes.io/desired-replicas": wanted.to_string(),
            "deployment.kubernetes.io/max-replicas": (wanted + surge).to_string(),
        });
        if set.wanted() == to {
            return Ok(());
        }
        let edit = |value: &mut Value| {
            let patch = json!({"metadata": {"annotations": annotations}, "spec": {"replicas": to}});
            json_patch::merge(value, &patch);
        };
        self.edit(self.sets, &set.object, &edit).await?;
        self.tell_scaled(set.object.name(), set.wanted(), to).await;
        Ok(())
    }

    /// How many pods there may be beyond, and may be missing from, what is asked for.
    fn room(&self) -> (i64, i64) {
        let rolling = |name: &str| {
            self.value
                .pointer(&format!("/spec/strategy/rollingUpdate/{name}"))
        };
        let wanted = self.wanted();
        let surge = portion(rolling("maxSurge"), wanted, true);
        let missing = portion(rolling("maxUnavailable"), wanted, false).min(wanted);
        match (surge, missing) {
            (0, 0) => (0, 1.min(wanted)),
            room => room,
        }
    }

    async fn roll(&self, new: &Set, old: &[Set]) -> Result<(), Status> {
        let (surge, missing) = self.room();
        let wanted = self.wanted();
        let total: i64 = new.wanted() + old.iter().map(Set::wanted).sum::<i64>();
        if new.wanted() > wanted {
            return self.scale(new, wanted).await;
        }
        if new.wanted() < wanted {
            let more = (wanted + surge - total).min(wanted - new.wanted());
            if more > 0 {
                return self.scale(new, new.wanted() + more).await;
            }
        }
        let old_total: i64 = old.iter().map(Set::wanted).sum();
        if old_total == 0 {
            return Ok(());
        }
        let new_missing = new.wanted() - new.status("availableReplicas");
        let mut spare = total - (wanted - missing) - new_missing;
        // What isn't healthy goes first; it helps nobody.
        for set in old {
            let sick = (set.wanted() - set.status("availableReplicas")).min(spare);
            if sick > 0 && set.wanted() > 0 {
                self.scale(set, set.wanted() - sick).await?;
                spare -= sick;
            }
        }
        let (_, old) = self.own_sets();
        let available = new.status("availableReplicas")
            + old
                .iter()
                .map(|set| set.status("availableReplicas"))
                .sum::<i64>();
        let mut spare = spare.min(available - (wanted - missing));
        for set in &old {
            let less = set.wanted().min(spare);
            if less > 0 {
                self.scale(set, set.wanted() - less).await?;
                spare -= less;
            }
        }
        Ok(())
    }

    async fn clean_up(&self, old: &[Set]) -> Result<(), Status> {
        let limit = self
            .value
            .pointer("/spec/revisionHistoryLimit")
            .and_then(Value::as_u64);
        let limit = usize::try_from(limit.unwrap_or(10)).unwrap_or(usize::MAX);
        let idle: Vec<&Set> = old
            .iter()
            .filter(|set| set.wanted() == 0 && set.status("replicas") == 0 && !is_going(&set.value))
            .collect();
        let options = Options::controller(NAME);
        for set in idle.iter().take(idle.len().saturating_sub(limit)) {
            let (namespace, name) = (set.object.namespace(), set.object.name());
            let deletion = Deletion::default();
            let server = &self.context.server;
            server
                .delete(self.sets, namespace, name, &deletion, &options)
                .await?;
        }
        Ok(())
    }

    async fn tell(&self, new: Option<&Set>, old: &[Set]) -> Result<Next, Status> {
        let all = || old.iter().chain(new);
        let sum = |name: &str| all().map(|set| set.status(name)).sum::<i64>();
        let (total, ready, available) = (
            sum("replicas"),
            sum("readyReplicas"),
            sum("availableReplicas"),
        );
        let updated = new.map_or(0, |set| set.status("replicas"));
        let wanted = self.wanted();
        let mut conditions = Conditions::of(&self.value);
        let (_, missing) = self.room();
        if available >= wanted - missing {
            conditions.set(
                "Available",
                "True",
                "MinimumReplicasAvailable",
                "Deployment has minimum availability.",
            );
        } else {
            conditions.set(
                "Available",
                "False",
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
            );
        }
        let next = self.tell_progress(&mut conditions, new, (total, updated, available));
        let status = json!({
            "observedGeneration": number(&self.value, "/metadata/generation"),
            "replicas": count(total),
            "updatedReplicas": count(updated),
            "readyReplicas": count(ready),
            "availableReplicas": count(available),
            "unavailableReplicas": count((total.max(wanted) - available).max(0)),
            "terminatingReplicas": sum("terminatingReplicas"),
            "conditions": conditions.list,
        });
        set_status(self.context, self.kind, self.object, status, NAME).await?;
        Ok(next)
    }

    fn tell_progress(
        &self,
        conditions: &mut Conditions,
        new: Option<&Set>,
        (total, updated, available): (i64, i64, i64),
    ) -> Next {
        const KIND: &str = "Progressing";
        let paused = self.value.pointer("/spec/paused") == Some(&Value::Bool(true));
        if paused {
            conditions.set(KIND, "Unknown", "DeploymentPaused", "Deployment is paused");
            return Next::Done;
        }
        let wanted = self.wanted();
        let name = new.map_or("", |set| set.object.name());
        if updated == wanted && total == wanted && available == wanted {
            let message = format!("ReplicaSet \"{name}\" has successfully progressed.");
            conditions.set(KIND, "True", "NewReplicaSetAvailable", &message);
            return Next::Done;
        }
        let status = |value: &Value, name: &str| number(value, &format!("/status/{name}"));
        let moved = updated > status(&self.value, "updatedReplicas")
            || available > status(&self.value, "availableReplicas")
            || total - updated
                < status(&self.value, "replicas") - status(&self.value, "updatedReplicas");
        let reason = conditions.reason(KIND).to_owned();
        if moved
            || reason.is_empty()
            || reason == "DeploymentPaused"
            || reason == "NewReplicaSetAvailable"
        {
            let message = format!("ReplicaSet \"{name}\" is progressing.");
            conditions.renew(KIND, "True", "ReplicaSetUpdated", &message);
        }
        let limit = number(&self.value, "/spec/progressDeadlineSeconds");
        let since = conditions.updated(KIND);
        let waited = jiff::Timestamp::now().as_second() - since;
        if limit <= 0 || limit >= i64::from(i32::MAX) {
            return Next::Done;
        }
        if waited > limit {
            let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
            conditions.set(KIND, "False", "ProgressDeadlineExceeded", &message);
            return Next::Done;
        }
        let left = u64::try_from(limit - waited + 1).unwrap_or(1);
        Next::After(Duration::from_secs(left))
    }
}

/// A list of conditions that change only when they say something else.
struct Conditions {
    list: Vec<Value>,
}

impl Conditions {
    fn of(value: &Value) -> Self {
        let list = value
            .pointer("/status/conditions")
            .and_then(Value::as_array);
        Self {
            list: list.cloned().unwrap_or_default(),
        }
    }

    fn find(&self, kind: &str) -> Option<&Value> {
        self.list
            .iter()
            .find(|condition| text(condition, "/type") == kind)
    }

    fn reason(&self, kind: &str) -> &str {
        self.find(kind)
            .map_or("", |condition| text(condition, "/reason"))
    }

    fn updated(&self, kind: &str) -> i64 {
        let at = self
            .find(kind)
            .map_or("", |condition| text(condition, "/lastUpdateTime"));
        let at: Option<jiff::Timestamp> = at.parse().ok();
        at.unwrap_or_else(jiff::Timestamp::now).as_second()
    }

    fn set(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        let same = self.find(kind).is_some_and(|old| {
            text(old, "/status") == status
                && text(old, "/reason") == reason
                && text(old, "/message") == message
        });
        if !same {
            self.renew(kind, status, reason, message);
        }
    }

    fn renew(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        let now = write::now();
        let turned = match self.find(kind) {
            Some(old) if text(old, "/status") == status => {
                text(old, "/lastTransitionTime").to_owned()
            }
            _ => now.clone(),
        };
        self.list
            .retain(|condition| text(condition, "/type") != kind);
        self.list.push(json!({
            "type": kind, "status": status, "lastUpdateTime": now, "lastTransitionTime": turned,
            "reason": reason, "message": message,
        }));
    }
}

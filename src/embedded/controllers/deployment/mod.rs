//! Deployments: one replica set per template, and the way from one to the next.

mod rolling;
mod status;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::owned::{is_going, is_of, number, owner_key, owner_reference, text};
use super::{Context, Controller, Next, adoption, template};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::store::{Change, ChangeKind, Object};
use crate::embedded::write::{Options, Part};

const NAME: &str = "deployment-controller";
const HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";

/// The controller.
pub(super) struct Deployments;

impl Controller for Deployments {
    const GATHERS: bool = true;

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
            _ => {
                let mut keys = adoption::suitors(context, "apps", "deployments", change);
                keys.extend(owner_key(&change.object, "Deployment"));
                keys
            }
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
    let annotations = value.reach("/metadata/annotations");
    let revision = annotations
        .and_then(|all| all.get(REVISION))
        .and_then(Value::as_str);
    revision.and_then(|text| text.parse().ok()).unwrap_or(0)
}

impl Rollout<'_> {
    async fn step(&self) -> Result<Next, Status> {
        self.adopt_sets().await?;
        let (new, old) = self.own_sets();
        if is_going(&self.value) {
            return self.tell(new.as_ref(), &old).await;
        }
        let paused = self.value.reach("/spec/paused") == Some(&Value::Bool(true));
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

    /// Takes over the sets that fit and belong to nobody.
    async fn adopt_sets(&self) -> Result<(), Status> {
        if is_going(&self.value) {
            return Ok(());
        }
        let Some(selector) = adoption::selector_of(&self.value) else {
            return Ok(());
        };
        for set in self
            .context
            .server
            .list(self.sets, self.object.namespace())
            .objects
        {
            if set.controller().is_none() && !set.is_going() && selector.matches_object(&set) {
                let (context, kind) = (self.context, self.kind);
                adoption::adopt(context, kind, &self.value, self.sets, &set, NAME).await?;
            }
        }
        Ok(())
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
            .reach("/spec/template")
            .cloned()
            .unwrap_or_default();
        let at = sets.iter().position(|set| {
            let theirs = set
                .value
                .reach("/spec/template")
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
            Some(set) => self.keep_up(set, last).await?,
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

    /// Tells the latest set what the deployment's annotations say, and that it is the latest.
    async fn keep_up(&self, set: Set, last: i64) -> Result<Set, Status> {
        let mut annotations = self.annotations();
        let theirs = set.value.reach("/metadata/annotations");
        annotations.retain(|name, value| theirs.and_then(|all| all.get(name)) != Some(value));
        if set.revision() <= last {
            // Back to an earlier template: it becomes the latest, and what it was is noted.
            let earlier = theirs.and_then(|all| all.get(HISTORY)?.as_str());
            let mut history: Vec<String> = earlier.into_iter().map(str::to_owned).collect();
            history.push(set.revision().to_string());
            annotations.insert(HISTORY.to_owned(), history.join(",").into());
            annotations.insert(REVISION.to_owned(), (last + 1).to_string().into());
        }
        if annotations.is_empty() {
            return Ok(set);
        }
        let patch = json!({"metadata": {"annotations": annotations}});
        let edit = |value: &mut Value| json_patch::merge(value, &patch);
        let object = self.edit(self.sets, &set.object, &edit).await?;
        Ok(Set {
            value: object.value(),
            object,
        })
    }

    /// What the deployment's annotations say to its sets; what is about the deployment alone is left out.
    fn annotations(&self) -> Map<String, Value> {
        const OWN: [&str; 6] = [
            "kubectl.kubernetes.io/last-applied-configuration",
            "deprecated.deployment.rollback.to",
            "deployment.kubernetes.io/desired-replicas",
            "deployment.kubernetes.io/max-replicas",
            REVISION,
            HISTORY,
        ];
        let all = self
            .value
            .reach("/metadata/annotations")
            .and_then(Value::as_object);
        let all = all.into_iter().flatten();
        all.filter(|(name, _)| !OWN.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
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
            .reach("/spec/template")
            .cloned()
            .unwrap_or_default();
        let hash = template::hash(&template, number(&self.value, "/status/collisionCount"));
        let labels = template
            .reach("/metadata/labels")
            .cloned()
            .unwrap_or_else(|| json!({}));
        json_patch::merge(
            &mut template,
            &json!({"metadata": {"labels": {HASH: hash}}}),
        );
        let mut selector = self
            .value
            .reach("/spec/selector")
            .cloned()
            .unwrap_or_default();
        json_patch::merge(&mut selector, &json!({"matchLabels": {HASH: hash}}));
        let mut labels = labels;
        json_patch::merge(&mut labels, &json!({HASH: hash}));
        let mut annotations = self.annotations();
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
            self.value.reach("/spec/minReadySeconds"),
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
}

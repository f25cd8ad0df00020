//! Persistent volumes and claims: what fits is bound, what a class provisions is made, what is let go is reclaimed.
//!
//! There is no storage behind a simulated pod, so every class that names a provisioner is provisioned here. A class that
//! waits for its first consumer waits until a pod with the claim has a node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::owned::{is_going, text};
use super::{Context, Controller, Event, Next};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::selector::LabelSelector;
use crate::embedded::api::status::Status;
use crate::embedded::quantity;
use crate::embedded::reach::Reach as _;
use crate::embedded::store::{Change, ChangeKind, Object};
use crate::embedded::write::{CLAIM_GUARD, Deletion, Options, Part, VOLUME_GUARD};

const NAME: &str = "persistentvolume-controller";
const PROVISIONED: &str = "pv.kubernetes.io/provisioned-by";
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// The controller. Keys of claims are `namespace/name`, those of volumes `/name`.
#[derive(Default)]
pub(super) struct Volumes {
    /// The keys of the pods that were seen to use a claim; some may have gone since.
    users: BTreeMap<String, BTreeSet<String>>,
}

impl Controller for Volumes {
    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("", "persistentvolumeclaims"),
            ("", "persistentvolumes"),
            ("storage.k8s.io", "storageclasses"),
            ("", "pods"),
        ]
    }

    fn keys(&mut self, context: &Context, source: usize, change: &Change) -> Vec<String> {
        // Most pods have no claims; reading them all to see that would cost more than everything else here.
        if source == 3 && !may_have_claims(change.object.bytes()) {
            return Vec::new();
        }
        let value = change.object.value();
        match source {
            0 => {
                let mut keys = vec![change.object.key().to_owned()];
                let volume = text(&value, "/spec/volumeName");
                if !volume.is_empty() {
                    keys.push(format!("/{volume}"));
                }
                keys
            }
            1 => {
                let mut keys = vec![change.object.key().to_owned()];
                match text(&value, "/spec/claimRef/name") {
                    // A volume that is free may be what a claim waits for.
                    "" => keys.extend(waiting(context)),
                    name => {
                        let namespace = text(&value, "/spec/claimRef/namespace");
                        keys.push(format!("{namespace}/{name}"));
                    }
                }
                keys
            }
            2 => waiting(context),
            _ => {
                let claims = claims_of(&change.object, &value);
                for claim in &claims {
                    let users = self.users.entry(claim.clone()).or_default();
                    match change.kind {
                        ChangeKind::Deleted => users.remove(change.object.key()),
                        _ => users.insert(change.object.key().to_owned()),
                    };
                    if users.is_empty() {
                        self.users.remove(claim);
                    }
                }
                claims
            }
        }
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        match key.starts_with('/') {
            true => volume(context, key).await,
            false => claim(context, key, self.users_of(context, key)).await,
        }
    }
}

/// Who uses a claim right now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// No pod that has not ended.
    None,
    /// Pods that have no node yet.
    Waiting,
    /// A pod on a node.
    Running,
}

impl Volumes {
    fn users_of(&self, context: &Context, key: &str) -> Use {
        let index = context.pods.look();
        let mut found = Use::None;
        for user in self.users.get(key).into_iter().flatten() {
            match index.get(user).filter(|pod| !pod.has_ended()) {
                Some(pod) if !pod.node.is_empty() => return Use::Running,
                Some(_) => found = Use::Waiting,
                None => {}
            }
        }
        found
    }
}

/// The claims that have no volume yet.
fn waiting(context: &Context) -> Vec<String> {
    let Ok(kind) = context.kind("", "persistentvolumeclaims") else {
        return Vec::new();
    };
    let all = context.server.list(&kind, "").objects;
    let free = |claim: &&Arc<Object>| text(&claim.value(), "/status/phase") != "Bound";
    let free = all.iter().filter(free);
    free.map(|claim| claim.key().to_owned()).collect()
}

/// Whether the text of a pod names a claim anywhere.
fn may_have_claims(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| {
        text.contains("\"persistentVolumeClaim\"") || text.contains("\"ephemeral\"")
    })
}

/// The keys of the claims that a pod uses.
fn claims_of(pod: &Object, value: &Value) -> Vec<String> {
    let volumes = value.reach("/spec/volumes").and_then(Value::as_array);
    let mut keys = Vec::new();
    for volume in volumes.into_iter().flatten() {
        match text(volume, "/persistentVolumeClaim/claimName") {
            "" if volume.get("ephemeral").is_some() => {
                let name = text(volume, "/name");
                keys.push(format!("{}/{}-{name}", pod.namespace(), pod.name()));
            }
            "" => {}
            name => keys.push(format!("{}/{name}", pod.namespace())),
        }
    }
    keys
}

/// Changes an object as a whole.
async fn edit(
    context: &Context,
    kind: &Kind,
    object: &Object,
    edit: &(dyn Fn(&mut Value) + Send + Sync),
) -> Result<(), Status> {
    let options = Options::controller(NAME);
    let (namespace, name) = (object.namespace(), object.name());
    context
        .server
        .modify(kind, namespace, name, Part::Other, &options, edit)
        .await?;
    Ok(())
}

/// Puts a finalizer on an object, or takes it off.
async fn guard(
    context: &Context,
    kind: &Kind,
    object: &Object,
    name: &str,
    on: bool,
) -> Result<(), Status> {
    let value = object.value();
    let list = value
        .reach("/metadata/finalizers")
        .and_then(Value::as_array);
    let mut list = list.cloned().unwrap_or_default();
    if list.iter().any(|own| own == name) == on {
        return Ok(());
    }
    match on {
        true => list.push(name.into()),
        false => list.retain(|own| own != name),
    }
    let list = if list.is_empty() {
        Value::Null
    } else {
        list.into()
    };
    edit(context, kind, object, &|value| {
        json_patch::merge(value, &json!({"metadata": {"finalizers": list}}));
    })
    .await
}

async fn claim(context: &Context, key: &str, users: Use) -> Result<Next, Status> {
    let kind = context.kind("", "persistentvolumeclaims")?;
    let Some(object) = context.find(&kind, key) else {
        return Ok(Next::Done);
    };
    let value = object.value();
    if is_going(&value) {
        if users == Use::None {
            guard(context, &kind, &object, CLAIM_GUARD, false).await?;
        }
        return Ok(Next::Done);
    }
    guard(context, &kind, &object, CLAIM_GUARD, true).await?;
    let volumes = context.kind("", "persistentvolumes")?;
    if text(&value, "/status/phase") == "Bound" {
        return grow(context, &kind, &volumes, &object).await;
    }
    let class = match class_of(context, &value)? {
        Class::Chosen(class) => class,
        Class::Default(class) => {
            let name = class.name().to_owned();
            edit(context, &kind, &object, &|value| {
                json_patch::merge(value, &json!({"spec": {"storageClassName": name}}));
            })
            .await?;
            // The change brings the claim back.
            return Ok(Next::Done);
        }
        Class::None => None,
    };
    if let Some(volume) = fitting(context, &volumes, &object) {
        return bind(context, &kind, &volumes, &object, &volume).await;
    }
    if !text(&value, "/spec/volumeName").is_empty() {
        return Ok(Next::Done);
    }
    let provisioner = class.as_deref().map(Object::value);
    let Some(settings) = provisioner.filter(|class| text(class, "/provisioner") != NO_PROVISIONER)
    else {
        let message =
            "no persistent volumes available for this claim and no storage class is set".to_owned();
        tell(context, &kind, &object, "FailedBinding", message).await;
        return Ok(Next::Done);
    };
    if text(&settings, "/volumeBindingMode") == "WaitForFirstConsumer" && users != Use::Running {
        let message = "waiting for first consumer to be created before binding".to_owned();
        tell(context, &kind, &object, "WaitForFirstConsumer", message).await;
        return Ok(Next::Done);
    }
    provision(context, &volumes, &object, &settings).await?;
    let name = format!("pvc-{}", text(&value, "/metadata/uid"));
    match context.server.get(&volumes, "", &name) {
        Some(volume) => {
            let message = format!("Successfully provisioned volume {name}");
            tell(context, &kind, &object, "ProvisioningSucceeded", message).await;
            bind(context, &kind, &volumes, &object, &volume).await
        }
        None => Ok(Next::Done),
    }
}

async fn tell(context: &Context, kind: &Kind, object: &Object, reason: &str, message: String) {
    Event::normal(NAME, reason, message)
        .tell(context, kind, object)
        .await;
}

enum Class {
    /// The one that the claim names; none if that is not there.
    Chosen(Option<Arc<Object>>),
    /// The claim names none, and this is the default.
    Default(Arc<Object>),
    /// The claim wants none, or there is no default.
    None,
}

fn class_of(context: &Context, claim: &Value) -> Result<Class, Status> {
    let kind = context.kind("storage.k8s.io", "storageclasses")?;
    match claim
        .reach("/spec/storageClassName")
        .and_then(Value::as_str)
    {
        Some("") => Ok(Class::None),
        Some(name) => Ok(Class::Chosen(context.server.get(&kind, "", name))),
        None => {
            let all = context.server.list(&kind, "").objects;
            let is_default = |class: &Arc<Object>| {
                let value = class.value();
                let notes = value.reach("/metadata/annotations");
                notes
                    .and_then(|notes| notes.get(DEFAULT_CLASS))
                    .and_then(Value::as_str)
                    == Some("true")
            };
            // Of several the newest counts.
            let newest = all
                .into_iter()
                .filter(is_default)
                .max_by_key(|class| class.revision());
            Ok(newest.map_or(Class::None, Class::Default))
        }
    }
}

fn size_of(value: &Value, at: &str) -> i128 {
    value.reach(at).and_then(quantity::of).unwrap_or(0)
}

/// The smallest free volume that a claim can have, or the one it is promised.
fn fitting(context: &Context, volumes: &Kind, claim: &Object) -> Option<Arc<Object>> {
    let value = claim.value();
    let named = text(&value, "/spec/volumeName");
    let class = text(&value, "/spec/storageClassName");
    let mode = |value: &Value| match text(value, "/spec/volumeMode") {
        "" => "Filesystem".to_owned(),
        mode => mode.to_owned(),
    };
    let wanted = size_of(&value, "/spec/resources/requests/storage");
    let ways = value.reach("/spec/accessModes").and_then(Value::as_array);
    let selector = value.reach("/spec/selector").map(LabelSelector::from_json);
    let mut best: Option<(i128, Arc<Object>)> = None;
    for volume in context.server.list(volumes, "").objects {
        let own = volume.value();
        if is_going(&own) || (!named.is_empty() && named != volume.name()) {
            continue;
        }
        let promised = own.reach("/spec/claimRef").is_some();
        if promised {
            let uid = text(&own, "/spec/claimRef/uid");
            let same = text(&own, "/spec/claimRef/namespace") == claim.namespace()
                && text(&own, "/spec/claimRef/name") == claim.name()
                && (uid.is_empty() || uid == text(&value, "/metadata/uid"));
            if same {
                return Some(volume);
            }
            continue;
        }
        let has = own.reach("/spec/accessModes").and_then(Value::as_array);
        let can = ways
            .into_iter()
            .flatten()
            .all(|way| has.is_some_and(|has| has.contains(way)));
        let size = size_of(&own, "/spec/capacity/storage");
        let fits = text(&own, "/spec/storageClassName") == class
            && mode(&own) == mode(&value)
            && can
            && size >= wanted
            && selector.as_ref().is_none_or(|s| s.matches_object(&volume));
        if fits && best.as_ref().is_none_or(|(least, _)| size < *least) {
            best = Some((size, volume));
        }
    }
    best.map(|(_, volume)| volume)
}

/// Makes the volume that a class provisions for a claim.
async fn provision(
    context: &Context,
    volumes: &Kind,
    claim: &Object,
    class: &Value,
) -> Result<(), Status> {
    let value = claim.value();
    let uid = text(&value, "/metadata/uid");
    let name = format!("pvc-{uid}");
    if context.server.get(volumes, "", &name).is_some() {
        return Ok(());
    }
    let provisioner = text(class, "/provisioner");
    let policy = match text(class, "/reclaimPolicy") {
        "" => "Delete",
        policy => policy,
    };
    let mut volume = json!({
        "metadata": {
            "name": name,
            "annotations": {PROVISIONED: provisioner},
            "finalizers": [VOLUME_GUARD],
        },
        "spec": {
            "accessModes": value.reach("/spec/accessModes"),
            "capacity": {"storage": value.reach("/spec/resources/requests/storage")},
            "claimRef": reference(claim, &value),
            "persistentVolumeReclaimPolicy": policy,
            "storageClassName": text(class, "/metadata/name"),
            "volumeMode": value.reach("/spec/volumeMode").cloned().unwrap_or_else(|| "Filesystem".into()),
            "csi": {"driver": provisioner, "volumeHandle": name},
        },
    });
    if let Some(options) = class.get("mountOptions") {
        json_patch::merge(&mut volume, &json!({"spec": {"mountOptions": options}}));
    }
    let options = Options::controller(NAME);
    context.server.create(volumes, "", volume, &options).await?;
    Ok(())
}

fn reference(claim: &Object, value: &Value) -> Value {
    json!({
        "kind": "PersistentVolumeClaim", "apiVersion": "v1",
        "namespace": claim.namespace(), "name": claim.name(),
        "uid": text(value, "/metadata/uid"), "resourceVersion": claim.revision().to_string(),
    })
}

/// Binds a claim and a volume to each other.
async fn bind(
    context: &Context,
    claims: &Kind,
    volumes: &Kind,
    claim: &Object,
    volume: &Object,
) -> Result<Next, Status> {
    let (value, own) = (claim.value(), volume.value());
    let uid = text(&value, "/metadata/uid");
    if text(&own, "/spec/claimRef/uid") != uid {
        let reference = reference(claim, &value);
        edit(context, volumes, volume, &|value| {
            let note = json!({"pv.kubernetes.io/bound-by-controller": "yes"});
            json_patch::merge(
                value,
                &json!({"metadata": {"annotations": note}, "spec": {"claimRef": reference}}),
            );
        })
        .await?;
    }
    let mut notes = json!({
        "pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes",
    });
    let by = own.reach("/metadata/annotations");
    if let Some(by) = by.and_then(|notes| notes.get(PROVISIONED)) {
        json_patch::merge(
            &mut notes,
            &json!({"volume.kubernetes.io/storage-provisioner": by}),
        );
    }
    let status = json!({
        "phase": "Bound",
        "accessModes": own.reach("/spec/accessModes"),
        "capacity": own.reach("/spec/capacity"),
    });
    let name = volume.name().to_owned();
    edit(context, claims, claim, &|value| {
        json_patch::merge(
            value,
            &json!({"metadata": {"annotations": notes}, "spec": {"volumeName": name}, "status": status}),
        );
    })
    .await?;
    Ok(Next::Done)
}

/// Gives a bound claim the room that it asks for by now, if its class allows that.
async fn grow(
    context: &Context,
    claims: &Kind,
    volumes: &Kind,
    claim: &Object,
) -> Result<Next, Status> {
    let value = claim.value();
    let Some(volume) = context
        .server
        .get(volumes, "", text(&value, "/spec/volumeName"))
    else {
        let status = json!({"phase": "Lost"});
        edit(context, claims, claim, &|value| {
            json_patch::merge(value, &json!({"status": status}));
        })
        .await?;
        return Ok(Next::Done);
    };
    let wanted = size_of(&value, "/spec/resources/requests/storage");
    if wanted <= size_of(&value, "/status/capacity/storage") {
        return Ok(Next::Done);
    }
    let may = match class_of(context, &value)? {
        Class::Chosen(Some(class)) => {
            class.value().get("allowVolumeExpansion") == Some(&Value::Bool(true))
        }
        _ => false,
    };
    if may {
        let room = value.reach("/spec/resources/requests/storage").cloned();
        let room = json!({"storage": room});
        edit(context, volumes, &volume, &|value| {
            json_patch::merge(value, &json!({"spec": {"capacity": room}}));
        })
        .await?;
        edit(context, claims, claim, &|value| {
            json_patch::merge(value, &json!({"status": {"capacity": room}}));
        })
        .await?;
    }
    Ok(Next::Done)
}

/// Says what state a volume is in, and reclaims it when its claim is gone.
async fn volume(context: &Context, key: &str) -> Result<Next, Status> {
    let kind = context.kind("", "persistentvolumes")?;
    let Some(object) = context.find(&kind, key) else {
        return Ok(Next::Done);
    };
    let value = object.value();
    let claims = context.kind("", "persistentvolumeclaims")?;
    let uid = text(&value, "/spec/claimRef/uid");
    let namespace = text(&value, "/spec/claimRef/namespace");
    let owner = context
        .server
        .get(&claims, namespace, text(&value, "/spec/claimRef/name"));
    let held = owner.is_some_and(|claim| text(&claim.value(), "/metadata/uid") == uid);
    if is_going(&value) {
        if !held {
            guard(context, &kind, &object, VOLUME_GUARD, false).await?;
        }
        return Ok(Next::Done);
    }
    let phase = match (uid.is_empty(), held) {
        (true, _) => "Available",
        (false, true) => "Bound",
        (false, false) => "Released",
    };
    if phase == "Released" && text(&value, "/spec/persistentVolumeReclaimPolicy") == "Delete" {
        let options = Options::controller(NAME);
        let deletion = Deletion::default();
        let server = &context.server;
        server
            .delete(&kind, "", object.name(), &deletion, &options)
            .await?;
        return Ok(Next::Done);
    }
    if text(&value, "/status/phase") != phase {
        let now = crate::embedded::write::now();
        edit(context, &kind, &object, &|value| {
            let status = json!({"phase": phase, "lastPhaseTransitionTime": now});
            json_patch::merge(value, &json!({"status": status}));
        })
        .await?;
        return Ok(Next::Done);
    }
    guard(context, &kind, &object, VOLUME_GUARD, true).await?;
    Ok(Next::Done)
}

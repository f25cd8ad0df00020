//! What differs between kinds when they are written: which count generations, what a status starts as, what is fixed.

use serde_json::{Map, Value, json};

use super::{Part, definition};
use crate::embedded::admission;
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::{Cause, Status};
use crate::embedded::quantity;
use crate::embedded::reach::Reach as _;
use crate::embedded::server::Server;
use crate::embedded::store::Object;

/// Whether objects of this kind count what was asked for in `metadata.generation`.
pub(super) fn counts_generations(kind: &Kind) -> bool {
    match kind.group.as_str() {
        "" => matches!(
            kind.plural.as_str(),
            "pods" | "replicationcontrollers" | "podtemplates"
        ),
        "networking.k8s.io" => !matches!(kind.plural.as_str(), "ipaddresses" | "servicecidrs"),
        "apps" => kind.plural != "controllerrevisions",
        "batch"
        | "policy"
        | "discovery.k8s.io"
        | "apiextensions.k8s.io"
        | "admissionregistration.k8s.io"
        | "flowcontrol.apiserver.k8s.io"
        | "scheduling.k8s.io" => true,
        _ => kind.custom.is_some(),
    }
}

fn has_status(kind: &Kind) -> bool {
    kind.subresource("status").is_some()
}

/// Gives a new object the status that its kind begins with.
pub(super) fn before_create(kind: &Kind, value: &mut Value) {
    let Some(root) = value.as_object_mut() else {
        return;
    };
    let status = match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "namespaces") => {
            let spec = root.entry("spec").or_insert_with(|| json!({}));
            json_patch::merge(spec, &json!({"finalizers": ["kubernetes"]}));
            Some(json!({"phase": "Active"}))
        }
        ("", "pods") => Some(
            json!({"phase": "Pending", "qosClass": super::defaults::qos_class(root.get("spec"))}),
        ),
        ("", "persistentvolumes") => {
            Some(json!({"phase": "Pending", "lastPhaseTransitionTime": super::now()}))
        }
        ("", "persistentvolumeclaims") => Some(json!({"phase": "Pending"})),
        ("", "services") => Some(json!({"loadBalancer": {}})),
        ("apps", "daemonsets") => Some(
            json!({"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0}),
        ),
        ("apps", "replicasets") | ("", "replicationcontrollers") => Some(json!({"replicas": 0})),
        ("apps", "statefulsets") => Some(json!({"replicas": 0, "availableReplicas": 0})),
        ("policy", "poddisruptionbudgets") => Some(
            json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}),
        ),
        ("networking.k8s.io", "ingresses") => Some(json!({"loadBalancer": {}})),
        ("autoscaling", _) => Some(json!({"desiredReplicas": 0, "currentMetrics": null})),
        // The kubelet registers with its status; so does whoever plays it.
        ("", "nodes") => return,
        _ if has_status(kind) && kind.custom.is_none() => Some(json!({})),
        _ => None,
    };
    match status {
        Some(status) => {
            root.shift_remove("status");
            root.insert("status".to_owned(), status);
        }
        None if has_status(kind) => {
            root.shift_remove("status");
        }
        None => {}
    }
}

/// Takes from an update only the part that it may change.
pub(super) fn confine(kind: &Kind, part: Part, before: &Value, value: &mut Value) {
    let (Some(old), Some(new)) = (before.as_object(), value.as_object_mut()) else {
        return;
    };
    match part {
        Part::Main if has_status(kind) => match old.get("status") {
            Some(status) => {
                new.insert("status".to_owned(), status.clone());
            }
            None => {
                new.shift_remove("status");
            }
        },
        Part::Status => {
            // Mostly nothing else was touched, and then nothing needs to be put back.
            let free = |name: &str| matches!(name, "metadata" | "status");
            new.retain(|name, _| free(name) || old.contains_key(name));
            for (name, was) in old.iter().filter(|(name, _)| !free(name)) {
                if new.get(name) != Some(was) {
                    new.insert(name.clone(), was.clone());
                }
            }
        }
        Part::Main | Part::Other => {}
    }
    if kind.group.is_empty() && kind.plural == "namespaces" && part != Part::Other {
        // Only `/finalize` may touch these.
        if let (Some(spec), true) = (old.get("spec"), new.contains_key("spec")) {
            new.insert("spec".to_owned(), spec.clone());
        }
    }
}

/// Changes of what is fixed.
pub(super) fn fixed(kind: &Kind, part: Part, before: &Value, value: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let differs = |at: &str| before.reach(at) != value.reach(at);
    let deleting = before.reach("/metadata/deletionTimestamp").is_some();
    if deleting {
        let list = |value: &Value| -> Vec<String> {
            let list = value
                .reach("/metadata/finalizers")
                .and_then(Value::as_array);
            let list = list.into_iter().flatten();
            list.filter_map(|f| Some(f.as_str()?.to_owned())).collect()
        };
        let (old, new) = (list(before), list(value));
        let added: Vec<String> = new.into_iter().filter(|f| !old.contains(f)).collect();
        if !added.is_empty() {
            causes.push(Cause::forbidden(
                "metadata.finalizers",
                &format!(
                    "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                    added.iter().map(|f| format!("{f:?}")).collect::<Vec<_>>().join(", ")
                ),
            ));
        }
    }
    // All else is as it was.
    if part == Part::Status {
        return causes;
    }
    let immutable: &[&str] = match (kind.group.as_str(), kind.plural.as_str()) {
        ("apps", "deployments" | "replicasets" | "daemonsets") => &["spec.selector"],
        ("batch", "jobs") => &["spec.completionMode", "spec.selector", "spec.template"],
        ("storage.k8s.io", "storageclasses") => &["parameters", "reclaimPolicy"],
        ("apiextensions.k8s.io", _) => &[
            "spec.scope",
            "spec.group",
            "spec.names.kind",
            "spec.names.plural",
        ],
        ("", "secrets") => &["type"],
        _ => &[],
    };
    for field in immutable {
        let at = format!("/{}", field.replace('.', "/"));
        if differs(&at) {
            let value = value.reach(&at).cloned().unwrap_or_default();
            causes.push(Cause::invalid(*field, &value, "field is immutable"));
        }
    }
    confined(kind, before, value, &mut causes);
    let is_fixed = before.get("immutable") == Some(&Value::Bool(true));
    if is_fixed && matches!(kind.plural.as_str(), "configmaps" | "secrets") {
        for field in ["immutable", "data", "binaryData"] {
            if before.get(field) != value.get(field) {
                causes.push(Cause::forbidden(
                    field,
                    "field is immutable when `immutable` is set",
                ));
            }
        }
    }
    causes
}

/// Changes of what is fixed in words of the kind's own.
fn confined(kind: &Kind, before: &Value, value: &Value, causes: &mut Vec<Cause>) {
    let differs = |at: &str| before.reach(at) != value.reach(at);
    let spec_but = |value: &Value, free: &[&str]| {
        let mut spec = value.get("spec").cloned().unwrap_or_default();
        for field in free {
            if let Some((parent, name)) = field.rsplit_once('/')
                && let Some(parent) = spec.reach_mut(parent).and_then(Value::as_object_mut)
            {
                parent.shift_remove(name);
            }
        }
        spec
    };
    let changed =
        |free: &[&str]| differs("/spec") && spec_but(before, free) != spec_but(value, free);
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("apps", "statefulsets") => {
            const FREE: &[&str] = &[
                "/replicas",
                "/ordinals",
                "/template",
                "/updateStrategy",
                "/revisionHistoryLimit",
                "/persistentVolumeClaimRetentionPolicy",
                "/minReadySeconds",
            ];
            if changed(FREE) {
                causes.push(Cause::forbidden("spec", "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"));
            }
        }
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings")
            if differs("/roleRef") =>
        {
            let part = |name: &str| value.reach(&format!("/roleRef/{name}")).cloned();
            let shown =
                json!({"APIGroup": part("apiGroup"), "Kind": part("kind"), "Name": part("name")});
            causes.push(Cause::invalid("roleRef", &shown, "cannot change roleRef"));
        }
        ("scheduling.k8s.io", _) => {
            for field in ["value", "preemptionPolicy"] {
                if differs(&format!("/{field}")) {
                    causes.push(Cause::forbidden(field, "may not be changed in an update."));
                }
            }
        }
        ("storage.k8s.io", "storageclasses") if differs("/provisioner") => {
            let detail = "updates to provisioner are forbidden.";
            causes.push(Cause::forbidden("provisioner", detail));
        }
        ("batch", "jobs") if differs("/spec/completions") => {
            let indexed = value.reach("/spec/completionMode") == Some(&json!("Indexed"));
            let both = value.reach("/spec/completions") == value.reach("/spec/parallelism");
            // Indexed jobs may grow and shrink as a whole.
            if !(indexed && both) {
                let now = value.reach("/spec/completions").cloned();
                let now = now.unwrap_or_default();
                causes.push(Cause::invalid(
                    "spec.completions",
                    &now,
                    "field is immutable",
                ));
            }
        }
        ("", "services") if differs("/spec/clusterIP") => {
            let text = |value: &Value| {
                let text = value.reach("/spec/clusterIP").and_then(Value::as_str);
                text.unwrap_or_default().to_owned()
            };
            let stays = |value: &Value| value.reach("/spec/type") != Some(&json!("ExternalName"));
            if !text(before).is_empty() && stays(before) && stays(value) {
                let detail = "may not change once set";
                let now = json!([text(value)]);
                causes.push(Cause::invalid("spec.clusterIPs[0]", &now, detail));
            }
        }
        ("", "persistentvolumeclaims") => {
            let mut free = vec!["/resources/requests", "/volumeAttributesClassName"];
            let bound = before.reach("/spec/volumeName").is_some();
            if !bound {
                // Binding is what these are set by.
                free.push("/volumeName");
            }
            if before.reach("/spec/storageClassName").is_none() {
                free.push("/storageClassName");
            }
            if changed(&free) {
                causes.push(Cause::forbidden("spec", "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"));
            }
            let size = |of: &Value, at: &str| {
                let text = of.reach(at).and_then(Value::as_str);
                text.and_then(quantity::milli)
            };
            let field = "spec.resources.requests.storage";
            let (had, wants) = (
                size(before, "/spec/resources/requests/storage"),
                size(value, "/spec/resources/requests/storage"),
            );
            if wants < had && wants < size(before, "/status/capacity/storage") {
                let detail = "field can not be less than status.capacity";
                causes.push(Cause::forbidden(field, detail));
            }
        }
        ("", "pods") if differs("/spec") => pod_confined(before, value, causes),
        _ => {}
    }
}

/// Of a running pod, little can be changed but images.
fn pod_confined<'a>(before: &'a Value, value: &'a Value, causes: &mut Vec<Cause>) {
    const FREE: &[&str] = &[
        "activeDeadlineSeconds",
        "tolerations",
        "terminationGracePeriodSeconds",
        "nodeName",
        "ephemeralContainers",
        "schedulingGates",
        "nodeSelector",
        "affinity",
        "resources",
    ];
    // Its own part changes these, and the pull policy follows nothing.
    const OF_CONTAINERS: &[&str] = &["image", "resources", "resizePolicy"];
    let spec = |of: &'a Value| of.get("spec").and_then(Value::as_object);
    let (old, new) = (spec(before), spec(value));
    let same_containers = |old: &'a Value, new: &'a Value| match (old.as_array(), new.as_array()) {
        (Some(old), Some(new)) => {
            let of = |container: &'a Value| container.as_object();
            let same =
                |(old, new)| same_but(OF_CONTAINERS, of(old), of(new), |_, old, new| old == new);
            old.len() == new.len() && old.iter().zip(new).all(same)
        }
        _ => old == new,
    };
    let same = |name: &str, old: &'a Value, new: &'a Value| match name {
        "containers" | "initContainers" => same_containers(old, new),
        _ => old == new,
    };
    if !same_but(FREE, old, new, same) {
        causes.push(Cause::forbidden("spec", "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"));
    }
}

/// Whether two objects have the same fields, some aside; `same` compares what both have.
fn same_but<'a>(
    free: &[&str],
    old: Option<&'a Map<String, Value>>,
    new: Option<&'a Map<String, Value>>,
    same: impl Fn(&str, &'a Value, &'a Value) -> bool,
) -> bool {
    let fields = |map: Option<&'a Map<String, Value>>| {
        let all = map.into_iter().flatten();
        all.filter(|(name, _)| !free.contains(&name.as_str()))
    };
    let unchanged = |(name, old): (&'a String, &'a Value)| {
        let new = new.and_then(|new| new.get(name));
        new.is_some_and(|new| same(name, old, new))
    };
    fields(old).count() == fields(new).count() && fields(old).all(unchanged)
}

/// Refuses new objects in a namespace that is not there or is ending.
pub(super) fn namespace_takes_new(
    server: &Server,
    kind: &Kind,
    namespace: &str,
    name: &str,
) -> Result<(), Status> {
    let Some(namespaces) = server.kind("", "namespaces") else {
        return Ok(());
    };
    let Some(found) = server.get(&namespaces, "", namespace) else {
        return Err(Status::not_found(&namespaces, namespace));
    };
    if found.is_going() {
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let cause = Cause {
            reason: "NamespaceTerminating",
            message: format!("namespace {namespace} is being terminated"),
            field: "metadata.namespace".to_owned(),
        };
        return Err(Status::forbidden(kind, name, &why).causes(&[cause]));
    }
    Ok(())
}

/// Lets the server itself follow a write: definitions change which kinds are served, policies and hooks who may refuse.
pub(super) fn after_write(server: &Server, kind: &Kind, object: &Object, gone: bool) {
    if kind.group == admission::GROUP {
        server.admission().reload(server);
    }
    if definition::is_definition(kind) {
        if gone {
            definition::forget(server, object);
        } else {
            definition::serve(server.registry(), &object.value());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::pod_confined;

    fn may(old: Value, new: Value) -> bool {
        let mut causes = Vec::new();
        let of = |spec: Value| json!({ "spec": spec });
        pod_confined(&of(old), &of(new), &mut causes);
        causes.is_empty()
    }

    #[test]
    fn of_a_pod_little_but_images_and_the_node_can_change() {
        let old = json!({"containers": [{"name": "a", "image": "x"}], "restartPolicy": "Always"});
        let with = |container: Value, more: Value| {
            let mut new = json!({"containers": [container], "restartPolicy": "Always"});
            json_patch::merge(&mut new, &more);
            new
        };
        let same = json!({"name": "a", "image": "x"});
        assert!(may(
            old.clone(),
            with(json!({"name": "a", "image": "y"}), json!({}))
        ));
        assert!(may(
            old.clone(),
            with(same.clone(), json!({"nodeName": "n"}))
        ));
        assert!(!may(
            old.clone(),
            with(json!({"name": "b", "image": "x"}), json!({}))
        ));
        assert!(!may(
            old.clone(),
            with(same.clone(), json!({"restartPolicy": "Never"}))
        ));
        assert!(!may(
            old.clone(),
            with(same.clone(), json!({"hostname": "h"}))
        ));
        assert!(!may(
            old.clone(),
            with(same, json!({"restartPolicy": null}))
        ));
        assert!(!may(
            old,
            json!({"containers": [], "restartPolicy": "Always"})
        ));
    }
}

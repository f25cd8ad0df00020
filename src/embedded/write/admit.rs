//! What the server adds to new objects on behalf of the cluster: accounts, tolerations, priorities, classes.

use serde_json::{Value, json};

use crate::embedded::access::User;
use crate::embedded::admission::limits;
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::server::Server;
use crate::embedded::store::Object;

/// What keeps a claim from going while a pod uses it.
pub(in crate::embedded) const CLAIM_GUARD: &str = "kubernetes.io/pvc-protection";
/// What keeps a volume from going while a claim has it.
pub(in crate::embedded) const VOLUME_GUARD: &str = "kubernetes.io/pv-protection";

/// Completes a new object; refuses one that names what is not there.
pub(super) fn new(
    server: &Server,
    kind: &Kind,
    namespace: &str,
    user: &User,
    value: &mut Value,
) -> Result<(), Status> {
    match kind.bucket() {
        "certificatesigningrequests.certificates.k8s.io" => {
            requester(user, value);
            Ok(())
        }
        "pods" => pod(server, kind, namespace, value),
        "events" => {
            if let Some(root) = value.as_object_mut() {
                super::defaults::others::event(root);
            }
            Ok(())
        }
        "jobs.batch" => {
            job(value);
            Ok(())
        }
        "persistentvolumeclaims" => {
            claim(server, value);
            guard(value, CLAIM_GUARD);
            Ok(())
        }
        "persistentvolumes" => {
            guard(value, VOLUME_GUARD);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Keeps an object from going while it is in use; whoever follows its use takes the finalizer out.
fn guard(value: &mut Value, finalizer: &str) {
    let Some(metadata) = super::meta::of(value) else {
        return;
    };
    let list = metadata.entry("finalizers").or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut()
        && !list.iter().any(|own| own == finalizer)
    {
        list.push(finalizer.into());
    }
}

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.reach(at).and_then(Value::as_str).unwrap_or_default()
}

fn pod(server: &Server, kind: &Kind, namespace: &str, value: &mut Value) -> Result<(), Status> {
    let (priority, preemption) = priority(server, kind, value)?;
    account_exists(server, kind, namespace, value)?;
    limits::fill(server, namespace, value);
    let class = super::defaults::qos_class(value.get("spec"));
    json_patch::merge(value, &json!({"status": {"qosClass": class}}));
    let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) else {
        return Ok(());
    };
    if !spec.contains_key("serviceAccountName") {
        spec.insert("serviceAccountName".to_owned(), "default".into());
        spec.insert("serviceAccount".to_owned(), "default".into());
    }
    spec.entry("enableServiceLinks")
        .or_insert(Value::Bool(true));
    spec.entry("preemptionPolicy").or_insert(preemption);
    let given = spec.get("priority").and_then(Value::as_i64);
    if let Some(given) = given.filter(|given| *given != priority) {
        let message = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {priority} from the given PriorityClass name"
        );
        let name = text(value, "/metadata/name").to_owned();
        return Err(Status::forbidden(kind, &name, &message));
    }
    spec.insert("priority".to_owned(), priority.into());
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
    if let Some(list) = tolerations.as_array_mut() {
        for key in [
            "node.kubernetes.io/not-ready",
            "node.kubernetes.io/unreachable",
        ] {
            let covers = |t: &Value| {
                let effect = text(t, "/effect");
                (text(t, "/key") == key || text(t, "/key").is_empty())
                    && (effect.is_empty() || effect == "NoExecute")
            };
            if !list.iter().any(covers) {
                list.push(json!({
                    "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300,
                }));
            }
        }
    }
    let account = spec.get("serviceAccountName").and_then(Value::as_str);
    let account = account.unwrap_or("default").to_owned();
    let mirror = value.reach("/metadata/annotations/kubernetes.io~1config.mirror");
    let accounts = server.kind("", "serviceaccounts");
    // The default account may come a moment after its namespace.
    if account != "default"
        && mirror.is_none()
        && accounts.is_some_and(|kind| server.get(&kind, namespace, &account).is_none())
    {
        let why = format!(
            "error looking up service account {namespace}/{account}: serviceaccount \"{account}\" not found"
        );
        let name = text(value, "/metadata/name");
        return Err(Status::forbidden(kind, name, &why));
    }
    if let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) {
        mount_token(server, namespace, spec);
    }
    Ok(())
}

/// A request for a certificate says who made it, whatever its text claims.
fn requester(user: &User, value: &mut Value) {
    let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    for field in ["username", "uid", "groups", "extra"] {
        spec.shift_remove(field);
    }
    spec.insert("username".to_owned(), user.name.as_str().into());
    spec.insert("groups".to_owned(), json!(user.groups));
    if !user.uid.is_empty() {
        spec.insert("uid".to_owned(), user.uid.as_str().into());
    }
    if !user.extra.is_empty() {
        spec.insert("extra".to_owned(), json!(user.extra));
    }
}

/// Refuses a pod whose account is not there. Every namespace gets the default one, if perhaps a moment later.
fn account_exists(
    server: &Server,
    kind: &Kind,
    namespace: &str,
    value: &Value,
) -> Result<(), Status> {
    let wanted = text(value, "/spec/serviceAccountName");
    if matches!(wanted, "" | "default") {
        return Ok(());
    }
    let found = server
        .kind("", "serviceaccounts")
        .and_then(|kind| server.get(&kind, namespace, wanted));
    if found.is_some() {
        return Ok(());
    }
    let message = format!(
        "error looking up service account {namespace}/{wanted}: serviceaccount \"{wanted}\" not found"
    );
    let name = text(value, "/metadata/name");
    let mut status = Status::forbidden(kind, name, &message);
    if name.is_empty() {
        // The name is not made yet.
        status.message = format!("pods is forbidden: {message}");
    }
    Err(status)
}

/// The number and the habit that go with a pod's priority class.
fn priority(server: &Server, kind: &Kind, value: &mut Value) -> Result<(i64, Value), Status> {
    let habit: Value = "PreemptLowerPriority".into();
    let Some(classes) = server.kind("scheduling.k8s.io", "priorityclasses") else {
        return Ok((0, habit));
    };
    let wanted = text(value, "/spec/priorityClassName").to_owned();
    let class = if wanted.is_empty() {
        let all = server.list(&classes, "").objects;
        // Asked for every pod, and hardly ever is there such a class; their text tells at once.
        let default =
            |class: &Object| class.value().get("globalDefault") == Some(&Value::Bool(true));
        all.into_iter()
            .find(|class| class.mentions("\"globalDefault\":true") && default(class))
    } else {
        let system = match wanted.as_str() {
            "system-node-critical" => Some(2_000_001_000),
            "system-cluster-critical" => Some(2_000_000_000),
            _ => None,
        };
        if let Some(priority) = system {
            return Ok((priority, habit));
        }
        let found = server.get(&classes, "", &wanted);
        if found.is_none() {
            let message = format!("no PriorityClass with name {wanted} was found");
            return Err(Status::forbidden(
                kind,
                text(value, "/metadata/name"),
                &message,
            ));
        }
        found
    };
    let Some(class) = class else {
        return Ok((0, habit));
    };
    let of = class.value();
    if wanted.is_empty() {
        json_patch::merge(value, &json!({"spec": {"priorityClassName": class.name()}}));
    }
    let number = of.get("value").and_then(Value::as_i64).unwrap_or(0);
    Ok((number, of.get("preemptionPolicy").cloned().unwrap_or(habit)))
}

/// Gives every container the account's token, as pods expect to find it.
fn mount_token(server: &Server, namespace: &str, spec: &mut serde_json::Map<String, Value>) {
    const PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
    let account = spec
        .get("serviceAccountName")
        .and_then(Value::as_str)
        .unwrap_or("default");
    let account = server
        .kind("", "serviceaccounts")
        .and_then(|kind| server.get(&kind, namespace, account));
    let refuses = |value: Option<&Value>| value == Some(&Value::Bool(false));
    let by_account =
        account.is_some_and(|account| refuses(account.value().get("automountServiceAccountToken")));
    let own = spec.get("automountServiceAccountToken");
    if refuses(own) || own.is_none() && by_account {
        return;
    }
    let has = |container: &Value| {
        let mounts = container.get("volumeMounts").and_then(Value::as_array);
        mounts
            .into_iter()
            .flatten()
            .any(|mount| text(mount, "/mountPath") == PATH)
    };
    let name = format!("kube-api-access-{}", super::meta::suffix());
    let mut used = false;
    for field in ["initContainers", "containers"] {
        let list = spec.get_mut(field).and_then(Value::as_array_mut);
        for container in list.into_iter().flatten() {
            if has(container) {
                continue;
            }
            let Some(container) = container.as_object_mut() else {
                continue;
            };
            let mounts = container.entry("volumeMounts").or_insert_with(|| json!([]));
            if let Some(mounts) = mounts.as_array_mut() {
                mounts.push(json!({"mountPath": PATH, "name": name, "readOnly": true}));
                used = true;
            }
        }
    }
    if !used {
        return;
    }
    let field = json!({"apiVersion": "v1", "fieldPath": "metadata.namespace"});
    let sources = json!([
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
        {"downwardAPI": {"items": [{"fieldRef": field, "path": "namespace"}]}},
    ]);
    let volume = json!({"name": name, "projected": {"defaultMode": 420, "sources": sources}});
    let volumes = spec.entry("volumes").or_insert_with(|| json!([]));
    if let Some(volumes) = volumes.as_array_mut() {
        volumes.push(volume);
    }
}

/// A job knows its pods by labels that nobody else has.
fn job(value: &mut Value) {
    if value.reach("/spec/manualSelector") == Some(&Value::Bool(true)) {
        return;
    }
    let uid = text(value, "/metadata/uid").to_owned();
    let name = text(value, "/metadata/name").to_owned();
    let labels = json!({
        "batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name,
        "controller-uid": uid, "job-name": name,
    });
    json_patch::merge(
        value,
        &json!({
            "spec": {
                "manualSelector": false,
                "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}},
                "template": {"metadata": {"labels": labels}},
            },
        }),
    );
    let own = value.reach("/spec/template/metadata/labels").cloned();
    if let (Some(own), Some(metadata)) = (own, super::meta::of(value)) {
        // Only where the job has no labels of its own does it take its pods'.
        metadata.entry("labels").or_insert(own);
    }
}

/// A claim that names no class gets the default one.
fn claim(server: &Server, value: &mut Value) {
    if value.reach("/spec/storageClassName").is_some() {
        return;
    }
    let Some(classes) = server.kind("storage.k8s.io", "storageclasses") else {
        return;
    };
    let is_default = |value: &Value| {
        let annotations = value.reach("/metadata/annotations");
        annotations.and_then(|all| all.get("storageclass.kubernetes.io/is-default-class"))
            == Some(&Value::String("true".to_owned()))
    };
    let all = server.list(&classes, "").objects;
    if let Some(class) = all.iter().find(|class| is_default(&class.value())) {
        json_patch::merge(value, &json!({"spec": {"storageClassName": class.name()}}));
    }
}

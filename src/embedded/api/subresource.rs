//! Parts of objects with paths of their own: scale, binding, eviction and the like.
//!
//! Each reads what it is given, says which change of the object that is, and goes through the one write path. To add a
//! part: an arm in [`answer`] and a function.

use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value, json};

use super::path::Target;
use super::registry::Kind;
use super::selector::LabelSelector;
use super::status::{Cause, Status};
use super::{Answer, Call, input, logs, resource};
use crate::embedded::reach::Reach as _;
use crate::embedded::scheduler;
use crate::embedded::store::Object;
use crate::embedded::write::{self, Options, Part};

/// Answers a request about a part; `None` if the part is written like the object itself.
pub(super) async fn answer(
    call: &Call<'_>,
    kind: &Arc<Kind>,
    target: &Target,
) -> Option<Result<Answer, Status>> {
    let method = &call.method;
    let create = *method == Method::POST;
    Some(match target.subresource.as_str() {
        "status" | "finalize" | "resize" | "ephemeralcontainers" | "approval" if !create => {
            return None;
        }
        "scale" if !create => scale(call, kind, target).await,
        "binding" if create => bind(call, kind, target).await,
        "eviction" if create => evict(call, kind, target).await,
        "token" if create => super::super::access::token::request(call, kind, target),
        "log" if kind.bucket() == "pods" => logs::answer(call, kind, target),
        "exec" | "attach" | "portforward" | "proxy" => {
            resource::find(call, kind, target).and_then(|pod| {
                if matches!(target.subresource.as_str(), "exec" | "attach") {
                    let asked = call.query.text("container");
                    logs::container_of(&pod.value(), &target.name, asked)?;
                }
                Err(refusal(kind, target))
            })
        }
        _ => Err(Status::method_not_allowed()),
    })
}

/// Says why nothing can be done in a container that is not there.
fn refusal(kind: &Kind, target: &Target) -> Status {
    let message = format!(
        "{} \"{}\" is simulated: there is no container behind it to {}",
        kind.resource(),
        target.name,
        match target.subresource.as_str() {
            "exec" => "run commands in",
            "attach" => "attach to",
            "portforward" => "forward ports to",
            _ => "send requests to",
        }
    );
    Status::new(501, "NotImplemented", message)
}

/// Which field of an update counts, for parts that are written like the object itself.
pub(super) fn confine_to(part: &str, current: &Value, next: Value) -> Value {
    let fields: &[&str] = match part {
        "ephemeralcontainers" => &["/spec/ephemeralContainers"],
        "resize" => &[
            "/spec/containers",
            "/spec/initContainers",
            "/spec/resources",
        ],
        "finalize" => &["/spec/finalizers"],
        "approval" => &["/status/conditions"],
        _ => return next,
    };
    let mut out = current.clone();
    for field in fields {
        let Some((parent, name)) = field.rsplit_once('/') else {
            continue;
        };
        if out.reach(parent).is_none()
            && let Some(root) = out.as_object_mut()
        {
            root.insert(parent.trim_start_matches('/').to_owned(), json!({}));
        }
        if let Some(parent) = out.reach_mut(parent).and_then(Value::as_object_mut) {
            match next.reach(field) {
                Some(value) => parent.insert(name.to_owned(), value.clone()),
                None => parent.shift_remove(name),
            };
        }
    }
    if let (Some(metadata), Some(root)) = (next.get("metadata"), out.as_object_mut()) {
        root.insert("metadata".to_owned(), metadata.clone());
    }
    out
}

struct ScalePaths {
    replicas: String,
    status: String,
    selector: Option<String>,
}

fn scale_paths(kind: &Kind) -> ScalePaths {
    let pointer = |path: &str| path.replace('.', "/");
    if let Some(scale) = kind
        .custom
        .as_ref()
        .and_then(|custom| custom.scale.as_ref())
    {
        let text = |name: &str| scale.get(name).and_then(Value::as_str).map(pointer);
        return ScalePaths {
            replicas: text("specReplicasPath").unwrap_or_default(),
            status: text("statusReplicasPath").unwrap_or_default(),
            selector: text("labelSelectorPath"),
        };
    }
    ScalePaths {
        replicas: "/spec/replicas".to_owned(),
        status: "/status/replicas".to_owned(),
        selector: Some("/spec/selector".to_owned()),
    }
}

/// The selector of a scale, as text.
fn selector_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(map) => {
            let labels = match map.get("matchLabels").and_then(Value::as_object) {
                Some(labels) => labels.clone(),
                None if map.contains_key("matchExpressions") => Map::new(),
                None => map.clone(),
            };
            let mut terms: Vec<String> = labels
                .iter()
                .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
                .collect();
            let expressions = map.get("matchExpressions").and_then(Value::as_array);
            for expression in expressions.into_iter().flatten() {
                let text = |name: &str| {
                    expression
                        .get(name)
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                };
                let values = expression.get("values").and_then(Value::as_array);
                let values: Vec<&str> = values
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                let (key, values) = (text("key"), values.join(","));
                terms.push(match text("operator") {
                    "NotIn" => format!("{key} notin ({values})"),
                    "Exists" => key.to_owned(),
                    "DoesNotExist" => format!("!{key}"),
                    _ => format!("{key} in ({values})"),
                });
            }
            terms.sort();
            terms.join(",")
        }
        _ => String::new(),
    }
}

fn scale_of(kind: &Kind, object: &Value) -> Value {
    let paths = scale_paths(kind);
    let mut metadata = Map::new();
    for field in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        if let Some(value) = object.reach(&format!("/metadata/{field}")) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    let number = |at: &str| object.reach(at).and_then(Value::as_i64).unwrap_or(0);
    let mut status = json!({"replicas": number(&paths.status)});
    let selector = paths.selector.and_then(|at| object.reach(&at));
    if let (Some(selector), Some(status)) = (selector, status.as_object_mut()) {
        status.insert("selector".to_owned(), selector_text(selector).into());
    }
    let mut spec = Map::new();
    if number(&paths.replicas) != 0 {
        spec.insert("replicas".to_owned(), number(&paths.replicas).into());
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": metadata, "spec": spec, "status": status,
    })
}

fn scale_kind() -> Kind {
    Kind::new("autoscaling", "v1", "Scale", "scales")
}

async fn scale(call: &Call<'_>, kind: &Arc<Kind>, target: &Target) -> Result<Answer, Status> {
    if call.method == Method::GET {
        let object = resource::find(call, kind, target)?;
        let scale = scale_of(kind, &object.value());
        return resource::shown(call, &scale_kind(), &Object::unsaved("", scale), 200);
    }
    let mut options = input::options_of(call)?;
    let edit = input::edit_of(call, kind, target, &mut options)?;
    let paths = scale_paths(kind);
    let next = |current: &Value| {
        let before = scale_of(kind, current);
        let wanted = edit(&before)?;
        let revision = wanted.reach("/metadata/resourceVersion");
        if revision.is_some_and(|r| r != "" && Some(r) != before.reach("/metadata/resourceVersion"))
        {
            return Err(Status::modified(kind, &target.name));
        }
        let replicas = match wanted.reach("/spec/replicas") {
            None | Some(Value::Null) => 0,
            Some(value) => value.as_i64().unwrap_or(-1),
        };
        if replicas < 0 {
            let cause = Cause::invalid(
                "spec.replicas",
                &replicas.into(),
                "must be greater than or equal to 0",
            );
            return Err(Status::invalid(&scale_kind(), &target.name, &[cause]));
        }
        let mut next = current.clone();
        if let Some((parent, field)) = paths.replicas.rsplit_once('/')
            && let Some(parent) = next.reach_mut(parent).and_then(Value::as_object_mut)
        {
            parent.insert(field.to_owned(), replicas.into());
        }
        Ok(next)
    };
    let (namespace, name) = (&target.namespace, &target.name);
    let done = write::change(
        call.server,
        kind,
        namespace,
        name,
        Part::Main,
        &options,
        &next,
    )
    .await?;
    Ok(Answer::json(200, &scale_of(kind, &done.object.value())))
}

async fn bind(call: &Call<'_>, kind: &Arc<Kind>, target: &Target) -> Result<Answer, Status> {
    let binding = input::object_of(call, "Binding")?;
    let options = input::options_of(call)?;
    bind_pod(call.server, kind, target, &binding, &options).await?;
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
    });
    Ok(Answer::json(201, &status))
}

/// Gives a pod its node.
async fn bind_pod(
    server: &super::Server,
    kind: &Kind,
    target: &Target,
    binding: &Value,
    options: &Options,
) -> Result<(), Status> {
    let node = binding.reach("/target/name").and_then(Value::as_str);
    let node = node.unwrap_or_default().to_owned();
    if node.is_empty() {
        // The real server takes this for a mistake of its own.
        return Err(Status::new(500, "", "target.name: Required value"));
    }
    let next = |current: &Value| {
        let at = current.reach("/spec/nodeName").and_then(Value::as_str);
        if let Some(at) = at.filter(|at| !at.is_empty()) {
            let detail = format!("pod {} is already assigned to node \"{at}\"", target.name);
            return Err(Status::conflict(kind, &target.name, &detail));
        }
        let mut next = current.clone();
        json_patch::merge(&mut next, &json!({"spec": {"nodeName": node}}));
        scheduler::say_bound(&mut next);
        Ok(next)
    };
    let (namespace, name) = (&target.namespace, &target.name);
    write::change(server, kind, namespace, name, Part::Other, options, &next).await?;
    Ok(())
}

async fn evict(call: &Call<'_>, kind: &Arc<Kind>, target: &Target) -> Result<Answer, Status> {
    let eviction = input::object_of(call, "Eviction")?;
    let named = eviction.reach("/metadata/name").and_then(Value::as_str);
    if named.is_some_and(|named| named != target.name) {
        let message = "name in URL does not match name in Eviction object";
        return Err(Status::bad_request(message));
    }
    let mut options = input::options_of(call)?;
    let (deletion, dry) = input::deletion_from(call, &eviction, "/deleteOptions")?;
    options.dry_run |= dry;
    let pod = resource::find(call, kind, target)?;
    let value = pod.value();
    let text = |at: &str| value.reach(at).and_then(Value::as_str).unwrap_or_default();
    let ended = matches!(text("/status/phase"), "Succeeded" | "Failed" | "Pending");
    let going = value.reach("/metadata/deletionTimestamp").is_some();
    if !ended && !going && !options.dry_run {
        spend_budget(call, target, &pod).await?;
    }
    write::delete(
        call.server,
        kind,
        &target.namespace,
        &target.name,
        &deletion,
        &options,
    )
    .await?;
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
    });
    Ok(Answer::json(201, &status))
}

/// Takes one disruption from the budget that covers a pod, or refuses.
async fn spend_budget(
    call: &Call<'_>,
    target: &Target,
    pod: &crate::embedded::store::Object,
) -> Result<(), Status> {
    let Some(budgets) = call.server.kind("policy", "poddisruptionbudgets") else {
        return Ok(());
    };
    let listing = call.server.list(&budgets, &target.namespace);
    let covering: Vec<_> = listing
        .objects
        .iter()
        .filter(|budget| {
            let selector = budget.value().reach("/spec/selector").cloned();
            selector.is_some_and(|selector| {
                selector.is_object() && LabelSelector::from_json(&selector).matches_object(pod)
            })
        })
        .collect();
    let budget = match covering.as_slice() {
        [] => return Ok(()),
        [one] => one,
        _ => {
            return Err(Status::new(
                500,
                "InternalError",
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
            ));
        }
    };
    let value = budget.value();
    let number = |at: &str| value.reach(at).and_then(Value::as_i64).unwrap_or(0);
    if number("/status/disruptionsAllowed") <= 0 {
        let cause = Cause {
            reason: "DisruptionBudget",
            message: format!(
                "The disruption budget {} needs {} healthy pods and has {} currently",
                budget.name(),
                number("/status/desiredHealthy"),
                number("/status/currentHealthy")
            ),
            field: String::new(),
        };
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        return Err(Status::new(429, "TooManyRequests", message).causes(&[cause]));
    }
    let name = pod.name().to_owned();
    let now = write::now();
    let edit = move |value: &mut Value| {
        let left = value
            .reach("/status/disruptionsAllowed")
            .and_then(Value::as_i64);
        let left = left.unwrap_or(0) - 1;
        json_patch::merge(
            value,
            &json!({"status": {"disruptionsAllowed": left, "disruptedPods": {name.clone(): now}}}),
        );
    };
    let options = Options::controller("kube-apiserver");
    let (namespace, name) = (budget.namespace(), budget.name());
    call.server
        .modify(&budgets, namespace, name, Part::Status, &options, &edit)
        .await?;
    Ok(())
}

/// `POST /bindings`: the old place of a pod's binding.
pub(super) async fn bind_collection(call: &Call<'_>, target: &Target) -> Result<Answer, Status> {
    let binding = input::object_of(call, "Binding")?;
    let name = binding.reach("/metadata/name").and_then(Value::as_str);
    let target = Target {
        name: name.unwrap_or_default().to_owned(),
        ..target.clone()
    };
    let pods = call
        .server
        .kind("", "pods")
        .ok_or_else(Status::no_such_path)?;
    let options = input::options_of(call)?;
    bind_pod(call.server, &pods, &target, &binding, &options).await?;
    let done = Status::new(201, "", "");
    Ok(Answer::json(201, &done.to_json()))
}

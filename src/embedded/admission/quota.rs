//! ResourceQuotas: what is used, and who comes too late.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{list, text};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::quantity::{self, written};
use crate::embedded::reach::Reach as _;
use crate::embedded::server::Server;

/// What of a quota is used in its namespace, by name.
pub(in crate::embedded) fn used(
    server: &Server,
    namespace: &str,
    quota: &Value,
    hard: &Map<String, Value>,
) -> Map<String, Value> {
    let mut out = Map::new();
    for name in hard.keys() {
        let sum = sum(server, namespace, quota, name);
        out.insert(name.clone(), written(name, sum).into());
    }
    out
}

/// The resource that a name of a quota counts or measures.
fn measured(name: &str) -> (&str, &str) {
    if let Some(rest) = name.strip_prefix("count/") {
        return match rest.split_once('.') {
            Some((plural, group)) => (group, plural),
            None => ("", rest),
        };
    }
    match name {
        "services" | "services.loadbalancers" | "services.nodeports" => ("", "services"),
        "configmaps" | "secrets" | "replicationcontrollers" | "resourcequotas" => ("", name),
        "persistentvolumeclaims" | "requests.storage" => ("", "persistentvolumeclaims"),
        name if name.contains(".storageclass.storage.k8s.io/") => ("", "persistentvolumeclaims"),
        _ => ("", "pods"),
    }
}

fn sum(server: &Server, namespace: &str, quota: &Value, name: &str) -> i128 {
    let (group, plural) = measured(name);
    let Some(kind) = server.kind(group, plural) else {
        return 0;
    };
    let all = server.list(&kind, namespace).objects;
    all.iter()
        .map(|object| share(&kind, &object.value(), quota, name))
        .sum()
}

/// What one object takes of a quota's resource, in thousandths.
fn share(kind: &Kind, value: &Value, quota: &Value, name: &str) -> i128 {
    let one = |counts: bool| if counts { 1000 } else { 0 };
    match (kind.bucket(), name) {
        ("pods", name) => {
            let ended = matches!(text(value, "/status/phase"), "Succeeded" | "Failed");
            match name {
                _ if !in_scope(quota, value) => 0,
                "count/pods" => 1000,
                _ if ended => 0,
                "pods" => 1000,
                name => asked(value, name),
            }
        }
        ("services", "services.loadbalancers") => one(text(value, "/spec/type") == "LoadBalancer"),
        ("services", "services.nodeports") => {
            let open = matches!(text(value, "/spec/type"), "NodePort" | "LoadBalancer");
            if open {
                i128::try_from(list(value, "/spec/ports").count()).unwrap_or(0) * 1000
            } else {
                0
            }
        }
        ("persistentvolumeclaims", "requests.storage") => {
            let size = value.reach("/spec/resources/requests/storage");
            size.and_then(quantity::of).unwrap_or(0)
        }
        ("persistentvolumeclaims", name) => {
            match name.split_once(".storageclass.storage.k8s.io/") {
                None => 1000,
                Some((class, _)) if class != text(value, "/spec/storageClassName") => 0,
                Some((_, "requests.storage")) => {
                    let size = value.reach("/spec/resources/requests/storage");
                    size.and_then(quantity::of).unwrap_or(0)
                }
                Some(_) => 1000,
            }
        }
        _ => 1000,
    }
}

/// What a pod's containers ask for of one resource.
fn asked(pod: &Value, name: &str) -> i128 {
    let (field, resource) = split(name);
    let of = |container: &Value| {
        let amount = container.reach(&format!("/resources/{field}"));
        let amount = amount.and_then(|all| all.get(resource));
        amount.and_then(quantity::of).unwrap_or(0)
    };
    let together: i128 = list(pod, "/spec/containers").map(of).sum();
    // What comes first must fit alone.
    let first = list(pod, "/spec/initContainers").map(of).max();
    together.max(first.unwrap_or(0))
}

fn split(name: &str) -> (&str, &str) {
    match (name.strip_prefix("limits."), name.strip_prefix("requests.")) {
        (Some(rest), _) => ("limits", rest),
        (_, Some(rest)) => ("requests", rest),
        _ => ("requests", name),
    }
}

/// Whether a quota is about a pod.
fn in_scope(quota: &Value, pod: &Value) -> bool {
    let fits = |scope: &str, operator: &str, values: &[&str]| {
        let best_effort = text(pod, "/status/qosClass") == "BestEffort";
        let terminating = pod.reach("/spec/activeDeadlineSeconds").is_some();
        let class = text(pod, "/spec/priorityClassName");
        match scope {
            "BestEffort" => best_effort,
            "NotBestEffort" => !best_effort,
            "Terminating" => terminating,
            "NotTerminating" => !terminating,
            "PriorityClass" => match operator {
                "NotIn" => !values.contains(&class),
                "DoesNotExist" => class.is_empty(),
                "In" => values.contains(&class),
                _ => !class.is_empty(),
            },
            _ => true,
        }
    };
    let plain = list(quota, "/spec/scopes").filter_map(Value::as_str);
    let selected = list(quota, "/spec/scopeSelector/matchExpressions");
    plain.into_iter().all(|scope| fits(scope, "Exists", &[]))
        && selected.into_iter().all(|each| {
            let values: Vec<&str> = list(each, "/values").filter_map(Value::as_str).collect();
            fits(text(each, "/scopeName"), text(each, "/operator"), &values)
        })
}

/// Refuses an object, or what more of it there is than before, for which a quota of its namespace has no room.
pub(super) fn check(
    server: &Server,
    kind: &Kind,
    namespace: &str,
    name: &str,
    before: Option<&Value>,
    value: &Value,
) -> Result<(), Status> {
    if !kind.namespaced {
        return Ok(());
    }
    let Some(quotas) = server.kind("", "resourcequotas") else {
        return Ok(());
    };
    for object in server.list(&quotas, namespace).objects {
        let quota = object.value();
        let hard = quota.reach("/spec/hard").and_then(Value::as_object);
        let mut over: BTreeMap<&str, [String; 3]> = BTreeMap::new();
        let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (resource, limit) in hard.into_iter().flatten() {
            if measured(resource) != (kind.group.as_str(), kind.plural.as_str()) {
                continue;
            }
            if before.is_none() && kind.bucket() == "pods" && in_scope(&quota, value) {
                let lacking = lacking(value, resource);
                if !lacking.is_empty() {
                    missing.insert(resource, lacking);
                }
            }
            let had = before.map_or(0, |before| share(kind, before, &quota, resource));
            let wanted = share(kind, value, &quota, resource) - had;
            if wanted <= 0 {
                continue;
            }
            let used = sum(server, namespace, &quota, resource);
            let limit = quantity::of(limit).unwrap_or(0);
            if used + wanted > limit {
                let shown = [wanted, used, limit].map(|amount| written(resource, amount));
                over.insert(resource, shown);
            }
        }
        let fail = |why: &str| Err(Status::forbidden(kind, name, why));
        if !missing.is_empty() {
            let each: Vec<String> = missing
                .into_iter()
                .map(|(resource, names)| {
                    let names: Vec<&str> = names.into_iter().collect();
                    format!("{resource} for: {}", names.join(","))
                })
                .collect();
            let all = each.join("; ");
            return fail(&format!(
                "failed quota: {}: must specify {all}",
                object.name()
            ));
        }
        if !over.is_empty() {
            let part = |at: usize| {
                let each = over.iter().map(|(resource, shown)| {
                    format!("{resource}={}", shown.get(at).map_or("", String::as_str))
                });
                each.collect::<Vec<_>>().join(",")
            };
            return fail(&format!(
                "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                object.name(),
                part(0),
                part(1),
                part(2)
            ));
        }
    }
    Ok(())
}

/// The containers that don't say how much they need of what a quota measures.
fn lacking<'a>(pod: &'a Value, resource: &str) -> BTreeSet<&'a str> {
    let (field, name) = split(resource);
    if !matches!(name, "cpu" | "memory") {
        return BTreeSet::new();
    }
    let says = |container: &Value| {
        container
            .reach(&format!("/resources/{field}"))
            .is_some_and(|all| all.get(name).is_some())
    };
    ["/spec/containers", "/spec/initContainers"]
        .iter()
        .flat_map(|at| list(pod, at))
        .filter(|container| !says(container))
        .map(|container| text(container, "/name"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{measured, split};

    #[test]
    fn names_say_what_is_measured() {
        assert_eq!(measured("count/deployments.apps"), ("apps", "deployments"));
        assert_eq!(measured("count/configmaps"), ("", "configmaps"));
        assert_eq!(measured("requests.cpu"), ("", "pods"));
        assert_eq!(measured("requests.storage"), ("", "persistentvolumeclaims"));
        assert_eq!(split("limits.memory"), ("limits", "memory"));
        assert_eq!(split("cpu"), ("requests", "cpu"));
    }
}

//! LimitRanges: what they fill in, and what they refuse.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{list, text};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::quantity::{self, written};
use crate::embedded::reach::Reach as _;
use crate::embedded::server::Server;

/// Completes a LimitRange: a maximum is also a default, and a default also a request.
pub(in crate::embedded) fn complete(value: &mut Value) {
    let limits = value
        .reach_mut("/spec/limits")
        .and_then(Value::as_array_mut);
    for limit in limits.into_iter().flatten() {
        if text(limit, "/type") != "Container" {
            continue;
        }
        for (from, to) in [
            ("max", "default"),
            ("default", "defaultRequest"),
            ("min", "defaultRequest"),
        ] {
            let Some(source) = limit.get(from).and_then(Value::as_object).cloned() else {
                continue;
            };
            let Some(limit) = limit.as_object_mut() else {
                continue;
            };
            let target = limit.entry(to).or_insert_with(|| json!({}));
            for (name, amount) in source {
                if let Some(target) = target.as_object_mut() {
                    target.entry(name).or_insert(amount);
                }
            }
        }
    }
}

fn ranges(server: &Server, namespace: &str) -> Vec<Value> {
    let Some(kind) = server.kind("", "limitranges") else {
        return Vec::new();
    };
    let all = server.list(&kind, namespace).objects;
    all.iter().map(|object| (*object.value()).clone()).collect()
}

/// Fills in what a pod's containers leave out.
pub(in crate::embedded) fn fill(server: &Server, namespace: &str, pod: &mut Value) {
    let mut notes = Vec::new();
    for range in ranges(server, namespace) {
        let of = |field: &str| -> Map<String, Value> {
            let mut all = Map::new();
            for limit in list(&range, "/spec/limits").filter(|l| text(l, "/type") == "Container") {
                if let Some(own) = limit.get(field).and_then(Value::as_object) {
                    all.extend(own.clone());
                }
            }
            all
        };
        let (requests, limits) = (of("defaultRequest"), of("default"));
        for (field, title) in [
            ("containers", "container"),
            ("initContainers", "init container"),
        ] {
            let containers = pod.reach_mut(&format!("/spec/{field}"));
            let containers = containers.and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                let name = text(container, "/name").to_owned();
                for (what, defaults) in [("requests", &requests), ("limits", &limits)] {
                    let set = fill_one(container, what, defaults);
                    if !set.is_empty() {
                        let what = what.trim_end_matches('s');
                        notes.push(format!("{} {what} for {title} {name}", set.join(", ")));
                    }
                }
            }
        }
    }
    if notes.is_empty() {
        return;
    }
    let note = format!("LimitRanger plugin set: {}", notes.join("; "));
    let annotations = json!({"kubernetes.io/limit-ranger": note});
    json_patch::merge(pod, &json!({"metadata": {"annotations": annotations}}));
}

fn fill_one(container: &mut Value, what: &str, defaults: &Map<String, Value>) -> Vec<String> {
    let mut set: Vec<String> = Vec::new();
    for (name, amount) in defaults {
        if container
            .reach(&format!("/resources/{what}"))
            .and_then(|r| r.get(name))
            .is_none()
        {
            json_patch::merge(
                container,
                &json!({"resources": {what: {name.clone(): amount}}}),
            );
            set.push(name.clone());
        }
    }
    set.sort();
    set
}

/// What a container or a whole pod asks for.
#[derive(Default)]
struct Asked {
    requests: BTreeMap<String, i128>,
    limits: BTreeMap<String, i128>,
}

impl Asked {
    fn add(&mut self, resources: Option<&Value>) {
        for (field, sums) in [
            ("requests", &mut self.requests),
            ("limits", &mut self.limits),
        ] {
            let own = resources
                .and_then(|r| r.get(field))
                .and_then(Value::as_object);
            for (name, amount) in own.into_iter().flatten() {
                *sums.entry(name.clone()).or_default() += quantity::of(amount).unwrap_or(0);
            }
        }
    }
}

/// Refuses a new object that a LimitRange of its namespace doesn't allow.
pub(super) fn check(
    server: &Server,
    kind: &Kind,
    namespace: &str,
    name: &str,
    value: &Value,
) -> Result<(), Status> {
    let bucket = kind.bucket();
    if !matches!(bucket, "pods" | "persistentvolumeclaims") {
        return Ok(());
    }
    let mut wrong = Vec::new();
    for range in ranges(server, namespace) {
        for limit in list(&range, "/spec/limits") {
            match (bucket, text(limit, "/type")) {
                ("persistentvolumeclaims", "PersistentVolumeClaim") => {
                    let mut asked = Asked::default();
                    asked.add(value.reach("/spec/resources"));
                    // Claims have no limits; what they ask for is what they get.
                    asked.limits.clear();
                    compare(limit, &asked, &mut wrong);
                }
                ("pods", "Container") => {
                    for field in ["/spec/containers", "/spec/initContainers"] {
                        for container in list(value, field) {
                            let mut asked = Asked::default();
                            asked.add(container.get("resources"));
                            compare(limit, &asked, &mut wrong);
                        }
                    }
                }
                ("pods", "Pod") => {
                    let mut asked = Asked::default();
                    for container in list(value, "/spec/containers") {
                        asked.add(container.get("resources"));
                    }
                    compare(limit, &asked, &mut wrong);
                }
                _ => {}
            }
        }
    }
    match wrong.as_slice() {
        [] => Ok(()),
        [one] => Err(Status::forbidden(kind, name, one)),
        many => {
            let all = format!("[{}]", many.join(", "));
            Err(Status::forbidden(kind, name, &all))
        }
    }
}

fn sorted(limit: &Value, field: &str) -> BTreeMap<String, Value> {
    let map = limit.get(field).and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn compare(limit: &Value, asked: &Asked, wrong: &mut Vec<String>) {
    let of = text(limit, "/type");
    for (name, least) in sorted(limit, "min") {
        let bound = quantity::of(&least).unwrap_or(0);
        let least = literal(&least);
        let small = |found: &i128| *found < bound;
        match asked.requests.get(&name) {
            None => wrong.push(format!(
                "minimum {name} usage per {of} is {least}.  No request is specified"
            )),
            Some(found) if small(found) => wrong.push(format!(
                "minimum {name} usage per {of} is {least}, but request is {}",
                written(&name, *found)
            )),
            Some(_) => {}
        }
        if let Some(found) = asked.limits.get(&name).filter(|found| small(found)) {
            wrong.push(format!(
                "minimum {name} usage per {of} is {least}, but limit is {}",
                written(&name, *found)
            ));
        }
    }
    for (name, most) in sorted(limit, "max") {
        let bound = quantity::of(&most).unwrap_or(0);
        let most = literal(&most);
        if of == "PersistentVolumeClaim" {
            if let Some(found) = asked.requests.get(&name).filter(|found| **found > bound) {
                wrong.push(format!(
                    "maximum {name} usage per {of} is {most}, but request is {}",
                    written(&name, *found)
                ));
            }
            continue;
        }
        match asked.limits.get(&name) {
            None => wrong.push(format!(
                "maximum {name} usage per {of} is {most}.  No limit is specified"
            )),
            Some(found) if *found > bound => wrong.push(format!(
                "maximum {name} usage per {of} is {most}, but limit is {}",
                written(&name, *found)
            )),
            Some(_) => {}
        }
    }
    for (name, ratio) in sorted(limit, "maxLimitRequestRatio") {
        let bound = quantity::of(&ratio).unwrap_or(0);
        let ratio = literal(&ratio);
        let request = asked.requests.get(&name).filter(|request| **request > 0);
        let (Some(request), Some(most)) = (request, asked.limits.get(&name)) else {
            wrong.push(format!(
                "{name} max limit to request ratio per {of} is {ratio}, but no request is specified or request is 0"
            ));
            continue;
        };
        let found = *most as f64 / *request as f64;
        if found > bound as f64 / 1000.0 {
            wrong.push(format!(
                "{name} max limit to request ratio per {of} is {ratio}, but provided ratio is {found:.6}"
            ));
        }
    }
}

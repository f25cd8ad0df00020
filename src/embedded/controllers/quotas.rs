//! Resource quotas: how much of what a namespace may have is used.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::owned::{is_going, set_status, text};
use super::{Context, Controller, Next};
use crate::embedded::api::status::Status;
use crate::embedded::quantity;
use crate::embedded::store::Change;

const NAME: &str = "resourcequota-controller";

/// The controller.
pub(super) struct Quotas;

impl Controller for Quotas {
    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("", "resourcequotas"),
            ("", "pods"),
            ("", "services"),
            ("", "persistentvolumeclaims"),
            ("", "configmaps"),
            ("", "secrets"),
            ("", "replicationcontrollers"),
        ]
    }

    fn keys(&mut self, context: &Context, source: usize, change: &Change) -> Vec<String> {
        if source == 0 {
            return vec![change.object.key().to_owned()];
        }
        let Ok(kind) = context.kind("", "resourcequotas") else {
            return Vec::new();
        };
        let all = context.server.list(&kind, change.object.namespace());
        let keys = all.objects.iter().map(|quota| quota.key().to_owned());
        keys.collect()
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let kind = context.kind("", "resourcequotas")?;
        let Some(object) = context.find(&kind, key) else {
            return Ok(Next::Done);
        };
        let value = object.value();
        if is_going(&value) {
            return Ok(Next::Done);
        }
        let hard = value.pointer("/spec/hard").and_then(Value::as_object);
        let hard = hard.cloned().unwrap_or_default();
        let mut used = Map::new();
        let mut pods = None;
        for name in hard.keys() {
            let sum = match counted(name) {
                Some((group, plural)) => count(context, object.namespace(), group, plural, name),
                None => pods
                    .get_or_insert_with(|| asked(context, object.namespace()))
                    .get(name.strip_prefix("requests.").unwrap_or(name))
                    .copied()
                    .unwrap_or(0),
            };
            used.insert(name.clone(), written(name, sum).into());
        }
        let status = json!({"hard": hard, "used": used});
        set_status(context, &kind, &object, status, NAME).await?;
        Ok(Next::Done)
    }
}

/// The resource whose objects a name of a quota counts.
fn counted(name: &str) -> Option<(&str, &str)> {
    if let Some(rest) = name.strip_prefix("count/") {
        return Some(match rest.split_once('.') {
            Some((plural, group)) => (group, plural),
            None => ("", rest),
        });
    }
    match name {
        "services" | "services.loadbalancers" | "services.nodeports" => Some(("", "services")),
        "pods"
        | "configmaps"
        | "secrets"
        | "persistentvolumeclaims"
        | "replicationcontrollers"
        | "resourcequotas" => Some(("", name)),
        _ => None,
    }
}

/// How many there are, in thousandths.
fn count(context: &Context, namespace: &str, group: &str, plural: &str, name: &str) -> i128 {
    let Ok(kind) = context.kind(group, plural) else {
        return 0;
    };
    let counts = |value: &Value| match name {
        "pods" => !matches!(text(value, "/status/phase"), "Succeeded" | "Failed"),
        "services.loadbalancers" => text(value, "/spec/type") == "LoadBalancer",
        "services.nodeports" => matches!(text(value, "/spec/type"), "NodePort" | "LoadBalancer"),
        _ => true,
    };
    let all = context.server.list(&kind, namespace).objects;
    let number = all.iter().filter(|object| counts(&object.value())).count();
    i128::try_from(number).unwrap_or(0) * 1000
}

/// What pods and claims of a namespace ask for, and their limits as `limits.NAME`; in thousandths.
fn asked(context: &Context, namespace: &str) -> BTreeMap<String, i128> {
    let mut sums: BTreeMap<String, i128> = BTreeMap::new();
    let mut add = |resources: Option<&Value>, prefix: &str| {
        let resources = resources.and_then(Value::as_object);
        for (name, amount) in resources.into_iter().flatten() {
            let sum = sums.entry(format!("{prefix}{name}")).or_default();
            *sum += quantity::of(amount).unwrap_or(0);
        }
    };
    if let Ok(kind) = context.kind("", "pods") {
        for pod in context.server.list(&kind, namespace).objects {
            let value = pod.value();
            if matches!(text(&value, "/status/phase"), "Succeeded" | "Failed") {
                continue;
            }
            let containers = value.pointer("/spec/containers").and_then(Value::as_array);
            for container in containers.into_iter().flatten() {
                add(container.pointer("/resources/requests"), "");
                add(container.pointer("/resources/limits"), "limits.");
            }
        }
    }
    if let Ok(kind) = context.kind("", "persistentvolumeclaims") {
        for claim in context.server.list(&kind, namespace).objects {
            add(claim.value().pointer("/spec/resources/requests"), "");
        }
    }
    sums
}

/// An amount as the API would write it.
fn written(name: &str, milli: i128) -> String {
    if milli % 1000 != 0 {
        return format!("{milli}m");
    }
    let whole = milli / 1000;
    let bytes = name.ends_with("memory") || name.ends_with("storage");
    if bytes && whole != 0 {
        for (shift, unit) in [(40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")] {
            if whole % (1 << shift) == 0 {
                return format!("{}{unit}", whole >> shift);
            }
        }
    }
    whole.to_string()
}

#[cfg(test)]
mod tests {
    use super::{counted, written};

    #[test]
    fn amounts_are_written_in_the_largest_unit_that_is_exact() {
        assert_eq!(written("requests.cpu", 1500), "1500m");
        assert_eq!(written("cpu", 2000), "2");
        assert_eq!(written("requests.memory", 3 * (1 << 30) * 1000), "3Gi");
        assert_eq!(written("pods", 1024 * 1000), "1024");
        assert_eq!(written("memory", 0), "0");
    }

    #[test]
    fn names_say_what_is_counted() {
        assert_eq!(
            counted("count/deployments.apps"),
            Some(("apps", "deployments"))
        );
        assert_eq!(counted("count/configmaps"), Some(("", "configmaps")));
        assert_eq!(counted("requests.cpu"), None);
    }
}

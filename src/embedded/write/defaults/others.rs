//! Values filled in for kinds that make no pods.

use serde_json::{Map, Value, json};

use super::{list, object, set, template};
use crate::embedded::access::rbac::GROUP;
use crate::embedded::api::registry::Kind;
use crate::embedded::reach::Reach as _;

/// Fills in an object of a group's resource.
pub(super) fn apply(group: &str, plural: &str, value: &mut Value) {
    let Some(root) = value.as_object_mut() else {
        return;
    };
    match (group, plural) {
        ("", "endpoints") => {
            for subset in list(root, "subsets") {
                for port in list(subset, "ports") {
                    set(port, "protocol", json!("TCP"));
                }
            }
        }
        ("", "podtemplates") => template(root),
        ("", "replicationcontrollers") => controller(root),
        ("", "limitranges") => limits(root),
        ("apps", "daemonsets") => {
            if let Some(metadata) = object(root, "metadata")
                && let Some(annotations) = object(metadata, "annotations")
            {
                set(annotations, GENERATION, json!("1"));
            }
        }
        ("discovery.k8s.io", "endpointslices") => {
            for endpoint in list(root, "endpoints") {
                set(endpoint, "conditions", json!({}));
            }
            for port in list(root, "ports") {
                set(port, "name", json!(""));
                set(port, "protocol", json!("TCP"));
            }
        }
        ("rbac.authorization.k8s.io", _) => access(root),
        ("admissionregistration.k8s.io", _) => admission(plural, root),
        ("storage.k8s.io", "csidrivers") => {
            if let Some(spec) = object(root, "spec") {
                set(spec, "attachRequired", json!(true));
                set(spec, "podInfoOnMount", json!(false));
                set(spec, "volumeLifecycleModes", json!(["Persistent"]));
                set(spec, "storageCapacity", json!(false));
                set(spec, "fsGroupPolicy", json!("ReadWriteOnceWithFSType"));
                set(spec, "requiresRepublish", json!(false));
                set(spec, "seLinuxMount", json!(false));
            }
        }
        ("networking.k8s.io", "networkpolicies") => network_policy(root),
        ("networking.k8s.io", "ingressclasses") => {
            let parameters = root.get_mut("spec").and_then(|s| s.get_mut("parameters"));
            if let Some(parameters) = parameters.and_then(Value::as_object_mut) {
                set(parameters, "scope", json!("Cluster"));
            }
        }
        ("flowcontrol.apiserver.k8s.io", _) => flow(plural, root),
        ("resource.k8s.io", _) => {
            let requests = root
                .get_mut("spec")
                .and_then(|spec| spec.reach_mut("/devices/requests"))
                .and_then(Value::as_array_mut);
            for request in requests.into_iter().flatten() {
                let exactly = request.get_mut("exactly").and_then(Value::as_object_mut);
                if let Some(exactly) = exactly {
                    set(exactly, "allocationMode", json!("ExactCount"));
                    if exactly.get("allocationMode") == Some(&json!("ExactCount")) {
                        set(exactly, "count", json!(1));
                    }
                }
            }
        }
        _ => {}
    }
}

/// Where a daemon set counts its templates, as it did before objects had generations.
pub(in crate::embedded) const GENERATION: &str = "deprecated.daemonset.template.generation";

/// Counts on where a daemon set's template changed; what anybody else writes there does not count.
pub(in crate::embedded::write) fn count_templates(kind: &Kind, before: &Value, value: &mut Value) {
    if kind.bucket() != "daemonsets.apps" {
        return;
    }
    let counted = before
        .reach("/metadata/annotations")
        .and_then(|all| all.get(GENERATION)?.as_str());
    let counted: u64 = counted.and_then(|text| text.parse().ok()).unwrap_or(1);
    let changed = before.reach("/spec/template") != value.reach("/spec/template");
    let now = counted + u64::from(changed);
    json_patch::merge(
        value,
        &json!({"metadata": {"annotations": {GENERATION: now.to_string()}}}),
    );
}

/// Fields of events are always there, even if they say nothing; they are nobody's.
pub(in crate::embedded::write) fn event(root: &mut Map<String, Value>) {
    for (field, nothing) in [
        ("source", json!({})),
        ("firstTimestamp", Value::Null),
        ("lastTimestamp", Value::Null),
        ("eventTime", Value::Null),
        ("reportingComponent", json!("")),
        ("reportingInstance", json!("")),
    ] {
        root.entry(field).or_insert(nothing);
    }
}

/// A replication controller takes from its template what it does not say itself.
fn controller(root: &mut Map<String, Value>) {
    let labels = root
        .get("spec")
        .and_then(|spec| spec.reach("/template/metadata/labels"))
        .filter(|labels| labels.as_object().is_some_and(|map| !map.is_empty()))
        .cloned();
    let Some(labels) = labels else {
        return;
    };
    if let Some(spec) = object(root, "spec") {
        set(spec, "selector", labels.clone());
    }
    if let Some(metadata) = object(root, "metadata") {
        set(metadata, "labels", labels);
    }
}

/// A limit that is given is the default of the next weaker one.
fn limits(root: &mut Map<String, Value>) {
    let Some(spec) = object(root, "spec") else {
        return;
    };
    for limit in list(spec, "limits") {
        if limit.get("type") != Some(&json!("Container")) {
            continue;
        }
        for (from, to) in [
            ("max", "default"),
            ("default", "defaultRequest"),
            ("min", "defaultRequest"),
        ] {
            let Some(Value::Object(given)) = limit.get(from).cloned() else {
                continue;
            };
            if let Some(slot) = object(limit, to) {
                for (name, amount) in given {
                    set(slot, &name, amount);
                }
            }
        }
    }
}

fn access(root: &mut Map<String, Value>) {
    if root.contains_key("aggregationRule") {
        root.entry("rules").or_insert(Value::Null);
    }
    if let Some(role) = root.get_mut("roleRef").and_then(Value::as_object_mut) {
        set(role, "apiGroup", json!(GROUP));
    }
    for subject in list(root, "subjects") {
        if matches!(
            subject.get("kind").and_then(Value::as_str),
            Some("User" | "Group")
        ) {
            set(subject, "apiGroup", json!(GROUP));
        }
    }
}

fn rules(of: &mut Map<String, Value>, field: &str) {
    for rule in list(of, field) {
        set(rule, "scope", json!("*"));
    }
}

fn admission(plural: &str, root: &mut Map<String, Value>) {
    for hook in list(root, "webhooks") {
        set(hook, "failurePolicy", json!("Fail"));
        set(hook, "matchPolicy", json!("Equivalent"));
        set(hook, "namespaceSelector", json!({}));
        set(hook, "objectSelector", json!({}));
        set(hook, "timeoutSeconds", json!(10));
        if plural == "mutatingwebhookconfigurations" {
            set(hook, "reinvocationPolicy", json!("Never"));
        }
        rules(hook, "rules");
        let service = hook
            .get_mut("clientConfig")
            .and_then(|config| config.get_mut("service"));
        if let Some(service) = service.and_then(Value::as_object_mut) {
            set(service, "port", json!(443));
        }
    }
    let Some(spec) = root.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    if plural == "validatingadmissionpolicies" {
        set(spec, "failurePolicy", json!("Fail"));
    }
    for field in ["matchConstraints", "matchResources"] {
        if let Some(matching) = spec.get_mut(field).and_then(Value::as_object_mut) {
            set(matching, "matchPolicy", json!("Equivalent"));
            set(matching, "namespaceSelector", json!({}));
            set(matching, "objectSelector", json!({}));
            rules(matching, "resourceRules");
            rules(matching, "excludeResourceRules");
        }
    }
}

fn network_policy(root: &mut Map<String, Value>) {
    let Some(spec) = object(root, "spec") else {
        return;
    };
    // A policy is always about what comes in, and about what goes out if it says so.
    let types = match spec.contains_key("egress") {
        true => json!(["Ingress", "Egress"]),
        false => json!(["Ingress"]),
    };
    set(spec, "policyTypes", types);
    for direction in ["ingress", "egress"] {
        for rule in list(spec, direction) {
            for port in list(rule, "ports") {
                set(port, "protocol", json!("TCP"));
            }
        }
    }
}

fn flow(plural: &str, root: &mut Map<String, Value>) {
    let Some(spec) = object(root, "spec") else {
        return;
    };
    if plural == "flowschemas" {
        set(spec, "matchingPrecedence", json!(1000));
        return;
    }
    if let Some(limited) = spec.get_mut("limited").and_then(Value::as_object_mut) {
        set(limited, "nominalConcurrencyShares", json!(30));
        set(limited, "lendablePercent", json!(0));
        let queuing = limited
            .get_mut("limitResponse")
            .and_then(|response| response.get_mut("queuing"));
        if let Some(queuing) = queuing.and_then(Value::as_object_mut) {
            set(queuing, "queues", json!(64));
            set(queuing, "handSize", json!(8));
            set(queuing, "queueLengthLimit", json!(50));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::apply;

    fn filled(group: &str, plural: &str, mut value: Value) -> Value {
        apply(group, plural, &mut value);
        value
    }

    #[test]
    fn limits_are_defaults_of_weaker_ones() {
        let range = json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}, "min": {"memory": "1Mi"}}]}});
        let filled = filled("", "limitranges", range);
        let limit = &filled["spec"]["limits"][0];
        assert_eq!(limit["default"], json!({"cpu": "1"}));
        assert_eq!(
            limit["defaultRequest"],
            json!({"cpu": "1", "memory": "1Mi"})
        );
    }

    #[test]
    fn policies_are_about_what_comes_in() {
        let filled = filled(
            "networking.k8s.io",
            "networkpolicies",
            json!({"spec": {"podSelector": {}}}),
        );
        assert_eq!(filled["spec"]["policyTypes"], json!(["Ingress"]));
    }
}

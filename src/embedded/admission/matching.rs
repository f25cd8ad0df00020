//! Which requests a policy or a hook is about.

use serde_json::Value;

use super::{Request, list, text};
use crate::embedded::api::selector::LabelSelector;
use crate::embedded::reach::Reach as _;

/// Whether rules, selectors and exclusions of a `matchConstraints`, a `matchResources` or a hook take a request.
pub(super) fn takes(
    of: &Value,
    rules: &str,
    request: &Request<'_>,
    before: Option<&Value>,
    value: Option<&Value>,
) -> bool {
    let equivalent = text(of, "/matchPolicy") != "Exact";
    let any = |at: &str| list(of, at).any(|rule| rule_takes(rule, request, equivalent));
    let named = of.reach(rules).and_then(Value::as_array);
    // A binding without rules leaves that to its policy.
    let wanted = named.is_none_or(Vec::is_empty) && rules.ends_with("resourceRules") || any(rules);
    wanted
        && !any("/excludeResourceRules")
        && namespace_fits(of, request, before, value)
        && object_fits(of, before, value)
}

fn has(rule: &Value, at: &str, wanted: &str) -> bool {
    list(rule, at).any(|each| each == "*" || each == wanted)
}

fn rule_takes(rule: &Value, request: &Request<'_>, equivalent: bool) -> bool {
    let kind = request.kind;
    let scope_fits = match text(rule, "/scope") {
        "Namespaced" => kind.namespaced,
        "Cluster" => !kind.namespaced,
        _ => true,
    };
    let version_fits = has(rule, "/apiVersions", &kind.version)
        || equivalent
            && list(rule, "/apiVersions")
                .filter_map(Value::as_str)
                .any(|version| {
                    let registry = request.server.registry();
                    registry.find(&kind.group, version, &kind.plural).is_some()
                });
    let names = rule.get("resourceNames").and_then(Value::as_array);
    let name_fits =
        names.is_none_or(|names| names.is_empty() || names.iter().any(|n| n == request.name));
    scope_fits
        && has(rule, "/operations", request.operation.name())
        && has(rule, "/apiGroups", &kind.group)
        && version_fits
        && name_fits
        && list(rule, "/resources")
            .filter_map(Value::as_str)
            .any(|resource| resource_fits(resource, &kind.plural, request.part))
}

/// `pods`, `pods/status`, `pods/*`, `*/status`, `*`, `*/*`.
fn resource_fits(pattern: &str, plural: &str, part: &str) -> bool {
    let fits = |pattern: &str, word: &str| pattern == "*" || pattern == word;
    match pattern.split_once('/') {
        Some((resource, wanted)) => {
            fits(resource, plural) && (wanted == "*" || wanted == part && !part.is_empty())
        }
        None => fits(pattern, plural) && part.is_empty(),
    }
}

/// Whether a selector takes an object's labels; one that is not there takes all.
fn selects(selector: Option<&Value>, object: &Value) -> bool {
    let Some(selector) = selector.filter(|selector| selector.is_object()) else {
        return true;
    };
    let labels = object.reach("/metadata/labels");
    LabelSelector::from_json(selector).matches(|key| labels?.get(key)?.as_str())
}

fn namespace_fits(
    of: &Value,
    request: &Request<'_>,
    before: Option<&Value>,
    value: Option<&Value>,
) -> bool {
    let selector = of.get("namespaceSelector");
    if request.kind.bucket() == "namespaces" {
        return value
            .or(before)
            .is_none_or(|namespace| selects(selector, namespace));
    }
    if !request.kind.namespaced {
        return true;
    }
    let namespace = request
        .server
        .kind("", "namespaces")
        .and_then(|kind| request.server.get(&kind, "", request.namespace));
    match namespace {
        Some(namespace) => selects(selector, &namespace.value()),
        None => selects(selector, &Value::Null),
    }
}

fn object_fits(of: &Value, before: Option<&Value>, value: Option<&Value>) -> bool {
    let selector = of.get("objectSelector");
    [before, value]
        .into_iter()
        .flatten()
        .any(|object| selects(selector, object))
}

#[cfg(test)]
mod tests {
    use super::resource_fits;

    #[test]
    fn patterns_of_resources() {
        for (pattern, part, expected) in [
            ("pods", "", true),
            ("pods", "status", false),
            ("pods/status", "status", true),
            ("pods/*", "", true),
            ("pods/*", "status", true),
            ("*/status", "status", true),
            ("*/status", "", false),
            ("*", "", true),
            ("*", "status", false),
            ("*/*", "status", true),
            ("services", "", false),
        ] {
            assert_eq!(
                resource_fits(pattern, "pods", part),
                expected,
                "{pattern} {part}"
            );
        }
    }
}

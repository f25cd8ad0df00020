//! Who may do what: roles and bindings.

use serde_json::Value;

use super::User;
use crate::embedded::server::Server;

/// The group of roles and bindings.
pub(in crate::embedded) const GROUP: &str = "rbac.authorization.k8s.io";

/// What somebody wants to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// Such as `get`.
    pub verb: String,
    /// Empty for the core group.
    pub group: String,
    /// Such as `pods`; empty for a path that is about no object.
    pub resource: String,
    /// Such as `log`.
    pub subresource: String,
    /// Empty for the whole cluster.
    pub namespace: String,
    /// Empty for the whole collection.
    pub name: String,
    /// The path, if it is about no object.
    pub path: String,
}

impl Attempt {
    pub(in crate::embedded) fn full_resource(&self) -> String {
        match self.subresource.as_str() {
            "" => self.resource.clone(),
            part => format!("{}/{part}", self.resource),
        }
    }

    /// Why it is refused, as the API words it.
    pub fn refusal(&self, user: &User) -> String {
        if self.resource.is_empty() {
            return format!(
                "User \"{}\" cannot {} path \"{}\"",
                user.name, self.verb, self.path
            );
        }
        let place = match self.namespace.as_str() {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace \"{namespace}\""),
        };
        format!(
            "User \"{}\" cannot {} resource \"{}\" in API group \"{}\" {place}",
            user.name,
            self.verb,
            self.full_resource(),
            self.group
        )
    }
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    let list = value.get(name).and_then(Value::as_array);
    list.into_iter().flatten()
}

fn has(rule: &Value, name: &str, wanted: &str) -> bool {
    list(rule, name).any(|each| each == "*" || each == wanted)
}

/// Whether a rule allows an attempt.
pub(in crate::embedded) fn allows(rule: &Value, attempt: &Attempt) -> bool {
    if !has(rule, "verbs", &attempt.verb) {
        return false;
    }
    if attempt.resource.is_empty() {
        return list(rule, "nonResourceURLs")
            .filter_map(Value::as_str)
            .any(|url| match url.strip_suffix('*') {
                Some(start) => attempt.path.starts_with(start),
                None => attempt.path == url,
            });
    }
    let named = rule.get("resourceNames").and_then(Value::as_array);
    let name_fits = named.is_none_or(|names| {
        names.is_empty() || names.iter().any(|name| name == attempt.name.as_str())
    });
    let any_part = format!("*/{}", attempt.subresource);
    let resource_fits = has(rule, "resources", &attempt.full_resource())
        || !attempt.subresource.is_empty() && has(rule, "resources", &any_part);
    has(rule, "apiGroups", &attempt.group) && resource_fits && name_fits
}

fn is_about(subject: &Value, namespace: &str, user: &User) -> bool {
    let name = text(subject, "name");
    match text(subject, "kind") {
        "User" => name == user.name,
        "Group" => user.is_in(name),
        "ServiceAccount" => {
            let own = match text(subject, "namespace") {
                "" => namespace,
                own => own,
            };
            user.name == format!("system:serviceaccount:{own}:{name}")
        }
        _ => false,
    }
}

/// Of which kind the role is that a binding refers to.
pub(in crate::embedded) fn plural_of(reference: &Value) -> &'static str {
    match text(reference, "kind") {
        "ClusterRole" => "clusterroles",
        _ => "roles",
    }
}

/// The rules of the role that a binding in a namespace refers to; `None` if there is no such role.
pub(in crate::embedded) fn rules_of(
    server: &Server,
    reference: &Value,
    namespace: &str,
) -> Option<Vec<Value>> {
    let plural = plural_of(reference);
    let place = match plural {
        "roles" => namespace,
        _ => "",
    };
    let kind = server.kind(GROUP, plural)?;
    let role = server.get(&kind, place, text(reference, "name"))?;
    Some(list(&role.value(), "rules").cloned().collect())
}

/// The rules that a user has: in the cluster, and in a namespace.
pub fn rules(server: &Server, user: &User, namespace: &str) -> Vec<Value> {
    let mut rules = Vec::new();
    let mut collect = |plural: &str, place: &str| {
        let Some(kind) = server.kind(GROUP, plural) else {
            return;
        };
        for binding in server.list(&kind, place).objects {
            let binding = binding.value();
            if !list(&binding, "subjects").any(|subject| is_about(subject, place, user)) {
                continue;
            }
            let Some(role) = binding.get("roleRef") else {
                continue;
            };
            rules.extend(rules_of(server, role, place).unwrap_or_default());
        }
    };
    collect("clusterrolebindings", "");
    if !namespace.is_empty() {
        collect("rolebindings", namespace);
    }
    rules
}

/// Whether a user may do something.
pub fn may(server: &Server, user: &User, attempt: &Attempt) -> bool {
    user.is_in("system:masters")
        || rules(server, user, &attempt.namespace)
            .iter()
            .any(|rule| allows(rule, attempt))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Attempt, allows};

    #[test]
    fn rules_allow_what_they_name() {
        let rule = json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "*/scale"], "resourceNames": []});
        let attempt = |verb: &str, resource: &str, part: &str| Attempt {
            verb: verb.to_owned(),
            resource: resource.to_owned(),
            subresource: part.to_owned(),
            ..Attempt::default()
        };
        assert!(allows(&rule, &attempt("get", "pods", "")));
        assert!(allows(&rule, &attempt("get", "things", "scale")));
        assert!(!allows(&rule, &attempt("get", "pods", "log")));
        assert!(!allows(&rule, &attempt("delete", "pods", "")));
        let rule = json!({"verbs": ["get"], "nonResourceURLs": ["/healthz", "/api/*"]});
        let path = |path: &str| Attempt {
            verb: "get".to_owned(),
            path: path.to_owned(),
            ..Attempt::default()
        };
        assert!(allows(&rule, &path("/api/v1")));
        assert!(!allows(&rule, &path("/healthz/x")));
    }
}

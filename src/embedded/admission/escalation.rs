//! Nobody gives others rights that they do not have: roles and bindings are held to what their author may do.
//!
//! Who may `escalate` a role or `bind` it goes past that, as do the masters.

use serde_json::{Map, Value, json};

use super::User;
use super::rbac::{self, Attempt, list, text};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::server::Server;

const GROUP: &str = "rbac.authorization.k8s.io";

/// What somebody writes, and where.
pub(in crate::embedded) struct Grant<'a> {
    pub(in crate::embedded) server: &'a Server,
    pub(in crate::embedded) user: &'a User,
    pub(in crate::embedded) kind: &'a Kind,
    pub(in crate::embedded) namespace: &'a str,
    pub(in crate::embedded) name: &'a str,
}

/// Refuses a role or a binding that gives more than its author has.
pub(in crate::embedded) fn check(
    grant: &Grant<'_>,
    before: Option<&Value>,
    value: &Value,
) -> Result<(), Status> {
    if grant.kind.group != GROUP || grant.user.is_in("system:masters") {
        return Ok(());
    }
    let same = |field: &str| before.is_some_and(|before| before.get(field) == value.get(field));
    let rules = match grant.kind.plural.as_str() {
        "roles" | "clusterroles" => {
            if same("rules") && same("aggregationRule")
                || may(grant, "escalate", &grant.kind.plural, grant.name)
            {
                return Ok(());
            }
            match value
                .get("aggregationRule")
                .is_some_and(|rule| !rule.is_null())
            {
                // Anything may come together in it.
                true => everything(),
                false => list(value, "rules").cloned().collect(),
            }
        }
        _ => {
            let role = value.get("roleRef").unwrap_or(&Value::Null);
            let plural = match text(role, "kind") {
                "ClusterRole" => "clusterroles",
                _ => "roles",
            };
            if same("roleRef") && same("subjects") || may(grant, "bind", plural, text(role, "name"))
            {
                return Ok(());
            }
            rules_of(grant, plural, text(role, "name"))?
        }
    };
    let held = rbac::rules(grant.server, grant.user, grant.namespace);
    let missing = missing(&held, &rules);
    if missing.is_empty() {
        return Ok(());
    }
    let groups: Vec<String> = grant.user.groups.iter().map(|g| format!("{g:?}")).collect();
    let why = format!(
        "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        grant.user.name,
        groups.join(" "),
        missing.join("\n")
    );
    Err(Status::forbidden(grant.kind, grant.name, &why))
}

fn may(grant: &Grant<'_>, verb: &str, plural: &str, name: &str) -> bool {
    let attempt = Attempt {
        verb: verb.to_owned(),
        group: GROUP.to_owned(),
        resource: plural.to_owned(),
        namespace: grant.namespace.to_owned(),
        name: name.to_owned(),
        ..Attempt::default()
    };
    rbac::may(grant.server, grant.user, &attempt)
}

fn everything() -> Vec<Value> {
    vec![
        json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}),
        json!({"nonResourceURLs": ["*"], "verbs": ["*"]}),
    ]
}

/// What the role of a binding allows.
fn rules_of(grant: &Grant<'_>, plural: &str, name: &str) -> Result<Vec<Value>, Status> {
    let Some(kind) = grant.server.kind(GROUP, plural) else {
        return Ok(Vec::new());
    };
    let place = match plural {
        "roles" => grant.namespace,
        _ => "",
    };
    match grant.server.get(&kind, place, name) {
        Some(role) => Ok(list(&role.value(), "rules").cloned().collect()),
        None => Err(Status::not_found(&kind, name)),
    }
}

/// A right that cannot be taken apart: one verb on one resource or path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    group: String,
    resource: String,
    name: Option<String>,
    path: Option<String>,
    verb: String,
}

fn words<'a>(rule: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    list(rule, field).filter_map(Value::as_str)
}

/// A rule, taken apart.
fn rights(rule: &Value) -> Vec<Right> {
    let names: Vec<Option<&str>> = match list(rule, "resourceNames").next() {
        Some(_) => words(rule, "resourceNames").map(Some).collect(),
        None => vec![None],
    };
    let mut out = Vec::new();
    for verb in words(rule, "verbs") {
        for group in words(rule, "apiGroups") {
            for resource in words(rule, "resources") {
                out.extend(names.iter().map(|name| Right {
                    group: group.to_owned(),
                    resource: resource.to_owned(),
                    name: name.map(str::to_owned),
                    path: None,
                    verb: verb.to_owned(),
                }));
            }
        }
        out.extend(words(rule, "nonResourceURLs").map(|path| Right {
            group: String::new(),
            resource: String::new(),
            name: None,
            path: Some(path.to_owned()),
            verb: verb.to_owned(),
        }));
    }
    out
}

/// Whether a rule that somebody has gives a right.
fn gives(rule: &Value, right: &Right) -> bool {
    let has = |field: &str, wanted: &str| words(rule, field).any(|w| w == "*" || w == wanted);
    if !has("verbs", &right.verb) {
        return false;
    }
    if let Some(path) = &right.path {
        return words(rule, "nonResourceURLs").any(|url| match url.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => url == path,
        });
    }
    let part = right
        .resource
        .split_once('/')
        .map(|(_, part)| format!("*/{part}"));
    let named = match list(rule, "resourceNames").next() {
        None => true,
        Some(_) => right
            .name
            .as_deref()
            .is_some_and(|name| words(rule, "resourceNames").any(|n| n == name)),
    };
    let resource = has("resources", &right.resource)
        || part.is_some_and(|part| words(rule, "resources").any(|own| own == part));
    has("apiGroups", &right.group) && resource && named
}

/// The rights of rules that nothing held gives, written as the API writes rules.
fn missing(held: &[Value], wanted: &[Value]) -> Vec<String> {
    let all = wanted.iter().flat_map(rights);
    let lacking = all.filter(|right| !held.iter().any(|rule| gives(rule, right)));
    // Verbs on the same resource are told together.
    let mut verbs: Map<String, Value> = Map::new();
    let mut said = Vec::new();
    for right in lacking {
        let place = match (&right.path, &right.name) {
            (Some(path), _) => {
                said.push(format!(
                    "{{NonResourceURLs:[{path:?}], Verbs:[{:?}]}}",
                    right.verb
                ));
                continue;
            }
            (None, None) => format!(
                "APIGroups:[{:?}], Resources:[{:?}]",
                right.group, right.resource
            ),
            (None, Some(name)) => format!(
                "APIGroups:[{:?}], Resources:[{:?}], ResourceNames:[{name:?}]",
                right.group, right.resource
            ),
        };
        let list = verbs.entry(place).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(right.verb.into());
        }
    }
    said.extend(verbs.into_iter().map(|(place, verbs)| {
        let each: Vec<String> = verbs
            .as_array()
            .into_iter()
            .flatten()
            .map(Value::to_string)
            .collect();
        format!("{{{place}, Verbs:[{}]}}", each.join(" "))
    }));
    said.sort_unstable();
    said.dedup();
    said
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::missing;

    #[test]
    fn what_is_not_held_is_told_by_resource() {
        let held =
            [json!({"apiGroups": [""], "resources": ["pods", "*/log"], "verbs": ["get", "list"]})];
        let wanted = [
            json!({"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get"]}),
            json!({"apiGroups": ["", "apps"], "resources": ["pods"], "verbs": ["list", "delete", "watch"]}),
            json!({"nonResourceURLs": ["/metrics"], "verbs": ["get"]}),
        ];
        assert_eq!(
            missing(&held, &wanted),
            [
                r#"{APIGroups:[""], Resources:["pods"], Verbs:["delete" "watch"]}"#,
                r#"{APIGroups:["apps"], Resources:["pods"], Verbs:["list" "delete" "watch"]}"#,
                r#"{NonResourceURLs:["/metrics"], Verbs:["get"]}"#,
            ]
        );
    }

    #[test]
    fn a_right_to_one_name_is_no_right_to_all() {
        let held = [
            json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"], "resourceNames": ["a"]}),
        ];
        let all = [json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]})];
        let one = [
            json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "resourceNames": ["a"]}),
        ];
        assert_eq!(missing(&held, &all).len(), 1);
        assert!(missing(&held, &one).is_empty());
    }
}

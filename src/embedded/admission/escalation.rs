//! Nobody gives others rights that they do not have: roles and bindings are held to what their author may do.
//!
//! Who may `escalate` a role or `bind` it goes past that, as do the masters.

use serde_json::{Map, Value, json};

use super::{Request, list, text};
use crate::embedded::access::rbac::{self, Attempt};
use crate::embedded::api::status::Status;

/// Refuses a role or a binding that gives more than its author has.
pub(super) fn check(
    request: &Request<'_>,
    before: Option<&Value>,
    value: &Value,
) -> Result<(), Status> {
    let (server, kind, user) = (request.server, request.kind, &request.options.user);
    if kind.group != rbac::GROUP || user.is_in("system:masters") {
        return Ok(());
    }
    let same = |field: &str| before.is_some_and(|before| before.get(field) == value.get(field));
    let rules = match kind.plural.as_str() {
        "roles" | "clusterroles" => {
            if same("rules") && same("aggregationRule")
                || may(request, "escalate", &kind.plural, request.name)
            {
                return Ok(());
            }
            match value
                .get("aggregationRule")
                .is_some_and(|rule| !rule.is_null())
            {
                // Anything may come together in it.
                true => everything(),
                false => list(value, "/rules").cloned().collect(),
            }
        }
        _ => {
            let role = value.get("roleRef").unwrap_or(&Value::Null);
            let (plural, name) = (rbac::plural_of(role), text(role, "/name"));
            if same("roleRef") && same("subjects") || may(request, "bind", plural, name) {
                return Ok(());
            }
            let Some(kind) = server.kind(rbac::GROUP, plural) else {
                return Ok(());
            };
            rbac::rules_of(server, role, request.namespace)
                .ok_or_else(|| Status::not_found(&kind, name))?
        }
    };
    let held = rbac::rules(server, user, request.namespace);
    let missing = missing(&held, &rules);
    if missing.is_empty() {
        return Ok(());
    }
    let groups: Vec<String> = user.groups.iter().map(|g| format!("{g:?}")).collect();
    let why = format!(
        "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        groups.join(" "),
        missing.join("\n")
    );
    Err(Status::forbidden(kind, request.name, &why))
}

fn may(request: &Request<'_>, verb: &str, plural: &str, name: &str) -> bool {
    let attempt = Attempt {
        verb: verb.to_owned(),
        group: rbac::GROUP.to_owned(),
        resource: plural.to_owned(),
        namespace: request.namespace.to_owned(),
        name: name.to_owned(),
        ..Attempt::default()
    };
    rbac::may(request.server, &request.options.user, &attempt)
}

fn everything() -> Vec<Value> {
    vec![
        json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}),
        json!({"nonResourceURLs": ["*"], "verbs": ["*"]}),
    ]
}

fn words<'a>(rule: &'a Value, at: &str) -> impl Iterator<Item = &'a str> {
    list(rule, at).filter_map(Value::as_str)
}

/// A rule, taken apart: one verb on one resource or path each. Without a name it is about all objects.
fn rights(rule: &Value) -> Vec<Attempt> {
    let names: Vec<&str> = match list(rule, "/resourceNames").next() {
        Some(_) => words(rule, "/resourceNames").collect(),
        None => vec![""],
    };
    let mut out = Vec::new();
    for verb in words(rule, "/verbs") {
        for group in words(rule, "/apiGroups") {
            for resource in words(rule, "/resources") {
                let (resource, part) = resource.split_once('/').unwrap_or((resource, ""));
                out.extend(names.iter().map(|name| Attempt {
                    verb: verb.to_owned(),
                    group: group.to_owned(),
                    resource: resource.to_owned(),
                    subresource: part.to_owned(),
                    name: (*name).to_owned(),
                    ..Attempt::default()
                }));
            }
        }
        out.extend(words(rule, "/nonResourceURLs").map(|path| Attempt {
            verb: verb.to_owned(),
            path: path.to_owned(),
            ..Attempt::default()
        }));
    }
    out
}

/// The rights of rules that nothing held gives, written as the API writes rules.
fn missing(held: &[Value], wanted: &[Value]) -> Vec<String> {
    let all = wanted.iter().flat_map(rights);
    let lacking = all.filter(|right| !held.iter().any(|rule| rbac::allows(rule, right)));
    // Verbs on the same resource are told together.
    let mut verbs: Map<String, Value> = Map::new();
    let mut said = Vec::new();
    for right in lacking {
        let (group, resource, verb) = (&right.group, right.full_resource(), &right.verb);
        if resource.is_empty() {
            let path = &right.path;
            said.push(format!("{{NonResourceURLs:[{path:?}], Verbs:[{verb:?}]}}"));
            continue;
        }
        let mut place = format!("APIGroups:[{group:?}], Resources:[{resource:?}]");
        if !right.name.is_empty() {
            place += &format!(", ResourceNames:[{:?}]", right.name);
        }
        let list = verbs.entry(place).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(verb.as_str().into());
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

//! What a stage is about: labels, annotations, and expressions over the whole object.
//!
//! Expressions are the part of jq's language that stages are written in: `.a.b`, `.a["b/c"]`, `.list.[]`, `.list[0]`
//! and `select( .type == "x" )`, joined by `|`. One that is not understood selects nothing.

use serde_json::Value;

use crate::embedded::reach::Reach as _;

/// Whether a stage's selector takes an object.
pub(super) fn takes(selector: Option<&Value>, object: &Value) -> bool {
    let Some(selector) = selector else {
        return true;
    };
    let same = |field: &str, at: &str| {
        let wanted = selector.get(field).and_then(Value::as_object);
        let own = object.reach(at);
        wanted
            .into_iter()
            .flatten()
            .all(|(key, value)| own.and_then(|own| own.get(key)) == Some(value))
    };
    same("matchLabels", "/metadata/labels")
        && same("matchAnnotations", "/metadata/annotations")
        && selector
            .get("matchExpressions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .all(|expression| holds(expression, object))
}

fn holds(expression: &Value, object: &Value) -> bool {
    let text = |name: &str| {
        let text = expression.get(name).and_then(Value::as_str);
        text.unwrap_or_default()
    };
    let Some(found) = look_up(text("key"), object) else {
        return false;
    };
    let values = expression.get("values").and_then(Value::as_array);
    let named = |value: &Value| {
        let shown = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        values.is_some_and(|values| values.iter().any(|one| one == shown.as_str()))
    };
    match text("operator") {
        "In" => found.iter().any(named),
        "NotIn" => !found.iter().any(named),
        "Exists" => !found.is_empty(),
        "DoesNotExist" => found.is_empty(),
        _ => false,
    }
}

/// What an expression finds in an object, without nulls; `None` if it is not understood.
pub(super) fn look_up(expression: &str, object: &Value) -> Option<Vec<Value>> {
    let mut found = vec![object.clone()];
    for step in expression.split('|').map(str::trim) {
        found = match step
            .strip_prefix("select(")
            .and_then(|s| s.strip_suffix(')'))
        {
            Some(question) => {
                let (path, equal, wanted) = match question.split_once("==") {
                    Some((path, wanted)) => (path, true, wanted),
                    None => {
                        let (path, wanted) = question.split_once("!=")?;
                        (path, false, wanted)
                    }
                };
                let wanted: Value = serde_json::from_str(wanted.trim()).ok()?;
                let path = path.trim();
                let mut kept = Vec::new();
                for value in found {
                    if follow(path, vec![value.clone()])?.contains(&wanted) == equal {
                        kept.push(value);
                    }
                }
                kept
            }
            None => follow(step, found)?,
        };
    }
    found.retain(|value| !value.is_null());
    Some(found)
}

fn follow(path: &str, mut found: Vec<Value>) -> Option<Vec<Value>> {
    let mut rest = path.strip_prefix('.')?;
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('.') {
            rest = tail;
            continue;
        }
        if let Some(tail) = rest.strip_prefix("[]") {
            found = found
                .into_iter()
                .flat_map(|value| match value {
                    Value::Array(list) => list,
                    Value::Object(map) => map.into_iter().map(|(_, value)| value).collect(),
                    _ => Vec::new(),
                })
                .collect();
            rest = tail;
            continue;
        }
        let (name, tail) = if let Some(quoted) = rest.strip_prefix("[\"") {
            quoted.split_once("\"]")?
        } else if let Some(inner) = rest.strip_prefix('[') {
            let (position, tail) = inner.split_once(']')?;
            found = at(position.parse().ok()?, found);
            rest = tail;
            continue;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            rest.split_at(end)
        };
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | '.');
        if !name.chars().all(plain) {
            return None;
        }
        found = found
            .into_iter()
            .filter_map(|value| value.get(name).cloned())
            .collect();
        rest = tail;
    }
    Some(found)
}

/// The items at one position of lists, from the end if it is negative.
fn at(position: i64, found: Vec<Value>) -> Vec<Value> {
    let pick = |value: Value| {
        let Value::Array(mut list) = value else {
            return None;
        };
        let from_start = if position < 0 {
            list.len()
                .checked_sub(usize::try_from(position.unsigned_abs()).ok()?)
        } else {
            usize::try_from(position).ok()
        };
        let index = from_start.filter(|index| *index < list.len())?;
        Some(list.swap_remove(index))
    };
    found.into_iter().filter_map(pick).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{look_up, takes};

    #[test]
    fn expressions_find_what_they_name() {
        let object = json!({
            "metadata": {"annotations": {"a/b": "x"}, "ownerReferences": [{"kind": "Job"}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
        });
        for (expression, expected) in [
            (".metadata.annotations[\"a/b\"]", json!(["x"])),
            (".metadata.ownerReferences.[].kind", json!(["Job"])),
            (
                ".status.conditions.[] | select( .type == \"Ready\" ) | .status",
                json!(["True"]),
            ),
            (".status.nothing", json!([])),
            (".status.conditions[1].type", json!(["Other"])),
            (".status.conditions.[-2].type", json!(["Ready"])),
            (".status.conditions[2].type", json!([])),
        ] {
            assert_eq!(json!(look_up(expression, &object).unwrap()), expected);
        }
        for unread in ["length(.x)", ".status[x]", ".status[", ".[[", ".a[1"] {
            assert!(look_up(unread, &object).is_none(), "{unread}");
        }
    }

    #[test]
    fn a_selector_holds_as_a_whole() {
        let object = json!({"metadata": {"labels": {"a": "b"}}, "status": {"phase": "Pending"}});
        let pending = json!({"key": ".status.phase", "operator": "In", "values": ["Pending"]});
        let going = json!({"key": ".metadata.deletionTimestamp", "operator": "Exists"});
        let labels = json!({"a": "b"});
        let yes = json!({"matchLabels": labels, "matchExpressions": [pending.clone()]});
        let no = json!({"matchLabels": labels, "matchExpressions": [pending, going]});
        assert!(takes(Some(&yes), &object));
        assert!(!takes(Some(&no), &object));
    }

    proptest! {
        #[test]
        fn any_expression_is_read_without_panic(text in "[ -~]{0,40}") {
            let _ = look_up(&text, &json!({"a": [1, {"b": 2}]}));
        }
    }
}

//! Columns that a CustomResourceDefinition brings: a path each.

use serde_json::{Value, json};

use super::cells;

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// What the columns are: the name, then what the definition says, and the age if it says nothing.
pub(super) fn definitions(columns: &[Value]) -> Value {
    let mut all = vec![json!({
        "name": "Name", "type": "string", "format": "name", "description": "", "priority": 0,
    })];
    if columns.is_empty() {
        all.push(json!({
            "name": "Age", "type": "date", "format": "", "description": "", "priority": 0,
        }));
    }
    for column in columns {
        all.push(json!({
            "name": text(column, "name"), "type": text(column, "type"), "format": text(column, "format"),
            "description": text(column, "description"),
            "priority": column.get("priority").cloned().unwrap_or_else(|| 0.into()),
        }));
    }
    all.into()
}

/// The cells of an object.
pub(super) fn cells(columns: &[Value], value: &Value) -> Vec<Value> {
    let mut all = vec![cells::name(value)];
    if columns.is_empty() {
        all.push(cells::age(value));
    }
    for column in columns {
        let found = find(value, text(column, "jsonPath"));
        all.push(match (text(column, "type"), found) {
            (_, None) => Value::Null,
            ("date", Some(Value::String(at))) => cells::since_text(&at).into(),
            ("string", Some(Value::String(text))) => text.into(),
            ("string", Some(other)) => other.to_string().into(),
            (_, Some(value)) => value,
        });
    }
    all
}

/// Follows a path: `.spec.x`, `.status.conditions[?(@.type=="Ready")].status`, `.metadata.labels['a\.b']`.
fn find(value: &Value, path: &str) -> Option<Value> {
    let mut at = vec![value];
    let mut rest = path.trim_start_matches('$');
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('[') {
            let end = tail.find(']')?;
            let (inside, after) = tail.split_at(end);
            rest = after.get(1..)?;
            at = step_into(&at, inside);
        } else {
            let tail = rest.strip_prefix('.').unwrap_or(rest);
            let end = end_of_name(tail);
            let (name, after) = tail.split_at(end);
            let name = name.replace("\\.", ".");
            rest = after;
            at = at.iter().filter_map(|value| value.get(&name)).collect();
        }
        if at.is_empty() {
            return None;
        }
    }
    at.first().map(|value| (*value).clone())
}

fn end_of_name(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '\\' => escaped = true,
            '.' | '[' if !escaped => return at,
            _ => escaped = false,
        }
    }
    text.len()
}

fn step_into<'a>(at: &[&'a Value], inside: &str) -> Vec<&'a Value> {
    let items = || at.iter().filter_map(|value| value.as_array()).flatten();
    if inside == "*" {
        return items().collect();
    }
    if let Ok(index) = inside.parse::<i64>() {
        let pick = |list: &'a Vec<Value>| match usize::try_from(index) {
            Ok(index) => list.get(index),
            Err(_) => list.last(),
        };
        return at
            .iter()
            .filter_map(|value| value.as_array())
            .filter_map(pick)
            .collect();
    }
    if let Some(test) = inside
        .strip_prefix("?(@.")
        .and_then(|test| test.strip_suffix(')'))
        && let Some((field, wanted)) = test.split_once("==")
    {
        let wanted = wanted.trim().trim_matches(['"', '\'']);
        let is = |value: &&Value| value.get(field.trim()).and_then(Value::as_str) == Some(wanted);
        return items().filter(is).collect();
    }
    let name = inside.trim_matches(['"', '\'']).replace("\\.", ".");
    at.iter().filter_map(|value| value.get(&name)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::find;

    #[test]
    fn follows_paths() {
        let value = json!({
            "spec": {"n": 3, "list": [{"a": 1}, {"a": 2}]},
            "metadata": {"labels": {"x.y/z": "l"}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        });
        for (path, expected) in [
            (".spec.n", json!(3)),
            (".spec.list[1].a", json!(2)),
            (".spec.list[*].a", json!(1)),
            (r".metadata.labels['x\.y/z']", json!("l")),
            (r".metadata.labels.x\.y/z", json!("l")),
            (
                r#".status.conditions[?(@.type=="Ready")].status"#,
                json!("True"),
            ),
        ] {
            assert_eq!(find(&value, path), Some(expected), "{path}");
        }
        assert_eq!(find(&value, ".spec.none"), None);
    }

    proptest! {
        #[test]
        fn any_path_is_followed_without_panic(path in ".{0,40}") {
            find(&json!({"a": [1, {"b": 2}]}), &path);
        }
    }
}

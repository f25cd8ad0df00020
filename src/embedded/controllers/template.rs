//! Pod templates: what a pod made from one says, and a short name for a template.

use serde_json::{Map, Value, json};

use crate::embedded::reach::Reach as _;

const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// A pod as a template describes it, controlled by an object.
pub(super) fn pod(template: &Value, owner: Value) -> Value {
    let metadata = template.get("metadata");
    let mut made = Map::new();
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = metadata.and_then(|metadata| metadata.get(field)) {
            made.insert(field.to_owned(), value.clone());
        }
    }
    made.insert("ownerReferences".to_owned(), json!([owner]));
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": made,
        "spec": template.get("spec").cloned().unwrap_or_else(|| json!({})),
    })
}

/// A short name that is the same for the same template.
pub(super) fn hash(template: &Value, collisions: i64) -> String {
    let mut text = String::new();
    write_sorted(template, &mut text);
    if collisions > 0 {
        text.push_str(&collisions.to_string());
    }
    let mut sum = 0x811c_9dc5_u32;
    for byte in text.bytes() {
        sum = (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    sum.to_string()
        .bytes()
        .map(|digit| {
            let at = usize::from(digit) % LETTERS.len();
            char::from(LETTERS.get(at).copied().unwrap_or(b'x'))
        })
        .collect()
}

/// The order of keys must not matter.
fn write_sorted(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => {
            let mut names: Vec<&String> = object.keys().collect();
            names.sort();
            out.push('{');
            for name in names {
                out.push_str(name);
                out.push(':');
                if let Some(inner) = object.get(name) {
                    write_sorted(inner, out);
                }
            }
            out.push('}');
        }
        Value::Array(list) => {
            out.push('[');
            for item in list {
                write_sorted(item, out);
                out.push(',');
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// Whether two templates are the same but for a label that controllers add.
pub(super) fn same(a: &Value, b: &Value, label: &str) -> bool {
    let strip = |template: &Value| {
        let mut template = template.clone();
        if let Some(labels) = template
            .reach_mut("/metadata/labels")
            .and_then(Value::as_object_mut)
        {
            labels.shift_remove(label);
        }
        let mut text = String::new();
        write_sorted(&template, &mut text);
        text
    };
    strip(a) == strip(b)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{hash, same};

    #[test]
    fn the_order_of_keys_does_not_matter() {
        let (one, two) = (json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1}));
        assert_eq!(hash(&one, 0), hash(&two, 0));
        assert_ne!(hash(&one, 0), hash(&one, 1));
    }

    #[test]
    fn the_added_label_does_not_matter() {
        let plain = json!({"metadata": {"labels": {"app": "x"}}});
        let added = json!({"metadata": {"labels": {"app": "x", "pod-template-hash": "y"}}});
        assert!(same(&plain, &added, "pod-template-hash"));
    }
}

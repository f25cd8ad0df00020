//! Checks custom objects against their structural schema.

use serde_json::Value;

use super::validations::same_item;
use crate::embedded::api::status::Cause;

/// Everything that is wrong with an object; what was wrong before and is the same still is let be.
pub(super) fn check_change(value: &Value, before: Option<&Value>, schema: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    look(value, before, schema, "", &mut causes);
    causes
}

/// Everything that is wrong with a value.
fn check(value: &Value, schema: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    look(value, None, schema, path, &mut causes);
    causes
}

fn number(schema: &Value, name: &str) -> Option<f64> {
    schema.get(name).and_then(Value::as_f64)
}

fn size(schema: &Value, name: &str) -> Option<usize> {
    let size = schema.get(name).and_then(Value::as_u64)?;
    usize::try_from(size).ok()
}

fn is_on(schema: &Value, name: &str) -> bool {
    schema.get(name) == Some(&Value::Bool(true))
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn look(
    value: &Value,
    before: Option<&Value>,
    schema: &Value,
    path: &str,
    causes: &mut Vec<Cause>,
) {
    if before == Some(value) {
        return;
    }
    if value.is_null() && is_on(schema, "nullable") {
        return;
    }
    let wanted = schema
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let is = type_of(value);
    let fits = match wanted {
        "" => !is_on(schema, "x-kubernetes-int-or-string") || matches!(is, "integer" | "string"),
        "number" => matches!(is, "number" | "integer"),
        "integer" => value.as_f64().is_some_and(|n| n.fract() == 0.0),
        wanted => wanted == is,
    };
    if !fits {
        let wanted = if wanted.is_empty() {
            "integer,string"
        } else {
            wanted
        };
        let detail = format!("{path} in body must be of type {wanted}: \"{is}\"");
        causes.push(Cause::type_invalid(path, &is.into(), &detail));
        return;
    }
    look_enum(value, schema, path, causes);
    match value {
        Value::Object(object) => {
            look_fields(object, before, schema, path, causes);
            let count = object.len();
            if let Some(least) = size(schema, "minProperties").filter(|least| count < *least) {
                let detail = format!("{path} in body should have at least {least} properties");
                causes.push(Cause::invalid(path, &count.into(), &detail));
            }
            if let Some(most) = size(schema, "maxProperties").filter(|most| count > *most) {
                causes.push(too_many(path, count, most));
            }
        }
        Value::Array(list) => look_items(list, before, schema, path, causes),
        Value::String(text) => look_text(text, schema, path, causes),
        Value::Number(_) => look_number(value, schema, path, causes),
        _ => {}
    }
    look_combined(value, schema, path, causes);
}

fn too_many(path: &str, count: usize, most: usize) -> Cause {
    Cause {
        reason: "FieldValueTooMany",
        message: format!("Too many: {count}: must have at most {most} items"),
        field: path.to_owned(),
    }
}

fn look_enum(value: &Value, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(allowed) = schema.get("enum").and_then(Value::as_array) else {
        return;
    };
    if !allowed.contains(value) {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let allowed: Vec<String> = allowed.iter().map(text).collect();
        let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
        causes.push(Cause::unsupported(path, value, &allowed));
    }
}

fn look_fields(
    object: &serde_json::Map<String, Value>,
    before: Option<&Value>,
    schema: &Value,
    path: &str,
    causes: &mut Vec<Cause>,
) {
    let at = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if !object.contains_key(name) {
            causes.push(Cause::required(at(name), ""));
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let others = schema
        .get("additionalProperties")
        .filter(|others| others.is_object());
    for (name, value) in object {
        let before = before.and_then(|before| before.get(name));
        match (
            properties.and_then(|properties| properties.get(name)),
            others,
        ) {
            (Some(schema), _) => look(value, before, schema, &at(name), causes),
            (None, Some(schema)) => look(value, before, schema, &at(name), causes),
            (None, None) => {}
        }
    }
}

fn look_items(
    list: &[Value],
    before: Option<&Value>,
    schema: &Value,
    path: &str,
    causes: &mut Vec<Cause>,
) {
    if let Some(least) = size(schema, "minItems").filter(|least| list.len() < *least) {
        let detail = format!("{path} in body should have at least {least} items");
        causes.push(Cause::invalid(path, &list.len().into(), &detail));
    }
    if let Some(most) = size(schema, "maxItems").filter(|most| list.len() > *most) {
        causes.push(too_many(path, list.len(), most));
    }
    let kind = schema.get("x-kubernetes-list-type").and_then(Value::as_str);
    let keys: Vec<&str> = schema
        .get("x-kubernetes-list-map-keys")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let id = |item: &Value| -> Value {
        match kind {
            Some("map") => keys
                .iter()
                .map(|key| {
                    (
                        (*key).to_owned(),
                        item.get(*key).cloned().unwrap_or_default(),
                    )
                })
                .collect::<serde_json::Map<_, _>>()
                .into(),
            _ => item.clone(),
        }
    };
    if matches!(kind, Some("set" | "map")) {
        for (at, item) in list.iter().enumerate() {
            let own = id(item);
            if list.iter().take(at).any(|before| id(before) == own) {
                causes.push(Cause::duplicate(format!("{path}[{at}]"), &own));
            }
        }
    }
    if let Some(items) = schema.get("items") {
        for (at, item) in list.iter().enumerate() {
            let before = before.and_then(|before| same_item(schema, before, item));
            look(item, before, items, &format!("{path}[{at}]"), causes);
        }
    }
}

fn look_text(text: &str, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let length = text.chars().count();
    if let Some(least) = size(schema, "minLength").filter(|least| length < *least) {
        let detail = format!("{path} in body should be at least {least} chars long");
        causes.push(Cause::invalid(path, &text.into(), &detail));
    }
    if let Some(most) = size(schema, "maxLength").filter(|most| length > *most) {
        causes.push(Cause::too_long(path, most));
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        // A pattern that this engine can't read lets everything through, as a wrong refusal would be worse.
        let matches = regex::Regex::new(pattern).map_or(true, |pattern| pattern.is_match(text));
        if !matches {
            let detail = format!("{path} in body should match '{pattern}'");
            causes.push(Cause::invalid(path, &text.into(), &detail));
        }
    }
    let format = schema
        .get("format")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let good = match format {
        "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
        "date" => text.parse::<jiff::civil::Date>().is_ok(),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "uuid" => uuid::Uuid::parse_str(text).is_ok(),
        _ => true,
    };
    if !good {
        let detail = format!("{path} in body must be of type {format}: {text:?}");
        causes.push(Cause::invalid(path, &text.into(), &detail));
    }
}

fn look_number(value: &Value, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(number_of) = value.as_f64() else {
        return;
    };
    let mut complain = |what: String| {
        let detail = format!("{path} in body should be {what}");
        causes.push(Cause::invalid(path, value, &detail));
    };
    if let Some(least) = number(schema, "minimum") {
        let strict = is_on(schema, "exclusiveMinimum");
        if number_of < least || strict && number_of <= least {
            let than = if strict {
                "greater than"
            } else {
                "greater than or equal to"
            };
            complain(format!("{than} {least}"));
        }
    }
    if let Some(most) = number(schema, "maximum") {
        let strict = is_on(schema, "exclusiveMaximum");
        if number_of > most || strict && number_of >= most {
            let than = if strict {
                "less than"
            } else {
                "less than or equal to"
            };
            complain(format!("{than} {most}"));
        }
    }
    if let Some(step) = number(schema, "multipleOf").filter(|step| *step > 0.0)
        && (number_of / step).fract() != 0.0
    {
        complain(format!("a multiple of {step}"));
    }
}

fn look_combined(value: &Value, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let list = |name: &str| schema.get(name).and_then(Value::as_array);
    let passes = |schema: &Value| check(value, schema, path).is_empty();
    for each in list("allOf").into_iter().flatten() {
        look(value, None, each, path, causes);
    }
    if let Some(any) = list("anyOf")
        && !any.iter().any(passes)
    {
        let detail = format!("{path} in body must validate at least one schema (anyOf)");
        causes.push(Cause::invalid(path, &"".into(), &detail));
    }
    if let Some(one) = list("oneOf") {
        let count = one.iter().filter(|schema| passes(schema)).count();
        if count != 1 {
            let found = if count == 0 {
                "Found none valid".to_owned()
            } else {
                format!("Found {count} valid alternatives")
            };
            let detail =
                format!("{path} in body must validate one and only one schema (oneOf). {found}");
            causes.push(Cause::invalid(path, &"".into(), &detail));
        }
    }
    if let Some(not) = schema.get("not")
        && passes(not)
    {
        let detail = format!("{path} in body must not validate the schema (not)");
        causes.push(Cause::invalid(path, &"".into(), &detail));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::check;

    fn messages(value: Value) -> Vec<String> {
        let schema = json!({
            "type": "object", "required": ["name"],
            "properties": {
                "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
                "size": {"type": "integer", "minimum": 1},
                "port": {"x-kubernetes-int-or-string": true},
                "mode": {"type": "string", "enum": ["a", "b"]},
                "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "maybe": {"type": "string", "nullable": true},
            },
        });
        let causes = check(&value, &schema, "spec");
        causes
            .into_iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect()
    }

    #[test]
    fn says_everything_that_is_wrong() {
        let good = json!({"name": "abc", "size": 1, "port": "http", "mode": "a", "tags": ["x"], "maybe": null});
        assert_eq!(messages(good), Vec::<String>::new());
        let bad = json!({"size": 0, "port": true, "mode": "c", "tags": ["x", "x"]});
        assert_eq!(
            messages(bad),
            [
                "spec.name: Required value",
                "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1",
                "spec.port: Invalid value: \"boolean\": spec.port in body must be of type integer,string: \"boolean\"",
                "spec.mode: Unsupported value: \"c\": supported values: \"a\", \"b\"",
                "spec.tags[1]: Duplicate value: \"x\"",
            ]
        );
        assert_eq!(
            messages(json!({"name": "ABC", "size": "1"})),
            [
                "spec.name: Invalid value: \"ABC\": spec.name in body should match '^[a-z]+$'",
                "spec.size: Invalid value: \"string\": spec.size in body must be of type integer: \"string\"",
            ]
        );
    }
}

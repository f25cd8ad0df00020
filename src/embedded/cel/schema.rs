//! Schemas as types, and JSON as values by a schema.

use std::sync::Arc;

use base64::Engine as _;
use serde_json::Value;

use super::functions::time;
use super::parse;
use super::types::Type;
use super::value::{Key, List, Map, Merge, Val};
use crate::embedded::reach::Reach as _;

/// An object whose fields a schema declares.
#[derive(Debug)]
pub(in crate::embedded) struct Shape {
    schema: Arc<Value>,
    /// Where in the schema it is, as a JSON pointer.
    at: String,
    /// Whether it is a whole object of the API, which always has a name and a type.
    root: bool,
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other)
    }
}

/// Words that cannot be names of fields as they are, beside those that no identifier may be.
const VALUES_AND_OPERATORS: &[&str] = &["true", "false", "null", "in"];

/// The name by which expressions reach a field; `None` if they can't.
pub(super) fn escaped(name: &str) -> Option<String> {
    let first = name.chars().next()?;
    if parse::RESERVED.contains(&name) || VALUES_AND_OPERATORS.contains(&name) {
        return Some(format!("__{name}__"));
    }
    if !(first.is_ascii_alphabetic() || first == '_') {
        return None;
    }
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(letter) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("__") {
            out.push_str("__underscores__");
            rest = after;
            continue;
        }
        match letter {
            '.' => out.push_str("__dot__"),
            '-' => out.push_str("__dash__"),
            '/' => out.push_str("__slash__"),
            letter if letter.is_ascii_alphanumeric() || letter == '_' => out.push(letter),
            _ => return None,
        }
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
    }
    Some(out)
}

fn is_on(schema: &Value, name: &str) -> bool {
    schema.get(name) == Some(&Value::Bool(true))
}

fn word<'a>(schema: &'a Value, name: &str) -> &'a str {
    schema.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The type of what a schema describes; `None` if expressions cannot reach it.
pub(in crate::embedded) fn type_at(schema: &Arc<Value>, at: &str, root: bool) -> Option<Type> {
    let here = schema.reach(at)?;
    if is_on(here, "x-kubernetes-int-or-string") {
        return Some(Type::Dyn);
    }
    let embedded = root || is_on(here, "x-kubernetes-embedded-resource");
    Some(match word(here, "type") {
        "array" => Type::list(type_at(schema, &format!("{at}/items"), false)?),
        "object" => {
            if here
                .get("additionalProperties")
                .is_some_and(Value::is_object)
                && !embedded
            {
                let inner = type_at(schema, &format!("{at}/additionalProperties"), false)?;
                return Some(Type::map(Type::Str, inner));
            }
            Type::Object(Arc::new(Shape {
                schema: Arc::clone(schema),
                at: at.to_owned(),
                root: embedded,
            }))
        }
        "string" => match word(here, "format") {
            "byte" => Type::Bytes,
            "duration" => Type::Duration,
            "date" | "date-time" => Type::Timestamp,
            _ => Type::Str,
        },
        "boolean" => Type::Bool,
        "number" => Type::Double,
        "integer" => Type::Int,
        _ if embedded => Type::Object(Arc::new(Shape {
            schema: Arc::clone(schema),
            at: at.to_owned(),
            root: true,
        })),
        _ => return None,
    })
}

impl Shape {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.at == other.at && Arc::ptr_eq(&self.schema, &other.schema)
    }

    /// The type of a field, by its escaped name.
    pub(super) fn field(&self, name: &str) -> Option<Type> {
        if self.root {
            match name {
                "apiVersion" | "kind" => return Some(Type::Str),
                "metadata" => {
                    let fields = ["name", "generateName"];
                    let fields = fields.map(|name| (Arc::from(name), Type::Str));
                    return Some(Type::Fields(Arc::new(fields.to_vec())));
                }
                _ => {}
            }
        }
        let properties = self.schema.reach(&self.at)?.get("properties")?;
        let found = properties
            .as_object()?
            .keys()
            .find(|own| escaped(own).as_deref() == Some(name))?;
        let token = found.replace('~', "~0").replace('/', "~1");
        type_at(
            &self.schema,
            &format!("{}/properties/{token}", self.at),
            false,
        )
    }
}

/// A value that a schema describes.
pub(in crate::embedded) fn value_of(value: &Value, schema: &Value, root: bool) -> Val {
    if value.is_null() {
        return Val::Null;
    }
    if is_on(schema, "x-kubernetes-int-or-string") {
        return plain(value);
    }
    let embedded = root || is_on(schema, "x-kubernetes-embedded-resource");
    match (word(schema, "type"), value) {
        ("array", Value::Array(list)) => {
            let none = Value::Null;
            let items = schema.get("items").unwrap_or(&none);
            Val::List(Arc::new(List {
                items: list.iter().map(|v| value_of(v, items, false)).collect(),
                merge: merge_of(schema),
            }))
        }
        (_, Value::Object(object)) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let others = schema.get("additionalProperties").filter(|s| s.is_object());
            let mut map = Map::with_capacity(object.len());
            for (name, value) in object {
                let own = properties.and_then(|all| all.get(name));
                let (key, value) = match (own, others) {
                    _ if embedded
                        && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") =>
                    {
                        (Some(name.clone()), plain(value))
                    }
                    (Some(schema), _) => (escaped(name), value_of(value, schema, false)),
                    (None, Some(schema)) => (Some(name.clone()), value_of(value, schema, false)),
                    (None, None) => (escaped(name), plain(value)),
                };
                if let Some(key) = key {
                    map.insert(Key::Str(key.into()), value);
                }
            }
            Val::from(map)
        }
        ("string", Value::String(text)) => match word(schema, "format") {
            "byte" => base64::engine::general_purpose::STANDARD
                .decode(text)
                .map_or(Val::Null, |bytes| Val::Bytes(bytes.into())),
            "duration" => time::duration(text).map_or_else(
                || Val::Failed(format!("invalid duration {text}").into()),
                Val::Duration,
            ),
            "date" | "date-time" => time::moment(text).map_or_else(
                || Val::Failed(format!("invalid date {text}").into()),
                Val::Timestamp,
            ),
            _ => Val::from(text.as_str()),
        },
        ("number", Value::Number(number)) => Val::Double(number.as_f64().unwrap_or(0.0)),
        ("integer", Value::Number(number)) if number.is_f64() => {
            Val::Int(number.as_f64().unwrap_or(0.0) as i64)
        }
        _ => plain(value),
    }
}

fn merge_of(schema: &Value) -> Merge {
    match word(schema, "x-kubernetes-list-type") {
        "set" => Merge::Set,
        "map" => {
            let keys = schema
                .get("x-kubernetes-list-map-keys")
                .and_then(Value::as_array);
            let keys = keys.into_iter().flatten();
            Merge::ByKeys(keys.filter_map(|k| Some(k.as_str()?.to_owned())).collect())
        }
        _ => Merge::Atomic,
    }
}

/// A value that no schema describes.
pub(in crate::embedded) fn plain(value: &Value) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(value) => Val::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Val::Int(number),
            (None, Some(number)) => Val::Uint(number),
            _ => Val::Double(number.as_f64().unwrap_or(0.0)),
        },
        Value::String(text) => Val::from(text.as_str()),
        Value::Array(list) => Val::from(list.iter().map(plain).collect::<Vec<_>>()),
        Value::Object(object) => {
            let each = object
                .iter()
                .map(|(name, value)| (Key::Str(name.as_str().into()), plain(value)));
            Val::from(each.collect::<Map>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn names_that_are_no_words_are_escaped() {
        for (name, expected) in [
            ("namespace", Some("__namespace__")),
            ("a.b", Some("a__dot__b")),
            ("x-y", Some("x__dash__y")),
            ("a__b", Some("a__underscores__b")),
            ("foo/bar", Some("foo__slash__bar")),
            ("int", Some("int")),
            ("1a", None),
            ("é", None),
        ] {
            assert_eq!(escaped(name).as_deref(), expected, "{name}");
        }
    }
}

//! Free-form values: what option maps hold.

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::secret::{REDACTED, Secret};

/// A value without behaviour; maps are sorted, secrets never show.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Tree {
    /// Nothing.
    #[default]
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A text.
    Text(String),
    /// A text that never shows.
    Secret(Secret),
    /// Values in order.
    List(Vec<Tree>),
    /// Values by name.
    Map(BTreeMap<String, Tree>),
}

/// Options by name.
pub type Options = BTreeMap<String, Tree>;

impl Tree {
    /// What it is, in a sentence: `a text`, `a whole number`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a decimal number",
            Self::Text(_) => "a text",
            Self::Secret(_) => "a secret",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }

    /// The text in it.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number in it.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The answer in it.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(answer) => Some(*answer),
            _ => None,
        }
    }

    /// The list in it.
    pub fn as_list(&self) -> Option<&[Tree]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// The map in it.
    pub fn as_map(&self) -> Option<&Options> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Whether a secret is anywhere in it.
    pub fn holds_secret(&self) -> bool {
        match self {
            Self::Secret(_) => true,
            Self::List(list) => list.iter().any(Self::holds_secret),
            Self::Map(map) => map.values().any(Self::holds_secret),
            _ => false,
        }
    }

    /// The value as JSON, secrets redacted.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The value as JSON, secrets in plain: for a cluster's API, never for a display or a file.
    pub fn exposed(&self) -> serde_json::Value {
        match self {
            Self::Secret(secret) => secret.expose().into(),
            Self::List(list) => list.iter().map(Self::exposed).collect(),
            Self::Map(map) => map
                .iter()
                .map(|(key, value)| (key.clone(), value.exposed()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            plain => plain.to_json(),
        }
    }

    /// Reads JSON.
    pub fn from_json(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(answer) => Self::Bool(*answer),
            Value::Number(number) => number.as_i64().map_or_else(
                || Self::Float(number.as_f64().unwrap_or(f64::MAX)),
                Self::Int,
            ),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(list) => Self::List(list.iter().map(Self::from_json).collect()),
            Value::Object(map) => Self::Map(
                map.iter()
                    .map(|(key, value)| (key.clone(), Self::from_json(value)))
                    .collect(),
            ),
        }
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(answer) => serializer.serialize_bool(*answer),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Secret(_) => serializer.serialize_str(REDACTED),
            Self::List(list) => {
                let mut out = serializer.serialize_seq(Some(list.len()))?;
                for entry in list {
                    out.serialize_element(entry)?;
                }
                out.end()
            }
            Self::Map(map) => {
                let mut out = serializer.serialize_map(Some(map.len()))?;
                for (key, value) in map {
                    out.serialize_entry(key, value)?;
                }
                out.end()
            }
        }
    }
}

/// As a script would write it, secrets redacted.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("()"),
            Self::Bool(answer) => write!(f, "{answer}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Secret(_) => f.write_str(REDACTED),
            Self::List(list) => {
                f.write_str("[")?;
                for (index, entry) in list.iter().enumerate() {
                    write!(f, "{}{entry}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Map(map) if map.is_empty() => f.write_str("#{}"),
            Self::Map(map) => {
                f.write_str("#{ ")?;
                for (index, (key, value)) in map.iter().enumerate() {
                    write!(f, "{}{key}: {value}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str(" }")
            }
        }
    }
}

impl From<bool> for Tree {
    fn from(answer: bool) -> Self {
        Self::Bool(answer)
    }
}

impl From<i64> for Tree {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u32> for Tree {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<&str> for Tree {
    fn from(text: &str) -> Self {
        Self::Text(text.to_string())
    }
}

impl From<String> for Tree {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_a_script_would_write_it() {
        let tree =
            Tree::from_json(&serde_json::json!({ "b": [1, 2.5, null], "a": "x\"y", "c": {} }));
        assert_eq!(
            tree.to_string(),
            r#"#{ a: "x\"y", b: [1, 2.5, ()], c: #{} }"#
        );
    }

    #[test]
    fn never_shows_a_secret() {
        let tree = Tree::Map([("token".to_string(), Tree::Secret(Secret::new("canary")))].into());
        for text in [
            tree.to_string(),
            format!("{tree:?}"),
            tree.to_json().to_string(),
        ] {
            assert!(!text.contains("canary"), "{text}");
        }
        assert!(tree.holds_secret());
    }
}

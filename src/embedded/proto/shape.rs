//! What objects of a kind look like, seen from JSON: fields, lists, maps and how they are merged.
//!
//! Built-in kinds are described by the protobuf descriptors, custom ones by their structural schema; a [`Shape`] is a place
//! in either. Strategic patches, server-side apply and the check for unknown fields walk along it.

use serde_json::Value;

use super::table::{self, Field, Label, Merging, Message, Type, table};
use crate::embedded::api::registry::Kind;
use crate::embedded::reach::Reach as _;

/// A place in an object.
#[derive(Clone, Copy)]
pub enum Shape<'a> {
    /// A message of a built-in kind.
    Message(&'a Message),
    /// A field of a built-in kind, with how often it is there.
    Field(&'a Field),
    /// An item of a repeated field, or a value of a map.
    Item(&'a Field),
    /// A custom object as a whole.
    Root(&'a Value),
    /// A place in a structural schema.
    Custom(&'a Value),
    /// Anything.
    Any,
}

/// What kind of value belongs at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Fields with names that are known.
    Object,
    /// Names that are free, all with one kind of value.
    Map,
    /// Items.
    List,
    /// A single value.
    Scalar,
    /// Whatever it is.
    Any,
}

impl<'a> Shape<'a> {
    /// The shape of a kind's objects.
    pub fn of(kind: &'a Kind) -> Self {
        if let Some(custom) = &kind.custom {
            return Self::Root(&custom.schema);
        }
        match table().find(&kind.api_version(), &kind.kind) {
            Some(message) => Self::Message(message),
            None => Self::Any,
        }
    }

    /// What kind of value belongs here.
    pub fn form(self) -> Form {
        match self {
            Self::Any => Form::Any,
            Self::Message(message) => message_form(message),
            Self::Field(field) => match field.label {
                Label::Repeated => Form::List,
                Label::Map => Form::Map,
                Label::Optional => Self::Item(field).form(),
            },
            Self::Item(field) => match field.kind {
                Type::Message(at) => table().message(at).map_or(Form::Any, message_form),
                _ => Form::Scalar,
            },
            Self::Root(_) => Form::Object,
            Self::Custom(schema) => custom_form(schema),
        }
    }

    /// The shape of a field; `None` if there is no such field.
    #[must_use]
    pub fn field(self, name: &str) -> Option<Self> {
        match self {
            Self::Any => Some(Self::Any),
            Self::Message(message) => {
                if message.shape != table::Shape::Fields {
                    return Some(Self::Any);
                }
                message.named(name).map(Self::Field)
            }
            Self::Field(field) if field.label == Label::Map => Some(Self::Item(field)),
            Self::Field(field) | Self::Item(field) => match field.kind {
                Type::Message(at) => Self::Message(table().message(at)?).field(name),
                _ => None,
            },
            Self::Root(schema) => match name {
                "apiVersion" | "kind" => Some(Self::Any),
                // The schema of a custom kind says little about metadata; the server knows it all the same.
                "metadata" => Some(metadata()),
                _ => custom_field(schema, name),
            },
            Self::Custom(schema) => custom_field(schema, name),
        }
    }

    /// The shape of a list's items.
    #[must_use]
    pub fn item(self) -> Self {
        match self {
            Self::Field(field) if field.label == Label::Repeated => Self::Item(field),
            Self::Field(Field {
                kind: Type::Message(at),
                ..
            })
            | Self::Item(Field {
                kind: Type::Message(at),
                ..
            }) => {
                let inner = table().message(*at).and_then(|message| message.field(1));
                inner.map_or(Self::Any, Self::Item)
            }
            Self::Custom(schema) => schema.get("items").map_or(Self::Any, Self::Custom),
            _ => Self::Any,
        }
    }

    fn merging(self) -> Option<&'a Merging> {
        match self {
            Self::Field(field) => field.merging.as_deref(),
            _ => None,
        }
    }

    /// Whether a strategic patch merges this list, and by which key.
    pub fn patched_by(self) -> Option<Option<&'a str>> {
        let merging = self.merging().filter(|merging| merging.patched)?;
        Some(merging.patch_key.as_deref())
    }

    /// Whether a strategic patch may say which keys stay.
    pub fn retains_keys(self) -> bool {
        self.merging().is_some_and(|merging| merging.retain_keys)
    }

    /// By which keys server-side apply tells items apart; `None` if it doesn't.
    pub fn list_keys(self) -> Option<Vec<&'a str>> {
        match self {
            Self::Custom(schema) => {
                if text(schema, "x-kubernetes-list-type") != "map" {
                    return None;
                }
                let keys = schema.get("x-kubernetes-list-map-keys")?.as_array()?;
                Some(keys.iter().filter_map(Value::as_str).collect())
            }
            _ => {
                let keys = &self.merging()?.list_keys;
                (!keys.is_empty()).then(|| keys.iter().map(|key| &**key).collect())
            }
        }
    }

    /// Whether server-side apply treats a list as a set.
    pub fn is_set(self) -> bool {
        match self {
            Self::Custom(schema) => text(schema, "x-kubernetes-list-type") == "set",
            _ => self.merging().is_some_and(|merging| merging.is_set),
        }
    }

    /// Whether server-side apply owns the value as a whole.
    pub fn is_atomic(self) -> bool {
        match self {
            Self::Custom(schema) => text(schema, "x-kubernetes-map-type") == "atomic",
            Self::Field(field) => {
                self.merging().is_some_and(|merging| merging.is_atomic)
                    || field.label == Label::Optional && Self::Item(field).is_atomic()
            }
            Self::Item(field) => match field.kind {
                Type::Message(at) => table().message(at).is_some_and(|message| message.is_atomic),
                _ => false,
            },
            Self::Message(message) => message.is_atomic,
            Self::Any | Self::Root(_) => false,
        }
    }

    /// The value a list key has where an item leaves it out.
    pub fn key_default(self, key: &str) -> Option<Value> {
        match self {
            Self::Custom(schema) => schema.reach(&format!("/properties/{key}/default")).cloned(),
            _ if key == "protocol" => Some("TCP".into()),
            _ => None,
        }
    }

    /// Whether JSON written by a Go program shows the field even if it was never set.
    pub fn is_always_there(self) -> bool {
        match self {
            Self::Field(field) if field.label == Label::Optional => {
                let is_struct = !field.pointer && Self::Item(field).form() == Form::Object;
                is_struct || !field.omitted
            }
            Self::Field(field) => !field.omitted,
            _ => false,
        }
    }

    /// The fields that a built-in place can have; empty where that is open.
    pub fn names(self) -> Vec<(&'a str, Self)> {
        let message = match self {
            Self::Message(message) => Some(message),
            Self::Field(field) | Self::Item(field) => match field.kind {
                Type::Message(at) => table().message(at),
                _ => None,
            },
            _ => None,
        };
        let mut names = Vec::new();
        if let Some(message) = message.filter(|message| message.shape == table::Shape::Fields) {
            for field in &message.fields {
                if field.inline {
                    names.extend(Self::Item(field).names());
                } else {
                    names.push((&*field.name, Self::Field(field)));
                }
            }
        }
        names
    }

    /// The name of the message here, if it has one.
    pub fn message_name(self) -> Option<&'static str> {
        let at = match self {
            Self::Field(field) | Self::Item(field) => match field.kind {
                Type::Message(at) => at,
                _ => return None,
            },
            _ => return None,
        };
        table().name(at)
    }

    /// The JSON type of a single value here, and its format.
    pub fn scalar(self) -> (&'static str, &'static str) {
        match self {
            Self::Field(field) | Self::Item(field) => match field.kind {
                Type::Text => ("string", ""),
                Type::Bytes => ("string", "byte"),
                Type::Int => ("integer", "int64"),
                Type::Bool => ("boolean", ""),
                Type::Double | Type::Float => ("number", "double"),
                Type::Message(at) => match table().message(at).map(|message| message.shape) {
                    Some(table::Shape::Time | table::Shape::MicroTime) => ("string", "date-time"),
                    Some(table::Shape::IntOrString) => ("string", "int-or-string"),
                    Some(table::Shape::Quantity | table::Shape::Duration) => ("string", ""),
                    _ => ("object", ""),
                },
            },
            _ => ("object", ""),
        }
    }
}

fn message_form(message: &Message) -> Form {
    match message.shape {
        table::Shape::Fields => Form::Object,
        table::Shape::List => Form::List,
        table::Shape::Raw
        | table::Shape::OrBool
        | table::Shape::OrArray
        | table::Shape::OrStrings => Form::Any,
        _ => Form::Scalar,
    }
}

fn text<'a>(schema: &'a Value, name: &str) -> &'a str {
    schema.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn is_on(schema: &Value, name: &str) -> bool {
    schema.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn custom_form(schema: &Value) -> Form {
    match text(schema, "type") {
        "object" if schema.get("properties").is_some() => Form::Object,
        "object"
            if schema
                .get("additionalProperties")
                .is_some_and(Value::is_object) =>
        {
            Form::Map
        }
        "object" if is_on(schema, "x-kubernetes-embedded-resource") => Form::Object,
        "object" if is_on(schema, "x-kubernetes-preserve-unknown-fields") => Form::Any,
        "object" => Form::Object,
        "array" => Form::List,
        "" => Form::Any,
        _ => Form::Scalar,
    }
}

fn custom_field<'a>(schema: &'a Value, name: &str) -> Option<Shape<'a>> {
    if let Some(field) = schema.get("properties").and_then(|all| all.get(name)) {
        return Some(Shape::Custom(field));
    }
    match schema.get("additionalProperties") {
        Some(values @ Value::Object(_)) => return Some(Shape::Custom(values)),
        Some(Value::Bool(true)) => return Some(Shape::Any),
        _ => {}
    }
    let open =
        is_on(schema, "x-kubernetes-preserve-unknown-fields") || text(schema, "type").is_empty();
    open.then_some(Shape::Any)
}

/// The shape of `metadata`, the same for every kind.
pub fn metadata() -> Shape<'static> {
    match table().find("meta.k8s.io/v1", "ObjectMeta") {
        Some(message) => Shape::Message(message),
        None => Shape::Any,
    }
}

//! JSON to protobuf.

use base64::Engine as _;
use serde_json::{Map, Value};

use super::table::{Field, Label, Message, Shape, Type, table};
use super::{DEPTH, MAGIC, Malformed, moment};

type Result<T> = std::result::Result<T, Malformed>;

/// Writes an object as a body that a Go client reads.
pub fn encode(value: &Value) -> Result<Vec<u8>> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let message = table()
        .find(api_version, kind)
        .ok_or(Malformed("the kind has no protobuf form"))?;
    let mut raw = Vec::new();
    if let Some(object) = value.as_object() {
        fields(message, object, &mut raw, 0)?;
    }
    let mut head = Vec::new();
    put(&mut head, 1, api_version.as_bytes());
    put(&mut head, 2, kind.as_bytes());
    let mut out = MAGIC.to_vec();
    put(&mut out, 1, &head);
    put(&mut out, 2, &raw);
    put(&mut out, 3, b"");
    put(&mut out, 4, b"");
    Ok(out)
}

/// Writes a number in as few bytes as it needs.
pub(in crate::embedded) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the low seven bits are meant"
        )]
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    #[allow(clippy::cast_possible_truncation, reason = "less than 0x80")]
    out.push(value as u8);
}

/// Writes a field of text, bytes or a message.
pub(in crate::embedded) fn put(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    varint(out, u64::from(number) << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes a field that is a number.
#[allow(clippy::cast_sign_loss, reason = "how protobuf spells signed numbers")]
pub(in crate::embedded) fn put_number(out: &mut Vec<u8>, number: u32, value: i64) {
    varint(out, u64::from(number) << 3);
    varint(out, value as u64);
}

fn fields(
    message: &Message,
    object: &Map<String, Value>,
    out: &mut Vec<u8>,
    depth: u32,
) -> Result<()> {
    if depth > DEPTH {
        return Err(Malformed("messages lie too deep in each other"));
    }
    for field in &message.fields {
        if field.inline {
            if let Type::Message(at) = field.kind
                && let Some(inner) = table().message(at)
            {
                let mut bytes = Vec::new();
                fields(inner, object, &mut bytes, depth + 1)?;
                if !bytes.is_empty() || !field.pointer {
                    put(out, field.number, &bytes);
                }
            }
            continue;
        }
        match (field.label, object.get(&*field.name)) {
            (_, None | Some(Value::Null)) => {}
            (Label::Optional, Some(value)) => one(field, field.number, value, out, depth)?,
            (Label::Repeated, Some(list)) => {
                for value in list.as_array().into_iter().flatten() {
                    one(field, field.number, value, out, depth)?;
                }
            }
            (Label::Map, Some(map)) => {
                for (key, value) in map.as_object().into_iter().flatten() {
                    let mut entry = Vec::new();
                    put(&mut entry, 1, key.as_bytes());
                    one(field, 2, value, &mut entry, depth)?;
                    put(out, field.number, &entry);
                }
            }
        }
    }
    Ok(())
}

fn one(field: &Field, number: u32, value: &Value, out: &mut Vec<u8>, depth: u32) -> Result<()> {
    let text = || value.as_str().ok_or(Malformed("a text was expected"));
    let float = || value.as_f64().ok_or(Malformed("a number was expected"));
    match field.kind {
        Type::Text => put(out, number, text()?.as_bytes()),
        Type::Bytes => {
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(text()?)
                .map_err(|_| Malformed("a text is not base64"))?;
            put(out, number, &bytes);
        }
        Type::Int => {
            let value = value
                .as_i64()
                .ok_or(Malformed("a whole number was expected"))?;
            put_number(out, number, value);
        }
        Type::Bool => {
            let value = value
                .as_bool()
                .ok_or(Malformed("true or false was expected"))?;
            put_number(out, number, i64::from(value));
        }
        Type::Double => {
            varint(out, u64::from(number) << 3 | 1);
            out.extend(float()?.to_bits().to_le_bytes());
        }
        Type::Float => {
            varint(out, u64::from(number) << 3 | 5);
            #[allow(clippy::cast_possible_truncation, reason = "the field is that narrow")]
            let narrow = float()? as f32;
            out.extend(narrow.to_bits().to_le_bytes());
        }
        Type::Message(at) => {
            let message = table().message(at).ok_or(Malformed("an unknown message"))?;
            put(out, number, &message_of(message, value, depth + 1)?);
        }
    }
    Ok(())
}

fn message_of(message: &Message, value: &Value, depth: u32) -> Result<Vec<u8>> {
    if depth > DEPTH {
        return Err(Malformed("messages lie too deep in each other"));
    }
    let mut out = Vec::new();
    let text = || value.as_str().ok_or(Malformed("a text was expected"));
    let inner = |number: u32, value: &Value, out: &mut Vec<u8>| match message.field(number) {
        Some(field) => one(field, number, value, out, depth),
        None => Ok(()),
    };
    match message.shape {
        Shape::Fields => {
            let object = value
                .as_object()
                .ok_or(Malformed("an object was expected"))?;
            fields(message, object, &mut out, depth)?;
        }
        Shape::List => {
            for item in value.as_array().into_iter().flatten() {
                inner(1, item, &mut out)?;
            }
        }
        Shape::Time | Shape::MicroTime => {
            let (seconds, nanos) =
                moment::read(text()?).ok_or(Malformed("a text is not a time"))?;
            put_number(&mut out, 1, seconds);
            put_number(&mut out, 2, nanos);
        }
        Shape::Duration => {
            let nanos = moment::read_span(text()?).ok_or(Malformed("a text is not a span"))?;
            put_number(&mut out, 1, nanos);
        }
        Shape::IntOrString => match value {
            Value::String(text) => {
                put_number(&mut out, 1, 1);
                put_number(&mut out, 2, 0);
                put(&mut out, 3, text.as_bytes());
            }
            other => {
                let number = other
                    .as_i64()
                    .ok_or(Malformed("a number or a text was expected"))?;
                put_number(&mut out, 1, 0);
                put_number(&mut out, 2, number);
                put(&mut out, 3, b"");
            }
        },
        // A quantity may also be written as a bare number.
        Shape::Quantity => match value {
            Value::String(text) => put(&mut out, 1, text.as_bytes()),
            other => put(&mut out, 1, other.to_string().as_bytes()),
        },
        Shape::Raw => put(&mut out, 1, value.to_string().as_bytes()),
        Shape::OrBool => match value {
            Value::Bool(allows) => put_number(&mut out, 1, i64::from(*allows)),
            schema => {
                put_number(&mut out, 1, 1);
                inner(2, schema, &mut out)?;
            }
        },
        Shape::OrArray | Shape::OrStrings => match value {
            Value::Array(items) => {
                for item in items {
                    inner(2, item, &mut out)?;
                }
            }
            schema => inner(1, schema, &mut out)?,
        },
    }
    Ok(out)
}

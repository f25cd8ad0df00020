//! Protobuf to JSON.

use base64::Engine as _;
use serde_json::{Map, Value};

use super::table::{Field, Label, Message, Shape, Type, table};
use super::{DEPTH, MAGIC, Malformed, moment};

type Result<T> = std::result::Result<T, Malformed>;

/// Reads a body: the object as its sender would have written it in JSON.
pub fn decode(body: &[u8]) -> Result<Value> {
    let rest = body.strip_prefix(MAGIC).ok_or(Malformed(
        "provided data does not appear to be a protobuf message, expected prefix 'k8s'",
    ))?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for part in Parts(rest) {
        match part? {
            (1, Wire::Bytes(head)) => {
                for part in Parts(head) {
                    match part? {
                        (1, Wire::Bytes(text)) => api_version = text_of(text)?,
                        (2, Wire::Bytes(text)) => kind = text_of(text)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let message = table()
        .find(&api_version, &kind)
        .ok_or(Malformed("the kind in the protobuf envelope is not known"))?;
    let mut out = Map::new();
    out.insert("apiVersion".to_owned(), api_version.into());
    out.insert("kind".to_owned(), kind.into());
    fields(message, raw, &mut out, 0)?;
    Ok(Value::Object(out))
}

enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message as they are on the wire.
struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = Result<(u32, Wire<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.0 = &[];
        }
        Some(read)
    }
}

impl<'a> Parts<'a> {
    fn read(&mut self) -> Result<(u32, Wire<'a>)> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Malformed("proto: illegal tag"))?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Number(u64::from_le_bytes(self.fixed()?)),
            2 => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Number(u64::from(u32::from_le_bytes(self.fixed()?))),
            _ => return Err(Malformed("proto: illegal wireType")),
        };
        Ok((number, wire))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(Malformed("unexpected EOF"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| Malformed("unexpected EOF"))
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.0.split_first().ok_or(Malformed("unexpected EOF"))?;
            self.0 = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("proto: integer overflow"))
    }
}

fn text_of(bytes: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed("a text is not UTF-8"))?;
    Ok(text.to_owned())
}

fn fields(message: &Message, bytes: &[u8], out: &mut Map<String, Value>, depth: u32) -> Result<()> {
    if depth > DEPTH {
        return Err(Malformed("messages lie too deep in each other"));
    }
    for part in Parts(bytes) {
        let (number, wire) = part?;
        // Fields of a later version are ignored, as the real server does.
        let Some(field) = message.field(number) else {
            continue;
        };
        match field.label {
            Label::Map => {
                let Wire::Bytes(entry) = wire else {
                    return Err(Malformed("proto: wrong wireType for a map"));
                };
                let (key, value) = entry_of(field, entry, depth)?;
                if let Some(map) = out
                    .entry(&*field.name)
                    .or_insert_with(|| Map::new().into())
                    .as_object_mut()
                {
                    map.insert(key, value);
                }
            }
            Label::Repeated => {
                let value = value_of(field.kind, wire, depth)?;
                if let Some(list) = out
                    .entry(&*field.name)
                    .or_insert_with(|| Value::Array(Vec::new()))
                    .as_array_mut()
                {
                    list.push(value);
                }
            }
            Label::Optional if field.inline => {
                if let (Type::Message(at), Wire::Bytes(bytes)) = (field.kind, wire)
                    && let Some(inner) = table().message(at)
                {
                    fields(inner, bytes, out, depth + 1)?;
                }
            }
            Label::Optional => {
                let value = value_of(field.kind, wire, depth)?;
                let says_nothing = !field.pointer && field.omitted && is_zero(&value);
                if !says_nothing && !value.is_null() {
                    out.insert(field.name.to_string(), value);
                }
            }
        }
    }
    Ok(())
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

fn entry_of(field: &Field, entry: &[u8], depth: u32) -> Result<(String, Value)> {
    let mut key = String::new();
    let mut value = match field.kind {
        Type::Text | Type::Bytes => Value::String(String::new()),
        Type::Message(_) => value_of(field.kind, Wire::Bytes(&[]), depth)?,
        _ => Value::Null,
    };
    for part in Parts(entry) {
        match part? {
            (1, Wire::Bytes(text)) => key = text_of(text)?,
            (2, wire) => value = value_of(field.kind, wire, depth)?,
            _ => {}
        }
    }
    Ok((key, value))
}

#[allow(
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    reason = "how protobuf spells signed numbers and floats"
)]
fn value_of(kind: Type, wire: Wire<'_>, depth: u32) -> Result<Value> {
    Ok(match (kind, wire) {
        (Type::Text, Wire::Bytes(bytes)) => text_of(bytes)?.into(),
        (Type::Bytes, Wire::Bytes(bytes)) => base64::engine::general_purpose::STANDARD
            .encode(bytes)
            .into(),
        (Type::Int, Wire::Number(number)) => (number as i64).into(),
        (Type::Bool, Wire::Number(number)) => (number != 0).into(),
        (Type::Double, Wire::Number(number)) => number_of(f64::from_bits(number)),
        (Type::Float, Wire::Number(number)) => number_of(f64::from(f32::from_bits(number as u32))),
        (Type::Message(at), Wire::Bytes(bytes)) => {
            let message = table().message(at).ok_or(Malformed("an unknown message"))?;
            message_of(message, bytes, depth + 1)?
        }
        _ => return Err(Malformed("proto: wrong wireType")),
    })
}

/// Whole numbers are written without a point.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "checked to be whole and small"
)]
fn number_of(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return (number as i64).into();
    }
    number.into()
}

fn message_of(message: &Message, bytes: &[u8], depth: u32) -> Result<Value> {
    if depth > DEPTH {
        return Err(Malformed("messages lie too deep in each other"));
    }
    let mut numbers = [0_i64; 4];
    let mut texts: Vec<(u32, &[u8])> = Vec::new();
    if !matches!(message.shape, Shape::Fields) {
        for part in Parts(bytes) {
            match part? {
                #[allow(
                    clippy::cast_possible_wrap,
                    reason = "how protobuf spells signed numbers"
                )]
                (number, Wire::Number(value)) => {
                    if let Some(slot) = numbers.get_mut(number as usize) {
                        *slot = value as i64;
                    }
                }
                (number, Wire::Bytes(value)) => texts.push((number, value)),
            }
        }
    }
    let [_, one, two, _] = numbers;
    let text = |number: u32| {
        let found = texts.iter().find(|(at, _)| *at == number);
        found.map_or(&[][..], |(_, text)| *text)
    };
    let inner = |number: u32, bytes: &[u8]| -> Result<Value> {
        match message.field(number).map(|field| field.kind) {
            Some(kind) => value_of(kind, Wire::Bytes(bytes), depth),
            None => Ok(Value::Null),
        }
    };
    Ok(match message.shape {
        Shape::Fields => {
            let mut out = Map::new();
            fields(message, bytes, &mut out, depth)?;
            Value::Object(out)
        }
        Shape::List => {
            let items: Result<Vec<Value>> =
                texts.iter().map(|(at, text)| inner(*at, text)).collect();
            items?.into()
        }
        // No bytes at all are no time at all.
        Shape::Time | Shape::MicroTime if bytes.is_empty() => Value::Null,
        Shape::Time | Shape::MicroTime => {
            let shown = moment::show(one, two, message.shape == Shape::MicroTime);
            shown.ok_or(Malformed("a time is out of range"))?.into()
        }
        Shape::Duration => moment::show_span(one).into(),
        Shape::IntOrString if one == 1 => text_of(text(3))?.into(),
        Shape::IntOrString => two.into(),
        Shape::Quantity => text_of(text(1))?.into(),
        Shape::Raw if text(1).is_empty() => Value::Null,
        Shape::Raw => serde_json::from_slice(text(1))
            .map_err(|_| Malformed("an embedded object is not JSON"))?,
        Shape::OrBool | Shape::OrArray | Shape::OrStrings => {
            // The schema is the second field in one of them and the first in the others.
            let (schema, other) = if message.shape == Shape::OrBool {
                (2, 1)
            } else {
                (1, 2)
            };
            if texts.iter().any(|(at, _)| *at == schema) {
                inner(schema, text(schema))?
            } else if message.shape == Shape::OrBool {
                (one != 0).into()
            } else {
                let items: Result<Vec<Value>> = texts
                    .iter()
                    .filter(|(at, _)| *at == other)
                    .map(|(at, text)| inner(*at, text))
                    .collect();
                items?.into()
            }
        }
    })
}

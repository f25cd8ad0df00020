//! JSON and YAML read with an eye for keys that a map has twice, of which the last counts.
//!
//! Nothing is looked for twice: the paths are put together only once there is a key to tell of.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::embedded::api::status::Status;

/// Reads JSON; the second is what is to be said of keys that are there twice.
pub(in crate::embedded) fn json(text: &[u8]) -> Result<(Value, Vec<String>), serde_json::Error> {
    let mut paths = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Noting(&mut paths).deserialize(&mut reader)?;
    reader.end()?;
    let notes = paths.iter().map(|path| note(path)).collect();
    Ok((value, notes))
}

/// What is said of a field that is there twice.
pub(in crate::embedded) fn note(path: &str) -> String {
    format!("duplicate field \"{path}\"")
}

/// Reads YAML, of which JSON is a part; the second is what is to be said of the first key that is there twice.
pub(in crate::embedded) fn yaml(text: &[u8]) -> Result<(Value, Vec<String>), Status> {
    if let Ok((value, notes)) = json(text)
        && notes.is_empty()
    {
        return Ok((value, notes));
    }
    let text = std::str::from_utf8(text)
        .map_err(|_| Status::bad_request("the body of the request is not UTF-8"))?;
    let strict = serde_saphyr::options! { legacy_octal_numbers: true, with_snippet: false };
    let cause = match serde_saphyr::from_str_with_options(text, strict) {
        Ok(value) => return Ok((value, Vec::new())),
        Err(cause) => cause,
    };
    let wrong =
        |cause: &serde_saphyr::Error| Status::bad_request(format!("error decoding YAML: {cause}"));
    let serde_saphyr::Error::DuplicateMappingKey { key, location } = &cause else {
        return Err(wrong(&cause));
    };
    let note = format!(
        "line {}: key {:?} already set in map",
        location.line(),
        key.as_deref().unwrap_or_default()
    );
    let lenient = serde_saphyr::options! {
        legacy_octal_numbers: true,
        with_snippet: false,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
    };
    match serde_saphyr::from_str_with_options(text, lenient) {
        Ok(value) => Ok((value, vec![note])),
        Err(cause) => Err(wrong(&cause)),
    }
}

/// Builds a value and notes the paths of keys that come again.
struct Noting<'a>(&'a mut Vec<String>);

impl<'de> DeserializeSeed<'de> for Noting<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Noting<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("any valid JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let from = self.0.len();
            let Some(item) = items.next_element_seed(Noting(self.0))? else {
                return Ok(Value::Array(list));
            };
            for path in self.0.iter_mut().skip(from) {
                lead(path, &format!("[{}]", list.len()));
            }
            list.push(item);
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let from = self.0.len();
            let value = fields.next_value_seed(Noting(self.0))?;
            for path in self.0.iter_mut().skip(from) {
                lead(path, &name);
            }
            if map.contains_key(&name) {
                self.0.push(name.clone());
            }
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

/// Puts a step before a path.
fn lead(path: &mut String, step: &str) {
    *path = match path.starts_with('[') {
        true => format!("{step}{path}"),
        false => format!("{step}.{path}"),
    };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{json, yaml};

    #[test]
    fn a_key_that_comes_again_is_told_with_its_path() {
        let text = br#"{"a": 1, "b": {"c": [{"d": 1, "d": 2}], "c.d": null}, "a": {"x": 1.5}}"#;
        let (value, notes) = json(text).unwrap();
        assert_eq!(
            notes,
            ["duplicate field \"b.c[0].d\"", "duplicate field \"a\""]
        );
        assert_eq!(
            value,
            json!({"a": {"x": 1.5}, "b": {"c": [{"d": 2}], "c.d": null}})
        );
        let (value, notes) = yaml(b"a: 1\nb:\n  c: x\n  c: z\n").unwrap();
        assert_eq!(notes, ["line 4: key \"c\" already set in map"]);
        assert_eq!(value, json!({"a": 1, "b": {"c": "z"}}));
    }

    proptest! {
        #[test]
        fn it_reads_what_others_read(text in "[-{}\\[\\]\",:a0-9.eE \\\\ntruefals]{0,60}") {
            let ours = json(text.as_bytes()).ok().map(|(value, _)| value);
            prop_assert_eq!(ours, serde_json::from_str::<Value>(&text).ok());
        }
    }
}

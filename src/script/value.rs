//! Script values ↔ plain values.

use rhai::{Array, Dynamic, Map};

use crate::diag::codes::model::WRONG_TYPE;
use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::spec::Tree;

/// Reads a script value that has no behaviour; `path` is the field it belongs to.
pub fn to_tree(value: &Dynamic, path: &str) -> Result<Tree> {
    if value.is_unit() {
        return Ok(Tree::Null);
    }
    if let Ok(answer) = value.as_bool() {
        return Ok(Tree::Bool(answer));
    }
    if let Ok(number) = value.as_int() {
        return Ok(Tree::Int(number));
    }
    if let Ok(number) = value.as_float() {
        return Ok(Tree::Float(number));
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return Ok(Tree::Text(text.to_string()));
    }
    if let Some(secret) = value.read_lock::<Secret>() {
        return Ok(Tree::Secret(secret.clone()));
    }
    if let Some(list) = value.read_lock::<Array>() {
        let list: Result<Vec<Tree>> = list
            .iter()
            .enumerate()
            .map(|(index, entry)| to_tree(entry, &format!("{path}[{index}]")))
            .collect();
        return Ok(Tree::List(list?));
    }
    if let Some(map) = value.read_lock::<Map>() {
        let map: Result<_> = map
            .iter()
            .map(|(key, entry)| {
                let inner = if path.is_empty() {
                    key.to_string()
                } else {
                    format!("{path}.{key}")
                };
                Ok((key.to_string(), to_tree(entry, &inner)?))
            })
            .collect();
        return Ok(Tree::Map(map?));
    }
    if let Ok(letter) = value.as_char() {
        return Ok(Tree::Text(letter.to_string()));
    }
    Err(Error::new(
        &WRONG_TYPE,
        format!("{} cannot be an option's value", kind(value)),
    )
    .help("use texts, numbers, booleans, secrets, lists and maps")
    .field(path))
}

/// Makes a script value.
pub fn from_tree(tree: &Tree) -> Dynamic {
    match tree {
        Tree::Null => Dynamic::UNIT,
        Tree::Bool(answer) => (*answer).into(),
        Tree::Int(number) => (*number).into(),
        Tree::Float(number) => (*number).into(),
        Tree::Text(text) => text.clone().into(),
        Tree::Secret(secret) => Dynamic::from(secret.clone()),
        Tree::List(list) => list.iter().map(from_tree).collect::<Array>().into(),
        Tree::Map(map) => map
            .iter()
            .map(|(key, value)| (key.as_str().into(), from_tree(value)))
            .collect::<Map>()
            .into(),
    }
}

/// What a value is, in a sentence: `a text`, `a cluster`.
pub(crate) fn kind(value: &Dynamic) -> String {
    kind_of(value.type_name())
}

/// What a type is, in a sentence.
pub(crate) fn kind_of(type_name: &str) -> String {
    let last = type_name.rsplit("::").next().unwrap_or(type_name);
    match last {
        "()" => "nothing".into(),
        "i64" => "a whole number".into(),
        "f64" => "a decimal number".into(),
        "bool" => "a boolean".into(),
        "string" | "String" | "&str" | "ImmutableString" | "&str | ImmutableString | String" => {
            "a text".into()
        }
        "char" => "a character".into(),
        "array" | "Array" | "Vec<Dynamic>" => "a list".into(),
        "map" | "Map" => "a map".into(),
        "Fn" | "FnPtr" => "a closure".into(),
        "Fault" => "an error".into(),
        "range" | "range=" => "a range".into(),
        other => {
            let word = other.trim_end_matches("Value").to_lowercase();
            let article = if word.starts_with(['a', 'e', 'i', 'o', 'u']) {
                "an"
            } else {
                "a"
            };
            format!("{article} {word}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_both_ways() {
        let tree = Tree::from_json(
            &serde_json::json!({ "a": [1, 2.5, "x", true, null], "b": { "c": {} } }),
        );
        assert_eq!(to_tree(&from_tree(&tree), "").unwrap(), tree);
    }
}

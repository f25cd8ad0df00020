//! Metadata as flat keys, for formats without nesting: `age__list_0__map_recipient`.

use std::collections::BTreeMap;

use crate::cipher::tree::{Branch, Value};
use crate::diag::codes::cipher::BROKEN_METADATA;
use crate::error::{Error, Result};

const MAP: &str = "__map_";
const LIST: &str = "__list_";

/// Writes a section as pairs of a flat key and a plain value.
pub(super) fn flatten(branch: &Branch) -> Vec<(String, Value)> {
    let mut flat = Vec::new();
    for (key, value) in branch.pairs() {
        descend(key.to_owned(), value, &mut flat);
    }
    flat
}

fn descend(key: String, value: &Value, flat: &mut Vec<(String, Value)>) {
    match value {
        Value::Map(branch) => {
            for (name, value) in branch.pairs() {
                descend(format!("{key}{MAP}{name}"), value, flat);
            }
        }
        Value::List(list) => {
            let items = list
                .iter()
                .filter(|item| !matches!(item, Value::Comment(_)));
            for (index, value) in items.enumerate() {
                descend(format!("{key}{LIST}{index}"), value, flat);
            }
        }
        plain => flat.push((key, plain.clone())),
    }
}

#[derive(Default)]
struct Node {
    value: Option<Value>,
    keys: BTreeMap<String, Node>,
    places: BTreeMap<usize, Node>,
}

/// Reads flat pairs back into a section.
pub(super) fn unflatten(flat: Vec<(String, Value)>) -> Result<Branch> {
    let mut root = Node::default();
    for (key, value) in flat {
        let mut node = &mut root;
        for token in tokens(&key).ok_or_else(|| clash(&key, "is nested too deeply"))? {
            node = match token {
                Token::Key(name) => node.keys.entry(name).or_default(),
                Token::Place(place) => node.places.entry(place).or_default(),
            };
        }
        if node.value.replace(value).is_some() {
            return Err(clash(&key, "is there twice"));
        }
    }
    match settle(root, KeyPath::default())? {
        Value::Map(branch) => Ok(branch),
        _ => Ok(Branch::default()),
    }
}

#[derive(Default, Clone)]
struct KeyPath(String);

impl KeyPath {
    fn below(&self, step: &str) -> Self {
        if self.0.is_empty() {
            Self(step.to_owned())
        } else {
            Self(format!("{}.{step}", self.0))
        }
    }
}

fn settle(node: Node, path: KeyPath) -> Result<Value> {
    let kinds = usize::from(node.value.is_some())
        + usize::from(!node.keys.is_empty())
        + usize::from(!node.places.is_empty());
    if kinds > 1 {
        return Err(clash(&path.0, "is both a value and a collection"));
    }
    if let Some(value) = node.value {
        return Ok(value);
    }
    if node.places.is_empty() {
        let mut branch = Branch::default();
        for (key, child) in node.keys {
            let below = path.below(&key);
            branch.push(key, settle(child, below)?);
        }
        return Ok(Value::Map(branch));
    }
    let mut list = Vec::new();
    for (index, (place, child)) in node.places.into_iter().enumerate() {
        if place != index {
            return Err(clash(&path.0, "is a list with a gap"));
        }
        list.push(settle(child, path.below(&index.to_string()))?);
    }
    Ok(Value::List(list))
}

enum Token {
    Key(String),
    Place(usize),
}

fn tokens(key: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = key;
    let mut list = false;
    loop {
        let next = [
            rest.find(MAP).map(|at| (at, MAP)),
            rest.find(LIST).map(|at| (at, LIST)),
        ];
        let next = next.into_iter().flatten().min();
        let word = next.map_or(rest, |(at, _)| &rest[..at]);
        tokens.push(if list {
            Token::Place(word.parse().unwrap_or(0))
        } else {
            Token::Key(word.to_owned())
        });
        if tokens.len() > 32 {
            return None;
        }
        let Some((at, mark)) = next else {
            return Some(tokens);
        };
        list = mark == LIST;
        rest = &rest[at + mark.len()..];
    }
}

fn clash(key: &str, what: &str) -> Error {
    Error::new(&BROKEN_METADATA, format!("the metadata key `{key}` {what}"))
        .field(format!("sops.{key}"))
}

#[cfg(test)]
mod tests {
    use super::{flatten, unflatten};
    use crate::cipher::tree::{Branch, Value};

    #[test]
    fn comes_back_from_flat_keys() {
        let mut stanza = Branch::default();
        stanza.push("enc", Value::text("x"));
        let mut branch = Branch::default();
        branch.push("age", Value::List(vec![Value::Map(stanza)]));
        branch.push("mac", Value::text("m"));
        let flat = flatten(&branch);
        assert_eq!(flat[0].0, "age__list_0__map_enc");
        assert_eq!(unflatten(flat).unwrap(), branch);
    }

    #[test]
    fn refuses_clashes_and_gaps() {
        for keys in [&["a", "a"][..], &["a", "a__map_b"], &["a__list_1"]] {
            let flat = keys
                .iter()
                .map(|key| ((*key).to_owned(), Value::text("x")))
                .collect();
            assert!(unflatten(flat).is_err(), "{keys:?}");
        }
    }
}

//! Paths into a document, as `--extract '["a"][0]'` writes them: reading, and getting, setting and removing values.

use super::tree::{Branch, Entry, Value};
use crate::diag::codes::cipher::{BROKEN_TREE_PATH, NO_SUCH_VALUE};
use crate::error::{Error, Result};

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A key of a mapping.
    Key(String),
    /// A position in a list, comments counted as sops counts them.
    Place(usize),
}

/// A path from the root of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Vec<Step>);

impl Path {
    /// Reads `["key"][0]`.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str| {
            Error::new(
                &BROKEN_TREE_PATH,
                format!("the path `{text}` cannot be read: {what}"),
            )
            .help("write it like '[\"database\"][\"users\"][0]'")
        };
        let mut steps = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            rest = rest
                .strip_prefix('[')
                .ok_or_else(|| wrong("a step begins with `[`"))?;
            let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
            if let Some(quote) = quote {
                let inner = &rest[1..];
                let end = inner
                    .find(&format!("{quote}]"))
                    .ok_or_else(|| wrong("a key is not closed"))?;
                steps.push(Step::Key(inner[..end].to_owned()));
                rest = &inner[end + 2..];
            } else {
                let (place, after) = rest
                    .split_once(']')
                    .ok_or_else(|| wrong("a step ends with `]`"))?;
                let place = place
                    .parse()
                    .map_err(|_| wrong("a position is a number, a key stands in quotes"))?;
                steps.push(Step::Place(place));
                rest = after;
            }
        }
        Ok(Self(steps))
    }

    /// Shows the path in the form it is typed in.
    pub fn show(&self) -> String {
        self.0
            .iter()
            .map(|step| match step {
                Step::Key(key) => format!("[\"{key}\"]"),
                Step::Place(place) => format!("[{place}]"),
            })
            .collect()
    }

    /// Gives the value there; the whole document for an empty path.
    pub fn get(&self, branch: &Branch) -> Result<Value> {
        let mut steps = self.0.iter();
        let Some(first) = steps.next() else {
            return Ok(Value::Map(branch.clone()));
        };
        let mut value = match first {
            Step::Key(key) => branch.get(key),
            Step::Place(_) => None,
        }
        .ok_or_else(|| self.missing(first))?;
        for step in steps {
            value = match (step, value) {
                (Step::Key(key), Value::Map(branch)) => branch.get(key),
                (Step::Place(place), Value::List(list)) => list.get(*place),
                _ => None,
            }
            .ok_or_else(|| self.missing(step))?;
        }
        Ok(value.clone())
    }

    /// Puts a value there, making what is missing on the way; tells whether anything changed.
    pub fn set(&self, branch: &mut Branch, new: Value) -> Result<bool> {
        let Some((Step::Key(_), _)) = self.0.split_first() else {
            return Err(
                Error::new(&BROKEN_TREE_PATH, "the path must begin with a key")
                    .help("write it like '[\"database\"][\"port\"]'"),
            );
        };
        let mut root = Value::Map(std::mem::take(branch));
        let changed = set(&mut root, &self.0, new);
        if let Value::Map(root) = root {
            *branch = root;
        }
        Ok(changed)
    }

    /// Removes the value there.
    pub fn unset(&self, branch: &mut Branch) -> Result<()> {
        let Some((last, before)) = self.0.split_last() else {
            return Err(Error::new(&BROKEN_TREE_PATH, "the path is empty")
                .help("name what to remove, like '[\"old\"]'"));
        };
        let mut root = Value::Map(std::mem::take(branch));
        let removed = descend(&mut root, before).is_some_and(|parent| match (last, parent) {
            (Step::Key(key), Value::Map(branch)) => {
                let at = branch
                    .0
                    .iter()
                    .position(|entry| matches!(entry, Entry::Pair(name, _) if name == key));
                at.map(|at| branch.0.remove(at)).is_some()
            }
            (Step::Place(place), Value::List(list)) if *place < list.len() => {
                list.remove(*place);
                true
            }
            _ => false,
        });
        if let Value::Map(root) = root {
            *branch = root;
        }
        if removed {
            Ok(())
        } else {
            Err(self.missing(last))
        }
    }

    fn missing(&self, step: &Step) -> Error {
        let step = match step {
            Step::Key(key) => format!("key `{key}`"),
            Step::Place(place) => format!("position {place}"),
        };
        Error::new(
            &NO_SUCH_VALUE,
            format!("there is no {step} on the path {}", self.show()),
        )
        .field(self.show())
    }
}

fn descend<'a>(value: &'a mut Value, steps: &[Step]) -> Option<&'a mut Value> {
    let Some((first, rest)) = steps.split_first() else {
        return Some(value);
    };
    let next = match (first, value) {
        (Step::Key(key), Value::Map(branch)) => branch.0.iter_mut().find_map(|entry| match entry {
            Entry::Pair(name, value) if name == key => Some(value),
            _ => None,
        }),
        (Step::Place(place), Value::List(list)) => list.get_mut(*place),
        _ => None,
    }?;
    descend(next, rest)
}

fn set(value: &mut Value, steps: &[Step], new: Value) -> bool {
    let Some((first, rest)) = steps.split_first() else {
        let changed = *value != new;
        value.wipe();
        *value = new;
        return changed;
    };
    match (first, &mut *value) {
        (Step::Key(key), Value::Map(branch)) => {
            let known = branch.0.iter_mut().find_map(|entry| match entry {
                Entry::Pair(name, value) if name == key => Some(value),
                _ => None,
            });
            if let Some(inner) = known {
                return set(inner, rest, new);
            }
            branch.push(key, built(rest, new));
            true
        }
        (Step::Place(place), Value::List(list)) => {
            if let Some(inner) = list.get_mut(*place) {
                return set(inner, rest, new);
            }
            list.push(built(rest, new));
            true
        }
        _ => {
            let new = built(steps, new);
            let changed = *value != new;
            value.wipe();
            *value = new;
            changed
        }
    }
}

fn built(steps: &[Step], leaf: Value) -> Value {
    steps.iter().rev().fold(leaf, |inner, step| match step {
        Step::Key(key) => Value::Map(Branch(vec![Entry::Pair(key.clone(), inner)])),
        Step::Place(_) => Value::List(vec![inner]),
    })
}

#[cfg(test)]
mod tests {
    use super::Path;
    use crate::cipher::tree::{Branch, Value};
    use proptest::prelude::*;

    #[test]
    fn sets_gets_and_removes() {
        let mut branch = Branch::default();
        let path = Path::parse("[\"a\"]['b'][0]").unwrap();
        assert_eq!(path.show(), "[\"a\"][\"b\"][0]");
        assert!(path.set(&mut branch, Value::Int(1)).unwrap());
        assert!(!path.set(&mut branch, Value::Int(1)).unwrap());
        assert_eq!(path.get(&branch).unwrap(), Value::Int(1));
        path.unset(&mut branch).unwrap();
        assert!(path.get(&branch).is_err());
        assert!(path.unset(&mut branch).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "[\\[\\]\"'a0 ä]{0,20}") {
            if let Ok(path) = Path::parse(&text) {
                let mut branch = Branch::default();
                let _ = path.set(&mut branch, Value::Null);
                let _ = path.get(&branch);
            }
        }
    }
}

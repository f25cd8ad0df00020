//! Reaching into JSON by path: `/spec/containers/0`, as JSON pointers say it.
//!
//! It is done many times for every write, so it makes no copies of what it is given.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Objects with so few fields are searched faster than asked.
const FEW: usize = 8;

/// Reaching into a value.
pub(in crate::embedded) trait Reach {
    /// What is at a path.
    fn reach(&self, path: &str) -> Option<&Value>;
    /// The same, to be changed.
    fn reach_mut(&mut self, path: &str) -> Option<&mut Value>;
}

impl Reach for Value {
    fn reach(&self, path: &str) -> Option<&Value> {
        let mut found = self;
        for step in steps(path)? {
            found = match found {
                Self::Object(map) => field(map, &name(step))?,
                Self::Array(list) => list.get(place(step)?)?,
                _ => return None,
            };
        }
        Some(found)
    }

    fn reach_mut(&mut self, path: &str) -> Option<&mut Value> {
        let mut found = self;
        for step in steps(path)? {
            found = match found {
                Self::Object(map) => map.get_mut(&*name(step))?,
                Self::Array(list) => list.get_mut(place(step)?)?,
                _ => return None,
            };
        }
        Some(found)
    }
}

/// The steps of a path; `None` if it is not one.
fn steps(path: &str) -> Option<impl Iterator<Item = &str>> {
    // An empty path leads to where it began.
    let rest = match path {
        "" => None,
        path => Some(path.strip_prefix('/')?),
    };
    Some(rest.into_iter().flat_map(|rest| rest.split('/')))
}

fn field<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if map.len() > FEW {
        return map.get(name);
    }
    map.iter()
        .find(|(own, _)| *own == name)
        .map(|(_, value)| value)
}

/// The name that a step means.
fn name(step: &str) -> Cow<'_, str> {
    if step.as_bytes().contains(&b'~') {
        Cow::Owned(step.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(step)
    }
}

fn place(step: &str) -> Option<usize> {
    let odd = step.starts_with('+') || (step.starts_with('0') && step.len() > 1);
    (!odd).then(|| step.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Reach as _;

    #[test]
    fn it_reaches_what_a_json_pointer_does() {
        let mut value = json!({
            "a": {"b/c": [1, {"~": 2}], "": 3}, "01": 4,
            "many": {"1": 1, "2": 2, "3": 3, "4": 4, "5": 5, "6": 6, "7": 7, "8": 8, "9": 9},
        });
        for path in [
            "",
            "/",
            "/a",
            "/a/",
            "/a/b~1c/0",
            "/a/b~1c/1/~0",
            "/a/b~1c/01",
            "/a/b~1c/+1",
            "/01",
            "/many/9",
            "/many/x",
            "a",
            "/a/b~1c/2",
            "/x/y",
            "//",
        ] {
            assert_eq!(value.reach(path), value.pointer(path), "{path}");
            let found = value.pointer(path).cloned();
            assert_eq!(value.reach_mut(path).cloned(), found, "{path}");
        }
    }
}

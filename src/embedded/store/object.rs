//! One object as it is kept: its JSON text, and what is asked of it often.

use std::cell::Cell;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::embedded::reach::Reach as _;

/// An object at one revision. It never changes; a write makes a new one.
///
/// The text is what counts: it is what the log holds and what readers get. The parsed form is made on demand and kept
/// only while somebody holds it or it is fresh, so that an idle cluster of many objects stays small. What followers ask of every change
/// — labels, owners, whether it is going — is read once, when the object is made.
pub struct Object {
    revision: u64,
    key: Box<str>,
    marks: Marks,
    bytes: Bytes,
    parsed: Mutex<Parsed>,
}

/// The parsed form: there for as long as somebody holds it, or until the store has better use for the room.
#[derive(Default)]
struct Parsed {
    known: Weak<Value>,
    kept: Option<Arc<Value>>,
}

/// What the metadata says that is asked of it often.
#[derive(Default)]
struct Marks {
    uid: Box<str>,
    labels: Box<[(Box<str>, Box<str>)]>,
    owners: Box<[Owner]>,
    going: bool,
}

/// An object that owns another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Such as `ReplicaSet`.
    pub kind: Box<str>,
    /// Its name; the namespace is the object's own, if it has one.
    pub name: Box<str>,
    /// Which of those that ever had the name.
    pub uid: Box<str>,
    /// Whether it is the one that controls the object.
    pub controls: bool,
}

/// Paper for drafts that is not given back when there is more of it than this.
const PAPER: usize = 1 << 16;

thread_local! {
    /// What drafts are written on, used again and again.
    static DRAFTS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A value on its way into the store: written out as far as that goes before its revision is known.
pub(super) struct Draft {
    value: Value,
    text: Vec<u8>,
    /// Where the revision comes.
    gap: Range<usize>,
    marks: Marks,
}

impl Draft {
    /// Writes a value out; its revision is left open.
    pub(super) fn new(mut value: Value) -> Self {
        if let Some(root) = value.as_object_mut() {
            let metadata = root
                .entry("metadata")
                .or_insert_with(|| Value::Object(Map::new()));
            if let Some(metadata) = metadata.as_object_mut() {
                metadata.insert("resourceVersion".to_owned(), Value::Null);
            }
        }
        let (text, gap) = write_out(&value);
        Self {
            marks: Marks::read(&value),
            value,
            text,
            gap,
        }
    }

    /// Gives it its revision and freezes it.
    pub(super) fn stamp(mut self, revision: u64, key: &str) -> Arc<Object> {
        let mut stamp = String::new();
        // What is no object has no place for a revision.
        if !self.gap.is_empty() {
            let digits = revision.to_string();
            stamp = format!("\"{digits}\"");
            if let Some(Value::Object(metadata)) = self.value.get_mut("metadata") {
                metadata.insert("resourceVersion".to_owned(), digits.into());
            }
        }
        let before = self.text.get(..self.gap.start).unwrap_or_default();
        let after = self.text.get(self.gap.end..).unwrap_or_default();
        let bytes = [before, stamp.as_bytes(), after].concat();
        if self.text.capacity() <= PAPER {
            DRAFTS.set(std::mem::take(&mut self.text));
        }
        let parsed = Arc::new(self.value);
        let parsed = Parsed {
            known: Arc::downgrade(&parsed),
            kept: Some(parsed),
        };
        Arc::new(Object {
            revision,
            key: key.into(),
            marks: self.marks,
            bytes: Bytes::from(bytes),
            parsed: Mutex::new(parsed),
        })
    }
}

/// The text of a value, and where in it the revision stands.
fn write_out(value: &Value) -> (Vec<u8>, Range<usize>) {
    let mut text = DRAFTS.take();
    text.clear();
    let mut gap = 0..0;
    let Some(root) = value.as_object() else {
        push(&mut text, value);
        return (text, gap);
    };
    let separate = |text: &mut Vec<u8>, first: bool| text.push(if first { b'{' } else { b',' });
    for (at, (name, inner)) in root.iter().enumerate() {
        separate(&mut text, at == 0);
        push_name(&mut text, name);
        match inner.as_object().filter(|_| name == "metadata") {
            Some(metadata) => {
                for (at, (name, inner)) in metadata.iter().enumerate() {
                    separate(&mut text, at == 0);
                    push_name(&mut text, name);
                    let start = text.len();
                    push(&mut text, inner);
                    if name == "resourceVersion" {
                        gap = start..text.len();
                    }
                }
                text.push(b'}');
            }
            None => push(&mut text, inner),
        }
    }
    text.push(b'}');
    (text, gap)
}

fn push_name(text: &mut Vec<u8>, name: &str) {
    push(text, name);
    text.push(b':');
}

fn push(text: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    // Writing what came from JSON to memory cannot fail.
    let _ = serde_json::to_writer(text, value);
}

impl Marks {
    fn read(value: &Value) -> Self {
        let Some(metadata) = value.get("metadata") else {
            return Self::default();
        };
        let text = |value: &Value, name: &str| -> Box<str> {
            let text = value.get(name).and_then(Value::as_str);
            text.unwrap_or_default().into()
        };
        let labels = metadata.get("labels").and_then(Value::as_object);
        let owners = metadata.get("ownerReferences").and_then(Value::as_array);
        Self {
            uid: text(metadata, "uid"),
            labels: labels
                .into_iter()
                .flatten()
                .filter_map(|(key, value)| Some((key.as_str().into(), value.as_str()?.into())))
                .collect(),
            owners: owners
                .into_iter()
                .flatten()
                .map(|owner| Owner {
                    kind: text(owner, "kind"),
                    name: text(owner, "name"),
                    uid: text(owner, "uid"),
                    controls: owner.get("controller").and_then(Value::as_bool) == Some(true),
                })
                .collect(),
            going: metadata.get("deletionTimestamp").is_some(),
        }
    }
}

impl Object {
    /// Freezes a value that is not to be written, with the revision that it carries.
    pub fn unsaved(key: &str, value: Value) -> Arc<Self> {
        let revision = value.reach("/metadata/resourceVersion");
        let revision = revision.and_then(|text| text.as_str()?.parse().ok());
        Self::frozen(revision.unwrap_or(0), key, &value, value.to_string().into())
    }

    /// Takes an object from the log; `None` if its text is no JSON.
    pub(super) fn read(revision: u64, key: &str, bytes: Bytes) -> Option<Arc<Self>> {
        let value: Value = serde_json::from_slice(&bytes).ok()?;
        Some(Self::frozen(revision, key, &value, bytes))
    }

    fn frozen(revision: u64, key: &str, value: &Value, bytes: Bytes) -> Arc<Self> {
        Arc::new(Self {
            revision,
            key: key.into(),
            marks: Marks::read(value),
            bytes,
            parsed: Mutex::default(),
        })
    }

    /// The revision of the write that made it.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// `namespace/name`; without a namespace, `/name`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The namespace; empty if it has none.
    pub fn namespace(&self) -> &str {
        self.key
            .split_once('/')
            .map_or("", |(namespace, _)| namespace)
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.key.split_once('/').map_or("", |(_, name)| name)
    }

    /// Which of those that ever had the name.
    pub fn uid(&self) -> &str {
        &self.marks.uid
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        let found = self.marks.labels.iter().find(|(key, _)| &**key == name)?;
        Some(&found.1)
    }

    /// Whether another has the same labels.
    pub fn has_labels_of(&self, other: &Self) -> bool {
        self.marks.labels == other.marks.labels
    }

    /// What owns it.
    pub fn owners(&self) -> &[Owner] {
        &self.marks.owners
    }

    /// What controls it.
    pub fn controller(&self) -> Option<&Owner> {
        self.marks.owners.iter().find(|owner| owner.controls)
    }

    /// Whether it is on its way out.
    pub fn is_going(&self) -> bool {
        self.marks.going
    }

    /// Whether a word is anywhere in the text: a quick look that spares most of what asks a thorough one.
    pub fn mentions(&self, word: &str) -> bool {
        std::str::from_utf8(&self.bytes).is_ok_and(|text| text.contains(word))
    }

    /// The JSON text.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The parsed form.
    pub fn value(&self) -> Arc<Value> {
        let mut parsed = self.parsed();
        if let Some(value) = parsed.known.upgrade() {
            return value;
        }
        // The text was JSON when it was frozen, so there is always something to read.
        let value = Arc::new(serde_json::from_slice(&self.bytes).unwrap_or_default());
        parsed.known = Arc::downgrade(&value);
        value
    }

    /// Lets go of the parsed form, unless somebody holds it.
    pub(super) fn cool(&self) {
        // Dropped after the lock: that may take as long as parsing.
        let kept = self.parsed().kept.take();
        drop(kept);
    }

    fn parsed(&self) -> MutexGuard<'_, Parsed> {
        self.parsed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Draft;

    #[test]
    fn the_text_is_that_of_the_value_with_its_revision() {
        for value in [
            json!({"metadata": {"name": "x", "resourceVersion": "3", "labels": {"a": "\"b\""}}, "data": {"metadata": 1}}),
            json!({"spec": {"metadata": {"resourceVersion": "9"}}}),
            json!({}),
            json!({"metadata": []}),
            json!([1]),
        ] {
            let object = Draft::new(value).stamp(12345, "a/x");
            let parsed = object.value();
            let read: Value = serde_json::from_slice(object.bytes()).unwrap();
            assert_eq!(read, *parsed);
            assert_eq!(object.bytes(), parsed.to_string().as_bytes());
        }
    }

    #[test]
    fn what_is_asked_often_is_at_hand() {
        let owners = json!([
            {"kind": "Node", "name": "n", "uid": "1"},
            {"kind": "ReplicaSet", "name": "web", "uid": "2", "controller": true},
        ]);
        let value =
            json!({"metadata": {"uid": "7", "labels": {"app": "web"}, "ownerReferences": owners}});
        let object = Draft::new(value).stamp(2, "default/web-1");
        assert_eq!((object.uid(), object.label("app")), ("7", Some("web")));
        assert_eq!(object.owners().len(), 2);
        assert_eq!(object.controller().map(|owner| &*owner.uid), Some("2"));
        assert!(!object.is_going());
    }
}

//! One object as it is kept: its JSON text, and what is asked of it often.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use serde_json::{Map, Value};

/// An object at one revision. It never changes; a write makes a new one.
///
/// The text is what counts: it is what the log holds and what readers get. The parsed form is made on demand and kept
/// only while somebody holds it, so that an idle cluster of many objects stays small.
pub struct Object {
    revision: u64,
    key: Box<str>,
    labels: Box<[(Box<str>, Box<str>)]>,
    bytes: Bytes,
    parsed: Mutex<Weak<Value>>,
}

impl Object {
    /// Gives a value its revision and freezes it.
    pub(super) fn stamp(revision: u64, key: &str, mut value: Value) -> (Arc<Self>, Arc<Value>) {
        if let Some(root) = value.as_object_mut() {
            let metadata = root
                .entry("metadata")
                .or_insert_with(|| Value::Object(Map::new()));
            if let Some(metadata) = metadata.as_object_mut() {
                metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
            }
        }
        let bytes = Bytes::from(value.to_string());
        let labels = labels_of(&value);
        let parsed = Arc::new(value);
        let object = Self {
            revision,
            key: key.into(),
            labels,
            bytes,
            parsed: Mutex::new(Arc::downgrade(&parsed)),
        };
        (Arc::new(object), parsed)
    }

    /// Freezes a value that is not to be written, with the revision that it carries.
    pub fn unsaved(key: &str, value: Value) -> Arc<Self> {
        let revision = value.pointer("/metadata/resourceVersion");
        let revision = revision.and_then(|text| text.as_str()?.parse().ok());
        let bytes = Bytes::from(value.to_string());
        Arc::new(Self {
            revision: revision.unwrap_or(0),
            key: key.into(),
            labels: labels_of(&value),
            bytes,
            parsed: Mutex::new(Weak::new()),
        })
    }

    /// Takes an object from the log; `None` if its text is no JSON.
    pub(super) fn read(revision: u64, key: &str, bytes: Bytes) -> Option<Arc<Self>> {
        let value: Value = serde_json::from_slice(&bytes).ok()?;
        Some(Arc::new(Self {
            revision,
            key: key.into(),
            labels: labels_of(&value),
            bytes,
            parsed: Mutex::new(Weak::new()),
        }))
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

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        let found = self.labels.iter().find(|(key, _)| &**key == name)?;
        Some(&found.1)
    }

    /// The JSON text.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The parsed form.
    pub fn value(&self) -> Arc<Value> {
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = parsed.upgrade() {
            return value;
        }
        // The text was JSON when it was frozen, so there is always something to read.
        let value = Arc::new(serde_json::from_slice(&self.bytes).unwrap_or_default());
        *parsed = Arc::downgrade(&value);
        value
    }
}

fn labels_of(value: &Value) -> Box<[(Box<str>, Box<str>)]> {
    let Some(Value::Object(labels)) = value.pointer("/metadata/labels") else {
        return Box::default();
    };
    labels
        .iter()
        .filter_map(|(key, value)| Some((key.as_str().into(), value.as_str()?.into())))
        .collect()
}

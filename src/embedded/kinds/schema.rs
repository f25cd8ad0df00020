//! The OpenAPI schemas of the built-in kinds, without prose.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use serde_json::{Map, Value, json};

use super::prose;

static PACKED: &[u8] = include_bytes!("schemas.gz");

/// What a reference to another schema begins with.
const REFERENCE: &str = "\"#/components/schemas/";

/// The schemas of one group version and what they refer to.
#[derive(Debug, Default)]
pub struct Schemas {
    /// By name, as a document has them.
    pub all: Map<String, Value>,
    /// The name of the schema of each kind of the group version.
    pub names: BTreeMap<String, String>,
}

/// All schemas there are, unpacked.
pub struct Pack(String);

impl Pack {
    /// Unpacks them; whoever wants those of many group versions does so once.
    pub fn open() -> Self {
        let mut text = String::new();
        // The data is part of the program; if it can't be read there are no schemas, and a test says so.
        if flate2::read::GzDecoder::new(PACKED)
            .read_to_string(&mut text)
            .is_err()
        {
            text.clear();
        }
        Self(text)
    }

    /// Reads those of a group version, with some that are asked for by name; there are none for groups that are not
    /// built in.
    pub fn of(&self, group: &str, version: &str, more: &[&str]) -> Schemas {
        let lines: BTreeMap<&str, (&str, &str)> = self.0.lines().filter_map(split).collect();
        let mut names = BTreeMap::new();
        let mut open: Vec<&str> = Vec::new();
        open.extend(lines.keys().filter(|name| more.contains(name)));
        for (name, (kinds, _)) in &lines {
            for mark in kinds.split(',') {
                let mut parts = mark.split('/');
                if parts.next() == Some(group)
                    && parts.next() == Some(version)
                    && let Some(kind) = parts.next()
                {
                    names.insert(kind.to_owned(), (*name).to_owned());
                    open.push(name);
                }
            }
        }
        if open.is_empty() {
            return Schemas::default();
        }
        let mut found: BTreeSet<&str> = BTreeSet::new();
        while let Some(name) = open.pop() {
            if let Some((_, body)) = lines.get(name)
                && found.insert(name)
            {
                open.extend(references(body));
            }
        }
        let mut all = Map::new();
        for name in found {
            let Some((kinds, body)) = lines.get(name) else {
                continue;
            };
            let mut schema: Value = serde_json::from_str(body).unwrap_or_default();
            let marks = marks(kinds);
            if let Some(schema) = schema.as_object_mut() {
                prose::describe(name, !marks.is_empty(), schema);
                if !marks.is_empty() {
                    let mark = "x-kubernetes-group-version-kind".to_owned();
                    schema.insert(mark, Value::Array(marks));
                }
            }
            all.insert(name.to_owned(), schema);
        }
        Schemas { all, names }
    }
}

fn split(line: &str) -> Option<(&str, (&str, &str))> {
    let (name, rest) = line.split_once(' ')?;
    Some((name, rest.split_once(' ')?))
}

/// The names that a schema's text refers to.
fn references(body: &str) -> impl Iterator<Item = &str> {
    body.split(REFERENCE)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
}

fn marks(kinds: &str) -> Vec<Value> {
    let mark = |text: &str| {
        let mut parts = text.split('/');
        let (group, version) = (parts.next()?, parts.next()?);
        Some(json!({"group": group, "version": version, "kind": parts.next()?}))
    };
    kinds.split(',').filter_map(mark).collect()
}

#[cfg(test)]
mod tests {
    use super::{Pack, REFERENCE};
    use crate::embedded::api::registry::Registry;

    #[test]
    fn every_built_in_kind_has_a_schema() {
        let pack = Pack::open();
        for kind in Registry::default().all() {
            let schemas = pack.of(&kind.group, &kind.version, &[]);
            let name = schemas.names.get(&kind.kind);
            assert!(
                name.is_some_and(|name| schemas.all.contains_key(name)),
                "{} {}",
                kind.api_version(),
                kind.kind
            );
        }
    }

    #[test]
    fn a_document_holds_all_that_it_refers_to() {
        let schemas = Pack::open().of("apps", "v1", &[]);
        let text = serde_json::to_string(&schemas.all).unwrap();
        for name in super::references(&text) {
            assert!(schemas.all.contains_key(name), "{name}");
        }
        assert!(text.contains(REFERENCE));
        let spec = &schemas.all["io.k8s.api.apps.v1.DeploymentSpec"];
        assert_eq!(spec["properties"]["replicas"]["format"], "int32");
    }

    #[test]
    fn what_all_objects_share_is_described() {
        let schemas = Pack::open().of("apps", "v1", &[]).all;
        let metadata = &schemas["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]["properties"];
        for (name, field) in metadata.as_object().unwrap() {
            assert!(field["description"].is_string(), "{name}");
        }
        let deployment = &schemas["io.k8s.api.apps.v1.Deployment"]["properties"];
        assert!(deployment["kind"]["description"].is_string());
        assert!(deployment["spec"].get("description").is_none());
    }

    #[test]
    fn other_groups_have_none() {
        assert!(Pack::open().of("example.com", "v1", &[]).all.is_empty());
    }
}

//! Objects as rows: the columns that `kubectl get` shows.
//!
//! Built-in kinds' columns stand in a file by topic, beside what only they show; `cells` has what many show. Custom kinds bring
//! theirs in their definition. To add a kind: an arm in the `columns` of its topic.

mod access;
mod api_service;
mod cells;
mod cluster;
mod custom;
mod network;
mod storage;
mod workloads;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::api::registry::Kind;
use super::store::Object;
use crate::embedded::reach::Reach as _;

/// How a cell is computed from an object.
type Cell = fn(&Value) -> Value;

/// A column of a built-in kind: name, type, whether it is only for wide output, and its cells.
struct Column(&'static str, &'static str, u8, Cell);

const TEXT: &str = "string";
const NUMBER: &str = "integer";

/// What a request wants to have of the objects themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Include {
    /// Their metadata.
    Metadata,
    /// All of them.
    Object,
    /// Nothing.
    None,
}

/// Makes a table of some objects.
pub fn table(
    kind: &Kind,
    objects: &[Arc<Object>],
    include: Include,
    metadata: Value,
    headed: bool,
) -> Value {
    let columns = columns(kind);
    let mut objects: Vec<&Arc<Object>> = objects.iter().collect();
    if kind.plural == "flowschemas" {
        // They are shown in the turn that they are asked in.
        objects.sort_by_key(|object| {
            let value = object.value();
            value
                .reach("/spec/matchingPrecedence")
                .and_then(Value::as_i64)
        });
    }
    let rows: Vec<Value> = objects
        .into_iter()
        .map(|object| row(kind, &columns, object, include))
        .collect();
    // Tables that the server makes without being told how have no list at all where they have no rows.
    let plain = kind.custom.is_none() && columns.iter().any(|Column(_, of, ..)| *of == "date");
    let rows = match rows.is_empty() && plain {
        true => Value::Null,
        false => rows.into(),
    };
    let definitions = if headed {
        definitions(kind, &columns)
    } else {
        Value::Null
    };
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions, "rows": rows,
    })
}

fn row(kind: &Kind, columns: &[Column], object: &Object, include: Include) -> Value {
    let value = object.value();
    let cells: Vec<Value> = match &kind.custom {
        Some(custom) => custom::cells(&custom.columns, &value),
        None => columns
            .iter()
            .map(|Column(_, _, _, cell)| cell(&value))
            .collect(),
    };
    let mut row = Map::new();
    row.insert("cells".to_owned(), cells.into());
    match include {
        Include::None => {}
        Include::Object => {
            row.insert("object".to_owned(), (*value).clone());
        }
        Include::Metadata => {
            row.insert("object".to_owned(), partial(&value));
        }
    }
    Value::Object(row)
}

/// An object without anything but its metadata.
pub fn partial(value: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": value.get("metadata").cloned().unwrap_or_else(|| json!({})),
    })
}

fn definitions(kind: &Kind, columns: &[Column]) -> Value {
    if let Some(custom) = &kind.custom {
        return custom::definitions(&custom.columns);
    }
    let each = columns.iter().map(|Column(name, of, priority, _)| {
        let format = if *name == "Name" { "name" } else { "" };
        json!({"name": name, "type": of, "format": format, "description": "", "priority": priority})
    });
    each.collect::<Vec<_>>().into()
}

const NAME: Column = Column("Name", TEXT, 0, cells::name);
const AGE: Column = Column("Age", TEXT, 0, cells::age);
const CREATED: Column = Column("Created At", "date", 0, |v| {
    cells::plain(v, "/metadata/creationTimestamp")
});

/// The columns of a built-in kind; name and age for those that have no others.
fn columns(kind: &Kind) -> Vec<Column> {
    let (group, plural) = (kind.group.as_str(), kind.plural.as_str());
    [
        workloads::columns,
        network::columns,
        storage::columns,
        access::columns,
        cluster::columns,
    ]
    .into_iter()
    .find_map(|of| of(group, plural))
    .unwrap_or_else(|| vec![NAME, AGE])
}

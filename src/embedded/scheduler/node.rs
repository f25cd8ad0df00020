//! A node in short, as the scheduler sees it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::embedded::quantity;
use crate::embedded::reach::Reach as _;
use crate::embedded::store::Object;

/// A mark that keeps pods away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct Taint {
    pub(in crate::embedded) key: String,
    pub(in crate::embedded) value: String,
    pub(in crate::embedded) effect: String,
}

/// A node in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct Node {
    pub(in crate::embedded) name: String,
    pub(in crate::embedded) labels: BTreeMap<String, String>,
    pub(in crate::embedded) taints: Vec<Taint>,
    pub(in crate::embedded) unschedulable: bool,
    /// What pods may ask for together, in thousandths; nothing said is no limit.
    pub(in crate::embedded) cpu: Option<i128>,
    pub(in crate::embedded) memory: Option<i128>,
    pub(in crate::embedded) pods: Option<i128>,
}

impl Node {
    /// Reads a node.
    pub(in crate::embedded) fn read(object: &Object) -> Self {
        let value = object.value();
        let labels = value.reach("/metadata/labels").and_then(Value::as_object);
        let text = |value: &Value, name: &str| {
            let text = value.get(name).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let taints = value.reach("/spec/taints").and_then(Value::as_array);
        let amount = |name: &str| {
            let amount = value.reach(&format!("/status/allocatable/{name}"));
            amount.and_then(quantity::of)
        };
        Self {
            name: object.name().to_owned(),
            labels: labels
                .into_iter()
                .flatten()
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect(),
            taints: taints
                .into_iter()
                .flatten()
                .map(|taint| Taint {
                    key: text(taint, "key"),
                    value: text(taint, "value"),
                    effect: text(taint, "effect"),
                })
                .collect(),
            unschedulable: value.reach("/spec/unschedulable") == Some(&Value::Bool(true)),
            cpu: amount("cpu"),
            memory: amount("memory"),
            pods: amount("pods"),
        }
    }

    /// Whether nothing that matters here differs.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self == other
    }
}

//! How definitions compose: fleets, conditions, tasks.

use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, FnPtr, ImmutableString, NativeCallContext};

use super::cluster::{ClusterValue, components_of, holds};
use super::{Entry, value_type};
use crate::diag::codes::model::{DUPLICATE_CLUSTER, WRONG_TYPE};
use crate::error::{Error, Result};
use crate::script::{RhaiResult, Session, ask, fail, kind};
use crate::spec::{ComponentSpec, show};

/// Several clusters, as scripts hold them.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetValue(Arc<Vec<ClusterValue>>);

impl FleetValue {
    pub(super) fn new(clusters: Vec<ClusterValue>) -> Self {
        Self(Arc::new(clusters))
    }

    /// The clusters, in order.
    pub fn clusters(&self) -> &[ClusterValue] {
        &self.0
    }

    fn text(&self) -> String {
        let clusters: Vec<String> = self
            .0
            .iter()
            .map(|cluster| show::cluster(cluster.spec()))
            .collect();
        format!("fleet([{}])", clusters.join(", "))
    }
}

/// A value that holds only if the finished cluster says so.
#[derive(Clone, Debug)]
pub(super) struct ConditionalValue {
    condition: FnPtr,
    value: Dynamic,
}

impl ConditionalValue {
    pub(super) fn ask(&self, cx: &NativeCallContext, cluster: Dynamic) -> RhaiResult<bool> {
        ask(cx, &self.condition, cluster, "when")
    }

    pub(super) fn components(&self, path: &str) -> Result<Vec<(String, ComponentSpec)>> {
        components_of(&self.value, path)
    }

    pub(super) fn holds(&self, name: &str) -> bool {
        holds(&self.value, name)
    }
}

pub(super) fn register(engine: &mut Engine, session: &Arc<Session>) {
    value_type::<FleetValue>(engine, "Fleet", FleetValue::text);
    engine.register_type_with_name::<ConditionalValue>("Condition");
    engine.register_fn(
        "when",
        |condition: bool, value: Dynamic| if condition { value } else { Dynamic::UNIT },
    );
    engine.register_fn("when", |condition: FnPtr, value: Dynamic| {
        ConditionalValue { condition, value }
    });
    engine.register_fn("fleet", |list: Array| fleet(&list));
    let tasks = session.clone();
    engine.register_fn(
        "task",
        move |name: ImmutableString, closure: FnPtr| -> RhaiResult<()> {
            if tasks.add_task(name.to_string(), closure) {
                Ok(())
            } else {
                Err(fail(
                    Error::new(&DUPLICATE_CLUSTER, format!("two tasks are called `{name}`"))
                        .help("give each its own name"),
                ))
            }
        },
    );
}

fn fleet(list: &Array) -> RhaiResult<FleetValue> {
    let mut clusters = Vec::new();
    collect(list, "", &mut clusters).map_err(fail)?;
    Ok(FleetValue::new(clusters))
}

fn collect(list: &Array, path: &str, into: &mut Vec<ClusterValue>) -> Result<()> {
    for (index, entry) in list.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if let Some(cluster) = entry.read_lock::<ClusterValue>() {
            into.push(cluster.clone());
        } else if let Some(fleet) = entry.read_lock::<FleetValue>() {
            into.extend(fleet.clusters().iter().cloned());
        } else if let Some(inner) = entry.read_lock::<Array>() {
            collect(&inner, &path, into)?;
        } else if !entry.is_unit() {
            return Err(Error::new(
                &WRONG_TYPE,
                format!("this is {}, not a cluster", kind(entry)),
            )
            .help("a fleet is a list of clusters, fleets and `()`")
            .field(path));
        }
    }
    Ok(())
}

pub(super) const DOCS: &[Entry] = &[
    Entry {
        group: "shape",
        name: "fleet",
        signatures: &["fleet([cluster, …])"],
        summary: "Puts clusters together; `()` and nested lists and fleets are flattened.",
        example: "fleet([cluster(\"a\", #{ distribution: kwok() }), when(false, cluster(\"b\", #{ distribution: kwok() }))])",
    },
    Entry {
        group: "shape",
        name: "when",
        signatures: &["when(condition, value)", "when(|c| condition, component)"],
        summary: "Gives the value if the condition holds, else `()`; a closure is asked with the finished cluster.",
        example: "cluster(\"dev\", #{ distribution: talos(), workers: 2, components: [when(|c| c.workers > 1, metallb())] })",
    },
    Entry {
        group: "shape",
        name: "task",
        signatures: &["task(name, || …)"],
        summary: "Declares what `ksail run FILE NAME` does in place of bringing up clusters.",
        example: "task(\"hello\", || print(\"hello\"));\ncluster(\"dev\", #{ distribution: kwok() })",
    },
];

//! What a script yields: the value of its last expression as clusters.

use std::collections::BTreeMap;

use rhai::{Array, Dynamic, Map};

use super::closure::{Closure, Pointer};
use super::session::Param;
use super::value::kind;
use super::{Effects, Script};
use crate::diag::Label;
use crate::diag::codes::language::NO_CLUSTERS;
use crate::diag::codes::model::DUPLICATE_CLUSTER;
use crate::diag::codes::run::NOT_RUNNING;
use crate::error::{Error, Result};
use crate::natives::{ClusterValue, FleetValue, MatrixValue};
use crate::ops::fleet::Wanted;
use crate::spec::{Hook, Spec};

/// The clusters that a script yields, with the run's options.
pub struct Fleet {
    /// The clusters, in the order of the script.
    pub clusters: Vec<Defined>,
    /// The parameters that the script declares.
    pub params: Vec<Param>,
    /// The tasks that it declares.
    pub tasks: Vec<Task>,
    script: Script,
}

impl Fleet {
    /// The clusters, as plans are made of them.
    pub fn wanted(&self) -> Vec<Wanted> {
        self.clusters.iter().map(Defined::wanted).collect()
    }

    /// Hands out what the hooks and tasks may reach.
    pub fn allow(&self, effects: Effects) {
        self.script.allow(effects);
    }
}

/// One cluster of a script.
#[derive(Clone)]
pub struct Defined {
    /// The cluster, checked.
    pub spec: Spec,
    /// Where it is defined.
    pub place: Option<Label>,
    /// What rules on its changes.
    pub policy: Option<Closure>,
    /// What is called back, and when.
    pub hooks: BTreeMap<Hook, Closure>,
    value: ClusterValue,
}

impl Defined {
    /// The cluster, as plans are made of it.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            spec: self.spec.clone(),
            place: self.place.clone(),
        }
    }

    /// The value that hooks are called with.
    pub fn value(&self) -> &ClusterValue {
        &self.value
    }
}

/// A task of a script.
#[derive(Clone)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// What it does.
    pub closure: Closure,
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.clusters.iter().map(|defined| &defined.spec.name))
            .finish()
    }
}

pub(super) fn fleet(value: Dynamic, script: &Script) -> Result<Fleet> {
    let session = &script.inner().session;
    let mut values = Vec::new();
    // A script may be there for its tasks and tests alone.
    let is_for_calls = !session.tasks().is_empty() || !session.tests().is_empty();
    if !(value.is_unit() && is_for_calls) {
        collect(&value, &mut values)?;
    }
    let tasks: Vec<Task> = session
        .tasks()
        .into_iter()
        .map(|(name, pointer)| Task {
            name,
            closure: Closure::new(script, pointer),
        })
        .collect();
    let mut clusters: Vec<Defined> = Vec::with_capacity(values.len());
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut problems = Vec::new();
    for value in values {
        let defined = define(value, Some(script))?;
        if let Some(first) = places.insert(defined.spec.name.to_string(), clusters.len()) {
            problems.push(twice(clusters.get(first), &defined));
        }
        clusters.push(defined);
    }
    match Error::gather(problems) {
        Some(problem) => Err(problem),
        None => Ok(Fleet {
            clusters,
            params: session.params(),
            tasks,
            script: script.clone(),
        }),
    }
}

/// A cluster with the closures that belong to it; at a prompt there is no script to call them in.
pub(super) fn define(value: ClusterValue, script: Option<&Script>) -> Result<Defined> {
    let close = |pointer: &Pointer| match script {
        Some(script) => Ok(Closure::new(script, pointer.clone())),
        None => Err(Error::new(
            &NOT_RUNNING,
            format!(
                "the hooks and the policy of {} cannot be called from the prompt",
                value.spec().name
            ),
        )
        .help("put the cluster into a script and `ksail run` it")),
    };
    Ok(Defined {
        spec: value.spec().clone(),
        place: value.place().cloned(),
        policy: value.policy().map(close).transpose()?,
        hooks: value
            .hooks()
            .iter()
            .map(|(hook, pointer)| Ok((*hook, close(pointer)?)))
            .collect::<Result<_>>()?,
        value,
    })
}

fn twice(first: Option<&Defined>, second: &Defined) -> Error {
    let mut problem = Error::new(
        &DUPLICATE_CLUSTER,
        format!("two clusters are called `{}`", second.spec.name),
    )
    .help("give each its own name; in a matrix, put `cell.id` into it");
    if let Some(place) = &second.place {
        problem = problem.label(Label {
            text: "the second".into(),
            ..place.clone()
        });
    }
    if let Some(place) = first.and_then(|first| first.place.as_ref()) {
        problem = problem.label(Label {
            text: "the first".into(),
            ..place.clone()
        });
    }
    problem
}

fn collect(value: &Dynamic, into: &mut Vec<ClusterValue>) -> Result<()> {
    if let Some(cluster) = value.read_lock::<ClusterValue>() {
        into.push(cluster.clone());
        return Ok(());
    }
    if let Some(fleet) = value.read_lock::<FleetValue>() {
        into.extend(fleet.clusters().iter().cloned());
        return Ok(());
    }
    if let Some(list) = value.read_lock::<Array>() {
        return list
            .iter()
            .filter(|entry| !entry.is_unit())
            .try_for_each(|entry| collect(entry, into));
    }
    if let Some(map) = value.read_lock::<Map>() {
        return map
            .values()
            .filter(|entry| !entry.is_unit())
            .try_for_each(|entry| collect(entry, into));
    }
    let problem = Error::new(
        &NO_CLUSTERS,
        format!("the script ends with {}, not with clusters", kind(value)),
    );
    if value.read_lock::<MatrixValue>().is_some() {
        return Err(problem.help(
            "make clusters of its cells: .clusters(|cell| cluster(`ci-${cell.id}`, #{ … }))",
        ));
    }
    Err(problem.help("end it with a cluster, a list or a fleet, and no semicolon behind"))
}

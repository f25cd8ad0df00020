//! From (Spec, Facts) to Plan: pure, deterministic, printable.
//!
//! [`cluster`] plans one cluster: [`diff`] finds the changes, the policy rules on each, `reconcile` turns those that may
//! happen into steps, [`order`] holds that the steps can be carried out. [`retire`] plans a removal. Nothing here looks at
//! the world; whoever calls brings the facts.

mod change;
mod diff;
pub mod order;
mod reconcile;
mod save;
pub mod show;
mod window;

use serde::Serialize;

pub use change::{Change, Impact, Ruling};
pub use diff::diff;
pub use reconcile::{recorded, retire};
pub use save::{Saved, fingerprint};
pub use window::{Moment, is_open};

use crate::axis::{Distribution, Provider};
use crate::error::Result;
use crate::facts::Facts;
use crate::spec::{ClusterName, Spec, Warning};
use crate::step::Step;

/// What happens to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is removed and made anew.
    Recreate,
    /// It is removed.
    Delete,
    /// It is as it should be.
    Keep,
}

impl Verb {
    /// The word for displays.
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Recreate => "recreate",
            Self::Delete => "delete",
            Self::Keep => "keep",
        }
    }
}

/// A change with its ruling.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ruled {
    /// The change.
    #[serde(flatten)]
    pub change: Change,
    /// What the policy says.
    #[serde(flatten)]
    pub ruling: Ruling,
}

/// What happens to one cluster, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClusterPlan {
    /// The cluster's name.
    pub name: ClusterName,
    /// Its context.
    pub context: String,
    /// What kind of Kubernetes.
    pub distribution: Distribution,
    /// Where.
    pub provider: Provider,
    /// What happens to it.
    pub verb: Verb,
    /// What differs, ruled.
    pub changes: Vec<Ruled>,
    /// What is done, in an order that can be carried out.
    pub steps: Vec<Step>,
    /// What is left out or without effect.
    pub warnings: Vec<Warning>,
}

impl ClusterPlan {
    /// The changes that a policy denies.
    pub fn denied(&self) -> impl Iterator<Item = &Ruled> {
        self.changes
            .iter()
            .filter(|ruled| matches!(ruled.ruling, Ruling::Deny { .. }))
    }

    /// The changes that want consent.
    pub fn wants_consent(&self) -> impl Iterator<Item = &Ruled> {
        self.changes
            .iter()
            .filter(|ruled| matches!(ruled.ruling, Ruling::Confirm { .. }))
    }

    /// Whether there is anything to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// What happens to a fleet.
#[derive(Clone, Debug, PartialEq, Default, Serialize)]
pub struct Plan {
    /// One plan for each cluster.
    pub clusters: Vec<ClusterPlan>,
}

impl Plan {
    /// Whether there is anything to do.
    pub fn is_empty(&self) -> bool {
        self.clusters.iter().all(ClusterPlan::is_empty)
    }
}

/// Plans one cluster: what differs, what the policy says of it, and the steps for what may happen.
pub fn cluster(
    spec: &Spec,
    facts: Option<&Facts>,
    rule: &dyn Fn(&Change) -> Result<Ruling>,
) -> Result<ClusterPlan> {
    let mut changes = Vec::new();
    for change in diff(spec, facts) {
        let ruling = rule(&change)?;
        changes.push(Ruled { change, ruling });
    }
    let (verb, steps) = reconcile::steps(spec, facts, &changes);
    let steps = order::sorted(steps)?;
    Ok(ClusterPlan {
        name: spec.name.clone(),
        context: spec.context(),
        distribution: spec.distribution.kind,
        provider: spec.provider.kind,
        verb,
        changes,
        steps,
        warnings: spec.warnings.clone(),
    })
}

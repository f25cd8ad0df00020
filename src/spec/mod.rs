//! What was asked for.
//!
//! A [`Draft`] is a cluster as typed; [`check`] turns it into a [`Spec`], which cannot hold an unsupported combination, or
//! into every problem found. Options of distributions, providers and components are tables of [`Field`]s in [`options`]:
//! checking, documentation and suggestions are made from them.

mod check;
pub mod document;
mod draft;
pub mod field;
pub mod keys;
pub mod name;
pub mod options;
pub mod registry;
pub mod show;
pub mod tree;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

pub use check::check;
pub use draft::Draft;
pub use field::{Field, Shape};
pub use name::{ClusterName, Version};
pub use tree::{Options, Tree};

use crate::axis::{Component, Distribution, Provider, Slot};
use crate::support;

/// A distribution with its options.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DistributionSpec {
    /// Which.
    pub kind: Distribution,
    /// Its options, checked, with defaults left out.
    pub options: Options,
}

/// A provider with its options.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProviderSpec {
    /// Which.
    pub kind: Provider,
    /// Its options, checked, with defaults left out.
    pub options: Options,
}

/// What a component is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// One that ksail knows.
    Known(Component),
    /// The user's own chart.
    Helm(String),
    /// The user's own manifests.
    Manifests(String),
    /// The user's own kustomization.
    Kustomize(String),
}

impl Part {
    /// The name that plans and messages use.
    pub fn name(&self) -> &str {
        match self {
            Self::Known(component) => crate::axis::Axis::name(*component),
            Self::Helm(name) | Self::Manifests(name) | Self::Kustomize(name) => name,
        }
    }

    /// The role it fills, if it has one.
    pub fn slot(&self) -> Option<Slot> {
        match self {
            Self::Known(component) => support::slot(*component),
            _ => None,
        }
    }
}

/// A component with its options.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComponentSpec {
    /// What it is.
    pub part: Part,
    /// Its options, checked, with defaults left out.
    pub options: Options,
}

/// The moments at which a script is called back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// Before the first step of a creation.
    BeforeCreate,
    /// After the last step of a creation.
    AfterCreate,
    /// Before the first step of an update.
    BeforeUpdate,
    /// After the last step of an update.
    AfterUpdate,
    /// Before the cluster is removed.
    BeforeDelete,
    /// After the cluster is removed.
    AfterDelete,
}

impl Hook {
    /// Every hook.
    pub const ALL: &'static [Self] = &[
        Self::BeforeCreate,
        Self::AfterCreate,
        Self::BeforeUpdate,
        Self::AfterUpdate,
        Self::BeforeDelete,
        Self::AfterDelete,
    ];

    /// The key in `cluster(…)`.
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeCreate => "before_create",
            Self::AfterCreate => "after_create",
            Self::BeforeUpdate => "before_update",
            Self::AfterUpdate => "after_update",
            Self::BeforeDelete => "before_delete",
            Self::AfterDelete => "after_delete",
        }
    }
}

/// A setting that will be left out or has no effect, said once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The field it is about, such as `components[1]`.
    pub field: String,
    /// One sentence.
    pub text: String,
}

/// One cluster, checked: it cannot hold an unsupported combination.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spec {
    /// The cluster's name.
    pub name: ClusterName,
    /// What kind of Kubernetes.
    pub distribution: DistributionSpec,
    /// Where.
    pub provider: ProviderSpec,
    /// Which version; the distribution's own where none was asked for.
    pub kubernetes: Option<Version>,
    /// How many control planes.
    pub control_planes: u32,
    /// How many workers; with KWOK, how many simulated nodes.
    pub workers: u32,
    /// What is installed, in the order given; components that are built in, managed or skipped are not in here.
    pub components: Vec<ComponentSpec>,
    /// The other settings, by the keys of [`keys`], with defaults left out.
    pub settings: Options,
    /// When the cluster is removed by itself.
    #[serde(serialize_with = "seconds")]
    pub ttl: Option<Duration>,
    /// The moments the script wants to be called back at.
    pub hooks: BTreeSet<Hook>,
    /// What is left out or without effect.
    pub warnings: Vec<Warning>,
}

impl Spec {
    /// The name of the kubeconfig context, which is also the cluster's identity on this machine.
    pub fn context(&self) -> String {
        name::context(&self.name, self.distribution.kind, self.provider.kind)
    }

    /// Whether nodes and pods are simulated.
    pub fn is_simulated(&self) -> bool {
        support::is_simulated(self.distribution.kind, self.provider.kind)
    }

    /// The component in a slot.
    pub fn in_slot(&self, slot: Slot) -> Option<&ComponentSpec> {
        self.components
            .iter()
            .find(|component| component.part.slot() == Some(slot))
    }

    /// The same cluster with every effect on the embedded provider.
    #[must_use]
    pub fn simulated(mut self) -> Self {
        self.provider = ProviderSpec {
            kind: Provider::Embedded,
            options: Options::default(),
        };
        self
    }
}

fn seconds<S: serde::Serializer>(ttl: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match ttl {
        Some(ttl) => serializer.serialize_some(&ttl.as_secs()),
        None => serializer.serialize_none(),
    }
}

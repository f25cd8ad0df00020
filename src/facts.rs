//! What is there now: observed, never guessed from our own memory alone.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::axis::{Distribution, Provider};
use crate::spec::ClusterName;

/// Whether a cluster answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "why")]
pub enum State {
    /// Its API answers.
    Running,
    /// It is there and switched off.
    Stopped,
    /// It is there and does not work.
    Broken(String),
}

impl State {
    /// One word for tables.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Stopped => "Stopped",
            Self::Broken(_) => "Broken",
        }
    }
}

/// What a node is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It runs the control plane.
    ControlPlane,
    /// It runs workloads.
    Worker,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NodeFacts {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Whether it is Ready.
    pub ready: bool,
    /// The kubelet's version.
    pub version: String,
}

/// What is wrong with a part of a control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lack {
    /// It is there and does not run.
    Stopped,
    /// It is not there.
    Removed,
}

/// One installed component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComponentFacts {
    /// What was installed: changes when version or options change.
    pub digest: String,
    /// The workloads that are there, as `namespace/kind/name`.
    pub workloads: Vec<String>,
}

/// What is known of one cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Facts {
    /// Its name.
    pub name: ClusterName,
    /// Its kubeconfig context.
    pub context: String,
    /// What kind of Kubernetes.
    pub distribution: Distribution,
    /// Where.
    pub provider: Provider,
    /// Whether it answers.
    #[serde(flatten)]
    pub state: State,
    /// Its API's address.
    pub endpoint: Option<String>,
    /// The version its API speaks, without the `v`.
    pub kubernetes: Option<String>,
    /// Its nodes, by name; unknown while it does not answer.
    pub nodes: Vec<NodeFacts>,
    /// Parts of the control plane that were taken away or switched off by hand, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub missing: BTreeMap<String, Lack>,
    /// What ksail installed, by component name; unknown while it does not answer.
    pub components: BTreeMap<String, ComponentFacts>,
    /// What the last run wrote down of settings that cannot be observed.
    pub recorded: Option<Recorded>,
    /// Whether the user's kubeconfig has the context, and it leads here.
    pub has_context: bool,
    /// When it removes itself, in seconds since 1970.
    pub expires: Option<u64>,
    /// Whether another tool made it.
    pub foreign: bool,
}

impl Facts {
    /// What is known of a cluster before anything of it was looked at.
    pub fn unseen(
        name: &ClusterName,
        context: &str,
        distribution: Distribution,
        provider: Provider,
    ) -> Self {
        Self {
            name: name.clone(),
            context: context.to_string(),
            distribution,
            provider,
            state: State::Stopped,
            endpoint: None,
            kubernetes: None,
            nodes: Vec::new(),
            missing: BTreeMap::new(),
            components: BTreeMap::new(),
            recorded: None,
            has_context: false,
            expires: None,
            foreign: false,
        }
    }

    /// How many nodes of a role there are.
    pub fn count(&self, role: Role) -> usize {
        self.nodes.iter().filter(|node| node.role == role).count()
    }
}

/// What a finished run wrote down: settings that cannot be observed, without secrets.
#[derive(Clone, Debug, PartialEq, Default, Serialize, serde::Deserialize)]
pub struct Recorded {
    /// The distribution's options.
    #[serde(default)]
    pub distribution_options: BTreeMap<String, Value>,
    /// The provider's options.
    #[serde(default)]
    pub provider_options: BTreeMap<String, Value>,
    /// The other settings.
    #[serde(default)]
    pub settings: BTreeMap<String, Value>,
    /// The version that was asked for.
    #[serde(default)]
    pub kubernetes: Option<String>,
    /// The time to live, in seconds.
    #[serde(default)]
    pub ttl: Option<u64>,
    /// Whether a run finished; a half-made cluster says no.
    #[serde(default)]
    pub finished: bool,
    /// Whether a run has begun to remove it, in order to make it anew; consent was given for that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaced: bool,
}

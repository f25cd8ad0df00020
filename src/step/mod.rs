//! The verbs that a plan may contain: plain data.
//!
//! A [`Step`] is the smallest effect and always an *ensure*: doing it twice is doing it once. The actions speak of nodes
//! and objects, not of engines; each provider carries out what it can and says plainly what it cannot.

mod container;
mod image;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

pub use container::{Attachment, Container, File, Limit, Mount, Network, Port, Restart, Source};
pub use image::ImageSource;

use crate::axis::{Component, Distribution};
use crate::facts::{Recorded, Role};
use crate::spec::Hook;

/// One ensured effect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// What names it within its cluster, such as `nodes` or `component/cilium`.
    pub id: String,
    /// What it does, for people: `install cilium 1.20.0`.
    pub title: String,
    /// Why it is in the plan.
    pub why: String,
    /// The steps of the same cluster that come before it.
    pub after: Vec<String>,
    /// What it does.
    #[serde(flatten)]
    pub action: Action,
}

impl Step {
    /// Makes a step without predecessors.
    pub fn new(
        id: impl Into<String>,
        title: impl Into<String>,
        why: impl Into<String>,
        action: Action,
    ) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            why: why.into(),
            after: Vec::new(),
            action,
        }
    }

    /// Names what comes before it.
    #[must_use]
    pub fn after(mut self, ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.after.extend(ids.into_iter().map(Into::into));
        self
    }
}

/// What becomes of storage that clusters share and that outlives them, such as what registries hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// It stays for the next cluster.
    Keep,
    /// It goes, unless another cluster uses it.
    Remove,
}

impl Storage {
    /// Whether somebody asked for its removal.
    pub(crate) fn asked(removal: bool) -> Self {
        if removal { Self::Remove } else { Self::Keep }
    }
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Action {
    /// Calls the script back.
    Hook {
        /// Which moment.
        hook: Hook,
    },
    /// Makes the network that nodes share.
    Network {
        /// Its name.
        name: String,
    },
    /// Runs a registry beside the cluster.
    Registry {
        /// Its name.
        name: String,
        /// The upstream of a pull-through cache; `None` for the local registry.
        upstream: Option<String>,
    },
    /// Makes the load balancer that stands before the control planes.
    Balancer {
        /// Its name.
        name: String,
    },
    /// Tells nodes that run of the registries there are now.
    Registries {
        /// The nodes.
        nodes: Vec<String>,
        /// The registries beside the cluster that stay; others of it go.
        keep: Vec<String>,
    },
    /// Loads images into nodes, which need no registry for them then.
    Images {
        /// The images.
        images: Vec<ImageSource>,
        /// The nodes.
        nodes: Vec<String>,
    },
    /// Runs an API server as one unit: the embedded control plane, or a managed one.
    ControlPlane {
        /// The Kubernetes version.
        kubernetes: String,
        /// What it shows itself as.
        distribution: Distribution,
        /// The port, where one was asked for.
        port: Option<u16>,
        /// What is written down of requests, where that was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        audit: Option<serde_json::Value>,
    },
    /// Makes machines that become nodes.
    Machine {
        /// The node.
        node: Node,
        /// The image it is made of.
        image: String,
    },
    /// Starts the first control plane.
    Bootstrap {
        /// The node's name.
        node: String,
    },
    /// Joins a node.
    Join {
        /// The node's name.
        node: String,
    },
    /// Drains a node and removes its machine.
    RemoveMachine {
        /// The node's name.
        node: String,
    },
    /// Shows simulated nodes.
    Nodes {
        /// The nodes there are to be.
        nodes: Vec<Node>,
        /// The nodes that go.
        remove: Vec<String>,
    },
    /// Waits until every node is Ready.
    Ready {
        /// How many nodes.
        nodes: usize,
    },
    /// Installs a component, or brings it to its version and options.
    Install(Install),
    /// Removes a component.
    Uninstall {
        /// Its name.
        component: String,
    },
    /// Gives the GitOps engine the age key that it decrypts with.
    DecryptionKey(DecryptionKey),
    /// Takes that key out of the cluster again.
    TakeDecryptionKey {
        /// The engine's namespace.
        namespace: String,
    },
    /// Adds the cluster to the user's kubeconfig.
    Kubeconfig {
        /// The context.
        context: String,
    },
    /// Takes the cluster out of the user's kubeconfig.
    RemoveKubeconfig {
        /// The context.
        context: String,
    },
    /// Writes down what cannot be observed.
    Record {
        /// What to write.
        recorded: Recorded,
    },
    /// Has the cluster remove itself after a time.
    Expire {
        /// The time; `None` takes an earlier one back.
        #[serde(serialize_with = "seconds")]
        after: Option<Duration>,
    },
    /// Switches the cluster on.
    Start,
    /// Switches the cluster off.
    Stop,
    /// Removes the cluster with everything in it.
    Remove {
        /// What becomes of the storage that it shares with others.
        storage: Storage,
    },
    /// Removes what was written down.
    Forget,
}

/// A node as the distribution names and labels it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// The kubelet's version, such as `v1.35.4+k3s1`.
    pub version: String,
    /// The name of the operating system it shows.
    pub os_image: String,
    /// The container runtime it shows.
    pub runtime: String,
    /// Its address.
    pub address: String,
    /// Its labels beside those every node has.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// The keys of its NoSchedule taints.
    pub taints: Vec<String>,
    /// CPUs, memory and pods it offers.
    pub capacity: Capacity,
}

/// What a node offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Capacity {
    /// CPUs.
    pub cpu: u32,
    /// Memory, as a quantity.
    pub memory: String,
    /// Pods.
    pub pods: u32,
}

/// A component to install.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Install {
    /// Its name.
    pub component: String,
    /// Its version.
    pub version: String,
    /// What changes when version or options change.
    pub digest: String,
    /// How.
    pub how: How,
}

/// Where the age key of a GitOps engine is found, and where it goes; the key itself is read when the step is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DecryptionKey {
    /// The engine's namespace.
    pub namespace: String,
    /// The environment variable that may hold the key.
    pub variable: String,
    /// The key file; the usual one where none is named.
    pub file: Option<String>,
    /// Only the private keys of these public keys; all where none is named.
    pub public_keys: Vec<String>,
    /// Whether a missing key is an error.
    pub required: bool,
}

/// How a component comes into a cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "how")]
pub enum How {
    /// As a chart.
    Chart {
        /// Where the chart is.
        repo: String,
        /// Its name.
        chart: String,
        /// The namespace.
        namespace: String,
        /// The values, secrets redacted in every display.
        values: crate::spec::Tree,
    },
    /// As objects.
    Objects {
        /// The objects, in order, secrets redacted in every display.
        objects: Vec<crate::spec::Tree>,
        /// Where those go that name no namespace and should be in one; `None` where each says for itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
    },
    /// As the workloads that a component is known for, whose pods only seem to run.
    Shown {
        /// The component whose workloads these are.
        component: Component,
    },
    /// As the workloads that a distribution includes, whose pods only seem to run.
    Brought {
        /// The distribution.
        distribution: Distribution,
    },
    /// As a container beside the cluster.
    Container {
        /// Its image.
        image: String,
    },
    /// From the user's folder.
    Folder {
        /// The path below the script.
        path: String,
        /// Whether it is a kustomization.
        kustomize: bool,
    },
}

fn seconds<S: serde::Serializer>(
    after: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match after {
        Some(after) => serializer.serialize_some(&after.as_secs()),
        None => serializer.serialize_none(),
    }
}

//! What each distribution calls its nodes and how a cluster of it comes to be: pure, Spec → Steps.
//!
//! One file per distribution, each a [`Distro`]. To add one: its name in [`crate::axis`], its column in
//! [`crate::support`], a file here and an arm in [`of`].

mod brought;
mod controller_manager;
mod create;
mod decryption;
mod eks;
mod images;
pub mod k3s;
mod kwok;
mod oidc;
mod talos;
pub mod vanilla;
mod vcluster;

use std::collections::BTreeMap;

pub use brought::brought;
pub use create::{create, hook, install_steps, nodes_step, registries, registry_names};
pub use decryption::{is_switched_off, take_key_step};
pub use images::images_step;

use crate::axis::Distribution;
use crate::component::Workload;
use crate::facts::Role;
use crate::spec::{Spec, Tree};
use crate::step::{Capacity, Node};

/// The Kubernetes version that the embedded provider speaks.
pub const EMBEDDED_KUBERNETES: &str = "1.35.4";

/// What differs between distributions.
pub trait Distro: Sync {
    /// The Kubernetes version without a wish of the user's.
    fn kubernetes(&self) -> &'static str;
    /// What it appends to the kubelet's version, such as `+k3s1`.
    fn suffix(&self) -> &'static str {
        ""
    }
    /// The name of a node; `index` counts from 0 within the role.
    fn node_name(&self, spec: &Spec, role: Role, index: u32) -> String;
    /// Labels of a node beside those every node has.
    fn labels(&self, role: Role) -> BTreeMap<String, String>;
    /// Whether pods stay off control planes when there are workers, or always.
    fn taints(&self, spec: &Spec, role: Role) -> Vec<String>;
    /// The operating system and container runtime that nodes show.
    fn system(&self, version: &str) -> (String, &'static str);
    /// The image that nodes are made of on Docker.
    fn image(&self, spec: &Spec) -> String;
    /// The network that nodes share on Docker.
    fn network(&self, spec: &Spec) -> String;
    /// The load balancer before the control planes on Docker, by its name.
    fn balancer(&self, _: &Spec) -> Option<String> {
        None
    }
    /// The registry that the distribution's own file wants made on Docker, by its name.
    fn registry(&self, _: &Spec) -> Option<String> {
        None
    }
    /// The workloads that it brings in kube-system and elsewhere, as namespace and workload.
    fn brings(&self) -> &'static [(&'static str, Workload)];
    /// Whether nodes that are machines become Ready by what the distribution brings, without any component.
    fn is_ready_alone(&self, _: &Spec) -> bool {
        false
    }
    /// Whether the control plane shows itself as nodes.
    fn shows_control_planes(&self) -> bool {
        true
    }
}

/// The distribution of a name.
pub fn of(kind: Distribution) -> &'static dyn Distro {
    match kind {
        Distribution::Vanilla => &vanilla::Vanilla,
        Distribution::K3s => &k3s::K3s,
        Distribution::Talos => &talos::Talos,
        Distribution::VCluster => &vcluster::VCluster,
        Distribution::Kwok => &kwok::Kwok,
        Distribution::Eks => &eks::Eks,
    }
}

/// The Kubernetes version a cluster gets, with its patch number.
pub fn kubernetes(spec: &Spec) -> String {
    let own = match spec.provider.kind {
        crate::axis::Provider::Embedded => EMBEDDED_KUBERNETES,
        _ => of(spec.distribution.kind).kubernetes(),
    };
    match &spec.kubernetes {
        None => own.to_string(),
        Some(version) if version.patch.is_some() => version.to_string(),
        Some(version) => {
            let minor = format!("{version}.");
            [own, EMBEDDED_KUBERNETES]
                .into_iter()
                .find(|known| known.starts_with(&minor))
                .map_or_else(|| format!("{version}.0"), String::from)
        }
    }
}

/// All nodes a cluster is to have, control planes first.
pub fn nodes(spec: &Spec) -> Vec<Node> {
    let distro = of(spec.distribution.kind);
    let control_planes = if distro.shows_control_planes() {
        spec.control_planes
    } else {
        0
    };
    let control = (0..control_planes).map(|index| node(spec, Role::ControlPlane, index, index));
    let workers =
        (0..spec.workers).map(|index| node(spec, Role::Worker, index, control_planes + index));
    control.chain(workers).collect()
}

fn node(spec: &Spec, role: Role, index: u32, position: u32) -> Node {
    let distro = of(spec.distribution.kind);
    let version = format!("v{}{}", kubernetes(spec), distro.suffix());
    let (os_image, runtime) = distro.system(&version);
    let name = distro.node_name(spec, role, index);
    let option = |key: &str| spec.distribution.options.get(key);
    let number = |key: &str, default: u32| {
        option(key)
            .and_then(Tree::as_int)
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(default)
    };
    let memory = option("memory")
        .and_then(Tree::as_text)
        .unwrap_or("256Gi")
        .to_string();
    let mut annotations =
        BTreeMap::from([("node.alpha.kubernetes.io/ttl".to_string(), "0".to_string())]);
    if spec.is_simulated() {
        annotations.insert("kwok.x-k8s.io/node".into(), "fake".into());
    }
    Node {
        name,
        role,
        version,
        os_image,
        runtime: runtime.into(),
        address: format!(
            "10.{}.{}.{}",
            64 + position / 65_025,
            position / 255 % 255,
            position % 255 + 1
        ),
        labels: distro.labels(role),
        annotations,
        taints: distro.taints(spec, role),
        capacity: Capacity {
            cpu: number("cpu", 32),
            memory,
            pods: number("pods_per_node", 110),
        },
    }
}

/// The label and taint of a control plane.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

fn empty_labels(names: &[&str]) -> BTreeMap<String, String> {
    names
        .iter()
        .map(|name| ((*name).to_string(), String::new()))
        .collect()
}

/// `name`, `name2`, `name3` … as kind counts.
fn counted(base: String, index: u32) -> String {
    if index == 0 {
        base
    } else {
        format!("{base}{}", index + 1)
    }
}

//! Lightweight Kubernetes, as k3d lays it out.
//!
//! [`Definition`] is what the user asked for, [`Given`] what is found out or decided once for a cluster; from the two come
//! the containers of `container`, by value. Making them is the business of the Docker provider.

mod container;
mod definition;
mod entrypoint;
pub mod label;
mod registries;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

pub use container::{API, KUBECONFIG, VALUES, load_balancer, network, node, registry, values};
pub use definition::{Definition, Publisher, Route};
pub use registries::{Made, no_registries};

use super::{CONTROL_PLANE, Distro};
use crate::component::{Kind, Workload};
use crate::facts::Role;
use crate::secret::Secret;
use crate::spec::Spec;
use crate::spec::options::k3d::filter::Member;

/// What is found out or decided once for a cluster, and the same for all its containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// What nodes join with.
    pub token: Secret,
    /// The API's port on the host.
    pub api_port: u16,
    /// The host name that leads to the API.
    pub api_host: String,
    /// The network.
    pub network: Shared,
    /// Whether the engine's host has cgroups of the second version only.
    pub has_cgroup2: bool,
}

/// The network that nodes share, as it is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    /// Its id.
    pub id: String,
    /// Its IPv4 addresses.
    pub range: String,
    /// The host's address in it.
    pub gateway: String,
    /// Whether it was there before the cluster.
    pub is_external: bool,
    /// Whether it was made with its range, so that containers can have fixed addresses in it.
    pub is_fixed: bool,
}

impl Given {
    /// The fixed address of a container, where the network's range was asked for: servers first, for etcd remembers their
    /// addresses. All are in the upper half, because the engine gives addresses to registries from the lower end.
    fn address(&self, definition: Definition<'_>, member: Member) -> Option<String> {
        let own = Some(self.network.range.as_str()).filter(|_| self.network.is_fixed);
        let (base, bits) = definition.subnet().or(own)?.split_once('/')?;
        let half = 1_u32.checked_shl(31_u32.checked_sub(bits.parse().ok()?)?)?;
        let offset = match member {
            Member::Server(index) => index,
            Member::Balancer => definition.servers(),
            Member::Agent(index) => definition.servers() + 1 + index,
        };
        let base = u32::from(base.parse::<Ipv4Addr>().ok()?);
        let address = base.checked_add(half)?.checked_add(offset)?;
        Some(Ipv4Addr::from(address).to_string())
    }
}

pub(super) struct K3s;

impl Distro for K3s {
    fn kubernetes(&self) -> &'static str {
        "1.36.1"
    }

    fn suffix(&self) -> &'static str {
        "+k3s1"
    }

    fn node_name(&self, spec: &Spec, role: Role, index: u32) -> String {
        let member = match role {
            Role::ControlPlane => Member::Server(index),
            Role::Worker => Member::Agent(index),
        };
        label::container(spec.name.as_str(), member)
    }

    fn labels(&self, role: Role) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::from([
            (
                "node.kubernetes.io/instance-type".to_string(),
                "k3s".to_string(),
            ),
            (
                "beta.kubernetes.io/instance-type".to_string(),
                "k3s".to_string(),
            ),
        ]);
        if role == Role::ControlPlane {
            labels.insert(CONTROL_PLANE.into(), "true".into());
        }
        labels
    }

    fn taints(&self, _: &Spec, _: Role) -> Vec<String> {
        Vec::new()
    }

    fn system(&self, version: &str) -> (String, &'static str) {
        (format!("K3s {version}"), "containerd://2.2.1-k3s1")
    }

    fn image(&self, spec: &Spec) -> String {
        Definition::of(spec).image()
    }

    fn network(&self, spec: &Spec) -> String {
        Definition::of(spec).network()
    }

    fn balancer(&self, spec: &Spec) -> Option<String> {
        let definition = Definition::of(spec);
        let has_one = definition.has_balancer();
        has_one.then(|| label::container(definition.name(), Member::Balancer))
    }

    fn registry(&self, spec: &Spec) -> Option<String> {
        Definition::of(spec).registry().map(|made| made.name)
    }

    fn is_ready_alone(&self, spec: &Spec) -> bool {
        // Without flannel nodes stay NotReady until a component brings a pod network.
        let args = Definition::of(spec).args(Member::Server(0));
        !args.iter().any(|arg| arg == "--flannel-backend=none")
    }

    fn brings(&self) -> &'static [(&'static str, Workload)] {
        &[
            (
                "kube-system",
                Workload {
                    kind: Kind::Deployment,
                    name: "coredns",
                    image: "rancher/mirrored-coredns-coredns:1.13.1",
                },
            ),
            (
                "kube-system",
                Workload {
                    kind: Kind::Deployment,
                    name: "local-path-provisioner",
                    image: "rancher/local-path-provisioner:v0.0.37",
                },
            ),
            (
                "kube-system",
                Workload {
                    kind: Kind::Deployment,
                    name: "metrics-server",
                    image: "rancher/mirrored-metrics-server:v0.8.1",
                },
            ),
            (
                "kube-system",
                Workload {
                    kind: Kind::Deployment,
                    name: "traefik",
                    image: "rancher/mirrored-library-traefik:3.6.7",
                },
            ),
        ]
    }
}

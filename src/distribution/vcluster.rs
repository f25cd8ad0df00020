//! A virtual control plane with optional worker nodes.

use std::collections::BTreeMap;

use super::{CONTROL_PLANE, Distro, empty_labels, kubernetes};
use crate::component::{Kind, Workload};
use crate::facts::Role;
use crate::spec::Spec;

pub(super) struct VCluster;

impl Distro for VCluster {
    fn kubernetes(&self) -> &'static str {
        "1.36.1"
    }

    fn node_name(&self, spec: &Spec, role: Role, index: u32) -> String {
        match role {
            Role::ControlPlane if index == 0 => spec.name.to_string(),
            Role::ControlPlane => format!("{}-{}", spec.name, index + 1),
            Role::Worker => format!("worker-{}", index + 1),
        }
    }

    fn labels(&self, role: Role) -> BTreeMap<String, String> {
        match role {
            Role::ControlPlane => empty_labels(&[CONTROL_PLANE]),
            Role::Worker => BTreeMap::new(),
        }
    }

    fn taints(&self, _: &Spec, _: Role) -> Vec<String> {
        Vec::new()
    }

    fn system(&self, _: &str) -> (String, &'static str) {
        ("Ubuntu 24.04.3 LTS".to_string(), "containerd://2.2.1")
    }

    fn image(&self, spec: &Spec) -> String {
        format!("ghcr.io/loft-sh/kubernetes:v{}", kubernetes(spec))
    }

    fn network(&self, spec: &Spec) -> String {
        format!("vcluster.{}", spec.name)
    }

    fn brings(&self) -> &'static [(&'static str, Workload)] {
        &[
            (
                "kube-system",
                Workload {
                    kind: Kind::Deployment,
                    name: "coredns",
                    image: "coredns/coredns:1.13.1",
                },
            ),
            (
                "kube-flannel",
                Workload {
                    kind: Kind::DaemonSet,
                    name: "kube-flannel-ds",
                    image: "ghcr.io/flannel-io/flannel:v0.28.0",
                },
            ),
            (
                "kube-system",
                Workload {
                    kind: Kind::DaemonSet,
                    name: "kube-proxy",
                    image: "registry.k8s.io/kube-proxy",
                },
            ),
            (
                "local-path-storage",
                Workload {
                    kind: Kind::Deployment,
                    name: "local-path-provisioner",
                    image: "rancher/local-path-provisioner:v0.0.37",
                },
            ),
        ]
    }
}

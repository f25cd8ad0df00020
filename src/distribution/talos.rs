//! Immutable, API-managed nodes.

use std::collections::BTreeMap;

use super::{CONTROL_PLANE, Distro, empty_labels};
use crate::component::{Kind, Workload};
use crate::facts::Role;
use crate::spec::Spec;

pub(super) struct Talos;

impl Distro for Talos {
    fn kubernetes(&self) -> &'static str {
        "1.36.0"
    }

    fn node_name(&self, spec: &Spec, role: Role, index: u32) -> String {
        match role {
            Role::ControlPlane => format!("{}-control-plane-{}", spec.name, index + 1),
            Role::Worker => format!("{}-worker-{}", spec.name, index + 1),
        }
    }

    fn labels(&self, role: Role) -> BTreeMap<String, String> {
        match role {
            Role::ControlPlane => empty_labels(&[CONTROL_PLANE]),
            Role::Worker => BTreeMap::new(),
        }
    }

    fn taints(&self, spec: &Spec, role: Role) -> Vec<String> {
        // Talos lets pods onto control planes where there are no workers.
        if role == Role::ControlPlane && spec.workers > 0 {
            vec![CONTROL_PLANE.into()]
        } else {
            Vec::new()
        }
    }

    fn system(&self, _: &str) -> (String, &'static str) {
        ("Talos (v1.13.4)".to_string(), "containerd://2.2.1")
    }

    fn image(&self, spec: &Spec) -> String {
        let asked = spec
            .distribution
            .options
            .get("version")
            .and_then(crate::spec::Tree::as_text);
        format!(
            "ghcr.io/siderolabs/talos:v{}",
            asked.unwrap_or("1.13.4").trim_start_matches('v')
        )
    }

    fn network(&self, spec: &Spec) -> String {
        spec.name.to_string()
    }

    fn brings(&self) -> &'static [(&'static str, Workload)] {
        &[
            (
                "kube-system",
                Workload {
                    kind: Kind::Deployment,
                    name: "coredns",
                    image: "registry.k8s.io/coredns/coredns:v1.13.1",
                },
            ),
            (
                "kube-system",
                Workload {
                    kind: Kind::DaemonSet,
                    name: "kube-flannel",
                    image: "ghcr.io/siderolabs/flannel:v0.28.0",
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
        ]
    }
}

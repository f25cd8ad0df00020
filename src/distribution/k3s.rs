//! Lightweight Kubernetes, as k3d lays it out.

use std::collections::BTreeMap;

use super::{CONTROL_PLANE, Distro, kubernetes};
use crate::component::{Kind, Workload};
use crate::facts::Role;
use crate::spec::{Spec, Tree};

pub(super) struct K3s;

impl Distro for K3s {
    fn kubernetes(&self) -> &'static str {
        "1.36.1"
    }

    fn suffix(&self) -> &'static str {
        "+k3s1"
    }

    fn node_name(&self, spec: &Spec, role: Role, index: u32) -> String {
        match role {
            Role::ControlPlane => format!("k3d-{}-server-{index}", spec.name),
            Role::Worker => format!("k3d-{}-agent-{index}", spec.name),
        }
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
        let asked = spec
            .distribution
            .options
            .get("image")
            .and_then(Tree::as_text);
        asked.map_or_else(
            || format!("rancher/k3s:v{}-k3s1", kubernetes(spec)),
            String::from,
        )
    }

    fn network(&self, spec: &Spec) -> String {
        format!("k3d-{}", spec.name)
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

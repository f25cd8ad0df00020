//! Upstream Kubernetes by kubeadm, as kind lays it out: what its nodes are made of and what is written into them.
//!
//! Everything here is pure. Carrying it out is the business of `crate::provider::docker`.

mod balancer;
mod container;
mod kubeadm;
mod manifest;
mod mount;
mod network;
mod node;
mod patch;
mod settings;
mod store;

use std::collections::BTreeMap;

pub use balancer::{IMAGE as BALANCER_IMAGE, update as update_balancer};
pub use container::{
    BALANCER, CLUSTER, Host, NETWORK, ROLE, balancer, balancer_name, node as container, role,
};
pub use kubeadm::{DISCOVERY, PATH as CONFIG_PATH, PORT as API_PORT, Place, config, discovery};
pub use manifest::{CNI, STORAGE, cni, objects, old_storage};
pub use mount::MountPoint;
pub use network::{ATTEMPTS, network};
pub use node::{JsonPatch, NodeSettings, PortMapping};
pub use patch::containerd as patch_containerd;
pub use settings::{Family, OIDC_AUTHORITY, Settings};
pub use store::{PATCH as LAYERS_PATCH, files as layer_files, is_layered};

use super::{CONTROL_PLANE, Distro, counted, empty_labels, kubernetes};
use crate::component::{Kind, Workload};
use crate::facts::Role;
use crate::spec::{Spec, Tree};

pub(super) struct Vanilla;

impl Distro for Vanilla {
    fn kubernetes(&self) -> &'static str {
        "1.36.1"
    }

    fn node_name(&self, spec: &Spec, role: Role, index: u32) -> String {
        match role {
            Role::ControlPlane => counted(format!("{}-control-plane", spec.name), index),
            Role::Worker => counted(format!("{}-worker", spec.name), index),
        }
    }

    fn labels(&self, role: Role) -> BTreeMap<String, String> {
        match role {
            Role::ControlPlane => empty_labels(&[CONTROL_PLANE]),
            Role::Worker => BTreeMap::new(),
        }
    }

    fn taints(&self, spec: &Spec, role: Role) -> Vec<String> {
        // kind lets pods onto the control plane of a cluster that has no other node.
        let is_alone = spec.control_planes + spec.workers == 1;
        if role == Role::ControlPlane && !is_alone {
            vec![CONTROL_PLANE.into()]
        } else {
            Vec::new()
        }
    }

    fn system(&self, _: &str) -> (String, &'static str) {
        (
            "Debian GNU/Linux 12 (bookworm)".to_string(),
            "containerd://2.2.1",
        )
    }

    fn image(&self, spec: &Spec) -> String {
        let asked = spec
            .distribution
            .options
            .get("image")
            .and_then(Tree::as_text);
        asked.map_or_else(
            || format!("kindest/node:v{}", kubernetes(spec)),
            String::from,
        )
    }

    fn network(&self, spec: &Spec) -> String {
        settings::network(spec)
    }

    fn balancer(&self, spec: &Spec) -> Option<String> {
        let settings = Settings::of(spec);
        settings.is_balanced().then(|| settings.balancer())
    }

    fn is_ready_alone(&self, spec: &Spec) -> bool {
        // Without a pod network nodes stay NotReady until a component brings one.
        Settings::of(spec).default_cni
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
                    name: "kindnet",
                    image: "docker.io/kindest/kindnetd:v20260213",
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
                    image: "docker.io/kindest/local-path-provisioner:v20260131",
                },
            ),
        ]
    }
}

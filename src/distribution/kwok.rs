//! A real API server whose nodes and pods are simulated.

use std::collections::BTreeMap;

use super::{Distro, kubernetes};
use crate::component::Workload;
use crate::facts::Role;
use crate::spec::Spec;

pub(super) struct Kwok;

impl Distro for Kwok {
    fn kubernetes(&self) -> &'static str {
        "1.36.1"
    }

    fn shows_control_planes(&self) -> bool {
        false
    }

    fn node_name(&self, _: &Spec, _: Role, index: u32) -> String {
        format!("node-{index:06}")
    }

    fn labels(&self, _: Role) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("kubernetes.io/role".to_string(), "agent".to_string()),
            ("node-role.kubernetes.io/agent".to_string(), String::new()),
            ("type".to_string(), "kwok".to_string()),
            (
                "kwok.x-k8s.io/kwokctl-scale".to_string(),
                "node".to_string(),
            ),
        ])
    }

    fn taints(&self, _: &Spec, _: Role) -> Vec<String> {
        Vec::new()
    }

    fn system(&self, _: &str) -> (String, &'static str) {
        (String::new(), "")
    }

    fn image(&self, spec: &Spec) -> String {
        format!("registry.k8s.io/kube-apiserver:v{}", kubernetes(spec))
    }

    fn network(&self, spec: &Spec) -> String {
        format!("kwok-{}", spec.name)
    }

    fn brings(&self) -> &'static [(&'static str, Workload)] {
        &[]
    }
}

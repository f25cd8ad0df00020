//! Amazon's managed Kubernetes.

use std::collections::BTreeMap;

use super::Distro;
use crate::component::{Kind, Workload};
use crate::facts::Role;
use crate::spec::Spec;

pub(super) struct Eks;

impl Distro for Eks {
    fn kubernetes(&self) -> &'static str {
        "1.35.4"
    }

    fn suffix(&self) -> &'static str {
        "-eks-1a2b3c4"
    }

    fn shows_control_planes(&self) -> bool {
        false
    }

    fn node_name(&self, spec: &Spec, _: Role, index: u32) -> String {
        let region = spec
            .distribution
            .options
            .get("region")
            .and_then(crate::spec::Tree::as_text)
            .unwrap_or("us-east-1");
        format!(
            "ip-192-168-{}-{}.{region}.compute.internal",
            index / 250,
            index % 250 + 10
        )
    }

    fn labels(&self, _: Role) -> BTreeMap<String, String> {
        BTreeMap::from([(
            "eks.amazonaws.com/nodegroup".to_string(),
            "default".to_string(),
        )])
    }

    fn taints(&self, _: &Spec, _: Role) -> Vec<String> {
        Vec::new()
    }

    fn system(&self, _: &str) -> (String, &'static str) {
        ("Amazon Linux 2023".to_string(), "containerd://2.2.1")
    }

    fn image(&self, _: &Spec) -> String {
        "AL2023_x86_64_STANDARD".to_string()
    }

    fn network(&self, spec: &Spec) -> String {
        format!("{}-vpc", spec.name)
    }

    fn brings(&self) -> &'static [(&'static str, Workload)] {
        &[
            (
                "kube-system",
                Workload {
                    kind: Kind::DaemonSet,
                    name: "aws-node",
                    image: "602401143452.dkr.ecr.us-east-1.amazonaws.com/amazon-k8s-cni:v1.21.0",
                },
            ),
            (
                "kube-system",
                Workload {
                    kind: Kind::Deployment,
                    name: "coredns",
                    image: "602401143452.dkr.ecr.us-east-1.amazonaws.com/eks/coredns:v1.13.1",
                },
            ),
            (
                "kube-system",
                Workload {
                    kind: Kind::DaemonSet,
                    name: "ebs-csi-node",
                    image: "602401143452.dkr.ecr.us-east-1.amazonaws.com/eks/aws-ebs-csi-driver:v1.52.0",
                },
            ),
            (
                "kube-system",
                Workload {
                    kind: Kind::Deployment,
                    name: "ebs-csi-controller",
                    image: "602401143452.dkr.ecr.us-east-1.amazonaws.com/eks/aws-ebs-csi-driver:v1.52.0",
                },
            ),
            (
                "kube-system",
                Workload {
                    kind: Kind::DaemonSet,
                    name: "kube-proxy",
                    image: "602401143452.dkr.ecr.us-east-1.amazonaws.com/eks/kube-proxy",
                },
            ),
        ]
    }
}

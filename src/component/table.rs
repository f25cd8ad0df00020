//! Versions, sources and workloads of every component.
//!
//! Versions are those of the upstream projects in November 2026; users override them with `version`.

use crate::axis::Component;

/// Where a component comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// A chart.
    Chart {
        /// The repository, or an `oci://` folder.
        repo: &'static str,
        /// The chart's name.
        chart: &'static str,
    },
    /// A container beside the cluster.
    Container {
        /// Its image without the tag.
        image: &'static str,
    },
    /// The distribution or the provider.
    Provided,
}

/// What keeps a component's pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A Deployment of one replica.
    Deployment,
    /// A StatefulSet of one replica.
    StatefulSet,
    /// A DaemonSet.
    DaemonSet,
}

/// One workload of a component.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// What keeps its pods.
    pub kind: Kind,
    /// Its name.
    pub name: &'static str,
    /// Its image without the tag.
    pub image: &'static str,
}

/// A component as it is released.
#[derive(Clone, Debug)]
pub struct Release {
    /// Its version.
    pub version: &'static str,
    /// Where it comes from.
    pub source: Source,
    /// The namespace it lives in.
    pub namespace: &'static str,
    /// Its workloads.
    pub workloads: &'static [Workload],
}

const fn deployment(name: &'static str, image: &'static str) -> Workload {
    Workload {
        kind: Kind::Deployment,
        name,
        image,
    }
}

const fn daemon_set(name: &'static str, image: &'static str) -> Workload {
    Workload {
        kind: Kind::DaemonSet,
        name,
        image,
    }
}

const fn stateful_set(name: &'static str, image: &'static str) -> Workload {
    Workload {
        kind: Kind::StatefulSet,
        name,
        image,
    }
}

/// The release of a component.
pub fn release(component: Component) -> Release {
    use Component as C;
    let chart = |repo, chart| Source::Chart { repo, chart };
    let (version, source, namespace, workloads): (_, _, _, &'static [Workload]) = match component {
        C::Cilium => (
            "1.20.0",
            chart("https://helm.cilium.io", "cilium"),
            "kube-system",
            const {
                &[
                    daemon_set("cilium", "quay.io/cilium/cilium"),
                    daemon_set("cilium-envoy", "quay.io/cilium/cilium-envoy"),
                    deployment("cilium-operator", "quay.io/cilium/operator-generic"),
                ]
            },
        ),
        C::Calico => (
            "v3.32.0",
            chart("https://docs.tigera.io/calico/charts", "tigera-operator"),
            "tigera-operator",
            const { &[deployment("tigera-operator", "quay.io/tigera/operator")] },
        ),
        C::AmazonVpcCni => ("", Source::Provided, "kube-system", &[]),
        C::LocalPathProvisioner => (
            "v0.0.37",
            Source::Provided,
            "local-path-storage",
            const {
                &[deployment(
                    "local-path-provisioner",
                    "docker.io/rancher/local-path-provisioner",
                )]
            },
        ),
        C::HetznerCsi => (
            "2.22.1",
            chart("https://charts.hetzner.cloud", "hcloud-csi"),
            "kube-system",
            const {
                &[
                    deployment(
                        "hcloud-csi-controller",
                        "docker.io/hetznercloud/hcloud-csi-driver",
                    ),
                    daemon_set(
                        "hcloud-csi-node",
                        "docker.io/hetznercloud/hcloud-csi-driver",
                    ),
                ]
            },
        ),
        C::AmazonEbsCsi => ("", Source::Provided, "kube-system", &[]),
        C::LoadBalancer => ("", Source::Provided, "kube-system", &[]),
        C::CloudProviderKind => (
            "v0.11.1",
            Source::Container {
                image: "registry.k8s.io/cloud-provider-kind/cloud-controller-manager",
            },
            "kube-system",
            &[],
        ),
        C::Metallb => (
            "0.16.1",
            chart("https://metallb.github.io/metallb", "metallb"),
            "metallb-system",
            const {
                &[
                    deployment("metallb-controller", "quay.io/metallb/controller"),
                    daemon_set("metallb-speaker", "quay.io/metallb/speaker"),
                ]
            },
        ),
        C::HetznerCcm => (
            "1.35.0",
            chart(
                "https://charts.hetzner.cloud",
                "hcloud-cloud-controller-manager",
            ),
            "kube-system",
            const {
                &[deployment(
                    "hcloud-cloud-controller-manager",
                    "docker.io/hetznercloud/hcloud-cloud-controller-manager",
                )]
            },
        ),
        C::AwsLoadBalancerController => (
            "3.5.0",
            chart(
                "https://aws.github.io/eks-charts",
                "aws-load-balancer-controller",
            ),
            "kube-system",
            const {
                &[deployment(
                    "aws-load-balancer-controller",
                    "public.ecr.aws/eks/aws-load-balancer-controller",
                )]
            },
        ),
        C::Flux => (
            "0.58.1",
            chart(
                "oci://ghcr.io/controlplaneio-fluxcd/charts",
                "flux-operator",
            ),
            "flux-system",
            const {
                &[
                    deployment(
                        "flux-operator",
                        "ghcr.io/controlplaneio-fluxcd/flux-operator",
                    ),
                    deployment("source-controller", "ghcr.io/fluxcd/source-controller"),
                    deployment(
                        "kustomize-controller",
                        "ghcr.io/fluxcd/kustomize-controller",
                    ),
                    deployment("helm-controller", "ghcr.io/fluxcd/helm-controller"),
                    deployment(
                        "notification-controller",
                        "ghcr.io/fluxcd/notification-controller",
                    ),
                ]
            },
        ),
        C::Argocd => (
            "10.4.0",
            chart("oci://ghcr.io/argoproj/argo-helm", "argo-cd"),
            "argocd",
            const {
                &[
                    stateful_set("argocd-application-controller", "quay.io/argoproj/argocd"),
                    deployment(
                        "argocd-applicationset-controller",
                        "quay.io/argoproj/argocd",
                    ),
                    deployment("argocd-redis", "ecr-public.aws.com/docker/library/redis"),
                    deployment("argocd-repo-server", "quay.io/argoproj/argocd"),
                    deployment("argocd-server", "quay.io/argoproj/argocd"),
                ]
            },
        ),
        C::MetricsServer => (
            "3.13.1",
            chart(
                "https://kubernetes-sigs.github.io/metrics-server",
                "metrics-server",
            ),
            "kube-system",
            const {
                &[deployment(
                    "metrics-server",
                    "registry.k8s.io/metrics-server/metrics-server",
                )]
            },
        ),
        C::CertManager => (
            "v1.21.1",
            chart("https://charts.jetstack.io", "cert-manager"),
            "cert-manager",
            const {
                &[
                    deployment("cert-manager", "quay.io/jetstack/cert-manager-controller"),
                    deployment(
                        "cert-manager-cainjector",
                        "quay.io/jetstack/cert-manager-cainjector",
                    ),
                    deployment(
                        "cert-manager-webhook",
                        "quay.io/jetstack/cert-manager-webhook",
                    ),
                ]
            },
        ),
        C::Kyverno => (
            "3.9.0",
            chart("https://kyverno.github.io/kyverno", "kyverno"),
            "kyverno",
            const {
                &[
                    deployment(
                        "kyverno-admission-controller",
                        "reg.kyverno.io/kyverno/kyverno",
                    ),
                    deployment(
                        "kyverno-background-controller",
                        "reg.kyverno.io/kyverno/background-controller",
                    ),
                    deployment(
                        "kyverno-cleanup-controller",
                        "reg.kyverno.io/kyverno/cleanup-controller",
                    ),
                    deployment(
                        "kyverno-reports-controller",
                        "reg.kyverno.io/kyverno/reports-controller",
                    ),
                ]
            },
        ),
        C::Gatekeeper => (
            "3.23.0",
            chart(
                "https://open-policy-agent.github.io/gatekeeper/charts",
                "gatekeeper",
            ),
            "gatekeeper-system",
            const {
                &[
                    deployment("gatekeeper-audit", "docker.io/openpolicyagent/gatekeeper"),
                    deployment(
                        "gatekeeper-controller-manager",
                        "docker.io/openpolicyagent/gatekeeper",
                    ),
                ]
            },
        ),
    };
    Release {
        version,
        source,
        namespace,
        workloads,
    }
}

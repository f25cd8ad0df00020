//! Options of distributions.

use crate::axis::Distribution;
use crate::spec::field::{Field, Shape, field};

pub(super) fn fields(kind: Distribution) -> &'static [Field] {
    match kind {
        Distribution::Vanilla => VANILLA,
        Distribution::K3s => K3S,
        Distribution::Talos => TALOS,
        Distribution::VCluster => VCLUSTER,
        Distribution::Kwok => KWOK,
        Distribution::Eks => EKS,
    }
}

static VANILLA: &[Field] = &[
    field(
        "config",
        Shape::Either(&[Shape::InnerPath, Shape::Map(super::kind::CLUSTER, &[])]),
        "none",
        "A kind.yaml (kind.x-k8s.io/v1alpha4) to start from, or its content as a map.",
    ),
    field(
        "image",
        Shape::Text,
        "kindest/node of the Kubernetes version",
        "The node image.",
    ),
    field(
        "mirrors_dir",
        Shape::Either(&[Shape::InnerPath, Shape::Dict(&Shape::Text)]),
        "none",
        "A folder with what containerd is told of registries, such as `ghcr.io/hosts.toml`; or its files as a map.",
    ),
    field(
        "feature_gates",
        Shape::Dict(&Shape::Bool),
        "none",
        "Kubernetes feature gates.",
    ),
    field(
        "ip_family",
        Shape::Choice(&["ipv4", "ipv6", "dual"]),
        "ipv4",
        "The address family of pods and services.",
    ),
    field(
        "pod_subnet",
        Shape::Text,
        "10.244.0.0/16",
        "The addresses of pods.",
    ),
    field(
        "service_subnet",
        Shape::Text,
        "10.96.0.0/16",
        "The addresses of services.",
    ),
    field(
        "port_mappings",
        Shape::List(&Shape::Map(PORTS, &["container_port"])),
        "none",
        "Ports of the first control plane that the host publishes.",
    ),
    field(
        "mounts",
        Shape::List(&Shape::Map(MOUNTS, &["host_path", "container_path"])),
        "none",
        "Folders of the host inside every node.",
    ),
    field(
        "runtime_config",
        Shape::Dict(&Shape::Either(&[Shape::Text, Shape::Bool])),
        "none",
        "API groups to switch on or off, such as `#{ \"api/alpha\": false }`.",
    ),
    field(
        "default_cni",
        Shape::Bool,
        "true, without a CNI component",
        "Whether the node image's own pod network is installed.",
    ),
    field(
        "kube_proxy_mode",
        Shape::Choice(&["iptables", "ipvs", "nftables", "none"]),
        "iptables",
        "How services are reached.",
    ),
    field(
        "api_server_address",
        Shape::Text,
        "127.0.0.1",
        "The host's address of the API.",
    ),
    field(
        "api_server_port",
        Shape::Int(0, 65_535),
        "0, any free one",
        "The host's port of the API.",
    ),
    field(
        "share_images",
        Shape::Bool,
        "true",
        "Whether nodes share the layers in the node image, where the engine can, instead of copying them.",
    ),
    field(
        "dns_search",
        Shape::List(&Shape::Text),
        "the host's",
        "Search domains of the nodes.",
    ),
    field(
        "kubeadm_patches",
        Shape::List(&Shape::Text),
        "none",
        "YAML merged into kubeadm's documents of the same kind.",
    ),
    field(
        "containerd_patches",
        Shape::List(&Shape::Text),
        "none",
        "TOML merged into containerd's configuration.",
    ),
];

static K3S: &[Field] = &[
    field(
        "config",
        Shape::Either(&[Shape::InnerPath, Shape::Map(super::k3d::CLUSTER, &[])]),
        "none",
        "A k3d.yaml (k3d.io/v1alpha5, Simple) to start from, or its content as a map.",
    ),
    field(
        "image",
        Shape::Text,
        "rancher/k3s of the Kubernetes version",
        "The node image.",
    ),
    field(
        "args",
        Shape::List(&Shape::Text),
        "none",
        "More arguments of every k3s server.",
    ),
    field(
        "agent_args",
        Shape::List(&Shape::Text),
        "none",
        "More arguments of every k3s agent.",
    ),
    field(
        "disable",
        Shape::List(&Shape::Choice(&[
            "traefik",
            "servicelb",
            "metrics-server",
            "local-storage",
            "coredns",
        ])),
        "none",
        "What k3s brings and is left out.",
    ),
    field(
        "port_mappings",
        Shape::List(&Shape::Map(PORTS, &["container_port"])),
        "none",
        "Ports of the load balancer that the host publishes.",
    ),
];

static TALOS: &[Field] = &[
    field(
        "version",
        Shape::Version,
        "ksail's own",
        "The Talos version.",
    ),
    field(
        "config",
        Shape::InnerPath,
        "talos",
        "The folder with machine configuration patches.",
    ),
    field(
        "iso",
        Shape::Int(1, i64::MAX),
        "125127",
        "The ISO that Hetzner servers boot from.",
    ),
    field(
        "schematic_id",
        Shape::Text,
        "none",
        "The Image Factory schematic; wins over extensions.",
    ),
    field(
        "extensions",
        Shape::List(&Shape::Text),
        "none",
        "Official system extensions.",
    ),
    field(
        "port_mappings",
        Shape::List(&Shape::Map(PORTS, &["container_port"])),
        "none",
        "Ports of the first control plane that the host publishes.",
    ),
    field(
        "drain_timeout",
        Shape::Duration,
        "10m",
        "How long draining a node may take.",
    ),
    field(
        "patches",
        Shape::List(&Shape::Any),
        "none",
        "Machine configuration patches for every node.",
    ),
];

static VCLUSTER: &[Field] = &[
    field(
        "config",
        Shape::InnerPath,
        "none",
        "A vcluster.yaml with chart values.",
    ),
    field(
        "version",
        Shape::Version,
        "ksail's own",
        "The vCluster version.",
    ),
    field("values", Shape::Dict(&Shape::Any), "none", "Chart values."),
];

static KWOK: &[Field] = &[
    field(
        "config",
        Shape::InnerPath,
        "none",
        "A file or folder with Stage resources; they drive the kinds that they name in place of KWOK's own.",
    ),
    field(
        "version",
        Shape::Version,
        "ksail's own",
        "The KWOK version.",
    ),
    field(
        "pods_per_node",
        Shape::Int(1, 10_000),
        "110",
        "How many pods a simulated node takes.",
    ),
    field(
        "cpu",
        Shape::Int(1, 100_000),
        "32",
        "How many CPUs a simulated node has.",
    ),
    field(
        "memory",
        Shape::Quantity,
        "256Gi",
        "How much memory a simulated node has.",
    ),
];

static EKS: &[Field] = &[
    field(
        "config",
        Shape::InnerPath,
        "none",
        "An eks.yaml (eksctl.io/v1alpha5, ClusterConfig) to start from.",
    ),
    field("region", Shape::Text, "us-east-1", "The AWS region."),
    field(
        "instance_type",
        Shape::Text,
        "t3.medium",
        "The size of the nodes.",
    ),
    field("min_nodes", Shape::Int(0, 1000), "1", "The fewest nodes."),
    field("max_nodes", Shape::Int(1, 1000), "3", "The most nodes."),
    field(
        "volume_size",
        Shape::Int(1, 16_384),
        "20",
        "The size of a node's disk in GB.",
    ),
];

static PORTS: &[Field] = &[
    field(
        "container_port",
        Shape::Int(1, 65_535),
        "",
        "The port in the node.",
    ),
    field(
        "host_port",
        Shape::Int(0, 65_535),
        "0, any free one",
        "The port on the host.",
    ),
    field(
        "listen_address",
        Shape::Text,
        "127.0.0.1",
        "The address on the host.",
    ),
    field(
        "protocol",
        Shape::Choice(&["TCP", "UDP", "SCTP"]),
        "TCP",
        "The protocol.",
    ),
];

static MOUNTS: &[Field] = &[
    field("host_path", Shape::Text, "", "The folder on the host."),
    field(
        "container_path",
        Shape::Text,
        "",
        "Where it appears in the node.",
    ),
    field(
        "read_only",
        Shape::Bool,
        "false",
        "Whether nodes may only read it.",
    ),
];

//! The fields of a kind.yaml (`kind.x-k8s.io/v1alpha4`), and what has to hold between them.
//!
//! The same tables serve a file and a map that is written into the script, so both are checked alike. What the fields
//! come to is the business of `crate::distribution::vanilla`; what has to hold between them is in `check`.

mod check;

pub(super) use check::{check, patches};
pub use check::{json_patch, subnets};

use crate::facts::Role;
use crate::spec::field::{Field, Shape, field};
use crate::spec::tree::{Options, Tree};

/// The fields of the file.
pub static CLUSTER: &[Field] = &[
    field("kind", Shape::Choice(&["Cluster"]), "", "What the file is."),
    field(
        "apiVersion",
        Shape::Choice(&["kind.x-k8s.io/v1alpha4"]),
        "",
        "The version of the file's form.",
    ),
    field(
        "name",
        Shape::Text,
        "",
        "The cluster's name; the script's own name wins.",
    ),
    field(
        "nodes",
        Shape::List(&Shape::Map(NODE, &[])),
        "one control plane",
        "The nodes.",
    ),
    field(
        "networking",
        Shape::Map(NETWORKING, &[]),
        "",
        "Addresses, the API's port and the pod network.",
    ),
    field(
        "featureGates",
        Shape::Dict(&Shape::Bool),
        "none",
        "Kubernetes feature gates.",
    ),
    field(
        "runtimeConfig",
        Shape::Dict(&Shape::Either(&[Shape::Text, Shape::Bool])),
        "none",
        "API groups to switch on or off.",
    ),
    field("kubeadmConfigPatches", PATCHES, "none", "Merge patches."),
    field(
        "kubeadmConfigPatchesJSON6902",
        JSON_PATCHES,
        "none",
        "JSON patches.",
    ),
    field(
        "containerdConfigPatches",
        PATCHES,
        "none",
        "TOML merged into containerd's configuration.",
    ),
    field(
        "containerdConfigPatchesJSON6902",
        PATCHES,
        "none",
        "JSON patches of containerd's configuration.",
    ),
];

const PATCHES: Shape = Shape::List(&Shape::Text);
const JSON_PATCHES: Shape = Shape::List(&Shape::Map(
    JSON_PATCH,
    &["group", "version", "kind", "patch"],
));

static NODE: &[Field] = &[
    field(
        "role",
        Shape::Choice(&["control-plane", "worker"]),
        "control-plane",
        "What the node is for.",
    ),
    field(
        "image",
        Shape::Text,
        "of the Kubernetes version",
        "The node image.",
    ),
    field(
        "labels",
        Shape::Dict(&Shape::Text),
        "none",
        "Labels of the node.",
    ),
    field(
        "extraMounts",
        Shape::List(&Shape::Map(MOUNT, &["hostPath", "containerPath"])),
        "none",
        "Folders of the host in the node.",
    ),
    field(
        "extraPortMappings",
        Shape::List(&Shape::Map(PORT, &["containerPort"])),
        "none",
        "Ports of the node that the host publishes.",
    ),
    field("kubeadmConfigPatches", PATCHES, "none", "Merge patches."),
    field(
        "kubeadmConfigPatchesJSON6902",
        JSON_PATCHES,
        "none",
        "JSON patches.",
    ),
];

static JSON_PATCH: &[Field] = &[
    field(
        "group",
        Shape::Text,
        "",
        "The group of what it patches, such as kubeadm.k8s.io.",
    ),
    field("version", Shape::Text, "", "Its version, such as v1beta3."),
    field(
        "kind",
        Shape::Text,
        "",
        "Its kind, such as ClusterConfiguration.",
    ),
    field("patch", Shape::Text, "", "The operations."),
];

static MOUNT: &[Field] = &[
    field("hostPath", Shape::Text, "", "The folder on the host."),
    field("containerPath", Shape::Text, "", "Its path in the node."),
    field(
        "readOnly",
        Shape::Bool,
        "false",
        "Whether the node may only read it.",
    ),
    field(
        "selinuxRelabel",
        Shape::Bool,
        "false",
        "Whether SELinux labels are changed.",
    ),
    field(
        "propagation",
        Shape::Choice(&["None", "HostToContainer", "Bidirectional"]),
        "None",
        "How mounts below it travel.",
    ),
];

static PORT: &[Field] = &[
    field(
        "containerPort",
        Shape::Int(1, 65_535),
        "",
        "The port in the node.",
    ),
    field(
        "hostPort",
        Shape::Int(-1, 65_535),
        "0, any free one",
        "The port on the host.",
    ),
    field(
        "listenAddress",
        Shape::Text,
        "0.0.0.0",
        "The address on the host.",
    ),
    field(
        "protocol",
        Shape::Choice(&["TCP", "UDP", "SCTP", "tcp", "udp", "sctp"]),
        "TCP",
        "The protocol.",
    ),
];

static NETWORKING: &[Field] = &[
    field(
        "ipFamily",
        Shape::Choice(&["ipv4", "ipv6", "dual"]),
        "ipv4",
        "The address family of pods and services.",
    ),
    field(
        "apiServerAddress",
        Shape::Text,
        "127.0.0.1",
        "The host's address of the API.",
    ),
    field(
        "apiServerPort",
        Shape::Int(-1, 65_535),
        "0, any free one",
        "The host's port of the API.",
    ),
    field(
        "podSubnet",
        Shape::Text,
        "10.244.0.0/16",
        "The addresses of pods.",
    ),
    field(
        "serviceSubnet",
        Shape::Text,
        "10.96.0.0/16",
        "The addresses of services.",
    ),
    field(
        "disableDefaultCNI",
        Shape::Bool,
        "false",
        "Whether there is no pod network at first.",
    ),
    field(
        "kubeProxyMode",
        Shape::Choice(&["iptables", "ipvs", "nftables", "none"]),
        "iptables",
        "How services are reached.",
    ),
    field(
        "dnsSearch",
        Shape::List(&Shape::Text),
        "the host's",
        "Search domains of the nodes.",
    ),
];

/// The nodes of a file by role, in order; empty if it names none.
pub fn roles(file: &Options) -> Vec<(Role, &Options)> {
    let nodes = file
        .get("nodes")
        .and_then(Tree::as_list)
        .unwrap_or_default();
    nodes
        .iter()
        .filter_map(Tree::as_map)
        .map(|node| {
            let is_worker = node.get("role").and_then(Tree::as_text) == Some("worker");
            let role = if is_worker {
                Role::Worker
            } else {
                Role::ControlPlane
            };
            (role, node)
        })
        .collect()
}

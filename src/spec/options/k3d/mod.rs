//! The fields of a k3d.yaml (`k3d.io/v1alpha5`, kind `Simple`), and what has to hold between them.
//!
//! The same tables serve a file and a map that is written into the script. What the fields come to is the business of
//! `crate::distribution::k3s`; the small languages inside them are in [`filter`], [`port`] and [`volume`].

mod check;
mod conceal;
pub mod filter;
pub mod port;
pub mod volume;

pub use check::{at, check, counts, memory, port_number};
pub use conceal::conceal;

use crate::spec::field::{Field, Shape, field};

/// A port as text or as a number.
const PORT: Shape = Shape::Either(&[Shape::Int(0, 65_535), Shape::Text]);
const FILTERS: Shape = Shape::List(&Shape::Text);

/// The fields of the file.
pub static CLUSTER: &[Field] = &[
    field("kind", Shape::Choice(&["Simple"]), "", "What the file is."),
    field(
        "apiVersion",
        Shape::Choice(&["k3d.io/v1alpha5"]),
        "",
        "The version of the file's form.",
    ),
    field(
        "metadata",
        Shape::Map(METADATA, &[]),
        "",
        "The cluster's name; the script's own name wins.",
    ),
    field("servers", Shape::Int(1, 99), "1", "How many servers."),
    field("agents", Shape::Int(0, 999), "0", "How many agents."),
    field(
        "kubeAPI",
        Shape::Map(API, &[]),
        "",
        "Where the host publishes the API.",
    ),
    field(
        "image",
        Shape::Text,
        "rancher/k3s of the Kubernetes version",
        "The node image.",
    ),
    field(
        "network",
        Shape::Text,
        "k3d-NAME",
        "The network; one that is there already is used and kept.",
    ),
    field(
        "subnet",
        Shape::Text,
        "the engine's choice",
        "The addresses of the network.",
    ),
    field("token", Shape::Secret, "a new one", "What nodes join with."),
    field(
        "volumes",
        Shape::List(&Shape::Map(VOLUME, &["volume"])),
        "none",
        "Folders and volumes in the nodes.",
    ),
    field(
        "ports",
        Shape::List(&Shape::Map(PORTS, &["port"])),
        "none",
        "Ports that the host publishes.",
    ),
    field(
        "env",
        Shape::List(&Shape::Map(ENV, &["envVar"])),
        "none",
        "The environment of nodes.",
    ),
    field(
        "files",
        Shape::List(&Shape::Map(FILE, &["source", "destination"])),
        "none",
        "Files that are put into nodes.",
    ),
    field(
        "registries",
        Shape::Map(REGISTRIES, &[]),
        "none",
        "Registries to make and to use.",
    ),
    field(
        "hostAliases",
        Shape::List(&Shape::Map(ALIAS, &["ip", "hostnames"])),
        "none",
        "Host names that nodes and pods know.",
    ),
    field("options", Shape::Map(OPTIONS, &[]), "", "Further options."),
];

static METADATA: &[Field] = &[field("name", Shape::Text, "", "The cluster's name.")];

static API: &[Field] = &[
    field(
        "host",
        Shape::Text,
        "hostIP",
        "The host name that the kubeconfig leads to.",
    ),
    field(
        "hostIP",
        Shape::Text,
        "0.0.0.0",
        "The host's address of the API.",
    ),
    field(
        "hostPort",
        PORT,
        "any free one",
        "The host's port of the API.",
    ),
];

static VOLUME: &[Field] = &[
    field(
        "volume",
        Shape::Text,
        "",
        "What is mounted, as SOURCE:PATH[:MODE].",
    ),
    field("nodeFilters", FILTERS, "", "In which nodes."),
];

static PORTS: &[Field] = &[
    field(
        "port",
        Shape::Text,
        "",
        "The port, as [HOST:][HOSTPORT:]PORT[/PROTOCOL].",
    ),
    field(
        "nodeFilters",
        FILTERS,
        "all, through the load balancer",
        "Of which nodes.",
    ),
    field("removal", Shape::Bool, "false", "Nothing in a new cluster."),
];

static ENV: &[Field] = &[
    field("envVar", Shape::Text, "", "The variable, as NAME=VALUE."),
    field("nodeFilters", FILTERS, "", "In which nodes."),
];

static FILE: &[Field] = &[
    field(
        "source",
        Shape::Text,
        "",
        "The path of a file, or its content in several lines.",
    ),
    field("destination", Shape::Text, "", "Its path in the node."),
    field("description", Shape::Text, "", "What it is."),
    field("nodeFilters", FILTERS, "all", "In which nodes."),
];

static REGISTRIES: &[Field] = &[
    field(
        "create",
        Shape::Map(REGISTRY, &[]),
        "none",
        "A registry to make with the cluster.",
    ),
    field(
        "use",
        Shape::List(&Shape::Text),
        "none",
        "Registries that are there, as NAME[:PORT].",
    ),
    field(
        "config",
        Shape::Secret,
        "none",
        "A registries.yaml: its path, or its content in several lines.",
    ),
];

static REGISTRY: &[Field] = &[
    field("name", Shape::Text, "k3d-NAME-registry", "Its name."),
    field("host", Shape::Text, "0.0.0.0", "The host's address of it."),
    field("hostPort", PORT, "any free one", "The host's port of it."),
    field(
        "image",
        Shape::Text,
        "docker.io/library/registry:2",
        "Its image.",
    ),
    field(
        "proxy",
        Shape::Map(PROXY, &["remoteURL"]),
        "none",
        "What it pulls through.",
    ),
    field(
        "volumes",
        Shape::List(&Shape::Text),
        "none",
        "What is mounted into it.",
    ),
    field(
        "enforcePortMatch",
        Shape::Bool,
        "false",
        "Whether it listens on the host's port inside, too.",
    ),
];

static PROXY: &[Field] = &[
    field("remoteURL", Shape::Text, "", "The upstream's address."),
    field("username", Shape::Secret, "none", "The upstream's user."),
    field(
        "password",
        Shape::Secret,
        "none",
        "The upstream's password.",
    ),
];

static ALIAS: &[Field] = &[
    field("ip", Shape::Text, "", "The address."),
    field(
        "hostnames",
        Shape::List(&Shape::Text),
        "",
        "The names that lead to it.",
    ),
];

static OPTIONS: &[Field] = &[
    field("k3d", Shape::Map(K3D, &[]), "", "How the cluster is made."),
    field("k3s", Shape::Map(K3S, &[]), "", "What k3s is given."),
    field(
        "kubeconfig",
        Shape::Map(KUBECONFIG, &[]),
        "",
        "ksail always adds its context and makes it the current one.",
    ),
    field(
        "runtime",
        Shape::Map(RUNTIME, &[]),
        "",
        "What the containers are given.",
    ),
];

static K3D: &[Field] = &[
    field("wait", Shape::Bool, "true", "ksail always waits."),
    field(
        "timeout",
        Shape::Text,
        "",
        "ksail waits while there is progress.",
    ),
    field(
        "disableLoadbalancer",
        Shape::Bool,
        "false",
        "Whether the API is published by the first server itself.",
    ),
    field(
        "disableImageVolume",
        Shape::Bool,
        "false",
        "Whether nodes share no volume for images.",
    ),
    field(
        "disableRollback",
        Shape::Bool,
        "false",
        "Nothing: what a failed run made is found by the next.",
    ),
    field(
        "loadbalancer",
        Shape::Map(BALANCER, &[]),
        "",
        "Settings of the load balancer.",
    ),
];

static BALANCER: &[Field] = &[field(
    "configOverrides",
    Shape::List(&Shape::Text),
    "none",
    "Its settings, as settings.NAME=VALUE.",
)];

static K3S: &[Field] = &[
    field(
        "extraArgs",
        Shape::List(&Shape::Map(ARG, &["arg"])),
        "none",
        "More arguments of k3s.",
    ),
    field(
        "nodeLabels",
        Shape::List(&Shape::Map(LABEL, &["label"])),
        "none",
        "Labels of the Kubernetes nodes.",
    ),
];

static ARG: &[Field] = &[
    field("arg", Shape::Text, "", "The argument."),
    field("nodeFilters", FILTERS, "", "Of which nodes."),
];

static LABEL: &[Field] = &[
    field("label", Shape::Text, "", "The label, as KEY=VALUE."),
    field("nodeFilters", FILTERS, "", "Of which nodes."),
];

static KUBECONFIG: &[Field] = &[
    field("updateDefaultKubeconfig", Shape::Bool, "true", "As ksail."),
    field("switchCurrentContext", Shape::Bool, "true", "As ksail."),
];

static RUNTIME: &[Field] = &[
    field(
        "gpuRequest",
        Shape::Text,
        "none",
        "The GPUs that nodes get.",
    ),
    field(
        "serversMemory",
        Shape::Text,
        "no limit",
        "The most memory of a server, such as 2g.",
    ),
    field(
        "agentsMemory",
        Shape::Text,
        "no limit",
        "The most memory of an agent, such as 2g.",
    ),
    field(
        "hostPidMode",
        Shape::Bool,
        "false",
        "Whether nodes see the host's processes.",
    ),
    field(
        "labels",
        Shape::List(&Shape::Map(LABEL, &["label"])),
        "none",
        "Labels of the containers.",
    ),
    field(
        "ulimits",
        Shape::List(&Shape::Map(ULIMIT, &["name", "soft", "hard"])),
        "none",
        "Limits of the containers' processes.",
    ),
];

static ULIMIT: &[Field] = &[
    field("name", Shape::Text, "", "Its name, such as nofile."),
    field("soft", Shape::Int(-1, i64::MAX), "", "The soft limit."),
    field("hard", Shape::Int(-1, i64::MAX), "", "The hard limit."),
];

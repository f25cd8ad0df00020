//! The keys of `cluster(name, #{ … })` that hold plain values; `ksail.yaml`'s names in snake case.
//!
//! `distribution`, `provider`, `components`, `gitops`, `policy` and the hooks take native values and are read by the
//! script host; everything else is a row here.

use super::field::{Field, Shape, field};

/// The plain settings of a cluster.
pub static SETTINGS: &[Field] = &[
    field(
        "kubernetes",
        Shape::Version,
        "the distribution's own",
        "The Kubernetes version.",
    ),
    field(
        "control_planes",
        Shape::Int(1, 99),
        "1",
        "How many control-plane nodes there are.",
    ),
    field(
        "workers",
        Shape::Int(0, 10_000),
        "0, with KWOK 1",
        "How many worker nodes there are; with KWOK, how many simulated nodes.",
    ),
    field(
        "mirrors",
        Shape::List(&Shape::Mirror),
        "none",
        "Registries to cache, so that images are pulled once.",
    ),
    field(
        "local_registry",
        Shape::Either(&[Shape::Bool, Shape::Registry]),
        "none; `localhost:5050` with a GitOps engine",
        "A registry beside the cluster, or an external one to use in its place.",
    ),
    field(
        "registries",
        Shape::List(&Shape::Either(&[
            Shape::Registry,
            Shape::Map(REGISTRY, &["host"]),
        ])),
        "none",
        "External registries with credentials.",
    ),
    field(
        "image_verification",
        Shape::Bool,
        "false",
        "Whether signatures are checked before an image runs.",
    ),
    field(
        "cdi",
        Shape::Bool,
        "true on Talos, else false",
        "Whether the container device interface is on.",
    ),
    field(
        "import_images",
        Shape::Either(&[
            Shape::InnerPath,
            Shape::List(&Shape::Either(&[
                Shape::Text,
                Shape::Map(ARCHIVE, &["archive"]),
            ])),
        ]),
        "none",
        "Images to load into the nodes before components are installed: an archive such as \"images.tar\", or a list of archives and of images that the engine has.",
    ),
    field(
        "source",
        Shape::Either(&[Shape::Text, Shape::Map(SOURCE, &[])]),
        "none",
        "What the GitOps engine follows.",
    ),
    field(
        "sops",
        Shape::Map(SOPS, &[]),
        "found by itself",
        "The age key that the GitOps engine decrypts with.",
    ),
    field(
        "autoscaler",
        Shape::Map(AUTOSCALER, &[]),
        "none",
        "Node pools that grow and shrink; Talos on Hetzner.",
    ),
    field(
        "oidc",
        Shape::Map(OIDC, &["issuer_url", "client_id"]),
        "none",
        "An identity provider for people.",
    ),
    field(
        "ttl",
        Shape::Duration,
        "none",
        "After which time the cluster is removed by itself.",
    ),
];

/// What an archive becomes once it was found.
static ARCHIVE: &[Field] = &[
    field("archive", Shape::Text, "", "Its path."),
    field(
        "holds",
        Shape::List(&Shape::Text),
        "none",
        "The images in it, each as name@id.",
    ),
];

static REGISTRY: &[Field] = &[
    field(
        "host",
        Shape::Registry,
        "",
        "Host, port and path of the registry.",
    ),
    field("username", Shape::Text, "none", "The user's name."),
    field("password", Shape::Secret, "none", "The password or token."),
];

static SOURCE: &[Field] = &[
    field(
        "directory",
        Shape::InnerPath,
        "k8s",
        "The folder with the manifests.",
    ),
    field(
        "url",
        Shape::Text,
        "the local registry",
        "Where the engine fetches from, such as oci://localhost:5050/app.",
    ),
    field("tag", Shape::Text, "dev", "The tag that it follows."),
    field(
        "kustomization",
        Shape::InnerPath,
        "the folder itself",
        "The folder inside the source that is applied.",
    ),
    field(
        "validate_on_push",
        Shape::Bool,
        "false",
        "Whether manifests are checked before they are pushed.",
    ),
];

static SOPS: &[Field] = &[
    field(
        "enabled",
        Shape::Bool,
        "found by itself",
        "`true` makes a missing key an error, `false` leaves it out.",
    ),
    field(
        "env",
        Shape::Text,
        "SOPS_AGE_KEY",
        "The environment variable that holds the key.",
    ),
    field(
        "file",
        Shape::Text,
        "the default key file",
        "The file that holds the key.",
    ),
    field(
        "public_keys",
        Shape::List(&Shape::Text),
        "all",
        "Only private keys of these public keys are used.",
    ),
];

static AUTOSCALER: &[Field] = &[
    field(
        "node",
        Shape::Map(NODE_AUTOSCALER, &[]),
        "none",
        "Node pools.",
    ),
    field(
        "pod",
        Shape::Map(POD_AUTOSCALER, &[]),
        "none",
        "Pod autoscaling.",
    ),
];

static NODE_AUTOSCALER: &[Field] = &[
    field(
        "enabled",
        Shape::Bool,
        "false",
        "Whether nodes are added and removed.",
    ),
    field(
        "pools",
        Shape::List(&Shape::Map(POOL, &["name", "location"])),
        "none",
        "The pools.",
    ),
    field(
        "max_nodes_total",
        Shape::Int(0, 10_000),
        "0, no limit",
        "The most nodes that the cluster may have.",
    ),
    field(
        "expander",
        Shape::Choice(&["least_waste", "least_nodes", "random"]),
        "least_waste",
        "How a pool is chosen.",
    ),
    field(
        "scale_down_unneeded_time",
        Shape::Duration,
        "the autoscaler's own",
        "How long a node is idle before it goes.",
    ),
    field(
        "scale_down_utilization_threshold",
        Shape::Ratio,
        "the autoscaler's own",
        "Below which use a node counts as idle.",
    ),
];

static POOL: &[Field] = &[
    field("name", Shape::Text, "", "The pool's name."),
    field(
        "server_type",
        Shape::Text,
        "cx23",
        "The size of its servers.",
    ),
    field("location", Shape::Text, "", "Where its servers stand."),
    field("min", Shape::Int(0, 1000), "0", "The fewest servers."),
    field("max", Shape::Int(0, 1000), "1", "The most servers."),
    field(
        "labels",
        Shape::Dict(&Shape::Text),
        "none",
        "Labels of its nodes.",
    ),
    field(
        "taints",
        Shape::List(&Shape::Map(TAINT, &["key", "effect"])),
        "none",
        "Taints of its nodes.",
    ),
];

static TAINT: &[Field] = &[
    field("key", Shape::Text, "", "The taint's key."),
    field("value", Shape::Text, "empty", "Its value."),
    field(
        "effect",
        Shape::Choice(&["NoSchedule", "PreferNoSchedule", "NoExecute"]),
        "",
        "What it does to pods.",
    ),
];

static POD_AUTOSCALER: &[Field] = &[
    field(
        "horizontal",
        Shape::Bool,
        "false",
        "Whether replicas follow the load.",
    ),
    field(
        "vertical",
        Shape::Bool,
        "false",
        "Whether requests follow the use.",
    ),
];

static OIDC: &[Field] = &[
    field("issuer_url", Shape::Https, "", "The identity provider."),
    field(
        "client_id",
        Shape::Text,
        "",
        "What the API server is called there.",
    ),
    field(
        "extra_scopes",
        Shape::List(&Shape::Text),
        "none",
        "More scopes to ask for.",
    ),
    field(
        "username_claim",
        Shape::Text,
        "email",
        "The claim that names the user.",
    ),
    field(
        "username_prefix",
        Shape::Text,
        "oidc:",
        "What is put before user names.",
    ),
    field(
        "groups_claim",
        Shape::Text,
        "groups",
        "The claim that names the groups.",
    ),
    field(
        "groups_prefix",
        Shape::Text,
        "oidc:",
        "What is put before group names.",
    ),
    field(
        "ca_file",
        Shape::InnerPath,
        "the system's",
        "A file with the certificate authority of the identity provider.",
    ),
    field(
        "ca",
        Shape::Text,
        "none",
        "The certificate authority itself, PEM; what `ca_file` is read into.",
    ),
];

/// The keys that take native values, with what they take.
pub static NATIVE: &[(&str, &str, &str)] = &[
    (
        "distribution",
        "a distribution such as `k3s()`",
        "What kind of Kubernetes; required.",
    ),
    (
        "provider",
        "a provider such as `docker()`",
        "Where it runs; the distribution's first provider without it.",
    ),
    (
        "components",
        "a list of components; `()` and nested lists are allowed",
        "What is installed.",
    ),
    (
        "gitops",
        "`flux()`, `argocd()` or `()`",
        "The GitOps engine; the same as naming it among the components.",
    ),
    (
        "policy",
        "a closure `|change| ruling`, or one of std/policy",
        "Rules on changes; without it a recreation needs consent.",
    ),
    (
        "before_create",
        "a closure `|cluster|`",
        "Called before the first step of a creation.",
    ),
    (
        "after_create",
        "a closure `|cluster|`",
        "Called after the last step of a creation.",
    ),
    (
        "before_update",
        "a closure `|cluster|`",
        "Called before the first step of an update.",
    ),
    (
        "after_update",
        "a closure `|cluster|`",
        "Called after the last step of an update.",
    ),
    (
        "before_delete",
        "a closure `|cluster|`",
        "Called before the cluster is removed.",
    ),
    (
        "after_delete",
        "a closure `|cluster|`",
        "Called after the cluster is removed.",
    ),
];

/// Every key that `cluster(…)` takes.
pub fn all() -> impl Iterator<Item = &'static str> + Clone {
    NATIVE
        .iter()
        .map(|(name, ..)| *name)
        .chain(SETTINGS.iter().map(|field| field.name))
}

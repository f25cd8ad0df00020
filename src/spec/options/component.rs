//! Options of components.

use crate::axis::Component;
use crate::spec::field::{Field, Shape, field};

pub(super) fn fields(kind: Component) -> &'static [Field] {
    use Component as C;
    match kind {
        C::Flux => FLUX,
        C::Argocd => ARGOCD,
        C::Metallb => METALLB,
        C::LoadBalancer | C::AmazonVpcCni | C::AmazonEbsCsi => NONE,
        C::CloudProviderKind | C::LocalPathProvisioner => IMAGE,
        _ => CHART,
    }
}

const VERSION: Field = field("version", Shape::Text, "ksail's own", "The version.");
const VALUES: Field = field(
    "values",
    Shape::Dict(&Shape::Any),
    "ksail's own",
    "Chart values, merged over ksail's.",
);

static NONE: &[Field] = &[];

static IMAGE: &[Field] = &[VERSION];

static CHART: &[Field] = &[VERSION, VALUES];

static METALLB: &[Field] = &[
    VERSION,
    VALUES,
    field(
        "addresses",
        Shape::Text,
        "172.18.255.200-172.18.255.250",
        "The addresses to give out.",
    ),
];

static FLUX: &[Field] = &[
    VERSION,
    VALUES,
    field(
        "source",
        Shape::Text,
        "the local registry",
        "Where manifests come from, such as oci://localhost:5050/app.",
    ),
    field("tag", Shape::Text, "dev", "The tag that is followed."),
    field(
        "path",
        Shape::InnerPath,
        "the source itself",
        "The folder inside the source.",
    ),
    field(
        "interval",
        Shape::Duration,
        "1m",
        "How often the source is looked at.",
    ),
    field(
        "distribution_version",
        Shape::Text,
        "2.x",
        "The version of Flux that the operator keeps.",
    ),
];

static ARGOCD: &[Field] = &[
    VERSION,
    VALUES,
    field(
        "source",
        Shape::Text,
        "the local registry",
        "Where manifests come from.",
    ),
    field("tag", Shape::Text, "dev", "The revision that is followed."),
    field(
        "path",
        Shape::InnerPath,
        "the source itself",
        "The folder inside the source.",
    ),
];

/// The options of `helm(name, #{ … })`.
pub static HELM: &[Field] = &[
    field(
        "chart",
        Shape::Text,
        "",
        "The chart: a name in the repository, an oci:// address or a folder below the script.",
    ),
    field("repo", Shape::Https, "none", "The chart repository."),
    field("version", Shape::Text, "the newest", "The chart's version."),
    field(
        "namespace",
        Shape::Text,
        "default",
        "Where it is installed.",
    ),
    VALUES,
];

/// The options of `manifests(name, #{ … })`.
pub static MANIFESTS: &[Field] = &[
    field(
        "path",
        Shape::InnerPath,
        "none",
        "A file or folder below the script.",
    ),
    field(
        "objects",
        Shape::List(&Shape::Dict(&Shape::Any)),
        "none",
        "The objects themselves.",
    ),
    field(
        "namespace",
        Shape::Text,
        "default",
        "Where objects without a namespace go.",
    ),
];

/// The options of `kustomize(name, #{ … })`.
pub static KUSTOMIZE: &[Field] = &[field(
    "path",
    Shape::InnerPath,
    "",
    "The folder with the kustomization, below the script.",
)];

//! Options of providers.

use crate::axis::Provider;
use crate::diag::codes::model::{BAD_VALUE, CONTRADICTION};
use crate::error::Error;
use crate::spec::field::{Field, Shape, field};
use crate::spec::{Options, Tree};

/// What has to hold between a provider's options, whose values are right by themselves.
pub(super) fn contradictions(kind: Provider, given: &Options) -> Vec<Error> {
    if kind != Provider::Docker {
        return Vec::new();
    }
    let mut problems = Vec::new();
    let host = given.get("host").and_then(Tree::as_text);
    if given.contains_key("context") && host.is_some() {
        problems.push(
            Error::new(
                &CONTRADICTION,
                "an engine is named twice, by `host` and by `context`",
            )
            .help("keep one of them")
            .field("context"),
        );
    }
    let is_address = |host: &str| {
        let (scheme, rest) = host.split_once("://").unwrap_or_default();
        ["unix", "tcp", "http", "https"].contains(&scheme) && !rest.is_empty()
    };
    if let Some(host) = host.filter(|host| !is_address(host)) {
        let help = if host.starts_with("ssh://") {
            "ksail has no ssh of its own: forward the socket and name its local end, `unix:///tmp/docker.sock`"
        } else {
            "addresses look like unix:///var/run/docker.sock or tcp://HOST:2376"
        };
        problems.push(
            Error::new(&BAD_VALUE, format!("{host:?} is no address of an engine"))
                .help(help)
                .field("host"),
        );
    }
    problems
}

pub(super) fn fields(kind: Provider) -> &'static [Field] {
    match kind {
        Provider::Docker => DOCKER,
        Provider::Kubernetes => KUBERNETES,
        Provider::Hetzner => HETZNER,
        Provider::Omni => OMNI,
        Provider::Aws => AWS,
        Provider::Embedded => EMBEDDED,
    }
}

static DOCKER: &[Field] = &[
    field(
        "host",
        Shape::Text,
        "as the docker command finds it",
        "The engine's address, such as `unix:///run/docker.sock` or `tcp://HOST:2376`; ksail remembers which cluster is where.",
    ),
    field(
        "context",
        Shape::Text,
        "the current one",
        "The docker context that leads to the engine.",
    ),
    field(
        "network",
        Shape::Text,
        "the distribution's own",
        "The network that nodes join; made if it is not there.",
    ),
];

static KUBERNETES: &[Field] = &[
    field(
        "kubeconfig",
        Shape::Text,
        "~/.kube/config",
        "The host cluster's kubeconfig.",
    ),
    field(
        "kubeconfig_env",
        Shape::Text,
        "KSAIL_HOST_KUBECONFIG",
        "The variable that names it.",
    ),
    field(
        "context",
        Shape::Text,
        "the current one",
        "The host cluster's context.",
    ),
    field(
        "context_env",
        Shape::Text,
        "KSAIL_HOST_CONTEXT",
        "The variable that names it.",
    ),
    field(
        "gateway_class_name",
        Shape::Text,
        "none",
        "The GatewayClass to expose the API server with.",
    ),
    field(
        "pod_cidr",
        Shape::Cidr,
        "10.64.0.0/16",
        "The nested cluster's pod addresses.",
    ),
    field(
        "service_cidr",
        Shape::Cidr,
        "10.128.0.0/16",
        "The nested cluster's service addresses.",
    ),
    field(
        "persistence",
        Shape::Map(PERSISTENCE, &[]),
        "none",
        "Whether state outlives the pods.",
    ),
];

static PERSISTENCE: &[Field] = &[
    field("enabled", Shape::Bool, "false", "Whether volumes are used."),
    field(
        "storage_class_name",
        Shape::Text,
        "the host's default",
        "The storage class.",
    ),
    field("size", Shape::Quantity, "20Gi", "The size of each volume."),
];

static HETZNER: &[Field] = &[
    field(
        "control_plane_server_type",
        Shape::Text,
        "cx23",
        "The size of control-plane servers.",
    ),
    field(
        "worker_server_type",
        Shape::Text,
        "cx23",
        "The size of worker servers.",
    ),
    field("location", Shape::Text, "fsn1", "Where the servers stand."),
    field(
        "fallback_locations",
        Shape::List(&Shape::Text),
        "nbg1, hel1",
        "Where else, if there is no room.",
    ),
    field(
        "network",
        Shape::Text,
        "NAME-network",
        "The private network.",
    ),
    field("network_cidr", Shape::Cidr, "10.0.0.0/16", "Its addresses."),
    field(
        "ssh_key_name",
        Shape::Text,
        "none",
        "An SSH key that exists there.",
    ),
    field(
        "token_env",
        Shape::Text,
        "HCLOUD_TOKEN",
        "The variable that holds the token.",
    ),
    field(
        "placement_group_strategy",
        Shape::Choice(&["none", "spread"]),
        "spread",
        "Whether servers are kept on different hosts.",
    ),
    field(
        "placement_group",
        Shape::Text,
        "NAME-placement",
        "The placement group.",
    ),
    field(
        "placement_group_fallback_to_none",
        Shape::Bool,
        "false",
        "Whether to go without, if there is no room.",
    ),
    field(
        "ingress_firewall",
        Shape::Bool,
        "true",
        "Whether the nodes' own firewall is on.",
    ),
    field(
        "server_limit",
        Shape::Int(1, 10_000),
        "10",
        "How many servers the account may have.",
    ),
    field(
        "allowed_cidrs",
        Shape::List(&Shape::Cidr),
        "everyone",
        "Who may reach the API.",
    ),
    field(
        "control_plane_public_ipv4",
        Shape::Bool,
        "true",
        "Whether control planes have public IPv4 addresses.",
    ),
    field(
        "control_plane_public_ipv6",
        Shape::Bool,
        "true",
        "Whether control planes have public IPv6 addresses.",
    ),
    field(
        "worker_public_ipv4",
        Shape::Bool,
        "true",
        "Whether workers have public IPv4 addresses.",
    ),
    field(
        "worker_public_ipv6",
        Shape::Bool,
        "true",
        "Whether workers have public IPv6 addresses.",
    ),
    field(
        "autoscaler_node_pool_names",
        Shape::List(&Shape::Text),
        "none",
        "More node pools to clean up on deletion.",
    ),
];

static OMNI: &[Field] = &[
    field(
        "endpoint",
        Shape::Https,
        "from the variable",
        "The Omni API.",
    ),
    field(
        "endpoint_env",
        Shape::Text,
        "OMNI_ENDPOINT",
        "The variable that names it.",
    ),
    field(
        "service_account_key_env",
        Shape::Text,
        "OMNI_SERVICE_ACCOUNT_KEY",
        "The variable that holds the key.",
    ),
    field(
        "machine_class",
        Shape::Text,
        "none",
        "The class that machines are taken from.",
    ),
    field(
        "machines",
        Shape::List(&Shape::Text),
        "unallocated ones",
        "The machines by id.",
    ),
];

static AWS: &[Field] = &[
    field(
        "profile_env",
        Shape::Text,
        "AWS_PROFILE",
        "The variable that names the profile.",
    ),
    field(
        "region_env",
        Shape::Text,
        "AWS_REGION",
        "The variable that names the region.",
    ),
    field(
        "access_key_id_env",
        Shape::Text,
        "AWS_ACCESS_KEY_ID",
        "The variable that holds the access key id.",
    ),
    field(
        "secret_access_key_env",
        Shape::Text,
        "AWS_SECRET_ACCESS_KEY",
        "The variable that holds the secret key.",
    ),
    field(
        "session_token_env",
        Shape::Text,
        "AWS_SESSION_TOKEN",
        "The variable that holds the session token.",
    ),
    field(
        "endpoint",
        Shape::Text,
        "Amazon's",
        "Another address of the API, for emulators.",
    ),
];

static EMBEDDED: &[Field] = &[
    field(
        "audit",
        Shape::Either(&[
            Shape::Choice(&["Metadata", "Request", "RequestResponse"]),
            Shape::Dict(&Shape::Any),
        ]),
        "nothing is written down",
        "What `audit.log` in the cluster's folder says of requests: a level, or a Policy of audit.k8s.io/v1.",
    ),
    field(
        "port",
        Shape::Int(1, 65_535),
        "any free one, kept",
        "The port of the API server on 127.0.0.1.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_named_once_and_by_an_address() {
        let problems = |options: &[(&str, &str)]| {
            let given = options
                .iter()
                .map(|(key, value)| ((*key).to_string(), Tree::Text((*value).into())));
            let found = contradictions(Provider::Docker, &given.collect());
            let found = found.iter().map(|problem| {
                let field = problem.at_field().unwrap_or_default();
                format!("{} {field}", problem.code().id)
            });
            found.collect::<Vec<String>>()
        };
        assert!(problems(&[("host", "unix:///run/docker.sock")]).is_empty());
        assert!(problems(&[("context", "other"), ("network", "mine")]).is_empty());
        assert_eq!(
            problems(&[("host", "tcp://a:1"), ("context", "b")]),
            ["E0209 context"]
        );
        for wrong in ["here", "ssh://me@there", "unix://"] {
            assert_eq!(problems(&[("host", wrong)]), ["E0201 host"], "{wrong}");
        }
    }
}
